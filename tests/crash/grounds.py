"""Where the bot's memory lies while it is killed: copied before each run, read after it by other code."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from tests.crash.phone import FILE as PHONE
from tests.crash.world import PRICE, TAKEN

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


@contextmanager
def sqlite_files(_: Path) -> Iterator[Ground]:
    yield SqliteGround()


GROUNDS: dict[str, Callable[[Path], AbstractContextManager[Ground]]] = {"sqlite": sqlite_files}


def copy_files(base: Path, folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir()
    for name in names:
        if (base / name).exists():
            shutil.copyfile(base / name, folder / name)
