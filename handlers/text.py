"""Numbers, instants and names as people read them.

Amounts are rounded only here, for display. Where several figures must add up on a card, ``adding_up`` spreads
the rounding over the parts, so that nobody finds a cent missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chatbot.domain.instrument import ZERO, Instrument, Symbol

CENT = Decimal("0.01")
_FIAT_LIKE = frozenset({"USDT", "USDC", "USD", "FDUSD", "BUSD", "EUR"})
_SUFFIXES = ((Decimal("1e12"), "T"), (Decimal("1e9"), "B"), (Decimal("1e6"), "M"), (Decimal("1e3"), "k"))
# Wide enough for every product of a price and a quantity; the default of 28 digits is not.
_CONTEXT = Context(prec=80)
_MOST_PERCENT = 1_000
_MOST_DECIMALS = 4  # of a percentage
_ECHO_LENGTH = 24


# --- numbers ------------------------------------------------------------------------------------


def decimals_of(step: Decimal) -> int:
    """How many digits after the point a grid of this step needs."""
    exponent = step.normalize(_CONTEXT).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def rounded(value: Decimal, decimals: int) -> Decimal:
    """Half-even; never a negative zero."""
    result = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN, _CONTEXT)
    return result if result else abs(result)


def number(value: Decimal, decimals: int, *, sign: bool = False) -> str:
    """``1,234.50``, or ``+1,234.50``. A zero has a plus, as money has it."""
    return f"{rounded(value, decimals):{'+' if sign else ''},f}"


def fitted(value: Decimal, decimals: int, width: int, *, sign: bool = False) -> str:
    """As exact as ``width`` characters allow: first decimals go, then whole thousands are abbreviated."""
    for kept in range(decimals, -1, -1):
        text = number(value, kept, sign=sign)
        if len(text) <= width and (rounded(value, kept) or not value or kept == decimals):
            return text
    return _abbreviated(value, width, sign=sign)


def _abbreviated(value: Decimal, width: int, *, sign: bool) -> str:
    for unit, suffix in _SUFFIXES:
        if abs(value) >= unit:
            for kept in (2, 1, 0):
                text = number(value / unit, kept, sign=sign) + suffix
                if len(text) <= width:
                    return text
    return f"{value:{'+' if sign else ''}.1e}"


def money_decimals(currency: str) -> int:
    return 2 if currency in _FIAT_LIKE else 8


def money(amount: Decimal, currency: str = "USDT", *, sign: bool = True) -> str:
    """``+1,234.50``; a sum too small for cents keeps two digits that say something: ``-0.0031``."""
    return number(amount, _money_places(amount, currency), sign=sign)


def _money_places(amount: Decimal, currency: str) -> int:
    places = money_decimals(currency)
    if not amount or abs(amount) >= CENT or places > 2:
        return places
    return min(8, max(places, 1 - amount.adjusted()))


def sum_of_money(amount: Decimal, currency: str = "USDT", *, sign: bool = True) -> str:
    """With its currency: ``+1,234.50 USDT``."""
    return f"{money(amount, currency, sign=sign)} {currency}"


def fitted_money(amount: Decimal, currency: str, width: int, *, sign: bool = True) -> str:
    return fitted(amount, money_decimals(currency), width, sign=sign)


def adding_up(
    total: Decimal, parts: Sequence[Decimal], *, order: Sequence[int] = (), decimals: int = 2
) -> tuple[Decimal, ...]:
    """``parts``, of which ``total`` is the sum, rounded so that they make the rounded total.

    What is missing goes, a unit each, to parts whose own rounding error is in that direction: those of the
    lowest ``order`` first, among them those with the largest error. Exact ones stay.
    """
    unit = Decimal(1).scaleb(-decimals)
    shown = [rounded(part, decimals) for part in parts]
    gap = rounded(total, decimals) - sum(shown, ZERO)
    step = unit if gap > 0 else ZERO - unit
    errors = [(part - out) * step for part, out in zip(parts, shown, strict=True)]
    ranks = order or [0] * len(shown)
    movable = sorted((i for i, error in enumerate(errors) if error > 0), key=lambda i: (ranks[i], -errors[i]))
    for index in movable[: int(abs(gap) / unit)]:
        shown[index] += step
    return tuple(shown)


# --- prices and quantities ----------------------------------------------------------------------


def price(value: Decimal, instrument: Instrument) -> str:
    """To the tick."""
    return number(value, decimals_of(instrument.tick_size))


def fitted_price(value: Decimal, instrument: Instrument, width: int) -> str:
    return fitted(value, decimals_of(instrument.tick_size), width)


def quantity(value: Decimal, instrument: Instrument) -> str:
    """To the lot; anything finer than that is shown as it is."""
    return number(value, max(decimals_of(instrument.lot_size), min(decimals_of(value), 8)) if value else 0)


def fitted_quantity(value: Decimal, instrument: Instrument, width: int, *, sign: bool = False) -> str:
    return fitted(value, decimals_of(instrument.lot_size), width, sign=sign)


def unit_of(instrument: Instrument) -> str:
    """What quantities are counted in: the base of a linear contract, the quote of an inverse one."""
    return instrument.quote if instrument.settle == instrument.base else instrument.base


def amount_of(value: Decimal, instrument: Instrument) -> str:
    """``0.05 BTC``"""
    return f"{plain(value)} {unit_of(instrument)}"


def amount_on(value: Decimal, instrument: Instrument) -> str:
    """``0.05 BTC``, or ``1,000 USD of BTC/USD:BTC`` where the amount does not name its market."""
    amount, name = amount_of(value, instrument), short_name(instrument.symbol, instrument)
    return amount if amount.endswith(f" {name}") else f"{amount} of {name}"


def plain(value: Decimal) -> str:
    """Without trailing zeros: ``0.05``, ``10``, ``1,000``."""
    return f"{value.normalize(_CONTEXT):,f}" if value else "0"


def short_name(symbol: Symbol, instrument: Instrument | None = None) -> str:
    """``BTC`` for the linear USDT perpetual, ``BTC/USD:BTC`` for every other."""
    base, _, rest = symbol.partition("/")
    usual = rest == "USDT:USDT" and (instrument is None or instrument.settle == "USDT")
    return base if usual else str(symbol)


# --- shares and rates ---------------------------------------------------------------------------


def percent(fraction: Decimal, decimals: int = 1, *, sign: bool = False) -> str:
    """``12.5 %``. What is not quite nothing never reads as ``0 %``; what is far beyond as ``>1,000 %``."""
    value = fraction * 100
    if abs(value) > _MOST_PERCENT:
        return f">{_MOST_PERCENT:,} %" if value > 0 else f"<-{_MOST_PERCENT:,} %"
    while value and not rounded(value, decimals) and decimals < _MOST_DECIMALS:
        decimals += 1
    if value and not rounded(value, decimals):
        least = number(Decimal(1).scaleb(-decimals), decimals)
        return f"<{least} %" if value > 0 else f">-{least} %"
    return f"{number(value, decimals, sign=sign)} %"


def share(fraction: Decimal) -> str:
    """A percentage the user chose, exactly: ``80 %``, ``12.5 %``."""
    return f"{plain(fraction * 100)} %"


def funding_rate(rate: Decimal) -> str:
    """``+0.0100 %``"""
    return f"{fitted(rate * 100, 4, 9, sign=True)} %"


# --- time ---------------------------------------------------------------------------------------


def zone_of(name: str) -> ZoneInfo:
    """UTC for a name that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local(at: datetime, zone: str) -> datetime:
    return at.astimezone(zone_of(zone))


