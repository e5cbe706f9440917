"""Bybit v5 linear contracts of a unified account on the loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from chatbot.domain.instrument import ZERO, MarginMode, OrderSide, PositionMode, PositionSide, Symbol
from chatbot.domain.order import FillCause, OrderType
from tests.wire.venues import bybit_words as words
from tests.wire.venues.bybit_words import IDS, INDEXES, SYMBOLS
from tests.wire.venues.core import Habits, VenueAccount
from tests.wire.venues.faults import Endpoint, TooMany
from tests.wire.venues.orders import WireOrder, Wish
from tests.wire.venues.server import Answered, Call, Route, VenueRefusal, VenueServer, held_at, to_ms

ORDER_SIDES = {"Buy": OrderSide.BUY, "Sell": OrderSide.SELL}
SIDE_OF_INDEX = {index: side for side, index in INDEXES.items()}
CAUSES = {name: cause for cause, name in words.EXEC_TYPES.items()}
# The engine's codes and what Bybit says instead.
CODES = {
    "-2019": ("110007", "ab not enough for new order"),
    "-2022": ("110017", "current position is zero, cannot fix reduce-only order qty"),
    "-2027": ("110090", "Order placement failed as your position may exceed the max limit."),
    "-4116": ("110072", "OrderLinkedID is duplicate"),
    "-4164": ("110094", "Order does not meet minimum order value 5USDT"),
    "-4051": ("110012", "Insufficient available balance."),
    "-4001": ("110003", "Order price exceeds the allowable range."),
    "-4028": ("110013", "cannot set leverage gt maxLeverage by risk limit"),
    "-4161": ("110013", "cannot set leverage due to the open position"),
    "-4048": ("110024", "You have an existing position."),
    "-4047": ("110028", "You have existing open orders."),
    "-4068": ("110024", "You have an existing position, so position mode cannot be switched."),
    "-4067": ("110028", "You have existing open orders, so position mode cannot be switched."),
}
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
WEEK = timedelta(days=7)
WRONG_INDEX = VenueRefusal("10001", "position idx not match position mode")
NO_ORDER = VenueRefusal("110001", "order not exists or too late to cancel")


class BybitServer(VenueServer):
    """Client ids are taken for ever; a fired stop stays the same order; stops end with their leg."""

    habits: ClassVar[Habits] = Habits(
        ids_unique_for_ever=True, trims_closes=True, stops_end_with_their_leg=True
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._public_routes()
        self._reading_routes()
        self._writing_routes()

    def _public_routes(self) -> None:
        def public(path: str, endpoint: Endpoint, handler: Callable[[Call], Awaitable[Any]]) -> None:
            self.routes["GET", f"/v5/market/{path}"] = Route(endpoint, self._ok(handler), signed=False)

        public("time", Endpoint.TIME, self._time)
        public("instruments-info", Endpoint.MARKETS, self._instruments)
        public("tickers", Endpoint.PRICES, self._tickers)
        public("orderbook", Endpoint.BOOK, self._book)
        public("kline", Endpoint.CANDLES, self._klines)
        public("mark-price-kline", Endpoint.CANDLES, self._klines)
        public("risk-limit", Endpoint.TIERS, self._risk_limits)

    def _reading_routes(self) -> None:
        def read(path: str, endpoint: Endpoint, handler: Callable[[Call], Awaitable[Any]]) -> None:
            self.routes["GET", f"/v5/{path}"] = Route(endpoint, self._ok(handler))

        read("user/query-api", Endpoint.PERMISSIONS, self._api_key)
        read("account/info", Endpoint.SETTINGS, self._account_info)
        read("account/wallet-balance", Endpoint.BALANCE, self._wallet)
        read("account/fee-rate", Endpoint.FEES, self._fee_rate)
        read("position/list", Endpoint.POSITIONS, self._positions)
        read("order/realtime", Endpoint.LOOKUP, self._realtime)
        read("order/history", Endpoint.HISTORY, self._history)
        read("execution/list", Endpoint.FILLS, self._executions)

    def _writing_routes(self) -> None:
        def write(path: str, endpoint: Endpoint, handler: Callable[[Call], Awaitable[Any]]) -> None:
            self.routes["POST", f"/v5/{path}"] = Route(endpoint, self._ok(handler), trades=True)

        write("order/create", Endpoint.PLACE, self._create)
        write("order/cancel", Endpoint.CANCEL, self._cancel)
        write("position/switch-mode", Endpoint.MODE, self._switch_mode)
        write("position/set-leverage", Endpoint.SETTINGS, self._set_leverage)
        write("account/set-margin-mode", Endpoint.SETTINGS, self._set_margin_mode)
        write("position/add-margin", Endpoint.ADD_MARGIN, self._add_margin)
        self.routes["POST", "/v5/order/create-batch"] = Route(Endpoint.PLACE, self._create_batch, trades=True)

    # --- keys and refusals ----------------------------------------------------------------------

    def _ok(self, handler: Callable[[Call], Awaitable[Any]]) -> Callable[[Call], Awaitable[Any]]:
        async def answer(call: Call) -> Any:
            return self._wrapped(await handler(call))

        return answer

    def _wrapped(self, result: Any, extra: Any = None) -> dict[str, Any]:
        at = to_ms(self.wire_now())
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": extra or {}, "time": at}

    def api_key_of(self, headers: Mapping[str, str]) -> str:
        return headers.get("X-BAPI-API-KEY", "")

    def authenticate(self, call: Call, route: Route) -> VenueAccount:
        account = self.market.accounts.get(call.received.api_key)
        if account is None:
            raise VenueRefusal("10003", "API key is invalid.")
        self._check_stamp(call)
        self._check_signature(call, account.key.secret)
        self._check_rights(call, route, account)
        return account

    def _check_stamp(self, call: Call) -> None:
        stamp = int(call.received.headers.get("X-BAPI-TIMESTAMP", "0"))
        window = int(call.received.headers.get("X-BAPI-RECV-WINDOW", "5000"))
        now = to_ms(self.wire_now())
        if not now - window <= stamp < now + 1000:
            raise VenueRefusal(
                "10002",
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]",
            )

    def _check_signature(self, call: Call, secret: str) -> None:
        headers = call.received.headers
        payload = call.body if call.received.method == "POST" else call.query_string
        signed = "".join(
            [headers["X-BAPI-TIMESTAMP"], call.received.api_key, headers["X-BAPI-RECV-WINDOW"], payload]
        )
        right = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, headers.get("X-BAPI-SIGN", "")):
            raise VenueRefusal("10004", "error sign! please check your signature generation algorithm.")

    def _check_rights(self, call: Call, route: Route, account: VenueAccount) -> None:
        key = account.key
        if key.expires_at is not None and key.expires_at <= self.market.now():
            raise VenueRefusal("33004", "Your api key has expired.")
        if not key.allows_ip(call.remote):
            raise VenueRefusal("10010", "Unmatched IP, please check your API key's bound IP addresses.")
        # Any key may ask what it is allowed to do.
        if route.endpoint is not Endpoint.PERMISSIONS and not (key.trade if route.trades else key.read):
            raise VenueRefusal("10005", "Permission denied, please check your API key permissions.")

    def refusal(self, error: VenueRefusal) -> Answered:
        body = {
            "retCode": int(error.code),
            "retMsg": error.message,
            "result": {},
            "retExtInfo": {},
            "time": to_ms(self.wire_now()),
        }
        return Answered(error.status or 200, json.dumps(body).encode())

    def too_many(self, fault: TooMany) -> Answered:
        if fault.banned:
            return Answered(403, b"<html>access too frequent</html>", content_type="text/html")
        reset = str(to_ms(self.wire_now()) + fault.retry_after * 1000)
        answered = self.refusal(VenueRefusal("10006", "Too many visits. Exceeded the API Rate Limit."))
        answered.headers = {"X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": reset}
        return answered

    def translated(self, code: str, reason: str) -> VenueRefusal:
        return VenueRefusal(*CODES.get(code, ("10001", f"params error: {reason}")))

    # --- public ---------------------------------------------------------------------------------

    async def _time(self, call: Call) -> Any:
        now = to_ms(self.wire_now())
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    async def _instruments(self, call: Call) -> Any:
        listed = [] if call.text("status") == "PreLaunch" else (await self.market.instruments()).values()
        rows = [words.market(instrument) for instrument in listed]
        return {"category": "linear", "list": _of_name(call, rows), "nextPageCursor": ""}

    async def _tickers(self, call: Call) -> Any:
        symbols = [_symbol(call)] if call.text("symbol") else list(IDS)
        rows = [words.ticker(await self.market.state(s), await self.market.book(s)) for s in symbols]
        return {"category": "linear", "list": rows}

    async def _book(self, call: Call) -> Any:
        return words.depth(await self.market.book(_symbol(call), call.whole("limit", 25)))

    async def _klines(self, call: Call) -> Any:
        """The newest first."""
        interval = call.text("interval")
        step = timedelta(days=1) if interval == "D" else timedelta(minutes=int(interval))
        rows = self.market.candles(
            _symbol(call),
            since=call.instant("start"),
            until=call.instant("end"),
            step=step,
            limit=call.whole("limit", 200),
        )
        volumes = ["0", "0"] if call.received.path.endswith("/kline") else []
        listed = [[str(to_ms(at)), *(f"{price:f}" for price in prices), *volumes] for at, *prices in rows]
        return {"symbol": call.text("symbol"), "category": "linear", "list": listed[::-1]}

    async def _risk_limits(self, call: Call) -> Any:
        instruments = (await self.market.instruments()).values()
        rows = [row for instrument in instruments for row in words.risk_limits(instrument)]
        return {"category": "linear", "list": _of_name(call, rows), "nextPageCursor": ""}

    # --- the account ----------------------------------------------------------------------------

    async def _api_key(self, call: Call) -> Any:
        return words.api_key(call.account.key)

    async def _account_info(self, call: Call) -> Any:
        settings = (await call.account.view()).leg_settings.values()
        isolated = any(setting.margin_mode is MarginMode.ISOLATED for setting in settings)
        return {
            "marginMode": "ISOLATED_MARGIN" if isolated else "REGULAR_MARGIN",
            "updatedTime": "1697078946000",
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    async def _rows(self, call: Call) -> list[dict[str, Any]]:
        view, instruments = await self.positions_view(call), await self.market.instruments()
        rows = []
        for position in view.positions:
            mark = (await self.market.state(position.symbol)).mark_price
            instrument = instruments[position.symbol]
            rows.append(words.position(position, instrument, mark, view.position_mode, to_ms(view.at)))
        return rows

    async def _positions(self, call: Call) -> Any:
        """Of one symbol: every leg, empty ones too."""
        rows = await self._rows(call)
        if not call.text("symbol"):
            return {"category": "linear", "list": rows, "nextPageCursor": ""}
        symbol, view = _symbol(call), await call.account.view()
        hedge = view.position_mode is PositionMode.HEDGE
        held = {row["positionIdx"]: row for row in _of_name(call, rows)}
        listed = [
            held.get(index) or words.empty_position(symbol, view.leg_settings[symbol, side], index)
            for side, index in (INDEXES.items() if hedge else [(PositionSide.LONG, 0)])
        ]
        return {"category": "linear", "list": listed, "nextPageCursor": ""}

    async def _wallet(self, call: Call) -> Any:
        rows = await self._rows(call)
        maintained = sum((Decimal(row["positionMM"]) for row in rows), ZERO)
        return {"list": [words.wallet(await call.account.view(), maintained)]}

    async def _fee_rate(self, call: Call) -> Any:
        rows = [
            {
                "symbol": IDS[instrument.symbol],
                "baseCoin": "",
                "takerFeeRate": f"{instrument.taker_fee_rate:f}",
                "makerFeeRate": f"{instrument.maker_fee_rate:f}",
            }
            for instrument in (await self.market.instruments()).values()
        ]
        return {"category": "linear", "list": _of_name(call, rows)}

    async def _switch_mode(self, call: Call) -> Any:
        wanted = PositionMode.HEDGE if call.text("mode") == "3" else PositionMode.ONE_WAY
        if (await call.account.view()).position_mode is wanted:
            raise VenueRefusal("110025", "Position mode is not modified")
        with self.engine_refusals():
            await call.account.set_position_mode(wanted)
        return {}

    async def _set_leverage(self, call: Call) -> Any:
        """Both sides in one request; in cross mode they have to be equal."""
        symbol, view = _symbol(call), await call.account.view()
        wanted = {
            PositionSide.LONG: Decimal(call.text("buyLeverage")),
            PositionSide.SHORT: Decimal(call.text("sellLeverage")),
        }
        now = {side: view.leg_settings[symbol, side] for side in PositionSide}
        cross = now[PositionSide.LONG].margin_mode is MarginMode.CROSS
        if cross and len(set(wanted.values())) > 1:
            raise VenueRefusal("10001", "buy leverage must be equal to sell leverage in cross margin mode")
        if all(now[side].leverage == leverage for side, leverage in wanted.items()):
            raise VenueRefusal("110043", "leverage not modified")
        with self.engine_refusals():
            for side, leverage in wanted.items():
                await call.account.set_leg(symbol, side, leverage=leverage)
        return {}

    async def _set_margin_mode(self, call: Call) -> Any:
        """Of the whole account."""
        isolated = call.text("setMarginMode") == "ISOLATED_MARGIN"
        mode = MarginMode.ISOLATED if isolated else MarginMode.CROSS
        settings = (await call.account.view()).leg_settings
        if all(setting.margin_mode is mode for setting in settings.values()):
            raise VenueRefusal("110026", "Cross/isolated margin mode is not modified")
        if (await call.account.view()).positions:
            raise VenueRefusal("3400045", "Set margin mode failed")
        with self.engine_refusals():
            for symbol, side in settings:
                await call.account.set_leg(symbol, side, margin_mode=mode)
        return {"reasons": []}

    async def _add_margin(self, call: Call) -> Any:
        symbol, side = _symbol(call), SIDE_OF_INDEX[call.whole("positionIdx", 0)]
        with self.engine_refusals():
            await call.account.add_margin(symbol, side, Decimal(call.text("margin")))
        rows = _of_name(call, await self._rows(call))
        return {"category": "linear", **next(row for row in rows if row["positionIdx"] == INDEXES[side])}

    # --- orders ---------------------------------------------------------------------------------

    async def _create(self, call: Call) -> Any:
        return _ids(await self._placed(call.account, call.params))

    async def _create_batch(self, call: Call) -> Any:
        """Each at its place; codes stand beside."""
        rows, codes = [], []
        for params in call.params["request"]:
            row = {"category": "linear", "symbol": params["symbol"]}
            try:
                order = await self._placed(call.account, params)
                rows.append({**row, **_ids(order), "createAt": str(to_ms(order.created_at))})
                codes.append({"code": 0, "msg": "OK"})
            except VenueRefusal as error:
                rows.append({**row, "orderId": "", "orderLinkId": "", "createAt": ""})
                codes.append({"code": int(error.code), "msg": error.message})
        return self._wrapped({"list": rows}, {"list": codes})

    async def _placed(self, account: VenueAccount, params: Mapping[str, Any]) -> WireOrder:
        wish = await self._wish(account, params)
        try:
            return await self.place(account, wish)
        except VenueRefusal as error:
            if "trigger" in error.message:  # the engine knows no direction, hence no such words
                raise _passed_trigger(params) from error
            raise

    async def _wish(self, account: VenueAccount, params: Mapping[str, Any]) -> Wish:
        name, index = str(params.get("symbol")), int(params.get("positionIdx", 0))
        if name not in SYMBOLS:
            raise VenueRefusal("10001", "params error: symbol invalid")
        hedge = (await account.view()).position_mode is PositionMode.HEDGE
        if hedge is (index == 0):
            raise WRONG_INDEX
        side, position_side = ORDER_SIDES[str(params["side"])], SIDE_OF_INDEX.get(index)
        reduce_only = params.get("reduceOnly") is True
        if reduce_only and position_side is not None and side is position_side.opening:
            raise VenueRefusal("110017", "orderQty will be truncated to zero.")
        time_in_force, link = params.get("timeInForce"), str(params.get("orderLinkId", ""))
        if link and not CLIENT_ID.fullmatch(link):
            raise VenueRefusal("10001", "params error: OrderLinkID invalid")
        return Wish(
            client_order_id=link,
            symbol=SYMBOLS[name],
            side=side,
            position_side=position_side,
            type=_kind(params, side),
            quantity=Decimal(str(params["qty"])),
            closes=reduce_only,
            limit_price=_price(params, "price"),
            trigger_price=_price(params, "triggerPrice"),
            post_only=time_in_force == "PostOnly",
            immediate=params.get("orderType") == "Limit" and time_in_force in ("IOC", "FOK"),
        )

    async def _cancel(self, call: Call) -> Any:
        found = [order for order in _fits(call, call.account.orders) if order.open]
        if not found:
            raise NO_ORDER
        await call.account.cancel(found[0])
        return _ids(found[0])

    async def _realtime(self, call: Call) -> Any:
        """Open ones; with ``openOnly=1`` what has become final of late."""
        final = call.text("openOnly") == "1"
        rows = await self._rows_of(call, (o for o in call.account.orders if o.open is not final))
        return _page(call, rows, 20)

    async def _history(self, call: Call) -> Any:
        """With those that the exchange made by itself."""
        forced = [f for symbol in IDS for f in await call.account.fills(symbol) if f.order is None]
        rows = [words.forced_order(fill) for fill in forced]
        number, link = call.text("orderId"), call.text("orderLinkId")
        named = [row for row in _of_name(call, rows) if number in ("", row["orderId"]) and not link]
        own = await self._rows_of(call, (o for o in call.account.orders if not o.open))
        return _page(call, sorted([*named, *own], key=lambda row: row["createdTime"], reverse=True), 20)

    async def _rows_of(self, call: Call, orders: Iterable[WireOrder]) -> list[dict[str, Any]]:
        instruments = await self.market.instruments()
        chosen = _fits(call, self.visible(orders))
        rows = [words.order(order, instruments[order.wish.symbol]) for order in reversed(chosen)]
        return [row for row in _of_name(call, rows) if self._in_window(call, int(row["createdTime"]))]

    def _in_window(self, call: Call, stamp: int) -> bool:
        """Seven days at most; the last ones unless told."""
        now, start, end = self.market.now(), call.instant("startTime"), call.instant("endTime")
        if start is None and end is None:
            return stamp >= to_ms(now - WEEK)
        first = start if start is not None else (end or now) - WEEK
        last = end if end is not None else first + WEEK
        if last - first > WEEK:
            raise VenueRefusal("10001", "The time range between startTime and endTime cannot exceed 7 days")
        return to_ms(first) <= stamp <= to_ms(last)

    # --- history --------------------------------------------------------------------------------

    async def _executions(self, call: Call) -> Any:
        """The newest first. Funding settlements are executions, too."""
        kind = call.text("execType")
        rows = [] if kind == "Funding" else await self._trades(call, CAUSES.get(kind))
        if kind in ("", "Funding"):
            rows += await self._funding(call)
        rows.sort(key=lambda row: (int(row["execTime"]), row["execId"]), reverse=True)
        return _page(call, rows, 50)

    async def _trades(self, call: Call, cause: FillCause | None) -> list[dict[str, Any]]:
        shown = {id(order) for order in self.visible(call.account.orders)}
        rows = []
        for symbol, instrument in (await self.market.instruments()).items():
            fills = [
                fill
                for fill in await call.account.fills(symbol)
                if self._in_window(call, to_ms(fill.fill.at))
            ]
            known = [fill for fill in fills if fill.order is None or id(fill.order) in shown]
            rows += [words.execution(fill, instrument) for fill in known if cause in (None, fill.cause)]
        return _of_link(call, _of_name(call, rows))

    async def _funding(self, call: Call) -> list[dict[str, Any]]:
        rows = []
        for symbol in IDS:
            fills = await call.account.fills(symbol)
            for payment in await call.account.funding(symbol):
                if self._in_window(call, to_ms(payment.at)):
                    quantity = held_at(fills, payment)
                    mark = abs(payment.amount / (payment.rate * quantity)) if payment.rate else ZERO
                    rows.append(words.funding(payment, quantity, mark))
        return _of_link(call, _of_name(call, rows))


def _kind(params: Mapping[str, Any], side: OrderSide) -> OrderType:
    """Direction 1: fires when the price rises to the trigger, 2: when it falls."""
    if not params.get("triggerPrice"):
        return OrderType.LIMIT if params.get("orderType") == "Limit" else OrderType.MARKET
    rises = str(params.get("triggerDirection")) == "1"
    return OrderType.STOP_LOSS if rises is (side is OrderSide.BUY) else OrderType.TAKE_PROFIT


def _passed_trigger(params: Mapping[str, Any]) -> VenueRefusal:
    if str(params.get("triggerDirection")) == "1":
        return VenueRefusal("110092", "expect Rising, but trigger_price <= current")
    return VenueRefusal("110093", "expect Falling, but trigger_price >= current")


def _price(params: Mapping[str, Any], name: str) -> Decimal | None:
    value = params.get(name)
    return Decimal(str(value)) if value else None


def _ids(order: WireOrder) -> dict[str, str]:
    return {"orderId": words.order_id(order.number), "orderLinkId": order.wish.client_order_id}


def _symbol(call: Call) -> Symbol:
    if call.text("symbol") not in SYMBOLS:
        raise VenueRefusal("10001", "params error: symbol invalid")
    return SYMBOLS[call.text("symbol")]


def _of_name(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if call.text("symbol") in ("", row["symbol"])]


def _of_link(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if call.text("orderLinkId") in ("", row["orderLinkId"])]


def _fits(call: Call, orders: list[WireOrder]) -> list[WireOrder]:
    link, number = call.text("orderLinkId"), call.text("orderId")
    kind = call.text("orderFilter")
    return [
        order
        for order in orders
        if link in ("", order.wish.client_order_id)
        and number in ("", words.order_id(order.number))
        and kind in ("", "StopOrder" if order.conditional else "Order")
    ]


def _page(call: Call, rows: list[dict[str, Any]], usual: int) -> dict[str, Any]:
    """The cursor is the place to go on from."""
    start, limit = call.whole("cursor", 0), call.whole("limit", usual)
    more = str(start + limit) if start + limit < len(rows) else ""
    return {"category": "linear", "list": rows[start : start + limit], "nextPageCursor": more}
