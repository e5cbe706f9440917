"""``Which one?``: a command that names nothing while more than one thing is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chatbot.chat import Reply, Text
from handlers.buttons import fits
from handlers.context import Call
from handlers.figures import subject_name
from handlers.subjects import Subject


def about(call: Call, subject: Subject) -> Call:
    """The same call, as if it had named it."""
    return replace(call, words=(*subject.named.split(), *call.words))


def which_one(call: Call, live: Sequence[Subject], *, command: str, label: str, then: str) -> Reply:
    """The same words once for each thing that is open; ``then`` says what a tap brings."""
    lines = [(s, " ".join((command, *about(call, s).words))) for s in live]
    buttons = tuple(
        (call.button(f"{label} {subject_name(s.number, s.symbol)}", line, replaces=True),)
        for s, line in lines
        if fits(line)
    )
    return Reply(blocks=(Text(f"**Which one?** {then}"),), buttons=buttons)
