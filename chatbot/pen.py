"""A pen for pictures of chats: the letters that come with Pillow, smooth shapes, the leading symbols.

All lengths are units; ``SCALE`` pixels make one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

SCALE = 2
SMOOTH = 4  # shapes are drawn this much larger first

Color = tuple[int, int, int]
Box = tuple[float, float, float, float]

GREEN, AMBER, RED, BLUE = (46, 160, 83), (226, 160, 24), (215, 58, 62), (56, 132, 214)
WHITE = (255, 255, 255)

# What the font lacks, in characters it has.
_SPELLED = str.maketrans(
    {"–": "-", "−": "-", "→": ">", "×": "x", "≈": "~", "•": "·", "\N{VARIATION SELECTOR-16}": ""}
)


@cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size * SCALE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise OSError(0, "this Pillow comes without a scalable font")
    return font


def spelled(text: str) -> str:
    return text.translate(_SPELLED)


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    words = text.split(" ")
    return sum(_word_width(word, size, bold=bold) for word in words) + _blank(size) * (len(words) - 1)


def _word_width(word: str, size: float, *, bold: bool) -> float:
    if spelled(word) in SYMBOLS:
        return SYMBOL_WIDTH
    return _font(size).getlength(spelled(word)) / SCALE + (0.5 if bold and word else 0)


def _blank(size: float) -> float:
    """The font's own is too narrow for figures."""
    return size * 0.3


