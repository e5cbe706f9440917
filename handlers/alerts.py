"""``/alerts``: what is wrong now, what you are warned of, and from which figure on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.chat import Block, Button, Reply, Severity, Text
from chatbot.domain.dangers import UNKNOWN_AFTER, VENUE_DOWN_AFTER
from chatbot.domain.episodes import EVERYTHING, NEVER_HELD, snooze, snoozes
from chatbot.domain.preferences import AlertPreferences, DigestRhythm
from chatbot.domain.risk import ALWAYS_ON, AlertKind, LegCause
from chatbot.domain.wording import market_name
from chatbot.errors import BadArgument
from chatbot.ports import AlertEpisode
from handlers.alert_words import KIND_WORDS
from handlers.arguments import (
    clock_time_of,
    duration_of,
    hedge_number_of,
    percent_of,
    positive_of,
    resolve_symbol,
    time_span_of,
)
from handlers.context import Call
from handlers.subjects import live_hedge
from handlers.tables import line, note, table
from handlers.text import clock_time, duration, echo, instant, listing, plain

MIN_SNOOZE = timedelta(minutes=1)
MAX_SNOOZE = timedelta(days=7)
DEFAULT_SNOOZE = timedelta(hours=1)
MIN_AHEAD, MAX_AHEAD = timedelta(minutes=1), timedelta(hours=8)
MAX_LEVELS = 3
HINT = "Change one: `/alerts liquidation 25 15 8`, `/alerts off target`. Critical ones ignore quiet hours."

Edit = Callable[[Call, Sequence[str]], Awaitable[AlertPreferences]]


@dataclass(frozen=True, slots=True)
class _Action:
    edit: Edit
    form: str
    example: str


async def alerts(call: Call) -> Reply:
    if not call.words:
        return await _overview(call, call.user.preferences.alerts)
    word = call.words[0].lower()
    action = _ACTIONS.get(word)
    if action is None:
        raise BadArgument(f"`{echo(word)}` is nothing I can set: {listing(list(_ACTIONS))}.")
    try:
        chosen = await action.edit(call, call.words[1:])
    except BadArgument as error:
        raise error.with_form(form=action.form, example=action.example) from error
    preferences = replace(call.user.preferences, alerts=chosen)
    await call.services.people.choose(call.user, preferences)
    saved = await _overview(call, chosen, first=f"✅ **Saved.**{_still_off(word, chosen)}\n")
    return replace(saved, severity=Severity.SUCCESS)


def _still_off(word: str, chosen: AlertPreferences) -> str:
    """A new level does not switch the alert on."""
    return f" It is off: `/alerts on {word}` switches it on." if word in chosen.disabled else ""


def _now(call: Call) -> AlertPreferences:
    return call.user.preferences.alerts


# --- levels -------------------------------------------------------------------------------------


async def _liquidation(call: Call, words: Sequence[str]) -> AlertPreferences:
    levels = _percentages(words, rising=False, below=Decimal(1))
    return replace(_now(call), liquidation_distances=levels)


async def _margin(call: Call, words: Sequence[str]) -> AlertPreferences:
    return replace(_now(call), margin_ratios=_percentages(words, rising=True, below=Decimal(1)))


async def _eaten(call: Call, words: Sequence[str]) -> AlertPreferences:
    return replace(_now(call), funding_eaten=_percentages(words, rising=True, below=Decimal(10)))


async def _imbalance(call: Call, words: Sequence[str]) -> AlertPreferences:
    (limit,) = _percentages(_exactly_one(words), rising=True, below=Decimal(1))
    return replace(_now(call), imbalance=limit)


async def _target(call: Call, words: Sequence[str]) -> AlertPreferences:
    (target,) = _percentages(_exactly_one(words), rising=True, below=Decimal(100))
    return replace(_now(call), profit_target=target)


def _exactly_one(words: Sequence[str]) -> Sequence[str]:
    if len(words) != 1:
        raise BadArgument("I need one percentage.")
    return words


def _percentages(words: Sequence[str], *, rising: bool, below: Decimal) -> tuple[Decimal, ...]:
    """One to three, each graver than the one before, as fractions."""
    if not 1 <= len(words) <= MAX_LEVELS:
        raise BadArgument(f"I need one to {MAX_LEVELS} percentages, from harmless to grave.")
    levels = tuple(percent_of(word.rstrip(",;/")) for word in words)
    for word, level in zip(words, levels, strict=True):
        if not 0 < level < below:
            raise BadArgument(f"`{echo(word)}` must be over 0 and under {plain(below * 100)}, in percent.")
    if sorted(set(levels), reverse=not rising) != list(levels):
        raise BadArgument(
            f"From harmless to grave, please: each {'higher' if rising else 'lower'} than the last."
        )
    return levels


async def _funding(call: Call, words: Sequence[str]) -> AlertPreferences:
    """How long before, and over which net cost; either may be left out."""
    if not 1 <= len(words) <= 2:
        raise BadArgument("I need a time before the settlement, a net cost, or both.")
    chosen = _now(call)
    for word in words:
        chosen = _with_funding(chosen, word)
    return chosen


def _with_funding(chosen: AlertPreferences, word: str) -> AlertPreferences:
    if word[-1:].isalpha():
        ahead = duration_of(word)
        if not MIN_AHEAD <= ahead <= MAX_AHEAD:
            raise BadArgument(f"The time before must be between 1m and 8h, not `{echo(word)}`.")
        return replace(chosen, funding_before=ahead)
    return replace(chosen, funding_net_cost=positive_of(word, "The net cost"))


# --- quiet, snooze, off -------------------------------------------------------------------------


async def _quiet(call: Call, words: Sequence[str]) -> AlertPreferences:
    if len(words) != 1:
        raise BadArgument("I need a span of hours, or `off`.")
    if words[0].lower() == "off":
        return replace(_now(call), quiet_from=None, quiet_until=None)
    begin, end = time_span_of(words[0])
    if begin == end:
        raise BadArgument("The quiet hours begin and end at the same time: `off` ends them.")
    return replace(_now(call), quiet_from=begin, quiet_until=end)


async def _digest(call: Call, words: Sequence[str]) -> AlertPreferences:
    if len(words) != 1:
        raise BadArgument("I need a time of the day, `funding` or `off`.")
    word = words[0].lower()
    if word in set(DigestRhythm):
        return replace(_now(call), digest=DigestRhythm(word))
    return replace(_now(call), digest=DigestRhythm.DAILY, digest_at=clock_time_of(word))


async def _snooze(call: Call, words: Sequence[str]) -> AlertPreferences:
    """``1h``, ``1h #3``, ``1h liquidation``, ``1h #3 liquidation``; ``off`` ends all of them."""
    if [word.lower() for word in words] == ["off"]:
        return replace(_now(call), snoozed={})
    spans = [word for word in words if word[:1].isdigit()]
    if len(spans) > 1:
        raise BadArgument("I need one duration.")
    span = duration_of(spans[0]) if spans else DEFAULT_SNOOZE
    if not MIN_SNOOZE <= span <= MAX_SNOOZE:
        raise BadArgument("A snooze lasts from a minute to seven days.")
    key = await _snooze_key(call, [word for word in words if word not in spans])
    now = call.services.clock.now()
    return snooze(_now(call), key, now + span, now)


