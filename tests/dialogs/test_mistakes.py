"""Each mistake gets one clear sentence, the form and an example, and changes nothing."""

from __future__ import annotations

import pytest

from tests.dialogs.harness import BTC, ETH, Dialog, a_dialog


async def untouched(dialog: Dialog) -> bool:
    """No order, no position, no hedge, no quote that could still be confirmed by a mistake."""
    return "Nothing is open" in await dialog.reads("/status")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/open", "I need a market"),
        ("/open BTC sideways 1", "I need a side: long or short."),
        ("/open 1 BTC", "I need a side"),
        ("/open BTC long", "I need a size"),
        ("/open BTC long 0", "must be more than zero"),
        ("/open BTC long -1", "must be more than zero"),
        ("/open BTC long NaN", "not a number I can use"),
        ("/open BTC long 1e400", "without an exponent"),
        ("/open BTC long 0,5", "with a decimal point"),
        ("/open BTC long 🚀", "I need a size"),
        ("/open BTC long 1 🚀", "means here"),
        ("/open DOGE long 1", "I do not know the market DOGE"),
        ("/open BTC long 0.05 0.06", "more than one size"),
        ("/open BTC long 0.05 -5x", "must be more than zero"),
        ("/hedge BTC 0%", "must be more than zero"),
        ("/hedge BTC 101%", "at most 100 %"),
        ("/hedge XYZ", "I do not know the market XYZ"),
        ("/close BTC at", "I need a price after at"),
        ("/close BTC 50% 50%", "twice"),
        ("/close #x", "not the number of a hedge"),
        ("/close #1 #2", "One hedge at a time"),
        ("/status nonsense", "I do not know the market nonsense"),
        ("/settings zone Mars/Olympus", "not a time zone"),
        ("/settings zone ../../etc", "not a time zone"),
        ("/panic now", "means here"),
        ("/paper deposit", "I need an amount"),
        ("/paper deposit -5", "must be more than zero"),
        ("/paper deposit 1e9", "without an exponent"),
        ("/paper deposit 2000000", "At most 1,000,000"),
        ("/paper rob", "nothing I can do"),
        ("/paper elsewhere BTC long", "a market, a side and a quantity"),
        ("/adopt", "I need the number of a frozen hedge"),
        ("/adopt 3", "I do not know the market 3"),
    ],
)
async def test_a_mistake_is_answered_with_form_and_example(typed: str, said: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says(typed)

        command = typed.split(maxsplit=1)[0]
        assert said in card.text
        assert f"\nForm: {command}" in card.text
        assert f"\nExample: {command}" in card.text
        assert card.reply.buttons == ()
        assert await untouched(dialog)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/open BTC long 50", "margin"),  # 5 million on an account of ten thousand
        ("/open BTC long 0.0001", "0.001"),  # the smallest there is
        ("/open BTC long 0.05 500x", "x"),
        ("/open BTC long 0.05 sl 200000", "stop-loss"),
        ("/open BTC long 0.05 tp 50000", "take-profit"),
        ("/hedge BTC", "BTC"),
        ("/close BTC", "BTC"),
    ],
)
async def test_what_the_account_does_not_allow_is_refused_with_the_reason(typed: str, said: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says(typed)

        assert said in card.text
        assert len(card.text) < 400
        assert card.labels == []
        assert await untouched(dialog)


async def test_an_ambiguous_market_is_a_choice_of_buttons() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open BTCUSD long 0.05 10x")
        assert card.labels == ["BTC/USDT:USDT", "BTC/USD:BTC"]

        await dialog.taps(card, "BTC/USDT:USDT")

        assert card.edits == 1
        assert card.text.startswith("📈 Long 0.05 BTC at")


async def test_a_choice_too_long_for_a_button_is_told_in_words() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/open BTCUSD long 0.05 10x isolated sl 90000.123 tp 120000.456")

        assert "could be BTC/USDT:USDT or BTC/USD:BTC" in card.text
        assert card.labels == []


async def test_a_hedge_of_a_hedge_is_refused() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        await dialog.price(ETH, 2300)
        await dialog.does("/hedge ETH")

        (card,) = await dialog.says("/hedge ETH")

        assert "hedged" in card.text
        assert card.labels == ["/status ETH"]


async def test_the_way_out_that_a_refusal_names_can_be_tapped() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/risk share off")
        await dialog.does("/open ETH long 27 10x")
        (card,) = await dialog.says("/hedge ETH")
        assert "hedge a part (/hedge ETH 80%) or add money" in card.text

        await dialog.taps(card, "/hedge ETH 80%")

        assert dialog.latest.text.startswith("🔒 Lock ~")
        assert "Confirm" in dialog.latest.labels


@pytest.mark.parametrize("command", ["/open BTC long 0.001 50x", "/hedge BTC"])
async def test_neither_a_looser_cap_nor_an_opening_is_one_tap_away(command: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says(command)

        assert "/risk leverage 50" in card.text or "/open BTC long 25%" in card.text
        assert card.labels == []


async def test_two_mistakes_do_not_spoil_the_third_try() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/open BTC long")
        await dialog.says("/open BTC 0.05")

        card = await dialog.does("/open BTC long 0.05")

        assert card.text.startswith("✅ #1 BTC is open")
        assert BTC in {p.symbol for p in (await _positions(dialog))}


async def _positions(dialog: Dialog):  # type: ignore[no-untyped-def]
    (account,) = await dialog.bot.store.accounts()
    return (await dialog.bot.venues.of(account).view()).positions
