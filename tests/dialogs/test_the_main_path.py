"""Open, hedge, look, close: what I type and what I read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.dialogs.harness import BOB, BTC, ETH, Dialog, a_dialog

D = Decimal


def figure(text: str, label: str) -> Decimal:
    """The number behind the label of a table."""
    (row,) = [row.strip() for row in text.splitlines() if row.strip().startswith(label)]
    return D(row.removeprefix(label).replace("~", "").replace(",", "").strip())


async def lock(dialog: Dialog) -> None:
    await dialog.does("/open ETH long 1 10x")
    await dialog.price(ETH, 2300)
    await dialog.does("/hedge ETH")


async def test_an_open_is_a_quote_first_and_sent_only_on_confirm() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1 10x")

        assert card.text.startswith("📈 Long 1 ETH at ~2,000.06 · 10x cross")
        assert card.labels == ["Confirm", "Cancel"]
        assert "Valid 1 min, within ±0.3 % of 2,000.00" in card.text
        assert "Nothing is open" in await dialog.reads("/status")

        assert await dialog.taps(card, "Confirm") == "Confirmed."
        assert card.text.startswith("✅ #1 ETH is open: long 1 ETH\nLong leg: filled 1 at 2,000.06")
        assert card.labels == ["Status", "Hedge", "Close…"]


async def test_cancel_leaves_nothing_behind() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")

        assert await dialog.taps(card, "Cancel") == "Canceled."
        assert card.text == "Canceled. Nothing was sent."
        assert "Nothing is open" in await dialog.reads("/status")


async def test_a_hedge_shows_what_it_locks_beside_closing_now() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.price(ETH, 2300)

        (card,) = await dialog.says("/hedge ETH")

        parts = ("fees paid", "fee to open ~", "fees to close ~", "spread to close ~", "funding so far")
        net = figure(card.text, "net lock ~")
        assert figure(card.text, "gross lock ~") + sum(figure(card.text, part) for part in parts) == net
        assert card.text.startswith(
            f"🔒 Lock ~+{net} USDT on ETH · long 1 ETH from 2,000.06\nClosing now instead gives ~+"
        )
        assert "net exposure                +0.000" in card.text
        assert card.widest <= 34


async def test_the_locked_profit_is_the_formulas_to_the_cent() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)
        await dialog.price(ETH, 2700)
        hedge = await dialog.bot.store.hedge_by_number((await dialog.bot.store.users())[0].id, 1)
        assert hedge is not None
        assert hedge.offset is not None
        formula = hedge.offset.entry_price - hedge.primary.entry_price

        card = await dialog.does("/close", button="Offset first")

        assert figure(card.text, "gross lock") == round(formula, 2)
        parts = ("gross lock", "slippage of close", "fees", "funding")
        assert sum(figure(card.text, part) for part in parts) == figure(card.text, "net result")
        assert card.text.startswith(f"✅ #1 ETH closed: +{figure(card.text, 'net result')} USDT")


async def test_the_ledger_and_the_exchange_agree_on_the_result() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)
        await dialog.passes(9 * 3600)
        card = await dialog.does("/close #1", button="Both at once")

        balance = await dialog.reads("/paper")

        assert f"equity {10_000 + figure(card.text, 'net result'):,.2f} USDT" in balance


async def test_the_status_of_a_hedge_says_everything_on_one_card() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)

        (card,) = await dialog.says("/status #1")

        for label in ("quantity", "entry", "mark", "PnL", "liq", "away", "leverage", "margin", "net exposure",
                      "imbalance", "net lock now", "nearest liq", "margin ratio", "funding", "net per day",
                      "funding so far", "fees so far", "lock eaten", "stops: none"):  # fmt: skip
            assert label in card.text
        assert card.labels == ["Refresh", "Chart", "Adjust", "Close…"]
        assert card.widest <= 34


async def test_refresh_edits_the_card_in_place() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)
        (card,) = await dialog.says("/status")
        await dialog.price(ETH, 2345)

        await dialog.taps(card, "Refresh")

        assert card.edits == 1
        assert "2,345.00" in card.text


async def test_a_position_opened_elsewhere_is_found_and_can_be_hedged() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/paper elsewhere BTC long 0.05")

        (found,) = await dialog.says("/status")
        assert found.text.startswith("📈 BTC long 0.05, not hedged")
        assert "Opened outside the bot" in found.text

        await dialog.taps(found, "Hedge BTC")
        assert "not counted" in dialog.latest.text
        card = dialog.latest
        await dialog.taps(card, "Confirm")
        assert card.text.startswith("✅ #1 BTC is hedged")


async def test_hedge_without_a_name_lists_what_is_not_hedged() -> None:
    async with a_dialog() as dialog:
        assert "There is nothing to hedge" in await dialog.reads("/hedge")
        await dialog.does("/open ETH long 1")
        await dialog.does("/open BTC short 0.05")

        (card,) = await dialog.says("/hedge")

        assert card.labels == ["Hedge ETH", "Hedge BTC"]
        assert "#1 ETH long 1, not hedged" in card.text
        assert "#2 BTC short 0.05, not hedged" in card.text


async def test_lifting_the_offset_says_what_comes_back() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)
        (card,) = await dialog.says("/close")
        assert "then long 1.000 ETH" in card.text

        await dialog.taps(card, "Only the offset")

        assert "Left open: long 1 ETH. It is not hedged now." in card.text
        assert card.labels == ["Status", "Hedge", "Close…"]
        assert "#1 ETH long 1, not hedged" in await dialog.reads("/status")


async def test_half_a_hedge_can_be_closed() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 2 10x")
        await dialog.does("/hedge ETH")

        card = await dialog.does("/close #1 50%", button="Offset first")

        assert "Left open: long 1 ETH and short 1 ETH." in card.text
        assert "Close 50 % of #1 ETH" not in card.text


async def test_closing_at_a_price_rests_on_the_exchange() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)

        card = await dialog.does("/close #1 at 2500", button="At 2,500.00")

        assert card.text.startswith("✅ #1 ETH closes by itself at a price")
        assert "long closes at 2,500.00 (1)" in await dialog.reads("/status")


async def test_close_without_a_name_asks_only_where_there_is_a_choice() -> None:
    async with a_dialog() as dialog:
        assert "There is nothing to close" in await dialog.reads("/close")
        await dialog.does("/open ETH long 1")
        assert "Close #1 ETH, expected" in await dialog.reads("/close")
        await dialog.does("/open BTC long 0.05")

        (card,) = await dialog.says("/close 50%")
        assert card.labels == ["Close #1 ETH", "Close #2 BTC"]
        await dialog.taps(card, "Close #2 BTC")
        assert card.text.startswith("Close 50 % of #2 BTC")


async def test_stops_are_placed_and_shown() -> None:
    async with a_dialog() as dialog:
        card = await dialog.does("/open ETH long 1 sl 1900 tp 2500")

        assert "On the exchange: stop-loss at 1,900.00, take-profit at 2,500.00." in card.text
        assert "long stop-loss 1,900.00 (1), long take-profit 2,500.00 (1)" in await dialog.reads("/status")


async def test_a_price_that_ran_away_sends_nothing_and_quotes_anew() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        await dialog.price(ETH, 2050)

        toast = await dialog.taps(card, "Confirm")

        assert toast == "Nothing was sent: see the new offer."
        assert card.text.startswith("⚠️ ")
        assert "📈 Long 1 ETH at ~2,050.06" in card.text
        assert "Nothing is open" in await dialog.reads("/status")
        await dialog.taps(card, "Confirm")
        assert card.text.startswith("✅ #1 ETH is open")


async def test_a_quote_expires_and_loses_its_buttons() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        await dialog.passes(61)

        toast = await dialog.taps(card, "Confirm")

        assert "expired" in toast
        assert card.labels == []
        assert "This offer has expired; nothing was sent." in card.text


async def test_a_second_tap_changes_nothing() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        data = card.button("Confirm").data
        await dialog.clicks(card, data)
        done = card.text

        toast = await dialog.clicks(card, data)

        assert "used" in toast
        assert card.text == done
        assert "ETH long 1," in await dialog.reads("/status")


async def test_numbers_of_hedges_are_found_again_in_every_command() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.05")
        await dialog.price(BTC, 101_000)

        assert "🔒 Lock" in await dialog.reads("/hedge #1 50%")
        assert "📈 #1 BTC" in await dialog.reads("/status #1")
        assert "Close #1 BTC" in await dialog.reads("/close #1")


@pytest.mark.parametrize("command", ["/status #9", "/close #9", "/hedge #9", "/adopt #9"])
async def test_an_unknown_number_and_somebody_elses_read_the_same(command: str) -> None:
    async with a_dialog() as dialog:
        nobodys = await dialog.reads(command, by=BOB)
        await dialog.does("/open ETH long 1")
        somebodys = await dialog.reads(command.replace("#9", "#1"), by=BOB)

        assert nobodys.replace("#9", "#1") == somebodys
        assert "You have no hedge #1" in somebodys


async def test_a_leg_lost_outside_the_bot_can_be_restored() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)
        await dialog.says("/paper elsewhere ETH short 1 close")
        await dialog.passes(2)

        (card,) = await dialog.says("/status #1")
        assert "#1 ETH long 1, not hedged" in card.text
        assert "The other leg of this hedge is gone or was lifted." in card.text
        await dialog.taps(card, "Hedge ETH")
        quote = dialog.latest
        await dialog.taps(quote, "Confirm")

        assert quote.text.startswith("✅ #1 ETH is hedged")
        assert "net exposure            +0.000 ETH" in await dialog.reads("/status #1")


async def test_a_leg_that_is_gone_does_not_hinder_the_close() -> None:
    async with a_dialog() as dialog:
        await lock(dialog)
        await dialog.says("/paper elsewhere ETH short 1 close")

        card = await dialog.does("/close #1", button="Close")

        assert card.text.startswith("✅ #1 ETH closed")
        assert "Nothing is open" in await dialog.reads("/status")
