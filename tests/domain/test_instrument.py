"""The grid, the tiers and the sides of what is traded."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chatbot.domain.instrument import OrderSide, PositionSide
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT

D = Decimal


def test_quantities_are_rounded_down_and_prices_to_the_nearest() -> None:
    assert ETH_USDT.round_quantity(D("0.9999")) == D("0.999")
    assert ETH_USDT.round_price(D("2299.996")) == D("2300.00")
    assert BTC_COIN.round_quantity(D(199)) == 100


def test_a_long_is_opened_by_buying_and_a_short_by_selling() -> None:
    assert PositionSide.LONG.opening is PositionSide.SHORT.closing is OrderSide.BUY
    assert PositionSide.SHORT.opening is PositionSide.LONG.closing is OrderSide.SELL
    assert PositionSide.LONG.opposite is PositionSide.SHORT
    assert PositionSide.LONG.sign == -PositionSide.SHORT.sign == 1


def test_the_notional_is_in_quote_for_linear_and_in_base_for_inverse() -> None:
    assert ETH_USDT.notional(D(2), D(2_300)) == 4_600
    assert BTC_COIN.notional(D(1_000), D(20_000)) == D("0.05")


@pytest.mark.parametrize(
    ("notional", "rate"),
    [("0", "0.004"), ("50000", "0.004"), ("50000.01", "0.005"), ("70000000", "0.05"), ("1e12", "0.1")],
)
def test_a_tier_reaches_up_to_its_cap(notional: str, rate: str) -> None:
    assert BTC_USDT.tier(D(notional)).maintenance_margin_rate == D(rate)


def test_beyond_the_last_cap_the_last_tier_holds() -> None:
    capped = replace(BTC_USDT, tiers=BTC_USDT.tiers[:2])
    assert capped.tier(D("1e12")) is BTC_USDT.tiers[1]


def test_the_highest_leverage_is_that_of_the_smallest_size() -> None:
    assert BTC_USDT.max_leverage == 125
