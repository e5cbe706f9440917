"""OKX v5 perpetual swaps on the loopback. Sizes on the wire are contracts, inside they are base units."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import MarginMode, OrderSide, PositionMode, PositionSide
from chatbot.domain.order import FillCause, OrderType
from tests.wire.venues import okx_order_words as order_words
from tests.wire.venues import okx_words as words
from tests.wire.venues.core import EVER, VenueAccount
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.okx_account import WRONG_SIDE, OkxAccount
from tests.wire.venues.okx_market import Answering, of_name, ok
from tests.wire.venues.okx_words import CONTRACT_SIZES, SYMBOLS
from tests.wire.venues.orders import WireFill, WireOrder, Wish, held_at, settlement_price
from tests.wire.venues.server import Call, Route, VenueRefusal, to_ms

CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
LIMITED = {"limit", "post_only", "ioc", "fok"}
NO_ORDER = ("51603", "Order does not exist.")
NOTHING_HELD = ("51169", "Order failed because you don't have any positions to reduce or close.")


class OkxServer(OkxAccount):
    """Client ids are taken for ever; a fired stop makes a new order; stops outlive their leg."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading_routes()
        self._writing_routes()

    def _reading_routes(self) -> None:
        def read(path: str, endpoint: Endpoint, handler: Answering) -> None:
            self.routes["GET", f"/api/v5/{path}"] = Route(endpoint, ok(handler))

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
            raise VenueRefusal(*WRONG_SIDE)
        closing = wish.position_side is not None and not wish.opens
        if closing and view.position(wish.symbol, wish.position_side or PositionSide.LONG) is None:
            raise VenueRefusal(*NOTHING_HELD)
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
                lever = self.leverage(account, wish.symbol, side, mode)
                with self.engine_refusals():
                    await account.set_leg(wish.symbol, side, leverage=lever, margin_mode=mode)

    async def _order(self, call: Call) -> list[Any]:
        found = self.visible(_fits(call.params, _normal(call.account), "clOrdId", "ordId"))
        if found:
            return [order_words.order(found[-1])]
        forced = [row for row in await self._forced(call.account) if row["ordId"] == call.text("ordId")]
        if not forced:
            raise VenueRefusal(*NO_ORDER)
        return forced

    async def _order_algo(self, call: Call) -> list[Any]:
        found = self.visible(_fits(call.params, _algos(call.account), "algoClOrdId", "algoId"))
        if not found:
            raise VenueRefusal(*NO_ORDER)
        return [order_words.algo_order(found[-1])]

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
        return _page(call, of_name(call, [order_words.order(order) for order in orders]), "ordId")

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
            order_words.forced_order(fill, instrument, mode)
            for symbol, instrument in (await self.market.instruments()).items()
            for fill in await account.fills(symbol)
            if fill.cause is not FillCause.TRADE
        ]

    async def _history(self, call: Call) -> list[Any]:
        """Final ones, with those that the exchange made by itself."""
        final = self.visible(order for order in _normal(call.account) if not order.open)
        rows = [order_words.order(order) for order in final] + await self._forced(call.account)
        rows.sort(key=lambda row: (int(row["cTime"]), row["ordId"]))
        state = call.text("state")
        fits = [
            row for row in of_name(call, rows) if state in ("", row["state"]) and _in_time(call, row["cTime"])
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
            rows += [order_words.fill(fill, instrument, mode) for fill in known]
        rows.sort(key=lambda row: row["billId"])
        wanted = call.text("ordId")
        fits = [
            row for row in of_name(call, rows) if wanted in ("", row["ordId"]) and _in_time(call, row["ts"])
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
                mark = settlement_price(instrument, payment, quantity)
                rows.append(order_words.funding_bill(payment, quantity, mark, instrument.settle))
        rows.sort(key=lambda row: (int(row["ts"]), row["billId"]))
        fits = [row for row in of_name(call, rows) if _in_time(call, row["ts"])]
        return _page(call, fits, "billId")


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


def _algo_rows(call: Call, orders: list[WireOrder]) -> list[Any]:
    kinds = call.text("ordType").split(",")
    client_id = call.text("algoClOrdId")
    rows = of_name(call, [order_words.algo_order(order) for order in orders])
    return [row for row in rows if row["ordType"] in kinds and client_id in ("", row["algoClOrdId"])]


def _in_time(call: Call, stamp: str) -> bool:
    begin, end = call.instant("begin") or EVER, call.instant("end")
    return int(stamp) >= to_ms(begin) and (end is None or int(stamp) <= to_ms(end))


def _page(call: Call, rows: list[Any], id_name: str) -> list[Any]:
    """The newest first; ``after`` goes on with what is older than that id."""
    after = call.text("after")
    older = [row for row in rows if not after or row[id_name] < after]
    return older[::-1][: call.whole("limit", 100)]
