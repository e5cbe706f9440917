"""A database of every earlier schema is upgraded by a process that is killed at each statement in turn."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatbot.storage import migration, schema
from chatbot.storage.database import upgrade
from chatbot.storage.migration import migrate
from chatbot.storage.tables import METADATA

MARK = "alembic_version"
TOO_FAR = 1_000
Content = dict[str, tuple[list[str], list[tuple[Any, ...]]]]  # of each table the columns and the rows
Found = tuple[list[Any], Content]
NAME = "hedgerow.db"


@dataclass
class Verdict:
    """``kept`` and ``whole``: how often the old schema was found after a kill, and how often the new one."""

    statements: int = 0
    kept: int = 0
    whole: int = 0
    violations: list[str] = field(default_factory=list)


def kill_everywhere(filled: Path, revision: str, folder: Path) -> Verdict:
    """``filled``: a database of today that real processes have filled. Forks: be alone in your process."""
    old, new = folder / "old", folder / "new"
    for place in (old, new):
        place.mkdir()
    as_of(revision, filled, old / NAME)
    shutil.copyfile(old / NAME, new / NAME)
    _upgrade(new / NAME)
    verdict, before, after = Verdict(), found_in(old / NAME), found_in(new / NAME)
    assert _as_known_to(before[1], after[1]) == before[1], "the upgrade itself loses data"
    for number in range(TOO_FAR):
        place = folder / str(number)
        place.mkdir()
        shutil.copyfile(old / NAME, place / NAME)
        if not _dies_upgrading(place / NAME, number):
            break
        verdict.statements += 1
        _judge(place, before, after, verdict, number)
        shutil.rmtree(place)
    return verdict


def as_of(revision: str, filled: Path, path: Path) -> None:
    """The rows of ``filled``, as far as that schema knows their columns."""
    migrate(path, target=revision)
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
    """The schema and the rows. Opening it rolls back what was not committed."""
    with closing(sqlite3.connect(path)) as connection:
        shape = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        ).fetchall()
        ((mark,),) = connection.execute(f"SELECT version_num FROM {MARK}").fetchall()  # noqa: S608
        content = {table: _rows(connection, table) for table in _tables(connection)}
        problems = [
            *connection.execute("PRAGMA foreign_key_check").fetchall(),
            *(row for row in connection.execute("PRAGMA integrity_check").fetchall() if row != ("ok",)),
        ]
    return [*shape, mark, *problems], content


def _judge(place: Path, before: Found, after: Found, verdict: Verdict, number: int) -> None:
    found = found_in(place / NAME)
    verdict.kept += found == before
    verdict.whole += found == after
    wrong = []
    if found not in (before, after):
        wrong.append("neither the old database nor the new one")
    _upgrade(place / NAME)
    if found_in(place / NAME) != after:
        wrong.append("the next start does not complete it")
    backups = list(place.glob(f"{NAME}.bak-*"))
    if [found_in(path) for path in backups] != [before]:
        wrong.append(f"the backup is not what was there: {backups}")
    if any(stat.S_IMODE(path.stat().st_mode) != 0o600 for path in backups) or list(place.glob("*.part")):
        wrong.append("something is left over, or open to others")
    verdict.violations += [f"killed at statement {number}: {what}" for what in wrong]


def _as_known_to(old: Content, new: Content) -> Content:
    """Only the tables and columns that there were."""
    known: Content = {}
    for table, (names, _) in old.items():
        columns, rows = new[table]
        places = [columns.index(name) for name in names]
        known[table] = names, sorted((tuple(row[place] for place in places) for row in rows), key=repr)
    return known


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return [name for (name,) in rows if name in METADATA.tables]


def _rows(connection: sqlite3.Connection, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608
    return [column[0] for column in cursor.description], sorted(cursor.fetchall(), key=repr)


# --- the process that dies ------------------------------------------------------------------------


def _dies_upgrading(path: Path, number: int) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _die_at(number)
            _upgrade(path)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL), f"the upgrade failed: {code}"
    return code != 0


def _upgrade(path: Path) -> None:
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{path}"))


def _die_at(number: int) -> None:
    """Around each statement of the migration and the whole of it, before its commit, around and within the
    backup.
    """
    count = iter(range(sys.maxsize))

    def passes(*_: Any) -> None:
        if next(count) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", passes)
    sa.event.listen(sa.Engine, "after_cursor_execute", passes)
    sa.event.listen(sa.Engine, "commit", passes)
    for owner, name in ((schema, "backup"), (os, "fsync"), (Path, "replace"), (migration, "migrate")):
        setattr(owner, name, _between(getattr(owner, name), passes))


def _between(original: Callable[..., Any], passes: Callable[[], None]) -> Callable[..., Any]:
    def guarded(*arguments: Any) -> Any:
        passes()
        result = original(*arguments)
        passes()
        return result

    return guarded


def main(arguments: Sequence[str]) -> int:
    """``python -m tests.crash.upgrades FILLED FOLDER``: a line for each earlier schema."""
    filled, folder = map(Path, arguments)
    bad = 0
    for revision in schema.REVISIONS[:-1]:
        place = folder / revision
        place.mkdir()
        verdict = kill_everywhere(filled, revision, place)
        bad += len(verdict.violations)
        sys.stdout.write(
            f"from {revision}: {verdict.statements} kills, old kept {verdict.kept}, new whole {verdict.whole}, "
            f"{len(verdict.violations)} violations\n"
        )
        sys.stdout.writelines(f"  {violation}\n" for violation in verdict.violations)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
