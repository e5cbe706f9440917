"""The real client of each exchange reads answers that were changed on the way: truth, or an error of ours.

What must never come of it: an error that is not ours, a number that is none, a position that vanished.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from chatbot.clock import SystemClock
from chatbot.domain.account import AccountView
from chatbot.domain.order import OrderType
from chatbot.errors import VenueError
from chatbot.venues.feeds import ETH
from tests.fuzz.bending import Bender, numbers_of
from tests.fuzz.scale import TIMES
from tests.wire.ccxt_rig import LONG, MAJORS, SHORT, Connected, loopback
from tests.wire.venues.faults import Bent, Endpoint

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("venue_id", MAJORS)]

TRIES = 14 * TIMES  # of each endpoint on each exchange


@dataclass(frozen=True)
class Question:
    endpoints: tuple[Endpoint, ...]
    ask: Callable[[Connected], Awaitable[Any]]


VIEW = (Endpoint.POSITIONS, Endpoint.BALANCE, Endpoint.OPEN_ORDERS, Endpoint.SETTINGS, Endpoint.MODE)
QUESTIONS: Mapping[str, Question] = {
    "view": Question((*VIEW, Endpoint.PRICES, Endpoint.BOOK), lambda rig: rig.venue.view({ETH})),
    "order": Question(
        (Endpoint.LOOKUP, Endpoint.HISTORY, Endpoint.FILLS), lambda rig: rig.venue.order(ETH, "in1")
    ),
    "stop": Question((Endpoint.LOOKUP, Endpoint.OPEN_ORDERS), lambda rig: rig.venue.order(ETH, "stop1")),
    "fills": Question((Endpoint.FILLS,), lambda rig: rig.venue.fills(ETH, since(rig))),
    "funding": Question((Endpoint.FUNDING,), lambda rig: rig.venue.funding_payments(ETH, since(rig))),
    "prices": Question((Endpoint.CANDLES,), lambda rig: rig.venue.price_history(ETH, since(rig))),
}


def since(rig: Connected) -> Any:
    return rig.clock.now() - timedelta(hours=20)


class Hasty(SystemClock):
    """Nobody is asked to wait for his turn."""

    def __init__(self) -> None:
        self._slept = timedelta()

    def now(self) -> datetime:
        return super().now() + self._slept

    async def sleep(self, seconds: float) -> None:
        self._slept += timedelta(seconds=seconds)
        await super().sleep(0)


@pytest.fixture
async def rig(venue_id: str) -> AsyncIterator[Connected]:
    async with loopback(venue_id, ago=timedelta(hours=9)) as server:
        rig = Connected(venue_id, server, clock=Hasty())
        await rig.open(LONG)
        await rig.open(SHORT, id="in2")
        await rig.place(rig.order(LONG, "1", opens=False, id="stop1", type=OrderType.STOP_LOSS, price="1500"))
        yield rig
        await rig.close()


async def test_a_changed_answer_is_an_error_of_ours_or_the_truth(rig: Connected, venue_id: str) -> None:
    chance = random.Random(venue_id)
    before = await rig.venue.view({ETH})
    problems: list[str] = []
    read = refused = 0
    for name, question in QUESTIONS.items():
        for endpoint in question.endpoints:
            for _ in range(TRIES):
                bender = Bender(chance)
                rig.server.faults.on(endpoint, *[Bent(bender)] * 4)
                why = f"{name}, {endpoint}"
                try:
                    answer = await question.ask(rig)
                except VenueError as error:
                    refused += 1
                    if venue_id not in f"{error.venue} {error.message}".lower():
                        problems.append(f"{why}: {bender.did}: {error.message}")
                except Exception as error:  # noqa: BLE001 (that it may be any is the point)
                    problems.append(f"{why}: {bender.did}: {error!r}")
                else:
                    read += bool(bender.did)
                    problems += [
                        f"{why}: {bender.did}: {what}" for what in wrong_with(answer, before, bender.did)
                    ]
                rig.server.faults.forget()
    assert problems == []
    assert read > 20
    assert refused > 20


def wrong_with(answer: object, before: AccountView, did: str) -> Iterator[str]:
    """Every number is one, and quantities and prices have their sign. A leg is there with its size; but what
    bears another market's name is another's.
    """
    for name, value in numbers_of(answer, ""):
        signed = name.rpartition(".")[2] not in {"quantity", "entry_price", "mark_price", "price", "leverage"}
        if not value.is_finite() or (value < 0 and not signed):
            yield f"{name} is {value}"
    if isinstance(answer, AccountView) and "ymbol" not in did and "instId" not in did:
        held = {(p.symbol, p.side): p.quantity for p in answer.positions}
        if held != {(p.symbol, p.side): p.quantity for p in before.positions}:
            yield f"this is held: {held}"
