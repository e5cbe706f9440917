"""Exactly what leaves for each exchange: both legs opened, closed and protected, by their native names."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from chatbot.clock import SystemClock
from chatbot.domain.instrument import Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.order import OrderRequest, OrderType
from chatbot.ports import Credentials
from chatbot.venues.ccxt.access import Access
from chatbot.venues.ccxt.clones import Connections, make_template
from chatbot.venues.ccxt.dialects.common import Dialect
from chatbot.venues.ccxt.limiter import Limiter
from chatbot.venues.ccxt.marketplace import Marketplace
from chatbot.venues.ccxt.memory import AccountMemory
from chatbot.venues.ccxt.sending import Sender
from chatbot.venues.ccxt.table import TABLE
from tests.builders import LONG, SHORT, an_instrument

SYMBOL = Symbol("ETH/USDT:USDT")
ID = "HRabcdefghijPO1"
MARKET: dict[str, Any] = {
    "id": "ETHUSDT", "symbol": SYMBOL, "base": "ETH", "quote": "USDT", "settle": "USDT",
    "baseId": "ETH", "quoteId": "USDT", "settleId": "USDT", "type": "swap", "spot": False, "swap": True,
    "future": False, "option": False, "contract": True, "linear": True, "inverse": False, "active": True,
    "contractSize": "0.1", "precision": {"amount": "1", "price": "0.01"},
    "limits": {"amount": {"min": "1"}, "price": {}, "cost": {}, "leverage": {}},
    "info": {"orderTypes": ["MARKET", "LIMIT", "STOP_MARKET", "TAKE_PROFIT_MARKET"]},
}  # fmt: skip
KEY = Credentials("an-api-key-0001", base64.b64encode(b"a secret of sorts").decode(), "a phrase")
WALLET = Credentials("0x" + "1" * 40, "0x" + "2" * 64)


class Recorder:
    """Answers everything the same; keeps what came."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        body, query = await request.text(), dict(parse_qsl(request.query_string))
        sent: Any = json.loads(body) if body[:1] in ("{", "[") else dict(parse_qsl(body)) | query
        self.requests.append((request.method, request.path, sent, dict(request.headers)))
        return web.json_response({"code": "0", "retCode": 0, "data": [], "result": {}})


@asynccontextmanager
async def recorder() -> AsyncIterator[tuple[Recorder, str]]:
    seen = Recorder()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", seen.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield seen, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def ticket(instrument: Instrument, leg: PositionSide, *, opens: bool, type: OrderType) -> OrderRequest:
    return OrderRequest(
        client_order_id=ID,
        symbol=instrument.symbol,
        side=leg.opening if opens else leg.closing,
        position_side=leg,
        type=type,
        quantity=Decimal("0.2"),
        reduce_only=not opens,
        valid_until=SystemClock().now() + timedelta(seconds=5),
        trigger_price=Decimal(1500) if type.conditional else None,
    )


async def sent(
    venue_id: str,
    leg: PositionSide,
    *,
    opens: bool = False,
    type: OrderType = OrderType.MARKET,
    margin_mode: MarginMode = MarginMode.CROSS,
    one_way: bool = False,
) -> tuple[str, Any, dict[str, str]]:
    """Path, parameters and headers of the one request that an order makes."""
    quirks, clock = TABLE[venue_id], SystemClock()
    connections = Connections()
    async with recorder() as (seen, url):
        template = make_template(quirks, connections, api_url=url)
        template.set_markets([MARKET])
        template.options.setdefault("timeDifference", 0)
        limiter = Limiter(quirks.title, quirks.budget, clock)
        key = WALLET if venue_id == "aster" else KEY
        access = Access(quirks, template, limiter, clock, {"ETHUSDT": SYMBOL}, key)
        memory = AccountMemory(held={(SYMBOL, leg): margin_mode})
        memory.one_way = frozenset({SYMBOL}) if one_way else frozenset()
        instrument = replace(an_instrument("ETH", lot="0.1", tick="0.01"), contract_size=Decimal("0.1"))
        sender = Sender(
            Dialect(access, memory), Marketplace(quirks, connections, clock), {SYMBOL: instrument}
        )
        await sender.send([ticket(instrument, leg, opens=opens, type=type)])
        await connections.close()
        ((method, path, params, headers),) = seen.requests
    assert method == "POST"
    return path, params, headers


