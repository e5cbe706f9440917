"""A lock in coin on OKX: opened, hedged, read, adjusted and closed from the chat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.venues.feeds import BTC, BTC_INVERSE
from tests.live.floor import Floor, a_floor

COIN = BTC_INVERSE
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
MOVES = "This lock is in coin; what it is worth in dollars still moves."


@pytest.fixture
async def floor() -> AsyncIterator[Floor]:
    """OKX is where orders go."""
    async with a_floor("okx") as floor:
        connected = await floor.connects()
        await floor.phone.chooses(connected, "Use okx", "Orders go to okx")
        yield floor


async def coins(floor: Floor) -> Decimal:
    held = (await floor.holder.view()).balance_in("BTC")
    assert held is not None
    return held.wallet


async def test_a_lock_in_coin_from_its_opening_to_its_close(floor: Floor) -> None:
    before = await coins(floor)
    opened = await floor.does("/open BTC/USD:BTC long 3000usd 5x", "is open", offers="3,000 USD")
    assert opened.text.startswith("✅ #1 BTC/USD:BTC is open: long 3,000 USD")
    assert await floor.held(COIN) == {LONG: 3_000}

    await floor.price("80000", COIN)
    offer = await floor.phone.asks("/hedge BTC/USD:BTC", "Lock ~+0.00")
    assert "BTC on BTC/USD:BTC" in offer.text
    assert MOVES in offer.text
    await floor.phone.chooses(offer, "Confirm", "BTC locked")
    assert await floor.held(COIN) == {LONG: 3_000, SHORT: 3_000}

    await floor.price("40000", COIN)
    status = await floor.phone.asks("/status", "net lock now")
    assert "locked ~+0.00925080 BTC" in status.text  # as it was at 80,000, less a dearer way out
    assert MOVES in status.text
    assert "3,000        3,000" in status.text

    await floor.does("/adjust #1 both -1000usd", "adjusted: long 2,000 USD and short 2,000 USD")
    assert await floor.held(COIN) == {LONG: 2_000, SHORT: 2_000} == await floor.ledger(COIN)

    done = await floor.does("/close BTC/USD:BTC", "closed:", button="Offset first")
    assert "✅ #1 BTC/USD:BTC closed: +0.009" in done.text
    assert await floor.held(COIN) == {}
    await floor.settled()
    assert await floor.complaints() == []
    gained = await coins(floor) - before
    assert Decimal("0.0091") < gained < Decimal("0.0094")
    assert (await floor.holder.view()).balance.wallet == 10_000


async def test_a_bare_coin_is_the_linear_perpetual(floor: Floor) -> None:
    opened = await floor.does("/open BTC long 0.01", "is open", offers="USDT")

    assert opened.text.startswith("✅ #1 BTC is open: long 0.01 BTC")
    assert await floor.held(BTC) == {LONG: Decimal("0.01")}
    assert await floor.held(COIN) == {}


async def test_a_leg_from_elsewhere_is_locked_and_given_margin_in_coin(floor: Floor) -> None:
    await floor.holder.set_leg(COIN, SHORT, leverage=Decimal(10), margin_mode=MarginMode.ISOLATED)
    await floor.trades_elsewhere(SHORT, "2000", symbol=COIN)
    await floor.price("60000", COIN)

    locked = await floor.does("/hedge BTC/USD:BTC", "BTC locked", offers=MOVES)
    assert "#1 BTC/USD:BTC is hedged: ~+0.0020" in locked.text
    assert await floor.held(COIN) == {LONG: 2_000, SHORT: 2_000}

    refused = await floor.phone.asks("/margin #1 short 5usdt", "in BTC, not in USDT")
    assert refused.labels == [] or "Confirm" not in refused.labels
    await floor.does(
        "/margin #1 short 0.001",
        "0.00100000 BTC added to the short",
        offers="add 0.00100000 BTC to the short",
    )
    leg = (await floor.holder.view()).position(COIN, SHORT)
    assert leg is not None and leg.margin is not None
    assert Decimal("0.0041") < leg.margin < Decimal("0.0042")  # a tenth of 2,000 at 64,000, and what came
