"""What a user has chosen: alert levels, quiet hours, caps, time zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum


class DigestRhythm(StrEnum):
    DAILY = "daily"
    FUNDING = "funding"  # after each settlement
    OFF = "off"


@dataclass(frozen=True, slots=True)
class AlertPreferences:
    """Levels go from harmless to grave; distances and ratios are fractions.

    ``funding_net_cost``: quote units per settlement; told when the net cost is over it.
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
