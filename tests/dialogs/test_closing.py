"""Closing at a price beside what rests already, closing in part, and what the cards say of it."""

from __future__ import annotations

from tests.dialogs.harness import ETH, a_dialog
from tests.dialogs.test_adjust import a_pair


async def test_the_card_of_a_close_names_the_way_that_needs_a_price() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        assert "Or both at a price: /close #1 at 2500" in await dialog.reads("/close #1")
        assert "Or both at a price: /close #1 50% at 2500" in await dialog.reads("/close #1 50%")
        assert "Or " not in await dialog.reads("/close #1 at 2500")


async def test_the_price_that_a_close_card_proposes_can_be_typed() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1")
        (card,) = await dialog.says("/close #1")
        assert "Or at a price: /close #1 at 110000" in card.text
        assert "At 110,000.0" in (await dialog.says("/close #1 at 110000"))[0].labels


async def test_a_closing_price_behind_a_stop_is_warned_of_and_an_earlier_one_is_named() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 short sl 2400")
        await dialog.does("/close #1 at 2200", button="At 2,200.00")

        text = await dialog.reads("/close #1 50% at 2500")

        assert (
            "⚠️ The stop-loss of the short at 2,400.00 fires before that price and leaves the long naked."
            in text
        )
        assert "⚠️ It replaces the closing orders at 2,200.00: they close 100 %, it 50 %." in text


async def test_lifting_the_offset_says_before_and_after_that_the_other_closing_order_stays() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1 at 2500", button="At 2,500.00")
        (card,) = await dialog.says("/close #1")
        assert "Only the offset: the closing order of the long at 2,500.00 stays." in card.text

        await dialog.taps(card, "Only the offset")

        assert "The closing order of the long at 2,500.00 (1 ETH) stays." in card.text
        assert "stops: long closes at 2,500.00 (1)" in await dialog.reads("/status")


async def test_what_stays_after_closing_a_part_of_unequal_legs_is_a_net_exposure() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1 10x")
        await dialog.does("/hedge BTC 40%")
        assert "then net long 0.030 BTC" in await dialog.reads("/close #1 50%")


async def test_prices_far_beyond_any_market_are_refused_wherever_they_are_typed() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/open BTC long 0.1")
        for typed in (
            "/close #1 at 230000",
            "/adjust #1 short sl 230000",
            "/open BTC long 0.1 tp 99999999",
            "/hedge BTC sl 1000001",
        ):
            (card,) = await dialog.says(typed)
            assert "more than 10 times the mark price" in card.text, typed
            assert "Check the typing." in card.text
            assert "Confirm" not in card.labels


async def test_one_order_that_rests_at_a_price_is_not_called_a_pair() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")

        card = await dialog.does("/close #1 at 2600", button="At 2,600.00")

        assert "The order rests on the exchange and only reduces; I watch it." in card.text
        assert "pair" not in card.text


async def test_close_everything_says_nothing_of_ways_that_it_does_not_offer() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        await dialog.price(ETH, 2300)
        await dialog.does("/hedge ETH")
        await dialog.does("/close #1 at 2600", button="At 2,600.00")
        assert "Only the offset: the closing order" in await dialog.reads("/close #1")

        assert "offset:" not in (await dialog.reads("/panic")).replace("offset first", "")
