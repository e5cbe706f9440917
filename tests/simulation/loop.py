"""An event loop in which nothing waits: where nobody is ready, time passes to the next alarm.

Tasks, futures, locks, events and ``asyncio.sleep`` are asyncio's own. What happens in the world (a request
on its way, another hand, a price) is kept apart from what the process waits for, so that a process can be
dropped while the world goes on.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from datetime import datetime, timedelta
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Handle:
    __slots__ = ("_cancelled", "args", "at", "callback", "context")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None, at: float = 0.0
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.at = at
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self.at


class VirtualLoop(asyncio.AbstractEventLoop):
    """Driven from outside by ``turn``. ``complaints``: what a task raised and nobody ever asked for."""

    def __init__(self) -> None:
        self._now = 0.0
        self.ready: deque[_Handle] = deque()
        self._alarms: list[tuple[float, int, _Handle]] = []
        self._world: list[tuple[float, int, Callable[[], object]]] = []
        self._tickets = itertools.count()
        self._tasks: list[asyncio.Task[Any]] = []  # of this life, also those that are done
        self.complaints: list[dict[str, Any]] = []
        self.dropping = False  # what is said now is said by the dead

    # --- as asyncio wants it --------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, context)
        self.ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, context, when)
        heapq.heappush(self._alarms, (when, next(self._tickets), handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    # --- as the simulation drives it ------------------------------------------------------------

    def at(self, when: float, happens: Callable[[], object]) -> None:
        """Of the world: whoever runs or does not run."""
        heapq.heappush(self._world, (when, next(self._tickets), happens))

    @property
    def world_at(self) -> float | None:
        """When the world does something next."""
        return self._world[0][0] if self._world else None

    def turn(self) -> None:
        """One callback; where nobody is ready, time passes."""
        if self.ready:
            handle = self.ready.popleft()
            if not handle._cancelled:
                handle.context.run(handle.callback, *handle.args)
            return
        while self._alarms and self._alarms[0][2].cancelled():
            heapq.heappop(self._alarms)
        alarm = self._alarms[0][0] if self._alarms else float("inf")
        if self._world and self._world[0][0] <= alarm:
            at, _, happens = heapq.heappop(self._world)
            self._now = max(self._now, at)
            happens()
        elif self._alarms:
            self._now = max(self._now, alarm)
            self.ready.append(heapq.heappop(self._alarms)[2])
        else:
            raise RuntimeError("everybody waits and nothing will ever happen")

    def pass_time(self, seconds: float) -> None:
        """Only the world moves: for while no process runs."""
        until = self._now + seconds
        while self._world and self._world[0][0] <= until:
            at, _, happens = heapq.heappop(self._world)
            self._now = max(self._now, at)
            happens()
        self._now = until

    def drop_all(self) -> None:
        """The process is gone: none of its tasks runs another line that matters."""
        tasks = [task for task in self._tasks if not task.done()]
        self._tasks.clear()
        self.dropping = True
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine: Any = task.get_coro()
            with suppress(BaseException):
                coroutine.throw(GeneratorExit)  # which one that never began takes without a warning
            with suppress(BaseException):
                coroutine.close()
        self.dropping = False
        self.ready.clear()
        self._alarms.clear()

    def reset(self) -> None:
        self.drop_all()
        self._world.clear()
        self.complaints.clear()
        self._now = 0.0


def new_loop() -> VirtualLoop:
    """Files, signals and servers, which a loop has too, are never asked for here."""
    return VirtualLoop()  # type: ignore[abstract]


@contextmanager
def running(loop: VirtualLoop) -> Iterator[VirtualLoop]:
    """Inside, asyncio takes this loop for the running one."""
    before, hooks = asyncio._get_running_loop(), sys.get_asyncgen_hooks()
    asyncio._set_running_loop(loop)
    # What is left over of a killed process is thrown away as it is; nothing of it runs to its end.
    sys.set_asyncgen_hooks(finalizer=lambda left_over: None)
    try:
        yield loop
    finally:
        sys.set_asyncgen_hooks(*hooks)
        asyncio._set_running_loop(before)


@coroutine
def others() -> Generator[None, None, None]:
    """Lets everybody run who is ready: ``asyncio.sleep(0)``, which is awaited a hundred times in a run."""
    yield


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of what does not wait for anything."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("that had to wait")


class LoopClock:
    """``chatbot.ports.Clock`` over a loop. ``off``: how far this clock is ahead of the world's."""

    def __init__(self, loop: VirtualLoop, start: datetime, off: float = 0.0) -> None:
        self._loop = loop
        self._start = start
        self.off = off
        self._known = (0.0, start)  # seconds, and what they are here

    def now(self) -> datetime:
        seconds = self._loop._now + self.off
        if seconds != self._known[0]:
            self._known = seconds, self._start + timedelta(seconds=seconds)
        return self._known[1]

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
