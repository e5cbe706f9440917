"""The newest schema as statements, and the mark of its revision."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import ClauseElement

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


def definitions() -> Iterator[ClauseElement]:
    for table in (VERSION, *METADATA.sorted_tables):
        yield CreateTable(table)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield CreateIndex(index)


def statements() -> Iterator[str]:
    """For SQLite."""
    return (str(element.compile(dialect=SQLITE)) for element in definitions())
