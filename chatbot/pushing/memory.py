"""A mailbox without a disk: for tests, and for a console that shall forget."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chatbot.chat import ChatRef, OutboxMessage, Part, Request
from chatbot.ports import Delivered, Owed


class RowState(StrEnum):
    OWED = "owed"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    row_id: int
    message: OutboxMessage
    not_before: datetime
    tries: int = 0
    state: RowState = RowState.OWED
    reason: str = ""


class MemoryMailbox:
    """``chatbot.ports.Mailbox``, and ``settle`` in place of the store's transaction."""

    def __init__(self) -> None:
        self.rows: dict[int, OutboxRow] = {}
        self.unreachable: set[ChatRef] = set()
        self._keys: set[str] = set()
        self._inbox: dict[str, Request | None] = {}  # None: handled
        self._cursors: dict[str, int] = {}
        self._cards: dict[tuple[ChatRef, str], str] = {}
        self._secrets: dict[str, bytes] = {}
        self._sent: list[tuple[ChatRef, datetime]] = []

    async def settle(self, *, handled: Sequence[str] = (), outbox: Sequence[OutboxMessage] = ()) -> None:
        """What ``Store.commit(Changes(handled=…, outbox=…))`` does, in one step too."""
        for request_id in handled:
            self._inbox[request_id] = None
        for message in outbox:
            self._owe(message)

    def _owe(self, message: OutboxMessage) -> None:
        if message.dedupe_key in self._keys:
            return
        self._keys.add(message.dedupe_key)
        row_id = len(self.rows) + 1
        self.rows[row_id] = OutboxRow(row_id, message, message.not_before)

    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        for request in requests:
            self._inbox.setdefault(request.id, request)
        if cursor is not None:
            self._cursors[cursor[0]] = cursor[1]

    async def cursor(self, name: str) -> int | None:
        return self._cursors.get(name)

    async def unhandled(self) -> tuple[Request, ...]:
        return tuple(request for request in self._inbox.values() if request is not None)

    async def due(self, now: datetime, *, limit: int, skip_chats: Collection[str] = ()) -> tuple[Owed, ...]:
        rows = [row for row in self._owed() if row.not_before <= now]
        rows = [row for row in rows if str(row.message.chat) not in skip_chats]
        rows = [row for row in rows if not self._superseded(row)]
        rows.sort(key=lambda row: (row.message.priority, row.row_id))
        return tuple(self._on_its_way(row) for row in rows[:limit])

    async def due_beside(self, owed: Owed, now: datetime, *, limit: int) -> tuple[Owed, ...]:
        due = await self.due(now, limit=len(self.rows))
        chat = owed.message.chat
        beside = [o for o in due if o.message.chat == chat and o.message.alerts and o.row_id != owed.row_id]
        return tuple(beside[:limit])

    def _owed(self) -> list[OutboxRow]:
        return [row for row in self.rows.values() if row.state is RowState.OWED]

    def _superseded(self, row: OutboxRow) -> bool:
        newer = any(other.row_id > row.row_id and _same_subject(other, row) for other in self._owed())
        if newer:
            self._mark(row.row_id, RowState.SUPERSEDED)
        return newer

    def _on_its_way(self, row: OutboxRow) -> Owed:
        card = self._cards.get((row.message.chat, row.message.reply.slot or ""))
        return Owed(row.row_id, row.message, row.tries, row.message.replaces or card, self._moot(row))

    def _moot(self, row: OutboxRow) -> bool:
        """An end of which the chat knows no beginning."""
        before = [each for each in self.rows.values() if each.row_id < row.row_id and _same_topic(each, row)]
        heard = [each.message.part for each in before if each.state is RowState.DELIVERED]
        unheard = [each for each in before if each.message.part is Part.BEGINS]
        known = heard[-1] is not Part.ENDS if heard else not unheard
        return row.message.part is Part.ENDS and not known

    async def next_due_at(self) -> datetime | None:
        return min((row.not_before for row in self._owed()), default=None)

    async def sent_since(self, at: datetime) -> tuple[tuple[ChatRef, datetime], ...]:
        return tuple((chat, sent) for chat, sent in self._sent if sent >= at)

    async def delivered(self, results: Sequence[Delivered], now: datetime) -> None:
        for result in results:
            self._mark(result.row_id, RowState.DELIVERED)
            message = self.rows[result.row_id].message
            self._sent.append((message.chat, now))
            if result.message_id is not None and message.reply.slot is not None:
                self._cards[message.chat, message.reply.slot] = result.message_id

    async def postpone(self, row_id: int, not_before: datetime, *, reason: str) -> None:
        row = self.rows[row_id]
        self.rows[row_id] = replace(row, not_before=not_before, tries=row.tries + 1, reason=reason)

    async def abandon(self, row_ids: Sequence[int], *, reason: str) -> None:
        for row_id in row_ids:
            self._mark(row_id, RowState.ABANDONED, reason)

    async def chat_unreachable(self, chat: ChatRef) -> None:
        self.unreachable.add(chat)
        lost = [row.row_id for row in self._owed() if row.message.chat == chat]
        await self.abandon(lost, reason="chat unreachable")

    async def remember_message(self, chat: ChatRef, slot: str, message_id: str) -> None:
        self._cards[chat, slot] = message_id

    async def secret(self, name: str) -> bytes:
        return self._secrets.setdefault(name, secrets.token_bytes(32))

    def _mark(self, row_id: int, state: RowState, reason: str = "") -> None:
        self.rows[row_id] = replace(self.rows[row_id], state=state, reason=reason)


def _same_subject(row: OutboxRow, other: OutboxRow) -> bool:
    return _same_card(row, other) or _same_topic(row, other)


def _same_topic(row: OutboxRow, other: OutboxRow) -> bool:
    topic = row.message.topic
    return topic is not None and topic == other.message.topic and row.message.chat == other.message.chat


def _same_card(row: OutboxRow, other: OutboxRow) -> bool:
    slot = row.message.reply.slot
    return slot is not None and slot == other.message.reply.slot and row.message.chat == other.message.chat
