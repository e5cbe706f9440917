"""OKX v5 perpetual swaps on the loopback. Sizes on the wire are contracts, inside they are base units."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from chatbot.domain.instrument import ZERO, MarginMode, OrderSide, PositionMode, PositionSide, Symbol
from chatbot.domain.order import FillCause, OrderType
from tests.wire.venues import okx_words as words
from tests.wire.venues.core import EVER, Habits, VenueAccount
from tests.wire.venues.faults import Endpoint, TooMany
from tests.wire.venues.okx_words import CONTRACT_SIZES, FAMILIES, IDS, SYMBOLS
from tests.wire.venues.orders import WireFill, WireOrder, Wish
from tests.wire.venues.server import Answered, Call, Route, VenueRefusal, VenueServer, held_at, to_ms

Answering = Callable[[Call], Awaitable[list[Any]]]
CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
BARS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "1Dutc": 1440}
NEARLY = timedelta(milliseconds=1)
LIMITED = {"limit", "post_only", "ioc", "fok"}
# The engine's codes and what OKX says instead.
CODES = {
    "-2019": ("51008", "Order failed. Your available margin is too low."),
    "-2022": ("51112", "Close order size exceeds available amount."),
    "-2027": ("51004", "Order failed. The position would exceed the limit at this leverage."),
    "-4116": ("51016", "Client order ID already exists."),
    "-4003": ("51020", "Your order should meet or exceed the minimum order amount."),
    "-4004": ("51020", "Your order should meet or exceed the minimum order amount."),
    "-4164": ("51020", "Your order should meet or exceed the minimum order amount."),
    "-4005": ("51202", "Market order amount exceeds the maximum amount."),
    "-1111": ("51121", "Order quantity must be a multiple of the lot size."),
    "-4001": ("51006", "Order price is not within the price limit."),
    "-4051": ("59301", "Margin adjustment failed for exceeding the max limit."),
    "-4054": ("59300", "Margin call failed. Position does not exist."),
    "-1121": ("51001", "Instrument ID doesn't exist."),
    "-4028": ("59102", "Leverage exceeds the maximum limit. Please lower the leverage."),
    "-4161": ("59102", "Leverage can't be adjusted with an open isolated position."),
    "-4047": ("59101", "Leverage can't be modified. Please cancel all pending orders."),
    "-4068": ("59000", "Setting failed. Cancel any open orders and close positions first."),
    "-4067": ("59000", "Setting failed. Cancel any open orders and close positions first."),
}
NO_ORDER = VenueRefusal("51603", "Order does not exist.")
WRONG_SIDE = VenueRefusal("51000", "Parameter posSide error")
NOTHING_HELD = VenueRefusal("51169", "Order failed because you don't have any positions to reduce or close.")


class OkxServer(VenueServer):
    """Client ids are taken for ever; a fired stop makes a new order; stops outlive their leg.

    Leverage is kept for each margin mode, as OKX has it; a leg has one margin mode at a time here.
    """

    habits: ClassVar[Habits] = Habits(ids_unique_for_ever=True)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._levers: dict[tuple[str, Symbol, PositionSide, MarginMode], Decimal] = {}
        self._public_routes()
        self._reading_routes()
        self._writing_routes()

    def _public_routes(self) -> None:
        def public(path: str, endpoint: Endpoint, handler: Answering) -> None:
            self.routes["GET", f"/api/v5/{path}"] = Route(endpoint, _ok(handler), signed=False)

        public("public/time", Endpoint.TIME, self._time)
        public("public/instruments", Endpoint.MARKETS, self._instruments)
        public("public/funding-rate", Endpoint.PRICES, self._funding_rate)
        public("public/mark-price", Endpoint.PRICES, self._mark_price)
        public("market/ticker", Endpoint.PRICES, self._tickers)
        public("market/tickers", Endpoint.PRICES, self._tickers)
        public("market/index-tickers", Endpoint.PRICES, self._index_tickers)
        public("market/books", Endpoint.BOOK, self._book)
        public("public/position-tiers", Endpoint.TIERS, self._tiers)
        for path in ("candles", "history-candles", "mark-price-candles", "history-mark-price-candles"):
            public(f"market/{path}", Endpoint.CANDLES, self._candles)

    def _reading_routes(self) -> None:
        def read(path: str, endpoint: Endpoint, handler: Answering) -> None:
            self.routes["GET", f"/api/v5/{path}"] = Route(endpoint, _ok(handler))

        read("account/config", Endpoint.PERMISSIONS, self._config)
        read("account/positions", Endpoint.POSITIONS, self._positions)
        read("account/balance", Endpoint.BALANCE, self._balance)
        read("account/leverage-info", Endpoint.SETTINGS, self._leverage_info)
        read("account/trade-fee", Endpoint.FEES, self._trade_fee)
        read("account/bills", Endpoint.FUNDING, self._bills)
        read("account/bills-archive", Endpoint.FUNDING, self._bills)
        read("trade/order", Endpoint.LOOKUP, self._order)
        read("trade/order-algo", Endpoint.LOOKUP, self._order_algo)
        read("trade/orders-pending", Endpoint.OPEN_ORDERS, self._pending)
        read("trade/orders-algo-pending", Endpoint.OPEN_ORDERS, self._algo_pending)
        read("trade/orders-history", Endpoint.HISTORY, self._history)
        read("trade/orders-history-archive", Endpoint.HISTORY, self._history)
        read("trade/orders-algo-history", Endpoint.HISTORY, self._algo_history)
        read("trade/fills", Endpoint.FILLS, self._fills)
        read("trade/fills-history", Endpoint.FILLS, self._fills)

    def _writing_routes(self) -> None:
        def write(path: str, endpoint: Endpoint, handler: Callable[[Call], Awaitable[Any]]) -> None:
            self.routes["POST", f"/api/v5/{path}"] = Route(endpoint, handler, trades=True)

        write("trade/order", Endpoint.PLACE, self._place)
        write("trade/batch-orders", Endpoint.PLACE, self._batch)
        write("trade/order-algo", Endpoint.PLACE, self._place_algo)
        write("trade/cancel-order", Endpoint.CANCEL, self._cancel)
        write("trade/cancel-algos", Endpoint.CANCEL, self._cancel_algos)
        write("account/set-position-mode", Endpoint.MODE, _ok(self._set_mode))
        write("account/set-leverage", Endpoint.SETTINGS, _ok(self._set_leverage))
        write("account/position/margin-balance", Endpoint.ADD_MARGIN, _ok(self._margin_balance))

    # --- keys and refusals ----------------------------------------------------------------------

    def api_key_of(self, headers: Mapping[str, str]) -> str:
        return headers.get("OK-ACCESS-KEY", "")

    def authenticate(self, call: Call, route: Route) -> VenueAccount:
        if not call.received.api_key:
            raise VenueRefusal("50103", 'Request header "OK-ACCESS-KEY" can not be empty.', 401)
        account = self.market.accounts.get(call.received.api_key)
        if account is None:
            raise VenueRefusal("50111", "Invalid OK-ACCESS-KEY", 401)
        self._check_stamp(call)
        self._check_signature(call, account)
        self._check_rights(call, route, account)
        return account

    def _check_stamp(self, call: Call) -> None:
        stamp = datetime.fromisoformat(call.received.headers["OK-ACCESS-TIMESTAMP"])
        if abs(self.wire_now() - stamp) > timedelta(seconds=30):
            raise VenueRefusal("50102", "Timestamp request expired", 401)
        deadline = call.received.headers.get("expTime")
        if deadline is not None and to_ms(self.wire_now()) > int(deadline):
            raise VenueRefusal("50102", "Timestamp request expired", 401)

    def _check_signature(self, call: Call, account: VenueAccount) -> None:
        headers, received = call.received.headers, call.received
        if headers.get("OK-ACCESS-PASSPHRASE") != account.key.passphrase:
            raise VenueRefusal("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
        query = f"?{call.query_string}" if call.query_string else ""
        signed = f"{headers['OK-ACCESS-TIMESTAMP']}{received.method}{received.path}{query}{call.body}"
        digest = hmac.new(account.key.secret.encode(), signed.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64encode(digest).decode(), headers.get("OK-ACCESS-SIGN", "")):
            raise VenueRefusal("50113", "Invalid Sign", 401)

    def _check_rights(self, call: Call, route: Route, account: VenueAccount) -> None:
        key = account.key
        if key.expires_at is not None and key.expires_at <= self.market.now():
            raise VenueRefusal("50119", "API key doesn't exist", 401)
        if not key.allows_ip(call.remote):
            raise VenueRefusal("50110", f"Your IP {call.remote} is not included in your API key's list", 401)
        if not (key.trade if route.trades else key.read):
            raise VenueRefusal("50114", "Invalid Authorization", 401)

    def refusal(self, error: VenueRefusal) -> Answered:
        body = {"code": error.code, "msg": error.message, "data": []}
        return Answered(error.status or 200, json.dumps(body).encode())

    def too_many(self, fault: TooMany) -> Answered:
        if fault.banned:
            return Answered(429, b"error code: 1015", content_type="text/html")
        return self.refusal(VenueRefusal("50011", "Too Many Requests", 429))

    def translated(self, code: str, reason: str) -> VenueRefusal:
        return VenueRefusal(*CODES.get(code, ("51000", f"Parameter error: {reason}")))

    # --- public ---------------------------------------------------------------------------------

    async def _time(self, call: Call) -> list[Any]:
        return [{"ts": str(to_ms(self.wire_now()))}]

    async def _instruments(self, call: Call) -> list[Any]:
        rows = [words.market(instrument) for instrument in (await self.market.instruments()).values()]
        return _of_name(call, rows)

    async def _funding_rate(self, call: Call) -> list[Any]:
        symbols = list(IDS) if call.text("instId") == "ANY" else [_symbol(call)]
        return [words.funding_rate(await self.market.state(symbol)) for symbol in symbols]

    async def _mark_price(self, call: Call) -> list[Any]:
        return [words.mark_price(await self.market.state(symbol)) for symbol in _symbols(call)]

    async def _tickers(self, call: Call) -> list[Any]:
        symbols = _symbols(call)
        return [words.ticker(await self.market.state(s), await self.market.book(s)) for s in symbols]

    async def _index_tickers(self, call: Call) -> list[Any]:
        rows = [words.index_ticker(await self.market.state(symbol)) for symbol in IDS]
        return _of_name(call, rows)

    async def _book(self, call: Call) -> list[Any]:
        return [words.depth(await self.market.book(_symbol(call), call.whole("sz", 1)))]

    async def _tiers(self, call: Call) -> list[Any]:
        family = call.text("instFamily") or call.text("uly")
        return [
            row
            for symbol, instrument in (await self.market.instruments()).items()
            for row in words.tiers(instrument)
            if FAMILIES[symbol] in family.split(",")
        ]

    async def _candles(self, call: Call) -> list[Any]:
        """The newest first; ``before`` and ``after`` exclude the instants that they name."""
        before, after = call.instant("before"), call.instant("after")
        rows = self.market.candles(
            _symbol(call),
            since=before + NEARLY if before else None,
            until=after - NEARLY if after else None,
            step=timedelta(minutes=BARS[call.text("bar", "1m")]),
            limit=call.whole("limit", 100),
        )
        tail = ["1"] if "mark" in call.received.path else ["0", "0", "0", "1"]
        return [[str(to_ms(at)), *(f"{price:f}" for price in prices), *tail] for at, *prices in rows][::-1]

    # --- the account ----------------------------------------------------------------------------

    async def _config(self, call: Call) -> list[Any]:
        return [words.config(call.account.key, (await call.account.view()).position_mode)]

    async def _positions(self, call: Call) -> list[Any]:
        view, instruments = await self.positions_view(call), await self.market.instruments()
        rows = []
        for position in view.positions:
            mark = (await self.market.state(position.symbol)).mark_price
            instrument, ratio = instruments[position.symbol], view.balance.margin_ratio
            at = to_ms(view.at)
            rows.append(words.position(position, instrument, mark, view.position_mode, at, ratio))
        wanted = call.text("instId")
        return [row for row in rows if not wanted or row["instId"] in wanted.split(",")]

    async def _balance(self, call: Call) -> list[Any]:
        rows = await self._positions(call)
        maintained = sum((Decimal(row["mmr"]) for row in rows), ZERO)
        return [words.balance(await call.account.view(), maintained)]

    async def _trade_fee(self, call: Call) -> list[Any]:
        instruments = list((await self.market.instruments()).values())
        return [words.trade_fee(instruments[0], to_ms(self.wire_now()))]

    async def _set_mode(self, call: Call) -> list[Any]:
        wanted = call.text("posMode")
        with self.engine_refusals():
            mode = PositionMode.HEDGE if wanted == "long_short_mode" else PositionMode.ONE_WAY
            await call.account.set_position_mode(mode)
        return [{"posMode": wanted}]

    async def _set_leverage(self, call: Call) -> list[Any]:
        symbol, margin_mode = _symbol(call), MarginMode(call.text("mgnMode"))
        leverage, named = Decimal(call.text("lever")), call.text("posSide", "net")
        hedge = (await call.account.view()).position_mode is PositionMode.HEDGE
        if margin_mode is MarginMode.ISOLATED and hedge and named == "net":
            raise WRONG_SIDE
        sides = list(PositionSide) if named == "net" else [PositionSide(named)]
        if margin_mode is MarginMode.CROSS:
            sides = list(PositionSide)
        for side in sides:
            await self._keep_leverage(call.account, symbol, side, margin_mode, leverage)
        row = {"instId": IDS[symbol], "lever": call.text("lever"), "mgnMode": margin_mode.value}
        return [{**row, "posSide": named if margin_mode is MarginMode.ISOLATED else ""}]

    async def _keep_leverage(
        self,
        account: VenueAccount,
        symbol: Symbol,
        side: PositionSide,
        margin_mode: MarginMode,
        leverage: Decimal,
    ) -> None:
        """A leg held in the other mode keeps its own."""
        position = (await account.view()).position(symbol, side)
        if position is None or position.margin_mode is margin_mode:
            with self.engine_refusals():
                await account.set_leg(symbol, side, leverage=leverage, margin_mode=margin_mode)
        self._levers[account.key.key, symbol, side, margin_mode] = leverage

    def _leverage(
        self, account: VenueAccount, symbol: Symbol, side: PositionSide, mode: MarginMode
    ) -> Decimal:
        return self._levers.get((account.key.key, symbol, side, mode), Decimal(10))

    async def _leverage_info(self, call: Call) -> list[Any]:
        symbol, margin_mode = _symbol(call), MarginMode(call.text("mgnMode"))
        hedge = (await call.account.view()).position_mode is PositionMode.HEDGE
        apart = margin_mode is MarginMode.ISOLATED and hedge
        return [
            {
                "ccy": "",
                "instId": IDS[symbol],
                "mgnMode": margin_mode.value,
                "posSide": side.value if apart else "net",
                "lever": f"{self._leverage(call.account, symbol, side, margin_mode):f}",
            }
            for side in (PositionSide if apart else [PositionSide.LONG])
        ]

    async def _margin_balance(self, call: Call) -> list[Any]:
        sign = 1 if call.text("type") == "add" else -1
        symbol, side = _symbol(call), PositionSide(call.text("posSide"))
        with self.engine_refusals():
            await call.account.add_margin(symbol, side, sign * Decimal(call.text("amt")))
        names = ("amt", "instId", "posSide", "type")
        return [{**{name: call.text(name) for name in names}, "ccy": "USDT", "leverage": ""}]

    # --- orders ---------------------------------------------------------------------------------

    async def _place(self, call: Call) -> Any:
        return _bulk([await self._placed(call.account, call.params)])

    async def _batch(self, call: Call) -> Any:
        return _bulk([await self._placed(call.account, params) for params in call.params["batch"]])

    async def _place_algo(self, call: Call) -> Any:
        return _bulk([await self._placed(call.account, call.params, algo=True)])

    async def _placed(self, account: VenueAccount, params: Mapping[str, Any], *, algo: bool = False) -> Any:
        client_id = str(params.get("algoClOrdId" if algo else "clOrdId", ""))
        names = (
            {"algoClOrdId": client_id, "clOrdId": params.get("clOrdId", "")}
            if algo
            else {"clOrdId": client_id}
        )
        try:
            order = await self._accepted(account, self._wish(params, client_id, algo=algo), params)
        except VenueRefusal as error:
            failed = {"algoId" if algo else "ordId": "", "sCode": error.code, "sMsg": error.message}
            return {**names, **failed, "tag": "", "ts": str(to_ms(self.market.now()))}
        made = {"algoId" if algo else "ordId": words.order_id(order.number), "sCode": "0", "sMsg": ""}
        return {**names, **made, "tag": "", "ts": str(to_ms(order.created_at))}

    def _wish(self, params: Mapping[str, Any], client_id: str, *, algo: bool) -> Wish:
        name = str(params.get("instId"))
        if name not in SYMBOLS:
            raise VenueRefusal("51001", "Instrument ID doesn't exist.")
        if client_id and not CLIENT_ID.fullmatch(client_id):
            raise VenueRefusal("51000", f"Parameter {'algoClOrdId' if algo else 'clOrdId'} error")
        named, kind = str(params.get("posSide", "net")), str(params.get("ordType"))
        trigger_name, order_type = _trigger(params) if algo else ("", _normal_type(kind))
        return Wish(
            client_order_id=client_id,
            symbol=SYMBOLS[name],
            side=OrderSide(str(params["side"])),
            position_side=None if named == "net" else PositionSide(named),
            type=order_type,
            quantity=Decimal(str(params["sz"])) * CONTRACT_SIZES[SYMBOLS[name]],
            closes=str(params.get("reduceOnly", "false")).lower() == "true",
            limit_price=Decimal(str(params["px"])) if order_type is OrderType.LIMIT else None,
            trigger_price=Decimal(str(params[trigger_name])) if algo else None,
            post_only=kind == "post_only",
            immediate=kind in ("ioc", "fok"),
        )

    async def _accepted(self, account: VenueAccount, wish: Wish, params: Mapping[str, Any]) -> WireOrder:
        view = await account.view()
        if (wish.position_side is None) is (view.position_mode is PositionMode.HEDGE):
            raise WRONG_SIDE
        closing = wish.position_side is not None and not wish.opens
        if closing and view.position(wish.symbol, wish.position_side or PositionSide.LONG) is None:
            raise NOTHING_HELD
        await self._take_mode(account, wish, str(params.get("tdMode")))
        try:
            return await self.place(account, wish)
        except VenueRefusal as error:
            if "trigger" in error.message:
                raise _passed_trigger(wish) from error
            raise

    async def _take_mode(self, account: VenueAccount, wish: Wish, told: str) -> None:
        """The margin mode comes with the order."""
        if told not in ("cross", "isolated"):
            raise VenueRefusal("51000", "Parameter tdMode error")
        view, mode = await account.view(), MarginMode(told)
        for side in [wish.position_side] if wish.position_side else PositionSide:
            position = view.position(wish.symbol, side)
            if position is not None and position.margin_mode is not mode:
                raise VenueRefusal("51000", "Parameter tdMode error: the leg is held in the other mode")
            if position is None:
                lever = self._leverage(account, wish.symbol, side, mode)
                with self.engine_refusals():
                    await account.set_leg(wish.symbol, side, leverage=lever, margin_mode=mode)

    async def _order(self, call: Call) -> list[Any]:
        found = self.visible(_fits(call.params, _normal(call.account), "clOrdId", "ordId"))
        if found:
            return [words.order(found[-1], "USDT")]
        forced = [row for row in await self._forced(call.account) if row["ordId"] == call.text("ordId")]
        if not forced:
            raise NO_ORDER
        return forced

    async def _order_algo(self, call: Call) -> list[Any]:
        found = self.visible(_fits(call.params, _algos(call.account), "algoClOrdId", "algoId"))
        if not found:
            raise NO_ORDER
        return [words.algo_order(found[-1])]

    async def _cancel(self, call: Call) -> Any:
        found = _fits(call.params, _normal(call.account), "clOrdId", "ordId")
        return _bulk([await self._canceled(call.account, found, "ordId", "clOrdId")])

    async def _cancel_algos(self, call: Call) -> Any:
        rows = []
        for params in call.params["batch"]:
            found = _fits(params, _algos(call.account), "algoClOrdId", "algoId")
            rows.append(await self._canceled(call.account, found, "algoId", "algoClOrdId"))
        return _bulk(rows)

    async def _canceled(
        self, account: VenueAccount, found: list[WireOrder], number_name: str, client_name: str
    ) -> Any:
        if not found or not found[-1].open:
            code, message = (
                "51400",
                "Cancellation failed as the order has been filled, canceled or does not exist.",
            )
            return {number_name: "", client_name: "", "sCode": code, "sMsg": message}
        order = found[-1]
        await account.cancel(order)
        names = {number_name: words.order_id(order.number), client_name: order.wish.client_order_id}
        return {**names, "sCode": "0", "sMsg": "", "tag": "", "ts": str(to_ms(order.standing.updated_at))}

    async def _pending(self, call: Call) -> list[Any]:
        orders = self.visible(order for order in _normal(call.account) if order.open)
        return _page(call, _of_name(call, [words.order(order, "USDT") for order in orders]), "ordId")

    async def _algo_pending(self, call: Call) -> list[Any]:
        orders = self.visible(order for order in _algos(call.account) if order.open)
        return _page(call, _algo_rows(call, orders), "algoId")

    async def _algo_history(self, call: Call) -> list[Any]:
        if not call.text("state") and not call.text("algoId"):
            raise VenueRefusal("50015", "Either parameter state or algoId is required")
        rows = _algo_rows(call, self.visible(order for order in _algos(call.account) if not order.open))
        fits = [
            row
            for row in rows
            if call.text("state") in ("", row["state"]) and call.text("algoId") in ("", row["algoId"])
        ]
        return _page(call, fits, "algoId")

    async def _forced(self, account: VenueAccount) -> list[Any]:
        mode = (await account.view()).position_mode
        return [
            words.forced_order(fill, instrument, mode)
            for symbol, instrument in (await self.market.instruments()).items()
            for fill in await account.fills(symbol)
            if fill.cause is not FillCause.TRADE
        ]

    async def _history(self, call: Call) -> list[Any]:
        """Final ones, with those that the exchange made by itself."""
        final = self.visible(order for order in _normal(call.account) if not order.open)
        rows = [words.order(order, "USDT") for order in final] + await self._forced(call.account)
        rows.sort(key=lambda row: (int(row["cTime"]), row["ordId"]))
        state = call.text("state")
        fits = [
            row
            for row in _of_name(call, rows)
            if state in ("", row["state"]) and _in_time(call, row["cTime"])
        ]
        return _page(call, fits, "ordId")

    # --- history --------------------------------------------------------------------------------

    async def _fills(self, call: Call) -> list[Any]:
        mode = (await call.account.view()).position_mode
        shown = {id(order) for order in self.visible(call.account.orders)}
        rows = []
        for symbol, instrument in (await self.market.instruments()).items():
            fills = await call.account.fills(symbol)
            known = [fill for fill in fills if fill.order is None or id(fill.order) in shown]
            rows += [words.fill(fill, instrument, mode) for fill in known]
        rows.sort(key=lambda row: row["billId"])
        wanted = call.text("ordId")
        fits = [
            row for row in _of_name(call, rows) if wanted in ("", row["ordId"]) and _in_time(call, row["ts"])
        ]
        return _page(call, fits, "billId")

    async def _bills(self, call: Call) -> list[Any]:
        if call.text("type", "8") != "8":
            return []
        rows = []
        for symbol, instrument in (await self.market.instruments()).items():
            fills: list[WireFill] = await call.account.fills(symbol)
            for payment in await call.account.funding(symbol):
                quantity = held_at(fills, payment)
                mark = abs(payment.amount / (payment.rate * quantity)) if payment.rate else ZERO
                rows.append(words.funding_bill(payment, quantity, mark, instrument.settle))
        rows.sort(key=lambda row: (int(row["ts"]), row["billId"]))
        fits = [row for row in _of_name(call, rows) if _in_time(call, row["ts"])]
        return _page(call, fits, "billId")


# --- small change -------------------------------------------------------------------------------


def _ok(handler: Answering) -> Callable[[Call], Awaitable[Any]]:
    async def answer(call: Call) -> Any:
        return {"code": "0", "msg": "", "data": await handler(call)}

    return answer


def _bulk(rows: list[Any]) -> dict[str, Any]:
    """ "0": all done, "1": none, "2": some."""
    failed = [row for row in rows if row["sCode"] != "0"]
    if not failed:
        return {"code": "0", "msg": "", "data": rows}
    code, message = (
        ("1", "All operations failed")
        if len(failed) == len(rows)
        else ("2", "Bulk operation partially succeeded.")
    )
    return {"code": code, "msg": message, "data": rows}


def _normal_type(kind: str) -> OrderType:
    if kind == "market":
        return OrderType.MARKET
    if kind in LIMITED:
        return OrderType.LIMIT
    raise VenueRefusal("51000", "Parameter ordType error")


def _trigger(params: Mapping[str, Any]) -> tuple[str, OrderType]:
    """The field that holds the trigger price, and what it means."""
    fields = {
        "slTriggerPx": OrderType.STOP_LOSS,
        "tpTriggerPx": OrderType.TAKE_PROFIT,
        "triggerPx": OrderType.TRIGGER,
    }
    for name, kind in fields.items():
        if params.get(name):
            return name, kind
    raise VenueRefusal("50015", "Either parameter tpTriggerPx or slTriggerPx is required")


def _passed_trigger(wish: Wish) -> VenueRefusal:
    sells, stop = wish.side is OrderSide.SELL, wish.type is OrderType.STOP_LOSS
    name, direction = "SL" if stop else "TP", "higher" if sells is stop else "lower"
    code = {
        ("SL", "higher"): "51280",
        ("SL", "lower"): "51278",
        ("TP", "higher"): "51277",
        ("TP", "lower"): "51279",
    }
    return VenueRefusal(
        code[name, direction], f"{name} trigger price cannot be {direction} than the last price"
    )


def _normal(account: VenueAccount) -> list[WireOrder]:
    return [order for order in account.orders if not order.conditional or order.standing.fired]


def _algos(account: VenueAccount) -> list[WireOrder]:
    return [order for order in account.orders if order.conditional]


def _fits(
    params: Mapping[str, Any], orders: Iterable[WireOrder], client_name: str, number_name: str
) -> list[WireOrder]:
    client_id, number = str(params.get(client_name, "")), words.number_of(str(params.get(number_name, "")))
    algo = number_name == "algoId"
    found = []
    for order in orders:
        own = order.number if algo or not order.conditional else order.fired_number
        named = client_id and order.wish.client_order_id == client_id and order.conditional is algo
        if named or (number and number == own):
            found.append(order)
    return found


def _symbol(call: Call) -> Symbol:
    if call.text("instId") not in SYMBOLS:
        raise VenueRefusal("51001", "Instrument ID doesn't exist.")
    return SYMBOLS[call.text("instId")]


def _symbols(call: Call) -> list[Symbol]:
    return [_symbol(call)] if call.text("instId") else list(IDS)


def _of_name(call: Call, rows: list[Any]) -> list[Any]:
    return [row for row in rows if call.text("instId") in ("", row["instId"])]


def _algo_rows(call: Call, orders: list[WireOrder]) -> list[Any]:
    kinds = call.text("ordType").split(",")
    client_id = call.text("algoClOrdId")
    rows = _of_name(call, [words.algo_order(order) for order in orders])
    return [row for row in rows if row["ordType"] in kinds and client_id in ("", row["algoClOrdId"])]


def _in_time(call: Call, stamp: str) -> bool:
    begin, end = call.instant("begin") or EVER, call.instant("end")
    return int(stamp) >= to_ms(begin) and (end is None or int(stamp) <= to_ms(end))


def _page(call: Call, rows: list[Any], id_name: str) -> list[Any]:
    """The newest first; ``after`` goes on with what is older than that id."""
    after = call.text("after")
    older = [row for row in rows if not after or row[id_name] < after]
    return older[::-1][: call.whole("limit", 100)]
