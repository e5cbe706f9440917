"""A chart as PNG: drawn twice as large and reduced, so that lines and letters are smooth."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from PIL import Image

from chatbot.charts.description import Chart, Point, Tone
from chatbot.charts.layout import HEIGHT, PLOT_TOP, STRIP, WIDTH, Layout, Panel, Tag, Words, laid_out
from chatbot.charts.scale import Scale, TimeScale, unbroken
from chatbot.pen import SCALE, Color, Pen, padlock

PAGE, INK, DIM, RULE = (255, 255, 255), (24, 30, 38), (88, 98, 110), (208, 216, 224)
LINE = (28, 76, 140)
SHADE, SHADE_INK = (231, 245, 234), (30, 110, 58)
GAIN, LOSS = (188, 228, 199), (246, 205, 205)
TONES: dict[Tone, Color] = {
    Tone.LONG: (22, 122, 62),
    Tone.SHORT: (190, 44, 52),
    Tone.DANGER: (176, 86, 0),
    Tone.STOP: (126, 62, 150),
    Tone.TARGET: (0, 112, 120),
    Tone.NOW: LINE,
}
SOLID = frozenset({Tone.NOW})
COLORS = 128  # a third of the size of all of them, and nobody sees it

Place = tuple[float, float]


def png(chart: Chart) -> bytes:
    """The same chart gives the same bytes."""
    image = Image.new("RGB", (round(WIDTH * SCALE), round(HEIGHT * SCALE)), PAGE)
    draw(Pen(image), chart, laid_out(chart))
    data = io.BytesIO()
    few = image.reduce(SCALE).quantize(COLORS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(data, format="PNG")
    return data.getvalue()


def draw(pen: Pen, chart: Chart, layout: Layout) -> None:
    _draw_shades(pen, layout)
    _draw_grid(pen, layout)
    _draw_price(pen, chart, layout)
    if chart.result is not None and layout.result is not None:
        _draw_result(pen, chart.result.points, layout.result, layout.time)
    _draw_heads(pen, layout)


# --- around the lines ---------------------------------------------------------------------------


def _draw_shades(pen: Pen, layout: Layout) -> None:
    panels = [layout.price] if layout.result is None else [layout.price, layout.result]
    for begin, end in layout.shades:
        for number, panel in enumerate(panels):
            top = panel.scale.top if number else PLOT_TOP - STRIP
            pen.rectangle((begin, top, max(end, begin + 1), panel.scale.bottom), SHADE)
    if layout.shade_words is not None:
        x, y = layout.shade_words.at
        padlock(pen, x - 21, y - 14.5, SHADE_INK, SHADE)
        _write(pen, layout.shade_words, SHADE_INK)


def _draw_grid(pen: Pen, layout: Layout) -> None:
    panels = [layout.price] if layout.result is None else [layout.price, layout.result]
    time = layout.time
    for panel in panels:
        for grid in panel.grid:
            pen.line(time.left, time.right, grid.place, RULE)
            _write(pen, grid.words, DIM)
        for instant in layout.instants:
            pen.path([(instant.place, panel.scale.top), (instant.place, panel.scale.bottom)], 1, RULE)
    for instant in layout.instants:
        _write(pen, instant.words, DIM)
    _write(pen, layout.zone, DIM)


def _draw_heads(pen: Pen, layout: Layout) -> None:
    title, *rest = layout.heads
    _write(pen, title, INK)
    for words in rest:
        _write(pen, words, DIM)
    if layout.result_head is not None:
        _write(pen, layout.result_head, DIM)


def _write(pen: Pen, words: Words, color: Color) -> None:
    pen.text(words.at, words.text, words.size, color, bold=words.bold)


# --- the price ----------------------------------------------------------------------------------


def _draw_price(pen: Pen, chart: Chart, layout: Layout) -> None:
    time, scale = layout.time, layout.price.scale
    for tag in layout.price.tags:
        _draw_level(pen, tag, time)
    for piece in unbroken(chart.price):
        _draw_line(pen, _places(piece, time, scale), LINE)
    for dot in chart.dots:
        if chart.begin <= dot.at <= chart.end and scale.shows(dot.value):
            _draw_dot(pen, (time.place(dot.at), scale.place(dot.value)), TONES[dot.tone])
    for tag in layout.price.tags:
        _draw_tag(pen, tag)


def _draw_level(pen: Pen, tag: Tag, time: TimeScale) -> None:
    """The line of what is on the picture; an arrow to what is not."""
    color = TONES[tag.tone]
    if tag.beyond:
        x, y, tip = time.right - 14, tag.level, 11 * tag.beyond
        pen.area([(x - 8, y - tip), (x + 8, y - tip), (x, y)], color)
    else:
        pen.dashes(time.left, time.right, tag.level, width=1.5, color=color)
    middle = (tag.box[1] + tag.box[3]) / 2
    pen.path([(time.right, tag.level), (tag.box[0], middle)], 1.5, color)


def _draw_tag(pen: Pen, tag: Tag) -> None:
    color = TONES[tag.tone]
    pen.rounded(tag.box, 6, color)
    left, top, right, bottom = tag.box
    if tag.tone not in SOLID:
        pen.rounded((left + 1.5, top + 1.5, right - 1.5, bottom - 1.5), 4.5, PAGE)
    _write(pen, tag.words, PAGE if tag.tone in SOLID else color)


def _draw_line(pen: Pen, places: Sequence[Place], color: Color) -> None:
    if len(places) == 1:
        _draw_dot(pen, places[0], color)
    else:
        pen.path(places, 2.6, color)


def _draw_dot(pen: Pen, place: Place, color: Color) -> None:
    x, y = place
    pen.rounded((x - 8, y - 8, x + 8, y + 8), 8, PAGE)
    pen.rounded((x - 6, y - 6, x + 6, y + 6), 6, color)


def _places(points: Sequence[Point], time: TimeScale, scale: Scale) -> list[Place]:
    return [(time.place(point.at), scale.place(point.value)) for point in points]


# --- the result ---------------------------------------------------------------------------------


def _draw_result(pen: Pen, points: Sequence[Point], panel: Panel, time: TimeScale) -> None:
    """Filled to the line of zero: gains above it, losses below."""
    zero = panel.scale.place(0.0)
    for piece in unbroken(points):
        places = list(_with_crossings(_places(piece, time, panel.scale), zero))
        for color, cut in ((GAIN, min), (LOSS, max)):
            edge = [(x, cut(y, zero)) for x, y in places]
            if len(edge) > 1:
                pen.area([(edge[0][0], zero), *edge, (edge[-1][0], zero)], color)
    pen.path([(time.left, zero), (time.right, zero)], 1.5, DIM)
    for piece in unbroken(points):
        _draw_line(pen, _places(piece, time, panel.scale), INK)
    (tag,) = panel.tags
    pen.path([(time.right, tag.level), (tag.box[0], (tag.box[1] + tag.box[3]) / 2)], 1.5, TONES[tag.tone])
    _draw_tag(pen, tag)


def _with_crossings(places: Sequence[Place], zero: float) -> Iterator[Place]:
    for number, (x, y) in enumerate(places):
        if number:
            before_x, before_y = places[number - 1]
            if (before_y - zero) * (y - zero) < 0:
                share = (zero - before_y) / (y - before_y)
                yield before_x + share * (x - before_x), zero
        yield x, y
