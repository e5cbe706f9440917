"""Offers add up, never over-hedge, and refuse in words, whatever is asked and held."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.account import AccountView
from chatbot.domain.instrument import Instrument, MarginMode, PositionSide
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.quote import (
    CloseRequest,
    HedgeQuote,
    HedgeRequest,
    OpenRequest,
    Size,
    SizeUnit,
)
from chatbot.domain.quoting import quote_close, quote_hedge, quote_open
from chatbot.errors import UserError
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT, SOL_USDT, a_position, a_view

D = Decimal
TINY = D("1e-15")

instruments = st.sampled_from([BTC_USDT, ETH_USDT, SOL_USDT, BTC_COIN])
sides = st.sampled_from(list(PositionSide))
modes = st.sampled_from(list(MarginMode))
prices = st.decimals("100", "100000", places=2)
anything = st.decimals(allow_nan=True, allow_infinity=True)
NO_CAPS = RiskCaps(hedge_share=None, leverage=None)


@st.composite
def held(draw: st.DrawFn, legs: int) -> tuple[AccountView, Instrument]:
    instrument = draw(instruments)
    mark = draw(prices)
    first = draw(sides)
    positions = [
        a_position(
            side,
            draw(st.integers(1, 3_000)) * instrument.lot_size,
            mark * draw(st.decimals("0.8", "1.25", places=4)),
            instrument=instrument,
            leverage=draw(st.integers(1, 100)),
            mode=draw(modes),
        )
        for side in (first, first.opposite)[:legs]
    ]
    half_spread = mark * draw(st.decimals("0", "0.002", places=5))
    view = a_view(
        *positions,
        instrument=instrument,
        mark=mark,
        half_spread=half_spread,
        depth=draw(st.integers(1, 1_000)),
        wallet=draw(st.integers(100, 10**9)),
        coin_wallet=draw(st.integers(1, 10**5)),
    )
    return view, instrument


def _column(quote: HedgeQuote) -> Decimal:
    costs = quote.fees_paid + quote.fee_to_open + quote.fees_to_close + quote.spread_cost
    return quote.gross_lock + quote.realized_so_far + costs + quote.funding_so_far


@given(held(legs=1), st.decimals("0.01", "1", places=4))
def test_a_hedge_quote_adds_up_and_never_over_hedges(
    account: tuple[AccountView, Instrument], ratio: Decimal
) -> None:
    view, instrument = account
    (position,) = view.positions
    try:
        quote = quote_hedge(
            HedgeRequest(instrument.symbol, ratio=ratio), None, view, instrument, NO_CAPS, D(0)
        )
    except UserError as refusal:
        assert refusal.message.endswith(".")
        return
    assert abs(quote.net_lock - _column(quote)) <= TINY * max(D(1), abs(quote.net_lock))
    assert quote.plan.quantity <= position.quantity * ratio
    assert quote.net_exposure_after * position.side.sign >= 0
    assert quote.rounding_rest < instrument.lot_size
    assert quote.margin_needed <= quote.margin_free
    assert max(quote.fees_paid, quote.fee_to_open, quote.fees_to_close, quote.spread_cost) <= 0
    assert max(map(len, quote.warnings), default=0) <= 90
    # One more fee to open, one more to close, and the spread once more.
    assert quote.costs_more > 0


@given(held(legs=2), st.decimals("0.01", "1", places=2))
def test_all_ways_of_closing_close_the_same_and_none_more_than_there_is(
    account: tuple[AccountView, Instrument], fraction: Decimal
) -> None:
    view, instrument = account
    try:
        quote = quote_close(CloseRequest(instrument.symbol, fraction), None, view, instrument)
    except UserError as refusal:
        assert "take" in refusal.message
        return
    first, at_once, lifted = quote.ways
    assert first.realized == at_once.realized
    assert lifted.plans == first.plans[:1]
    assert lifted.exposure_after == first.exposure_between
    for plan in first.plans:
        position = view.position(instrument.symbol, plan.side)
        assert position is not None
        assert 0 < plan.quantity <= position.quantity
        if fraction == 1:
            assert plan.quantity == position.quantity


@given(held(legs=2), st.decimals("0.01", "1", places=2))
def test_a_partial_close_never_turns_the_exposure_round(
    account: tuple[AccountView, Instrument], fraction: Decimal
) -> None:
    view, instrument = account
    long, short = (view.position(instrument.symbol, side) for side in PositionSide)
    assert long is not None
    assert short is not None
    before = long.quantity - short.quantity
    try:
        quote = quote_close(CloseRequest(instrument.symbol, fraction), None, view, instrument)
    except UserError:
        return
    after = quote.ways[0].exposure_after
    assert after * before >= 0
    assert abs(after) <= abs(before)


@given(held(legs=1), anything, anything, anything)
def test_nothing_that_can_be_asked_of_an_offer_raises_but_in_words(
    account: tuple[AccountView, Instrument], number: Decimal, second: Decimal, third: Decimal
) -> None:
    view, instrument = account
    (position,) = view.positions
    symbol = instrument.symbol
    for unit in SizeUnit:
        request = OpenRequest(symbol, position.side, Size(unit, number), second, None, third, second)
        _in_words(partial(quote_open, request, view, instrument, RiskCaps(), D(0)))
    hedge = HedgeRequest(symbol, None, number, second, third)
    _in_words(partial(quote_hedge, hedge, None, view, instrument, RiskCaps(), D(0)))
    close = CloseRequest(symbol, number, second)
    _in_words(partial(quote_close, close, None, view, instrument))


def _in_words(ask: Callable[[], object]) -> None:
    try:
        ask()
    except UserError as refusal:
        assert 10 < len(refusal.message) < 260
        assert refusal.message.endswith(".")


@given(held(legs=1), st.sampled_from(list(SizeUnit)), st.decimals("0.001", "100", places=3))
def test_what_is_offered_to_open_fits_into_the_free_margin(
    account: tuple[AccountView, Instrument], unit: SizeUnit, value: Decimal
) -> None:
    view, instrument = account
    (position,) = view.positions
    request = OpenRequest(instrument.symbol, position.side, Size(unit, value))
    try:
        quote = quote_open(request, view, instrument, NO_CAPS, D(0))
    except UserError:
        return
    assert quote.margin_needed <= quote.margin_free
    assert quote.plan.quantity % instrument.lot_size == 0
    assert quote.plan.leverage == position.leverage
