"""Orders, executions and funding as Bybit v5 tells them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    OrderSide,
)
from chatbot.domain.order import FillCause, FundingPayment, OrderStatus, OrderType
from tests.wire.venues.bybit_words import (
    CREATED_BY,
    EXEC_TYPES,
    IDS,
    INDEXES,
    POSITION_SIDES,
    SIDES,
    order_id,
)
from tests.wire.venues.orders import WireFill, WireOrder
from tests.wire.venues.server import plain, to_ms


def status(order: WireOrder) -> str:
    standing = order.standing
    match standing.status:
        case OrderStatus.OPEN if order.conditional:
            return "Untriggered"
        case OrderStatus.OPEN:
            return "PartiallyFilled" if standing.filled else "New"
        case OrderStatus.FILLED:
            return "Filled"
    if order.conditional and not standing.fired:
        return "Deactivated"
    return (
        "PartiallyFilledCanceled" if standing.filled and order.wish.type is OrderType.MARKET else "Cancelled"
    )


def order(order: WireOrder, instrument: Instrument) -> dict[str, Any]:
    wish, standing = order.wish, order.standing
    limited = wish.type is OrderType.LIMIT
    left = ZERO if standing.status.final else wish.quantity - standing.filled
    rises = order.conditional and (wish.type is OrderType.STOP_LOSS) is (wish.side is OrderSide.BUY)
    return {
        "symbol": IDS[wish.symbol],
        "orderType": "Limit" if limited else "Market",
        "orderLinkId": wish.client_order_id,
        "orderId": order_id(order.number),
        "cancelType": "CancelByUser" if standing.status is OrderStatus.CANCELED else "UNKNOWN",
        "avgPrice": plain(standing.average, 8) if standing.average else "",
        "stopOrderType": "Stop" if order.conditional else "",
        "lastPriceOnCreated": "",
        "orderStatus": status(order),
        "createType": CREATED_BY[FillCause.TRADE],
        "takeProfit": "",
        "stopLoss": "",
        "tpslMode": "",
        "smpType": "None",
        "triggerDirection": (1 if rises else 2) if order.conditional else 0,
        "cumExecQty": plain(standing.filled),
        "cumExecValue": plain(standing.filled * (standing.average or ZERO), 8),
        "cumExecFee": plain(standing.fee, 8),
        "cumFeeDetail": {instrument.settle: plain(standing.fee, 8)} if standing.filled else {},
        "leavesQty": plain(left),
        "leavesValue": plain(left * (wish.limit_price or ZERO)),
        "rejectReason": "EC_NoError",
        "isLeverage": "",
        "price": plain(wish.limit_price),
        "positionIdx": INDEXES[wish.position_side] if wish.position_side else 0,
        "timeInForce": "PostOnly" if wish.post_only else "GTC" if limited and not wish.immediate else "IOC",
        "createdTime": str(to_ms(order.created_at)),
        "updatedTime": str(to_ms(standing.updated_at)),
        "side": SIDES[wish.side],
        "triggerPrice": plain(wish.trigger_price) if wish.trigger_price else "",
        "triggerBy": "MarkPrice" if order.conditional else "",
        "closeOnTrigger": False,
        "placeType": "",
        "reduceOnly": wish.closes or (wish.position_side is not None and not wish.opens),
        "qty": plain(wish.quantity),
        "smpOrderId": "",
    }


def forced_order(fill: WireFill) -> dict[str, Any]:
    done, at = fill.fill, str(to_ms(fill.fill.at))
    return {
        "symbol": IDS[done.symbol],
        "orderType": "Market",
        "orderLinkId": "",
        "orderId": order_id(fill.order_number),
        "cancelType": "UNKNOWN",
        "avgPrice": plain(done.price),
        "stopOrderType": "",
        "orderStatus": "Filled",
        "createType": CREATED_BY[fill.cause],
        "tpslMode": "",
        "triggerDirection": 0,
        "cumExecQty": plain(done.quantity),
        "cumExecValue": plain(done.price * done.quantity),
        "cumExecFee": plain(done.fee, 8),
        "leavesQty": "0",
        "rejectReason": "EC_NoError",
        "price": plain(done.price),
        "positionIdx": INDEXES[done.position_side],
        "timeInForce": "IOC",
        "createdTime": at,
        "updatedTime": at,
        "side": SIDES[done.side],
        "triggerPrice": "",
        "reduceOnly": True,
        "qty": plain(done.quantity),
    }


# --- history ------------------------------------------------------------------------------------


def execution(fill: WireFill, instrument: Instrument) -> dict[str, Any]:
    done, own = fill.fill, fill.order
    number = own.number if own else fill.order_number
    maker = own is not None and done.fee == done.price * done.quantity * instrument.maker_fee_rate
    return {
        "symbol": IDS[done.symbol],
        "orderType": "Limit" if own is None or own.wish.type is OrderType.LIMIT else "Market",
        "underlyingPrice": "",
        "orderLinkId": own.wish.client_order_id if own else "",
        "orderId": order_id(number),
        "stopOrderType": "Stop" if own and own.conditional else "UNKNOWN",
        "execTime": str(to_ms(done.at)),
        "feeRate": plain(done.fee / (done.price * done.quantity), 8),
        "feeCurrency": "",
        "tradeIv": "",
        "blockTradeId": "",
        "markPrice": plain(done.price),
        "execPrice": plain(done.price),
        "markIv": "",
        "orderQty": plain(own.wish.quantity if own else done.quantity),
        "orderPrice": plain(own.wish.limit_price if own else done.price),
        "execValue": plain(done.price * done.quantity),
        "closedSize": "0" if done.opens else plain(done.quantity),
        "execType": EXEC_TYPES[fill.cause],
        "createType": CREATED_BY[fill.cause],
        "seq": int(done.venue_fill_id),
        "side": SIDES[done.side],
        "indexPrice": "",
        "leavesQty": "0",
        "isMaker": maker,
        "execFee": plain(done.fee, 8),
        "execPnl": plain(done.realized_pnl, 8),
        "execId": f"e0000000-0000-5000-8000-{int(done.venue_fill_id):012d}",
        "marketUnit": "",
        "execQty": plain(done.quantity),
    }


def funding(payment: FundingPayment, quantity: Decimal, mark: Decimal) -> dict[str, Any]:
    """``execFee`` positive: paid. ``side`` is that of the position; the rate is the payer's own."""
    number = int(payment.at.timestamp()) * 10 + INDEXES[payment.side]
    value = quantity * mark
    return {
        "symbol": IDS[payment.symbol],
        "orderType": "UNKNOWN",
        "underlyingPrice": "",
        "orderLinkId": "",
        "orderId": f"f0000000-0000-4000-8000-{number:012d}",
        "stopOrderType": "UNKNOWN",
        "execTime": str(to_ms(payment.at)),
        "feeCurrency": "",
        "createType": "",
        "feeRate": plain(payment.side.sign * payment.rate),
        "tradeIv": "",
        "blockTradeId": "",
        "markPrice": plain(mark),
        "execPrice": plain(mark),
        "markIv": "",
        "orderQty": "0",
        "orderPrice": "0",
        "execValue": plain(value),
        "closedSize": "0",
        "execType": "Funding",
        "seq": number,
        "side": POSITION_SIDES[payment.side],
        "indexPrice": "",
        "leavesQty": "0",
        "isMaker": False,
        "execFee": plain(ZERO - payment.amount),
        "execId": f"f0000000-0000-5000-8000-{sum(map(ord, payment.symbol)):04d}{number % 10**8:08d}",
        "marketUnit": "",
        "execQty": plain(quantity),
    }
