"""An upgrade that is killed at any of its statements: the next start finds the old schema, or the new one."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from chatbot.storage import schema
from chatbot.storage.backup import back_up, check
from chatbot.storage.database import open_database
from tests.storage.samples import NOW
from tests.storage.test_backup import ROOT, at_revision

pytestmark = pytest.mark.slow

EVERY = 5  # statements from one kill to the next
UPGRADE = """
import asyncio, os, signal, sys
import sqlalchemy as sa
from chatbot.storage.database import upgrade

left = int(sys.argv[2])

def count(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(sa.Engine, "before_cursor_execute", count)
asyncio.run(upgrade(sys.argv[1]))
"""


async def killed(url: str, statement: int) -> bool:
    """Before this statement of the upgrade; ``False``: it came to its end."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", UPGRADE, url, str(statement), cwd=ROOT)
    code = await child.wait()
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.parametrize("revision", schema.REVISIONS[:-1])
async def test_an_upgrade_happens_completely_or_not_at_all(url: str, revision: str, tmp_path: Path) -> None:
    await at_revision(url, revision, tmp_path)
    kills = 0
    while await killed(url, kills * EVERY):
        copy = tmp_path / f"{kills}.backup"
        assert (await back_up(url, copy, NOW)).revision == revision
        kills += 1
    assert kills
    async with open_database(url) as database:
        (user,) = await database.store.users()
    assert user.name == "Ann"
    done = await back_up(url, tmp_path / "done.backup", NOW)
    assert done.revision == schema.HEAD
    if url.startswith("sqlite"):
        (saved,) = tmp_path.glob("*.bak-*")
        assert check(saved).revision == revision
