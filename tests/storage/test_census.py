"""How things stand, counted by the database itself."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.dialects import postgresql

from chatbot.chat import Priority
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import Symbol
from chatbot.domain.intent import IntentStatus
from chatbot.domain.operation import OperationStatus
from chatbot.ports import Backlog, Changes, Delivered, Standing, Tally
from chatbot.storage import schema
from chatbot.storage.census import STANDING
from chatbot.storage.connection import connect
from chatbot.storage.database import Database, open_database
from chatbot.storage.sql import compiled
from tests.storage.samples import (
    ACCOUNT_ID,
    HEDGE_ID,
    NOW,
    account,
    episode,
    hedge,
    intent,
    message,
    operation,
    user,
)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with open_database("sqlite+aiosqlite://") as database:
        yield database


async def write(database: Database, **changes: object) -> None:
    await database.store.commit(Changes(**changes))  # type: ignore[arg-type]


async def furnish(database: Database) -> None:
    await write(database, users=(user(),), accounts=(account(),), hedges=(hedge(),))


async def test_an_empty_database_has_nothing_to_count(database: Database) -> None:
    assert await database.census.standing() == Standing()


async def test_orders_without_an_answer_are_those_of_operations_in_flight(database: Database) -> None:
    await furnish(database)
    orders = (
        replace(intent("HR1"), status=IntentStatus.UNKNOWN, created_at=NOW + timedelta(seconds=1)),
        replace(intent("HR2"), status=IntentStatus.JOURNALED, created_at=NOW),
        replace(intent("HR3"), status=IntentStatus.FILLED),
        replace(intent("HR4", operation_id="op2"), status=IntentStatus.UNKNOWN),
    )
    ended = replace(operation("op2"), status=OperationStatus.FROZEN)
    await write(database, operations=(operation(), ended), intents=orders)

    assert (await database.census.standing()).unknown == Tally(2, NOW, HEDGE_ID)


async def test_hedges_are_counted_while_they_live_and_the_frozen_among_them(database: Database) -> None:
    await furnish(database)
    btc = hedge("h2", number=4, symbol=Symbol("BTC/USDT:USDT"))
    sol = hedge("h3", number=5, symbol=Symbol("SOL/USDT:USDT"))
    await write(
        database,
        hedges=(replace(btc, status=HedgeStatus.FROZEN), replace(sol, status=HedgeStatus.CLOSED)),
    )

    standing = await database.census.standing()

    assert (standing.live_hedges, standing.frozen) == (2, Tally(1, None, btc.id))


async def test_accounts_are_counted_by_venue_while_they_are_connected(database: Database) -> None:
    await furnish(database)
    okx = replace(account("a2"), venue="okx", frozen="")
    gone = replace(account("a3"), disconnected_at=NOW)
    await write(database, accounts=(okx, gone))

    standing = await database.census.standing()

    assert standing.accounts == {"paper": 1, "okx": 1}
    assert standing.frozen_accounts == 1, f"{ACCOUNT_ID} is, and what is disconnected counts no more"


async def test_alerts_are_counted_by_kind_while_they_hold(database: Database) -> None:
    await furnish(database)
    over = replace(episode("#4:liquidation"), cleared_at=NOW)
    await write(database, episodes=(episode("#3:a"), episode("#3:b"), over))

    assert (await database.census.standing()).alerts == {"liquidation": 2}


async def test_messages_are_owed_until_they_are_delivered_and_alerts_are_those_nobody_asked_for(
    database: Database,
) -> None:
    for number, priority in enumerate(Priority):
        await write(database, outbox=(message(f"m{number}", priority=priority),))
    (first, *_) = await database.mailbox.due(NOW, limit=9)
    await database.mailbox.delivered([Delivered(first.row_id, "1")], NOW)

    standing = await database.census.standing()

    assert first.message.priority is Priority.CRITICAL
    assert standing.owed == Backlog(4, 2, NOW)
    assert standing.owed_alerts == Backlog(2, 4, NOW)
    assert standing.newest_row == 5


def test_the_journal_and_what_was_delivered_are_not_read_through() -> None:
    """They only grow; a scrape must cost the same after a year."""
    connection = connect(None)
    schema.create_in(connection)
    plan = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {STANDING.text}")]
    connection.close()

    scans = {step for step in plan if step.startswith("SCAN")}
    assert scans <= {
        "SCAN operations USING INDEX ix_operations_unfinished",
        "SCAN hedges USING INDEX ix_hedges_live_of_user",
        "SCAN hedges USING INDEX ix_hedges_live",
        "SCAN alert_episodes USING INDEX ix_alert_episodes_active",
        "SCAN outbox USING INDEX ix_outbox_pending",
        "SCAN accounts",
    }


def test_it_is_one_statement_on_postgresql_too() -> None:
    text = compiled(STANDING.construct, postgresql.dialect())  # type: ignore[no-untyped-call]

    assert text.count("UNION ALL") == 8
    assert sqlite3.complete_statement(f"{text};")
