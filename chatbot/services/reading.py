"""Reads of a venue may be tried again; writes never."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from chatbot.errors import RateLimited, VenueUnavailable
from chatbot.ports import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")


async def read_until_answered(clock: Clock, read: Callable[[], Awaitable[T]]) -> T:
    """For what must be known before anything else can happen: waits as long as the venue is away."""
    pause = 0.5
    while True:
        try:
            return await read()
        except RateLimited as error:
            pause = max(pause, error.retry_after)
            log.warning("venue %s is limiting us: waiting %.1f s", error.venue, pause)
        except VenueUnavailable as error:
            log.warning("venue %s is away: %s", error.venue, error.message)
        await clock.sleep(pause)
        pause = min(30.0, pause * 2)
