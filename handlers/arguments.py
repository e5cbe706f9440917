"""What people type, made into values: forgiving in form and order, strict in numbers.

Every complaint is one sentence; the command adds its form and an example.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from chatbot.domain.instrument import ContractKind, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.quote import Size, SizeUnit
from chatbot.errors import BadArgument
from handlers.text import echo, listing

MAX_DIGITS = 30
_PLAIN = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_NUMERIC = re.compile(r"[-+]?[$]?[0-9.,]*[0-9][0-9.,]*(?:e[-+]?[0-9]+)?", re.IGNORECASE)
_NOT_FINITE = frozenset({"nan", "snan", "inf", "infinity", "∞"})
_SIZE = re.compile(r"(?P<number>[-+]?[$]?[0-9.,]*[0-9][0-9.,]*)(?P<unit>k?[a-z]*)", re.IGNORECASE)
_DURATION = re.compile(r"([0-9]{1,5})\s*(s|sec|m|min|h|hour|hours|d|day|days)")
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "hours": 3600}
_TIME = re.compile(r"([01]?[0-9]|2[0-3])(?::?([0-5][0-9]))?")
_LEVERAGE = re.compile(r"(?:x(?P<after>[-+0-9.,]+)|(?P<before>[-+0-9.,]+)x)", re.IGNORECASE)

_SIDES = {
    "long": PositionSide.LONG,
    "buy": PositionSide.LONG,
    "short": PositionSide.SHORT,
    "sell": PositionSide.SHORT,
}
_MARGIN_MODES = {"isolated": MarginMode.ISOLATED, "iso": MarginMode.ISOLATED, "cross": MarginMode.CROSS}
_MONEY = frozenset({"usdt", "usd", "usdc"})
_SIGNS = ("+", "-", "−", "–")
_OFF = frozenset({"off", "none", "remove", "no"})
STOP_LOSS = ("sl", "stop", "stoploss", "stop-loss")
TAKE_PROFIT = ("tp", "target", "takeprofit", "take-profit")


class UnknownMarket(BadArgument):
    """The account's exchange has none of that name."""


class AmbiguousSymbol(BadArgument):
    """That could be more than one market."""

    def __init__(self, word: str, choices: Sequence[Symbol]) -> None:
        super().__init__(f"`{echo(word)}` could be {listing(choices)}. Which one?")
        self.word = word
        self.choices = tuple(choices)


# --- single values ------------------------------------------------------------------------------


def decimal_of(word: str) -> Decimal:
    """A plain decimal number, its sign allowed; no exponent, no NaN, commas only between thousands.

    :raises BadArgument: with what is wrong
    """
    if word.lower().lstrip("+-") in _NOT_FINITE:
        raise BadArgument(f"`{echo(word)}` is not a number I can use.")
    unsigned = word[1:] if word[:1] in ("+", "-") else word
    if sum(char.isdigit() for char in unsigned) > MAX_DIGITS:
        raise BadArgument(f"`{echo(word)}` has more than {MAX_DIGITS} digits.")
    if _GROUPED.fullmatch(unsigned):
        unsigned = unsigned.replace(",", "")
    if _PLAIN.fullmatch(unsigned):
        return Decimal(unsigned) * (-1 if word[0] == "-" else 1)
    raise BadArgument(_what_is_wrong_with(word))


def _what_is_wrong_with(word: str) -> str:
    if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", word):
        whole, _, rest = word.partition(",")
        return (
            f"`{echo(word)}` can be read in two ways: write `{echo(f'{whole}.{rest}')}` with a decimal point."
        )
    if re.fullmatch(r"[-+]?[0-9.,]*[0-9][0-9.,]*e[-+]?[0-9]+", word, re.IGNORECASE):
        return f"`{echo(word)}`: please write the number out, without an exponent."
    if re.search(r"[0-9]", word):
        return f"`{echo(word)}` is not a number I can read: digits and a decimal point, like `1000.5`."
    return f"`{echo(word)}` is not a number."


