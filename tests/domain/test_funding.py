"""Funding of legs and pairs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from chatbot.domain.funding import cross_venue_per_day, eaten_at, funding_received, outlook, per_day
from tests.builders import (
    BTC_COIN,
    ETH_USDT,
    LONG,
    NOW,
    SHORT,
    SOL_USDT,
    a_leg,
    a_market,
    a_pair,
    a_position,
    decimals,
)

D = Decimal


def test_longs_pay_and_shorts_receive_a_positive_rate() -> None:
    assert funding_received(ETH_USDT, LONG, D(1), D(2_300), D("0.0001")) == D("-0.23")
    assert funding_received(ETH_USDT, SHORT, D(1), D(2_300), D("0.0001")) == D("0.23")
    assert funding_received(ETH_USDT, LONG, D(1), D(2_300), D("-0.0001")) == D("0.23")


def test_an_inverse_leg_is_paid_in_coin() -> None:
    assert funding_received(BTC_COIN, SHORT, D(1_000), D(20_000), D("0.0001")) == D("0.000005")


def test_an_equal_pair_on_one_market_pays_nothing_net() -> None:
    seen = outlook(ETH_USDT, a_market(), a_pair().legs)
    assert (seen.long_receives, seen.short_receives) == decimals(D("-0.23"), D("0.23"))
    assert (seen.net_per_settlement, seen.net_per_day) == decimals(0, 0)


def test_an_unequal_pair_pays_for_its_imbalance_only() -> None:
    seen = outlook(ETH_USDT, a_market(), a_pair(quantity=1, offset_quantity="0.92").legs)
    assert seen.net_per_settlement == -D("0.08") * 2_300 * D("0.0001")


def test_one_leg_alone_has_an_outlook_too() -> None:
    seen = outlook(ETH_USDT, a_market(), [a_position(SHORT)])
    assert (seen.long_receives, seen.net_per_settlement) == decimals(0, D("0.23"))
    assert seen.settles_at == NOW + timedelta(minutes=42)


def test_nothing_assumes_eight_hours() -> None:
    four = outlook(SOL_USDT, a_market(SOL_USDT, 200), [a_position(LONG, 10, 180, instrument=SOL_USDT)])
    assert four.interval_hours == 4
    assert four.net_per_day == 6 * four.net_per_settlement == -6 * D("0.2")


def test_any_interval_comes_to_a_day() -> None:
    assert per_day(D(1), timedelta(hours=8)) == 3
    assert per_day(D(1), timedelta(hours=1)) == 24
    assert per_day(D(1), timedelta(minutes=90)) == 16
    assert per_day(D(0), timedelta(hours=8)) == 0


def test_the_interval_of_the_market_wins_over_the_usual_one() -> None:
    hourly = a_market(interval=timedelta(hours=1))
    assert outlook(ETH_USDT, hourly, [a_leg()]).net_per_day == 24 * D("-0.23")


def test_across_venues_the_rates_are_brought_to_a_day_before_they_are_compared() -> None:
    long_on = a_market(rate="0.0001", interval=timedelta(hours=8))
    short_on = a_market(rate="0.00005", interval=timedelta(hours=4))
    # 0.03 % a day on both: the same, though the rates look different.
    assert cross_venue_per_day(ETH_USDT, D(1), long_on=long_on, short_on=short_on) == 0
    cheap = a_market(rate="0", interval=timedelta(hours=1))
    assert cross_venue_per_day(ETH_USDT, D(1), long_on=cheap, short_on=short_on) == D("0.69")


def test_the_day_the_lock_is_eaten() -> None:
    assert eaten_at(D(295), D("-0.5"), NOW) == NOW + timedelta(days=590)


def test_a_lock_that_earns_or_costs_nothing_is_never_eaten() -> None:
    assert eaten_at(D(295), D("0.5"), NOW) is None
    assert eaten_at(D(295), D(0), NOW) is None


def test_a_lock_that_lasts_longer_than_a_century_is_never_eaten() -> None:
    assert eaten_at(D(295), D("-1e-30"), NOW) is None


def test_a_lock_that_is_none_is_eaten_on_no_day() -> None:
    assert eaten_at(D(-1), D("-0.5"), NOW) is None
    assert eaten_at(D(0), D("-0.5"), NOW) is None
