"""Profit, funding and sizing hold for all figures, each against a definition of its own."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.funding import funding_received, outlook
from chatbot.domain.hedge import Leg, LegRole
from chatbot.domain.instrument import Instrument, OrderSide, PositionSide
from chatbot.domain.pnl import apply_fill, fee, gross_lock, lock_now, open_pnl, totals, unrealized_pnl
from chatbot.domain.quote import Size, SizeUnit
from chatbot.domain.sizing import Budget, offset_quantity, quantity_of, share_of_leg, smallest_quantity
from chatbot.errors import BadArgument
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT, SOL_USDT, a_book, a_hedge, a_leg, a_market, a_pair

D = Decimal
TINY = D("1e-15")

linear = st.sampled_from([BTC_USDT, ETH_USDT, SOL_USDT])
instruments = st.sampled_from([BTC_USDT, ETH_USDT, SOL_USDT, BTC_COIN])
sides = st.sampled_from(list(PositionSide))
prices = st.decimals("10", "200000", places=2)
lots = st.integers(1, 50_000)
rates = st.decimals("-0.003", "0.003", places=8)
shares = st.decimals("0.001", "1", places=6)


@given(instruments, sides, lots, prices, prices, prices)
def test_an_equal_pair_is_worth_its_gross_lock_at_every_later_price(
    instrument: Instrument, side: PositionSide, count: int, first: Decimal, second: Decimal, later: Decimal
) -> None:
    quantity = count * instrument.lot_size
    pair = a_pair(quantity=quantity, entry=first, offset_entry=second, side=side, instrument=instrument)
    locked = gross_lock(instrument, side, quantity, first, second)
    assert abs(open_pnl(pair, instrument, later) - locked) <= TINY * max(D(1), abs(locked))


@given(instruments, lots, prices, rates)
def test_an_equal_pair_on_one_market_nets_no_funding(
    instrument: Instrument, count: int, price: Decimal, rate: Decimal
) -> None:
    pair = a_pair(quantity=count * instrument.lot_size, instrument=instrument)
    seen = outlook(instrument, a_market(instrument, price, rate=rate), pair.legs)
    assert seen.net_per_settlement == seen.net_per_day == 0
    assert seen.long_receives == -seen.short_receives


@given(linear, lots, lots, prices, rates)
def test_net_funding_is_that_of_the_net_exposure(
    instrument: Instrument, long: int, short: int, price: Decimal, rate: Decimal
) -> None:
    lot = instrument.lot_size
    pair = a_pair(quantity=long * lot, offset_quantity=short * lot, instrument=instrument)
    net = outlook(instrument, a_market(instrument, price, rate=rate), pair.legs).net_per_settlement
    assert net == -(long - short) * lot * price * rate
    assert net == funding_received(instrument, PositionSide.LONG, pair.net_exposure, price, rate)


fills = st.lists(st.tuples(st.booleans(), st.integers(1, 50), prices), max_size=25)


@given(instruments, sides, fills, prices)
def test_realized_and_open_pnl_are_what_the_cash_of_the_fills_says(
    instrument: Instrument, side: PositionSide, trades: list[tuple[bool, int, Decimal]], mark: Decimal
) -> None:
    """Average entries are book-keeping: bought and sold notionals know nothing of them."""
    leg, cash, paid = Leg(LegRole.PRIMARY, side), D(0), D(0)
    for opens, count, price in trades:
        quantity = count * instrument.lot_size
        if not opens and quantity > leg.quantity:
            continue
        cost = fee(instrument, quantity, price)
        leg = apply_fill(leg, instrument, opens=opens, quantity=quantity, price=price, fee=cost)
        cash += _worth(instrument, quantity, price) * (-1 if opens else 1)
        paid += cost
    unrealized = unrealized_pnl(instrument, side, leg.quantity, leg.entry_price, mark)
    made = side.sign * (cash + _worth(instrument, leg.quantity, mark))
    scale = max(D(1), abs(cash))
    assert abs(leg.realized_pnl + unrealized - made) <= TINY * scale
    assert leg.fees_paid == paid


def _worth(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """What a long gains by: quote per base for linear, minus coin per dollar for inverse."""
    return quantity * price if instrument.settle == instrument.quote else -quantity / price


@given(instruments, sides, lots, lots, prices, prices, prices, st.decimals("0", "50", places=2))
def test_closing_a_pair_brings_its_net_lock(
    instrument: Instrument,
    side: PositionSide,
    count: int,
    other: int,
    first: Decimal,
    second: Decimal,
    mark: Decimal,
    half_spread: Decimal,
) -> None:
    """Locked is what closing the shared quantity realizes, fill by fill, into the same book."""
    book = a_book(instrument, mark + 100, half_spread=half_spread, depth=10**9)
    shared = min(count, other) * instrument.lot_size
    hedge = a_hedge(
        a_leg(LegRole.PRIMARY, side, count * instrument.lot_size, first, fees_paid=3, funding=-2),
        a_leg(LegRole.OFFSET, side.opposite, other * instrument.lot_size, second, fees_paid=4),
        instrument=instrument,
    )
    closed = hedge
    for leg in hedge.legs:
        price = (book.bids if leg.side is PositionSide.LONG else book.asks)[0].price
        cost = fee(instrument, shared, price)
        closed = closed.with_leg(
            apply_fill(leg, instrument, opens=False, quantity=shared, price=price, fee=cost)
        )
    locked = lock_now(hedge, instrument, mark, book).net
    assert abs(totals(closed).net - locked) <= TINY * max(D(1), abs(locked))


# --- sizing -------------------------------------------------------------------------------------


@given(instruments, st.decimals("0.00001", "100000", places=5), shares)
def test_rounding_never_over_hedges_and_leaves_less_than_a_lot(
    instrument: Instrument, primary: Decimal, ratio: Decimal
) -> None:
    offset = offset_quantity(instrument, primary, ratio)
    assert 0 <= offset <= primary * ratio
    assert primary * ratio - offset < instrument.lot_size
    assert offset % instrument.lot_size == 0


@given(instruments, st.decimals("0.001", "100000", places=5), shares)
def test_a_part_of_a_leg_is_never_more_than_the_leg(
    instrument: Instrument, quantity: Decimal, fraction: Decimal
) -> None:
    assert share_of_leg(instrument, quantity, fraction) <= quantity * fraction
    assert share_of_leg(instrument, quantity, D(1)) == quantity


@given(instruments, prices)
def test_the_smallest_order_passes_and_one_lot_less_does_not(instrument: Instrument, price: Decimal) -> None:
    smallest = smallest_quantity(instrument, price)
    less = smallest - instrument.lot_size
    assert smallest % instrument.lot_size == 0
    assert smallest >= instrument.min_quantity
    assert _quote_value(instrument, smallest, price) >= instrument.min_notional
    assert less < instrument.min_quantity or _quote_value(instrument, less, price) < instrument.min_notional


def _quote_value(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    return quantity * price if instrument.settle == instrument.quote else quantity


@given(
    instruments,
    st.sampled_from(list(OrderSide)),
    prices,
    st.decimals("1", "1000000", places=2),
    shares,
    st.integers(1, 125),
    st.decimals("0", "5", places=2),
)
def test_a_share_of_the_margin_is_never_exceeded_by_margin_and_fee(
    instrument: Instrument,
    side: OrderSide,
    price: Decimal,
    margin: Decimal,
    share: Decimal,
    leverage: int,
    half_spread: Decimal,
) -> None:
    budget = Budget(margin, D(leverage))
    book = a_book(instrument, price, half_spread=half_spread, depth=10**9, step="0.1")
    size = Size(SizeUnit.SHARE, share)
    try:
        quantity = quantity_of(size, instrument, price=price, budget=budget, book=book, side=side)
    except BadArgument:
        return
    filled = book.walk(side, quantity).average_price
    taken = instrument.notional(quantity, filled) / leverage + fee(instrument, quantity, filled)
    assert taken <= margin * share * (1 + TINY)


@given(
    instruments,
    prices,
    st.sampled_from([SizeUnit.BASE, SizeUnit.NOTIONAL]),
    st.decimals("0.00001", "1000000"),
)
def test_a_size_is_met_from_below_within_a_lot_or_refused(
    instrument: Instrument, price: Decimal, unit: SizeUnit, value: Decimal
) -> None:
    budget = Budget(D(0), D(1))
    book = a_book(instrument, price)
    try:
        quantity = quantity_of(
            Size(unit, value), instrument, price=price, budget=budget, book=book, side=OrderSide.BUY
        )
    except BadArgument:
        return
    in_quote = value * price if unit is SizeUnit.BASE else value
    asked = in_quote / price if instrument.settle == instrument.quote else in_quote
    assert quantity <= asked * (1 + TINY)
    lots_asked = (asked / instrument.lot_size).to_integral_value(ROUND_UP)
    assert quantity / instrument.lot_size >= lots_asked - 1
