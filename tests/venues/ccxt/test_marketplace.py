"""What all accounts of an exchange share: asked for once, kept, and replaced without anybody waiting."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from chatbot.clock import VirtualClock
from chatbot.errors import VenueUnavailable
from chatbot.ports import ROUTINE
from chatbot.venues.ccxt.marketplace import Kept

HOUR = timedelta(hours=1)


class Source:
    """Answers by number, when it may; ``gone``: not at all."""

    def __init__(self) -> None:
        self.asked: list[bool] = []  # whether nobody waited
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.gone = False

    async def ask(self) -> int:
        self.asked.append(ROUTINE.get())
        number = len(self.asked)
        await self.may_answer.wait()
        if self.gone:
            raise VenueUnavailable
        return number


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, tzinfo=UTC))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nobody_waits_for_a_list_that_is_read_again(clock: VirtualClock) -> None:
    source, kept = Source(), Kept[int](clock, HOUR)
    assert await kept.get(source.ask) == 1
    await clock.advance(3_601)
    source.may_answer.clear()

    assert [await kept.get(source.ask) for _ in range(3)] == [1, 1, 1]
    await settled()
    assert source.asked == [False, True], "once, and behind whatever somebody waits for"

    source.may_answer.set()
    await settled()
    assert await kept.get(source.ask) == 2


async def test_an_old_list_stands_in_while_there_is_no_other(clock: VirtualClock) -> None:
    source, kept = Source(), Kept[int](clock, HOUR)
    await kept.get(source.ask)
    await clock.advance(3_601)
    source.gone = True

    assert await kept.get(source.ask) == 1
    await settled()
    assert await kept.get(source.ask) == 1
    source.gone = False
    await settled()
    await kept.get(source.ask)
    await settled()
    assert await kept.get(source.ask) == len(source.asked)


async def test_the_first_list_is_waited_for_and_its_failure_told(clock: VirtualClock) -> None:
    source, kept = Source(), Kept[int](clock, HOUR)
    source.gone = True
    with pytest.raises(VenueUnavailable):
        await kept.get(source.ask)


async def test_what_is_closed_reads_nothing_more(clock: VirtualClock) -> None:
    source, kept = Source(), Kept[int](clock, HOUR)
    await kept.get(source.ask)
    await clock.advance(3_601)
    source.may_answer.clear()
    await kept.get(source.ask)
    await settled()

    kept.close()
    await settled()

    assert not [task for task in asyncio.all_tasks() if task.get_name() == "a list is read again"]
    assert len(source.asked) == 2
