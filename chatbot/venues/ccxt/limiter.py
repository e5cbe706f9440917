"""One venue's request budget for all accounts behind this IP address: by weight, orders first.

Several processes behind one address divide it evenly; they do not tell each other what they used.
"""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from chatbot.errors import RateLimited
from chatbot.ports import ROUTINE, Clock


class Urgency(IntEnum):
    """Who goes first. Orders may use the whole budget; everything else leaves them a part."""

    ORDER = 0
    EVIDENCE = 1  # what became of an order
    READ = 2
    ROUTINE = 3  # nobody waits for it


@dataclass(frozen=True, slots=True)
class Budget:
    """``weight`` of requests in any ``seconds``, as the venue counts; ``reserved``: a share for orders."""

    weight: float
    seconds: float
    reserved: float = 0.2


# A venue that refused us by address says so for minutes; asking on makes it longer.
LONGEST_PAUSE = 600.0
# What may go at once; the rest of the budget flows in over its window.
BURST = 0.25
SHORTEST_WAIT = 0.001  # what is left of rounding must not become a wait for nothing


class Limiter:
    """A bucket that refills steadily: what it holds and what flows in make one budget in any window.

    ``pause`` stops reads at once: they raise ``RateLimited`` instead of waiting. Orders still go.
    """

    def __init__(self, venue: str, budget: Budget, clock: Clock) -> None:
        self._venue = venue
        self._budget = budget
        self._clock = clock
        self._share = 1.0
        self._left = self._capacity
        self._filled_at = clock.now()
        self._paused_until: datetime | None = None
        self._queue: list[tuple[int, int]] = []
        self.waits, self.waited = 0, 0.0  # requests that did not go at once, and their seconds
        self._arrivals = 0
        self._turn = asyncio.Event()

    @property
    def _capacity(self) -> float:
        return self._budget.weight * BURST * self._share

    @property
    def _rate(self) -> float:
        return self._budget.weight * (1 - BURST) / self._budget.seconds * self._share

    def shared_by(self, processes: int) -> None:
        """So many behind this address: each keeps to its part."""
        self._refill()
        self._share = 1 / processes
        self._left = min(self._left, self._capacity)

    async def admit(self, weight: float, urgency: Urgency) -> None:
        """Returns when it is this request's turn. Raises ``RateLimited`` for reads while paused."""
        self._refuse_while_paused(urgency)
        if urgency is Urgency.READ and ROUTINE.get():
            urgency = Urgency.ROUTINE
        place = (int(urgency), self._arrivals)
        self._arrivals += 1
        heapq.heappush(self._queue, place)
        try:
            await self._wait(place, min(weight, self._available_at_most(urgency)), urgency)
        finally:
            self._queue.remove(place)
            heapq.heapify(self._queue)
            self._turn.set()
            self._turn = asyncio.Event()

    def pause(self, seconds: float) -> None:
        until = self._clock.now().timestamp() + min(seconds, LONGEST_PAUSE)
        if self._paused_until is None or self._paused_until.timestamp() < until:
            self._paused_until = datetime.fromtimestamp(until, self._clock.now().tzinfo)

    @property
    def roomy(self) -> bool:
        """Nobody waits, reads do not rest, and half of what reads may use at once is there."""
        some = self._available_at_most(Urgency.READ) / 2 + self._kept_back(Urgency.READ)
        return not self._queue and self.pause_left == 0 and self._refill() >= some

    @property
    def pause_left(self) -> float:
        if self._paused_until is None:
            return 0.0
        return max(0.0, (self._paused_until - self._clock.now()).total_seconds())

    async def _wait(self, place: tuple[int, int], weight: float, urgency: Urgency) -> None:
        asked_at = self._clock.now()
        while True:
            self._refuse_while_paused(urgency)
            missing = weight + self._kept_back(urgency) - self._refill()
            if self._queue[0] != place:
                await self._turn.wait()
            elif missing > 0:
                await self._clock.sleep(max(missing / self._rate, SHORTEST_WAIT))
            else:
                self._left -= weight
                self._count_wait((self._clock.now() - asked_at).total_seconds())
                return

    def _count_wait(self, seconds: float) -> None:
        if seconds > SHORTEST_WAIT:
            self.waits += 1
            self.waited += seconds

    def _refill(self) -> float:
        now = self._clock.now()
        passed = (now - self._filled_at).total_seconds()
        self._left = min(self._capacity, self._left + passed * self._rate)
        self._filled_at = now
        return self._left

    def _kept_back(self, urgency: Urgency) -> float:
        return 0.0 if urgency is Urgency.ORDER else self._capacity * self._budget.reserved

    def _available_at_most(self, urgency: Urgency) -> float:
        return self._capacity - self._kept_back(urgency)

    def _refuse_while_paused(self, urgency: Urgency) -> None:
        left = self.pause_left
        if left > 0 and urgency is not Urgency.ORDER:
            raise RateLimited(
                f"{self._venue} asks us to slow down; looked at again in {left:.0f} s.",
                venue=self._venue,
                retry_after=left,
            )
