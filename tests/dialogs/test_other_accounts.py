"""A market is named without its account: the one that has it is meant, and every card says which that is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from chatbot.domain.instrument import PositionMode, PositionSide
from chatbot.ports import Account
from tests.dialogs.harness import ETH, SOL, Dialog, a_dialog
from tests.exchanges import ScriptedExchanges, key

SECRET = "sEcReT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9"


@pytest.fixture
def exchanges() -> ScriptedExchanges:
    return ScriptedExchanges()


@pytest.fixture
async def dialog(exchanges: ScriptedExchanges) -> AsyncIterator[Dialog]:
    """Orders go to paper; binance and bybit are connected."""
    async with a_dialog(exchanges=exchanges) as dialog:
        for venue, letter in (("binance", "k"), ("bybit", "b")):
            exchanges.knows(key(letter))
            await dialog.says(f"/connect {venue}")
            await dialog.says(key(letter))
            await dialog.says(SECRET)
        yield dialog


async def account_on(dialog: Dialog, venue: str) -> Account:
    return next(account for account in await dialog.bot.store.accounts() if account.venue == venue)


async def trades(
    dialog: Dialog, venue: str, side: PositionSide = PositionSide.LONG, quantity: str = "1"
) -> None:
    """SOL, in the app of the exchange."""
    account = await account_on(dialog, venue)
    await dialog.bot.exchange.trade_elsewhere(
        account.id, SOL, side, Decimal(quantity), opens=True, reference=f"{venue} {side}"
    )


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/hedge SOL", "On binance:\n🔒 Lock"),
        ("/close SOL", "On binance:\nClose SOL"),
        ("/close SOL 50% at 250", "On binance:\nClose 50 % of SOL"),
        ("/adjust SOL long +1", "On binance:\n"),
        ("/adjust SOL sl 150", "On binance:\n"),
        ("/adjust SOL", "Adjust SOL · long 1 SOL"),
    ],
)
async def test_the_only_other_account_that_has_it_is_meant(dialog: Dialog, command: str, shown: str) -> None:
    await trades(dialog, "binance")
    (card,) = await dialog.says(command)
    assert card.text.startswith(shown)


async def test_the_status_of_it_is_shown_from_there(dialog: Dialog) -> None:
    await trades(dialog, "binance")
    (card,) = await dialog.says("/status SOL")
    assert "SOL long 1, not hedged" in card.text
    assert card.text.splitlines()[0].endswith("· binance")


async def test_where_several_have_it_each_is_a_button(dialog: Dialog) -> None:
    await trades(dialog, "binance")
    await trades(dialog, "bybit")

    (which,) = await dialog.says("/close SOL 50%")
    assert "Which account?" in which.text
    assert which.labels == ["On binance", "On bybit"]
    await dialog.taps(which, "On bybit")

    assert which.text.startswith("On bybit:\nClose 50 % of SOL")


async def test_where_orders_go_goes_before_all_others(dialog: Dialog) -> None:
    await trades(dialog, "binance")
    await trades(dialog, "paper")
    assert (await dialog.reads("/close SOL")).startswith("On paper:\n")


@pytest.mark.parametrize("command", ["/close SOL", "/hedge SOL", "/close SOL on paper", "/close NOPE"])
async def test_what_nobody_has_is_refused_as_ever(dialog: Dialog, command: str) -> None:
    if command.endswith("paper"):
        await trades(dialog, "binance")
    (card,) = await dialog.says(command)
    assert "On binance" not in card.text
    assert "Confirm" not in card.labels
    assert "Which account" not in card.text


async def test_an_opening_goes_where_orders_go(dialog: Dialog) -> None:
    await trades(dialog, "binance")
    assert (await dialog.reads("/open SOL long 1")).startswith("On paper:\n")


async def test_a_refusal_names_the_account_in_words_and_on_its_button(dialog: Dialog) -> None:
    await trades(dialog, "binance")
    await trades(dialog, "binance", PositionSide.SHORT)

    (refused,) = await dialog.says("/hedge SOL")

    assert "/adopt SOL on binance makes them one hedge" in refused.text
    assert refused.labels == ["/adopt SOL on binance"]
    await dialog.taps(refused, "/adopt SOL on binance")
    assert "#1 SOL is a hedge of mine from now on" in dialog.latest.text


async def test_a_one_way_account_elsewhere_is_switched_by_its_own_button(dialog: Dialog) -> None:
    account = await account_on(dialog, "binance")
    await dialog.bot.venues.of(account).set_position_mode(PositionMode.ONE_WAY)
    await trades(dialog, "binance")

    (refused,) = await dialog.says("/hedge SOL")

    assert "Close SOL first: /close SOL on binance works in this mode, too." in refused.text
    await dialog.taps(refused, "Switch to hedge mode")
    assert "The position mode changes only while nothing is open." in dialog.latest.text
    assert dialog.latest.labels == ["/close SOL on binance"]


async def test_an_alert_of_a_position_without_a_number_names_its_account(dialog: Dialog) -> None:
    await dialog.says("/alerts target 5%")
    await trades(dialog, "binance")
    await dialog.price(SOL, 230)
    (alert,) = [card for card in dialog.screen.cards if "lock it?" in card.text]
    assert "SOL on binance long" in alert.text
    assert ETH not in alert.text
