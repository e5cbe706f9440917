"""A database that comes from a copy: the world has gone on since, and no order is sent before that is known.

Between the copy and the end of the old process orders were sent that this journal does not have. So nothing
that was in flight goes on, and each account waits until its ledger equals the venue or its owner chose.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from chatbot.chat import OutboxMessage, Priority, Reply
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, HedgeStatus, LegRole
from chatbot.domain.instrument import Symbol
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent, event_of, placed_for, purpose_of
from chatbot.domain.operation import Operation, OperationKind, OperationStatus
from chatbot.domain.quote import QuoteId
from chatbot.domain.recognition import recognized
from chatbot.errors import Busy, Conflict, NotFound
from chatbot.ports import (
    Account,
    AuditEntry,
    Changes,
    Clock,
    Copies,
    IdSource,
    IntentNote,
    Store,
    User,
    Venue,
    Venues,
)
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.evidence import GRACE
from chatbot.services.hedging import HedgeService
from chatbot.services.locks import AccountLocks
from chatbot.services.run import VALIDITY
from chatbot.services.waiting import since_the_copy

log = logging.getLogger(__name__)

# An order that the old process sent last may still be on its way, and what is read of it be stale.
QUIET = VALIDITY + GRACE
SECOND = timedelta(seconds=1)  # instants of copies are kept in whole seconds
FOUND_AGAIN = "found at the exchange after a restore"


class Beginning:
    """What comes first when a bot starts on a copy."""

    def __init__(self, copies: Copies, clock: Clock) -> None:
        self._copies = copies
        self._clock = clock

    async def begin(self) -> None:
        """Before anything of the database is used; once for each restore."""
        copied_at = await self.copied_at()
        if copied_at is None:
            return
        try:
            await self._copies.begin(copied_at, self._clock.now(), why=since_the_copy(copied_at))
        except Conflict:
            return  # another process of the same bot did it just now
        log.warning("reconcile-only: %s", since_the_copy(copied_at))

    async def copied_at(self) -> datetime | None:
        """``None``: there is no copy to begin on."""
        return await self._copies.copied_at()

    async def wait(self) -> None:
        """Until nothing of the old process can arrive any more."""
        restored_at = await self._copies.restored_at()
        if restored_at is None:
            return
        left = restored_at + SECOND + QUIET - self._clock.now()
        if left > timedelta(0):
            left = min(left, QUIET + SECOND)  # a clock that was set back
            log.warning("waiting %.0f s for what the old process may have sent last", left.total_seconds())
            await self._clock.sleep(left.total_seconds())


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What the first look after a restore has found on one account.

    ``moved``: before and after; what happened since the copy is booked from the venue's history.
    ``differing`` hedges are frozen; ``unknown``: markets with positions that no hedge knows.
    """

    account: Account
    same: tuple[Hedge, ...] = ()
    moved: tuple[tuple[Hedge, Hedge], ...] = ()
    differing: tuple[Hedge, ...] = ()
    unknown: tuple[Symbol, ...] = ()
    released: bool = False  # it takes orders again

    @property
    def empty(self) -> bool:
        return not (self.same or self.moved or self.differing or self.unknown)


class RestoreCards(Protocol):
    def restored(self, user: User, found: Reconciliation, copied_at: datetime) -> Reply: ...


