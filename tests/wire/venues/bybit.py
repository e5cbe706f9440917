"""Bybit v5 linear contracts of a unified account on the loopback."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import ZERO, MarginMode, OrderSide, PositionMode, PositionSide
from chatbot.domain.order import FillCause, OrderType
from tests.wire.venues import bybit_order_words as order_words
from tests.wire.venues import bybit_words as words
from tests.wire.venues.bybit_market import of_name, symbol_of
from tests.wire.venues.bybit_streams import BybitStreams
from tests.wire.venues.bybit_words import IDS, INDEXES, SYMBOLS
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.orders import WireOrder, Wish, held_at
from tests.wire.venues.server import Call, Route, VenueRefusal, to_ms

ORDER_SIDES = {"Buy": OrderSide.BUY, "Sell": OrderSide.SELL}
SIDE_OF_INDEX = {index: side for side, index in INDEXES.items()}
CAUSES = {name: cause for cause, name in words.EXEC_TYPES.items()}
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
WEEK = timedelta(days=7)
WRONG_INDEX = ("10001", "position idx not match position mode")
NO_ORDER = ("110001", "order not exists or too late to cancel")


class BybitServer(BybitStreams):
    """Client ids are taken for ever; a fired stop stays the same order; stops end with their leg."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading_routes()
        self._writing_routes()

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
        if call.text("category") != "linear":
            return {"category": call.text("category"), "list": [], "nextPageCursor": ""}
        rows = await self._rows(call)
        if not call.text("symbol"):
            return {"category": "linear", "list": rows, "nextPageCursor": ""}
        symbol, view = symbol_of(call), await call.account.view()
        hedge = view.position_mode is PositionMode.HEDGE
        held = {row["positionIdx"]: row for row in of_name(call, rows)}
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
        return {"category": "linear", "list": of_name(call, rows)}

    async def _switch_mode(self, call: Call) -> Any:
        wanted = PositionMode.HEDGE if call.text("mode") == "3" else PositionMode.ONE_WAY
        if (await call.account.view()).position_mode is wanted:
            raise VenueRefusal("110025", "Position mode is not modified")
        with self.engine_refusals():
            await call.account.set_position_mode(wanted)
        return {}

    async def _set_leverage(self, call: Call) -> Any:
        """Both sides in one request; in cross mode they have to be equal."""
        symbol, view = symbol_of(call), await call.account.view()
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
        symbol, side = symbol_of(call), SIDE_OF_INDEX[call.whole("positionIdx", 0)]
        with self.engine_refusals():
            await call.account.add_margin(symbol, side, Decimal(call.text("margin")))
        rows = of_name(call, await self._rows(call))
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
            raise VenueRefusal(*WRONG_INDEX)
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
            raise VenueRefusal(*NO_ORDER)
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
        rows = [order_words.forced_order(fill) for fill in forced]
        number, link = call.text("orderId"), call.text("orderLinkId")
        named = [row for row in of_name(call, rows) if number in ("", row["orderId"]) and not link]
        own = await self._rows_of(call, (o for o in call.account.orders if not o.open))
        return _page(call, sorted([*named, *own], key=lambda row: row["createdTime"], reverse=True), 20)

    async def _rows_of(self, call: Call, orders: Iterable[WireOrder]) -> list[dict[str, Any]]:
        instruments = await self.market.instruments()
        chosen = _fits(call, self.visible(orders))
        rows = [order_words.order(order, instruments[order.wish.symbol]) for order in reversed(chosen)]
        return [row for row in of_name(call, rows) if self._in_window(call, int(row["createdTime"]))]

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
            rows += [order_words.execution(fill, instrument) for fill in known if cause in (None, fill.cause)]
        return _of_link(call, of_name(call, rows))

    async def _funding(self, call: Call) -> list[dict[str, Any]]:
        rows = []
        for symbol in IDS:
            fills = await call.account.fills(symbol)
            for payment in await call.account.funding(symbol):
                if self._in_window(call, to_ms(payment.at)):
                    quantity = held_at(fills, payment)
                    mark = abs(payment.amount / (payment.rate * quantity)) if payment.rate else ZERO
                    rows.append(order_words.funding(payment, quantity, mark))
        return _of_link(call, of_name(call, rows))


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
