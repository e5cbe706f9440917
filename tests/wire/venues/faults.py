"""What goes wrong on the wire, scripted: per endpoint for whole requests, in turn for single orders."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar


class Endpoint(StrEnum):
    """What a request is for, whichever path a venue has for it."""

    PLACE = "place"  # one order, several, conditional ones
    CANCEL = "cancel"
    LOOKUP = "lookup"  # one order by its id
    OPEN_ORDERS = "open_orders"
    HISTORY = "history"
    POSITIONS = "positions"
    BALANCE = "balance"
    FILLS = "fills"
    FUNDING = "funding"  # what was paid
    MODE = "mode"
    SETTINGS = "settings"  # leverage and margin mode
    ADD_MARGIN = "add_margin"
    MARKETS = "markets"
    PRICES = "prices"  # mark prices, tickers, funding rates
    BOOK = "book"
    CANDLES = "candles"
    TIERS = "tiers"
    FEES = "fees"
    PERMISSIONS = "permissions"
    TIME = "time"
    STREAM = "stream"  # listen keys


@dataclass(frozen=True, slots=True)
class LostRequest:
    """The connection is closed before the request is acted on."""


@dataclass(frozen=True, slots=True)
class LostReply:
    """Acted on; the connection is closed instead of an answer."""


@dataclass(frozen=True, slots=True)
class CutBody:
    """Acted on; the answer breaks off in the middle."""


@dataclass(frozen=True, slots=True)
class Down:
    """An HTML page with this status; ``acted`` on before or not at all."""

    status: int = 503
    acted: bool = False
    body: str = "<html><body>Service Unavailable</body></html>"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Acted on; status 200 and something that is no JSON, or nothing at all."""

    body: str = "<html>hello</html>"


@dataclass(frozen=True, slots=True)
class Bent:
    """Acted on; what is answered is the venue's JSON after this change."""

    change: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class TooMany:
    """The venue's own way to say slow down: 429, Binance 418 when ``banned``, Bybit 403. Not acted on."""

    banned: bool = False
    retry_after: int = 7


@dataclass(frozen=True, slots=True)
class Refuse:
    """The venue's own refusal, with this code; not acted on."""

    code: str
    message: str = "Refused by script."
    status: int | None = None  # the venue's usual one


@dataclass(frozen=True, slots=True)
class Slow:
    """Acted on; the answer waits for the gate."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    acted: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Late:
    """On its way until the gate opens, then acted on: perhaps long after the client gave up."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Stale:
    """A read of positions shows the account as it was before its last order."""


@dataclass(frozen=True, slots=True)
class PartialFill:
    """Only this share of a market order fills, the rest is canceled."""

    share: Decimal


RequestFault = (
    LostRequest | LostReply | CutBody | Down | Garbage | Bent | TooMany | Refuse | Slow | Late | Stale
)
OrderFault = Refuse | PartialFill
AnyFault = TypeVar("AnyFault", bound="RequestFault | OrderFault | None")


class Faults:
    """``on`` is used up request by request, ``on_orders`` order by order; ``None`` lets one pass.

    ``done`` counts what has happened, by the name of the fault. ``hide_new_orders`` makes orders accepted
    from then on invisible to look-ups, lists and histories, for so many reads or seconds.
    """

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.hide_reads = 0
        self.hide_seconds = 0.0
        self._requests: dict[str, deque[RequestFault | None]] = defaultdict(deque)
        self._orders: deque[OrderFault | None] = deque()

    def on(self, where: Endpoint | str, *faults: RequestFault | None) -> None:
        """``where``: an endpoint, or method and path as ``"POST /fapi/v1/order"``."""
        self._requests[where].extend(faults)

    def on_orders(self, *faults: OrderFault | None) -> None:
        self._orders.extend(faults)

    def hide_new_orders(self, *, reads: int = 0, seconds: float = 0.0) -> None:
        self.hide_reads, self.hide_seconds = reads, seconds

    def forget(self) -> None:
        """What was scripted and has not happened."""
        self._requests.clear()
        self._orders.clear()

    @property
    def spent(self) -> bool:
        return not self._orders and not any(self._requests.values())

    def next_request(self, endpoint: Endpoint, method: str, path: str) -> RequestFault | None:
        for where in (f"{method} {path}", endpoint):
            if queue := self._requests.get(where):
                return self._count(queue.popleft())
        return None

    def next_order(self) -> OrderFault | None:
        return self._count(self._orders.popleft()) if self._orders else None

    def _count(self, fault: AnyFault) -> AnyFault:
        if fault is not None:
            self.done[type(fault).__name__] += 1
        return fault
