"""Margin and liquidation, the exchange's own arithmetic.

Linear and inverse are one case here: with ``x`` the mark price (linear) or its inverse (inverse) a leg
gains ``sigma (q x - cost)`` and has to keep ``q x rate - amount``; sigma is the side, for inverse turned
round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from chatbot.domain.instrument import ZERO, ContractKind, Instrument, MarginTier, PositionSide, Symbol
from chatbot.venues.paper.state import AccountState, LegState, settled_in

Marks = Callable[[Symbol], Decimal]
Instruments = Mapping[Symbol, Instrument]
# Tiers narrow a liquidation price down within a few rounds; a price between two tiers may alternate for ever.
TIER_ROUNDS = 12


def per_unit(instrument: Instrument, price: Decimal) -> Decimal:
    """Notional of one unit of quantity at this price."""
    return price if instrument.kind is ContractKind.LINEAR else 1 / price


def sigma(instrument: Instrument, side: PositionSide) -> int:
    return side.sign if instrument.kind is ContractKind.LINEAR else -side.sign


def unrealized(leg: LegState, instrument: Instrument, mark: Decimal) -> Decimal:
    return sigma(instrument, leg.side) * (instrument.notional(leg.quantity, mark) - leg.cost)


def maintenance(instrument: Instrument, notional: Decimal) -> Decimal:
    tier = instrument.tier(notional)
    return notional * tier.maintenance_margin_rate - tier.maintenance_amount


@dataclass(frozen=True, slots=True)
class MarginSummary:
    """One settlement currency. ``cross_wallet`` is the wallet without what isolated legs hold."""

    wallet: Decimal
    cross_wallet: Decimal
    unrealized: Decimal
    cross_unrealized: Decimal
    cross_initial: Decimal
    cross_maintenance: Decimal
    has_cross: bool

    @property
    def equity(self) -> Decimal:
        return self.wallet + self.unrealized

    @property
    def cross_equity(self) -> Decimal:
        return self.cross_wallet + self.cross_unrealized

    @property
    def ratio(self) -> Decimal | None:
        """1 means liquidation; with nothing left to lose it is at least 1."""
        if not self.has_cross:
            return None
        if self.cross_equity <= 0:
            return max(Decimal(1), self.cross_maintenance)
        return self.cross_maintenance / self.cross_equity

    @property
    def liquidated(self) -> bool:
        return self.has_cross and self.cross_equity <= self.cross_maintenance


def summary(account: AccountState, instruments: Instruments, marks: Marks, currency: str) -> MarginSummary:
    held = profit = cross_profit = initial = kept = ZERO
    has_cross = False
    for leg in settled_in(account.legs.values(), instruments, currency):
        instrument = instruments[leg.symbol]
        notional = instrument.notional(leg.quantity, marks(leg.symbol))
        gain = sigma(instrument, leg.side) * (notional - leg.cost)
        profit += gain
        if leg.isolated:
            held += leg.margin
            continue
        has_cross = True
        cross_profit += gain
        initial += notional / leg.leverage
        kept += maintenance(instrument, notional)
    wallet = account.wallets.get(currency, ZERO)
    return MarginSummary(wallet, wallet - held, profit, cross_profit, initial, kept, has_cross)


def reserved(account: AccountState, instruments: Instruments, currency: str) -> Decimal:
    """Initial margin held back for resting orders that would open or grow a leg."""
    total = ZERO
    for order in account.orders.values():
        report = order.report
        instrument = instruments[report.symbol]
        resting = report.limit_price is not None and not report.type.conditional
        if resting and report.side is report.position_side.opening and instrument.settle == currency:
            leverage = account.setting((report.symbol, report.position_side)).leverage
            assert report.limit_price is not None  # noqa: S101 - narrowed by ``resting`` above
            total += instrument.notional(order.remaining, report.limit_price) / leverage
    return total


def free_margin(account: AccountState, instruments: Instruments, marks: Marks, currency: str) -> Decimal:
    figures = summary(account, instruments, marks, currency)
    left = figures.cross_equity - figures.cross_initial - reserved(account, instruments, currency)
    return max(ZERO, left)


# --- liquidation --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slope:
    """``slope`` is how equity above maintenance changes with ``x``; zero of it lies at ``x``."""

    slope: Decimal
    x: Decimal


def _solve(
    legs: Sequence[LegState], instrument: Instrument, tiers: Sequence[MarginTier], backing: Decimal
) -> Slope:
    slope, constant = ZERO, backing
    for leg, tier in zip(legs, tiers, strict=True):
        direction = sigma(instrument, leg.side)
        slope += leg.quantity * (direction - tier.maintenance_margin_rate)
        constant += tier.maintenance_amount - direction * leg.cost
    return Slope(slope, -constant / slope) if slope else Slope(ZERO, ZERO)


def solve_liquidation(
    legs: Sequence[LegState], instrument: Instrument, *, backing: Decimal, mark: Decimal
) -> tuple[Decimal, PositionSide] | None:
    """The mark price at which these legs just meet maintenance, and the side that loses there.

    ``backing`` is an isolated leg's margin; for cross, what the rest of the account has above its
    maintenance.
    """
    x = per_unit(instrument, mark)
    tiers = [instrument.tier(leg.quantity * x) for leg in legs]
    found = _solve(legs, instrument, tiers, backing)
    for _ in range(TIER_ROUNDS):
        if found.x <= 0:
            return None
        there = [instrument.tier(leg.quantity * found.x) for leg in legs]
        if there == tiers:
            break
        tiers = there
        found = _solve(legs, instrument, tiers, backing)
    if found.x <= 0:
        return None
    rising = found.slope < 0  # equity falls while x rises
    linear = instrument.kind is ContractKind.LINEAR
    side = PositionSide.SHORT if rising is linear else PositionSide.LONG
    return per_unit(instrument, found.x), side


def isolated_liquidation(leg: LegState, instrument: Instrument, mark: Decimal) -> Decimal | None:
    solved = solve_liquidation([leg], instrument, backing=leg.margin, mark=mark)
    return solved[0] if solved and solved[1] is leg.side else None


def cross_liquidation(
    account: AccountState, instruments: Instruments, marks: Marks, symbol: Symbol
) -> tuple[Decimal, PositionSide] | None:
    """Of the cross legs of one symbol while the other markets stand still."""
    instrument = instruments[symbol]
    pair = [leg for leg in account.legs.values() if leg.symbol == symbol and not leg.isolated]
    figures = summary(account, instruments, marks, instrument.settle)
    mark = marks(symbol)
    own = sum((unrealized(leg, instrument, mark) for leg in pair), ZERO)
    kept = sum((maintenance(instrument, instrument.notional(leg.quantity, mark)) for leg in pair), ZERO)
    backing = figures.cross_equity - own - (figures.cross_maintenance - kept)
    return solve_liquidation(pair, instrument, backing=backing, mark=mark)


def worst_cross_leg(
    legs: Iterable[LegState], instruments: Instruments, marks: Marks, currency: str
) -> LegState | None:
    """The cross leg that has lost the most: the first to go when the account is liquidated."""
    cross = [leg for leg in settled_in(legs, instruments, currency) if not leg.isolated]
    return min(
        cross, key=lambda leg: unrealized(leg, instruments[leg.symbol], marks(leg.symbol)), default=None
    )
