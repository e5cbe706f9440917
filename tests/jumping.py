"""An event loop whose time jumps: whoever sleeps wakes at once, in order, while sockets stay real.

Time stands still while anything runs or any byte is on its way on the loopback, and jumps to the next sleeper
when nothing is. Hours of real clients and servers in one process pass in seconds, the same each time. What is
given to a thread is done on the spot; other threads are not seen (a database has to be in memory).
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
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

    def run_in_executor(
        self, executor: object, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (of whoever waits for it)
            done.set_exception(error)
        return done


class LoopClock:
    """``chatbot.ports.Clock`` by the time of the running loop, whose zero is ``begin``."""

    def __init__(self, begin: datetime = START) -> None:
        self._begin = begin

    def now(self) -> datetime:
        return self._begin + timedelta(seconds=asyncio.get_running_loop().time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
