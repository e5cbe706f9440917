"""An event loop whose time jumps: whoever sleeps wakes at once, in order, while sockets stay real.

Time stands still while anything runs or any byte is on its way on the loopback, and jumps to the next sleeper
when nothing is. Hours of real clients and servers in one process pass in seconds, the same each time. No
threads: what waits for one is not seen (a database has to be in memory).
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TURN = 1e-6  # seconds of a turn of the loop: who waits for a moment to pass must not wait for ever
LOOKS = 3  # at the sockets, before nothing is taken for on its way


class _Selector(selectors.DefaultSelector):
    """Lets time jump when nothing comes."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.jumped += TURN
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        for _ in range(LOOKS):
            if found := super().select(0):
                return found
        self.jumped += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Selector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped


class LoopClock:
    """``chatbot.ports.Clock`` by the time of the running loop."""

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
