"""What the paper exchange lists: grids, fees and margin tiers close to those of the big venues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from chatbot.domain.instrument import ZERO, ContractKind, Instrument, MarginTier, Symbol
from chatbot.venues.feeds import BTC, BTC_INVERSE, ETH, SOL

TAKER = Decimal("0.0005")
MAKER = Decimal("0.0002")
# Charged on the notional of a liquidated leg, as far as its margin reaches.
LIQUIDATION_FEE = Decimal("0.003")


@dataclass(frozen=True, slots=True)
class BookShape:
    """Half the spread and the distance of levels in basis points; ``depth`` is the quantity in front."""

    half_spread_bps: Decimal
    step_bps: Decimal
    depth: Decimal


def _tiers(*rows: tuple[int | None, str, int]) -> tuple[MarginTier, ...]:
    """Rows of cap, rate and highest leverage; the amounts make maintenance margin continuous at the caps."""
    tiers: list[MarginTier] = []
    amount, below_rate, below_cap = ZERO, None, ZERO
    for cap, rate_text, leverage in rows:
        rate = Decimal(rate_text)
        if below_rate is not None:
            amount += below_cap * (rate - below_rate)
        tiers.append(MarginTier(None if cap is None else Decimal(cap), rate, amount, Decimal(leverage)))
        below_rate, below_cap = rate, Decimal(cap or 0)
    return tuple(tiers)


def _linear(
    symbol: Symbol, base: str, *, tick: str, lot: str, largest: int, hours: int, tiers: tuple[MarginTier, ...]
) -> Instrument:
    return Instrument(
        symbol=symbol,
        base=base,
        quote="USDT",
        settle="USDT",
        kind=ContractKind.LINEAR,
        contract_size=Decimal(1),
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_quantity=Decimal(lot),
        max_quantity=Decimal(largest),
        min_notional=Decimal(5),
        taker_fee_rate=TAKER,
        maker_fee_rate=MAKER,
        funding_interval=timedelta(hours=hours),
        tiers=tiers,
    )


def _inverse() -> Instrument:
    return Instrument(
        symbol=BTC_INVERSE,
        base="BTC",
        quote="USD",
        settle="BTC",
        kind=ContractKind.INVERSE,
        contract_size=Decimal(100),
        tick_size=Decimal("0.1"),
        lot_size=Decimal(100),
        min_quantity=Decimal(100),
        max_quantity=Decimal(5_000_000),
        min_notional=ZERO,
        taker_fee_rate=TAKER,
        maker_fee_rate=MAKER,
        funding_interval=timedelta(hours=8),
        tiers=_tiers(
            (5, "0.004", 125), (10, "0.005", 100), (20, "0.01", 50), (50, "0.02", 25), (None, "0.05", 10)
        ),
    )


CATALOG: Mapping[Symbol, Instrument] = {
    BTC: _linear(
        BTC,
        "BTC",
        tick="0.1",
        lot="0.001",
        largest=120,
        hours=8,
        tiers=_tiers(
            (50_000, "0.004", 125),
            (600_000, "0.005", 100),
            (3_000_000, "0.01", 75),
            (12_000_000, "0.02", 50),
            (70_000_000, "0.025", 25),
            (None, "0.05", 10),
        ),
    ),
    ETH: _linear(
        ETH,
        "ETH",
        tick="0.01",
        lot="0.001",
        largest=3_000,
        hours=8,
        tiers=_tiers(
            (50_000, "0.005", 100),
            (500_000, "0.0075", 75),
            (3_000_000, "0.01", 50),
            (12_000_000, "0.02", 25),
            (None, "0.05", 10),
        ),
    ),
    SOL: _linear(
        SOL,
        "SOL",
        tick="0.01",
        lot="0.1",
        largest=20_000,
        hours=4,
        tiers=_tiers(
            (50_000, "0.01", 75), (500_000, "0.015", 50), (3_000_000, "0.025", 20), (None, "0.1", 5)
        ),
    ),
    BTC_INVERSE: _inverse(),
}

SHAPES: Mapping[Symbol, BookShape] = {
    BTC: BookShape(Decimal("0.2"), Decimal("0.8"), Decimal("0.3")),
    ETH: BookShape(Decimal("0.3"), Decimal("1.0"), Decimal(5)),
    SOL: BookShape(Decimal("0.7"), Decimal("1.5"), Decimal(40)),
    BTC_INVERSE: BookShape(Decimal("0.3"), Decimal("1.2"), Decimal(10_000)),
}


def listed(symbols: Sequence[Symbol]) -> Mapping[Symbol, Instrument]:
    """The instruments of a market that has prices for these symbols only."""
    return {symbol: CATALOG[symbol] for symbol in symbols}
