"""What the three servers share: routes, the request log, faults on the wire, the market behind them."""

from __future__ import annotations

import abc
import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

from aiohttp import web

from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView
from chatbot.domain.instrument import Symbol
from chatbot.errors import VenueRejected
from tests.wire.venues.core import PRICES, ApiKey, Habits, Market, VenueAccount
from tests.wire.venues.faults import (
    Bent,
    CutBody,
    Down,
    Endpoint,
    Faults,
    Garbage,
    Late,
    LostReply,
    LostRequest,
    PartialFill,
    Refuse,
    RequestFault,
    Slow,
    Stale,
    TooMany,
)
from tests.wire.venues.orders import WireOrder, Wish


class VenueRefusal(Exception):
    """The venue says no. ``status`` is the HTTP one; ``None``: the venue's usual."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in. ``at``: monotonic, to measure gaps between legs with."""

    method: str
    path: str
    params: Mapping[str, Any]  # query and form fields; a JSON list is under "batch"
    headers: Mapping[str, str]
    api_key: str
    at: float

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class Call:
    """A request on its way through a handler."""

    received: Received
    query_string: str
    body: str
    remote: str
    stale: bool = False
    _account: VenueAccount | None = None

    @property
    def params(self) -> Mapping[str, Any]:
        return self.received.params

    @property
    def account(self) -> VenueAccount:
        assert self._account is not None, "a keyless route asked for the account"
        return self._account

    def signed_by(self, account: VenueAccount) -> None:
        self._account = account

    def text(self, name: str, otherwise: str = "") -> str:
        value = self.params.get(name)
        return otherwise if value is None else str(value)

    def number(self, name: str) -> Decimal | None:
        value = self.text(name)
        return Decimal(value) if value else None

    def whole(self, name: str, otherwise: int) -> int:
        return int(self.text(name) or otherwise)

    def instant(self, name: str) -> datetime | None:
        value = self.text(name)
        return from_ms(int(value)) if value else None


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """``signed``: needs a key and a valid signature. ``trades``: the key must be allowed to trade."""

    endpoint: Endpoint
    handler: Handler
    signed: bool = True
    trades: bool = False


