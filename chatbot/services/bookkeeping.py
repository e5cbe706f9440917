"""The ledger follows the venue: fills and funding are booked from its history, differences are found."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import STALE_READ, AccountView
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, HedgeStatus, LegRole
from chatbot.domain.instrument import Instrument, Symbol
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent, event_of
from chatbot.domain.ledger import (
    ADOPTED,
    book_fill,
    book_funding,
    book_report,
    closed_if_flat,
    differences,
    missing,
    report_of_fills,
    take_over,
    venue_quantity,
)
from chatbot.domain.operation import Operation
from chatbot.domain.order import Fill, OrderReport
from chatbot.domain.shards import shard_of_account
from chatbot.domain.unprotected import GoneOrder
from chatbot.errors import Busy, Conflict, InvariantBroken, NotFound, VenueError
from chatbot.log import about
from chatbot.ports import (
    Account,
    AuditEntry,
    BookedFill,
    BookedFunding,
    Changes,
    Clock,
    IntentNote,
    Store,
    Venue,
    Venues,
)
from chatbot.services.late_fills import CLOCKS_DIFFER, LateFills
from chatbot.services.leg_changes import (
    Booked,
    ChangeCause,
    LegChange,
    cause_of_foreign,
    cause_of_ours,
    changes_of,
    late_change,
)
from chatbot.services.locks import AccountLocks
from chatbot.services.recovery import attempt
from chatbot.services.resting import RestingOrders
from chatbot.services.waiting import FROM_A_COPY

log = logging.getLogger(__name__)

UNREAD_FOR = timedelta(minutes=1)  # how long an exchange may fail to tell its history
UNBOOKABLE = "what the exchange tells of it cannot be booked"


@dataclass(frozen=True, slots=True)
class Books:
    """The live hedges of one account after booking, all equal to the venue, in flight, or frozen.

    ``begun``: operations that were in flight before. ``unread``: why the history of one of them could not be
    read; it is as it was. ``gone``: resting orders that ended without us, until they are told.
    """

    account: Account
    view: AccountView
    hedges: tuple[Hedge, ...]
    changes: tuple[LegChange, ...]
    busy: bool = False
    unread: VenueError | None = None
    gone: tuple[GoneOrder, ...] = ()
    begun: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Page:
    """What is about to be booked for one hedge."""

    hedge: Hedge
    intents: Mapping[str, OrderIntent]
    booked: tuple[Booked, ...] = ()
    funding: tuple[BookedFunding, ...] = ()
    touched: tuple[OrderIntent, ...] = ()
    fits: bool = True  # False: the venue's history cannot have happened to this ledger

    @property
    def fills(self) -> tuple[BookedFill, ...]:
        return tuple(row for row, _ in self.booked)

    @property
    def empty(self) -> bool:
        return not (self.booked or self.funding or self.touched)

    def with_fill(self, booked: BookedFill, hedge: Hedge, cause: ChangeCause | None) -> _Page:
        return replace(
            self,
            hedge=replace(hedge, fills_seen_at=max(booked.fill.at, hedge.fills_seen_at or booked.fill.at)),
            booked=(*self.booked, (booked, cause)),
        )


@dataclass(frozen=True, slots=True)
class _History:
    fills: tuple[Fill, ...]
    instrument: Instrument


class Bookkeeper:
    def __init__(self, store: Store, venues: Venues, clock: Clock, locks: AccountLocks) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._locks = locks
        self._untold: dict[AccountId, list[LegChange]] = {}
        self._unexplained: dict[
            HedgeId, tuple[tuple[Decimal, ...], datetime]
        ] = {}  # the ledger, and since when
        self._late = LateFills(store, venues, clock)
        self.resting = RestingOrders(store, venues, clock)
        self._failing: dict[HedgeId, datetime] = {}  # since when
        self._unread: dict[HedgeId, VenueError] = {}

    def forget(self, shards: Collection[int]) -> None:
        """Another process keeps their books now."""
        for account_id in [each for each in self._untold if shard_of_account(each) in shards]:
            del self._untold[account_id]
        self.resting.forget(shards)
        self._unexplained.clear()  # who waits is only waited for a little longer

    @property
    def unexplained(self) -> int:
        """Hedges that differ from the exchange just now, whether for a moment or frozen."""
        return len(self._unexplained)

    async def bring_up_to_date(self, account: Account, also: Collection[Symbol] = ()) -> Books:
        """Reads the venue, books what it tells, freezes the unexplained; only looks while orders fly.

        ``also``: more markets to be read.
        """
        if self._locks.busy(account.id):
            begun = await self._store.unfinished_operations(account.id)
            return replace(await self._look(account, also), begun=begun)
        async with self._locks.of(account.id):
            # Under the lock: a confirmation may have come in before, and its hedge is still empty.
            begun = await self._store.unfinished_operations(account.id)
            if not begun:
                return await self._book_account(account, also)
        return replace(await self._look(account, also), begun=begun)

    async def follow(
        self, account: Account, hedges: tuple[Hedge, ...], view: AccountView
    ) -> tuple[Hedge, ...]:
        """What a reader sees at the venue is in the ledger before it is shown; only looks while orders fly.

        What was found here is told by the next ``bring_up_to_date``. Of a restored account that comes first.
        """
        moved = account.restored_from is None and any(differences(hedge, view) for hedge in hedges)
        if not moved or self._locks.busy(account.id):
            return hedges
        async with self._locks.of(account.id):
            if await self._store.unfinished_operations(account.id):
                return hedges
            wanted = {hedge.id for hedge in hedges}
            for hedge in await self._store.live_hedges(account_id=account.id):
                if hedge.id in wanted:
                    _, changed = await self.try_to_settle(account, hedge, view)
                    self.tell_later(account, changed)
        live = await self._store.live_hedges(account_id=account.id)
        return tuple(hedge for hedge in live if hedge.id in wanted)

    def tell_later(self, account: Account, changes: Iterable[LegChange]) -> None:
        """What was found beside something else: the next ``bring_up_to_date`` tells it."""
        if found := tuple(changes):
            self._untold.setdefault(account.id, []).extend(found)

    async def _look(self, account: Account, also: Collection[Symbol]) -> Books:
        hedges = await self._store.live_hedges(account_id=account.id)
        view = await self._venues.of(account).view({hedge.symbol for hedge in hedges} | set(also))
        return Books(account, view, hedges, (), busy=True)

    async def _book_account(self, account: Account, also: Collection[Symbol]) -> Books:
        seen = await self._look(account, also)
        hedges: list[Hedge] = []
        changes = list(self._untold.get(account.id, ()))
        for hedge in seen.hedges:
            booked, changed = await self.try_to_settle(account, hedge, seen.view)
            hedges.append(booked)
            changes.extend(changed)
        open_still = [hedge for hedge in hedges if hedge.live]
        for hedge in await self.resting.compare(account, open_still, seen.view):
            booked, changed = await self.try_to_settle(account, hedge, seen.view, filled=True)
            hedges[hedges.index(hedge)] = booked
            changes.extend(changed)
        live = tuple(hedge for hedge in hedges if hedge.live)
        changes += await self._priced_since_closed(account, seen.view)
        self._untold.pop(account.id, None)  # not before: a venue that fails on the way loses nothing
        unread = next((self._unread[h.id] for h in live if h.id in self._unread), None)
        gone = self.resting.untold(account.id)
        return Books(account, seen.view, live, tuple(changes), unread=unread, gone=gone)

    async def try_to_settle(
        self, account: Account, hedge: Hedge, view: AccountView, *, filled: bool = False
    ) -> tuple[Hedge, tuple[LegChange, ...]]:
        """As ``settle``; what fails fails for this hedge alone, and freezes it where it goes on failing."""
        hedge, _ = await self._price_late(account, hedge, view)
        settled = await attempt(self.settle(account, hedge, view, filled=filled))
        if isinstance(settled, Exception):
            return await self._after_failure(hedge, view, settled), ()
        self._forget_failure(hedge.id)
        return settled

    async def _price_late(
        self, account: Account, hedge: Hedge, view: AccountView
    ) -> tuple[Hedge, tuple[BookedFill, ...]]:
        """Nothing but a result depends on it."""
        try:
            return await self._late.seek(account, hedge, view.at)
        except (VenueError, Conflict) as error:
            log.warning("late fills of hedge %s could not be booked: %s", hedge.id, type(error).__name__)
            return hedge, ()

    async def _priced_since_closed(self, account: Account, view: AccountView) -> list[LegChange]:
        """A live hedge whose leg is gone tells by itself how it went."""
        changes: list[LegChange] = []
        for hedge in await self._late.of_closed(account):
            priced, rows = await self._price_late(account, hedge, view)
            changes += [late_change(priced, role, rows) for role in {row.leg: None for row in rows}]
        return changes

    def why_not_booked(self, hedge_id: HedgeId) -> str:
        """Of the last try; empty: it went well."""
        if hedge_id in self._unread:
            return "the exchange does not tell its history"
        return UNBOOKABLE if hedge_id in self._failing else ""

    async def _after_failure(self, hedge: Hedge, view: AccountView, error: Exception) -> Hedge:
        """As stored. An operation of ours may have been quicker, which the next look sees."""
        known = hedge.id in self._failing or isinstance(error, VenueError)
        log.error("hedge %s could not be booked", hedge.id, exc_info=None if known else error)
        stored = await self._store.hedge(hedge.id) or hedge
        lasting = self._clock.now() - self._failing.setdefault(hedge.id, self._clock.now())
        self._unread.pop(hedge.id, None)
        if isinstance(error, VenueError):
            self._unread[hedge.id] = error
        if stored.status is not HedgeStatus.OPEN or lasting < _patience(error):
            return stored
        if isinstance(error, VenueError) and not differences(stored, view):
            return stored  # what it lacks of its history is told as the venue's silence
        return await self._freeze(stored, _why_unbookable(error))

    async def _freeze(self, hedge: Hedge, reason: str) -> Hedge:
        log.error("hedge %s is frozen: %s", hedge.id, reason)
        await self._store.commit(Changes(hedges=(replace(hedge, status=HedgeStatus.FROZEN, reason=reason),)))
        return replace(hedge, status=HedgeStatus.FROZEN, reason=reason, version=hedge.version + 1)

    def _forget_failure(self, hedge_id: HedgeId) -> None:
        self._failing.pop(hedge_id, None)
        self._unread.pop(hedge_id, None)

    async def settle(
        self, account: Account, hedge: Hedge, view: AccountView, *, filled: bool = False
    ) -> tuple[Hedge, tuple[LegChange, ...]]:
        """Booked, and closed where nothing is left of it; for when no operation works on it."""
        with about(hedge=hedge.id):
            booked, changes = await self.book(account, hedge, view, filled=filled)
            return await self._settle_flat(account, booked, view), changes

    async def book(
        self, account: Account, hedge: Hedge, view: AccountView, *, filled: bool = False
    ) -> tuple[Hedge, tuple[LegChange, ...]]:
        """One hedge, under the account's lock. The hedge comes back as stored.

        ``filled``: an order of it has, although the legs agree: something else has made up for it.
        """
        venue = self._venues.of(account)
        page = await self._book_funding(_Page(hedge, {}), view, venue)
        if filled or differences(page.hedge, view) or hedge.status is HedgeStatus.FROZEN:
            page = await self._book_what_fits(page, view, venue, filled=filled)
        settled = await self._with_ends(self._judge(page, view), hedge)
        if settled.hedge == hedge and settled.empty:
            return hedge, ()
        return await self._write(hedge, settled, view)

    async def _book_funding(self, page: _Page, view: AccountView, venue: Venue) -> _Page:
        hedge = page.hedge
        market = view.markets.get(hedge.symbol)
        since = hedge.funding_seen_at or hedge.opened_at
        if market is None or market.next_funding_at - market.funding_interval <= since:
            return page
        known = {f.payment.venue_payment_id for f in await self._store.booked_funding(hedge.id)}
        for payment in await venue.funding_payments(hedge.symbol, since):
            if payment.venue_payment_id in known or payment.at < hedge.opened_at:
                continue
            booked = BookedFunding(hedge.account_id, hedge.id, payment)
            hedge = book_funding(hedge, payment)
            page = replace(page, hedge=hedge, funding=(*page.funding, booked))
        return page

    async def _book_what_fits(self, page: _Page, view: AccountView, venue: Venue, *, filled: bool) -> _Page:
        """A history that cannot have happened to this leg explains nothing: the difference stays."""
        try:
            told = await self._book_history(page, venue, page.hedge.fills_seen_at or page.hedge.opened_at)
            if filled or differences(told.hedge, view):
                told = await self._book_fired_stops(told, venue)
            return await self._book_overlooked(told, view, venue) if differences(told.hedge, view) else told
        except InvariantBroken as error:
            log.warning("the history of hedge %s does not fit its ledger: %s", page.hedge.id, error.message)
            return replace(page, fits=False)

    async def _book_overlooked(self, page: _Page, view: AccountView, venue: Venue) -> _Page:
        """Orders and fills may be stamped by different clocks: older fills count if they explain it all."""
        hedge = page.hedge
        if hedge.unread_until is not None or any(leg.adopted for leg in hedge.legs):
            return page  # what came before was taken over
        try:
            told = await self._book_history(page, venue, hedge.opened_at - CLOCKS_DIFFER)
        except InvariantBroken:
            return page
        return page if differences(told.hedge, view) else told

    async def _book_history(self, page: _Page, venue: Venue, since: datetime) -> _Page:
        hedge = page.hedge
        instrument = (await venue.instruments())[hedge.symbol]
        known = await self._store.booked_fill_keys(hedge.account_id) | {row.key for row in page.fills}
        intents = {i.client_order_id: i for i in await self._store.intents(hedge_id=hedge.id)}
        page = replace(page, intents={**intents, **page.intents})
        fills = await venue.fills(hedge.symbol, since)
        for fill in fills:
            intent = page.intents.get(fill.client_order_id or "")
            if intent is not None:
                page = await self._book_own(page, intent, venue, _History(fills, instrument))
            elif fill.venue_fill_id not in known and not await self._of_another_hedge(fill):
                page = self._book_foreign(page, fill, instrument)
        return page

    async def _of_another_hedge(self, fill: Fill) -> bool:
        """One that ended in the same instant in which this one began: its journal has the fill.

        An order that was left over from it and fires now is news to this hedge.
        """
        other = await self._store.intent(fill.client_order_id) if fill.client_order_id else None
        return other is not None and other.filled_quantity > 0

    async def _book_own(self, page: _Page, intent: OrderIntent, venue: Venue, history: _History) -> _Page:
        if intent.status.final:
            return page
        report = await venue.order(intent.symbol, intent.client_order_id)
        if report is None and (intent.purpose.protective or page.hedge.status is HedgeStatus.FROZEN):
            # Of any other order the history is no end: it may be working still, and its operation settles it.
            report = await self._told_by_fills(intent, venue, history)
        return page if report is None else self._book_report(page, intent, report, history.instrument)

    async def _told_by_fills(
        self, intent: OrderIntent, venue: Venue, history: _History
    ) -> OrderReport | None:
        """All of the order's fills, also where a part of them was booked before this history begins."""
        fills = history.fills
        if intent.filled_quantity:
            fills = await venue.fills(intent.symbol, intent.created_at - CLOCKS_DIFFER)
        report = report_of_fills(intent, fills, history.instrument)
        partly = report is not None and report.filled_quantity < intent.filled_quantity
        return None if partly else report

    async def _book_fired_stops(self, page: _Page, venue: Venue) -> _Page:
        """Of an order of ours the exchange tells by its id, whatever its history of fills has or has not."""
        instrument = (await venue.instruments())[page.hedge.symbol]
        for intent in page.intents.values():
            if intent.purpose.protective and intent.status is IntentStatus.OPEN:
                report = await venue.order(intent.symbol, intent.client_order_id)
                if report is not None and report.filled_quantity > intent.filled_quantity:
                    page = self._book_report(page, intent, report, instrument)
        return page

    def _book_report(
        self, page: _Page, intent: OrderIntent, report: OrderReport, instrument: Instrument
    ) -> _Page:
        booked = book_report(page.hedge, intent, report, instrument)
        page = replace(
            page,
            intents={**page.intents, intent.client_order_id: booked.intent},
            touched=(*page.touched, booked.intent),
        )
        if booked.fill is None:
            return page
        row = _row(page.hedge, intent.leg, booked.fill)
        return page.with_fill(row, booked.hedge, cause_of_ours(intent))

    def _book_foreign(self, page: _Page, fill: Fill, instrument: Instrument) -> _Page:
        leg = page.hedge.leg_on(fill.position_side)
        row = _row(page.hedge, leg.role, fill)
        cause = cause_of_foreign(fill)
        hedge = book_fill(page.hedge, leg.role, fill, instrument)
        return page.with_fill(row, hedge, cause)

    def _judge(self, page: _Page, view: AccountView) -> _Page:
        """Equal to the venue: a frozen hedge thaws. Different for longer than a read may be stale: freeze."""
        hedge = page.hedge
        if not differences(hedge, view) and page.fits:
            self._unexplained.pop(hedge.id, None)
            return replace(page, hedge=_thawed(hedge))
        if hedge.reason.startswith(FROM_A_COPY) and differences(hedge, view):
            return replace(page, hedge=frozen(hedge, view))
        if hedge.status is HedgeStatus.OPEN and any(map(_in_flight, page.intents.values())):
            # Its outcome may be the difference, and what was unexplained before was another one.
            self._unexplained.pop(hedge.id, None)
            return page
        since = self._unexplained_since(hedge, view)
        if hedge.status is HedgeStatus.FROZEN or view.read_at - since < STALE_READ:
            return page
        return replace(page, hedge=frozen(hedge, view))

    def _unexplained_since(self, hedge: Hedge, view: AccountView) -> datetime:
        """By the instants of readings, one of which may have waited here itself. Once the ledger has moved it
        is another difference.
        """
        ledger = tuple(leg.quantity for leg in hedge.legs)
        if hedge.id not in self._unexplained or self._unexplained[hedge.id][0] != ledger:
            self._unexplained[hedge.id] = ledger, view.read_at
        return self._unexplained[hedge.id][1]

    async def _with_ends(self, page: _Page, before: Hedge) -> _Page:
        """Ledger and venue agree again: an order that nobody could explain did nothing."""
        if before.status is not HedgeStatus.FROZEN or page.hedge.status is not HedgeStatus.OPEN:
            return page
        touched = {i.client_order_id: i for i in page.touched}
        for intent in await self._store.intents(hedge_id=before.id):
            known = touched.get(intent.client_order_id, intent)
            if known.status in (IntentStatus.UNKNOWN, IntentStatus.JOURNALED):
                touched[known.client_order_id] = known.after(IntentEvent.PROVEN_ABSENT)
        return replace(page, touched=tuple(touched.values()))

    async def _write(
        self, before: Hedge, page: _Page, view: AccountView
    ) -> tuple[Hedge, tuple[LegChange, ...]]:
        now = self._clock.now()
        await self._store.commit(
            Changes(
                hedges=(page.hedge,),
                intents=page.touched,
                notes=tuple(IntentNote(i.client_order_id, now, i.status, i.reason) for i in page.touched),
                fills=page.fills,
                funding=page.funding,
            )
        )
        stored = replace(page.hedge, version=page.hedge.version + 1)
        return stored, changes_of(before, stored, page.booked, view)

    async def _settle_flat(self, account: Account, hedge: Hedge, view: AccountView) -> Hedge:
        """A leg that is gone leaves no orders behind: they would hit a later one. No leg left: closed."""
        if all(leg.quantity for leg in hedge.legs) or hedge.status is not HedgeStatus.OPEN:
            return hedge
        canceled = await self._cancel_orphans(self._venues.of(account), hedge)
        settled = closed_if_flat(hedge, view.at)
        if settled == hedge and not canceled:
            return hedge
        now = self._clock.now()
        notes = tuple(IntentNote(i.client_order_id, now, i.status, i.reason) for i in canceled)
        await self._store.commit(Changes(hedges=(settled,), intents=canceled, notes=notes))
        return replace(settled, version=settled.version + 1)

    async def _cancel_orphans(self, venue: Venue, hedge: Hedge) -> tuple[OrderIntent, ...]:
        canceled: list[OrderIntent] = []
        for intent in await self._store.intents(hedge_id=hedge.id):
            resting = intent.purpose.protective and intent.status is IntentStatus.OPEN
            if resting and hedge.leg(intent.leg).quantity == 0:
                report = await venue.cancel(intent.symbol, intent.client_order_id)
                if report is None or report.filled_quantity == intent.filled_quantity:
                    canceled.append(intent.after(IntentEvent.CANCELED, reason="its leg is gone"))
        return tuple(canceled)

    async def adopt(self, account: Account, hedge: Hedge) -> Hedge:
        """The user chose to believe the venue; under the account's lock."""
        if hedge.status is not HedgeStatus.FROZEN:
            raise NotFound(f"#{hedge.number} agrees with the exchange: there is nothing to adopt.")
        return await self._take_over(account, hedge, await self._venues.of(account).view({hedge.symbol}))

    async def accept_losses(self, account: Account, hedge: Hedge, view: AccountView) -> Hedge:
        """Its owner acts on what is left: a leg that is gone at the venue is gone, whatever became of it.

        Raises Busy where the venue may only be slow to show what was just traded.
        """
        gone, left = missing(hedge, view), any(venue_quantity(view, hedge, role) for role in LegRole)
        if hedge.status is not HedgeStatus.OPEN or not (gone and left):
            return hedge
        if traded_lately(await self._store.intents(hedge_id=hedge.id), self._clock.now()):
            raise Busy(
                f"The exchange does not show all of #{hedge.number} yet. "
                "Nothing was sent; try again in a moment."
            )
        return await self._take_over(account, hedge, view)

    async def _take_over(self, account: Account, hedge: Hedge, view: AccountView) -> Hedge:
        """What the venue says of its orders, too."""
        venue = self._venues.of(account)
        ended = await self._ends_of_orders(venue, hedge, view)
        taken = _taken_over_blindly(hedge, view) if UNBOOKABLE in hedge.reason else take_over(hedge, view)
        now = self._clock.now()
        await self._store.commit(
            Changes(
                hedges=(taken,),
                intents=ended,
                notes=tuple(IntentNote(i.client_order_id, now, i.status, i.reason) for i in ended),
                audit=(AuditEntry(now, hedge.user_id, "adopt", f"hedge {hedge.id}"),),
            )
        )
        self._unexplained.pop(hedge.id, None)
        self._forget_failure(hedge.id)
        adopted = replace(taken, version=taken.version + 1)
        self._late.remember(adopted)
        settled = await attempt(self._settle_flat(account, adopted, view))
        return adopted if isinstance(settled, Exception) else settled  # else the next look does it

    async def _ends_of_orders(self, venue: Venue, hedge: Hedge, view: AccountView) -> tuple[OrderIntent, ...]:
        """What the venue says of them is in the position that is taken over: it is not booked again."""
        resting = {order.client_order_id for order in view.open_orders}
        ended: list[OrderIntent] = []
        for intent in await self._store.intents(hedge_id=hedge.id):
            if intent.status.final or intent.client_order_id in resting:
                continue
            report = await venue.order(intent.symbol, intent.client_order_id)
            ended.append(_taken_over(intent, report))
        return tuple(ended)


