"""The contract of leases, in memory and on PostgreSQL; and what only a database can be asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.shards import SHARDS, shard_of
from chatbot.errors import InUse, LeaseLost
from chatbot.ports import Changes, Lease
from chatbot.pushing.leasing import name_of
from chatbot.pushing.memory import MemoryLeases, MemoryLeaseTable
from chatbot.storage.codec import Cell
from chatbot.storage.database import Database, open_database
from chatbot.storage.postgres.connections import connected
from chatbot.storage.postgres.dialect import numbered
from chatbot.storage.postgres.leases import SqlLeaseTable
from chatbot.storage.postgres.place import Place
from chatbot.storage.statements import FENCE
from tests.contract.leases_contract import NAMES, LeasesContract, Office
from tests.storage import samples

LONG = timedelta(seconds=30)


class TestLeasesInMemory(LeasesContract):
    @pytest.fixture
    def office(self) -> Office:
        clock = VirtualClock(datetime(2026, 3, 1, tzinfo=UTC))
        shared = MemoryLeases(clock)
        return Office(lambda host: MemoryLeaseTable(shared, host), clock.advance)


class TestLeasesOnPostgres(LeasesContract):
    @pytest.fixture
    async def office(self, postgres_url: str) -> AsyncIterator[Office]:
        tables: list[SqlLeaseTable] = []

        def table(host: str) -> SqlLeaseTable:
            tables.append(SqlLeaseTable(postgres_url, host=host))
            return tables[-1]

        yield Office(table, asyncio.sleep)
        for each in tables:
            await each.close()

    async def test_a_process_that_is_gone_is_not_waited_for(self, office: Office, postgres_url: str) -> None:
        one, other = SqlLeaseTable(postgres_url), await office.hire()
        await one.join(LONG)
        await one.take(NAMES, 3)
        assert one._connection is not None
        one._connection.terminate()  # as the kernel does for a process that was killed
        await until_gone(postgres_url)
        assert (await other.beat(LONG)).processes == 1
        assert dict(await other.take(NAMES, 3)) == dict.fromkeys(NAMES, 2)
        with pytest.raises(LeaseLost):
            await one.beat(LONG)


async def until_gone(url: str) -> None:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"  # noqa: E501
    async with connected(Place.of(url), "test") as connection:
        for _ in range(200):
            if await connection.fetchval(query) <= 1:
                return
            await asyncio.sleep(0.02)
    raise AssertionError("the server does not notice")


# --- the fence ----------------------------------------------------------------------------------


class Held:
    """``Leases`` of a process that believes in them whatever happens, as one does that was paused."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.shards: frozenset[int] | None = frozenset(range(SHARDS))

    def holds(self, shard: int) -> bool:
        return shard in (self.shards or ())

    def of_shard(self, shard: int) -> Lease:
        return self._lease

    def of_duty(self, name: str) -> None:
        return None

    def wake(self, shards: object) -> None:
        """Nobody listens."""


@pytest.fixture
async def table(postgres_url: str) -> AsyncIterator[SqlLeaseTable]:
    table = SqlLeaseTable(postgres_url)
    await table.join(LONG)
    yield table
    await table.close()


@pytest.fixture
async def held(postgres_url: str, table: SqlLeaseTable) -> AsyncIterator[Database]:
    name = name_of(shard_of(samples.USER_ID))
    (epoch,) = (await table.take([name], 1)).values()
    async with open_database(postgres_url, Held(Lease(name, table._id, epoch))) as database:
        yield database


SOMETHING = Changes(users=(samples.user(),))


async def test_who_holds_the_lease_writes(held: Database) -> None:
    await held.store.commit(SOMETHING)
    assert await held.store.user(samples.USER_ID) is not None


async def test_who_was_taken_over_from_writes_nothing(
    held: Database, table: SqlLeaseTable, postgres_url: str
) -> None:
    name = name_of(shard_of(samples.USER_ID))
    await table.give_up([name])
    successor = SqlLeaseTable(postgres_url)
    await successor.join(LONG)
    await successor.take([name], 1)
    with pytest.raises(LeaseLost):
        await held.store.commit(SOMETHING)
    assert await held.store.user(samples.USER_ID) is None
    await successor.close()