def positive_of(word: str, what: str) -> Decimal:
    """More than zero; ``what`` begins the complaint ("The size")."""
    value = decimal_of(word)
    if value <= 0:
        raise BadArgument(f"{what} must be more than zero, not `{echo(word)}`.")
    return value


def percent_of(word: str) -> Decimal:
    """``25%`` or ``25`` as a fraction: 0.25."""
    return decimal_of(word.removesuffix("%")) / 100


def duration_of(word: str) -> timedelta:
    """``15m``, ``1h``, ``2d``"""
    match = _DURATION.fullmatch(word.lower())
    if match is None:
        raise BadArgument(f"`{echo(word)}` is not a duration: write it like `15m`, `1h` or `2d`.")
    return timedelta(seconds=int(match[1]) * _SECONDS.get(match[2], 86_400))


def clock_time_of(word: str) -> time:
    """``23:00``, ``2300``, ``7``"""
    match = _TIME.fullmatch(word)
    if match is None:
        raise BadArgument(f"`{echo(word)}` is not a time of day: write it like `23:00`.")
    return time(int(match[1]), int(match[2] or 0))


def time_span_of(word: str) -> tuple[time, time]:
    """``23:00-07:00``"""
    begin, dash, end = word.replace("–", "-").partition("-")
    if not dash:
        raise BadArgument(f"`{echo(word)}` is not a span of hours: write it like `23:00-07:00`.")
    return clock_time_of(begin), clock_time_of(end)


def hedge_number_of(word: str) -> int | None:
    """``#3`` is 3; ``None`` for a word that is no number of a hedge."""
    match = re.fullmatch(r"#([0-9]{1,9})", word)
    return int(match[1]) if match else None


# --- symbols ------------------------------------------------------------------------------------


def _squeezed(text: str) -> str:
    name = re.sub(r"[/:_\-\s.]", "", text.upper())
    for ending in ("PERPETUAL", "PERP", "SWAP"):
        name = name.removesuffix(ending)
    return name


def _without_contract_marks(word: str) -> str:
    """``BTCUSDT.P`` and ``BTC-USDT-SWAP`` are how charts and exchanges write perpetuals."""
    return _squeezed(re.sub(r"\.p$", "", word, flags=re.IGNORECASE))


def _usual(instrument: Instrument) -> bool:
    return instrument.kind is ContractKind.LINEAR and instrument.settle == "USDT"


def matching_symbols(word: str, instruments: Mapping[Symbol, Instrument]) -> tuple[Symbol, ...]:
    """None, one, or the several that the word may mean. A bare coin is its linear USDT perpetual."""
    exact = [symbol for symbol in instruments if symbol.upper() == word.upper()]
    name = _without_contract_marks(word)
    if exact or not name:
        return tuple(exact)
    of_coin = [i for i in instruments.values() if i.base.upper() == name]
    if of_coin:
        usual = [i for i in of_coin if _usual(i)]
        return tuple(i.symbol for i in usual or of_coin)
    return tuple(i.symbol for i in instruments.values() if name in _names(i))


def _names(instrument: Instrument) -> tuple[str, ...]:
    """``BTCUSD`` is the inverse one on some exchanges and the linear one in many mouths: it names both."""
    pair = f"{instrument.base}{instrument.quote}".upper()
    dollars = f"{instrument.base}USD".upper() if instrument.quote.upper() in {"USDT", "USDC"} else pair
    return pair, f"{pair}{instrument.settle}".upper(), dollars


def resolve_symbol(word: str, instruments: Mapping[Symbol, Instrument]) -> Symbol:
    """:raises AmbiguousSymbol: :raises UnknownMarket: with the nearest names"""
    found = matching_symbols(word, instruments)
    if len(found) > 1:
        raise AmbiguousSymbol(word, found)
    if not found:
        raise UnknownMarket(f"I do not know the market `{echo(word)}`. {_nearest(word, instruments)}")
    return found[0]


