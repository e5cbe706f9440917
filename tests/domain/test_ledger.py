"""Booking as rules: what a venue reports is booked once, whatever the order and splitting of its reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.hedge import Hedge, HedgeStatus, LegRole
from chatbot.domain.instrument import ZERO, Instrument, OrderSide, PositionSide
from chatbot.domain.intent import IntentStatus, OperationId, OrderIntent, Purpose
from chatbot.domain.ledger import (
    Booked,
    adopted_leg,
    book_fill,
    book_funding,
    book_report,
    closed_if_flat,
    differences,
    fill_by_position,
    price_late,
    report_of_fills,
    take_over,
)
from chatbot.domain.order import Fill, FundingPayment, OrderReport, OrderStatus, OrderType
from chatbot.errors import InvariantBroken
from tests.builders import (
    BTC_COIN,
    ETH_USDT,
    LONG,
    NOW,
    SHORT,
    Number,
    a_hedge,
    a_leg,
    a_pair,
    a_position,
    a_view,
    decimals,
)

PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET
CLOSE_ENOUGH = Decimal("1e-15")

Trade = tuple[Decimal, Decimal]  # quantity, price


def an_intent(
    quantity: str = "1",
    *,
    purpose: Purpose = Purpose.OPEN,
    role: LegRole = PRIMARY,
    side: PositionSide = LONG,
    instrument: Instrument = ETH_USDT,
    status: IntentStatus = IntentStatus.JOURNALED,
) -> OrderIntent:
    hedge = a_hedge(instrument=instrument)
    opens = purpose is Purpose.OPEN
    return OrderIntent(
        client_order_id="HR1",
        operation_id=OperationId("o"),
        hedge_id=hedge.id,
        account_id=hedge.account_id,
        symbol=instrument.symbol,
        leg=role,
        purpose=purpose,
        side=side.opening if opens else side.closing,
        position_side=side,
        type=OrderType.MARKET,
        quantity=Decimal(quantity),
        reduce_only=not opens,
        created_at=NOW,
        valid_until=NOW,
        status=status,
    )


def a_report(
    intent: OrderIntent,
    filled: Number = 0,
    price: Number | None = None,
    *,
    fee: Number = 0,
    status: OrderStatus | None = None,
) -> OrderReport:
    quantity = Decimal(filled)
    done = OrderStatus.FILLED if quantity == intent.quantity else OrderStatus.OPEN
    return OrderReport(
        client_order_id=intent.client_order_id,
        venue_order_id="77",
        symbol=intent.symbol,
        side=intent.side,
        position_side=intent.position_side,
        type=intent.type,
        status=status or done,
        quantity=intent.quantity,
        filled_quantity=quantity,
        average_price=None if price is None else Decimal(price),
        fee=Decimal(fee),
        updated_at=NOW,
    )


def an_execution(
    intent: OrderIntent, quantity: Number, price: Number, *, fee: Number = 0, number: int = 1
) -> Fill:
    return Fill(
        venue_fill_id=str(number),
        symbol=intent.symbol,
        side=intent.side,
        position_side=intent.position_side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        realized_pnl=ZERO,
        at=NOW + timedelta(seconds=number),
        client_order_id=intent.client_order_id,
    )


def an_empty_hedge(instrument: Instrument = ETH_USDT) -> Hedge:
    return a_hedge(a_leg(quantity=0, entry=0), instrument=instrument)


# --- reports ------------------------------------------------------------------------------------


def test_a_report_books_only_what_it_adds() -> None:
    intent, hedge = an_intent(), an_empty_hedge()
    half = book_report(hedge, intent, a_report(intent, "0.5", 2000, fee="1"), ETH_USDT)
    whole = book_report(half.hedge, half.intent, a_report(intent, "1", 2100, fee="2.1"), ETH_USDT)
    assert whole.fill is not None
    assert (whole.fill.quantity, whole.fill.price, whole.fill.fee) == (
        Decimal("0.5"),
        Decimal(2200),
        Decimal("1.1"),
    )
    leg = whole.hedge.primary
    assert (leg.quantity, leg.entry_price, leg.fees_paid) == decimals(1, 2100, "2.1")


def test_the_same_report_twice_books_nothing_more() -> None:
    intent = an_intent()
    report = a_report(intent, "0.5", 2000, fee="1")
    once = book_report(an_empty_hedge(), intent, report, ETH_USDT)
    assert book_report(once.hedge, once.intent, report, ETH_USDT) == Booked(once.hedge, once.intent, None)


def test_a_settled_order_that_fills_afterwards_is_a_contradiction() -> None:
    intent = replace(an_intent(), status=IntentStatus.CANCELED)
    with pytest.raises(InvariantBroken, match="settled"):
        book_report(an_empty_hedge(), intent, a_report(intent, "1", 2000), ETH_USDT)


def test_an_order_that_ended_less_filled_than_it_was_is_a_contradiction() -> None:
    intent = replace(an_intent(status=IntentStatus.OPEN), filled_quantity=Decimal("0.6"))
    report = replace(a_report(intent, "0.5", 2000), status=OrderStatus.CANCELED)
    with pytest.raises(InvariantBroken, match="less filled"):
        book_report(an_empty_hedge(), intent, report, ETH_USDT)


@pytest.mark.parametrize("status", [IntentStatus.OPEN, IntentStatus.FILLED])
def test_a_stale_report_of_an_order_that_still_works_says_nothing(status: IntentStatus) -> None:
    intent = replace(an_intent(status=status), filled_quantity=Decimal("0.6"))
    report = replace(a_report(intent, "0.5", 2000), status=OrderStatus.OPEN)
    hedge = an_empty_hedge()
    assert book_report(hedge, intent, report, ETH_USDT) == Booked(hedge, intent, None)


def test_a_fill_without_a_price_is_a_contradiction() -> None:
    intent = an_intent()
    with pytest.raises(InvariantBroken, match="no price"):
        book_report(an_empty_hedge(), intent, a_report(intent, "0.5"), ETH_USDT)


def test_nothing_can_be_closed_that_the_leg_does_not_hold() -> None:
    intent = an_intent("2", purpose=Purpose.CLOSE)
    with pytest.raises(InvariantBroken, match="holds"):
        book_report(a_hedge(a_leg(quantity=1)), intent, a_report(intent, "2", 2000), ETH_USDT)


@pytest.mark.parametrize(
    ("status", "filled", "after"),
    [
        (OrderStatus.OPEN, "0", IntentStatus.OPEN),
        (OrderStatus.OPEN, "0.4", IntentStatus.OPEN),
        (OrderStatus.FILLED, "1", IntentStatus.FILLED),
        (OrderStatus.CANCELED, "0.4", IntentStatus.CANCELED),
        (OrderStatus.EXPIRED, "0", IntentStatus.CANCELED),
    ],
)
def test_an_order_becomes_what_its_report_says(status: OrderStatus, filled: str, after: IntentStatus) -> None:
    intent = an_intent()
    booked = book_report(an_empty_hedge(), intent, a_report(intent, filled, 2000, status=status), ETH_USDT)
    assert booked.intent.status is after
    assert booked.intent.filled_quantity == Decimal(filled)


def cumulative(intent: OrderIntent, trades: Sequence[Trade], instrument: Instrument) -> list[OrderReport]:
    """One report after each trade, as the venue would tell it."""
    reports, quantity, notional, fee = [], ZERO, ZERO, ZERO
    for more, price in trades:
        quantity += more
        notional += instrument.notional(more, price)
        fee += instrument.notional(more, price) * instrument.taker_fee_rate
        average = notional / quantity if instrument is ETH_USDT else quantity / notional
        reports.append(a_report(intent, quantity, average, fee=fee))
    return reports


TRADES = st.lists(
    st.tuples(
        st.integers(1, 5_000).map(lambda n: Decimal(n) * 100),
        st.integers(100, 9_999).map(lambda n: Decimal(n) * 10),
    ),
    min_size=1,
    max_size=6,
)
INSTRUMENTS = st.sampled_from([ETH_USDT, BTC_COIN])


@given(TRADES, INSTRUMENTS, st.data())
def test_however_reports_are_split_or_repeated_the_leg_becomes_the_same(
    trades: list[Trade], instrument: Instrument, data: st.DataObject
) -> None:
    total = sum((quantity for quantity, _ in trades), ZERO)
    intent = an_intent(str(total), instrument=instrument)
    reports = cumulative(intent, trades, instrument)
    heard = data.draw(st.lists(st.integers(0, len(reports) - 1), max_size=8).map(sorted))
    booked = Booked(an_empty_hedge(instrument), intent, None)
    paid = ZERO
    for index in [*heard, len(reports) - 1]:
        booked = book_report(booked.hedge, booked.intent, reports[index], instrument)
        paid += booked.fill.fee if booked.fill else ZERO
    leg = booked.hedge.primary
    assert leg.quantity == total
    assert booked.intent.status is IntentStatus.FILLED
    cost = sum((instrument.notional(quantity, price) for quantity, price in trades), ZERO)
    assert instrument.notional(leg.quantity, leg.entry_price) == pytest.approx(cost, rel=CLOSE_ENOUGH)
    assert leg.fees_paid == paid == pytest.approx(reports[-1].fee, rel=CLOSE_ENOUGH)


@given(TRADES, INSTRUMENTS, st.integers(100, 9_999))
def test_what_is_realized_over_a_legs_life_is_what_came_in_less_what_went_out(
    trades: list[Trade], instrument: Instrument, last: int
) -> None:
    hedge = an_empty_hedge(instrument)
    total = sum((quantity for quantity, _ in trades), ZERO)
    opening = an_intent(str(total), instrument=instrument)
    for number, (quantity, price) in enumerate(trades):
        hedge = book_fill(hedge, PRIMARY, an_execution(opening, quantity, price, number=number), instrument)
    closing = an_intent(str(total), purpose=Purpose.CLOSE, instrument=instrument)
    exit_price = Decimal(last) * 10
    closed = book_fill(hedge, PRIMARY, an_execution(closing, total, exit_price), instrument)
    cost = sum((instrument.notional(quantity, price) for quantity, price in trades), ZERO)
    gain = instrument.notional(total, exit_price) - cost
    expected = gain if instrument is ETH_USDT else -gain
    assert closed.primary.realized_pnl == pytest.approx(expected, rel=Decimal("1e-12"), abs=Decimal("1e-9"))


# --- what an order must have done, told by history or position ----------------------------------


def test_the_history_tells_the_cumulative_report() -> None:
    intent = an_intent("1", status=IntentStatus.UNKNOWN)
    fills = (
        an_execution(intent, "0.4", 2000, fee="0.4"),
        an_execution(intent, "0.6", 2100, fee="0.6", number=2),
        replace(an_execution(intent, "9", 5000, number=3), client_order_id=None),
    )
    report = report_of_fills(intent, fills, ETH_USDT)
    assert report is not None
    assert report.status is OrderStatus.FILLED
    assert (report.filled_quantity, report.average_price, report.fee) == decimals(1, 2060, 1)


def test_a_history_with_less_than_the_order_tells_a_canceled_rest() -> None:
    intent = an_intent("1", status=IntentStatus.UNKNOWN)
    report = report_of_fills(intent, (an_execution(intent, "0.4", 2000),), ETH_USDT)
    assert report is not None
    assert report.status is OrderStatus.CANCELED


def test_a_history_without_the_order_tells_nothing() -> None:
    intent = an_intent("1", status=IntentStatus.UNKNOWN)
    other = replace(an_execution(intent, "1", 2000), client_order_id="HR2")
    assert report_of_fills(intent, (other,), ETH_USDT) is None


def test_an_inverse_history_averages_harmonically() -> None:
    intent = an_intent("200", instrument=BTC_COIN, status=IntentStatus.UNKNOWN)
    fills = (an_execution(intent, "100", 50_000), an_execution(intent, "100", 100_000, number=2))
    report = report_of_fills(intent, fills, BTC_COIN)
    assert report is not None
    assert report.average_price == pytest.approx(Decimal(200) / Decimal("0.003"), rel=CLOSE_ENOUGH)


@pytest.mark.parametrize("instrument", [ETH_USDT, BTC_COIN], ids=["linear", "inverse"])
def test_a_position_that_grew_tells_at_which_price(instrument: Instrument) -> None:
    intent = an_intent("100", instrument=instrument, status=IntentStatus.UNKNOWN)
    before = a_leg(quantity=100, entry=2_000)
    opened = book_fill(
        a_hedge(before, instrument=instrument), PRIMARY, an_execution(intent, "100", 3_000), instrument
    )
    position = a_position(LONG, 200, opened.primary.entry_price, instrument=instrument)
    report = fill_by_position(
        intent, before, position, instrument=instrument, mark_price=Decimal(3_100), at=NOW
    )
    assert report is not None
    assert report.status is OrderStatus.FILLED
    assert report.average_price == pytest.approx(Decimal(3_000), rel=CLOSE_ENOUGH)
    expected = instrument.notional(Decimal(100), Decimal(3_000)) * instrument.taker_fee_rate
    assert report.fee == pytest.approx(expected, rel=CLOSE_ENOUGH)


def test_a_position_that_shrank_tells_a_close_at_the_mark_price() -> None:
    intent = an_intent("1", purpose=Purpose.CLOSE, status=IntentStatus.UNKNOWN)
    report = fill_by_position(
        intent, a_leg(quantity=1), None, instrument=ETH_USDT, mark_price=Decimal(2_300), at=NOW
    )
    assert report is not None
    assert (report.filled_quantity, report.average_price) == decimals(1, 2_300)


def test_what_was_filled_before_stays_at_its_price() -> None:
    """0.4 at 2,000 are booked; the position shows the other 0.6 at 2,100."""
    told = an_intent("1", status=IntentStatus.OPEN)
    booked = book_report(an_empty_hedge(), told, a_report(told, "0.4", 2_000, fee="0.4"), ETH_USDT)
    position = a_position(LONG, 1, 2_060)
    report = fill_by_position(
        booked.intent,
        booked.hedge.primary,
        position,
        instrument=ETH_USDT,
        mark_price=Decimal(2_000),
        at=NOW,
    )
    assert report is not None
    after = book_report(booked.hedge, booked.intent, report, ETH_USDT)
    assert after.fill is not None
    assert (after.fill.quantity, after.fill.price) == decimals("0.6", 2_100)
    assert after.hedge.primary.entry_price == 2_060


@pytest.mark.parametrize("held", ["1", "0.5", "2.5"])
def test_a_position_that_did_not_move_so_tells_nothing(held: str) -> None:
    """Unmoved, moved the other way, moved by more than the order."""
    intent = an_intent("1", status=IntentStatus.UNKNOWN)
    position = a_position(LONG, held, 2_000)
    told = fill_by_position(
        intent, a_leg(quantity=1), position, instrument=ETH_USDT, mark_price=Decimal(2_000), at=NOW
    )
    assert told is None


# --- funding, differences, taking over ----------------------------------------------------------


def a_payment(side: PositionSide, amount: str, *, at_hour: int = 0) -> FundingPayment:
    at = NOW + timedelta(hours=at_hour)
    return FundingPayment(f"{side}{at_hour}", ETH_USDT.symbol, side, Decimal(amount), Decimal("0.0001"), at)


def test_funding_goes_to_its_leg_and_is_seen() -> None:
    hedge = book_funding(
        book_funding(a_pair(), a_payment(LONG, "-0.24")), a_payment(SHORT, "0.22", at_hour=8)
    )
    assert hedge.primary.funding == Decimal("-0.24")
    assert hedge.leg(OFFSET).funding == Decimal("0.22")
    assert hedge.funding_seen_at == NOW + timedelta(hours=8)


def test_differences_are_what_the_venue_holds_more_or_less() -> None:
    hedge = a_pair()
    assert differences(hedge, a_view(a_position(LONG, 1), a_position(SHORT, 1))) == {}
    assert differences(hedge, a_view(a_position(LONG, "1.5"))) == {PRIMARY: Decimal("0.5"), OFFSET: -1}


def test_a_leg_that_the_ledger_lacks_differs_too() -> None:
    assert differences(a_hedge(), a_view(a_position(LONG, 1), a_position(SHORT, 2))) == {OFFSET: 2}


def test_taking_over_leaves_no_difference_and_thaws() -> None:
    view = a_view(a_position(LONG, "1.5", 1_900), a_position(SHORT, "0.3", 2_250))
    taken = take_over(replace(a_pair(), status=HedgeStatus.FROZEN, reason="?"), view)
    assert not differences(taken, view)
    assert (taken.status, taken.reason) == (HedgeStatus.OPEN, "")
    assert all(leg.adopted for leg in taken.legs)
    assert taken.primary.entry_price == 1_900


def test_a_leg_that_agrees_is_not_marked_as_taken_over() -> None:
    taken = take_over(a_pair(entry=2_000), a_view(a_position(LONG, 1, 2_001)))
    assert not taken.primary.adopted
    assert taken.primary.entry_price == 2_000
    assert taken.leg(OFFSET).quantity == 0


def test_taking_over_nothing_leaves_an_empty_hedge_whose_orders_may_still_rest() -> None:
    frozen = replace(a_pair(), status=HedgeStatus.FROZEN)
    taken = take_over(frozen, a_view())
    assert taken.status is HedgeStatus.OPEN
    assert not any(leg.quantity for leg in taken.legs)
    assert closed_if_flat(taken, NOW).closed_at == NOW


def test_what_was_taken_over_as_closed_is_priced_when_its_fill_arrives() -> None:
    taken = take_over(a_pair(entry=2_000), a_view(a_position(LONG, 1, 2_000)))
    short = taken.leg(OFFSET)
    assert short.quantity == 0
    assert short.unpriced == 1
    assert short.unpriced_entry == 2_300
    assert taken.unread_until == NOW
    part = replace(a_closing_fill(), quantity=Decimal("0.4"))

    half = price_late(taken, OFFSET, part, ETH_USDT)
    assert half.leg(OFFSET).unpriced == Decimal("0.6")
    assert half.leg(OFFSET).realized_pnl - short.realized_pnl == -40
    assert half.unread_until == NOW
    with pytest.raises(InvariantBroken):
        price_late(half, OFFSET, replace(part, quantity=Decimal(1)), ETH_USDT)

    whole = price_late(half, OFFSET, replace(part, quantity=Decimal("0.6")), ETH_USDT)
    assert whole.leg(OFFSET).realized_pnl - short.realized_pnl == -100
    assert not whole.unpriced
    assert (whole.unread_from, whole.unread_until) == (None, None)


def a_closing_fill() -> Fill:
    """Of the short leg."""
    price, none = Decimal(2_400), Decimal(0)
    return Fill("late", ETH_USDT.symbol, OrderSide.BUY, SHORT, Decimal(1), price, Decimal(1), none, NOW)


def test_a_frozen_hedge_is_not_closed_because_the_ledger_is_empty() -> None:
    empty = replace(a_hedge(a_leg(quantity=0)), status=HedgeStatus.FROZEN)
    assert closed_if_flat(empty, NOW) == empty


def test_a_position_found_is_taken_as_it_is() -> None:
    leg = adopted_leg(OFFSET, a_position(SHORT, 2, 2_250, leverage=7))
    assert (leg.side, leg.adopted) == (SHORT, True)
    assert (leg.quantity, leg.entry_price, leg.leverage) == decimals(2, 2_250, 7)
