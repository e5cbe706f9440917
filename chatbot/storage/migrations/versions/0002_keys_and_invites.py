"""Keys of exchange accounts, the tickets to hand one in, and invites; which leg a hedge protects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatbot.storage.kinds import NUMBER, TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("owner", TEXT, nullable=False, server_default=""))
    op.add_column("accounts", sa.Column("disconnected_at", TEXT, nullable=True))
    op.add_column("hedges", sa.Column("protected", TEXT, nullable=False, server_default="primary"))
    op.create_table(
        "credentials",
        sa.Column("account_id", TEXT, nullable=False),
        sa.Column("master_key_id", TEXT, nullable=False),
        sa.Column("key_nonce", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", TEXT, nullable=False),
        sa.Column("hint", TEXT, nullable=False),
        sa.Column("report", TEXT, nullable=True),
        sa.Column("checked_at", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_credentials_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_credentials_fingerprint")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tickets",
        sa.Column("reference", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("venue", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("expires_at", TEXT, nullable=False),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("used_at", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tickets_user_id")),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_tickets")),
        sa.UniqueConstraint("digest", name=op.f("uq_tickets_digest")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_tickets_user_id"), "tickets", ["user_id"], unique=False)
    op.create_table(
        "invites",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.Column("expires_at", TEXT, nullable=False),
        sa.Column("used_at", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_invites")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "admitted_users",
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("platform_id", TEXT, nullable=False),
        sa.Column("admitted_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("platform", "platform_id", name=op.f("pk_admitted_users")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
