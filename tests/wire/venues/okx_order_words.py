"""Orders, fills and bills as OKX v5 tells them. Sizes are in contracts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    OrderSide,
    PositionMode,
    PositionSide,
)
from chatbot.domain.order import Fill, FillCause, FundingPayment, OrderStatus, OrderType
from tests.wire.venues.okx_words import CATEGORIES, IDS, SUB_TYPES, contracts, order_id, settles_in
from tests.wire.venues.orders import WireFill, WireOrder
from tests.wire.venues.server import plain, to_ms


def order_type(order: WireOrder) -> str:
    wish = order.wish
    if wish.type is not OrderType.LIMIT:
        return "market"
    return "post_only" if wish.post_only else "ioc" if wish.immediate else "limit"


def state(order: WireOrder) -> str:
    standing = order.standing
    match standing.status:
        case OrderStatus.OPEN:
            return "partially_filled" if standing.filled else "live"
        case OrderStatus.FILLED:
            return "filled"
    return "canceled"


def shown_side(order: WireOrder) -> str:
    return order.wish.position_side.value if order.wish.position_side else "net"


def order(order: WireOrder) -> dict[str, Any]:
    """A normal order, or the one that a conditional order has become; the latter names where it is from."""
    wish, standing, fired = order.wish, order.standing, order.conditional
    settle = settles_in(wish.symbol)
    filled = contracts(wish.symbol, standing.filled)
    at = str(to_ms(standing.updated_at))
    return {
        "accFillSz": filled,
        "algoClOrdId": wish.client_order_id if fired else "",
        "algoId": order_id(order.number) if fired else "",
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "avgPx": plain(standing.average) if standing.average else "",
        "cTime": at if fired else str(to_ms(order.created_at)),
        "cancelSource": "",
        "cancelSourceReason": standing.reason,
        "category": "normal",
        "ccy": "",
        "clOrdId": "" if fired else wish.client_order_id,
        "fee": plain(ZERO - standing.fee),
        "feeCcy": settle,
        "fillPx": plain(standing.average) if standing.average else "",
        "fillSz": filled,
        "fillTime": at if standing.filled else "",
        "instId": IDS[wish.symbol],
        "instType": "SWAP",
        "isTpLimit": "false",
        "lever": plain(order.leverage),
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": order_id(order.fired_number if fired else order.number),
        "ordType": order_type(order),
        "pnl": "0",
        "posSide": shown_side(order),
        "px": plain(wish.limit_price) if wish.limit_price else "",
        "pxType": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": settle,
        "reduceOnly": "true" if wish.closes else "false",
        "side": wish.side.value,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "7" if fired else "",
        "state": state(order),
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": contracts(wish.symbol, wish.quantity),
        "tag": "",
        "tdMode": order.margin_mode.value,
        "tgtCcy": "",
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": "",
        "uTime": at,
    }


def algo_state(order: WireOrder) -> str:
    match order.standing.status:
        case OrderStatus.OPEN:
            return "live"
        case OrderStatus.CANCELED if not order.standing.fired:
            return "canceled"
        case OrderStatus.EXPIRED:
            return "order_failed"
    return "effective"


def algo_order(order: WireOrder) -> dict[str, Any]:
    wish, fired = order.wish, order.standing.fired
    trigger, made = plain(wish.trigger_price), order_id(order.fired_number)
    kinds = {OrderType.STOP_LOSS: "sl", OrderType.TAKE_PROFIT: "tp"}
    prices: dict[str, str] = {}
    for kind, prefix in kinds.items():
        fits = wish.type is kind
        prices[f"{prefix}TriggerPx"] = trigger if fits else ""
        prices[f"{prefix}OrdPx"] = "-1" if fits else ""
        prices[f"{prefix}TriggerPxType"] = "mark" if fits else ""
    plain_trigger = wish.type is OrderType.TRIGGER
    return {
        "activePx": "",
        "actualPx": plain(order.standing.average) if fired else "",
        "actualSide": (kinds.get(wish.type) or wish.side.value) if fired else "",
        "actualSz": contracts(wish.symbol, order.standing.filled),
        "algoClOrdId": wish.client_order_id,
        "algoId": order_id(order.number),
        "amendPxOnTriggerType": "0",
        "attachAlgoOrds": [],
        "cTime": str(to_ms(order.created_at)),
        "ccy": "",
        "clOrdId": "",
        "closeFraction": "",
        "failCode": "0",
        "instId": IDS[wish.symbol],
        "instType": "SWAP",
        "isTradeBorrowMode": "",
        "last": "",
        "lever": plain(order.leverage),
        "linkedOrd": {"ordId": ""},
        "ordId": made if fired else "",
        "ordIdList": [made] if fired else [],
        "ordPx": "-1" if plain_trigger else "",
        "ordType": "trigger" if plain_trigger else "conditional",
        "posSide": shown_side(order),
        "quickMgnType": "",
        "reduceOnly": "true" if wish.closes else "false",
        "side": wish.side.value,
        **prices,
        "state": algo_state(order),
        "sz": contracts(wish.symbol, wish.quantity),
        "tag": "",
        "tdMode": order.margin_mode.value,
        "tgtCcy": "",
        "triggerPx": trigger if plain_trigger else "",
        "triggerPxType": "mark" if plain_trigger else "",
        "triggerTime": str(to_ms(order.standing.updated_at)) if fired else "",
        "uTime": str(to_ms(order.standing.updated_at)),
    }


# --- history ------------------------------------------------------------------------------------


def sub_type(fill: WireFill, mode: PositionMode) -> str:
    done = fill.fill
    if mode is PositionMode.ONE_WAY and fill.cause is FillCause.TRADE:
        return "1" if done.side is OrderSide.BUY else "2"
    if done.opens:
        return "3" if done.position_side is PositionSide.LONG else "4"
    return SUB_TYPES[fill.cause][done.position_side]


def fill(fill: WireFill, instrument: Instrument, mode: PositionMode) -> dict[str, Any]:
    done, own = fill.fill, fill.order
    notional = instrument.notional(done.quantity, done.price)
    maker = own is not None and done.fee == notional * instrument.maker_fee_rate
    at = str(to_ms(done.at))
    return {
        "billId": f"51{int(done.venue_fill_id):016d}",
        "clOrdId": "" if own is None or own.conditional else own.wish.client_order_id,
        "execType": "M" if maker else "T",
        "fee": plain(ZERO - done.fee),
        "feeCcy": instrument.settle,
        "feeRate": plain(-(done.fee / notional), 8),
        "fillIdxPx": plain(done.price),
        "fillMarkPx": plain(done.price),
        "fillPnl": plain(done.realized_pnl),
        "fillPx": plain(done.price),
        "fillSz": contracts(done.symbol, done.quantity),
        "fillTime": at,
        "instId": IDS[done.symbol],
        "instType": "SWAP",
        "ordId": order_id(fill.order_number),
        "posSide": _side(done, mode),
        "side": done.side.value,
        "subType": sub_type(fill, mode),
        "tag": "",
        "tradeId": done.venue_fill_id,
        "ts": at,
    }


def forced_order(fill: WireFill, instrument: Instrument, mode: PositionMode) -> dict[str, Any]:
    done = fill.fill
    at, size = str(to_ms(done.at)), contracts(done.symbol, done.quantity)
    return {
        "accFillSz": size,
        "algoClOrdId": "",
        "algoId": "",
        "avgPx": plain(done.price),
        "cTime": at,
        "category": CATEGORIES[fill.cause],
        "clOrdId": "",
        "fee": plain(ZERO - done.fee),
        "feeCcy": instrument.settle,
        "fillPx": plain(done.price),
        "fillSz": size,
        "fillTime": at,
        "instId": IDS[done.symbol],
        "instType": "SWAP",
        "ordId": order_id(fill.order_number),
        "ordType": "market",
        "pnl": plain(done.realized_pnl),
        "posSide": _side(done, mode),
        "px": "",
        "reduceOnly": "true",
        "side": done.side.value,
        "state": "filled",
        "sz": size,
        "tdMode": "cross",
        "tradeId": done.venue_fill_id,
        "uTime": at,
    }


def _side(done: Fill, mode: PositionMode) -> str:
    return "net" if mode is PositionMode.ONE_WAY else done.position_side.value


def funding_bill(payment: FundingPayment, quantity: Decimal, mark: Decimal, settle: str) -> dict[str, Any]:
    """Positive: received. The leg is not named; the sign beside the rate tells it."""
    number = int(payment.at.timestamp()) * 10 + (1 if payment.side is PositionSide.LONG else 2)
    amount = plain(payment.amount)
    return {
        "bal": "0",
        "balChg": amount,
        "billId": f"61{sum(map(ord, payment.symbol)):04d}{number:012d}",
        "ccy": settle,
        "clOrdId": "",
        "execType": "",
        "fee": "0",
        "fillTime": "",
        "from": "",
        "instId": IDS[payment.symbol],
        "instType": "SWAP",
        "interest": "0",
        "mgnMode": "cross",
        "notes": "",
        "ordId": "",
        "pnl": amount,
        "posBal": "0",
        "posBalChg": "0",
        "px": plain(mark),
        "subType": "174" if payment.amount > 0 else "173",
        "sz": contracts(payment.symbol, quantity),
        "tag": "",
        "to": "",
        "tradeId": "",
        "ts": str(to_ms(payment.at)),
        "type": "8",
    }
