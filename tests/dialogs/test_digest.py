"""The digest arrives: when, what it says, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from tests.dialogs.harness import BOB, ETH, SOL, Card, Dialog, a_dialog

NINE = datetime(2026, 3, 3, 9, tzinfo=UTC)


@pytest.fixture
async def dialog() -> AsyncIterator[Dialog]:
    async with a_dialog() as made:
        yield made


async def a_pair(dialog: Dialog) -> None:
    await dialog.does("/open ETH long 1 10x isolated")
    await dialog.price(ETH, 2_300)
    await dialog.does("/hedge ETH")


async def until(dialog: Dialog, at: datetime) -> list[Card]:
    """What the digest's job told on the way, looking every ten minutes."""
    known = len(dialog.screen.cards)
    while dialog.clock.now() < at:
        await dialog.clock.advance(600)
        dialog.bot.exchange.advance()
        await dialog.bot.digests.tell_due()
        await dialog.settle()
    return [card for card in dialog.screen.cards[known:] if "📰" in card.text]


async def test_every_morning_what_is_locked_and_what_it_costs_with_a_picture(dialog: Dialog) -> None:
    await a_pair(dialog)
    first, second = await until(dialog, NINE.replace(day=4, hour=10))

    assert "1 hedge locked ~+29" in first.text
    assert "#1 ETH" in first.text
    assert "so far" in first.text
    assert "in the last day" in first.text
    assert "a day at this rate" in first.text
    assert first.reply.picture is not None
    assert first.reply.picture.png.startswith(b"\x89PNG")
    assert "3 Mar" in first.text
    assert "4 Mar" in second.text


async def test_a_pair_that_is_newer_than_this_mornings_digest_has_one_tomorrow(
    dialog: Dialog,
) -> None:
    await dialog.clock.advance((NINE.replace(hour=11) - dialog.clock.now()).total_seconds())
    dialog.bot.exchange.advance()
    await a_pair(dialog)
    assert await until(dialog, NINE.replace(day=4, hour=8)) == []

    (card,) = await until(dialog, NINE.replace(day=4, hour=10))

    assert "4 Mar" in card.text


async def test_nothing_hedged_no_digest(dialog: Dialog) -> None:
    await dialog.says("/start", by=BOB)
    await dialog.does("/open ETH long 1 10x isolated")
    assert await until(dialog, NINE.replace(hour=12)) == []


async def test_positions_without_a_hedge_are_mentioned(dialog: Dialog) -> None:
    await a_pair(dialog)
    await dialog.does("/open SOL long 1 5x isolated")
    (card,) = await until(dialog, NINE)
    assert "Not hedged: 1 position. /hedge lists them." in card.text.replace("`", "")
    assert SOL not in card.text


async def test_it_comes_by_the_clock_on_the_users_wall(dialog: Dialog) -> None:
    await a_pair(dialog)
    await dialog.says("/settings zone Asia/Tokyo")
    await dialog.says("/alerts digest 07:30")
    assert await until(dialog, NINE.replace(day=2, hour=22)) == []
    (card,) = await until(dialog, NINE.replace(day=2, hour=22, minute=30))
    assert "07:30" in card.text


async def test_after_each_settlement_and_not_in_the_quiet_hours(dialog: Dialog) -> None:
    await a_pair(dialog)
    await dialog.says("/alerts quiet 23:00-07:00")
    assert "each settlement" in await dialog.reads("/alerts digest funding")
    told = await until(dialog, NINE.replace(hour=17))
    assert [re.findall(r"· (.*16:1|.*08:1)", card.text) != [] for card in told] == [True, True, True]
    assert ["3 Mar" in card.text for card in told] == [False, True, True]


async def test_a_restart_tells_none_twice(dialog: Dialog) -> None:
    await a_pair(dialog)
    assert len(await until(dialog, NINE)) == 1
    dialog.bot.digests._told.clear()  # all that the process knew
    assert await until(dialog, NINE.replace(hour=11)) == []


async def test_the_buttons_change_the_rhythm(dialog: Dialog) -> None:
    await a_pair(dialog)
    (card,) = await until(dialog, NINE)
    await dialog.taps(card, "After each settlement")
    assert "each settlement" in dialog.latest.text
    await dialog.taps(card, "No digest")
    assert "digest" in dialog.latest.text
    assert await until(dialog, NINE.replace(day=5)) == []


async def test_another_rhythm_chosen_under_a_digest_brings_no_second_one_of_the_same_hours(
    dialog: Dialog,
) -> None:
    await a_pair(dialog)
    (card,) = await until(dialog, NINE)
    await dialog.taps(card, "After each settlement")
    assert await until(dialog, NINE.replace(hour=16)) == []
    assert len(await until(dialog, NINE.replace(hour=17))) == 1


@pytest.mark.parametrize("wrong", ["9 10", "25:00", "soon", "funding daily"])
async def test_a_slip_is_answered_with_the_form_and_an_example(dialog: Dialog, wrong: str) -> None:
    answer = await dialog.reads(f"/alerts digest {wrong}")
    assert "/alerts digest TIME|funding|off" in answer
    assert "/alerts digest 08:30" in answer
