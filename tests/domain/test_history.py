"""Prices thinned for a picture, and what a pair was worth at each of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.hedge import Leg, LegRole
from chatbot.domain.history import (
    LegPast,
    Moment,
    Span,
    locked_spans,
    moments,
    price_at,
    result_over_time,
    thinned,
)
from chatbot.domain.instrument import Instrument, PositionSide, Symbol
from chatbot.domain.market import PricePoint
from chatbot.domain.order import Fill
from chatbot.domain.pnl import apply_fill
from chatbot.venues.paper.catalog import CATALOG

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ETH, COIN = CATALOG[Symbol("ETH/USDT:USDT")], CATALOG[Symbol("BTC/USD:BTC")]
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ROLE = {LONG: LegRole.PRIMARY, SHORT: LegRole.OFFSET}


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def line(*prices: int | str) -> tuple[PricePoint, ...]:
    return tuple(PricePoint(minute(number), Decimal(price)) for number, price in enumerate(prices))


def fill(at: float, side: PositionSide, quantity: str, price: str, *, opens: bool = True) -> Fill:
    order_side = side.opening if opens else side.closing
    amounts = (Decimal(quantity), Decimal(price), Decimal(1), Decimal(0))
    return Fill(f"{at}{side}", ETH.symbol, order_side, side, *amounts, at=minute(at))


def past(
    side: PositionSide, *fills: Fill, found: str = "0", at: str = "1000", instrument: Instrument = ETH
) -> LegPast:
    """A leg found at a price and then traded, as the ledger has it today."""
    leg = Leg(ROLE[side], side, Decimal(found), Decimal(at))
    for one in fills:
        leg = apply_fill(
            leg, instrument, opens=one.opens, quantity=one.quantity, price=one.price, fee=one.fee
        )
    return LegPast(leg, fills, NOON)


# --- thinning -----------------------------------------------------------------------------------

walks = st.lists(st.integers(1, 10**6), min_size=1, max_size=400).map(lambda prices: line(*prices))


@given(walks, st.integers(4, 60))
def test_a_thinned_line_keeps_its_ends_and_its_extremes(points: tuple[PricePoint, ...], most: int) -> None:
    kept = thinned(points, most)

    assert len(kept) <= most
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert [point.at for point in kept] == sorted({point.at for point in kept})
    assert set(kept) <= set(points)
    for extreme in (min, max):
        assert extreme(p.price for p in kept) == extreme(p.price for p in points)


def test_a_short_line_stays_as_it_is() -> None:
    assert thinned(line(1, 2, 3), 3) == line(1, 2, 3)
    assert thinned((), 2) == ()


def test_two_points_are_the_ends() -> None:
    assert thinned(line(1, 5, 9, 2), 2) == (line(1)[0], line(0, 0, 0, 2)[3])


def test_every_span_keeps_its_low_and_its_high() -> None:
    quiet = [100] * 20
    spiked = line(*quiet, 130, *quiet, 70, *quiet)

    assert {Decimal(130), Decimal(70)} <= {point.price for point in thinned(spiked, 12)}


def test_a_price_in_between_lies_on_the_straight_line() -> None:
    assert price_at(line(100, 110), minute(0.25)) == Decimal("102.5")
    assert price_at(line(100, 110), minute(1)) == 110
    assert price_at(line(100, 110), minute(1.1)) is None
    assert price_at(line(100, 110), minute(-1)) is None


# --- legs ---------------------------------------------------------------------------------------


def test_a_leg_opened_by_the_bot_comes_from_nothing() -> None:
    story = past(LONG, fill(1, LONG, "2", "1000"), fill(2, LONG, "1", "1300"))

    states = moments(story, ETH)

    assert [state.at for state in states] == [minute(1), minute(2)]
    assert [state.leg.quantity for state in states] == [2, 3]
    assert [state.leg.entry_price for state in states] == [1000, 1100]


@pytest.mark.parametrize("instrument", [ETH, COIN], ids=["linear", "inverse"])
def test_what_a_leg_was_found_with_is_worked_out_backwards(instrument: Instrument) -> None:
    trades = (fill(1, LONG, "200", "1500"), fill(2, LONG, "300", "1700", opens=False))
    story = past(LONG, *trades, found="400", at="1000", instrument=instrument)

    first = moments(story, instrument)[0]

    assert first.at == NOON
    assert first.leg.quantity == 400
    assert abs(first.leg.entry_price - 1000) < Decimal("1e-20")


def test_fills_that_contradict_what_is_held_are_left_aside() -> None:
    story = past(LONG, fill(1, LONG, "2", "1000"))
    shrunk = replace(story, leg=replace(story.leg, quantity=Decimal(1)))

    assert moments(shrunk, ETH) == (Moment(NOON, replace(shrunk.leg, realized_pnl=Decimal(0))),)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(500, 2000)), max_size=12))
def test_going_back_and_forth_ends_where_it_began(trades: list[tuple[bool, int, int]]) -> None:
    leg, fills = Leg(LegRole.PRIMARY, LONG), []
    for number, (opens, quantity, price) in enumerate(trades):
        if opens or quantity <= leg.quantity:
            fills.append(fill(number, LONG, str(quantity), str(price), opens=opens))
            leg = apply_fill(
                leg, ETH, opens=opens, quantity=Decimal(quantity), price=Decimal(price), fee=Decimal(0)
            )

    states = moments(LegPast(leg, tuple(fills), NOON), ETH)

    assert len(states) == len(fills)
    if states:
        assert states[-1].leg.quantity == leg.quantity
        assert states[-1].leg.realized_pnl == leg.realized_pnl


# --- the result ---------------------------------------------------------------------------------


def test_the_lock_flattens_the_result() -> None:
    long = moments(past(LONG, fill(1, LONG, "1", "1000")), ETH)
    short = moments(past(SHORT, fill(3, SHORT, "1", "1200")), ETH)

    result = result_over_time([long, short], line(990, 1000, 1100, 1200, 1500, 700), ETH)

    amounts = {point.at: point.amount for point in result}
    assert minute(0) not in amounts
    assert [amounts[minute(at)] for at in (1, 2, 3, 4, 5)] == [0, 100, 200, 200, 200]


def test_the_result_has_a_corner_where_the_lock_begins_between_two_prices() -> None:
    long = moments(past(LONG, fill(0, LONG, "1", "1000")), ETH)
    short = moments(past(SHORT, fill(1.5, SHORT, "1", "1210")), ETH)

    result = result_over_time([long, short], line(1000, 1100, 1200), ETH)

    assert [point.amount for point in result if point.at == minute(1.5)] == [210]
    assert result[-1].amount == 210


def test_what_is_filled_now_counts_at_the_mark_in_the_end() -> None:
    long = moments(past(LONG, fill(2, LONG, "1", "1201")), ETH)

    result = result_over_time([long], line(1000, 1100, 1200), ETH)

    assert [point.amount for point in result] == [0, -1]


def test_what_was_realized_stays_in_the_result() -> None:
    long = moments(past(LONG, fill(0, LONG, "1", "1000"), fill(1, LONG, "1", "1100", opens=False)), ETH)

    result = result_over_time([long], line(1000, 1100, 500), ETH)

    assert [point.amount for point in result][-1] == 100


def test_what_was_held_before_the_first_price_counts_from_the_first_price() -> None:
    long = moments(past(LONG, fill(-60, LONG, "1", "1000")), ETH)

    result = result_over_time([long], line(1050, 1060), ETH)

    assert [point.at for point in result] == [minute(0), minute(1)]
    assert [point.amount for point in result] == [50, 60]


def test_nothing_held_has_no_result() -> None:
    assert result_over_time([()], line(1, 2), ETH) == ()
    assert result_over_time([moments(past(LONG, fill(1, LONG, "1", "5")), ETH)], (), ETH) == ()


# --- locked -------------------------------------------------------------------------------------


def test_locked_is_when_both_legs_are_held() -> None:
    long = moments(past(LONG, fill(1, LONG, "1", "1000")), ETH)
    short = moments(
        past(
            SHORT,
            fill(2, SHORT, "1", "1100"),
            fill(3, SHORT, "1", "1100", opens=False),
            fill(5, SHORT, "1", "1100"),
        ),
        ETH,
    )

    assert locked_spans(long, short) == (Span(minute(2), minute(3)), Span(minute(5)))
    assert locked_spans(long, ()) == ()