async def test_a_lease_that_came_back_has_another_epoch(held: Database, table: SqlLeaseTable) -> None:
    name = name_of(shard_of(samples.USER_ID))
    await table.give_up([name])
    await table.take([name], 1)
    with pytest.raises(LeaseLost):
        await held.store.commit(SOMETHING)


async def test_nothing_is_taken_over_in_the_middle_of_a_transaction(
    held: Database, table: SqlLeaseTable, postgres_url: str
) -> None:
    name = name_of(shard_of(samples.USER_ID))
    fence = numbered(FENCE)
    lease: dict[str, Cell] = {"name": name, "holder": table._id, "epoch": 1}
    async with connected(Place.of(postgres_url), "test") as connection:
        async with connection.transaction():
            await connection.fetch(fence.text, *fence.arguments(lease))
            async with connected(Place.of(postgres_url), "test") as other:
                await other.execute("UPDATE processes SET expires_at = ''")
            successor = SqlLeaseTable(postgres_url)
            await successor.join(LONG)
            assert await successor.take([name], 1) == {}
        assert await successor.take([name], 1) == {name: 2}
        await successor.close()


async def test_a_process_that_was_paused_in_a_transaction_is_not_waited_for(
    held: Database, table: SqlLeaseTable, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections are ended, with the locks that they hold, once its term is over."""
    name = name_of(shard_of(samples.USER_ID))
    fence = numbered(FENCE)
    lease: dict[str, Cell] = {"name": name, "holder": table._id, "epoch": 1}
    async with connected(Place.of(postgres_url), "paused") as paused:
        await paused.execute("BEGIN")
        await paused.fetch(fence.text, *fence.arguments(lease))
        monkeypatch.setattr("chatbot.storage.postgres.connections.session_of", lambda _: "another")
        monkeypatch.setattr("chatbot.storage.postgres.leases.session_of", lambda _: "another")
        async with connected(Place.of(postgres_url), "test") as other:
            await other.execute("UPDATE processes SET expires_at = started_at")
        successor = SqlLeaseTable(postgres_url)
        await successor.join(LONG)
        await successor.beat(LONG)
        async with asyncio.timeout(5):
            while not await successor.take([name], 1):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.02)
        assert (await successor.beat(LONG)).held == {name: 2}
        await successor.close()


async def test_each_sees_what_is_of_its_own_shards(held: Database, postgres_url: str) -> None:
    await held.store.commit(Changes(users=(samples.user(),), accounts=(samples.account(),)))
    await held.mailbox.receive([samples.request("tg:1")])
    assert len(await held.store.accounts()) == 1
    assert len(await held.mailbox.unhandled()) == 1
    held._leases.shards = frozenset()  # type: ignore[misc] # as if all had been handed on
    assert await held.store.accounts() == ()
    assert await held.mailbox.unhandled() == ()
    assert len(await held.store.accounts(samples.USER_ID)) == 1, "who is named is found"


async def test_a_tick_is_one_processs(held: Database) -> None:
    due = datetime(2026, 3, 1, tzinfo=UTC)
    answers = await asyncio.gather(*(held.mailbox.first_to("prune", due) for _ in range(8)))
    assert sorted(answers) == [False] * 7 + [True]


# --- who may be there at the same time ----------------------------------------------------------


async def test_several_processes_share_a_database_and_a_command_for_one_alone_waits_outside(
    held: Database, postgres_url: str
) -> None:
    async with open_database(postgres_url, Held(Lease("shard:00", "me", 1))):
        with pytest.raises(InUse, match="in use by another Hedgerow"):
            await Database.open(postgres_url)


async def test_a_process_that_starts_waits_for_a_command_to_end(postgres_url: str) -> None:
    async with open_database(postgres_url):
        starting = asyncio.create_task(Database.open(postgres_url, Held(Lease("shard:00", "me", 1))))
        await asyncio.sleep(0.2)
        assert not starting.done()
    await (await starting).close()
