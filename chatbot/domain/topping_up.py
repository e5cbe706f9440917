"""Margin for an isolated leg: what adding it does, how much to suggest, and whether it has arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.closing import leg_named, legs_held
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import ZERO, Instrument, MarginMode
from chatbot.domain.margin import (
    isolated_liquidation_price,
    leg_liquidation,
    liquidation_distance,
    maintenance_margin,
    margin_held,
)
from chatbot.domain.operation import Operation, Target, TopUp
from chatbot.domain.pnl import unrealized_pnl
from chatbot.domain.preview import view_after
from chatbot.domain.quote import LegAction, LegLiquidation, LegPlan, MarginQuote, MarginRequest
from chatbot.domain.refusals import balance_of, market_of
from chatbot.domain.wording import market_name, money
from chatbot.errors import BadArgument, InvariantBroken, LimitExceeded

CENT = {"USDT": Decimal("0.01"), "USDC": Decimal("0.01"), "USD": Decimal("0.01")}
FINEST = Decimal("0.00000001")
FURTHER_AWAY = Decimal("1.5")
OVER_THE_LEVEL = Decimal("1.1")  # a level is left when the distance is better by a tenth of it


def unit_of_money(currency: str) -> Decimal:
    """The finest amount that is moved."""
    return CENT.get(currency, FINEST)


def quote_margin(
    request: MarginRequest, hedge: Hedge | None, view: AccountView, instrument: Instrument
) -> MarginQuote:
    """Raises ``UserError`` with the reason."""
    legs = legs_held(view, instrument, hedge)
    role, position = leg_named(request.leg, legs, instrument, hedge)
    _require_isolated(position, instrument)
    free = balance_of(view, instrument).free
    amount = _amount(request.amount, free, instrument)
    mark = market_of(view, instrument).mark_price
    held = margin_held(instrument, position)
    plan = LegPlan(
        role=role,
        side=position.side,
        action=LegAction.TOP_UP,
        quantity=position.quantity,
        expected_price=mark,
        fee=ZERO,
        slippage_bps=ZERO,
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        margin=amount,
    )
    return MarginQuote(
        symbol=instrument.symbol,
        hedge_id=None if hedge is None else hedge.id,
        hedge_number=None if hedge is None else hedge.number,
        plan=plan,
        mark_price=mark,
        margin_before=held,
        margin_free=free,
        liquidation_before=leg_liquidation(instrument, position, view),
        liquidation_after=liquidation_with(instrument, position, view, amount),
        lock_currency=instrument.settle,
    )


def _require_isolated(position: Position, instrument: Instrument) -> None:
    if position.margin_mode is MarginMode.CROSS:
        raise LimitExceeded(
            f"Your {position.side} on {market_name(instrument)} is in cross margin: the whole account stands "
            f"behind it, so money is added to the account, not to the leg."
        )


def _amount(wanted: Decimal, free: Decimal, instrument: Instrument) -> Decimal:
    currency = instrument.settle
    if not wanted.is_finite() or wanted <= 0:
        raise BadArgument("The amount must be more than zero.", example="/margin #3 short 60")
    if wanted > free:
        raise LimitExceeded(
            f"{money(free, currency)} are free; {money(wanted, currency)} is more than that. "
            "Close something or add money."
        )
    unit = unit_of_money(currency)
    amount = (wanted / unit).to_integral_value(ROUND_DOWN) * unit
    if amount <= 0:
        raise BadArgument(f"The smallest amount is {unit:f} {currency}.", example="/margin #3 short 60")
    return amount


def liquidation_with(
    instrument: Instrument, position: Position, view: AccountView, amount: Decimal
) -> LegLiquidation:
    """Of an isolated leg once ``amount`` has been added to its margin."""
    richer = replace(position, margin=margin_held(instrument, position) + amount, liquidation_price=None)
    return leg_liquidation(instrument, richer, view_after(view, instrument, richer))


# --- a suggestion -------------------------------------------------------------------------------


def suggested_top_up(
    instrument: Instrument, position: Position, view: AccountView, levels: Sequence[Decimal]
) -> Decimal | None:
    """What takes an isolated leg half as far again from its liquidation, at least over the level that it
    has fallen under; less where less is free.

    ``levels`` are liquidation distances that fall with gravity. ``None``: it is far from its liquidation, or
    nothing sensible can be added.
    """
    if position.margin_mode is not MarginMode.ISOLATED:
        return None
    balance = view.balance_in(instrument.settle)
    distance = leg_liquidation(instrument, position, view).distance
    if balance is None or distance is None:
        return None
    reached = [level for level in levels if distance <= level]
    if not reached:
        return None
    goal = max(reached[-1] * OVER_THE_LEVEL, distance * FURTHER_AWAY)
    needed = _margin_for(instrument, position, view, goal)
    amount = min(_rounded_up(needed), _rounded_down(balance.free)) if needed > 0 else ZERO
    worth_it = amount > 0 and _moves(instrument, position, view, amount)
    return amount if worth_it else None


def _margin_for(instrument: Instrument, position: Position, view: AccountView, distance: Decimal) -> Decimal:
    """To be added so that equity meets maintenance at this distance from the mark price."""
    mark = view.markets[position.symbol].mark_price
    end = mark * (1 - position.side.sign * distance)
    if end <= 0:
        return ZERO
    loss = unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, end)
    needed = maintenance_margin(instrument, position.quantity, end) - loss
    return needed - margin_held(instrument, position)


def _moves(instrument: Instrument, position: Position, view: AccountView, amount: Decimal) -> bool:
    """By a tenth of the distance at least: a button that changes nothing is worse than none."""
    mark = view.markets[position.symbol].mark_price
    held = margin_held(instrument, position)
    before, after = (
        liquidation_distance(
            isolated_liquidation_price(instrument, position, margin=margin, mark_price=mark), mark
        )
        for margin in (held, held + amount)
    )
    return before is not None and (after is None or after >= before * OVER_THE_LEVEL)


def _rounded_up(amount: Decimal) -> Decimal:
    """Two digits that count: ``57.3`` is 58."""
    return amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1), ROUND_UP)


def _rounded_down(amount: Decimal) -> Decimal:
    if amount <= 0:
        return ZERO
    return amount.quantize(Decimal(1).scaleb(amount.adjusted() - 1), ROUND_DOWN)


# --- evidence -----------------------------------------------------------------------------------


def has_arrived(*, before: Decimal, now: Decimal, amount: Decimal, funding: Decimal) -> bool:
    """Whether a margin that was seen as ``before`` holds the ``amount`` by now.

    Only funding moves it besides; of the two values that it can have the nearer one is true.
    """
    return now - before - funding >= amount / 2


# --- folds --------------------------------------------------------------------------------------


def margin_sent(operation: Operation, *, before: Decimal, seen_at: datetime, now: datetime) -> Operation:
    """About to be sent: it counts as an attempt from now on."""
    target = operation.targets[0]
    sent_up = replace(_top_up(target), before=before, seen_at=seen_at, sent_at=now)
    return operation.with_target(replace(target, attempts=target.attempts + 1, top_up=sent_up))


def margin_not_sent(operation: Operation, reason: str) -> Operation:
    target = operation.targets[0]
    unsent = replace(target, top_up=replace(_top_up(target), sent_at=None))
    return replace(operation.with_target(unsent), reason=reason)


def margin_refused(operation: Operation, reason: str) -> Operation:
    target = operation.targets[0]
    return replace(operation.with_target(replace(target, given_up=reason)), reason=reason)


def margin_arrived(operation: Operation, liquidation_price: Decimal | None) -> Operation:
    target = operation.targets[0]
    arrived = replace(_top_up(target), arrived=True, liquidation_price=liquidation_price)
    return replace(operation.with_target(replace(target, top_up=arrived)), reason="")


def _top_up(target: Target) -> TopUp:
    if target.top_up is None:
        raise InvariantBroken(f"the {target.role} leg is to get margin and nobody says how much")
    return target.top_up
