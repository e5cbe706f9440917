"""The picture: nothing overlaps, nothing leaves it, the same chart is the same file."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chatbot.charts.description import Chart, Level, Result, Shade, Tone
from chatbot.charts.drawing import PAGE, SHADE, png
from chatbot.charts.layout import HEIGHT, MOST_TAGS, WIDTH, laid_out
from chatbot.pen import Box, Color
from tests.charts.samples import a_hedge, line, wave

PNG = b"\x89PNG\r\n\x1a\n"


def opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.convert("RGB")


def share_of(image: Image.Image, color: Color, *, within: int = 12) -> float:
    colors = image.getcolors(image.width * image.height) or []
    near = sum(count for count, found in colors if _distance(found, color) <= within)
    return near / (image.width * image.height)


def _distance(found: object, color: Color) -> int:
    assert isinstance(found, tuple)
    return max(abs(int(a) - b) for a, b in zip(found, color, strict=True))


def meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def overlaps(chart: Chart) -> list[tuple[str, str]]:
    boxes = laid_out(chart).boxes
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if meet(one, other)]


def outside(chart: Chart) -> list[str]:
    return [
        text
        for text, (left, top, right, bottom) in laid_out(chart).boxes
        if left < 0 or top < 0 or right > WIDTH or bottom > HEIGHT
    ]


def at(value: float, word: str = "liq short") -> Level:
    return Level(Decimal(str(value)), f"{word} {value:,.2f}", Tone.DANGER)


# --- the layout ---------------------------------------------------------------------------------


def test_levels_at_one_price_are_labelled_apart() -> None:
    chart = a_hedge([at(2_050), at(2_050.01, "stop long"), at(2_050.02, "target long")])

    assert overlaps(chart) == []
    assert outside(chart) == []


@given(st.lists(st.floats(0.01, 1e7), max_size=14))
def test_no_label_overlaps_another_wherever_the_levels_are(values: list[float]) -> None:
    chart = a_hedge([at(value) for value in values])

    assert overlaps(chart) == []
    assert outside(chart) == []


@given(st.floats(1e-3, 1e6), st.floats(1e-6, 2), st.integers(2, 300), st.booleans())
def test_no_label_overlaps_another_whatever_the_price(
    price: float, height: float, count: int, panel: bool
) -> None:
    points = wave(count, low=price, height=price * height)
    chart = replace(a_hedge(), price=points, levels=(), shades=(Shade(points[-1].at),))
    chart = chart if panel else replace(chart, result=None)

    assert overlaps(chart) == []
    assert outside(chart) == []


def test_levels_beyond_the_picture_are_told_at_its_edge() -> None:
    tags = laid_out(a_hedge([at(9_000), at(1)])).price.tags

    assert [(tag.words.text, tag.beyond) for tag in (tags[0], tags[-1])] == [
        ("liq short 9,000.00", -1),
        ("liq short 1.00", 1),
    ]
    assert {tag.beyond for tag in tags[1:-1]} == {0}


def test_labels_stand_in_the_order_of_their_prices() -> None:
    tags = laid_out(a_hedge([at(2_090), at(2_010), at(2_091), at(9_000)])).price.tags

    values = [float(tag.words.text.split()[-1].replace(",", "")) for tag in tags]
    assert values == sorted(values, reverse=True)
    assert [tag.box[1] for tag in tags] == sorted(tag.box[1] for tag in tags)


def test_the_last_levels_give_way_where_there_are_too_many() -> None:
    tags = laid_out(a_hedge([at(2_000 + number) for number in range(30)])).price.tags

    texts = {tag.words.text for tag in tags}
    assert len(tags) == MOST_TAGS
    assert any(text.startswith("long") for text in texts)
    assert any(text.startswith("short") for text in texts)


def test_a_title_that_is_too_long_becomes_smaller_and_then_shorter() -> None:
    short, long, endless = (
        laid_out(replace(a_hedge(), title=title)).heads[0] for title in ("#3 ETH", "#3 ETH " * 10, "x" * 300)
    )

    assert short.size > long.size
    assert endless.text.endswith("…")
    assert endless.box[2] <= WIDTH


# --- the file -----------------------------------------------------------------------------------


def test_the_picture_fits_a_phone_and_a_message() -> None:
    data = png(a_hedge())

    assert data.startswith(PNG)
    assert opened(data).size == (1000, 640)
    assert len(data) < 100_000


def test_the_same_chart_gives_the_same_bytes() -> None:
    assert png(a_hedge()) == png(a_hedge())
    assert png(a_hedge()) != png(replace(a_hedge(), title="another"))


def test_the_background_is_light() -> None:
    assert share_of(opened(png(a_hedge())), PAGE) > 0.4


def test_the_locked_time_is_shaded() -> None:
    assert share_of(opened(png(a_hedge())), SHADE) > 0.12
    assert share_of(opened(png(replace(a_hedge(), shades=()))), SHADE) < 0.02


@pytest.mark.parametrize(
    "chart",
    [
        Chart("BTC", "", line([5, 5]), "5"),
        Chart("BTC", "", line(["0.00000123", "0.00000124"]), "0.00000123"),
        replace(a_hedge(), result=Result(line([0, 0]), "Result", "+0.00")),
        replace(a_hedge(), result=Result(line([-5, 5, -5]), "Result", "-5.00")),
        replace(a_hedge(), dots=(), shades=(Shade(line([1])[0].at, line([1, 2])[1].at),)),
    ],
    ids=["flat", "tiny", "nothing won", "to and fro", "was locked"],
)
def test_every_market_can_be_drawn(chart: Chart) -> None:
    assert opened(png(chart)).size == (1000, 640)
    assert overlaps(chart) == []