FORMS: dict[str, dict[str, dict[str, Any]]] = {
    "binance": {
        "open long": {"side": "BUY", "positionSide": "LONG", "type": "MARKET", "newClientOrderId": ID},
        "open short": {"side": "SELL", "positionSide": "SHORT"},
        "close long": {"side": "SELL", "positionSide": "LONG", "reduceOnly": None},
        "close short": {"side": "BUY", "positionSide": "SHORT", "reduceOnly": None},
        "stop long": {"side": "SELL", "positionSide": "LONG", "type": "STOP_MARKET", "clientAlgoId": ID,
                      "triggerPrice": "1500", "workingType": "MARK_PRICE", "algoType": "CONDITIONAL"},
        "stop short": {"side": "BUY", "positionSide": "SHORT", "type": "STOP_MARKET"},
        "profit long": {"side": "SELL", "positionSide": "LONG", "type": "TAKE_PROFIT_MARKET"},
    },
    "bybit": {
        "open long": {"side": "Buy", "positionIdx": 1, "orderLinkId": ID, "reduceOnly": None},
        "open short": {"side": "Sell", "positionIdx": 2},
        "close long": {"side": "Sell", "positionIdx": 1, "reduceOnly": True},
        "close short": {"side": "Buy", "positionIdx": 2, "reduceOnly": True},
        "stop long": {"side": "Sell", "positionIdx": 1, "reduceOnly": True, "triggerDirection": 2,
                      "triggerPrice": "1500", "triggerBy": "MarkPrice", "orderLinkId": ID},
        "stop short": {"side": "Buy", "positionIdx": 2, "reduceOnly": True, "triggerDirection": 1},
        "profit long": {"side": "Sell", "positionIdx": 1, "triggerDirection": 1},
    },
    "okx": {
        "open long": {"side": "buy", "posSide": "long", "tdMode": "cross", "clOrdId": ID, "tag": None},
        "open short": {"side": "sell", "posSide": "short"},
        "close long": {"side": "sell", "posSide": "long"},
        "close short": {"side": "buy", "posSide": "short"},
        "stop long": {"side": "sell", "posSide": "long", "ordType": "conditional", "slTriggerPx": "1500",
                      "slOrdPx": "-1", "slTriggerPxType": "mark", "algoClOrdId": ID, "tag": None},
        "stop short": {"side": "buy", "posSide": "short", "slTriggerPx": "1500"},
        "profit long": {"side": "sell", "posSide": "long", "tpTriggerPx": "1500", "tpTriggerPxType": "mark"},
    },
    # To close a long one buys there, and says that it closes.
    "bitget": {
        "open long": {"side": "buy", "tradeSide": "Open", "clientOid": ID, "marginMode": "crossed"},
        "open short": {"side": "sell", "tradeSide": "Open"},
        "close long": {"side": "buy", "tradeSide": "Close"},
        "close short": {"side": "sell", "tradeSide": "Close"},
        "stop long": {"holdSide": "long", "planType": "pos_loss", "triggerPrice": "1500",
                      "triggerType": "mark_price", "clientOid": ID},
        "stop short": {"holdSide": "short", "planType": "pos_loss"},
        "profit long": {"holdSide": "long", "planType": "pos_profit"},
    },
    "gate": {
        "open long": {"size": 2, "text": f"t-{ID}", "reduce_only": None, "price": "0", "tif": "ioc"},
        "open short": {"size": -2, "reduce_only": None},
        "close long": {"size": -2, "reduce_only": True},
        "close short": {"size": 2, "reduce_only": True},
        "stop long": {"initial": {"contract": "ETHUSDT", "size": -2, "price": "0", "reduce_only": True,
                                  "tif": "ioc", "text": f"t-{ID}"},
                      "trigger": {"price_type": 1, "price": "1500", "rule": 2}},
        "stop short": {"trigger": {"price_type": 1, "price": "1500", "rule": 1}},
        "profit long": {"trigger": {"price_type": 1, "price": "1500", "rule": 1}},
    },
    "kucoin": {
        "open long": {"side": "buy", "positionSide": "LONG", "clientOid": ID, "size": 2,
                      "marginMode": "CROSS"},
        "open short": {"side": "sell", "positionSide": "SHORT"},
        "close long": {"side": "sell", "positionSide": "LONG", "reduceOnly": True},
        "close short": {"side": "buy", "positionSide": "SHORT", "reduceOnly": True},
        "stop long": {"side": "sell", "positionSide": "LONG", "reduceOnly": True, "stop": "down",
                      "stopPrice": "1500", "stopPriceType": "MP"},
        "stop short": {"side": "buy", "positionSide": "SHORT", "stop": "up"},
        "profit long": {"side": "sell", "positionSide": "LONG", "stop": "up"},
    },
    "bingx": {
        "open long": {"side": "BUY", "positionSide": "LONG", "clientOrderID": ID, "reduceOnly": None},
        "open short": {"side": "SELL", "positionSide": "SHORT"},
        "close long": {"side": "SELL", "positionSide": "LONG"},
        "close short": {"side": "BUY", "positionSide": "SHORT"},
        "stop long": {"side": "SELL", "positionSide": "LONG", "type": "STOP_MARKET", "stopPrice": "1500",
                      "workingType": "MARK_PRICE", "clientOrderID": ID},
        "stop short": {"side": "BUY", "positionSide": "SHORT", "type": "STOP_MARKET"},
        "profit long": {"side": "SELL", "positionSide": "LONG", "type": "TAKE_PROFIT_MARKET"},
    },
    # A stop-loss price there is attached to an order that closes at once: a trigger it has to be.
    "phemex": {
        "open long": {"side": "Buy", "posSide": "Long", "clOrdID": ID, "ordType": "Market"},
        "open short": {"side": "Sell", "posSide": "Short"},
        "close long": {"side": "Sell", "posSide": "Long", "reduceOnly": True},
        "close short": {"side": "Buy", "posSide": "Short", "reduceOnly": True},
        "stop long": {"side": "Sell", "posSide": "Long", "ordType": "Stop", "stopPxRp": "1500",
                      "triggerType": "ByMarkPrice", "reduceOnly": True, "stopLossRp": None},
        "stop short": {"side": "Buy", "posSide": "Short", "ordType": "Stop", "stopPxRp": "1500"},
        "profit long": {"side": "Sell", "posSide": "Long", "ordType": "MarketIfTouched"},
    },
    "aster": {
        "open long": {"side": "BUY", "positionSide": "LONG", "newClientOrderId": ID, "hedged": None},
        "open short": {"side": "SELL", "positionSide": "SHORT"},
        "close long": {"side": "SELL", "positionSide": "LONG"},
        "close short": {"side": "BUY", "positionSide": "SHORT"},
        "stop long": {"side": "SELL", "positionSide": "LONG", "type": "STOP_MARKET", "stopPrice": "1500",
                      "workingType": "MARK_PRICE", "newClientOrderId": ID},
        "stop short": {"side": "BUY", "positionSide": "SHORT", "type": "STOP_MARKET"},
        "profit long": {"side": "SELL", "positionSide": "LONG", "type": "TAKE_PROFIT_MARKET"},
    },
}  # fmt: skip
TYPES = {"stop": OrderType.STOP_LOSS, "profit": OrderType.TAKE_PROFIT}


