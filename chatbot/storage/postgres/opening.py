"""A session on a PostgreSQL database: owned, at the newest schema, with a pool of connections."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from chatbot.storage.postgres.connections import open_pool
from chatbot.storage.postgres.ownership import owned
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.reader import PoolReader
from chatbot.storage.postgres.refusals import REFUSALS
from chatbot.storage.postgres.schema import needs_upgrade, prepare, require_current
from chatbot.storage.postgres.writer import FORGET_OLD_MARKS, PoolWriter
from chatbot.storage.session import Session

# Seconds for a command that owns the database to end, or for another process to upgrade it.
PATIENCE = 10.0


def _always() -> None:
    """Whoever may write without owning."""


@asynccontextmanager
async def open_owned(url: str) -> AsyncIterator[Session]:
    """Raises ``StorageError``, ``InUse``."""
    place = Place.of(url)
    async with owned(place) as allowed:
        await prepare(place)
        async with open_shared(place, allowed) as session:
            yield session


@asynccontextmanager
async def open_among_others(url: str) -> AsyncIterator[Session]:
    """One of several processes that divide the work by leases. Raises ``StorageError``, ``InUse``."""
    place = Place.of(url)
    await _bring_up_to_date(place)
    async with (
        owned(place, shared=True, patience=PATIENCE) as allowed,
        open_shared(place, allowed) as session,
    ):
        yield session


async def _bring_up_to_date(place: Place) -> None:
    """Under nobody's feet: a schema changes while no process runs. They may all start at once, however."""
    if not await needs_upgrade(place):
        await prepare(place)
        return
    async with owned(place, patience=PATIENCE):
        await prepare(place)


@asynccontextmanager
async def open_beside(url: str) -> AsyncIterator[Session]:
    """Also while the bot runs. Raises ``StorageError``."""
    place = Place.of(url)
    await require_current(place)
    async with open_shared(place) as session:
        yield session


@asynccontextmanager
async def open_shared(place: Place, allowed: Callable[[], None] = _always) -> AsyncIterator[Session]:
    """Without asking who else is there: any number of processes may."""
    async with open_pool(place) as pool:
        with contextlib.suppress(*REFUSALS):
            await pool.execute(FORGET_OLD_MARKS)
        yield Session(PoolReader(pool, place), PoolWriter(pool, place, allowed=allowed))
