"""What is traded: sides, modes, margin tiers and the instrument with its grid.

Quantities are always positive, the side stands apart. The quantity of a linear instrument is in base
units; that of an inverse one is in *quote* units (``contracts x contract size``, for instance 1,000 USD),
because that is what stays constant while the price moves. Contracts never leave the venue adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import NewType

Symbol = NewType("Symbol", str)  # unified: "BTC/USDT:USDT"

ZERO = Decimal(0)


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"


class PositionSide(StrEnum):
    LONG = "long"
    SHORT = "short"

    @property
    def sign(self) -> int:
        return 1 if self is PositionSide.LONG else -1

    @property
    def opposite(self) -> PositionSide:
        return PositionSide.SHORT if self is PositionSide.LONG else PositionSide.LONG

    @property
    def opening(self) -> OrderSide:
        return OrderSide.BUY if self is PositionSide.LONG else OrderSide.SELL

    @property
    def closing(self) -> OrderSide:
        return OrderSide.SELL if self is PositionSide.LONG else OrderSide.BUY


class PositionMode(StrEnum):
    ONE_WAY = "one_way"
    HEDGE = "hedge"


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


class ContractKind(StrEnum):
    LINEAR = "linear"
    INVERSE = "inverse"


@dataclass(frozen=True, slots=True)
class MarginTier:
    """Up to ``notional_cap`` (``None``: no upper end): maintenance margin = notional x rate - amount."""

    notional_cap: Decimal | None
    maintenance_margin_rate: Decimal
    maintenance_amount: Decimal
    max_leverage: Decimal


@dataclass(frozen=True, slots=True)
class Instrument:
    """One perpetual. ``min_notional`` in quote (linear); fee rates are fractions of the notional.

    ``tiers`` ascend by ``notional_cap``; notional is in quote for linear, in base for inverse.
    """

    symbol: Symbol
    base: str
    quote: str
    settle: str
    kind: ContractKind
    contract_size: Decimal
    tick_size: Decimal
    lot_size: Decimal
    min_quantity: Decimal
    max_quantity: Decimal
    min_notional: Decimal
    taker_fee_rate: Decimal
    maker_fee_rate: Decimal
    funding_interval: timedelta
    tiers: tuple[MarginTier, ...]

    @property
    def max_leverage(self) -> Decimal:
        return max(tier.max_leverage for tier in self.tiers)

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Quote units (linear) or base units (inverse)."""
        return quantity * price if self.kind is ContractKind.LINEAR else quantity / price

    def tier(self, notional: Decimal) -> MarginTier:
        for tier in self.tiers:
            if tier.notional_cap is None or notional <= tier.notional_cap:
                return tier
        return self.tiers[-1]

    @property
    def maintenance_jumps(self) -> bool:
        """A position that grows into the next tier needs more by a step, not only by a steeper line."""
        return any(
            upper.maintenance_amount - lower.maintenance_amount
            != (lower.notional_cap or ZERO) * (upper.maintenance_margin_rate - lower.maintenance_margin_rate)
            for lower, upper in pairwise(self.tiers)
        )

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Down to the lot: rounding never makes an order larger than was asked for."""
        return (quantity / self.lot_size).to_integral_value(ROUND_DOWN) * self.lot_size

    def round_price(self, price: Decimal) -> Decimal:
        return (price / self.tick_size).to_integral_value(ROUND_HALF_EVEN) * self.tick_size
