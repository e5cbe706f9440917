"""Several people with one bot: in a group, as strangers, and each with hedges of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.books import Books
from tests.e2e.market import still_market
from tests.e2e.phone import Phone, at_rest, quiet
from tests.e2e.program import Running, on_paper, on_telegram, running
from tests.wire.bot_api import LoopbackBotApi

ANN, BOB, EVE, GROUP = 7, 8, 666, -100
OPENING = "/open BTC long 0.05 10x isolated"

pytestmark = pytest.mark.slow


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


@pytest.fixture
async def bot(api: LoopbackBotApi, tmp_path: Path) -> AsyncIterator[Running]:
    settings = on_paper(tmp_path, still_market(tmp_path / "market.csv")) | on_telegram(api, [ANN, BOB])
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        yield bot


@pytest.mark.usefixtures("bot")
async def test_a_group_hears_no_balance_and_a_stranger_hears_nothing(api: LoopbackBotApi) -> None:
    ann, eve, alone = Phone(api, GROUP, ANN), Phone(api, GROUP, EVE), Phone(api, EVE)
    greeting = await ann.asks("/start@LoopbackBot", "Hedgerow")
    assert "10,000" not in greeting.text
    refused = await ann.asks("/paper@LoopbackBot", "private chat")
    assert "10,000" not in refused.text

    eve.says("/status@LoopbackBot")
    tap = eve.taps(greeting, "Help")
    assert await eve.toast(tap) == ""
    ann.says("only talking")
    assert await quiet(ann, 0.5) == []

    told = await alone.asks("/start", "do not know you")
    assert f"telegram:{EVE}" in told.text
    assert told.labels == []


async def test_two_people_never_see_or_move_what_is_the_others(
    api: LoopbackBotApi, bot: Running, tmp_path: Path
) -> None:
    ann, bob = Phone(api, ANN), Phone(api, BOB)
    offer = await ann.asks(OPENING, "Long 0.05 BTC")
    await bob.asks("/status", "Nothing is open")
    forged = await bob.asks("/start", "Hedgerow")
    tap = bob.taps_data(forged, offer.data_of("Confirm"))
    assert "Nothing was sent" in await bob.toast(tap)

    opened = await ann.chooses(offer, "Confirm", "#1 BTC is open")
    tap = bob.taps_data(forged, opened.data_of("Close…"))
    assert "not valid" in await bob.toast(tap)
    await bob.asks("/close #1", "no hedge #1")
    await bob.asks("/hedge #1", "no hedge #1")

    his = await bob.asks("/open BTC short 0.02 5x isolated", "Short 0.02 BTC")
    await bob.chooses(his, "Confirm", "#1 BTC is open: short 0.02 BTC")
    hers = await ann.asks("/status", "#1 BTC")
    assert "short" not in hers.text
    assert "0.02" not in hers.text
    await bob.asks("/status #1", "short 0.02")
    ways = await bob.asks("/close #1", "Close #1 BTC")
    await bob.chooses(ways, "Close", "#1 BTC closed")

    await at_rest(bob, tmp_path)
    assert await bot.stop() == 0
    books = Books(tmp_path)
    assert books.complaints() == []
    held = {(account, side): str(quantity) for (account, _, side), quantity in books.venue_legs().items()}
    assert held == {(f"paper:telegram:{ANN}", "long"): "0.05"}


async def test_a_leg_closed_outside_the_bot_is_told_by_itself(
    api: LoopbackBotApi, bot: Running, tmp_path: Path
) -> None:
    ann = Phone(api, ANN)
    offer = await ann.asks(OPENING, "Long 0.05 BTC")
    await ann.chooses(offer, "Confirm", "#1 BTC is open")
    offer = await ann.asks("/hedge BTC", "Lock")
    await ann.chooses(offer, "Confirm", "#1 BTC is hedged")
    await ann.asks("/paper elsewhere BTC short 0.05 close", "behind the bot's back")
    told = await ann.reads("leg is gone", ever=True)
    assert "Restore the hedge" in told.labels
