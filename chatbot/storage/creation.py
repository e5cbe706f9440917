"""The newest schema as statements. Importing this module imports SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from chatbot.storage.tables import METADATA

# As Alembic makes it, so that both ways lead to one schema.
_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@cache
def statements() -> tuple[str, ...]:
    return (_VERSION_TABLE, *(text for table in METADATA.sorted_tables for text in _of_table(table)))


def _of_table(table: Table) -> Iterator[str]:
    dialect = sqlite.dialect()
    yield str(CreateTable(table).compile(dialect=dialect))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        yield str(CreateIndex(index).compile(dialect=dialect))
