"""Connections to PostgreSQL as this program wants them."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

import asyncpg

from chatbot.errors import StorageError
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.refusals import REFUSALS, in_words

MOST_CONNECTIONS: Final = 10
OLDEST_VERSION: Final = 13
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0

_SESSION = {
    "default_transaction_isolation": "read committed",
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    # Whoever hangs in the middle of a transaction must not keep its rows from the others, who may take its
    # work over meanwhile.
    "idle_in_transaction_session_timeout": "5s",
    "client_encoding": "utf8",
}
# A commit that is answered is on the disk, whatever the server's own default is.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
_ABOUT = "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')"


class _Plain(asyncpg.Connection):  # type: ignore[misc] # the driver has no types
    """Nothing is set on a connection that would have to be undone before the next one uses it."""

    def get_reset_query(self) -> str:
        return ""


@cache
def session_of(pid: int) -> str:
    """What the names of all connections of this process have in common, and no other's have."""
    del pid  # a child that was forked is another process
    return secrets.token_hex(4)


def _given(place: Place, role: str) -> dict[str, Any]:
    about = f"hedgerow {role} {session_of(os.getpid())} (process {os.getpid()} on {socket.gethostname()})"
    return {
        "dsn": place.address,
        "timeout": CONNECT_SECONDS,
        "command_timeout": ANSWER_SECONDS,
        "statement_cache_size": 256,
        "max_cached_statement_lifetime": 0,
        "server_settings": _SESSION | {"application_name": about[:63]},
        "connection_class": _Plain,
    }


async def connect(place: Place, role: str) -> asyncpg.Connection:
    """One connection. ``role`` is what the server's administrator sees. Raises the driver's errors."""
    connection = await asyncpg.connect(**_given(place, role))
    ready = False
    try:
        await _make_durable(connection)
        ready = True
    finally:
        if not ready:
            connection.terminate()
    return connection


@asynccontextmanager
async def connected(place: Place, role: str) -> AsyncIterator[asyncpg.Connection]:
    """As ``connect``, closed at the end. Raises ``StorageError``."""
    try:
        connection = await connect(place, role)
    except REFUSALS as error:
        raise in_words(error, place) from None
    try:
        yield connection
    except REFUSALS as error:
        raise in_words(error, place) from None
    finally:
        await _close(connection)


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=CONNECT_SECONDS)
    except REFUSALS:
        connection.terminate()


async def require_fit(connection: asyncpg.Connection, place: Place) -> None:
    version, encoding = await connection.fetchrow(_ABOUT)
    if version < OLDEST_VERSION * 10_000:
        raise StorageError(
            f"the database {place.name} is run by PostgreSQL {version // 10_000}; "
            f"Hedgerow needs {OLDEST_VERSION} or newer"
        )
    if encoding != "UTF8":
        raise StorageError(f"the database {place.name} is kept in {encoding}; create it with --encoding=UTF8")


@asynccontextmanager
async def open_pool(place: Place) -> AsyncIterator[asyncpg.Pool]:
    """Connections that are lost are made again when they are next needed. Raises ``StorageError``."""
    pool = asyncpg.create_pool(
        **_given(place, "bot"), min_size=1, max_size=MOST_CONNECTIONS, init=_make_durable
    )
    try:
        await pool
    except REFUSALS as error:
        raise in_words(error, place) from None
    try:
        yield pool
    finally:
        await _close_pool(pool)


async def _make_durable(connection: asyncpg.Connection) -> None:
    await connection.execute(_DURABLE)


async def _close_pool(pool: asyncpg.Pool) -> None:
    try:
        await pool.close()
    except REFUSALS:
        pool.terminate()
