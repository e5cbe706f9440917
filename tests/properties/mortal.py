"""Parts of a bot that can die: each write to the journal and each request to the exchange may be its last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.operation import Operation
from chatbot.domain.order import OrderRequest, Outcome
from chatbot.errors import VenueError
from chatbot.ports import Changes, Store
from chatbot.venues.paper.venue import PaperVenue


class Killed(asyncio.CancelledError):
    """The process dies here; nothing of it runs on."""


@dataclass
class Mortality:
    """At the ``left``-th boundary (a write to the journal, a request to the exchange) the process dies.

    ``turns``: how often others run before the database answers, as with one on disk.
    """

    left: int | None = None
    dead: bool = False
    turns: int = 0

    def boundary(self) -> None:
        if self.dead:
            raise Killed
        if self.left is None:
            return
        self.left -= 1
        if self.left <= 0:
            self.dead = True
            raise Killed


@dataclass
class Witness:
    """What was committed: operations as they were confirmed, and the keys of all messages."""

    confirmed: dict[str, Operation] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    margins: list[Decimal] = field(default_factory=list)  # that reached their leg

    def saw(self, changes: Changes) -> None:
        self.confirmed.update({o.id: o for o in changes.operations if o.version == 0})
        self.told.update(message.dedupe_key for message in changes.outbox)


class MortalStore:
    def __init__(self, store: Store, mortality: Mortality, witness: Witness) -> None:
        self._store = store
        self._mortality = mortality
        self._witness = witness

    def __getattr__(self, name: str) -> Any:
        async def read(*args: Any, **named: Any) -> Any:
            await self._hand_over()
            return await getattr(self._store, name)(*args, **named)

        return read

    async def commit(self, changes: Changes) -> None:
        self._mortality.boundary()
        await self._hand_over()
        await self._store.commit(changes)
        self._witness.saw(changes)
        await self._hand_over()
        self._mortality.boundary()

    async def _hand_over(self) -> None:
        for _ in range(self._mortality.turns):
            await asyncio.sleep(0)


class MortalVenue(PaperVenue):
    """Dies before a request leaves, or after it was carried out and before its answer is read."""

    mortality: Mortality
    witness: Witness

    async def place(self, orders: Sequence[OrderRequest]) -> tuple[Outcome, ...]:
        self.mortality.boundary()
        outcomes = await super().place(orders)
        self.mortality.boundary()
        return outcomes

    async def cancel(self, symbol: Symbol, client_order_id: str) -> Any:
        self.mortality.boundary()
        report = await super().cancel(symbol, client_order_id)
        self.mortality.boundary()
        return report

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        self.mortality.boundary()
        before = self._margin_of(symbol, side)
        try:
            await super().add_margin(symbol, side, amount)
        finally:
            if self._margin_of(symbol, side) - before > amount / 2:
                self.witness.margins.append(amount)
        self.mortality.boundary()

    def _margin_of(self, symbol: Symbol, side: PositionSide) -> Decimal:
        """Without letting time pass: the market may liquidate the leg in between."""
        leg = self._engine._account(self._account_id).legs.get((symbol, side))
        return Decimal(0) if leg is None else leg.margin


class Stumbles(logging.Handler):
    """What went wrong inside the bot that no fault of the exchange explains."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, VenueError | asyncio.CancelledError):
            return
        if error is not None or "halted" in record.msg:
            self.found.append(f"{record.getMessage()} {error!r}")
