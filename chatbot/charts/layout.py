"""Where everything of a picture goes, in units of the pen. Every text has a box, and no two boxes meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chatbot.charts.description import Chart, Level, Tone
from chatbot.charts.scale import (
    Scale,
    TimeScale,
    price_range,
    result_range,
    round_instants,
    round_values,
    spread,
)
from chatbot.pen import Box, width_of

WIDTH, HEIGHT = 1000.0, 640.0
MARGIN = 20.0
TITLE, SUBTITLE, TAG, TICK = 33.0, 22.0, 22.0, 20.0
SMALLEST_TITLE = 20.0
TAG_HEIGHT, TAG_PADDING, LEADER = 32.0, 9.0, 16.0
MOST_TAGS = 9
PLOT_TOP = 134.0
STRIP = 30.0  # above the plot: the label of the shade
AXIS = 40.0
RESULT_HEIGHT, RESULT_HEAD = 104.0, 44.0
FLOOR = HEIGHT - MARGIN / 2 - AXIS
RESULT_TOP = FLOOR - RESULT_HEIGHT
PADLOCK = 22.0


@dataclass(frozen=True, slots=True)
class Words:
    """``at`` is where the text begins and its base line."""

    text: str
    at: tuple[float, float]
    size: float
    bold: bool = False

    @property
    def box(self) -> Box:
        x, y = self.at
        return (
            x,
            y - 0.78 * self.size,
            x + width_of(self.text, self.size, bold=self.bold),
            y + 0.24 * self.size,
        )


@dataclass(frozen=True, slots=True)
class Tag:
    """A label at the right edge. ``level`` is where its line ends; -1 is ``beyond`` the top, 1 the bottom."""

    words: Words
    box: Box
    tone: Tone
    level: float
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    place: float
    words: Words


@dataclass(frozen=True, slots=True)
class Panel:
    scale: Scale
    grid: tuple[Grid, ...]
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    heads: tuple[Words, ...]
    time: TimeScale
    instants: tuple[Grid, ...]
    zone: Words
    price: Panel
    result: Panel | None
    result_head: Words | None
    shades: tuple[tuple[float, float], ...]
    shade_words: Words | None

    @property
    def boxes(self) -> list[tuple[str, Box]]:
        """Of everything that is read."""
        panels = [self.price] if self.result is None else [self.price, self.result]
        loose = [self.zone, *self.heads, *filter(None, (self.result_head, self.shade_words))]
        grids = [*self.instants, *(grid for panel in panels for grid in panel.grid)]
        tags = [tag for panel in panels for tag in panel.tags]
        words = [*loose, *(grid.words for grid in grids)]
        return [(each.text, each.box) for each in words] + [(tag.words.text, tag.box) for tag in tags]


def laid_out(chart: Chart) -> Layout:
    scale, result_scale = _scales(chart)
    marks = round_values(scale.low, scale.high, 5)
    result_marks = [] if result_scale is None else round_values(result_scale.low, result_scale.high, 2)
    levels = _chosen(chart)
    time = _time_scale(chart, levels, [label for _, label in [*marks, *result_marks]])
    shades = tuple((time.place(s.since), time.place(s.until or chart.end)) for s in chart.shades)
    return Layout(
        heads=_heads(chart),
        time=time,
        instants=_instants(chart, time),
        zone=_zone(chart),
        price=Panel(scale, _grid(marks, scale, time.left), _tags(levels, scale, time.right)),
        result=None if result_scale is None else _result_panel(chart, result_scale, result_marks, time),
        result_head=_result_head(chart, time.left),
        shades=shades,
        shade_words=_shade_words(chart, shades, time.right),
    )


def _scales(chart: Chart) -> tuple[Scale, Scale | None]:
    """Of the price, and of the result below it where there is one."""
    low, high = price_range(chart)
    if chart.result is None:
        return Scale(low, high, PLOT_TOP, FLOOR), None
    below = Scale(*result_range(chart.result.points), RESULT_TOP, FLOOR)
    return Scale(low, high, PLOT_TOP, RESULT_TOP - RESULT_HEAD), below


def _time_scale(chart: Chart, levels: Sequence[Level], marks: Sequence[str]) -> TimeScale:
    """Between the widest label at the left and the widest one at the right."""
    labels = [level.label for level in levels] + ([chart.result.label] if chart.result else [])
    right = WIDTH - MARGIN - _widest(labels, TAG, bold=True) - 2 * TAG_PADDING - LEADER
    return TimeScale(chart.begin, chart.end, MARGIN + _widest(marks, TICK) + 10, right)


def _widest(texts: Sequence[str], size: float, *, bold: bool = False) -> float:
    return max((width_of(text, size, bold=bold) for text in texts), default=0.0)


# --- words at the top ---------------------------------------------------------------------------


def _heads(chart: Chart) -> tuple[Words, ...]:
    title = _fitting(chart.title, 52, TITLE, bold=True)
    return (title, _fitting(chart.subtitle, 84, SUBTITLE)) if chart.subtitle else (title,)


def _fitting(text: str, base: float, size: float, *, bold: bool = False) -> Words:
    """As large as the width allows; what is too long for the smallest size loses its end."""
    room = WIDTH - 2 * MARGIN
    while size > SMALLEST_TITLE and width_of(text, size, bold=bold) > room:
        size -= 1
    while width_of(text, size, bold=bold) > room:
        text = text[:-2].rstrip() + "…"
    return Words(text, (MARGIN, base), size, bold)


def _result_head(chart: Chart, left: float) -> Words | None:
    return None if chart.result is None else Words(chart.result.title, (left, RESULT_TOP - 12), TICK)


def _shade_words(chart: Chart, shades: Sequence[tuple[float, float]], right: float) -> Words | None:
    """Above the last shade, moved to the left where it would leave the plot."""
    if not shades or not chart.shade_label:
        return None
    width = width_of(chart.shade_label, TICK) + PADLOCK
    begin = min(shades[-1][0] + 4, right - width)
    return Words(chart.shade_label, (begin + PADLOCK, PLOT_TOP - 9), TICK)


# --- axes ---------------------------------------------------------------------------------------


def _grid(marks: Sequence[tuple[float, str]], scale: Scale, left: float) -> tuple[Grid, ...]:
    grids = []
    for value, label in marks:
        y = scale.place(value)
        words = Words(label, (left - 10 - width_of(label, TICK), y + 0.33 * TICK), TICK)
        grids.append(Grid(y, words))
    return tuple(grids)


def _instants(chart: Chart, time: TimeScale) -> tuple[Grid, ...]:
    """Those whose label leaves room for the ones before; the zone stands at the left."""
    grids: list[Grid] = []
    edge = _zone(chart).box[2] + 12
    for at, label in round_instants(chart, _most_instants(time)):
        x, width = time.place(at), width_of(label, TICK)
        begin = min(x - width / 2, WIDTH - MARGIN - width)
        if begin >= edge:
            grids.append(Grid(x, Words(label, (begin, FLOOR + 28), TICK)))
            edge = begin + width + 12
    return tuple(grids)


def _most_instants(time: TimeScale) -> int:
    return max(2, int((time.right - time.left) / 110))


def _zone(chart: Chart) -> Words:
    return Words(chart.zone_name, (MARGIN, FLOOR + 28), 16.0)


# --- labels at the right ------------------------------------------------------------------------


def _chosen(chart: Chart) -> list[Level]:
    now = Level(chart.price[-1].value, chart.now, Tone.NOW)
    return sorted([now, *chart.levels[: MOST_TAGS - 1]], key=lambda level: -level.value)


def _tags(levels: Sequence[Level], scale: Scale, right: float) -> tuple[Tag, ...]:
    wanted = [min(max(scale.place(level.value), scale.top), scale.bottom) for level in levels]
    half = TAG_HEIGHT / 2
    places = spread(wanted, gap=TAG_HEIGHT, low=scale.top - STRIP + half, high=scale.bottom)
    return tuple(
        _tag(level.label, level.tone, place, right, level=y, beyond=_beyond(level, scale))
        for level, place, y in zip(levels, places, wanted, strict=True)
    )


def _beyond(level: Level, scale: Scale) -> int:
    return 0 if scale.shows(level.value) else -1 if float(level.value) > scale.high else 1


def _tag(text: str, tone: Tone, place: float, right: float, *, level: float, beyond: int = 0) -> Tag:
    left = right + LEADER
    words = Words(text, (left + TAG_PADDING, place + 0.35 * TAG), TAG, bold=True)
    width = width_of(text, TAG, bold=True) + 2 * TAG_PADDING
    half = TAG_HEIGHT / 2 - 1
    return Tag(words, (left, place - half, left + width, place + half), tone, level, beyond)


def _result_panel(
    chart: Chart, scale: Scale, marks: Sequence[tuple[float, str]], time: TimeScale
) -> Panel | None:
    if chart.result is None:
        return None
    last = chart.result.points[-1].value
    tone = Tone.LONG if last >= 0 else Tone.SHORT
    y = scale.place(last)
    tag = _tag(chart.result.label, tone, min(max(y, scale.top), scale.bottom), time.right, level=y)
    return Panel(scale, _grid(marks, scale, time.left), (tag,))
