"""One database: opened, owned, brought to the newest schema, then shared by the store and the mailbox."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

from chatbot.errors import InUse, StorageError
from chatbot.ports import Alone, Leases
from chatbot.storage.admission import SqlInvites, SqlTickets
from chatbot.storage.census import SqlCensus
from chatbot.storage.connection import DirectConnection, connect, in_words, open_reader, open_writer
from chatbot.storage.copies import SqlCopies
from chatbot.storage.mailbox import SqlMailbox
from chatbot.storage.master_key import MasterKeys
from chatbot.storage.ownership import Ownership
from chatbot.storage.schema import create_in, prepare, require_current
from chatbot.storage.session import Session, SqliteReader
from chatbot.storage.store import SqlStore
from chatbot.storage.vault import SqlVault, forget_all
from chatbot.storage.writer import DirectWriter, GroupWriter

_SCHEMES = ("sqlite+aiosqlite://", "sqlite://")
_SERVER = "postgresql+asyncpg://"
_IN_MEMORY = ("", ":memory:")


class Database:
    """``resources`` are what the session stands on."""

    def __init__(self, session: Session, resources: AsyncExitStack, leases: Leases | None = None) -> None:
        self._leases = leases or Alone()
        self.store = SqlStore(session, self._leases)
        self.mailbox = SqlMailbox(session, self._leases)
        self.tickets = SqlTickets(session)
        self.invites = SqlInvites(session)
        self.census = SqlCensus(session)
        self.copies = SqlCopies(session)
        self._session = session
        self._resources = resources
        self._held = AsyncExitStack()

    @classmethod
    async def open(cls, url: str, leases: Leases | None = None) -> Database:
        """``leases``: other processes may be there, too, and this is what of the work is ours.

        ``sqlite+aiosqlite:///PATH``; without a path: in memory. ``postgresql+asyncpg://…``: on a server.

        Raises ``StorageError``.
        """
        if is_server(url):
            return await _open_server(url, leases=leases)
        path = database_path(url)
        return _open_in_memory() if path is None else await _open_file(path)

    @classmethod
    async def open_beside(cls, url: str) -> Database:
        """As ``open``, and also while the bot runs: for one small transaction from the command line."""
        try:
            return await cls.open(url)
        except InUse:
            if is_server(url):
                return await _open_server(url, beside=True)
            path = database_path(url)
            if path is None:
                raise
        return await _connect(path.resolve(), require_current)

    async def forget_all_keys(self, now: datetime) -> int:
        return await forget_all(self._session, now)

    def vault(self, keys: MasterKeys) -> SqlVault:
        return SqlVault(self._session, keys, self._leases)

    def holds(self, more: AsyncExitStack) -> None:
        """To be let go after everything else."""
        self._held = more

    async def close(self) -> None:
        """Waits for what is being written."""
        async with self._held, self._resources:
            await self._session.close()


@asynccontextmanager
async def open_database(url: str, leases: Leases | None = None) -> AsyncIterator[Database]:
    database = await Database.open(url, leases)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_database_beside(url: str) -> AsyncIterator[Database]:
    """To look, while others may run."""
    database = await Database.open_beside(url)
    try:
        yield database
    finally:
        await database.close()


async def upgrade(url: str) -> None:
    """Only that: creates or upgrades, and lets go."""
    async with open_database(url):
        pass


def is_server(url: str) -> bool:
    return url.startswith(_SERVER)


def database_path(url: str) -> Path | None:
    """``None`` for a database in memory. The address is not repeated in an error: it may hold a password."""
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise StorageError("this is no SQLite address; one looks like sqlite+aiosqlite:///hedgerow.db")
    name = url.removeprefix(scheme).removeprefix("/").partition("?")[0]
    return None if name in _IN_MEMORY else Path(name)


def _open_in_memory() -> Database:
    memory = connect(None)
    create_in(memory)
    resources = AsyncExitStack()
    resources.callback(memory.close)
    connection = DirectConnection(memory)
    return Database(Session(SqliteReader(connection, None), DirectWriter(connection)), resources)


async def _open_file(name: Path) -> Database:
    async with AsyncExitStack() as stack:
        path, ownership = _take(name)
        stack.callback(ownership.release)
        database = await _connect(path, prepare)
        database.holds(stack.pop_all())
        return database


async def _open_server(url: str, *, beside: bool = False, leases: Leases | None = None) -> Database:
    from chatbot.storage.postgres import opening  # noqa: PLC0415 (its driver: only where it is used)

    async with AsyncExitStack() as stack:
        if leases is not None:
            opened = opening.open_among_others(url)
        else:
            opened = opening.open_beside(url) if beside else opening.open_owned(url)
        session = await stack.enter_async_context(opened)
        return Database(session, stack.pop_all(), leases)


async def _connect(path: Path, first: Callable[[Path], None]) -> Database:
    async with AsyncExitStack() as stack:
        try:
            await asyncio.to_thread(first, path)
            writer = await stack.enter_async_context(open_writer(path))
            reader = await stack.enter_async_context(open_reader(path))
        except sqlite3.Error as error:
            raise in_words(error, path) from None
        return Database(Session(SqliteReader(reader, path), GroupWriter(writer, path)), stack.pop_all())


def _take(name: Path) -> tuple[Path, Ownership]:
    """Two names of one file are one lock."""
    path = name.resolve()
    return path, Ownership.take(path)
