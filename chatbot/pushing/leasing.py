"""Which shards this process works for: taken, kept by signs of life, handed on, and lost.

A process that cannot give a sign of life stops by its own clock before its term ends, so that whoever takes
over finds it gone. One that was paused and wakes later finds its term over at the first question; what it
would write all the same is refused by the database (``Leases.of_shard``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from chatbot.domain.shards import SHARDS, fair_share
from chatbot.errors import LeaseLost, StorageError
from chatbot.ports import Clock, Lease, LeaseTable, Muster
from chatbot.pushing.waking import Waker

BEAT_SECONDS = 1.0
SAFETY = 2.0  # seconds before the end of a term at which it counts as over here
DRAIN_SECONDS = 10.0
LOOK, BALANCE = "look", "balance"  # what processes tell each other

log = logging.getLogger(__name__)


def name_of(shard: int) -> str:
    return f"shard:{shard:02}"


_SHARD_NAMES = {name_of(shard): shard for shard in range(SHARDS)}


def uptime() -> float:
    """Seconds that go on while the process is stopped, and the machine asleep where it can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Work(Protocol):
    """What is done for the shards that are held."""

    async def begin(self, shards: Collection[int]) -> None:
        """They are this process's from now on."""
        ...

    async def let_go(self, shards: Collection[int], *, seconds: float) -> None:
        """Returns when nothing goes on for them any more; what has begun may end within the time."""
        ...

    def look(self) -> None:
        """There may be something to do that another process wrote."""
        ...

    def shared_by(self, processes: int, *, here: int) -> None:
        """So many share what is limited for all; ``here``: what is limited for this address."""
        ...


