"""Three processes on one database, many users; one is killed and one paused beyond its lease, under load.

``python -m tests.processes`` does more of it and measures.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.processes.cast import Cast, staged
from tests.processes.greenhouse import Pace

USERS = range(1000, 1010)


async def under_way(cast: Cast, living: asyncio.Task[None], deeds: int) -> None:
    """So many more are done; or what came in between of those who do them."""
    done = asyncio.ensure_future(cast.crowd.tally.until(cast.crowd.tally.deeds.total() + deeds))
    await asyncio.wait({done, living}, return_when=asyncio.FIRST_COMPLETED)
    done.cancel()
    if living.done():
        living.result()


async def test_a_kill_and_a_pause_under_load_lose_nothing_and_double_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    async with staged(postgres_url, tmp_path, USERS, pace=Pace(hurry=5)) as cast:
        killed, paused, _ = [await cast.enter() for _ in range(3)]
        await cast.balanced(3)
        living = asyncio.create_task(cast.crowd.live())
        await under_way(cast, living, 6)
        killed.send(signal.SIGKILL)
        gone = paused.name
        paused.send(signal.SIGSTOP)
        await cast.until_nothing_is_held_by(gone)
        await under_way(cast, living, 4)
        paused.send(signal.SIGCONT)
        await cast.balanced(2)
        await under_way(cast, living, 4)
        cast.crowd.stopping = True
        await living

        books = await cast.at_rest()
        assert books.complaints() == []
        assert books.unanswered(cast.crowd) == []
        assert books.sent_twice() == 0
        assert len(books.said_twice(cast.town, USERS)) <= len(USERS), "one was on its way in each chat"
        assert books.ledger_legs() == {}
        assert paused.name != gone, "it came back under another name"
