"""From a confirmed quote to operations and the hedges they work on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, Leg, LegRole, UserId
from chatbot.domain.instrument import ZERO, PositionSide, Symbol
from chatbot.domain.intent import IntentStatus, OperationId, OrderIntent, Purpose
from chatbot.domain.ledger import adopted_leg
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target, TopUp
from chatbot.domain.pnl import ClosingCosts
from chatbot.domain.quote import (
    AdjustQuote,
    CloseAllQuote,
    CloseQuote,
    CloseWay,
    HedgeQuote,
    LegAction,
    LegPlan,
    MarginQuote,
    OpenQuote,
    Quote,
    StopsQuote,
)
from chatbot.errors import InvariantBroken, NotFound

DEADLINE = timedelta(seconds=30)
CONFIRM = "confirm"
NO_SUCH_WAY = "That button is not part of this offer."


@dataclass(frozen=True, slots=True)
class Plan:
    """One operation to be, on one symbol."""

    kind: OperationKind
    symbol: Symbol
    legs: tuple[LegPlan, ...]
    way: CloseWay | None = None
    later: ClosingCosts | None = None  # of closing the pair afterwards, per unit, as the offer shows them


def plans_of(quote: Quote, choice: str) -> tuple[Plan, ...]:
    """What the tapped button stands for; an unknown choice is a forged one."""
    offer = quote.offer
    if isinstance(offer, CloseQuote):
        return (_close_plan(offer, choice),)
    if isinstance(offer, AdjustQuote):
        return (_adjust_plan(offer, choice),)
    if choice != CONFIRM:
        raise NotFound(NO_SUCH_WAY)
    return _confirmed(offer)


def _confirmed(
    offer: OpenQuote | HedgeQuote | CloseAllQuote | StopsQuote | MarginQuote,
) -> tuple[Plan, ...]:
    match offer:
        case CloseAllQuote():
            return tuple(_close_plan(close, close.ways[0].way) for close in offer.closes)
        case OpenQuote():
            return (Plan(OperationKind.OPEN, offer.symbol, offer.plans),)
        case HedgeQuote():
            later = _per_unit(offer.fees_to_close, offer.spread_cost, offer.paired_quantity)
            return (Plan(OperationKind.HEDGE, offer.symbol, offer.plans, later=later),)
        case StopsQuote():
            return (Plan(OperationKind.STOPS, offer.symbol, offer.plans),)
        case MarginQuote():
            return (Plan(OperationKind.MARGIN, offer.symbol, (offer.plan,)),)


def _close_plan(offer: CloseQuote, choice: str) -> Plan:
    quoted = next((way for way in offer.ways if way.way == choice), None)
    if quoted is None:
        raise NotFound(NO_SUCH_WAY)
    return Plan(OperationKind.CLOSE, offer.symbol, quoted.plans, quoted.way)


def _adjust_plan(offer: AdjustQuote, choice: str) -> Plan:
    quoted = next((way for way in offer.ways if way.way == choice), None)
    if quoted is None:
        raise NotFound(NO_SUCH_WAY)
    later = _per_unit(quoted.fees_to_close, quoted.spread_cost, quoted.paired_quantity)
    return Plan(OperationKind.ADJUST, offer.symbol, quoted.plans, later=later)


def _per_unit(fees: Decimal, spread: Decimal, quantity: Decimal) -> ClosingCosts | None:
    return ClosingCosts(fees, spread).times(1 / quantity) if quantity > 0 else None


def symbols_of(quote: Quote) -> tuple[Symbol, ...]:
    offer = quote.offer
    if isinstance(offer, CloseAllQuote):
        return tuple(close.symbol for close in offer.closes)
    return (offer.symbol,)


def operation_of(
    plan: Plan, hedge: Hedge, quote: Quote, *, operation_id: OperationId, now: datetime, card: str | None
) -> Operation:
    return Operation(
        id=operation_id,
        kind=plan.kind,
        user_id=quote.user_id,
        account_id=quote.account_id,
        hedge_id=hedge.id,
        symbol=plan.symbol,
        quote_id=quote.id,
        chat=quote.chat,
        targets=tuple(_target(plan, index, leg) for index, leg in enumerate(plan.legs)),
        started_at=now,
        deadline_at=now + DEADLINE,
        way=plan.way,
        card=card,
    )


def _target(plan: Plan, index: int, leg: LegPlan) -> Target:
    trades = leg.action in (LegAction.OPEN, LegAction.CLOSE)
    return Target(
        role=leg.role,
        action=leg.action,
        quantity=leg.quantity if trades else ZERO,
        expected_price=leg.expected_price,
        stage=index if plan.way is CloseWay.OFFSET_FIRST else 0,
        stop_loss=leg.stop_loss,
        take_profit=leg.take_profit,
        trigger_price=leg.trigger_price,
        closing_costs=plan.later,
        guards=leg.quantity if leg.action is LegAction.KEEP else ZERO,
        replaces=leg.replaces,
        top_up=TopUp(leg.margin) if leg.action is LegAction.TOP_UP else None,
    )


def hedge_for(
    plan: Plan, known: Hedge | None, view: AccountView, quote: Quote, *, hedge_id: HedgeId, number: int
) -> Hedge:
    """The hedge that the plan works on: the ledger's, or a new one that adopts what the venue holds."""
    hedge = known or _new_hedge(plan, view, quote, hedge_id=hedge_id, number=number)
    for leg in plan.legs:
        if hedge.leg(leg.role).side is not leg.side:
            raise InvariantBroken(f"the {leg.role} leg of hedge {hedge.id} is no {leg.side}")
        if leg.action is LegAction.OPEN:
            hedge = _protecting(_with_settings(hedge, leg), leg.role)
    return hedge


