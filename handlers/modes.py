"""The position mode of the account: how it is called, and the way out of the wrong one."""

from __future__ import annotations

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.instrument import PositionMode
from chatbot.errors import BadArgument, OneWayMode
from handlers.look import Look
from handlers.text import echo

SWITCH = ("Switch to hedge mode", "/settings mode hedge")
_MODES = {
    "hedge": PositionMode.HEDGE,
    "two-way": PositionMode.HEDGE,
    "one-way": PositionMode.ONE_WAY,
    "oneway": PositionMode.ONE_WAY,
    "one_way": PositionMode.ONE_WAY,
}
NAMES = {PositionMode.HEDGE: "hedge", PositionMode.ONE_WAY: "one-way"}
MEANINGS = {
    PositionMode.HEDGE: "a long and a short can stand side by side",
    PositionMode.ONE_WAY: "a second leg would close the first",
}


def mode_of(words: tuple[str, ...]) -> PositionMode:
    """:raises BadArgument: not exactly one word, or none that names a mode"""
    mode = _MODES.get(words[0].lower()) if len(words) == 1 else None
    if mode is None:
        typed = f", not `{echo(' '.join(words))}`" if words else ""
        raise BadArgument(f"The position mode is `hedge` or `one-way`{typed}.")
    return mode


def one_way_card(look: Look, error: OneWayMode) -> Reply:
    """The refusal, with the button that mends it: it works as soon as nothing is open."""
    label, command = SWITCH
    switch = look.button(label, command + look.there)
    row = (look.button("Close…", "/close"), switch) if error.obstacle else (switch,)
    return Reply(blocks=(Text(look.placed(error.message)),), buttons=(row,), severity=Severity.WARNING)
