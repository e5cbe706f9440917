"""Takes a reading when somebody wants one, and not more often than once a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from chatbot.errors import StorageError
from chatbot.observing.ages import Ages
from chatbot.observing.health import Health
from chatbot.observing.reading import Ledger, Reading, naked_legs
from chatbot.ports import Census, Clock, Mailbox, Pace, Store

FRESH_FOR = timedelta(seconds=1)
WRITE_AFTER = timedelta(seconds=10)  # without a write of anybody's, one is tried
ASK_SECONDS = 10.0
CURSOR = "operator's probe"


@dataclass(frozen=True, slots=True)
class Sources:
    """The database, and what the bot remembers. ``looks`` may raise ``StorageError``."""

    census: Census
    store: Store
    mailbox: Mailbox
    unexplained: Callable[[], int]
    looks: Callable[[], Awaitable[Mapping[str, timedelta]]]
    streams: Callable[[], Mapping[tuple[str, bool], int]]
    paces: Callable[[], Mapping[str, Pace]]


class Reader:
    def __init__(self, sources: Sources, clock: Clock, health: Health) -> None:
        self._sources = sources
        self._clock = clock
        self._health = health
        self._ages = Ages()
        self._lock = asyncio.Lock()
        self._last: Reading | None = None

    async def read(self) -> Reading:
        async with self._lock:
            if self._last is None or self._clock.now() - self._last.at >= FRESH_FOR:
                self._last = await self._read()
            return self._last

    async def _read(self) -> Reading:
        began = self._clock.now()
        ledger, looks = await self._ask_database()
        sources, now = self._sources, self._clock.now()
        return Reading(
            at=now,
            seconds=(now - began).total_seconds(),
            ledger=ledger,
            unexplained=sources.unexplained(),
            looks=looks,
            streams=sources.streams(),
            paces=sources.paces(),
        )

    async def _ask_database(self) -> tuple[Ledger | None, Mapping[str, timedelta]]:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._write_something()
                return await self._ledger(), await self._sources.looks()
        except (StorageError, TimeoutError) as error:
            self._health.broke(error)
            return None, {}

    async def _write_something(self) -> None:
        """A database that can be read may still refuse to be written."""
        now, written_at = self._clock.now(), self._health.written_at
        if self._health.broken_since is None and written_at is not None and now - written_at < WRITE_AFTER:
            return
        await self._sources.mailbox.receive((), cursor=(CURSOR, int(now.timestamp())))

    async def _ledger(self) -> Ledger:
        standing = await self._sources.census.standing()
        running = await self._sources.store.unfinished_operations()
        now = self._clock.now()
        self._ages.look(standing.newest_row, now)
        self._ages.forget_below(standing.owed.first_row)
        return Ledger(
            standing,
            naked_legs(running),
            len(running),
            owed_for=self._ages.of(standing.owed, now),
            alert_owed_for=self._ages.of(standing.owed_alerts, now),
        )
