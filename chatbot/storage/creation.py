"""The newest schema as statements, and the mark of its revision."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from chatbot.storage.sql import SQLITE, constant, insert
from chatbot.storage.tables import METADATA

# As Alembic makes it, so that both ways lead to one schema.
VERSION = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
REVISION = sa.select(VERSION.c.version_num)
SET_REVISION = insert(VERSION, ["version_num"])

_MASTER = sa.table("sqlite_master", sa.column("name"), sa.column("type"))
TABLE_NAMES = sa.select(_MASTER.c.name).where(_MASTER.c.type == constant("table"))


def statements() -> Iterator[str]:
    for table in (VERSION, *METADATA.sorted_tables):
        yield str(CreateTable(table).compile(dialect=SQLITE))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=SQLITE))
