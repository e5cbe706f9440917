"""What Binance USDⓈ-M answers, field by field and string by string."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.account import AccountView, Balance, LegSetting, Position
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionMode, Symbol
from chatbot.domain.market import MarketState, OrderBook
from chatbot.domain.order import OrderType
from chatbot.venues.paper.margin import maintenance
from tests.wire.venues.core import ApiKey
from tests.wire.venues.server import plain, to_ms, venue_symbols

IDS = venue_symbols()
SYMBOLS = {name: symbol for symbol, name in IDS.items()}
TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP_LOSS: "STOP_MARKET",
    OrderType.TAKE_PROFIT: "TAKE_PROFIT_MARKET",
    OrderType.TRIGGER: "STOP_MARKET",
}
ORDER_TYPES = list(dict.fromkeys([*TYPES.values(), "STOP", "TAKE_PROFIT", "TRAILING_STOP_MARKET"]))


def decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def market(instrument: Instrument) -> dict[str, Any]:
    name = IDS[instrument.symbol]
    lot = {
        "minQty": plain(instrument.min_quantity),
        "maxQty": plain(instrument.max_quantity),
        "stepSize": plain(instrument.lot_size),
    }
    tick = {
        "minPrice": plain(instrument.tick_size),
        "maxPrice": "4529764",
        "tickSize": plain(instrument.tick_size),
    }
    return {
        "symbol": name,
        "pair": name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "pricePrecision": decimals(instrument.tick_size),
        "quantityPrecision": decimals(instrument.lot_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", **tick},
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": plain(instrument.min_notional)},
        ],
        "orderTypes": ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def premium_index(state: MarketState) -> dict[str, Any]:
    return {
        "symbol": IDS[state.symbol],
        "markPrice": plain(state.mark_price, 8),
        "indexPrice": plain(state.index_price, 8),
        "estimatedSettlePrice": plain(state.index_price, 8),
        "lastFundingRate": plain(state.funding_rate, 8),
        "interestRate": "0.00010000",
        "nextFundingTime": to_ms(state.next_funding_at),
        "time": to_ms(state.at),
    }


def settled_rate(symbol: Symbol, at: datetime, rate: Decimal) -> dict[str, Any]:
    return {"symbol": IDS[symbol], "fundingTime": to_ms(at), "fundingRate": plain(rate, 8), "markPrice": ""}


def funding_info(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": IDS[instrument.symbol],
        "adjustedFundingRateCap": "0.02000000",
        "adjustedFundingRateFloor": "-0.02000000",
        "fundingIntervalHours": instrument.funding_interval // timedelta(hours=1),
        "disclaimer": False,
    }


def depth(book: OrderBook) -> dict[str, Any]:
    def rows(levels: Any) -> list[list[str]]:
        return [[plain(level.price), plain(level.quantity)] for level in levels]

    at = to_ms(book.at)
    return {"lastUpdateId": 1, "E": at, "T": at, "bids": rows(book.bids), "asks": rows(book.asks)}


def ticker(state: MarketState) -> dict[str, Any]:
    price, at = plain(state.last_price), to_ms(state.at)
    return {
        "symbol": IDS[state.symbol],
        "priceChange": "0.00",
        "priceChangePercent": "0.000",
        "weightedAvgPrice": price,
        "lastPrice": price,
        "lastQty": "0.010",
        "openPrice": price,
        "highPrice": price,
        "lowPrice": price,
        "volume": "1000.000",
        "quoteVolume": "64000000.00",
        "openTime": at - 86_400_000,
        "closeTime": at,
        "firstId": 1,
        "lastId": 2,
        "count": 2,
    }


def book_ticker(book: OrderBook) -> dict[str, Any]:
    bid, ask = book.bids[0], book.asks[0]
    return {
        "symbol": IDS[book.symbol],
        "bidPrice": plain(bid.price),
        "bidQty": plain(bid.quantity),
        "askPrice": plain(ask.price),
        "askQty": plain(ask.quantity),
        "time": to_ms(book.at),
    }


def brackets(instrument: Instrument) -> dict[str, Any]:
    rows, floor = [], ZERO
    for number, tier in enumerate(instrument.tiers, start=1):
        cap = tier.notional_cap if tier.notional_cap is not None else Decimal(10) ** 9
        row = {
            "bracket": number,
            "initialLeverage": int(tier.max_leverage),
            "notionalCap": int(cap),
            "notionalFloor": int(floor),
            "maintMarginRatio": float(tier.maintenance_margin_rate),
            "cum": float(tier.maintenance_amount),
        }
        rows.append(row)
        floor = cap
    return {"symbol": IDS[instrument.symbol], "brackets": rows}


# --- the account --------------------------------------------------------------------------------


def position(
    position: Position, instrument: Instrument, mark: Decimal, mode: PositionMode, at_ms: int
) -> dict[str, Any]:
    notional = instrument.notional(position.quantity, mark)
    gain = position.side.sign * (mark - position.entry_price) * position.quantity
    margin = position.margin or ZERO
    initial = plain(notional / position.leverage, 8)
    isolated = position.margin_mode is MarginMode.ISOLATED
    return {
        "symbol": IDS[position.symbol],
        "positionSide": "BOTH" if mode is PositionMode.ONE_WAY else position.side.upper(),
        "positionAmt": plain(position.side.sign * position.quantity),
        "entryPrice": plain(position.entry_price),
        "breakEvenPrice": plain(position.entry_price),
        "markPrice": plain(mark, 8),
        "unRealizedProfit": plain(gain, 8),
        "liquidationPrice": plain(position.liquidation_price) if position.liquidation_price else "0",
        "isolatedMargin": plain(margin + gain, 8) if isolated else "0",
        "notional": plain(position.side.sign * notional, 8),
        "marginAsset": instrument.settle,
        "isolatedWallet": plain(margin, 8) if isolated else "0",
        "initialMargin": initial,
        "maintMargin": plain(maintenance(instrument, notional), 8),
        "positionInitialMargin": initial,
        "openOrderInitialMargin": "0",
        "adl": 2,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": at_ms,
    }


def position_v2(row: dict[str, Any], position: Position) -> dict[str, Any]:
    return row | {
        "leverage": plain(position.leverage),
        "maxNotionalValue": "5000000",
        "marginType": position.margin_mode.value,
        "isolated": position.margin_mode is MarginMode.ISOLATED,
        "isAutoAddMargin": "false",
        "adlQuantile": 2,
    }


def account(view: AccountView, positions: list[dict[str, Any]], at_ms: int) -> dict[str, Any]:
    balance = view.balance
    isolated = sum((p.margin or ZERO for p in view.positions), ZERO)
    gain = balance.equity - balance.wallet
    initial = max(ZERO, balance.equity - balance.free - isolated)
    maint = sum((Decimal(row["maintMargin"]) for row in positions), ZERO)
    figures = {
        "InitialMargin": initial,
        "MaintMargin": maint,
        "WalletBalance": balance.wallet,
        "UnrealizedProfit": gain,
        "MarginBalance": balance.equity,
        "PositionInitialMargin": initial,
        "OpenOrderInitialMargin": ZERO,
        "CrossWalletBalance": balance.wallet - isolated,
        "CrossUnPnl": gain,
    }
    totals = {f"total{name}": plain(value, 8) for name, value in figures.items()}
    asset = {name[0].lower() + name[1:]: plain(value, 8) for name, value in figures.items()}
    free = plain(balance.free, 8)
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        **totals,
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "assets": [
            {
                "asset": balance.currency,
                **asset,
                "availableBalance": free,
                "maxWithdrawAmount": free,
                "updateTime": at_ms,
            }
        ],
        "positions": [_account_position(row) for row in positions],
    }


def _account_position(row: dict[str, Any]) -> dict[str, Any]:
    names = ("positionAmt", "isolatedMargin", "notional", "isolatedWallet", "initialMargin", "maintMargin")
    kept = {name: row[name] for name in ("symbol", "positionSide", *names, "updateTime")}
    return {**kept, "unrealizedProfit": row["unRealizedProfit"]}


def balance_row(balance: Balance, at_ms: int) -> dict[str, Any]:
    return {
        "accountAlias": "FzFzXquXXqoC",
        "asset": balance.currency,
        "balance": plain(balance.wallet, 8),
        "crossWalletBalance": plain(balance.wallet, 8),
        "crossUnPnl": plain(balance.equity - balance.wallet, 8),
        "availableBalance": plain(balance.free, 8),
        "maxWithdrawAmount": plain(balance.free, 8),
        "marginAvailable": True,
        "updateTime": at_ms,
    }


def symbol_config(symbol: Symbol, setting: LegSetting) -> dict[str, Any]:
    return {
        "symbol": IDS[symbol],
        "marginType": "CROSSED" if setting.margin_mode is MarginMode.CROSS else "ISOLATED",
        "isAutoAddMargin": False,
        "leverage": int(setting.leverage),
        "maxNotionalValue": "5000000",
    }


def api_restrictions(key: ApiKey) -> dict[str, Any]:
    ends = {"tradingAuthorityExpirationTime": to_ms(key.expires_at)} if key.expires_at else {}
    return {
        **ends,
        "ipRestrict": bool(key.ips),
        "createTime": 1698645219000,
        "enableReading": key.read,
        "enableWithdrawals": key.withdraw,
        "enableInternalTransfer": key.transfer,
        "permitsUniversalTransfer": key.transfer,
        "enableMargin": False,
        "enableFutures": key.trade,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": False,
        "enablePortfolioMarginTrading": False,
    }
