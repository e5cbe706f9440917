"""The hedge service: offers, confirmations, and the start of operations."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from chatbot.chat import ChatRef, OutboxMessage
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, HedgeId, HedgeStatus
from chatbot.domain.instrument import ZERO, Instrument, Symbol
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent
from chatbot.domain.ledger import differences
from chatbot.domain.operation import Operation, OperationStatus
from chatbot.domain.quote import (
    AnyQuote,
    AnyRequest,
    CloseAllQuote,
    CloseRequest,
    CloseWay,
    HedgeRequest,
    LegAction,
    OpenRequest,
    PositionPrint,
    Quote,
    QuoteId,
    QuoteKind,
)
from chatbot.domain.quoting import plan_unchanged, quote_close, quote_hedge, quote_open
from chatbot.errors import BadArgument, Busy, Conflict, LimitExceeded, NotFound, QuoteExpired, VenueError
from chatbot.ports import (
    Account,
    AuditEntry,
    Changes,
    Clock,
    IdSource,
    IntentNote,
    Presenter,
    Progress,
    Store,
    User,
    Venue,
    Venues,
)
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.driving import progress_card
from chatbot.services.locks import AccountLocks
from chatbot.services.people import People
from chatbot.services.planning import (
    Plan,
    fired_pair,
    hedge_for,
    operation_of,
    plans_of,
    rest_of_pair,
    symbols_of,
)
from chatbot.services.recovery import Supervisor

log = logging.getLogger(__name__)

PAIR_PAUSE = timedelta(seconds=5)
USED = "That offer was used already. Nothing was sent."


@dataclass(frozen=True, slots=True)
class Started:
    """Journaled; the cards follow. ``again``: the same tap was handled before (after a crash)."""

    operations: tuple[Operation, ...]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Requoted:
    """Nothing was sent: ``why``; here is a fresh offer."""

    quote: Quote
    why: str


@dataclass(frozen=True, slots=True)
class Tap:
    """A button of an offer, tapped by its owner. ``request_id`` makes a repetition after a crash harmless."""

    user: User
    chat: ChatRef
    quote: Quote
    choice: str
    request_id: str
    card: str | None


@dataclass(frozen=True, slots=True)
class QuoteTerms:
    lifetime: timedelta = timedelta(seconds=60)
    band: Decimal = Decimal("0.003")


@dataclass(frozen=True, slots=True)
class Desk:
    """A user's account with everything an offer needs, freshly read."""

    user: User
    account: Account
    venue: Venue
    instruments: Mapping[Symbol, Instrument]
    hedges: tuple[Hedge, ...]
    view: AccountView

    def hedge_on(self, symbol: Symbol) -> Hedge | None:
        return next((hedge for hedge in self.hedges if hedge.symbol == symbol), None)

    def instrument(self, symbol: Symbol) -> Instrument:
        found = self.instruments.get(symbol)
        if found is None:
            raise NotFound(f"{symbol} is not traded on {self.account.venue}.")
        return found

    def hedges_margin(self, currency: str) -> Decimal:
        """Initial margin that positions of live hedges take up in this settlement currency."""
        symbols = {h.symbol for h in self.hedges if self.instrument(h.symbol).settle == currency}
        used = [
            self.instrument(p.symbol).notional(p.quantity, p.entry_price) / p.leverage
            for p in self.view.positions
            if p.symbol in symbols
        ]
        return sum(used, ZERO)


