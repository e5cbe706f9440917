"""What the whole database says of how things stand, in one statement and without anybody's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from chatbot.chat import Priority
from chatbot.domain.hedge import HedgeId, HedgeStatus
from chatbot.domain.intent import IntentStatus
from chatbot.domain.operation import OperationStatus
from chatbot.ports import Backlog, Standing, Tally
from chatbot.storage.codec import instant_of
from chatbot.storage.records import OutboxState
from chatbot.storage.session import Session
from chatbot.storage.sql import Row, Statement, constant, one_of
from chatbot.storage.tables import ACCOUNTS, EPISODES, HEDGES, INTENTS, OPERATIONS, OUTBOX

# Answers and the cards of operations are what was asked for; all else is told by itself.
ALERTS = (Priority.CRITICAL, Priority.WARNING, Priority.INFO)

_NO_TEXT: sa.ColumnElement[Any] = sa.cast(sa.null(), sa.Text)
_NO_NUMBER: sa.ColumnElement[Any] = sa.cast(sa.null(), sa.BigInteger)
_COUNT = sa.func.count()


def _line(
    topic: str,
    count: sa.ColumnElement[Any],
    *,
    name: sa.ColumnElement[Any] = _NO_TEXT,
    oldest: sa.ColumnElement[Any] = _NO_TEXT,
    row: sa.ColumnElement[Any] = _NO_NUMBER,
) -> sa.Select[Any]:
    return sa.select(constant(topic), name, count, oldest, row)


def _unknown() -> sa.Select[Any]:
    """From the few operations in flight to their orders: the journal itself only grows."""
    statuses = [status for status in OperationStatus if not status.final]
    in_flight = sa.select(OPERATIONS.c.id).where(one_of(OPERATIONS.c.status, statuses))
    line = _line(
        "unknown", _COUNT, name=sa.func.min(INTENTS.c.hedge_id), oldest=sa.func.min(INTENTS.c.created_at)
    )
    return line.where(
        INTENTS.c.operation_id.in_(in_flight),
        one_of(INTENTS.c.status, [IntentStatus.UNKNOWN, IntentStatus.JOURNALED]),
    )


def _hedges() -> Iterable[sa.Select[Any]]:
    live = HEDGES.c.status != constant(HedgeStatus.CLOSED)
    frozen = HEDGES.c.status == constant(HedgeStatus.FROZEN)
    yield _line("live", _COUNT).select_from(HEDGES).where(live)
    yield _line("frozen", _COUNT, name=sa.func.min(HEDGES.c.id)).where(live, frozen)


def _accounts() -> Iterable[sa.Select[Any]]:
    connected = ACCOUNTS.c.disconnected_at.is_(None)
    yield _line("accounts", _COUNT, name=ACCOUNTS.c.venue).where(connected).group_by(ACCOUNTS.c.venue)
    yield (
        _line("frozen accounts", _COUNT)
        .select_from(ACCOUNTS)
        .where(connected, ACCOUNTS.c.frozen != constant(""))
    )


def _alerts() -> sa.Select[Any]:
    return (
        _line("alerts", _COUNT, name=EPISODES.c.kind)
        .where(EPISODES.c.cleared_at.is_(None))
        .group_by(EPISODES.c.kind)
    )


def _owed() -> Iterable[sa.Select[Any]]:
    pending = OUTBOX.c.state == constant(OutboxState.PENDING)
    alert = sa.or_(*(OUTBOX.c.priority == constant(int(priority)) for priority in ALERTS))
    for topic, which in (("owed", [pending]), ("owed alerts", [pending, alert])):
        due, first = sa.func.min(OUTBOX.c.not_before), sa.func.min(OUTBOX.c.id)
        yield _line(topic, _COUNT, oldest=due, row=first).where(*which)
    yield _line("newest", sa.func.coalesce(sa.func.max(OUTBOX.c.id), constant(0)))


STANDING = Statement(sa.union_all(_unknown(), *_hedges(), *_accounts(), _alerts(), *_owed()))


class SqlCensus:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def standing(self) -> Standing:
        lines: dict[str, list[Row]] = {}
        for topic, *figures in await self._session.rows(STANDING):
            lines.setdefault(topic, []).append(figures)
        return Standing(
            unknown=_tally(lines["unknown"][0]),
            frozen=_tally(lines["frozen"][0]),
            live_hedges=_number(lines, "live"),
            frozen_accounts=_number(lines, "frozen accounts"),
            accounts=_by_name(lines.get("accounts", ())),
            alerts=_by_name(lines.get("alerts", ())),
            owed=_backlog(lines["owed"][0]),
            owed_alerts=_backlog(lines["owed alerts"][0]),
            newest_row=_number(lines, "newest"),
        )


def _number(lines: Mapping[str, list[Row]], topic: str) -> int:
    return int(lines[topic][0][1])


def _by_name(rows: Iterable[Row]) -> dict[str, int]:
    return {str(name): int(count) for name, count, *_ in rows}


def _tally(row: Row) -> Tally:
    name, count, oldest, _ = row
    return Tally(int(count), instant_of(oldest) if oldest else None, HedgeId(name) if name else None)


def _backlog(row: Row) -> Backlog:
    _, count, due_at, first = row
    return Backlog(int(count), first, instant_of(due_at) if due_at else None)
