from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import AccountId, Hedge
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import Gravity
from chatbot.domain.scene import Scene, Watched
from chatbot.domain.sight import (
    EMPTY,
    ENDANGERED,
    ENDANGERED_STREAMED,
    HOLDING,
    HOLDING_STREAMED,
    STREAM_LOST_AFTER,
    Sight,
    sight_of,
    stream_finding,
)
from tests.builders import ETH_USDT, INSTRUMENTS, ISOLATED, LONG, NOW, SHORT, a_hedge, a_position, a_view

D = Decimal
ETH = ETH_USDT.symbol


def seen(view: AccountView, *hedges: Hedge, limits: AlertPreferences | None = None) -> Sight:
    scene = Scene(AccountId("account"), "binance", view, INSTRUMENTS, tuple(Watched(h) for h in hedges))
    return sight_of(scene, limits or AlertPreferences(), NOW)


def isolated(distance: str) -> AccountView:
    """A long at a mark of 2,000, so far from liquidation."""
    price = 2_000 * (1 - D(distance))
    return a_view(a_position(LONG, mode=ISOLATED, liquidation_price=price), mark=2_000)


def test_an_account_without_positions_orders_and_hedges_holds_nothing() -> None:
    assert seen(a_view()) == Sight(NOW)


def test_a_live_hedge_is_held_even_while_its_legs_are_missing() -> None:
    assert seen(a_view(), a_hedge()).holds


@pytest.mark.parametrize(("distance", "endangered"), [("0.21", False), ("0.20", True), ("0.01", True)])
def test_a_leg_within_the_largest_distance_is_in_danger(distance: str, endangered: bool) -> None:
    assert seen(isolated(distance)).endangered is endangered


def test_the_distances_are_those_of_the_user() -> None:
    limits = AlertPreferences(liquidation_distances=(D("0.05"),))
    assert not seen(isolated("0.06"), limits=limits).endangered
    assert seen(isolated("0.04"), limits=limits).endangered


def test_a_high_margin_ratio_is_danger_without_any_price() -> None:
    calm = a_view(a_position(LONG, liquidation_price=100), mark=2_000)
    tight = replace(calm, balance=replace(calm.balance, margin_ratio=D("0.5")))

    assert not seen(calm).endangered
    assert seen(tight).endangered


@pytest.mark.parametrize(
    ("distance", "low", "high"),
    [
        ("0.5", "1980", "2020"),  # a tenth of the way, but at most 1 %
        ("0.05", "1990", "2010"),
        ("0.001", "1998", "2002"),  # at least 0.1 %
    ],
)
def test_a_price_matters_once_it_went_a_tenth_of_the_way(distance: str, low: str, high: str) -> None:
    sight = seen(isolated(distance))

    assert not sight.changed_by({ETH: D(low)})
    assert not sight.changed_by({ETH: D(high)})
    assert sight.changed_by({ETH: D(low) - D("0.01")})
    assert sight.changed_by({ETH: D(high) + D("0.01")})


def test_of_two_legs_the_nearer_decides_how_far_a_price_may_go() -> None:
    view = a_view(
        a_position(LONG, mode=ISOLATED, liquidation_price=1_000),
        a_position(SHORT, mode=ISOLATED, liquidation_price=2_100),
        mark=2_000,
    )
    assert seen(view).changed_by({ETH: D(2_011)})
    assert not seen(view).changed_by({ETH: D(2_009)})


def test_a_leg_that_cannot_be_liquidated_is_looked_at_when_its_price_goes_one_percent() -> None:
    sight = seen(a_view(a_position(LONG, 1), wallet=1_000_000, mark=2_000))

    assert not sight.changed_by({ETH: D(2_019)})
    assert sight.changed_by({ETH: D(2_021)})


def test_prices_of_other_markets_change_nothing() -> None:
    assert not seen(isolated("0.05")).changed_by({})


def test_danger_orders_on_their_way_and_streams_say_how_soon_the_next_look_is() -> None:
    empty, calm, endangered = Sight(NOW), Sight(NOW, holds=True), Sight(NOW, holds=True, endangered=True)

    assert [each.interval(streamed=False) for each in (empty, calm, endangered)] == [
        EMPTY,
        HOLDING,
        ENDANGERED,
    ]
    assert [each.interval(streamed=True) for each in (empty, calm, endangered)] == [
        EMPTY,
        HOLDING_STREAMED,
        ENDANGERED_STREAMED,
    ]
    assert {each.interval(streamed=True, busy=True) for each in (empty, calm, endangered)} == {ENDANGERED}


@pytest.mark.parametrize(("minutes", "level"), [(0, -1), (4, -1), (5, 0), (60, 0)])
def test_a_missing_stream_is_told_calmly_and_after_a_while(minutes: int, level: int) -> None:
    finding = stream_finding(AccountId("account"), "binance", timedelta(minutes=minutes))

    assert finding.level == level
    assert finding.gravity_at(0) is Gravity.INFO
    assert (timedelta(minutes=5),) == STREAM_LOST_AFTER
