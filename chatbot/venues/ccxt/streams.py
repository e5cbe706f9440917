"""Websockets of ccxt.pro. They say that something happened; what is so is read.

Each connection has a client of its own, with one account's keys or none, and ends for good with ``close``.
Whoever wants another opens a new one: neither subscriptions nor nonces of a broken one are left over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Any

import aiohttp

from chatbot.domain.instrument import Symbol
from chatbot.errors import VenueError, VenueUnavailable
from chatbot.ports import Credentials
from chatbot.venues.ccxt.access import STUMBLES
from chatbot.venues.ccxt.clones import Client, Connections, clone, fresh, make_template
from chatbot.venues.ccxt.loading import errors as ccxt_errors
from chatbot.venues.ccxt.outcomes import read_error
from chatbot.venues.ccxt.quirks import Quirks
from chatbot.venues.ccxt.reading import Garbled, number

PING_MS = 10_000  # ccxt asks for an answer this often, and gives up when two are missing
CLOSING_SECONDS = 1.0
# A snapshot by request first would be one more truth, and hangs where numbers are strings.
OPTIONS = {"watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}}
KEYS = ("apiKey", "secret", "password", "privateKey", "walletAddress")


def stream_template(
    quirks: Quirks, connections: Connections, listed: Client, *, api_url: str | None
) -> Client | None:
    """Knows the markets of ``listed``; ``None`` where ccxt has no websockets of this exchange."""
    try:
        client = make_template(quirks, connections, api_url=api_url, streaming=True)
    except LookupError:
        return None
    client.streaming = {**client.streaming, "keepAlive": PING_MS}
    client.options.update(fresh(OPTIONS))
    know_markets(client, listed)
    return client


def know_markets(template: Client, listed: Client) -> None:
    with localcontext():
        template.set_markets_from_exchange(listed)
    template.options["timeDifference"] = listed.options.get("timeDifference")


def tells_positions(template: Client) -> bool:
    return template.has.get("watchPositions") is True


class Connection:
    """One client and the sockets it opens."""

    def __init__(self, quirks: Quirks, template: Client, credentials: Credentials | None = None) -> None:
        self.quirks = quirks
        self._credentials = credentials
        self._client = _alone(template, credentials)
        self._heard = 0

    @property
    def heard(self) -> int:
        """Milliseconds; other than before when anything has arrived, be it the answer to a ping."""
        told = (client.last_message_at or 0 for client in self._client.clients.values())
        self._heard = max(self._heard, *told, 0)
        return self._heard

    async def ask(self, method: str, *args: object) -> Any:
        """The next thing told. Raises VenueUnavailable when the connection is lost, BadCredentials, …"""
        try:
            return await getattr(self._client, method)(*args)
        except ccxt_errors().BaseError as error:
            raise read_error(error, self.quirks, self._credentials) from None
        except (OSError, aiohttp.ClientError) as error:  # ccxt lets some of a dying connection through
            raise self._lost(error) from None
        except asyncio.CancelledError as error:  # and cancels what still waits for it
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._lost(error) from None
        except STUMBLES as error:
            raise Garbled(
                f"{self.quirks.title}: what was streamed cannot be read ({type(error).__name__}).",
                venue=self.quirks.id,
            ) from None

    def _lost(self, error: BaseException) -> VenueUnavailable:
        return VenueUnavailable(
            f"The connection to {self.quirks.title} is lost ({type(error).__name__}).", venue=self.quirks.id
        )

    async def close(self) -> None:
        """Nothing of it is left, its keys neither. One that does not say goodbye is cut."""
        client, self._credentials = self._client, None
        client.leave()
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await asyncio.gather(*(socket.close() for socket in client.clients.values()))
        except TimeoutError:
            pass
        finally:
            client.clients.clear()
            for name in KEYS:
                setattr(client, name, None)


def _alone(template: Client, credentials: Credentials | None) -> Client:
    made = clone(template, credentials)
    made.options = fresh(template.options)  # listen keys and numbers of requests lie deep in them
    made.clients, made.timers, made.left = {}, [], False
    made.tickers, made.fundingRates, made.bidsasks = {}, {}, {}
    made.ws_dial_backoff = {}
    return made


class CcxtAccountStream:
    """Implements ``chatbot.ports.AccountStream``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def heard(self) -> int:
        return self._connection.heard

    async def changed(self) -> None:
        await self._connection.ask("watch_positions")

    async def close(self) -> None:
        await self._connection.close()


class CcxtPriceStream:
    """Mark prices of the symbols that are followed. Implements ``chatbot.ports.PriceStream``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._following: dict[Symbol, asyncio.Task[None]] = {}
        self._latest: dict[Symbol, Decimal] = {}
        self._failure: VenueError | None = None
        self._news = asyncio.Event()

    @property
    def heard(self) -> int:
        return self._connection.heard

    def follow(self, symbols: Iterable[Symbol]) -> None:
        wanted = frozenset(symbols)
        for symbol in self._following.keys() - wanted:
            self._following.pop(symbol).cancel()
        for symbol in wanted - self._following.keys():
            self._following[symbol] = asyncio.create_task(self._listen(symbol), name=f"price of {symbol}")

    async def moved(self) -> Mapping[Symbol, Decimal]:
        await self._news.wait()
        self._news.clear()
        if self._failure is not None:
            raise self._failure
        latest, self._latest = self._latest, {}
        return latest

    async def close(self) -> None:
        listening = list(self._following.values())
        self.follow(())
        await asyncio.gather(*listening, return_exceptions=True)
        await self._connection.close()

    async def _listen(self, symbol: Symbol) -> None:
        try:
            while True:
                ticker = await self._connection.ask(self._connection.quirks.price_stream, symbol)
                price = number(ticker.get("markPrice"))
                if price is not None and price > 0:
                    self._latest[symbol] = price
                    self._news.set()
        except VenueError as error:
            self._failure = error
            self._news.set()
