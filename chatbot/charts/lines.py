"""A chart as a few lines of text, for a terminal: dots of braille, labels at the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from chatbot.charts.description import Chart, Level, Point, Tone
from chatbot.charts.scale import Scale, TimeScale, price_range, result_range, round_instants, spread, unbroken

WIDTH = 60
PLOT = 36  # columns; each has two dots side by side
LABEL = WIDTH - PLOT - 1
PRICE_ROWS, RESULT_ROWS = 10, 3
EMPTY = 0x2800
# The bit of each dot of a character, by column and row.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
HIGHER, LOWER, LOCKED = "↑", "↓", "═"


class Canvas:
    """Dots of ``PLOT`` by ``rows`` characters."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._cells = [[EMPTY] * PLOT for _ in range(rows)]

    def dot(self, x: float, y: float) -> None:
        column, row = round(x), round(y)
        if 0 <= column < 2 * PLOT and 0 <= row < 4 * self.rows:
            self._cells[row // 4][column // 2] |= DOTS[column % 2][row % 4]

    def line(self, points: Sequence[tuple[float, float]]) -> None:
        for x, y in points[:1]:
            self.dot(x, y)
        for (x1, y1), (x2, y2) in pairwise(points):
            steps = max(1, round(max(abs(x2 - x1), abs(y2 - y1))))
            for step in range(steps + 1):
                self.dot(x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps)

    def text(self) -> list[str]:
        return ["".join(map(chr, row)) for row in self._cells]


def chart_lines(chart: Chart) -> tuple[str, ...]:
    """None wider than ``WIDTH``."""
    time = TimeScale(chart.begin, chart.end, 0.0, 2 * PLOT - 1)
    parts = [_price(chart, time), _shades(chart, time), _result(chart, time), [_axis(chart, time)]]
    return tuple(line.rstrip() for part in parts for line in part)


def _price(chart: Chart, time: TimeScale) -> list[str]:
    scale = _scale(*price_range(chart), PRICE_ROWS)
    canvas = Canvas(PRICE_ROWS)
    for level in chart.levels:
        if level.anchors and scale.shows(level.value):
            _dotted(canvas, scale.place(level.value))
    _draw(canvas, chart.price, time, scale)
    return _beside(canvas, dict(_labels(chart, scale)))


def _scale(low: float, high: float, rows: int) -> Scale:
    return Scale(low, high, 0.0, 4 * rows - 1)


def _dotted(canvas: Canvas, y: float) -> None:
    for x in range(0, 2 * PLOT, 4):
        canvas.dot(x, y)


def _draw(canvas: Canvas, points: Sequence[Point], time: TimeScale, scale: Scale) -> None:
    for piece in unbroken(points):
        canvas.line([(time.place(point.at), scale.place(point.value)) for point in piece])


def _beside(canvas: Canvas, labels: dict[int, str]) -> list[str]:
    return [f"{line} {labels.get(row, '')[:LABEL]}" for row, line in enumerate(canvas.text())]


def _labels(chart: Chart, scale: Scale) -> Iterator[tuple[int, str]]:
    """By row, each in one of its own."""
    now = Level(chart.price[-1].value, f"◂ {chart.now}", Tone.NOW)
    levels = sorted([now, *chart.levels[: PRICE_ROWS - 1]], key=lambda level: -level.value)
    wanted = [min(max(scale.place(level.value), 0.0), 4 * PRICE_ROWS - 1) // 4 for level in levels]
    places = spread(wanted, gap=1.0, low=0.0, high=PRICE_ROWS - 1)
    taken = -1
    for level, place in zip(levels, places, strict=True):
        taken = max(taken + 1, int(place + 1e-6))
        yield taken, _marked(level, scale)


def _marked(level: Level, scale: Scale) -> str:
    if scale.shows(level.value):
        return level.label
    return f"{HIGHER if float(level.value) > scale.high else LOWER} {level.label}"


def _shades(chart: Chart, time: TimeScale) -> list[str]:
    if not chart.shades:
        return []
    row = [" "] * PLOT
    for shade in chart.shades:
        first, last = (int(time.place(at) // 2) for at in (shade.since, shade.until or chart.end))
        row[first : last + 1] = LOCKED * (last + 1 - first)
    return [f"{''.join(row)} {chart.shade_label}"]


def _result(chart: Chart, time: TimeScale) -> list[str]:
    if chart.result is None:
        return []
    scale = _scale(*result_range(chart.result.points), RESULT_ROWS)
    canvas = Canvas(RESULT_ROWS)
    _dotted(canvas, scale.place(0.0))
    _draw(canvas, chart.result.points, time, scale)
    last = int(scale.place(chart.result.points[-1].value) // 4)
    return [chart.result.title[:WIDTH], *_beside(canvas, {last: chart.result.label})]


def _axis(chart: Chart, time: TimeScale) -> str:
    row = [" "] * WIDTH
    free = 0
    for at, label in round_instants(chart, PLOT // 8):
        begin = max(0, int(time.place(at) // 2) - len(label) // 2)
        if free <= begin <= PLOT - len(label):
            row[begin : begin + len(label)] = label
            free = begin + len(label) + 2
    zone = chart.zone_name[:LABEL]
    row[PLOT + 1 : PLOT + 1 + len(zone)] = zone
    return "".join(row)
