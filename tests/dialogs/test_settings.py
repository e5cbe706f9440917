"""The time zone, the greeting, the help."""

from __future__ import annotations

import pytest

from handlers.start import market_words
from tests.dialogs.harness import ETH, a_dialog


@pytest.mark.parametrize("typed", ["zone Europe/Berlin", "europe/berlin", "Berlin", "tz berlin"])
async def test_a_time_zone_is_taken_in_many_spellings(typed: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says(f"/settings {typed}")

        assert card.text.startswith("✅ Saved. Time zone: Europe/Berlin, now 2 Mar 13:00")
        assert "Europe/Berlin" in await dialog.reads("/settings")


async def test_a_near_miss_is_answered_with_what_was_meant() -> None:
    async with a_dialog() as dialog:
        assert "Did you mean Europe/Berlin, " in await dialog.reads("/settings zone Europe/Berlim")


async def test_a_zone_can_be_tapped() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/settings")

        await dialog.taps(card, "Tokyo")

        assert card.text.startswith("✅ Saved. Time zone: Asia/Tokyo, now 2 Mar 21:00")


async def test_the_greeting_says_what_is_connected() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/start")

        assert "Connected: paper account on the scripted market. Equity 10,000.00 USDT." in card.text
        assert card.labels == ["Try on paper", "Help"]


async def test_the_tour_leads_to_a_hedge_by_buttons_alone() -> None:
    async with a_dialog() as dialog:
        (start,) = await dialog.says("/start")
        await dialog.taps(start, "Try on paper")
        tour = dialog.latest
        await dialog.taps(tour, "Open BTC long 0.05")
        await dialog.taps(dialog.latest, "Confirm")
        await dialog.price(ETH, 2000)
        await dialog.taps(tour, "Hedge")
        await dialog.taps(dialog.latest, "Hedge BTC")
        quote = dialog.latest
        await dialog.taps(quote, "Confirm")

        assert quote.text.startswith("✅ #1 BTC is hedged")


async def test_a_paused_user_is_greeted_with_the_way_back() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/panic")

        (card,) = await dialog.says("/start")
        assert "paused" in card.text
        await dialog.taps(card, "Resume")

        assert "paused" not in await dialog.reads("/start")


async def test_help_on_what_does_not_exist_lists_what_does() -> None:
    async with a_dialog() as dialog:
        answer = await dialog.reads("/help dance")

        assert "I do not know dance." in answer
        assert "/hedge" in answer


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        ("simulated:7", "a simulated market"),
        ("replay:prices.csv", "a replayed market"),
        ("live:binance", "live prices of binance"),
    ],
)
def test_a_market_is_named_in_words(feed: str, words: str) -> None:
    assert market_words(feed) == words
