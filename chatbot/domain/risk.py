"""What can go wrong, in types: the figures of each alert, how grave it is, and the alert as it is told.

``dangers.py`` finds the dangers of an account, ``episodes.py`` decides which of them are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from chatbot.domain.ending import Ending
from chatbot.domain.hedge import HedgeId
from chatbot.domain.instrument import Instrument, PositionSide, Symbol
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import FundingOutlook, LegLiquidation
from chatbot.domain.wording import market_name


class AlertKind(StrEnum):
    """In the order in which several of one severity are told."""

    NAKED = "naked"
    LOST = "lost"
    STOPPED = "stopped"
    SHRUNK = "shrunk"
    UNPROTECTED = "unprotected"
    LIQUIDATION = "liquidation"
    MARGIN = "margin"
    FROZEN = "frozen"
    UNKNOWN = "unknown"
    VENUE = "venue"
    GROWN = "grown"
    IMBALANCE = "imbalance"
    EATEN = "eaten"
    FUNDING = "funding"
    TARGET = "target"
    PRICE = "price"
    FLIP = "flip"
    RATE = "rate"
    STREAM = "stream"


# Switching these off would be switching off the news that something has already happened to the money.
ALWAYS_ON = frozenset(
    {
        AlertKind.NAKED,
        AlertKind.LOST,
        AlertKind.STOPPED,
        AlertKind.SHRUNK,
        AlertKind.UNPROTECTED,
        AlertKind.FROZEN,
        AlertKind.UNKNOWN,
    }
)


HAPPENED_ONCE = frozenset(
    {
        AlertKind.LOST,
        AlertKind.STOPPED,
        AlertKind.SHRUNK,
        AlertKind.UNPROTECTED,
        AlertKind.GROWN,
        AlertKind.PRICE,
    }
)


class AlertPhase(StrEnum):
    RISE = "rise"
    WORSE = "worse"
    CLEAR = "clear"


class Gravity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 is the gravest."""
        return (Gravity.CRITICAL, Gravity.WARNING, Gravity.INFO).index(self)


class LegCause(StrEnum):
    """Why a leg changed without an operation of ours."""

    LIQUIDATED = "liquidated"
    AUTO_DELEVERAGED = "auto_deleveraged"
    STOPPED = "stopped"
    BY_HAND = "by_hand"
    FORGOTTEN = "forgotten"  # by an order of ours that the journal, restored from a copy, does not know
    UNEXPLAINED = "unexplained"


class OrderEnd(StrEnum):
    """How an order that rested on the exchange ended without us; the journal's reason as well."""

    CANCELED = "canceled on the exchange, not by me"
    EXPIRED = "expired on the exchange"
    FORGOTTEN = "the exchange no longer knows it"


# --- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NakedLeg:
    """Exposure that nothing offsets. ``liquidation`` is that of the leg once it stands alone."""

    side: PositionSide
    quantity: Decimal
    mark_price: Decimal
    liquidation: LegLiquidation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnMarket:
    """``number`` is the hedge's, ``None`` for a position that no hedge knows; ``account`` its name."""

    instrument: Instrument
    number: int | None = None
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationNear(OnMarket):
    """``joint``: the whole cross account goes at this price, both legs of it. ``left`` would stand alone.

    ``top_up`` is margin that would help an isolated leg, ``with_top_up`` its liquidation then.
    """

    side: PositionSide
    mark_price: Decimal
    liquidation: LegLiquidation
    joint: bool = False
    left: NakedLeg | None = None
    top_up: Decimal | None = None
    with_top_up: LegLiquidation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginHigh:
    """``ratio`` = maintenance margin over margin balance; 1 is liquidation."""

    account: str
    currency: str
    ratio: Decimal


