"""A liquidation price is where margin balance equals maintenance margin, found here by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from hypothesis import assume, example, given
from hypothesis import strategies as st

from chatbot.domain.account import AccountView, Position
from chatbot.domain.instrument import ContractKind, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.margin import isolated_liquidation_price, leg_liquidation, liquidation_price
from chatbot.domain.preview import view_after
from tests.builders import (
    BTC_COIN,
    BTC_USDT,
    CROSS,
    ETH_USDT,
    INSTRUMENTS,
    ISOLATED,
    LONG,
    SHORT,
    SOL_USDT,
    a_balance,
    a_market,
    a_position,
    a_view,
)

D = Decimal
Excess = Callable[[Decimal], Decimal]

linear = st.sampled_from([BTC_USDT, ETH_USDT, SOL_USDT])
instruments = st.sampled_from([BTC_USDT, ETH_USDT, SOL_USDT, BTC_COIN])
sides = st.sampled_from(list(PositionSide))
modes = st.sampled_from(list(MarginMode))
prices = st.decimals("100", "100000", places=2)
counts = st.integers(1, 200_000)
moves = st.decimals("0.7", "1.4", places=4)


def _gain(instrument: Instrument, position: Position, price: Decimal) -> Decimal:
    sign, quantity, entry = position.side.sign, position.quantity, position.entry_price
    if instrument.kind is ContractKind.LINEAR:
        return sign * quantity * (price - entry)
    return sign * quantity * (1 / entry - 1 / price)


def _maintenance(instrument: Instrument, position: Position, price: Decimal) -> Decimal:
    """Tier by tier, as an income tax is worked out: each slice of notional at its own rate."""
    notional = instrument.notional(position.quantity, price)
    total, below = D(0), D(0)
    for tier in instrument.tiers:
        cap = notional if tier.notional_cap is None else min(notional, tier.notional_cap)
        total += max(D(0), cap - below) * tier.maintenance_margin_rate
        below = max(below, cap)
    return total


def excess(instrument: Instrument, legs: Sequence[Position], backing: Decimal) -> Excess:
    """Margin balance less maintenance margin as a function of the price."""
    return lambda price: (
        backing
        + sum((_gain(instrument, leg, price) - _maintenance(instrument, leg, price) for leg in legs), D(0))
    )


def nearest_root(margin: Excess, mark: Decimal, *, upwards: bool) -> Decimal | None:
    """Steps outwards from a mark price with excess until it is gone, then halves that step."""
    near, factor = mark, D("1.02") if upwards else 1 / D("1.02")
    for _ in range(900):
        far = near * factor
        if margin(far) <= 0:
            return _bisected(margin, near, far)
        near = far
    return None


def _bisected(margin: Excess, alive: Decimal, dead: Decimal) -> Decimal:
    for _ in range(80):
        middle = (alive + dead) / 2
        alive, dead = (middle, dead) if margin(middle) > 0 else (alive, middle)
    return alive


def agree(found: Decimal | None, expected: Decimal | None, mark: Decimal) -> bool:
    # Beyond the range that was searched a price is as good as none.
    if expected is None:
        return found is None or not mark / 10**7 < found < mark * 10**7
    return found is not None and abs(found - expected) <= expected * D("1e-12")


@given(instruments, sides, counts, prices, st.integers(1, 100), st.decimals("1", "5", places=3))
def test_an_isolated_leg_is_liquidated_where_its_margin_meets_maintenance(
    instrument: Instrument, side: PositionSide, count: int, entry: Decimal, leverage: int, added: Decimal
) -> None:
    quantity = count * instrument.lot_size
    position = a_position(side, quantity, entry, instrument=instrument, leverage=leverage, mode=ISOLATED)
    margin = instrument.notional(quantity, entry) / leverage * added
    whole = excess(instrument, [position], margin)
    assume(whole(entry) > 0)
    found = isolated_liquidation_price(instrument, position, margin=margin)
    assert agree(found, nearest_root(whole, entry, upwards=side is SHORT), entry)


@given(instruments, counts, counts, prices, moves, moves, st.decimals("0.0001", "3", places=4), sides)
@example(ETH_USDT, 10_000, 10_000, D(2_000), D(1), D(1), D("0.025"), SHORT)
@example(BTC_COIN, 1_000, 1_000, D(20_000), D(1), D(1), D("0.025"), LONG)
def test_cross_legs_are_liquidated_at_the_nearest_price_on_the_losing_side(
    instrument: Instrument,
    long: int,
    short: int,
    mark: Decimal,
    long_move: Decimal,
    short_move: Decimal,
    backed: Decimal,
    side: PositionSide,
) -> None:
    """Also of two legs at once, where both sides may have such a price."""
    legs = [
        a_position(held, count * instrument.lot_size, mark * move, instrument=instrument)
        for held, count, move in ((LONG, long, long_move), (SHORT, short, short_move))
    ]
    notional = sum(instrument.notional(leg.quantity, mark) for leg in legs)
    backing = notional * backed
    whole = excess(instrument, legs, backing)
    assume(whole(mark) > 0)
    found = liquidation_price(instrument, legs, side=side, backing=backing, mark_price=mark)
    assert agree(found, nearest_root(whole, mark, upwards=side is SHORT), mark)


@given(instruments, sides, counts, prices, moves, st.decimals("-0.5", "0", places=4))
def test_under_water_the_price_is_where_the_leg_would_come_back(
    instrument: Instrument, side: PositionSide, count: int, mark: Decimal, move: Decimal, backed: Decimal
) -> None:
    leg = a_position(side, count * instrument.lot_size, mark * move, instrument=instrument)
    backing = instrument.notional(leg.quantity, mark) * backed
    whole = excess(instrument, [leg], backing)
    assume(whole(mark) < 0)
    found = liquidation_price(instrument, [leg], side=side, backing=backing, mark_price=mark)
    assert found is not None
    if found != mark:
        assert (found - mark) * side.sign > 0
        scale = max(abs(backing), instrument.notional(leg.quantity, found))
        assert abs(whole(found)) <= scale * D("1e-15")


# --- legs of an account -------------------------------------------------------------------------


@st.composite
def legs_on(draw: st.DrawFn, symbol: Symbol, side: PositionSide, mark: Decimal) -> Position:
    instrument = INSTRUMENTS[symbol]
    return a_position(
        side,
        draw(st.integers(1, 20_000)) * instrument.lot_size,
        mark * draw(moves),
        instrument=instrument,
        leverage=draw(st.integers(1, 50)),
        mode=draw(modes),
    )


@st.composite
def accounts(draw: st.DrawFn) -> AccountView:
    """Up to six legs on three linear markets, cross and isolated, long and short."""
    marks = {i.symbol: draw(prices) for i in (BTC_USDT, ETH_USDT, SOL_USDT)}
    positions = [
        draw(legs_on(symbol, side, mark))
        for symbol, mark in marks.items()
        for side in PositionSide
        if draw(st.booleans())
    ]
    notional = sum(INSTRUMENTS[p.symbol].notional(p.quantity, marks[p.symbol]) for p in positions)
    wallet = notional * draw(st.decimals("0.05", "2", places=3)) + 100
    markets = {symbol: a_market(INSTRUMENTS[symbol], mark) for symbol, mark in marks.items()}
    return a_view(*positions, wallet=wallet, markets=markets)


def account_excess(view: AccountView, symbol: Symbol) -> Excess:
    """Of the cross account, from the wallet upwards, while the other markets stand still."""

    def at(price: Decimal) -> Decimal:
        marks = {s: m.mark_price for s, m in view.markets.items()} | {symbol: price}
        isolated = sum((p.margin or D(0) for p in view.positions if p.margin_mode is ISOLATED), D(0))
        cross = [(INSTRUMENTS[p.symbol], p) for p in view.positions if p.margin_mode is CROSS]
        gains = sum((_gain(i, p, marks[p.symbol]) for i, p in cross), D(0))
        kept = sum((_maintenance(i, p, marks[p.symbol]) for i, p in cross), D(0))
        return view.balance.wallet - isolated + gains - kept

    return at


@given(accounts())
def test_every_cross_leg_of_an_account_is_liquidated_where_the_account_is(view: AccountView) -> None:
    for position in view.positions:
        whole = account_excess(view, position.symbol)
        mark = view.markets[position.symbol].mark_price
        if position.margin_mode is ISOLATED or whole(mark) <= 0:
            continue
        found = leg_liquidation(INSTRUMENTS[position.symbol], position, view)
        assert agree(found.price, nearest_root(whole, mark, upwards=position.side is SHORT), mark)


@given(accounts(), linear, sides, st.data())
def test_a_previewed_account_is_the_account_that_comes(
    view: AccountView, instrument: Instrument, side: PositionSide, data: st.DataObject
) -> None:
    """Money and margin after a leg was opened, changed or closed are those of the positions then."""
    mark = view.markets[instrument.symbol].mark_price
    before = view.position(instrument.symbol, side)
    after = data.draw(legs_on(instrument.symbol, side, mark))
    if before is not None:
        after = replace(after, margin_mode=before.margin_mode, margin=before.margin and after.margin)
        if after.margin_mode is ISOLATED and after.margin is None:
            after = replace(after, margin=D(100))
        if after.margin_mode is CROSS:
            after = replace(after, margin=None)
    if data.draw(st.booleans()):
        after = replace(after, quantity=D(0), margin=after.margin and D(0))
    received = data.draw(st.decimals("-50", "50", places=2))
    seen = view_after(view, instrument, after, received=received).balance
    positions = [p for p in view.positions if p is not before] + ([after] if after.quantity else [])
    marks = {symbol: market.mark_price for symbol, market in view.markets.items()}
    expected = a_balance(view.balance.wallet + received, positions, marks=marks)
    for figure in ("wallet", "equity", "maintenance_margin"):
        gap = abs(getattr(seen, figure) - getattr(expected, figure))
        assert gap <= D("1e-15") * max(D(1), view.balance.wallet), figure
    if view.balance.free > 0 and expected.free > 0:
        assert abs(seen.free - expected.free) <= D("1e-15") * max(D(1), view.balance.wallet)