def traded_lately(intents: Iterable[OrderIntent], now: datetime) -> bool:
    """A read may be from before."""
    orders = [intent.created_at for intent in intents if not intent.purpose.protective]
    return bool(orders) and now - max(orders) < STALE_READ


def _taken_over_blindly(hedge: Hedge, view: AccountView) -> Hedge:
    """Funding of that time, too: what could not be booked is not tried again."""
    taken = take_over(hedge, view)
    since = taken.unread_from or hedge.fills_seen_at or hedge.opened_at
    return replace(taken, funding_seen_at=view.at, unread_from=since, unread_until=view.at)


def _in_flight(intent: OrderIntent) -> bool:
    resting = intent.purpose.protective and intent.status is IntentStatus.OPEN
    return not intent.status.final and not resting


def _taken_over(intent: OrderIntent, report: OrderReport | None) -> OrderIntent:
    if report is not None:
        told = replace(
            intent,
            venue_order_id=report.venue_order_id,
            filled_quantity=report.filled_quantity,
            average_price=report.average_price,
            fee=report.fee,
        )
        return told.after(event_of(report), reason=ADOPTED)
    event = IntentEvent.CANCELED if intent.status is IntentStatus.OPEN else IntentEvent.PROVEN_ABSENT
    return intent.after(event, reason=ADOPTED)


