"""Whose button it is, who may read what, and the way out of everything."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chatbot.chat import MessageRef, Request, RequestKind
from chatbot.errors import VenueUnavailable
from chatbot.platforms.console import render
from tests.dialogs.harness import ANN, BOB, BTC, ETH, EVE, GROUP, NOON, Card, Dialog, a_dialog, home_of


async def held(dialog: Dialog) -> list[tuple[str, str, Decimal]]:
    """Every position of every account, as the exchange has it."""
    views = [await dialog.bot.venues.of(account).view() for account in await dialog.bot.store.accounts()]
    return [(str(p.symbol), str(p.side), p.quantity) for view in views for p in view.positions]


# --- buttons ------------------------------------------------------------------------------------


async def test_a_money_button_of_somebody_else_does_nothing() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1", chat=GROUP)

        toast = await dialog.taps(card, "Confirm", by=BOB)

        assert "not yours" in toast
        assert await held(dialog) == []
        assert "Confirm" in card.labels


async def test_a_navigation_button_of_somebody_else_does_nothing() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/status", chat=GROUP)

        assert "not valid" in await dialog.taps(card, "Refresh", by=BOB)
        assert card.edits == 0


async def test_a_strangers_tap_gets_one_sentence_and_no_effect() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        stolen = Card(home_of(EVE), card.id, card.reply)

        toast = await dialog.clicks(stolen, card.button("Confirm").data, by=EVE)

        assert toast == "I do not know you. Your id is telegram:666."
        assert await held(dialog) == []


async def test_a_button_copied_into_another_chat_does_nothing() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        copied = Card(GROUP, card.id, card.reply)

        await dialog.clicks(copied, card.button("Confirm").data)

        assert await held(dialog) == []


@pytest.mark.parametrize(
    "data",
    [
        "",
        "c:",
        "q:",
        "q:short:confirm",
        f"q:{'x' * 22}:confirm",
        f"q:{'x' * 22}:cancel",
        "c:AAAAAAAAAAA:/panic",
        "e:AAAAAAAAAAA:/paper reset yes",
        "🚀",
        "x" * 10_000,
    ],
)
async def test_forged_data_gets_a_short_answer_and_no_effect(data: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/help")
        before = card.text

        toast = await dialog.clicks(card, data)

        assert 0 < len(toast) <= 200
        assert card.text == before
        assert len(dialog.screen.cards) == 1


async def test_a_choice_that_the_offer_does_not_have_does_nothing() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        forged = card.button("Confirm").data.replace("confirm", "offset_first")

        await dialog.clicks(card, forged)

        assert await held(dialog) == []


async def test_every_button_that_is_ever_shown_fits_a_platform() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        for line in (
            "/start",
            "/help",
            "/help try",
            "/status",
            "/hedge",
            "/close",
            "/settings",
            "/paper",
            "/panic",
        ):
            await dialog.says(line)

        data = [b.data for card in dialog.screen.cards for row in card.reply.buttons for b in row]
        assert len(data) > 20
        assert max(len(entry.encode()) for entry in data) <= 64


# --- groups -------------------------------------------------------------------------------------


async def test_a_group_sees_no_balances_unless_the_owner_wants_it() -> None:
    for shown in (False, True):
        async with a_dialog(telegram={"show_balances_in_groups": shown}) as dialog:
            cards = [
                *await dialog.says("/start", chat=GROUP),
                *await dialog.says("/status", chat=GROUP),
                *await dialog.says("/open ETH long 1", chat=GROUP),
            ]
            text = "\n".join(card.text for card in cards)

            assert ("10,000.00" in text) is shown
            assert ("margin free" in text) is shown


async def test_a_private_chat_sees_its_balances() -> None:
    async with a_dialog() as dialog:
        assert "Equity 10,000.00 USDT" in await dialog.reads("/start")
        assert "margin free" in await dialog.reads("/open ETH long 1")


async def test_users_see_only_their_own() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")

        assert "Nothing is open" in await dialog.reads("/status", by=BOB)
        assert "Nothing is open" in await dialog.reads("/panic", by=BOB)
        assert "/panic off" not in await dialog.reads("/status", by=ANN)


# --- panic --------------------------------------------------------------------------------------


async def test_panic_pauses_openings_and_closing_still_works() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        (card,) = await dialog.says("/panic")
        assert card.labels == ["Close everything", "Cancel", "Resume"]

        assert "paused by /panic" in await dialog.reads("/open BTC long 0.05")
        assert "paused by /panic" in await dialog.reads("/hedge ETH")
        assert "Close #1 ETH" in await dialog.reads("/close #1")

        await dialog.taps(card, "Resume")
        assert "Resumed" in card.text
        assert "🔒 Lock" in await dialog.reads("/hedge ETH")


async def test_an_offer_made_before_the_panic_cannot_be_confirmed_after_it() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        await dialog.says("/panic")

        await dialog.taps(card, "Confirm")

        assert await held(dialog) == []


async def test_close_everything_is_confirmed_once_and_closes_everything() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        await dialog.price(ETH, 2300)
        await dialog.does("/hedge ETH")
        await dialog.does("/open BTC short 0.05")
        await dialog.says("/paper elsewhere SOL long 5")
        (card,) = await dialog.says("/panic")
        assert "#1 ETH" in card.text

        await dialog.taps(card, "Close everything")

        assert await held(dialog) == []
        assert sum("closed:" in shown.text for shown in dialog.screen.cards) == 3


async def test_the_pause_stands_even_when_the_exchange_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_dialog() as dialog:
        await dialog.says("/start")
        (account,) = await dialog.bot.store.accounts()
        venue = dialog.bot.venues.of(account)

        async def away(*_: object, **__: object) -> None:
            raise VenueUnavailable

        monkeypatch.setattr(venue, "view", away)
        (card,) = await dialog.says("/panic")

        assert "New openings are paused" in card.text
        assert "could not be made" in card.text
        assert card.labels == ["Close everything…", "Resume"]
        assert (await dialog.bot.store.users())[0].preferences.paused


# --- paper --------------------------------------------------------------------------------------


async def test_a_deposit_is_booked_once_even_when_the_update_is_handled_twice() -> None:
    async with a_dialog() as dialog:
        update = Request("t:again", RequestKind.COMMAND, ANN, home_of(ANN), "/paper deposit 500", NOON)

        await dialog.bot.router.handle(update)
        (reply,) = await dialog.bot.router.handle(update)

        assert "equity 10,500.00 USDT" in render(reply)


async def test_starting_over_needs_the_button() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        await dialog.says("/paper deposit 500")
        (card,) = await dialog.says("/paper reset yes")
        assert "Start the paper account over?" in card.text
        assert len(await held(dialog)) == 1

        await dialog.taps(card, "Yes, start over")

        assert "equity 10,000.00 USDT" in card.text
        assert await held(dialog) == []
        assert "Nothing is open" in await dialog.reads("/status")


async def test_what_is_closed_elsewhere_is_gone_from_the_status() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.05")
        await dialog.says("/paper elsewhere BTC long 0.05 close")
        await dialog.price(BTC, 101_000)

        assert "Nothing is open" in await dialog.reads("/status")


async def test_a_click_without_its_card_still_works() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open ETH long 1")
        lost = Card(card.chat, "no longer there", card.reply)
        assert MessageRef(lost.chat, lost.id) != MessageRef(card.chat, card.id)

        await dialog.taps(lost, "Confirm")

        assert len(await held(dialog)) == 1
