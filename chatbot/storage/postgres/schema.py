"""Which schema a database of the server has, and how it comes to the one that this program needs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from chatbot.errors import StorageError
from chatbot.storage import creation, schema
from chatbot.storage.postgres.connections import connect, connected, require_fit
from chatbot.storage.postgres.dialect import definition, numbered_of
from chatbot.storage.postgres.place import Place

# Processes that start together do this one after the other.
_TURN = "SELECT pg_advisory_lock(1213482839, hashtext('schema of ' || current_schema()))"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
_SCHEMA = "SELECT current_schema()"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """``chatbot.storage.migration.Server``."""

    place: Place

    @property
    def name(self) -> str:
        return self.place.name

    async def connect(self) -> asyncpg.Connection:
        return await connect(self.place, "upgrade")


async def prepare(place: Place) -> None:
    """Creates, upgrades or leaves alone. ``StorageError`` for a database that is not ours."""
    async with connected(place, "schema") as connection:
        await require_fit(connection, place)
        if await connection.fetchval(_SCHEMA) is None:
            raise StorageError(f"the database {place.name} has no schema to work in; check the search_path")
        await connection.execute(_TURN)
        revision = await revision_of(connection, place)
        if revision is None:
            await create_in(connection)
        elif schema.is_old(revision, place.name):
            from chatbot.storage.migration import migrate  # noqa: PLC0415 (imports Alembic)

            await asyncio.to_thread(migrate, Upgraded(place))


async def needs_upgrade(place: Place) -> bool:
    """An empty database does not."""
    async with connected(place, "schema") as connection:
        revision = await revision_of(connection, place)
    return revision is not None and schema.is_old(revision, place.name)


async def require_current(place: Place) -> None:
    """For who may not change it."""
    async with connected(place, "schema") as connection:
        if await revision_of(connection, place) != schema.HEAD:
            raise schema.another_version(place.name)


async def revision_of(connection: asyncpg.Connection, place: Place) -> str | None:
    """``None``: a new, empty database."""
    tables = {name for (name,) in await connection.fetch(_TABLES)}
    if not tables:
        return None
    known = creation.VERSION.name in tables
    versions = await connection.fetch(numbered_of(creation.REVISION).text) if known else []
    if len(versions) != 1:
        raise StorageError(f"the database {place.name} belongs to another program; name another one")
    return str(versions[0][0])


async def create_in(connection: asyncpg.Connection) -> None:
    """The newest schema at once: what all migrations together come to (a test compares)."""
    async with connection.transaction():
        for element in creation.definitions():
            await connection.execute(definition(element))
        await connection.execute(numbered_of(creation.SET_REVISION).text, schema.HEAD)
