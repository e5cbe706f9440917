"""Several processes on one database: which rows are whose, and who lives."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from chatbot.storage.kinds import NUMBER, TEXT

revision = "0006"
down_revision = "0005"

SHARDS = 64  # as it was decided then


def upgrade() -> None:
    for table in ("accounts", "outbox", "inbox"):
        op.add_column(table, sa.Column("shard", NUMBER, nullable=False, server_default="0"))
    _deal("accounts", "id", "user_id", lambda user: user)
    _deal("outbox", "id", "chat", lambda chat: chat)
    _deal("inbox", "seq", "request", _user_of)
    op.create_index(op.f("ix_accounts_shard"), "accounts", ["shard"], unique=False)
    _index(
        "ix_accounts_owner",
        "accounts",
        ["venue", "owner"],
        "owner <> '' AND disconnected_at IS NULL",
        unique=True,
    )
    _index("ix_inbox_unhandled", "inbox", ["seq"], "handled = 0", unique=False)
    op.create_table(
        "processes",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("session", TEXT, nullable=False),
        sa.Column("started_at", TEXT, nullable=False),
        sa.Column("expires_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("epoch", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ticks",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("due_at", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", "due_at", name=op.f("pk_ticks")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def _deal(table: str, key: str, column: str, owner: Callable[[str], str]) -> None:
    rows = sa.table(table, sa.column(key), sa.column(column), sa.column("shard"))
    found = op.get_bind().execute(sa.select(rows.c[key], rows.c[column])).all()
    cells = [{"row": row, "dealt": zlib.crc32(owner(text).encode()) % SHARDS} for row, text in found]
    if cells:
        change = sa.update(rows).where(rows.c[key] == sa.bindparam("row")).values(shard=sa.bindparam("dealt"))
        op.get_bind().execute(change, cells)


def _user_of(request: str) -> str:
    """Of a handled request nothing is kept."""
    user = json.loads(request)["user"] if request else None
    return f"{user['platform']}:{user['id']}" if user else ""


def _index(name: str, table: str, columns: list[str], condition: str, *, unique: bool) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
