"""The beginning on a copy: once for each restore, and not before the old process's last order has arrived."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from chatbot.clock import VirtualClock
from chatbot.errors import Conflict
from chatbot.services.restoring import QUIET, Beginning
from tests.services.world import BEGIN

COPIED = BEGIN - timedelta(hours=6)
WAIT = QUIET.total_seconds() + 1


class Copies:
    """A database's memory of being a copy."""

    def __init__(self, *, copied: datetime | None = None, restored: datetime | None = None) -> None:
        self.copied = copied
        self.restored = restored
        self.reasons: list[str] = []
        self.taken = False

    async def copied_at(self) -> datetime | None:
        return self.copied

    async def restored_at(self) -> datetime | None:
        return self.restored

    async def begin(self, copied_at: datetime, now: datetime, *, why: str) -> None:
        if self.taken:
            raise Conflict
        assert copied_at == self.copied
        self.copied, self.restored = None, now
        self.reasons.append(why)


async def waited(copies: Copies, clock: VirtualClock) -> float:
    """Seconds until it goes on."""
    begun = clock.now()
    waiting = asyncio.create_task(Beginning(copies, clock).wait())
    for _ in range(100):
        await asyncio.sleep(0)
        if waiting.done():
            return (clock.now() - begun).total_seconds()
        await clock.advance(0.5)
    raise AssertionError("it waits for ever")


async def test_a_copy_begins_once_and_says_why() -> None:
    copies, clock = Copies(copied=COPIED), VirtualClock(BEGIN)
    for _ in range(2):
        await Beginning(copies, clock).begin()
    assert copies.reasons == ["the ledger comes from a copy of 2026-01-05 03:00:00 UTC"]
    assert copies.restored == BEGIN


async def test_two_processes_may_begin_at_the_same_time() -> None:
    copies = Copies(copied=COPIED)
    copies.taken = True
    await Beginning(copies, VirtualClock(BEGIN)).begin()
    assert copies.reasons == []


async def test_an_ordinary_start_waits_for_nothing() -> None:
    assert await waited(Copies(), VirtualClock(BEGIN)) == 0


@pytest.mark.parametrize(
    ("since", "seconds"),
    [(0, WAIT), (10, WAIT - 10), (WAIT, 0), (86_400, 0), (-3_600, WAIT)],
    ids=["just restored", "killed while it waited", "long enough", "yesterday", "the clock was set back"],
)
async def test_the_old_process_is_given_the_time_that_its_last_order_may_take(
    since: float, seconds: float
) -> None:
    copies = Copies(restored=BEGIN - timedelta(seconds=since))
    assert await waited(copies, VirtualClock(BEGIN)) == seconds
