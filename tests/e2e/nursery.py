"""Starts bots in a moment, by forking a process that has everything imported, and has them killed.

``python -m tests.e2e.nursery`` reads one order a line from standard input (an :class:`Order` as JSON), runs
the real program in a child of its own and answers with two lines: its process id, then how it ended. The
child dies by SIGKILL, its own or the parent's: nothing is flushed, closed or said.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

# Settling an order that was never sent takes 15 s of the bot's clock: too long to wait for in a test.
HURRY = 20
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Order:
    """``kill_at``: the boundary to die at, by its number from 0 or by its name; ``None`` lives on.

    ``after_tap``: counting begins when a tap of this choice was received; empty: at the start.
    ``hurry``: so many times as fast as real time goes the bot's clock, from ``anchor`` (ISO) on.
    """

    settings: dict[str, str]
    folder: str
    kill_at: int | str | None = None
    after_tap: str = ""
    hurry: int = HURRY
    anchor: str = ANCHOR.isoformat()


class FastClock:
    """One clock for every process of a run: real time, since ``anchor`` ``hurry`` times as fast."""

    def __init__(self, hurry: int, anchor: datetime = ANCHOR) -> None:
        self._hurry = hurry
        self._anchor = anchor

    def now(self) -> datetime:
        return self._anchor + (datetime.now(UTC) - self._anchor) * self._hurry

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._hurry)


# --- the parent's side --------------------------------------------------------------------------


@dataclass
class Child:
    """A running bot. ``boundaries`` is what it passed, the last one being where it died."""

    pid: int
    folder: Path
    _ended: asyncio.Future[int]

    async def ended(self, seconds: float = 30.0) -> int:
        """Its exit code, or minus the signal that ended it."""
        async with asyncio.timeout(seconds):
            return await asyncio.shield(self._ended)

    async def kill(self) -> None:
        if not self._ended.done():
            os.kill(self.pid, signal.SIGKILL)
        await self.ended()

    async def stop(self) -> int:
        """Asked politely, as a service manager does."""
        os.kill(self.pid, signal.SIGTERM)
        return await self.ended()

    @property
    def log(self) -> str:
        return (self.folder / "bot.log").read_text(encoding="utf-8")

    @property
    def boundaries(self) -> list[str]:
        trace = self.folder / "boundaries"
        return trace.read_text(encoding="utf-8").splitlines() if trace.exists() else []


@dataclass
class Nursery:
    """One bot at a time."""

    _process: asyncio.subprocess.Process
    _reading: set[asyncio.Task[None]] = field(default_factory=set)
    _child: Child | None = None

    @classmethod
    async def open(cls) -> Self:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.e2e.nursery",
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def bear(self, order: Order) -> Child:
        await self.empty()  # a test that failed may have left somebody
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        await self._process.stdin.drain()
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        child = self._child = Child(await self._number(), Path(order.folder), ended)
        task = asyncio.create_task(self._watch(ended))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        return child

    async def _watch(self, ended: asyncio.Future[int]) -> None:
        ended.set_result(await self._number())

    async def _number(self) -> int:
        assert self._process.stdout is not None
        return int(await self._process.stdout.readline())

    async def empty(self) -> None:
        """Whoever still lives is killed."""
        if self._child is not None:
            await self._child.kill()

    async def close(self) -> None:
        await self.empty()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


# --- the nursery itself -------------------------------------------------------------------------


def serve() -> None:
    import_everything()
    for line in sys.stdin:
        order = Order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            os._exit(live(order))
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(os.waitstatus_to_exitcode(status))


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def import_everything() -> None:
    """Before the first fork, so that no child spends its first half second on it.

    A conversation in memory brings what is imported and built only when it is needed.
    """
    import tests.e2e.boundaries  # noqa: F401, PLC0415
    from chatbot.venues.ccxt import exchanges, loading  # noqa: F401, PLC0415
    from tests.dialogs.harness import a_dialog  # noqa: PLC0415

    async def conversation() -> None:
        async with a_dialog() as dialog:
            await dialog.does("/open BTC long 0.05 10x isolated")
            await dialog.does("/hedge BTC")
            await dialog.does("/close", button="Offset first")

    asyncio.run(conversation())
    for name in ("binanceusdm", "bybit", "okx"):
        loading.exchange_class(name)


def live(order: Order) -> int:
    """The child: the real program, on a fast clock."""
    from chatbot import running  # noqa: PLC0415
    from chatbot.log import configure_logging  # noqa: PLC0415
    from chatbot.settings import load_settings  # noqa: PLC0415
    from tests.e2e.boundaries import Boundaries  # noqa: PLC0415

    folder = Path(order.folder)
    _redirect(folder / "bot.log")
    settings = load_settings(None, order.settings)
    configure_logging(settings.log.format, settings.log.level, settings.secrets)
    Boundaries(folder / "boundaries", order.kill_at, order.after_tap).draw()
    return running.run(settings, clock=FastClock(order.hurry, datetime.fromisoformat(order.anchor)))


def _redirect(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def main(arguments: Sequence[str] = ()) -> None:
    del arguments
    serve()


if __name__ == "__main__":
    main()
