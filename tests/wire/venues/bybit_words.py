"""What Bybit v5 answers about linear contracts, field by field and string by string."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.account import AccountView, LegSetting, Position
from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    MarginMode,
    OrderSide,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.market import MarketState, OrderBook
from chatbot.domain.order import FillCause, FundingPayment, OrderStatus, OrderType
from chatbot.venues.paper.margin import maintenance
from tests.wire.venues.core import ApiKey
from tests.wire.venues.orders import WireFill, WireOrder
from tests.wire.venues.server import plain, to_ms, venue_symbols

IDS = venue_symbols()
SYMBOLS = {name: symbol for symbol, name in IDS.items()}
SIDES = {OrderSide.BUY: "Buy", OrderSide.SELL: "Sell"}
POSITION_SIDES = {PositionSide.LONG: "Buy", PositionSide.SHORT: "Sell"}
INDEXES = {PositionSide.LONG: 1, PositionSide.SHORT: 2}
EXEC_TYPES = {
    FillCause.TRADE: "Trade",
    FillCause.LIQUIDATION: "BustTrade",
    FillCause.AUTO_DELEVERAGING: "AdlTrade",
}
CREATED_BY = {
    FillCause.TRADE: "CreateByUser",
    FillCause.LIQUIDATION: "CreateByLiq",
    FillCause.AUTO_DELEVERAGING: "CreateByAdl_PassThrough",
}


def order_id(number: int) -> str:
    return f"b0000000-0000-4000-8000-{number:012d}"


def market(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": IDS[instrument.symbol],
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": plain(instrument.max_leverage, 2),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": plain(instrument.tick_size),
            "maxPrice": "1999999.80",
            "tickSize": plain(instrument.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": plain(instrument.max_quantity),
            "minOrderQty": plain(instrument.min_quantity),
            "qtyStep": plain(instrument.lot_size),
            "postOnlyMaxOrderQty": plain(instrument.max_quantity),
            "maxMktOrderQty": plain(instrument.max_quantity),
            "minNotionalValue": plain(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": instrument.funding_interval // timedelta(minutes=1),
        "settleCoin": instrument.settle,
        "copyTrading": "both",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
    }


def ticker(state: MarketState, book: OrderBook) -> dict[str, Any]:
    price, bid, ask = plain(state.last_price), book.bids[0], book.asks[0]
    return {
        "symbol": IDS[state.symbol],
        "lastPrice": price,
        "indexPrice": plain(state.index_price),
        "markPrice": plain(state.mark_price),
        "prevPrice24h": price,
        "price24hPcnt": "0",
        "highPrice24h": price,
        "lowPrice24h": price,
        "prevPrice1h": price,
        "openInterest": "50000",
        "openInterestValue": "100000000",
        "turnover24h": "100000000",
        "volume24h": "50000",
        "fundingRate": plain(state.funding_rate),
        "nextFundingTime": str(to_ms(state.next_funding_at)),
        "fundingIntervalHour": str(state.funding_interval // timedelta(hours=1)),
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "ask1Size": plain(ask.quantity),
        "bid1Price": plain(bid.price),
        "ask1Price": plain(ask.price),
        "bid1Size": plain(bid.quantity),
        "basis": "",
    }


def depth(book: OrderBook) -> dict[str, Any]:
    return {
        "s": IDS[book.symbol],
        "b": [[plain(level.price), plain(level.quantity)] for level in book.bids],
        "a": [[plain(level.price), plain(level.quantity)] for level in book.asks],
        "ts": to_ms(book.at),
        "u": 1,
        "seq": 1,
        "cts": to_ms(book.at),
    }


def risk_limits(instrument: Instrument) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "symbol": IDS[instrument.symbol],
            "riskLimitValue": plain(tier.notional_cap if tier.notional_cap is not None else Decimal(10**9)),
            "maintenanceMargin": plain(tier.maintenance_margin_rate),
            "initialMargin": plain(1 / tier.max_leverage, 6),
            "isLowestRisk": int(number == 1),
            "maxLeverage": plain(tier.max_leverage, 2),
            "mmDeduction": plain(tier.maintenance_amount),
        }
        for number, tier in enumerate(instrument.tiers, start=1)
    ]


# --- the account --------------------------------------------------------------------------------


def position(
    position: Position, instrument: Instrument, mark: Decimal, mode: PositionMode, at_ms: int
) -> dict[str, Any]:
    notional = instrument.notional(position.quantity, mark)
    isolated = position.margin_mode is MarginMode.ISOLATED
    price = position.liquidation_price
    opened = to_ms(position.opened_at) if position.opened_at else at_ms
    return {
        **empty_position(
            position.symbol,
            LegSetting(position.leverage, position.margin_mode),
            INDEXES[position.side] if mode is PositionMode.HEDGE else 0,
        ),
        "side": POSITION_SIDES[position.side],
        "size": plain(position.quantity),
        "avgPrice": plain(position.entry_price),
        "positionValue": plain(position.quantity * position.entry_price),
        "positionBalance": plain(position.margin) if isolated else "0",
        "markPrice": plain(mark),
        "liqPrice": plain(price) if price else "",
        "positionMM": plain(maintenance(instrument, notional), 8),
        "positionIM": plain(notional / position.leverage, 8),
        "unrealisedPnl": plain(position.side.sign * (mark - position.entry_price) * position.quantity, 8),
        "createdTime": str(opened),
        "updatedTime": str(at_ms),
    }


def empty_position(symbol: Symbol, setting: LegSetting, index: int) -> dict[str, Any]:
    return {
        "positionIdx": index,
        "riskId": 1,
        "riskLimitValue": "200000",
        "symbol": IDS[symbol],
        "side": "",
        "size": "0",
        "avgPrice": "0",
        "positionValue": "",
        "tradeMode": int(setting.margin_mode is MarginMode.ISOLATED),
        "autoAddMargin": 0,
        "leverage": plain(setting.leverage),
        "positionBalance": "0",
        "positionStatus": "Normal",
        "markPrice": "0",
        "liqPrice": "",
        "bustPrice": "",
        "positionMM": "",
        "positionIM": "",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": "",
        "curRealisedPnl": "0",
        "cumRealisedPnl": "0",
        "sessionAvgPrice": "",
        "adlRankIndicator": 0,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "seq": 1,
        "createdTime": "0",
        "updatedTime": "0",
    }


def wallet(view: AccountView, maintained: Decimal) -> dict[str, Any]:
    balance = view.balance
    isolated = sum((p.margin or ZERO for p in view.positions), ZERO)
    gain = balance.equity - balance.wallet
    initial = max(ZERO, balance.equity - balance.free)
    used = plain(initial, 8)
    rate = maintained / balance.equity if balance.equity > 0 else ZERO
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": plain(initial / balance.equity if balance.equity > 0 else ZERO, 4),
        "accountMMRate": plain(rate, 4),
        "totalEquity": plain(balance.equity, 8),
        "totalWalletBalance": plain(balance.wallet, 8),
        "totalMarginBalance": plain(balance.equity - isolated, 8),
        "totalAvailableBalance": plain(balance.free, 8),
        "totalPerpUPL": plain(gain, 8),
        "totalInitialMargin": used,
        "totalMaintenanceMargin": plain(maintained, 8),
        "coin": [
            {
                "coin": balance.currency,
                "equity": plain(balance.equity, 8),
                "usdValue": plain(balance.equity, 8),
                "walletBalance": plain(balance.wallet, 8),
                "locked": "0",
                "spotHedgingQty": "0",
                "borrowAmount": "0",
                "accruedInterest": "0",
                "availableToWithdraw": "",
                "totalOrderIM": "0",
                "totalPositionIM": used,
                "totalPositionMM": plain(maintained, 8),
                "unrealisedPnl": plain(gain, 8),
                "cumRealisedPnl": "0",
                "bonus": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
            }
        ],
    }


def api_key(key: ApiKey) -> dict[str, Any]:
    contracts = ["Order", "Position"] if key.trade else []
    wallet_rights = [["AccountTransfer"] * key.transfer, ["Withdraw"] * key.withdraw]
    expires = key.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if key.expires_at else "1970-01-01T00:00:00Z"
    return {
        "id": "13770661",
        "note": "hedgerow",
        "apiKey": key.key,
        "readOnly": int(not key.trade),
        "secret": "",
        "permissions": {
            "ContractTrade": contracts,
            "Spot": [],
            "Wallet": [right for rights in wallet_rights for right in rights],
            "Options": [],
            "Derivatives": ["DerivativesTrade"] if key.trade else [],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
        },
        "ips": list(key.ips) or ["*"],
        "type": 1,
        "deadlineDay": 83,
        "expiredAt": expires,
        "createdAt": "2026-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": int(key.owner),
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_1",
        "kycRegion": "",
    }


# --- orders -------------------------------------------------------------------------------------


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
