"""Several ``hedgerow run`` on one database, and what befalls them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chatbot.storage.postgres.connections import connected
from chatbot.storage.postgres.place import Place
from tests.e2e.market import still_market
from tests.e2e.program import on_telegram
from tests.processes.greenhouse import Greenhouse, Pace
from tests.processes.ledgers import SharedBooks
from tests.processes.town import Crowd, Town

REST_SECONDS = 60.0
HELD = (
    "SELECT p.id, count(l.name) FROM processes p LEFT JOIN leases l "
    "ON l.holder = p.id AND l.name LIKE 'shard:%' WHERE p.expires_at > to_char(clock_timestamp() "
    "AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') GROUP BY p.id"
)


@dataclass
class Actor:
    """One process. ``log`` is what it wrote to standard error."""

    pid: int
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    @property
    def name(self) -> str:
        """Under which it holds its leases now."""
        return str(re.findall(r"joined holder=(\w+)", self.log)[-1])

    @property
    def alive(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.alive:
            self.send(signal.SIGCONT)
            self.send(number)
        while self.alive:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)


@dataclass
class Cast:
    """``crowd`` is what the processes serve."""

    url: str
    folder: Path
    town: Town
    crowd: Crowd
    settings: Mapping[str, str]
    greenhouse: Greenhouse
    pace: Pace
    actors: list[Actor] = field(default_factory=list)

    async def enter(self) -> Actor:
        log_file = self.folder / f"{len(self.actors)}.log"
        log_file.touch()
        actor = Actor(await self.greenhouse.grow(self.settings, self.folder, log_file, self.pace), log_file)
        self.actors.append(actor)
        return actor

    async def balanced(self, processes: int, seconds: float = 40.0) -> None:
        """So many live, and each holds its share."""
        until = time.monotonic() + seconds
        while (shares := await self.shares()) and not _even(shares, processes):
            assert time.monotonic() < until, f"{shares}:\n{self.logs}"
            await asyncio.sleep(0.05)

    @property
    def logs(self) -> str:
        return "\n---\n".join(actor.log[-4_000:] for actor in self.actors)

    async def shares(self) -> list[int]:
        async with connected(Place.of(self.url), "shares") as connection:
            return [int(row[1]) for row in await connection.fetch(HELD)] or [0]

    async def held_by(self, holder: str) -> set[str]:
        async with connected(Place.of(self.url), "shares") as connection:
            rows = await connection.fetch("SELECT name FROM leases WHERE holder = $1", holder)
        return {str(name) for (name,) in rows}

    async def until_nothing_is_held_by(self, holder: str) -> float:
        """When that was, in monotonic seconds."""
        query = "SELECT count(*) FROM leases WHERE holder = $1"
        until = time.monotonic() + 40.0
        async with connected(Place.of(self.url), "watch") as connection:
            while await connection.fetchval(query, holder):
                assert time.monotonic() < until, f"{holder} holds on:\n{self.logs}"
                await asyncio.sleep(0.01)
        return time.monotonic()

    async def at_rest(self) -> SharedBooks:
        """Everything taken and handled, nothing in flight, nothing owed."""
        pushed = self.town._next_update_id
        await self.town.wait_for(lambda town: town.confirmed_below >= pushed, timeout=REST_SECONDS)
        books = SharedBooks(self.url, self.folder)
        until = time.monotonic() + REST_SECONDS
        while left := await asyncio.to_thread(books.unfinished):
            assert time.monotonic() < until, f"it does not come to rest: {left}"
            await asyncio.sleep(0.1)
        return books


def _even(shares: Sequence[int], processes: int) -> bool:
    return len(shares) == processes and sum(shares) == 64 and max(shares) - min(shares) <= processes


@asynccontextmanager
async def staged(
    url: str, folder: Path, users: Sequence[int], *, pace: Pace | None = None, **more: str
) -> AsyncIterator[Cast]:
    """No process runs yet. ``more``: settings."""
    market = still_market(folder / "market.csv")
    async with AsyncExitStack() as stack:
        town = await stack.enter_async_context(Town())
        greenhouse = await Greenhouse.open()
        stack.push_async_callback(greenhouse.close)
        settings = {
            "HEDGEROW_DATABASE_URL": url,
            "HEDGEROW_PAPER__MARKET": f"replay:{market}",
            "HEDGEROW_QUOTE__LIFETIME_SECONDS": "3600",
            "HEDGEROW_QUOTE__BAND": "0.5",
            "HEDGEROW_PROCESSES__LEASE_SECONDS": "6",
            **on_telegram(town, users),
            **{f"HEDGEROW_{name}": value for name, value in more.items()},
        }
        cast = Cast(url, folder, town, Crowd(town, users), settings, greenhouse, pace or Pace())
        try:
            yield cast
        finally:
            await asyncio.gather(*(actor.end() for actor in cast.actors))
