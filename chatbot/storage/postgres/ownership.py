"""Who owns a database: a lock of the server's, held by a connection that does nothing else.

The processes that share the work own it together; a command that must not meet them owns it alone.

The lock is gone with the connection, however that ends. When the connection breaks, the lock is taken anew as
soon as the server answers; until then this process writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from chatbot.errors import InUse, StorageError
from chatbot.storage.postgres.connections import connect
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.refusals import REFUSALS, in_words

AGAIN_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 5.0

# Schemas are databases of their own to us; locks of the server are not.
_KEY = "1213482839, hashtext(current_schema())"
_TAKE = f"SELECT pg_try_advisory_lock({_KEY})"
_TAKE_PART = f"SELECT pg_try_advisory_lock_shared({_KEY})"
_OWNER = """
    SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE locktype = 'advisory' AND granted AND datname = current_database()
    AND classid::bigint = 1213482839 AND objid::bigint = hashtext(current_schema())::bigint & 4294967295
"""

log = logging.getLogger(__name__)


class Ownership:
    def __init__(self, place: Place, connection: asyncpg.Connection, take: str) -> None:
        self._place = place
        self._take = take
        self._connection = connection

    @property
    def held(self) -> bool:
        return not self._connection.is_closed()

    def require(self) -> None:
        """Raises ``StorageError``: another process may own the database by now."""
        if not self.held:
            raise StorageError(
                f"the database {self._place.name} cannot be reached just now; nothing was written"
            )

    async def keep(self) -> None:
        """For as long as the process runs."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            if self.held:
                await self._make_sure()
            else:
                await self._take_again()

    async def _make_sure(self) -> None:
        """A wire that broke silently is noticed only by who uses it; the server may know already."""
        try:
            await self._connection.execute("SELECT 1", timeout=SILENCE_SECONDS)
        except REFUSALS:
            self._connection.terminate()

    async def _take_again(self) -> None:
        try:
            self._connection = await _taken(self._place, self._take)
        except (StorageError, *REFUSALS) as error:
            log.warning("the database is not ours just now", extra={"reason": str(error)})
        else:
            log.warning("the database is ours again")

    async def release(self) -> None:
        with contextlib.suppress(*REFUSALS):
            await self._connection.close(timeout=AGAIN_SECONDS)


@asynccontextmanager
async def owned(
    place: Place, *, shared: bool = False, patience: float = 0.0
) -> AsyncIterator[Callable[[], None]]:
    """Gives what raises ``StorageError`` while the database is not ours. ``InUse``: it is another's.

    ``shared``: with others that share it, too. ``patience``: seconds in which another may let go of it.
    """
    take = _TAKE_PART if shared else _TAKE
    try:
        ownership = Ownership(place, await _taken_in_time(place, take, patience), take)
    except REFUSALS as error:
        raise in_words(error, place) from None
    keeping = asyncio.create_task(ownership.keep(), name="ownership of the database")
    try:
        yield ownership.require
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await ownership.release()


async def _taken_in_time(place: Place, take: str, patience: float) -> asyncpg.Connection:
    until = time.monotonic() + patience
    while True:
        try:
            return await _taken(place, take)
        except InUse:
            if time.monotonic() >= until:
                raise
        await asyncio.sleep(AGAIN_SECONDS / 2)


async def _taken(place: Place, take: str) -> asyncpg.Connection:
    connection = await connect(place, "owner")
    taken = False
    try:
        taken = await connection.fetchval(take)
        owner = None if taken else await connection.fetchval(_OWNER)
    finally:
        if not taken:
            connection.terminate()
    if not taken:
        raise InUse(
            f"the database {place.name} is in use by another Hedgerow{_who(owner)}; "
            "stop that one first, or set HEDGEROW_DATABASE_URL to another database"
        )
    return connection


def _who(application: str | None) -> str:
    """``hedgerow owner (process 12 on host)``."""
    return f" ({application.partition('(')[2]}" if application and "(" in application else ""
