"""The hedge service: offers, confirmations, and the start of operations."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from chatbot.chat import ChatRef, OutboxMessage
from chatbot.domain.closing import legs_held
from chatbot.domain.hedge import AccountId, Hedge, HedgeStatus
from chatbot.domain.instrument import Instrument, Symbol
from chatbot.domain.ledger import differences
from chatbot.domain.operation import Operation
from chatbot.domain.quote import (
    AdjustRequest,
    CloseRequest,
    HedgeRequest,
    LegAction,
    MarginRequest,
    OpenRequest,
    Quote,
    QuoteId,
    QuoteKind,
    StopsRequest,
)
from chatbot.domain.quoting import plan_unchanged
from chatbot.errors import Busy, Conflict, LimitExceeded, NotFound, QuoteExpired
from chatbot.ports import (
    Account,
    AuditEntry,
    Changes,
    Clock,
    IdSource,
    Presenter,
    Progress,
    Store,
    User,
    Venues,
)
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.locks import AccountLocks
from chatbot.services.offering import Desk, Offers
from chatbot.services.people import People
from chatbot.services.planning import (
    Owner,
    Plan,
    found_hedge,
    hedge_for,
    operation_of,
    plans_of,
    symbols_of,
)
from chatbot.services.recovery import Supervisor
from chatbot.services.run import progress_card

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


class HedgeService:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        clock: Clock,
        ids: IdSource,
        people: People,
        offers: Offers,
        presenter: Presenter,
        bookkeeper: Bookkeeper,
        supervisor: Supervisor,
        locks: AccountLocks,
    ) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._ids = ids
        self._people = people
        self._offers = offers
        self._presenter = presenter
        self._bookkeeper = bookkeeper
        self._supervisor = supervisor
        self._locks = locks

    async def account(self, user: User) -> Account:
        """The account that orders go to."""
        return await self._people.trading_account(user)

    async def instruments(
        self, user: User, account_id: AccountId | None = None
    ) -> Mapping[Symbol, Instrument]:
        """Of the account that orders go to, or of another. Raises NotFound."""
        known = await (self._people.account_of(user, account_id) if account_id else self.account(user))
        return await self._venues.of(known).instruments()

    # --- offers -----------------------------------------------------------------------------

    async def offer_open(self, user: User, chat: ChatRef, request: OpenRequest) -> Quote:
        return await self._offers.offer(user, chat, QuoteKind.OPEN, request)

    async def offer_hedge(self, user: User, chat: ChatRef, request: HedgeRequest) -> Quote:
        return await self._offers.offer(user, chat, QuoteKind.HEDGE, request)

    async def offer_close(self, user: User, chat: ChatRef, request: CloseRequest) -> Quote:
        return await self._offers.offer(user, chat, QuoteKind.CLOSE, request)

    async def offer_adjust(self, user: User, chat: ChatRef, request: AdjustRequest) -> Quote:
        return await self._offers.offer(user, chat, QuoteKind.ADJUST, request)

    async def offer_stops(self, user: User, chat: ChatRef, request: StopsRequest) -> Quote:
        return await self._offers.offer(user, chat, QuoteKind.STOPS, request)

    async def offer_margin(self, user: User, chat: ChatRef, request: MarginRequest) -> Quote:
        return await self._offers.offer(user, chat, QuoteKind.MARGIN, request)

    async def offer_close_all(self, user: User, chat: ChatRef) -> Quote:
        """NotFound when there is nothing to close."""
        return await self._offers.offer(user, chat, QuoteKind.CLOSE_ALL, None)

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
        """``choice`` is "confirm", or the way of a close or an adjustment; ``card`` the button's message.

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
        account = await self._people.account_of(user, quote.account_id)
        await self._require_calm(account)
        tap = Tap(user, chat, quote, choice, request_id, card)
        async with self._locks.of(account.id):
            await self._require_calm(account)  # whoever held the lock may have started something
            return await self._confirm(tap, account, plans)

    async def _confirm(self, tap: Tap, account: Account, plans: tuple[Plan, ...]) -> Started | Requoted:
        quote = tap.quote
        symbols = set(symbols_of(quote))
        desk = await self._offers.desk(tap.user, symbols, follow=False, account=account)
        desk = await self._booked(desk, quote.kind, symbols)
        why = plan_unchanged(quote, desk.view)
        fresh = self._offers.quote(
            desk, tap.chat, quote.kind, quote.request
        )  # raises where a limit no longer holds
        if why is not None:
            spent = (quote.id, tap.request_id, "requoted", self._clock.now())
            await self._spend(Changes(spend_quote=spent, quotes=(fresh,)))
            return Requoted(fresh, why)
        await self._prepare_legs(desk, plans)
        operations = await self._journal(desk, tap, plans)
        for operation in operations:
            self._supervisor.start(operation)
        return Started(operations)

    async def _booked(self, desk: Desk, kind: QuoteKind, symbols: Collection[Symbol]) -> Desk:
        """Where the venue has moved a leg meanwhile, the ledger follows before anything is planned on it."""
        hedges = [await self._as_it_is(desk, hedge, kind) for hedge in desk.hedges]
        hedges = [await self._acted_on(desk, h) if h.symbol in symbols else h for h in hedges]
        return replace(desk, hedges=tuple(hedge for hedge in hedges if hedge.live))

    async def _as_it_is(self, desk: Desk, hedge: Hedge, kind: QuoteKind) -> Hedge:
        if differences(hedge, desk.view) or not any(leg.quantity for leg in hedge.legs):
            hedge, _ = await self._bookkeeper.try_to_settle(desk.account, hedge, desk.view)
        if hedge.status is HedgeStatus.FROZEN and kind is QuoteKind.CLOSE_ALL:
            # Everything that the venue holds is to go, which is what its owner was shown.
            return await self._bookkeeper.adopt(desk.account, hedge)
        return hedge

    async def _acted_on(self, desk: Desk, hedge: Hedge) -> Hedge:
        if hedge.status is HedgeStatus.OPEN and (why := self._bookkeeper.why_not_booked(hedge.id)):
            raise Busy(f"#{hedge.number} cannot be traded just now: {why}. Nothing was sent; try again soon.")
        return await self._bookkeeper.accept_losses(desk.account, hedge, desk.view)

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
        hedge = await self._store.hedge_by_number(user.id, number)
        if hedge is None:
            raise NotFound(f"You have no hedge #{number}.")
        account = await self._people.account_of(user, hedge.account_id)
        await self._require_calm(account)
        async with self._locks.of(account.id):
            await self._require_calm(account)
            hedge = await self._store.hedge_by_number(user.id, number) or hedge
            return await self._bookkeeper.adopt(account, hedge)

    async def adopt_found(self, user: User, symbol: Symbol) -> Hedge:
        """What is open on the market and no hedge knows becomes one, both legs at once."""
        account = await self.account(user)
        await self._require_calm(account)
        async with self._locks.of(account.id):
            await self._require_calm(account)
            desk = await self._offers.desk(user, {symbol}, follow=False, account=account)
            known = desk.hedge_on(symbol)
            if known is not None:
                raise LimitExceeded(f"That is #{known.number} already; see `/status #{known.number}`.")
            legs = legs_held(desk.view, desk.instrument(symbol), None)
            number = await self._store.next_hedge_number(user.id)
            owner = Owner(user.id, account.id, self._ids.hedge_id(), number)
            hedge = found_hedge(symbol, legs[next(iter(legs))].side, desk.view, owner)
            entry = AuditEntry(self._clock.now(), user.id, "adopt", f"hedge {hedge.id} of {symbol}")
            await self._store.commit(Changes(hedges=(hedge,), audit=(entry,)))
            return hedge

    async def idle(self) -> None:
        """Returns when no operation is in flight."""
        await self._supervisor.idle()


def _require_fresh(quote: Quote, clock: Clock) -> None:
    if quote.used_at is not None:
        raise QuoteExpired(USED)
    if clock.now() >= quote.expires_at:
        raise QuoteExpired("That offer has expired. Nothing was sent; ask for a new one.")