def _nearest(word: str, instruments: Mapping[Symbol, Instrument]) -> str:
    bases = sorted({instrument.base for instrument in instruments.values()})
    # Cut first: comparing ten thousand characters with every market takes its time.
    near = difflib.get_close_matches(_without_contract_marks(word[:32]), bases, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {listing([f'`{name}`' for name in near])}?"
    return f"I trade {listing([f'`{name}`' for name in bases[:5]], last='and')}."


@dataclass(frozen=True, slots=True)
class Money:
    """``unit`` as typed, in small letters; empty: none."""

    amount: Decimal
    unit: str

    def in_currency(self, currency: str) -> Decimal:
        """:raises BadArgument: typed in another one; ``usd`` stands for every dollar"""
        fits = self.unit in ("", currency.lower()) or (self.unit == "usd" and currency.lower() in _MONEY)
        if not fits:
            raise BadArgument(f"The margin of this market is in {currency}, not in {self.unit.upper()}.")
        return self.amount


# --- a whole line -------------------------------------------------------------------------------


class Arguments:
    """The words of one command, taken one kind after another; what nobody took is complained about."""

    def __init__(self, words: Sequence[str], instruments: Mapping[Symbol, Instrument]) -> None:
        self._words = [word for raw in words for word in _split_marked(raw)]
        self._instruments = instruments
        self._coin_of_size = ""

    @property
    def left(self) -> tuple[str, ...]:
        return tuple(self._words)

    def flag(self, *names: str) -> bool:
        """Whether one of these words was there."""
        return bool(self._take_all(lambda word: word.lower() in names))

    def side(self) -> PositionSide | None:
        sides = {_SIDES[word.lower()] for word in self._take_all(lambda word: word.lower() in _SIDES)}
        if len(sides) > 1:
            raise BadArgument("You named both sides; I need one: **long** or **short**.")
        return sides.pop() if sides else None

    def margin_mode(self) -> MarginMode | None:
        words = self._take_all(lambda word: word.lower() in _MARGIN_MODES)
        modes = {_MARGIN_MODES[word.lower()] for word in words}
        if len(modes) > 1:
            raise BadArgument("You named both margin modes; I need one: `isolated` or `cross`.")
        return modes.pop() if modes else None

    def leverage(self) -> Decimal | None:
        words = self._take_all(lambda word: bool(_LEVERAGE.fullmatch(word)) and not self._is_market(word))
        values = {positive_of(word.lower().strip("x"), "The leverage") for word in words}
        if len(values) > 1:
            raise BadArgument("You named two leverages; I need one, like `10x`.")
        return values.pop() if values else None

    def price_after(self, names: Collection[str], what: str) -> Decimal | None:
        """The number behind one of the names: ``sl 1900``."""
        places = [index for index, word in enumerate(self._words) if word.lower() in names]
        if not places:
            return None
        if len(places) > 1:
            raise BadArgument(f"You named {what} twice.")
        index = places[0]
        if index + 1 >= len(self._words):
            raise BadArgument(f"I need a price after `{echo(self._words[index])}`.")
        _, word = self._words[index : index + 2]
        del self._words[index : index + 2]
        return positive_of(word, f"{what[:1].upper()}{what[1:]}")

    def price_or_off(self, names: Collection[str], what: str) -> Decimal | Literal["off"] | None:
        """``sl 1900`` or ``sl off``"""
        for index, pair in enumerate(pairwise(self._words)):
            if pair[0].lower() in names and pair[1].lower() in _OFF:
                del self._words[index : index + 2]
                if any(word.lower() in names for word in self._words):
                    raise BadArgument(f"You named {what} twice.")
                return "off"
        return self.price_after(names, what)

    def stop_loss(self) -> Decimal | None:
        return self.price_after(STOP_LOSS, "the stop-loss")

    def take_profit(self) -> Decimal | None:
        return self.price_after(TAKE_PROFIT, "the take-profit")

    def hedge_number(self) -> int | None:
        words = self._take_all(lambda word: word.startswith("#"))
        numbers = {hedge_number_of(word) for word in words}
        if None in numbers:
            raise BadArgument(f"`{echo(words[0])}` is not the number of a hedge: write it like `#3`.")
        if len(numbers) > 1:
            raise BadArgument("One hedge at a time, please.")
        return numbers.pop() if numbers else None

    def percent(self, what: str) -> Decimal | None:
        """``25%`` as a fraction, above 0 and at most 1."""
        words = self._take_all(lambda word: word.endswith("%"))
        if len(words) > 1:
            raise BadArgument(f"You named {what} twice.")
        if not words:
            return None
        fraction = positive_of(words[0].removesuffix("%") or "%", what[:1].upper() + what[1:]) / 100
        if fraction > 1:
            raise BadArgument(f"{what[:1].upper()}{what[1:]} is at most 100 %, not `{echo(words[0])}`.")
        return fraction

    def size(self) -> Size | None:
        """``0.5``, ``0.5btc``, ``1000usdt``, ``$1,000``, ``2kusdt``, ``25%``"""
        fraction = self.percent("the share")
        self._join_money()
        words = self._take_all(self._looks_like_size)
        if len(words) + (fraction is not None) > 1:
            raise BadArgument(
                f"I see more than one size: {_quoted(words)}. Leverage is written `10x`, a stop `sl 1900`."
            )
        if fraction is not None:
            return Size(SizeUnit.SHARE, fraction)
        return self._size_of(words[0]) if words else None

    def signed_size(self) -> tuple[bool, Size] | None:
        """``+0.5``, ``-10%``, ``+1000usdt``: whether it grows, and by how much."""
        words = self._take_all(lambda word: word[:1] in _SIGNS)
        if len(words) > 1:
            raise BadArgument(
                f"I see more than one size: {listing([f'`{echo(word)}`' for word in words[:3]])}."
            )
        if not words:
            self._complain_of_unsigned()
            return None
        sign, number = words[0][0], words[0][1:]
        if number[:1] in _SIGNS:
            raise BadArgument(f"`{echo(words[0])}` has two signs.")
        if _LEVERAGE.fullmatch(number):
            raise BadArgument(
                f"`{echo(words[0])}` is a leverage; I need a size: `+0.1`, `-10%` or `+1000usdt`."
            )
        if number.endswith("%"):
            share = positive_of(number.removesuffix("%") or "%", "The share") / 100
            return sign == "+", Size(SizeUnit.SHARE, share)
        return sign == "+", self._size_of(number or words[0])

    def _complain_of_unsigned(self) -> None:
        bare = next((word for word in self._words if word.endswith("%") or self._looks_like_size(word)), None)
        if bare is not None:
            word = echo(bare)
            raise BadArgument(f"Grow or shrink? Write `+{word}` or `-{word}`.")

    def no_share(self, instead: str) -> None:
        """:raises BadArgument: when a percentage is left; ``instead`` says what belongs there"""
        self._none_left(lambda word: word.endswith("%"), instead)

    def no_amount(self, instead: str) -> None:
        """:raises BadArgument: when a bare number or a size is left"""
        self._none_left(self._looks_like_size, instead)

    def _none_left(self, unwanted: Callable[[str], bool], instead: str) -> None:
        found = next((word for word in self._words if unwanted(word)), None)
        if found is not None:
            raise BadArgument(f"`{echo(found)}` does not fit here: {instead}")

    def money(self) -> Money | None:
        """``60``, ``60usdt``, ``$60``"""
        self._join_money()
        words = self._take_all(self._looks_like_size)
        if len(words) > 1:
            raise BadArgument(f"I see more than one amount: {_quoted(words)}.")
        if not words:
            return None
        match = _SIZE.fullmatch(words[0])
        if match is None:
            raise BadArgument(_complaint_about(words[0]))
        dollars = "usd" if "$" in match["number"] else match["unit"].lower()
        return Money(positive_of(match["number"].replace("$", "", 1), "The amount"), dollars)

    def symbol(self, *, needed: bool = True) -> Symbol | None:
        """The word that names a market.

        Where it is ``needed``, a word that names none is complained about as if it were meant to. To be
        called after ``size``: ``0.5btc`` names its market too.
        """
        named = self._take_all(self._is_market) or [self._coin_of_size] * bool(self._coin_of_size)
        symbols = {resolve_symbol(word, self._instruments) for word in named}
        if len(symbols) > 1:
            raise BadArgument(f"One market at a time, please: I see {listing(sorted(symbols), last='and')}.")
        if symbols:
            return self._agreeing(symbols.pop())
        unknown = next((word for word in self._words if re.search(r"\w", word)), None)
        if unknown is None or not needed:
            return None
        return resolve_symbol(unknown, self._instruments)

    def _agreeing(self, symbol: Symbol) -> Symbol:
        base = self._instruments[symbol].base
        if self._coin_of_size and self._coin_of_size != base.lower():
            raise BadArgument(f"The size is in {self._coin_of_size.upper()}, the market is {symbol}.")
        return symbol

    def done(self) -> None:
        """:raises BadArgument: when a word is left that means nothing here"""
        if self._words:
            raise BadArgument(f"I do not know what `{echo(self._words[0])}` means here.")

    def _is_market(self, word: str) -> bool:
        return bool(matching_symbols(word, self._instruments)) if len(word) <= 40 else False

    def _looks_like_size(self, word: str) -> bool:
        if self._is_market(word):
            return False
        numeric = _NUMERIC.fullmatch(word) or word.lower().lstrip("+-") in _NOT_FINITE
        return bool(numeric) or self._has_known_unit(word)

    def _has_known_unit(self, word: str) -> bool:
        match = _SIZE.fullmatch(word)
        return (
            match is not None
            and bool(match["unit"])
            and match["unit"].lower().removeprefix("k") in self._units()
        )

    def _units(self) -> set[str]:
        coins = {instrument.base.lower() for instrument in self._instruments.values()}
        return coins | _MONEY | {""}

    def _size_of(self, word: str) -> Size:
        match = _SIZE.fullmatch(word)
        if match is None:
            raise BadArgument(_complaint_about(word))
        text, unit = match["number"], match["unit"].lower()
        in_money = "$" in text
        value = positive_of(text.replace("$", "", 1), "The size")
        if unit.startswith("k") and unit not in self._units():
            value, unit = value * 1000, unit.removeprefix("k")
        if unit == "k":
            value, unit = value * 1000, ""
        in_money = in_money or unit in _MONEY
        self._coin_of_size = "" if in_money else unit
        return Size(SizeUnit.NOTIONAL if in_money else SizeUnit.BASE, value)

    def _join_money(self) -> None:
        """``1000 usdt`` is one size."""
        for index in range(len(self._words) - 1):
            number, unit = self._words[index : index + 2]
            if unit.lower() in _MONEY and _SIZE.fullmatch(number) and not self._is_market(number):
                self._words[index : index + 2] = [number + unit]
                return

    def _take_all(self, wanted: Callable[[str], bool]) -> list[str]:
        taken = [word for word in self._words if wanted(word)]
        if taken:
            self._words = [word for word in self._words if not wanted(word)]
        return taken


def _quoted(words: Sequence[str]) -> str:
    return listing([f"`{echo(word)}`" for word in words[:3]], last="and")


def _complaint_about(word: str) -> str:
    try:
        decimal_of(word)
    except BadArgument as error:
        return error.message
    return f"`{echo(word)}` is not a size."


def _split_marked(word: str) -> list[str]:
    """``sl=1900`` and ``@2000`` as two words."""
    match = re.fullmatch(r"(sl|tp|stop|target)[=:](.+)", word, re.IGNORECASE)
    if match:
        return [match[1], match[2]]
    return ["at", word[1:]] if word.startswith("@") and len(word) > 1 else [word]
