"""``hedgerow`` as a process of its own: started with its settings, read, stopped, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.wire.bot_api import LoopbackBotApi

ROOT = Path(__file__).parents[2]
READY = "ready: listening on Telegram"
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    out: str
    err: str


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's own, without anybody's settings of Hedgerow, and these."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    return own | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | dict(settings)


def on_paper(folder: Path, market: Path, **more: str) -> dict[str, str]:
    """A database in the folder, and a generous offer: a test's machine may be slow."""
    return {
        "HEDGEROW_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'hedgerow.db'}",
        "HEDGEROW_PAPER__MARKET": f"replay:{market}",
        "HEDGEROW_QUOTE__LIFETIME_SECONDS": "3600",
        "HEDGEROW_QUOTE__BAND": "0.5",
    } | {f"HEDGEROW_{name}": value for name, value in more.items()}


def on_telegram(api: LoopbackBotApi, allowed: Sequence[int]) -> dict[str, str]:
    return {
        "HEDGEROW_TELEGRAM__TOKEN": api.token,
        "HEDGEROW_TELEGRAM__API_URL": api.url,
        "HEDGEROW_ALLOWED_USERS": ",".join(f"telegram:{user}" for user in allowed),
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def hedgerow(
    *arguments: str, settings: Mapping[str, str], folder: Path, typed: str = "", seconds: float = 40.0
) -> Finished:
    """Runs to its end. ``folder`` is where it runs, so that nobody's ``.env`` is read."""
    process = await _start(arguments, settings, folder, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(typed.encode())
    finally:
        await _kill(process)
    return Finished(process.returncode or 0, out.decode(), err.decode())


class Running:
    """``hedgerow run`` in the background. ``log`` is what it wrote to standard error so far."""

    def __init__(self, process: asyncio.subprocess.Process, log_file: Path) -> None:
        self._process = process
        self._log_file = log_file

    @property
    def log(self) -> str:
        return self._log_file.read_text(encoding="utf-8")

    async def ready(self, word: str = READY) -> None:
        async with asyncio.timeout(START_SECONDS):
            while word not in self.log:
                assert self._process.returncode is None, f"it ended at its start:\n{self.log}"
                await asyncio.sleep(0.02)

    async def says(self, line: str) -> str:
        """Types a line into the console and ends the input; what was printed then."""
        out, _ = await self._process.communicate(f"{line}\n".encode())
        return out.decode()

    async def kill(self) -> None:
        """As a power cut does: it gets no say."""
        await _kill(self._process)

    async def stop(self) -> int:
        """As a service manager does. The exit code."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_SECONDS):
            return await self._process.wait()


@asynccontextmanager
async def running(settings: Mapping[str, str], folder: Path) -> AsyncIterator[Running]:
    log_file = folder / "hedgerow.log"
    with log_file.open("wb") as log:
        process = await _start(["run"], settings, folder, stderr=log.fileno())
        try:
            yield Running(process, log_file)
        finally:
            await _kill(process)


async def _start(
    arguments: Sequence[str], settings: Mapping[str, str], folder: Path, *, stderr: int
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chatbot",
        *arguments,
        cwd=folder,
        env=environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
