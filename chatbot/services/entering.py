"""Keys typed into a chat: taken out of what is stored before anybody else sees them.

Every request passes ``screen`` before it is written down. What is a secret goes on without its text, which
waits here, in memory, until the request is handled; the message itself is erased first of all.

Where several processes share the work, the one that receives a message asks the database whether a secret is
expected in that chat, and seals it for the one that is to handle it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from chatbot.chat import ChatRef, Erasure, MessageRef, Request, RequestKind, UserRef
from chatbot.domain.hedge import UserId
from chatbot.domain.keys import defect, looks_like_key
from chatbot.domain.shards import shard_of
from chatbot.errors import Conflict, KeyRefused
from chatbot.ports import (
    Alone,
    Clock,
    Credentials,
    Leases,
    Sealer,
    Ticket,
    TicketKind,
    TicketOffice,
    Tickets,
    User,
)
from chatbot.services.connecting import Connected, ConnectService, Doubtful
from chatbot.services.handing import key_of_page, sealed, unsealed

LASTS = timedelta(minutes=5)  # after the last thing that was entered
GRACE = timedelta(minutes=10)  # what comes late is still kept from the record
LONGEST = 2 * LASTS  # how much later than its ticket says an entry of three parts may end
MOST_HELD = 256
SHORTEST_SECRET = 8  # a shorter one may be a word that is said for another reason
# Base64 may begin with a slash: only what can be a command is one.
_COMMAND = re.compile(r"/[a-z]{2,12}(?:@\w+)?(?:\s.*)?", re.DOTALL)

Erase = Callable[[MessageRef], Awaitable[Erasure]]


class Part(StrEnum):
    KEY = "key"
    SECRET = "secret"  # noqa: S105 (the words, not the values)
    PASSPHRASE = "passphrase"  # noqa: S105


_NAMES = {Part.KEY: "API key", Part.SECRET: "secret", Part.PASSPHRASE: "passphrase"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The entry goes on with this part."""

    venue: str
    part: Part


@dataclass(frozen=True, slots=True)
class Unasked:
    """It looked like a key, and nobody had asked for one."""


@dataclass(slots=True)
class _Entry:
    ticket: Ticket
    parts: tuple[Part, ...]
    until: datetime
    given: list[str] = field(default_factory=list, repr=False)
    interrupted: bool = False  # the program was started anew; what had been given is lost

    @property
    def wanted(self) -> Part:
        return self.parts[len(self.given)]


@dataclass(frozen=True, slots=True)
class _Held:
    text: str = field(repr=False)
    at: datetime


