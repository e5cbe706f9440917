"""Whatever befalls a request on its way to an exchange: both books agree at the end, nothing is sent twice,
and the user is told how it ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import pytest

from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import PositionMode, PositionSide
from tests.live.floor import LONG, SHORT, Floor, a_floor
from tests.wire.bot_api import ChatMessage
from tests.wire.ccxt_rig import MAJORS
from tests.wire.venues.faults import (
    CutBody,
    Down,
    Endpoint,
    Garbage,
    LostReply,
    PartialFill,
    Refuse,
    Slow,
    Stale,
    TooMany,
)

pytestmark = pytest.mark.slow

Held = Mapping[PositionSide, int]
NO_MARGIN = {"binance": "-2019", "bybit": "110007", "okx": "51008"}
PAIR: Held = {LONG: 1, SHORT: 1}


@dataclass(frozen=True, slots=True)
class Deed:
    """What the user asks for; ``over``: how the card may end, ``done``: what is held when all went well."""

    command: str
    button: str
    over: tuple[str, ...]
    done: Held
    opened: bool = True
    paired: bool = False


DEEDS = {
    "open": Deed("/open ETH long 1 10x", "Confirm", ("is open", "not opened"), {LONG: 1}, opened=False),
    "hedge": Deed("/hedge ETH", "Confirm", ("is hedged", "not hedged"), PAIR),
    "close": Deed("/close", "Offset first", ("closed:", "not closed"), {}, paired=True),
    "at once": Deed("/close", "Both at once", ("closed:", "not closed"), {}, paired=True),
    "stop": Deed("/adjust #1 long sl 1800", "Confirm", ("are changed", "not changed"), PAIR, paired=True),
}


def on_placing(*faults: object) -> Callable[[Floor], None]:
    return lambda floor: floor.server.faults.on(Endpoint.PLACE, *faults)  # type: ignore[arg-type]


def partly(floor: Floor) -> None:
    floor.server.faults.on_orders(PartialFill(Decimal("0.4")))


def not_visible_yet(floor: Floor) -> None:
    """And the answer is lost, so that somebody has to look."""
    floor.server.faults.hide_new_orders(reads=4)
    floor.server.faults.on(Endpoint.PLACE, LostReply())


def stale_positions(floor: Floor) -> None:
    """Those of the confirmation are right; what is read afterwards is from before the order."""
    floor.server.faults.on(Endpoint.PLACE, LostReply())
    floor.server.faults.on(Endpoint.POSITIONS, None, Stale(), Stale())


FAULTS: Mapping[str, Callable[[Floor], None]] = {
    "reply lost": on_placing(LostReply()),
    "cut body": on_placing(CutBody()),
    "5xx before": on_placing(Down(503)),
    "5xx after": on_placing(Down(503, acted=True)),
    "garbage": on_placing(Garbage()),
    "empty": on_placing(Garbage("")),
    "429": on_placing(TooMany(retry_after=2)),
    "partial": partly,
    "not visible": not_visible_yet,
    "stale": stale_positions,
}


@pytest.fixture(params=MAJORS)
async def floor(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    async with a_floor(request.param) as floor:
        await floor.goes_live()
        yield floor


async def prepare(floor: Floor, deed: Deed) -> None:
    if deed.opened:
        await floor.does("/open ETH long 1 10x", "#1 ETH is open")
    if deed.paired:
        await floor.does("/hedge ETH", "#1 ETH is hedged")
    if deed is DEEDS["stop"]:
        await floor.does("/adjust #1 long sl 1700", "are changed")


async def ends(floor: Floor, deed: Deed, card: ChatMessage) -> ChatMessage:
    """The card that was tapped says how it ended, and all has come to rest."""
    over = await floor.phone.finds(
        lambda m: m.id == card.id and any(words in m.text for words in deed.over),
        f"the end of {deed.command}",
    )
    await floor.settled()
    return over


async def is_well(floor: Floor) -> None:
    assert await floor.complaints() == []
    assert not any(hedge.status is HedgeStatus.FROZEN for hedge in await floor.hedges())
    ledger = await floor.ledger()
    await floor.passes(20)
    await floor.looks()
    assert await floor.ledger() == ledger, "the watch finds nothing to put right"
    assert await floor.complaints() == []
    assert not any("Traceback" in message.text for message in floor.phone.messages)


async def offered(floor: Floor, deed: Deed) -> ChatMessage:
    floor.phone.says(deed.command)
    return await floor.phone.finds(lambda message: deed.button in message.labels, deed.button)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", DEEDS)
async def test_both_books_agree_and_nothing_is_sent_twice(floor: Floor, name: str, fault: str) -> None:
    deed = DEEDS[name]
    await prepare(floor, deed)
    card = await offered(floor, deed)
    FAULTS[fault](floor)

    floor.phone.taps(card, deed.button)
    over = await ends(floor, deed, card)

    assert deed.over[0] in over.text
    assert "⚠️" not in over.text, "what was put right is not worth a word"
    assert floor.server.faults.done
    assert await floor.held() == deed.done
    await is_well(floor)


async def test_a_stop_that_came_too_fast_for_the_exchange_is_set_a_moment_later(floor: Floor) -> None:
    floor.server.faults.on(Endpoint.PLACE, None, TooMany(retry_after=2))
    opened = await floor.does("/open ETH long 1 sl 1900", "#1 ETH is open")
    assert "On the exchange: stop-loss at 1,900.00." in opened.text
    assert "⚠️" not in opened.text
    (stop,) = [order for order in floor.holder.orders if order.open]
    assert stop.wish.trigger_price == 1900
    await is_well(floor)


@pytest.mark.parametrize("name", DEEDS)
async def test_a_slow_answer_is_waited_for(floor: Floor, name: str) -> None:
    deed, slow = DEEDS[name], Slow()
    await prepare(floor, deed)
    card = await offered(floor, deed)
    floor.server.faults.on(Endpoint.PLACE, slow)

    floor.phone.taps(card, deed.button)
    await slow.acted.wait()
    slow.gate.set()

    await ends(floor, deed, card)
    assert await floor.held() == deed.done
    await is_well(floor)


async def test_a_mode_that_another_hand_changes_after_the_offer_is_explained(floor: Floor) -> None:
    await floor.does("/open ETH long 1", "#1 ETH is open")
    await floor.does("/close ETH", "#1 ETH closed", button="Close")
    card = await offered(floor, DEEDS["open"])
    await floor.holder.set_position_mode(PositionMode.ONE_WAY)

    floor.phone.taps(card, "Confirm")

    # Where the mode comes with each reading it is seen before anything is sent, else by the refusal.
    told = await floor.phone.finds(
        lambda m: "in one-way mode" in m.text or "not in hedge mode any more" in m.text, "why not"
    )
    assert "[redacted]" not in told.text
    await floor.settled()
    floor.phone.says("/open ETH long 1")
    await floor.phone.finds(lambda m: "Switch to hedge mode" in m.labels, "the way out")
    assert await floor.held() == {}
    assert await floor.complaints() == []


async def test_a_hedge_that_the_exchange_refuses_leaves_the_position_as_it_was(floor: Floor) -> None:
    deed = DEEDS["hedge"]
    await prepare(floor, deed)
    card = await offered(floor, deed)
    floor.server.faults.on_orders(Refuse(NO_MARGIN[floor.venue_id], "Margin is insufficient."))

    floor.phone.taps(card, deed.button)
    over = await ends(floor, deed, card)

    assert over.text == "⚠️ #1 ETH not hedged: Margin is insufficient.\nNothing was filled."
    assert floor.server.faults.spent, "it was not tried again"
    assert await floor.held() == {LONG: 1}
    await is_well(floor)
