"""What a look at an account saw, as far as it says when to look again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import ZERO, Symbol
from chatbot.domain.margin import account_margin_ratio
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import AlertKind, Finding, StreamLost
from chatbot.domain.scene import Scene, account_finding, lasting_level
from chatbot.domain.triggers import Trigger, Way
from chatbot.domain.watchpoints import watchpoints

# By danger: how long after one look the next is due, without and with a stream that wakes in between.
ENDANGERED, ENDANGERED_STREAMED = timedelta(seconds=3), timedelta(seconds=10)
HOLDING, HOLDING_STREAMED = timedelta(seconds=5), timedelta(seconds=30)
EMPTY = timedelta(seconds=30)  # nothing is there that could be lost

STREAM_LOST_AFTER = (timedelta(minutes=5),)

# Where not all can be looked at in time: how much more a leg near its liquidation counts than a calm one.
CALM, NEAREST = Decimal("0.5"), Decimal("0.005")  # distances; halfway nearer counts four times as much
HIGH_MARGIN_COUNTS_AS = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class NearLiquidation:
    """Of a leg; ``distance`` as it was at the look, ``way`` where the price would come from there."""

    symbol: Symbol
    price: Decimal
    distance: Decimal
    way: Way

    def distance_at(self, prices: Mapping[Symbol, Decimal]) -> Decimal:
        """Zero once it is passed."""
        price = prices.get(self.symbol)
        if price is None:
            return self.distance
        left = self.price - price if self.way is Way.UP else price - self.price
        return max(ZERO, left) / price


@dataclass(frozen=True, slots=True)
class Sight:
    """``at``: our clock. ``endangered``: a leg is within the user's largest alert distance, or the margin
    ratio over the smallest one. ``triggers``: the prices at which it will next matter. ``liquidations`` of
    its legs, as far as they have one.
    """

    at: datetime
    holds: bool = False
    endangered: bool = False
    triggers: tuple[Trigger, ...] = ()
    liquidations: tuple[NearLiquidation, ...] = ()

    def interval(self, *, streamed: bool, busy: bool = False) -> timedelta:
        """Until the next look. ``busy``: an order of ours is on its way, and who else would miss it?"""
        if busy:
            return ENDANGERED
        if self.endangered:
            return ENDANGERED_STREAMED if streamed else ENDANGERED
        if self.holds:
            return HOLDING_STREAMED if streamed else HOLDING
        return EMPTY

    def gravity(self, prices: Mapping[Symbol, Decimal]) -> float:
        """1: calm. By newer prices where there are some; it orders looks and decides nothing else."""
        distance = min((near.distance_at(prices) for near in self.liquidations), default=None)
        if distance is None and self.endangered:
            distance = HIGH_MARGIN_COUNTS_AS
        if distance is None or distance >= CALM:
            return 1.0
        return float((CALM / max(distance, NEAREST)) ** 2)


def sight_of(scene: Scene, limits: AlertPreferences, at: datetime) -> Sight:
    """Where nobody tells prices no trigger could fire, and there are none."""
    liquidations = tuple(_liquidations(scene))
    ratio = account_margin_ratio(scene.view)
    high = min(limits.margin_ratios, default=Decimal("Infinity"))
    return Sight(
        at=at,
        holds=bool(scene.view.positions or scene.view.open_orders or scene.watched),
        endangered=any(_near(scene, leg, limits) for leg in liquidations)
        or (ratio is not None and ratio >= high),
        triggers=() if scene.passed is None else watchpoints(scene, limits),
        liquidations=liquidations,
    )


def _near(scene: Scene, leg: NearLiquidation, limits: AlertPreferences) -> bool:
    hedge = scene.hedge_on(leg.symbol)
    levels = limits.of_hedge(None if hedge is None else hedge.number).liquidation_distances
    return leg.distance <= max(levels, default=ZERO)


def _liquidations(scene: Scene) -> Iterator[NearLiquidation]:
    for position in scene.view.positions:
        found = scene.liquidation(position)
        if found.price is not None and found.distance is not None:
            way = Way.UP if found.price >= scene.mark_price(position.symbol) else Way.DOWN
            yield NearLiquidation(position.symbol, found.price, found.distance, way)


def stream_finding(account_id: AccountId, venue: str, lasting: timedelta) -> Finding:
    """``lasting`` zero: there is one, or none can be had."""
    level = lasting_level(lasting, STREAM_LOST_AFTER)
    figures = StreamLost(venue=venue, lasting=lasting)
    return account_finding(account_id, AlertKind.STREAM, level, figures, levels=len(STREAM_LOST_AFTER))
