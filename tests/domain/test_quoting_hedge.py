"""Offers to lock a position with the opposite leg."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.quote import HedgeQuote, HedgeRequest, LegAction
from chatbot.domain.quoting import quote_hedge
from chatbot.errors import BadArgument, LimitExceeded, NotFound
from tests.builders import (
    BTC_COIN,
    ETH_USDT,
    ISOLATED,
    LONG,
    SHORT,
    Number,
    a_hedge,
    a_leg,
    a_pair,
    a_position,
    a_view,
    an_instrument,
)

D = Decimal


def a_request(
    *,
    side: PositionSide | None = None,
    ratio: Number = 1,
    instrument: Instrument = ETH_USDT,
    stop: Number | None = None,
    target: Number | None = None,
) -> HedgeRequest:
    return HedgeRequest(
        symbol=instrument.symbol,
        side=side,
        ratio=D(ratio),
        stop_loss=None if stop is None else D(stop),
        take_profit=None if target is None else D(target),
    )


def offered(
    view: AccountView,
    request: HedgeRequest | None = None,
    *,
    hedge: Hedge | None = None,
    instrument: Instrument = ETH_USDT,
    caps: RiskCaps | None = None,
    hedges_margin: Number = 0,
) -> HedgeQuote:
    return quote_hedge(request or a_request(), hedge, view, instrument, caps or RiskCaps(), D(hedges_margin))


def column(quote: HedgeQuote) -> Decimal:
    return (
        quote.gross_lock
        + quote.realized_so_far
        + quote.fees_paid
        + quote.fee_to_open
        + quote.fees_to_close
        + quote.spread_cost
        + quote.funding_so_far
    )


# --- the figures --------------------------------------------------------------------------------


def test_the_worked_example_locks_295_55_and_costs_2_30_more_than_closing() -> None:
    hedge = a_hedge(a_leg(fees_paid="1.00"))
    quote = offered(a_view(a_position()), hedge=hedge)
    assert (quote.gross_lock, quote.fees_paid, quote.fee_to_open, quote.fees_to_close) == (
        D(300),
        D("-1.00"),
        D("-1.15"),
        D("-2.30"),
    )
    assert quote.net_lock == column(quote) == D("295.55")
    assert quote.close_now_net == D("297.85")
    assert quote.costs_more == D("2.30")
    assert not quote.fees_paid_partial


def test_the_offset_mirrors_the_primary() -> None:
    plan = offered(a_view(a_position(leverage=7, mode=ISOLATED))).plan
    assert (plan.role, plan.action, plan.side) == (LegRole.OFFSET, LegAction.OPEN, SHORT)
    assert (plan.quantity, plan.leverage, plan.margin_mode) == (D(1), D(7), ISOLATED)


def test_a_spread_costs_once_at_the_entry_and_again_when_both_legs_close() -> None:
    quote = offered(a_view(a_position(), half_spread="0.12"), hedge=a_hedge(a_leg(fees_paid=1)))
    assert quote.plan.expected_price == D("2299.88")
    assert quote.gross_lock == D("299.88")
    assert quote.spread_cost == D("-0.24")
    assert quote.net_lock == column(quote)


def test_a_short_is_locked_by_a_long() -> None:
    quote = offered(a_view(a_position(SHORT, 1, 2_600), half_spread=1))
    assert (quote.plan.side, quote.plan.expected_price) == (LONG, D(2_301))
    assert quote.gross_lock == 299


def test_what_a_position_found_on_the_venue_has_cost_is_not_counted_and_said_so() -> None:
    quote = offered(a_view(a_position()))
    assert (quote.fees_paid, quote.fees_paid_partial) == (D(0), True)
    assert any("not counted" in warning for warning in quote.warnings)


def test_of_an_adopted_leg_counts_what_the_ledger_has_seen() -> None:
    hedge = a_hedge(a_leg(adopted=True, fees_paid="0.2", funding="-0.7"))
    quote = offered(a_view(a_position()), hedge=hedge)
    assert (quote.fees_paid, quote.fees_paid_partial) == (D("-0.2"), True)
    assert quote.funding_so_far == D("-0.7")


def test_what_an_earlier_lift_has_realized_is_part_of_the_lock() -> None:
    lifted = a_leg(LegRole.OFFSET, SHORT, 0, 2_250, realized=-40, fees_paid=2)
    quote = offered(a_view(a_position()), hedge=a_hedge(a_leg(fees_paid=1), lifted))
    assert (quote.realized_so_far, quote.fees_paid) == (D(-40), D(-3))
    assert quote.net_lock == column(quote) == 300 - 40 - 3 - D("1.15") - D("2.30")
    assert quote.costs_more == D("2.30")


def test_a_ratio_hedges_a_part_and_compares_it_with_closing_that_part() -> None:
    quote = offered(a_view(a_position()), a_request(ratio="0.5"))
    assert (quote.plan.quantity, quote.net_exposure_after) == (D("0.5"), D("0.5"))
    assert quote.gross_lock == 150
    assert quote.costs_more == D("1.15")


def test_the_rounding_rest_is_shown_in_base_and_in_quote() -> None:
    instrument = an_instrument(lot="0.1")
    view = a_view(a_position(quantity="1.07"), instrument=instrument)
    quote = offered(view, instrument=instrument)
    assert quote.plan.quantity == 1
    assert (quote.rounding_rest, quote.rounding_rest_notional) == (D("0.07"), D(161))
    assert "0.07 ETH stays unhedged (steps of 0.1 ETH)." in quote.warnings


def test_an_inverse_position_locks_coin() -> None:
    position = a_position(LONG, 1_000, 20_000, instrument=BTC_COIN)
    view = a_view(position, instrument=BTC_COIN, mark=25_000, coin_wallet="0.1")
    quote = offered(view, a_request(instrument=BTC_COIN), instrument=BTC_COIN)
    assert (quote.inverse, quote.lock_currency) == (True, "BTC")
    assert quote.gross_lock == D("0.01")
    assert quote.fee_to_open == D("-0.00002")


# --- margin and liquidation ---------------------------------------------------------------------


def test_margin_needed_is_initial_margin_plus_fee() -> None:
    quote = offered(a_view(a_position(), half_spread="0.12"))
    assert quote.margin_needed == D("229.988") + D("1.14994")
    assert quote.margin_free == 10_300 - 230


def test_a_full_cross_hedge_shows_its_liquidation_above() -> None:
    quote = offered(a_view(a_position(LONG, 10, 2_300), wallet=10_000))
    assert quote.liquidation_before.price is not None
    assert quote.primary_after.price is None
    assert quote.offset_after.price is not None
    assert quote.pair_after == quote.offset_after
    assert quote.offset_after.price > 50_000


def test_a_joint_liquidation_is_warned_of_only_within_reach() -> None:
    far = offered(a_view(a_position(LONG, 10, 2_300), wallet=10_000))
    tight = a_view(a_position(LONG, 900, 2_300, leverage=50), wallet=86_000)
    near = offered(tight, caps=RiskCaps(None, None, None))
    assert not [warning for warning in far.warnings if "liquidates both" in warning]
    assert near.offset_after.price is not None
    assert f"Even hedged, a rise to {near.offset_after.price:,.2f} liquidates both legs." in near.warnings


def test_the_fee_of_the_offset_no_longer_backs_the_pair() -> None:
    flat = an_instrument()  # one tier of 0.5 %
    view = a_view(a_position(LONG, 10, 2_300), instrument=flat)
    quote = offered(view, instrument=flat)
    assert quote.plan.fee == D("11.5")
    assert quote.pair_after.price == (10_000 - D("11.5")) / (10 * D("0.01"))


def test_isolated_legs_keep_a_liquidation_price_each() -> None:
    quote = offered(a_view(a_position(mode=ISOLATED)))
    assert quote.primary_after == quote.liquidation_before
    assert quote.primary_after.price == D(1_800) / D("0.995")
    assert quote.offset_after.price == D(2_530) / D("1.005")
    assert quote.pair_after == quote.offset_after


def test_the_venues_price_of_a_cross_leg_does_not_outlive_the_hedge() -> None:
    quote = offered(a_view(a_position(liquidation_price=500, leverage=5)))
    assert quote.liquidation_before.price == 500
    assert quote.primary_after.price is None


# --- which position -----------------------------------------------------------------------------


def test_the_only_position_needs_no_side() -> None:
    assert offered(a_view(a_position(SHORT, 1, 2_600))).primary_side is SHORT


def test_two_positions_of_different_size_need_a_side() -> None:
    view = a_view(a_position(LONG, 1), a_position(SHORT, "0.4", 2_250))
    with pytest.raises(BadArgument, match="name the side") as refused:
        offered(view)
    assert refused.value.example == "/hedge ETH long"
    quote = offered(view, a_request(side=LONG))
    assert (quote.plan.quantity, quote.offset_quantity_before) == (D("0.6"), D("0.4"))


def test_making_up_a_smaller_leg_locks_at_the_average_of_both_parts() -> None:
    hedge = a_pair(offset_quantity="0.4", offset_entry=2_250)
    view = a_view(a_position(LONG, 1), a_position(SHORT, "0.4", 2_250))
    quote = offered(view, hedge=hedge)
    assert quote.plan.quantity == D("0.6")
    assert quote.gross_lock == D("0.4") * 250 + D("0.6") * 300
    assert quote.net_lock == column(quote)
    assert quote.net_exposure_after == 0
    # Closing instead closes the part that is hedged already, too.
    assert quote.close_now_net == 300 - D("0.4") * 50 - D("1.15") - D("0.46")


def test_a_lost_primary_is_opened_again_against_its_offset() -> None:
    hedge = a_hedge(a_leg(quantity=0), a_leg(LegRole.OFFSET, SHORT, 1, 2_300))
    quote = offered(a_view(a_position(SHORT, 1, 2_300)), hedge=hedge)
    assert (quote.plan.role, quote.plan.side) == (LegRole.PRIMARY, LONG)
    assert quote.primary_side is SHORT


def test_an_equal_pair_is_hedged_already() -> None:
    view = a_view(a_position(LONG), a_position(SHORT, 1, 2_300))
    with pytest.raises(LimitExceeded, match=r"hedged already \(#3\)"):
        offered(view, hedge=a_pair())
    with pytest.raises(LimitExceeded, match="both legs of ETH already; `/adopt ETH`"):
        offered(view)


def test_no_position_says_how_to_open_one() -> None:
    with pytest.raises(NotFound, match="/open ETH long"):
        offered(a_view())


def test_a_side_that_is_not_held_names_the_one_that_is() -> None:
    with pytest.raises(NotFound, match="no short on ETH; you hold a long"):
        offered(a_view(a_position()), a_request(side=SHORT))


# --- refusals -----------------------------------------------------------------------------------


def test_one_way_mode_is_refused_before_anything_else() -> None:
    with pytest.raises(LimitExceeded, match="one-way mode"):
        offered(a_view(position_mode=PositionMode.ONE_WAY))


def test_where_margin_lacks_the_part_that_fits_is_told_and_fits() -> None:
    view = a_view(a_position(LONG, 1, 2_300), wallet=400)
    with pytest.raises(LimitExceeded, match=r"hedge a part \(`/hedge ETH 70%`\) or add money"):
        offered(view, caps=RiskCaps(hedge_share=None))
    assert offered(view, a_request(ratio="0.70"), caps=RiskCaps(hedge_share=None)).plan.quantity == D("0.7")


@pytest.mark.parametrize("ratio", ["0", "-0.5", "1.001", "NaN", "Infinity"])
def test_a_ratio_that_would_over_hedge_or_hedge_nothing_is_refused(ratio: str) -> None:
    with pytest.raises(BadArgument, match="at most 100 %"):
        offered(a_view(a_position()), a_request(ratio=ratio))


def test_a_position_too_small_to_hedge_says_the_smallest_that_would_do() -> None:
    with pytest.raises(BadArgument, match=r"smallest order on ETH: 0\.003 ETH"):
        offered(a_view(a_position(quantity="0.002")))


def test_margin_that_does_not_fit_is_refused_with_both_figures() -> None:
    with pytest.raises(LimitExceeded, match=r"needs 231\.15 USDT of margin and 58\.50 USDT can be used"):
        offered(a_view(a_position(LONG, 1, 2_300), wallet=D("294.3878")))


def test_a_found_position_counts_towards_the_allocation_cap_with_both_legs() -> None:
    view = a_view(a_position(LONG, 10, 2_300), wallet=5_700)
    with pytest.raises(LimitExceeded, match="over your cap of 80 %"):
        offered(view)
    # The ledger's own primary is counted by whoever keeps the ledger.
    offered(view, hedge=a_hedge(a_leg(quantity=10, entry=2_300)))


def test_leverage_over_the_cap_is_lowered_so_that_a_risky_position_can_be_hedged() -> None:
    quote = offered(a_view(a_position(leverage=50)))
    assert (quote.primary_leverage, quote.plan.leverage) == (D(50), D(20))
    assert "The short uses 20x, your long 50x." in quote.warnings


def test_a_book_too_thin_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="too thin for 1 ETH"):
        offered(a_view(a_position(), depth="0.05"))


@pytest.mark.parametrize(("stop", "target"), [(2_200, None), (None, 2_400)])
def test_a_stop_on_the_wrong_side_of_the_offset_is_refused(stop: int | None, target: int | None) -> None:
    with pytest.raises(BadArgument, match="of a short lies"):
        offered(a_view(a_position()), a_request(stop=stop, target=target))


# --- warnings -----------------------------------------------------------------------------------


def test_locking_a_loss_is_a_warning_and_no_refusal() -> None:
    quote = offered(a_view(a_position(LONG, 1, 2_400)))
    assert quote.warnings[0] == "This locks a loss: -103.45 USDT net."


def test_a_stop_on_one_leg_is_said_to_leave_the_other_naked() -> None:
    quote = offered(a_view(a_position()), a_request(stop=2_500))
    assert "A stop on the short alone leaves the long naked when it fires." in quote.warnings


def test_a_thin_isolated_primary_is_warned_of() -> None:
    quote = offered(a_view(a_position(LONG, 1, 2_300, leverage=20, mode=ISOLATED)))
    assert "The long is 4.5 % from its liquidation at 2,195.98." in quote.warnings
    assert "The short is 4.5 % from its liquidation at 2,402.99." in quote.warnings


def test_a_setting_that_will_be_changed_is_told() -> None:
    view = a_view(a_position(mode=ISOLATED))
    view = replace(view, leg_settings={(ETH_USDT.symbol, SHORT): LegSetting(D(5), a_position().margin_mode)})
    warnings = offered(view).warnings
    assert "Leverage of the next short changes from 5x to 10x." in warnings
    assert "Margin of the short side changes from cross to isolated." in warnings


def test_warnings_fit_a_phone() -> None:
    view = a_view(a_position(LONG, "1234.567", "98765.43", leverage=50), wallet=10**9, mark="98765.43")
    view = replace(view, leg_settings={(ETH_USDT.symbol, SHORT): LegSetting(D(125), ISOLATED)})
    caps = RiskCaps(hedge_share=None)
    quote = offered(view, a_request(stop="199999.99"), caps=caps)
    assert quote.warnings
    assert max(map(len, quote.warnings)) <= 90
