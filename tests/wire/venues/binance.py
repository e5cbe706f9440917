"""Binance USDⓈ-M on the loopback: paths, signatures and refusals of the real one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import MarginMode, OrderSide, PositionMode, PositionSide
from chatbot.domain.order import FillCause, OrderType
from tests.wire.venues import binance_order_words as order_words
from tests.wire.venues import binance_words as words
from tests.wire.venues.binance_market import BinanceMarket, named, symbol_of
from tests.wire.venues.binance_words import IDS
from tests.wire.venues.core import EVER, VenueAccount
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.orders import WireOrder, Wish
from tests.wire.venues.server import Call, Route, VenueRefusal, to_ms

ORDER_SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}
POSITION_SIDES = {"LONG": PositionSide.LONG, "SHORT": PositionSide.SHORT}
TYPES = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "STOP_MARKET": OrderType.STOP_LOSS,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
}
WEEK = timedelta(days=7)
CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
WRONG_SIDE = ("-4061", "Order's position side does not match user's setting.")
NO_ORDER = ("-2013", "Order does not exist.")
NO_CANCEL = ("-2011", "Unknown order sent.")


class BinanceServer(BinanceMarket):
    """Client ids are unique among open orders; a fired stop makes a new order; stops outlive their leg."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reading_routes()
        self._writing_routes()

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
        symbol, leverage = symbol_of(call), Decimal(call.text("leverage"))
        with self.engine_refusals():
            for side in PositionSide:
                await call.account.set_leg(symbol, side, leverage=leverage)
        return {"leverage": int(leverage), "maxNotionalValue": "5000000", "symbol": IDS[symbol]}

    async def _set_margin_type(self, call: Call) -> Any:
        symbol = symbol_of(call)
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
            await call.account.add_margin(symbol_of(call), side, sign * amount)
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
        instrument = (await self.market.instruments())[symbol_of(call)]
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
        return order_words.order(await self.place(call.account, wish))

    async def _batch(self, call: Call) -> Any:
        """Each answered at its place; a refused one without any id."""
        rows = []
        for params in json.loads(call.text("batchOrders")):
            try:
                wish = await self._wish(call.account, params)
                rows.append(order_words.order(await self.place(call.account, wish)))
            except VenueRefusal as error:
                rows.append({"code": int(error.code), "msg": error.message})
        return rows

    async def _place_algo(self, call: Call) -> Any:
        params = {**call.params, "newClientOrderId": call.text("clientAlgoId")}
        if call.text("algoType") != "CONDITIONAL" or not call.text("triggerPrice"):
            raise VenueRefusal("-1102", "Mandatory parameter 'triggerPrice' was not sent or malformed.")
        return order_words.algo_order(await self.place(call.account, await self._wish(call.account, params)))

    async def _wish(self, account: VenueAccount, params: Mapping[str, Any]) -> Wish:
        kind = TYPES.get(str(params.get("type")))
        if kind is None:
            raise VenueRefusal("-1116", "Invalid orderType.")
        mode = (await account.view()).position_mode
        side = POSITION_SIDES.get(str(params.get("positionSide", "BOTH")))
        if (side is None) is (mode is PositionMode.HEDGE):
            raise VenueRefusal(*WRONG_SIDE)
        reduce_only = str(params.get("reduceOnly", "false")).lower() == "true"
        if side is not None and "reduceOnly" in params:
            raise VenueRefusal("-1106", "Parameter 'reduceonly' sent when not required.")
        time_in_force = params.get("timeInForce")
        client_id = str(params.get("newClientOrderId", ""))
        if client_id and not CLIENT_ID.fullmatch(client_id):
            raise VenueRefusal("-4015", "Client order id is not valid.")
        return Wish(
            client_order_id=client_id,
            symbol=named(str(params.get("symbol"))),
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
            return order_words.order(found[-1])
        mode = (await call.account.view()).position_mode
        forced = [order_words.forced_order(fill, mode) for fill in await self._forced(call)]
        named = [row for row in forced if _names(call, row)]
        if not named:
            raise VenueRefusal(*NO_ORDER)
        return named[0]

    async def _algo_order(self, call: Call) -> Any:
        found = self.visible(_fits(call, self._algos(call.account), "clientAlgoId", "algoId"))
        if not found:
            raise VenueRefusal(*NO_ORDER)
        return order_words.algo_order(found[-1])

    async def _cancel(self, call: Call) -> Any:
        found = _fits(call, self._normal(call.account), "origClientOrderId", "orderId")
        if not found or not found[-1].open:
            raise VenueRefusal(*NO_CANCEL)
        await call.account.cancel(found[-1])
        return order_words.order(found[-1])

    async def _cancel_algo(self, call: Call) -> Any:
        found = _fits(call, self._algos(call.account), "clientAlgoId", "algoId")
        if not found or not found[-1].open:
            raise VenueRefusal(*NO_CANCEL)
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
        return [order_words.order(order) for order in _of_symbol(call, orders)]

    async def _open_algo_orders(self, call: Call) -> Any:
        orders = self.visible(order for order in self._algos(call.account) if order.open)
        return [order_words.algo_order(order) for order in _of_symbol(call, orders)]

    async def _all_orders(self, call: Call) -> Any:
        orders = _of_symbol(call, self.visible(self._normal(call.account)))
        rows = [order_words.order(order) for order in orders]
        mode = (await call.account.view()).position_mode
        rows += [order_words.forced_order(fill, mode) for fill in await self._forced(call)]
        rows.sort(key=lambda row: (row["time"], row["orderId"]))
        return _latest([row for row in rows if row["time"] >= call.whole("startTime", 0)], call, 500)

    async def _all_algo_orders(self, call: Call) -> Any:
        orders = _of_symbol(call, self.visible(self._algos(call.account)))
        return _latest([order_words.algo_order(order) for order in orders], call, 500)

    # --- history --------------------------------------------------------------------------------

    async def _user_trades(self, call: Call) -> Any:
        symbol = symbol_of(call)
        instrument = (await self.market.instruments())[symbol]
        mode = (await call.account.view()).position_mode
        shown = {id(order) for order in self.visible(call.account.orders)}
        fills = [f for f in await call.account.fills(symbol) if f.order is None or id(f.order) in shown]
        rows = [order_words.trade(fill, instrument, mode) for fill in fills]
        return _latest(_chosen_trades(call, rows, self.market.now()), call, 500)

    async def _forced(self, call: Call) -> list[Any]:
        symbols = [symbol_of(call)] if call.text("symbol") else list(IDS)
        since = call.instant("startTime") or EVER
        fills = [fill for symbol in symbols for fill in await call.account.fills(symbol, since)]
        return [fill for fill in fills if fill.cause is not FillCause.TRADE]

    async def _force_orders(self, call: Call) -> Any:
        causes = {"LIQUIDATION": FillCause.LIQUIDATION, "ADL": FillCause.AUTO_DELEVERAGING}
        wanted = causes.get(call.text("autoCloseType"))
        mode = (await call.account.view()).position_mode
        fills = [fill for fill in await self._forced(call) if wanted in (None, fill.cause)]
        return [order_words.forced_order(fill, mode) for fill in fills]

    async def _income(self, call: Call) -> Any:
        if call.text("incomeType", "FUNDING_FEE") != "FUNDING_FEE":
            return []
        symbols = [symbol_of(call)] if call.text("symbol") else list(IDS)
        since = call.instant("startTime") or EVER
        payments = [p for symbol in symbols for p in await call.account.funding(symbol, since)]
        payments.sort(key=lambda payment: payment.at)
        return [order_words.income(p, "USDT") for p in payments if _until(call, p.at)][
            : call.whole("limit", 100)
        ]


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
