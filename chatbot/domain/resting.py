"""What rests on the exchange and may stand in the way of a close at a price, or outlive one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import Instrument
from chatbot.domain.intent import placed_for
from chatbot.domain.order import OrderReport, OrderType
from chatbot.domain.wording import percent, price_text

_NAMES = {
    OrderType.STOP_LOSS: "stop-loss",
    OrderType.TAKE_PROFIT: "take-profit",
    OrderType.TRIGGER: "closing order",
}


def closing_orders(hedge: Hedge | None, view: AccountView, leg: Position) -> tuple[OrderReport, ...]:
    """That the bot has set to close this leg at a price."""
    return tuple(order for order in _of_leg(view, leg) if _closes_at_a_price(hedge, order))


def _of_leg(view: AccountView, leg: Position) -> Iterator[OrderReport]:
    mine = (leg.symbol, leg.side)
    return (o for o in view.open_orders if (o.symbol, o.position_side) == mine and o.type in _NAMES)


def _closes_at_a_price(hedge: Hedge | None, order: OrderReport) -> bool:
    ours = hedge is not None and placed_for(hedge.id, order.client_order_id)
    return ours and order.type is OrderType.TRIGGER


def fires_before(
    instrument: Instrument,
    hedge: Hedge | None,
    view: AccountView,
    leg: Position,
    *,
    trigger: Decimal,
    paired: bool,
) -> Iterator[str]:
    """Orders of the leg that fire on the way from the mark price to the price that it is to be closed at.

    Closing orders of our own are no obstacle: the new one takes their place.
    """
    mark = view.markets[leg.symbol].mark_price
    for order in _of_leg(view, leg):
        at = order.trigger_price
        on_the_way = at is not None and min(mark, trigger) <= at <= max(mark, trigger)
        if at is None or not on_the_way or _closes_at_a_price(hedge, order):
            continue
        what = f"The {_NAMES[order.type]} of the {leg.side} at {price_text(instrument, at)} fires"
        naked = f" and leaves the {leg.side.opposite} naked" if paired else ""
        yield f"{what} at that price too." if at == trigger else f"{what} before that price{naked}."


def replaced(
    instrument: Instrument,
    hedge: Hedge | None,
    view: AccountView,
    legs: Sequence[Position],
    *,
    fraction: Decimal,
) -> Iterator[str]:
    """An earlier closing price that makes room, and how much of the legs it would have closed."""
    orders = [(leg, order) for leg in legs for order in closing_orders(hedge, view, leg)]
    prices = [order.trigger_price for _, order in orders if order.trigger_price is not None]
    if not prices:
        return
    what = "order" if len(orders) == 1 else "orders"
    at = " and ".join(price_text(instrument, price) for price in dict.fromkeys(prices))
    before = max(order.quantity / leg.quantity for leg, order in orders)
    if percent(before) == percent(fraction):
        yield f"It replaces the closing {what} at {at}."
    else:
        yield f"It replaces the closing {what} at {at}: they close {percent(before)}, it {percent(fraction)}."


def left_by_lifting(
    instrument: Instrument, hedge: Hedge | None, view: AccountView, kept: Position
) -> Iterator[str]:
    """Taking one leg off takes its own closing order along, not that of the other."""
    for order in closing_orders(hedge, view, kept):
        if order.trigger_price is not None:
            at = price_text(instrument, order.trigger_price)
            yield f"Only the offset: the closing order of the {kept.side} at {at} stays."
