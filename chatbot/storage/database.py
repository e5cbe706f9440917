"""One database: opened, owned, brought to the newest schema, then shared by the store and the mailbox."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from chatbot.errors import StorageError
from chatbot.storage.connection import connect, connect_reader, connect_writer, in_words
from chatbot.storage.mailbox import SqlMailbox
from chatbot.storage.ownership import Ownership
from chatbot.storage.schema import create_in, prepare
from chatbot.storage.session import Session
from chatbot.storage.store import SqlStore
from chatbot.storage.writer import DirectWriter, GroupWriter

_SCHEMES = ("sqlite+aiosqlite://", "sqlite://")
_IN_MEMORY = ("", ":memory:")


class Database:
    def __init__(
        self,
        session: Session,
        *,
        ownership: Ownership | None = None,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self.store = SqlStore(session)
        self.mailbox = SqlMailbox(session)
        self._session = session
        self._ownership = ownership
        self._thread = thread

    @classmethod
    async def open(cls, url: str) -> Database:
        """``sqlite+aiosqlite:///PATH``; without a path: in memory. Raises ``StorageError``."""
        path = database_path(url)
        return _open_in_memory() if path is None else await _open_file(path)

    async def close(self) -> None:
        """Waits for what is being written."""
        await self._session.close()
        if self._thread is not None:
            self._thread.shutdown()
        if self._ownership is not None:
            self._ownership.release()


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url)
    try:
        yield database
    finally:
        await database.close()


async def upgrade(url: str) -> None:
    """Only that: creates or upgrades, and lets go."""
    async with open_database(url):
        pass


def database_path(url: str) -> Path | None:
    """``None`` for a database in memory. The address is not repeated in an error: it may hold a password."""
    scheme = next((scheme for scheme in _SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise StorageError("this is no SQLite address; one looks like sqlite+aiosqlite:///hedgerow.db")
    name = url.removeprefix(scheme).removeprefix("/").partition("?")[0]
    return None if name in _IN_MEMORY else Path(name)


def _open_in_memory() -> Database:
    connection = connect(None)
    create_in(connection)
    return Database(Session(connection, DirectWriter(connection), None))


async def _open_file(name: Path) -> Database:
    thread = ThreadPoolExecutor(1, thread_name_prefix="database")
    loop = asyncio.get_running_loop()
    try:
        path, ownership, writer, reader = await loop.run_in_executor(thread, _take, name)
    except StorageError:
        thread.shutdown()
        raise
    session = Session(reader, GroupWriter(writer, path, thread), path)
    return Database(session, ownership=ownership, thread=thread)


def _take(name: Path) -> tuple[Path, Ownership, sqlite3.Connection, sqlite3.Connection]:
    """Two names of one file are one lock."""
    path = name.resolve()
    ownership = Ownership.take(path)
    try:
        prepare(path)
        return path, ownership, connect_writer(path), connect_reader(path)
    except sqlite3.Error as error:
        ownership.release()
        raise in_words(error, path) from None
    except StorageError:
        ownership.release()
        raise
