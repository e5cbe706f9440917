"""Which schema a database file has, and how it comes to the one that this program needs.

Alembic is imported only when there is something to upgrade: at an ordinary start one statement tells that
there is not.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from chatbot.errors import StorageError
from chatbot.storage import creation
from chatbot.storage.connection import connect, in_words
from chatbot.storage.copying import copy_file, new_file
from chatbot.storage.sql import compiled

# Ascending; a test holds this against the scripts.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
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
    with new_file(path.with_name(f"{path.name}.bak-{revision}"), replaces=True) as partial:
        copy_file(path, partial)
    migrate_if_older(path)


def migrate_if_older(path: Path) -> None:
    """Without a copy of it. Raises ``StorageError``."""
    if is_old(known_revision(path), path):
        from chatbot.storage.migration import migrate  # noqa: PLC0415 (imports Alembic)

        migrate(path)


def known_revision(path: Path) -> str:
    """Of a database of ours that this program can read. Raises ``StorageError``."""
    try:
        revision = _revision(path)
    except sqlite3.Error as error:
        raise in_words(error, path) from None
    if revision is None:
        raise StorageError(f"the database {path} is empty; name another file")
    is_old(revision, path)
    return revision


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


def create_at(revision: str, path: Path) -> None:
    """As an older program would have: for rows of that time. Raises ``StorageError``."""
    if is_old(revision, path):
        from chatbot.storage.migration import migrate  # noqa: PLC0415 (imports Alembic)

        migrate(path, target=revision)
    else:
        create(path)


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
