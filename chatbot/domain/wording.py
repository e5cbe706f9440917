"""Figures inside the one-sentence reasons that the domain gives; the cards have their own formatting."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from chatbot.domain.instrument import ContractKind, Instrument

_IN_CENTS = frozenset({"USDT", "USDC", "USD", "FDUSD", "BUSD", "DAI", "EUR"})
_HUNDREDTH = Decimal("0.01")
_SATOSHI = Decimal("0.00000001")


def plain(value: Decimal) -> str:
    """No exponent, no trailing zeros."""
    return f"{value.normalize():f}"


def money(value: Decimal, currency: str) -> str:
    unit = _HUNDREDTH if currency in _IN_CENTS else _SATOSHI
    rounded = (value / unit).to_integral_value(ROUND_HALF_EVEN) * unit
    return f"{rounded:,f} {currency}"


def price_text(instrument: Instrument, price: Decimal) -> str:
    return f"{instrument.round_price(price):,f}"


def unit_of(instrument: Instrument) -> str:
    return instrument.base if instrument.kind is ContractKind.LINEAR else instrument.quote


def quantity_text(instrument: Instrument, quantity: Decimal) -> str:
    return f"{plain(quantity)} {unit_of(instrument)}"


def percent(fraction: Decimal, *, digits: int = 1) -> str:
    unit = Decimal(1).scaleb(-digits)
    return f"{plain((fraction * 100 / unit).to_integral_value(ROUND_HALF_EVEN) * unit)}%"


def market_name(instrument: Instrument) -> str:
    """``BTC`` for the linear USDT perpetual, the whole symbol for every other."""
    usual = instrument.symbol == f"{instrument.base}/USDT:USDT"
    return instrument.base if usual else str(instrument.symbol)
