"""What only a server can do to a bot: go away, come back, stand in its way, and be somebody else's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from chatbot.domain.hedge import HedgeId
from chatbot.domain.instrument import Symbol
from chatbot.errors import Conflict, InUse, StorageError
from chatbot.ports import Changes, Store
from chatbot.storage import statements
from chatbot.storage.changes import owe
from chatbot.storage.database import Database, open_database, upgrade
from chatbot.storage.master_key import GivenKey, MasterKey
from chatbot.storage.postgres import connections, ownership, writer
from chatbot.storage.postgres.opening import open_shared
from chatbot.storage.postgres.place import Place
from chatbot.storage.sql import Statement, Step
from tests.postgres.elsewhere import Databases
from tests.postgres.proxy import Fate, Proxy, a_proxy
from tests.postgres.server import Server, a_server_alone
from tests.storage import samples
from tests.storage.samples import HEDGE_ID, LATER, NOW
from tests.storage.test_vault import SECRETS, account


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(writer, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.3)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a row gives up soon."""
    monkeypatch.setitem(connections._SESSION, "lock_timeout", "300ms")


async def asked(url: str, question: str, *given: object) -> object:
    connection = await asyncpg.connect(Place.of(url).address)
    try:
        return await connection.fetchval(question, *given)
    finally:
        await connection.close()


async def until_it_works(store: Store) -> None:
    for _ in range(500):
        try:
            await store.commit(samples.PEOPLE)
        except StorageError:
            await asyncio.sleep(0.01)
        else:
            return
    pytest.fail("the database was never ours again")


# --- a commit whose answer is lost ----------------------------------------------------------------


@pytest.fixture
async def proxy(postgres: Server) -> AsyncIterator[Proxy]:
    async with a_proxy(postgres) as proxy:
        yield proxy


@pytest.fixture
async def remote(proxy: Proxy, postgres_url: str) -> AsyncIterator[Database]:
    """Over a wire that can be cut."""
    name, _, _ = Place.of(postgres_url).name.partition(" ")
    async with open_database(proxy.url(name)) as opened:
        await opened.store.commit(samples.PEOPLE)
        yield opened


BOTH = Changes(hedges=(samples.hedge(),), fills=(samples.fill("once"),))


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNANSWERED])
async def test_a_commit_whose_wire_breaks_is_looked_up_and_written_once(
    remote: Database, proxy: Proxy, fate: Fate
) -> None:
    proxy.fate = fate
    await remote.store.commit(BOTH)
    assert proxy.fate is Fate.ARRIVES, "it met its fate"
    assert [booked.key for booked in await remote.store.booked_fills(HEDGE_ID)] == ["once"]
    hedge = await remote.store.hedge(HEDGE_ID)
    assert hedge is not None
    assert hedge.version == 1


async def test_a_commit_that_arrives_after_it_was_given_up_is_refused(
    impatient: None, remote: Database, proxy: Proxy
) -> None:
    """It still holds what it wrote, so that the second try waits for it and is given up too."""
    proxy.fate = Fate.LATE
    with pytest.raises(StorageError, match="held up by another program"):
        await remote.store.commit(BOTH)
    assert b"23505" in await proxy.deliver()
    assert await remote.store.hedge(HEDGE_ID) is None
    await remote.store.commit(BOTH)
    assert await remote.store.hedge(HEDGE_ID) is not None


async def test_when_nobody_can_be_asked_the_outcome_is_said_to_be_unknown(
    remote: Database, proxy: Proxy
) -> None:
    proxy.fate = Fate.UNANSWERED
    proxy.reachable = False
    with pytest.raises(StorageError, match="whether that was written is not known yet"):
        await remote.store.commit(BOTH)
    proxy.reachable = True
    assert await remote.store.hedge(HEDGE_ID) is not None


async def test_a_conflict_stays_one_on_a_wire_that_breaks(remote: Database, proxy: Proxy) -> None:
    await remote.store.commit(BOTH)
    proxy.fate = Fate.LOST
    with pytest.raises(Conflict, match="booked already"):
        await remote.store.commit(Changes(fills=(samples.fill("once"),)))


async def test_marks_of_commits_do_not_pile_up(remote: Database, postgres_url: str) -> None:
    for _ in range(30):
        await remote.store.commit(samples.PEOPLE)
    marks = await asked(postgres_url, "SELECT count(*) FROM cursors WHERE name LIKE 'commit:%'")
    assert marks == 1
    await remote.close()
    assert await asked(postgres_url, "SELECT count(*) FROM cursors WHERE name LIKE 'commit:%'") == 0