@dataclass(slots=True)
class Answered:
    """How a request ends: a status and a body, or a closed connection."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class VenueServer(abc.ABC):
    """One venue on the loopback: ``async with BinanceServer() as server: ...``.

    ``market`` moves prices and time. ``wire_clock`` judges timestamps and validity windows (the system's
    clock, as ccxt stamps with it) while everything that happened bears the market's time. ``skew`` sets
    the wire clock off. ``log`` has every request, ``unknown`` those that no route takes.
    """

    habits: ClassVar[Habits] = Habits()
    prices: ClassVar[Mapping[Symbol, Decimal]] = PRICES  # what is listed, and where it starts

    def __init__(
        self,
        clock: VirtualClock | None = None,
        *,
        wire_clock: Callable[[], datetime] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.market = Market(clock, self.habits, self.prices)
        self.faults = Faults()
        self.log: list[Received] = []
        self.unknown: list[str] = []
        self.serving = 0  # requests without an answer yet
        self.skew = timedelta()
        self.port = 0
        self.routes: dict[tuple[str, str], Route] = {}
        self._wire_clock = wire_clock or _system_now
        self._tls = tls
        self._gates: list[asyncio.Event] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    # --- a test's hands -------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def create_account(self, api_key: str = "key-of-alice-0001", **rights: Any) -> VenueAccount:
        """``rights``: the other fields of ``ApiKey``."""
        defaults = {"secret": f"secret-of-{api_key}", "passphrase": f"phrase-of-{api_key}"}
        return self.market.create_account(ApiKey(api_key, **{**defaults, **rights}))

    def requests(self, name: str) -> list[Received]:
        """Those of one method and path, as ``"POST /fapi/v1/order"``."""
        return [received for received in self.log if received.name == name]

    def wire_now(self) -> datetime:
        return self._wire_clock() + self.skew

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for gate in self._gates:
            gate.set()
        await self._runner.cleanup()
        self.market.close()

    # --- what a venue says its own way ----------------------------------------------------------

    @abc.abstractmethod
    def api_key_of(self, headers: Mapping[str, str]) -> str: ...

    @abc.abstractmethod
    def authenticate(self, call: Call, route: Route) -> VenueAccount:
        """Raises ``VenueRefusal``."""

    @abc.abstractmethod
    def refusal(self, error: VenueRefusal) -> Answered: ...

    @abc.abstractmethod
    def too_many(self, fault: TooMany) -> Answered: ...

    async def special(self, request: web.Request) -> web.StreamResponse | None:
        """Another kind of request than a call, a websocket for instance."""
        return None

    # --- the wire -------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if (other := await self.special(request)) is not None:
            return other
        self.serving += 1
        try:
            return await self._served(request)
        finally:
            self.serving -= 1

    async def _served(self, request: web.Request) -> web.StreamResponse:
        call = await self._received(request)
        route = self.routes.get((request.method, request.path))
        if route is None:
            self.unknown.append(call.received.name)
            return web.Response(
                status=404, text="<html><body>Not Found</body></html>", content_type="text/html"
            )
        fault = self.faults.next_request(route.endpoint, request.method, request.path)
        if isinstance(fault, LostRequest):
            return _hang_up(request)
        if isinstance(fault, Late):
            self._gates.append(fault.gate)
            await fault.gate.wait()
        answered = self._before(fault) or await self._act(call, route, stale=isinstance(fault, Stale))
        return await self._send(request, self._after(fault, answered), fault)

    async def _received(self, request: web.Request) -> Call:
        body = (await request.read()).decode()
        received = Received(
            method=request.method,
            path=request.path,
            params=_params(request.query_string, body),
            headers=dict(request.headers),
            api_key=self.api_key_of(request.headers),
            at=asyncio.get_running_loop().time(),
        )
        self.log.append(received)
        return Call(received, request.rel_url.raw_query_string, body, request.remote or "")

    def _before(self, fault: RequestFault | None) -> Answered | None:
        match fault:
            case TooMany():
                return self.too_many(fault)
            case Refuse(code, message, status):
                return self.refusal(VenueRefusal(code, message, status))
            case Down(status=status, acted=False, body=body):
                return Answered(status, body.encode(), content_type="text/html")
        return None

    async def _act(self, call: Call, route: Route, *, stale: bool) -> Answered:
        call.stale = stale
        try:
            if route.signed:
                call.signed_by(self.authenticate(call, route))
                await call.account.refresh()
            return Answered(200, json.dumps(await route.handler(call)).encode())
        except VenueRefusal as error:
            return self.refusal(error)

    def _after(self, fault: RequestFault | None, answered: Answered) -> Answered:
        match fault:
            case Down(status=status, acted=True, body=body):
                return Answered(status, body.encode(), content_type="text/html")
            case Garbage(body):
                return Answered(200, body.encode(), content_type="text/html")
            case Bent(change):
                return Answered(answered.status, json.dumps(change(json.loads(answered.body))).encode())
        return answered

    async def _send(
        self, request: web.Request, answered: Answered, fault: RequestFault | None
    ) -> web.StreamResponse:
        if isinstance(fault, LostReply):
            return _hang_up(request)
        if isinstance(fault, CutBody):
            return await _cut(request, answered)
        if isinstance(fault, Slow):
            fault.acted.set()
            self._gates.append(fault.gate)
            await fault.gate.wait()
        return web.Response(
            status=answered.status,
            body=answered.body,
            content_type=answered.content_type,
            headers=answered.headers,
        )

    # --- orders ---------------------------------------------------------------------------------

    async def place(self, account: VenueAccount, wish: Wish) -> WireOrder:
        """Raises ``VenueRefusal`` with the engine's code, which is Binance's; or the scripted one."""
        fault = self.faults.next_order()
        if isinstance(fault, Refuse):
            raise VenueRefusal(fault.code, fault.message)
        share = fault.share if isinstance(fault, PartialFill) else None
        order = await account.place(wish, share=share)
        if not isinstance(order, WireOrder):
            raise self.translated(order.code, order.reason)
        order.hidden_reads = self.faults.hide_reads
        if self.faults.hide_seconds:
            order.hidden_until = self.market.now() + timedelta(seconds=self.faults.hide_seconds)
        return order

    def translated(self, code: str, reason: str) -> VenueRefusal:
        """The engine speaks Binance's codes."""
        return VenueRefusal(code, reason)

    @contextmanager
    def engine_refusals(self) -> Iterator[None]:
        try:
            yield
        except VenueRejected as error:
            raise self.translated(error.code, error.message) from error

    def visible(self, orders: Iterable[WireOrder]) -> list[WireOrder]:
        """One read; hidden orders count it."""
        return [order for order in orders if not self._hidden(order)]

    def _hidden(self, order: WireOrder) -> bool:
        if order.hidden_reads > 0:
            order.hidden_reads -= 1
            return True
        return order.hidden_until is not None and self.market.now() < order.hidden_until

    async def positions_view(self, call: Call) -> AccountView:
        account = call.account
        if call.stale and account.view_before_last_order is not None:
            return account.view_before_last_order
        return await account.view()


# --- small change -------------------------------------------------------------------------------


def _system_now() -> datetime:
    return datetime.now(UTC)


def _params(query_string: str, body: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(parse_qsl(query_string, keep_blank_values=True))
    if body.startswith("{"):
        found |= json.loads(body)
    elif body.startswith("["):
        found["batch"] = json.loads(body)
    else:
        found |= parse_qsl(body, keep_blank_values=True)
    return found


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _cut(request: web.Request, answered: Answered) -> web.StreamResponse:
    response = web.StreamResponse(status=answered.status)
    response.content_type = answered.content_type
    response.content_length = len(answered.body)
    await response.prepare(request)
    await response.write(answered.body[: max(1, len(answered.body) // 2)])
    if request.transport is not None:
        request.transport.close()
    return response


def to_ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_ms(stamp: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=stamp)


def plain(number: Decimal | None, places: int | None = None) -> str:
    """Without exponent; padded or cut to ``places`` where a venue does so."""
    value = number or Decimal(0)
    return f"{value:f}" if places is None else f"{value:.{places}f}"


def venue_symbols(
    separator: str = "", suffix: str = "", *, listed: Iterable[Symbol] = PRICES
) -> dict[Symbol, str]:
    """ "BTC/USDT:USDT" as a venue writes it: "BTCUSDT", or "BTC-USDT-SWAP"."""
    return {symbol: symbol.partition(":")[0].replace("/", separator) + suffix for symbol in listed}
