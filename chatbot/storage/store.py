"""The ledger's port over SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from chatbot.chat import ChatRef, Reply, UserRef
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, UserId
from chatbot.domain.intent import OperationId, OrderIntent
from chatbot.domain.operation import Operation
from chatbot.domain.quote import Quote, QuoteId
from chatbot.ports import (
    Account,
    AlertEpisode,
    BookedFill,
    BookedFunding,
    Changes,
    IntentNote,
    Leases,
    User,
)
from chatbot.storage import key_statements, statements
from chatbot.storage.changes import steps_of
from chatbot.storage.codec import Cell, instant_text, load
from chatbot.storage.fencing import dealt, leases_for, write
from chatbot.storage.records import (
    EPISODE,
    NOTE,
    account_of,
    booked_fill_of,
    booked_funding_of,
    hedge_of,
    intent_of,
    operation_of,
    quote_of,
    user_of,
)
from chatbot.storage.session import Session
from chatbot.storage.sql import Row, Step

PRUNE = (*key_statements.PRUNE_ENTRY, *statements.PRUNE)


def _given(**cells: str | None) -> dict[str, Cell]:
    return {name: value for name, value in cells.items() if value is not None}


def _by_number(rows: Iterable[Row]) -> tuple[Hedge, ...]:
    """Sorted here: a database would carry all the columns through its sorter."""
    return tuple(sorted(map(hedge_of, rows), key=lambda hedge: (hedge.number, hedge.id)))


class SqlStore:
    """Of several processes each sees what is of its own shards, where it asks for all."""

    def __init__(self, session: Session, leases: Leases) -> None:
        self._session = session
        self._leases = leases

    async def commit(self, changes: Changes) -> None:
        steps = steps_of(changes)
        if steps:
            await write(self._session, leases_for(changes, self._leases), steps)

    async def user(self, user_id: UserId) -> User | None:
        row = await self._session.first(statements.USER, {"id": user_id})
        return None if row is None else user_of(row)

    async def user_by_ref(self, ref: UserRef) -> User | None:
        row = await self._session.first(
            statements.USER_BY_REF, {"platform": ref.platform.value, "platform_id": ref.id}
        )
        return None if row is None else user_of(row)

    async def users(self) -> tuple[User, ...]:
        return tuple(user_of(row) for row in await self._session.rows(statements.ALL_USERS))

    async def account(self, account_id: AccountId) -> Account | None:
        row = await self._session.first(statements.ACCOUNT_BY_ID, {"id": account_id})
        return None if row is None else account_of(row)

    async def accounts(self, user_id: UserId | None = None) -> tuple[Account, ...]:
        given = _given(user_id=user_id) or dealt(self._leases)
        rows = await self._session.rows(statements.accounts(*given), given)
        return tuple(account_of(row) for row in rows)

    async def account_behind(self, venue: str, owner: str) -> Account | None:
        row = await self._session.first(statements.ACCOUNT_BEHIND, {"venue": venue, "owner": owner})
        return None if row is None else account_of(row)

    async def former_accounts(self, user_id: UserId) -> tuple[Account, ...]:
        rows = await self._session.rows(statements.FORMER_ACCOUNTS, {"user_id": user_id})
        return tuple(account_of(row) for row in rows)

    async def hedge(self, hedge_id: HedgeId) -> Hedge | None:
        row = await self._session.first(statements.HEDGE_BY_ID, {"id": hedge_id})
        return None if row is None else hedge_of(row)

    async def hedge_by_number(self, user_id: UserId, number: int) -> Hedge | None:
        row = await self._session.first(statements.HEDGE_BY_NUMBER, {"user_id": user_id, "number": number})
        return None if row is None else hedge_of(row)

    async def live_hedges(
        self, *, account_id: AccountId | None = None, user_id: UserId | None = None
    ) -> tuple[Hedge, ...]:
        given = _given(account_id=account_id, user_id=user_id) or dealt(self._leases)
        rows = await self._session.rows(statements.live_hedges(*given), given)
        return _by_number(rows)

    async def fired_hedges(self) -> tuple[Hedge, ...]:
        given = dealt(self._leases)
        return _by_number(await self._session.rows(statements.fired_hedges(*given), given))

    async def newest_hedges(self, user_id: UserId, most: int) -> tuple[Hedge, ...]:
        rows = await self._session.rows(statements.NEWEST_HEDGES, {"user_id": user_id, "most": most})
        return tuple(hedge_of(row) for row in reversed(rows))

    async def next_hedge_number(self, user_id: UserId) -> int:
        row = await self._session.first(statements.LAST_NUMBER, {"user_id": user_id})
        return 1 + ((row and row[0]) or 0)

    async def operation(self, operation_id: OperationId) -> Operation | None:
        row = await self._session.first(statements.OPERATION_BY_ID, {"id": operation_id})
        return None if row is None else operation_of(row)

    async def operation_of_quote(self, quote_id: QuoteId) -> tuple[Operation, ...]:
        rows = await self._session.rows(statements.OPERATIONS_OF_QUOTE, {"quote_id": quote_id})
        return tuple(operation_of(row) for row in rows)

    async def unfinished_operations(self, account_id: AccountId | None = None) -> tuple[Operation, ...]:
        given = _given(account_id=account_id) or dealt(self._leases)
        rows = await self._session.rows(statements.unfinished_operations(*given), given)
        return tuple(operation_of(row) for row in rows)

    async def intent(self, client_order_id: str) -> OrderIntent | None:
        row = await self._session.first(
            statements.intents("client_order_id"), {"client_order_id": client_order_id}
        )
        return None if row is None else intent_of(row)

    async def intents(
        self, *, operation_id: OperationId | None = None, hedge_id: HedgeId | None = None
    ) -> tuple[OrderIntent, ...]:
        given = _given(operation_id=operation_id, hedge_id=hedge_id)
        rows = await self._session.rows(statements.intents(*given), given)
        return tuple(intent_of(row) for row in rows)

    async def intent_notes(self, client_order_id: str) -> tuple[IntentNote, ...]:
        rows = await self._session.rows(statements.NOTES, {"client_order_id": client_order_id})
        return tuple(NOTE.decode(row) for row in rows)

    async def booked_fill_keys(self, account_id: AccountId) -> frozenset[str]:
        return frozenset(
            key for (key,) in await self._session.rows(statements.FILL_KEYS, {"account_id": account_id})
        )

    async def booked_fills(self, hedge_id: HedgeId) -> tuple[BookedFill, ...]:
        rows = await self._session.rows(statements.FILLS_OF_HEDGE, {"hedge_id": hedge_id})
        return tuple(booked_fill_of(row) for row in rows)

    async def booked_funding(self, hedge_id: HedgeId) -> tuple[BookedFunding, ...]:
        rows = await self._session.rows(statements.FUNDING_OF_HEDGE, {"hedge_id": hedge_id})
        return tuple(booked_funding_of(row) for row in rows)

    async def quote(self, quote_id: QuoteId) -> Quote | None:
        row = await self._session.first(statements.QUOTE, {"id": quote_id})
        return None if row is None else quote_of(row)

    async def active_episodes(self, user_id: UserId) -> tuple[AlertEpisode, ...]:
        rows = await self._session.rows(statements.ACTIVE_EPISODES, {"user_id": user_id})
        return tuple(EPISODE.decode(row) for row in rows)

    async def waiting(self, chat: ChatRef) -> Mapping[str, Reply]:
        rows = await self._session.rows(statements.WAITING, {"chat": str(chat)})
        return {topic: load(Reply, reply) for topic, reply in rows}

    async def prune(self, before: datetime) -> None:
        given = {"before": instant_text(before)}
        await self._session.write([Step(statement, given) for statement in PRUNE])
