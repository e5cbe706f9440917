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
from chatbot.domain.order import FillCause
from chatbot.venues.paper.margin import maintenance
from tests.wire.venues.core import ApiKey
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