@pytest.mark.parametrize(("venue_id", "wish"), [(v, wish) for v, forms in FORMS.items() for wish in forms])
async def test_an_order_names_its_leg_in_the_venues_own_words(venue_id: str, wish: str) -> None:
    deed, _, leg = wish.partition(" ")

    _, params, headers = await sent(
        venue_id,
        LONG if leg == "long" else SHORT,
        opens=deed == "open",
        type=TYPES.get(deed, OrderType.MARKET),
    )

    params = params[0] if isinstance(params, list) else params
    assert {name: params.get(name) for name in FORMS[venue_id][wish]} == FORMS[venue_id][wish]
    assert "hedged" not in params
    assert not {"Referer", "X-CHANNEL-API-CODE", "X-SOURCE-KEY", "X-Gate-Channel-Id"} & headers.keys()


# Where the account has one position per symbol: named so, and only reduced.
ONE_WAY_FORMS: dict[str, dict[str, dict[str, Any]]] = {
    "binance": {
        "close long": {"side": "SELL", "positionSide": "BOTH", "reduceOnly": "true"},
        "close short": {"side": "BUY", "positionSide": "BOTH", "reduceOnly": "true"},
        "stop long": {"side": "SELL", "positionSide": "BOTH", "reduceOnly": "true", "type": "STOP_MARKET"},
    },
    "bybit": {
        "close long": {"side": "Sell", "positionIdx": 0, "reduceOnly": True},
        "close short": {"side": "Buy", "positionIdx": 0, "reduceOnly": True},
        "stop long": {"side": "Sell", "positionIdx": 0, "reduceOnly": True, "triggerDirection": 2},
    },
    "okx": {
        "close long": {"side": "sell", "posSide": "net", "reduceOnly": True},
        "close short": {"side": "buy", "posSide": "net", "reduceOnly": True},
        "stop long": {"side": "sell", "posSide": "net", "reduceOnly": True, "slTriggerPx": "1500"},
    },
    "bitget": {
        "close long": {"side": "sell", "tradeSide": None, "reduceOnly": "YES"},
        "close short": {"side": "buy", "tradeSide": None, "reduceOnly": "YES"},
    },
    "gate": {
        "close long": {"size": -2, "reduce_only": True},
        "close short": {"size": 2, "reduce_only": True},
    },
    "kucoin": {
        "close long": {"side": "sell", "positionSide": "BOTH", "reduceOnly": True},
        "close short": {"side": "buy", "positionSide": "BOTH", "reduceOnly": True},
    },
    "bingx": {
        "close long": {"side": "SELL", "positionSide": "BOTH", "reduceOnly": "true"},
        "close short": {"side": "BUY", "positionSide": "BOTH", "reduceOnly": "true"},
    },
    "phemex": {
        "close long": {"side": "Sell", "posSide": "Merged", "reduceOnly": True},
        "close short": {"side": "Buy", "posSide": "Merged", "reduceOnly": True},
    },
    "aster": {
        "close long": {"side": "SELL", "positionSide": "BOTH", "reduceOnly": "true"},
        "close short": {"side": "BUY", "positionSide": "BOTH", "reduceOnly": "true"},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("venue_id", "wish"), [(v, wish) for v, forms in ONE_WAY_FORMS.items() for wish in forms]
)
async def test_the_only_position_of_a_one_way_account_is_reduced(venue_id: str, wish: str) -> None:
    deed, _, leg = wish.partition(" ")

    _, params, _ = await sent(
        venue_id,
        LONG if leg == "long" else SHORT,
        type=TYPES.get(deed, OrderType.MARKET),
        one_way=True,
    )

    params = params[0] if isinstance(params, list) else params
    wanted = ONE_WAY_FORMS[venue_id][wish]
    assert {name: params.get(name) for name in wanted} == wanted


def test_every_exchange_has_its_forms() -> None:
    assert FORMS.keys() == ONE_WAY_FORMS.keys() == TABLE.keys()


@pytest.mark.parametrize(
    ("venue_id", "name"), [("okx", "tdMode"), ("bitget", "marginMode"), ("kucoin", "marginMode")]
)
async def test_the_margin_mode_of_the_leg_travels_with_its_orders(venue_id: str, name: str) -> None:
    _, params, _ = await sent(venue_id, LONG, margin_mode=MarginMode.ISOLATED)

    params = params[0] if isinstance(params, list) else params
    assert params[name].lower() == "isolated"
