"""``Changes`` as the statements of one transaction, in an order that keeps every reference whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from chatbot.chat import ChatRef, OutboxMessage
from chatbot.domain.hedge import Hedge, Leg, LegRole
from chatbot.domain.intent import OrderIntent
from chatbot.domain.operation import Operation
from chatbot.domain.quote import Quote
from chatbot.ports import AlertEpisode, BookedFill, BookedFunding, Changes, User
from chatbot.storage import statements
from chatbot.storage.codec import Cell, instant_text
from chatbot.storage.records import (
    AUDIT,
    BOOKED_FILL,
    BOOKED_FUNDING,
    EPISODE,
    FILL,
    HEDGE,
    INTENT,
    LEG,
    NOTE,
    OPERATION,
    PAYMENT,
    account_cells,
    chat_cells,
    outbox_cells,
    quote_cells,
    user_cells,
)
from chatbot.storage.sql import Statement, Step


def steps_of(changes: Changes) -> list[Step]:
    return [
        *_people(changes),
        *_hedges(changes.hedges),
        *_operations(changes.operations),
        *_quotes(changes),
        *_journal(changes),
        *_money(changes),
        *_episodes(changes.episodes),
        *(Step(statements.WITHDRAW, _topic(chat, topic)) for chat, topic in changes.withdrawn),
        *(Step(statements.RESTATE, outbox_cells(message)) for message in changes.restated),
        *owe(changes.outbox),
        *(Step(statements.HANDLED, {"id": request_id}) for request_id in changes.handled),
        *(Step(statements.NEW_AUDIT, AUDIT.encode(entry)) for entry in changes.audit),
    ]


def _people(changes: Changes) -> Iterator[Step]:
    for user in changes.users:
        yield from _user(user)
    for account in changes.accounts:
        yield Step(
            statements.PUT_ACCOUNT,
            account_cells(account),
            f"account {account.label} belongs to somebody else",
        )
    for account_id in changes.reconciled:
        yield Step(statements.RECONCILED, {"id": account_id})


def _user(user: User) -> Iterator[Step]:
    yield put_chat(user.home)
    yield Step(statements.PUT_USER, user_cells(user), f"{user.ref} is known as another user")


def put_chat(chat: ChatRef) -> Step:
    return Step(statements.PUT_CHAT, chat_cells(chat))


def _hedges(hedges: Iterable[Hedge]) -> Iterator[Step]:
    """Closed ones first: what they held may be opened again in the same transaction."""
    for hedge in sorted(hedges, key=lambda hedge: hedge.live):
        yield _versioned(
            HEDGE.encode(hedge),
            statements.NEW_HEDGE,
            statements.SET_HEDGE,
            f"hedge #{hedge.number} on {hedge.symbol} was changed meanwhile",
        )
        yield from (_leg(hedge, leg) for leg in hedge.legs)
        if hedge.offset is None and hedge.version:
            yield Step(statements.DROP_LEG, {"hedge_id": hedge.id, "role": LegRole.OFFSET.value})


def _leg(hedge: Hedge, leg: Leg) -> Step:
    return Step(statements.PUT_LEG, {"hedge_id": hedge.id, **LEG.encode(leg)})


def _operations(operations: Iterable[Operation]) -> Iterator[Step]:
    for operation in operations:
        yield _versioned(
            OPERATION.encode(operation),
            statements.NEW_OPERATION,
            statements.SET_OPERATION,
            f"the operation on {operation.symbol} was changed meanwhile",
        )


def _versioned(cells: dict[str, Cell], new: Statement, known: Statement, conflict: str) -> Step:
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
    return Step(statements.NEW_QUOTE, quote_cells(quote), "this offer exists already")


def _spend(quote_id: str, request_id: str, choice: str, at: datetime) -> Step:
    cells = {"id": quote_id, "used_by": request_id, "choice": choice, "used_at": instant_text(at)}
    return Step(statements.SPEND_QUOTE, cells, "this offer was used already")


def _journal(changes: Changes) -> Iterator[Step]:
    for intent in changes.intents:
        yield _intent(intent)
    for note in changes.notes:
        yield Step(statements.NEW_NOTE, NOTE.encode(note))


def _intent(intent: OrderIntent) -> Step:
    return Step(
        statements.PUT_INTENT,
        INTENT.encode(intent),
        f"order {intent.client_order_id} was settled otherwise already",
    )


def _money(changes: Changes) -> Iterator[Step]:
    for fill in changes.fills:
        yield _fill(fill)
    for payment in changes.funding:
        yield _payment(payment)


def _fill(booked: BookedFill) -> Step:
    cells = {**BOOKED_FILL.encode(booked), **FILL.encode(booked.fill)}
    return Step(statements.NEW_FILL, cells, f"fill {booked.key} is booked already")


def _payment(booked: BookedFunding) -> Step:
    cells = {**BOOKED_FUNDING.encode(booked), **PAYMENT.encode(booked.payment)}
    return Step(
        statements.NEW_PAYMENT, cells, f"funding payment {booked.payment.venue_payment_id} is booked already"
    )


def _episodes(episodes: Iterable[AlertEpisode]) -> Iterator[Step]:
    """Cleared ones first, so that the same condition may rise again in the same transaction."""
    for episode in sorted(episodes, key=lambda episode: episode.cleared_at is None):
        yield Step(
            statements.PUT_EPISODE, EPISODE.encode(episode), f"the alert {episode.key} is active already"
        )


def owe(messages: Iterable[OutboxMessage]) -> Iterator[Step]:
    for message in messages:
        cells = outbox_cells(message)
        if message.reply.slot is not None:
            yield Step(statements.HOLD_SLOT, cells)
        yield Step(statements.OWE, cells)
        if message.reply.slot is not None:
            yield Step(statements.INHERIT_CARD, cells)
            yield Step(statements.SUPERSEDE, cells)
        if message.topic is not None:
            yield Step(statements.SUPERSEDE_TOPIC, cells)


def _topic(chat: ChatRef, topic: str) -> dict[str, Cell]:
    return {"chat": str(chat), "topic": topic}
