"""One stream, opened anew whenever it ends; one that says nothing for a while has ended."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from chatbot.errors import NotConnected, RateLimited, VenueError, VenueRejected, VenueUnavailable
from chatbot.ports import Clock, Stream

log = logging.getLogger(__name__)

SILENT_AFTER = timedelta(seconds=25)  # pings go out every ten
CHECK_SECONDS = 2.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
REFUSED_PAUSE = 600.0  # a key that is refused does not get better by the minute

Kept = TypeVar("Kept", bound=Stream)


class Keeper(Generic[Kept]):
    """``open`` makes a stream, or ``None`` where there is none; ``listen`` hears it and never returns.

    ``turned``: it lives now, or not any more, so something may have been missed.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        open: Callable[[], Awaitable[Kept | None]],
        listen: Callable[[Kept], Awaitable[None]],
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.stream: Kept | None = None
        self.alive = False
        self._clock = clock
        self._open = open
        self._listen = listen
        self._turned = turned
        self._pause = FIRST_PAUSE
        self._spread = zlib.crc32(name.encode()) / 2**32  # many do not come back in the same instant
        self._lost_at: datetime | None = None

    @property
    def missing_for(self) -> timedelta:
        """Zero while it lives, and before it ever did."""
        return timedelta(0) if self._lost_at is None else self._clock.now() - self._lost_at

    async def run(self) -> None:
        """Until it is canceled; ends by itself where there is no such stream, or no key for it."""
        while True:
            try:
                stream = await self._open()
                if stream is None:
                    return
                await self._hear(stream)
            except NotConnected:
                return
            except VenueError as error:
                await self._rest(error)

    async def _hear(self, stream: Kept) -> None:
        self.stream = stream
        tasks = [asyncio.ensure_future(self._listen(stream)), asyncio.ensure_future(self._heed(stream))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stream = None
            self._live(alive=False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await stream.close()
        for task in done:
            task.result()

    async def _heed(self, stream: Kept) -> None:
        heard, heard_at = 0, self._clock.now()
        while self._clock.now() - heard_at < SILENT_AFTER:
            await self._clock.sleep(CHECK_SECONDS)
            if stream.heard != heard:
                heard, heard_at = stream.heard, self._clock.now()
                self._live(alive=True)
        raise VenueUnavailable(f"{self.name}: the stream says nothing any more")

    def _live(self, *, alive: bool) -> None:
        if alive == self.alive:
            return
        self.alive = alive
        if alive:
            self._lost_at, self._pause = None, FIRST_PAUSE
        else:
            self._lost_at = self._clock.now()
        log.info("stream %s", "lives" if alive else "lost", extra={"stream": self.name})
        self._turned()

    async def _rest(self, error: VenueError) -> None:
        pause = self._pause_after(error)
        log.info("stream ended", extra={"stream": self.name, "error": type(error).__name__})
        await self._clock.sleep(pause)

    def _pause_after(self, error: VenueError) -> float:
        if isinstance(error, VenueRejected):
            return REFUSED_PAUSE
        pause, self._pause = self._pause, min(LONGEST_PAUSE, 2 * self._pause)
        if isinstance(error, RateLimited):
            pause = max(pause, error.retry_after or 0.0)
        return pause * (0.75 + 0.5 * self._spread)


class Shelf(Generic[Kept]):
    """Keepers by name, each running in a task of its own."""

    def __init__(self) -> None:
        self._keepers: dict[str, Keeper[Kept]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def get(self, name: str) -> Keeper[Kept] | None:
        return self._keepers.get(name)

    def states(self) -> list[tuple[str, bool]]:
        """The name of each keeper, and whether its stream lives."""
        return [(keeper.name, keeper.alive) for keeper in self._keepers.values()]

    def put(self, name: str, keeper: Keeper[Kept]) -> None:
        self._keepers[name] = keeper
        task = self._tasks[name] = asyncio.create_task(keeper.run(), name=f"stream:{name}")
        task.add_done_callback(_log_failure)

    def keep_only(self, names: Collection[str]) -> None:
        for name in self._keepers.keys() - set(names):
            self.end(name)

    def end(self, name: str) -> None:
        if self._keepers.pop(name, None) is None:
            return
        task = self._tasks.pop(name)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        self.keep_only(())
        await asyncio.gather(*self._ending, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    """Polling goes on without it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a stream failed", exc_info=error, extra={"stream": task.get_name()})