class LeaseKeeper:
    """``chatbot.ports.Leases`` by a table. ``duties`` are what one process does for all."""

    def __init__(
        self,
        table: LeaseTable,
        clock: Clock,
        *,
        term: timedelta,
        duties: Sequence[str] = (),
        seconds: Callable[[], float] = uptime,
    ) -> None:
        self._table = table
        self._term = term
        self._duties = tuple(duties)
        self._seconds = seconds
        self._clock = clock
        self._waker = Waker(clock)
        self._work: Work | None = None
        self._holder = ""
        self._ends_at = float("-inf")
        self._held: dict[str, int] = {}
        self._leaving: set[str] = set()
        self._shared: tuple[int, int] = (0, 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._retiring = False
        self._stopping = False
        self._finished = asyncio.Event()
        self._finished.set()

    # --- what is held -----------------------------------------------------------------------------

    @property
    def shards(self) -> frozenset[int]:
        if self._over:
            return frozenset()
        return frozenset(_shards_in(self._held.keys() - self._leaving))

    def holds(self, shard: int) -> bool:
        return self._holds(name_of(shard))

    def of_shard(self, shard: int) -> Lease:
        return self._lease(name_of(shard))

    def of_duty(self, name: str) -> Lease | None:
        return self._lease(name) if name in self._duties else None

    def _holds(self, name: str) -> bool:
        return name in self._held and name not in self._leaving and not self._over

    def _lease(self, name: str) -> Lease:
        """Also of one that is being handed on: what has begun may be written to its end."""
        if self._over or name not in self._held:
            raise LeaseLost
        return Lease(name, self._holder, self._held[name])

    @property
    def _over(self) -> bool:
        return self._seconds() >= self._ends_at

    async def turn(self, duty: str) -> None:
        """Until the duty is this process's."""
        while not self._holds(duty):
            await self._change()

    async def turn_over(self, duty: str) -> None:
        """Until it is not any more."""
        while self._holds(duty):
            await self._change()

    async def _change(self) -> None:
        await self._changed.wait()

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # --- what processes tell each other -----------------------------------------------------------

    def wake(self, shards: Collection[int]) -> None:
        mine = {shard for shard in shards if self.holds(shard)}
        if mine and self._work is not None:
            self._work.look()
        if others := sorted(set(shards) - mine):
            self._start(self._tell(f"{LOOK} {' '.join(map(str, others))}"))

    def heard(self, words: str) -> None:
        what, *rest = words.split()
        if what == BALANCE:
            self._waker.wake()
        elif what == LOOK and self._work is not None and any(self.holds(int(shard)) for shard in rest):
            self._work.look()

    async def _tell(self, words: str) -> None:
        try:
            await self._table.tell(words)
        except StorageError as error:  # they look by themselves a moment later
            log.info("the other processes were not told", extra={"reason": error.message})

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- life -------------------------------------------------------------------------------------

    async def start(self, work: Work) -> None:
        """The first shards are taken, and the work for them begun."""
        self._work = work
        self._table.listen(self.heard)
        await self._turn()

    async def run(self) -> None:
        """Until ``stop``."""
        self._finished.clear()
        try:
            while not self._stopping:
                self._waker.clear()
                self._waker.set_alarm(self._clock.now() + timedelta(seconds=BEAT_SECONDS))
                await self._waker.wait()
                await self._turn()
        finally:
            self._waker.set_alarm(None)
            self._finished.set()

    def retire(self) -> None:
        """Takes nothing more; what is held is kept until ``stop``."""
        self._retiring = True

    async def stop(self) -> None:
        """When nothing goes on any more: all is given up at once, for the others to go on with."""
        self._stopping = True
        self._waker.wake()
        await self._finished.wait()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._held.clear()
        self._tell_change()
        try:
            if self._holder:
                await self._table.leave()
                await self._table.tell(BALANCE)
        except StorageError as error:
            log.warning("the other processes wait for our term to end", extra={"reason": error.message})
        await self._table.close()

    async def _turn(self) -> None:
        try:
            muster = await self._in_time(self._sign_of_life())
            await self._settle(muster)
        except (StorageError, TimeoutError) as error:
            log.warning("no sign of life could be given", extra={"reason": str(error) or "too slow"})
            if isinstance(error, LeaseLost) or self._over:
                await self._lose_everything()

    async def _sign_of_life(self) -> Muster:
        began = self._seconds()
        if not self._holder:
            self._holder = await self._table.join(self._term)
            log.info("joined", extra={"holder": self._holder})
        muster = await self._table.beat(self._term)
        self._ends_at = began + self._term.total_seconds() - SAFETY
        return muster

    async def _in_time(self, work: Coroutine[None, None, Muster]) -> Muster:
        """No answer is awaited beyond the term."""
        left = self._ends_at - self._seconds() if self._held else self._term.total_seconds()
        async with asyncio.timeout(max(left, 0.0)):
            return await work

    async def _settle(self, muster: Muster) -> None:
        await self._lose([name for name in self._held if muster.held.get(name) != self._held[name]])
        shared = (muster.processes, muster.here)
        if self._work is not None and shared != self._shared:
            self._shared = shared
            self._work.shared_by(muster.processes, here=muster.here)
        if strays := sorted(muster.held.keys() - self._held.keys()):
            await self._table.give_up(strays)
        if not self._retiring:
            await self._take_what_is_due(muster.processes)
            self._hand_on_what_is_too_much(muster.processes)
        if self._work is not None:
            self._work.look()

    async def _take_what_is_due(self, processes: int) -> None:
        held = set(_shards_in(self._held.keys() - self._leaving))
        missing = fair_share(processes) - len(held)
        gained: dict[str, int] = {}
        if missing > 0:
            wanted = [name for name in _SHARD_NAMES if name not in self._held]
            gained |= await self._table.take(wanted, missing)
        if duties := [duty for duty in self._duties if duty not in self._held]:
            gained |= await self._table.take(duties, len(duties))
        if gained:
            await self._begin(gained)

    async def _begin(self, gained: Mapping[str, int]) -> None:
        self._held |= gained
        self._tell_change()
        shards = sorted(_shards_in(gained))
        log.info("took over", extra={"shards": len(shards), "held": len(self.shards)})
        if shards and self._work is not None:
            await self._work.begin(shards)

    def _hand_on_what_is_too_much(self, processes: int) -> None:
        held = sorted(_shards_in(self._held.keys() - self._leaving))
        surplus = [name_of(shard) for shard in held[fair_share(processes) :]]
        if surplus:
            self._leaving |= set(surplus)
            self._start(self._hand_on(surplus))

    async def _hand_on(self, names: Sequence[str]) -> None:
        if self._work is not None:
            await self._work.let_go(list(_shards_in(names)), seconds=DRAIN_SECONDS)
        self._forget(names)
        try:
            await self._table.give_up(names)
        except StorageError as error:  # the next sign of life finds them and gives them up
            log.warning("shards are not given up yet", extra={"reason": error.message})
        log.info("handed on", extra={"shards": len(names), "held": len(self.shards)})
        await self._tell(BALANCE)

    async def _lose(self, names: Sequence[str]) -> None:
        if not names:
            return
        log.warning("lost to another process", extra={"shards": len(names)})
        self._forget(names)
        if self._work is not None:
            await self._work.let_go(list(_shards_in(names)), seconds=0.0)

    async def _lose_everything(self) -> None:
        """And comes back under another name, so that nothing of before can be taken for it."""
        self._holder = ""
        self._ends_at = float("-inf")
        await self._lose(list(self._held))

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            self._held.pop(name, None)
            self._leaving.discard(name)
        self._tell_change()


def _shards_in(names: Iterable[str]) -> Iterable[int]:
    return (_SHARD_NAMES[name] for name in names if name in _SHARD_NAMES)
