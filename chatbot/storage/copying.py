"""One SQLite file that holds a whole database, made while that one may be in use.

A copy appears under its name complete or not at all, never in the place of another file, and bears the mark
by which a bot knows that the world has gone on since.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from chatbot.errors import StorageError
from chatbot.storage.connection import connect, in_words
from chatbot.storage.copies import COPIED_AT, MARK, seconds_of

_LOGS = ("-wal", "-shm", "-journal")
_OUT_OF_ROOM = ("SQLITE_FULL", "SQLITE_IOERR")  # of two files one is written: the copy


def copy_file(source: Path, target: Path, at: datetime | None = None) -> None:
    """``at``: the instant of the copy, else of the last change. Raises ``StorageError``."""
    require_file(source)
    with closing(create_private(target)) as copy:
        try:
            with closing(connect(source)) as original:
                original.backup(copy)
            mark(copy, at or changed_at(source))
            # One file, without a log beside it.
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        except sqlite3.Error as error:
            raise in_words(error, target if _is_the_copys(error) else source) from None


def mark(copy: sqlite3.Connection, at: datetime) -> None:
    """A copy of a copy remains what it was."""
    copy.execute(MARK.text, {"name": COPIED_AT, "value": seconds_of(at)})


def _is_the_copys(error: sqlite3.Error) -> bool:
    return error.sqlite_errorname.startswith(_OUT_OF_ROOM)


def create_private(path: Path) -> sqlite3.Connection:
    """A new file that nobody else may read: there are balances and plans in it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileNotFoundError:
        raise StorageError(f"the folder {path.parent} does not exist; create it first") from None
    except OSError as error:
        raise StorageError(
            f"the folder {path.parent} cannot be written: {error.strerror}; choose another"
        ) from None
    return connect(path)


def changed_at(database: Path) -> datetime:
    files = [database, database.with_name(f"{database.name}-wal")]
    return datetime.fromtimestamp(max(file.stat().st_mtime for file in files if file.exists()), UTC)


def require_file(path: Path) -> None:
    """Opening a name that is not there would make a new database of it."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise StorageError(f"there is no database at {path}; name another file") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise StorageError(f"{path} is no file; name one")


@contextmanager
def new_file(target: Path, *, replaces: bool = False) -> Iterator[Path]:
    """What is put there bears the name of ``target`` when all went well, on the disk and for good."""
    partial = target.with_name(f"{target.name}.part")
    try:
        if not replaces and target.exists():
            raise FileExistsError
        remove(partial)
        yield partial
        _sync(partial)
        if replaces:
            partial.replace(target)
        else:
            _name(partial, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        remove(partial)
    _sync(target.parent)


def _name(partial: Path, target: Path) -> None:
    """Raises ``FileExistsError``, which a renaming would not."""
    try:
        target.hardlink_to(partial)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as on sticks
        if target.exists():
            raise FileExistsError from None
        partial.rename(target)


def _taken(target: Path) -> StorageError:
    return StorageError(f"{target} is there already and is not overwritten; name another file")


def remove(database: Path) -> None:
    """And its logs."""
    for file in (database, *(database.with_name(f"{database.name}{end}") for end in _LOGS)):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