class Pen:
    """Draws in units on an image of pixels."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self._draw = ImageDraw.Draw(image)

    def text(
        self, at: tuple[float, float], text: str, size: float, color: Color, *, bold: bool = False
    ) -> None:
        """``at`` is where the text begins and its base line."""
        x, y = at
        for word in text.split(" "):
            symbol = SYMBOLS.get(spelled(word))
            if symbol is None:
                self._word((x, y), spelled(word), size, color, bold=bold)
            else:
                symbol(self, x, y - 12.8)
            x += _word_width(word, size, bold=bold) + _blank(size)

    def _word(self, at: tuple[float, float], word: str, size: float, color: Color, *, bold: bool) -> None:
        x, y = self._pixel(at)
        for shift in (0, 1) if bold else (0,):
            self._draw.text((x + shift, y), word, font=_font(size), fill=color, anchor="ls")

    def rounded(self, box: Box, radius: float, color: Color) -> None:
        left, top, right, bottom = (round(side * SCALE) for side in box)
        size = (right - left, bottom - top)

        def shape(mask: ImageDraw.ImageDraw, fine: int) -> None:
            far = (size[0] * fine - 1, size[1] * fine - 1)
            mask.rounded_rectangle((0, 0, *far), radius * SCALE * fine, fill=255)

        self._paste(shape, size, (left, top), color)

    def line(self, left: float, right: float, y: float, color: Color) -> None:
        self._draw.line(
            (left * SCALE, round(y * SCALE), right * SCALE, round(y * SCALE)), fill=color, width=2
        )

    def rectangle(self, box: Box, color: Color) -> None:
        left, top, right, bottom = (round(side * SCALE) for side in box)
        self._draw.rectangle((left, top, right - 1, bottom - 1), fill=color)

    def path(self, points: Sequence[tuple[float, float]], width: float, color: Color) -> None:
        """A long line at once: as smooth as the picture becomes when it is reduced."""
        path = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(path, fill=color, width=round(width * SCALE), joint="curve")

    def area(self, points: Sequence[tuple[float, float]], color: Color) -> None:
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=color)

    def dashes(self, begin: float, end: float, y: float, *, width: float, color: Color) -> None:
        """From left to right."""
        left = begin
        while left < end:
            self.path([(left, y), (min(left + 9, end), y)], width, color)
            left += 15

    def polygon(self, at: tuple[float, float], points: Sequence[tuple[float, float]], color: Color) -> None:
        def shape(mask: ImageDraw.ImageDraw, fine: int) -> None:
            mask.polygon([(x * SCALE * fine, y * SCALE * fine) for x, y in points], fill=255)

        self._paste(shape, self._room(points), self._pixel(at), color)

    def stroke(
        self, at: tuple[float, float], points: Sequence[tuple[float, float]], width: float, color: Color
    ) -> None:
        def shape(mask: ImageDraw.ImageDraw, fine: int) -> None:
            path = [(x * SCALE * fine, y * SCALE * fine) for x, y in points]
            thick = width * SCALE * fine
            mask.line(path, fill=255, width=round(thick), joint="curve")
            for x, y in (path[0], path[-1]):
                mask.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)

        self._paste(shape, self._room(points), self._pixel(at), color)

    def _pixel(self, at: tuple[float, float]) -> tuple[int, int]:
        return round(at[0] * SCALE), round(at[1] * SCALE)

    def _room(self, points: Sequence[tuple[float, float]]) -> tuple[int, int]:
        reach = max(max(point) for point in points) + 4
        return round(reach * SCALE), round(reach * SCALE)

    def _paste(
        self,
        shape: Callable[[ImageDraw.ImageDraw, int], None],
        size: tuple[int, int],
        at: tuple[int, int],
        color: Color,
    ) -> None:
        mask = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH), 0)
        shape(ImageDraw.Draw(mask), SMOOTH)
        self._image.paste(
            color, (*at, at[0] + size[0], at[1] + size[1]), mask.resize(size, Image.Resampling.BOX)
        )


# --- the leading symbols ------------------------------------------------------------------------

Symbol = Callable[[Pen, float, float], None]  # drawn in 16 by 16 units below and right of the point


def padlock(pen: Pen, x: float, y: float, color: Color = AMBER, hole: Color = WHITE) -> None:
    shackle = [(4.5, 8), (4.5, 5), (5.6, 2.9), (8, 2), (10.4, 2.9), (11.5, 5), (11.5, 8)]
    pen.stroke((x, y), shackle, 1.8, color)
    pen.rounded((x + 2, y + 7, x + 14, y + 15.5), 2, color)
    pen.rounded((x + 7, y + 9.5, x + 9, y + 13), 1, hole)


def _rise(pen: Pen, x: float, y: float) -> None:
    pen.rounded((x, y, x + 16, y + 16), 3, BLUE)
    pen.stroke((x, y), [(3, 12), (6.4, 8), (9.2, 10), (13, 4.4)], 1.7, WHITE)


def _warning(pen: Pen, x: float, y: float) -> None:
    pen.polygon((x, y), [(8, 0.6), (16, 15), (0, 15)], AMBER)
    pen.rounded((x + 7.1, y + 5, x + 8.9, y + 10.2), 0.9, WHITE)
    pen.rounded((x + 7.1, y + 11.4, x + 8.9, y + 13.2), 0.9, WHITE)


def _stop(pen: Pen, x: float, y: float) -> None:
    corners = [(4.7, 0), (11.3, 0), (16, 4.7), (16, 11.3), (11.3, 16), (4.7, 16), (0, 11.3), (0, 4.7)]
    pen.polygon((x, y), corners, RED)
    pen.rounded((x + 7.1, y + 3.4, x + 8.9, y + 9.6), 0.9, WHITE)
    pen.rounded((x + 7.1, y + 11, x + 8.9, y + 12.8), 0.9, WHITE)


def _funding(pen: Pen, x: float, y: float) -> None:
    pen.rounded((x, y + 2.5, x + 16, y + 13.5), 2, GREEN)
    pen.rounded((x + 5.4, y + 5.4, x + 10.6, y + 10.6), 2.6, WHITE)


def _done(pen: Pen, x: float, y: float) -> None:
    pen.rounded((x, y, x + 16, y + 16), 4, GREEN)
    pen.stroke((x, y), [(4, 8.4), (7, 11.4), (12.2, 5)], 1.9, WHITE)


SYMBOLS: dict[str, Symbol] = {
    "🔒": padlock,
    "📈": _rise,
    "⚠": _warning,
    "🛑": _stop,
    "💸": _funding,
    "✅": _done,
}
SYMBOL_WIDTH = 16.0


# --- prose --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """A word. ``glued``: no blank before it."""

    text: str
    bold: bool
    glued: bool

    def width(self, size: float) -> float:
        return width_of(self.text, size, bold=self.bold)


def prose_lines(text: str, width: float, size: float) -> list[list[Run]]:
    """Words in lines no wider than ``width``; ``**bold**`` is kept, ticks are dropped."""
    return [line for paragraph in text.split("\n") for line in _filled(_words(paragraph), width, size)]


def _words(paragraph: str) -> Iterator[Run]:
    """A piece is glued where only the markup stands between it and the one before."""
    glued = False
    for number, part in enumerate(paragraph.replace("`", "").split("**")):
        for word in part.split():
            yield Run(word, bold=number % 2 == 1, glued=glued and not part[0].isspace())
            glued = False
        glued = glued if not part else not part[-1].isspace()


def _filled(words: Iterable[Run], width: float, size: float) -> Iterator[list[Run]]:
    line: list[Run] = []
    for word in words:
        if line and not word.glued and _length([*line, word], size) > width:
            yield line
            line = []
        line.append(word)
    yield line


def _length(words: Sequence[Run], size: float) -> float:
    return sum(word.width(size) for word in words) + _blank(size) * sum(not word.glued for word in words[1:])


def draw_words(pen: Pen, x: float, base: float, words: Sequence[Run], size: float, color: Color) -> None:
    for number, word in enumerate(words):
        x += _blank(size) if number and not word.glued else 0
        pen.text((x, base), word.text, size, color, bold=word.bold)
        x += word.width(size)
