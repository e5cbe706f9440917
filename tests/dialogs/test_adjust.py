"""Growing, shrinking, evening out, moving stops, adding margin: what I type and what I read."""

from __future__ import annotations

import pytest

from tests.dialogs.harness import BTC, COIN, ETH, Dialog, a_dialog
from tests.dialogs.test_small_print import rows


async def a_pair(dialog: Dialog, *, words: str = "10x") -> None:
    await dialog.does(f"/open ETH long 1 {words}")
    await dialog.price(ETH, 2_300)
    await dialog.does("/hedge ETH")


async def test_the_button_of_a_status_card_shows_what_can_be_changed() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (status,) = await dialog.says("/status")

        await dialog.taps(status, "Adjust")
        menu = dialog.latest

        assert menu.text.startswith("Adjust #1 ETH · long 1 ETH · short 1 ETH")
        assert menu.labels == ["Both +10%", "Both −10%", "Both +50%", "Both −50%"]
        await dialog.taps(menu, "Both +50%")
        offer = dialog.latest
        assert offer.text.startswith("🔒 #1 ETH: long +0.5 ETH, short +0.5 ETH · mark 2,300.00")
        await dialog.taps(offer, "Confirm")
        assert offer.text.startswith("✅ #1 ETH adjusted: long 1.5 ETH and short 1.5 ETH")
        assert rows(offer.text)["net lock ~"] == rows(await dialog.reads("/status"))["net lock now"][1:]


async def test_an_adjustment_shows_each_leg_before_and_after_and_the_lock() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        (card,) = await dialog.says("/adjust #1 both -50%")

        lines = [line.strip() for line in card.text.splitlines()]
        assert "quantity        1.000        1.000" in lines
        assert "then          0.500        0.500" in lines
        assert any(line.startswith("sell 0.500 (long)") for line in lines)
        assert all(len(line) <= 34 for line in lines if line.startswith(("quantity", "then", "sell")))
        assert card.labels == ["Confirm", "Cancel"]


async def test_unequal_legs_are_evened_out_by_the_way_that_is_tapped() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 offset -0.4")
        assert rows(await dialog.reads("/status"))["imbalance"] == "40.0 %"

        card = await dialog.does("/adjust #1 rebalance", button="Add to the short")

        assert card.text.startswith("✅ #1 ETH adjusted: long 1 ETH and short 1 ETH")
        assert rows(await dialog.reads("/status"))["imbalance"] == "0.0 %"


async def test_a_stop_is_moved_and_the_status_shows_only_the_new_one() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 sl 2100")

        (card,) = await dialog.says("/adjust #1 sl 2200")
        assert rows(card.text)["stop-loss now"] == "2,100.00"
        assert "A stop on the long alone leaves the short naked when it fires." in card.text
        await dialog.taps(card, "Confirm")

        assert card.text.startswith(
            "✅ #1 ETH: the stops of the long are changed\nOn the exchange: stop-loss at 2,200.00."
        )
        assert "stops: long stop-loss 2,200.00 (1)" in await dialog.reads("/status")
        gone = await dialog.does("/adjust #1 sl off")
        assert "No stop-loss any more." in gone.text
        assert "stops: none" in await dialog.reads("/status")


async def test_a_closing_price_is_taken_back() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1 at 2400", button="At 2,400.00")
        assert "closes at 2,400.00" in await dialog.reads("/status")

        card = await dialog.does("/close #1 at off")

        assert card.text.startswith("✅ #1 ETH no longer closes by itself at a price")
        assert "stops: none" in await dialog.reads("/status")
        assert "No closing order of mine rests on ETH." in await dialog.reads("/close #1 at off")


