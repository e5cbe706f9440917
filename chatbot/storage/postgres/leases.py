"""Leases in PostgreSQL, on a connection of their own.

That connection holds a lock in the process's name. The server drops it as soon as the process is gone, so
that the others need not wait for the term to end; a process that is only paused keeps its connection, and
they wait. Instants are the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

from chatbot.errors import LeaseLost
from chatbot.ports import Muster
from chatbot.storage.postgres.connections import connect, session_of
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.refusals import REFUSALS, in_words, is_gone

SECONDS = 3.0  # no statement here takes longer where all is well
KEPT = timedelta(days=1)  # how long a process that is gone is remembered

_NOW = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
_LATER = _NOW.replace("clock_timestamp()", "(clock_timestamp() + {})")
_LOCK = "hashtextextended('hedgerow ' || {}, 0)"

LOCK = f"SELECT pg_advisory_lock({_LOCK.format('$1')})"
JOIN = (
    "INSERT INTO processes (id, host, session, started_at, expires_at) "  # noqa: S608 (no value of anybody's)
    f"VALUES ($1, $2, $4, {_NOW}, {_LATER.format('$3::interval')})"
)
FORGET_OLD = f"DELETE FROM processes WHERE expires_at < {_LATER.format('- $1::interval')}"  # noqa: S608
BEAT = (
    f"UPDATE processes SET expires_at = {_LATER.format('$2::interval')} "  # noqa: S608
    f"WHERE id = $1 AND expires_at > {_NOW}"
)
# Whoever gets the lock of another knows that its connection is gone.
BURY = (
    f"UPDATE processes SET expires_at = {_NOW} WHERE id <> $1 AND expires_at > {_NOW} "  # noqa: S608
    f"AND pg_try_advisory_xact_lock({_LOCK.format('id')})"
)
# A process that was paused in the middle of a transaction would keep the rows of its leases locked. Its
# connections are ended, unless it is back under another name and gives its old leases up by itself.
END = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN processes AS gone
    ON application_name LIKE 'hedgerow % ' || gone.session || ' (%'
WHERE gone.expires_at <= {_NOW} AND EXISTS (SELECT 1 FROM leases WHERE holder = gone.id) AND NOT EXISTS (
    SELECT 1 FROM processes AS back WHERE back.session = gone.session AND back.expires_at > {_NOW}
)
"""  # noqa: S608
COUNT = (
    "SELECT count(*), count(*) FILTER (WHERE host = $1) "  # noqa: S608
    f"FROM processes WHERE expires_at > {_NOW}"
)
HELD = "SELECT name, epoch FROM leases WHERE holder = $1"
FOUND = "INSERT INTO leases (name, holder, epoch) SELECT unnest($1::text[]), '', 0 ON CONFLICT DO NOTHING"
# What is being written for a shard just now holds its row (FOR SHARE): it is passed over until the next time.
TAKE = f"""
WITH free AS MATERIALIZED (
    SELECT name FROM leases WHERE name = ANY($2::text[]) AND NOT EXISTS (
        SELECT 1 FROM processes WHERE processes.id = leases.holder AND processes.expires_at > {_NOW}
    )
    ORDER BY name LIMIT $3 FOR UPDATE OF leases SKIP LOCKED
)
UPDATE leases SET holder = $1, epoch = epoch + 1 FROM free WHERE leases.name = free.name
RETURNING leases.name, leases.epoch
"""  # noqa: S608
GIVE_UP = "UPDATE leases SET holder = '' WHERE holder = $1 AND name = ANY($2::text[])"
GIVE_UP_ALL = "UPDATE leases SET holder = '' WHERE holder = $1"
LEAVE = "DELETE FROM processes WHERE id = $1"
# Schemas are databases of their own to us.
CHANNEL = "SELECT 'hedgerow ' || current_schema()"
TELL = "SELECT pg_notify($1, $2)"


class SqlLeaseTable:
    """``chatbot.ports.LeaseTable``. ``host``: processes of one name share its address to the world."""

    def __init__(self, url: str, *, host: str = "") -> None:
        self._place = Place.of(url)
        self._host = host or socket.gethostname()
        self._connection: asyncpg.Connection | None = None
        self._id = self._channel = ""
        self._founded: set[str] = set()
        self._heard: Callable[[str], None] = lambda _: None
        self._one_at_a_time = asyncio.Lock()

    def listen(self, heard: Callable[[str], None]) -> None:
        self._heard = heard

    async def join(self, term: timedelta) -> str:
        """On a new connection: what was told or locked on the old one is no more."""
        await self.close()
        async with self._working(joining=True):
            async with asyncio.timeout(SECONDS):
                connection = self._connection = await connect(self._place, "leases")
            process = secrets.token_hex(8)
            self._channel = await connection.fetchval(CHANNEL, timeout=SECONDS)
            await connection.add_listener(self._channel, lambda *said: self._heard(str(said[3])))
            await connection.execute(LOCK, process, timeout=SECONDS)
            await connection.execute(FORGET_OLD, KEPT, timeout=SECONDS)
            await connection.execute(
                JOIN, process, self._host, term, session_of(os.getpid()), timeout=SECONDS
            )
            self._id = process
        return self._id

    async def beat(self, term: timedelta) -> Muster:
        async with self._working() as connection, connection.transaction():
            if await connection.execute(BEAT, self._id, term, timeout=SECONDS) != "UPDATE 1":
                raise LeaseLost("the last sign of life was too long ago")
            await connection.execute(BURY, self._id, timeout=SECONDS)
            await connection.execute(END, timeout=SECONDS)
            processes, here = await connection.fetchrow(COUNT, self._host, timeout=SECONDS)
            rows = await connection.fetch(HELD, self._id, timeout=SECONDS)
        return Muster(int(processes), int(here), dict(map(tuple, rows)))

    async def take(self, names: Sequence[str], most: int) -> Mapping[str, int]:
        async with self._working() as connection:
            await self._found(connection, names)
            rows = await connection.fetch(TAKE, self._id, list(names), most, timeout=SECONDS)
        return dict(map(tuple, rows))

    async def _found(self, connection: asyncpg.Connection, names: Sequence[str]) -> None:
        """Leases that were never held by anybody yet."""
        if unknown := [name for name in names if name not in self._founded]:
            await connection.execute(FOUND, unknown, timeout=SECONDS)
            self._founded.update(unknown)

    async def give_up(self, names: Sequence[str]) -> None:
        async with self._working() as connection:
            await connection.execute(GIVE_UP, self._id, list(names), timeout=SECONDS)

    async def tell(self, words: str) -> None:
        async with self._working() as connection:
            await connection.execute(TELL, self._channel, words, timeout=SECONDS)

    async def leave(self) -> None:
        async with self._working() as connection, connection.transaction():
            await connection.execute(GIVE_UP_ALL, self._id, timeout=SECONDS)
            await connection.execute(LEAVE, self._id, timeout=SECONDS)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*REFUSALS):
                await connection.close(timeout=SECONDS)

    @asynccontextmanager
    async def _working(self, *, joining: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """The connection to oneself. Without it the others may take everything: ``LeaseLost``."""
        async with self._one_at_a_time:
            if self._connection is None and not joining:
                raise LeaseLost("the connection that holds our leases is closed")
            try:
                yield self._connection
            except TimeoutError as error:
                raise in_words(error, self._place) from None
            except REFUSALS as error:
                failure = in_words(error, self._place)
                raise (LeaseLost(failure.message) if is_gone(error) else failure) from None
