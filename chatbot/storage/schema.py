"""Which schema a database file has, and how it comes to the one that this program needs.

Alembic is imported only when there is something to upgrade: at an ordinary start one statement tells that
there is not.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from chatbot.errors import StorageError
from chatbot.storage import creation
from chatbot.storage.connection import connect, in_words
from chatbot.storage.sql import compiled

REVISIONS = ("0001", "0002", "0003")  # ascending; a test holds this against the scripts
HEAD = REVISIONS[-1]


def prepare(path: Path) -> None:
    """Creates, upgrades (after a backup) or leaves alone. ``StorageError`` for a file that is not ours."""
    try:
        revision = _revision(path)
    except sqlite3.Error as error:
        raise in_words(error, path) from None
    if revision is None:
        create(path)
        return
    if not is_old(revision, path):
        return
    backup(path, path.with_name(f"{path.name}.bak-{revision}"))
    from chatbot.storage.migration import migrate  # noqa: PLC0415 (imports Alembic)

    migrate(path)


def require_current(path: Path) -> None:
    """For who may not change it."""
    try:
        revision = _revision(path)
    except sqlite3.Error as error:
        raise in_words(error, path) from None
    if revision != HEAD:
        raise another_version(path)


def is_old(revision: str, name: Path | str) -> bool:
    """Whether it is to be upgraded. ``StorageError``: it is newer than this program."""
    if revision not in REVISIONS:
        raise StorageError(
            f"the database {name} was written by a newer Hedgerow (its schema is {revision}, this one knows "
            f"up to {HEAD}): install that version, or go back to the backup that it made"
        )
    return revision != HEAD


def another_version(name: Path | str) -> StorageError:
    return StorageError(f"the database {name} is run by another version of Hedgerow; use that one")


def _revision(path: Path) -> str | None:
    """``None``: a new, empty database."""
    connection = connect(path)
    try:
        tables = {name for (name,) in connection.execute(compiled(creation.TABLE_NAMES))}
        if not tables:
            return None
        known = creation.VERSION.name in tables
        versions = connection.execute(compiled(creation.REVISION)).fetchall() if known else []
    finally:
        connection.close()
    if len(versions) != 1:
        raise StorageError(f"the database {path} belongs to another program; name another file")
    return str(versions[0][0])


def create(path: Path) -> None:
    connection = connect(path)
    try:
        create_in(connection)
    except sqlite3.Error as error:
        raise in_words(error, path) from None
    finally:
        connection.close()


def create_in(connection: sqlite3.Connection) -> None:
    """The newest schema at once: what all migrations together come to (a test compares)."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in creation.statements():
        connection.execute(statement)
    connection.execute(compiled(creation.SET_REVISION), {"version_num": HEAD})
    connection.execute("COMMIT")


def backup(source: Path, target: Path) -> None:
    """A consistent copy, complete under its name or not there at all."""
    partial = target.with_name(f"{target.name}.part")
    partial.unlink(missing_ok=True)
    original, copy = connect(source), connect(partial)
    try:
        original.backup(copy)
    except sqlite3.Error as error:
        raise in_words(error, partial) from None
    finally:
        copy.close()
        original.close()
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(target)
