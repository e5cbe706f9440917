"""A database of every earlier schema is upgraded by a process that is killed at each statement in turn."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import sqlite3
import stat
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import asyncpg
import sqlalchemy as sa

from chatbot.storage import migration, schema
from chatbot.storage.copies import COPIED_AT
from chatbot.storage.database import upgrade
from chatbot.storage.postgres.connections import connected
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.schema import Upgraded
from chatbot.storage.tables import METADATA
from tests.crash.campaign import in_a_process, settings_of
from tests.crash.deeds import DEEDS
from tests.crash.grounds import Ground, PostgresGround, SqliteGround, database_of
from tests.crash.world import LOG, RESTED, Life
from tests.postgres.server import Server

EARLIER = schema.REVISIONS[:-1]
MARK = "alembic_version"
TOO_FAR = 1_000
NAME = "hedgerow.db"
Content = dict[str, tuple[list[str], list[tuple[Any, ...]]]]  # of each table the columns and the rows
Found = tuple[list[Any], Content]  # the schema and what lies in it


@dataclass
class Verdict:
    """``kept`` and ``whole``: how often a kill left the old database, and how often the new one."""

    kills: int = 0
    kept: int = 0
    whole: int = 0
    violations: list[str] = field(default_factory=list)


class Home(Protocol):
    """Where databases live, by the names of their folders."""

    name: str

    def url(self, place: Path) -> str: ...

    def make(self, place: Path, revision: str, filled: Path) -> None:
        """An old one with the rows of a new one, as far as that schema knows their columns."""
        ...

    def copy(self, old: Path, place: Path) -> None: ...

    def found(self, place: Path) -> Found: ...

    def left_over(self, place: Path, before: Found) -> Iterator[str]:
        """What is wrong with what an upgrade leaves behind."""
        ...

    def remove(self, place: Path) -> None: ...


def kill_everywhere(home: Home, filled: Path, revision: str, folder: Path, every: int = 1) -> Verdict:
    """``filled``: a file of today that real processes have filled. ``every``: at every how many-th statement,
    and at the last ones. Forks: be alone in your process.
    """
    old, new = folder / "old", folder / "new"
    home.make(old, revision, filled)
    home.copy(old, new)
    _upgrade(home.url(new))
    verdict, before, after = Verdict(), home.found(old), home.found(new)
    assert any(rows for _, rows in before[1].values()), "an empty database proves nothing"
    assert _as_known_to(before[1], after[1]) == before[1], "the upgrade itself loses data"

    def kill(number: int) -> bool:
        place = folder / str(number)
        home.copy(old, place)
        died = _dies_upgrading(home.url(place), number)
        if died:
            verdict.kills += 1
            verdict.violations += _wrong_with(home, place, before, after, verdict, number)
        home.remove(place)
        return died

    too_late = next(number for number in range(0, TOO_FAR, every) if not kill(number))
    for number in range(too_late - every + 1, too_late):
        kill(number)
    return verdict


def _wrong_with(
    home: Home, place: Path, before: Found, after: Found, verdict: Verdict, number: int
) -> Iterator[str]:
    found = home.found(place)
    verdict.kept += found == before
    verdict.whole += found == after
    if found not in (before, after):
        yield f"killed at {number}: neither the old database nor the new one"
    _upgrade(home.url(place))
    if home.found(place) != after:
        yield f"killed at {number}: the next start does not complete it"
    yield from (f"killed at {number}: {what}" for what in home.left_over(place, before))


def _as_known_to(old: Content, new: Content) -> Content:
    """Only the tables and columns that there were."""
    known: Content = {}
    for table, (names, _) in old.items():
        columns, rows = new[table]
        places = [columns.index(name) for name in names]
        known[table] = names, sorted((tuple(row[place] for place in places) for row in rows), key=repr)
    return known


# --- SQLite ---------------------------------------------------------------------------------------


class Files:
    name = "sqlite"

    def url(self, place: Path) -> str:
        return f"sqlite+aiosqlite:///{place / NAME}"

    def make(self, place: Path, revision: str, filled: Path) -> None:
        place.mkdir()
        as_of(revision, filled, place / NAME)

    def copy(self, old: Path, place: Path) -> None:
        place.mkdir()
        shutil.copyfile(old / NAME, place / NAME)

    def found(self, place: Path) -> Found:
        return found_in(place / NAME)

    def left_over(self, place: Path, before: Found) -> Iterator[str]:
        backups = list(place.glob(f"{NAME}.bak-*"))
        if [_unmarked(found_in(path)) for path in backups] != [before]:
            yield f"the backup is not what was there: {backups}"
        if any(stat.S_IMODE(path.stat().st_mode) != 0o600 for path in backups) or list(place.glob("*.part")):
            yield "something is left over, or open to others"

    def remove(self, place: Path) -> None:
        shutil.rmtree(place)


def _unmarked(copy: Found) -> Found:
    """A copy bears the mark that it is one, and is else what was copied."""
    shape, content = copy
    names, rows = content["cursors"]
    original = [row for row in rows if COPIED_AT not in row]
    assert len(original) == len(rows) - 1, "a copy without its mark"
    return shape, {**content, "cursors": (names, original)}


def as_of(revision: str, filled: Path, path: Path) -> None:
    migration.migrate(path, target=revision)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("ATTACH ? AS filled", [str(filled)])
        for table in _tables(connection):
            known = {column for _, column, *_ in connection.execute(f"PRAGMA filled.table_info({table})")}
            columns = [c for _, c, *_ in connection.execute(f"PRAGMA main.table_info({table})") if c in known]
            if columns:
                names = ", ".join(columns)
                connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM filled.{table}")  # noqa: S608
        connection.commit()


def found_in(path: Path) -> Found:
    """Opening it rolls back what was not committed."""
    with closing(sqlite3.connect(path)) as connection:
        shape = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"
        ).fetchall()
        ((mark,),) = connection.execute(f"SELECT version_num FROM {MARK}").fetchall()  # noqa: S608
        content = {table: _rows(connection, table) for table in _tables(connection)}
        problems = [
            *connection.execute("PRAGMA foreign_key_check").fetchall(),
            *(row for row in connection.execute("PRAGMA integrity_check").fetchall() if row != ("ok",)),
        ]
    return [*shape, mark, *problems], content


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return [name for (name,) in rows if name in METADATA.tables]


def _rows(connection: sqlite3.Connection, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608
    return [column[0] for column in cursor.description], sorted(cursor.fetchall(), key=repr)


# --- PostgreSQL -----------------------------------------------------------------------------------

_SHAPE = """
    SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity, collation_name
    FROM information_schema.columns WHERE table_schema = current_schema()
    UNION ALL SELECT tablename, indexname, indexdef, '', '', '', '' FROM pg_indexes
    WHERE schemaname = current_schema()
    UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', '', ''
    FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
    ORDER BY 1, 2, 3
