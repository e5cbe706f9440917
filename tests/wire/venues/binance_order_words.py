"""Orders, fills and funding as Binance USDⓈ-M tells them."""

from __future__ import annotations

from typing import Any

from chatbot.domain.instrument import ZERO, Instrument, PositionMode, PositionSide
from chatbot.domain.order import FillCause, FundingPayment, OrderStatus, OrderType
from tests.wire.venues.binance_words import IDS, TYPES
from tests.wire.venues.orders import WireFill, WireOrder
from tests.wire.venues.server import plain, to_ms

STATUSES = {
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}


def status(order: WireOrder) -> str:
    standing = order.standing
    if standing.status is OrderStatus.OPEN:
        return "PARTIALLY_FILLED" if standing.filled else "NEW"
    market = order.wish.type is not OrderType.LIMIT or order.wish.immediate
    return "EXPIRED" if market and standing.status is OrderStatus.CANCELED else STATUSES[standing.status]


def shown_side(order: WireOrder) -> str:
    side = order.wish.position_side
    return side.upper() if order.mode is PositionMode.HEDGE and side else "BOTH"


def order(order: WireOrder) -> dict[str, Any]:
    """A normal order, or the one that a conditional order has become."""
    wish, standing = order.wish, order.standing
    fired = order.conditional
    return {
        "orderId": order.fired_number if fired else order.number,
        "symbol": IDS[wish.symbol],
        "status": status(order),
        "clientOrderId": wish.client_order_id,
        "price": plain(wish.limit_price),
        "avgPrice": plain(standing.average, 5),
        "origQty": plain(wish.quantity),
        "executedQty": plain(standing.filled),
        "cumQty": plain(standing.filled),
        "cumQuote": plain(standing.filled * (standing.average or ZERO), 5),
        "timeInForce": "GTX" if wish.post_only else "IOC" if wish.immediate else "GTC",
        "type": "MARKET" if fired else TYPES[wish.type],
        "reduceOnly": (order.mode is PositionMode.HEDGE and not wish.opens) or wish.closes,
        "closePosition": False,
        "side": wish.side.upper(),
        "positionSide": shown_side(order),
        "stopPrice": plain(wish.trigger_price),
        "workingType": "MARK_PRICE" if fired else "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
        "priceProtect": False,
        "origType": TYPES[wish.type],
        "time": to_ms(standing.updated_at if fired else order.created_at),
        "updateTime": to_ms(standing.updated_at),
    }


def algo_status(order: WireOrder) -> str:
    match order.standing.status:
        case OrderStatus.OPEN:
            return "NEW"
        case OrderStatus.CANCELED if not order.standing.fired:
            return "CANCELED"
        case OrderStatus.EXPIRED:
            return "EXPIRED"
    return "FINISHED"


def algo_order(order: WireOrder) -> dict[str, Any]:
    wish, fired = order.wish, order.standing.fired
    at = to_ms(order.standing.updated_at)
    return {
        "algoId": order.number,
        "clientAlgoId": wish.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": TYPES[wish.type],
        "symbol": IDS[wish.symbol],
        "side": wish.side.upper(),
        "positionSide": shown_side(order),
        "timeInForce": "GTC",
        "quantity": plain(wish.quantity),
        "algoStatus": algo_status(order),
        "actualOrderId": str(order.fired_number) if fired else "",
        "actualPrice": plain(order.standing.average),
        "triggerPrice": plain(wish.trigger_price),
        "price": plain(wish.limit_price),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "MARK_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": not wish.opens,
        "createTime": to_ms(order.created_at),
        "updateTime": at,
        "triggerTime": at if fired else 0,
        "goodTillDate": 0,
    }


# --- history ------------------------------------------------------------------------------------

FORCED = {FillCause.LIQUIDATION: "autoclose-", FillCause.AUTO_DELEVERAGING: "adl_autoclose-"}


def forced_client_id(fill: WireFill) -> str:
    return f"{FORCED[fill.cause]}{to_ms(fill.fill.at)}{fill.fill.venue_fill_id.zfill(6)}"


def trade(fill: WireFill, instrument: Instrument, mode: PositionMode) -> dict[str, Any]:
    done = fill.fill
    maker = fill.order is not None and done.fee == done.price * done.quantity * instrument.maker_fee_rate
    return {
        "symbol": IDS[done.symbol],
        "id": int(done.venue_fill_id),
        "orderId": fill.order_number,
        "side": done.side.upper(),
        "price": plain(done.price),
        "qty": plain(done.quantity),
        "realizedPnl": plain(done.realized_pnl, 8),
        "quoteQty": plain(done.price * done.quantity),
        "commission": plain(done.fee, 8),
        "commissionAsset": instrument.settle,
        "time": to_ms(done.at),
        "positionSide": "BOTH" if mode is PositionMode.ONE_WAY else done.position_side.upper(),
        "buyer": done.side == "buy",
        "maker": maker,
    }


def forced_order(fill: WireFill, mode: PositionMode) -> dict[str, Any]:
    done, at = fill.fill, to_ms(fill.fill.at)
    return {
        "orderId": fill.order_number,
        "symbol": IDS[done.symbol],
        "status": "FILLED",
        "clientOrderId": forced_client_id(fill),
        "price": plain(done.price),
        "avgPrice": plain(done.price, 5),
        "origQty": plain(done.quantity),
        "executedQty": plain(done.quantity),
        "cumQuote": plain(done.price * done.quantity),
        "timeInForce": "IOC",
        "type": "LIMIT",
        "reduceOnly": False,
        "closePosition": False,
        "side": done.side.upper(),
        "positionSide": "BOTH" if mode is PositionMode.ONE_WAY else done.position_side.upper(),
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "origType": "LIMIT",
        "time": at,
        "updateTime": at,
    }


def income(payment: FundingPayment, asset: str) -> dict[str, Any]:
    """Positive: received. No word of the side, as on the real one."""
    number = 1 if payment.side is PositionSide.LONG else 2
    return {
        "symbol": IDS[payment.symbol],
        "incomeType": "FUNDING_FEE",
        "income": plain(payment.amount, 8),
        "asset": asset,
        "time": to_ms(payment.at),
        "info": "FUNDING_FEE",
        "tranId": int(payment.at.timestamp()) * 1000 + sum(map(ord, payment.symbol)) % 100 * 10 + number,
        "tradeId": "",
    }
