"""Lines that are there only when they say something, and each thing said once."""

from __future__ import annotations

from decimal import Decimal

from tests.dialogs.harness import BTC, COIN, ETH, SOL, Dialog, a_dialog


def rows(text: str) -> dict[str, str]:
    """Label to value of the lines that have both."""
    pairs = (line.strip().rsplit("  ", 1) for line in text.splitlines() if line.startswith("  "))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


# --- status -------------------------------------------------------------------------------------


async def test_a_near_liquidation_is_said_once_and_the_nearest_first() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1 20x isolated")
        await dialog.does("/hedge BTC")
        await dialog.price(BTC, 104_000)

        status = await dialog.reads("/status")

        warnings = [line for line in status.splitlines() if line.startswith("⚠️")]
        assert warnings == ["⚠️ short leg 0.6 % from liquidation", "⚠️ long leg 8.3 % from liquidation"]


async def test_what_was_told_is_said_in_words_with_its_age() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.price(ETH, 2_200)
        assert "⚠️ profit target reached (told just now)" in await dialog.reads("/status")

        await dialog.passes(120)

        assert "⚠️ profit target reached (told 2 min ago)" in await dialog.reads("/status")
        assert "#1 profit target reached (long)" in await dialog.reads("/alerts")


async def test_a_leg_that_is_gone_still_counts_in_what_was_paid_and_realized() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.price(ETH, 2_300)
        await dialog.does("/hedge ETH")
        before = rows(await dialog.reads("/status"))
        await dialog.says("/paper elsewhere ETH short 1 close")
        await dialog.passes(5)

        after = rows(await dialog.reads("/status"))

        assert before["fees so far"] == "-2.15"
        assert after["fees so far"] == "-3.30"
        assert after["realized so far"] == "-0.12"
        assert rows(await dialog.reads("/hedge ETH"))["fees paid"] == after["fees so far"]


async def test_what_was_realized_is_a_line_of_a_hedge_that_was_closed_in_part() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 2 10x")
        await dialog.price(ETH, 2_300)
        await dialog.does("/hedge ETH")
        assert "realized so far" not in await dialog.reads("/status")

        await dialog.does("/close ETH 50%", button="Offset first")

        assert "realized so far" in rows(await dialog.reads("/status"))


# --- offers -------------------------------------------------------------------------------------


async def test_closing_a_part_promises_what_the_part_realizes() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 2 10x")
        await dialog.price(ETH, 2_300)
        await dialog.does("/hedge ETH")
        await dialog.passes(60)

        (card,) = await dialog.says("/close ETH 50%")
        assert card.text.startswith("Close 50 % of #1 ETH, realizes ~+297.")
        assert "in total" not in card.text
        promised = card.text.split("~")[1].split(" ")[0]
        await dialog.taps(card, "Offset first")

        assert card.text.startswith(f"✅ #1 ETH: realized {promised} USDT")
        assert "Fee " not in card.text


async def test_lifting_the_hedge_has_no_result_of_the_whole() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/hedge ETH")

        text = await dialog.reads("/close ETH")

        assert text.count("in total") == 2


async def test_an_offer_that_adds_to_a_leg_says_what_is_sent() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open SOL long 10 10x")
        (half,) = await dialog.says("/hedge SOL 40%")
        assert "to send" not in half.text
        await dialog.taps(half, "Confirm")

        text = await dialog.reads("/hedge SOL")

        assert rows(text)["quantity         10.0"] == "10.0"
        assert rows(text)["to send"] == "6.0"


async def test_quantities_and_sums_of_an_opening_have_their_unit() -> None:
    async with a_dialog() as dialog:
        linear = rows(await dialog.reads("/open ETH long 1 10x"))
        inverse = rows(await dialog.reads("/open BTC/USD:BTC long 1000usd 5x"))

        assert (linear["quantity"], linear["notional"][-5:]) == ("1.000 ETH", " USDT")
        assert (inverse["quantity"], inverse["notional"][-4:]) == ("1,000 USD", " BTC")


async def test_a_lower_leverage_of_an_isolated_position_is_refused_as_the_exchange_would() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x isolated")

        assert "cannot be lowered while it is open" in await dialog.reads("/open ETH long 1 5x")
        card = await dialog.does("/open ETH long 1 12x")

        assert card.text.startswith("✅ #1 ETH is open: long 2 ETH")


async def test_a_lower_leverage_of_a_cross_position_is_taken_with_its_margin() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        (card,) = await dialog.says("/open ETH long 1 5x")
        assert "Leverage of your open long changes from 10x to 5x." in card.text
        needed = Decimal(rows(card.text)["margin needed"].lstrip("~"))
        before = (await _free(dialog)) - needed

        await dialog.taps(card, "Confirm")

        assert abs(await _free(dialog) - before) < Decimal("0.2")


async def _free(dialog: Dialog) -> Decimal:
    account = (await dialog.bot.store.accounts())[0]
    return (await dialog.bot.venues.of(account).view()).balance.free


# --- the rest -----------------------------------------------------------------------------------


async def test_whoever_cancels_the_way_out_is_told_that_the_pause_stands() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        (card,) = await dialog.says("/panic")

        await dialog.taps(card, "Cancel")
        assert card.text.startswith("Canceled. Nothing was sent. New openings are paused by /panic.")
        await dialog.taps(card, "Resume")

        assert card.text.startswith("✅ Resumed.")


async def test_the_paper_account_shows_the_coin_that_inverse_contracts_settle_in() -> None:
    async with a_dialog() as dialog:
        assert "Wallet 0.10000000 BTC" in await dialog.reads("/paper")
        await dialog.does("/open BTC/USD:BTC long 1000usd 5x")
        await dialog.price(COIN, 120_000)
        await dialog.does("/close BTC/USD:BTC", button="Close")

        balance = await dialog.reads("/paper")

        assert "Wallet 10,000.00 USDT" in balance
        assert "Wallet 0.1016" in balance


async def test_a_liquidation_far_beyond_reach_reads_as_far() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open SOL long 5 10x")
        (card,) = await dialog.says("/hedge SOL")

        assert ">1,000 %" in card.text
        assert "liquidates both" not in card.text
        await dialog.taps(card, "Confirm")
        await dialog.price(SOL, 201)
        assert ">1,000 %" in await dialog.reads("/status")
