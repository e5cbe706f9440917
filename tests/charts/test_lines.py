"""The chart of a terminal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chatbot.charts.description import Chart, Level, Shade, Tone
from chatbot.charts.lines import EMPTY, PLOT, WIDTH, Canvas, chart_lines
from tests.charts.samples import a_hedge, line


def plot(chart: Chart) -> list[str]:
    """The rows of the price."""
    return [row[:PLOT] for row in chart_lines(chart)[:10]]


def set_columns(row: str) -> list[int]:
    return [number for number, char in enumerate(row) if ord(char) > EMPTY]


def test_a_line_that_rises_is_drawn_from_the_lower_left_to_the_upper_right() -> None:
    rows = [columns for row in plot(Chart("", "", line(range(1, 40)), "39")) if (columns := set_columns(row))]

    assert (min(rows[-1]), max(rows[0])) == (0, PLOT - 1)
    assert [min(columns) for columns in rows] == sorted((min(c) for c in rows), reverse=True)


def test_a_dot_sets_its_own_bit() -> None:
    canvas = Canvas(1)
    canvas.dot(0, 0)
    canvas.dot(1, 3)
    canvas.dot(99, 0)

    assert canvas.text()[0].rstrip(chr(EMPTY)) == "⢁"


def test_every_level_is_told_and_those_beyond_have_an_arrow() -> None:
    far = [
        Level(Decimal(9_000), "liq short 9,000", Tone.DANGER),
        Level(Decimal(1), "liq long 1", Tone.DANGER),
    ]

    told = "\n".join(chart_lines(a_hedge(far)))

    assert "↑ liq short 9,000" in told
    assert "↓ liq long 1" in told
    assert "◂ 2,090" in told
    assert "long 2,000" in told
    assert "short 2,100" in told


def test_the_locked_time_is_underlined() -> None:
    (row,) = [row for row in chart_lines(a_hedge()) if row.endswith("locked")]

    assert abs(row.index("═") - PLOT // 2) <= 1
    assert row.rindex("═") == PLOT - 1


def test_a_chart_without_a_result_and_without_a_lock_is_shorter() -> None:
    whole = a_hedge()

    assert len(chart_lines(replace(whole, result=None, shades=()))) == 11
    assert len(chart_lines(whole)) == 16


@given(st.lists(st.floats(0.01, 1e7), max_size=20), st.integers(2, 2_000))
def test_no_line_is_wider_than_it_may_be(values: list[float], minutes: int) -> None:
    levels = tuple(Level(Decimal(str(v)), f"target short {v:,.8f}", Tone.STOP) for v in values)
    points = line([1, 3, 2], step=timedelta(minutes=minutes))
    chart = replace(a_hedge(), price=points, levels=levels, shades=(Shade(points[1].at),))

    assert max(len(row) for row in chart_lines(chart)) <= WIDTH
