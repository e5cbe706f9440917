"""Small things said right: what was rounded, what is off, what is paused, what rests where."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from tests.dialogs.harness import BTC, COIN, ETH, a_dialog
from tests.dialogs.test_adjust import a_pair
from tests.dialogs.test_small_print import rows

PAUSED = "New openings are paused by /panic. /panic off resumes; /close works as always."


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/open BTC long 1590usdt", "Rounded down to 0.015 BTC, ~1,500.00 USDT (steps of 0.001 BTC)."),
        ("/open BTC long 0.0159", "Rounded down to 0.015 BTC (steps of 0.001 BTC)."),
        (f"/open {COIN} long 0.0159btc", "Rounded down to 1,500 USD, ~0.01500000 BTC (steps of 100 USD)."),
        (f"/open {COIN} long 1590usd", "Rounded down to 1,500 USD (steps of 100 USD)."),
    ],
)
async def test_rounding_down_is_told_whatever_the_size_was_typed_in(typed: str, said: str) -> None:
    async with a_dialog() as dialog:
        assert said in await dialog.reads(typed)


@pytest.mark.parametrize("typed", ["/open BTC long 1500usdt", "/open BTC long 0.015", "/open BTC long 25%"])
async def test_what_was_not_rounded_is_not_said_to_be(typed: str) -> None:
    async with a_dialog() as dialog:
        assert "Rounded" not in await dialog.reads(typed)


async def test_settings_left_by_an_earlier_position_are_told_when_they_are_taken_over() -> None:
    async with a_dialog() as dialog:
        left = "is what the long side is set to on the exchange; name another to change it."
        assert f"⚠️ 10x {left}" in await dialog.reads("/open ETH long 1")
        assert "set to" not in await dialog.reads("/open ETH long 1 10x")
        await dialog.does("/open ETH long 1 4x isolated")
        assert "set to" not in await dialog.reads("/open ETH long 1"), "that is the position's own"
        await dialog.does("/close #1", button="Close")

        assert f"⚠️ 4x isolated {left}" in await dialog.reads("/open ETH long 1")
        assert f"⚠️ Isolated {left}" in await dialog.reads("/open ETH long 1 10x")
        assert f"⚠️ 4x {left}" in await dialog.reads("/open ETH long 1 cross")
        assert "set to" not in await dialog.reads("/open ETH long 1 10x cross")


async def test_the_pause_is_told_in_the_same_words_everywhere() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (card,) = await dialog.says("/panic")
        assert "/open, /hedge and growing by /adjust refuse until /panic off" in card.text
        for typed in ("/open BTC long 0.05", "/hedge", "/adjust #1 both +10%", "/status", "/start"):
            assert PAUSED in await dialog.reads(typed), typed


async def test_many_stops_stand_one_a_line_by_leg_and_price() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 short tp 2100")
        await dialog.does("/close #1 at 2500", button="At 2,500.00")
        await dialog.does("/adjust #1 long sl 2000")

        lines = [line.strip() for line in (await dialog.reads("/status")).splitlines()]

        begin = lines.index("stops:")
        assert lines[begin + 1 : begin + 5] == [
            "long stop-loss 2,000.00 (1)",
            "long closes at 2,500.00 (1)",
            "short take-profit 2,100.00 (1)",
            "short closes at 2,500.00 (1)",
        ]


async def test_a_level_of_an_alert_that_is_off_says_so_and_how_to_switch_it_on() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/alerts off target")
        assert "It is off: /alerts on target switches it on." in await dialog.reads("/alerts target 1000")
        await dialog.says("/alerts on target")
        assert "It is off" not in await dialog.reads("/alerts target 1000")


async def test_an_active_alert_shows_the_figure_that_was_passed() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1 10x isolated")
        await dialog.does("/hedge BTC")
        await dialog.price(BTC, 103_000)

        text = await dialog.reads("/alerts")

        assert "under 10 %" in text
        assert "level" not in text


async def test_what_is_hedged_already_points_to_growing_it() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (card,) = await dialog.says("/open ETH long 1")
        assert card.text.startswith("ETH is hedged already as #1; /adjust #1 both +10% grows it, /close #1")
        assert card.labels == ["/close #1"]


async def test_large_quantities_have_separators_in_refusals() -> None:
    async with a_dialog() as dialog:
        assert "can be 5,000,000 USD at most" in await dialog.reads(f"/open {COIN} long 5000001usd")


async def test_a_near_liquidation_is_no_exclamation_in_the_caption_of_a_chart() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 20x isolated")
        for minute in range(30):
            await dialog.price(ETH, 2_000 + minute % 2)
            await dialog.passes(60)

        text = await dialog.reads("/chart #1")

        (line,) = [line for line in text.splitlines() if "Nearest liquidation" in line]
        assert line.endswith(" % away.")


@pytest.mark.parametrize("price", ["1234.56", "2000.07", "3331.13", "987.65"])
async def test_the_fee_of_a_done_card_is_the_one_that_the_next_cards_count(price: str) -> None:
    async with a_dialog() as dialog:
        await dialog.price(ETH, price)
        opened = await dialog.does("/open ETH long 1.234 10x")
        (fee,) = re.findall(r"Fee ([0-9.]+) USDT", opened.text)
        await dialog.price(ETH, Decimal(price) * Decimal("1.0371"))

        assert rows(await dialog.reads("/hedge ETH"))["fees paid"] == f"-{fee}"
        assert rows(await dialog.reads("/status"))["fees so far"] == f"-{fee}"
