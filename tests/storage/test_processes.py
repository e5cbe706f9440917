"""With real processes and real SIGKILLs: who owns the database, and what is left of a commit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatbot.errors import InUse, StorageError
from chatbot.storage.database import open_database, upgrade
from tests.storage.child import WRITERS
from tests.storage.samples import LATER

ROOT = Path(__file__).parents[2]


@contextmanager
def child(task: str, url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.storage.child", task, url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
async def test_a_second_process_is_refused_until_the_first_is_gone(database_url: str) -> None:
    with child("own", database_url) as owner:
        assert read_line(owner) == "owned"
        with pytest.raises(StorageError) as refused:
            await upgrade(database_url)
        for part in (f"process {owner.pid}", "stop that one"):
            assert part in refused.value.message
        owner.kill()
        owner.wait()
        await once_it_is_free(database_url)


async def once_it_is_free(url: str) -> None:
    """A server may take a moment to hear of a death."""
    for _ in range(200):
        try:
            await upgrade(url)
        except InUse:
            await asyncio.sleep(0.01)
        else:
            return
    pytest.fail("it stays locked")


async def test_one_process_cannot_open_a_file_twice_either(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "hedgerow.db")
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/hedgerow.db"):
        with pytest.raises(StorageError, match="another Hedgerow"):
            await upgrade(f"sqlite+aiosqlite:///{tmp_path}/link.db")


async def test_databases_in_memory_are_apart() -> None:
    async with open_database("sqlite+aiosqlite://") as one, open_database("sqlite+aiosqlite://") as other:
        assert await one.mailbox.secret("buttons") != await other.mailbox.secret("buttons")


@pytest.mark.slow
@pytest.mark.parametrize("acknowledged", [1, 40, 333])
async def test_a_kill_leaves_all_of_a_commit_or_nothing_and_nothing_acknowledged_is_lost(
    database_url: str, acknowledged: int
) -> None:
    with child("write", database_url) as writer:
        said = [read_line(writer) for _ in range(acknowledged)]
        writer.kill()
        assert writer.stdout is not None
        said += writer.stdout.read().split()
    promised = dict.fromkeys(range(WRITERS), 0)
    for line in said:
        number, attempt = map(int, line.split(":"))
        promised[number] = attempt
    await once_it_is_free(database_url)
    assert await what_is_stored(database_url, promised) >= len(said)


async def what_is_stored(url: str, promised: dict[int, int]) -> int:
    """Checks each hedge against its fills and its message; the number of commits that are there."""
    async with open_database(url) as database:
        owed = {
            message.message.reply.slot: message.message.dedupe_key
            for message in await database.mailbox.due(LATER, limit=100)
        }
        hedges = await database.store.live_hedges()
        for hedge in hedges:
            keys = {booked.key for booked in await database.store.booked_fills(hedge.id)}
            assert keys == {f"{hedge.number}:{attempt}" for attempt in range(1, hedge.attempt + 1)}
            assert hedge.version == hedge.attempt + 1
            assert hedge.attempt >= promised[hedge.number]
            if hedge.attempt:
                assert owed[str(hedge.number)] == f"{hedge.number}:{hedge.attempt}"
        return sum(hedge.attempt for hedge in hedges)
