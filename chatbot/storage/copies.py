"""What becomes of a database that was restored from a copy.

The mark is a row of ``cursors``, which every schema has: seconds since 1970.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.operation import OperationStatus
from chatbot.ports import AuditEntry
from chatbot.storage import statements
from chatbot.storage.codec import Cell, instant_text
from chatbot.storage.key_statements import withdraw_tickets
from chatbot.storage.records import AUDIT, OutboxState
from chatbot.storage.session import Session
from chatbot.storage.sql import Statement, Step, constant, equal, insert_new, one_of, parameter, update
from chatbot.storage.tables import (
    ACCOUNTS,
    CURSORS,
    EPISODES,
    HEDGES,
    INBOX,
    INVITES,
    OPERATIONS,
    OUTBOX,
    QUOTES,
    SECRETS,
)

COPIED_AT = "copied at"
RESTORED_AT = "restored at"
BUTTONS = "buttons"
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
BEGUN = "another process has begun on this copy"

_UNFINISHED = [status for status in OperationStatus if not status.final]

MARK = Statement(insert_new(CURSORS, ["name", "value"]))
DROP_CURSOR = Statement(sa.delete(CURSORS).where(*equal(CURSORS, ["name"])))
ALL_WAIT = Statement(update(ACCOUNTS, ["restored_from"]))


def _freeze_hedges() -> Statement:
    number = parameter("attempt")
    attempt = sa.case((HEDGES.c.attempt < number, number), else_=HEDGES.c.attempt)
    frozen = update(HEDGES, ["reason"], status=HedgeStatus.FROZEN)
    frozen = frozen.values(attempt=attempt, version=HEDGES.c.version + constant(1))
    return Statement(frozen.where(HEDGES.c.status != constant(HedgeStatus.CLOSED)))


FREEZE_HEDGES = _freeze_hedges()
FREEZE_OPERATIONS = Statement(
    update(OPERATIONS, ["reason", "finished_at"], status=OperationStatus.FROZEN)
    .values(version=OPERATIONS.c.version + constant(1))
    .where(one_of(OPERATIONS.c.status, _UNFINISHED))
)
DROP_OWED = Statement(
    update(OUTBOX, ["reason"], state=OutboxState.ABANDONED).where(
        OUTBOX.c.state == constant(OutboxState.PENDING)
    )
)
DROP_RECEIVED = Statement(update(INBOX, (), handled=1, request="").where(INBOX.c.handled == constant(0)))
SPEND_OFFERS = Statement(
    update(QUOTES, ["used_at"], used_by="restored", choice="restored").where(QUOTES.c.used_at.is_(None))
)
SPEND_INVITES = Statement(update(INVITES, ["used_at"]).where(INVITES.c.used_at.is_(None)))
END_EPISODES = Statement(update(EPISODES, ["cleared_at"]).where(EPISODES.c.cleared_at.is_(None)))
DROP_SECRET = Statement(sa.delete(SECRETS).where(*equal(SECRETS, ["name"])))


class SqlCopies:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def copied_at(self) -> datetime | None:
        return await self._instant(COPIED_AT)

    async def restored_at(self) -> datetime | None:
        return await self._instant(RESTORED_AT)

    async def begin(self, copied_at: datetime, now: datetime, *, why: str) -> None:
        """An alert that still holds rises anew; a button of before is a forged one from now on."""
        await self._session.write(
            [
                Step(DROP_CURSOR, {"name": COPIED_AT}, BEGUN),
                Step(statements.PUT_CURSOR, {"name": RESTORED_AT, "value": seconds_of(now)}),
                *_end_all(instant_text(now), why),
                Step(ALL_WAIT, {"restored_from": instant_text(copied_at)}),
                Step(FREEZE_HEDGES, {"reason": why, "attempt": _attempt(now)}),
                Step(DROP_SECRET, {"name": BUTTONS}),
                Step(statements.NEW_AUDIT, AUDIT.encode(AuditEntry(now, None, "restored", why))),
            ]
        )

    async def _instant(self, name: str) -> datetime | None:
        row = await self._session.first(statements.CURSOR, {"name": name})
        return None if row is None else datetime.fromtimestamp(int(row[0]), UTC)


def _end_all(now: Cell, why: str) -> list[Step]:
    return [
        Step(FREEZE_OPERATIONS, {"reason": why, "finished_at": now}),
        Step(DROP_OWED, {"reason": why}),
        Step(DROP_RECEIVED, {}),
        Step(SPEND_OFFERS, {"used_at": now}),
        Step(withdraw_tickets(), {"used_at": now}),
        Step(SPEND_INVITES, {"used_at": now}),
        Step(END_EPISODES, {"cleared_at": now}),
    ]


def seconds_of(instant: datetime) -> int:
    return int(instant.timestamp())


def _attempt(now: datetime) -> int:
    """Beyond what any ledger that began on this copy before can have used: it grows faster than orders do."""
    return (now - EARLIEST) // timedelta(seconds=1)