# --- a server that goes away ----------------------------------------------------------------------


@pytest.fixture
def alone(postgres: Server) -> Iterator[Server]:
    with a_server_alone() as server:
        yield server


@pytest.mark.slow
async def test_a_restart_of_the_server_is_survived(alone: Server) -> None:
    alone.create("hedgerow")
    async with open_database(alone.url("hedgerow")) as database:
        await database.store.commit(samples.PEOPLE)
        alone.stop()
        for work in (database.store.users(), database.store.commit(BOTH)):
            with pytest.raises(StorageError, match="cannot be reached just now"):
                await work
        alone.start()
        await until_it_works(database.store)
        await database.store.commit(BOTH)
        assert await database.store.users() == (samples.user(),)


async def test_connections_that_the_server_ends_lose_nothing_and_double_nothing(
    postgres_url: str,
) -> None:
    async with open_database(postgres_url) as database:
        await database.store.commit(samples.PEOPLE)
        await database.store.commit(Changes(hedges=(samples.hedge(),)))
        working = [asyncio.create_task(book(database.store, number)) for number in range(8)]
        for _ in range(10):
            await asked(
                postgres_url,
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'hedgerow bot%'",
            )
            await asyncio.sleep(0.02)
        booked = list(chain.from_iterable(await asyncio.gather(*working)))
        stored = [fill.key for fill in await database.store.booked_fills(HEDGE_ID)]
    assert sorted(stored) == sorted(booked)
    assert len(booked) == 8 * 40


async def book(store: Store, number: int) -> list[str]:
    """Forty fills; a commit that is refused because the server is gone is asked for again."""
    keys = [f"{number}:{each}" for each in range(40)]
    for key in keys:
        while True:
            try:
                await store.commit(Changes(fills=(samples.fill(key),)))
                break
            except Conflict:
                raise
            except StorageError:
                await asyncio.sleep(0.005)
    return keys


SLEEP = Step(Statement(sa.select(sa.func.pg_sleep(sa.text("0.1"))), among_many=True), {})

# --- many writers ---------------------------------------------------------------------------------


@asynccontextmanager
async def processes(url: str, count: int = 3) -> AsyncIterator[list[Database]]:
    """As many pools on one database, as processes would have them."""
    async with AsyncExitStack() as stack:
        place = Place.of(url)
        sessions = [await stack.enter_async_context(open_shared(place)) for _ in range(count)]
        yield [Database(session, AsyncExitStack()) for session in sessions]
        for session in sessions:
            await session.close()


async def test_no_update_is_lost_among_processes(postgres_url: str) -> None:
    async def count(store: Store, times: int) -> None:
        for _ in range(times):
            while True:
                hedge = await store.hedge(HEDGE_ID)
                assert hedge is not None
                try:
                    await store.commit(Changes(hedges=(replace(hedge, attempt=hedge.attempt + 1),)))
                    break
                except Conflict:
                    continue

    async with processes(postgres_url) as databases:
        await databases[0].store.commit(samples.PEOPLE)
        await databases[0].store.commit(Changes(hedges=(samples.hedge(),)))
        await asyncio.gather(*(count(database.store, 10) for database in databases for _ in range(3)))
        hedge = await databases[0].store.hedge(HEDGE_ID)
    assert hedge is not None
    assert (hedge.attempt, hedge.version) == (90, 91)


async def test_of_two_that_owe_to_one_slot_at_once_the_later_drops_the_earlier(postgres_url: str) -> None:
    earlier, later = samples.message("sending", slot="op:1"), samples.message("filled", slot="op:1")
    async with open_shared(Place.of(postgres_url)) as session:
        slowly = asyncio.create_task(session.write([*owe([earlier]), SLEEP]))
        await asyncio.sleep(0.05)
        await asyncio.gather(slowly, session.write([*owe([later])]))
        due = await Database(session, AsyncExitStack()).mailbox.due(LATER, limit=10)
    assert [each.message.dedupe_key for each in due] == ["filled"]


async def test_of_two_that_block_each_other_the_one_that_is_undone_goes_again(postgres_url: str) -> None:
    """The server undoes whoever notices first, which is the writer: the other is told to be patient."""
    steps = [put_cursor("a", 1), SLEEP, put_cursor("b", 1)]
    other = await asyncpg.connect(Place.of(postgres_url).address)
    await other.execute("INSERT INTO cursors VALUES ('a', 0), ('b', 0); SET deadlock_timeout = '60s'")
    async with open_shared(Place.of(postgres_url)) as session:
        async with other.transaction():
            await other.execute("UPDATE cursors SET value = 2 WHERE name = 'b'")
            writing = asyncio.create_task(session.write(steps))
            await asyncio.sleep(0.05)
            await other.execute("UPDATE cursors SET value = 2 WHERE name = 'a'")
        await writing
    assert await other.fetch("SELECT value FROM cursors WHERE name IN ('a', 'b')") == [(1,), (1,)]
    await other.close()


