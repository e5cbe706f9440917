"""A loop that never waits for time: when nothing is left to do, its clock jumps to the next timer.

The files, the threads and the sockets beneath are real, so while somebody waits for a database the clock goes
no faster than any other.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PATIENCE = 10.0  # real seconds that a database may take to answer


class _Jumping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.busy = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return super().select(PATIENCE)
        if self.busy:
            ready = super().select(timeout)
        if not ready:
            self.seconds += timeout
        return ready


class InstantLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.seconds

    @contextmanager
    def in_real_time(self) -> Iterator[None]:
        self._jumping.busy += 1
        try:
            yield
        finally:
            self._jumping.busy -= 1

    def waits_for(self, owner: type, name: str) -> None:
        """The clock does not jump while such a call is under way."""
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def counted(*arguments: Any, **more: Any) -> Any:
            with self.in_real_time():
                return await original(*arguments, **more)

        setattr(owner, name, counted)


class LoopClock:
    """``at``: seconds since ``EPOCH`` when the process starts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._loop = loop
        self._at = at

    @property
    def seconds(self) -> float:
        return self._at + self._loop.time()

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=round(self.seconds * 1_000_000))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
