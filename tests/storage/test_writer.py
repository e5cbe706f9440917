"""Commits side by side: none is lost, none spoils another, each is answered for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chatbot.domain.hedge import HedgeId
from chatbot.domain.instrument import Symbol
from chatbot.domain.quote import QuoteId
from chatbot.errors import Conflict, StorageError
from chatbot.ports import Changes, Store
from chatbot.storage.connection import connect_writer
from chatbot.storage.database import Database, open_database
from chatbot.storage.sql import Step
from chatbot.storage.writer import transact
from tests.storage import samples
from tests.storage.samples import HEDGE_ID, LATER


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/hedgerow.db") as database:
        await database.store.commit(samples.PEOPLE)
        await database.store.commit(Changes(hedges=(samples.hedge(),)))
        yield database


async def count_one(store: Store) -> None:
    """Reads, adds one, writes; again if somebody else was faster."""
    while True:
        hedge = await store.hedge(HEDGE_ID)
        assert hedge is not None
        await asyncio.sleep(0)
        try:
            await store.commit(Changes(hedges=(replace(hedge, attempt=hedge.attempt + 1),)))
        except Conflict:
            continue
        return


async def test_no_update_is_lost_among_sixteen_tasks(database: Database) -> None:
    async def count(times: int) -> None:
        for _ in range(times):
            await count_one(database.store)

    await asyncio.gather(*(count(10) for _ in range(16)))
    hedge = await database.store.hedge(HEDGE_ID)
    assert hedge is not None
    assert (hedge.attempt, hedge.version) == (160, 161)


async def test_a_conflict_does_not_touch_its_neighbors(database: Database) -> None:
    """Forty at once, so that they share transactions; every fourth spends a quote that does not exist."""

    def changes(number: int) -> Changes:
        hedge = samples.hedge(f"n{number}", number=100 + number, symbol=Symbol(f"S{number}"))
        spent = (QuoteId("q9"), "tg:1", "", LATER) if number % 4 == 0 else None
        return Changes(hedges=(hedge,), spend_quote=spent)

    outcomes = await asyncio.gather(
        *(database.store.commit(changes(number)) for number in range(40)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [
        Conflict if number % 4 == 0 else type(None) for number in range(40)
    ]
    stored = {hedge.number - 100 for hedge in await database.store.live_hedges()} - {
        samples.hedge().number - 100
    }
    assert stored == {number for number in range(40) if number % 4}


async def test_only_one_of_many_taps_spends_a_quote(database: Database) -> None:
    await database.store.commit(Changes(quotes=(samples.quote(),)))
    taps = (Changes(spend_quote=(QuoteId("q1"), f"tg:{number}", "", LATER)) for number in range(20))
    outcomes = await asyncio.gather(*(database.store.commit(tap) for tap in taps), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19


async def test_a_task_that_gives_up_does_not_stop_the_others(database: Database) -> None:
    hedges = [
        samples.hedge(f"n{number}", number=100 + number, symbol=Symbol(f"S{number}")) for number in range(6)
    ]
    tasks = [asyncio.create_task(database.store.commit(Changes(hedges=(hedge,)))) for hedge in hedges]
    await asyncio.sleep(0)
    tasks[0].cancel()  # on its way to the disk
    tasks[3].cancel()  # waiting for the next transaction
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(asyncio.CancelledError) == 2
    assert await database.store.hedge(HedgeId("n1")) is not None
    assert await database.store.hedge(HedgeId("n3")) is None  # never begun
    assert await database.store.hedge(HedgeId("n5")) is not None


async def test_what_is_being_written_is_finished_before_closing(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/hedgerow.db"
    database = await Database.open(url)
    await database.store.commit(samples.PEOPLE)
    hedges = [
        samples.hedge(f"n{number}", number=number, symbol=Symbol(f"S{number}")) for number in range(100)
    ]
    commits = [asyncio.create_task(database.store.commit(Changes(hedges=(hedge,)))) for hedge in hedges]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*commits)
    with pytest.raises(StorageError, match="closed"):
        await database.store.commit(Changes(hedges=(samples.hedge("late", number=500),)))
    async with open_database(url) as again:
        assert len(await again.store.live_hedges()) == 100


def test_a_statement_that_cannot_run_undoes_its_own_transaction_only(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "t.db")
    connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, money TEXT NOT NULL) STRICT")
    put = "INSERT INTO t VALUES (:id, :money)"
    fine = [Step(put, {"id": "a", "money": "1"})]
    half = [Step(put, {"id": "b", "money": "2"}), Step(put, {"id": "c", "money": None})]
    twice = [Step(put, {"id": "d", "money": "3"}), Step(put, {"id": "a", "money": "4"}, "a is there already")]
    first, second, third = transact(connection, [fine, half, twice], None)
    assert first is None
    assert type(second) is StorageError
    assert isinstance(third, Conflict)
    assert third.message == "a is there already"
    assert connection.execute("SELECT id FROM t").fetchall() == [("a",)]
    connection.close()


def test_when_the_disk_takes_nothing_every_transaction_learns_of_it(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "t.db")
    connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY) STRICT")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    large = [Step("INSERT INTO t VALUES (:id)", {"id": "x" * 100_000})]
    small = [Step("INSERT INTO t VALUES (:id)", {"id": "y"})]
    outcomes = transact(connection, [small, large, small], tmp_path / "t.db")
    assert isinstance(outcomes[1], StorageError)
    assert "disk is full" in outcomes[1].message
    assert not connection.in_transaction
    stored = connection.execute("SELECT count(*) FROM t").fetchone()[0]
    assert stored == sum(outcome is None for outcome in outcomes)
    connection.close()
