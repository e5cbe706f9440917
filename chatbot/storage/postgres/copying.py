"""A whole database of PostgreSQL into a SQLite file of the same schema, and back from it.

What is read is read in one snapshot, page by page, while the bot goes on writing. What is written is written
in one transaction, into a database in which nobody is yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
import sqlalchemy as sa

from chatbot.errors import StorageError
from chatbot.storage.postgres.connections import connected, require_fit
from chatbot.storage.postgres.dialect import definition
from chatbot.storage.postgres.ownership import owned
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.schema import prepare, revision_of
from chatbot.storage.postgres.writer import MARK
from chatbot.storage.tables import METADATA, USERS

PAGE: Final = 1_000
LONG: Final = 86_400.0  # seconds: a large table may take its time
_NO_HURRY: Final = "SET LOCAL statement_timeout = 0"


class Rows(NamedTuple):
    """A table of the schema that the copy has, which may be an older one; ``numbered`` by the database."""

    table: str
    columns: tuple[str, ...]
    numbered: str | None


@asynccontextmanager
async def snapshot(place: Place) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """One instant of the database, and its revision. Raises ``StorageError``."""
    async with connected(place, "backup") as connection:
        await require_fit(connection, place)
        revision = await revision_of(connection, place)
        if revision is None:
            raise StorageError(f"the database {place.name} is empty: there is nothing to copy")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await connection.execute(_NO_HURRY)
            yield connection, revision


async def read_into(copy: sqlite3.Connection, connection: asyncpg.Connection) -> None:
    """``copy`` has the schema of the snapshot and no row yet."""
    copy.execute("PRAGMA foreign_keys = OFF")
    copy.execute("BEGIN IMMEDIATE")
    for rows in _tables(copy):
        asked = sa.select(*(sa.column(name) for name in rows.columns)).select_from(sa.table(rows.table))
        cursor = await connection.cursor(definition(asked))
        while page := await cursor.fetch(PAGE, timeout=LONG):
            copy.executemany(_insert(rows), [tuple(row) for row in page])
        expected = await connection.fetchval(definition(_count(rows.table)), timeout=LONG)
        _require_all(rows.table, copy.execute(str(_count(rows.table))).fetchone()[0], expected)
    # Marks of commits are of this very server: whether one was answered.
    copy.execute("DELETE FROM cursors WHERE name LIKE ?", [f"{MARK}%"])
    copy.execute("COMMIT")


async def write_from(copy: sqlite3.Connection, place: Place) -> None:
    """``copy`` has the newest schema. Raises ``StorageError``, ``InUse``; then nothing was written."""
    async with owned(place):
        await prepare(place)
        async with connected(place, "restore") as connection, connection.transaction():
            await connection.execute(_NO_HURRY)
            users = await connection.fetchval(definition(_count(USERS.name)))
            if users:
                raise StorageError(
                    f"the database {place.name} is not empty: users in it: {users}. Set "
                    "HEDGEROW_DATABASE_URL to another one; nothing was changed"
                )
            await _write_all(copy, connection)


async def _write_all(copy: sqlite3.Connection, connection: asyncpg.Connection) -> None:
    tables = _tables(copy)
    for rows in reversed(tables):  # what a bot that nobody has spoken to leaves behind
        await connection.execute(definition(sa.delete(METADATA.tables[rows.table])))
    for rows in tables:
        await connection.copy_records_to_table(
            rows.table, columns=rows.columns, records=_read(copy, rows), timeout=LONG
        )
        (expected,) = copy.execute(str(_count(rows.table))).fetchone()
        copied = await connection.fetchval(definition(_count(rows.table)), timeout=LONG)
        _require_all(rows.table, copied, expected)
        if rows.numbered is not None:
            await connection.execute(_count_on(rows.table, rows.numbered))


def _tables(copy: sqlite3.Connection) -> list[Rows]:
    """Those first that others refer to."""
    found = [(table, _columns(copy, table.name)) for table in METADATA.sorted_tables]
    return [Rows(table.name, columns, _numbered(table)) for table, columns in found if columns]


def _columns(copy: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(name for (name,) in copy.execute("SELECT name FROM pragma_table_info(?)", [table]))


def _numbered(table: sa.Table) -> str | None:
    return next((column.name for column in table.columns if column.identity is not None), None)


def _read(copy: sqlite3.Connection, rows: Rows) -> Iterator[Sequence[object]]:
    asked = sa.select(*(sa.column(name) for name in rows.columns)).select_from(sa.table(rows.table))
    return iter(copy.execute(str(asked)))


def _insert(rows: Rows) -> str:
    table = sa.table(rows.table, *(sa.column(name) for name in rows.columns))
    return str(table.insert().values({name: sa.text("?") for name in rows.columns}))


def _count(table: str) -> sa.Select[tuple[int]]:
    return sa.select(sa.func.count()).select_from(sa.table(table))


def _count_on(table: str, column: str) -> str:
    """New rows are numbered after these."""
    return (
        f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column}))"  # noqa: S608 (our own)
        f" FROM {table} HAVING count(*) > 0"
    )


def _require_all(table: str, copied: int, expected: int) -> None:
    if copied != expected:
        raise StorageError(f"only {copied} of {expected} rows of {table} were copied; try again")
