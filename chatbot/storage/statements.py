"""Everything that is asked of the database."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from chatbot.chat import ALERT, Part
from chatbot.domain.hedge import HedgeStatus, LegRole
from chatbot.domain.intent import FINAL, IntentStatus, Purpose
from chatbot.domain.operation import OperationStatus
from chatbot.storage.records import (
    ACCOUNT,
    ACCOUNT_COLUMNS,
    AUDIT,
    CHAT_COLUMNS,
    EPISODE,
    FILL_COLUMNS,
    FUNDING_COLUMNS,
    HEDGE,
    INTENT,
    LEG,
    NOTE,
    OPERATION,
    OUTBOX_COLUMNS,
    OWED_COLUMNS,
    QUOTE_COLUMNS,
    USER_COLUMNS,
    OutboxState,
)
from chatbot.storage.sql import (
    Statement,
    columns,
    constant,
    equal,
    insert,
    insert_from,
    insert_new,
    members,
    numbers,
    one_of,
    or_update,
    parameter,
    update,
    upsert,
)
from chatbot.storage.tables import (
    ACCOUNTS,
    CHATS,
    CURSORS,
    EPISODES,
    FILLS,
    FUNDING,
    HEDGES,
    INBOX,
    INTENT_NOTES,
    INTENTS,
    LEASES,
    LEGS,
    MESSAGE_SLOTS,
    OPERATIONS,
    OUTBOX,
    QUOTES,
    SECRETS,
    TICKS,
    USERS,
)
from chatbot.storage.tables import AUDIT as AUDIT_TABLE

# --- people -------------------------------------------------------------------------------------

_USERS = sa.select(*columns(USERS, USER_COLUMNS), CHATS.c.private).join_from(USERS, CHATS)


def _put_account() -> Statement:
    """An account stays with its user, and waits until it is reconciled, whatever else is written of it."""
    new = insert(ACCOUNTS, ACCOUNT_COLUMNS)
    changing = [name for name in ACCOUNT.fields if name not in ("id", "user_id", "restored_from")]
    return Statement(or_update(new, changing, key=["id"], where=ACCOUNTS.c.user_id == new.excluded.user_id))


PUT_CHAT = Statement(upsert(CHATS, CHAT_COLUMNS, key=["id"]))
PUT_USER = Statement(upsert(USERS, USER_COLUMNS, key=["id"]))
PUT_ACCOUNT = _put_account()
RECONCILED = Statement(sa.update(ACCOUNTS).values(restored_from=sa.null()).where(*equal(ACCOUNTS, ["id"])))
USER = Statement(_USERS.where(*equal(USERS, ["id"])))
USER_BY_REF = Statement(_USERS.where(*equal(USERS, ["platform", "platform_id"])))
ALL_USERS = Statement(_USERS.order_by(USERS.c.created_at, USERS.c.id))
HOME_IS_GONE = Statement(update(USERS, (), reachable=0).where(*equal(USERS, ["home"])))
HOME_IS_BACK = Statement(
    update(USERS, (), reachable=1).where(*equal(USERS, ["home"]), USERS.c.reachable == constant(0))
)


_ACCOUNTS = sa.select(*columns(ACCOUNTS, ACCOUNT.fields))
_BY_AGE = (ACCOUNTS.c.created_at, ACCOUNTS.c.id)

ACCOUNT_BY_ID = Statement(_ACCOUNTS.where(*equal(ACCOUNTS, ["id"])))
FORMER_ACCOUNTS = Statement(
    _ACCOUNTS.where(*equal(ACCOUNTS, ["user_id"]), ACCOUNTS.c.disconnected_at.is_not(None)).order_by(*_BY_AGE)
)


_CONNECTED = _ACCOUNTS.where(ACCOUNTS.c.disconnected_at.is_(None))
ACCOUNT_BEHIND = Statement(
    _CONNECTED.where(*equal(ACCOUNTS, ["venue", "owner"]), ACCOUNTS.c.owner != constant(""))
)

SHARDS = "shards"  # a parameter: those of this process


def _dealt(table: sa.Table) -> sa.ColumnElement[bool]:
    return table.c.shard.in_(numbers(SHARDS))


def _dealt_account(table: sa.Table) -> sa.ColumnElement[bool]:
    return table.c.account_id.in_(sa.select(ACCOUNTS.c.id).where(_dealt(ACCOUNTS)))


@cache
def accounts(*by: str) -> Statement:
    given = [_dealt(ACCOUNTS)] if by == (SHARDS,) else equal(ACCOUNTS, by)
    return Statement(_CONNECTED.where(*given).order_by(*_BY_AGE))


# --- hedges -------------------------------------------------------------------------------------

_PRIMARY, _OFFSET = LEGS.alias("primary_leg"), LEGS.alias("offset_leg")


def _leg_of(leg: sa.FromClause, role: LegRole) -> sa.ColumnElement[bool]:
    return sa.and_(leg.c.hedge_id == HEDGES.c.id, leg.c.role == constant(role))


_HEDGES = sa.select(
    *columns(HEDGES, HEDGE.fields), *columns(_PRIMARY, LEG.fields), *columns(_OFFSET, LEG.fields)
).select_from(
    # LEFT though each hedge has a primary leg: so SQLite begins with the few live hedges, not with all legs.
    HEDGES.outerjoin(_PRIMARY, _leg_of(_PRIMARY, LegRole.PRIMARY)).outerjoin(
        _OFFSET, _leg_of(_OFFSET, LegRole.OFFSET)
    )
)


def _but(fields: Sequence[str], *fixed: str) -> list[str]:
    """What never changes is not written again: that would have keys checked and indexes renewed."""
    return [name for name in fields if name not in fixed]


NEW_HEDGE = Statement(insert(HEDGES, HEDGE.fields))
SET_HEDGE = Statement(
    update(HEDGES, _but(HEDGE.fields, "id", "number", "user_id", "account_id", "symbol")).where(
        *equal(HEDGES, ["id"]), HEDGES.c.version == parameter("version_read")
    )
)
PUT_LEG = Statement(upsert(LEGS, ("hedge_id", *LEG.fields), key=["hedge_id", "role"]))
DROP_LEG = Statement(sa.delete(LEGS).where(*equal(LEGS, ["hedge_id", "role"])))
HEDGE_BY_ID = Statement(_HEDGES.where(*equal(HEDGES, ["id"])))
HEDGE_BY_NUMBER = Statement(_HEDGES.where(*equal(HEDGES, ["user_id", "number"])))
NEWEST_HEDGES = Statement(
    _HEDGES.where(*equal(HEDGES, ["user_id"]))
    .order_by(HEDGES.c.number.desc())
    .limit(parameter("most"))
    .offset(constant(0))  # which Core would make a parameter
)
LAST_NUMBER = Statement(sa.select(sa.func.max(HEDGES.c.number)).where(*equal(HEDGES, ["user_id"])))


@cache
def live_hedges(*by: str) -> Statement:
    live = HEDGES.c.status != constant(HedgeStatus.CLOSED)
    given = [_dealt_account(HEDGES)] if by == (SHARDS,) else equal(HEDGES, by)
    return Statement(_HEDGES.where(live, *given))


@cache
def fired_hedges(*by: str) -> Statement:
    """Live ones of which an order that closes at a price has filled."""
    live = HEDGES.c.status != constant(HedgeStatus.CLOSED)
    fired = sa.exists().where(
        INTENTS.c.hedge_id == HEDGES.c.id,
        INTENTS.c.purpose == constant(Purpose.CLOSE_AT_PRICE),
        INTENTS.c.status == constant(IntentStatus.FILLED),
    )
    given = [_dealt_account(HEDGES)] if by == (SHARDS,) else []
    return Statement(_HEDGES.where(live, fired, *given))


# --- operations and their orders ----------------------------------------------------------------

_OPERATIONS = sa.select(*columns(OPERATIONS, OPERATION.fields))
_BY_START = (OPERATIONS.c.started_at, OPERATIONS.c.id)

_OF_OPERATION = ("user_id", "account_id", "hedge_id", "symbol", "quote_id", "chat")

NEW_OPERATION = Statement(insert(OPERATIONS, OPERATION.fields))
SET_OPERATION = Statement(
    update(OPERATIONS, _but(OPERATION.fields, "id", "kind", *_OF_OPERATION)).where(
        *equal(OPERATIONS, ["id"]), OPERATIONS.c.version == parameter("version_read")
    )
)
OPERATION_BY_ID = Statement(_OPERATIONS.where(*equal(OPERATIONS, ["id"])))
OPERATIONS_OF_QUOTE = Statement(_OPERATIONS.where(*equal(OPERATIONS, ["quote_id"])).order_by(*_BY_START))


@cache
def unfinished_operations(*by: str) -> Statement:
    unfinished = [status for status in OperationStatus if not status.final]
    given = [_dealt_account(OPERATIONS)] if by == (SHARDS,) else equal(OPERATIONS, by)
    found = _OPERATIONS.where(one_of(OPERATIONS.c.status, unfinished), *given)
    return Statement(found.order_by(*_BY_START))


def _put_intent() -> Statement:
    """An id stays with its operation, a final status stays final, and nothing becomes unsent again."""
    new = insert(INTENTS, INTENT.fields)
    may_follow = sa.and_(
        new.excluded.status != constant(IntentStatus.JOURNALED),
        sa.not_(one_of(INTENTS.c.status, sorted(FINAL))),
    )
    where = sa.and_(
        INTENTS.c.operation_id == new.excluded.operation_id,
        sa.or_(INTENTS.c.status == new.excluded.status, may_follow),
    )
    changing = ["status", "venue_order_id", "filled_quantity", "average_price", "fee", "reason"]
    return Statement(or_update(new, changing, key=["client_order_id"], where=where))


PUT_INTENT = _put_intent()
NEW_NOTE = Statement(insert(INTENT_NOTES, NOTE.fields))
NOTES = Statement(
    sa.select(*columns(INTENT_NOTES, NOTE.fields))
    .where(*equal(INTENT_NOTES, ["client_order_id"]))
    .order_by(INTENT_NOTES.c.seq)
)


@cache
def intents(*by: str) -> Statement:
    found = sa.select(*columns(INTENTS, INTENT.fields)).where(*equal(INTENTS, by))
    return Statement(found.order_by(INTENTS.c.seq))


# --- money --------------------------------------------------------------------------------------

NEW_FILL = Statement(insert(FILLS, FILL_COLUMNS))
NEW_PAYMENT = Statement(insert(FUNDING, FUNDING_COLUMNS))
FILL_KEYS = Statement(sa.select(FILLS.c.key).where(*equal(FILLS, ["account_id"])))
FILLS_OF_HEDGE = Statement(
    sa.select(*columns(FILLS, FILL_COLUMNS))
    .where(*equal(FILLS, ["hedge_id"]))
    .order_by(FILLS.c.at, FILLS.c.seq)
)
FUNDING_OF_HEDGE = Statement(
    sa.select(*columns(FUNDING, FUNDING_COLUMNS))
    .where(*equal(FUNDING, ["hedge_id"]))
    .order_by(FUNDING.c.at, FUNDING.c.seq)
)

# --- quotes, alerts, audit ----------------------------------------------------------------------

NEW_QUOTE = Statement(insert(QUOTES, QUOTE_COLUMNS))
SPEND_QUOTE = Statement(
    update(QUOTES, ["used_at", "used_by", "choice"]).where(*equal(QUOTES, ["id"]), QUOTES.c.used_at.is_(None))
)
QUOTE = Statement(sa.select(*columns(QUOTES, QUOTE_COLUMNS)).where(*equal(QUOTES, ["id"])))

PUT_EPISODE = Statement(upsert(EPISODES, EPISODE.fields, key=["user_id", "key", "since"]))
ACTIVE_EPISODES = Statement(
    sa.select(*columns(EPISODES, EPISODE.fields))
    .where(*equal(EPISODES, ["user_id"]), EPISODES.c.cleared_at.is_(None))
    .order_by(EPISODES.c.since, EPISODES.c.seq)
)

# Who was away is told anew what still holds.
FORGET_EPISODES = Statement(
    update(EPISODES, ["cleared_at"]).where(
        EPISODES.c.cleared_at.is_(None),
        EPISODES.c.user_id.in_(
            sa.select(USERS.c.id).where(*equal(USERS, ["home"]), USERS.c.reachable == constant(0))
        ),
    )
)

NEW_AUDIT = Statement(insert(AUDIT_TABLE, AUDIT.fields))

# --- what came in -------------------------------------------------------------------------------

RECEIVE = Statement(insert_new(INBOX, ["id", "received_at", "request", "shard"], handled=0))
# What was typed is not kept.
HANDLED = Statement(update(INBOX, (), handled=1, request="").where(*equal(INBOX, ["id"])))
_UNHANDLED = sa.select(INBOX.c.request).where(INBOX.c.handled == constant(0)).order_by(INBOX.c.seq)
UNHANDLED = Statement(_UNHANDLED)
UNHANDLED_HERE = Statement(_UNHANDLED.where(_dealt(INBOX)))
PUT_CURSOR = Statement(upsert(CURSORS, ["name", "value"], key=["name"]))
CURSOR = Statement(sa.select(CURSORS.c.value).where(*equal(CURSORS, ["name"])))
NEW_SECRET = Statement(insert_new(SECRETS, ["name", "value"]))
PUT_SECRET = Statement(upsert(SECRETS, ["name", "value"], key=["name"]))
SECRET = Statement(sa.select(SECRETS.c.value).where(*equal(SECRETS, ["name"])))

# --- what is owed -------------------------------------------------------------------------------

_PENDING = OUTBOX.c.state == constant(OutboxState.PENDING)
_ROW = OUTBOX.c.id == parameter("row_id")
_SLOT = ("chat", "slot")

# Of two that owe to one slot at once, the second sees what the first owes, and its row comes later.
HOLD_SLOT = Statement(
    sa.select(
        sa.func.pg_advisory_xact_lock(
            sa.func.hashtextextended(
                sa.func.concat(parameter("chat", sa.Text), constant(" "), parameter("slot", sa.Text)),
                constant(0),
            )
        )
    ),
    among_many=True,
)
OWE = Statement(insert_new(OUTBOX, OUTBOX_COLUMNS, state=OutboxState.PENDING, tries=0, reason=""))


def _older(of: tuple[str, str] = _SLOT) -> sa.ColumnElement[bool]:
    """What else of the slot still waits."""
    newest = OUTBOX.alias("newest")
    limit = sa.select(newest.c.id).where(*equal(newest, ["dedupe_key"])).scalar_subquery()
    return sa.and_(*equal(OUTBOX, of), _PENDING, OUTBOX.c.id < limit)


def _put_slot_from(found: sa.Select[Any]) -> Statement:
    put = insert_from(MESSAGE_SLOTS, [*_SLOT, "message_id"], found)
    return Statement(or_update(put, ["message_id"], key=_SLOT))


SUPERSEDE = Statement(update(OUTBOX, (), state=OutboxState.SUPERSEDED).where(_older()))
# A dropped message that was to edit a card hands the card on: else its successor would be sent anew.
INHERIT_CARD = _put_slot_from(
    sa.select(*columns(OUTBOX, [*_SLOT, "replaces"])).where(_older(), OUTBOX.c.replaces.is_not(None))
)
SLOT_OF_ROW = _put_slot_from(
    sa.select(*columns(OUTBOX, _SLOT), parameter("message_id", sa.Text)).where(
        _ROW, OUTBOX.c.slot.is_not(None)
    )
)
PUT_SLOT = Statement(upsert(MESSAGE_SLOTS, [*_SLOT, "message_id"], key=_SLOT))

_TOPIC = ("chat", "topic")
_WAITING = sa.and_(*equal(OUTBOX, _TOPIC), _PENDING)

SUPERSEDE_TOPIC = Statement(update(OUTBOX, (), state=OutboxState.SUPERSEDED).where(_older(_TOPIC)))
WITHDRAW = Statement(update(OUTBOX, (), state=OutboxState.SUPERSEDED).where(_WAITING))
RESTATE = Statement(
    update(OUTBOX, ["reply", "priority", "expires_at"]).where(_WAITING, OUTBOX.c.part != constant(Part.ENDS))
)
WAITING = Statement(
    sa.select(OUTBOX.c.topic, OUTBOX.c.reply)
    .where(*equal(OUTBOX, ["chat"]), OUTBOX.c.topic.is_not(None), _PENDING)
    .order_by(OUTBOX.c.topic, OUTBOX.c.id)
)


def _moot() -> sa.ColumnElement[int]:
    """An end of which the chat knows no beginning: what it heard last was an end, or it never heard of it."""
    other = OUTBOX.alias("other")
    ended = sa.case((other.c.part == constant(Part.ENDS), constant(1)), else_=constant(0))
    last_heard = _before(other, ended).where(other.c.state == constant(OutboxState.DELIVERED))
    unheard = _before(other, constant(1)).where(other.c.part == constant(Part.BEGINS))
    moot = sa.func.coalesce(last_heard.scalar_subquery(), unheard.scalar_subquery(), constant(0))
    return sa.case((OUTBOX.c.part == constant(Part.ENDS), moot), else_=constant(0))


def _before(other: sa.FromClause, found: sa.ColumnElement[int]) -> sa.Select[Any]:
    """Of the newest on the topic before this one."""
    return (
        sa.select(found)
        .where(other.c.chat == OUTBOX.c.chat, other.c.topic == OUTBOX.c.topic, other.c.id < OUTBOX.c.id)
        .order_by(other.c.id.desc())
        .limit(constant(1))
        .offset(constant(0))  # which Core would make a parameter
    )


_DUE = (
    sa.select(*columns(OUTBOX, OWED_COLUMNS), MESSAGE_SLOTS.c.message_id, _moot())
    .select_from(
        OUTBOX.outerjoin(
            MESSAGE_SLOTS,
            sa.and_(MESSAGE_SLOTS.c.chat == OUTBOX.c.chat, MESSAGE_SLOTS.c.slot == OUTBOX.c.slot),
        )
    )
    .where(_PENDING, OUTBOX.c.not_before <= parameter("now"))
    .order_by(OUTBOX.c.priority, OUTBOX.c.id)
    .limit(parameter("most"))
    .offset(constant(0))  # which Core would make a parameter
)
DUE_BESIDE = Statement(
    _DUE.where(
        *equal(OUTBOX, ["chat"]),
        OUTBOX.c.id != parameter("row_id"),
        OUTBOX.c.dedupe_key.startswith(constant(ALERT)),
    )
)
_NEXT_DUE = sa.select(sa.func.min(OUTBOX.c.not_before)).where(_PENDING)


@cache
def due(*but: str) -> Statement:
    """``skipped``: chats to pass over; ``SHARDS``: only those."""
    found = _DUE
    if "skipped" in but:
        found = found.where(OUTBOX.c.chat.not_in(members("skipped")))
    return Statement(found.where(_dealt(OUTBOX)) if SHARDS in but else found)


@cache
def next_due(*but: str) -> Statement:
    return Statement(_NEXT_DUE.where(_dealt(OUTBOX)) if SHARDS in but else _NEXT_DUE)


SENT_SINCE = Statement(
    sa.select(*columns(OUTBOX, ["chat", "private", "delivered_at"]))
    .where(OUTBOX.c.state == constant(OutboxState.DELIVERED), OUTBOX.c.delivered_at >= parameter("at"))
    .order_by(OUTBOX.c.delivered_at)
)
DELIVERED = Statement(update(OUTBOX, ["delivered_at", "message_id"], state=OutboxState.DELIVERED).where(_ROW))
POSTPONE = Statement(
    update(OUTBOX, ["not_before", "reason"]).values(tries=OUTBOX.c.tries + constant(1)).where(_ROW, _PENDING)
)
ABANDON = Statement(update(OUTBOX, ["reason"], state=OutboxState.ABANDONED).where(_ROW, _PENDING))
ABANDON_CHAT = Statement(
    update(OUTBOX, ["reason"], state=OutboxState.ABANDONED).where(*equal(OUTBOX, ["chat"]), _PENDING)
)

# --- several processes --------------------------------------------------------------------------

# Whoever takes the lease over waits for this transaction, and this one finds out when that has happened.
FENCE = Statement(
    sa.select(LEASES.c.epoch).where(*equal(LEASES, ["name", "holder", "epoch"])).with_for_update(read=True),
    among_many=True,
)
NEW_TICK = Statement(insert(TICKS, ["name", "due_at"]))

# --- forgetting ---------------------------------------------------------------------------------

_BEFORE = parameter("before")

PRUNE = (
    Statement(sa.delete(QUOTES).where(QUOTES.c.expires_at < _BEFORE)),
    Statement(sa.delete(TICKS).where(TICKS.c.due_at < _BEFORE)),
    Statement(sa.delete(INBOX).where(INBOX.c.handled == constant(1), INBOX.c.received_at < _BEFORE)),
    Statement(
        sa.delete(OUTBOX).where(
            sa.not_(_PENDING), sa.func.coalesce(OUTBOX.c.delivered_at, OUTBOX.c.not_before) < _BEFORE
        )
    ),
)
