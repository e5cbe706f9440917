"""An event that others set, or that the clock sets at an instant."""

from __future__ import annotations

import asyncio
from datetime import datetime

from chatbot.ports import Clock


class Waker:
    """``wait`` returns once after any number of ``wake``s; the alarm is one of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()
        self._alarm_at: datetime | None = None
        self._alarm: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._woken.set()

    @property
    def woken(self) -> bool:
        return self._woken.is_set()

    async def wait(self) -> None:
        await self._woken.wait()

    def clear(self) -> None:
        self._woken.clear()

    def set_alarm(self, at: datetime | None) -> None:
        """Replaces the alarm; ``None`` leaves none."""
        if at == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = None if at is None else asyncio.create_task(self._ring(at))

    async def _ring(self, at: datetime) -> None:
        # A sleep may end a moment early: who is woken then finds nothing due and would not be woken again.
        while (left := (at - self._clock.now()).total_seconds()) > 0:
            await self._clock.sleep(left)
        self._alarm_at = None
        self.wake()
