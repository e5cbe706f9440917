"""The ledger's port over SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chatbot.chat import UserRef
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, UserId
from chatbot.domain.intent import OperationId, OrderIntent
from chatbot.domain.operation import Operation, OperationStatus
from chatbot.domain.quote import Quote, QuoteId
from chatbot.ports import Account, AlertEpisode, BookedFill, BookedFunding, Changes, IntentNote, User
from chatbot.storage.changes import steps_of
from chatbot.storage.codec import Cell, instant_text
from chatbot.storage.records import (
    ACCOUNT,
    EPISODE,
    FILL_COLUMNS,
    FUNDING_COLUMNS,
    HEDGE,
    INTENT,
    LEG,
    NOTE,
    OPERATION,
    QUOTE_COLUMNS,
    USER_COLUMNS,
    booked_fill_of,
    booked_funding_of,
    hedge_of,
    quote_of,
    user_of,
)
from chatbot.storage.session import Session
from chatbot.storage.sql import Step, of, select

_UNFINISHED = ", ".join(repr(status.value) for status in OperationStatus if not status.final)
_USERS = select("users u JOIN chats c ON c.id = u.home", (*of("u", USER_COLUMNS), "c.private"))
_USER = f"{_USERS} WHERE u.id = :id"
_USER_BY_REF = f"{_USERS} WHERE u.platform = :platform AND u.platform_id = :platform_id"
_ALL_USERS = f"{_USERS} ORDER BY u.created_at, u.id"

_ACCOUNT = select("accounts", ACCOUNT.fields, "WHERE id = :id")
_ACCOUNTS = select("accounts", ACCOUNT.fields, "ORDER BY created_at, id")
_ACCOUNTS_OF = select("accounts", ACCOUNT.fields, "WHERE user_id = :user_id ORDER BY created_at, id")

_HEDGES = select(
    # LEFT though each hedge has a primary leg: so SQLite begins with the few live hedges, not with all legs.
    "hedges h LEFT JOIN legs p ON p.hedge_id = h.id AND p.role = 'primary' "
    "LEFT JOIN legs o ON o.hedge_id = h.id AND o.role = 'offset'",
    (*of("h", HEDGE.fields), *of("p", LEG.fields), *of("o", LEG.fields)),
)
_HEDGE = f"{_HEDGES} WHERE h.id = :id"
_HEDGE_BY_NUMBER = f"{_HEDGES} WHERE h.user_id = :user_id AND h.number = :number"
_LIVE = f"{_HEDGES} WHERE h.status <> 'closed'"
_BY_NUMBER = "ORDER BY h.number, h.id"
_LAST_NUMBER = "SELECT max(number) FROM hedges WHERE user_id = :user_id"

_OPERATION = select("operations", OPERATION.fields, "WHERE id = :id")
_OPERATIONS_OF_QUOTE = select(
    "operations", OPERATION.fields, "WHERE quote_id = :quote_id ORDER BY started_at, id"
)
_UNFINISHED_OPERATIONS = select("operations", OPERATION.fields, f"WHERE status IN ({_UNFINISHED})")

_INTENT = select("intents", INTENT.fields, "WHERE client_order_id = :client_order_id")
_INTENTS = select("intents", INTENT.fields)
_NOTES = select("intent_notes", NOTE.fields, "WHERE client_order_id = :client_order_id ORDER BY seq")

_FILL_KEYS = "SELECT key FROM fills WHERE hedge_id = :hedge_id"
_FILLS = select("fills", FILL_COLUMNS, "WHERE hedge_id = :hedge_id ORDER BY at, seq")
_FUNDING = select("funding_payments", FUNDING_COLUMNS, "WHERE hedge_id = :hedge_id ORDER BY at, seq")

_QUOTE = select("quotes", QUOTE_COLUMNS, "WHERE id = :id")
_EPISODES = select(
    "alert_episodes", EPISODE.fields, "WHERE user_id = :user_id AND cleared_at IS NULL ORDER BY since, seq"
)

_PRUNE = (
    "DELETE FROM quotes WHERE expires_at < :before",
    "DELETE FROM inbox WHERE handled = 1 AND received_at < :before",
    "DELETE FROM outbox WHERE state <> 'pending' AND coalesce(delivered_at, not_before) < :before",
)


def _matching(columns: Mapping[str, Cell]) -> tuple[str, dict[str, Cell]]:
    """A condition on the columns that are given."""
    given: dict[str, Cell] = {name: value for name, value in columns.items() if value is not None}
    return " AND ".join(f"{name} = :{name}" for name in given), given


class SqlStore:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def commit(self, changes: Changes) -> None:
        steps = steps_of(changes)
        if steps:
            await self._session.write(steps)

    async def user(self, user_id: UserId) -> User | None:
        row = await self._session.first(_USER, {"id": user_id})
        return None if row is None else user_of(row)

    async def user_by_ref(self, ref: UserRef) -> User | None:
        row = await self._session.first(_USER_BY_REF, {"platform": ref.platform.value, "platform_id": ref.id})
        return None if row is None else user_of(row)

    async def users(self) -> tuple[User, ...]:
        return tuple(user_of(row) for row in await self._session.rows(_ALL_USERS))

    async def account(self, account_id: AccountId) -> Account | None:
        row = await self._session.first(_ACCOUNT, {"id": account_id})
        return None if row is None else ACCOUNT.decode(row)

    async def accounts(self, user_id: UserId | None = None) -> tuple[Account, ...]:
        sql = _ACCOUNTS if user_id is None else _ACCOUNTS_OF
        return tuple(ACCOUNT.decode(row) for row in await self._session.rows(sql, {"user_id": user_id}))

    async def hedge(self, hedge_id: HedgeId) -> Hedge | None:
        row = await self._session.first(_HEDGE, {"id": hedge_id})
        return None if row is None else hedge_of(row)

    async def hedge_by_number(self, user_id: UserId, number: int) -> Hedge | None:
        row = await self._session.first(_HEDGE_BY_NUMBER, {"user_id": user_id, "number": number})
        return None if row is None else hedge_of(row)

    async def live_hedges(
        self, *, account_id: AccountId | None = None, user_id: UserId | None = None
    ) -> tuple[Hedge, ...]:
        condition, given = _matching({"account_id": account_id, "user_id": user_id})
        sql = f"{_LIVE} AND {condition} {_BY_NUMBER}" if given else f"{_LIVE} {_BY_NUMBER}"
        return tuple(hedge_of(row) for row in await self._session.rows(sql, given))

    async def next_hedge_number(self, user_id: UserId) -> int:
        row = await self._session.first(_LAST_NUMBER, {"user_id": user_id})
        return 1 + ((row and row[0]) or 0)

    async def operation(self, operation_id: OperationId) -> Operation | None:
        row = await self._session.first(_OPERATION, {"id": operation_id})
        return None if row is None else OPERATION.decode(row)

    async def operation_of_quote(self, quote_id: QuoteId) -> tuple[Operation, ...]:
        rows = await self._session.rows(_OPERATIONS_OF_QUOTE, {"quote_id": quote_id})
        return tuple(OPERATION.decode(row) for row in rows)

    async def unfinished_operations(self, account_id: AccountId | None = None) -> tuple[Operation, ...]:
        condition, given = _matching({"account_id": account_id})
        sql = f"{_UNFINISHED_OPERATIONS} AND {condition}" if given else _UNFINISHED_OPERATIONS
        rows = await self._session.rows(f"{sql} ORDER BY started_at, id", given)
        return tuple(OPERATION.decode(row) for row in rows)

    async def intent(self, client_order_id: str) -> OrderIntent | None:
        row = await self._session.first(_INTENT, {"client_order_id": client_order_id})
        return None if row is None else INTENT.decode(row)

    async def intents(
        self, *, operation_id: OperationId | None = None, hedge_id: HedgeId | None = None
    ) -> tuple[OrderIntent, ...]:
        condition, given = _matching({"operation_id": operation_id, "hedge_id": hedge_id})
        sql = f"{_INTENTS} WHERE {condition} ORDER BY seq" if given else f"{_INTENTS} ORDER BY seq"
        return tuple(INTENT.decode(row) for row in await self._session.rows(sql, given))

    async def intent_notes(self, client_order_id: str) -> tuple[IntentNote, ...]:
        rows = await self._session.rows(_NOTES, {"client_order_id": client_order_id})
        return tuple(NOTE.decode(row) for row in rows)

    async def booked_fill_keys(self, hedge_id: HedgeId) -> frozenset[str]:
        return frozenset(key for (key,) in await self._session.rows(_FILL_KEYS, {"hedge_id": hedge_id}))

    async def booked_fills(self, hedge_id: HedgeId) -> tuple[BookedFill, ...]:
        rows = await self._session.rows(_FILLS, {"hedge_id": hedge_id})
        return tuple(booked_fill_of(row) for row in rows)

    async def booked_funding(self, hedge_id: HedgeId) -> tuple[BookedFunding, ...]:
        rows = await self._session.rows(_FUNDING, {"hedge_id": hedge_id})
        return tuple(booked_funding_of(row) for row in rows)

    async def quote(self, quote_id: QuoteId) -> Quote | None:
        row = await self._session.first(_QUOTE, {"id": quote_id})
        return None if row is None else quote_of(row)

    async def active_episodes(self, user_id: UserId) -> tuple[AlertEpisode, ...]:
        rows = await self._session.rows(_EPISODES, {"user_id": user_id})
        return tuple(EPISODE.decode(row) for row in rows)

    async def prune(self, before: datetime) -> None:
        given = {"before": instant_text(before)}
        await self._session.write([Step(sql, given) for sql in _PRUNE])
