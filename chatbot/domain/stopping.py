"""Offers to set, move and remove the stops of one leg."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.closing import leg_named, legs_held
from chatbot.domain.hedge import Hedge, HedgeId, LegRole
from chatbot.domain.instrument import ZERO, Instrument, PositionSide
from chatbot.domain.intent import Purpose, placed_for
from chatbot.domain.margin import leg_liquidation, pair_liquidation
from chatbot.domain.order import OrderReport, OrderType
from chatbot.domain.pnl import fee, unrealized_pnl
from chatbot.domain.quote import LegAction, LegLiquidation, LegPlan, StopChange, StopsQuote, StopsRequest
from chatbot.domain.refusals import market_of, price_on_grid, stop_loss_for, take_profit_for
from chatbot.domain.wording import market_name, price_text
from chatbot.errors import BadArgument, NotFound

FORM = "/adjust #ID [long|short] sl|tp PRICE|off"
_TYPES = {
    Purpose.STOP_LOSS: OrderType.STOP_LOSS,
    Purpose.TAKE_PROFIT: OrderType.TAKE_PROFIT,
    Purpose.CLOSE_AT_PRICE: OrderType.TRIGGER,
}
_NAMES = {Purpose.STOP_LOSS: "stop-loss", Purpose.TAKE_PROFIT: "take-profit"}


@dataclass(frozen=True, slots=True)
class _Leg:
    role: LegRole
    position: Position
    view: AccountView
    instrument: Instrument
    mark: Decimal
    hedge_id: HedgeId | None

    @property
    def side(self) -> PositionSide:
        return self.position.side

    def resting(self, purpose: Purpose) -> tuple[OrderReport, ...]:
        mine = (self.position.symbol, self.side, _TYPES[purpose])
        return tuple(o for o in self.view.open_orders if (o.symbol, o.position_side, o.type) == mine)

    def placed_by_us(self, order: OrderReport) -> bool:
        return self.hedge_id is not None and placed_for(self.hedge_id, order.client_order_id)


def quote_stops(
    request: StopsRequest,
    hedge: Hedge | None,
    view: AccountView,
    instrument: Instrument,
) -> StopsQuote:
    """Stops that were set outside the bot stay where they are. Raises ``UserError`` with the reason."""
    legs = legs_held(view, instrument, hedge)
    mark = market_of(view, instrument).mark_price
    if Purpose.CLOSE_AT_PRICE in request.remove:
        return _no_closing_price(hedge, legs, view, instrument, mark)
    wanted = _wanted(request)
    name = request.leg or _side_meant(request, hedge, legs, view, instrument)
    role, position = leg_named(name, legs, instrument, hedge)
    leg = _Leg(role, position, view, instrument, mark, None if hedge is None else hedge.id)
    plan = _plan(leg, request, wanted)
    changes = tuple(_change(leg, plan, purpose) for purpose in wanted)
    _require_a_difference(leg, changes)
    liquidation = leg_liquidation(instrument, leg.position, view)
    return StopsQuote(
        symbol=instrument.symbol,
        hedge_id=None if hedge is None else hedge.id,
        hedge_number=None if hedge is None else hedge.number,
        plans=(plan,),
        mark_price=mark,
        changes=changes,
        liquidation=liquidation,
        lock_currency=instrument.settle,
        warnings=tuple(_warnings(leg, plan, liquidation, wanted, paired=len(legs) > 1)),
    )


def _no_closing_price(
    hedge: Hedge | None,
    legs: dict[LegRole, Position],
    view: AccountView,
    instrument: Instrument,
    mark: Decimal,
) -> StopsQuote:
    """The orders that were to close both legs at a price are taken back."""
    hedge_id = None if hedge is None else hedge.id
    waiting = [_Leg(role, position, view, instrument, mark, hedge_id) for role, position in legs.items()]
    waiting = [leg for leg in waiting if _prices_of_ours(leg, Purpose.CLOSE_AT_PRICE)]
    if not waiting:
        raise NotFound(f"No closing order of mine rests on {market_name(instrument)}.")
    prices = dict.fromkeys(p for leg in waiting for p in _prices_of_ours(leg, Purpose.CLOSE_AT_PRICE))
    return StopsQuote(
        symbol=instrument.symbol,
        hedge_id=hedge_id,
        hedge_number=None if hedge is None else hedge.number,
        plans=tuple(_kept(leg, (Purpose.CLOSE_AT_PRICE,)) for leg in waiting),
        mark_price=mark,
        changes=(StopChange(Purpose.CLOSE_AT_PRICE, tuple(prices), None, None),),
        liquidation=pair_liquidation(instrument, view),
        lock_currency=instrument.settle,
    )


def _wanted(request: StopsRequest) -> tuple[Purpose, ...]:
    prices = {Purpose.STOP_LOSS: request.stop_loss, Purpose.TAKE_PROFIT: request.take_profit}
    twice = [purpose for purpose in request.remove if prices[purpose] is not None]
    if twice:
        raise BadArgument(f"Set the {_NAMES[twice[0]]} or remove it, not both.", form=FORM)
    wanted = tuple(p for p in prices if prices[p] is not None or p in request.remove)
    if not wanted:
        raise BadArgument("I need a stop to set: `sl PRICE` or `tp PRICE`.", form=FORM)
    return wanted


def _sides_with(purpose: Purpose, hedge: Hedge | None, view: AccountView) -> set[PositionSide]:
    """Where such a stop of ours rests."""
    if hedge is None:
        return set()
    kind = _TYPES[purpose]
    mine = (o for o in view.open_orders if o.type is kind and placed_for(hedge.id, o.client_order_id))
    return {order.position_side for order in mine}


def _side_meant(
    request: StopsRequest,
    hedge: Hedge | None,
    legs: dict[LegRole, Position],
    view: AccountView,
    instrument: Instrument,
) -> PositionSide:
    """A stop-loss under the price can only be a long's, one above it only a short's; targets the reverse."""
    if len(legs) == 1:
        return next(iter(legs.values())).side
    mark, sides = market_of(view, instrument).mark_price, set()
    if request.stop_loss is not None:
        price = price_on_grid(instrument, request.stop_loss, name="The stop-loss")
        sides.add(PositionSide.LONG if price < mark else PositionSide.SHORT)
    if request.take_profit is not None:
        price = price_on_grid(instrument, request.take_profit, name="The take-profit")
        sides.add(PositionSide.LONG if price > mark else PositionSide.SHORT)
    sides |= {side for purpose in request.remove for side in _sides_with(purpose, hedge, view)}
    if len(sides) == 1:
        return sides.pop()
    raise BadArgument(
        "Both legs are open; name the one that is meant: `long` or `short`.",
        form=FORM,
        example=f"/adjust {market_name(instrument)} long sl off",
    )


def _plan(leg: _Leg, request: StopsRequest, wanted: tuple[Purpose, ...]) -> LegPlan:
    instrument, side = leg.instrument, leg.side
    return replace(
        _kept(leg, wanted),
        stop_loss=stop_loss_for(instrument, side, request.stop_loss, leg.mark),
        take_profit=take_profit_for(instrument, side, request.take_profit, leg.mark),
    )


def _kept(leg: _Leg, replaces: tuple[Purpose, ...]) -> LegPlan:
    position = leg.position
    return LegPlan(
        role=leg.role,
        side=leg.side,
        action=LegAction.KEEP,
        quantity=position.quantity,
        expected_price=leg.mark,
        fee=ZERO,
        slippage_bps=ZERO,
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        replaces=replaces,
    )


def _change(leg: _Leg, plan: LegPlan, purpose: Purpose) -> StopChange:
    after = plan.stop_loss if purpose is Purpose.STOP_LOSS else plan.take_profit
    result = None if after is None else _result_at(leg, after)
    return StopChange(purpose, _prices_of_ours(leg, purpose), after, result)


def _prices_of_ours(leg: _Leg, purpose: Purpose) -> tuple[Decimal, ...]:
    return tuple(
        order.trigger_price
        for order in leg.resting(purpose)
        if order.trigger_price is not None and leg.placed_by_us(order)
    )


def _result_at(leg: _Leg, price: Decimal) -> Decimal:
    """Of the leg alone, its closing fee included."""
    instrument, position = leg.instrument, leg.position
    gain = unrealized_pnl(instrument, leg.side, position.quantity, position.entry_price, price)
    return gain - fee(instrument, position.quantity, price)


def _require_a_difference(leg: _Leg, changes: tuple[StopChange, ...]) -> None:
    for change in changes:
        name = _NAMES[change.purpose]
        if change.after is None and not change.before:
            raise NotFound(f"The {leg.side} has no {name} that I could remove.")
    same = [c for c in changes if c.after is not None and c.before == (c.after,)]
    if len(same) == len(changes) and not _uncovered(leg, changes):
        at = price_text(leg.instrument, same[0].after or ZERO)
        raise BadArgument(f"The {_NAMES[same[0].purpose]} of the {leg.side} is at {at} already.")


def _uncovered(leg: _Leg, changes: tuple[StopChange, ...]) -> bool:
    """A stop at the same price that covers less than the leg is worth setting again."""
    return any(
        sum((order.quantity for order in leg.resting(change.purpose)), ZERO) != leg.position.quantity
        for change in changes
    )


def _warnings(
    leg: _Leg,
    plan: LegPlan,
    liquidation: LegLiquidation,
    wanted: tuple[Purpose, ...],
    *,
    paired: bool,
) -> Iterator[str]:
    instrument, end = leg.instrument, liquidation.price
    if paired and (plan.stop_loss is not None or plan.take_profit is not None):
        yield f"A stop on the {leg.side} alone leaves the {leg.side.opposite} naked when it fires."
    if plan.stop_loss is not None and end is not None and (plan.stop_loss - end) * leg.side.sign <= 0:
        yield f"The stop-loss lies beyond the liquidation at {price_text(instrument, end)}."
    for purpose in wanted:
        for order in leg.resting(purpose):
            if not leg.placed_by_us(order) and order.trigger_price is not None:
                at = price_text(instrument, order.trigger_price)
                yield f"The {_NAMES[purpose]} at {at} was set outside the bot and stays."
