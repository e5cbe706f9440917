"""The exchanges that are read through ccxt's own parsers: their payloads, ccxt's words, our values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from chatbot.domain.account import LegSetting
from chatbot.domain.instrument import MarginMode, OrderSide, PositionSide, Symbol
from chatbot.domain.order import OrderStatus, OrderType
from chatbot.venues.ccxt import parse_account, parse_orders
from chatbot.venues.ccxt.clones import Connections, make_template
from chatbot.venues.ccxt.reading import Answer, Garbled
from chatbot.venues.ccxt.table import TABLE
from tests.builders import SHORT, an_instrument

ETH = Symbol("ETH/USDT:USDT")
IDS = {
    "bitget": "ETHUSDT", "gate": "ETH_USDT", "kucoin": "ETHUSDTM", "bingx": "ETH-USDT", "phemex": "ETHUSDT",
    "aster": "ETHUSDT",
}  # fmt: skip
# Contracts of a tenth where the venue counts contracts.
SIZES = {"gate": "0.1", "kucoin": "0.1"}

# A short leg of 1.5 at 2000.5, cross, 10 times.
POSITIONS: dict[str, dict[str, Any]] = {
    "bitget": {
        "marginCoin": "USDT", "symbol": "ETHUSDT", "holdSide": "short", "marginSize": "300",
        "total": "1.5", "leverage": "10", "openPriceAvg": "2000.5", "marginMode": "crossed",
        "posMode": "hedge_mode", "unrealizedPL": "15", "liquidationPrice": "2450.5", "markPrice": "1990",
        "keepMarginRate": "0.004", "cTime": "1764000000000", "uTime": "1764000000123",
    },
    "gate": {
        "contract": "ETH_USDT", "size": -15, "leverage": "0", "cross_leverage_limit": "10",
        "mode": "dual_short",
        "entry_price": "2000.5", "mark_price": "1990", "liq_price": "2450.5", "value": "2985",
        "margin": "0", "maintenance_rate": "0.004", "unrealised_pnl": "15", "open_time": 1764000000,
        "update_time": 1764000000, "pos_margin_mode": "cross", "initial_margin": "300",
        "maintenance_margin": "12",
    },
    "kucoin": {
        "symbol": "ETHUSDTM", "positionSide": "SHORT", "currentQty": -15, "avgEntryPrice": 2000.5,
        "markPrice": 1990, "liquidationPrice": 2450.5, "leverage": 10, "crossMode": True,
        "marginMode": "CROSS", "isOpen": True, "posInit": 300, "posMaint": 12, "maintMargin": 315,
        "unrealisedPnl": 15, "settleCurrency": "USDT", "openingTimestamp": 1764000000000,
        "currentTimestamp": 1764000000123,
    },
    "bingx": {
        "symbol": "ETH-USDT", "positionId": "1", "positionSide": "SHORT", "isolated": False,
        "positionAmt": "1.5", "availableAmt": "1.5", "unrealizedProfit": "15", "initialMargin": "300",
        "margin": "315", "avgPrice": "2000.5", "liquidationPrice": 2450.5, "leverage": 10,
        "positionValue": "2985", "markPrice": "1990", "riskRate": "0.01", "updateTime": 1764000000123,
    },
    "phemex": {
        "symbol": "ETHUSDT", "currency": "USDT", "side": "Sell", "posSide": "Short", "posMode": "Hedged",
        "crossMargin": True, "leverageRr": "-10", "sizeRq": "1.5", "size": "1.5", "valueRv": "3000.75",
        "avgEntryPriceRp": "2000.5", "posCostRv": "300", "positionMarginRv": "300", "markPriceRp": "1990",
        "liquidationPriceRp": "2450.5", "maintMarginReqRr": "0.004", "initMarginReqRr": "0.1",
        "unRealisedPnlRv": "15", "transactTimeNs": "1764000000123000000",
    },
    "aster": {
        "symbol": "ETHUSDT", "positionAmt": "-1.5", "entryPrice": "2000.5", "markPrice": "1990",
        "unRealizedProfit": "15", "liquidationPrice": "2450.5", "leverage": "10", "marginType": "cross",
        "isolatedMargin": "0", "notional": "-2985", "isolatedWallet": "0", "positionSide": "SHORT",
        "updateTime": 1764000000123,
    },
}  # fmt: skip

# 10,000 and 15 more that are not realized.
BALANCES: dict[str, Any] = {
    "bitget": {"code": "00000", "data": [
        {"marginCoin": "USDT", "available": "10000", "crossedMaxAvailable": "9700", "accountEquity": "10015",
         "unrealizedPL": "15"}]},
    "gate": [{"currency": "USDT", "total": "10000", "unrealised_pnl": "15", "available": "9700",
              "maintenance_margin": "12"}],
    "kucoin": {"code": "200000", "data": {
        "currency": "USDT", "accountEquity": 10015, "unrealisedPNL": 15, "marginBalance": 10000,
        "availableBalance": 9700}},
    "bingx": {"code": 0, "data": [
        {"asset": "USDT", "balance": "10000", "equity": "10015", "unrealizedProfit": "15",
         "availableMargin": "9700"}]},
    "phemex": {"code": 0, "data": {
        "account": {"currency": "USDT", "accountBalanceRv": "10000", "totalUsedBalanceRv": "300"},
        "positions": [{"symbol": "ETHUSDT", "unRealisedPnlRv": "15"}]}},
    "aster": [{"asset": "USDT", "balance": "10000", "crossWalletBalance": "10000", "crossUnPnl": "15",
               "availableBalance": "9700"}],
}  # fmt: skip

# A sale of 1.5 that opened the short leg, filled at 2000.5.
ORDERS: dict[str, dict[str, Any]] = {
    "bitget": {
        "symbol": "ETHUSDT", "size": "1.5", "orderId": "11", "clientOid": "HRabcPO1", "baseVolume": "1.5",
        "priceAvg": "2000.5", "fee": "-1.5", "price": "", "state": "filled", "side": "sell", "force": "gtc",
        "totalProfits": "0", "posSide": "short", "marginCoin": "USDT", "orderType": "market",
        "marginMode": "crossed", "reduceOnly": "NO", "tradeSide": "open", "posMode": "hedge_mode",
        "cTime": "1764000000000", "uTime": "1764000000123",
    },
    "gate": {
        "id": 11, "contract": "ETH_USDT", "create_time": 1764000000, "finish_time": 1764000000.123,
        "finish_as": "filled", "status": "finished", "size": -15, "left": 0, "price": "0",
        "fill_price": "2000.5", "tif": "ioc", "text": "t-HRabcPO1", "is_reduce_only": False, "tkfr": "0.0005",
        "mkfr": "0.0002",
    },
    "kucoin": {
        "id": "11", "symbol": "ETHUSDTM", "type": "market", "side": "sell", "positionSide": "SHORT",
        "size": 15, "value": "3000.75", "dealSize": 15, "dealValue": "3000.75", "filledSize": 15,
        "filledValue": "3000.75", "avgDealPrice": "2000.5", "clientOid": "HRabcPO1", "status": "done",
        "isActive": False, "cancelExist": False, "reduceOnly": False, "settleCurrency": "USDT",
        "createdAt": 1764000000000, "updatedAt": 1764000000123, "price": "0", "stop": "",
    },
    "bingx": {
        "symbol": "ETH-USDT", "orderId": 11, "clientOrderId": "HRabcPO1", "side": "SELL",
        "positionSide": "SHORT", "type": "MARKET", "origQty": "1.5", "price": "0", "executedQty": "1.5",
        "avgPrice": "2000.5", "cumQuote": "3000.75", "stopPrice": "", "profit": "0", "commission": "-1.5",
        "status": "FILLED", "time": 1764000000000, "updateTime": 1764000000123, "reduceOnly": False,
    },
    "phemex": {
        "orderID": "11", "clOrdID": "HRabcPO1", "symbol": "ETHUSDT", "side": "Sell", "ordType": "Market",
        "ordStatus": "Filled", "posSide": "Short", "priceRp": "0", "orderQtyRq": "1.5", "cumQtyRq": "1.5",
        "leavesQtyRq": "0", "cumValueRv": "3000.75", "actionTimeNs": "1764000000000000000",
        "transactTimeNs": "1764000000123000000", "reduceOnly": False, "timeInForce": "ImmediateOrCancel",
    },
    "aster": {
        "orderId": 11, "symbol": "ETHUSDT", "status": "FILLED", "clientOrderId": "HRabcPO1", "price": "0",
        "avgPrice": "2000.5", "origQty": "1.5", "executedQty": "1.5", "cumQuote": "3000.75", "type": "MARKET",
        "side": "SELL", "positionSide": "SHORT", "reduceOnly": False, "time": 1764000000000,
        "updateTime": 1764000000123,
    },
}  # fmt: skip

MINORS = pytest.mark.parametrize("venue_id", IDS)


@pytest.fixture
async def client(venue_id: str) -> AsyncIterator[Any]:
    connections = Connections()
    template = make_template(TABLE[venue_id], connections)
    template.set_markets(
        [
            {
                "id": IDS[venue_id], "symbol": ETH, "base": "ETH", "quote": "USDT", "settle": "USDT",
                "baseId": "ETH", "quoteId": "USDT", "settleId": "USDT", "type": "swap", "swap": True,
                "spot": False, "future": False, "option": False, "contract": True, "linear": True,
                "inverse": False, "contractSize": SIZES.get(venue_id, "1"), "info": {},
                "precision": {"amount": "0.001", "price": "0.01"}, "limits": {},
            }
        ]
    )  # fmt: skip
    yield template
    await connections.close()


def instrument(venue_id: str) -> Any:
    return replace(an_instrument("ETH"), contract_size=Decimal(SIZES.get(venue_id, "1")))


@MINORS
async def test_a_position_is_read(venue_id: str, client: Any) -> None:
    raw = POSITIONS[venue_id]
    read = client.parse_position_risk(raw) if venue_id == "aster" else client.parse_position(raw)
    settings = {(ETH, side): LegSetting(Decimal(10), MarginMode.CROSS) for side in PositionSide}

    leg = parse_account.position(
        Answer.of(venue_id, "position", read),
        TABLE[venue_id].positions,
        instrument(venue_id),
        settings=settings,
    )

    assert leg is not None
    assert (leg.side, leg.quantity, leg.entry_price) == (SHORT, Decimal("1.5"), Decimal("2000.5"))
    assert (leg.leverage, leg.margin_mode) == (Decimal(10), MarginMode.CROSS)
    assert leg.liquidation_price == Decimal("2450.5")


@MINORS
def test_a_balance_is_read(venue_id: str) -> None:
    body = BALANCES[venue_id]
    told = {"list": body} if isinstance(body, list) else body

    found = parse_account.balances(Answer(venue_id, "balance", told), TABLE[venue_id].balance)
    balance = parse_account.balance_of("USDT", found)

    assert (balance.wallet, balance.equity) == (Decimal(10_000), Decimal(10_015))
    assert balance.free == 9_700


@MINORS
async def test_an_order_is_read(venue_id: str, client: Any) -> None:
    quirks = TABLE[venue_id]
    read = client.parse_order(ORDERS[venue_id], client.market(ETH))

    told = parse_orders.report(
        Answer.of(venue_id, "order", read), quirks.orders, instrument(venue_id), prefix=quirks.id_prefix
    )

    assert (told.client_order_id, told.venue_order_id) == ("HRabcPO1", "11")
    assert (told.side, told.position_side) == (OrderSide.SELL, SHORT)
    assert (told.status, told.type) == (OrderStatus.FILLED, OrderType.MARKET)
    assert told.quantity == told.filled_quantity == Decimal("1.5")
    assert told.average_price == Decimal("2000.5")


@MINORS
async def test_an_empty_order_is_an_error(venue_id: str, client: Any) -> None:
    read = client.parse_order({}, client.market(ETH))

    with pytest.raises(Garbled):
        parse_orders.report(Answer.of(venue_id, "order", read), TABLE[venue_id].orders, instrument(venue_id))
