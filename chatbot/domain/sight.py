"""What a look at an account saw, as far as it says when to look again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import Position
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.margin import account_margin_ratio, leg_liquidation
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import AlertKind, Finding, StreamLost
from chatbot.domain.scene import Scene, account_finding, lasting_level

Distances = Mapping[tuple[Symbol, PositionSide], Decimal | None]

# By danger: how long after one look the next is due, without and with a stream that wakes in between.
ENDANGERED, ENDANGERED_STREAMED = timedelta(seconds=3), timedelta(seconds=10)
HOLDING, HOLDING_STREAMED = timedelta(seconds=5), timedelta(seconds=30)
EMPTY = timedelta(seconds=30)  # nothing is there that could be lost

# A price that moved so far says nothing new yet: this share of the way to liquidation, within bounds.
SHARE = Decimal("0.1")
STREAM_LOST_AFTER = (timedelta(minutes=5),)
LEAST, MOST = Decimal("0.001"), Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Band:
    """Prices between which another look would see much the same."""

    low: Decimal
    high: Decimal

    def left_at(self, price: Decimal) -> bool:
        return not self.low <= price <= self.high


@dataclass(frozen=True, slots=True)
class Sight:
    """``at``: our clock. ``endangered``: a leg is within the user's largest alert distance, or the margin
    ratio over the smallest one.
    """

    at: datetime
    holds: bool = False
    endangered: bool = False
    bands: Mapping[Symbol, Band] = field(default_factory=dict)

    def interval(self, *, streamed: bool, busy: bool = False) -> timedelta:
        """Until the next look. ``busy``: an order of ours is on its way, and who else would miss it?"""
        if busy:
            return ENDANGERED
        if self.endangered:
            return ENDANGERED_STREAMED if streamed else ENDANGERED
        if self.holds:
            return HOLDING_STREAMED if streamed else HOLDING
        return EMPTY

    def changed_by(self, prices: Mapping[Symbol, Decimal]) -> bool:
        return any(symbol in prices and band.left_at(prices[symbol]) for symbol, band in self.bands.items())


def sight_of(scene: Scene, limits: AlertPreferences, at: datetime) -> Sight:
    distances = {(p.symbol, p.side): _distance(scene, p) for p in scene.view.positions}
    near = max(limits.liquidation_distances, default=Decimal(0))
    ratio = account_margin_ratio(scene.view)
    high = min(limits.margin_ratios, default=Decimal("Infinity"))
    return Sight(
        at=at,
        holds=bool(scene.view.positions or scene.view.open_orders or scene.watched),
        endangered=any(d is not None and d <= near for d in distances.values())
        or (ratio is not None and ratio >= high),
        bands=_bands(scene, distances),
    )


def _distance(scene: Scene, position: Position) -> Decimal | None:
    return leg_liquidation(scene.instruments[position.symbol], position, scene.view).distance


def _bands(scene: Scene, distances: Distances) -> Mapping[Symbol, Band]:
    nearest: dict[Symbol, list[Decimal]] = {symbol: [] for symbol, _ in distances}
    for (symbol, _), distance in distances.items():
        nearest[symbol] += [] if distance is None else [distance]
    return {
        symbol: _band(scene.mark_price(symbol), min(near, default=None)) for symbol, near in nearest.items()
    }


def _band(mark: Decimal, distance: Decimal | None) -> Band:
    width = MOST if distance is None else min(MOST, max(LEAST, distance * SHARE))
    return Band(mark * (1 - width), mark * (1 + width))


def stream_finding(account_id: AccountId, venue: str, lasting: timedelta) -> Finding:
    """``lasting`` zero: there is one, or none can be had."""
    level = lasting_level(lasting, STREAM_LOST_AFTER)
    figures = StreamLost(venue=venue, lasting=lasting)
    return account_finding(account_id, AlertKind.STREAM, level, figures, levels=len(STREAM_LOST_AFTER))