class Reconciler:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        bookkeeper: Bookkeeper,
        hedging: HedgeService,
        clock: Clock,
        ids: IdSource,
        locks: AccountLocks,
        cards: RestoreCards,
        notify: Callable[[], None],
    ) -> None:
        self._store = store
        self._venues = venues
        self._bookkeeper = bookkeeper
        self._hedging = hedging
        self._clock = clock
        self._ids = ids
        self._locks = locks
        self._cards = cards
        self._notify = notify

    async def reconcile(self, account: Account, *, acknowledged: bool = False) -> bool:
        """Before each look at an account that waits; nothing for all others. Whether it takes orders now.

        Raises VenueError.

        ``acknowledged``: its owner takes positions that no hedge knows for what they are.
        """
        if account.restored_from is None:
            return True  # nothing makes it wait again while a bot runs
        now = await self._store.account(account.id)
        if now is None or now.restored_from is None:
            return True
        before = await self._store.live_hedges(account_id=account.id)
        books = await self._bookkeeper.bring_up_to_date(now)
        if books.busy:
            return False
        await self._settle_orders(now, books.view)
        found = await self._compare(now, before, books.hedges, books.view)
        released = not found.differing and (acknowledged or not found.unknown)
        await self._conclude(replace(found, released=released), now.restored_from)
        return released

    async def adopt_all(self, user: User) -> tuple[Hedge, ...]:
        """Every frozen hedge and every pair that no hedge knows become what the venue says.

        Then the account takes orders again. Raises NotFound when there is nothing to adopt, Busy, VenueError.
        """
        account = await self._hedging.account(user)
        live = await self._store.live_hedges(account_id=account.id)
        stuck = [hedge for hedge in live if hedge.status is HedgeStatus.FROZEN]
        adopted = [await self._hedging.adopt(user, hedge.number) for hedge in stuck]
        pairs = await self._unknown_pairs(account)
        adopted += [await self._hedging.adopt_found(user, symbol) for symbol in pairs]
        if not adopted and account.restored_from is None:
            raise NotFound("There is nothing to adopt: ledger and exchange agree.")
        if not await self.reconcile(account, acknowledged=True):
            raise Busy("Something is still being settled on this account; try again in a moment.")
        return tuple(adopted)

    async def _unknown_pairs(self, account: Account) -> list[Symbol]:
        live = await self._store.live_hedges(account_id=account.id)
        view = await self._venues.of(account).view({hedge.symbol for hedge in live})
        sides = [position.symbol for position in view.positions if position.quantity]
        return [symbol for symbol in _unknown(live, view) if sides.count(symbol) > 1]

    # --- orders that rest ---------------------------------------------------------------------

    async def _settle_orders(self, account: Account, view: AccountView) -> None:
        """What was placed, replaced or taken back since the copy; what has no leg any more is canceled."""
        venue = self._venues.of(account)
        async with self._locks.of(account.id):
            if await self._store.unfinished_operations(account.id):
                return
            await _cancel_orphans(venue, view)
            for hedge in await self._store.live_hedges(account_id=account.id):
                if hedge.status is HedgeStatus.OPEN:
                    await self._settle_orders_of(hedge, view, venue)

    async def _settle_orders_of(self, hedge: Hedge, view: AccountView, venue: Venue) -> None:
        journal = {i.client_order_id: i for i in await self._store.intents(hedge_id=hedge.id)}
        resting = {o.client_order_id: o for o in view.open_orders if placed_for(hedge.id, o.client_order_id)}
        ended = [await _end_of(i, venue) for i in journal.values() if _gone(i, resting)]
        operation = self._operation(hedge)
        strange = [
            recognized(order, hedge, operation.id) for name, order in resting.items() if name not in journal
        ]
        touched = [intent for intent in (*ended, *strange) if intent is not None]
        if touched:
            await self._store.commit(
                Changes(
                    operations=(operation,) if any(strange) else (),
                    intents=tuple(touched),
                    notes=tuple(
                        IntentNote(i.client_order_id, self._clock.now(), i.status, FOUND_AGAIN)
                        for i in touched
                    ),
                )
            )

    def _operation(self, hedge: Hedge) -> Operation:
        """Orders of the journal belong to one; that of these went with the old database."""
        now, name = self._clock.now(), self._ids.operation_id()
        return Operation(
            id=name,
            kind=OperationKind.STOPS,
            user_id=hedge.user_id,
            account_id=hedge.account_id,
            hedge_id=hedge.id,
            symbol=hedge.symbol,
            quote_id=QuoteId(f"restored:{name}"),
            chat="",
            targets=(),
            started_at=now,
            deadline_at=now,
            status=OperationStatus.DONE,
            finished_at=now,
            reason=FOUND_AGAIN,
        )

    # --- comparing ----------------------------------------------------------------------------

    async def _compare(
        self, account: Account, before: Sequence[Hedge], live: Sequence[Hedge], view: AccountView
    ) -> Reconciliation:
        frozen = {hedge.id: hedge for hedge in live if hedge.status is HedgeStatus.FROZEN}
        pairs = [(hedge, await self._store.hedge(hedge.id) or hedge) for hedge in before]
        agreed = [(old, new) for old, new in pairs if old.id not in frozen]
        return Reconciliation(
            account,
            same=tuple(new for old, new in agreed if _held(old) == _held(new)),
            moved=tuple((old, new) for old, new in agreed if _held(old) != _held(new)),
            differing=tuple(frozen.values()),
            unknown=tuple(_unknown(live, view)),
        )

    async def _conclude(self, found: Reconciliation, copied_at: datetime) -> None:
        """Told once as it was found, and once when it agrees."""
        account = found.account
        user = await self._store.user(account.user_id)
        if user is None:
            return
        now = self._clock.now()
        state = "done" if found.released else "found"
        owed = OutboxMessage(
            dedupe_key=f"restored:{account.id}:{copied_at.isoformat()}:{state}",
            chat=user.home,
            reply=self._cards.restored(user, found, copied_at),
            priority=Priority.WARNING if found.released else Priority.CRITICAL,
            not_before=now,
        )
        entry = AuditEntry(now, user.id, "reconciled", account.label)
        await self._store.commit(
            Changes(
                outbox=() if found.empty else (owed,),
                audit=(entry,) if found.released else (),
                reconciled=(account.id,) if found.released else (),
            )
        )
        if found.released:
            log.warning("account takes orders again after the restore", extra={"account": account.id})
        self._notify()


def _unknown(live: Sequence[Hedge], view: AccountView) -> list[Symbol]:
    known = {hedge.symbol for hedge in live}
    return sorted({p.symbol for p in view.positions if p.quantity} - known)


def _held(hedge: Hedge) -> list[tuple[LegRole, Decimal]]:
    return [(leg.role, leg.quantity) for leg in hedge.legs if leg.quantity]


async def _cancel_orphans(venue: Venue, view: AccountView) -> None:
    """Ours, and their leg is gone: they would hit a later one."""
    for order in view.open_orders:
        ours = purpose_of(order.client_order_id) is not None
        if ours and order.reduce_only and view.position(order.symbol, order.position_side) is None:
            await venue.cancel(order.symbol, order.client_order_id)


def _gone(intent: OrderIntent, resting: Collection[str]) -> bool:
    protects = intent.purpose.protective and intent.status is IntentStatus.OPEN
    return protects and intent.client_order_id not in resting


async def _end_of(intent: OrderIntent, venue: Venue) -> OrderIntent | None:
    """``None``: it still rests, or has filled, which is booked with its fill."""
    report = await venue.order(intent.symbol, intent.client_order_id)
    if report is None:
        return intent.after(IntentEvent.CANCELED, reason="the exchange does not know it any more")
    if not report.status.final or report.filled_quantity != intent.filled_quantity:
        return None
    return intent.after(event_of(report), reason=report.reason)
