"""What a user has chosen: alert levels, quiet hours, caps, time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum


class DigestRhythm(StrEnum):
    DAILY = "daily"
    FUNDING = "funding"  # after each settlement
    OFF = "off"


@dataclass(frozen=True, slots=True)
class PriceMark:
    """A price that the user wants to hear of, once. ``rising``: it is reached from below.

    ``account``: where the price is read.
    """

    account: str
    symbol: str
    price: Decimal
    rising: bool

    def reached_at(self, price: Decimal) -> bool:
        return price >= self.price if self.rising else price <= self.price


@dataclass(frozen=True, slots=True)
class OwnLevels:
    """What one hedge is warned of in place of the user's levels; ``None``: as everywhere."""

    liquidation_distances: tuple[Decimal, ...] | None = None
    imbalance: Decimal | None = None
    funding_eaten: tuple[Decimal, ...] | None = None
    profit_target: Decimal | None = None

    @property
    def any(self) -> bool:
        return self != OwnLevels()


@dataclass(frozen=True, slots=True)
class AlertPreferences:
    """Levels go from harmless to grave; distances and ratios are fractions.

    ``funding_net_cost``: quote units per settlement; told when the net cost is over it. ``funding_rate``: per
    settlement, of either sign. ``hedges``: levels of single hedges, by "#3".
    ``snoozed`` maps a key to an instant (our clock): ``"*"`` everything, ``"#3"`` a hedge, ``"funding"``
    a kind, ``"#3:liquidation"`` one alert.
    """

    liquidation_distances: tuple[Decimal, ...] = (Decimal("0.20"), Decimal("0.10"), Decimal("0.05"))
    margin_ratios: tuple[Decimal, ...] = (Decimal("0.50"), Decimal("0.70"), Decimal("0.85"))
    imbalance: Decimal = Decimal("0.01")
    funding_before: timedelta = timedelta(minutes=15)
    funding_net_cost: Decimal = Decimal("0.01")
    funding_eaten: tuple[Decimal, ...] = (Decimal("0.10"), Decimal("0.25"), Decimal("0.50"))
    profit_target: Decimal = Decimal("0.05")  # fraction of the entry notional
    disabled: frozenset[str] = frozenset()  # kinds switched off
    quiet_from: time | None = None  # in the user's zone; may wrap midnight
    quiet_until: time | None = None
    snoozed: Mapping[str, datetime] = field(default_factory=dict)
    digest: DigestRhythm = DigestRhythm.DAILY
    digest_at: time = time(9)  # in the user's zone
    funding_rate: Decimal = Decimal("0.0005")
    prices: tuple[PriceMark, ...] = ()
    hedges: Mapping[str, OwnLevels] = field(default_factory=dict)

    def of_hedge(self, number: int | None) -> AlertPreferences:
        """As they are for one hedge."""
        own = self.hedges.get(f"#{number}")
        if own is None:
            return self
        return replace(
            self,
            liquidation_distances=own.liquidation_distances or self.liquidation_distances,
            imbalance=self.imbalance if own.imbalance is None else own.imbalance,
            funding_eaten=own.funding_eaten or self.funding_eaten,
            profit_target=self.profit_target if own.profit_target is None else own.profit_target,
        )

    def with_own(self, number: int, own: OwnLevels) -> AlertPreferences:
        kept = {name: levels for name, levels in self.hedges.items() if name != f"#{number}"}
        return replace(self, hedges=kept | {f"#{number}": own} if own.any else kept)


@dataclass(frozen=True, slots=True)
class RiskCaps:
    """``None``: no cap."""

    hedge_share: Decimal | None = Decimal("0.80")  # initial margin held by hedges over equity
    leverage: Decimal | None = Decimal("20")
    notional: Decimal | None = None  # quote units, per hedge
    reserve: Decimal = Decimal("0.02")  # of equity, never used as margin


@dataclass(frozen=True, slots=True)
class Preferences:
    time_zone: str = "UTC"
    alerts: AlertPreferences = field(default_factory=AlertPreferences)
    caps: RiskCaps = field(default_factory=RiskCaps)
    default_account: str = ""  # the id of the account that orders go to; empty: paper
    paused: bool = False  # /panic: no new openings until /start or the button
