"""How each kind of value is written to columns and read from a row."""

from __future__ import annotations

from enum import StrEnum

from chatbot.chat import ChatRef, OutboxMessage, Part, Platform, Priority, Reply, UserRef
from chatbot.domain.hedge import Hedge, Leg
from chatbot.domain.intent import OrderIntent
from chatbot.domain.operation import Operation
from chatbot.domain.order import Fill, FundingPayment
from chatbot.domain.preferences import Preferences
from chatbot.domain.quote import (
    AdjustQuote,
    AdjustRequest,
    AnyQuote,
    AnyRequest,
    CloseAllQuote,
    CloseQuote,
    CloseRequest,
    HedgeQuote,
    HedgeRequest,
    MarginQuote,
    MarginRequest,
    OpenQuote,
    OpenRequest,
    Quote,
    QuoteKind,
    StopsQuote,
    StopsRequest,
)
from chatbot.domain.shards import shard_of
from chatbot.errors import InvariantBroken
from chatbot.ports import (
    Account,
    AlertEpisode,
    AuditEntry,
    BookedFill,
    BookedFunding,
    IntentNote,
    Invite,
    KeyFacts,
    Owed,
    Ticket,
    User,
)
from chatbot.storage.codec import Cell, Record, dump, instant_of, instant_text, load, remembered
from chatbot.storage.sql import Row


class OutboxState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"


ACCOUNT = Record(Account)
ACCOUNT_COLUMNS = (*ACCOUNT.fields, "shard")
HEDGE = Record(Hedge, omit=("primary", "offset"))
LEG = Record(Leg)
OPERATION = Record(Operation)
INTENT = Record(OrderIntent)
NOTE = Record(IntentNote)
FILL = Record(Fill)
BOOKED_FILL = Record(BookedFill, omit=("fill",))
PAYMENT = Record(FundingPayment)
BOOKED_FUNDING = Record(BookedFunding, omit=("payment",))
EPISODE = Record(AlertEpisode)
AUDIT = Record(AuditEntry)
QUOTE = Record(Quote, omit=("request", "offer"))
KEY_FACTS = Record(KeyFacts)
TICKET = Record(Ticket)
INVITE = Record(Invite)

# --- people -------------------------------------------------------------------------------------

_USER = Record(User, omit=("ref", "home", "preferences"))
USER_COLUMNS = (*_USER.fields, "platform", "platform_id", "home", "preferences")
CHAT_COLUMNS = ("id", "platform", "platform_id", "private")


def user_cells(user: User) -> dict[str, Cell]:
    return {
        **_USER.encode(user),
        "platform": user.ref.platform.value,
        "platform_id": user.ref.id,
        "home": str(user.home),
        "preferences": dump(Preferences, user.preferences),
    }


def chat_cells(chat: ChatRef) -> dict[str, Cell]:
    return {
        "id": str(chat),
        "platform": chat.platform.value,
        "platform_id": chat.id,
        "private": int(chat.private),
    }


@remembered
def user_of(row: Row) -> User:
    """``USER_COLUMNS``, then whether the home is private."""
    width = len(_USER.fields)
    platform, platform_id, home, preferences, private = row[width:]
    return _USER.decode(
        row[:width],
        ref=UserRef(Platform(platform), platform_id),
        home=chat_of(home, private=bool(private)),
        preferences=load(Preferences, preferences),
    )


def chat_of(key: str, *, private: bool) -> ChatRef:
    platform, _, chat_id = key.partition(":")
    return ChatRef(Platform(platform), chat_id, private)


# --- hedges and money ---------------------------------------------------------------------------


@remembered
def hedge_of(row: Row) -> Hedge:
    """The columns of the hedge, of its primary leg, of its offset leg (all ``NULL`` where there is none)."""
    first = len(HEDGE.fields)
    second = first + len(LEG.fields)
    offset = None if row[second] is None else LEG.decode(row[second:])
    return HEDGE.decode(row[:first], primary=LEG.decode(row[first:second]), offset=offset)


account_of = remembered(ACCOUNT.decode)
operation_of = remembered(OPERATION.decode)
intent_of = remembered(INTENT.decode)
FILL_COLUMNS = (*BOOKED_FILL.fields, *FILL.fields)
FUNDING_COLUMNS = (*BOOKED_FUNDING.fields, *PAYMENT.fields)