async def _snooze_key(call: Call, words: Sequence[str]) -> str:
    kinds = [word.lower() for word in words if word.lower() in set(AlertKind)]
    subjects = [word for word in words if word.lower() not in set(AlertKind)]
    if len(kinds) > 1 or len(subjects) > 1:
        raise BadArgument("One hedge or market and one kind of alert at a time, please.")
    if set(kinds) & NEVER_HELD:
        raise BadArgument(f"`{kinds[0]}` is never held back: it tells that a leg stands alone.")
    named = [await _subject(call, word) for word in subjects]
    return ":".join([*named, *kinds]) or EVERYTHING


async def _subject(call: Call, word: str) -> str:
    number = hedge_number_of(word)
    if number is not None:
        await live_hedge(call, number)
        return f"#{number}"
    instruments = await call.services.hedging.instruments(call.user)
    return market_name(instruments[resolve_symbol(word, instruments)])


async def _off(call: Call, words: Sequence[str]) -> AlertPreferences:
    kind = _kind(words)
    if kind in ALWAYS_ON:
        raise BadArgument(f"`{kind}` stays on: it tells what has already happened to your money.")
    return replace(_now(call), disabled=_now(call).disabled | {kind.value})


async def _on(call: Call, words: Sequence[str]) -> AlertPreferences:
    return replace(_now(call), disabled=_now(call).disabled - {_kind(words).value})


