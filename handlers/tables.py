"""Monospace lines for a phone: never wider than 34 characters."""

from __future__ import annotations

from chatbot.chat import Table

WIDTH = 34
LABEL = 9
COLUMN = 12
RULE = "-" * WIDTH


def pair(label: str, left: str, right: str) -> str:
    """A row with a column for the long and one for the short."""
    return f"{label[:LABEL]:<{LABEL}}{left[:COLUMN]:>{COLUMN}} {right[:COLUMN]:>{COLUMN}}"


def line(label: str, value: str) -> str:
    """The label at the left, the value at the right edge; where both do not fit the label gives way."""
    room = WIDTH - len(value) - 1
    return f"{label[: max(room, 0)]:<{max(room, 0)}} {value}"[-WIDTH:] if room > 0 else value[:WIDTH]


def note(text: str, *, indent: int = 0) -> list[str]:
    """Free words, broken at spaces; what goes on stands two further in."""
    lines: list[str] = []
    current = ""
    for word in text.split():
        margin = " " * (indent + (2 if lines else 0))
        candidate = f"{current} {word}" if current else margin + word
        if len(candidate) > WIDTH and current:
            lines.append(current)
            candidate = " " * (indent + 2) + word
        current = candidate[:WIDTH]
    return [*lines, current] if current else lines


def table(*parts: str | list[str] | tuple[str, ...]) -> Table:
    """Lines, and lists of lines, one after another."""
    lines: list[str] = []
    for part in parts:
        lines.extend([part] if isinstance(part, str) else part)
    return Table(tuple(entry.rstrip() for entry in lines))
