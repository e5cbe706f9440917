"""Figures inside the one-sentence reasons that the domain gives; the cards have their own formatting."""

from __future__ import annotations

from decimal import Decimal

from chatbot.domain.instrument import ContractKind, Instrument, Symbol

_IN_CENTS = frozenset({"USDT", "USDC", "USD", "FDUSD", "BUSD", "DAI", "EUR"})


def plain(value: Decimal) -> str:
    """No exponent, no trailing zeros."""
    return f"{value.normalize():f}"


def money(value: Decimal, currency: str) -> str:
    digits = 2 if currency in _IN_CENTS else 8
    return f"{value:,.{digits}f} {currency}"


def price_text(instrument: Instrument, price: Decimal) -> str:
    exponent = instrument.tick_size.normalize().as_tuple().exponent
    digits = max(0, -exponent) if isinstance(exponent, int) else 0
    return f"{instrument.round_price(price):,.{digits}f}"


def unit_of(instrument: Instrument) -> str:
    return instrument.base if instrument.kind is ContractKind.LINEAR else instrument.quote


def quantity_text(instrument: Instrument, quantity: Decimal) -> str:
    return f"{quantity.normalize():,f} {unit_of(instrument)}"


def percent(fraction: Decimal, *, digits: int = 1) -> str:
    """``4.5 %``"""
    return f"{_percentage(fraction, digits)} %"


def typed_percent(fraction: Decimal, *, digits: int = 1) -> str:
    """As commands take it: ``15%``."""
    return f"{_percentage(fraction, digits)}%"


def _percentage(fraction: Decimal, digits: int) -> str:
    """What is not quite nothing never reads as 0."""
    value = fraction * 100
    if value:
        digits = max(digits, -value.adjusted() if abs(value) < Decimal(1).scaleb(-digits) / 2 else digits)
    return plain(Decimal(f"{value:.{digits}f}"))


def market_name(instrument: Instrument) -> str:
    return symbol_name(instrument.symbol)


def symbol_name(symbol: Symbol) -> str:
    """``BTC`` for the linear USDT perpetual, the whole symbol for every other."""
    base, _, rest = symbol.partition("/")
    return base if rest == "USDT:USDT" else str(symbol)