def put_cursor(name: str, value: int) -> Step:
    return Step(statements.PUT_CURSOR, {"name": name, "value": value})


async def test_a_refused_transaction_leaves_its_connection_whole(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        await database.store.commit(samples.PEOPLE)
        for broken in ("\ud800", "nothing \x00"):
            with pytest.raises(StorageError, match="broken characters") as refused:
                await database.store.commit(Changes(users=(replace(samples.user(), name=broken),)))
            assert broken not in refused.value.message
        with pytest.raises(StorageError, match="refused a statement: ForeignKeyViolationError"):
            await database.store.commit(Changes(fills=(samples.fill("of nobody"),)))
        await database.store.commit(BOTH)
        assert len(await database.store.booked_fills(HEDGE_ID)) == 1


async def test_whoever_stops_waiting_for_a_commit_does_not_stop_it(postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        await database.store.commit(samples.PEOPLE)
        hedges = [samples.hedge(f"n{n}", number=n, symbol=Symbol(f"S{n}")) for n in range(20)]
        tasks = [asyncio.create_task(database.store.commit(Changes(hedges=(hedge,)))) for hedge in hedges]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
    async with open_database(postgres_url) as again:
        assert len(await again.store.live_hedges()) == 20
    with pytest.raises(StorageError, match="closed"):
        await database.store.commit(BOTH)


# --- whose it is ----------------------------------------------------------------------------------


async def test_a_second_owner_is_told_who_the_first_is(postgres_url: str) -> None:
    async with open_database(postgres_url):
        with pytest.raises(InUse, match=rf"another Hedgerow \(process {os.getpid()} on .*stop that one"):
            await upgrade(postgres_url)
        beside = await Database.open_beside(postgres_url)
        assert await beside.store.users() == ()
        await beside.close()
    await upgrade(postgres_url)


async def test_who_lost_the_lock_to_another_writes_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(postgres_url) as first:
        await first.store.commit(samples.PEOPLE)
        monkeypatch.setattr(ownership, "AGAIN_SECONDS", 0.5)
        await asyncio.sleep(0.05)
        await asked(
            postgres_url,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'hedgerow owner%'",
        )
        second = await Database.open(postgres_url)
        with pytest.raises(StorageError, match="nothing was written"):
            await first.store.commit(BOTH)
        await second.store.commit(BOTH)
        await second.close()
        await until_it_works(first.store)


# --- what is forgotten ----------------------------------------------------------------------------


async def test_a_forgotten_key_is_in_no_file_of_the_table(postgres: Server, postgres_url: str) -> None:
    async with open_database(postgres_url) as database:
        await database.store.commit(samples.PEOPLE)
        vault = database.vault(GivenKey(MasterKey(bytes(range(32))), "a test"))
        await vault.keep(account(), SECRETS)
        sealed = await asked(postgres_url, "SELECT ciphertext FROM credentials")
        assert isinstance(sealed, bytes)
        assert sealed in await table_on_disk(postgres, postgres_url)
        await vault.forget(account())
        assert sealed not in await table_on_disk(postgres, postgres_url)


async def table_on_disk(server: Server, url: str) -> bytes:
    await asked(url, "CHECKPOINT")
    path = await asked(url, "SELECT pg_relation_filepath('credentials')")
    folder = Path(server.data / str(path)).parent
    return b"".join(each.read_bytes() for each in folder.iterdir() if each.is_file())


async def test_two_databases_of_the_tests_are_apart(postgres_databases: Databases) -> None:
    names = [postgres_databases.take(), postgres_databases.take()]
    assert len(set(names)) == 2
    for name in names:
        postgres_databases.give_back(name)


def test_nothing_of_a_stored_hedge_is_left_by_the_test_before(postgres_url: str) -> None:
    assert asyncio.run(stored(postgres_url)) == ()


async def stored(url: str) -> tuple[HedgeId, ...]:
    async with open_database(url) as database:
        assert await database.mailbox.cursor("telegram") is None
        await database.store.prune(NOW)
        return tuple(hedge.id for hedge in await database.store.live_hedges())