class KeyEntry:
    def __init__(
        self,
        *,
        connecting: ConnectService,
        tickets: Tickets,
        office: TicketOffice,
        erase: Erase,
        allowed: Callable[[UserRef], bool],
        clock: Clock,
        own_secrets: Collection[str] = (),
        leases: Leases | None = None,
        sealer: Sealer | None = None,
        renew: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``own_secrets``: of the bot itself; whoever pastes one takes it for something else.

        ``renew``: reads anew who is ``allowed``, as another process may have admitted somebody.
        """
        self._leases = leases or Alone()
        self._sealer = sealer
        self._renew = renew
        self._connecting = connecting
        self._tickets = tickets
        self._office = office
        self._erase = erase
        self._allowed = allowed
        self._clock = clock
        self._own = tuple(secret for secret in own_secrets if len(secret) >= SHORTEST_SECRET)
        self._entries: dict[str, _Entry] = {}  # by chat
        self._held: dict[str, _Held] = {}  # by request

    async def load(self) -> None:
        """What was being entered when the program ended: the rest of it must not be written down either."""
        for ticket in await self._tickets.typed():
            if self._leases.holds(shard_of(ticket.chat)):
                entry = _Entry(ticket, (), ticket.expires_at, interrupted=True)
                self._entries.setdefault(ticket.chat, entry)

    def let_go(self, shards: Collection[int]) -> None:
        """Another process goes on there; what was given is forgotten."""
        for chat in [each for each in self._entries if shard_of(each) in shards]:
            del self._entries[chat]

    # --- before anything is stored ----------------------------------------------------------

    def expects(self, chat: ChatRef) -> bool:
        """Whether the next words in this chat are a secret."""
        entry = self._entries.get(str(chat))
        return entry is not None and self._clock.now() < entry.until + GRACE

    def gives_away(self, text: str) -> bool:
        """Whether it holds what looks like a key, or a secret of the bot's own."""
        return looks_like_key(text) or any(secret in text for secret in self._own)

    async def screen(self, requests: Sequence[Request]) -> Sequence[Request]:
        elsewhere = await self._expecting_elsewhere() if any(map(_may_be_secret, requests)) else frozenset()
        return await asyncio.gather(*(self._screened(request, elsewhere) for request in requests))

    async def _expecting_elsewhere(self) -> frozenset[str]:
        """The chats in which a secret is expected by whichever process."""
        if self._leases.shards is None:
            return frozenset()
        if self._renew is not None:
            await self._renew()
        now = self._clock.now()
        return frozenset(t.chat for t in await self._tickets.typed() if now < t.expires_at + LONGEST + GRACE)

    async def _screened(self, request: Request, elsewhere: frozenset[str]) -> Request:
        expected = self.expects(request.chat) or str(request.chat) in elsewhere
        if request.kind is not RequestKind.COMMAND or not self._is_secret(request, expected=expected):
            return request
        kept = self._keep(request) if expected else request
        erasure = Erasure.NONE if request.message is None else await self._erase(request.message)
        return replace(kept, kind=RequestKind.SECRET, text=erasure.value)

    def _is_secret(self, request: Request, *, expected: bool) -> bool:
        if not (request.chat.private or self._allowed(request.user)):
            return False  # what others in a group show each other is not ours to delete
        if self.gives_away(request.text):
            return True
        return expected and _COMMAND.fullmatch(request.text) is None

    def _keep(self, request: Request) -> Request:
        """In memory for this process, sealed for another."""
        if self._leases.holds(shard_of(str(request.user))) or self._sealer is None:
            self._hold(request)
            return request
        return sealed(request, request.text, self._sealer)

    def _hold(self, request: Request) -> None:
        while len(self._held) >= MOST_HELD:
            del self._held[next(iter(self._held))]
        self._held[request.id] = _Held(request.text, self._clock.now())

    # --- when it is handled -----------------------------------------------------------------

    async def begin(self, user: User, chat: ChatRef, venue_id: str) -> Wanted:
        """:raises Busy: too many tries lately"""
        self._connecting.require_tries(user, venue_id)
        now = self._clock.now()
        await self._tickets.withdraw(user.id, now, kind=TicketKind.TYPED)
        ticket = self._ticket(user.id, chat, venue_id, now)
        await self._tickets.issue([ticket])
        more = (Part.PASSPHRASE,) if self._connecting.needs_passphrase(venue_id) else ()
        entry = _Entry(ticket, (Part.KEY, Part.SECRET, *more), ticket.expires_at)
        self._entries[str(chat)] = entry
        return Wanted(venue_id, entry.wanted)

    async def take(self, user: User, request: Request) -> Wanted | Unasked | Connected | Doubtful:
        """Raises KeyRefused, and what ``ConnectService.connect`` raises: then the entry is over."""
        page = key_of_page(request, self._sealer) if self._sealer is not None else None
        if page is not None:
            return await self._connecting.connect(user, *page)
        held = self._held.pop(request.id, None) or self._unsealed(request)
        entry = self._entries.get(str(request.chat))
        if entry is None or entry.ticket.user_id != user.id or not self.expects(request.chat):
            return Unasked()
        self._require_running(entry, held)
        if held is not None:
            _fill(entry, held.text)
            await self._require_whole(entry)
        if len(entry.given) < len(entry.parts):
            entry.until = self._clock.now() + LASTS
            return Wanted(entry.ticket.venue, entry.wanted)
        await self._end(entry)
        return await self._connecting.connect(user, entry.ticket.venue, Credentials(*entry.given))

    def _unsealed(self, request: Request) -> _Held | None:
        if not request.sealed or self._sealer is None:
            return None
        return _Held(unsealed(request, self._sealer), request.received_at)

    async def cancel(self, user: User, chat: ChatRef) -> bool:
        """Whether there was anything to cancel."""
        entry = self._entries.get(str(chat))
        if entry is None or entry.ticket.user_id != user.id:
            return False
        live = self.expects(chat)
        await self._end(entry)
        return live

    def forget_stale(self) -> None:
        now = self._clock.now()
        self._held = {key: held for key, held in self._held.items() if now < held.at + GRACE}
        self._entries = {key: e for key, e in self._entries.items() if now < e.until + GRACE}
        for entry in self._entries.values():
            if now >= entry.until:
                entry.given.clear()

    def _require_running(self, entry: _Entry, held: _Held | None) -> None:
        again = f"Nothing was stored. `/connect {entry.ticket.venue}` starts again."
        if entry.interrupted or held is None:
            del self._entries[entry.ticket.chat]
            raise KeyRefused(f"I was started anew meanwhile and have forgotten what you entered. {again}")
        if self._clock.now() >= entry.until:
            entry.given.clear()
            raise KeyRefused(f"That took too long. {again}")

    async def _require_whole(self, entry: _Entry) -> None:
        """What cannot be a key is told at once, not after the rest was typed, too."""
        given = zip(entry.parts, entry.given, strict=False)
        wrong = next(filter(None, (defect(_NAMES[part], text) for part, text in given)), "")
        if wrong:
            await self._end(entry)
            raise KeyRefused(f"{wrong} Nothing was stored. `/connect {entry.ticket.venue}` starts again.")

    async def _end(self, entry: _Entry) -> None:
        self._entries.pop(entry.ticket.chat, None)
        try:
            await self._tickets.spend(entry.ticket.reference, now=self._clock.now())
        except Conflict:
            return  # it had ended already

    def _ticket(self, user_id: UserId, chat: ChatRef, venue_id: str, now: datetime) -> Ticket:
        reference = self._office.new_reference()
        digest = sha256(reference.encode()).hexdigest()
        return Ticket(reference, digest, TicketKind.TYPED, user_id, str(chat), venue_id, now, now + LASTS)


def _may_be_secret(request: Request) -> bool:
    return request.kind is RequestKind.COMMAND and _COMMAND.fullmatch(request.text) is None


def _fill(entry: _Entry, text: str) -> None:
    """Several parts may come in one message; a passphrase may have spaces, and what has more is one part."""
    words, room = text.split(), len(entry.parts) - len(entry.given)
    if entry.wanted is Part.PASSPHRASE or (len(words) > room and entry.parts[-1] is not Part.PASSPHRASE):
        words = [text.strip()]
    if len(words) > room:
        entry.given += [*words[: room - 1], " ".join(words[room - 1 :])]
    else:
        entry.given += words
