"""Draws a conversation as phones would show it, side by side: twice as fine as it is shown.

The only font is the one that comes with Pillow. It is not monospaced, though its digits are, so a table is
drawn by its columns: what stands left begins at its column, every other entry ends at its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from chatbot.chat import Block, Reply, Table
from chatbot.pen import GREEN, SCALE, WHITE, Color, Pen, draw_words, padlock, prose_lines, width_of
from chatbot.platforms.console import render
from chatbot.stage import Line, Speaker

PHONE, GAP, MARGIN, HEADER = 412, 16, 8, 54
BUBBLE, PADDING, SPACE, NARROW = 384, 13, 10, 4
ROW, BUTTON = 19, 34
TEXT, TABLE, SMALL, TITLE = 14.5, 13.5, 11.5, 16
TABLE_CELLS = 34
COLORS = 96
CONVERSATION = "Conversation"


@dataclass(frozen=True, slots=True)
class Look:
    page: Color
    chat: Color
    header: Color
    card: Color
    own: Color
    text: Color
    own_text: Color
    dim: Color
    rule: Color
    button: Color
    button_text: Color
    tapped: Color
    note: Color
    note_text: Color


LIGHT = Look(
    page=(255, 255, 255),
    chat=(214, 224, 232),
    header=(238, 243, 247),
    card=(255, 255, 255),
    own=(222, 247, 204),
    text=(24, 30, 38),
    own_text=(24, 30, 38),
    dim=(126, 138, 150),
    rule=(216, 223, 229),
    button=(240, 246, 251),
    button_text=(27, 108, 178),
    tapped=(38, 120, 190),
    note=(190, 203, 214),
    note_text=(52, 68, 82),
)
DARK = Look(
    page=(13, 17, 23),
    chat=(14, 22, 33),
    header=(23, 33, 43),
    card=(28, 41, 54),
    own=(43, 82, 120),
    text=(238, 242, 246),
    own_text=(240, 245, 250),
    dim=(125, 143, 160),
    rule=(52, 68, 84),
    button=(36, 53, 70),
    button_text=(112, 186, 245),
    tapped=(52, 118, 178),
    note=(31, 45, 58),
    note_text=(168, 186, 202),
)


# --- tables -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """``cell`` is where it begins, or ends if ``right``."""

    text: str
    cell: int
    right: bool


def entries(line: str) -> list[Entry]:
    """Entries stand two blanks apart. The first of a line that is not blank at its beginning stands left."""
    found = [(match.group(), match.start(), match.end()) for match in re.finditer(r"\S+(?: \S+)*", line)]
    indent = len(line) - len(line.lstrip())
    return [
        Entry(text, start, right=False) if start == indent <= 6 else Entry(text, end, right=True)
        for text, start, end in found
    ]


def _draw_table_line(pen: Pen, line: str, left: float, top: float, look: Look) -> None:
    width = BUBBLE - 2 * PADDING
    if set(line.strip()) == {"-"}:
        pen.line(left, left + width, top + ROW / 2, look.rule)
        return
    cell = width / TABLE_CELLS
    for entry in entries(line):
        x = left + entry.cell * cell - (width_of(entry.text, TABLE) if entry.right else 0)
        pen.text((x, top + 14), entry.text, TABLE, look.text)


# --- what stands in a chat ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """Draws itself with its top left corner at a point of a phone; ``space`` is left below it."""

    height: float
    draw: Callable[[Pen, float, float], None]
    space: float = SPACE


def items_of(lines: Sequence[Line], look: Look) -> list[Item]:
    return [item for number, line in enumerate(lines) for item in _items_of(line, lines[number + 1 :], look)]


def _items_of(line: Line, later: Sequence[Line], look: Look) -> list[Item]:
    """A tap is no message of its own: the button that was tapped is filled."""
    match line.speaker:
        case Speaker.TRADER:
            return [] if line.message_id else [_own_words(line, look)]
        case Speaker.MARKET:
            return [_note(line.text, look)]
        case Speaker.BOT:
            return [_card(line, look), *_button_rows(line.reply, _tapped(line, later), look)]


def _tapped(card: Line, later: Sequence[Line]) -> str:
    taps = (line for line in later if line.message_id == card.message_id)
    first = next(taps, None)
    return first.text if first is not None and first.speaker is Speaker.TRADER else ""


def _own_words(line: Line, look: Look) -> Item:
    words, clock = line.text, f"{line.at:%H:%M}"
    clock_width = width_of(clock, SMALL)
    width = width_of(words, TEXT) + clock_width + 10 + 2 * PADDING

    def draw(pen: Pen, x: float, y: float) -> None:
        left = x + PHONE - MARGIN - width
        pen.rounded((left, y, left + width, y + 36), 12, look.own)
        pen.text((left + PADDING, y + 23), words, TEXT, look.own_text)
        pen.text((left + width - PADDING - clock_width, y + 24), clock, SMALL, look.dim)

    return Item(36, draw)


def _note(text: str, look: Look) -> Item:
    rows = text.splitlines()
    width = max(width_of(row, SMALL + 1) for row in rows) + 24
    height = 10 + 17 * len(rows)

    def draw(pen: Pen, x: float, y: float) -> None:
        left = x + (PHONE - width) / 2
        pen.rounded((left, y, left + width, y + height), 13, look.note)
        for number, row in enumerate(rows):
            indent = (width - width_of(row, SMALL + 1)) / 2
            pen.text((left + indent, y + 18 + 17 * number), row, SMALL + 1, look.note_text)

    return Item(height, draw)


def _card(line: Line, look: Look) -> Item:
    blocks = [_block(block, look) for block in line.reply.blocks]
    height = sum(block.height for block in blocks) + 2 * PADDING + 8

    def draw(pen: Pen, x: float, y: float) -> None:
        left = x + MARGIN
        pen.rounded((left, y, left + BUBBLE, y + height), 12, look.card)
        top = y + PADDING - 1
        for block in blocks:
            block.draw(pen, left + PADDING, top)
            top += block.height
        _stamp(pen, line, left + BUBBLE - PADDING, y + height - 8, look)

    return Item(height, draw, NARROW if line.reply.buttons else SPACE)


def _stamp(pen: Pen, line: Line, right: float, base: float, look: Look) -> None:
    text = f"{'edited ' if line.edits else ''}{line.at:%H:%M}"
    pen.text((right - width_of(text, SMALL), base), text, SMALL, look.dim)


def _block(block: Block, look: Look) -> Item:
    return _table(block, look) if isinstance(block, Table) else _prose(block.text, look)


def _table(table: Table, look: Look) -> Item:
    def draw(pen: Pen, x: float, y: float) -> None:
        for number, line in enumerate(table.lines):
            _draw_table_line(pen, line, x, y + 3 + number * ROW, look)

    return Item(ROW * len(table.lines) + 6, draw)


def _prose(text: str, look: Look) -> Item:
    lines = prose_lines(text, BUBBLE - 2 * PADDING, TEXT)

    def draw(pen: Pen, x: float, y: float) -> None:
        for number, words in enumerate(lines):
            draw_words(pen, x, y + 14.5 + number * ROW, words, TEXT, look.text)

    return Item(ROW * len(lines), draw)


def _button_rows(reply: Reply, tapped: str, look: Look) -> list[Item]:
    rows = [_buttons([button.label for button in row], tapped, look) for row in reply.buttons]
    return [replace(row, space=NARROW) for row in rows[:-1]] + rows[-1:]


def _buttons(labels: Sequence[str], tapped: str, look: Look) -> Item:
    wide = (BUBBLE - NARROW * (len(labels) - 1)) / len(labels)

    def draw(pen: Pen, x: float, y: float) -> None:
        for number, label in enumerate(labels):
            left = x + MARGIN + number * (wide + NARROW)
            fill, color = (look.tapped, WHITE) if label == tapped else (look.button, look.button_text)
            pen.rounded((left, y, left + wide, y + BUTTON), 9, fill)
            indent = (wide - width_of(label, TEXT, bold=True)) / 2
            pen.text((left + indent, y + 22), label, TEXT, color, bold=True)

    return Item(BUTTON, draw)


# --- the whole picture --------------------------------------------------------------------------


def draw(phones: Sequence[Sequence[Line]], look: Look) -> Image.Image:
    columns = [items_of(lines, look) for lines in phones]
    height = max(sum(item.height + item.space for item in column) for column in columns) + HEADER + 2 * SPACE
    width = len(columns) * (PHONE + GAP) - GAP
    image = Image.new("RGB", (width * SCALE, round(height * SCALE)), look.page)
    pen = Pen(image)
    for number, column in enumerate(columns):
        _draw_phone(pen, column, number * (PHONE + GAP), height, look)
    return image


def _draw_phone(pen: Pen, column: Sequence[Item], x: float, height: float, look: Look) -> None:
    pen.rounded((x, 0, x + PHONE, height), 16, look.chat)
    pen.rounded((x, 0, x + PHONE, HEADER), 16, look.header)
    pen.rounded((x, HEADER - 16, x + PHONE, HEADER), 0, look.header)
    pen.rounded((x + 12, 9, x + 48, 45), 18, GREEN)
    padlock(pen, x + 22, 19, WHITE, GREEN)
    pen.text((x + 58, 25), "Hedgerow", TITLE, look.text, bold=True)
    pen.text((x + 58, 42), "bot, paper account", SMALL + 0.5, look.dim)
    y: float = HEADER + SPACE
    for item in column:
        item.draw(pen, x, y)
        y += item.height + item.space


def save(phones: Sequence[Sequence[Line]], path: Path) -> list[Path]:
    """Light at ``path``, dark beside it; few colors, so that both stay small. Raises ``OSError``.

    The conversation goes into the files as text, so that one can tell what a picture shows.
    """
    dark = path.with_stem(f"{path.stem}-dark")
    note = PngInfo()
    note.add_itxt(CONVERSATION, transcript(phones))
    for target, look in ((path, LIGHT), (dark, DARK)):
        few = draw(phones, look).quantize(COLORS, dither=Image.Dither.NONE)
        few.save(target, format="PNG", optimize=True, pnginfo=note)
    return [path, dark]


def transcript(phones: Sequence[Sequence[Line]]) -> str:
    said = (line.text or render(line.reply) for lines in phones for line in lines)
    return "\n\n".join(said)
