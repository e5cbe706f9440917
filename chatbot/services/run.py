"""An operation on its way with all that its next step needs; what orders and outcomes make of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.chat import ChatRef, OutboxMessage, Platform, Priority
from chatbot.domain import protection, saga
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import Instrument
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent, Purpose, client_order_id
from chatbot.domain.ledger import book_report
from chatbot.domain.operation import Operation, Target
from chatbot.domain.order import Accepted, OrderType, Outcome, Rejected
from chatbot.domain.quote import LegAction
from chatbot.ports import Account, BookedFill, Presenter, Progress, User, Venue

VALIDITY = timedelta(seconds=5)  # a request that reaches the venue later than this is refused there

# Rejections that another try cannot mend.
_HOPELESS = frozenset(
    {
        "InsufficientMargin",
        "BadCredentials",
        "MissingPermission",
        "WrongPositionMode",
        "InstrumentUnavailable",
    }
)

# Rejections that say nothing about the order itself.
_UNSEEN = frozenset({"RateLimited", "VenueUnavailable"})

_TYPES = {
    Purpose.STOP_LOSS: OrderType.STOP_LOSS,
    Purpose.TAKE_PROFIT: OrderType.TAKE_PROFIT,
    Purpose.CLOSE_AT_PRICE: OrderType.TRIGGER,
}


@dataclass(frozen=True, slots=True)
class Run:
    """An operation with everything that its next step needs, as stored."""

    operation: Operation
    hedge: Hedge
    intents: tuple[OrderIntent, ...]
    fills: tuple[BookedFill, ...]
    user: User
    account: Account
    venue: Venue
    instrument: Instrument

    def progress(self, at: datetime) -> Progress:
        resting = tuple(i for i in self.intents if i.purpose.protective and i.status is IntentStatus.OPEN)
        return Progress(self.user, self.operation, self.hedge, self.instrument, self.fills, at, resting)

    def replacing(self, changed: OrderIntent) -> Run:
        intents = tuple(changed if i.client_order_id == changed.client_order_id else i for i in self.intents)
        return replace(self, intents=intents)


@dataclass(frozen=True, slots=True)
class Order:
    """One order to be, before it has an id."""

    role: LegRole
    purpose: Purpose
    quantity: Decimal
    trigger_price: Decimal | None = None


def with_intents(run: Run, orders: Sequence[Order], now: datetime) -> tuple[Run, list[OrderIntent]]:
    hedge, operation, intents = run.hedge, run.operation, []
    for order in orders:
        hedge = replace(hedge, attempt=hedge.attempt + 1)
        intent = _intent(operation, hedge, order, now)
        operation = saga.sent(operation, intent)
        intents.append(intent)
    changed = replace(run, hedge=hedge, operation=operation, intents=(*run.intents, *intents))
    return changed, intents


def _intent(operation: Operation, hedge: Hedge, order: Order, now: datetime) -> OrderIntent:
    side = hedge.leg(order.role).side
    opens = order.purpose is Purpose.OPEN
    return OrderIntent(
        client_order_id=client_order_id(hedge.id, order.role, order.purpose, hedge.attempt),
        operation_id=operation.id,
        hedge_id=hedge.id,
        account_id=hedge.account_id,
        symbol=hedge.symbol,
        leg=order.role,
        purpose=order.purpose,
        side=side.opening if opens else side.closing,
        position_side=side,
        type=_TYPES.get(order.purpose, OrderType.MARKET),
        quantity=order.quantity,
        reduce_only=not opens,
        created_at=now,
        valid_until=now + VALIDITY,
        trigger_price=order.trigger_price,
    )


def as_stored(run: Run) -> Run:
    return replace(
        run,
        hedge=replace(run.hedge, version=run.hedge.version + 1),
        operation=replace(run.operation, version=run.operation.version + 1),
    )


def progress_card(
    presenter: Presenter,
    progress: Progress,
    *,
    priority: Priority = Priority.PROGRESS,
    anew: bool = False,
) -> OutboxMessage:
    """``anew``: a message of its own, because an edit makes no sound."""
    operation = progress.operation
    reply = presenter.progress(progress)
    slot = f"{operation.slot}:alarm" if anew else operation.slot
    return OutboxMessage(
        dedupe_key=f"{slot}:{operation.version}",
        chat=_chat(operation, progress.user),
        reply=replace(reply, slot=slot),
        priority=priority,
        not_before=progress.at,
        replaces=None if anew else operation.card,
    )


def _chat(operation: Operation, user: User) -> ChatRef:
    if operation.chat == str(user.home):
        return user.home
    platform, _, chat_id = operation.chat.partition(":")
    return ChatRef(Platform(platform), chat_id, private=False)


def with_lost_stops(operation: Operation, intents: Sequence[OrderIntent]) -> Operation:
    """A leg without the stop that was promised is told."""
    lost = [
        f"the {stop.purpose.replace('_', '-')} of the {stop.role} leg"
        for stop in protection.stops_lost(operation, intents)
    ]
    return (
        replace(operation, reason=f"{' and '.join(lost)} never reached the exchange") if lost else operation
    )


def order_of(target: Target) -> Order:
    purpose = Purpose.OPEN if target.action is LegAction.OPEN else Purpose.CLOSE
    return Order(target.role, purpose, target.left)


def absorb(run: Run, intent: OrderIntent, outcome: Outcome) -> tuple[Run, OrderIntent, list[BookedFill]]:
    if isinstance(outcome, Rejected):
        if intent.purpose.protective and outcome.kind in _UNSEEN:
            # As good as never sent: a leg is not left without its stop for it.
            after = intent.after(IntentEvent.PROVEN_ABSENT, reason=outcome.reason)
            return run.replacing(after), after, []
        after = intent.after(IntentEvent.REJECTED, reason=outcome.reason)
        hopeless = outcome.kind in _HOPELESS or (outcome.kind == "InvalidOrder" and not intent.reduce_only)
        operation = saga.refused(run.operation, intent, outcome.reason, hopeless=hopeless)
        return replace(run.replacing(after), operation=operation), after, []
    if not isinstance(outcome, Accepted):
        after = intent.after(IntentEvent.LOST, reason=outcome.reason)
        return run.replacing(after), after, []
    booked = book_report(run.hedge, intent, outcome.report, run.instrument)
    run = replace(run.replacing(booked.intent), hedge=booked.hedge)
    if booked.fill is None:
        return run, booked.intent, []
    fill = booked.fill
    operation = saga.filled(run.operation, intent, quantity=fill.quantity, price=fill.price, fee=fill.fee)
    row = BookedFill(fill.venue_fill_id, run.hedge.account_id, run.hedge.id, intent.leg, fill)
    return replace(run, operation=operation), booked.intent, [row]
