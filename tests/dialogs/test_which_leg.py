"""Which leg is the primary, what is locked and what is not, and that every card says the same."""

from __future__ import annotations

from decimal import Decimal

from tests.dialogs.harness import BTC, ETH, Dialog, a_dialog
from tests.dialogs.test_small_print import rows


def money_behind(text: str, before: str) -> Decimal:
    """The amount that follows these words."""
    word = text.split(before, 1)[1].split(maxsplit=1)[0]
    return Decimal(word.strip("~.*").replace(",", "").removesuffix("."))


async def restored(dialog: Dialog) -> None:
    """A long that was hedged is liquidated; the short that stood is hedged anew with another long."""
    await dialog.does("/open BTC long 0.1 10x isolated")
    await dialog.does("/hedge BTC")
    await dialog.price(BTC, 95_000)
    await dialog.price(BTC, 90_000)
    assert "the long leg is gone" in "".join(card.text for card in dialog.screen.cards)
    await dialog.does("/hedge #1")


async def test_after_a_restored_primary_the_leg_that_stood_is_the_primary() -> None:
    async with a_dialog() as dialog:
        await restored(dialog)
        assert rows(await dialog.reads("/status #1"))["primary"] == "short"

        (offer,) = await dialog.says("/close #1")
        assert "between: short 0.100 BTC" in offer.text
        await dialog.taps(offer, "Only the offset")

        assert "Left open: short 0.1 BTC." in offer.text
        assert "BTC short 0.1, not hedged" in await dialog.reads("/status")


async def test_after_a_restored_primary_commands_mean_that_leg_too() -> None:
    async with a_dialog() as dialog:
        await restored(dialog)
        (offer,) = await dialog.says("/adjust #1 offset -0.01")
        assert offer.text.startswith("🔒 #1 BTC: long −0.01 BTC")
        assert "to the long" in await dialog.reads("/margin #1 offset 20")
        assert "more than it hedges" in await dialog.reads("/adjust #1 primary -0.01")


async def test_a_pair_that_was_never_broken_protects_what_was_opened_first() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC short 0.1")
        await dialog.does("/hedge BTC")
        assert rows(await dialog.reads("/status #1"))["primary"] == "short"
        assert "between: short 0.100 BTC" in await dialog.reads("/close #1")


async def test_a_part_is_compared_with_what_closing_really_gives() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1 10x")
        await dialog.price(BTC, 104_000)

        hedge = await dialog.reads("/hedge BTC 50%")
        close = await dialog.reads("/close BTC")

        assert "0.05 of long 0.1 BTC" in hedge
        instead, expected = (
            money_behind(hedge, "Closing now instead gives "),
            money_behind(close, "expected "),
        )
        assert instead == expected
        assert rows(hedge)["not locked"] == "~+199.90"
        assert rows(hedge)["not hedged"] == "0.05 (~5,200.00)"


async def test_what_an_adjustment_takes_out_of_the_lock_is_shown_as_not_locked() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.1 10x")
        await dialog.price(BTC, 104_000)
        await dialog.does("/hedge BTC")

        offer = rows(await dialog.reads("/adjust #1 short -0.04"))

        loose = Decimal("0.04") * (104_000 - 100_002)  # what the long holds beyond the short, from its entry
        assert (offer["not locked now"], offer["not locked then"]) == ("~+0.00", f"~+{loose}")


async def test_nothing_locked_is_eaten_on_no_day() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.price(ETH, 1_990)
        await dialog.does("/hedge ETH 99%")
        assert rows(await dialog.reads("/status"))["lock eaten"] == "nothing locked"


async def test_a_status_says_nothing_that_its_own_table_contradicts() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.price(ETH, 2_200)
        assert "profit target reached" in await dialog.reads("/status")

        await dialog.does("/hedge ETH")

        assert "profit target reached" not in await dialog.reads("/status")


async def test_a_pair_of_a_minute_has_a_chart_where_the_market_has_a_past() -> None:
    async with a_dialog() as dialog:
        for step in range(8):
            await dialog.price(ETH, 2_000 + step)
            await dialog.clock.advance(900)
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/hedge ETH")

        (card,) = await dialog.says("/chart #1")

        assert card.reply.picture is not None


async def test_a_pair_that_was_opened_elsewhere_is_taken_over_as_one_hedge() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/paper elsewhere ETH long 1")
        await dialog.price(ETH, 2_300)
        await dialog.says("/paper elsewhere ETH short 1")
        assert "/adopt ETH makes them one hedge" in await dialog.reads("/hedge ETH long")
        (first, *_) = await dialog.says("/status")
        assert "/adopt takes both over as one hedge" in first.text

        await dialog.taps(first, "Take the pair over")

        assert dialog.latest.text.startswith("✅ #1 ETH is a hedge of mine from now on")
        status = await dialog.reads("/status #1")
        assert "primary                       long" in status
        assert rows(status)["gross lock"] == "+299.88"
        assert "That is #1 already" in await dialog.reads("/adopt ETH")
        card = await dialog.does("/close #1", button="Offset first")
        assert "#1 ETH closed" in card.text


async def test_what_is_not_there_cannot_be_taken_over() -> None:
    async with a_dialog() as dialog:
        assert "Nothing is open on ETH." in await dialog.reads("/adopt ETH")
        assert "I need the number of a frozen hedge" in await dialog.reads("/adopt")
