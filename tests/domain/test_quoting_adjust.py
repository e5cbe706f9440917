"""Offers to scale legs and to make them equal again."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide
from chatbot.domain.order import OrderReport, OrderStatus, OrderType
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.quote import (
    AdjustQuote,
    AdjustRequest,
    AdjustWay,
    LegAction,
    LegName,
    Size,
    SizeUnit,
)
from chatbot.domain.quoting import quote_adjust
from chatbot.errors import BadArgument, LimitExceeded, NotFound, OneWayMode, UserError
from tests.builders import (
    BTC_COIN,
    ETH_USDT,
    ISOLATED,
    LONG,
    NOW,
    SHORT,
    Number,
    a_hedge,
    a_leg,
    a_pair,
    a_position,
    a_view,
)

D = Decimal
PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET
LONG_LEG, SHORT_LEG = a_position(LONG, 1, 2_000), a_position(SHORT, 1, 2_300)
CAPS = RiskCaps()


def base(value: Number) -> Size:
    return Size(SizeUnit.BASE, D(value))


def share(value: Number) -> Size:
    return Size(SizeUnit.SHARE, D(value))


def offered(
    view: AccountView,
    size: Size | None,
    *legs: LegName,
    grow: bool = True,
    hedge: Hedge | None = None,
    caps: RiskCaps = CAPS,
    instrument: Instrument = ETH_USDT,
    stopped: str = "",
) -> AdjustQuote:
    request = AdjustRequest(instrument.symbol, legs, size, grow)
    return quote_adjust(request, hedge or a_pair(), view, instrument, caps, D(0), stopped=stopped)


def pair_view(**named: object) -> AccountView:
    return a_view(LONG_LEG, SHORT_LEG, **named)  # type: ignore[arg-type]


def resting(side: PositionSide, kind: OrderType, price: Number, client_order_id: str = "x") -> OrderReport:
    return OrderReport(
        client_order_id=client_order_id,
        venue_order_id="1",
        symbol=ETH_USDT.symbol,
        side=side.closing,
        position_side=side,
        type=kind,
        status=OrderStatus.OPEN,
        quantity=D(1),
        filled_quantity=D(0),
        average_price=None,
        fee=D(0),
        updated_at=NOW,
        reduce_only=True,
        trigger_price=D(price),
    )


# --- growing and shrinking ----------------------------------------------------------------------


def test_both_legs_grow_by_the_same_and_stay_equal() -> None:
    (way,) = offered(pair_view(), base("0.5")).ways
    assert [(p.side, p.action, p.quantity) for p in way.plans] == [
        (LONG, LegAction.OPEN, D("0.5")),
        (SHORT, LegAction.OPEN, D("0.5")),
    ]
    assert [leg.quantity for leg in way.legs] == [D("1.5"), D("1.5")]
    assert way.exposure_after == 0


def test_entries_average_with_what_is_added() -> None:
    (way,) = offered(pair_view(), base(1)).ways
    assert [leg.entry_price for leg in way.legs] == [D(2_150), D(2_300)]


def test_growing_both_at_the_mark_costs_fees_and_leaves_the_gross_lock_as_it_is() -> None:
    """1 ETH locked at 300; 1 more on each side at 2,300 locks nothing more and pays to open and to close."""
    quote = offered(pair_view(), base(1))
    (way,) = quote.ways
    rate = ETH_USDT.taker_fee_rate
    assert quote.net_lock is not None
    assert way.net_lock == quote.net_lock - 4 * rate * 2_300
    assert way.fees == -2 * rate * 2_300


def test_margin_for_both_legs_is_asked_together() -> None:
    (way,) = offered(pair_view(), base(1)).ways
    assert way.margin_needed == 2 * (D(230) + ETH_USDT.taker_fee_rate * 2_300)
    with pytest.raises(LimitExceeded, match="of margin"):
        offered(pair_view(wallet=600), base(1))


def test_shrinking_both_realizes_their_part_of_the_lock() -> None:
    (way,) = offered(pair_view(), share("0.5"), grow=False).ways
    assert [(p.action, p.quantity) for p in way.plans] == [(LegAction.CLOSE, D("0.5"))] * 2
    assert way.realized == D(150)
    assert way.margin_needed == 0
    assert [leg.quantity for leg in way.legs] == [D("0.5"), D("0.5")]


def test_a_share_is_of_each_leg_and_rounded_down_to_the_lot() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, "0.333", 2_300))
    (way,) = offered(view, share("0.5"), grow=False).ways
    assert [plan.quantity for plan in way.plans] == [D("0.5"), D("0.166")]


def test_a_notional_is_taken_at_the_mark() -> None:
    (way,) = offered(pair_view(), Size(SizeUnit.NOTIONAL, D(1_150)), PRIMARY).ways
    assert [plan.quantity for plan in way.plans] == [D("0.5")]


def test_of_an_inverse_market_the_size_is_in_dollars() -> None:
    legs = (
        a_position(LONG, 5_000, 100_000, instrument=BTC_COIN),
        a_position(SHORT, 5_000, 110_000, instrument=BTC_COIN),
    )
    view = a_view(*legs, instrument=BTC_COIN, mark=110_000, coin_wallet=1)
    hedge = a_pair(quantity=5_000, entry=100_000, offset_entry=110_000, instrument=BTC_COIN)
    (way,) = offered(view, share("0.5"), hedge=hedge, instrument=BTC_COIN, grow=False).ways
    assert [plan.quantity for plan in way.plans] == [D(2_500), D(2_500)]
    assert way.realized == D(2_500) / 100_000 - D(2_500) / 110_000


@pytest.mark.parametrize("name", [PRIMARY, LONG])
def test_a_leg_is_named_by_its_role_or_by_its_side(name: LegName) -> None:
    (way,) = offered(pair_view(), base("0.5"), name).ways
    assert [plan.side for plan in way.plans] == [LONG]
    assert way.exposure_after == D("0.5")
    assert "Net long 0.5 ETH stays unhedged and moves with the price." in way.warnings


def test_an_offset_never_outgrows_its_primary() -> None:
    with pytest.raises(LimitExceeded, match="more than it hedges"):
        offered(pair_view(), base("0.1"), OFFSET)
    with pytest.raises(LimitExceeded, match="more than it hedges"):
        offered(pair_view(), base("0.1"), PRIMARY, grow=False)


def test_an_offset_that_is_too_large_already_may_still_shrink() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, 2, 2_300))
    (way,) = offered(view, base("0.5"), OFFSET, grow=False).ways
    assert way.exposure_after == D("-0.5")


def test_all_of_a_leg_is_a_close() -> None:
    with pytest.raises(BadArgument, match="`/close #3` closes"):
        offered(pair_view(), share(1), grow=False)


def test_less_than_one_order_is_refused() -> None:
    with pytest.raises(BadArgument, match="smallest order"):
        offered(pair_view(), base("0.0001"))
    with pytest.raises(BadArgument, match="less than one order"):
        offered(pair_view(), share("0.0001"), grow=False)


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_size_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(BadArgument, match="above zero"):
        offered(pair_view(), base(value))


def test_a_leg_that_is_not_there_cannot_change() -> None:
    with pytest.raises(NotFound, match="no offset leg"):
        offered(a_view(LONG_LEG), base(1), OFFSET, hedge=a_hedge(a_leg()))
    with pytest.raises(NotFound, match="Nothing is open"):
        offered(a_view(), base(1))


def test_growing_needs_hedge_mode_and_shrinking_does_not() -> None:
    view = a_view(LONG_LEG, position_mode=PositionMode.ONE_WAY)
    hedge = a_hedge(a_leg())
    with pytest.raises(OneWayMode):
        offered(view, base("0.5"), hedge=hedge)
    assert offered(view, base("0.5"), grow=False, hedge=hedge).ways


def test_while_trading_is_stopped_legs_only_shrink() -> None:
    with pytest.raises(LimitExceeded, match="paused"):
        offered(pair_view(), base(1), stopped="paused")
    assert offered(pair_view(), share("0.5"), grow=False, stopped="paused").ways


def test_the_caps_hold_for_what_is_added() -> None:
    with pytest.raises(LimitExceeded, match="cap of"):
        offered(pair_view(), base(1), caps=RiskCaps(notional=D(3_000)))


def test_what_is_added_gets_the_stop_that_the_leg_has() -> None:
    stops = (
        resting(LONG, OrderType.STOP_LOSS, 1_900),
        resting(LONG, OrderType.STOP_LOSS, 1_950),
        resting(SHORT, OrderType.TAKE_PROFIT, 2_100),
    )
    (way,) = offered(pair_view(open_orders=stops), base(1)).ways
    long, short = way.plans
    assert (long.stop_loss, long.take_profit) == (D(1_950), None)
    assert (short.stop_loss, short.take_profit) == (None, D(2_100))
    assert "The stop-loss of the long at 1,950.00 covers what is added too." in way.warnings


def test_a_closing_order_at_a_price_is_said_to_cover_the_old_size_only() -> None:
    order = resting(LONG, OrderType.TRIGGER, 2_500)
    (way,) = offered(pair_view(open_orders=(order,)), base(1), PRIMARY).ways
    assert "The closing order of the long at 2,500.00 covers the old size only." in way.warnings


def test_closing_orders_of_both_legs_are_named_by_their_leg_and_told_once_each() -> None:
    orders = (resting(LONG, OrderType.TRIGGER, 2_500), resting(SHORT, OrderType.TRIGGER, 2_500))
    (way,) = offered(pair_view(open_orders=orders), share("0.1")).ways
    assert way.warnings == (
        "The closing order of the long at 2,500.00 covers the old size only.",
        "The closing order of the short at 2,500.00 covers the old size only.",
    )


def test_an_isolated_leg_that_comes_near_its_liquidation_is_warned_of() -> None:
    long = a_position(LONG, 1, 2_300, mode=ISOLATED, leverage=20)
    (way,) = offered(a_view(long), base(1), hedge=a_hedge(a_leg(entry=2_300))).ways
    assert any("from its liquidation" in warning for warning in way.warnings)


# --- equal again --------------------------------------------------------------------------------


def test_unequal_legs_are_made_equal_in_two_ways() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, "0.4", 2_300))
    trim, add = offered(view, None).ways
    assert (trim.way, [(p.side, p.action, p.quantity) for p in trim.plans]) == (
        AdjustWay.TRIM,
        [(LONG, LegAction.CLOSE, D("0.6"))],
    )
    assert (add.way, [(p.side, p.action, p.quantity) for p in add.plans]) == (
        AdjustWay.ADD,
        [(SHORT, LegAction.OPEN, D("0.6"))],
    )
    assert trim.exposure_after == add.exposure_after == 0


def test_a_way_that_cannot_be_afforded_is_left_out() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, "0.4", 2_300), wallet=100)
    assert [way.way for way in offered(view, None).ways] == [AdjustWay.TRIM]
    assert [way.way for way in offered(view, None, stopped="paused").ways] == [AdjustWay.TRIM]


def test_equal_legs_need_no_rebalancing() -> None:
    with pytest.raises(LimitExceeded, match="equal already"):
        offered(pair_view(), None)


def test_a_gap_under_one_order_cannot_be_closed() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, "0.9999", 2_300))
    with pytest.raises(LimitExceeded, match="less than one order"):
        offered(view, None)


# --- whatever is asked --------------------------------------------------------------------------

quantities = st.decimals("0.001", "20", places=3)


@given(
    primary=quantities,
    offset=quantities,
    value=st.decimals("0.001", "3", places=3),
    unit=st.sampled_from([SizeUnit.BASE, SizeUnit.SHARE]),
    legs=st.sampled_from([(), (PRIMARY,), (OFFSET,)]),
    grow=st.booleans(),
)
def test_no_adjustment_hedges_more_than_there_is_nor_closes_more_than_is_held(
    primary: Decimal, offset: Decimal, value: Decimal, unit: SizeUnit, legs: tuple[LegName, ...], grow: bool
) -> None:
    view = a_view(a_position(LONG, primary, 2_000), a_position(SHORT, offset, 2_300), wallet=10**6)
    hedge = a_pair(quantity=primary, offset_quantity=offset)
    try:
        (way,) = offered(view, Size(unit, value), *legs, hedge=hedge, grow=grow).ways
    except UserError:
        return
    after = {leg.role: leg.quantity for leg in way.legs}
    assert all(quantity > 0 for quantity in after.values())
    assert after[OFFSET] - after[PRIMARY] <= max(D(0), offset - primary)
    for plan in way.plans:
        assert plan.quantity % ETH_USDT.lot_size == 0
