"""Where the bot's memory lies while it is killed: copied before each run, read after it by other code."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from chatbot.storage.tables import METADATA
from tests.crash.phone import FILE as PHONE
from tests.crash.world import PRICE, TAKEN
from tests.postgres.server import FOLDER, Server, find_binaries, prepare_folder, remove_folder

Table = tuple[str, list[str], list[tuple[Any, ...]]]  # name, columns, rows

# A run's own files; the rest (lock, log, trace) belongs to one process.
KEPT = (PHONE, TAKEN, PRICE, "hedgerow-paper.db", "hedgerow-paper.db-wal")
LEDGER = ("hedgerow.db", "hedgerow.db-wal")


class Ground(Protocol):
    """A run is a folder; what of it lies elsewhere goes by the folder's name."""

    name: str

    def url(self, folder: Path) -> str: ...

    def make(self, folder: Path) -> None:
        """An empty run; the folder is not there yet."""
        ...

    def copy(self, base: Path, folder: Path) -> None: ...

    def remove(self, folder: Path) -> None: ...

    def ledger(self, folder: Path) -> AbstractContextManager[sqlite3.Connection]:
        """To read; nobody runs on it."""
        ...


class SqliteGround:
    name = "sqlite"

    def url(self, folder: Path) -> str:
        return f"sqlite+aiosqlite:///{folder / LEDGER[0]}"

    def make(self, folder: Path) -> None:
        folder.mkdir()

    def copy(self, base: Path, folder: Path) -> None:
        copy_files(base, folder, (*KEPT, *LEDGER))

    def remove(self, folder: Path) -> None:
        shutil.rmtree(folder)

    @contextmanager
    def ledger(self, folder: Path) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(folder / LEDGER[0])) as connection:
            yield connection


class PostgresGround:
    """A database for each run; where a process has died the server may still be about to notice."""

    name = "postgresql"

    def __init__(self, server: Server) -> None:
        self.server = server

    def url(self, folder: Path) -> str:
        return self.server.url(database_of(folder))

    def make(self, folder: Path) -> None:
        folder.mkdir()
        self.server.create(database_of(folder))

    def copy(self, base: Path, folder: Path) -> None:
        copy_files(base, folder, KEPT)
        self.server.create(database_of(folder), like=database_of(base))

    def remove(self, folder: Path) -> None:
        shutil.rmtree(folder)
        self.server.drop(database_of(folder))

    @contextmanager
    def ledger(self, folder: Path) -> Iterator[sqlite3.Connection]:
        """A copy of every table, so that the same questions can be asked of it."""
        with closing(sqlite3.connect(":memory:")) as copy:
            for table, columns, rows in tables_of(self.url(folder)):
                copy.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
                places = ", ".join("?" * len(columns))
                copy.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608
            yield copy


def tables_of(url: str) -> list[Table]:
    """In a thread that is gone afterwards, as a loop may run here already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _tables(url.replace("+asyncpg", ""))).result()


def database_of(folder: Path) -> str:
    digest = hashlib.blake2s(str(folder).encode(), digest_size=10).hexdigest()
    return f"c_{digest}"


async def _tables(address: str) -> list[Table]:
    connection = await asyncpg.connect(address)
    try:
        found = []
        for name, table in METADATA.tables.items():
            columns = [column.name for column in table.columns]
            rows = await connection.fetch(f"SELECT {', '.join(columns)} FROM {name}")  # noqa: S608
            found.append((name, columns, [tuple(row) for row in rows]))
        return found
    finally:
        await connection.close()


@contextmanager
def sqlite_files(_: Path) -> Iterator[Ground]:
    yield SqliteGround()


@contextmanager
def postgresql_server(_: Path) -> Iterator[Ground]:
    """That of the run of tests that this is a part of, else one of its own."""
    ours = FOLDER not in os.environ
    if ours:
        prepare_folder()
    try:
        server = Server(Path(os.environ[FOLDER]))
        server.ensure()
        yield PostgresGround(server)
    finally:
        if ours:
            remove_folder()


GROUNDS: dict[str, Callable[[Path], AbstractContextManager[Ground]]] = {
    "sqlite": sqlite_files,
    "postgresql": postgresql_server,
}


def found_here() -> list[str]:
    return [name for name in GROUNDS if name != "postgresql" or find_binaries() is not None]


def copy_files(base: Path, folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir()
    for name in names:
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
