"""A database file is new, current, older, newer, or not ours; each is told apart and none is harmed."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from chatbot.errors import StorageError
from chatbot.storage import key_statements, records, schema, statements
from chatbot.storage.connection import connect, open_reader, open_writer
from chatbot.storage.database import Database, database_path, open_database, upgrade
from chatbot.storage.migration import config, migrate
from chatbot.storage.ownership import Ownership
from chatbot.storage.postgres.connections import connected
from chatbot.storage.postgres.dialect import numbered
from chatbot.storage.postgres.place import Place
from chatbot.storage.sql import SQLITE, Statement
from chatbot.storage.tables import METADATA

ROOT = Path(__file__).parents[2]
HEAD, NEXT = schema.HEAD, f"{int(schema.HEAD) + 1:04}"

HEAD = schema.HEAD
NEXT = f"{int(HEAD) + 1:04}"
BREAKS_IN_THE_FOURTH = """
import sqlalchemy as sa
from alembic import op

revision = "NEXT"
down_revision = "HEAD"

def upgrade():
    op.create_table("extra", sa.Column("id", sa.Text, primary_key=True))
    op.add_column("accounts", sa.Column("color", sa.Text))
    op.execute("INSERT INTO extra VALUES ('half')")
    op.execute("INSERT INTO nowhere VALUES (1)")
"""
ADDS_A_COLUMN = """
import sqlalchemy as sa
from alembic import op

revision = "NEXT"
down_revision = "HEAD"

def upgrade():
    op.add_column("accounts", sa.Column("color", sa.Text))