"""


class Databases:
    name = "postgresql"

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ground = PostgresGround(server)

    def url(self, place: Path) -> str:
        return self._ground.url(place)

    def make(self, place: Path, revision: str, filled: Path) -> None:
        place.mkdir()
        self._server.create(database_of(place), like="template1")
        migration.migrate(Upgraded(Place.of(self.url(place))), target=revision)
        asyncio.run(self._fill(place, filled))

    async def _fill(self, place: Path, filled: Path) -> None:
        async with connected(Place.of(self.url(place)), "test") as connection:
            with closing(sqlite3.connect(filled)) as rows:
                for table in METADATA.sorted_tables:
                    await _copy_rows(rows, connection, table.name)

    def copy(self, old: Path, place: Path) -> None:
        place.mkdir()
        self._server.create(database_of(place), like=database_of(old))

    def found(self, place: Path) -> Found:
        return asyncio.run(self._found(place))

    async def _found(self, place: Path) -> Found:
        async with connected(Place.of(self.url(place)), "test") as connection:
            shape = [tuple(row) for row in await connection.fetch(_SHAPE)]
            mark = await connection.fetchval(f"SELECT version_num FROM {MARK}")  # noqa: S608
            content: Content = {}
            for table in sorted({row[0] for row in shape} & METADATA.tables.keys()):
                columns = [row[1] for row in shape if row[0] == table and row[3]]
                rows = await connection.fetch(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608
                content[table] = columns, sorted((tuple(row) for row in rows), key=repr)
        return [*shape, mark], content

    def left_over(self, place: Path, before: Found) -> Iterator[str]:
        """The server's administrator makes its backups."""
        del place, before
        yield from ()

    def remove(self, place: Path) -> None:
        self._ground.remove(place)


