"""Accounts whose ledger comes from a copy of the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatbot.storage.kinds import TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("restored_from", TEXT, nullable=True))
