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
from chatbot.domain.triggers import Way
from tests.builders import ETH_USDT, INSTRUMENTS, ISOLATED, LONG, NOW, a_hedge, a_position, a_view

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


def test_the_prices_at_which_it_will_next_matter_are_kept() -> None:
    # A target of 5 %, and where the 20 % level of the distance would be left.
    assert {(t.symbol, t.way) for t in seen(isolated("0.5")).triggers} == {(ETH, Way.UP), (ETH, Way.DOWN)}
    assert seen(a_view()).triggers == ()


def test_where_nobody_tells_prices_nothing_waits_for_one() -> None:
    scene = Scene(AccountId("account"), "binance", isolated("0.5"), INSTRUMENTS, passed=None)
    without = sight_of(scene, AlertPreferences(), NOW)
    assert without.triggers == ()
    assert without.liquidations == seen(isolated("0.5")).liquidations


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
