"""Margin into an isolated leg: journaled by the driver, sent once, and looked up where the answer is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chatbot.domain import topping_up
from chatbot.domain.account import AccountView, Position
from chatbot.domain.instrument import ZERO, MarginMode, PositionSide
from chatbot.domain.operation import Operation, TopUp
from chatbot.domain.saga import GONE
from chatbot.errors import InvariantBroken, OutcomeUnknown, VenueRejected, VenueUnavailable
from chatbot.ports import Clock
from chatbot.services.evidence import GRACE
from chatbot.services.reading import read_until_answered
from chatbot.services.run import VALIDITY, Run

NOT_TOLD = "the leg changed meanwhile, so nothing tells whether the margin has arrived"


@dataclass(frozen=True, slots=True)
class _Wish:
    side: PositionSide
    top_up: TopUp


def _wish(run: Run) -> _Wish:
    target = run.operation.targets[0]
    if target.top_up is None:
        raise InvariantBroken(f"operation {run.operation.id} adds margin and does not say how much")
    return _Wish(run.hedge.leg(target.role).side, target.top_up)


async def prepare(run: Run, clock: Clock) -> Operation:
    """As it is to be journaled before it is sent: with what the leg holds now."""
    view = await _look(run, clock)
    held = _isolated(run, view)
    if held is None or held.margin is None:
        return topping_up.margin_refused(run.operation, GONE)
    return topping_up.margin_sent(run.operation, before=held.margin, seen_at=view.at, now=clock.now())


async def send(run: Run, clock: Clock) -> Operation:
    """Once. Without an answer the operation comes back as it is: sent, and nobody knows."""
    wish = _wish(run)
    if wish.top_up.sent_at is not None and clock.now() >= wish.top_up.sent_at + VALIDITY:
        # A journal that took too long to write must not send what is looked up too early then.
        return topping_up.margin_not_sent(run.operation, "not sent: it had become too old")
    try:
        await run.venue.add_margin(run.hedge.symbol, wish.side, wish.top_up.amount)
    except VenueRejected as error:
        return topping_up.margin_refused(run.operation, error.message)
    except VenueUnavailable as error:
        return topping_up.margin_not_sent(run.operation, error.message)
    except OutcomeUnknown:
        return run.operation
    return topping_up.margin_arrived(run.operation, await _liquidation_price(run))


async def _liquidation_price(run: Run) -> Decimal | None:
    """For the card; the margin is there whether or not this can be read."""
    try:
        held = _isolated(run, await run.venue.view({run.hedge.symbol}))
    except VenueUnavailable:
        return None
    return None if held is None else held.liquidation_price


async def look_up(run: Run, clock: Clock) -> Operation:
    """After the request can no longer arrive the leg's own margin says whether it did."""
    wish = _wish(run)
    top_up = wish.top_up
    if top_up.sent_at is None or top_up.before is None or top_up.seen_at is None:
        raise InvariantBroken(f"operation {run.operation.id} has sent a margin that it does not know")
    await _wait_until(clock, top_up.sent_at + VALIDITY + GRACE)
    view = await _look(run, clock)
    held = _isolated(run, view)
    booked = run.hedge.leg(run.operation.targets[0].role).quantity
    if held is None or held.margin is None or held.quantity != booked:
        return topping_up.margin_refused(run.operation, NOT_TOLD)
    funding = await _funding_since(run, clock, wish.side, top_up.seen_at)
    arrived = topping_up.has_arrived(
        before=top_up.before, now=held.margin, amount=top_up.amount, funding=funding
    )
    if arrived:
        return topping_up.margin_arrived(run.operation, held.liquidation_price)
    return topping_up.margin_refused(run.operation, "the request never reached the exchange")


async def _wait_until(clock: Clock, moment: datetime) -> None:
    if (left := (moment - clock.now()).total_seconds()) > 0:
        await clock.sleep(left)


async def _look(run: Run, clock: Clock) -> AccountView:
    return await read_until_answered(clock, lambda: run.venue.view({run.hedge.symbol}))


def _isolated(run: Run, view: AccountView) -> Position | None:
    position = view.position(run.hedge.symbol, _wish(run).side)
    return position if position is not None and position.margin_mode is MarginMode.ISOLATED else None


async def _funding_since(run: Run, clock: Clock, side: PositionSide, since: datetime) -> Decimal:
    payments = await read_until_answered(clock, lambda: run.venue.funding_payments(run.hedge.symbol, since))
    return sum((p.amount for p in payments if p.side is side and p.at > since), ZERO)
