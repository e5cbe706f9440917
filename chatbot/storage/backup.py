"""``backup`` and ``restore``: a database as one file, checked, and back from it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from chatbot.domain.hedge import HedgeStatus
from chatbot.errors import StorageError
from chatbot.storage import statements
from chatbot.storage.connection import connect, in_words
from chatbot.storage.copies import COPIED_AT
from chatbot.storage.copying import (
    changed_at,
    copy_file,
    create_private,
    mark,
    new_file,
    remove,
    require_file,
)
from chatbot.storage.database import database_path, is_server
from chatbot.storage.ownership import Ownership
from chatbot.storage.schema import create_at, known_revision, migrate_if_older
from chatbot.storage.sql import Statement, constant
from chatbot.storage.tables import HEDGES, METADATA

LIVE_HEDGES = Statement(
    sa.select(sa.func.count()).select_from(HEDGES).where(HEDGES.c.status != constant(HedgeStatus.CLOSED))
)
IN_MEMORY = "the database of the settings is in memory; set HEDGEROW_DATABASE_URL to a file"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds. ``rows`` by table, of an older schema those that it has; ``size`` in bytes."""

    revision: str
    copied_at: datetime
    rows: Mapping[str, int]
    live_hedges: int
    size: int


async def back_up(url: str, target: Path, now: datetime) -> Contents:
    """Of the database at this address, which may be in use. Raises StorageError; then nothing is left."""
    if is_server(url):
        return await _back_up_server(url, target, now)
    source = database_path(url)
    if source is None:
        raise StorageError(IN_MEMORY)
    return await asyncio.to_thread(_back_up_file, source, target, now)


def _back_up_file(source: Path, target: Path, now: datetime) -> Contents:
    require_file(source)
    known_revision(source)
    with new_file(target) as partial:
        copy_file(source, partial, now)
        return check(partial)


async def _back_up_server(url: str, target: Path, now: datetime) -> Contents:
    from chatbot.storage.postgres import copying, place  # noqa: PLC0415 (its driver: only where it is used)

    with new_file(target) as partial:
        async with copying.snapshot(place.Place.of(url)) as (connection, revision):
            with closing(create_private(partial)) as copy, errors_of(partial):
                create_at(revision, partial)
                await copying.read_into(copy, connection)
                mark(copy, now)
        return check(partial)


async def restore(url: str, source: Path) -> Contents:
    """Into the database at this address, which holds nothing yet. Raises StorageError; then it is as it was.

    An older schema is upgraded. A file that bears no mark, a plain copy of a database for instance, is taken
    to be as old as its last change.
    """
    check(source)
    if is_server(url):
        return await _restore_server(url, source)
    target = database_path(url)
    if target is None:
        raise StorageError(IN_MEMORY)
    return await asyncio.to_thread(_restore_file, source, target.resolve())


def _restore_file(source: Path, target: Path) -> Contents:
    ownership = Ownership.take(target)
    try:
        if target.exists():
            _require_nobody_in(target)
        with new_file(target, replaces=True) as partial:
            found = _upgraded(source, partial)
            remove(target)  # and its log, which belongs to no other file
        return found
    finally:
        ownership.release()


async def _restore_server(url: str, source: Path) -> Contents:
    from chatbot.storage.postgres import copying, place  # noqa: PLC0415 (as above)

    with TemporaryDirectory() as folder:
        upgraded = Path(folder) / "upgraded.db"
        found = await asyncio.to_thread(_upgraded, source, upgraded)
        with closing(connect(upgraded)) as copy:
            await copying.write_from(copy, place.Place.of(url))
    return found


def _upgraded(source: Path, target: Path) -> Contents:
    copy_file(source, target)
    migrate_if_older(target)
    return check(target)


def _require_nobody_in(path: Path) -> None:
    require_file(path)
    users = check(path).rows.get("users") if path.stat().st_size else 0
    if users:
        raise StorageError(
            f"the database {path} is not empty: users in it: {users}. Move it away, or set "
            "HEDGEROW_DATABASE_URL to another file; nothing was changed"
        )


def check(path: Path) -> Contents:
    """Every page is whole, and no row refers to nothing. Raises StorageError."""
    require_file(path)
    revision = known_revision(path)
    with errors_of(path), closing(connect(path)) as copy:
        _require_whole(copy, path)
        return _contents(copy, path, revision)


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise in_words(error, path) from None


def _damaged(path: Path, how: str) -> StorageError:
    return StorageError(f"{path} is damaged: {how}; use another copy")


def _require_whole(copy: sqlite3.Connection, path: Path) -> None:
    ((verdict, *_), *_) = copy.execute("PRAGMA integrity_check").fetchall()
    if verdict != "ok":
        lines = [line for line in str(verdict).splitlines() if not line.startswith("***")]
        raise _damaged(path, lines[0])
    broken = copy.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise _damaged(path, f"rows of {broken[0]} refer to nothing")


def _contents(copy: sqlite3.Connection, path: Path, revision: str) -> Contents:
    marked = copy.execute(statements.CURSOR.text, {"name": COPIED_AT}).fetchone()
    copied_at = changed_at(path) if marked is None else datetime.fromtimestamp(marked[0], UTC)
    (live,) = copy.execute(LIVE_HEDGES.text).fetchone()
    rows = {name: _count(copy, name) for name in _tables(copy)}
    return Contents(revision, copied_at, rows, live, path.stat().st_size)


def _tables(copy: sqlite3.Connection) -> list[str]:
    there = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [name for name in METADATA.tables if name in there]


def _count(copy: sqlite3.Connection, table: str) -> int:
    counted = sa.select(sa.func.count()).select_from(METADATA.tables[table])
    (count,) = copy.execute(Statement(counted).text).fetchone()
    return int(count)
