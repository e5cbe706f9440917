"""``/alerts``: what is wrong now, what you are warned of, and from which figure on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from chatbot.chat import Reply, Severity
from chatbot.domain.dangers import price_detail
from chatbot.domain.episodes import EVERYTHING, NEVER_HELD, snooze
from chatbot.domain.instrument import Symbol
from chatbot.domain.preferences import AlertPreferences, DigestRhythm, OwnLevels, PriceMark
from chatbot.domain.risk import ALWAYS_ON, AlertKind
from chatbot.domain.wording import market_name
from chatbot.errors import BadArgument
from handlers.alert_menus import MENU_WORDS, menu
from handlers.alert_overview import overview, reached_prices
from handlers.arguments import (
    clock_time_of,
    duration_of,
    hedge_number_of,
    matching_symbols,
    percent_of,
    positive_of,
    resolve_symbol,
    time_span_of,
)
from handlers.context import Call
from handlers.subjects import live_hedge
from handlers.text import echo, listing, plain

MIN_SNOOZE = timedelta(minutes=1)
MAX_SNOOZE = timedelta(days=7)
DEFAULT_SNOOZE = timedelta(hours=1)
MIN_AHEAD, MAX_AHEAD = timedelta(minutes=1), timedelta(hours=8)
MAX_LEVELS = 3

_A_PRICE = re.compile(r"[\d.,]+")

Edit = Callable[[Call, Sequence[str]], Awaitable[AlertPreferences]]


@dataclass(frozen=True, slots=True)
class _Action:
    edit: Edit
    form: str
    example: str


async def alerts(call: Call) -> Reply:
    chosen = _now(call)
    if not call.words:
        return await overview(call, chosen)
    words = _price_last(call.words)
    word = words[0].lower()
    if word in MENU_WORDS and len(words) == 1:
        return menu(call, word, chosen, await call.services.store.active_episodes(call.user.id))
    action = _ACTIONS.get(word) or await _about(call, words[0])
    try:
        changed = await action.edit(call, words[1:] if word in _ACTIONS else words)
    except BadArgument as error:
        raise error.with_form(form=action.form, example=action.example) from error
    await call.services.people.choose(call.user, replace(call.user.preferences, alerts=changed))
    saved = await overview(call, changed, first=f"✅ **Saved.**{_still_off(word, changed)}\n")
    return replace(saved, severity=Severity.SUCCESS)


def _price_last(words: Sequence[str]) -> Sequence[str]:
    """``2500 ETH`` is as clear as ``ETH 2500``."""
    a_price = _A_PRICE.fullmatch(words[0]) and len(words) > 1 and not re.match(r"[\d.,#]", words[1])
    return (words[1], words[0], *words[2:]) if a_price else words


async def _about(call: Call, word: str) -> _Action:
    """A hedge, or a market: then it is about a price."""
    if hedge_number_of(word) is not None:
        return _OWN
    instruments = await call.services.hedging.instruments(call.user)
    if matching_symbols(word, instruments):
        return _PRICE
    raise BadArgument(f"`{echo(word)}` is nothing I can set: {listing([*_ACTIONS])}, a hedge or a market.")


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


async def _rate(call: Call, words: Sequence[str]) -> AlertPreferences:
    (rate,) = _percentages(_exactly_one(words), rising=True, below=Decimal(1))
    return replace(_now(call), funding_rate=rate)


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
    return replace(AlertPreferences(), prices=_now(call).prices)


# --- prices -------------------------------------------------------------------------------------

MOST_PRICES = 20


async def _price(call: Call, words: Sequence[str]) -> AlertPreferences:
    """``BTC 120000``, several of them, ``BTC 120000 off``, ``BTC off``."""
    instruments = await call.services.hedging.instruments(call.user)
    symbol = resolve_symbol(words[0], instruments)
    prices = [positive_of(word, "The price") for word in words[1:] if word.lower() != "off"]
    account = await call.services.hedging.account(call.user)
    kept = await _not_reached(call)
    if "off" in [word.lower() for word in words[1:]]:
        return replace(_now(call), prices=_without(kept, symbol, prices))
    if not prices:
        raise BadArgument("I need a price, or `off`.")
    mark = await call.services.reporting.mark_price(call.user, symbol)
    if mark in prices:
        raise BadArgument("It is there now.")
    new = [PriceMark(account.id, symbol, price, rising=price > mark) for price in prices]
    marks = tuple(dict.fromkeys((*kept, *new)))
    if len(marks) > MOST_PRICES:
        raise BadArgument(f"I keep {MOST_PRICES} prices at most: `/alerts {words[0]} off` removes some.")
    return replace(_now(call), prices=marks)


async def _not_reached(call: Call) -> tuple[PriceMark, ...]:
    """One that was told has done its work."""
    reached = reached_prices(await call.services.store.active_episodes(call.user.id))
    return tuple(mark for mark in _now(call).prices if price_detail(mark) not in reached)


def _without(marks: Sequence[PriceMark], symbol: Symbol, prices: Sequence[Decimal]) -> tuple[PriceMark, ...]:
    gone = {mark for mark in marks if mark.symbol == symbol and (not prices or mark.price in prices)}
    if not gone:
        raise BadArgument("There is no such price: `/alerts price` lists yours.")
    return tuple(mark for mark in marks if mark not in gone)


_PRICE = _Action(_price, "/alerts SYMBOL PRICE [off]", "/alerts BTC 120000")

# --- levels of one hedge ------------------------------------------------------------------------


async def _own(call: Call, words: Sequence[str]) -> AlertPreferences:
    """``#3 liquidation 25 15 8``; ``#3 off``: as everywhere."""
    number = hedge_number_of(words[0])
    assert number is not None  # noqa: S101 (it is why this was called)
    await live_hedge(call, number)
    if [word.lower() for word in words[1:]] == ["off"]:
        return _now(call).with_own(number, OwnLevels())
    kind = words[1].lower() if len(words) > 1 else ""
    if kind not in _OWN_LEVELS:
        raise BadArgument(f"For one hedge I can set {listing([*_OWN_LEVELS])}, or `off`.")
    own = _now(call).hedges.get(f"#{number}", OwnLevels())
    return _now(call).with_own(number, replace(own, **_OWN_LEVELS[kind](words[2:])))


