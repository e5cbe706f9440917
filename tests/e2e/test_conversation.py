"""The whole main job as a user reads it: the real program, Telegram's own protocol, a market that moves."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.books import Books
from tests.e2e.market import Stretch, write_market
from tests.e2e.phone import Phone
from tests.e2e.program import Running, on_paper, on_telegram, running
from tests.wire.bot_api import LoopbackBotApi

USER = 7
SPEED = "1200"  # 20 minutes of the market in a second
CALM, RISEN, DANGEROUS = Decimal(100_000), Decimal(106_000), Decimal(112_500)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """Calm, then a rise worth locking, then one that brings the short leg close to its liquidation."""
    stretches = [Stretch(100, CALM), Stretch(20, RISEN), Stretch(160, RISEN), Stretch(20, DANGEROUS)]
    return write_market(tmp_path / "market.csv", CALM, stretches, settle_every=60, rate="0.0004")


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


@pytest.fixture
async def bot(api: LoopbackBotApi, market: Path, tmp_path: Path) -> AsyncIterator[Running]:
    settings = on_paper(tmp_path, market, PAPER__SPEED=SPEED) | on_telegram(api, [USER])
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        yield bot


def amount(pattern: str, text: str) -> Decimal:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern!r} is not in:\n{text}"
    return Decimal(found[1].replace(",", ""))


@pytest.mark.slow
async def test_a_profit_is_locked_warned_about_and_closed_offset_first(
    api: LoopbackBotApi, bot: Running, tmp_path: Path
) -> None:
    phone = Phone(api, USER)
    greeting = await phone.asks("/start", "Hedgerow")
    assert "Try on paper" in greeting.labels

    await phone.asks("/alerts funding 60m 0.1", "funding")
    offer = await phone.asks("/open BTC long 0.05 10x isolated", "Long 0.05 BTC")
    opened = await phone.chooses(offer, "Confirm", "#1 BTC is open: long 0.05 BTC")
    assert opened.id == offer.id, "the offer's own card is edited as the order goes"

    funding = await phone.reads("#1 BTC: funding in", ever=True)
    assert "Long pays ~" in funding.text

    target = await phone.reads("lock it?", ever=True)
    assert "Hedge now" in target.labels
    offer = await phone.asks("/hedge BTC", "Lock ~+")
    promised = amount(r"Lock ~\+([\d.,]+) USDT", offer.text)
    hedged = await phone.chooses(offer, "Confirm", "#1 BTC is hedged")
    assert amount(r"~\+([\d.,]+) USDT locked", hedged.text) == pytest.approx(promised, abs=2)

    status = await phone.asks("/status", "#1 BTC")
    assert re.search(r"net exposure\s+\+?0\.000", status.text), status.text
    refreshed = await phone.chooses(status, "Refresh", "#1 BTC")
    assert refreshed.id == status.id, "a refresh edits in place"

    warning = await phone.reads("short leg 3", ever=True)
    assert "from liquidation" in warning.text
    assert "If it goes, you are long 0.05 BTC unhedged" in warning.text
    ways = await phone.chooses(warning, "Close…", "Close #1 BTC")
    assert {"Offset first", "Both at once", "Only the offset", "Cancel"} <= set(ways.labels)
    done = await phone.chooses(ways, "Offset first", "#1 BTC closed")

    assert await bot.stop() == 0
    books = Books(tmp_path)
    assert books.complaints() == []
    assert books.venue_legs() == {}
    (wallet,) = books.wallets().values()
    told = amount(r"closed: \+([\d.,]+) USDT", done.text)
    assert told == (wallet - 10_000).quantize(Decimal("0.01")), "what is told is what the wallet gained"
    sides = [side for (side,) in books.venue("SELECT position_side FROM fills ORDER BY number")]
    assert list(dict.fromkeys(sides[-len(sides) // 2 :])) == ["short", "long"], "the offset leg went first"
    assert "ERROR" not in bot.log
    assert api.token not in bot.log