class HedgeService:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        clock: Clock,
        ids: IdSource,
        people: People,
        presenter: Presenter,
        bookkeeper: Bookkeeper,
        supervisor: Supervisor,
        locks: AccountLocks,
        terms: QuoteTerms,
    ) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._ids = ids
        self._people = people
        self._presenter = presenter
        self._bookkeeper = bookkeeper
        self._supervisor = supervisor
        self._locks = locks
        self._terms = terms

    async def account(self, user: User) -> Account:
        """The account that orders go to (for now: the paper account)."""
        return await self._people.trading_account(user)

    async def instruments(self, user: User) -> Mapping[Symbol, Instrument]:
        return await self._venues.of(await self.account(user)).instruments()

    # --- offers -----------------------------------------------------------------------------

    async def offer_open(self, user: User, chat: ChatRef, request: OpenRequest) -> Quote:
        return await self._offer(user, chat, QuoteKind.OPEN, request)

    async def offer_hedge(self, user: User, chat: ChatRef, request: HedgeRequest) -> Quote:
        return await self._offer(user, chat, QuoteKind.HEDGE, request)

    async def offer_close(self, user: User, chat: ChatRef, request: CloseRequest) -> Quote:
        return await self._offer(user, chat, QuoteKind.CLOSE, request)

    async def offer_close_all(self, user: User, chat: ChatRef) -> Quote:
        """NotFound when there is nothing to close."""
        return await self._offer(user, chat, QuoteKind.CLOSE_ALL, None)

    async def _offer(self, user: User, chat: ChatRef, kind: QuoteKind, request: AnyRequest | None) -> Quote:
        desk = await self._desk(user, set() if request is None else {request.symbol}, follow=True)
        quote = self._quote(desk, chat, kind, request)
        await self._store.commit(Changes(quotes=(quote,)))
        return quote

    async def _desk(self, user: User, symbols: set[Symbol], *, follow: bool) -> Desk:
        account = await self.account(user)
        venue = self._venues.of(account)
        hedges = await self._store.live_hedges(account_id=account.id)
        instruments = await venue.instruments()
        if not symbols <= instruments.keys():
            raise NotFound(f"{', '.join(symbols - instruments.keys())} is not traded on {account.venue}.")
        view = await venue.view(symbols | {hedge.symbol for hedge in hedges})
        if follow:
            hedges = await self._bookkeeper.follow(account, hedges, view)
        return Desk(user, account, venue, instruments, hedges, view)

    def _quote(self, desk: Desk, chat: ChatRef, kind: QuoteKind, request: AnyRequest | None) -> Quote:
        offer = self._make_offer(desk, request)
        symbols = {c.symbol for c in offer.closes} if isinstance(offer, CloseAllQuote) else {offer.symbol}
        now = self._clock.now()
        return Quote(
            id=self._ids.quote_id(),
            kind=kind,
            user_id=desk.user.id,
            account_id=desk.account.id,
            chat=str(chat),
            request=request,
            offer=offer,
            positions=tuple(
                PositionPrint(p.symbol, p.side, p.quantity, p.entry_price)
                for p in desk.view.positions
                if p.symbol in symbols
            ),
            reference_prices=tuple((s, desk.view.markets[s].mark_price) for s in sorted(symbols)),
            band=self._terms.band,
            created_at=now,
            expires_at=now + self._terms.lifetime,
        )

    def _make_offer(self, desk: Desk, request: AnyRequest | None) -> AnyQuote:
        if request is None:
            return self._close_all(desk)
        hedge = desk.hedge_on(request.symbol)
        instrument = desk.instrument(request.symbol)
        caps, used = desk.user.preferences.caps, desk.hedges_margin(instrument.settle)
        if isinstance(request, CloseRequest):
            _require_agreement(hedge)
            return quote_close(request, hedge, desk.view, instrument)
        _require_running(desk)
        if isinstance(request, HedgeRequest):
            return quote_hedge(request, hedge, desk.view, instrument, caps, used)
        _require_room(request, hedge)
        return quote_open(request, desk.view, instrument, caps, used)

    def _close_all(self, desk: Desk) -> CloseAllQuote:
        symbols = sorted({position.symbol for position in desk.view.positions})
        if not symbols:
            raise NotFound("There is nothing to close: no position is open.")
        return CloseAllQuote(
            tuple(
                quote_close(CloseRequest(s), desk.hedge_on(s), desk.view, desk.instrument(s)) for s in symbols
            )
        )

    # --- confirmation -----------------------------------------------------------------------

    async def confirm(
        self,
        user: User,
        chat: ChatRef,
        quote_id: QuoteId,
        choice: str,
        *,
        request_id: str,
        card: str | None = None,
    ) -> Started | Requoted:
        """``choice`` is "confirm", or the ``CloseWay`` for a close; ``card`` the message of the button.

        On ``Started`` the card itself ("sending…", and every edit after it) is on its way through the
        outbox, in the transaction that journaled the operation: the handler answers with a toast only.

        Raises NotFound (unknown, forged, somebody else's), QuoteExpired (too late, used, canceled), Busy,
        LimitExceeded, VenueUnavailable: in all of these nothing was sent.
        """
        quote = await self._own_quote(user, chat, quote_id)
        if quote.used_by == request_id:
            return Started(await self._store.operation_of_quote(quote_id), again=True)
        _require_fresh(quote, self._clock)
        plans = plans_of(quote, choice)
        account = await self.account(user)
        await self._require_calm(account)
        tap = Tap(user, chat, quote, choice, request_id, card)
        async with self._locks.of(account.id):
            await self._require_calm(account)  # whoever held the lock may have started something
            return await self._confirm(tap, plans)

    async def _confirm(self, tap: Tap, plans: tuple[Plan, ...]) -> Started | Requoted:
        quote = tap.quote
        desk = await self._booked(
            await self._desk(tap.user, set(symbols_of(quote)), follow=False), quote.kind
        )
        why = plan_unchanged(quote, desk.view)
        fresh = self._quote(desk, tap.chat, quote.kind, quote.request)  # raises where a limit no longer holds
        if why is not None:
            spent = (quote.id, tap.request_id, "requoted", self._clock.now())
            await self._spend(Changes(spend_quote=spent, quotes=(fresh,)))
            return Requoted(fresh, why)
        await self._prepare_legs(desk, plans)
        operations = await self._journal(desk, tap, plans)
        for operation in operations:
            self._supervisor.start(operation.id)
        return Started(operations)

    async def _booked(self, desk: Desk, kind: QuoteKind) -> Desk:
        """Where the venue has moved a leg meanwhile, the ledger follows before anything is planned on it."""
        hedges = [await self._as_it_is(desk, hedge, kind) for hedge in desk.hedges]
        return replace(desk, hedges=tuple(hedge for hedge in hedges if hedge.live))

    async def _as_it_is(self, desk: Desk, hedge: Hedge, kind: QuoteKind) -> Hedge:
        if differences(hedge, desk.view) or not any(leg.quantity for leg in hedge.legs):
            hedge, _ = await self._bookkeeper.settle(desk.account, hedge, desk.view)
        if hedge.status is HedgeStatus.FROZEN and kind is QuoteKind.CLOSE_ALL:
            # Everything that the venue holds is to go, which is what its owner was shown.
            return await self._bookkeeper.adopt(desk.account, hedge)
        return hedge

    async def _own_quote(self, user: User, chat: ChatRef, quote_id: QuoteId) -> Quote:
        quote = await self._store.quote(quote_id)
        if quote is None or quote.user_id != user.id or quote.chat != str(chat):
            raise NotFound("That button is not yours, or no longer known. Nothing was sent.")
        return quote

    async def _require_calm(self, account: Account) -> None:
        if await self._store.unfinished_operations(account.id):
            raise Busy(
                "An order of this account is still being settled. Nothing was sent; try again in a moment."
            )

    async def _prepare_legs(self, desk: Desk, plans: tuple[Plan, ...]) -> None:
        """Leverage and margin mode, where they are not what the plan says: before the first order."""
        for plan in plans:
            for leg in plan.legs:
                setting = desk.view.leg_settings.get((plan.symbol, leg.side))
                wanted = leg.setting
                if leg.action is LegAction.OPEN and setting != wanted:
                    await desk.venue.set_leg(plan.symbol, leg.side, wanted)

    async def _journal(self, desk: Desk, tap: Tap, plans: tuple[Plan, ...]) -> tuple[Operation, ...]:
        now = self._clock.now()
        quote = tap.quote
        hedges = await self._hedges_for(desk, quote, plans)
        operations = tuple(
            operation_of(
                plan,
                hedge,
                quote,
                operation_id=self._ids.operation_id(),
                now=now,
                card=tap.card if index == 0 else None,
            )
            for index, (plan, hedge) in enumerate(zip(plans, hedges, strict=True))
        )
        pairs = zip(operations, hedges, strict=True)
        cards = tuple(self._sending_card(desk, operation, hedge) for operation, hedge in pairs)
        await self._spend(
            Changes(
                spend_quote=(quote.id, tap.request_id, tap.choice, now),
                hedges=hedges,
                operations=operations,
                outbox=cards,
                audit=(AuditEntry(now, desk.user.id, "confirm", f"quote {quote.id} {tap.choice}"),),
            )
        )
        return tuple(replace(operation, version=1) for operation in operations)

    async def _hedges_for(self, desk: Desk, quote: Quote, plans: tuple[Plan, ...]) -> tuple[Hedge, ...]:
        number = await self._store.next_hedge_number(desk.user.id)
        hedges: list[Hedge] = []
        for plan in plans:
            known = desk.hedge_on(plan.symbol)
            hedge_id = self._ids.hedge_id()
            hedges.append(hedge_for(plan, known, desk.view, quote, hedge_id=hedge_id, number=number))
            number += known is None
        return tuple(hedges)

    async def _spend(self, changes: Changes) -> None:
        """The quote is marked used in the same transaction; whoever comes second finds it so."""
        try:
            await self._store.commit(changes)
        except Conflict as error:
            raise QuoteExpired(USED) from error

    def _sending_card(self, desk: Desk, operation: Operation, hedge: Hedge) -> OutboxMessage:
        instrument = desk.instrument(hedge.symbol)
        progress = Progress(desk.user, operation, hedge, instrument, (), self._clock.now())
        return progress_card(self._presenter, progress)

    async def cancel(self, user: User, chat: ChatRef, quote_id: QuoteId, *, request_id: str) -> None:
        quote = await self._own_quote(user, chat, quote_id)
        if quote.used_by == request_id:
            return
        _require_fresh(quote, self._clock)
        spent = (quote_id, request_id, "cancel", self._clock.now())
        await self._spend(Changes(spend_quote=spent))

    # --- the rest ---------------------------------------------------------------------------

    async def adopt(self, user: User, number: int) -> Hedge:
        """A frozen hedge takes over what the venue says."""
        account = await self.account(user)
        await self._require_calm(account)
        async with self._locks.of(account.id):
            await self._require_calm(account)
            hedge = await self._store.hedge_by_number(user.id, number)
            if hedge is None:
                raise NotFound(f"You have no hedge #{number}.")
            return await self._bookkeeper.adopt(account, hedge)

    async def finish_fired_pairs(self) -> None:
        """Conditional closes of a pair fire together: where only one leg's did, the other leg is closed.

        The user confirmed both legs at that price, so this is the same confirmation still being carried out.
        """
        for hedge in await self._store.live_hedges():
            if hedge.offset is None or self._locks.busy(hedge.account_id):
                continue
            async with self._locks.of(hedge.account_id):
                try:
                    await self._finish_fired_pair(hedge.id)
                except VenueError as error:
                    log.warning("a pair of hedge %s is looked at again later: %s", hedge.id, error.message)

    async def _finish_fired_pair(self, hedge_id: HedgeId) -> None:
        hedge = await self._store.hedge(hedge_id)
        if hedge is None or hedge.status is not HedgeStatus.OPEN:
            return
        if await self._store.unfinished_operations(hedge.account_id):
            return
        left = fired_pair(hedge, await self._store.intents(hedge_id=hedge.id))
        origin = None if left is None else await self._store.operation(left.operation_id)
        if left is None or origin is None or not await self._may_follow(origin):
            return
        canceled = await self._take_back(hedge, left)
        if canceled is None:
            return  # it fired just now: the next look books it
        operation = rest_of_pair(
            origin, hedge, left, operation_id=self._ids.operation_id(), now=self._clock.now()
        )
        note = IntentNote(canceled.client_order_id, self._clock.now(), canceled.status, canceled.reason)
        await self._store.commit(Changes(operations=(operation,), intents=(canceled,), notes=(note,)))
        self._supervisor.start(operation.id)

    async def _may_follow(self, origin: Operation) -> bool:
        """Once it was done never again; where it failed, not at every look."""
        same = await self._store.operation_of_quote(origin.quote_id)
        later = [o for o in same if o.way is CloseWay.SINGLE and o.hedge_id == origin.hedge_id]
        ends = [o.finished_at or o.started_at for o in later]
        done = any(o.status is OperationStatus.DONE for o in later)
        return not done and self._clock.now() >= max(ends, default=origin.started_at) + PAIR_PAUSE

    async def _take_back(self, hedge: Hedge, left: OrderIntent) -> OrderIntent | None:
        """The half that did not fire; ``None``: it did after all."""
        if left.status is not IntentStatus.OPEN:
            return left
        account = await self._store.account(hedge.account_id)
        if account is None:
            return None
        report = await self._venues.of(account).cancel(left.symbol, left.client_order_id)
        if report is not None and report.filled_quantity != left.filled_quantity:
            return None
        return left.after(IntentEvent.CANCELED, reason="its pair fired without it")

    async def idle(self) -> None:
        """Returns when no operation is in flight."""
        await self._supervisor.idle()