_OWN_LEVELS: dict[str, Callable[[Sequence[str]], dict[str, Any]]] = {
    "liquidation": lambda words: {
        "liquidation_distances": _percentages(words, rising=False, below=Decimal(1))
    },
    "imbalance": lambda words: {"imbalance": _one_percentage(words, below=Decimal(1))},
    "eaten": lambda words: {"funding_eaten": _percentages(words, rising=True, below=Decimal(10))},
    "target": lambda words: {"profit_target": _one_percentage(words, below=Decimal(100))},
}


def _one_percentage(words: Sequence[str], *, below: Decimal) -> Decimal:
    (value,) = _percentages(_exactly_one(words), rising=True, below=below)
    return value


_OWN = _Action(
    _own, "/alerts #ID liquidation|imbalance|eaten|target VALUES", "/alerts #3 liquidation 25 15 8"
)


# --- the table ----------------------------------------------------------------------------------

_ACTIONS: dict[str, _Action] = {
    "liquidation": _Action(
        _liquidation, "/alerts liquidation FAR [NEAR] [GRAVE]", "/alerts liquidation 25 15 8"
    ),
    "margin": _Action(_margin, "/alerts margin LOW [HIGH] [GRAVE]", "/alerts margin 50 70 85"),
    "imbalance": _Action(_imbalance, "/alerts imbalance PERCENT", "/alerts imbalance 1"),
    "funding": _Action(_funding, "/alerts funding [BEFORE] [NET COST]", "/alerts funding 15m 0.5"),
    "eaten": _Action(_eaten, "/alerts eaten FIRST [SECOND] [THIRD]", "/alerts eaten 10 25 50"),
    "target": _Action(_target, "/alerts target PERCENT", "/alerts target 5"),
    "rate": _Action(_rate, "/alerts rate PERCENT", "/alerts rate 0.05"),
    "quiet": _Action(_quiet, "/alerts quiet FROM-UNTIL|off", "/alerts quiet 23:00-07:00"),
    "digest": _Action(_digest, "/alerts digest TIME|funding|off", "/alerts digest 08:30"),
    "snooze": _Action(
        _snooze, "/alerts snooze 1h|off [#ID|SYMBOL] [KIND]", "/alerts snooze 1h #3 liquidation"
    ),
    "off": _Action(_off, "/alerts off KIND", "/alerts off imbalance"),
    "on": _Action(_on, "/alerts on KIND", "/alerts on imbalance"),
    "reset": _Action(_reset, "/alerts reset", "/alerts reset"),
}

_MEANINGS = {
    "liquidation": "how far a leg is from its liquidation, in percent of the price",
    "margin": "how much of the margin is used",
    "imbalance": "by how much the legs of a pair differ",
    "funding": "how long before a settlement, and from what net cost on",
    "eaten": "how much of the lock funding has eaten",
    "target": "the profit from which on I ask whether to lock it",
    "rate": "a funding rate that is high, either way",
    "quiet": "when nothing but what is grave may sound",
    "digest": "once a day, or after each settlement",
    "snooze": "not for a while: all of it, a hedge, a kind",
    "off": "no alerts of this kind",
    "on": "again",
    "reset": "everything as it was in the beginning, prices kept",
}
ALERT_FORMS = "\n".join(
    (
        "`/alerts BTC 120000` a price, `/alerts #3 liquidation 25 15 8` the levels of one hedge. Each KIND:",
        *(f"`{action.example}`: {_MEANINGS[word]}" for word, action in _ACTIONS.items()),
    )
)
