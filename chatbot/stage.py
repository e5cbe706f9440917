"""The trader's phone in a terminal: who says what, the market's clock beside it, cards as wide as a phone's.

What is said is kept: the demo looks for buttons there, and the picture is drawn from it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TextIO

from chatbot.chat import Block, Button, ChatRef, Platform, Reply, Request, Severity, Table

PROSE_WIDTH = 60
INDENT = 19  # of a card: the clock and who speaks stand before it
EDITED = "↻"

BOLD, DIM, RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
BLUE, CYAN = "\x1b[34m", "\x1b[36m"
COLORS = {
    Severity.NEUTRAL: BLUE,
    Severity.INFO: BLUE,
    Severity.SUCCESS: "\x1b[32m",
    Severity.WARNING: "\x1b[33m",
    Severity.CRITICAL: "\x1b[31m",
}


Rest = Callable[[float], Awaitable[None]]


class Speaker(StrEnum):
    TRADER = "you"
    BOT = "bot"
    MARKET = "market"


@dataclass(frozen=True, slots=True)
class Line:
    """Something said at an instant of market time. A bot's line has a ``reply``, the others a ``text``.

    A tap is a trader's line: ``text`` is the button, ``message_id`` the card that bears it.
    """

    at: datetime
    speaker: Speaker
    text: str = ""
    reply: Reply = field(default_factory=Reply)
    message_id: str = ""
    edits: bool = False


@dataclass(slots=True)
class Stage:
    """Implements ``chatbot.ports.Messenger``.

    ``meanwhile`` tells what the market did between two lines that some time lies between. ``rest`` sleeps
    while a person reads what was printed.
    """

    out: TextIO
    now: Callable[[], datetime]
    meanwhile: Callable[[timedelta], Awaitable[str]]
    rest: Rest | None = None
    colors: bool = False
    lines: list[Line] = field(default_factory=list)
    platform: Platform = Platform.CONSOLE

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        message_id = edits or str(len(self.lines) + 1)
        await self._say(
            Line(self.now(), Speaker.BOT, reply=reply, message_id=message_id, edits=edits is not None)
        )
        return message_id

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """A toast only says what the card says as well."""

    async def typed(self, text: str) -> None:
        await self._say(Line(self.now(), Speaker.TRADER, text))

    async def tapped(self, label: str, message_id: str) -> None:
        await self._say(Line(self.now(), Speaker.TRADER, label, message_id=message_id))

    async def headline(self, text: str) -> None:
        rule = "─" * max(3, PROSE_WIDTH + INDENT - len(text) - 4)
        await self._print([self._colored(f"── {text} {rule}", BOLD), ""])

    def button(self, label: str) -> tuple[str, Button] | None:
        """The newest card that bears a button called so."""
        for message_id, reply in reversed(self._cards().items()):
            for row in reply.buttons:
                for button in row:
                    if button.label == label:
                        return message_id, button
        return None

    def said_since(self, mark: int) -> Iterator[Reply]:
        """Replies after the first ``mark`` lines."""
        return (line.reply for line in self.lines[mark:] if line.speaker is Speaker.BOT)

    def _cards(self) -> dict[str, Reply]:
        """As they stand on the phone now: an edit replaces what was there, in its place."""
        return {line.message_id: line.reply for line in self.lines if line.speaker is Speaker.BOT}

    async def _say(self, line: Line) -> None:
        passed = line.at - self.lines[-1].at if self.lines else timedelta(0)
        if passed >= timedelta(minutes=1):
            told = Line(line.at, Speaker.MARKET, await self.meanwhile(passed))
            self.lines.append(told)
            await self._print([*self._aside(told.text), ""])
        self.lines.append(line)
        await self._print([*self._framed(line), ""])

    def _aside(self, text: str) -> Iterator[str]:
        for number, line in enumerate(text.splitlines()):
            yield self._colored(f"   {' ' if number else '…'} {line}", DIM)

    def _framed(self, line: Line) -> Iterator[str]:
        """The lines of a card, with the clock before the first and a bar in the color of its gravity."""
        mark = EDITED if line.edits else " "
        clock = self._colored(f"{line.at:%m-%d %H:%M}", DIM)
        who = self._colored(line.speaker.value, BOLD)
        color = COLORS[line.reply.severity] if line.speaker is Speaker.BOT else CYAN
        bar = self._colored("│", color)
        for number, text in enumerate(self._body(line)):
            head = f"{clock}  {who}{mark}" if number == 0 else " " * (INDENT - 2)
            yield f"{head}{bar} {text}".rstrip()

    def _body(self, line: Line) -> Iterator[str]:
        if line.speaker is not Speaker.BOT:
            yield self._colored(f"taps [{line.text}]" if line.message_id else line.text, CYAN)
            return
        for block in line.reply.blocks:
            yield from self._block(block)
        for row in line.reply.buttons:
            yield self._colored("  ".join(f"[{button.label}]" for button in row), BLUE)

    def _block(self, block: Block) -> Iterator[str]:
        if isinstance(block, Table):
            yield from (f"  {line}" for line in block.lines)
            return
        for line in wrapped(block.text, PROSE_WIDTH):
            yield re.sub(r"\*\*(.+?)\*\*", lambda bold: self._colored(bold[1], BOLD), line)

    def _colored(self, text: str, color: str) -> str:
        return f"{color}{text}{RESET}" if self.colors and text else text

    async def _print(self, lines: list[str]) -> None:
        for line in lines:
            print(line, file=self.out)
        self.out.flush()
        if self.rest is not None:
            await self.rest(0.5 + 0.06 * len(lines))


def wrapped(text: str, width: int) -> Iterator[str]:
    """Prose in lines of at most ``width`` that can be seen; every line opens and closes its own ``**``."""
    for paragraph in text.split("\n"):
        yield from _balanced(_filled(re.sub(r"`([^`]*)`", r"\1", paragraph), width))


def _filled(paragraph: str, width: int) -> Iterator[str]:
    line = ""
    for word in paragraph.split():
        longer = f"{line} {word}" if line else word
        if line and len(longer.replace("**", "")) > width:
            yield line
            longer = word
        line = longer
    yield line


def _balanced(lines: Iterator[str]) -> Iterator[str]:
    bold = False
    for line in lines:
        opened = f"**{line}" if bold else line
        bold = opened.count("**") % 2 == 1
        yield f"{opened}**" if bold else opened
