"""Binance USDⓈ-M on the loopback: paths, signatures and refusals of the real one."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from chatbot.domain.instrument import MarginMode, OrderSide, PositionMode, PositionSide, Symbol
from chatbot.domain.order import FillCause, OrderType
from tests.wire.venues import binance_words as words
from tests.wire.venues.binance_words import IDS, SYMBOLS
from tests.wire.venues.core import EVER, Habits, VenueAccount
from tests.wire.venues.faults import Endpoint, TooMany
from tests.wire.venues.orders import WireOrder, Wish
from tests.wire.venues.server import Answered, Call, Route, VenueRefusal, VenueServer, to_ms

ORDER_SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}
POSITION_SIDES = {"LONG": PositionSide.LONG, "SHORT": PositionSide.SHORT}
TYPES = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "STOP_MARKET": OrderType.STOP_LOSS,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
}
INTERVALS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "1d": 1440}
USUAL_WINDOW = 5_000
WEEK = timedelta(days=7)
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
USUAL_HOURS = timedelta(hours=8)
WRONG_SIDE = VenueRefusal("-4061", "Order's position side does not match user's setting.")
NO_ORDER = VenueRefusal("-2013", "Order does not exist.")
NO_CANCEL = VenueRefusal("-2011", "Unknown order sent.")
NOT_ALLOWED = VenueRefusal("-2015", "Invalid API-key, IP, or permissions for action.", 401)


class BinanceServer(VenueServer):
    """Client ids are unique among open orders; a fired stop makes a new order; stops outlive their leg."""

    habits: ClassVar[Habits] = Habits()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._public_routes()
        self._reading_routes()
        self._writing_routes()

    def _public_routes(self) -> None:
        def public(path: str, endpoint: Endpoint, handler: Any) -> None:
            self.routes["GET", f"/fapi/v1/{path}"] = Route(endpoint, handler, signed=False)

        public("ping", Endpoint.TIME, self._ping)
        public("time", Endpoint.TIME, self._time)
        public("exchangeInfo", Endpoint.MARKETS, self._exchange_info)
        public("premiumIndex", Endpoint.PRICES, self._premium_index)
        public("fundingInfo", Endpoint.PRICES, self._funding_info)
        public("ticker/24hr", Endpoint.PRICES, self._tickers)
        public("ticker/bookTicker", Endpoint.PRICES, self._book_tickers)
        public("depth", Endpoint.BOOK, self._depth)
        public("klines", Endpoint.CANDLES, self._klines)
        public("markPriceKlines", Endpoint.CANDLES, self._klines)

    def _reading_routes(self) -> None:
        def read(path: str, endpoint: Endpoint, handler: Any) -> None:
            self.routes["GET", path] = Route(endpoint, handler)

        read("/fapi/v3/positionRisk", Endpoint.POSITIONS, self._position_risk)
        read("/fapi/v2/positionRisk", Endpoint.POSITIONS, self._position_risk_v2)
        read("/fapi/v3/account", Endpoint.BALANCE, self._account)
        read("/fapi/v2/balance", Endpoint.BALANCE, self._balance)
        read("/fapi/v3/balance", Endpoint.BALANCE, self._balance)
        read("/fapi/v1/positionSide/dual", Endpoint.MODE, self._mode)
        read("/fapi/v1/symbolConfig", Endpoint.SETTINGS, self._symbol_config)
        read("/fapi/v1/leverageBracket", Endpoint.TIERS, self._brackets)
        read("/fapi/v1/commissionRate", Endpoint.FEES, self._commission)
        read("/fapi/v1/order", Endpoint.LOOKUP, self._order)
        read("/fapi/v1/openOrders", Endpoint.OPEN_ORDERS, self._open_orders)
        read("/fapi/v1/allOrders", Endpoint.HISTORY, self._all_orders)
        read("/fapi/v1/algoOrder", Endpoint.LOOKUP, self._algo_order)
        read("/fapi/v1/openAlgoOrders", Endpoint.OPEN_ORDERS, self._open_algo_orders)
        read("/fapi/v1/allAlgoOrders", Endpoint.HISTORY, self._all_algo_orders)
        read("/fapi/v1/userTrades", Endpoint.FILLS, self._user_trades)
        read("/fapi/v1/forceOrders", Endpoint.FILLS, self._force_orders)
        read("/fapi/v1/income", Endpoint.FUNDING, self._income)
        read("/sapi/v1/account/apiRestrictions", Endpoint.PERMISSIONS, self._restrictions)

    def _writing_routes(self) -> None:
        def write(method: str, path: str, endpoint: Endpoint, handler: Any) -> None:
            self.routes[method, f"/fapi/v1/{path}"] = Route(endpoint, handler, trades=True)

        write("POST", "order", Endpoint.PLACE, self._place)
        write("POST", "batchOrders", Endpoint.PLACE, self._batch)
        write("POST", "algoOrder", Endpoint.PLACE, self._place_algo)
        write("DELETE", "order", Endpoint.CANCEL, self._cancel)
        write("DELETE", "algoOrder", Endpoint.CANCEL, self._cancel_algo)
        write("POST", "positionSide/dual", Endpoint.MODE, self._set_mode)
        write("POST", "leverage", Endpoint.SETTINGS, self._set_leverage)
        write("POST", "marginType", Endpoint.SETTINGS, self._set_margin_type)
        write("POST", "positionMargin", Endpoint.ADD_MARGIN, self._add_margin)

    # --- keys and refusals ----------------------------------------------------------------------

    def api_key_of(self, headers: Mapping[str, str]) -> str:
        return headers.get("X-MBX-APIKEY", "")

    def authenticate(self, call: Call, route: Route) -> VenueAccount:
        api_key = call.received.api_key
        if not api_key:
            raise VenueRefusal("-2014", "API-key format invalid.", 401)
        account = self.market.accounts.get(api_key)
        if account is None:
            raise NOT_ALLOWED
        self._check_stamp(call)
        self._check_signature(call, account.key.secret)
        self._check_rights(call, route, account)
        return account

    def _check_stamp(self, call: Call) -> None:
        now, stamp = to_ms(self.wire_now()), call.whole("timestamp", 0)
        if stamp > now + 1000:
            raise VenueRefusal("-1021", "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - stamp > call.whole("recvWindow", USUAL_WINDOW):
            raise VenueRefusal("-1021", "Timestamp for this request is outside of the recvWindow.")

    def _check_signature(self, call: Call, secret: str) -> None:
        """Over the query and the body as they were sent, less the signature itself."""
        signed, _, told = (call.query_string + call.body).rpartition("&signature=")
        right = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, told):
            raise VenueRefusal("-1022", "Signature for this request is not valid.")

    def _check_rights(self, call: Call, route: Route, account: VenueAccount) -> None:
        key = account.key
        expired = key.expires_at is not None and key.expires_at <= self.market.now()
        allowed = key.trade if route.trades else key.read
        if expired or not allowed or not key.allows_ip(call.remote):
            raise NOT_ALLOWED

    def refusal(self, error: VenueRefusal) -> Answered:
        body = {"code": int(error.code), "msg": error.message}
        return Answered(error.status or 400, json.dumps(body).encode())

    def too_many(self, fault: TooMany) -> Answered:
        body = {"code": -1003, "msg": "Too many requests; current limit of IP is 2400 requests per minute."}
        headers = {"Retry-After": str(fault.retry_after)}
        return Answered(418 if fault.banned else 429, json.dumps(body).encode(), headers)

    # --- public ---------------------------------------------------------------------------------

    async def _ping(self, call: Call) -> Any:
        return {}

    async def _time(self, call: Call) -> Any:
        return {"serverTime": to_ms(self.wire_now())}

    async def _exchange_info(self, call: Call) -> Any:
        instruments = await self.market.instruments()
        return {
            "timezone": "UTC",
            "serverTime": to_ms(self.wire_now()),
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}
            ],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [words.market(instrument) for instrument in instruments.values()],
        }

    async def _premium_index(self, call: Call) -> Any:
        return await self._one_or_all(call, self._premium)

    async def _premium(self, symbol: Symbol) -> Any:
        return words.premium_index(await self.market.state(symbol))

    async def _tickers(self, call: Call) -> Any:
        return await self._one_or_all(call, self._ticker)

    async def _ticker(self, symbol: Symbol) -> Any:
        return words.ticker(await self.market.state(symbol))

    async def _book_tickers(self, call: Call) -> Any:
        return await self._one_or_all(call, self._book_ticker)

    async def _book_ticker(self, symbol: Symbol) -> Any:
        return words.book_ticker(await self.market.book(symbol))

    async def _one_or_all(self, call: Call, row: Any) -> Any:
        if call.text("symbol"):
            return await row(_symbol(call))
        return [await row(symbol) for symbol in IDS]

    async def _funding_info(self, call: Call) -> Any:
        """Only those that differ from eight hours, as on the real one."""
        instruments = await self.market.instruments()
        return [words.funding_info(i) for i in instruments.values() if i.funding_interval != USUAL_HOURS]

    async def _depth(self, call: Call) -> Any:
        return words.depth(await self.market.book(_symbol(call), call.whole("limit", 500)))

    async def _klines(self, call: Call) -> Any:
        step = timedelta(minutes=INTERVALS[call.text("interval")])
        rows = self.market.candles(
            _symbol(call),
            since=call.instant("startTime"),
            until=call.instant("endTime"),
            step=step,
            limit=call.whole("limit", 500),
        )
        tail = ["0", 60, "0", "0", "0"]
        return [
            [to_ms(at), *(f"{price:f}" for price in prices), "0", to_ms(at + step) - 1, *tail]
            for at, *prices in rows
        ]

    # --- the account ----------------------------------------------------------------------------

    async def _position_rows(self, call: Call, *, v2: bool = False) -> list[dict[str, Any]]:
        view, instruments = await self.positions_view(call), await self.market.instruments()
        rows = []
        for position in view.positions:
            mark = (await self.market.state(position.symbol)).mark_price
            instrument = instruments[position.symbol]
            row = words.position(position, instrument, mark, view.position_mode, to_ms(view.at))
            rows.append(words.position_v2(row, position) if v2 else row)
        wanted = call.text("symbol")
        return [row for row in rows if wanted in ("", row["symbol"])]

    async def _position_risk(self, call: Call) -> Any:
        return await self._position_rows(call)

    async def _position_risk_v2(self, call: Call) -> Any:
        return await self._position_rows(call, v2=True)

    async def _account(self, call: Call) -> Any:
        view = await call.account.view()
        return words.account(view, await self._position_rows(call), to_ms(view.at))

    async def _balance(self, call: Call) -> Any:
        view = await call.account.view()
        return [words.balance_row(view.balance, to_ms(view.at))]

    async def _mode(self, call: Call) -> Any:
        return {"dualSidePosition": (await call.account.view()).position_mode is PositionMode.HEDGE}

    async def _set_mode(self, call: Call) -> Any:
        wanted = PositionMode.HEDGE if call.text("dualSidePosition") == "true" else PositionMode.ONE_WAY
        if (await call.account.view()).position_mode is wanted:
            raise VenueRefusal("-4059", "No need to change position side.")
        with self.engine_refusals():
            await call.account.set_position_mode(wanted)
        return {"code": 200, "msg": "success"}

    async def _symbol_config(self, call: Call) -> Any:
        settings = (await call.account.view()).leg_settings
        rows = [words.symbol_config(symbol, settings[symbol, PositionSide.LONG]) for symbol in IDS]
        wanted = call.text("symbol")
        return [row for row in rows if wanted in ("", row["symbol"])]

    async def _set_leverage(self, call: Call) -> Any:
        symbol, leverage = _symbol(call), Decimal(call.text("leverage"))
        with self.engine_refusals():
            for side in PositionSide:
                await call.account.set_leg(symbol, side, leverage=leverage)
        return {"leverage": int(leverage), "maxNotionalValue": "5000000", "symbol": IDS[symbol]}

    async def _set_margin_type(self, call: Call) -> Any:
        symbol = _symbol(call)
        mode = MarginMode.ISOLATED if call.text("marginType") == "ISOLATED" else MarginMode.CROSS
        settings = (await call.account.view()).leg_settings
        if all(settings[symbol, side].margin_mode is mode for side in PositionSide):
            raise VenueRefusal("-4046", "No need to change margin type.")
        if any((await call.account.held(symbol)).values()):
            raise VenueRefusal("-4048", "Margin type cannot be changed if there exists position.")
        with self.engine_refusals():
            for side in PositionSide:
                await call.account.set_leg(symbol, side, margin_mode=mode)
        return {"code": 200, "msg": "success"}

    async def _add_margin(self, call: Call) -> Any:
        amount, kind = Decimal(call.text("amount")), call.text("type")
        sign = 1 if kind == "1" else -1
        with self.engine_refusals():
            side = POSITION_SIDES[call.text("positionSide")]
            await call.account.add_margin(_symbol(call), side, sign * amount)
        return {
            "amount": float(amount),
            "code": 200,
            "msg": "Successfully modify position margin.",
            "type": int(kind),
        }

    async def _brackets(self, call: Call) -> Any:
        rows = [words.brackets(instrument) for instrument in (await self.market.instruments()).values()]
        wanted = call.text("symbol")
        return [row for row in rows if wanted in ("", row["symbol"])]

    async def _commission(self, call: Call) -> Any:
        instrument = (await self.market.instruments())[_symbol(call)]
        return {
            "symbol": call.text("symbol"),
            "makerCommissionRate": f"{instrument.maker_fee_rate:f}",
            "takerCommissionRate": f"{instrument.taker_fee_rate:f}",
            "rpiCommissionRate": "0.00005",
        }

    async def _restrictions(self, call: Call) -> Any:
        return words.api_restrictions(call.account.key)

    # --- orders ---------------------------------------------------------------------------------

    async def _place(self, call: Call) -> Any:
        wish = await self._wish(call.account, call.params)
        return words.order(await self.place(call.account, wish))

    async def _batch(self, call: Call) -> Any:
        """Each answered at its place; a refused one without any id."""
        rows = []
        for params in json.loads(call.text("batchOrders")):
            try:
                wish = await self._wish(call.account, params)
                rows.append(words.order(await self.place(call.account, wish)))
            except VenueRefusal as error:
                rows.append({"code": int(error.code), "msg": error.message})
        return rows

    async def _place_algo(self, call: Call) -> Any:
        params = {**call.params, "newClientOrderId": call.text("clientAlgoId")}
        if call.text("algoType") != "CONDITIONAL" or not call.text("triggerPrice"):
            raise VenueRefusal("-1102", "Mandatory parameter 'triggerPrice' was not sent or malformed.")
        return words.algo_order(await self.place(call.account, await self._wish(call.account, params)))

    async def _wish(self, account: VenueAccount, params: Mapping[str, Any]) -> Wish:
        kind = TYPES.get(str(params.get("type")))
        if kind is None:
            raise VenueRefusal("-1116", "Invalid orderType.")
        mode = (await account.view()).position_mode
        side = POSITION_SIDES.get(str(params.get("positionSide", "BOTH")))
        if (side is None) is (mode is PositionMode.HEDGE):
            raise WRONG_SIDE
        reduce_only = str(params.get("reduceOnly", "false")).lower() == "true"
        if side is not None and "reduceOnly" in params:
            raise VenueRefusal("-1106", "Parameter 'reduceonly' sent when not required.")
        time_in_force = params.get("timeInForce")
        client_id = str(params.get("newClientOrderId", ""))
        if client_id and not CLIENT_ID.fullmatch(client_id):
            raise VenueRefusal("-4015", "Client order id is not valid.")
        return Wish(
            client_order_id=client_id,
            symbol=_named(str(params.get("symbol"))),
            side=ORDER_SIDES[str(params["side"])],
            position_side=side,
            type=kind,
            quantity=Decimal(str(params.get("quantity", "0"))),
            closes=reduce_only,
            limit_price=_price(params, "price"),
            trigger_price=_price(params, "triggerPrice"),
            post_only=time_in_force == "GTX",
            immediate=time_in_force in ("IOC", "FOK"),
        )

    async def _order(self, call: Call) -> Any:
        found = self.visible(_fits(call, self._normal(call.account), "origClientOrderId", "orderId"))
        if found:
            return words.order(found[-1])
        mode = (await call.account.view()).position_mode
        forced = [words.forced_order(fill, mode) for fill in await self._forced(call)]
        named = [row for row in forced if _names(call, row)]
        if not named:
            raise NO_ORDER
        return named[0]

    async def _algo_order(self, call: Call) -> Any:
        found = self.visible(_fits(call, self._algos(call.account), "clientAlgoId", "algoId"))
        if not found:
            raise NO_ORDER
        return words.algo_order(found[-1])

    async def _cancel(self, call: Call) -> Any:
        found = _fits(call, self._normal(call.account), "origClientOrderId", "orderId")
        if not found or not found[-1].open:
            raise NO_CANCEL
        await call.account.cancel(found[-1])
        return words.order(found[-1])

    async def _cancel_algo(self, call: Call) -> Any:
        found = _fits(call, self._algos(call.account), "clientAlgoId", "algoId")
        if not found or not found[-1].open:
            raise NO_CANCEL
        await call.account.cancel(found[-1])
        order = found[-1]
        ids = {"algoId": order.number, "clientAlgoId": order.wish.client_order_id}
        return {**ids, "code": "200", "msg": "success"}

    def _normal(self, account: VenueAccount) -> list[WireOrder]:
        """With those that fired stops have become."""
        return [order for order in account.orders if not order.conditional or order.standing.fired]

    def _algos(self, account: VenueAccount) -> list[WireOrder]:
        return [order for order in account.orders if order.conditional]

    async def _open_orders(self, call: Call) -> Any:
        orders = self.visible(order for order in self._normal(call.account) if order.open)
        return [words.order(order) for order in _of_symbol(call, orders)]

    async def _open_algo_orders(self, call: Call) -> Any:
        orders = self.visible(order for order in self._algos(call.account) if order.open)
        return [words.algo_order(order) for order in _of_symbol(call, orders)]

    async def _all_orders(self, call: Call) -> Any:
        orders = _of_symbol(call, self.visible(self._normal(call.account)))
        rows = [words.order(order) for order in orders]
        mode = (await call.account.view()).position_mode
        rows += [words.forced_order(fill, mode) for fill in await self._forced(call)]
        rows.sort(key=lambda row: (row["time"], row["orderId"]))
        return _latest([row for row in rows if row["time"] >= call.whole("startTime", 0)], call, 500)

    async def _all_algo_orders(self, call: Call) -> Any:
        orders = _of_symbol(call, self.visible(self._algos(call.account)))
        return _latest([words.algo_order(order) for order in orders], call, 500)

    # --- history --------------------------------------------------------------------------------

    async def _user_trades(self, call: Call) -> Any:
        symbol = _symbol(call)
        instrument = (await self.market.instruments())[symbol]
        mode = (await call.account.view()).position_mode
        shown = {id(order) for order in self.visible(call.account.orders)}
        fills = [f for f in await call.account.fills(symbol) if f.order is None or id(f.order) in shown]
        rows = [words.trade(fill, instrument, mode) for fill in fills]
        return _latest(_chosen_trades(call, rows, self.market.now()), call, 500)

    async def _forced(self, call: Call) -> list[Any]:
        symbols = [_symbol(call)] if call.text("symbol") else list(IDS)
        since = call.instant("startTime") or EVER
        fills = [fill for symbol in symbols for fill in await call.account.fills(symbol, since)]
        return [fill for fill in fills if fill.cause is not FillCause.TRADE]

    async def _force_orders(self, call: Call) -> Any:
        causes = {"LIQUIDATION": FillCause.LIQUIDATION, "ADL": FillCause.AUTO_DELEVERAGING}
        wanted = causes.get(call.text("autoCloseType"))
        mode = (await call.account.view()).position_mode
        fills = [fill for fill in await self._forced(call) if wanted in (None, fill.cause)]
        return [words.forced_order(fill, mode) for fill in fills]

    async def _income(self, call: Call) -> Any:
        if call.text("incomeType", "FUNDING_FEE") != "FUNDING_FEE":
            return []
        symbols = [_symbol(call)] if call.text("symbol") else list(IDS)
        since = call.instant("startTime") or EVER
        payments = [p for symbol in symbols for p in await call.account.funding(symbol, since)]
        payments.sort(key=lambda payment: payment.at)
        return [words.income(p, "USDT") for p in payments if _until(call, p.at)][: call.whole("limit", 100)]


def _named(name: str) -> Symbol:
    if name not in SYMBOLS:
        raise VenueRefusal("-1121", "Invalid symbol.")
    return SYMBOLS[name]


def _symbol(call: Call) -> Symbol:
    return _named(call.text("symbol"))


def _price(params: Mapping[str, Any], name: str) -> Decimal | None:
    value = params.get(name)
    return Decimal(str(value)) if value else None


def _fits(call: Call, orders: list[WireOrder], client_name: str, number_name: str) -> list[WireOrder]:
    client_id, number = call.text(client_name), call.text(number_name)
    return [
        order
        for order in orders
        if (client_id and order.wish.client_order_id == client_id)
        or (number and number in (str(order.number), str(order.fired_number)))
    ]


def _names(call: Call, row: Mapping[str, Any]) -> bool:
    return (
        call.text("orderId") == str(row["orderId"]) or call.text("origClientOrderId") == row["clientOrderId"]
    )


def _of_symbol(call: Call, orders: list[WireOrder]) -> list[WireOrder]:
    return [order for order in orders if call.text("symbol") in ("", IDS[order.wish.symbol])]


def _chosen_trades(call: Call, rows: list[Any], now: datetime) -> list[Any]:
    """By order, from an id on, or in a window of at most seven days (the last ones unless told)."""
    if call.text("orderId"):
        return [row for row in rows if str(row["orderId"]) == call.text("orderId")]
    if call.text("fromId"):
        return [row for row in rows if row["id"] >= call.whole("fromId", 0)][: call.whole("limit", 500)]
    end = call.instant("endTime") or (call.instant("startTime") or now - WEEK) + WEEK
    start = call.instant("startTime") or end - WEEK
    if end - start > WEEK:
        raise VenueRefusal("-4165", "Invalid time interval.")
    return [row for row in rows if to_ms(start) <= row["time"] <= to_ms(end)]


def _until(call: Call, at: datetime) -> bool:
    end = call.instant("endTime")
    return end is None or at <= end


def _latest(rows: list[Any], call: Call, usual: int) -> list[Any]:
    """With a start the first ones from there, else the last ones."""
    limit = call.whole("limit", usual)
    return rows[:limit] if call.text("startTime") else rows[-limit:]
