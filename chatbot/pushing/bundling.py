"""Several alerts of one chat as one message: the gravest first, each with its own buttons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from chatbot.chat import Block, Button, Reply, Severity, Text

MOST = 5  # in one message: it must be read at a glance, and fit
MOST_ROWS = 8
SETTINGS, STATUS = "Settings", "Status"
_GRAVITY = (Severity.CRITICAL, Severity.WARNING, Severity.INFO, Severity.SUCCESS, Severity.NEUTRAL)


def bundled(replies: Sequence[Reply]) -> Reply:
    """In the order given. A button says what it is about where another could be meant, and stands once."""
    first, *others = replies
    if not others:
        return first
    return replace(
        first,
        blocks=tuple(_blocks(replies)),
        buttons=(*list(_rows(replies))[:MOST_ROWS], *_settings(replies)),
        severity=min((reply.severity for reply in replies), key=_GRAVITY.index),
        as_of=None,
    )


def _blocks(replies: Sequence[Reply]) -> Iterator[Block]:
    for number, reply in enumerate(replies):
        if number:
            yield Text("")
        yield from reply.blocks


def _rows(replies: Sequence[Reply]) -> Iterator[tuple[Button, ...]]:
    several, seen = len({reply.subject for reply in replies}) > 1, set[str]()
    for reply in replies:
        subject = reply.subject if several else ""
        for row in reply.buttons:
            asked = [_named(button, subject) for button in row if button.label != SETTINGS]
            new = [button for button in asked if _same(button) not in seen]
            seen |= set(map(_same, new))
            if new:
                yield tuple(new)


def _same(button: Button) -> str:
    """Two that show how things stand are one, whatever of them each shows."""
    return button.label if button.label.endswith(STATUS) else button.data


def _named(button: Button, subject: str) -> Button:
    return replace(button, label=f"{subject} {button.label}") if subject else button


def _settings(replies: Sequence[Reply]) -> Iterator[tuple[Button, ...]]:
    """The same on every alert."""
    all_of_them = (button for reply in replies for row in reply.buttons for button in row)
    found = next((button for button in all_of_them if button.label == SETTINGS), None)
    if found is not None:
        yield (found,)
