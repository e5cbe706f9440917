"""Answers in the form that the venues document, short and made up."""

from __future__ import annotations

from typing import Any

BINANCE_POSITION: dict[str, Any] = {
    "symbol": "ETHUSDT", "positionSide": "SHORT", "positionAmt": "-1.500", "entryPrice": "2000.5",
    "breakEvenPrice": "1999.9", "markPrice": "1990.00000000", "unRealizedProfit": "15.75",
    "liquidationPrice": "0", "isolatedMargin": "0", "notional": "-2985", "marginAsset": "USDT",
    "isolatedWallet": "0", "initialMargin": "149.25", "maintMargin": "14.925", "adl": 2,
    "updateTime": 1764000000000,
}  # fmt: skip
BINANCE_ORDER: dict[str, Any] = {
    "orderId": 4611686, "symbol": "ETHUSDT", "status": "FILLED", "clientOrderId": "HRabcPO1",
    "price": "0.00", "avgPrice": "2000.50", "origQty": "1.500", "executedQty": "1.500",
    "cumQuote": "3000.75", "timeInForce": "GTC", "type": "MARKET", "reduceOnly": False, "side": "SELL",
    "positionSide": "SHORT", "stopPrice": "0.00", "time": 1764000000000, "updateTime": 1764000000123,
}  # fmt: skip
BINANCE_STOP: dict[str, Any] = {
    "algoId": 3358, "clientAlgoId": "HRabcPS1", "algoType": "CONDITIONAL", "orderType": "STOP_MARKET",
    "symbol": "ETHUSDT", "side": "BUY", "positionSide": "SHORT", "quantity": "1.500",
    "algoStatus": "NEW", "triggerPrice": "2200.00", "price": "0.00", "reduceOnly": True,
    "createTime": 1764000000000, "updateTime": 1764000000000, "actualOrderId": "",
}  # fmt: skip
BINANCE_ACCOUNT: dict[str, Any] = {
    "totalWalletBalance": "10000.0", "assets": [
        {"asset": "USDT", "walletBalance": "10000.0", "unrealizedProfit": "15.75",
         "marginBalance": "10015.75", "maintMargin": "14.925", "crossWalletBalance": "10000.0",
         "crossUnPnl": "15.75", "availableBalance": "9851.0"},
        {"asset": "BNB", "walletBalance": "0.5", "marginBalance": "0.5", "maintMargin": "0",
         "crossWalletBalance": "0.5", "crossUnPnl": "0", "availableBalance": "0.5"},
    ],
}  # fmt: skip

BYBIT_POSITION: dict[str, Any] = {
    "positionIdx": 2, "symbol": "ETHUSDT", "side": "Sell", "size": "1.5", "avgPrice": "2000.5",
    "positionValue": "3000.75", "leverage": "10", "markPrice": "1990", "liqPrice": "", "bustPrice": "",
    "positionIM": "300.07", "positionMM": "15.0", "positionBalance": "0", "unrealisedPnl": "15.75",
    "createdTime": "1764000000000", "updatedTime": "1764000000123",
}  # fmt: skip
BYBIT_ORDER: dict[str, Any] = {
    "orderId": "c6f0-1", "orderLinkId": "HRabcPO1", "symbol": "ETHUSDT", "price": "0", "qty": "1.5",
    "side": "Sell", "positionIdx": 2, "orderStatus": "Filled", "avgPrice": "2000.5", "leavesQty": "0",
    "cumExecQty": "1.5", "cumExecValue": "3000.75", "cumExecFee": "1.65", "orderType": "Market",
    "stopOrderType": "", "triggerPrice": "", "triggerDirection": 0, "reduceOnly": False,
    "rejectReason": "EC_NoError", "createdTime": "1764000000000", "updatedTime": "1764000000123",
}  # fmt: skip
BYBIT_WALLET: dict[str, Any] = {
    "accountType": "UNIFIED", "totalAvailableBalance": "9700.1", "totalMaintenanceMargin": "15.0",
    "totalMarginBalance": "10015.75", "totalEquity": "10015.75", "coin": [
        {"coin": "USDT", "walletBalance": "10000", "equity": "10015.75", "unrealisedPnl": "15.75",
         "totalPositionIM": "300.07", "totalOrderIM": "0"},
    ],
}  # fmt: skip

OKX_POSITION: dict[str, Any] = {
    "instId": "ETH-USDT-SWAP", "instType": "SWAP", "posSide": "short", "pos": "15", "avgPx": "2000.5",
    "lever": "10", "mgnMode": "isolated", "margin": "300.0", "liqPx": "2180.25", "markPx": "1990",
    "upl": "15.75", "cTime": "1764000000000", "uTime": "1764000000123",
}  # fmt: skip
OKX_ORDER: dict[str, Any] = {
    "ordId": "680800019749904384", "clOrdId": "HRabcPO1", "instId": "ETH-USDT-SWAP", "side": "sell",
    "posSide": "short", "ordType": "market", "sz": "15", "px": "", "avgPx": "2000.5", "accFillSz": "15",
    "state": "filled", "fee": "-1.5", "feeCcy": "USDT", "reduceOnly": "false", "tdMode": "cross",
    "cTime": "1764000000000", "uTime": "1764000000123",
}  # fmt: skip
OKX_STOP: dict[str, Any] = {
    "algoId": "681096944655273984", "algoClOrdId": "HRabcPS1", "instId": "ETH-USDT-SWAP", "side": "buy",
    "posSide": "short", "ordType": "conditional", "sz": "15", "slTriggerPx": "2200", "slOrdPx": "-1",
    "tpTriggerPx": "", "state": "live", "reduceOnly": "", "ordId": "", "cTime": "1764000000000",
    "uTime": "1764000000123",
}  # fmt: skip
OKX_BALANCE: dict[str, Any] = {
    "mgnRatio": "667.7", "mmr": "15", "totalEq": "10015.75", "details": [
        {"ccy": "USDT", "cashBal": "10000", "eq": "10015.75", "availEq": "9700.1", "mmr": "15",
         "mgnRatio": "667.7"},
    ],
}  # fmt: skip

MARKET: dict[str, Any] = {
    "id": "ETH-USDT-SWAP", "symbol": "ETH/USDT:USDT", "base": "ETH", "quote": "USDT", "settle": "USDT",
    "swap": True, "linear": True, "inverse": False, "active": True, "contractSize": "0.1",
    "taker": "0.0005", "maker": "0.0002", "precision": {"amount": "0.01", "price": "0.01"},
    "limits": {"amount": {"min": "0.01", "max": None}, "market": {"max": None}, "cost": {"min": None}},
    "info": {"maxMktSz": "20000"},
}  # fmt: skip
TIERS: list[dict[str, Any]] = [
    {"tier": 1, "minNotional": "0", "maxNotional": "50000", "maintenanceMarginRate": "0.004",
     "maxLeverage": "125"},
    {"tier": 2, "minNotional": "50000", "maxNotional": "500000", "maintenanceMarginRate": "0.005",
     "maxLeverage": "100"},
]  # fmt: skip
FUNDING_RATE: dict[str, Any] = {
    "symbol": "ETH/USDT:USDT", "markPrice": "1990.5", "indexPrice": "1991", "timestamp": 1764000000000,
    "fundingRate": "-0.0001", "fundingTimestamp": 1764003600000, "interval": None,
    "info": {"lastPrice": "1990.4"},
}  # fmt: skip
BOOK: dict[str, Any] = {
    "bids": [["1990.4", "3"], ["1990.3", "10"]], "asks": [["1990.5", "2"], ["1990.7", "8"]],
    "timestamp": 1764000000000,
}  # fmt: skip
