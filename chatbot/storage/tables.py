"""The schema.

Money is TEXT (a ``Decimal`` in and out, to the digit); instants are TEXT in ISO 8601, UTC, with microseconds,
so that they sort; flags are 0 or 1; ``preferences``, ``targets``, ``request``, ``offer``, ``positions``,
``reference_prices``, ``reply`` and ``report`` are JSON. The unique constraints carry the invariants that no
code path may break.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import SchemaItem

from chatbot.storage.kinds import NUMBER, TEXT

METADATA = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _table(name: str, *items: SchemaItem, rowid: bool = True) -> sa.Table:
    return sa.Table(name, METADATA, *items, sqlite_strict=True, sqlite_with_rowid=rowid)


def _text(name: str, *items: SchemaItem) -> sa.Column[str]:
    return sa.Column(name, TEXT, *items, nullable=False)


def _maybe(name: str, *items: SchemaItem) -> sa.Column[str]:
    return sa.Column(name, TEXT, *items, nullable=True)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, NUMBER, nullable=False)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, TEXT, primary_key=True)


def _sequence(name: str = "seq") -> sa.Column[int]:
    return sa.Column(name, NUMBER, sa.Identity(), primary_key=True)


def _where(condition: str) -> dict[str, Any]:
    """Of an index over a part of the rows."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _of(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(column)


CHATS = _table("chats", _key("id"), _text("platform"), _text("platform_id"), _number("private"), rowid=False)

USERS = _table(
    "users",
    _key("id"),
    _text("platform"),
    _text("platform_id"),
    _text("home", _of("chats.id")),
    _text("name"),
    _text("created_at"),
    _text("preferences"),
    _number("reachable"),
    sa.UniqueConstraint("platform", "platform_id"),
    sa.Index(None, "home"),
    rowid=False,
)

ACCOUNTS = _table(
    "accounts",
    _key("id"),
    _text("user_id", _of("users.id")),
    _text("venue"),
    _text("label"),
    _text("created_at"),
    _text("frozen"),
    sa.Column("owner", TEXT, nullable=False, server_default=""),
    _maybe("disconnected_at"),
    _maybe("restored_from"),
    sa.Index(None, "user_id"),
    rowid=False,
)

# A data key for each row encrypts the credentials, the master key the data key; all bound to the account.
CREDENTIALS = _table(
    "credentials",
    sa.Column("account_id", TEXT, _of("accounts.id"), primary_key=True),
    _text("master_key_id"),
    _bytes("key_nonce"),
    _bytes("wrapped_key"),
    _bytes("nonce"),
    _bytes("ciphertext"),
    _text("fingerprint"),
    _text("hint"),
    _maybe("report"),
    _maybe("checked_at"),
    sa.UniqueConstraint("fingerprint"),
    rowid=False,
)

TICKETS = _table(
    "tickets",
    _key("reference"),
    _text("digest"),
    _text("kind"),
    _text("user_id", _of("users.id")),
    _text("chat"),
    _text("venue"),
    _text("created_at"),
    _text("expires_at"),
    _number("attempts"),
    _maybe("used_at"),
    sa.UniqueConstraint("digest"),
    sa.Index(None, "user_id"),
    rowid=False,
)

INVITES = _table(
    "invites", _key("digest"), _text("created_at"), _text("expires_at"), _maybe("used_at"), rowid=False
)

ADMITTED = _table("admitted_users", _key("platform"), _key("platform_id"), _text("admitted_at"), rowid=False)

HEDGES = _table(
    "hedges",
    _key("id"),
    _number("number"),
    _text("user_id", _of("users.id")),
    _text("account_id", _of("accounts.id")),
    _text("symbol"),
    _text("opened_at"),
    _text("status"),
    _maybe("closed_at"),
    _text("reason"),
    _number("attempt"),
    _number("version"),
    _maybe("fills_seen_at"),
    _maybe("funding_seen_at"),
    sa.Column("protected", TEXT, nullable=False, server_default="primary"),
    _maybe("unread_from"),
    _maybe("unread_until"),
    sa.UniqueConstraint("user_id", "number"),
    sa.Index("ix_hedges_live", "account_id", "symbol", unique=True, **_where("status <> 'closed'")),
    sa.Index("ix_hedges_live_of_user", "user_id", "number", **_where("status <> 'closed'")),
    rowid=False,
)

LEGS = _table(
    "legs",
    sa.Column("hedge_id", TEXT, _of("hedges.id"), primary_key=True),
    _key("role"),
    _text("side"),
    _text("quantity"),
    _text("entry_price"),
    _text("leverage"),
    _text("margin_mode"),
    _text("fees_paid"),
    _text("funding"),
    _text("realized_pnl"),
    _number("adopted"),
    sa.Column("unpriced", TEXT, nullable=False, server_default="0"),
    sa.Column("unpriced_entry", TEXT, nullable=False, server_default="0"),
    rowid=False,
)

OPERATIONS = _table(
    "operations",
    _key("id"),
    _text("kind"),
    _text("user_id", _of("users.id")),
    _text("account_id", _of("accounts.id")),
    _text("hedge_id", _of("hedges.id")),
    _text("symbol"),
    _text("quote_id"),
    _text("chat"),
    _text("targets"),
    _text("started_at"),
    _text("deadline_at"),
    _maybe("way"),
    _text("status"),
    _number("stage"),
    _maybe("trim_role"),
    _text("trim_quantity"),
    _text("trim_filled"),
    _number("trim_attempts"),
    _maybe("finished_at"),
    _text("reason"),
    _maybe("card"),
    _number("version"),
    sa.Index(None, "quote_id"),
    sa.Index("ix_operations_unfinished", "account_id", **_where("status IN ('running', 'trimming')")),
    rowid=False,
)

