"""Fills that an exchange tells late: what was taken over at its word is asked after for a day."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from chatbot.domain.hedge import AccountId, Hedge, HedgeId
from chatbot.domain.instrument import Instrument
from chatbot.domain.intent import OrderIntent
from chatbot.domain.ledger import ADOPTED, price_late
from chatbot.domain.order import Fill
from chatbot.errors import InvariantBroken
from chatbot.ports import Account, BookedFill, Changes, Clock, Store, Venues

log = logging.getLogger(__name__)

CLOCKS_DIFFER = timedelta(minutes=1)  # by how much an exchange's own stamps may
ASK_EVERY = timedelta(seconds=10)
ASK_FOR = timedelta(days=1)  # venue time
CLOSED_HEDGES = 10  # after a start: how many of a user's newest are looked through


class LateFills:
    def __init__(self, store: Store, venues: Venues, clock: Clock) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._asked_at: dict[HedgeId, datetime] = {}
        self._lacking: dict[AccountId, set[HedgeId]] = {}

    async def of_closed(self, account: Account) -> tuple[Hedge, ...]:
        """Closed hedges of which some closing has no price yet."""
        if account.id not in self._lacking:
            self._lacking[account.id] = await self._newest(account)
        found = [await self._store.hedge(hedge_id) for hedge_id in sorted(self._lacking[account.id])]
        lacking = [hedge for hedge in found if hedge is not None and hedge.unpriced]
        self._lacking[account.id] = {hedge.id for hedge in lacking}
        return tuple(hedge for hedge in lacking if not hedge.live)

    def remember(self, hedge: Hedge) -> None:
        """It has been taken over."""
        if hedge.account_id in self._lacking and hedge.unpriced:
            self._lacking[hedge.account_id].add(hedge.id)

    async def _newest(self, account: Account) -> set[HedgeId]:
        newest = await self._store.newest_hedges(account.user_id, CLOSED_HEDGES)
        return {hedge.id for hedge in newest if hedge.account_id == account.id and hedge.unpriced}

    async def seek(
        self, account: Account, hedge: Hedge, at: datetime
    ) -> tuple[Hedge, tuple[BookedFill, ...]]:
        """What has been told by now is booked. ``at``: venue time. The hedge comes back as stored."""
        if not hedge.unpriced or not self._due(hedge, at):
            return hedge, ()
        self._asked_at[hedge.id] = self._clock.now()
        priced, rows = await self._priced(account, hedge)
        if not rows:
            return hedge, ()
        await self._store.commit(Changes(hedges=(priced,), fills=rows))
        return replace(priced, version=priced.version + 1), rows

    def _due(self, hedge: Hedge, at: datetime) -> bool:
        asked_at = self._asked_at.get(hedge.id)
        recent = hedge.unread_until is not None and at - hedge.unread_until < ASK_FOR
        return recent and (asked_at is None or self._clock.now() - asked_at >= ASK_EVERY)

    async def _priced(self, account: Account, hedge: Hedge) -> tuple[Hedge, tuple[BookedFill, ...]]:
        """As far as it fits: where somebody has opened meanwhile, too, nobody can tell which was which."""
        venue = self._venues.of(account)
        instrument = (await venue.instruments())[hedge.symbol]
        told = await venue.fills(hedge.symbol, (hedge.unread_from or hedge.opened_at) - CLOCKS_DIFFER)
        fills = await self._unbooked(hedge, told)
        try:
            return _book(hedge, fills, instrument)
        except InvariantBroken as error:
            log.warning("late fills of hedge %s do not fit: %s", hedge.id, error.message)
            return hedge, ()

    async def _unbooked(self, hedge: Hedge, fills: Iterable[Fill]) -> list[Fill]:
        """Of the time in question. An order of ours that was taken over, too, is in no book."""
        until = hedge.unread_until
        known = await self._store.booked_fill_keys(hedge.account_id)
        booked = {key.partition(":")[0] for key in known}
        found = []
        for fill in fills:
            intent = await self._store.intent(fill.client_order_id) if fill.client_order_id else None
            ours = intent is not None and (not _taken_over(intent, hedge) or intent.client_order_id in booked)
            if until is not None and fill.at <= until and fill.venue_fill_id not in known and not ours:
                found.append(fill)
        return found


def _taken_over(intent: OrderIntent, hedge: Hedge) -> bool:
    return intent.hedge_id == hedge.id and intent.reason == ADOPTED


def _book(
    hedge: Hedge, fills: Iterable[Fill], instrument: Instrument
) -> tuple[Hedge, tuple[BookedFill, ...]]:
    rows: list[BookedFill] = []
    for fill in fills:
        role = hedge.leg_on(fill.position_side).role
        hedge = price_late(hedge, role, fill, instrument)
        rows.append(BookedFill(fill.venue_fill_id, hedge.account_id, hedge.id, role, fill))
    return hedge, tuple(rows)
