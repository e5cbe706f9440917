"""What OKX v5 answers without a key, and how it checks one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from chatbot.domain.instrument import Symbol
from tests.wire.venues import okx_words as words
from tests.wire.venues.core import Habits, VenueAccount
from tests.wire.venues.faults import Endpoint, TooMany
from tests.wire.venues.okx_words import FAMILIES, IDS, LISTED, SYMBOLS
from tests.wire.venues.server import Answered, Call, Route, VenueRefusal, to_ms
from tests.wire.venues.streams import StreamingServer

Answering = Callable[[Call], Awaitable[list[Any]]]
BARS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "1Dutc": 1440}
NEARLY = timedelta(milliseconds=1)
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


class OkxMarket(StreamingServer):
    """Keys, refusals and public data."""

    habits: ClassVar[Habits] = Habits(ids_unique_for_ever=True, takes_crossing_post_only=True)
    prices: ClassVar[Mapping[Symbol, Decimal]] = LISTED

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._public_routes()

    def _public_routes(self) -> None:
        def public(path: str, endpoint: Endpoint, handler: Answering) -> None:
            self.routes["GET", f"/api/v5/{path}"] = Route(endpoint, ok(handler), signed=False)

        public("public/time", Endpoint.TIME, self._time)
        public("public/instruments", Endpoint.MARKETS, self._instruments)
        public("public/funding-rate", Endpoint.PRICES, self._funding_rate)
        public("public/funding-rate-history", Endpoint.PRICES, self._settled_rates)
        public("public/mark-price", Endpoint.PRICES, self._mark_price)
        public("market/ticker", Endpoint.PRICES, self._tickers)
        public("market/tickers", Endpoint.PRICES, self._tickers)
        public("market/index-tickers", Endpoint.PRICES, self._index_tickers)
        public("market/books", Endpoint.BOOK, self._book)
        public("public/position-tiers", Endpoint.TIERS, self._tiers)
        for path in ("candles", "history-candles", "mark-price-candles", "history-mark-price-candles"):
            public(f"market/{path}", Endpoint.CANDLES, self._candles)

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
        return of_name(call, rows)

    async def _funding_rate(self, call: Call) -> list[Any]:
        symbols = list(IDS) if call.text("instId") == "ANY" else [symbol_of(call)]
        return [words.funding_rate(await self.market.state(symbol)) for symbol in symbols]

    async def _settled_rates(self, call: Call) -> list[Any]:
        """Newest first; ``before`` and ``after`` are instants."""
        symbol = symbol_of(call)
        rates = await self.market.settled_rates(symbol)
        rows = [words.settled_rate(symbol, at, rate) for at, rate in reversed(rates)]
        newer, older = call.whole("before", 0), call.whole("after", 10**15)
        return [row for row in rows if newer < int(row["fundingTime"]) < older][: call.whole("limit", 100)]

    async def _mark_price(self, call: Call) -> list[Any]:
        return [words.mark_price(await self.market.state(symbol)) for symbol in symbols_of(call)]

    async def _tickers(self, call: Call) -> list[Any]:
        symbols = symbols_of(call)
        return [words.ticker(await self.market.state(s), await self.market.book(s)) for s in symbols]

    async def _index_tickers(self, call: Call) -> list[Any]:
        rows = [words.index_ticker(await self.market.state(symbol)) for symbol in IDS]
        return of_name(call, rows)

    async def _book(self, call: Call) -> list[Any]:
        return [words.depth(await self.market.book(symbol_of(call), call.whole("sz", 1)))]

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
            symbol_of(call),
            since=before + NEARLY if before else None,
            until=after - NEARLY if after else None,
            step=timedelta(minutes=BARS[call.text("bar", "1m")]),
            limit=call.whole("limit", 100),
        )
        tail = ["1"] if "mark" in call.received.path else ["0", "0", "0", "1"]
        return [[str(to_ms(at)), *(f"{price:f}" for price in prices), *tail] for at, *prices in rows][::-1]


def of_name(call: Call, rows: list[Any]) -> list[Any]:
    return [row for row in rows if call.text("instId") in ("", row["instId"])]


def ok(handler: Answering) -> Callable[[Call], Awaitable[Any]]:
    async def answer(call: Call) -> Any:
        return {"code": "0", "msg": "", "data": await handler(call)}

    return answer


def symbol_of(call: Call) -> Symbol:
    if call.text("instId") not in SYMBOLS:
        raise VenueRefusal("51001", "Instrument ID doesn't exist.")
    return SYMBOLS[call.text("instId")]


def symbols_of(call: Call) -> list[Symbol]:
    return [symbol_of(call)] if call.text("instId") else list(IDS)
