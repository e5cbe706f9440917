"""How much of a leg was closed at a price that nothing told, and of which time the history was not read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatbot.storage.kinds import TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("hedges", sa.Column("unread_from", TEXT, nullable=True))
    op.add_column("hedges", sa.Column("unread_until", TEXT, nullable=True))
    op.add_column("legs", sa.Column("unpriced", TEXT, nullable=False, server_default="0"))
    op.add_column("legs", sa.Column("unpriced_entry", TEXT, nullable=False, server_default="0"))