def instant(at: datetime, zone: str) -> str:
    """``22 Nov 14:05``, in the user's zone, with its name when that is UTC."""
    return f"{_day(local(at, zone))} {clock_time(at, zone)}"


def clock_time(at: datetime, zone: str) -> str:
    return f"{local(at, zone):%H:%M}" + (" UTC" if zone == "UTC" else "")


def day(at: datetime, zone: str) -> str:
    """``22 Nov 2026``"""
    moment = local(at, zone)
    return f"{_day(moment)} {moment.year}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _day(moment: datetime) -> str:
    # Not %b: that speaks the language of the machine.
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def duration(span: timedelta) -> str:
    """The two units that matter: ``2 d 4 h``, ``3 h 5 min``, ``42 min``, ``8 s``."""
    seconds = max(0, int(span.total_seconds()))
    parts = (
        (seconds // 86_400, "d"),
        (seconds // 3_600 % 24, "h"),
        (seconds // 60 % 60, "min"),
        (seconds % 60, "s"),
    )
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    shown = parts[first : first + 2] if first < 2 else parts[first : first + 1]
    return " ".join(f"{count} {unit}" for count, unit in shown if count) or "0 s"


def seconds(span: timedelta) -> str:
    """``0.3 s``"""
    return "under 0.1 s" if span < timedelta(seconds=0.1) else f"{span.total_seconds():,.1f} s"


def hours(count: Decimal) -> str:
    return f"{plain(count)} h" if _whole(count) else f"{plain(_minutes(count))} min"


def interval(count: Decimal) -> str:
    """Of funding, without a space: a table has no room for one."""
    return hours(count).replace(" ", "")


def _whole(count: Decimal) -> bool:
    return count == count.to_integral_value()


def _minutes(count: Decimal) -> Decimal:
    return (count * 60).quantize(Decimal(1))


# --- other people's words -----------------------------------------------------------------------


def echo(word: str) -> str:
    """What a user typed, short and without what could pass for our own markup or steer a terminal."""
    clean = "".join(
        char if char.isprintable() and char not in "*`" else " " for char in word[: 4 * _ECHO_LENGTH]
    )
    clean = " ".join(clean.split())
    return clean if len(clean) <= _ECHO_LENGTH else clean[: _ECHO_LENGTH - 1] + "…"


def sentence(text: str) -> str:
    """With a full stop, whoever's words they are."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def listing(names: Sequence[str], *, last: str = "or") -> str:
    """``a``, ``a or b``, ``a, b or c``"""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
