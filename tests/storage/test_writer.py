"""Commits side by side: none is lost, none spoils another, each is answered for itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from chatbot.domain.hedge import HedgeId
from chatbot.domain.instrument import Symbol
from chatbot.domain.quote import QuoteId
from chatbot.errors import Conflict, StorageError
from chatbot.ports import Changes, Store
from chatbot.storage.connection import Connection, open_writer
from chatbot.storage.database import Database, open_database
from chatbot.storage.sql import Statement, Step, insert, insert_new
from chatbot.storage.writer import transact
from tests.storage import samples
from tests.storage.samples import HEDGE_ID, LATER


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
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


async def test_what_is_being_written_is_finished_before_closing(database_url: str) -> None:
    database = await Database.open(database_url)
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
    async with open_database(database_url) as again:
        assert len(await again.store.live_hedges()) == 100


THINGS = sa.Table(
    "things", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), sa.Column("money", sa.Text)
)
PUT = Statement(insert(THINGS, ["id", "money"]))


def put(key: str, money: str | None, conflict: str = "") -> Step:
    return Step(PUT, {"id": key, "money": money}, conflict)


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[Connection]:
    async with open_writer(tmp_path / "t.db") as connection:
        await connection.execute("CREATE TABLE things (id TEXT PRIMARY KEY, money TEXT NOT NULL) STRICT")
        yield connection


async def stored(connection: Connection) -> list[str]:
    return [key for (key,) in await connection.execute_fetchall("SELECT id FROM things ORDER BY id", {})]


async def test_a_statement_that_cannot_run_undoes_its_own_transaction_only(connection: Connection) -> None:
    fine, half = [put("a", "1")], [put("b", "2"), put("c", None)]
    twice = [put("d", "3"), put("a", "4", "a is there already")]
    first, second, third = await transact(connection, [fine, half, twice], None)
    assert first is None
    assert type(second) is StorageError
    assert isinstance(third, Conflict)
    assert third.message == "a is there already"
    assert await stored(connection) == ["a"]
    assert not connection.in_transaction


@pytest.mark.parametrize("broken", ["\ud800", "half a \udc9f face"])
async def test_broken_characters_are_refused_for_their_own_transaction_only(
    connection: Connection, broken: str
) -> None:
    first, second = await transact(connection, [[put("a", broken)], [put("b", "1")]], None)
    assert isinstance(first, StorageError)
    assert "broken characters" in first.message
    assert broken not in first.message
    assert second is None
    assert await stored(connection) == ["b"]


async def test_steps_that_repeat_a_statement_are_counted_together(connection: Connection) -> None:
    (first,) = await transact(connection, [[put("a", "1"), put("b", "2"), put("c", "3")]], None)
    assert first is None
    assert await stored(connection) == ["a", "b", "c"]
    again = Step(Statement(insert_new(THINGS, ["id", "money"])), {"id": "a", "money": "5"}, "taken")
    fresh = again._replace(params={"id": "d", "money": "5"})
    (second,) = await transact(connection, [[fresh, again]], None)
    assert isinstance(second, Conflict)
    assert await stored(connection) == ["a", "b", "c"]


async def test_when_the_disk_takes_nothing_every_transaction_learns_of_it(connection: Connection) -> None:
    ((pages,),) = await connection.execute_fetchall("PRAGMA page_count", {})
    await connection.execute(f"PRAGMA max_page_count = {pages}")
    small, large = [put("y", "1")], [put("x" * 100_000, "1")]
    outcomes = await transact(connection, [small, large, small], Path("t.db"))
    assert isinstance(outcomes[1], StorageError)
    assert "disk is full" in outcomes[1].message
    assert not connection.in_transaction
    assert len(await stored(connection)) == sum(outcome is None for outcome in outcomes)


@pytest.mark.parametrize("ticks", range(12))
async def test_a_transaction_that_is_stopped_anywhere_leaves_the_writer_whole(
    connection: Connection, ticks: int
) -> None:
    """Only the end of the program stops one; even then the next can begin."""
    both = [[put("a", "1"), put("b", "2", "b is there already")], [put("c", "3")]]
    task = asyncio.create_task(transact(connection, both, None))
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await stored(connection) in ([], ["a", "b", "c"])
    assert await transact(connection, [[put("z", "1")]], None) == [None]
    assert not connection.in_transaction
