"""What Bybit v5 answers without a key, and how it checks one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar

from chatbot.domain.instrument import Symbol
from tests.wire.venues import bybit_words as words
from tests.wire.venues.bybit_words import IDS, SYMBOLS
from tests.wire.venues.core import Habits, VenueAccount
from tests.wire.venues.faults import Endpoint, TooMany
from tests.wire.venues.server import Answered, Call, Route, VenueRefusal, VenueServer, to_ms

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


class BybitMarket(VenueServer):
    """Keys, refusals and public data."""

    habits: ClassVar[Habits] = Habits(
        ids_unique_for_ever=True, trims_closes=True, stops_end_with_their_leg=True
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._public_routes()

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
        return {"category": "linear", "list": of_name(call, rows), "nextPageCursor": ""}

    async def _tickers(self, call: Call) -> Any:
        symbols = [symbol_of(call)] if call.text("symbol") else list(IDS)
        rows = [words.ticker(await self.market.state(s), await self.market.book(s)) for s in symbols]
        return {"category": "linear", "list": rows}

    async def _book(self, call: Call) -> Any:
        return words.depth(await self.market.book(symbol_of(call), call.whole("limit", 25)))

    async def _klines(self, call: Call) -> Any:
        """The newest first."""
        interval = call.text("interval")
        step = timedelta(days=1) if interval == "D" else timedelta(minutes=int(interval))
        rows = self.market.candles(
            symbol_of(call),
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
        return {"category": "linear", "list": of_name(call, rows), "nextPageCursor": ""}


def symbol_of(call: Call) -> Symbol:
    if call.text("symbol") not in SYMBOLS:
        raise VenueRefusal("10001", "params error: symbol invalid")
    return SYMBOLS[call.text("symbol")]


def of_name(call: Call, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if call.text("symbol") in ("", row["symbol"])]