def _require_fresh(quote: Quote, clock: Clock) -> None:
    if quote.used_at is not None:
        raise QuoteExpired(USED)
    if clock.now() >= quote.expires_at:
        raise QuoteExpired("That offer has expired. Nothing was sent; ask for a new one.")


def _require_running(desk: Desk) -> None:
    if desk.user.preferences.paused:
        raise LimitExceeded("Trading is paused by /panic. `/panic off` resumes it.")
    stuck = next((hedge for hedge in desk.hedges if hedge.status is HedgeStatus.FROZEN), None)
    _require_agreement(stuck)


def _require_agreement(hedge: Hedge | None) -> None:
    if hedge is not None and hedge.status is HedgeStatus.FROZEN:
        raise LimitExceeded(
            f"#{hedge.number} is frozen: {hedge.reason}. "
            f"`/adopt #{hedge.number}` takes over what the exchange says."
        )


def _require_room(request: OpenRequest, hedge: Hedge | None) -> None:
    """One live hedge per symbol: a venue keeps one long and one short position on it."""
    if hedge is None:
        return
    if hedge.offset is not None and hedge.offset.quantity > 0:
        raise LimitExceeded(
            f"{request.symbol} is hedged already as #{hedge.number}; "
            f"close it first: `/close #{hedge.number}`."
        )
    if hedge.primary.quantity > 0 and hedge.primary.side is not request.side:
        base = request.symbol.split("/")[0]
        raise BadArgument(
            f"You hold a {hedge.primary.side} on {base}; the opposite leg is a hedge.",
            form="/hedge SYMBOL [RATIO%]",
            example=f"/hedge {base}",
        )
