"""ccxt clients that cost ten kilobytes each: one keyless template per venue, a shallow clone per use.

A clone shares the markets, the connector and the TLS context of its template and has credentials, options
and headers of its own. Keys are never swapped on an instance: requests in flight would be signed by another
user. Nothing here retries, throttles or prints.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from decimal import localcontext
from functools import cache
from typing import Any

import aiohttp

from chatbot.ports import Credentials
from chatbot.venues.ccxt.loading import exchange_class
from chatbot.venues.ccxt.quirks import Quirks
from chatbot.venues.live_prices import redirected

# ccxt writes headers and bodies, keys and signatures among them, at DEBUG. Not below this logger.
MUTE = logging.Logger("muted", level=logging.CRITICAL + 1)
# Labels by which ccxt marks orders as its own; no venue signs them.
MARKS = ("Referer", "X-CHANNEL-API-CODE", "X-Gate-Channel-Id", "X-SOURCE-KEY")
TIMEOUT_MS = 10_000


Client = Any  # a ccxt exchange: it has no types of its own


@cache
def _trusting(cafile: str) -> ssl.SSLContext:
    """One for the process: to read the authorities takes longer than all else that a client costs."""
    return ssl.create_default_context(cafile=cafile)


class Connections:
    """The one HTTP session of all venues, made on first use inside the running loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def lend(self, client: Client) -> None:
        """The session and the TLS context; the authorities are those that come with ccxt."""
        tls = _trusting(client.cafile)
        if self._session is None or self._session.closed:
            # A pool that is full lets orders time out unsent, so there is no limit.
            connector = aiohttp.TCPConnector(ssl=tls, limit=0)
            self._session = aiohttp.ClientSession(connector=connector)
        client.session, client.ssl_context, client.own_session = self._session, tls, False

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def make_template(
    quirks: Quirks,
    connections: Connections,
    *,
    api_url: str | None = None,
    practice: bool = False,
    streaming: bool = False,
) -> Client:
    """Without keys: ``load_markets`` with keys asks private addresses, and one that fails blocks all.

    ``streaming``: one that can open websockets. Raises ``LookupError`` where ccxt has none.
    """
    client = _quiet_class(quirks.ccxt_id, streaming=streaming)(
        {
            "asyncio_loop": asyncio.get_running_loop(),
            "enableRateLimit": False,
            "timeout": TIMEOUT_MS,
            "logger": MUTE,
            "options": fresh(quirks.options),
        }
    )
    connections.lend(client)
    client.has = {**client.has, "fetchCurrencies": False}
    if practice:
        client.headers = {**client.headers, **quirks.demo_headers}
        api_url = api_url or quirks.demo_url
    if api_url:
        client.urls = {**client.urls, "api": redirected(client.urls["api"], api_url)}
        _map_errors_everywhere(client)
    return client


def clone(
    template: Client,
    credentials: Credentials | None,
    *,
    options: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Client:
    """For one use: it is forgotten with its credentials afterwards."""
    kind: Any = type(template)
    made = kind.__new__(kind)
    made.__dict__.update(template.__dict__)
    made.options = {**template.options, **(options or {})}
    made.headers = {**template.headers, **(headers or {})}
    made.balance, made.orders, made.positions, made.trades = {}, None, None, None
    made.markets_loading = None
    if credentials is not None:
        _sign_in(made, credentials)
    return made


def _sign_in(client: Any, credentials: Credentials) -> None:
    client.apiKey = credentials.api_key
    client.secret = credentials.secret
    client.password = credentials.passphrase
    if client.requiredCredentials.get("privateKey"):
        client.privateKey = credentials.secret
        client.walletAddress = credentials.api_key


_CLASSES: dict[tuple[str, bool], Any] = {}


def _quiet_class(ccxt_id: str, *, streaming: bool) -> Any:
    """Numbers stay strings, fee rates of the description included; nothing is said when it is dropped."""
    if (ccxt_id, streaming) not in _CLASSES:
        with localcontext():  # ccxt sets up the decimal context of whoever imports it
            base = exchange_class(ccxt_id, streaming=streaming)

        def prepare_request_headers(self: Any, headers: dict[str, str] | None = None) -> dict[str, str]:
            made = base.prepare_request_headers(self, headers)
            return {name: value for name, value in made.items() if name not in MARKS}

        _CLASSES[ccxt_id, streaming] = type(
            ccxt_id,
            (base,),
            {
                "number": str,
                "__del__": lambda _: None,
                "prepare_request_headers": prepare_request_headers,
                **(_leaving(base) if streaming else {}),
            },
        )
    return _CLASSES[ccxt_id, streaming]


def _leaving(base: Any) -> dict[str, Any]:
    """A client that is left calls nobody later, and closes what was being opened just then."""

    def delay(self: Any, timeout: float, method: Any, *args: Any) -> Any:
        timer = base.delay(self, timeout, method, *args)
        self.timers.append(timer)
        return timer

    def on_connected(self: Any, client: Any, message: Any = None) -> None:
        base.on_connected(self, client, message)
        if self.left:
            self.closing = asyncio.ensure_future(client.close())

    def leave(self: Any) -> None:
        self.left = True
        for timer in self.timers:
            timer.cancel()

    return {"delay": delay, "on_connected": on_connected, "leave": leave}


def fresh(options: Mapping[str, object]) -> dict[str, object]:
    return {k: fresh(v) if isinstance(v, Mapping) else v for k, v in options.items()}


def _map_errors_everywhere(client: Any) -> None:
    """Binance's error classes hang on the address it is asked at; ours may be another."""
    linear = client.exceptions.get("linear")
    if linear:
        old = client.exceptions
        merged = {kind: {**old.get(kind, {}), **linear.get(kind, {})} for kind in ("exact", "broad")}
        client.exceptions = {**old, **merged}
