"""Orders on the floor: taken in, walked through the book, rested, fired, canceled."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from chatbot.domain.instrument import ZERO
from chatbot.domain.order import (
    Accepted,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Outcome,
)
from chatbot.venues.paper.book import Piece
from chatbot.venues.paper.checks import (
    REDUCE_ONLY,
    WRONG_SIDE,
    Submission,
    blocks_opening,
    fires_above,
    lacks_margin,
    refusal,
)
from chatbot.venues.paper.floor import Floor, with_fills
from chatbot.venues.paper.ledger import Execution
from chatbot.venues.paper.state import AccountState, WorkingOrder

WHOLE = Decimal(1)
TOO_THIN = "The order book is too thin for the rest."
NO_LEG = "There was no position left to close."


def submit(
    floor: Floor, account: AccountState, request: OrderRequest, *, clock_now: datetime, share: Decimal = WHOLE
) -> Outcome:
    """``share`` under one makes a market order stop half way, as on a thin book."""
    submission = _submission(floor, account, request, clock_now)
    if rejected := refusal(submission):
        return rejected
    order = WorkingOrder(_new_report(floor, request))
    match request.type:
        case OrderType.MARKET:
            _run_market(floor, account, order, request.quantity * share)
        case OrderType.LIMIT:
            _run_limit(floor, account, order)
        case _:
            order.fires_above = fires_above(request, submission.market.prices.mark)
    floor.keep_order(account, order)
    return Accepted(order.report)


def fire(floor: Floor, account: AccountState, order: WorkingOrder, clock_now: datetime) -> None:
    """The trigger was crossed: a market order now, trimmed to the leg that it closes."""
    report = order.report
    request = replace(_request_of(report, clock_now), type=OrderType.MARKET)
    submission = _submission(floor, account, request, clock_now)
    if submission.opens:
        reason = _refused_opening(submission)
        quantity = report.quantity
    else:
        quantity = min(report.quantity, submission.held)
        reason = "" if quantity else NO_LEG
    if reason:
        floor.end_order(account, order, OrderStatus.EXPIRED, reason)
        return
    _run_market(floor, account, order, quantity)
    floor.keep_order(account, order)


def _refused_opening(submission: Submission) -> str:
    request = submission.request
    if blocks_opening(submission.account, request.symbol, request.position_side):
        return WRONG_SIDE.reason
    rejected = lacks_margin(submission, request.quantity)
    return rejected.reason if rejected else ""


def crossed(order: WorkingOrder, mark: Decimal) -> bool:
    trigger = order.report.trigger_price
    if trigger is None:
        return False
    return mark >= trigger if order.fires_above else mark <= trigger


def meet_resting(floor: Floor, account: AccountState, order: WorkingOrder) -> None:
    """The price came to a resting order: it fills as maker, at its own price, as far as the book goes."""
    report = order.report
    market = floor.markets[report.symbol]
    assert report.limit_price is not None  # noqa: S101 - only limit orders rest
    if not market.reaches(report.side, report.limit_price):
        return
    quantity = _fillable(account, order)
    if not quantity:
        rejected = REDUCE_ONLY if report.side is report.position_side.closing else WRONG_SIDE
        floor.end_order(account, order, OrderStatus.EXPIRED, rejected.reason)
        return
    pieces = market.offer(report.side, quantity, limit=report.limit_price)
    market.take(report.side, pieces, floor.now)
    filled = sum((quantity for _, quantity in pieces), ZERO)
    if filled:
        _trade(floor, account, order, [(report.limit_price, filled)], maker=True)
        floor.keep_order(account, order)


def _fillable(account: AccountState, order: WorkingOrder) -> Decimal:
    """What the account may still do of it: no more than the leg holds, and no second leg in one-way mode."""
    report = order.report
    if report.side is report.position_side.opening:
        blocked = blocks_opening(account, report.symbol, report.position_side)
        return ZERO if blocked else order.remaining
    leg = account.legs.get((report.symbol, report.position_side))
    return min(order.remaining, leg.quantity if leg else ZERO)


def _run_market(floor: Floor, account: AccountState, order: WorkingOrder, quantity: Decimal) -> None:
    report = order.report
    market = floor.markets[report.symbol]
    pieces = market.offer(report.side, market.instrument.round_quantity(quantity))
    market.take(report.side, pieces, floor.now)
    _trade(floor, account, order, pieces, maker=False)
    if order.remaining:
        order.report = replace(order.report, status=OrderStatus.CANCELED, reason=TOO_THIN)


def _run_limit(floor: Floor, account: AccountState, order: WorkingOrder) -> None:
    report = order.report
    market = floor.markets[report.symbol]
    pieces = market.offer(report.side, report.quantity, limit=report.limit_price)
    market.take(report.side, pieces, floor.now)
    _trade(floor, account, order, pieces, maker=False)


def _trade(
    floor: Floor, account: AccountState, order: WorkingOrder, pieces: list[Piece], *, maker: bool
) -> None:
    report = order.report
    instrument = floor.instruments[report.symbol]
    execution = Execution(
        instrument=instrument,
        side=report.side,
        position_side=report.position_side,
        fee_rate=instrument.maker_fee_rate if maker else instrument.taker_fee_rate,
        at=floor.now,
        client_order_id=report.client_order_id,
    )
    order.report = with_fills(report, floor.trade(account, execution, pieces), floor.now)


def _submission(
    floor: Floor, account: AccountState, request: OrderRequest, clock_now: datetime
) -> Submission:
    market = floor.markets[request.symbol]
    return Submission(request, account, market, floor.instruments, floor.mark, clock_now)


def _new_report(floor: Floor, request: OrderRequest) -> OrderReport:
    return OrderReport(
        client_order_id=request.client_order_id,
        venue_order_id=floor.next_order_id(),
        symbol=request.symbol,
        side=request.side,
        position_side=request.position_side,
        type=request.type,
        status=OrderStatus.OPEN,
        quantity=request.quantity,
        filled_quantity=ZERO,
        average_price=None,
        fee=ZERO,
        updated_at=floor.now,
        reduce_only=request.reduce_only,
        limit_price=request.limit_price,
        trigger_price=request.trigger_price,
    )


def _request_of(report: OrderReport, clock_now: datetime) -> OrderRequest:
    return OrderRequest(
        client_order_id=report.client_order_id,
        symbol=report.symbol,
        side=report.side,
        position_side=report.position_side,
        type=report.type,
        quantity=report.quantity,
        reduce_only=report.reduce_only,
        valid_until=clock_now,
    )