@dataclass(frozen=True, slots=True)
class LegEnd:
    """How the other leg of an ended hedge had gone; ``together``: it is news, too."""

    side: PositionSide
    cause: LegCause
    price: Decimal | None
    together: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LegChanged(OnMarket):
    """A leg lost, stopped, shrunk or grown. ``live``, ``frozen``: its hedge is.

    ``at`` is venue time; ``price`` and ``realized`` are ``None`` where nothing tells them.
    """

    side: PositionSide
    cause: LegCause
    after: Decimal
    before: Decimal | None = None
    price: Decimal | None = None
    realized: Decimal | None = None
    at: datetime | None = None
    naked: NakedLeg | None = None
    at_users_price: bool = False  # a close of both legs at a price that was asked for
    live: bool = True
    frozen: bool = False
    ended: Ending | None = None  # of the whole hedge, once nothing of it is left
    other: LegEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGone(OnMarket):
    """A stop or closing order of ours that does not rest on the exchange any more.

    ``share`` of the leg that it was to close. ``alone``: nothing hedges the leg. ``still``: another of its
    kind guards the leg at that price. ``twin``: the leg whose closing order at the same price still stands.
    """

    side: PositionSide
    purpose: Purpose
    price: Decimal
    end: OrderEnd
    share: Decimal
    alone: bool = False
    still: Decimal | None = None
    twin: PositionSide | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegNaked(OnMarket):
    """An operation has left exposure (``None``: no more). ``attempts`` at trimming it so far.

    ``growing``: the operation is still opening what is missing; else its orders only reduce.
    """

    naked: NakedLeg | None
    lasting: timedelta
    attempts: int = 0
    growing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unequal(OnMarket):
    """``ratio`` = |net exposure| over the larger leg."""

    net_exposure: Decimal
    ratio: Decimal
    mark_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingSoon(OnMarket):
    """``paid`` by this hedge so far, net, positive: paid. ``locked`` ``None`` where nothing is locked."""

    outlook: FundingOutlook
    settles_in: timedelta
    net_exposure: Decimal
    paid: Decimal
    locked: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEaten(OnMarket):
    """``paid`` is the net funding cost so far, a ``share`` of the locked profit. ``eaten_at``: venue time."""

    locked: Decimal
    paid: Decimal
    share: Decimal
    per_day: Decimal
    eaten_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReached(OnMarket):
    """``profit`` without fees, ``share`` of the entry notional."""

    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    profit: Decimal
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RateNews(OnMarket):
    """The funding rate has turned its sign, or is high; ``net_exposure`` is what it acts on."""

    outlook: FundingOutlook
    net_exposure: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceReached(OnMarket):
    """``price`` is the user's, ``mark_price`` what it is now; a wick may be over already."""

    price: Decimal
    rising: bool
    mark_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeFrozen(OnMarket):
    """``naked``: what the venue (not the ledger) shows as exposure that nothing offsets."""

    reason: str
    naked: NakedLeg | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnknown(OnMarket):
    """``orders`` of this hedge without a trustworthy answer; ``lasting`` of the oldest."""

    orders: int
    lasting: timedelta


class Silence(StrEnum):
    """What cannot be learned of an account."""

    VENUE = "venue"  # anything: the exchange does not answer
    HISTORY = "history"  # what was filled and paid; the rest is watched
    OURS = "ours"  # anything, and it is our own fault


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueDown:
    """``reason`` in our own words, never the venue's raw text."""

    venue: str
    lasting: timedelta
    reason: str
    silence: Silence = Silence.VENUE


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLost:
    """``lasting``: since when the exchange has to be asked, because it tells nothing by itself any more."""

    venue: str
    lasting: timedelta


Figures = (
    LiquidationNear
    | MarginHigh
    | LegChanged
    | OrderGone
    | LegNaked
    | Unequal
    | FundingSoon
    | LockEaten
    | TargetReached
    | RateNews
    | PriceReached
    | HedgeFrozen
    | OrderUnknown
    | VenueDown
    | StreamLost
)


# --- from a finding to an alert -----------------------------------------------------------------


def subject_of(figures: Figures) -> str:
    if not isinstance(figures, OnMarket):
        return ""
    return market_name(figures.instrument) if figures.number is None else f"#{figures.number}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure as it stands, harmless ones included, so that clearing has a figure to tell.

    ``level`` grows with gravity, -1: harmless. ``holding`` is the highest level that is not left behind yet
    (hysteresis): an episode at level n stays there while ``holding >= n``.
    """

    key: str
    kind: AlertKind
    level: int
    holding: int
    figures: Figures
    levels: int = 1  # how many there are
    hedge_id: HedgeId | None = None

    @property
    def subject(self) -> str:
        """``#3``, or the market of a position that no hedge knows; empty for what concerns an account."""
        return subject_of(self.figures)

    @property
    def gravity(self) -> Gravity:
        return self.gravity_at(self.level)

    def gravity_at(self, level: int) -> Gravity:
        return gravity_of(self.kind, level, self.levels)


_LAST_LEVEL_IS_CRITICAL = frozenset(
    {AlertKind.LIQUIDATION, AlertKind.MARGIN, AlertKind.UNKNOWN, AlertKind.VENUE}
)
_CRITICAL = frozenset(
    {AlertKind.NAKED, AlertKind.LOST, AlertKind.STOPPED, AlertKind.SHRUNK, AlertKind.FROZEN}
)
_INFO = frozenset(
    {
        AlertKind.FUNDING,
        AlertKind.TARGET,
        AlertKind.PRICE,
        AlertKind.FLIP,
        AlertKind.RATE,
        AlertKind.STREAM,
    }
)


def gravity_of(kind: AlertKind, level: int, levels: int) -> Gravity:
    if kind in _CRITICAL or (kind in _LAST_LEVEL_IS_CRITICAL and level >= levels - 1):
        return Gravity.CRITICAL
    return Gravity.INFO if kind in _INFO else Gravity.WARNING


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. ``gravity`` of a clearing is that of what it clears."""

    key: str
    kind: AlertKind
    phase: AlertPhase
    level: int
    gravity: Gravity
    since: datetime
    figures: Figures

    @property
    def number(self) -> int | None:
        return self.figures.number if isinstance(self.figures, OnMarket) else None

    @property
    def symbol(self) -> Symbol | None:
        return self.figures.instrument.symbol if isinstance(self.figures, OnMarket) else None

    @property
    def lasts(self) -> bool:
        """It tells of a condition, not of what happened once: newer news of it makes this one old."""
        return self.kind not in HAPPENED_ONCE

    @property
    def matters_for(self) -> timedelta | None:
        """``None``: for as long as it holds."""
        return self.figures.settles_in if isinstance(self.figures, FundingSoon) else None