async def test_margin_is_offered_on_the_warning_and_moves_the_liquidation() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1 10x isolated")
        await dialog.does("/hedge BTC")
        await dialog.price(BTC, 105_000)
        (warning,) = [card for card in dialog.screen.cards if "short leg" in card.text and "🛑" in card.text]
        assert "moves it to ~" in warning.text
        (button,) = [label for label in warning.labels if label.startswith("Add ")]

        await dialog.taps(warning, button)
        offer = dialog.latest
        assert offer.text.startswith("🔒 #1 BTC: add ")
        promised = rows(offer.text)["liq then"].removeprefix("~")
        await dialog.taps(offer, "Confirm")

        assert f"Its liquidation is at {promised} now (exchange)." in offer.text
        assert promised in await dialog.reads("/status")


async def test_a_cross_leg_is_told_to_be_backed_by_the_account() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        assert "cross margin, the whole account stands behind it" in await dialog.reads("/margin #1")
        assert "is in cross margin" in await dialog.reads("/margin #1 short 60")


async def test_the_only_thing_that_is_open_needs_no_name() -> None:
    async with a_dialog() as dialog:
        assert "Nothing is open." in await dialog.reads("/adjust both +10%")
        await a_pair(dialog)
        assert "long +0.1 ETH" in await dialog.reads("/adjust both +10%")
        await dialog.does("/open BTC long 0.1")
        (card,) = await dialog.says("/adjust both +10%")
        assert card.text.startswith("Which one? Each shows its offer first.")
        assert card.labels == ["Adjust #1 ETH", "Adjust #2 BTC"]
        await dialog.taps(card, "Adjust #1 ETH")
        assert card.text.startswith("🔒 #1 ETH: long +0.1 ETH, short +0.1 ETH")


async def test_margin_without_a_name_asks_which_one() -> None:
    async with a_dialog() as dialog:
        assert "Nothing is open." in await dialog.reads("/margin long 60")
        await dialog.does("/open BTC long 0.1 10x isolated")
        assert "add 60.00 USDT to the long" in await dialog.reads("/margin long 60")
        await dialog.does("/open ETH short 1 10x isolated")
        (card,) = await dialog.says("/margin short 60")
        assert card.labels == ["Margin of #1 BTC", "Margin of #2 ETH"]
        await dialog.taps(card, "Margin of #2 ETH")
        assert "#2 ETH: add 60.00 USDT to the short" in card.text


