"""How much of a leg was closed at a price that nothing told, and of which time the history was not read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("hedges", sa.Column("unread_from", sa.Text(), nullable=True))
    op.add_column("hedges", sa.Column("unread_until", sa.Text(), nullable=True))
    op.add_column("legs", sa.Column("unpriced", sa.Text(), nullable=False, server_default="0"))
    op.add_column("legs", sa.Column("unpriced_entry", sa.Text(), nullable=False, server_default="0"))