@remembered
def booked_fill_of(row: Row) -> BookedFill:
    width = len(BOOKED_FILL.fields)
    return BOOKED_FILL.decode(row[:width], fill=FILL.decode(row[width:]))


@remembered
def booked_funding_of(row: Row) -> BookedFunding:
    width = len(BOOKED_FUNDING.fields)
    return BOOKED_FUNDING.decode(row[:width], payment=PAYMENT.decode(row[width:]))


# --- quotes -------------------------------------------------------------------------------------

QUOTE_COLUMNS = (*QUOTE.fields, "request", "offer")

_OFFERS: dict[QuoteKind, type[AnyQuote]] = {
    QuoteKind.OPEN: OpenQuote,
    QuoteKind.HEDGE: HedgeQuote,
    QuoteKind.CLOSE: CloseQuote,
    QuoteKind.CLOSE_ALL: CloseAllQuote,
    QuoteKind.ADJUST: AdjustQuote,
    QuoteKind.STOPS: StopsQuote,
    QuoteKind.MARGIN: MarginQuote,
}
_REQUESTS: dict[QuoteKind, type[AnyRequest]] = {
    QuoteKind.OPEN: OpenRequest,
    QuoteKind.HEDGE: HedgeRequest,
    QuoteKind.CLOSE: CloseRequest,
    QuoteKind.ADJUST: AdjustRequest,
    QuoteKind.STOPS: StopsRequest,
    QuoteKind.MARGIN: MarginRequest,
}


def quote_cells(quote: Quote) -> dict[str, Cell]:
    offer, request = _OFFERS[quote.kind], _REQUESTS.get(quote.kind)
    if type(quote.offer) is not offer or (quote.request is not None and type(quote.request) is not request):
        raise InvariantBroken(f"the offer or the request of quote {quote.kind} is of another kind")
    asked = None if quote.request is None else dump(request, quote.request)
    return {**QUOTE.encode(quote), "request": asked, "offer": dump(offer, quote.offer)}


@remembered
def quote_of(row: Row) -> Quote:
    width = len(QUOTE.fields)
    request, offer = row[width:]
    kind = QuoteKind(row[QUOTE.fields.index("kind")])
    asked = None if request is None else load(_REQUESTS[kind], request)
    return QUOTE.decode(row[:width], request=asked, offer=load(_OFFERS[kind], offer))


# --- mail ---------------------------------------------------------------------------------------

# What a delivery reads; the rest of the row is about what became of it.
OWED_COLUMNS = (
    "id",
    "dedupe_key",
    "chat",
    "private",
    "reply",
    "priority",
    "not_before",
    "replaces",
    "topic",
    "part",
    "expires_at",
    "tries",
)
OUTBOX_COLUMNS = (
    "dedupe_key",
    "chat",
    "private",
    "slot",
    "reply",
    "priority",
    "not_before",
    "replaces",
    "topic",
    "part",
    "expires_at",
    "shard",
)


def account_cells(account: Account) -> dict[str, Cell]:
    return {**ACCOUNT.encode(account), "shard": shard_of(account.user_id)}


def outbox_cells(message: OutboxMessage) -> dict[str, Cell]:
    return {
        "dedupe_key": message.dedupe_key,
        "chat": str(message.chat),
        "private": int(message.chat.private),
        "slot": message.reply.slot,
        "reply": dump(Reply, message.reply),
        "priority": int(message.priority),
        "not_before": instant_text(message.not_before),
        "replaces": message.replaces,
        "topic": message.topic,
        "part": message.part.value,
        "expires_at": None if message.expires_at is None else instant_text(message.expires_at),
        "shard": shard_of(str(message.chat)),
    }


def owed_of(row: Row) -> Owed:
    """``OWED_COLUMNS``, then the message that the slot remembers, and whether it is moot."""
    row_id, key, chat, private, reply, priority, not_before, replaces, *rest = row
    topic, part, expires_at, tries, remembered, moot = rest
    message = OutboxMessage(
        dedupe_key=key,
        chat=chat_of(chat, private=bool(private)),
        reply=load(Reply, reply),
        priority=Priority(priority),
        not_before=instant_of(not_before),
        replaces=replaces,
        topic=topic,
        part=Part(part),
        expires_at=None if expires_at is None else instant_of(expires_at),
    )
    return Owed(row_id, message, tries, edits=replaces or remembered, moot=bool(moot))
