"""How Alembic reaches the database.

The sqlite driver begins no transaction for DDL, so that a migration which fails half-way would leave its
first half behind. Here the transaction is begun by hand, and all of an upgrade goes with it or nothing does.
PostgreSQL does so by itself.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

from chatbot.storage.connection import connect
from chatbot.storage.tables import METADATA


def _upgrade_file(path: Path) -> None:
    engine = _engine(path)
    with engine.begin() as connection:
        _upgrade(connection)
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise sa.exc.IntegrityError(None, None, ValueError(f"rows of {broken[0]} would refer to nothing"))
    engine.dispose()


def _engine(path: Path) -> sa.Engine:
    def open_connection() -> object:
        connection = connect(path)
        # A table is rebuilt by copying it; the rows that point to it must not object meanwhile.
        connection.execute("PRAGMA foreign_keys = OFF")
        return connection

    engine = sa.create_engine("sqlite://", creator=open_connection, poolclass=sa.NullPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _upgrade(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
    context.run_migrations()


async def _upgrade_server() -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=database.connect,
        poolclass=sa.NullPool,
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


database = context.config.attributes["database"]
if isinstance(database, Path):
    _upgrade_file(database)
else:
    asyncio.run(_upgrade_server())
