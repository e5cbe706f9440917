"""Whatever is typed and tapped, by whomever: never a traceback, never an order without a confirmation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.chat import UserRef
from handlers import COMMANDS
from tests.dialogs.harness import ANN, BOB, BTC, ETH, EVE, GROUP, Dialog, a_dialog, home_of

NAMES = tuple(command.name for command in COMMANDS)
WORDS = (
    *NAMES,
    *(
        "BTC",
        "eth",
        "btcusd",
        "BTC/USD:BTC",
        "SOL",
        "long",
        "short",
        "buy",
        "sell",
        "isolated",
        "cross",
        "sl",
        "tp",
    ),
    *(
        "0.05",
        "1",
        "0",
        "-1",
        "1e400",
        "NaN",
        "0,5",
        "1,000.5",
        "1k",
        "2000",
        "1900",
        "1" * 31,
        "٣",
        "x" * 300,
    ),
    *(
        "25%",
        "100%",
        "0%",
        "101%",
        "1000usdt",
        "$500",
        "10x",
        "1000x",
        "at",
        "@2000",
        "sl=1900",
        "#1",
        "#2",
        "#0",
    ),
    *(
        "#999999999",
        "off",
        "reset",
        "yes",
        "deposit",
        "balance",
        "elsewhere",
        "close",
        "zone",
        "Berlin",
        "quiet",
    ),
    *("23:00-07:00", "snooze", "1h", "liquidation", "leverage", "%", "#", "$", ",", ".", "🚀", "**", "`"),
    *("\x00", "\u202e"),
)
texts = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join),
    st.builds(lambda name, rest: f"{name} {rest}", st.sampled_from(NAMES), st.text(max_size=80)),
    st.text(st.characters(codec="utf-8"), max_size=200),
)
garbage = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=90),
    st.builds(
        "q:{}:{}".format,
        st.from_regex(r"[\w-]{22}", fullmatch=True),
        st.sampled_from(["confirm", "cancel", "x"]),
    ),
    st.builds("{}:{}:{}".format, st.sampled_from("ce"), st.from_regex(r"[\w-]{11}", fullmatch=True), texts),
)
users = st.sampled_from([ANN, ANN, ANN, BOB, EVE])


@dataclass(frozen=True)
class Say:
    by: UserRef
    text: str
    in_group: bool


@dataclass(frozen=True)
class Tap:
    """The ``button``-th button of the ``card``-th card, counted from the newest, going round."""

    by: UserRef
    card: int
    button: int


@dataclass(frozen=True)
class Forge:
    by: UserRef
    data: str


@dataclass(frozen=True)
class Move:
    percent: int
    seconds: int


Action = Say | Tap | Forge | Move
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Say, users, texts, st.booleans()),
    st.builds(Tap, users, st.integers(0, 5), st.integers(0, 8)),
    st.builds(Forge, users, garbage),
    st.builds(Move, st.integers(-20, 20), st.integers(0, 90)),
)


async def positions(dialog: Dialog) -> set[object]:
    views = [await dialog.bot.venues.of(account).view() for account in await dialog.bot.store.accounts()]
    return {(n, p.symbol, p.side, p.quantity) for n, view in enumerate(views) for p in view.positions}


async def act(dialog: Dialog, action: Action) -> bool:
    """Whether this may change positions: a confirmation of money, or a trade outside the bot."""
    match action:
        case Say(by, text, in_group):
            await dialog.says(text, by=by, chat=GROUP if in_group else home_of(by))
            return "elsewhere" in text
        case Tap(by, number, place):
            return await _tap(dialog, by, number, place)
        case Forge(by, data):
            if dialog.screen.cards:
                await dialog.clicks(dialog.latest, data, by=by)
            return False
        case Move(percent, seconds):
            await dialog.price(ETH, 2_000 + 20 * percent)
            await dialog.price(BTC, 100_000 + 1_000 * percent)
            await dialog.passes(seconds)
            return True  # stops fire, legs are liquidated


async def _tap(dialog: Dialog, by: UserRef, number: int, place: int) -> bool:
    cards = [card for card in reversed(dialog.screen.cards) if card.labels]
    if not cards:
        return False
    card = cards[number % len(cards)]
    data = [button.data for row in card.reply.buttons for button in row]
    chosen = data[place % len(data)]
    await dialog.clicks(card, chosen, by=by)
    return (chosen.startswith("q:") and not chosen.endswith(":cancel")) or "reset yes" in chosen


async def play(script: Sequence[Action]) -> list[str]:
    async with a_dialog() as dialog:
        await dialog.says("/open ETH long 1 10x")
        for action in script:
            before = await positions(dialog)
            may_change = await act(dialog, action)
            assert may_change or await positions(dialog) == before, action
        assert all(len(toast) <= 200 for toast in dialog.screen.toasts)
        assert all(card.widest <= 34 for card in dialog.screen.cards)
        return [card.text for card in dialog.screen.cards] + dialog.screen.toasts


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(actions, max_size=12))
def test_nothing_that_is_typed_or_tapped_breaks_the_bot(script: list[Action]) -> None:
    told = asyncio.run(play(script))

    assert not [text for text in told if "went wrong" in text or "Traceback" in text]


@pytest.mark.slow
@settings(max_examples=150)
@given(st.lists(texts, min_size=1, max_size=25))
def test_words_alone_never_move_money(lines: list[str]) -> None:
    async def talk() -> set[object]:
        async with a_dialog() as dialog:
            for line in lines:
                await dialog.says(line.replace("elsewhere", "somewhere"))
            return await positions(dialog)

    assert asyncio.run(talk()) == set()


@pytest.fixture(autouse=True)
def no_error_is_logged(caplog: pytest.LogCaptureFixture) -> object:
    caplog.set_level(logging.ERROR, logger="handlers.router")
    yield
    assert [record for record in caplog.records if record.name == "handlers.router"] == []
