"""``/chart``: asked for by name, by number, by button; in the private chat and in a group."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from PIL import Image

from chatbot.chat import Picture
from chatbot.domain.instrument import Symbol
from tests.dialogs.harness import BTC, ETH, GROUP, SOL, Card, Dialog, a_dialog


def picture_of(card: Card) -> Picture:
    assert card.reply.picture is not None, card.text
    return card.reply.picture


def caption_of(card: Card) -> str:
    drawn = "\n".join(f"  {line}" for line in picture_of(card).lines)
    assert card.text.startswith(drawn)
    return card.text.removeprefix(drawn).strip()


async def trades_at(dialog: Dialog, symbol: Symbol, *prices: int) -> None:
    """Three minutes at each price."""
    for price in prices:
        dialog.feed.set(symbol, Decimal(price))
        for _ in range(3):
            await dialog.clock.advance(60)
            dialog.bot.exchange.advance()
    await dialog.settle()


async def a_pair(dialog: Dialog) -> None:
    """A long from 2,000 locked at 2,300, and a market that went on."""
    await trades_at(dialog, ETH, 1_990, 2_000)
    await dialog.does("/open ETH long 1 10x isolated sl 1900")
    await trades_at(dialog, ETH, 2_100, 2_300)
    await dialog.does("/hedge ETH")
    await trades_at(dialog, ETH, 2_200, 2_350)


async def test_the_chart_of_a_pair_tells_entries_liquidation_and_the_lock() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        (card,) = await dialog.says("/chart #1")

        lines = "\n".join(picture_of(card).lines)
        for words in ("long 2,000", "short 2,299", "stop long 1,900", "◂ 2,350.00", "locked", "Result"):
            assert words in lines, words
        head, mark, near, result = caption_of(card).split("\n")[:4]
        assert head.startswith("🔒 #1 ETH · locked ~+29")
        assert mark.startswith("Mark 2,350.00, long from 2,000")
        assert near.startswith("Nearest liquidation: short at ")
        assert result.startswith("Result +299.")
        assert card.labels == ["Refresh", "Status"]


async def test_the_picture_is_one_that_can_be_shown() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (card,) = await dialog.says("/chart ETH")

        with Image.open(io.BytesIO(picture_of(card).png)) as image:
            image.load()
            assert (image.format, image.size) == ("PNG", (1000, 640))
        assert picture_of(card).alt.startswith("Mark price of ETH since 2 Mar 1")


async def test_the_lock_in_the_title_is_that_of_the_status() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        status, chart = await dialog.reads("/status #1"), caption_of((await dialog.says("/chart #1"))[0])

        assert chart.split("locked ")[1].split(" USDT")[0] in status


@pytest.mark.parametrize("name", ["ETH", "ethusdt", "#1", ""])
async def test_one_thing_that_is_open_is_found_by_any_name_and_by_none(name: str) -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        (card,) = await dialog.says(f"/chart {name}".strip())

        assert caption_of(card).startswith("🔒 #1 ETH")


async def test_the_button_of_a_status_card_leads_to_its_chart_and_back() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (status,) = await dialog.says("/status ETH")
        assert status.labels == ["Refresh", "Chart", "Add margin", "Adjust", "Close…"]

        await dialog.taps(status, "Chart")
        chart = dialog.latest
        assert chart is not status
        assert caption_of(chart).startswith("🔒 #1 ETH")

        await dialog.taps(chart, "Status")
        assert dialog.latest.text.startswith("🔒 #1 ETH")
        assert dialog.latest.reply.picture is None


async def test_refresh_draws_the_chart_anew_in_its_place() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (card,) = await dialog.says("/chart #1")
        before, known = picture_of(card), len(dialog.screen.cards)

        await trades_at(dialog, ETH, 2_340)
        await dialog.taps(card, "Refresh")

        assert len(dialog.screen.cards) == known
        assert card.edits == 1
        assert "Mark 2,340.00" in caption_of(card)
        assert picture_of(card).png != before.png


async def test_a_position_has_its_chart_with_a_button_on_its_card() -> None:
    async with a_dialog() as dialog:
        await trades_at(dialog, BTC, 100_000, 100_500)
        await dialog.does("/open BTC long 0.05 10x tp 120000")
        await trades_at(dialog, BTC, 101_000)
        (status,) = await dialog.says("/status")
        assert status.labels == ["Refresh", "Chart", "Hedge BTC", "Adjust", "Close…"]

        await dialog.taps(status, "Chart")

        assert caption_of(dialog.latest).startswith("📈 #1 BTC · long +2")
        lines = "\n".join(picture_of(dialog.latest).lines)
        assert "target long 120,000" in lines
        assert "Result" in lines
        assert "locked" not in lines


async def test_a_position_opened_elsewhere_has_its_chart_too() -> None:
    async with a_dialog() as dialog:
        await trades_at(dialog, SOL, 200, 210)
        await dialog.says("/paper elsewhere SOL long 5")
        await trades_at(dialog, SOL, 220)

        (card,) = await dialog.says("/chart")

        assert caption_of(card).startswith("📈 SOL · long +4")
        assert card.button("Refresh").data.endswith(":/chart SOL")


async def test_a_hedge_of_what_was_opened_elsewhere_is_shaded_since_the_hedge() -> None:
    async with a_dialog() as dialog:
        await trades_at(dialog, SOL, 200, 200)
        await dialog.says("/paper elsewhere SOL long 5")
        await trades_at(dialog, SOL, 210, 220)
        await dialog.does("/hedge SOL")
        await trades_at(dialog, SOL, 230, 240)

        (card,) = await dialog.says("/chart SOL")

        (row,) = [line for line in picture_of(card).lines if line.endswith("locked")]
        assert 15 < row.index("═") < 30
        assert "Result +99." in caption_of(card)


async def test_a_market_in_which_nothing_is_held_has_a_plain_chart_with_one_line() -> None:
    async with a_dialog() as dialog:
        await trades_at(dialog, ETH, 2_000, 2_100, 2_050)

        (card,) = await dialog.says("/chart eth")

        assert caption_of(card).split("\n")[0] == "ETH · 2,050.00 · +2.5 % in 8 min"
        assert caption_of(card).count("\n") == 1, "the other line is that of the buttons"
        assert card.labels == ["Refresh", "Status"]


async def test_too_little_history_is_said_in_words() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/start")
        (card,) = await dialog.says("/chart BTC")

        assert card.reply.picture is None
        assert card.text.startswith("There is too little price history of BTC for a chart:")
        await trades_at(dialog, BTC, 100_000, 100_100)
        await dialog.taps(card, "Refresh")

        assert caption_of(card).startswith("BTC · 100,100.0")


async def test_of_several_open_ones_one_is_chosen_by_a_tap() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/open BTC long 0.05 10x")

        (card,) = await dialog.says("/chart")
        assert card.labels == ["Chart #1 ETH", "Chart #2 BTC"]
        await dialog.taps(card, "Chart #1 ETH")

        assert caption_of(card).startswith("🔒 #1 ETH")


async def test_with_nothing_open_the_markets_are_offered() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/chart")

        assert card.text.startswith("Nothing is open.")
        assert card.labels == ["Chart BTC", "Chart ETH", "Chart SOL", "Chart BTC/USD:BTC"]


@pytest.mark.parametrize(
    "typed", ["/chart DOGE", "/chart BTC now", "/chart #x", "/chart #9", "/chart BTC ETH"]
)
async def test_a_mistake_is_answered_and_draws_nothing(typed: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says(typed)

        assert card.reply.picture is None
        assert "Example: /chart #3" in card.text or "no hedge #9" in card.text


async def test_a_group_sees_prices_and_no_money() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        (card,) = await dialog.says("/chart #1", chat=GROUP)

        caption, lines = caption_of(card), "\n".join(picture_of(card).lines)
        assert caption.split("\n")[0] == "🔒 #1 ETH · locked"
        assert "USDT" not in caption + lines + picture_of(card).alt
        assert "Result" not in caption + lines
        assert "short 2,299" in lines


async def test_a_group_whose_owner_allows_it_sees_all() -> None:
    async with a_dialog(telegram={"show_balances_in_groups": True}) as dialog:
        await a_pair(dialog)

        (card,) = await dialog.says("/chart #1", chat=GROUP)

        assert "Result +299." in caption_of(card)


async def test_the_time_below_is_that_of_the_user() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/settings zone Asia/Tokyo")
        await a_pair(dialog)

        (card,) = await dialog.says("/chart #1")

        axis = picture_of(card).lines[-1]
        assert "21:" in axis
        assert axis.endswith("Tokyo")


async def test_a_hedge_that_is_closed_has_no_chart_of_its_own() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1", button="Offset first")

        assert "#1 is closed already" in await dialog.reads("/chart #1")


async def test_what_was_opened_a_moment_ago_has_no_result_to_draw() -> None:
    async with a_dialog() as dialog:
        await trades_at(dialog, ETH, 2_000, 2_010)
        await dialog.does("/open ETH long 1 10x")

        (card,) = await dialog.says("/chart #1")

        assert not [line for line in picture_of(card).lines if line.startswith("Result")]
        assert "Result -" in caption_of(card)