INTENTS = _table(
    "intents",
    _sequence(),
    _text("client_order_id"),
    _text("operation_id", _of("operations.id")),
    _text("hedge_id", _of("hedges.id")),
    _text("account_id", _of("accounts.id")),
    _text("symbol"),
    _text("leg"),
    _text("purpose"),
    _text("side"),
    _text("position_side"),
    _text("type"),
    _text("quantity"),
    _number("reduce_only"),
    _text("created_at"),
    _text("valid_until"),
    _maybe("limit_price"),
    _maybe("trigger_price"),
    _text("status"),
    _text("venue_order_id"),
    _text("filled_quantity"),
    _maybe("average_price"),
    _text("fee"),
    _text("reason"),
    sa.UniqueConstraint("client_order_id"),
    sa.Index(None, "operation_id"),
    sa.Index(None, "hedge_id"),
)

INTENT_NOTES = _table(
    "intent_notes",
    _sequence(),
    _text("client_order_id", _of("intents.client_order_id")),
    _text("at"),
    _text("event"),
    _text("detail"),
    sa.Index(None, "client_order_id"),
)

FILLS = _table(
    "fills",
    _sequence(),
    _text("key"),
    _text("account_id", _of("accounts.id")),
    _text("hedge_id", _of("hedges.id")),
    _text("leg"),
    _text("venue_fill_id"),
    _text("symbol"),
    _text("side"),
    _text("position_side"),
    _text("quantity"),
    _text("price"),
    _text("fee"),
    _text("realized_pnl"),
    _text("at"),
    _maybe("client_order_id"),
    _text("cause"),
    sa.UniqueConstraint("account_id", "key"),
    sa.Index(None, "hedge_id"),
)

FUNDING = _table(
    "funding_payments",
    _sequence(),
    _text("account_id", _of("accounts.id")),
    _text("hedge_id", _of("hedges.id")),
    _text("venue_payment_id"),
    _text("symbol"),
    _text("side"),
    _text("amount"),
    _text("rate"),
    _text("at"),
    sa.UniqueConstraint("account_id", "venue_payment_id"),
    sa.Index(None, "hedge_id"),
)

QUOTES = _table(
    "quotes",
    _key("id"),
    _text("kind"),
    _text("user_id", _of("users.id")),
    _text("account_id", _of("accounts.id")),
    _text("chat"),
    _maybe("request"),
    _text("offer"),
    _text("positions"),
    _text("reference_prices"),
    _text("band"),
    _text("created_at"),
    _text("expires_at"),
    _maybe("used_at"),
    _maybe("used_by"),
    _maybe("choice"),
    sa.Index(None, "expires_at"),
    rowid=False,
)

EPISODES = _table(
    "alert_episodes",
    _sequence(),
    _text("user_id", _of("users.id")),
    _text("key"),
    _text("kind"),
    _number("level"),
    _text("since"),
    _number("told_level"),
    _maybe("told_at"),
    _maybe("hedge_id", _of("hedges.id")),
    _maybe("cleared_at"),
    _text("detail"),
    sa.UniqueConstraint("user_id", "key", "since"),
    sa.Index("ix_alert_episodes_active", "user_id", "key", unique=True, **_where("cleared_at IS NULL")),
)

OUTBOX = _table(
    "outbox",
    _sequence("id"),
    _text("dedupe_key"),
    _text("chat"),
    _number("private"),
    _maybe("slot"),
    _text("reply"),
    _number("priority"),
    _text("not_before"),
    _maybe("replaces"),
    _text("state"),  # pending, delivered, superseded, abandoned
    _number("tries"),
    _text("reason"),
    _maybe("delivered_at"),
    _maybe("message_id"),
    _maybe("topic"),
    sa.Column("part", TEXT, nullable=False, server_default="begins"),
    _maybe("expires_at"),
    sa.UniqueConstraint("dedupe_key"),
    sa.Index("ix_outbox_pending", "priority", "id", **_where("state = 'pending'")),
    sa.Index(
        "ix_outbox_pending_slot",
        "chat",
        "slot",
        **_where("state = 'pending' AND slot IS NOT NULL"),
    ),
    sa.Index("ix_outbox_pending_within_chat", "chat", "priority", "id", **_where("state = 'pending'")),
    sa.Index("ix_outbox_sent", "delivered_at", **_where("state = 'delivered'")),
    sa.Index("ix_outbox_topic", "chat", "topic", "id", **_where("topic IS NOT NULL")),
)

MESSAGE_SLOTS = _table("message_slots", _key("chat"), _key("slot"), _text("message_id"), rowid=False)

INBOX = _table(
    "inbox",
    _sequence(),
    _text("id"),
    _text("received_at"),
    _text("request"),
    _number("handled"),
    sa.UniqueConstraint("id"),
)

CURSORS = _table("cursors", _key("name"), _number("value"), rowid=False)

SECRETS = _table("secrets", _key("name"), _bytes("value"), rowid=False)

AUDIT = _table(
    "audit",
    _sequence(),
    _text("at"),
    _maybe("user_id", _of("users.id")),
    _text("action"),
    _text("detail"),
    sa.Index(None, "user_id", "at"),
)
