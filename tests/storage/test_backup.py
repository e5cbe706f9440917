"""A copy is whole, or it is not there; from it either database comes to hold the same rows again."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatbot.domain.hedge import Hedge, HedgeStatus
from chatbot.domain.operation import OperationStatus
from chatbot.errors import Conflict, InUse, StorageError
from chatbot.ports import Changes, Credentials, Invite, Ticket, TicketKind
from chatbot.storage import schema
from chatbot.storage.backup import Contents, back_up, check, restore
from chatbot.storage.copies import COPIED_AT
from chatbot.storage.copying import create_private
from chatbot.storage.database import Database, open_database, upgrade
from chatbot.storage.master_key import GivenKey, MasterKey
from chatbot.storage.migration import migrate
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.schema import Upgraded
from chatbot.storage.tables import METADATA
from tests.storage import samples
from tests.storage.samples import ACCOUNT_ID, HEDGE_ID, LATER, NOW, USER_ID

KEY = GivenKey(MasterKey(bytes(range(32))), "a test")
SECRETS = Credentials("canary-api-key-0123456789", "canary-secret-abcdefghij", "canary passphrase")
WHY = "the ledger comes from a copy of then"
ROOT = Path(__file__).parents[2]

Row = tuple[Any, ...]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.backup"


@asynccontextmanager
async def filled(url: str) -> AsyncIterator[Database]:
    """One of everything."""
    async with open_database(url) as database:
        store, mailbox = database.store, database.mailbox
        await store.commit(samples.PEOPLE)
        await store.commit(
            Changes(
                hedges=(samples.full_hedge(),),
                operations=(samples.operation(),),
                intents=(samples.intent(),),
                notes=(samples.note(),),
                fills=(samples.fill(),),
                funding=(samples.funding(),),
                quotes=(samples.quote(),),
                episodes=(samples.episode(),),
                outbox=(samples.message("m1"),),
                audit=(samples.audit(),),
            )
        )
        await mailbox.receive([samples.request()], cursor=("telegram", 2**40))
        await mailbox.remember_message(samples.CHAT, "status", "12")
        await mailbox.secret("buttons")
        await database.vault(KEY).keep(samples.account(), SECRETS)
        await database.invites.issue(Invite("digest", NOW, LATER))
        ticket = Ticket("ref", "digest", TicketKind.LINK, USER_ID, "telegram:77", "okx", NOW, LATER)
        await database.tickets.issue([ticket])
        yield database


async def fill(url: str) -> None:
    async with filled(url):
        pass


def rows(path: Path) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=str)  # noqa: S608
            for table in METADATA.tables
        }


async def rows_at(url: str, folder: Path) -> dict[str, list[Row]]:
    """As a second copy tells them, without its mark."""
    path = folder / f"{uuid.uuid4().hex}.look"
    await back_up(url, path, NOW)
    found = rows(path)
    found["cursors"] = [row for row in found["cursors"] if row[0] != COPIED_AT]
    return found


NOT_OF_ONE_PROCESS = {"admitted_users", "leases", "processes", "ticks"}

# --- copying ------------------------------------------------------------------------------------------


async def test_a_copy_holds_every_row_and_a_mark(url: str, copy: Path, tmp_path: Path) -> None:
    async with filled(url):
        found = await back_up(url, copy, NOW)
        held = await rows_at(url, tmp_path)
    assert found == check(copy)
    assert found.copied_at == NOW.replace(microsecond=0)
    assert (found.revision, found.live_hedges) == (schema.HEAD, 1)
    assert {table for table, count in found.rows.items() if not count} <= NOT_OF_ONE_PROCESS
    marked = rows(copy)
    assert (COPIED_AT, int(NOW.timestamp())) in marked["cursors"]
    marked["cursors"] = [row for row in marked["cursors"] if row[0] != COPIED_AT]
    assert marked == held


async def test_what_is_restored_is_what_was_copied(
    url: str, new_url: Callable[[], str], copy: Path, tmp_path: Path
) -> None:
    await fill(url)
    before = await rows_at(url, tmp_path)
    await back_up(url, copy, NOW)
    target = new_url()
    found = await restore(target, copy)
    assert found.copied_at == NOW.replace(microsecond=0)
    assert await rows_at(target, tmp_path) == before


async def test_a_copy_leads_from_one_database_to_the_other(
    url: str, sqlite_url: str, new_url: Callable[[], str], copy: Path, tmp_path: Path
) -> None:
    """There and back again: SQLite is the one file that both understand."""
    await fill(url)
    before = await rows_at(url, tmp_path)
    await back_up(url, copy, NOW)
    await restore(sqlite_url, copy)
    assert await rows_at(sqlite_url, tmp_path) == before
    copy.unlink()
    await back_up(sqlite_url, copy, LATER)
    back = new_url()
    await restore(back, copy)
    assert await rows_at(back, tmp_path) == before


async def test_new_rows_are_numbered_after_the_restored_ones(
    url: str, new_url: Callable[[], str], copy: Path
) -> None:
    await fill(url)
    await back_up(url, copy, NOW)
    target = new_url()
    await restore(target, copy)
    async with open_database(target) as database:
        await database.store.commit(
            Changes(outbox=(samples.message("m2"),), fills=(samples.fill("f2"),), audit=(samples.audit(),))
        )
        owed = await database.mailbox.due(LATER, limit=9)
    assert [row.message.dedupe_key for row in owed] == ["m1", "m2"]


async def test_a_copy_of_a_busy_database_is_of_one_instant(url: str, tmp_path: Path) -> None:
    """Each commit counts in a hedge, books a fill and owes a message: in no copy do they differ."""
    await upgrade(url)
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.storage.child", "write", url),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert writer.stdout is not None
    counted: list[int] = []
    try:
        for number in range(6):
            for _ in range(40):
                await writer.stdout.readline()
            path = tmp_path / f"{number}.backup"
            await back_up(url, path, NOW)
            counted.append(balanced(path))
    finally:
        writer.kill()
        await writer.wait()
    assert counted == sorted(counted)
    assert counted[0] < counted[-1]


def balanced(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        counts = connection.execute(
            "SELECT h.attempt, (SELECT count(*) FROM fills f WHERE f.hedge_id = h.id),"
            " (SELECT count(*) FROM outbox o WHERE o.slot = substr(h.id, 2)) FROM hedges h"
        ).fetchall()
    assert counts
    assert all(attempt == fills == owed for attempt, fills, owed in counts), counts
    return sum(attempt for attempt, _, _ in counts)


async def test_keys_in_a_copy_are_sealed_and_open_with_the_master_key_only(
    url: str, new_url: Callable[[], str], copy: Path
) -> None:
    await fill(url)
    await back_up(url, copy, NOW)
    assert b"canary" not in copy.read_bytes()
    target = new_url()
    await restore(target, copy)
    async with open_database(target) as database:
        assert (await database.vault(KEY).open(samples.account())).secret == SECRETS.secret


async def test_what_was_forgotten_before_is_in_no_copy(url: str, copy: Path) -> None:
    async with filled(url) as database:
        await database.vault(KEY).forget(samples.account())
        await back_up(url, copy, NOW)
    assert check(copy).rows["credentials"] == 0


async def test_a_copy_is_one_private_file(url: str, copy: Path, tmp_path: Path) -> None:
    async with filled(url):
        await back_up(url, copy, NOW)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.backup"]


async def test_a_copy_of_a_copy_is_as_old_as_the_first(
    url: str, new_url: Callable[[], str], copy: Path, tmp_path: Path
) -> None:
    await fill(url)
    await back_up(url, copy, NOW)
    target = new_url()
    await restore(target, copy)
    again = await back_up(target, tmp_path / "again.backup", NOW + timedelta(days=1))
    assert again.copied_at == NOW.replace(microsecond=0)


# --- older and newer ----------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", schema.REVISIONS[:-1])
async def test_a_copy_of_every_earlier_schema_is_made_and_restored(
    url: str, new_url: Callable[[], str], copy: Path, revision: str, tmp_path: Path
) -> None:
    await at_revision(url, revision, tmp_path)
    found = await back_up(url, copy, NOW)
    assert (found.revision, found.rows["users"]) == (revision, 1)
    target = new_url()
    assert (await restore(target, copy)).revision == schema.HEAD
    async with open_database(target) as database:
        (user,) = await database.store.users()
        assert (user.name, await database.copies.copied_at()) == ("Ann", NOW.replace(microsecond=0))


async def at_revision(url: str, revision: str, folder: Path) -> None:
    """With a user in it."""
    statements = (
        "INSERT INTO chats VALUES ('telegram:7', 'telegram', '7', 1)",
        "INSERT INTO users VALUES ('telegram:7', 'telegram', '7', 'telegram:7', 'Ann',"
        " '2026-01-05T09:00:00.000000+00:00', '{}', 1)",
    )
    if url.startswith("sqlite"):
        path = Path(url.partition(":///")[2])
        migrate(path, target=revision)
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return
    upgraded = Upgraded(Place.of(url))
    await asyncio.to_thread(migrate, upgraded, target=revision)
    connection = await upgraded.connect()
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_a_copy_before_an_upgrade_bears_the_mark(tmp_path: Path) -> None:
    """Whoever goes back to it starts in reconcile-only as well."""
    url = f"sqlite+aiosqlite:///{tmp_path / 't.db'}"
    await at_revision(url, "0001", tmp_path)
    await upgrade(url)
    saved = check(tmp_path / "t.db.bak-0001")
    assert saved.revision == "0001"
    with closing(sqlite3.connect(tmp_path / "t.db.bak-0001")) as connection:
        (mark,) = connection.execute("SELECT value FROM cursors WHERE name = ?", [COPIED_AT]).fetchone()
    assert abs(datetime.fromtimestamp(mark, UTC) - datetime.now(UTC)) < timedelta(hours=1)
    async with open_database(url) as database:
        assert await database.copies.copied_at() is None, "the upgraded one goes on as what it is"


async def test_a_copy_of_a_newer_program_is_refused(url: str, sqlite_url: str, copy: Path) -> None:
    await fill(sqlite_url)
    await back_up(sqlite_url, copy, NOW)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    with pytest.raises(StorageError, match=r"newer Hedgerow.*0999"):
        await restore(url, copy)


# --- refusals -----------------------------------------------------------------------------------------


async def test_nobody_is_overwritten(
    url: str, new_url: Callable[[], str], copy: Path, tmp_path: Path
) -> None:
    await fill(url)
    other = new_url()
    async with open_database(other) as database:
        await database.store.commit(samples.PEOPLE)
    before = await rows_at(other, tmp_path)
    await back_up(url, copy, NOW)
    with pytest.raises(StorageError, match="not empty: users in it: 1"):
        await restore(other, copy)
    assert await rows_at(other, tmp_path) == before
    saved = copy.read_bytes()
    with pytest.raises(StorageError, match="is there already and is not overwritten"):
        await back_up(url, copy, NOW)
    assert copy.read_bytes() == saved


async def test_a_database_that_nobody_has_used_yet_is_empty(
    url: str, new_url: Callable[[], str], copy: Path
) -> None:
    """As ``hedgerow check`` leaves it behind, for instance."""
    await fill(url)
    await back_up(url, copy, NOW)
    target = new_url()
    async with open_database(target) as database:
        fresh = await database.mailbox.secret("buttons")
    await restore(target, copy)
    async with open_database(target) as database:
        assert await database.mailbox.secret("buttons") != fresh
        assert len(await database.store.users()) == 1


async def test_a_running_bot_is_not_restored_under(url: str, new_url: Callable[[], str], copy: Path) -> None:
    await fill(url)
    await back_up(url, copy, NOW)
    target = new_url()
    async with open_database(target):
        with pytest.raises(InUse, match="in use by another Hedgerow"):
            await restore(target, copy)


async def test_what_is_no_copy_is_told_by_what_it_is(url: str, tmp_path: Path) -> None:
    notes, songs, empty = tmp_path / "notes", tmp_path / "songs", tmp_path / "empty"
    notes.write_text("my notes, " * 200)
    empty.touch()
    with closing(sqlite3.connect(songs)) as connection:
        connection.execute("CREATE TABLE songs (name)")
    for path, complaint in (
        (tmp_path / "nothing", "there is no database at"),
        (tmp_path, "is no file"),
        (notes, "not a database"),
        (songs, "belongs to another program"),
        (empty, "is empty"),
    ):
        with pytest.raises(StorageError, match=complaint):
            await restore(url, path)
    assert not (tmp_path / "nothing").exists()


async def test_what_is_not_there_is_not_copied(tmp_path: Path, copy: Path) -> None:
    missing = tmp_path / "missing.db"
    with pytest.raises(StorageError, match="there is no database at"):
        await back_up(f"sqlite+aiosqlite:///{missing}", copy, NOW)
    with pytest.raises(StorageError, match="in memory"):
        await back_up("sqlite+aiosqlite://", copy, NOW)
    assert list(tmp_path.iterdir()) == []


async def test_a_server_without_a_database_of_ours_has_nothing_to_copy(
    postgres_url_of_its_own: str, copy: Path
) -> None:
    with pytest.raises(StorageError, match="is empty: there is nothing to copy"):
        await back_up(postgres_url_of_its_own, copy, NOW)


async def test_a_damaged_copy_is_refused(url: str, sqlite_url: str, copy: Path) -> None:
    await fill(sqlite_url)
    await back_up(sqlite_url, copy, NOW)
    with copy.open("r+b") as file:
        for page in range(2, 40):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    with pytest.raises(StorageError, match=r"is damaged(: [^\n]+)?; use another copy"):
        await restore(url, copy)


async def test_a_copy_whose_rows_refer_to_nothing_is_refused(url: str, sqlite_url: str, copy: Path) -> None:
    await fill(sqlite_url)
    await back_up(sqlite_url, copy, NOW)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("DELETE FROM operations")
        connection.commit()
    with pytest.raises(StorageError, match="rows of intents refer to nothing"):
        await restore(url, copy)


async def test_a_folder_that_is_not_there_is_named(url: str, tmp_path: Path) -> None:
    await fill(url)
    with pytest.raises(StorageError, match=r"nowhere does not exist; create it first"):
        await back_up(url, tmp_path / "nowhere" / "x", NOW)


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    schema.create(tmp_path / "t.db")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with as_somebody(), pytest.raises(StorageError, match="closed cannot be written"):
        create_private(closed / "x")


@contextmanager
def as_somebody() -> Iterator[None]:
    """For the administrator no folder is closed."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


