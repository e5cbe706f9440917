"""The choices behind the buttons of ``/alerts``: each is a command that could be typed as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from chatbot.chat import Reply, Text
from chatbot.domain.instrument import Symbol
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import ALWAYS_ON, AlertKind
from chatbot.ports import AlertEpisode
from handlers.alert_overview import own_lines, price_lines, reached_prices, rows_of, setting_lines
from handlers.context import Call
from handlers.tables import line, table
from handlers.text import plain, short_name

Choices = Sequence[tuple[str, str]]  # label, what stands behind /alerts

_PERCENT = {
    "liquidation": ("30 20 10", "20 10 5", "15 8 4", "10 5"),
    "margin": ("40 60 80", "50 70 85", "70 85"),
    "imbalance": ("0.5", "1", "2", "5"),
    "eaten": ("10 25 50", "25 50 75", "50 75"),
    "target": ("3", "5", "10", "20"),
    "rate": ("0.03", "0.05", "0.1", "0.3"),
}
_OTHERS: Mapping[str, Choices] = {
    "funding": (
        ("5 min before", "funding 5m"),
        ("15 min", "funding 15m"),
        ("1 h", "funding 1h"),
        ("Over 0.01", "funding 0.01"),
        ("Over 1", "funding 1"),
        ("Over 10", "funding 10"),
    ),
    "digest": (
        ("08:00", "digest 08:00"),
        ("09:00", "digest 09:00"),
        ("20:00", "digest 20:00"),
        ("Each settlement", "digest funding"),
        ("None", "digest off"),
    ),
    "quiet": (
        ("22–06", "quiet 22:00-06:00"),
        ("23–07", "quiet 23:00-07:00"),
        ("00–08", "quiet 00:00-08:00"),
        ("None", "quiet off"),
    ),
    "snooze": (
        ("All 1 h", "snooze 1h"),
        ("All 4 h", "snooze 4h"),
        ("All 8 h", "snooze 8h"),
        ("End all", "snooze off"),
    ),
}
_WORDS = {
    "liquidation": "How near a leg may come to its liquidation, from the first warning to the gravest.",
    "margin": "How much of the margin may be used up; at 100 % the exchange liquidates.",
    "imbalance": "By how much the legs of a hedge may differ.",
    "funding": "How long before a settlement you hear of it, and over which net cost.",
    "eaten": "How much of the locked profit funding may have eaten.",
    "target": "From which profit on a position without a hedge is worth locking.",
    "rate": "From which funding rate on, per settlement, of either sign.",
    "digest": "What every hedge has locked and what it costs, with a picture.",
    "quiet": "By your own clock. Critical alerts get through.",
    "snooze": "Critical alerts get through. One hedge or kind: `/alerts snooze 1h #3 liquidation`.",
}
MENU_WORDS = frozenset(_WORDS) | {"price", "off"}


def menu(call: Call, word: str, chosen: AlertPreferences, active: Sequence[AlertEpisode]) -> Reply:
    """What ``/alerts WORD`` shows when nothing follows."""
    made = _SPECIAL[word](chosen, active) if word in _SPECIAL else _plain_menu(word, chosen)
    text, lines, choices = made
    buttons = [call.button(label, f"/alerts {command}", replaces=True) for label, command in choices]
    back = (call.button("Back", "/alerts", replaces=True),)
    blocks = (Text(text), table(*lines)) if lines else (Text(text),)
    return Reply(blocks=blocks, buttons=(*rows_of(buttons, 3), back))


_Menu = tuple[str, list[str], Choices]


def _plain_menu(word: str, chosen: AlertPreferences) -> _Menu:
    presets = [(f"{values} %", f"{word} {values}") for values in _PERCENT.get(word, ())]
    choices = [*presets, *_OTHERS.get(word, ()), *_switch(word, chosen)]
    now = [each for each in setting_lines(chosen) if each.split()[:1] == [word]]
    own = [each for name, own in chosen.hedges.items() for each in own_lines(name, own) if f" {word}" in each]
    return f"**{word.capitalize()}**\n{_WORDS[word]}", [*now, *own], choices


def _switch(word: str, chosen: AlertPreferences) -> Choices:
    if word not in set(AlertKind):
        return ()
    return (("Switch on", f"on {word}"),) if word in chosen.disabled else (("Switch off", f"off {word}"),)


def _prices(chosen: AlertPreferences, active: Sequence[AlertEpisode]) -> _Menu:
    words = "**Prices**\nEach is told once. A new one: `/alerts BTC 120000`."
    removals = [
        (
            f"Remove {short_name(Symbol(mark.symbol))} {plain(mark.price)}",
            f"{short_name(Symbol(mark.symbol))} {mark.price.normalize():f} off",
        )
        for mark in chosen.prices
    ]
    return words, price_lines(chosen, reached_prices(active)), removals


def _switches(chosen: AlertPreferences, _: Sequence[AlertEpisode]) -> _Menu:
    kinds = [kind for kind in AlertKind if kind not in ALWAYS_ON]
    lines = [line(kind, "off" if kind in chosen.disabled else "on") for kind in kinds]
    choices = [(f"{'☐' if k in chosen.disabled else '☑'} {k}", _toggle(k, chosen)) for k in kinds]
    return "**On and off**\nWhat tells that something has happened to your money stays on.", lines, choices


def _toggle(kind: AlertKind, chosen: AlertPreferences) -> str:
    return f"{'on' if kind in chosen.disabled else 'off'} {kind}"


_SPECIAL: Mapping[str, Callable[[AlertPreferences, Sequence[AlertEpisode]], _Menu]] = {
    "price": _prices,
    "off": _switches,
}
