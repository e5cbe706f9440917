from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.errors import SettingsError
from chatbot.venues.feeds import (
    BTC,
    COINS,
    ETH,
    Prices,
    ReplayFeed,
    ScriptedFeed,
    SimulatedFeed,
    funding_rate,
)

START = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
HEADER = "ts,mark,mid,index,funding_rate\n"
GOOD = "1759881600000,121286.5,121336.2,121340.1,0.00002542\n"
NEXT = "1759881660000,121355.2,121387.45,121398.7,\n"


def simulated(seed: int = 7, *, step: int = 1) -> SimulatedFeed:
    feed = SimulatedFeed(seed, step=timedelta(seconds=step))
    feed.start(START, None)
    return feed


def path_of(feed: SimulatedFeed, hours: int, *, symbol: str = ETH) -> list[Prices]:
    begin = feed.latest(START)
    assert begin is not None
    coin = next(coin.symbol for coin in COINS if coin.symbol == symbol)
    return [feed.prices(coin, begin + timedelta(hours=hour)) for hour in range(hours)]


# --- simulated ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_prices_and_another_one_others() -> None:
    assert path_of(simulated(), 48) == path_of(simulated(), 48)
    assert path_of(simulated(), 48) != path_of(simulated(8), 48)


def test_a_price_does_not_depend_on_the_way_there() -> None:
    walked, jumped = simulated(), simulated()
    begin = walked.latest(START)
    assert begin is not None
    for at in walked.ticks(begin, begin + timedelta(minutes=30)):
        walked.prices(ETH, at)
    at = begin + timedelta(minutes=30)
    assert walked.prices(ETH, at) == jumped.prices(ETH, at)
    assert simulated(step=60).prices(ETH, at) == jumped.prices(ETH, at)


def test_the_market_begins_at_its_start_prices() -> None:
    feed = simulated()
    begin = feed.start(START, None)
    assert feed.prices(ETH, begin).index == 2_000
    assert feed.prices(BTC, begin).index == 64_000


def test_ticks_lie_on_the_grid_and_none_is_given_twice() -> None:
    feed = simulated(step=10)
    begin = feed.start(START, None)
    middle, end = begin + timedelta(seconds=25), begin + timedelta(seconds=60)
    ticks = [*feed.ticks(begin, middle), *feed.ticks(middle, end)]
    assert ticks == [begin + timedelta(seconds=second) for second in (10, 20, 30, 40, 50, 60)]
    assert feed.latest(middle) == ticks[1]


def test_a_fast_market_is_walked_in_larger_steps() -> None:
    def first(speed: int) -> timedelta:
        feed = SimulatedFeed.at_speed(7, Decimal(speed))
        begin = feed.start(START, None)
        return next(feed.ticks(begin, begin + timedelta(hours=1))) - begin

    assert [first(speed).seconds for speed in (1, 60, 600, 3600)] == [1, 1, 10, 60]


def test_the_market_is_lively_but_not_mad() -> None:
    for seed in (6, 7, 8):
        path = [float(prices.index) for prices in path_of(simulated(seed), 24 * 14)]
        moves = [math.log(after / before) for before, after in itertools.pairwise(path)]
        daily = math.sqrt(sum(move * move for move in moves) / len(moves) * 24)
        assert 0.03 < daily < 0.15
        assert max(map(abs, moves)) > 0.02  # a jump
        assert 0.3 < path[-1] / path[0] < 3


def test_prices_move_from_second_to_second_without_gaps() -> None:
    feed = simulated()
    begin = feed.start(START, None)
    path = [feed.prices(BTC, at).mark for at in feed.ticks(begin, begin + timedelta(minutes=5))]
    steps = [abs(after / before - 1) for before, after in itertools.pairwise(path)]
    assert sum(step > 0 for step in steps) > 250
    assert max(steps) < Decimal("0.003")


def test_funding_moves_with_the_premium() -> None:
    path = path_of(simulated(), 24 * 8)
    rates = {prices.funding_rate for prices in path}
    assert min(rates) < 0 < max(rates)
    for prices in path:
        premium = prices.mark / prices.index - 1
        expected = funding_rate(float(premium), 8)
        assert abs(float(prices.funding_rate) - expected) < 1e-6


