"""Websockets of the loopback venues: open connections, what they listen to, what they were told last."""

from __future__ import annotations

import abc
import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any

from aiohttp import WSMsgType, web

from chatbot.domain.account import AccountView, Position
from chatbot.domain.instrument import PositionSide, Symbol
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.server import VenueServer

LegKey = tuple[Symbol, PositionSide]
Known = tuple[Decimal, Decimal, Decimal | None]


@dataclass(slots=True)
class Stream:
    """One connection. ``legs`` and ``marks`` are what it was told last."""

    request: web.Request
    socket: web.WebSocketResponse
    account: VenueAccount | None = None
    topics: set[str] = field(default_factory=set)
    legs: dict[LegKey, Known] = field(default_factory=dict)
    marks: dict[Symbol, Decimal] = field(default_factory=dict)
    silent: bool = False

    async def say(self, message: object) -> None:
        if not self.socket.closed and not self.silent:
            await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    def changed(self, view: AccountView) -> tuple[list[Position], list[LegKey]]:
        """Legs that are new or other than told, and those that are gone. Prices alone change nothing."""
        now = {(p.symbol, p.side): _known(p) for p in view.positions}
        changed = [p for p in view.positions if self.legs.get((p.symbol, p.side)) != _known(p)]
        gone = [key for key in self.legs if key not in now]
        self.legs = now
        return changed, gone

    def moved(self, marks: Iterable[tuple[Symbol, Decimal]]) -> list[Symbol]:
        """Of these symbols, those whose price it was not told yet."""
        news = [(symbol, mark) for symbol, mark in marks if self.marks.get(symbol) != mark]
        self.marks.update(news)
        return [symbol for symbol, _ in news]


def _known(position: Position) -> Known:
    return position.quantity, position.entry_price, position.margin


class StreamingServer(VenueServer):
    """Whatever changes the market or an account is told to every stream that listens to it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.streams: list[Stream] = []
        self.silent = False
        self.hangs_up = False  # as soon as somebody connects
        self.connections: list[str] = []  # paths, also of those that ended
        self._heard = asyncio.Event()
        self.market.listeners.append(self._publish)

    async def drop_streams(self) -> None:
        """As when the network goes; clients have to connect anew."""
        for stream in list(self.streams):
            if stream.request.transport is not None:
                stream.request.transport.abort()

    def silence(self) -> None:
        """Sockets open, stay open, and nothing comes out of them any more, the answers to pings neither."""
        self.silent = True
        for stream in self.streams:
            stream.silent = True

    def speak(self) -> None:
        """On connections that are made from now on."""
        self.silent = False

    async def heard_until(self, true: Callable[[], bool]) -> None:
        """Waits for a client to connect, log in or subscribe."""
        while not true():
            self._heard.clear()
            await self._heard.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drop_streams()
        await super().__aexit__(kind, error, trace)

    async def special(self, request: web.Request) -> web.StreamResponse | None:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return None
        socket = web.WebSocketResponse(timeout=0.1, autoping=False)
        await socket.prepare(request)
        stream = Stream(request, socket, silent=self.silent)
        self.streams.append(stream)
        self.connections.append(request.path)
        if self.hangs_up and request.transport is not None:
            request.transport.abort()
        else:
            await self.opened(stream)
        self._heard.set()
        async for message in socket:
            if message.type is WSMsgType.PING and not stream.silent:
                await socket.pong(message.data)
            if message.type is WSMsgType.TEXT:
                await self.heard(stream, message.data)
                self._heard.set()
        self.streams.remove(stream)
        self._heard.set()
        return socket

    async def _publish(self) -> None:
        for stream in list(self.streams):
            await self.tell(stream)

    @abc.abstractmethod
    async def opened(self, stream: Stream) -> None: ...

    @abc.abstractmethod
    async def heard(self, stream: Stream, text: str) -> None: ...

    @abc.abstractmethod
    async def tell(self, stream: Stream) -> None:
        """What the stream listens to and has not been told yet."""

    async def moved(self, stream: Stream, symbols: Iterable[Symbol]) -> list[Symbol]:
        marks = [(symbol, (await self.market.state(symbol)).mark_price) for symbol in symbols]
        return stream.moved(marks)
