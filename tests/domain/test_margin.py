"""Margin and liquidation, against the worked examples of the arithmetic."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.domain.margin import (
    account_margin_ratio,
    daily_moves,
    initial_margin,
    isolated_liquidation_price,
    leg_liquidation,
    liquidation_distance,
    liquidation_price,
    maintenance_margin,
    margin_ratio,
    nearer,
    pair_liquidation,
    position_margin_ratio,
)
from chatbot.domain.quote import LegLiquidation, LiquidationSource
from tests.builders import (
    BTC_COIN,
    BTC_USDT,
    ETH_USDT,
    ISOLATED,
    LONG,
    SHORT,
    SOL_USDT,
    a_market,
    a_position,
    a_view,
    an_instrument,
    tiers,
)

D = Decimal
FLAT = an_instrument("ETH")  # one tier of 0.5 %


def cents(value: Decimal | None) -> Decimal:
    assert value is not None
    return round(value, 2)


# --- margin -------------------------------------------------------------------------------------


def test_initial_margin_is_the_notional_over_the_leverage() -> None:
    assert initial_margin(ETH_USDT, D(1), D(2_300), leverage=D(10)) == 230
    assert initial_margin(BTC_COIN, D(1_000), D(20_000), leverage=D(10)) == D("0.005")


def test_maintenance_margin_follows_the_tier_and_does_not_jump_at_its_end() -> None:
    assert maintenance_margin(BTC_USDT, D(1), D(50_000)) == 200
    # 0.5 % of 60,000 less the amount of 50 that makes the tiers meet.
    assert maintenance_margin(BTC_USDT, D(1), D(60_000)) == 250


def test_margin_ratio_is_one_at_liquidation() -> None:
    assert margin_ratio(maintenance=D(41), equity=D(100)) == D("0.41")
    assert margin_ratio(maintenance=D(0), equity=D(-5)) == 0
    assert margin_ratio(maintenance=D("0.2"), equity=D(0)) == 1


def test_the_venues_own_margin_ratio_wins() -> None:
    view = a_view(a_position())
    assert account_margin_ratio(view) == D("11.5") / 10_300
    told = replace(view, balance=replace(view.balance, margin_ratio=D("0.41")))
    assert account_margin_ratio(told) == D("0.41")


def test_the_account_ratio_counts_what_cross_positions_can_lose_only() -> None:
    isolated = a_position(SHORT, 10, 2_200, mode=ISOLATED)
    view = a_view(a_position(), isolated, wallet=10_000)
    assert account_margin_ratio(view) == D("11.5") / (10_000 - 2_200 + 300)


def test_an_isolated_position_has_a_ratio_of_its_own() -> None:
    position = a_position(LONG, 1, 2_000, mode=ISOLATED)
    at_liquidation = D(1_800) / D("0.995")
    view = a_view(position, mark=at_liquidation.quantize(D("1e-10")))
    ratio = position_margin_ratio(ETH_USDT, position, view)
    assert ratio is not None
    assert ratio == pytest.approx(1, abs=D("1e-9"))


# --- isolated -----------------------------------------------------------------------------------


def test_an_isolated_long_at_ten_times_is_liquidated_at_1809_05() -> None:
    assert cents(isolated_liquidation_price(FLAT, a_position(), margin=D(200))) == D("1809.05")


def test_an_isolated_short_is_liquidated_above() -> None:
    price = isolated_liquidation_price(FLAT, a_position(SHORT), margin=D(200))
    assert price == D(2_200) / D("1.005")


def test_added_margin_moves_the_liquidation_away() -> None:
    added = isolated_liquidation_price(FLAT, a_position(), margin=D(300))
    assert cents(added) == D("1708.54")


def test_an_isolated_long_without_leverage_has_no_liquidation_price() -> None:
    assert isolated_liquidation_price(FLAT, a_position(leverage=1), margin=D(2_000)) is None


def test_an_inverse_long_is_liquidated_below_and_a_short_above() -> None:
    flat = replace(BTC_COIN, tiers=tiers((None, "0.004", 125)))
    margin = D("0.005")  # 1,000 dollars at 20,000, ten times
    long = a_position(LONG, 1_000, 20_000, instrument=flat, mode=ISOLATED)
    short = a_position(SHORT, 1_000, 20_000, instrument=flat, mode=ISOLATED)
    # PnL of the long is 0.05 - 1000/P; it dies where that and the margin come down to 0.4 % of 1000/P.
    assert cents(isolated_liquidation_price(flat, long, margin=margin)) == cents(D(1_004) / D("0.055"))
    assert cents(isolated_liquidation_price(flat, short, margin=margin)) == cents(D(996) / D("0.045"))


def test_an_inverse_short_without_leverage_has_no_liquidation_price() -> None:
    short = a_position(SHORT, 1_000, 20_000, instrument=BTC_COIN, leverage=1, mode=ISOLATED)
    assert isolated_liquidation_price(BTC_COIN, short, margin=D("0.05")) is None


def test_nothing_held_has_no_liquidation_price() -> None:
    assert isolated_liquidation_price(FLAT, a_position(quantity=0), margin=D(200)) is None


# --- cross --------------------------------------------------------------------------------------


def _cross(*sides: PositionSide, side: PositionSide, backing: int = 1_000) -> Decimal | None:
    """Legs of 10 at 2,000, the mark price."""
    legs = [a_position(held, 10, 2_000) for held in sides]
    return liquidation_price(FLAT, legs, side=side, backing=D(backing), mark_price=D(2_000))


def test_a_full_cross_hedge_is_liquidated_upwards() -> None:
    assert _cross(LONG, SHORT, side=SHORT) == 10_000
    assert _cross(LONG, SHORT, side=LONG) is None


def test_the_long_leg_alone_is_liquidated_below() -> None:
    assert cents(_cross(LONG, side=LONG)) == D("1909.55")


def test_a_cross_account_with_enough_money_has_no_liquidation_price() -> None:
    assert _cross(LONG, side=LONG, backing=20_000) is None


def test_a_full_inverse_hedge_is_liquidated_downwards() -> None:
    # Maintenance margin in coin grows as the price falls.
    legs = [a_position(side, 1_000, 20_000, instrument=BTC_COIN) for side in (LONG, SHORT)]
    price = liquidation_price(BTC_COIN, legs, side=LONG, backing=D("0.01"), mark_price=D(20_000))
    # In the first tier: 2 x 1000/P x 0.4 % = 0.01.
    assert price == 800
    assert liquidation_price(BTC_COIN, legs, side=SHORT, backing=D("0.01"), mark_price=D(20_000)) is None


def test_a_nearly_full_hedge_can_be_liquidated_on_both_sides() -> None:
    rising = an_instrument("ETH", margin_tiers=tiers((50_000, "0.005", 100), (None, "0.5", 2)))
    legs = [a_position(LONG, 10, 2_000), a_position(SHORT, "9.5", 2_000)]
    below = liquidation_price(rising, legs, side=LONG, backing=D(500), mark_price=D(2_000))
    above = liquidation_price(rising, legs, side=SHORT, backing=D(500), mark_price=D(2_000))
    assert below is not None
    assert above is not None
    assert below < 2_000 < above


def test_tiers_that_would_cycle_still_give_one_price() -> None:
    """Solved in the lower tier the price lies in the upper one and the other way round: it is the edge."""
    jumping = an_instrument(
        "ETH", margin_tiers=(tiers((20_000, "0.01", 100))[0], tiers((None, "0.03", 20))[0])
    )
    # Short 10: at 2,000 the notional enters the upper tier, where maintenance jumps from 200 to 600.
    short = a_position(SHORT, 10, "1950")
    price = liquidation_price(jumping, [short], side=SHORT, backing=D(900), mark_price=D(1_950))
    assert price == 2_000


def test_an_account_under_water_is_liquidated_at_the_price_where_it_would_come_back() -> None:
    assert cents(_cross(LONG, side=LONG, backing=0)) > 2_000
    hopeless = _cross(LONG, SHORT, side=LONG, backing=-50_000)
    assert hopeless == 2_000


# --- legs of an account -------------------------------------------------------------------------


@pytest.mark.parametrize("not_reported", [None, 0])
def test_a_price_the_venue_does_not_report_is_computed_and_labelled(not_reported: int | None) -> None:
    position = a_position(mode=ISOLATED, liquidation_price=not_reported)
    found = leg_liquidation(FLAT, position, a_view(position))
    assert cents(found.price) == D("1809.05")
    assert found.source is LiquidationSource.COMPUTED


def test_the_venues_own_liquidation_price_wins() -> None:
    position = a_position(mode=ISOLATED, liquidation_price=1_840)
    found = leg_liquidation(FLAT, position, a_view(position))
    assert found == LegLiquidation(D(1_840), D(460) / 2_300, LiquidationSource.VENUE)


def test_a_cross_leg_is_backed_by_the_whole_account() -> None:
    position = a_position(LONG, 10, 2_000)
    view = a_view(position, wallet=1_000, mark=2_000, instrument=FLAT, instruments={FLAT.symbol: FLAT})
    assert cents(leg_liquidation(FLAT, position, view).price) == D("1909.55")


def test_other_cross_positions_add_their_profit_and_take_their_maintenance() -> None:
    eth = a_position(LONG, 10, 2_000)
    sol = a_position(LONG, 10, 150, instrument=SOL_USDT)
    markets = {i.symbol: a_market(i, mark) for i, mark in ((FLAT, 2_000), (SOL_USDT, 200))}
    known = {FLAT.symbol: FLAT, SOL_USDT.symbol: SOL_USDT}
    view = a_view(eth, sol, wallet=1_000, markets=markets, instruments=known)
    expected = liquidation_price(FLAT, [eth], side=LONG, backing=D(1_000 + 500 - 20), mark_price=D(2_000))
    assert leg_liquidation(FLAT, eth, view).price == expected


def test_margin_locked_in_an_isolated_leg_does_not_back_the_cross_one() -> None:
    long = a_position(LONG, 10, 2_000)
    short = a_position(SHORT, 10, 2_000, mode=ISOLATED, margin=800)
    view = a_view(long, short, wallet=1_800, mark=2_000, instrument=FLAT, instruments={FLAT.symbol: FLAT})
    assert cents(leg_liquidation(FLAT, long, view).price) == D("1909.55")


def test_an_inverse_leg_is_backed_by_its_coin_and_not_by_dollars() -> None:
    position = a_position(LONG, 1_000, 20_000, instrument=BTC_COIN)
    view = a_view(position, instrument=BTC_COIN, mark=20_000, coin_wallet="0.01")
    # 0.01 + 0.05 - 1000/P = 0.4 % of 1000/P
    assert cents(leg_liquidation(BTC_COIN, position, view).price) == cents(D(1_004) / D("0.06"))


def test_with_its_coin_unknown_an_inverse_cross_leg_counts_its_initial_margin_only() -> None:
    position = a_position(LONG, 1_000, 20_000, instrument=BTC_COIN)
    view = a_view(position, instrument=BTC_COIN, mark=20_000)
    assert cents(leg_liquidation(BTC_COIN, position, view).price) == cents(D(1_004) / D("0.055"))


def test_the_nearer_leg_counts_for_the_pair() -> None:
    long, short = a_position(mode=ISOLATED), a_position(SHORT, 1, 2_300, mode=ISOLATED)
    view = a_view(long, short, mark=2_400)
    assert pair_liquidation(ETH_USDT, view) == leg_liquidation(ETH_USDT, short, view)
    assert nearer(LegLiquidation(None, None), None).price is None


def test_distance_is_a_share_of_the_mark_price() -> None:
    assert liquidation_distance(D("2516.4"), D("2398.6")) == D("117.8") / D("2398.6")
    assert liquidation_distance(None, D(2_000)) is None


def test_distance_in_daily_moves() -> None:
    assert daily_moves(D("0.09"), D("0.03")) == 3
    assert daily_moves(None, D("0.03")) is None
    assert daily_moves(D("0.09"), D(0)) is None
