"""A stop that is canceled in the exchange's own app: what I am told, and how I set it again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView
from tests.dialogs.harness import ETH, Card, Dialog, a_dialog
from tests.dialogs.test_adjust import a_pair

A_LOOK = 2.0


async def told(dialog: Dialog, seconds: float = 14.0) -> list[Card]:
    """What comes unasked."""
    known = len(dialog.screen.cards)
    for _ in range(int(seconds / A_LOOK)):
        await dialog.passes(A_LOOK)
    return dialog.screen.cards[known:]


def words(card: Card) -> str:
    """Without its buttons."""
    return card.text.partition("\n[1]")[0]


async def view_of(dialog: Dialog) -> AccountView:
    (account,) = await dialog.bot.store.accounts()
    return await dialog.bot.venues.of(account).view()


async def test_a_stop_that_is_canceled_elsewhere_is_told_and_set_again() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 sl 2100")
        assert "Canceled 1 order behind the bot's back" in await dialog.reads("/paper cancel ETH")
        assert "stops: none" in await dialog.reads("/status")

        (warning,) = await told(dialog)

        assert words(warning) == (
            "⚠️ #1 ETH: the stop-loss of the long leg at 2,100.00 is gone\n"
            "It was canceled on the exchange, not by me. The long leg has no stop-loss any more."
        )
        assert warning.labels == ["Long stop 2,100.00 again", "Status", "Settings"]
        await dialog.taps(warning, "Long stop 2,100.00 again")
        offer = dialog.latest
        assert offer.labels == ["Confirm", "Cancel"]
        assert "stops: none" in await dialog.reads("/status")
        await dialog.taps(offer, "Confirm")
        assert "stops: long stop-loss 2,100.00 (1)" in await dialog.reads("/status")
        assert await told(dialog, 60) == []


async def test_it_is_told_once_and_again_when_the_new_one_is_gone_too() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        for _ in range(2):
            await dialog.does("/adjust #1 sl 2100")
            await dialog.says("/paper cancel ETH")
            (warning,) = await told(dialog, 60)
            assert "the stop-loss of the long leg at 2,100.00 is gone" in warning.text


async def test_the_last_stop_of_a_position_that_nothing_hedges_is_critical() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 10x sl 1900 tp 2200")
        await dialog.says("/paper cancel ETH")

        alarm, warning = await told(dialog)

        assert words(alarm) == (
            "🛑 #1 ETH: the stop-loss of the long at 1,900.00 is gone\n"
            "It was canceled on the exchange, not by me. The long has no stop-loss any more, "
            "and nothing hedges it."
        )
        assert words(warning) == (
            "⚠️ #1 ETH: the take-profit of the long at 2,200.00 is gone\n"
            "It was canceled on the exchange, not by me. The long has no take-profit any more."
        )


@pytest.mark.parametrize(("share", "part"), [("", Decimal(1)), ("50% ", Decimal("0.5"))])
async def test_of_two_closing_orders_the_other_is_named_and_both_are_set_again(
    share: str, part: Decimal
) -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does(f"/close #1 {share}at 2400", button="At 2,400.00")
        await dialog.says("/paper cancel ETH short")

        (alarm,) = await told(dialog)

        assert words(alarm) == (
            "🛑 #1 ETH: the closing order of the short leg at 2,400.00 is gone\n"
            "It was canceled on the exchange, not by me. That of the long leg still stands: when the price "
            "gets there it closes the long, you are short unhedged until I have closed the short at market."
        )
        await dialog.taps(alarm, "Close at 2,400.00 again")
        offer = dialog.latest
        assert "It replaces the closing order at 2,400.00." in offer.text
        await dialog.taps(offer, "At 2,400.00")
        resting = (await view_of(dialog)).open_orders
        assert sorted(order.position_side for order in resting) == ["long", "short"]
        assert {order.quantity for order in resting} == {part}
        assert await told(dialog, 60) == []


async def test_where_only_one_closing_order_is_left_the_other_leg_follows_it() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1 at 2400", button="At 2,400.00")
        await dialog.says("/paper cancel ETH short")
        await told(dialog)

        await dialog.price(ETH, 2_401)
        for _ in range(4):
            await dialog.passes(A_LOOK)
            await dialog.bot.pairs.finish_fired_pairs()
            await dialog.settle()

        assert (await view_of(dialog)).positions == ()


async def test_both_closing_orders_gone_leave_nothing_that_closes() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1 at 2400", button="At 2,400.00")
        await dialog.says("/paper cancel ETH")

        assert sorted(words(card) for card in await told(dialog)) == [
            f"⚠️ #1 ETH: the closing order of the {side} leg at 2,400.00 is gone\n"
            f"It was canceled on the exchange, not by me. "
            f"Nothing closes the {side} leg at that price any more."
            for side in ("long", "short")
        ]


async def test_what_i_take_back_myself_is_no_news() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/adjust #1 sl 2100")
        await dialog.does("/adjust #1 sl 2150")
        await dialog.does("/adjust #1 sl off")
        await dialog.does("/close #1 at 2400", button="At 2,400.00")
        await dialog.does("/close #1 at off")
        assert await told(dialog, 60) == []


async def test_canceling_on_paper_names_what_is_missing() -> None:
    async with a_dialog() as dialog:
        assert "I need the market whose orders go." in await dialog.reads("/paper cancel")
        assert "Nothing rests on ETH." in await dialog.reads("/paper cancel ETH")
        assert "Nothing rests on ETH short." in await dialog.reads("/paper cancel ETH short")