async def test_a_full_disk_leaves_nothing_behind(url: str, copy: Path, tmp_path: Path) -> None:
    await fill(url)
    script = (
        "import asyncio, sys; from datetime import datetime, UTC; from pathlib import Path; "
        "from chatbot.storage.backup import back_up; "
        "from chatbot.errors import StorageError\n"
        "try: asyncio.run(back_up(sys.argv[1], Path(sys.argv[2]), datetime.now(UTC)))\n"
        "except StorageError as error: print(error.message)"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, url, str(copy)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_960, 40_960)),
    )
    assert done.stderr == ""
    assert "copy.backup" in done.stdout
    assert "the disk reports an error" in done.stdout or "the disk is full" in done.stdout
    assert list(tmp_path.glob("copy*")) == []


async def test_an_upgrade_that_fails_restores_nothing(
    url: str, new_url: Callable[[], str], copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await at_revision(url, "0001", tmp_path)
    await back_up(url, copy, NOW)

    def fails(_: Path) -> None:
        raise StorageError("it cannot be upgraded")

    target = new_url()
    monkeypatch.setattr("chatbot.storage.migration.migrate", fails)
    with pytest.raises(StorageError, match="cannot be upgraded"):
        await restore(target, copy)
    monkeypatch.undo()
    assert (await restore(target, copy)).rows["users"] == 1


# --- beginning on a copy --------------------------------------------------------------------------------


async def test_a_copy_begins_once(url: str) -> None:
    async with filled(url) as database:
        assert await database.copies.copied_at() is None
        await mark(database)
        copied_at = await database.copies.copied_at()
        assert copied_at == NOW.replace(microsecond=0)
        await database.copies.begin(copied_at, LATER, why=WHY)
        assert await database.copies.copied_at() is None
        assert await database.copies.restored_at() == LATER.replace(microsecond=0)
        with pytest.raises(Conflict):
            await database.copies.begin(copied_at, LATER, why=WHY)


async def test_nothing_of_before_goes_on(url: str) -> None:
    async with filled(url) as database:
        store, mailbox = database.store, database.mailbox
        secret = await mailbox.secret("buttons")
        await mark(database)
        await database.copies.begin(NOW, LATER, why=WHY)
        assert await store.unfinished_operations() == ()
        operation = await store.operation(samples.operation().id)
        assert operation is not None
        assert (operation.status, operation.reason) == (OperationStatus.FROZEN, WHY)
        hedge = await store.hedge(HEDGE_ID)
        assert hedge is not None
        assert (hedge.status, hedge.reason) == (HedgeStatus.FROZEN, WHY)
        assert hedge.version == 2, "whoever read it before cannot write it"
        assert await mailbox.due(LATER + timedelta(days=1), limit=9) == ()
        assert await mailbox.unhandled() == ()
        assert await mailbox.cursor("telegram") == 2**40
        assert await mailbox.secret("buttons") != secret
        assert await store.active_episodes(USER_ID) == ()
        quote = await store.quote(samples.quote().id)
        assert quote is not None
        assert quote.used_at == LATER
        with pytest.raises(Conflict):
            await database.invites.redeem("digest", samples.user().ref, NOW)
        with pytest.raises(Conflict):
            await database.tickets.attempt("ref", now=NOW, most=9)


async def test_attempts_go_on_beyond_whatever_was_sent_since(url: str) -> None:
    async with filled(url) as database:
        first, second = [(await begun(database, LATER + timedelta(seconds=s))).attempt for s in (0, 1)]
        assert (first > 200_000_000, second - first) == (True, 1)
        used = replace(await begun(database, LATER), attempt=2**33)
        await database.store.commit(Changes(hedges=(used,)))
        assert (await begun(database, LATER)).attempt == 2**33


async def begun(database: Database, now: datetime) -> Hedge:
    await mark(database)
    await database.copies.begin(NOW, now, why=WHY)
    hedge = await database.store.hedge(HEDGE_ID)
    assert hedge is not None
    return hedge


async def test_an_account_waits_until_it_is_reconciled_whatever_else_is_written_of_it(url: str) -> None:
    async with filled(url) as database:
        await mark(database)
        await database.copies.begin(NOW, LATER, why=WHY)
        await database.store.commit(Changes(accounts=(samples.account(),)))
        account = await database.store.account(ACCOUNT_ID)
        assert account is not None
        assert account.restored_from == NOW
        await database.store.commit(Changes(reconciled=(ACCOUNT_ID,)))
        account = await database.store.account(ACCOUNT_ID)
        assert account is not None
        assert account.restored_from is None


async def mark(database: Database) -> None:
    await database.mailbox.receive([], cursor=(COPIED_AT, int(NOW.timestamp())))


def test_contents_tell_their_size(tmp_path: Path) -> None:
    schema.create(tmp_path / "t.db")
    found: Contents = check(tmp_path / "t.db")
    assert found.size == (tmp_path / "t.db").stat().st_size
