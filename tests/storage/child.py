"""Another process, for the tests that kill one: ``own URL`` or ``write URL``."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace

from chatbot.domain.hedge import HedgeId
from chatbot.domain.instrument import Symbol
from chatbot.ports import BookedFill, Changes, Store
from chatbot.storage.database import open_database
from tests.storage import samples

WRITERS = 8


def say(text: str) -> None:
    """At once and whole, whatever happens next."""
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


async def own(url: str) -> None:
    async with open_database(url):
        say("owned")
        await asyncio.Event().wait()


async def write(url: str) -> None:
    """Writers side by side; each commit counts in the hedge, books a fill and owes a message."""
    async with open_database(url) as database:
        await database.store.commit(samples.PEOPLE)
        await asyncio.gather(*(count(database.store, number) for number in range(WRITERS)))


async def count(store: Store, number: int) -> None:
    hedge = samples.hedge(f"h{number}", number=number, symbol=Symbol(f"S{number}"))
    await store.commit(Changes(hedges=(hedge,)))
    for attempt in range(1, 1_000_000):
        hedge = replace(hedge, version=attempt, attempt=attempt)
        key = f"{number}:{attempt}"
        booked: BookedFill = replace(samples.fill(key), hedge_id=HedgeId(f"h{number}"))
        await store.commit(
            Changes(hedges=(hedge,), fills=(booked,), outbox=(samples.message(key, slot=f"{number}"),))
        )
        say(key)


if __name__ == "__main__":
    asyncio.run({"own": own, "write": write}[sys.argv[1]](sys.argv[2]))
