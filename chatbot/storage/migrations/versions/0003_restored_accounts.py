"""Accounts whose ledger comes from a copy of the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("restored_from", sa.Text(), nullable=True))
