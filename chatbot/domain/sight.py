"""What a look at an account saw, as far as it says when to look again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import Position
from chatbot.domain.hedge import AccountId
from chatbot.domain.margin import account_margin_ratio, leg_liquidation
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import AlertKind, Finding, StreamLost
from chatbot.domain.scene import Scene, account_finding, lasting_level
from chatbot.domain.triggers import Trigger
from chatbot.domain.watchpoints import watchpoints

# By danger: how long after one look the next is due, without and with a stream that wakes in between.
ENDANGERED, ENDANGERED_STREAMED = timedelta(seconds=3), timedelta(seconds=10)
HOLDING, HOLDING_STREAMED = timedelta(seconds=5), timedelta(seconds=30)
EMPTY = timedelta(seconds=30)  # nothing is there that could be lost

STREAM_LOST_AFTER = (timedelta(minutes=5),)


@dataclass(frozen=True, slots=True)
class Sight:
    """``at``: our clock. ``endangered``: a leg is within the user's largest alert distance, or the margin
    ratio over the smallest one. ``triggers``: the prices at which it will next matter.
    """

    at: datetime
    holds: bool = False
    endangered: bool = False
    triggers: tuple[Trigger, ...] = ()

    def interval(self, *, streamed: bool, busy: bool = False) -> timedelta:
        """Until the next look. ``busy``: an order of ours is on its way, and who else would miss it?"""
        if busy:
            return ENDANGERED
        if self.endangered:
            return ENDANGERED_STREAMED if streamed else ENDANGERED
        if self.holds:
            return HOLDING_STREAMED if streamed else HOLDING
        return EMPTY


def sight_of(scene: Scene, limits: AlertPreferences, at: datetime) -> Sight:
    distances = [_distance(scene, position) for position in scene.view.positions]
    near = max(limits.liquidation_distances, default=Decimal(0))
    ratio = account_margin_ratio(scene.view)
    high = min(limits.margin_ratios, default=Decimal("Infinity"))
    return Sight(
        at=at,
        holds=bool(scene.view.positions or scene.view.open_orders or scene.watched),
        endangered=any(d is not None and d <= near for d in distances)
        or (ratio is not None and ratio >= high),
        triggers=watchpoints(scene, limits),
    )


def _distance(scene: Scene, position: Position) -> Decimal | None:
    return leg_liquidation(scene.instruments[position.symbol], position, scene.view).distance


def stream_finding(account_id: AccountId, venue: str, lasting: timedelta) -> Finding:
    """``lasting`` zero: there is one, or never was."""
    level = lasting_level(lasting, STREAM_LOST_AFTER)
    figures = StreamLost(venue=venue, lasting=lasting)
    return account_finding(account_id, AlertKind.STREAM, level, figures, levels=len(STREAM_LOST_AFTER))
