"""How Alembic reaches the database.

The sqlite driver begins no transaction for DDL, so that a migration which fails half-way would leave its
first half behind. Here the transaction is begun by hand, and all of an upgrade goes with it or nothing does.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import context

from chatbot.storage.connection import connect
from chatbot.storage.tables import METADATA


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
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise sa.exc.IntegrityError(None, None, ValueError(f"rows of {broken[0]} would refer to nothing"))


engine = _engine(context.config.attributes["database"])
with engine.begin() as connection:
    _upgrade(connection)
engine.dispose()