def _patience(error: Exception) -> timedelta:
    """A contradiction does not go away; a conflict with whoever was quicker does, and venues come back."""
    if isinstance(error, InvariantBroken):
        return timedelta(0)
    return UNREAD_FOR if isinstance(error, VenueError) else STALE_READ


def _why_unbookable(error: Exception) -> str:
    if isinstance(error, VenueError):
        return "the exchange does not tell what happened to it"
    told = isinstance(error, Conflict | InvariantBroken)
    return f"{UNBOOKABLE}: {error if told else 'something went wrong on my side'}"


def _thawed(hedge: Hedge) -> Hedge:
    return hedge if hedge.status is HedgeStatus.OPEN else replace(hedge, status=HedgeStatus.OPEN, reason="")


def frozen(hedge: Hedge, view: AccountView) -> Hedge:
    parts = [
        f"{hedge.leg(role).side} {venue_quantity(view, hedge, role)} instead of {hedge.leg(role).quantity}"
        for role in differences(hedge, view)
    ]
    log.error("hedge %s is frozen: %s", hedge.id, "; ".join(parts))
    return replace(hedge, status=HedgeStatus.FROZEN, reason="the exchange holds " + " and ".join(parts))


def _row(hedge: Hedge, role: LegRole, fill: Fill) -> BookedFill:
    return BookedFill(fill.venue_fill_id, hedge.account_id, hedge.id, role, fill)
