"""One-way mode and the way out of it; trades behind the bot's back; the account started over."""

from __future__ import annotations

import pytest

from tests.dialogs.harness import BTC, GROUP, Card, Dialog, a_dialog


async def in_one_way_mode(dialog: Dialog) -> Card:
    (card,) = await dialog.says("/paper mode one-way")
    return card


async def mode_of(dialog: Dialog) -> str:
    return next(line for line in (await dialog.reads("/settings")).splitlines() if "Position mode" in line)


@pytest.mark.parametrize("command", ["/open BTC long 0.05 10x", "/hedge BTC"])
async def test_one_way_mode_is_refused_with_the_reason_and_the_way_out(command: str) -> None:
    async with a_dialog() as dialog:
        await in_one_way_mode(dialog)

        (card,) = await dialog.says(command)
        assert "a second leg would close the first" in card.text
        assert card.labels == ["Switch to hedge mode"]
        await dialog.taps(card, "Switch to hedge mode")

        assert dialog.latest.text.startswith("✅ The account is in hedge mode.")
        assert await mode_of(dialog) == "Position mode: hedge, a long and a short can stand side by side."


async def test_with_a_position_in_the_way_the_switch_says_what_to_close() -> None:
    async with a_dialog() as dialog:
        await in_one_way_mode(dialog)
        await dialog.says("/paper elsewhere BTC long 0.05")

        (card,) = await dialog.says("/hedge BTC")
        assert card.labels == ["Close…", "Switch to hedge mode"]
        await dialog.taps(card, "Switch to hedge mode")
        assert "Close BTC first: /close BTC works in this mode, too." in dialog.latest.text
        assert "one-way" in await mode_of(dialog)

        await dialog.taps(card, "Close…")
        await dialog.taps(dialog.latest, "Close")
        await dialog.taps(card, "Switch to hedge mode")
        assert dialog.latest.text.startswith("✅ The account is in hedge mode.")


async def test_an_offer_confirmed_after_the_mode_changed_sends_nothing_and_shows_the_way_out() -> None:
    async with a_dialog() as dialog:
        (offer,) = await dialog.says("/open BTC long 0.05 10x")
        await in_one_way_mode(dialog)

        await dialog.taps(offer, "Confirm")

        assert dialog.latest.labels == ["Switch to hedge mode"]
        assert "Nothing is open." in await dialog.reads("/status")


async def test_the_settings_show_the_mode_and_switch_it_in_place() -> None:
    async with a_dialog() as dialog:
        await in_one_way_mode(dialog)
        (card,) = await dialog.says("/settings mode")
        assert "Position mode: one-way, a second leg would close the first." in card.text

        await dialog.taps(card, "Switch to hedge mode")

        assert "Position mode: hedge" in card.text
        assert "Switch to hedge mode" not in card.labels


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/settings mode one-way", "Hedges need hedge mode"),
        ("/settings mode both", "hedge or one-way, not both"),
        ("/paper mode", "The position mode is hedge or one-way."),
        ("/paper mode sideways", "not sideways"),
    ],
)
async def test_a_mode_that_is_none_is_answered_with_form_and_example(typed: str, said: str) -> None:
    async with a_dialog() as dialog:
        answer = await dialog.reads(typed)

        assert said in answer
        assert "Form: /" in answer
        assert "Position mode: hedge" in await mode_of(dialog)


async def test_the_mode_of_an_account_is_no_business_of_a_group() -> None:
    async with a_dialog() as dialog:
        assert "only in a private chat" in await dialog.reads("/settings mode hedge", chat=GROUP)


@pytest.mark.parametrize(
    ("typed", "done"),
    [
        ("ETH long 1", "Opened long 1 ETH behind the bot's back."),
        ("BTC/USD:BTC short 1000", "Opened short 1,000 USD of BTC/USD:BTC behind the bot's back."),
        ("BTC/USD:BTC short 1000usd", "Opened short 1,000 USD of BTC/USD:BTC behind the bot's back."),
    ],
)
async def test_a_trade_behind_the_bots_back_is_named_once(typed: str, done: str) -> None:
    async with a_dialog() as dialog:
        assert done in await dialog.reads(f"/paper elsewhere {typed}")


async def test_after_starting_over_the_watch_has_nothing_to_tell() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.5 20x")
        await dialog.does("/hedge BTC")
        await dialog.price(BTC, 101_000)
        (card,) = await dialog.says("/paper reset")
        await dialog.taps(card, "Yes, start over")
        known = len(dialog.screen.cards)

        for _ in range(5):
            await dialog.passes(5)

        assert dialog.screen.cards[known:] == []
        assert "No alert is active" in await dialog.reads("/alerts")