def _kind(words: Sequence[str]) -> AlertKind:
    can = [kind.value for kind in AlertKind if kind not in ALWAYS_ON]
    if len(words) != 1 or words[0].lower() not in set(AlertKind):
        raise BadArgument(f"I need one kind of alert: {listing(can)}.")
    return AlertKind(words[0].lower())


async def _reset(call: Call, words: Sequence[str]) -> AlertPreferences:
    if words:
        raise BadArgument(
            "`reset` takes nothing after it: it brings every level back to what it was at first."
        )
    return AlertPreferences()


_ACTIONS: dict[str, _Action] = {
    "liquidation": _Action(
        _liquidation, "/alerts liquidation FAR [NEAR] [GRAVE]", "/alerts liquidation 25 15 8"
    ),
    "margin": _Action(_margin, "/alerts margin LOW [HIGH] [GRAVE]", "/alerts margin 50 70 85"),
    "imbalance": _Action(_imbalance, "/alerts imbalance PERCENT", "/alerts imbalance 1"),
    "funding": _Action(_funding, "/alerts funding [BEFORE] [NET COST]", "/alerts funding 15m 0.5"),
    "eaten": _Action(_eaten, "/alerts eaten FIRST [SECOND] [THIRD]", "/alerts eaten 10 25 50"),
    "target": _Action(_target, "/alerts target PERCENT", "/alerts target 5"),
    "quiet": _Action(_quiet, "/alerts quiet FROM-UNTIL|off", "/alerts quiet 23:00-07:00"),
    "digest": _Action(_digest, "/alerts digest TIME|funding|off", "/alerts digest 08:30"),
    "snooze": _Action(
        _snooze, "/alerts snooze 1h|off [#ID|SYMBOL] [KIND]", "/alerts snooze 1h #3 liquidation"
    ),
    "off": _Action(_off, "/alerts off KIND", "/alerts off imbalance"),
    "on": _Action(_on, "/alerts on KIND", "/alerts on imbalance"),
    "reset": _Action(_reset, "/alerts reset", "/alerts reset"),
}


# --- the card -----------------------------------------------------------------------------------


async def _overview(call: Call, chosen: AlertPreferences, first: str = "") -> Reply:
    now = call.services.clock.now()
    active = await call.services.store.active_episodes(call.user.id)
    happening = [table(*(_episode_lines(episode, chosen, now) for episode in active))] if active else []
    blocks: tuple[Block, ...] = (
        Text(f"{first}{_head(active)}"),
        *happening,
        Text("**Settings**"),
        table(*_setting_lines(chosen), *_snooze_lines(call, chosen, now)),
        Text(HINT),
    )
    return Reply(blocks=blocks, buttons=_buttons(call, chosen, now))


def _head(active: Sequence[AlertEpisode]) -> str:
    if not active:
        return "**No alert is active**"
    return f"**{len(active)} alert{'s' if len(active) > 1 else ''} active**"


def _episode_lines(episode: AlertEpisode, chosen: AlertPreferences, now: datetime) -> list[str]:
    held = "" if episode.told_level >= 0 else " (held)"
    kind = AlertKind(episode.kind)
    return [
        *note(_episode_name(episode, kind)),
        line(f"  {_reached(kind, episode.level, chosen)}{held}", f"for {duration(now - episode.since)}"),
    ]


