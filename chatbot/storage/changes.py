"""``Changes`` as the statements of one transaction, in an order that keeps every reference whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from chatbot.chat import ChatRef, OutboxMessage
from chatbot.domain.hedge import Hedge, Leg, LegRole
from chatbot.domain.intent import FINAL, IntentStatus, OrderIntent
from chatbot.domain.operation import Operation
from chatbot.domain.quote import Quote
from chatbot.ports import AlertEpisode, BookedFill, BookedFunding, Changes, User
from chatbot.storage.codec import Cell, instant_text
from chatbot.storage.records import (
    ACCOUNT,
    AUDIT,
    BOOKED_FILL,
    BOOKED_FUNDING,
    CHAT_COLUMNS,
    EPISODE,
    FILL,
    FILL_COLUMNS,
    FUNDING_COLUMNS,
    HEDGE,
    INTENT,
    LEG,
    NOTE,
    OPERATION,
    OUTBOX_COLUMNS,
    PAYMENT,
    QUOTE_COLUMNS,
    USER_COLUMNS,
    chat_cells,
    outbox_cells,
    quote_cells,
    user_cells,
)
from chatbot.storage.sql import Step, insert, update, upsert

_VERSIONED = "id = :id AND version = :version_read"

_PUT_CHAT = upsert("chats", CHAT_COLUMNS, key=["id"])
_PUT_USER = upsert("users", USER_COLUMNS, key=["id"])
_PUT_ACCOUNT = upsert("accounts", ACCOUNT.fields, key=["id"])
_NEW_HEDGE = insert("hedges", HEDGE.fields)
_SET_HEDGE = update("hedges", HEDGE.fields[1:], _VERSIONED)
_PUT_LEG = upsert("legs", ("hedge_id", *LEG.fields), key=["hedge_id", "role"])
_DROP_LEG = "DELETE FROM legs WHERE hedge_id = :hedge_id AND role = :role"
_NEW_OPERATION = insert("operations", OPERATION.fields)
_SET_OPERATION = update("operations", OPERATION.fields[1:], _VERSIONED)
_PUT_INTENT = upsert(
    "intents",
    INTENT.fields,
    key=["client_order_id"],
    only=["status", "venue_order_id", "filled_quantity", "average_price", "fee", "reason"],
    # An id stays with its operation, a final status stays final, and nothing becomes unsent again.
    where="intents.operation_id = excluded.operation_id AND (intents.status = excluded.status OR ("
    f"excluded.status <> '{IntentStatus.JOURNALED}' AND intents.status NOT IN "
    f"({', '.join(repr(status.value) for status in sorted(FINAL))})))",
)
_NEW_NOTE = insert("intent_notes", NOTE.fields)
_NEW_FILL = insert("fills", FILL_COLUMNS)
_NEW_PAYMENT = insert("funding_payments", FUNDING_COLUMNS)
_NEW_QUOTE = insert("quotes", QUOTE_COLUMNS)
_SPEND_QUOTE = update("quotes", ["used_at", "used_by", "choice"], "id = :id AND used_at IS NULL")
_PUT_EPISODE = upsert("alert_episodes", EPISODE.fields, key=["user_id", "key", "since"])
_NEW_AUDIT = insert("audit", AUDIT.fields)
_HANDLED = "UPDATE inbox SET handled = 1, request = '' WHERE id = :id"  # what was typed is not kept

_OWE = f"{insert('outbox', (*OUTBOX_COLUMNS, 'state', 'tries', 'reason'))} ON CONFLICT DO NOTHING"
_OLDER = (
    "chat = :chat AND slot = :slot AND state = 'pending' "
    "AND id < (SELECT id FROM outbox WHERE dedupe_key = :dedupe_key)"
)
# A dropped message that was to edit a card hands the card on: else its successor would be sent anew.
_INHERIT_CARD = (
    "INSERT INTO message_slots (chat, slot, message_id) "  # noqa: S608 (no value in it)
    f"SELECT chat, slot, replaces FROM outbox WHERE {_OLDER} AND replaces IS NOT NULL "
    "ON CONFLICT (chat, slot) DO UPDATE SET message_id = excluded.message_id"
)
_SUPERSEDE = f"UPDATE outbox SET state = 'superseded' WHERE {_OLDER}"  # noqa: S608


def steps_of(changes: Changes) -> list[Step]:
    return [
        *_people(changes),
        *_hedges(changes.hedges),
        *_operations(changes.operations),
        *_quotes(changes),
        *_journal(changes),
        *_money(changes),
        *_episodes(changes.episodes),
        *owe(changes.outbox),
        *(Step(_HANDLED, {"id": request_id}) for request_id in changes.handled),
        *(Step(_NEW_AUDIT, AUDIT.encode(entry)) for entry in changes.audit),
    ]


def _people(changes: Changes) -> Iterator[Step]:
    for user in changes.users:
        yield from _user(user)
    for account in changes.accounts:
        yield Step(_PUT_ACCOUNT, ACCOUNT.encode(account), f"account {account.label} belongs to somebody else")


def _user(user: User) -> Iterator[Step]:
    yield put_chat(user.home)
    yield Step(_PUT_USER, user_cells(user), f"{user.ref} is known as another user")


def put_chat(chat: ChatRef) -> Step:
    return Step(_PUT_CHAT, chat_cells(chat))


def _hedges(hedges: Iterable[Hedge]) -> Iterator[Step]:
    """Closed ones first: what they held may be opened again in the same transaction."""
    for hedge in sorted(hedges, key=lambda hedge: hedge.live):
        yield _versioned(
            HEDGE.encode(hedge),
            _NEW_HEDGE,
            _SET_HEDGE,
            f"hedge #{hedge.number} on {hedge.symbol} was changed meanwhile",
        )
        yield from (_leg(hedge, leg) for leg in hedge.legs)
        if hedge.offset is None and hedge.version:
            yield Step(_DROP_LEG, {"hedge_id": hedge.id, "role": LegRole.OFFSET.value})


def _leg(hedge: Hedge, leg: Leg) -> Step:
    return Step(_PUT_LEG, {"hedge_id": hedge.id, **LEG.encode(leg)})


def _operations(operations: Iterable[Operation]) -> Iterator[Step]:
    for operation in operations:
        yield _versioned(
            OPERATION.encode(operation),
            _NEW_OPERATION,
            _SET_OPERATION,
            f"the operation on {operation.symbol} was changed meanwhile",
        )


def _versioned(cells: dict[str, Cell], new: str, known: str, conflict: str) -> Step:
    """Stored rows begin at version 1, so version 0 is always a new one."""
    read = int(cells["version"] or 0)
    cells["version"] = read + 1
    if read == 0:
        return Step(new, cells, conflict)
    return Step(known, {**cells, "version_read": read}, conflict)


def _quotes(changes: Changes) -> Iterator[Step]:
    for quote in changes.quotes:
        yield _quote(quote)
    if changes.spend_quote is not None:
        quote_id, request_id, choice, at = changes.spend_quote
        yield _spend(quote_id, request_id, choice, at)


def _quote(quote: Quote) -> Step:
    return Step(_NEW_QUOTE, quote_cells(quote), "this offer exists already")


def _spend(quote_id: str, request_id: str, choice: str, at: datetime) -> Step:
    cells = {"id": quote_id, "used_by": request_id, "choice": choice, "used_at": instant_text(at)}
    return Step(_SPEND_QUOTE, cells, "this offer was used already")


def _journal(changes: Changes) -> Iterator[Step]:
    for intent in changes.intents:
        yield _intent(intent)
    for note in changes.notes:
        yield Step(_NEW_NOTE, NOTE.encode(note))


def _intent(intent: OrderIntent) -> Step:
    return Step(
        _PUT_INTENT, INTENT.encode(intent), f"order {intent.client_order_id} was settled otherwise already"
    )


def _money(changes: Changes) -> Iterator[Step]:
    for fill in changes.fills:
        yield _fill(fill)
    for payment in changes.funding:
        yield _payment(payment)


def _fill(booked: BookedFill) -> Step:
    cells = {**BOOKED_FILL.encode(booked), **FILL.encode(booked.fill)}
    return Step(_NEW_FILL, cells, f"fill {booked.key} is booked already")


def _payment(booked: BookedFunding) -> Step:
    cells = {**BOOKED_FUNDING.encode(booked), **PAYMENT.encode(booked.payment)}
    return Step(_NEW_PAYMENT, cells, f"funding payment {booked.payment.venue_payment_id} is booked already")


def _episodes(episodes: Iterable[AlertEpisode]) -> Iterator[Step]:
    """Cleared ones first, so that the same condition may rise again in the same transaction."""
    for episode in sorted(episodes, key=lambda episode: episode.cleared_at is None):
        yield Step(_PUT_EPISODE, EPISODE.encode(episode), f"the alert {episode.key} is active already")


def owe(messages: Iterable[OutboxMessage]) -> Iterator[Step]:
    for message in messages:
        cells = outbox_cells(message)
        yield Step(_OWE, {**cells, "state": "pending", "tries": 0, "reason": ""})
        if message.reply.slot is not None:
            yield Step(_INHERIT_CARD, cells)
            yield Step(_SUPERSEDE, cells)
