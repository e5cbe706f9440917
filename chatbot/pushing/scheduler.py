"""Named jobs at an interval, on whatever clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.ports import Clock
from chatbot.pushing.waking import Waker

JobFunction = Callable[[], Awaitable[None]]
Ended = Callable[[str, Exception | None], None]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    """Due at its first instant and whole intervals after it; instants missed while it ran are skipped."""

    name: str
    interval: timedelta
    run: JobFunction
    due_at: datetime
    running: bool = False

    def begin(self, now: datetime) -> None:
        self.running = True
        self.due_at += self.interval * ((now - self.due_at) // self.interval + 1)

    def end(self, now: datetime) -> None:
        self.running = False
        if self.due_at < now:
            self.due_at -= self.interval * ((self.due_at - now) // self.interval)


def _nobody(_name: str, _error: Exception | None) -> None:
    """Nobody counts."""


class Scheduler:
    """A job never overlaps itself; one that fails is logged and runs again at its next instant.

    ``ended`` is told of each run of a job, and of its error if it had one.
    """

    def __init__(self, clock: Clock, *, ended: Ended = _nobody) -> None:
        self._clock = clock
        self._told = ended
        self._waker = Waker(clock)
        self._jobs: dict[str, _Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._finished = asyncio.Event()
        self._finished.set()
        self._drain_seconds = 10.0

    def every(self, name: str, seconds: float, job: JobFunction, *, first_after: float = 0.0) -> None:
        if name in self._jobs:
            raise ValueError(f"there is a job named {name} already")
        if seconds <= 0:
            raise ValueError(f"the interval of {name} must be positive")
        first_at = self._clock.now() + timedelta(seconds=first_after)
        self._jobs[name] = _Job(name, timedelta(seconds=seconds), job, first_at)
        self._waker.wake()

    async def run_due(self) -> None:
        """Runs what is due now, one after the other in the order of registration."""
        for job in self._due():
            await self._run(job)

    async def run(self) -> None:
        self._finished.clear()
        try:
            while not self._stopping:
                self._waker.clear()
                for job in self._due():
                    self._start(job)
                self._waker.set_alarm(self._next_due_at())
                await self._waker.wait()
        finally:
            self._waker.set_alarm(None)
            await self._drain()
            self._finished.set()

    async def stop(self, *, drain_seconds: float = 10.0) -> None:
        """Starts no job any more; those that run may end within the deadline."""
        self._drain_seconds = drain_seconds
        self._stopping = True
        self._waker.wake()
        await self._finished.wait()

    def _due(self) -> list[_Job]:
        now = self._clock.now()
        return [job for job in self._jobs.values() if not job.running and job.due_at <= now]

    def _next_due_at(self) -> datetime | None:
        return min((job.due_at for job in self._jobs.values() if not job.running), default=None)

    def _start(self, job: _Job) -> None:
        job.running = True
        task = asyncio.create_task(self._run(job), name=f"job:{job.name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._waker.wake()

    async def _run(self, job: _Job) -> None:
        job.begin(self._clock.now())
        try:
            await job.run()
        except Exception as error:
            # The other jobs go on, and so does this one at its next instant.
            log.exception("job failed", extra={"job": job.name})
            self._told(job.name, error)
        else:
            self._told(job.name, None)
        finally:
            job.end(self._clock.now())

    async def _drain(self) -> None:
        if not self._tasks:
            return
        tasks = list(self._tasks)
        _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
