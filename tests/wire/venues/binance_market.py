"""What every Binance server answers without a key, and how it checks one."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from chatbot.domain.instrument import Symbol
from tests.wire.venues import binance_words as words
from tests.wire.venues.binance_words import IDS, SYMBOLS
from tests.wire.venues.core import Habits, VenueAccount
from tests.wire.venues.faults import Endpoint, TooMany
from tests.wire.venues.server import Answered, Call, Route, VenueRefusal, to_ms
from tests.wire.venues.streams import StreamingServer

INTERVALS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "1d": 1440}
USUAL_WINDOW = 5_000
USUAL_HOURS = timedelta(hours=8)
NOT_ALLOWED = ("-2015", "Invalid API-key, IP, or permissions for action.", 401)


class BinanceMarket(StreamingServer):
    """Keys, refusals and public data."""

    habits: ClassVar[Habits] = Habits()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._public_routes()

    def _public_routes(self) -> None:
        def public(path: str, endpoint: Endpoint, handler: Any) -> None:
            self.routes["GET", f"/fapi/v1/{path}"] = Route(endpoint, handler, signed=False)

        public("ping", Endpoint.TIME, self._ping)
        public("time", Endpoint.TIME, self._time)
        public("exchangeInfo", Endpoint.MARKETS, self._exchange_info)
        public("premiumIndex", Endpoint.PRICES, self._premium_index)
        public("fundingInfo", Endpoint.PRICES, self._funding_info)
        public("fundingRate", Endpoint.PRICES, self._settled_rates)
        public("ticker/24hr", Endpoint.PRICES, self._tickers)
        public("ticker/bookTicker", Endpoint.PRICES, self._book_tickers)
        public("depth", Endpoint.BOOK, self._depth)
        public("klines", Endpoint.CANDLES, self._klines)
        public("markPriceKlines", Endpoint.CANDLES, self._klines)

    # --- keys and refusals ----------------------------------------------------------------------

    def api_key_of(self, headers: Mapping[str, str]) -> str:
        return headers.get("X-MBX-APIKEY", "")

    def authenticate(self, call: Call, route: Route) -> VenueAccount:
        api_key = call.received.api_key
        if not api_key:
            raise VenueRefusal("-2014", "API-key format invalid.", 401)
        account = self.market.accounts.get(api_key)
        if account is None:
            raise VenueRefusal(*NOT_ALLOWED)
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
            raise VenueRefusal(*NOT_ALLOWED)

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

    async def _settled_rates(self, call: Call) -> Any:
        symbol, since = symbol_of(call), call.whole("startTime", 0)
        rates = await self.market.settled_rates(symbol)
        rows = [words.settled_rate(symbol, at, rate) for at, rate in rates]
        return [row for row in rows if row["fundingTime"] >= since][: call.whole("limit", 100)]

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
            return await row(symbol_of(call))
        return [await row(symbol) for symbol in IDS]

    async def _funding_info(self, call: Call) -> Any:
        """Only those that differ from eight hours, as on the real one."""
        instruments = await self.market.instruments()
        return [words.funding_info(i) for i in instruments.values() if i.funding_interval != USUAL_HOURS]

    async def _depth(self, call: Call) -> Any:
        return words.depth(await self.market.book(symbol_of(call), call.whole("limit", 500)))

    async def _klines(self, call: Call) -> Any:
        step = timedelta(minutes=INTERVALS[call.text("interval")])
        rows = self.market.candles(
            symbol_of(call),
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


def named(name: str) -> Symbol:
    if name not in SYMBOLS:
        raise VenueRefusal("-1121", "Invalid symbol.")
    return SYMBOLS[name]


def symbol_of(call: Call) -> Symbol:
    return named(call.text("symbol"))
