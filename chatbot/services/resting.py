"""Orders that the journal holds to rest on the exchange are missed there, asked for, and their end booked."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chatbot.domain.account import STALE_READ, AccountView
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, HedgeStatus
from chatbot.domain.instrument import ZERO
from chatbot.domain.intent import IntentStatus, OrderIntent
from chatbot.domain.ledger import differences
from chatbot.domain.shards import shard_of_account
from chatbot.domain.unprotected import GoneOrder, ended, gone_without_us, standing, unlisted
from chatbot.errors import Conflict, VenueError
from chatbot.ports import Account, Changes, Clock, IntentNote, Store, Venues
from chatbot.services.late_fills import CLOCKS_DIFFER

log = logging.getLogger(__name__)

UNKNOWN_FOR = timedelta(hours=1) + CLOCKS_DIFFER  # how long an exchange may hide an order from look-ups
ASK_AT_LEAST_EVERY = timedelta(minutes=5)
TOLD_WITHIN = timedelta(days=1)  # after a start: how old an end may be that nobody may have been told


@dataclass(frozen=True, slots=True)
class _Missed:
    """An order that is not listed since then. ``asked``: when it was asked for last."""

    since: datetime
    asked: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Each time after twice as long: a look-up may be from before for an hour."""
        last = self.since if self.asked is None else self.asked
        pause = max(STALE_READ, last - self.since)
        return now - last >= min(pause, ASK_AT_LEAST_EVERY)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What rests for one version of a hedge: each operation makes a new one."""

    version: int
    intents: tuple[OrderIntent, ...]


class RestingOrders:
    """Lost with the process: what is missing is then missed anew, and what was not told is in the journal."""

    def __init__(self, store: Store, venues: Venues, clock: Clock) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._standing: dict[AccountId, dict[HedgeId, _Standing]] = {}
        self._missed: dict[AccountId, dict[str, _Missed]] = {}
        self._untold: dict[AccountId, tuple[GoneOrder, ...]] = {}

    def forget(self, shards: Collection[int]) -> None:
        for known in (self._standing, self._missed, self._untold):
            for account_id in [each for each in known if shard_of_account(each) in shards]:
                del known[account_id]

    def waiting(self, account_id: AccountId) -> bool:
        """A look soon would ask for something that is missed."""
        now = self._clock.now()
        return any(each.asked is None or each.due(now) for each in self._missed.get(account_id, {}).values())

    def untold(self, account_id: AccountId) -> tuple[GoneOrder, ...]:
        return self._untold.get(account_id, ())

    def told(self, account_id: AccountId, gone: Collection[GoneOrder]) -> None:
        left = tuple(each for each in self._untold.get(account_id, ()) if each not in gone)
        self._untold.pop(account_id, None)
        if left:
            self._untold[account_id] = left

    # --- a look ---------------------------------------------------------------------------------

    async def compare(
        self, account: Account, hedges: Sequence[Hedge], view: AccountView
    ) -> tuple[Hedge, ...]:
        """Hedges of which an order has filled although their legs agree; other ends are booked here.

        For when no operation works on the account, under its lock, after what differs was booked.
        """
        if account.restored_from is not None:
            return ()
        before, missed = self._missed.get(account.id, {}), {}
        filled: dict[HedgeId, Hedge] = {}
        for hedge, intent in await self._unlisted(account, hedges, view):
            name, now = intent.client_order_id, self._clock.now()
            missed[name] = before.get(name, _Missed(now))
            if missed[name].due(now):
                missed[name] = replace(missed[name], asked=now)
                if await self._has_filled(account, hedge, intent):
                    filled[hedge.id] = hedge
        self._missed[account.id] = missed
        return tuple(filled.values())

    async def _unlisted(
        self, account: Account, hedges: Sequence[Hedge], view: AccountView
    ) -> list[tuple[Hedge, OrderIntent]]:
        """Of hedges that agree with the venue: where one differs, its orders are looked at for that."""
        known = await self._known(account, hedges)
        calm = [each for each in hedges if each.status is HedgeStatus.OPEN and not differences(each, view)]
        return [(each, intent) for each in calm for intent in unlisted(each, known[each.id].intents, view)]

    async def _known(self, account: Account, hedges: Sequence[Hedge]) -> dict[HedgeId, _Standing]:
        """Read anew only where an operation, or a booking, has changed the hedge since."""
        before = self._standing.get(account.id)
        known: dict[HedgeId, _Standing] = {}
        for hedge in hedges:
            stood = None if before is None else before.get(hedge.id)
            if stood is None or stood.version != hedge.version:
                intents = await self._store.intents(hedge_id=hedge.id)
                stood = _Standing(hedge.version, standing(intents))
                if before is None:
                    await self._recall(account, gone_without_us(hedge, intents))
            known[hedge.id] = stood
        self._standing[account.id] = known
        return known

    async def _recall(self, account: Account, gone: Sequence[OrderIntent]) -> None:
        """A process may have died between booking an end and telling it. What was told is not told twice."""
        for intent in gone:
            notes = await self._store.intent_notes(intent.client_order_id)
            at = min(note.at for note in notes if note.event == intent.status)  # when it was booked
            if self._clock.now() - at < TOLD_WITHIN:
                self._owe(account, GoneOrder(intent, at))

    def _owe(self, account: Account, gone: GoneOrder) -> None:
        self._untold[account.id] = (*self._untold.get(account.id, ()), gone)

    def _read_anew(self, account: Account, hedge_id: HedgeId) -> None:
        self._standing[account.id].pop(hedge_id, None)

    # --- an order that is missed ----------------------------------------------------------------

    async def _has_filled(self, account: Account, hedge: Hedge, intent: OrderIntent) -> bool:
        try:
            stored = await self._store.intent(intent.client_order_id)
            if stored is None or stored.status is not IntentStatus.OPEN:
                self._read_anew(account, hedge.id)
                return False
            return await self._ask(account, hedge, stored)
        except (VenueError, Conflict) as error:
            log.warning("a resting order is asked for again later", extra={"error": type(error).__name__})
            return False

    async def _ask(self, account: Account, hedge: Hedge, intent: OrderIntent) -> bool:
        venue = self._venues.of(account)
        report = await venue.order(intent.symbol, intent.client_order_id)
        if report is None:
            return await self._not_known(account, hedge, intent)
        if report.filled_quantity > intent.filled_quantity:
            return True
        if report.status.final and report.filled_quantity == intent.filled_quantity:
            await self._book(account, ended(intent, report))
        return False

    async def _not_known(self, account: Account, hedge: Hedge, intent: OrderIntent) -> bool:
        """It may be too new for look-ups, or so old that only its fills are left."""
        if self._clock.now() - intent.created_at < UNKNOWN_FOR:
            return False
        since = max(hedge.fills_seen_at or hedge.opened_at, intent.created_at) - CLOCKS_DIFFER
        fills = await self._venues.of(account).fills(intent.symbol, since)
        own = (fill for fill in fills if fill.client_order_id == intent.client_order_id)
        if sum((fill.quantity for fill in own), ZERO) > intent.filled_quantity:
            return True
        await self._book(account, ended(intent, None))
        return False

    async def _book(self, account: Account, intent: OrderIntent) -> None:
        now = self._clock.now()
        note = IntentNote(intent.client_order_id, now, intent.status, intent.reason)
        await self._store.commit(Changes(intents=(intent,), notes=(note,), behalf=account.user_id))
        extra = {"order": intent.client_order_id, "reason": intent.reason}
        log.warning("a resting order is gone", extra=extra)
        self._read_anew(account, intent.hedge_id)
        self._owe(account, GoneOrder(intent, now))
