"""The first schema: people, hedges, the journal, money, alerts, mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatbot.storage.kinds import NUMBER, TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "chats",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("platform_id", TEXT, nullable=False),
        sa.Column("private", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chats")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cursors",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbox",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("received_at", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=False),
        sa.Column("handled", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_inbox")),
        sa.UniqueConstraint("id", name=op.f("uq_inbox_id")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_table(
        "message_slots",
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("slot", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("chat", "slot", name=op.f("pk_message_slots")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        sa.Column("id", NUMBER, sa.Identity(), nullable=False),
        sa.Column("dedupe_key", TEXT, nullable=False),
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("private", NUMBER, nullable=False),
        sa.Column("slot", TEXT, nullable=True),
        sa.Column("reply", TEXT, nullable=False),
        sa.Column("priority", NUMBER, nullable=False),
        sa.Column("not_before", TEXT, nullable=False),
        sa.Column("replaces", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("tries", NUMBER, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("delivered_at", TEXT, nullable=True),
        sa.Column("message_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["priority", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_outbox_pending_slot",
        "outbox",
        ["chat", "slot"],
        unique=False,
        sqlite_where=sa.text("state = 'pending' AND slot IS NOT NULL"),
        postgresql_where=sa.text("state = 'pending' AND slot IS NOT NULL"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secrets")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "users",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("platform_id", TEXT, nullable=False),
        sa.Column("home", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("preferences", TEXT, nullable=False),
        sa.Column("reachable", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["home"], ["chats.id"], name=op.f("fk_users_home")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("platform", "platform_id", name=op.f("uq_users_platform_platform_id")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_users_home"), "users", ["home"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("venue", TEXT, nullable=False),
        sa.Column("label", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("frozen", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_accounts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_accounts_user_id"), "accounts", ["user_id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=True),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_audit_user_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(op.f("ix_audit_user_id_at"), "audit", ["user_id", "at"], unique=False)
    op.create_table(
        "hedges",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("opened_at", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("closed_at", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("attempt", NUMBER, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("fills_seen_at", TEXT, nullable=True),
        sa.Column("funding_seen_at", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_hedges_account_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_hedges_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hedges")),
        sa.UniqueConstraint("user_id", "number", name=op.f("uq_hedges_user_id_number")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_hedges_live",
        "hedges",
        ["account_id", "symbol"],
        unique=True,
        sqlite_where=sa.text("status <> 'closed'"),
        postgresql_where=sa.text("status <> 'closed'"),
    )
    op.create_index(
        "ix_hedges_live_of_user",
        "hedges",
        ["user_id", "number"],
        unique=False,
        sqlite_where=sa.text("status <> 'closed'"),
        postgresql_where=sa.text("status <> 'closed'"),
    )
    op.create_table(
        "quotes",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("request", TEXT, nullable=True),
        sa.Column("offer", TEXT, nullable=False),
        sa.Column("positions", TEXT, nullable=False),
        sa.Column("reference_prices", TEXT, nullable=False),
        sa.Column("band", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("expires_at", TEXT, nullable=False),
        sa.Column("used_at", TEXT, nullable=True),
        sa.Column("used_by", TEXT, nullable=True),
        sa.Column("choice", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_quotes_account_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_quotes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotes")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_quotes_expires_at"), "quotes", ["expires_at"], unique=False)
    op.create_table(
        "alert_episodes",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("level", NUMBER, nullable=False),
        sa.Column("since", TEXT, nullable=False),
        sa.Column("told_level", NUMBER, nullable=False),
        sa.Column("told_at", TEXT, nullable=True),
        sa.Column("hedge_id", TEXT, nullable=True),
        sa.Column("cleared_at", TEXT, nullable=True),
        sa.Column("detail", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["hedge_id"], ["hedges.id"], name=op.f("fk_alert_episodes_hedge_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alert_episodes_user_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_alert_episodes")),
        sa.UniqueConstraint("user_id", "key", "since", name=op.f("uq_alert_episodes_user_id_key_since")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(
        "ix_alert_episodes_active",
        "alert_episodes",
        ["user_id", "key"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "fills",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("hedge_id", TEXT, nullable=False),
        sa.Column("leg", TEXT, nullable=False),
        sa.Column("venue_fill_id", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("side", TEXT, nullable=False),
        sa.Column("position_side", TEXT, nullable=False),
        sa.Column("quantity", TEXT, nullable=False),
        sa.Column("price", TEXT, nullable=False),
        sa.Column("fee", TEXT, nullable=False),
        sa.Column("realized_pnl", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("client_order_id", TEXT, nullable=True),
        sa.Column("cause", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_fills_account_id")),
        sa.ForeignKeyConstraint(["hedge_id"], ["hedges.id"], name=op.f("fk_fills_hedge_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_fills")),
        sa.UniqueConstraint("account_id", "key", name=op.f("uq_fills_account_id_key")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(op.f("ix_fills_hedge_id"), "fills", ["hedge_id"], unique=False)
    op.create_table(
        "funding_payments",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("hedge_id", TEXT, nullable=False),
        sa.Column("venue_payment_id", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("side", TEXT, nullable=False),
        sa.Column("amount", TEXT, nullable=False),
        sa.Column("rate", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_funding_payments_account_id")),
        sa.ForeignKeyConstraint(["hedge_id"], ["hedges.id"], name=op.f("fk_funding_payments_hedge_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_funding_payments")),
        sa.UniqueConstraint(
            "account_id", "venue_payment_id", name=op.f("uq_funding_payments_account_id_venue_payment_id")
        ),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(op.f("ix_funding_payments_hedge_id"), "funding_payments", ["hedge_id"], unique=False)
    op.create_table(
        "legs",
        sa.Column("hedge_id", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("side", TEXT, nullable=False),
        sa.Column("quantity", TEXT, nullable=False),
        sa.Column("entry_price", TEXT, nullable=False),
        sa.Column("leverage", TEXT, nullable=False),
        sa.Column("margin_mode", TEXT, nullable=False),
        sa.Column("fees_paid", TEXT, nullable=False),
        sa.Column("funding", TEXT, nullable=False),
        sa.Column("realized_pnl", TEXT, nullable=False),
        sa.Column("adopted", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["hedge_id"], ["hedges.id"], name=op.f("fk_legs_hedge_id")),
        sa.PrimaryKeyConstraint("hedge_id", "role", name=op.f("pk_legs")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "operations",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("hedge_id", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("quote_id", TEXT, nullable=False),
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("targets", TEXT, nullable=False),
        sa.Column("started_at", TEXT, nullable=False),
        sa.Column("deadline_at", TEXT, nullable=False),
        sa.Column("way", TEXT, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("stage", NUMBER, nullable=False),
        sa.Column("trim_role", TEXT, nullable=True),
        sa.Column("trim_quantity", TEXT, nullable=False),
        sa.Column("trim_filled", TEXT, nullable=False),
        sa.Column("trim_attempts", NUMBER, nullable=False),
        sa.Column("finished_at", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("card", TEXT, nullable=True),
        sa.Column("version", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_operations_account_id")),
        sa.ForeignKeyConstraint(["hedge_id"], ["hedges.id"], name=op.f("fk_operations_hedge_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_operations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_operations_quote_id"), "operations", ["quote_id"], unique=False)
    op.create_index(
        "ix_operations_unfinished",
        "operations",
        ["account_id"],
        unique=False,
        sqlite_where=sa.text("status IN ('running', 'trimming')"),
        postgresql_where=sa.text("status IN ('running', 'trimming')"),
    )
    op.create_table(
        "intents",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("client_order_id", TEXT, nullable=False),
        sa.Column("operation_id", TEXT, nullable=False),
        sa.Column("hedge_id", TEXT, nullable=False),
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("symbol", TEXT, nullable=False),
        sa.Column("leg", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("side", TEXT, nullable=False),
        sa.Column("position_side", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("quantity", TEXT, nullable=False),
        sa.Column("reduce_only", NUMBER, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("valid_until", TEXT, nullable=False),
        sa.Column("limit_price", TEXT, nullable=True),
        sa.Column("trigger_price", TEXT, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("venue_order_id", TEXT, nullable=False),
        sa.Column("filled_quantity", TEXT, nullable=False),
        sa.Column("average_price", TEXT, nullable=True),
        sa.Column("fee", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_intents_account_id")),
        sa.ForeignKeyConstraint(["hedge_id"], ["hedges.id"], name=op.f("fk_intents_hedge_id")),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_intents_operation_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_intents")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_intents_client_order_id")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(op.f("ix_intents_hedge_id"), "intents", ["hedge_id"], unique=False)
    op.create_index(op.f("ix_intents_operation_id"), "intents", ["operation_id"], unique=False)
    op.create_table(
        "intent_notes",
        sa.Column("seq", NUMBER, sa.Identity(), nullable=False),
        sa.Column("client_order_id", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("event", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["client_order_id"], ["intents.client_order_id"], name=op.f("fk_intent_notes_client_order_id")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_intent_notes")),
        sqlite_strict=True,
        sqlite_with_rowid=True,
    )
    op.create_index(
        op.f("ix_intent_notes_client_order_id"), "intent_notes", ["client_order_id"], unique=False
    )
