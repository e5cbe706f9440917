"""The trader of the main job: what is typed and tapped, and what has to be read before going on."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from tests.e2e.market import Stretch, write_market
from tests.e2e.phone import Phone
from tests.wire.bot_api import ChatMessage

USER = 7
SPEED = "1200"  # 20 minutes of the market in a second
CALM, RISEN, DANGEROUS = Decimal(100_000), Decimal(106_000), Decimal(112_500)


def moving_market(folder: Path) -> Path:
    """Calm, then a rise worth locking, then one that brings the short leg close to its liquidation."""
    stretches = [Stretch(100, CALM), Stretch(10, RISEN), Stretch(130, RISEN), Stretch(10, DANGEROUS)]
    return write_market(folder / "market.csv", CALM, stretches, settle_every=60, rate="0.0004")


async def locks_a_profit(phone: Phone) -> tuple[ChatMessage, str, str]:
    """Up to the warning that the short leg is in danger; with it what was promised and what was locked."""
    greeting = await phone.asks("/start", "Hedgerow")
    assert "Try on paper" in greeting.labels
    await phone.asks("/alerts funding 60m 0.1", "funding")
    await _opens(phone)
    funding = await phone.reads("#1 BTC: funding in", ever=True)
    assert "Long pays ~" in funding.text
    target = await phone.reads("lock it?", ever=True)
    assert "Hedge now" in target.labels
    promised, locked = await _hedges(phone)
    await _looks(phone)
    warning = await phone.reads("short leg 3", ever=True)
    assert "from liquidation" in warning.text
    assert "If it goes, you are long 0.05 BTC unhedged" in warning.text
    return warning, promised, locked


async def _opens(phone: Phone) -> None:
    offer = await phone.asks("/open BTC long 0.05 10x isolated", "Long 0.05 BTC")
    opened = await phone.chooses(offer, "Confirm", "#1 BTC is open: long 0.05 BTC")
    assert opened.id == offer.id, "the offer's own card is edited as the order goes"


async def _hedges(phone: Phone) -> tuple[str, str]:
    offer = await phone.asks("/hedge BTC", "Lock ~+")
    promised = offer.text
    hedged = await phone.chooses(offer, "Confirm", "#1 BTC is hedged")
    return promised, hedged.text


async def _looks(phone: Phone) -> None:
    status = await phone.asks("/status", "#1 BTC")
    assert re.search(r"net exposure\s+\+?0\.000", status.text), status.text
    refreshed = await phone.chooses(status, "Refresh", "#1 BTC")
    assert refreshed.id == status.id, "a refresh edits in place"
