"""Stops and closing orders that are gone without us: what that leaves of a hedge's protection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import PositionSide
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent, Purpose, placed_for
from chatbot.domain.order import OrderReport, OrderStatus, OrderType
from chatbot.domain.risk import Alert, AlertKind, AlertPhase, Gravity, OrderEnd, OrderGone
from chatbot.domain.scene import Scene, key_of


@dataclass(frozen=True, slots=True)
class GoneOrder:
    """``intent`` as booked, ``at`` our clock, as its note says."""

    intent: OrderIntent
    at: datetime


def standing(intents: Iterable[OrderIntent]) -> tuple[OrderIntent, ...]:
    """What the journal holds to rest on the exchange."""
    return tuple(i for i in intents if i.purpose.protective and i.status is IntentStatus.OPEN)


def unlisted(hedge: Hedge, resting: Iterable[OrderIntent], view: AccountView) -> Iterator[OrderIntent]:
    """Of orders that should rest: those that are not listed. Without its leg an order is left over."""
    listed = {order.client_order_id for order in view.open_orders}
    return (i for i in resting if i.client_order_id not in listed and hedge.leg(i.leg).quantity > 0)


def ended(intent: OrderIntent, report: OrderReport | None) -> OrderIntent:
    """``report`` tells no fill that is not booked; ``None``: the exchange does not know it any more."""
    end = OrderEnd.FORGOTTEN
    if report is not None:
        end = OrderEnd.EXPIRED if report.status is OrderStatus.EXPIRED else OrderEnd.CANCELED
    return intent.after(IntentEvent.CANCELED, reason=end)


def gone_without_us(hedge: Hedge, intents: Iterable[OrderIntent]) -> tuple[OrderIntent, ...]:
    """By the journal; those that were set again since are not missed."""
    known = tuple(intents)
    stands = {(i.leg, i.purpose) for i in standing(known)}
    return tuple(
        i
        for i in known
        if i.status is IntentStatus.CANCELED
        and i.reason in set(OrderEnd)
        and hedge.leg(i.leg).quantity > 0
        and (i.leg, i.purpose) not in stands
    )


# --- telling ------------------------------------------------------------------------------------


def unprotected_alert(scene: Scene, hedge: Hedge, gone: GoneOrder) -> Alert | None:
    """``None``: there is nothing left to protect."""
    leg = hedge.leg(gone.intent.leg)
    if not hedge.live or not leg.quantity or hedge.symbol not in scene.view.markets:
        return None
    figures = _figures(scene, hedge, gone.intent)
    detail = f"{figures.side}:{figures.purpose}"
    return Alert(
        key=key_of(scene, figures, AlertKind.UNPROTECTED, detail),
        kind=AlertKind.UNPROTECTED,
        phase=AlertPhase.RISE,
        level=0,
        gravity=_gravity(figures),
        since=gone.at,
        figures=figures,
    )


def _figures(scene: Scene, hedge: Hedge, intent: OrderIntent) -> OrderGone:
    leg, view = hedge.leg(intent.leg), scene.view
    return OrderGone(
        instrument=scene.instruments[hedge.symbol],
        number=hedge.number,
        side=leg.side,
        purpose=intent.purpose,
        price=intent.trigger_price or Decimal(0),
        end=OrderEnd(intent.reason),
        share=min(Decimal(1), intent.left / leg.quantity),
        alone=not hedge.paired,
        still=_still(hedge, intent, view),
        twin=_twin(hedge, intent, view),
    )


def _gravity(figures: OrderGone) -> Gravity:
    """Half of a pair that closes alone is naked, and so is a leg alone without its stop-loss."""
    last_stop = figures.purpose is Purpose.STOP_LOSS and figures.still is None
    critical = figures.twin is not None or (figures.alone and last_stop)
    return Gravity.CRITICAL if critical else Gravity.WARNING


def _still(hedge: Hedge, intent: OrderIntent, view: AccountView) -> Decimal | None:
    others = _resting(hedge, view, intent.position_side, intent.type)
    return next((order.trigger_price for order in others), None)


def _twin(hedge: Hedge, intent: OrderIntent, view: AccountView) -> PositionSide | None:
    if intent.purpose is not Purpose.CLOSE_AT_PRICE:
        return None
    opposite = intent.position_side.opposite
    others = _resting(hedge, view, opposite, intent.type)
    ours = (o for o in others if placed_for(hedge.id, o.client_order_id))
    return opposite if any(o.trigger_price == intent.trigger_price for o in ours) else None


def _resting(hedge: Hedge, view: AccountView, side: PositionSide, kind: OrderType) -> Iterator[OrderReport]:
    mine = (hedge.symbol, side, kind)
    return (o for o in view.open_orders if (o.symbol, o.position_side, o.type) == mine)