@pytest.mark.parametrize(
    ("premium", "rate"), [(0.0, 0.0001), (0.0002, 0.0001), (0.001, 0.0008), (-0.001, -0.0008), (0.5, 0.0075)]
)
def test_the_rate_is_the_interest_unless_the_premium_is_large(premium: float, rate: float) -> None:
    assert funding_rate(premium, 8) == pytest.approx(rate)
    assert funding_rate(premium, 4) == pytest.approx(rate / 2)


# --- replayed -----------------------------------------------------------------------------------


def read(tmp_path: Path, text: str) -> ReplayFeed:
    path = tmp_path / "market.csv"
    path.write_text(text)
    return ReplayFeed.read(path)


def test_a_replay_has_the_prices_of_the_file(tmp_path: Path) -> None:
    feed = read(tmp_path, HEADER + GOOD + NEXT)
    begin = feed.start(START, None)

    (at,) = feed.ticks(begin, begin + timedelta(hours=1))

    assert begin == datetime(2025, 10, 8, tzinfo=UTC)
    assert feed.prices(BTC, at).mark == Decimal("121355.2")
    assert feed.prices(BTC, at).index == Decimal("121398.7")
    assert feed.ends_at == at
    assert feed.latest(begin + timedelta(seconds=59)) == begin
    assert feed.latest(begin + timedelta(days=1)) == at


def test_between_settlements_the_coming_rate_is_shown(tmp_path: Path) -> None:
    third = "1759881720000,1,1,1,0.0003\n"
    feed = read(tmp_path, HEADER + GOOD + NEXT + third)
    begin = feed.start(START, None)
    rates = [
        feed.prices(BTC, at).funding_rate for at in (begin, *feed.ticks(begin, begin + timedelta(hours=1)))
    ]
    assert rates == [Decimal("0.00002542"), Decimal("0.0003"), Decimal("0.0003")]


def test_the_name_of_a_replay_is_its_content(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + GOOD).name == read(tmp_path, HEADER + GOOD).name
    assert read(tmp_path, HEADER + GOOD).name != read(tmp_path, HEADER + GOOD + NEXT).name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file is empty"),
        (HEADER, "no row after the header"),
        ("ts,mark,mid\n" + GOOD, "line 1 has no column index, funding_rate"),
        (HEADER + GOOD + GOOD, "line 3: ts is not later"),
        (HEADER + NEXT + GOOD, "line 3: ts is not later"),
        (HEADER + "yesterday,1,1,1,\n", "line 2: ts 'yesterday'"),
        (HEADER + "99999999999999999999,1,1,1,\n", "line 2: ts"),
        (HEADER + "-5,1,1,1,\n", "line 2: ts"),
        (HEADER + "1759881600000,NaN,1,1,\n", "line 2: mark 'NaN'"),
        (HEADER + "1759881600000,1,Infinity,1,\n", "line 2: mid 'Infinity'"),
        (HEADER + "1759881600000,1,1,0,\n", "line 2: index '0' is not a price above zero"),
        (HEADER + "1759881600000,1,1,1e400,\n", "line 2: index"),
        (HEADER + "1759881600000,,1,1,\n", "line 2: mark ''"),
        (HEADER + GOOD + "1759881660000,1,1,1,much\n", "line 3: funding_rate 'much'"),
        (HEADER + '"' + "7" * 200_000, "no CSV file"),
        (HEADER + GOOD + '"1759881660000,1,1,1,\n', "line 3"),
        (HEADER + GOOD + "1759881660000,1,1\n", "line 3 has only 3 columns"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_expectation(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)

    assert complaint in refused.value.message
    assert "HEDGEROW_PAPER__MARKET" in refused.value.message
    assert "ts,mark,mid,index,funding_rate" in refused.value.message
    assert str(tmp_path) not in refused.value.message


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01" * 40, None])
def test_a_file_that_is_no_text_or_missing_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "market.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read as text"):
        ReplayFeed.read(path)


# --- scripted -----------------------------------------------------------------------------------


def test_scripted_changes_take_effect_one_by_one() -> None:
    feed = ScriptedFeed({ETH: Decimal(2000)})
    feed.start(START, None)
    feed.set(ETH, Decimal(2100))
    feed.set(ETH, mid=Decimal(2105))

    seen = []
    for at in feed.ticks(START, START):
        prices = feed.prices(ETH, at)
        seen.append((prices.mark, prices.mid, prices.index))

    assert [[int(price) for price in prices] for prices in seen] == [[2100, 2100, 2100], [2100, 2105, 2100]]
    assert list(feed.ticks(START, START)) == []
