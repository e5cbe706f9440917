"""Ranges, round steps, and labels that make room for one another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.charts.description import Chart, Level, Point, Tone
from chatbot.charts.scale import (
    Scale,
    price_range,
    result_range,
    round_instants,
    round_values,
    spread,
    unbroken,
)
from tests.charts.samples import line, wave

BERLIN = ZoneInfo("Europe/Berlin")


def chart(points: tuple[Point, ...], *levels: Level, zone: ZoneInfo | None = None) -> Chart:
    plain = Chart("title", "", points, "now", levels)
    return plain if zone is None else replace(plain, zone=zone)


def level(value: float, *, anchors: bool = False) -> Level:
    return Level(Decimal(str(value)), "level", Tone.DANGER, anchors)


# --- ranges -------------------------------------------------------------------------------------


def test_a_level_that_is_near_is_on_the_picture() -> None:
    low, high = price_range(chart(wave(), level(2_180)))

    assert low < 2_000
    assert 2_180 < high < 2_200


def test_a_level_that_is_far_does_not_squeeze_the_prices() -> None:
    assert price_range(chart(wave(), level(9_000), level(10))) == price_range(chart(wave()))


def test_an_entry_is_kept_on_the_picture_longer_than_a_liquidation() -> None:
    value = 2_350

    assert price_range(chart(wave(), level(value)))[1] < value
    assert price_range(chart(wave(), level(value, anchors=True)))[1] > value


def test_a_market_that_stands_still_lies_in_the_middle() -> None:
    scale = Scale(*price_range(chart(line([500] * 9))), top=0, bottom=100)

    assert scale.place(500) == pytest.approx(50)


def test_zero_is_always_on_the_result() -> None:
    low, high = result_range(line([300, 310]))

    assert low < 0
    assert high > 310
    assert result_range(line([0, 0])) == (-1, 1)


# --- steps --------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 8))
def test_round_values_are_even_few_and_in_the_range(low: float, length: float, most: int) -> None:
    high = low + length
    if high == low:
        return

    values = [value for value, _ in round_values(low, high, most)]

    slack = (high - low) * 1e-6
    assert len(values) <= most + 1
    assert all(low - slack <= value <= high + slack for value in values)
    steps = {round((b - a) / (high - low), 5) for a, b in pairwise(values)}
    assert len(steps) <= 1


def test_labels_of_values_have_the_digits_that_tell_them_apart() -> None:
    assert [label for _, label in round_values(63_000, 67_400, 5)] == [
        "63,000", "64,000", "65,000", "66,000", "67,000",
    ]  # fmt: skip
    assert [label for _, label in round_values(0, 0.9, 4)] == ["0.00", "0.25", "0.50", "0.75"]
    assert [label for _, label in round_values(-0.3, 0.2, 5)] == ["-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2"]


def test_instants_are_round_in_the_zone_of_the_reader() -> None:
    points = line(range(1, 145), step=timedelta(minutes=10))

    labels = [label for _, label in round_instants(chart(points, zone=ZoneInfo("Asia/Kolkata")), 6)]

    assert labels == ["18:00", "3 Mar", "06:00", "12:00"]


@pytest.mark.parametrize("minutes", [0.1, 0.5, 3, 17, 60])
@pytest.mark.parametrize("count", [5, 150, 300])
def test_instants_are_few_whatever_the_time_shown(minutes: float, count: int) -> None:
    points = line(range(1, count + 1), step=timedelta(minutes=minutes))

    instants = [at for at, _ in round_instants(chart(points), 6)]

    assert len(instants) <= 6
    assert all(points[0].at <= at <= points[-1].at for at in instants)


def test_an_hour_that_a_zone_leaves_out_is_not_labelled_twice() -> None:
    begin = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    points = tuple(Point(begin + number * timedelta(minutes=30), Decimal(1)) for number in range(9))

    labels = [label for _, label in round_instants(chart(points, zone=BERLIN), 12)]

    assert labels == ["29 Mar", "00:30", "01:00", "01:30", "03:00", "03:30", "04:00", "04:30", "05:00"]


# --- lines --------------------------------------------------------------------------------------


def test_a_line_is_broken_where_nothing_is_known_for_long() -> None:
    before, after = line([1, 2, 3]), tuple(replace(p, at=p.at + timedelta(hours=9)) for p in line([4, 5, 6]))

    assert [len(piece) for piece in unbroken((*before, *after))] == [3, 3]
    assert len(unbroken(wave())) == 1


# --- labels -------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 400), min_size=1, max_size=9))
def test_labels_keep_their_distance_their_order_and_the_bounds(wanted: list[float]) -> None:
    wanted.sort()

    places = spread(wanted, gap=32, low=0, high=400)

    assert all(b - a >= 32 - 1e-6 for a, b in pairwise(places))
    assert all(-1e-6 <= place <= 400 + 1e-6 for place in places)


def test_labels_that_have_room_stay_where_they_are() -> None:
    assert spread([10, 60, 200], gap=32, low=0, high=400) == [10, 60, 200]


def test_labels_of_one_place_share_the_shift() -> None:
    assert spread([200, 200], gap=30, low=0, high=400) == [185, 215]


def test_more_labels_than_there_is_room_for_stay_within_the_bounds() -> None:
    assert spread([5, 5, 5], gap=50, low=0, high=60) == [0, 30, 60]
