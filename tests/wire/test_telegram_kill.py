"""SIGKILL in the middle, over and over: no update lost, none answered for twice, order kept."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.wire.bot_api import LoopbackBotApi

ROOT = Path(__file__).parents[2]
CHATS = (1, 2, 3, 4)
PER_CHAT = 15
KILL_AFTER_SENDS = (1, 9, 14, 30)  # in all runs together
START_SECONDS = 30


@asynccontextmanager
async def bot(api: LoopbackBotApi, database: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ["-m", "tests.wire.killable_bot", api.url, api.token, f"sqlite+aiosqlite:///{database}"]
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


@pytest.mark.slow
async def test_kills_lose_nothing_and_repeat_only_what_was_on_its_way(tmp_path: Path) -> None:
    database = tmp_path / "hedgerow.db"
    async with LoopbackBotApi(delay=0.005) as api:
        for text in range(PER_CHAT):
            for chat in CHATS:
                api.user_says(chat, str(text))
        for sends in KILL_AFTER_SENDS:
            async with bot(api, database):
                await api.wait_for(sent_at_least(sends), timeout=START_SECONDS)
        async with bot(api, database):
            await api.wait_for(everything_is_answered, timeout=START_SECONDS)
            api.user_says(1, str(PER_CHAT))
            await api.wait_for_message(1, f"answer to {PER_CHAT}")
    expected = [*range(PER_CHAT)]
    for chat in CHATS:
        answers = [number(message.text) for message in api.bot_messages(chat)]
        assert list(dict.fromkeys(answers))[:PER_CHAT] == expected, "each answered, in order"
        twice = [text for text, times in Counter(answers).items() if times > 1]
        assert len(twice) <= len(KILL_AFTER_SENDS), "only what was on its way at a kill may come twice"
    with closing(sqlite3.connect(database)) as connection:
        keys = [key for (key,) in connection.execute("SELECT dedupe_key FROM outbox")]
        left = connection.execute("SELECT count(*) FROM inbox WHERE handled = 0").fetchone()
    assert len(keys) == len(set(keys)) == len(CHATS) * PER_CHAT + 1
    assert left == (0,)


def sent_at_least(sends: int) -> Callable[[LoopbackBotApi], bool]:
    return lambda api: api.count("sendMessage") >= sends


def everything_is_answered(api: LoopbackBotApi) -> bool:
    return all(len({message.text for message in api.bot_messages(chat)}) == PER_CHAT for chat in CHATS)
