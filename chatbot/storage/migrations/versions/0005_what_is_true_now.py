"""What is owed on a topic, and until when: what is true now replaces what was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatbot.storage.kinds import TEXT

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("topic", TEXT, nullable=True))
    op.add_column("outbox", sa.Column("part", TEXT, nullable=False, server_default="begins"))
    op.add_column("outbox", sa.Column("expires_at", TEXT, nullable=True))
    op.create_index(
        "ix_outbox_pending_within_chat",
        "outbox",
        ["chat", "priority", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_outbox_sent",
        "outbox",
        ["delivered_at"],
        unique=False,
        sqlite_where=sa.text("state = 'delivered'"),
        postgresql_where=sa.text("state = 'delivered'"),
    )
    op.create_index(
        "ix_outbox_topic",
        "outbox",
        ["chat", "topic", "id"],
        unique=False,
        sqlite_where=sa.text("topic IS NOT NULL"),
        postgresql_where=sa.text("topic IS NOT NULL"),
    )
