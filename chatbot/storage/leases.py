"""Leases in PostgreSQL, on a connection of their own.

That connection holds a lock in the process's name. The server drops it as soon as the process is gone, so
that the others need not wait for the term to end; a process that is only paused keeps its connection, and
they wait. Instants are the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from chatbot.errors import LeaseLost, StorageError
from chatbot.ports import Standing

CHANNEL = "hedgerow"
SECONDS = 3.0  # no statement here takes longer where all is well
KEPT = timedelta(days=1)  # how long a process that is gone is remembered

_NOW = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
_LATER = _NOW.replace("clock_timestamp()", "(clock_timestamp() + {})")
_LOCK = "hashtextextended('hedgerow ' || {}, 0)"

LOCK = f"SELECT pg_advisory_lock({_LOCK.format('$1')})"
UNLOCK = "SELECT pg_advisory_unlock_all()"
JOIN = (
    "INSERT INTO processes (id, host, started_at, expires_at) "  # noqa: S608 (no value of anybody's)
    f"VALUES ($1, $2, {_NOW}, {_LATER.format('$3::interval')})"
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
TELL = "SELECT pg_notify($1, $2)"


class SqlLeaseTable:
    """``chatbot.ports.LeaseTable``. ``address`` is for ``asyncpg.connect``."""

    def __init__(self, address: str, *, host: str = "") -> None:
        self._address = address
        self._host = host or socket.gethostname()
        self._connection: asyncpg.Connection[Any] | None = None
        self._id = ""
        self._founded: set[str] = set()
        self._heard: Callable[[str], None] = lambda _: None
        self._one_at_a_time = asyncio.Lock()

    def listen(self, heard: Callable[[str], None]) -> None:
        self._heard = heard

    async def join(self, term: timedelta) -> str:
        """On a new connection: what was told or locked on the old one is no more."""
        await self.close()
        async with self._working():
            connection = self._connection = await asyncpg.connect(
                self._address, timeout=SECONDS, command_timeout=SECONDS
            )
            process = secrets.token_hex(8)
            await connection.add_listener(CHANNEL, lambda *said: self._heard(str(said[3])))
            await connection.execute(LOCK, process)
            await connection.execute(FORGET_OLD, KEPT)
            await connection.execute(JOIN, process, self._host, term)
            self._id = process
        return self._id

    async def beat(self, term: timedelta) -> Standing:
        async with self._working() as connection, connection.transaction():
            if await connection.execute(BEAT, self._id, term) != "UPDATE 1":
                raise LeaseLost("the last sign of life was too long ago")
            await connection.execute(BURY, self._id)
            processes, here = await connection.fetchrow(COUNT, self._host)
            held = {str(name): int(epoch) for name, epoch in await connection.fetch(HELD, self._id)}
        return Standing(int(processes), int(here), held)

    async def take(self, names: Sequence[str], most: int) -> Mapping[str, int]:
        async with self._working() as connection:
            await self._found(connection, names)
            rows = await connection.fetch(TAKE, self._id, list(names), most)
        return {str(name): int(epoch) for name, epoch in rows}

    async def _found(self, connection: asyncpg.Connection[Any], names: Sequence[str]) -> None:
        """Leases that were never held by anybody yet."""
        if unknown := [name for name in names if name not in self._founded]:
            await connection.execute(FOUND, unknown)
            self._founded.update(unknown)

    async def give_up(self, names: Sequence[str]) -> None:
        async with self._working() as connection:
            await connection.execute(GIVE_UP, self._id, list(names))

    async def tell(self, words: str) -> None:
        async with self._working() as connection:
            await connection.execute(TELL, CHANNEL, words)

    async def leave(self) -> None:
        async with self._working() as connection, connection.transaction():
            await connection.execute(GIVE_UP_ALL, self._id)
            await connection.execute(LEAVE, self._id)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await connection.close(timeout=SECONDS)

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """The connection to oneself. Without it the others may take everything: ``LeaseLost``."""
        async with self._one_at_a_time:
            try:
                yield self._connection  # type: ignore[misc]  # ``join`` makes it in here
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError) as error:
                raise LeaseLost(f"the connection that holds our leases is lost: {_said(error)}") from None
            except TimeoutError:
                raise StorageError("the database takes too long to answer") from None
            except asyncpg.PostgresError as error:
                raise StorageError(f"the database refused a lease: {_said(error)}") from None


def _said(error: Exception) -> str:
    """Never the address, which holds a password."""
    return type(error).__name__
