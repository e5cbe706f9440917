"""What came in and what is owed, in the same database as the ledger."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime

from chatbot.chat import ChatRef, Request
from chatbot.errors import StorageError
from chatbot.ports import Delivered, Owed
from chatbot.storage import statements
from chatbot.storage.codec import Cell, dump, instant_of, instant_text, load
from chatbot.storage.records import chat_of, owed_of
from chatbot.storage.session import Session
from chatbot.storage.sql import Step

SECRET_BYTES = 32


class SqlMailbox:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        steps = [_receive(request) for request in requests]
        for chat, at in {str(request.chat): request.received_at for request in requests}.items():
            steps += _back(chat, at)
        if cursor is not None:
            steps.append(Step(statements.PUT_CURSOR, {"name": cursor[0], "value": cursor[1]}))
        if steps:
            await self._session.write(steps)

    async def cursor(self, name: str) -> int | None:
        row = await self._session.first(statements.CURSOR, {"name": name})
        return None if row is None else int(row[0])

    async def unhandled(self) -> tuple[Request, ...]:
        return tuple(load(Request, text) for (text,) in await self._session.rows(statements.UNHANDLED))

    async def due(self, now: datetime, *, limit: int, skip_chats: Collection[str] = ()) -> tuple[Owed, ...]:
        given: dict[str, Cell] = {"now": instant_text(now), "most": limit}
        statement = statements.DUE
        if skip_chats:
            given["skipped"] = json.dumps(list(skip_chats))
            statement = statements.DUE_ELSEWHERE
        rows = await self._session.rows(statement, given)
        return tuple(owed_of(row) for row in rows)

    async def due_beside(self, owed: Owed, now: datetime, *, limit: int) -> tuple[Owed, ...]:
        given: dict[str, Cell] = {
            "now": instant_text(now),
            "most": limit,
            "chat": str(owed.message.chat),
            "row_id": owed.row_id,
        }
        rows = await self._session.rows(statements.DUE_BESIDE, given)
        return tuple(owed_of(row) for row in rows)

    async def next_due_at(self) -> datetime | None:
        row = await self._session.first(statements.NEXT_DUE)
        return instant_of(row[0]) if row and row[0] else None

    async def sent_since(self, at: datetime) -> tuple[tuple[ChatRef, datetime], ...]:
        rows = await self._session.rows(statements.SENT_SINCE, {"at": instant_text(at)})
        return tuple((chat_of(chat, private=bool(private)), instant_of(sent)) for chat, private, sent in rows)

    async def delivered(self, results: Sequence[Delivered], now: datetime) -> None:
        if results:
            cells = [_delivered(result, now) for result in results]
            named = [each for each in cells if each["message_id"] is not None]
            marks = [Step(statements.DELIVERED, each) for each in cells]
            await self._session.write(marks + [Step(statements.SLOT_OF_ROW, each) for each in named])

    async def postpone(self, row_id: int, not_before: datetime, *, reason: str) -> None:
        cells: dict[str, Cell] = {"row_id": row_id, "not_before": instant_text(not_before), "reason": reason}
        await self._session.write([Step(statements.POSTPONE, cells)])

    async def abandon(self, row_ids: Sequence[int], *, reason: str) -> None:
        if row_ids:
            await self._session.write(
                [Step(statements.ABANDON, {"row_id": each, "reason": reason}) for each in row_ids]
            )

    async def chat_unreachable(self, chat: ChatRef) -> None:
        steps = [
            Step(statements.ABANDON_CHAT, {"chat": str(chat), "reason": "chat unreachable"}),
            Step(statements.HOME_IS_GONE, {"home": str(chat)}),
        ]
        await self._session.write(steps)

    async def remember_message(self, chat: ChatRef, slot: str, message_id: str) -> None:
        await self._session.write(
            [Step(statements.PUT_SLOT, {"chat": str(chat), "slot": slot, "message_id": message_id})]
        )

    async def secret(self, name: str) -> bytes:
        given: dict[str, Cell] = {"name": name}
        row = await self._session.first(statements.SECRET, given)
        if row is None:
            # Whoever comes first decides; the others read what is there.
            await self._session.write(
                [Step(statements.NEW_SECRET, {**given, "value": secrets.token_bytes(SECRET_BYTES)})]
            )
            row = await self._session.first(statements.SECRET, given)
        if row is None:
            raise StorageError("a key was written to the database and cannot be read back")
        return bytes(row[0])


def _receive(request: Request) -> Step:
    cells: dict[str, Cell] = {
        "id": request.id,
        "received_at": instant_text(request.received_at),
        "request": dump(Request, request),
    }
    return Step(statements.RECEIVE, cells)


def _back(chat: str, at: datetime) -> list[Step]:
    """Where it was written, one can write again."""
    return [
        Step(statements.FORGET_EPISODES, {"home": chat, "cleared_at": instant_text(at)}),
        Step(statements.HOME_IS_BACK, {"home": chat}),
    ]


def _delivered(result: Delivered, now: datetime) -> dict[str, Cell]:
    return {"row_id": result.row_id, "message_id": result.message_id, "delivered_at": instant_text(now)}