"""


def rows(connection: sqlite3.Connection, sql: str) -> list[tuple[object, ...]]:
    return sorted(connection.execute(sql).fetchall(), key=str)


def facts(path: Path) -> dict[str, object]:
    """The schema as the database itself tells it, however it was written down."""
    connection = sqlite3.connect(path)
    tables = rows(connection, "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'")
    found: dict[str, object] = {"tables": tables}
    for (name,) in rows(connection, "SELECT name FROM sqlite_master WHERE type = 'table'"):
        found[f"{name} columns"] = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
        references = rows(connection, f"PRAGMA foreign_key_list({name})")
        found[f"{name} references"] = sorted(reference[2:] for reference in references)
        indexes = rows(connection, f"PRAGMA index_list({name})")
        found[f"{name} indexes"] = sorted(
            (index[2:], columns_of(connection, str(index[1]))) for index in indexes
        )
    found["indexes"] = rows(
        connection, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
    )
    connection.close()
    return found


def columns_of(connection: sqlite3.Connection, index: str) -> list[tuple[object, ...]]:
    return connection.execute(f"PRAGMA index_info({index})").fetchall()


def revision(path: Path) -> str:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    connection.close()
    return str(found)


def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def test_the_migrations_lead_to_the_schema_that_is_created(tmp_path: Path) -> None:
    migrate(tmp_path / "migrated.db")
    schema.create(tmp_path / "created.db")
    assert facts(tmp_path / "migrated.db") == facts(tmp_path / "created.db")
    assert revision(tmp_path / "migrated.db") == revision(tmp_path / "created.db") == schema.HEAD


def test_the_revisions_known_at_start_are_those_of_the_scripts(tmp_path: Path) -> None:
    scripts = ScriptDirectory.from_config(config(tmp_path / "any.db"))
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == schema.REVISIONS


def test_the_scripts_are_packaged() -> None:
    migrations = files("chatbot.storage") / "migrations"
    assert (migrations / "env.py").is_file()
    assert (migrations / "versions" / "0001_first_schema.py").is_file()
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert packaging["package-data"]["chatbot.storage"] == ["migrations/**/*"]


def test_every_table_is_strict(tmp_path: Path) -> None:
    schema.create(tmp_path / "t.db")
    connection = sqlite3.connect(tmp_path / "t.db")
    strict = {name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE strict")}
    connection.close()
    assert strict == set(METADATA.tables)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("users", records.USER_COLUMNS),
        ("accounts", records.ACCOUNT_COLUMNS),
        ("credentials", (*records.KEY_FACTS.fields, *key_statements.SEALED_COLUMNS, "fingerprint")),
        ("tickets", records.TICKET.fields),
        ("invites", (*records.INVITE.fields, "used_at")),
        ("hedges", records.HEDGE.fields),
        ("legs", ("hedge_id", *records.LEG.fields)),
        ("operations", records.OPERATION.fields),
        ("intents", ("seq", *records.INTENT.fields)),
        ("intent_notes", ("seq", *records.NOTE.fields)),
        ("fills", ("seq", *records.FILL_COLUMNS)),
        ("funding_payments", ("seq", *records.FUNDING_COLUMNS)),
        ("quotes", records.QUOTE_COLUMNS),
        ("alert_episodes", ("seq", *records.EPISODE.fields)),
        ("audit", ("seq", *records.AUDIT.fields)),
    ],
)
def test_a_table_has_a_column_for_every_field(table: str, columns: tuple[str, ...]) -> None:
    assert set(METADATA.tables[table].columns.keys()) == set(columns)


FAMILIES = {
    "accounts": (statements.accounts, ["user_id"]),
    "key_facts": (key_statements.key_facts, ["account_id"]),
    "withdraw_tickets": (key_statements.withdraw_tickets, ["user_id", "kind"]),
    "live_hedges": (statements.live_hedges, ["account_id", "user_id"]),
    "fired_hedges": (statements.fired_hedges, ["shards"]),
    "unfinished_operations": (statements.unfinished_operations, ["account_id"]),
    "due": (statements.due, ["skipped", "shards"]),
    "next_due": (statements.next_due, ["shards"]),
    "intents": (statements.intents, ["client_order_id", "operation_id", "hedge_id"]),
}


def every_statement() -> Iterator[Statement]:
    for value in {**vars(statements), **vars(key_statements)}.values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Statement):
                yield each
    for family, columns in FAMILIES.values():
        yield from (family(*by) for number in range(3) for by in combinations(columns, number))
    for family in (statements.accounts, statements.live_hedges, statements.unfinished_operations):
        yield family(statements.SHARDS)


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    connection = connect(None)
    schema.create_in(connection)
    yield connection
    connection.close()


def plan_of(connection: sqlite3.Connection, statement: Statement) -> str:
    params = dict.fromkeys(re.findall(r":(\w+)", statement.text))
    return "; ".join(step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {statement.text}", params))


def test_every_family_of_statements_is_tried() -> None:
    every = {**vars(statements), **vars(key_statements)}
    families = {name for name, value in every.items() if hasattr(value, "cache_info")}
    assert families == set(FAMILIES)


def test_every_statement_fits_the_tables(empty: sqlite3.Connection) -> None:
    found = [statement for statement in every_statement() if not statement.among_many]
    assert len(found) > 60
    for statement in found:
        plan_of(empty, statement)


async def test_every_statement_fits_the_tables_of_postgresql(postgres_url: str) -> None:
    async with connected(Place.of(postgres_url), "test") as connection:
        for statement in every_statement():
            ready = numbered(statement)
            prepared = await connection.prepare(ready.text)
            assert len(prepared.get_parameters()) == len(ready.names)


def test_no_value_hides_in_a_statement() -> None:
    """Parameters are given by name when it runs; one that Core made of a literal would be missing then."""
    for statement in every_statement():
        hidden = statement.construct.compile(
            dialect=SQLITE, compile_kwargs={"render_postcompile": True}
        ).params
        named = {name: value for name, value in hidden.items() if f":{name}" in statement.text}
        assert set(named.values()) <= {None}, statement.text


@pytest.mark.parametrize(
    "statement",
    [
        statements.USER_BY_REF,
        statements.accounts("user_id"),
        statements.live_hedges("user_id"),
        statements.live_hedges("account_id"),
        statements.intents("operation_id"),
        statements.ACTIVE_EPISODES,
        statements.HOME_IS_BACK,
        statements.FORGET_EPISODES,
        statements.WAITING,
    ],
    ids=lambda statement: " ".join(statement.text.split())[-60:],
)
def test_what_every_update_asks_is_found_by_an_index(empty: sqlite3.Connection, statement: Statement) -> None:
    assert "SCAN" not in plan_of(empty, statement)


@pytest.mark.parametrize(
    ("statement", "index", "sorts"),
    [
        (statements.live_hedges(), "ix_hedges_live", False),
        (statements.fired_hedges(), "ix_hedges_live", False),
        (statements.unfinished_operations(), "ix_operations_unfinished", True),
        (statements.due(), "ix_outbox_pending", False),
        (statements.due("skipped"), "ix_outbox_pending", False),
        (statements.SUPERSEDE, "ix_outbox_pending_slot", False),
        (statements.INHERIT_CARD, "ix_outbox_pending_slot", False),
        (statements.SUPERSEDE_TOPIC, "ix_outbox_topic", False),
        (statements.RESTATE, "ix_outbox_topic", False),
        (statements.WITHDRAW, "ix_outbox_topic", False),
        (statements.WAITING, "ix_outbox_topic", False),
        (statements.SENT_SINCE, "ix_outbox_sent", False),
        (statements.FORGET_EPISODES, "ix_alert_episodes_active", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_alive_is_found_without_reading_what_is_done(
    empty: sqlite3.Connection, statement: Statement, index: str, sorts: bool
) -> None:
    plan = plan_of(empty, statement)
    assert f"INDEX {index}" in plan
    assert ("TEMP B-TREE" in plan) == sorts


def test_an_ordinary_start_does_not_import_alembic(tmp_path: Path) -> None:
    schema.create(tmp_path / "t.db")
    script = (
        "import asyncio, sys; from chatbot.storage.database import upgrade; "
        f"asyncio.run(upgrade({url(tmp_path / 't.db')!r})); "
        "print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_an_old_database_is_copied_and_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scripts = tmp_path / "h 100%.db", tmp_path / "scripts"
    await upgrade(url(path))
    pretend_next_revision(monkeypatch, scripts, ADDS_A_COLUMN)
    await upgrade(url(path))
    assert revision(path) == NEXT
    saved = path.with_name(f"{path.name}.bak-{HEAD}")
    assert revision(saved) == HEAD
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert "color" in str(facts(path)["accounts columns"])


async def test_a_migration_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scripts = tmp_path / "t.db", tmp_path / "scripts"
    await upgrade(url(path))
    before = facts(path)
    pretend_next_revision(monkeypatch, scripts, BREAKS_IN_THE_FOURTH)
    with pytest.raises(StorageError, match="nowhere") as failure:
        await upgrade(url(path))
    assert "Traceback" not in failure.value.message
    assert facts(path) == before
    assert revision(path) == HEAD
    assert revision(path.with_name(f"t.db.bak-{HEAD}")) == HEAD


def pretend_next_revision(monkeypatch: pytest.MonkeyPatch, scripts: Path, text: str) -> None:
    scripts.mkdir()
    (scripts / f"{NEXT}_next.py").write_text(text.replace("NEXT", NEXT).replace("HEAD", HEAD))
    monkeypatch.setattr(schema, "REVISIONS", (*schema.REVISIONS, NEXT))
    monkeypatch.setattr(schema, "HEAD", NEXT)
    monkeypatch.setattr("chatbot.storage.migration.migrate", lambda path: migrate(path, more=[scripts]))


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    await upgrade(url(path))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '0999'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match=r"newer Hedgerow.*0999"):
        await upgrade(url(path))
    assert revision(path) == "0999"


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, " * 200)
    with pytest.raises(StorageError, match="not a database"):
        await upgrade(url(path))
    assert path.read_text() == "my notes, " * 200


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (name)")
    connection.close()
    with pytest.raises(StorageError, match="another program"):
        await upgrade(url(path))


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere.* does not exist"):
        await upgrade(url(tmp_path / "nowhere" / "t.db"))


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "t.db").mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        await upgrade(url(tmp_path / "t.db"))


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # for the administrator no folder is closed
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            Ownership.take(tmp_path / "t.db")
    finally:
        if is_root:
            os.seteuid(0)
        tmp_path.chmod(0o700)


async def test_a_refused_file_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_text("not yet " * 200)
    with pytest.raises(StorageError):
        await upgrade(url(path))
    path.unlink()
    await upgrade(url(path))


async def test_nobody_else_may_read_the_database(tmp_path: Path) -> None:
    async with open_database(url(tmp_path / "t.db")) as database:
        await database.mailbox.secret("buttons")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert {"t.db", "t.db-wal", "t.db.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


async def test_the_connections_are_safe(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    schema.create(path)
    async with open_writer(path) as writer, open_reader(path) as reader:
        settings = {}
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            ((settings[name],),) = await writer.execute_fetchall(f"PRAGMA {name}")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute("DELETE FROM users")
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


async def test_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    schema.create(tmp_path / "t.db")
    async with open_writer(tmp_path / "t.db") as writer:
        assert list(await writer.execute_fetchall("PRAGMA secure_delete")) == [(1,)]


async def test_the_first_database_is_upgraded_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    migrate(path, target="0001")
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO chats VALUES ('telegram:7', 'telegram', '7', 1)")
    connection.execute(
        "INSERT INTO users VALUES"
        " ('telegram:7', 'telegram', '7', 'telegram:7', 'Ann', '2026-01-05T09:00:00.000000+00:00', '{}', 1)"
    )
    connection.execute(
        "INSERT INTO accounts VALUES"
        " ('paper:telegram:7', 'telegram:7', 'paper', 'paper', '2026-01-05T09:00:00.000000+00:00', '')"
    )
    connection.commit()
    connection.close()

    async with open_database(url(path)) as database:
        (user,) = await database.store.users()
        (account,) = await database.store.accounts(user.id)

    assert revision(path) == schema.HEAD
    assert (account.label, account.owner, account.disconnected_at) == ("paper", "", None)
    assert user.preferences.default_account == ""


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    async with open_database(url(tmp_path / "t.db")) as database:
        pass
    with pytest.raises(StorageError, match="closed"):
        await database.store.users()


async def test_nothing_is_left_running_when_a_file_is_refused(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    (tmp_path / "t.db").write_text("not a database " * 200)
    with pytest.raises(StorageError):
        await Database.open(url(tmp_path / "t.db"))
    async with open_database(url(tmp_path / "u.db")):
        pass
    for thread in set(threading.enumerate()) - before:
        if "_connection_worker" in thread.name:
            thread.join(timeout=10)  # it has been told, and may need a moment
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite+aiosqlite:///hedgerow.db", Path("hedgerow.db")),
        ("sqlite+aiosqlite:////var/lib/hedgerow.db", Path("/var/lib/hedgerow.db")),
        ("sqlite+aiosqlite://", None),
        ("sqlite+aiosqlite:///:memory:", None),
    ],
)
def test_an_address_names_a_file_or_memory(text: str, path: Path | None) -> None:
    assert database_path(text) == path


def test_another_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(StorageError) as refused:
        database_path("postgresql+asyncpg://bot:hunter2@db/hedgerow")
    assert "hunter2" not in refused.value.message