async def test_an_inverse_pair_is_scaled_in_dollars() -> None:
    async with a_dialog() as dialog:
        await dialog.does(f"/open {COIN} long 1000usd 5x")
        await dialog.does("/hedge #1")
        card = await dialog.does("/adjust #1 both +100%")
        assert card.text.startswith("✅ #1 BTC/USD:BTC adjusted: long 2,000 USD and short 2,000 USD")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/adjust #1 both 0.1", "Grow or shrink? Write `+0.1` or `-0.1`."),
        ("/adjust #1 both", "I need to know by how much: `+0.01` grows, `-10%` shrinks."),
        ("/adjust #1 +0.1", "I need the leg: `primary`, `offset` or `both`."),
        ("/adjust #1 both long +0.1", "You named a leg and `both`; I need one of them."),
        ("/adjust #1 both +0.1 rebalance", "One change at a time, please"),
        ("/adjust #1 both +NaN", "`NaN` is not a number I can use."),
        ("/adjust #1 both +1e400", "without an exponent"),
        ("/adjust #1 both ++1", "has two signs"),
        ("/adjust #1 both +1 -1", "I see more than one size"),
        ("/adjust #1 both +0", "The size must be more than zero"),
        ("/adjust #1 both +99999%", "A leg grows by 1000 % at most in one step."),
        ("/adjust #1 both -100%", "which is all of it; `/close #1` closes."),
        ("/adjust #1 both +1000", "of margin"),
        ("/adjust #1 offset +1", "more than it hedges"),
        ("/adjust #1 long sl 9999", "The stop-loss of a long lies below the price"),
        ("/adjust #1 sl", "I need a price after `sl`."),
        ("/adjust #1 sl 0", "must be more than zero"),
        ("/adjust #1 sl off", "Both legs are open; name the one that is meant"),
        ("/adjust #1 long tp off", "The long has no take-profit that I could remove."),
        ("/adjust #9 both +1", "You have no hedge #9."),
        ("/adjust #1 sideways +1", "I do not know what `sideways` means here."),
        ("/adjust #1 both sl 2100", "The stops of one leg at a time, please: `long` or `short`."),
        ("/adjust #1 rebalance long", "`rebalance` takes no leg"),
        ("/adjust #1 long +10x", "`+10x` is a leverage; I need a size: `+0.1`, `-10%` or `+1000usdt`."),
        ("/adjust #1 long tp 9e9", "without an exponent"),
        ("/adjust #1 long tp 99999999999999999999", "The take-profit is too large to be a price."),
        ("/adjust #1 both -0.001%", "less than one order"),
        ("/adjust #1 BTC both +10%", "#1 is on ETH, not on BTC."),
        ("/margin #1 short 25%", "`25%` does not fit here: margin is an amount of money, like `60`"),
        ("/close #1 0.1", "`0.1` does not fit here: how much to close is a share (`50%`)"),
        ("/close #1 2500", "a price stands behind `at`"),
        ("/close #1 0.0001%", "0.0001 % of your long is less than one order"),
        ("/close #1 at -5", "The closing price must be more than zero, not `-5`."),
        ("/close #1 at 99999999999999999999", "The closing price is too large to be a price."),
        ("/hedge #1 0.5", "`0.5` does not fit here: how much to hedge is a share, like `50%`."),
        ("/status #1 nonsense", "I do not know what `nonsense` means here."),
        ("/margin #1 60", "I need the leg: `long` or `short`, `primary` or `offset`."),
        ("/margin #1 short -60", "The amount must be more than zero"),
        ("/margin #1 short NaN", "is not a number I can use"),
        ("/margin #1 long short 60", "One leg at a time, please."),
        ("/margin #1 short 60 70", "I see more than one amount"),
        ("/margin #1 short 60btc", "The margin of this market is in USDT, not in BTC."),
    ],
)
async def test_a_mistake_says_what_is_wrong_and_changes_nothing(typed: str, said: str) -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        before = await dialog.reads("/status")

        (card,) = await dialog.says(typed)

        plain_words = said.replace("`", "").replace("**", "")
        assert plain_words in card.text, card.text
        assert "Confirm" not in card.labels
        assert await dialog.reads("/status") == before


@pytest.mark.parametrize(
    "typed",
    [
        "/adjust #1 both sl 2100",
        "/adjust #1 sl",
        "/adjust #1 long sl 9999",
        "/adjust #1 sl off",
        "/adjust #1 sl 0",
    ],
)
async def test_a_complaint_about_a_stop_shows_how_a_stop_is_written(typed: str) -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        text = await dialog.reads(typed)

        assert "Form: /adjust #ID [long|short] sl|tp PRICE|off" in text
        assert "Example: /adjust" in text
        assert "+10%" not in text


async def test_rebalancing_both_is_rebalancing() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 offset -0.4")
        assert "Trim the long" in (await dialog.says("/adjust #1 rebalance both"))[0].labels


async def test_the_number_of_a_hedge_may_stand_beside_the_name_of_its_market() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        assert "Close #1 ETH" in await dialog.reads("/close #1 ETH")
        await dialog.does(f"/open {COIN} long 1000usd 5x")
        assert "Close #2 BTC/USD:BTC" in await dialog.reads("/close #2 btc")


async def test_what_only_one_of_two_ways_brings_is_said_in_one_sentence() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog, words="10x isolated")
        await dialog.does("/adjust #1 offset -0.4")

        warnings = [line for line in (await dialog.reads("/adjust #1 rebalance")).splitlines() if "⚠️" in line]

        assert warnings
        for warning in warnings:
            assert warning.startswith(("⚠️ Trim the long: the ", "⚠️ Add to the short: the "))
            assert not warning.endswith("then.")