def _protecting(hedge: Hedge, opened: LegRole) -> Hedge:
    """What stands alone when its counterpart is opened is what the hedge protects from then on."""
    alone = hedge.leg(opened).quantity == 0 < hedge.leg(opened.counterpart).quantity
    return replace(hedge, protected=opened.counterpart) if alone else hedge


def _with_settings(hedge: Hedge, plan: LegPlan) -> Hedge:
    leg = replace(hedge.leg(plan.role), leverage=plan.leverage, margin_mode=plan.margin_mode)
    return hedge.with_leg(leg)


def _new_hedge(plan: Plan, view: AccountView, quote: Quote, *, hedge_id: HedgeId, number: int) -> Hedge:
    owner = Owner(quote.user_id, quote.account_id, hedge_id, number)
    return found_hedge(plan.symbol, _primary_side(plan.legs), view, owner)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose hedge it becomes, and how it is called."""

    user_id: UserId
    account_id: AccountId
    hedge_id: HedgeId
    number: int


def found_hedge(symbol: Symbol, side: PositionSide, view: AccountView, owner: Owner) -> Hedge:
    """What the venue holds on the market, both legs where there are two; ``side`` is the primary's."""
    hedge = Hedge(
        id=owner.hedge_id,
        number=owner.number,
        user_id=owner.user_id,
        account_id=owner.account_id,
        symbol=symbol,
        primary=_leg_found(LegRole.PRIMARY, side, symbol, view),
        opened_at=_opened_at(symbol, view),
        fills_seen_at=view.at,
        funding_seen_at=view.at,
    )
    offset = view.position(symbol, side.opposite)
    return hedge if offset is None else hedge.with_leg(adopted_leg(LegRole.OFFSET, offset))


def _primary_side(legs: Sequence[LegPlan]) -> PositionSide:
    primary = next((leg for leg in legs if leg.role is LegRole.PRIMARY), None)
    return primary.side if primary is not None else legs[0].side.opposite


def _leg_found(role: LegRole, side: PositionSide, symbol: Symbol, view: AccountView) -> Leg:
    position = view.position(symbol, side)
    return Leg(role, side) if position is None else adopted_leg(role, position)


def _opened_at(symbol: Symbol, view: AccountView) -> datetime:
    instants = [p.opened_at for p in view.positions if p.symbol == symbol and p.opened_at]
    return min(instants, default=view.at)


# --- pairs that close at a price ----------------------------------------------------------------


def fired_pair(hedge: Hedge, intents: tuple[OrderIntent, ...]) -> OrderIntent | None:
    """The half of a conditional close that did not fire although the other did, and has a leg to close."""
    at_price = [i for i in intents if i.purpose is Purpose.CLOSE_AT_PRICE]
    for fired in reversed([i for i in at_price if i.status is IntentStatus.FILLED]):
        twins = [i for i in at_price if i.operation_id == fired.operation_id and i.leg is not fired.leg]
        if not twins or any(twin.status is IntentStatus.FILLED for twin in twins):
            continue
        if hedge.leg(twins[-1].leg).quantity > 0:
            return twins[-1]
    return None


def rest_of_pair(
    origin: Operation, hedge: Hedge, left: OrderIntent, *, operation_id: OperationId, now: datetime
) -> Operation:
    price = left.trigger_price or ZERO
    quantity = min(left.left, hedge.leg(left.leg).quantity)
    return replace(
        origin,
        id=operation_id,
        kind=OperationKind.CLOSE,
        targets=(Target(left.leg, LegAction.CLOSE, quantity, price, stage=0),),
        started_at=now,
        deadline_at=now + DEADLINE,
        way=CloseWay.SINGLE,
        stage=0,
        finished_at=None,
        status=OperationStatus.RUNNING,
        reason="",
        card=None,
        version=0,
    )
