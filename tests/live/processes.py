"""The real program in a process of its own, on an exchange that its parent plays; to be killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chatbot.clock import VirtualClock
from chatbot.domain.instrument import PositionSide
from tests.e2e.books import OWED, Books
from tests.e2e.nursery import Child, FastClock, Nursery, Order
from tests.e2e.phone import PATIENCE, Phone, at_rest
from tests.e2e.program import on_telegram
from tests.live.floor import ANN, Stand, opened_account
from tests.wire.bot_api import ChatMessage, LoopbackBotApi
from tests.wire.ccxt_rig import SERVERS
from tests.wire.venues.faults import Endpoint, Slow
from tests.wire.venues.server import VenueServer

HURRY = 5  # so many times as fast as real time goes the clock of bot and exchange


class RunningClock(VirtualClock):
    """That of the bot's processes, for the exchange."""

    def __init__(self, hurry: int) -> None:
        self._fast = FastClock(hurry)
        super().__init__(self._fast.now())

    def now(self) -> datetime:
        return self._fast.now()


@dataclass
class Killable(Stand):
    """``folder`` has the database, the master key and the log of every process."""

    nursery: Nursery
    folder: Path
    hurry: int

    async def start(self) -> Child:
        settings = _on_disk(self.folder) | on_telegram(self.api, [ANN]) | _at(self.server, self.venue_id)
        return await self.nursery.bear(Order(settings, str(self.folder), hurry=self.hurry))

    async def dies_before_the_answer(
        self, child: Child, card: ChatMessage, button: str, *, at: Endpoint = Endpoint.PLACE
    ) -> None:
        """The exchange has acted; its answer meets nobody any more."""
        held_back = Slow()
        self.server.faults.on(at, held_back)
        if button:
            self.phone.taps(card, button)
        async with asyncio.timeout(PATIENCE):
            await held_back.acted.wait()
        await child.kill()
        held_back.gate.set()

    async def at_rest(self) -> None:
        await at_rest(self.phone, self.folder)

    def ledger(self) -> dict[PositionSide, int]:
        legs = Books(self.folder).ledger_legs()
        return {PositionSide(side): int(held) for (_, _, side), held in legs.items()}

    def complaints(self) -> list[str]:
        """Once everything has come to rest; empty when all is well."""
        books = Books(self.folder)
        rows = books.ledger("SELECT client_order_id, filled_quantity, status FROM intents")
        unsettled = [f"{name} is still {status}" for name, _, status in rows if status in UNSETTLED]
        known = {name for name, _, _ in rows}
        taken = [o.wish.client_order_id for o in self.holder.orders if o.wish.client_order_id]
        foreign = [name for name in taken if not any(name.endswith(ours) for ours in known)]
        return [
            *unsettled,
            *(f"{name} was sent twice" for name in self.placed_often(known)),
            *(f"{name} is not in the journal" for name in foreign),
            *(left for left in books.unfinished() if OWED not in left),
        ]


UNSETTLED = ("journaled", "unknown")


@asynccontextmanager
async def killable(
    venue_id: str, nursery: Nursery, folder: Path, *, hurry: int = HURRY
) -> AsyncIterator[Killable]:
    clock = RunningClock(hurry)
    async with SERVERS[venue_id](clock, wire_clock=clock.now) as server, LoopbackBotApi() as api:
        holder = opened_account(server, venue_id)
        try:
            yield Killable(venue_id, api, server, Phone(api, ANN), holder, nursery, folder, hurry)
        finally:
            await nursery.empty()


def _on_disk(folder: Path) -> dict[str, str]:
    """And a generous offer: a test's machine may be slow."""
    return {
        "HEDGEROW_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'hedgerow.db'}",
        "HEDGEROW_QUOTE__LIFETIME_SECONDS": "3600",
        "HEDGEROW_LOG__LEVEL": "DEBUG",
    }


def _at(server: VenueServer, venue_id: str) -> dict[str, str]:
    return {f"HEDGEROW_VENUES__{venue_id.upper()}__API_URL": server.url}
