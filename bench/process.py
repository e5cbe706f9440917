"""A measured bot seen from outside: started, asked, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.wire.bot_api import LoopbackBotApi

ROOT = Path(__file__).parents[1]
ANSWER_SECONDS = 30.0
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Reading:
    """``cpu`` in seconds, ``rss`` in MB."""

    cpu: float
    rss: float
    loaded: frozenset[str]


class BotProcess:
    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def read(self) -> Reading:
        """Raises ``RuntimeError`` as ``require_alive`` does."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process was started without pipes")
        self._process.stdin.write(b"?\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            await self._process.wait()
            self.require_alive()
        found = json.loads(line)
        return Reading(found["cpu"], found["rss"] / (1024 * 1024), frozenset(found["loaded"]))

    def require_alive(self) -> None:
        """Raises ``RuntimeError`` with its log if it is dead."""
        if self._process.returncode is not None:
            raise RuntimeError(f"the bot is dead:\n{self.log}")

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def until_it_polls(api: LoopbackBotApi, bot: BotProcess) -> float:
    """The instant of its first poll, monotonic. Raises ``RuntimeError`` with its log if none comes."""
    for _ in range(START_SECONDS):
        with contextlib.suppress(TimeoutError):
            await api.wait_for(lambda seen: seen.count("getUpdates"), timeout=1)
            return next(call.at for call in api.calls if call.method == "getUpdates")
        bot.require_alive()
    raise RuntimeError(f"the bot did not poll within {START_SECONDS} s:\n{bot.log}")


@asynccontextmanager
async def started(
    bot: str, arguments: tuple[str, ...], folder: Path, settings: Mapping[str, str]
) -> AsyncIterator[BotProcess]:
    """``bot`` is a name of ``bench.child``; it runs in ``folder``, where its log is kept."""
    log_path = folder / f"{bot}.log"
    with log_path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "bench.child", bot, *arguments),
            cwd=folder,
            env=_environment(settings, folder.parent / "bytecode"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log.fileno(),
        )
        child = BotProcess(process, log_path)
        try:
            yield child
        finally:
            await child.end()


def _environment(settings: Mapping[str, str], bytecode: Path) -> dict[str, str]:
    """Ours without anybody's settings of Hedgerow and of Python, and these.

    Compiled once into ``bytecode``, as in an installation that has run before, whatever this shell says.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HEDGEROW_", "PYTHON"))}
    return own | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(bytecode)} | dict(settings)
