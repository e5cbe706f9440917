"""What came in and what is owed, in the same database as the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from chatbot.chat import ChatRef, Request
from chatbot.errors import StorageError
from chatbot.ports import Delivered, Owed
from chatbot.storage.codec import Cell, dump, instant_of, instant_text, load
from chatbot.storage.records import OWED_COLUMNS, owed_of
from chatbot.storage.session import Session
from chatbot.storage.sql import Row, Step, insert_new, of, select, upsert

SECRET_BYTES = 32

_RECEIVE = insert_new("inbox", ("id", "received_at", "request", "handled"))
_HOME_IS_BACK = "UPDATE users SET reachable = 1 WHERE home = :chat AND reachable = 0"
_PUT_CURSOR = upsert("cursors", ("name", "value"), key=["name"])
_CURSOR = "SELECT value FROM cursors WHERE name = :name"
_UNHANDLED = "SELECT request FROM inbox WHERE handled = 0 ORDER BY seq"

_DUE = select(
    "outbox o LEFT JOIN message_slots s ON s.chat = o.chat AND s.slot = o.slot",
    (*of("o", OWED_COLUMNS), "s.message_id"),
    "WHERE o.state = 'pending' AND o.not_before <= :now ORDER BY o.priority, o.id",
)
_DUE_CHAT = OWED_COLUMNS.index("chat")
_NEXT_DUE = "SELECT min(not_before) FROM outbox WHERE state = 'pending'"

_DELIVERED = (
    "UPDATE outbox SET state = 'delivered', delivered_at = :at, message_id = :message_id WHERE id = :row_id"
)
_SLOT_OF_ROW = (
    "INSERT INTO message_slots (chat, slot, message_id) "
    "SELECT chat, slot, :message_id FROM outbox WHERE id = :row_id AND slot IS NOT NULL "
    "ON CONFLICT (chat, slot) DO UPDATE SET message_id = excluded.message_id"
)
_POSTPONE = (
    "UPDATE outbox SET tries = tries + 1, not_before = :not_before, reason = :reason "
    "WHERE id = :row_id AND state = 'pending'"
)
_ABANDON = "UPDATE outbox SET state = 'abandoned', reason = :reason WHERE id = :row_id AND state = 'pending'"
_ABANDON_CHAT = (
    "UPDATE outbox SET state = 'abandoned', reason = 'chat unreachable' "
    "WHERE chat = :chat AND state = 'pending'"
)
_HOME_IS_GONE = "UPDATE users SET reachable = 0 WHERE home = :chat"
_PUT_SLOT = upsert("message_slots", ("chat", "slot", "message_id"), key=["chat", "slot"])
_NEW_SECRET = insert_new("secrets", ("name", "value"))
_SECRET = "SELECT value FROM secrets WHERE name = :name"  # noqa: S105 (a statement)


class SqlMailbox:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        steps = [_receive(request) for request in requests]
        steps += [Step(_HOME_IS_BACK, {"chat": chat}) for chat in {str(request.chat) for request in requests}]
        if cursor is not None:
            steps.append(Step(_PUT_CURSOR, {"name": cursor[0], "value": cursor[1]}))
        if steps:
            await self._session.write(steps)

    async def cursor(self, name: str) -> int | None:
        row = await self._session.first(_CURSOR, {"name": name})
        return None if row is None else int(row[0])

    async def unhandled(self) -> tuple[Request, ...]:
        return tuple(load(Request, text) for (text,) in await self._session.rows(_UNHANDLED))

    async def due(self, now: datetime, *, limit: int, skip_chats: Collection[str] = ()) -> tuple[Owed, ...]:
        skipped = frozenset(skip_chats)

        def wanted(row: Row) -> bool:
            return row[_DUE_CHAT] not in skipped

        rows = await self._session.some(_DUE, {"now": instant_text(now)}, wanted=wanted, limit=limit)
        return tuple(owed_of(row) for row in rows)

    async def next_due_at(self) -> datetime | None:
        row = await self._session.first(_NEXT_DUE)
        return instant_of(row[0]) if row and row[0] else None

    async def delivered(self, results: Sequence[Delivered], now: datetime) -> None:
        if results:
            await self._session.write([step for result in results for step in _delivered(result, now)])

    async def postpone(self, row_id: int, not_before: datetime, *, reason: str) -> None:
        cells: dict[str, Cell] = {"row_id": row_id, "not_before": instant_text(not_before), "reason": reason}
        await self._session.write([Step(_POSTPONE, cells)])

    async def abandon(self, row_ids: Sequence[int], *, reason: str) -> None:
        if row_ids:
            await self._session.write(
                [Step(_ABANDON, {"row_id": each, "reason": reason}) for each in row_ids]
            )

    async def chat_unreachable(self, chat: ChatRef) -> None:
        given = {"chat": str(chat)}
        await self._session.write([Step(_ABANDON_CHAT, given), Step(_HOME_IS_GONE, given)])

    async def remember_message(self, chat: ChatRef, slot: str, message_id: str) -> None:
        await self._session.write(
            [Step(_PUT_SLOT, {"chat": str(chat), "slot": slot, "message_id": message_id})]
        )

    async def secret(self, name: str) -> bytes:
        given: dict[str, Cell] = {"name": name}
        row = await self._session.first(_SECRET, given)
        if row is None:
            # Whoever comes first decides; the others read what is there.
            await self._session.write(
                [Step(_NEW_SECRET, {**given, "value": secrets.token_bytes(SECRET_BYTES)})]
            )
            row = await self._session.first(_SECRET, given)
        if row is None:
            raise StorageError("a key was written to the database and cannot be read back")
        return bytes(row[0])


def _receive(request: Request) -> Step:
    cells: dict[str, Cell] = {
        "id": request.id,
        "received_at": instant_text(request.received_at),
        "request": dump(Request, request),
        "handled": 0,
    }
    return Step(_RECEIVE, cells)


def _delivered(result: Delivered, now: datetime) -> Iterator[Step]:
    cells: dict[str, Cell] = {
        "row_id": result.row_id,
        "message_id": result.message_id,
        "at": instant_text(now),
    }
    yield Step(_DELIVERED, cells)
    if result.message_id is not None:
        yield Step(_SLOT_OF_ROW, cells)
