"""Grows processes in a moment, by forking one that has everything imported.

``python -m tests.processes.greenhouse`` reads one order a line from standard input and answers with the
process id of the child, in which the real program runs until it is stopped or killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Pace:
    """``hurry``: so many times as fast as real time goes the bot's clock; leases are real time always.

    ``unpaced``: messages go out as fast as they can, not as Telegram would take them.
    """

    hurry: int = 1
    unpaced: bool = False


@dataclass(frozen=True)
class Greenhouse:
    process: asyncio.subprocess.Process

    @classmethod
    async def open(cls) -> Self:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.processes.greenhouse",
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        )

    async def grow(self, settings: Mapping[str, str], folder: Path, log: Path, pace: Pace) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"settings": dict(settings), "folder": str(folder), "log": str(log), **asdict(pace)}
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        await self.process.stdin.drain()
        return int(await self.process.stdout.readline())

    async def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        await self.process.wait()


# --- the greenhouse itself ----------------------------------------------------------------------


def serve() -> None:
    from tests.e2e.nursery import import_everything  # noqa: PLC0415

    import_everything()
    import chatbot.storage.postgres.leases  # noqa: F401, PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_live(**order))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _live(settings: dict[str, str], folder: str, log: str, *, hurry: int, unpaced: bool) -> int:
    from chatbot import running  # noqa: PLC0415
    from chatbot.app import open_bot  # noqa: PLC0415
    from chatbot.log import configure_logging  # noqa: PLC0415
    from chatbot.settings import load_settings  # noqa: PLC0415
    from tests.e2e.nursery import FastClock  # noqa: PLC0415

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(folder)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if unpaced:
        vars(running)["open_bot"] = partial(open_bot, limits={})
    loaded = load_settings(None, settings)
    configure_logging(loaded.log.format, loaded.log.level, loaded.secrets)
    return running.run(loaded, clock=None if hurry == 1 else FastClock(hurry))


if __name__ == "__main__":
    serve()