async def _copy_rows(rows: sqlite3.Connection, connection: asyncpg.Connection, table: str) -> None:
    told = await connection.fetch(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name = $1",
        table,
    )
    columns = [name for (name,) in told if name in METADATA.tables[table].columns]
    if columns:
        names = ", ".join(columns)
        found = rows.execute(f"SELECT {names} FROM {table}").fetchall()  # noqa: S608
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        statement = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({places})"  # noqa: S608
        await connection.executemany(statement, found)


# --- the process that dies ------------------------------------------------------------------------


def _dies_upgrading(url: str, number: int) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _die_at(number)
            _upgrade(url)
            code = 0
        except BaseException:  # noqa: BLE001 (nothing of the parent's may run on here)
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the upgrade failed: {code}"
    return code != 0


def _upgrade(url: str) -> None:
    asyncio.run(upgrade(url))


def _die_at(number: int) -> None:
    """Around each statement of the migration and the whole of it, before its commit, around and within the
    backup.
    """
    count = itertools.count()

    def passes(*_: Any) -> None:
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", passes)
    sa.event.listen(sa.Engine, "after_cursor_execute", passes)
    sa.event.listen(sa.Engine, "commit", passes)
    for owner, name in ((schema, "copy_file"), (os, "fsync"), (Path, "replace"), (migration, "migrate")):
        setattr(owner, name, _between(getattr(owner, name), passes))


def _between(original: Callable[..., Any], passes: Callable[[], None]) -> Callable[..., Any]:
    def guarded(*arguments: Any) -> Any:
        passes()
        result = original(*arguments)
        passes()
        return result

    return guarded


# --- all of it ------------------------------------------------------------------------------------


def fill(folder: Path) -> Path:
    """A database after a pair was opened, adjusted and closed at a price."""
    deed, place, ground = DEEDS["at price"], folder / "filled", SqliteGround()
    ground.make(place)
    code = in_a_process(Life(place, settings_of(ground, place, folder), (*deed.before, *deed.steps), 0, 0.0))
    assert code == RESTED, (place / LOG).read_text()
    return place / NAME


def conduct(
    homes: Sequence[Home], folder: Path, out: TextIO, revisions: Sequence[str] = EARLIER, every: int = 1
) -> int:
    """A line for each of these schemas on each database; how many violations there were."""
    filled, violations = fill(folder), 0
    for home in homes:
        for revision in revisions:
            place = folder / f"{home.name}-{revision}"
            place.mkdir()
            verdict = kill_everywhere(home, filled, revision, place, every)
            violations += len(verdict.violations)
            out.write(
                f"upgrade from {revision} on {home.name}: {verdict.kills} kills, {verdict.kept} left the old "
                f"database, {verdict.whole} the new one, {len(verdict.violations)} violations\n"
            )
            out.writelines(f"  {violation}\n" for violation in verdict.violations)
    return violations


def home_of(ground: Ground) -> Home:
    return Databases(ground.server) if isinstance(ground, PostgresGround) else Files()
