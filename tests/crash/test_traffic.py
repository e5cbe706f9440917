"""SIGKILL in the middle, over and over: no update lost, none answered for twice, order kept."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.crash.grounds import Ground, PostgresGround, SqliteGround
from tests.wire.bot_api import LoopbackBotApi

ROOT = Path(__file__).parents[2]
CHATS = (1, 2, 3, 4)
PER_CHAT = 9
KILL_AFTER_SENDS = (1, 7, 19)  # in all runs together
START_SECONDS = 30


@asynccontextmanager
async def bot(api: LoopbackBotApi, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ["-m", "tests.crash.talker", api.url, api.token, url]
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


def number(text: str) -> int:
    found = re.search(r"\d+$", text)
    assert found is not None
    return int(found[0])


@pytest.fixture
def ground(database: str, request: pytest.FixtureRequest) -> Ground:
    if database == "sqlite":
        return SqliteGround()
    return PostgresGround(request.getfixturevalue("postgres"))


@pytest.mark.slow
async def test_kills_lose_nothing_and_repeat_only_what_was_on_its_way(ground: Ground, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ground.make(folder)
    url = ground.url(folder)
    async with LoopbackBotApi(delay=0.005) as api:
        for text in range(PER_CHAT):
            for chat in CHATS:
                api.user_says(chat, str(text))
        for sends in KILL_AFTER_SENDS:
            async with bot(api, url):
                await api.wait_for(sent_at_least(sends), timeout=START_SECONDS)
        async with bot(api, url):
            await api.wait_for(everything_is_answered, timeout=START_SECONDS)
            api.user_says(1, str(PER_CHAT))
            await api.wait_for_message(1, f"answer to {PER_CHAT}")
            await asyncio.wait_for(marked(ground, folder), START_SECONDS)
    expected = [*range(PER_CHAT)]
    for chat in CHATS:
        answers = [number(message.text) for message in api.bot_messages(chat)]
        assert list(dict.fromkeys(answers))[:PER_CHAT] == expected, "each answered, in order"
        twice = [text for text, times in Counter(answers).items() if times > 1]
        assert len(twice) <= len(KILL_AFTER_SENDS), "only what was on its way at a kill may come twice"
    with ground.ledger(folder) as ledger:
        keys = [key for (key,) in ledger.execute("SELECT dedupe_key FROM outbox")]
        left = ledger.execute("SELECT count(*) FROM inbox WHERE handled = 0").fetchone()
        owed = ledger.execute("SELECT count(*) FROM outbox WHERE state <> 'delivered'").fetchone()
    assert len(keys) == len(set(keys)) == len(CHATS) * PER_CHAT + 1
    assert (left, owed) == ((0,), (0,))
    ground.remove(folder)


async def marked(ground: Ground, folder: Path) -> None:
    """What was sent is marked a moment later."""
    while True:
        with ground.ledger(folder) as ledger:
            if ledger.execute("SELECT count(*) FROM outbox WHERE state <> 'delivered'").fetchone() == (0,):
                return
        await asyncio.sleep(0.05)


def sent_at_least(sends: int) -> Callable[[LoopbackBotApi], bool]:
    return lambda api: api.count("sendMessage") >= sends


def everything_is_answered(api: LoopbackBotApi) -> bool:
    return all(len({message.text for message in api.bot_messages(chat)}) == PER_CHAT for chat in CHATS)
