"""Positions that the bot did not open: what the exchange itself closes of them is told, too.

Known from the looks of this process alone: what is closed while it is down, nobody misses.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import Position
from chatbot.domain.causes import VENUE_CAUSES
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import ZERO, PositionSide, Symbol
from chatbot.domain.order import Fill
from chatbot.errors import VenueError
from chatbot.ports import Account, Clock, Store, Venues
from chatbot.services.bookkeeping import Books
from chatbot.services.late_fills import CLOCKS_DIFFER

log = logging.getLogger(__name__)

SOUGHT_FOR = timedelta(minutes=1)
Place = tuple[Symbol, PositionSide]


@dataclass(frozen=True, slots=True)
class ForcedClose:
    """By liquidation or auto-deleveraging; ``before`` and ``after`` of the position."""

    symbol: Symbol
    side: PositionSide
    before: Decimal
    after: Decimal
    fills: tuple[Fill, ...]


@dataclass(frozen=True, slots=True)
class _Less:
    """A position has become smaller since a look, at ``since`` by the venue's clock."""

    before: Decimal
    since: datetime
    noticed_at: datetime


class Strangers:
    def __init__(self, store: Store, venues: Venues, clock: Clock) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._held: dict[AccountId, tuple[datetime, Mapping[Place, Decimal]]] = {}
        self._less: dict[AccountId, dict[Place, _Less]] = {}
        self._found: dict[AccountId, tuple[ForcedClose, ...]] = {}
        self._told: set[tuple[AccountId, str]] = set()

    async def forced(self, books: Books) -> tuple[ForcedClose, ...]:
        """Each until ``done``. Orders on their way change what is whose: then nothing is compared."""
        if books.busy:
            return ()
        held = {(p.symbol, p.side): p.quantity for p in _strange(books)}
        self._compare(books, held)
        found = []
        for place, less in tuple(self._less.get(books.account.id, {}).items()):
            fills = await self._fills(books.account, place, less)
            if fills:
                found.append(ForcedClose(*place, less.before, held.get(place, ZERO), fills))
            elif self._clock.now() - less.noticed_at >= SOUGHT_FOR:
                del self._less[books.account.id][place]
        self._found[books.account.id] = tuple(found)
        return self._found[books.account.id]

    def done(self, account_id: AccountId) -> None:
        """What was found has been told."""
        for close in self._found.pop(account_id, ()):
            self._told.update((account_id, fill.venue_fill_id) for fill in close.fills)
            del self._less[account_id][close.symbol, close.side]

    def _compare(self, books: Books, held: Mapping[Place, Decimal]) -> None:
        now = self._clock.now()
        since, before = self._held.get(books.account.id, (books.view.at, {}))
        self._held[books.account.id] = books.view.at, held
        ours = {(hedge.symbol, leg.side) for hedge in books.hedges for leg in hedge.legs}
        sought = self._less.setdefault(books.account.id, {})
        for place, quantity in before.items():
            if held.get(place, ZERO) < quantity and place not in ours:
                sought.setdefault(place, _Less(quantity, since, now))

    async def _fills(self, account: Account, place: Place, less: _Less) -> tuple[Fill, ...]:
        symbol, side = place
        try:
            told = await self._venues.of(account).fills(symbol, less.since - CLOCKS_DIFFER)
        except VenueError as error:
            log.warning("the end of a position cannot be read", extra={"error": type(error).__name__})
            return ()
        booked = await self._store.booked_fill_keys(account.id)
        known = booked | {fill_id for account_id, fill_id in self._told if account_id == account.id}
        forced = (fill for fill in told if fill.position_side is side and fill.cause in VENUE_CAUSES)
        return tuple(fill for fill in forced if fill.venue_fill_id not in known)


def _strange(books: Books) -> Sequence[Position]:
    ours = {(hedge.symbol, leg.side) for hedge in books.hedges for leg in hedge.legs}
    return [p for p in books.view.positions if (p.symbol, p.side) not in ours]
