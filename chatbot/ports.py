"""What the services need of the world. Adapters implement these; tests run one contract suite per port."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from chatbot.chat import ChatRef, MessageRef, OutboxMessage, Platform, Reply, Request, UserRef
from chatbot.domain.account import AccountView, Balance, LegSetting
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, LegRole, UserId
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide, Symbol
from chatbot.domain.intent import OperationId, OrderIntent
from chatbot.domain.market import PricePoint
from chatbot.domain.operation import Operation
from chatbot.domain.order import Fill, FundingPayment, OrderReport, OrderRequest, Outcome
from chatbot.domain.preferences import Preferences
from chatbot.domain.quote import Quote, QuoteId
from chatbot.domain.risk import Alert

# --- time and ids -------------------------------------------------------------------------------


class Clock(Protocol):
    """Our clock: UTC, timezone-aware. A virtual one drives tests and the demo."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class IdSource(Protocol):
    def hedge_id(self) -> HedgeId: ...

    def operation_id(self) -> OperationId: ...

    def quote_id(self) -> QuoteId:
        """22 unguessable characters of ``[0-9A-Za-z_-]``."""
        ...


# --- the venue ----------------------------------------------------------------------------------


class Venue(Protocol):
    """One account on one exchange.

    Reads raise ``VenueUnavailable`` (or ``RateLimited``) and may be tried again. ``place`` never raises for
    what the venue
    says: each order gets its own outcome, and whatever is not proven accepted or rejected is ``Unknown``.
    All other writes raise ``VenueRejected`` (proven), ``VenueUnavailable`` (surely not sent) or
    ``OutcomeUnknown``.
    """

    @property
    def venue_id(self) -> str: ...

    async def instruments(self) -> Mapping[Symbol, Instrument]: ...

    async def view(self, symbols: Collection[Symbol] = (), *, depth: int = 50) -> AccountView:
        """The whole account in one round trip; markets and books of ``symbols`` and of every open
        position.
        """
        ...

    async def set_position_mode(self, mode: PositionMode) -> None: ...

    async def set_leg(self, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        """Leverage and margin mode of the next orders of this side."""
        ...

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        """Moves ``amount`` (settlement currency, positive) from the free margin into an isolated leg."""
        ...

    async def place(self, orders: Sequence[OrderRequest]) -> tuple[Outcome, ...]:
        """All of them in one request where the venue has one, else in parallel; outcomes in the order
        given.
        """
        ...

    async def cancel(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        """``None``: the venue knows no such order. Canceling a final order returns its report."""
        ...

    async def order(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        """Looked up by client id; ``None``: the venue knows no such order (yet)."""
        ...

    async def fills(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        """Ascending, ``at >= since`` (venue time)."""
        ...

    async def funding_payments(self, symbol: Symbol, since: datetime) -> tuple[FundingPayment, ...]:
        """Ascending, ``at >= since`` (venue time)."""
        ...

    async def price_history(
        self, symbol: Symbol, since: datetime, *, points: int = 300
    ) -> tuple[PricePoint, ...]:
        """Mark prices, ascending, ``at >= since`` (venue time), as far back as the venue remembers.

        At most ``points`` (at least 2), thinned so that highs and lows stay; the last one is of now.
        """
        ...


class Venues(Protocol):
    def of(self, account: Account) -> Venue: ...


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Secrets of one exchange key: decrypted for one use, never logged, shown or pickled."""

    api_key: str
    secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"Credentials(…{self.api_key[-4:]})" if len(self.api_key) > 8 else "Credentials(…)"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not to be pickled")


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What a key may do, as the exchange says; ``None`` where it has no way to tell.

    ``can_move_funds``: withdraw or transfer. ``owner`` is the exchange's own id of the account behind it.
    """

    can_read: bool
    can_trade: bool | None
    can_move_funds: bool | None
    ip_restricted: bool | None
    expires_at: datetime | None = None
    owner: str = ""
    position_mode: PositionMode | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was noticed in passing; ``None``: nothing yet. ``clock_ahead``: the exchange's clock, of ours."""

    position_mode: PositionMode | None = None
    clock_ahead: timedelta | None = None


class Exchanges(Protocol):
    """The exchanges that accounts can be connected on."""

    def refusal(self, venue_id: str) -> str | None:
        """Why no account can be connected there, in one sentence for the user; ``None``: it can."""
        ...

    def supported(self) -> tuple[str, ...]: ...

    def needs_passphrase(self, venue_id: str) -> bool: ...

    async def examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        """Reads with the key. Raises BadCredentials, MissingPermission, VenueUnavailable."""
        ...

    def venue(self, account: Account, credentials: Credentials) -> Venue:
        """For one use: cheap to make, and it keeps the credentials no longer than it lives."""
        ...

    def seen(self, account: Account) -> Sighting:
        """As the last look at the account told; asks nothing."""
        ...

    def forget(self, account_id: AccountId) -> None:
        """What was learned of the account goes, for instance because its key changed."""
        ...


class Stream(Protocol):
    """What an exchange tells by itself. It wakes whoever watches; what is so is read."""

    @property
    def heard(self) -> int:
        """Other than before when anything has arrived, be it the answer to a ping. 0: nothing yet."""
        ...

    async def close(self) -> None:
        """For good; what was made of an account's key is forgotten."""
        ...


class AccountStream(Stream, Protocol):
    async def changed(self) -> None:
        """Returns when something of the account has changed. Connects when it is called first.

        Raises VenueUnavailable when the connection is lost, BadCredentials, MissingPermission.
        """
        ...


class PriceStream(Stream, Protocol):
    def follow(self, symbols: Collection[Symbol]) -> None: ...

    async def moved(self) -> Mapping[Symbol, Decimal]:
        """The newest mark prices of what was followed and moved. Raises as ``AccountStream.changed``."""
        ...


class Streams(Protocol):
    """``None``: the exchange has none, so it has to be asked. Both raise as reads do."""

    async def of_account(self, account: Account) -> AccountStream | None: ...

    async def of_prices(self, venue_id: str) -> PriceStream | None: ...

    def tells_prices(self, venue_id: str) -> bool:
        """Whether it can be asked for a stream of prices at all."""
        ...

    def room(self, venue_id: str) -> bool:
        """Whether what nobody waits for can be asked there now, without standing in anybody's way."""
        ...


@runtime_checkable
class Streaming(Protocol):
    """Exchanges that have streams and count what they are asked."""

    def room(self, venue_id: str) -> bool: ...

    async def account_stream(self, account: Account, credentials: Credentials) -> AccountStream | None: ...

    async def price_stream(self, venue_id: str) -> PriceStream | None: ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests to a venue that had to wait for their turn, their seconds, and for how long reads rest now."""

    waits: int
    waited: float
    pause_left: float


@runtime_checkable
class Paced(Protocol):
    """Exchanges that are asked no faster than they allow."""

    def paces(self) -> Mapping[str, Pace]:
        """By venue, of those that were used."""
        ...


ROUTINE: ContextVar[bool] = ContextVar("routine", default=False)
"""Set while nobody waits for what is read: such questions let all others pass."""


class Vault(Protocol):
    """Where credentials are kept, encrypted. What is bound to one account opens for no other."""

    async def keep(self, account: Account, credentials: Credentials) -> None: ...

    async def open(self, account: Account) -> Credentials:
        """Raises NotConnected when there are none."""
        ...

    async def forget(self, account: Account) -> None:
        """The row and its free pages are overwritten."""
        ...


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be shown of a stored key.

    ``hint``: its last four characters; ``report``: of the last check.
    """

    account_id: AccountId
    hint: str
    report: KeyReport | None = None
    checked_at: datetime | None = None


class Sealer(Protocol):
    """For what one process hands to another, through the database. ``about`` must be the same both times."""

    def seal(self, text: str, *, about: str) -> str: ...

    def unseal(self, sealed: str, *, about: str) -> str:
        """Raises InvariantBroken."""
        ...


class KeyRecords(Protocol):
    """What is known of the stored keys, without opening them."""

    async def facts(self, account_id: AccountId) -> KeyFacts | None: ...

    async def all_facts(self) -> tuple[KeyFacts, ...]: ...

    def fingerprint(self, venue_id: str, api_key: str) -> str:
        """The same for the same key, and no way back to it."""
        ...

    async def holder(self, venue_id: str, api_key: str) -> AccountId | None:
        """The account that this very key is stored for."""
        ...

    async def note(self, account_id: AccountId, report: KeyReport, at: datetime) -> None: ...


class TicketKind(StrEnum):
    LINK = "link"  # the one-time page in a browser
    APP = "app"  # the same page inside the messenger, which says who opened it
    TYPED = "typed"  # key by key in the chat itself


@dataclass(frozen=True, slots=True)
class Ticket:
    """The permission to hand in one key. ``reference`` names it; whoever knows its token may use it once.

    The token itself is stored nowhere; ``digest`` is its hash.
    """

    reference: str
    digest: str
    kind: TicketKind
    user_id: UserId
    chat: str
    venue: str
    created_at: datetime
    expires_at: datetime
    attempts: int = 0
    used_at: datetime | None = None


class Tickets(Protocol):
    async def issue(self, tickets: Sequence[Ticket]) -> None: ...

    async def by_digest(self, digest: str) -> Ticket | None: ...

    async def typed(self) -> tuple[Ticket, ...]:
        """Of what is being typed into chats, the unused ones."""
        ...

    async def attempt(self, reference: str, *, now: datetime, most: int) -> None:
        """Counts one. ``Conflict``: used, expired, or too many."""
        ...

    async def spend(self, reference: str, *, now: datetime) -> None:
        """``Conflict``: used before."""
        ...

    async def withdraw(self, user_id: UserId, now: datetime, *, kind: TicketKind | None = None) -> None:
        """What this user still could use is used up."""
        ...


class TicketOffice(Protocol):
    """Makes references and the tokens that belong to them; needs a secret that is not in the database."""

    def new_reference(self) -> str: ...

    def token(self, reference: str) -> str:
        """32 unguessable bytes, as 43 characters for an address."""
        ...


@dataclass(frozen=True, slots=True)
class KeyForm:
    """What the one-time page asks for."""

    venue: str
    passphrase: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """``doubtful``: there is a question left, which waits in the chat.

    ``handed_over``: it is tried by another process, and the chat tells what came of it.
    """

    venue: str
    hint: str
    doubtful: bool
    handed_over: bool = False


class KeyPage(Protocol):
    """What stands behind the one-time page."""

    async def look(self, token: str) -> KeyForm:
        """:raises NotFound: the link does not work (any more)"""
        ...

    async def hand_in(self, token: str, credentials: Credentials, *, proof: str) -> KeyTaken:
        """``proof``: what the messenger says of who opened the page. Raises UserError, VenueError."""
        ...


@dataclass(frozen=True, slots=True)
class Invite:
    """Admits one stranger. ``digest`` is the hash of the code."""

    digest: str
    created_at: datetime
    expires_at: datetime


class Invites(Protocol):
    async def issue(self, invite: Invite) -> None: ...

    async def redeem(self, digest: str, ref: UserRef, now: datetime) -> None:
        """Admits for good. ``Conflict``: unknown, expired or used."""
        ...

    async def admitted(self) -> frozenset[UserRef]: ...


class PaperDesk(Protocol):
    """What only a simulated exchange offers. ``reference`` makes a call idempotent."""

    async def deposit(self, account: AccountId, amount: Decimal, *, reference: str) -> Balance: ...

    async def reset(self, account: AccountId, *, reference: str) -> Balance:
        """Back to 10,000 USDT, all positions and orders gone, hedge mode. History stays."""
        ...

    async def trade_elsewhere(
        self,
        account: AccountId,
        symbol: Symbol,
        side: PositionSide,
        quantity: Decimal,
        *,
        opens: bool,
        reference: str,
    ) -> None:
        """A market order typed into the exchange's own app, behind the bot's back. Raises
        ``VenueRejected``.
        """
        ...

    async def cancel_elsewhere(
        self, account: AccountId, symbol: Symbol, side: PositionSide | None = None, *, reference: str
    ) -> tuple[OrderReport, ...]:
        """What rests on the market, or on one side of it, taken back in the exchange's own app."""
        ...


# --- people -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class User:
    """``home`` is the chat that alerts go to; ``reachable`` turns false when the chat blocks us."""

    id: UserId
    ref: UserRef
    home: ChatRef
    name: str
    created_at: datetime
    preferences: Preferences = field(default_factory=Preferences)
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """``venue`` is "paper" or an exchange id; ``frozen`` says why it takes no new orders.

    ``owner`` is the exchange's own id of whoever is behind the key; where it does not tell, a hash of the key
    stands for it. A disconnected account
    has no key any more and stays for its history. ``restored_from``: when the copy was made that the
    account's ledger comes from; it takes no new orders until the ledger equals the venue. Not written with
    the account: ``Changes.reconciled`` ends it.
    """

    id: AccountId
    user_id: UserId
    venue: str
    label: str
    created_at: datetime
    frozen: str = ""
    owner: str = ""
    disconnected_at: datetime | None = None
    restored_from: datetime | None = None


# --- the store ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BookedFill:
    """``key`` is unique per account: the venue's fill id, or ``client_order_id:cumulative`` for our own
    orders.
    """

    key: str
    account_id: AccountId
    hedge_id: HedgeId
    leg: LegRole
    fill: Fill


@dataclass(frozen=True, slots=True)
class BookedFunding:
    account_id: AccountId
    hedge_id: HedgeId
    payment: FundingPayment


@dataclass(frozen=True, slots=True)
class IntentNote:
    """One line of an intent's life, append-only."""

    client_order_id: str
    at: datetime
    event: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    at: datetime
    user_id: UserId | None
    action: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AlertEpisode:
    """A condition that holds, from its rise to its clearing. One active episode per user and key.

    ``level`` grows with gravity from 0; ``told_level`` is what the user was told (-1: nothing yet: snoozed
    or quiet).
    """

    user_id: UserId
    key: str  # "#3:liquidation:short"
    kind: str
    level: int
    since: datetime
    told_level: int
    told_at: datetime | None
    hedge_id: HedgeId | None = None
    cleared_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction writes, all or nothing.

    ``hedges`` and ``operations`` carry the version that was read; the store writes version + 1 and raises
    ``Conflict`` when the row moved on
    (version 0 and unknown id: insert). ``spend_quote`` marks the quote used by a request, ``Conflict`` when
    it was used before. ``reconciled`` accounts are no longer restored ones.
    ``handled`` marks inbox updates done. Fills and funding whose key is known already raise ``Conflict``.
    Outbox messages whose dedupe key is known already are skipped. What waits on the topic of one of
    ``restated`` is put in its words; what waits on a topic in a chat in ``withdrawn`` is not delivered.
    ``behalf``: for whom it is written, where no row says so. Raises ``LeaseLost`` when another process works
    for one of the users concerned by now.
    """

    users: tuple[User, ...] = ()
    accounts: tuple[Account, ...] = ()
    hedges: tuple[Hedge, ...] = ()
    operations: tuple[Operation, ...] = ()
    intents: tuple[OrderIntent, ...] = ()
    notes: tuple[IntentNote, ...] = ()
    fills: tuple[BookedFill, ...] = ()
    funding: tuple[BookedFunding, ...] = ()
    quotes: tuple[Quote, ...] = ()
    spend_quote: tuple[QuoteId, str, str, datetime] | None = None  # id, request id, choice, at
    episodes: tuple[AlertEpisode, ...] = ()
    outbox: tuple[OutboxMessage, ...] = ()
    restated: tuple[OutboxMessage, ...] = ()
    withdrawn: tuple[tuple[ChatRef, str], ...] = ()
    handled: tuple[str, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    reconciled: tuple[AccountId, ...] = ()
    behalf: UserId | None = None


class Store(Protocol):
    async def commit(self, changes: Changes) -> None: ...

    async def user(self, user_id: UserId) -> User | None: ...

    async def user_by_ref(self, ref: UserRef) -> User | None: ...

    async def users(self) -> tuple[User, ...]: ...

    async def account(self, account_id: AccountId) -> Account | None: ...

    async def accounts(self, user_id: UserId | None = None) -> tuple[Account, ...]:
        """The connected ones, the oldest first; without a user those of this process's shards."""
        ...

    async def account_behind(self, venue: str, owner: str) -> Account | None:
        """The connected one of that owner there, anybody's. ``Account.owner``."""
        ...

    async def former_accounts(self, user_id: UserId) -> tuple[Account, ...]:
        """The disconnected ones."""
        ...

    async def hedge(self, hedge_id: HedgeId) -> Hedge | None: ...

    async def hedge_by_number(self, user_id: UserId, number: int) -> Hedge | None: ...

    async def live_hedges(
        self, *, account_id: AccountId | None = None, user_id: UserId | None = None
    ) -> tuple[Hedge, ...]:
        """Ascending by number; when neither is given, of all users of this process's shards."""
        ...

    async def fired_hedges(self) -> tuple[Hedge, ...]:
        """Live ones of which an order that closes at a price has filled; of several processes, the own."""
        ...

    async def newest_hedges(self, user_id: UserId, most: int) -> tuple[Hedge, ...]:
        """Live and closed, in the order of their numbers."""
        ...

    async def next_hedge_number(self, user_id: UserId) -> int: ...

    async def operation(self, operation_id: OperationId) -> Operation | None: ...

    async def operation_of_quote(self, quote_id: QuoteId) -> tuple[Operation, ...]: ...

    async def unfinished_operations(self, account_id: AccountId | None = None) -> tuple[Operation, ...]: ...

    async def intent(self, client_order_id: str) -> OrderIntent | None: ...

    async def intents(
        self, *, operation_id: OperationId | None = None, hedge_id: HedgeId | None = None
    ) -> tuple[OrderIntent, ...]:
        """In the order they were journaled."""
        ...

    async def intent_notes(self, client_order_id: str) -> tuple[IntentNote, ...]: ...

    async def booked_fill_keys(self, account_id: AccountId) -> frozenset[str]: ...

    async def booked_fills(self, hedge_id: HedgeId) -> tuple[BookedFill, ...]: ...

    async def booked_funding(self, hedge_id: HedgeId) -> tuple[BookedFunding, ...]: ...

    async def quote(self, quote_id: QuoteId) -> Quote | None: ...

    async def active_episodes(self, user_id: UserId) -> tuple[AlertEpisode, ...]: ...

    async def waiting(self, chat: ChatRef) -> Mapping[str, Reply]:
        """By topic, the cards that are owed to a chat and not delivered yet."""
        ...

    async def prune(self, before: datetime) -> None:
        """Forgets quotes, delivered messages and handled updates older than this. Never money."""
        ...


class Copies(Protocol):
    """What a database that was restored from a copy remembers of that."""

    async def copied_at(self) -> datetime | None:
        """When the copy was made that this database is, untouched; ``None``: it is none."""
        ...

    async def restored_at(self) -> datetime | None:
        """When a bot last began on a copy."""
        ...

    async def begin(self, copied_at: datetime, now: datetime, *, why: str) -> None:
        """The copy becomes the ledger again: every account waits, live hedges are frozen, nothing that was
        in flight, owed, received or offered is carried out, and no client order id is used twice.

        ``Conflict``: another process has begun.
        """
        ...


# --- mail: what came in, what is owed -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owed:
    """An outbox row on its way: ``message_id`` of the card to edit, if there is one.

    ``moot``: it tells the end of something whose beginning never arrived.
    """

    row_id: int
    message: OutboxMessage
    tries: int
    edits: str | None
    moot: bool = False

    def too_late(self, now: datetime) -> bool:
        return self.message.expires_at is not None and self.message.expires_at <= now


@dataclass(frozen=True, slots=True)
class Delivered:
    row_id: int
    message_id: str | None


class Mailbox(Protocol):
    """Durable queues beside the store, in the same database."""

    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        """Each request once, by its id; known ones are skipped. ``cursor`` (name, value) is saved in the
        same transaction.
        """
        ...

    async def cursor(self, name: str) -> int | None: ...

    async def unhandled(self) -> tuple[Request, ...]:
        """In the order received."""
        ...

    async def due(self, now: datetime, *, limit: int, skip_chats: Collection[str] = ()) -> tuple[Owed, ...]:
        """By priority, then age. Superseded messages of a slot are dropped on the way."""
        ...

    async def due_beside(self, owed: Owed, now: datetime, *, limit: int) -> tuple[Owed, ...]:
        """Other alerts of its chat, gravest first."""
        ...

    async def next_due_at(self) -> datetime | None: ...

    async def sent_since(self, at: datetime) -> tuple[tuple[ChatRef, datetime], ...]:
        """Where to and when what was delivered went, in that order; read at start."""
        ...

    async def delivered(self, results: Sequence[Delivered], now: datetime) -> None:
        """Marked; a slot remembers its message id."""
        ...

    async def postpone(self, row_id: int, not_before: datetime, *, reason: str) -> None: ...

    async def abandon(self, row_ids: Sequence[int], *, reason: str) -> None: ...

    async def chat_unreachable(self, chat: ChatRef) -> None:
        """Owed messages are dropped; the user whose home it is becomes unreachable until they write again."""
        ...

    async def remember_message(self, chat: ChatRef, slot: str, message_id: str) -> None: ...

    async def first_to(self, name: str, due_at: datetime) -> bool:
        """Whether nobody did ``name`` at that instant yet: of several who ask, one hears yes."""
        ...

    async def secret(self, name: str, *, offered: bytes = b"") -> bytes:
        """Made once per database: what the first one offered, else 32 random bytes; signs buttons."""
        ...


# --- several processes on one database ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do ``name``'s work, until another process takes it over with the next epoch."""

    name: str
    holder: str
    epoch: int


class Leases(Protocol):
    """What of the work is this process's. It may shrink at any moment: ask before each step, do not keep."""

    @property
    def shards(self) -> frozenset[int] | None:
        """Those to begin work for. ``None``: all of them, as nobody shares the database."""
        ...

    def holds(self, shard: int) -> bool: ...

    def of_shard(self, shard: int) -> Lease | None:
        """What a write for it must bear; ``None``: nothing. Raises ``LeaseLost``."""
        ...

    def of_duty(self, name: str) -> Lease | None:
        """Likewise, of what one process does for all; ``None`` for what any of them may do."""
        ...

    def wake(self, shards: Collection[int]) -> None:
        """There is work: tells whoever holds them, this process too."""
        ...


class Alone:
    """``Leases`` of the only process on its database."""

    shards: frozenset[int] | None = None

    def holds(self, shard: int) -> bool:
        del shard
        return True

    def of_shard(self, shard: int) -> Lease | None:
        del shard
        return None

    def of_duty(self, name: str) -> Lease | None:
        del name
        return None

    def wake(self, shards: Collection[int]) -> None:
        """Whoever brings work here does it here."""


@dataclass(frozen=True, slots=True)
class Muster:
    """What a sign of life came back with: the processes that live, this one too, and what this one holds.

    ``here``: those behind the same address as this one.
    """

    processes: int
    here: int
    held: Mapping[str, int]  # name to epoch


class LeaseTable(Protocol):
    """Who does what, in the database, by the database's clock. Raises ``StorageError``."""

    async def join(self, term: timedelta) -> str:
        """This process from now on, under a name it never had before."""
        ...

    async def beat(self, term: timedelta) -> Muster:
        """A sign of life for another term. ``LeaseLost``: it was too long since the last one."""
        ...

    async def take(self, names: Sequence[str], most: int) -> Mapping[str, int]:
        """Of these the free ones, each with its new epoch; free is what nobody holds who lives."""
        ...

    async def give_up(self, names: Sequence[str]) -> None: ...

    def listen(self, heard: Callable[[str], None]) -> None:
        """To what processes tell each other, from ``join`` on."""
        ...

    async def tell(self, words: str) -> None:
        """To every process, this one too."""
        ...

    async def leave(self) -> None: ...

    async def close(self) -> None: ...


# --- the whole, for whoever runs the bot --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """``oldest``: since when, where that is written down; ``hedge`` is one of those counted."""

    count: int = 0
    oldest: datetime | None = None
    hedge: HedgeId | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages not delivered yet: the lowest row, and the earliest instant at which one of them is due."""

    count: int = 0
    first_row: int | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts over all users, and nobody's name.

    ``unknown``: orders without an answer, of operations in flight. ``accounts`` by venue, ``alerts`` (those
    that hold now) by kind. ``owed_alerts`` are those of the owed messages that nobody asked for.
    ``newest_row`` of all messages, delivered or not.
    """

    unknown: Tally = Tally()
    frozen: Tally = Tally()
    live_hedges: int = 0
    frozen_accounts: int = 0
    accounts: Mapping[str, int] = field(default_factory=dict)
    alerts: Mapping[str, int] = field(default_factory=dict)
    owed: Backlog = Backlog()
    owed_alerts: Backlog = Backlog()
    newest_row: int = 0


class Census(Protocol):
    async def standing(self) -> Standing: ...


# --- chats --------------------------------------------------------------------------------------


class Messenger(Protocol):
    """One platform. ``deliver`` raises ``ChatUnreachable`` or ``DeliverLater``."""

    @property
    def platform(self) -> Platform: ...

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        """Sends, or edits message ``edits`` (and sends anew where it cannot be edited). Returns the message
        id.
        """
        ...

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Answers a tap; failures are swallowed, the card itself follows through the outbox."""
        ...


@runtime_checkable
class Eraser(Protocol):
    """A platform on which a message that a user sent can be taken back."""

    async def erase(self, message: MessageRef) -> bool:
        """``False``: it is still there. Erasing again what is gone is well."""
        ...


# --- words --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """An operation on its way or done; ``hedge`` and ``fills`` are the ledger's, as of now.

    ``resting``: orders of the hedge that stand on the exchange.
    """

    user: User
    operation: Operation
    hedge: Hedge
    instrument: Instrument
    fills: tuple[BookedFill, ...]
    at: datetime
    resting: tuple[OrderIntent, ...] = ()


class Presenter(Protocol):
    """Turns what happened by itself (not by a request) into a card. Implemented by the handlers' wording."""

    def progress(self, progress: Progress) -> Reply:
        """The card of an operation: sending, filled 0.3 of 0.5, done, failed. Slot: ``operation.slot``."""
        ...

    def alert(self, user: User, alert: Alert) -> Reply: ...
