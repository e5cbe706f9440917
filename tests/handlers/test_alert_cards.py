"""What a warning says: each kind of alert as a card."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import AsOf, ChatRef, Platform, Reply, Severity, Table, Text, UserRef
from chatbot.domain.ending import Ending
from chatbot.domain.hedge import UserId
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import FundingOutlook, LegLiquidation, LiquidationSource
from chatbot.domain.risk import (
    Alert,
    AlertKind,
    AlertPhase,
    Figures,
    FundingSoon,
    Gravity,
    HedgeFrozen,
    LegCause,
    LegChanged,
    LegNaked,
    LiquidationNear,
    LockEaten,
    MarginHigh,
    NakedLeg,
    OnMarket,
    OrderEnd,
    OrderGone,
    OrderUnknown,
    StreamLost,
    TargetReached,
    Unequal,
    VenueDown,
)
from chatbot.ports import User
from handlers.alert_cards import alert_card
from handlers.buttons import MAX_BYTES, Buttons, Navigation
from handlers.presenter import CardPresenter
from tests.builders import BTC_COIN, ETH_USDT, LONG, NOW, SHORT

D = Decimal
REF = UserRef(Platform.TELEGRAM, "42")
HOME = ChatRef(Platform.TELEGRAM, "42")
USER = User(UserId("telegram:42"), REF, HOME, "ann", NOW)
BUTTONS = Buttons(bytes(32))


def near(price: str, distance: str, source: LiquidationSource = LiquidationSource.VENUE) -> LegLiquidation:
    return LegLiquidation(D(price), D(distance), source)


NAKED = NakedLeg(LONG, D(1), D("2517.0"), near("1809.05", "0.281"))
LIQUIDATION = LiquidationNear(
    instrument=ETH_USDT,
    number=3,
    side=SHORT,
    mark_price=D("2398.6"),
    liquidation=near("2516.4", "0.0491"),
    left=NAKED,
)
LOST = LegChanged(
    instrument=ETH_USDT,
    number=3,
    side=SHORT,
    cause=LegCause.LIQUIDATED,
    before=D(1),
    after=D(0),
    price=D("2516.4"),
    realized=D("-216.6"),
    at=NOW,
    naked=NAKED,
)
GONE_STOP = OrderGone(
    instrument=ETH_USDT,
    number=3,
    side=LONG,
    purpose=Purpose.STOP_LOSS,
    price=D("1950.00"),
    end=OrderEnd.CANCELED,
    share=D(1),
)
FUNDING = FundingSoon(
    instrument=ETH_USDT,
    number=3,
    outlook=FundingOutlook(
        rate=D("0.0001"),
        interval_hours=D(8),
        settles_at=NOW,
        long_receives=D("-0.24"),
        short_receives=D("0.22"),
        net_per_settlement=D("-0.02"),
        net_per_day=D("-0.06"),
    ),
    settles_in=timedelta(minutes=15),
    net_exposure=D("0.08"),
    paid=D("0.29"),
    locked=D("295"),
)
EATEN = LockEaten(
    instrument=ETH_USDT,
    number=3,
    locked=D(300),
    paid=D("75.1"),
    share=D("0.2503"),
    per_day=D("-1.2"),
    eaten_at=NOW,
)
TARGET = TargetReached(
    instrument=ETH_USDT,
    side=LONG,
    quantity=D("0.5"),
    entry_price=D(2_000),
    mark_price=D(2_110),
    profit=D(55),
    share=D("0.055"),
)
UNEQUAL = Unequal(
    instrument=ETH_USDT, number=3, net_exposure=D("0.032"), ratio=D("0.032"), mark_price=D(2_300)
)
FROZEN = HedgeFrozen(
    instrument=ETH_USDT, number=3, reason="the exchange holds short 0 instead of 1", naked=NAKED
)
UNKNOWN = OrderUnknown(instrument=ETH_USDT, number=3, orders=1, lasting=timedelta(seconds=35))
UNSTREAMED = StreamLost(venue="binance", lasting=timedelta(minutes=6))
DOWN = VenueDown(venue="paper", lasting=timedelta(minutes=2), reason="it does not answer")
MARGIN = MarginHigh(account="paper", currency="USDT", ratio=D("0.712"))
UNHEDGED = LegNaked(instrument=ETH_USDT, number=3, naked=NAKED, lasting=timedelta(seconds=12), attempts=3)


def card(
    kind: AlertKind,
    figures: Figures,
    *,
    gravity: Gravity = Gravity.WARNING,
    phase: AlertPhase = AlertPhase.RISE,
    user: User = USER,
) -> Reply:
    return alert_card(user, Alert("key", kind, phase, 0, gravity, NOW, figures), BUTTONS)


def text_of(reply: Reply) -> str:
    (text,) = [block.text for block in reply.blocks if isinstance(block, Text)]
    return text


def commands(reply: Reply) -> dict[str, str]:
    typed = {}
    for row in reply.buttons:
        for button in row:
            meaning = BUTTONS.decode(button.data, user=REF, chat=HOME)
            assert isinstance(meaning, Navigation)
            typed[button.label] = meaning.command
    return typed


# --- what is wrong ------------------------------------------------------------------------------


def test_a_leg_near_its_liquidation() -> None:
    reply = card(AlertKind.LIQUIDATION, LIQUIDATION, gravity=Gravity.CRITICAL)

    assert text_of(reply) == (
        "🛑 **#3 ETH: short leg 4.9 % from liquidation**\n"
        "Mark 2,398.60, liquidation 2,516.40 (exchange). If it goes, you are long 1 ETH unhedged, "
        "next liquidation 1,809.05 (exchange), 28.1 % away."
    )
    assert reply.severity is Severity.CRITICAL
    assert commands(reply) == {
        "Close…": "/close #3",
        "Snooze 1 h": "/alerts snooze 1h #3 liquidation",
        "Settings": "/alerts",
    }


def test_margin_that_would_help_an_isolated_leg_is_one_tap_away() -> None:
    near_its_end = replace(LIQUIDATION, top_up=D("60"), with_top_up=near("2574.0", "0.0731"))

    reply = card(AlertKind.LIQUIDATION, near_its_end, gravity=Gravity.CRITICAL)

    assert text_of(reply).endswith("Adding 60.00 USDT moves it to ~2,574.00 (7.3 %).")
    assert commands(reply)["Add 60 USDT to short"] == "/margin #3 short 60"


def test_a_position_that_nothing_hedges_near_its_liquidation_can_be_hedged() -> None:
    alone = replace(LIQUIDATION, number=None, left=None)

    reply = card(AlertKind.LIQUIDATION, alone)

    assert text_of(reply).startswith("⚠️ **ETH: short 4.9 % from liquidation**")
    assert commands(reply)["Hedge now"] == "/hedge ETH"
    assert commands(reply)["Snooze 1 h"] == "/alerts snooze 1h ETH liquidation"


def test_a_cross_pair_goes_as_a_whole_and_the_price_is_a_computed_one() -> None:
    joint = replace(
        LIQUIDATION, joint=True, left=None, liquidation=near("2516.4", "0.0491", LiquidationSource.COMPUTED)
    )

    text = text_of(card(AlertKind.LIQUIDATION, joint))

    assert "the pair is 4.9 % from liquidation" in text
    assert "~2,516.40 (computed)" in text
    assert "a rising price takes them together" in text


def test_a_leg_that_is_gone_offers_the_way_back_and_the_way_out() -> None:
    reply = card(AlertKind.LOST, LOST, gravity=Gravity.CRITICAL)

    assert text_of(reply) == (
        "🛑 **#3 ETH: the short leg is gone (liquidated at 2,516.40)**\n"
        "You are long 1 ETH unhedged at 2,517.00, next liquidation 1,809.05 (exchange), 28.1 % away. "
        "Realized on the short leg -216.60 USDT, fees apart."
    )
    assert commands(reply) == {
        "Restore the hedge": "/hedge #3",
        "Close the rest": "/close #3",
        "Settings": "/alerts",
    }


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (LegCause.AUTO_DELEVERAGED, "auto-deleveraged at 2,516.40"),
        (LegCause.BY_HAND, "outside the bot at 2,516.40"),
        (LegCause.UNEXPLAINED, "the exchange has not told why yet"),
    ],
)
def test_why_a_leg_is_gone_is_told(cause: LegCause, words: str) -> None:
    assert f"is gone ({words})" in text_of(card(AlertKind.LOST, replace(LOST, cause=cause)))


def test_a_leg_that_nothing_explains_is_adopted_not_hedged_again() -> None:
    reply = card(
        AlertKind.LOST, replace(LOST, cause=LegCause.UNEXPLAINED, price=None, realized=None, frozen=True)
    )

    assert commands(reply)["Adopt"] == "/adopt #3"
    assert "Restore the hedge" not in commands(reply)


def test_a_stop_that_fired_is_called_a_stop() -> None:
    text = text_of(card(AlertKind.STOPPED, replace(LOST, cause=LegCause.STOPPED)))

    assert "the short leg was closed by your stop at 2,516.40" in text
    assert "gone" not in text


ENDED = Ending(((LONG, D("499.0")), (SHORT, D("-201.0"))), D("-4.505"), D("-0.204"), D("-2.0"))


def test_a_pair_that_closed_at_the_price_asked_for_is_a_success_with_the_table_of_a_finished_close() -> None:
    closed = replace(LOST, cause=LegCause.STOPPED, naked=None, at_users_price=True, live=False, ended=ENDED)

    reply = card(AlertKind.STOPPED, closed, gravity=Gravity.WARNING)

    assert reply.severity is Severity.SUCCESS
    assert text_of(reply) == "✅ **#3 ETH was closed at your price: +293.29 USDT**"
    (rows,) = [block for block in reply.blocks if isinstance(block, Table)]
    assert [tuple(row.rsplit(maxsplit=1)) for row in rows.lines] == [
        ("gross lock", "+300.00"),
        ("slippage of close", "-2.00"),
        ("fees", "-4.51"),
        ("funding", "-0.20"),
        ("net result", "+293.29"),
    ]
    assert "Restore the hedge" not in commands(reply)


def test_a_leg_of_which_only_its_own_closing_order_fired_is_not_called_stopped() -> None:
    half = replace(LOST, cause=LegCause.STOPPED, at_users_price=True)

    text = text_of(card(AlertKind.STOPPED, half, gravity=Gravity.CRITICAL))

    assert "the short leg was closed by your closing order at 2,516.40" in text
    assert text.startswith("🛑")
    assert "stop" not in text


def test_a_part_that_closed_at_the_price_asked_for_is_no_warning() -> None:
    part = replace(LOST, cause=LegCause.STOPPED, at_users_price=True, naked=None, after=D("0.5"))

    reply = card(AlertKind.STOPPED, part, gravity=Gravity.WARNING)

    assert text_of(reply).startswith("✅ **#3 ETH: the short leg was cut to 0.5 by your closing order")


def test_the_end_of_all_there_was_leaves_nothing_to_restore() -> None:
    reply = card(AlertKind.LOST, replace(LOST, naked=None, live=False, ended=ENDED))

    assert "Nothing else of it is open. The hedge made +293.29 USDT in all" in text_of(reply)
    assert "Restore the hedge" not in commands(reply)


def test_a_leg_that_grew_has_realized_nothing() -> None:
    grown = replace(LOST, cause=LegCause.BY_HAND, after=D("1.5"), realized=D(0))

    assert "Realized" not in text_of(card(AlertKind.GROWN, grown))


def test_a_leg_that_shrank() -> None:
    shrunk = replace(LOST, after=D("0.6"), naked=replace(NAKED, quantity=D("0.4")))

    reply = card(AlertKind.SHRUNK, shrunk, gravity=Gravity.CRITICAL)

    text = text_of(reply)
    assert commands(reply)["Restore the hedge"] == "/hedge #3"
    assert commands(reply)["Close…"] == "/close #3"
    assert "the short leg shrank from 1 to 0.6 (liquidated at 2,516.40)" in text
    assert "long 0.4 ETH unhedged" in text


def test_a_leg_left_naked_by_an_operation() -> None:
    text = text_of(card(AlertKind.NAKED, UNHEDGED, gravity=Gravity.CRITICAL))

    assert text.startswith("🛑 **#3 ETH: long 1 ETH unhedged**")
    assert text.endswith(
        "For 12 s at most after 3 tries: an order of the pair is not through. I go on with orders that only "
        "reduce, never more than the gap. Alone, the long is liquidated at 1,809.05 (exchange), 28.1 % away."
    )


def test_a_leg_left_naked_while_both_grow_is_not_said_to_be_reduced() -> None:
    text = text_of(card(AlertKind.NAKED, replace(UNHEDGED, growing=True), gravity=Gravity.CRITICAL))

    assert "I go on until the legs are equal, or bring them back together." in text
    assert "reduce" not in text


def test_legs_that_differ() -> None:
    reply = card(AlertKind.IMBALANCE, UNEQUAL)

    text = text_of(reply)
    assert commands(reply)["Rebalance"] == "/adjust #3 rebalance"
    assert text.startswith("⚠️ **#3 ETH: the legs differ by 3.2 %**")
    assert "Net long 0.032 ETH (~73.60 USDT)" in text


def test_funding_that_is_due_with_what_each_side_pays_and_gets() -> None:
    reply = card(AlertKind.FUNDING, FUNDING, gravity=Gravity.INFO)

    assert text_of(reply) == (
        "💸 **#3 ETH: funding in 15 min, net ~-0.02 USDT**\n"
        "Long pays ~0.24, short gets ~0.22 (legs differ by 0.08 ETH). Rate +0.0100 % per 8 h. "
        "This hedge has paid 0.29 so far, 295.00 USDT are locked."
    )
    assert reply.severity is Severity.INFO


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(900, "15 min"), (898.7, "15 min"), (840, "14 min"), (59, "1 min"), (4_500, "1 h 15 min")],
)
def test_time_to_a_settlement_is_counted_down_by_begun_minutes(seconds: float, shown: str) -> None:
    soon = replace(FUNDING, settles_in=timedelta(seconds=seconds))
    assert f"funding in {shown}, net" in text_of(card(AlertKind.FUNDING, soon, gravity=Gravity.INFO))


def test_funding_of_an_unhedged_position_offers_the_hedge() -> None:
    alone = replace(FUNDING, outlook=replace(FUNDING.outlook, short_receives=D(0)), locked=None, number=None)

    reply = card(AlertKind.FUNDING, alone, gravity=Gravity.INFO)

    assert "Long pays ~0.24. Rate" in text_of(reply)
    assert commands(reply)["Hedge now"] == "/hedge ETH"


def test_a_lock_that_funding_eats_names_the_day() -> None:
    assert text_of(card(AlertKind.EATEN, EATEN)) == (
        "💸 **#3 ETH: funding has eaten 25.0 % of the lock**\n"
        "Paid 75.10 of 300.00 USDT. At ~-1.20 a day the rest is gone on 2 Mar 2026."
    )


def test_a_target_that_is_reached() -> None:
    reply = card(AlertKind.TARGET, TARGET, gravity=Gravity.INFO)

    assert text_of(reply) == (
        "📈 **ETH long +5.5 %: lock it?**\n+55.00 USDT on 0.5 ETH from 2,000.00, mark 2,110.00, fees apart."
    )
    assert commands(reply)["Hedge now"] == "/hedge ETH"


def test_a_frozen_hedge_offers_to_adopt() -> None:
    reply = card(AlertKind.FROZEN, FROZEN, gravity=Gravity.CRITICAL)

    assert text_of(reply).startswith("🛑 **#3 ETH is frozen**\nWhy: the exchange holds short 0 instead of 1.")
    assert "long 1 ETH unhedged" in text_of(reply)
    assert commands(reply)["Adopt"] == "/adopt #3"


def test_an_order_without_an_answer() -> None:
    assert text_of(card(AlertKind.UNKNOWN, UNKNOWN)).startswith(
        "⚠️ **#3 ETH: an order has had no answer for 35 s**"
    )


def test_a_venue_out_of_reach() -> None:
    assert text_of(card(AlertKind.VENUE, DOWN)).startswith(
        "⚠️ **paper out of reach for 2 min**\nWhy: it does not"
    )


def test_a_stream_that_is_missing_says_what_stands_in_for_it() -> None:
    assert text_of(card(AlertKind.STREAM, UNSTREAMED, gravity=Gravity.INFO)) == (
        "📡 **binance: no live stream for 6 min**\n"
        "I ask it every few seconds instead, so alerts may come a little later."
    )


def test_a_margin_ratio_is_shown_in_private_only() -> None:
    group = replace(USER, home=ChatRef(Platform.TELEGRAM, "-7", private=False))

    assert "Margin ratio 71.2 %" in text_of(card(AlertKind.MARGIN, MARGIN))
    assert "71.2" not in text_of(card(AlertKind.MARGIN, MARGIN, user=group))
    over = card(AlertKind.MARGIN, MARGIN, phase=AlertPhase.CLEAR, user=group)
    assert "71.2" not in text_of(over)


# --- what is over -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "figures", "words"),
    [
        (AlertKind.LIQUIDATION, LIQUIDATION, "#3 ETH: short leg safe again, 4.9 % from liquidation"),
        (
            AlertKind.LIQUIDATION,
            replace(LIQUIDATION, liquidation=LegLiquidation(None, None)),
            "#3 ETH: short leg safe again, no liquidation price",
        ),
        (AlertKind.IMBALANCE, UNEQUAL, "#3 ETH: the legs are equal again (3.2 % apart)"),
        (AlertKind.EATEN, EATEN, "#3 ETH: funding eats less of the lock again (25.0 %)"),
        (AlertKind.EATEN, replace(EATEN, paid=D(-3)), "#3 ETH: funding has paid back all it took"),
        (AlertKind.TARGET, TARGET, "ETH: long back under the target (+5.5 %)"),
        (
            AlertKind.NAKED,
            replace(UNHEDGED, naked=None),
            "#3 ETH: nothing is left unhedged by an order any more",
        ),
        (AlertKind.FROZEN, FROZEN, "#3 ETH: no longer frozen, ledger and exchange agree"),
        (AlertKind.UNKNOWN, UNKNOWN, "#3 ETH: every order has its answer"),
        (AlertKind.VENUE, DOWN, "paper answers again"),
        (AlertKind.STREAM, UNSTREAMED, "binance: the live stream is back"),
        (AlertKind.MARGIN, MARGIN, "Margin on paper is fine again: 71.2 %"),
    ],
)
def test_what_is_over_is_told_in_one_line_without_buttons(
    kind: AlertKind, figures: Figures, words: str
) -> None:
    reply = card(kind, figures, gravity=Gravity.CRITICAL, phase=AlertPhase.CLEAR)

    assert text_of(reply) == f"✅ **{words}**"
    assert reply.buttons == ()
    assert reply.severity is Severity.SUCCESS


# --- orders that are gone -----------------------------------------------------------------------


def test_an_order_that_expired_says_so_and_names_what_still_stands() -> None:
    expired = replace(GONE_STOP, end=OrderEnd.EXPIRED, still=D("1900.00"))

    assert text_of(card(AlertKind.UNPROTECTED, expired, gravity=Gravity.WARNING)) == (
        "⚠️ **#3 ETH: the stop-loss of the long leg at 1,950.00 is gone**\n"
        "It expired on the exchange. Another stop-loss at 1,900.00 still stands."
    )


def test_an_order_that_nobody_knows_any_more_is_not_said_to_be_canceled() -> None:
    text = text_of(card(AlertKind.UNPROTECTED, replace(GONE_STOP, end=OrderEnd.FORGOTTEN)))

    assert "The exchange no longer knows it and tells of no fill. The long leg has no stop-loss" in text


@pytest.mark.parametrize(
    ("gone", "label", "command"),
    [
        (GONE_STOP, "Long stop 1,950.00 again", "/adjust #3 long sl 1950"),
        (
            replace(GONE_STOP, purpose=Purpose.TAKE_PROFIT, price=D("2000.50")),
            "Long target 2,000.50 again",
            "/adjust #3 long tp 2000.5",
        ),
        (replace(GONE_STOP, purpose=Purpose.CLOSE_AT_PRICE), "Close at 1,950.00 again", "/close #3 at 1950"),
        (
            replace(GONE_STOP, purpose=Purpose.CLOSE_AT_PRICE, share=D("0.123456")),
            "Close at 1,950.00 again",
            "/close #3 12.35% at 1950",
        ),
    ],
)
def test_setting_it_again_types_the_command_that_would(gone: OrderGone, label: str, command: str) -> None:
    assert commands(card(AlertKind.UNPROTECTED, gone))[label] == command


# --- anything -----------------------------------------------------------------------------------

amounts = st.decimals(min_value=D("1e-8"), max_value=D("1e12"), places=8)
EVERY = (
    (AlertKind.LIQUIDATION, LIQUIDATION),
    (AlertKind.LOST, LOST),
    (AlertKind.STOPPED, LOST),
    (AlertKind.SHRUNK, replace(LOST, after=D("0.5"))),
    (AlertKind.UNPROTECTED, GONE_STOP),
    (AlertKind.UNPROTECTED, replace(GONE_STOP, purpose=Purpose.CLOSE_AT_PRICE, share=D("0.123456"))),
    (AlertKind.GROWN, replace(LOST, after=D("1.5"))),
    (AlertKind.NAKED, UNHEDGED),
    (AlertKind.IMBALANCE, UNEQUAL),
    (AlertKind.FUNDING, FUNDING),
    (AlertKind.EATEN, EATEN),
    (AlertKind.TARGET, TARGET),
    (AlertKind.FROZEN, FROZEN),
    (AlertKind.UNKNOWN, UNKNOWN),
    (AlertKind.VENUE, DOWN),
    (AlertKind.STREAM, UNSTREAMED),
    (AlertKind.MARGIN, MARGIN),
)


@pytest.mark.parametrize(("kind", "figures"), EVERY, ids=[kind.value for kind, _ in EVERY])
@pytest.mark.parametrize("number", [None, 999_999_999])
def test_every_button_fits_and_types_a_command(kind: AlertKind, figures: Figures, number: int | None) -> None:
    if isinstance(figures, OnMarket):
        figures = replace(figures, instrument=BTC_COIN, number=number)

    reply = card(kind, figures)

    assert all(len(b.data.encode()) <= MAX_BYTES for row in reply.buttons for b in row)
    assert all(command.startswith("/") for command in commands(reply).values())


@given(amounts, amounts, st.decimals(min_value=0, max_value=50, places=6))
def test_extreme_figures_make_a_short_card(price: Decimal, quantity: Decimal, distance: Decimal) -> None:
    naked = NakedLeg(LONG, quantity, price, LegLiquidation(price, distance))
    extreme = replace(LIQUIDATION, mark_price=price, liquidation=LegLiquidation(price, distance), left=naked)

    text = text_of(card(AlertKind.LIQUIDATION, extreme))

    assert len(text) < 400
    assert "E+" not in text


def test_a_card_that_arrives_late_says_when_it_was_true_on_its_readers_clock() -> None:
    presenter = CardPresenter(Buttons(bytes(32)))
    at = datetime(2026, 1, 5, 13, 3, 30, tzinfo=UTC)
    card = Reply((Text("near"),), as_of=AsOf(at, "Europe/Berlin"))
    assert presenter.aged(card, at + timedelta(seconds=59)) == card
    late = presenter.aged(card, at + timedelta(minutes=6))
    assert late.blocks == (Text("near"), Text("As of 14:03, 6 min ago."))
    assert presenter.aged(Reply((Text("an answer"),)), at + timedelta(days=1)).blocks == (Text("an answer"),)
