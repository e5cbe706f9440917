"""From a confirmed quote to operations and the hedges they work on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, HedgeId, Leg, LegRole
from chatbot.domain.instrument import ZERO, PositionSide, Symbol
from chatbot.domain.intent import IntentStatus, OperationId, OrderIntent, Purpose
from chatbot.domain.ledger import adopted_leg
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target
from chatbot.domain.pnl import ClosingCosts
from chatbot.domain.quote import (
    CloseAllQuote,
    CloseQuote,
    CloseWay,
    HedgeQuote,
    LegAction,
    LegPlan,
    OpenQuote,
    Quote,
)
from chatbot.errors import InvariantBroken, NotFound

DEADLINE = timedelta(seconds=30)
CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Plan:
    """One operation to be, on one symbol."""

    kind: OperationKind
    symbol: Symbol
    legs: tuple[LegPlan, ...]
    way: CloseWay | None = None


def plans_of(quote: Quote, choice: str) -> tuple[Plan, ...]:
    """What the tapped button stands for; an unknown choice is a forged one."""
    offer = quote.offer
    if isinstance(offer, CloseQuote):
        return (_close_plan(offer, choice),)
    if choice != CONFIRM:
        raise NotFound("That button is not part of this offer.")
    if isinstance(offer, CloseAllQuote):
        return tuple(_close_plan(close, close.ways[0].way) for close in offer.closes)
    kind = OperationKind.OPEN if isinstance(offer, OpenQuote) else OperationKind.HEDGE
    return (Plan(kind, offer.symbol, offer.plans),)


def _close_plan(offer: CloseQuote, choice: str) -> Plan:
    quoted = next((way for way in offer.ways if way.way == choice), None)
    if quoted is None:
        raise NotFound("That button is not part of this offer.")
    return Plan(OperationKind.CLOSE, offer.symbol, quoted.plans, quoted.way)


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
        targets=tuple(_target(plan, index, leg, _later_costs(quote)) for index, leg in enumerate(plan.legs)),
        started_at=now,
        deadline_at=now + DEADLINE,
        way=plan.way,
        card=card,
    )


def _later_costs(quote: Quote) -> ClosingCosts | None:
    """What the offer to hedge says that closing the pair will cost: the card of the result says the same."""
    offer = quote.offer
    if not isinstance(offer, HedgeQuote) or offer.paired_quantity <= 0:
        return None
    return ClosingCosts(offer.fees_to_close, offer.spread_cost).times(1 / offer.paired_quantity)


def _target(plan: Plan, index: int, leg: LegPlan, later: ClosingCosts | None) -> Target:
    return Target(
        role=leg.role,
        action=leg.action,
        quantity=leg.quantity,
        expected_price=leg.expected_price,
        stage=index if plan.way is CloseWay.OFFSET_FIRST else 0,
        stop_loss=leg.stop_loss,
        take_profit=leg.take_profit,
        trigger_price=leg.trigger_price,
        closing_costs=later,
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
            hedge = _with_settings(hedge, leg)
    return hedge


def _with_settings(hedge: Hedge, plan: LegPlan) -> Hedge:
    leg = replace(hedge.leg(plan.role), leverage=plan.leverage, margin_mode=plan.margin_mode)
    return hedge.with_leg(leg)


def _new_hedge(plan: Plan, view: AccountView, quote: Quote, *, hedge_id: HedgeId, number: int) -> Hedge:
    side = _primary_side(plan.legs)
    hedge = Hedge(
        id=hedge_id,
        number=number,
        user_id=quote.user_id,
        account_id=quote.account_id,
        symbol=plan.symbol,
        primary=_leg_found(LegRole.PRIMARY, side, plan.symbol, view),
        opened_at=_opened_at(plan.symbol, view),
        fills_seen_at=view.at,
        funding_seen_at=view.at,
    )
    offset = view.position(plan.symbol, side.opposite)
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
