"""SQLite connections as this program wants them, and its errors in words."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from chatbot.errors import Conflict, StorageError

BUSY_TIMEOUT_SECONDS = 5.0

_ADVICE = {
    "SQLITE_NOTADB": "is not a database; name another file, or move this one away",
    "SQLITE_CORRUPT": "is damaged; stop the bot and restore a backup",
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


def connect(path: Path | None) -> sqlite3.Connection:
    """``None``: a database in memory. Transactions are begun by hand; one thread at a time may use it."""
    if path is not None:
        _create_private(path)
    connection = sqlite3.connect(
        ":memory:" if path is None else path,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    connection.execute("PRAGMA foreign_keys = ON")
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


def make_durable(connection: sqlite3.Connection, path: Path) -> None:
    """Write-ahead log, and a commit is on the disk before it returns."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            f"the database {path} lies on a file system without shared memory; name another place"
        )
    connection.execute("PRAGMA synchronous = FULL")


def connect_writer(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    make_durable(connection, path)
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def in_words(error: sqlite3.Error, path: Path | None, conflict: str = "") -> StorageError:
    """Never the statement, never a value."""
    code = getattr(error, "sqlite_errorname", "")
    if code in _UNIQUE:
        return Conflict(conflict or None)
    name = "in memory" if path is None else str(path)
    primary = "_".join(code.split("_")[:2])
    return StorageError(f"the database {name} {_ADVICE.get(primary, f'refused a statement: {error}')}")
