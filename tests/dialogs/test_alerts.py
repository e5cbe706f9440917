"""``/alerts`` and ``/risk``: what I type, what I read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import Reply, Request, RequestKind, Table, Text
from chatbot.domain.instrument import MarginMode
from chatbot.domain.preferences import AlertPreferences, Preferences, RiskCaps
from chatbot.domain.risk import ALWAYS_ON, AlertKind
from handlers.tables import WIDTH
from tests.services.world import CHAT, ETH, OWNER, World, a_world

ids = itertools.count(1)


async def says(world: World, text: str, *, kind: RequestKind = RequestKind.COMMAND) -> Reply:
    request = Request(f"test:{next(ids)}", kind, OWNER, CHAT, text, world.clock.now(), user_name="owner")
    (reply,) = await world.bot.router.handle(request)
    return reply


async def taps(world: World, reply: Reply, label: str) -> Reply:
    (button,) = [b for row in reply.buttons for b in row if b.label == label]
    return await says(world, button.data, kind=RequestKind.CLICK)


async def preferences(world: World) -> Preferences:
    user = await world.bot.store.user(world.user.id)
    assert user is not None
    return user.preferences


async def levels(world: World) -> AlertPreferences:
    return (await preferences(world)).alerts


async def caps(world: World) -> RiskCaps:
    return (await preferences(world)).caps


def text_of(reply: Reply) -> str:
    parts = (block.text if isinstance(block, Text) else "\n".join(block.lines) for block in reply.blocks)
    return "\n".join(parts)


def lines_of(reply: Reply) -> Iterator[str]:
    for block in reply.blocks:
        if isinstance(block, Table):
            yield from block.lines


def percents(*numbers: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(number) / 100 for number in numbers)


# --- /alerts ------------------------------------------------------------------------------------


async def test_the_overview_shows_every_level_on_a_phone() -> None:
    async with a_world() as world:
        reply = await says(world, "/alerts")

        assert text_of(reply).startswith("**No alert is active**")
        shown = list(lines_of(reply))
        assert "liquidation              20 10 5 %" in shown
        assert "margin                  50 70 85 %" in shown
        assert "funding          15 min, over 0.01" in shown
        assert "quiet hours                   none" in shown
        assert max(len(line) for line in shown) <= WIDTH


async def test_the_overview_lists_what_is_active() -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED)
        world.price(ETH, "1850")
        await world.bot.watching.look_at(world.account)

        reply = await says(world, "/alerts")

        assert text_of(reply).startswith("**1 alert active**")
        assert "#1 liquidation is near (long)" in list(lines_of(reply))


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [
        ("liquidation 25 15 8", "liquidation_distances", percents("25", "15", "8")),
        ("liquidation 25% 15%", "liquidation_distances", percents("25", "15")),
        ("margin 40, 60, 80", "margin_ratios", percents("40", "60", "80")),
        ("imbalance 2.5", "imbalance", Decimal("0.025")),
        ("eaten 5 20 40", "funding_eaten", percents("5", "20", "40")),
        ("target 7.5%", "profit_target", Decimal("0.075")),
        ("funding 30m", "funding_before", timedelta(minutes=30)),
        ("funding 0.5", "funding_net_cost", Decimal("0.5")),
        ("funding 0.5 1h", "funding_before", timedelta(hours=1)),
        ("quiet 23:00-07:00", "quiet_until", time(7)),
        ("quiet 22-6", "quiet_from", time(22)),
        ("off imbalance", "disabled", frozenset({"imbalance"})),
        ("OFF Funding", "disabled", frozenset({"funding"})),
    ],
)
async def test_a_level_is_set_in_plain_words(command: str, field: str, value: object) -> None:
    async with a_world() as world:
        reply = await says(world, f"/alerts {command}")

        assert text_of(reply).startswith("✅ **Saved.**")
        assert getattr(await levels(world), field) == value


@pytest.mark.parametrize(
    ("command", "complaint", "example"),
    [
        ("liquidation 1 2 3 4", "one to 3 percentages", "/alerts liquidation 25 15 8"),
        ("liquidation 8 15 25", "each lower than the last", "/alerts liquidation 25 15 8"),
        ("liquidation 25 25 8", "each lower than the last", "/alerts liquidation 25 15 8"),
        ("liquidation 120", "over 0 and under 100", "/alerts liquidation 25 15 8"),
        ("margin 85 70", "each higher than the last", "/alerts margin 50 70 85"),
        ("margin nan", "not a number I can use", "/alerts margin 50 70 85"),
        ("imbalance -1", "over 0 and under 100", "/alerts imbalance 1"),
        ("imbalance 1 2", "one percentage", "/alerts imbalance 1"),
        ("target 1e400", "without an exponent", "/alerts target 5"),
        ("funding 1 2 3", "a time before the settlement", "/alerts funding 15m 0.5"),
        ("funding 3d", "between 1m and 8h", "/alerts funding 15m 0.5"),
        ("funding 15x", "is not a duration", "/alerts funding 15m 0.5"),
        ("quiet 25:00-07:00", "not a time of day", "/alerts quiet 23:00-07:00"),
        ("quiet 07:00-07:00", "begin and end at the same time", "/alerts quiet 23:00-07:00"),
        ("quiet tonight", "not a span of hours", "/alerts quiet 23:00-07:00"),
        ("snooze 30d", "to seven days", "/alerts snooze 1h #3 liquidation"),
        ("snooze 1h #3 #4", "at a time", "/alerts snooze 1h #3 liquidation"),
        ("snooze 1h DOGE", "do not know the market", "/alerts snooze 1h #3 liquidation"),
        ("snooze 1h lost", "never held back", "/alerts snooze 1h #3 liquidation"),
        ("off everything", "one kind of alert", "/alerts off imbalance"),
        ("off lost", "stays on", "/alerts off imbalance"),
        ("on", "one kind of alert", "/alerts on imbalance"),
        ("reset now", "takes nothing after it", "/alerts reset"),
        ("volume 11", "nothing I can set", "/alerts"),
    ],
)
async def test_a_mistake_gets_one_sentence_the_form_and_an_example_and_changes_nothing(
    command: str, complaint: str, example: str
) -> None:
    async with a_world() as world:
        reply = await says(world, f"/alerts {command}")

        sentence, form, shown = text_of(reply).split("\n")
        assert complaint in sentence
        assert form.startswith("Form: `/alerts")
        assert shown.startswith(f"Example: `{example}")
        assert await levels(world) == AlertPreferences()


async def test_a_hedge_that_is_not_mine_cannot_be_snoozed() -> None:
    async with a_world() as world:
        reply = await says(world, "/alerts snooze 1h #3")

        assert text_of(reply).startswith("You have no hedge #3.")
        assert (await levels(world)).snoozed == {}


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("1h", "*"),
        ("1h liquidation", "liquidation"),
        ("1h #1", "#1"),
        ("#1 1h liquidation", "#1:liquidation"),
        ("1h btc funding", "BTC:funding"),
    ],
)
async def test_a_snooze_names_everything_a_hedge_a_market_or_a_kind(words: str, key: str) -> None:
    async with a_world() as world:
        await world.open()
        reply = await says(world, f"/alerts snooze {words}")

        snoozed = (await levels(world)).snoozed
        assert snoozed[key] - world.clock.now() <= timedelta(hours=1)
        assert "snoozed: " + ("everything" if key == "*" else key.replace(":", " ")) in list(lines_of(reply))


async def test_quiet_hours_and_snoozes_are_ended() -> None:
    async with a_world() as world:
        await says(world, "/alerts quiet 23:00-07:00")
        saved = await says(world, "/alerts snooze 2h")
        await taps(world, await taps(world, saved, "Quiet hours"), "None")
        await taps(world, await taps(world, saved, "Snooze"), "End all")

        assert await levels(world) == AlertPreferences()


async def test_what_was_switched_off_is_switched_on_again() -> None:
    async with a_world() as world:
        off = await says(world, "/alerts off target")
        assert "target                         off" in list(lines_of(off))
        await says(world, "/alerts on target")

        assert (await levels(world)).disabled == frozenset()


async def test_reset_brings_every_level_back() -> None:
    async with a_world() as world:
        await says(world, "/alerts liquidation 30 20 10")
        overview = await says(world, "/alerts")
        await taps(world, overview, "Reset")

        assert await levels(world) == AlertPreferences()


async def test_the_snooze_button_of_a_warning_snoozes_that_warning() -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED)
        world.price(ETH, "1950")
        await world.bot.watching.look_at(world.account)
        await world.bot.outbox.idle()
        card = next(reply for reply in world.phone.seen if "from liquidation" in text_of(reply))

        await taps(world, card, "Snooze 1 h")

        assert set((await levels(world)).snoozed) == {"#1:liquidation", "!#1:liquidation"}


@pytest.mark.parametrize("kind", [kind for kind in AlertKind if kind not in ALWAYS_ON])
async def test_every_kind_that_can_be_switched_off_is_listed(kind: AlertKind) -> None:
    async with a_world() as world:
        reply = await says(world, f"/alerts off {kind}")

        assert [line.split()[-1] for line in lines_of(reply) if line.startswith(kind.value)] == ["off"]


# --- other levels begin anew --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ((), "/alerts liquidation 10 5"),
        (("/alerts liquidation 30 20 10",), "/alerts reset"),
        (("/alerts #1 liquidation 30 20 10",), "/alerts #1 off"),
        ((), "/alerts #1 liquidation 10 5"),
        ((), "/alerts liquidation 9 5 4"),
    ],
)
async def test_after_other_levels_the_gravest_is_still_told(before: tuple[str, ...], change: str) -> None:
    """What was told stood at another level; a number in the list means something else now."""
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED)
        for words in before:
            await says(world, words)
        world.price(ETH, "1950")  # some 8 % away
        await world.bot.watching.look_at(world.account)
        await world.bot.outbox.idle()
        first = len(told(world, "from liquidation"))
        assert first == 1
        await says(world, change)
        for price in ("1949", "1880"):  # still 8 %, then some 4 %
            world.price(ETH, price)
            await world.clock.advance(3)
            await world.bot.watching.look_at(world.account)
        await world.bot.outbox.idle()
        assert "🛑" in text_of(told(world, "from liquidation")[-1])
        assert len(told(world, "from liquidation")) == 3


# --- everything by buttons ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("menu", "choice", "field", "value"),
    [
        ("Liquidation", "15 8 4 %", "liquidation_distances", percents("15", "8", "4")),
        ("Margin", "70 85 %", "margin_ratios", percents("70", "85")),
        ("Imbalance", "2 %", "imbalance", Decimal("0.02")),
        ("Funding", "1 h", "funding_before", timedelta(hours=1)),
        ("Funding", "Over 10", "funding_net_cost", Decimal(10)),
        ("Lock eaten", "50 75 %", "funding_eaten", percents("50", "75")),
        ("Target", "20 %", "profit_target", Decimal("0.2")),
        ("Rate", "0.1 %", "funding_rate", Decimal("0.001")),
        ("Quiet hours", "22–06", "quiet_until", time(6)),
        ("Digest", "20:00", "digest_at", time(20)),
        ("Target", "Switch off", "disabled", frozenset({"target"})),
        ("On and off", "☑ venue", "disabled", frozenset({"venue"})),
    ],
)
async def test_a_level_is_chosen_with_two_taps(menu: str, choice: str, field: str, value: object) -> None:
    async with a_world() as world:
        opened = await taps(world, await says(world, "/alerts"), menu)
        saved = await taps(world, opened, choice)

        assert getattr(await levels(world), field) == value
        assert "Saved" in text_of(saved)
        assert all(len(line) <= WIDTH for line in (*lines_of(opened), *lines_of(saved)))


async def test_a_menu_leads_back_without_changing_anything() -> None:
    async with a_world() as world:
        opened = await taps(world, await says(world, "/alerts"), "Margin")
        assert "50 70 85 %" in text_of(opened)
        back = await taps(world, opened, "Back")
        assert "No alert is active" in text_of(back)
        assert await levels(world) == AlertPreferences()


# --- prices -------------------------------------------------------------------------------------


def told(world: World, words: str) -> list[Reply]:
    return [reply for reply in world.phone.seen if words in text_of(reply)]


async def test_a_price_is_told_once_when_it_is_reached_and_then_it_has_done_its_work() -> None:
    async with a_world() as world:
        saved = await says(world, "/alerts eth 2100 1900")
        assert "ETH over                     2,100" in list(lines_of(saved))
        for price in ("2050", "2100", "2000", "2150"):
            world.price(ETH, price)
            await world.bot.watching.look_at(world.account)
        await world.bot.outbox.idle()
        assert ["ETH rose to 2,100.00" in text_of(card) for card in told(world, "🔔")] == [True]

        assert "ETH over             2,100 reached" in list(lines_of(await says(world, "/alerts")))
        again = await says(world, "/alerts eth 2500")
        assert [line for line in lines_of(again) if line.startswith(("ETH over", "ETH under"))] == [
            "ETH under                    1,900",
            "ETH over                     2,500",
        ]


async def test_a_price_may_stand_before_its_market() -> None:
    async with a_world() as world:
        await says(world, "/alerts 2500 ETH")
        assert [(m.symbol, m.price) for m in (await levels(world)).prices] == [(ETH, Decimal(2_500))]


async def test_a_price_is_removed_by_its_button_or_by_words() -> None:
    async with a_world() as world:
        await says(world, "/alerts eth 2100")
        saved = await says(world, "/alerts btc 120000 90000")
        menu = await taps(world, saved, "Prices")
        await taps(world, menu, "Remove ETH 2,100")
        assert [mark.price for mark in (await levels(world)).prices] == [Decimal(120_000), Decimal(90_000)]
        await says(world, "/alerts btc off")
        assert (await levels(world)).prices == ()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("eth", "I need a price"),
        ("eth soon", "is not a number"),
        ("eth -5", "price"),
        ("eth 2000", "It is there now"),
        ("eth 5 off", "no such price"),
        ("doge 5", "nothing I can set"),
    ],
)
async def test_a_slip_with_a_price_changes_nothing(words: str, complaint: str) -> None:
    async with a_world() as world:
        assert complaint in text_of(await says(world, f"/alerts {words}"))
        assert (await levels(world)).prices == ()


# --- levels of one hedge ------------------------------------------------------------------------


async def test_one_hedge_has_levels_of_its_own_until_they_are_given_up() -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED)
        saved = await says(world, "/alerts #1 liquidation 4 2")
        assert "#1 liquidation               4 2 %" in list(lines_of(saved))
        world.price(ETH, "1950")  # 8 % away
        await world.bot.watching.look_at(world.account)
        await world.bot.outbox.idle()
        assert told(world, "from liquidation") == []

        await says(world, "/alerts #1 off")
        await world.bot.watching.look_at(world.account)
        await world.bot.outbox.idle()
        assert len(told(world, "from liquidation")) == 1
        assert (await levels(world)).hedges == {}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("#1", "For one hedge I can set"),
        ("#1 margin 50", "For one hedge I can set"),
        ("#1 liquidation", "one to 3 percentages"),
        ("#9 liquidation 5", "no hedge #9"),
    ],
)
async def test_a_slip_with_a_hedge_changes_nothing(words: str, complaint: str) -> None:
    async with a_world() as world:
        await world.open()
        assert complaint in text_of(await says(world, f"/alerts {words}"))
        assert (await levels(world)).hedges == {}


# --- /risk --------------------------------------------------------------------------------------


async def test_the_caps_and_what_they_are_used_to() -> None:
    async with a_world() as world:
        await world.open(quantity="1", leverage="10")
        world.price(ETH, "2100")
        await world.hedge()

        reply = await says(world, "/risk")

        assert text_of(reply).startswith("**4.1 % of your equity is in hedges**")
        shown = list(lines_of(reply))
        assert "equity in hedges      4.1 % / 80 %" in shown
        assert "leverage                 10x / 20x" in shown
        assert max(len(line) for line in shown) <= WIDTH


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [
        ("leverage 10", "leverage", Decimal(10)),
        ("leverage 10x", "leverage", Decimal(10)),
        ("leverage off", "leverage", None),
        ("share 50%", "hedge_share", Decimal("0.5")),
        ("share off", "hedge_share", None),
        ("notional 5000", "notional", Decimal(5_000)),
        ("notional $5,000", "notional", Decimal(5_000)),
        ("notional 5000usdt", "notional", Decimal(5_000)),
        ("notional off", "notional", None),
        ("reserve 5%", "reserve", Decimal("0.05")),
        ("reserve off", "reserve", Decimal(0)),
    ],
)
async def test_a_cap_is_set_in_plain_words(command: str, field: str, value: object) -> None:
    async with a_world() as world:
        reply = await says(world, f"/risk {command}")

        assert text_of(reply).startswith("✅ **Saved.**")
        assert getattr(await caps(world), field) == value


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("leverage", "one value"),
        ("leverage 0", "more than zero"),
        ("leverage 0.5", "from 1x"),
        ("leverage x", "is not a number"),
        ("share 120%", "at most 100 %"),
        ("share -5%", "over 0 %"),
        ("notional nan", "not a number I can use"),
        ("notional usdt", "is not a number"),
        ("reserve 100%", "under 100 %"),
        ("size 3", "is no cap"),
    ],
)
async def test_a_wrong_cap_is_refused_and_changes_nothing(command: str, complaint: str) -> None:
    async with a_world() as world:
        reply = await says(world, f"/risk {command}")

        sentence, form, example = text_of(reply).split("\n")
        assert complaint in sentence
        assert form.startswith("Form: `/risk")
        assert example.startswith("Example: `/risk")
        assert await caps(world) == RiskCaps()


# --- a leg that nobody can account for ----------------------------------------------------------


async def test_the_cards_of_a_frozen_pair_with_a_leg_gone_promise_no_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await world.open(margin_mode=MarginMode.ISOLATED)
        world.price(ETH, "2100")
        await world.hedge()
        await world.clock.advance(30)

        async def nothing(*_: object) -> tuple[()]:
            return ()

        monkeypatch.setattr(type(world.bot.venues.of(world.account)), "fills", nothing)
        world.price(ETH, "2400")
        for _ in range(7):
            await world.bot.watching.look_at(world.account)
            await world.clock.advance(2)

        status = text_of(await says(world, "/status"))
        assert "🛑 #1 ETH · short leg gone, nothing locked" in status.replace("**", "")
        assert "net lock" not in status
        assert "(short)" in text_of(await says(world, "/alerts"))

        adopted = text_of(await says(world, "/adopt #1"))
        lacking = "The exchange has not told at what price 1 ETH of the short closed: that gain or loss"
        assert "is now what the exchange says: long 1 ETH" in adopted
        assert lacking in adopted
        assert "I go on asking for a day" in adopted
        assert lacking in text_of(await says(world, "/status"))
        assert lacking in text_of(await says(world, "/close #1"))


# --- anything else ------------------------------------------------------------------------------

_words = st.lists(
    st.one_of(
        st.sampled_from(
            ["liquidation", "margin", "funding", "quiet", "snooze", "off", "on", "reset", "leverage", "share"]
        ),
        st.sampled_from(
            ["#1", "#99999999999", "1h", "-1", "nan", "1e400", "٣", "0", "25%", "23:00-07:00", "🧨"]
        ),
        st.text(max_size=12),
    ),
    max_size=5,
)


@given(st.sampled_from(["/alerts", "/risk"]), st.lists(_words, min_size=1, max_size=25))
async def test_no_words_bring_it_out_of_step(command: str, lines: list[list[str]]) -> None:
    async with a_world() as world:
        for words in lines:
            reply = await says(world, " ".join([command, *words]))
            assert "went wrong" not in text_of(reply)
            assert all(len(line) <= WIDTH for line in lines_of(reply))