def _reached(kind: AlertKind, level: int, chosen: AlertPreferences) -> str:
    """The figure that was passed."""
    figures = {
        AlertKind.LIQUIDATION: [f"under {_shares((each,))}" for each in chosen.liquidation_distances],
        AlertKind.MARGIN: [f"over {_shares((each,))}" for each in chosen.margin_ratios],
        AlertKind.EATEN: [f"over {_shares((each,))}" for each in chosen.funding_eaten],
        AlertKind.UNKNOWN: [f"over {duration(each)}" for each in UNKNOWN_AFTER],
        AlertKind.VENUE: [f"over {duration(each)}" for each in VENUE_DOWN_AFTER],
    }.get(kind)
    return figures[min(level, len(figures) - 1)] if figures else "on"


def _episode_name(episode: AlertEpisode, kind: AlertKind) -> str:
    """``#1 liquidation is near (short)``; the instants in the keys of settlements are nobody's concern."""
    subject, detail = re.split(rf"(?:^|:){kind}(?::|$)", episode.key.partition("@")[0], maxsplit=1)
    detail = detail.removesuffix(f":{LegCause.UNEXPLAINED}")
    told = f" ({detail})" if detail and not detail[0].isdigit() else ""
    return f"{subject} {KIND_WORDS[kind]}{told}".lstrip()


def _setting_lines(chosen: AlertPreferences) -> list[str]:
    values = {
        AlertKind.LIQUIDATION: _shares(chosen.liquidation_distances),
        AlertKind.MARGIN: _shares(chosen.margin_ratios),
        AlertKind.IMBALANCE: f"over {_shares((chosen.imbalance,))}",
        AlertKind.FUNDING: f"{duration(chosen.funding_before)}, over {plain(chosen.funding_net_cost)}",
        AlertKind.EATEN: _shares(chosen.funding_eaten),
        AlertKind.TARGET: f"+{_shares((chosen.profit_target,))}",
        AlertKind.GROWN: "on",
        AlertKind.VENUE: "on",
        AlertKind.STREAM: "on",
    }
    lines = [line(kind, "off" if kind in chosen.disabled else value) for kind, value in values.items()]
    return [*lines, line("digest", _rhythm(chosen)), line("quiet hours", _quiet_hours(chosen))]


def _rhythm(chosen: AlertPreferences) -> str:
    daily = f"daily {chosen.digest_at:%H:%M}"
    return {DigestRhythm.DAILY: daily, DigestRhythm.FUNDING: "each settlement"}.get(chosen.digest, "off")


def _shares(levels: Sequence[Decimal]) -> str:
    return f"{' '.join(plain(level * 100) for level in levels)} %"


def _quiet_hours(chosen: AlertPreferences) -> str:
    if chosen.quiet_from is None or chosen.quiet_until is None:
        return "none"
    return f"{chosen.quiet_from:%H:%M}-{chosen.quiet_until:%H:%M}"


def _snooze_lines(call: Call, chosen: AlertPreferences, now: datetime) -> list[str]:
    zone = call.user.preferences.time_zone
    lines = []
    for key, until in snoozes(chosen, now):
        name = "everything" if key == EVERYTHING else key.replace(":", " ")
        at = clock_time(until, zone) if until - now < timedelta(hours=12) else instant(until, zone)
        lines += [*note(f"snoozed: {name}"), line("", f"until {at}")]
    return lines


def _buttons(call: Call, chosen: AlertPreferences, now: datetime) -> tuple[tuple[Button, ...], ...]:
    def button(label: str, command: str) -> Button:
        return call.button(label, command, replaces=True)

    quiet = chosen.quiet_from is not None
    snoozed = bool(snoozes(chosen, now))
    return (
        (
            button("End snoozes", "/alerts snooze off")
            if snoozed
            else button("Snooze all 1 h", "/alerts snooze 1h"),
            button("Quiet off", "/alerts quiet off")
            if quiet
            else button("Quiet 23–07", "/alerts quiet 23:00-07:00"),
        ),
        (button("Refresh", "/alerts"), button("Reset", "/alerts reset")),
    )
