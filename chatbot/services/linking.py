"""One-time links to the page on which a key is handed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from weakref import WeakValueDictionary

from chatbot.chat import ChatRef, OutboxMessage, Priority, UserRef
from chatbot.errors import Conflict, NotFound
from chatbot.ports import (
    Changes,
    Clock,
    Credentials,
    KeyForm,
    KeyTaken,
    Store,
    Ticket,
    TicketKind,
    TicketOffice,
    Tickets,
    User,
)
from chatbot.services.connecting import Connected, ConnectService, Doubtful, KeyCards
from chatbot.services.handing import Elsewhere, handed_over

LASTS = timedelta(minutes=5)
MOST_ATTEMPTS = 5
DEAD = "This link was used already or has expired. Write /connect in the chat for a new one."
NOT_YOU = "The chat app does not say that it is you who opened this page. Open it from the chat again."


@dataclass(frozen=True, slots=True)
class Links:
    """References of two tickets: one for any browser, one that opens within the messenger."""

    browser: str
    app: str


class LinkDesk:
    """``chatbot.ports.KeyPage``. ``proven_user``: who, as the messenger says, opened the page just now."""

    def __init__(
        self,
        *,
        connecting: ConnectService,
        tickets: Tickets,
        office: TicketOffice,
        store: Store,
        clock: Clock,
        cards: KeyCards,
        notify: Callable[[], None],
        proven_user: Callable[[str], UserRef | None],
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._connecting = connecting
        self._tickets = tickets
        self._office = office
        self._store = store
        self._clock = clock
        self._cards = cards
        self._notify = notify
        self._proven_user = proven_user
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def issue(self, user: User, chat: ChatRef, venue_id: str) -> Links:
        """What was issued before does not work any more. :raises Busy: too many tries lately"""
        self._connecting.require_tries(user, venue_id)
        now = self._clock.now()
        browser, app = (
            self._ticket(kind, user, chat, venue_id, now) for kind in (TicketKind.LINK, TicketKind.APP)
        )
        await self._tickets.withdraw(user.id, now)
        await self._tickets.issue([browser, app])
        return Links(browser.reference, app.reference)

    async def look(self, token: str) -> KeyForm:
        ticket, _ = await self._valid(token)
        return KeyForm(ticket.venue, self._connecting.needs_passphrase(ticket.venue), ticket.expires_at)

    async def hand_in(self, token: str, credentials: Credentials, *, proof: str) -> KeyTaken:
        lock = self._locks.setdefault(_digest(token), asyncio.Lock())
        async with lock:
            ticket, user = await self._valid(token)
            await self._count(ticket)
            if ticket.kind is TicketKind.APP and self._proven_user(proof) != user.ref:
                raise NotFound(NOT_YOU)
            if self._elsewhere is not None and self._elsewhere.is_for(user):
                return await self._hand_over(ticket, user, credentials, self._elsewhere)
            result = await self._connecting.connect(user, ticket.venue, credentials)
            await self._tickets.withdraw(user.id, self._clock.now())
            await self._tell(ticket, user, result)
        return KeyTaken(ticket.venue, result.hint, isinstance(result, Doubtful))

    async def _hand_over(
        self, ticket: Ticket, user: User, credentials: Credentials, elsewhere: Elsewhere
    ) -> KeyTaken:
        """The link is used up whatever comes of it; the chat tells that."""
        await self._tickets.withdraw(user.id, self._clock.now())
        await elsewhere.receive([handed_over(ticket, user, credentials, elsewhere.sealer, self._clock)])
        return KeyTaken(ticket.venue, credentials.api_key[-4:], doubtful=False, handed_over=True)

    async def _valid(self, token: str) -> tuple[Ticket, User]:
        ticket = await self._tickets.by_digest(_digest(token))
        if ticket is None or ticket.kind is TicketKind.TYPED or not self._works(ticket):
            raise NotFound(DEAD)
        user = await self._store.user(ticket.user_id)
        if user is None:
            raise NotFound(DEAD)
        return ticket, user

    def _works(self, ticket: Ticket) -> bool:
        fresh = ticket.used_at is None and self._clock.now() < ticket.expires_at
        return fresh and ticket.attempts < MOST_ATTEMPTS

    async def _count(self, ticket: Ticket) -> None:
        try:
            await self._tickets.attempt(ticket.reference, now=self._clock.now(), most=MOST_ATTEMPTS)
        except Conflict:
            raise NotFound(DEAD) from None

    async def _tell(self, ticket: Ticket, user: User, result: Connected | Doubtful) -> None:
        card, now = self._cards.connected(user, result), self._clock.now()
        owed = OutboxMessage(f"key-page:{ticket.reference}", user.home, card, Priority.REPLY, now)
        await self._store.commit(Changes(outbox=(owed,)))
        self._notify()

    def _ticket(self, kind: TicketKind, user: User, chat: ChatRef, venue_id: str, now: datetime) -> Ticket:
        reference = self._office.new_reference()
        digest = _digest(self._office.token(reference))
        return Ticket(reference, digest, kind, user.id, str(chat), venue_id, now, now + LASTS)


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
