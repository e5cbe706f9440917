"""SQLite connections as this program wants them, and its errors in words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import aiosqlite

from chatbot.errors import Conflict, StorageError
from chatbot.storage.codec import Cell
from chatbot.storage.sql import Params, Row

# What a driver raises for a statement: ``ValueError`` is aiosqlite's word for closed.
REFUSALS: Final = (sqlite3.Error, OverflowError, ValueError)

_SETTINGS: Final[dict[str, Any]] = {
    "timeout": 5.0,
    "isolation_level": None,  # the driver begins nothing by itself
    "cached_statements": 256,
}
_ALWAYS = ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL")
_NOTHING: Mapping[str, Cell] = {}

_ADVICE = {
    "SQLITE_NOTADB": "is not a database; name another file, or move this one away",
    "SQLITE_CORRUPT": "is damaged; use another copy, or stop the bot and restore a backup if it is its own",
    "SQLITE_FULL": "cannot grow: the disk is full",
    "SQLITE_READONLY": "cannot be written; check the permissions of the file and its folder",
    "SQLITE_PERM": "cannot be read; check the permissions of the file and its folder",
    "SQLITE_AUTH": "cannot be read; check the permissions of the file and its folder",
    "SQLITE_CANTOPEN": "cannot be opened; check that its folder exists and may be written",
    "SQLITE_BUSY": "is locked by another program; close that program",
    "SQLITE_LOCKED": "is locked by another program; close that program",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error",
}
_UNIQUE = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID"})


class Written(Protocol):
    @property
    def rowcount(self) -> int: ...


class Connection(Protocol):
    """What is used of an ``aiosqlite`` connection."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, sql: str, parameters: Params = ..., /) -> Awaitable[Written]: ...

    def executemany(self, sql: str, parameters: Sequence[Params], /) -> Awaitable[Written]: ...

    def execute_fetchall(self, sql: str, parameters: Params, /) -> Awaitable[Iterable[Row]]: ...


class DirectConnection:
    """A database in memory, without a thread: what is asked is done before anybody else runs.

    A thread would answer in its own time, and neither the tests nor the demo, which run on a virtual clock,
    would repeat to the line. Since nothing here ever waits, one connection serves the writer and the readers.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    async def execute(self, sql: str, parameters: Params = _NOTHING, /) -> sqlite3.Cursor:
        return self._connection.execute(sql, parameters)

    async def executemany(self, sql: str, parameters: Sequence[Params], /) -> sqlite3.Cursor:
        return self._connection.executemany(sql, parameters)

    async def execute_fetchall(self, sql: str, parameters: Params, /) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()


def connect(path: Path | None) -> sqlite3.Connection:
    """For the schema, and for a database in memory (``None``). Transactions are begun by hand."""
    if path is not None:
        _create_private(path)
    connection: sqlite3.Connection = sqlite3.connect(":memory:" if path is None else path, **_SETTINGS)
    for pragma in _ALWAYS:
        connection.execute(pragma)
    return connection


def _create_private(path: Path) -> None:
    """Balances and plans are nobody else's business; the journal files take over the mode of this one.

    A file that exists is never opened here: closing it again would drop this process's locks on it, those of
    connections included (POSIX), and a program that looks into the database would then take the log away
    from under the bot when it leaves.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StorageError(f"the database {path} cannot be opened: {error.strerror}") from None


@asynccontextmanager
async def open_writer(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    """Write-ahead log, and a commit is on the disk before it returns. What is deleted is overwritten."""
    async with _open(path) as connection:
        ((mode,),) = await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StorageError(
                f"the database {path} lies on a file system without shared memory; name another place"
            )
        await connection.execute("PRAGMA secure_delete = ON")
        yield connection


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    async with _open(path) as connection:
        await connection.execute("PRAGMA query_only = ON")
        yield connection


@asynccontextmanager
async def _open(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(path, **_SETTINGS) as connection:
        for pragma in _ALWAYS:
            await connection.execute(pragma)
        yield connection


def in_words(error: Exception, path: Path | None, conflict: str = "") -> StorageError:
    """Never the statement, never a value."""
    code = getattr(error, "sqlite_errorname", "")
    if code in _UNIQUE:
        return Conflict(conflict or None)
    name = "in memory" if path is None else str(path)
    return StorageError(f"the database {name} {_advice(error, code)}")


def _advice(error: Exception, code: str) -> str:
    if isinstance(error, UnicodeError | OverflowError):
        return "takes no broken characters and no number beyond 64 bits"
    if isinstance(error, ValueError):
        return "is closed already"
    primary = "_".join(code.split("_")[:2])
    return _ADVICE.get(primary, f"refused a statement: {error}")
