"""Offers: an account freshly read, and what is proposed on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from chatbot.chat import ChatRef
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, HedgeStatus
from chatbot.domain.instrument import ZERO, Instrument, Symbol
from chatbot.domain.quote import (
    AdjustRequest,
    AnyQuote,
    AnyRequest,
    CloseAllQuote,
    CloseRequest,
    HedgeRequest,
    MarginRequest,
    OpenRequest,
    PositionPrint,
    Quote,
    QuoteKind,
    StopsRequest,
)
from chatbot.domain.quoting import (
    quote_adjust,
    quote_close,
    quote_hedge,
    quote_margin,
    quote_open,
    quote_stops,
)
from chatbot.domain.wording import symbol_name
from chatbot.errors import BadArgument, LimitExceeded, NotFound
from chatbot.ports import Account, Changes, Clock, IdSource, Store, User, Venue, Venues
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.key_rules import why_closed
from chatbot.services.people import People
from chatbot.services.waiting import why_waiting

PAUSED = "New openings are paused by /panic. `/panic off` resumes; /close works as always."


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


class Offers:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        clock: Clock,
        ids: IdSource,
        people: People,
        bookkeeper: Bookkeeper,
        terms: QuoteTerms,
    ) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._ids = ids
        self._people = people
        self._bookkeeper = bookkeeper
        self._terms = terms

    async def offer(self, user: User, chat: ChatRef, kind: QuoteKind, request: AnyRequest | None) -> Quote:
        """On the account that the user's orders go to."""
        desk = await self.desk(user, set() if request is None else {request.symbol}, follow=True)
        quote = self.quote(desk, chat, kind, request)
        await self._store.commit(Changes(quotes=(quote,)))
        return quote

    async def desk(
        self, user: User, symbols: set[Symbol], *, follow: bool, account: Account | None = None
    ) -> Desk:
        """Of the account that orders go to, unless another is given."""
        account = account or await self._people.trading_account(user)
        venue = self._venues.of(account)
        hedges = await self._store.live_hedges(account_id=account.id)
        instruments = await venue.instruments()
        if not symbols <= instruments.keys():
            raise NotFound(f"{', '.join(symbols - instruments.keys())} is not traded on {account.venue}.")
        view = await venue.view(symbols | {hedge.symbol for hedge in hedges})
        if follow:
            hedges = await self._bookkeeper.follow(account, hedges, view)
        return Desk(user, account, venue, instruments, hedges, view)

    def quote(self, desk: Desk, chat: ChatRef, kind: QuoteKind, request: AnyRequest | None) -> Quote:
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
        match request:
            case CloseRequest():
                _require_agreement(hedge)
                return quote_close(request, hedge, desk.view, instrument)
            case StopsRequest():
                _require_agreement(hedge)
                return quote_stops(request, hedge, desk.view, instrument)
            case MarginRequest():
                _require_agreement(hedge)
                return quote_margin(request, hedge, desk.view, instrument)
            case AdjustRequest():
                _require_agreement(hedge)
                return quote_adjust(
                    request, hedge, desk.view, instrument, caps, used, stopped=_why_stopped(desk)
                )
            case HedgeRequest():
                _require_running(desk)
                return quote_hedge(request, hedge, desk.view, instrument, caps, used)
            case OpenRequest():
                _require_running(desk)
                _require_room(request, hedge)
                return quote_open(request, desk.view, instrument, caps, used)

    def _close_all(self, desk: Desk) -> CloseAllQuote:
        symbols = sorted({position.symbol for position in desk.view.positions})
        if not symbols:
            raise NotFound("There is nothing to close: no position is open.")
        return CloseAllQuote(
            tuple(
                quote_close(CloseRequest(s), desk.hedge_on(s), desk.view, desk.instrument(s), whole=True)
                for s in symbols
            )
        )


def _require_running(desk: Desk) -> None:
    if why := _why_stopped(desk):
        raise LimitExceeded(why)


def _why_stopped(desk: Desk) -> str:
    """Why nothing may be opened on this account just now; empty: it may."""
    if desk.user.preferences.paused:
        return PAUSED
    if waiting := why_waiting(desk.account):
        return waiting
    if desk.account.frozen:
        return why_closed(desk.account)
    stuck = next((hedge for hedge in desk.hedges if hedge.status is HedgeStatus.FROZEN), None)
    return "" if stuck is None else _frozen(stuck)


def _require_agreement(hedge: Hedge | None) -> None:
    if hedge is not None and hedge.status is HedgeStatus.FROZEN:
        raise LimitExceeded(_frozen(hedge))


def _frozen(hedge: Hedge) -> str:
    return (
        f"#{hedge.number} is frozen: {hedge.reason}. "
        f"`/adopt #{hedge.number}` takes over what the exchange says."
    )


def _require_room(request: OpenRequest, hedge: Hedge | None) -> None:
    """One live hedge per symbol: a venue keeps one long and one short position on it."""
    if hedge is None:
        return
    if hedge.offset is not None and hedge.offset.quantity > 0:
        raise LimitExceeded(
            f"{symbol_name(request.symbol)} is hedged already as #{hedge.number}; "
            f"`/adjust #{hedge.number} both +10%` grows it, `/close #{hedge.number}` closes it."
        )
    if hedge.primary.quantity > 0 and hedge.primary.side is not request.side:
        base = request.symbol.split("/")[0]
        raise BadArgument(
            f"You hold a {hedge.primary.side} on {base}; the opposite leg is a hedge.",
            form="/hedge SYMBOL [RATIO%]",
            example=f"/hedge {base}",
        )
