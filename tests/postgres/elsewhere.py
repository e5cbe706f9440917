"""Databases on the tests' server that cost a test next to nothing: they are emptied and used again."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar

import asyncpg

from chatbot.storage.postgres.opening import open_shared
from chatbot.storage.postgres.place import Place
from chatbot.storage.session import Session
from chatbot.storage.sql import Params, Row, Statement, Step
from chatbot.storage.tables import METADATA
from tests.postgres.server import Server

T = TypeVar("T")

_EMPTIED = "; ".join(f"DELETE FROM {table}" for table in reversed(METADATA.sorted_tables))  # noqa: S608
_BEGUN_AGAIN = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)
    FROM pg_sequences WHERE schemaname = current_schema() AND last_value IS NOT NULL
"""


class Elsewhere:
    """An event loop in a thread of its own. Whoever asks it for something stands still until it is done."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="elsewhere", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Direct:
    """A session that answers before anybody else runs, so that a virtual clock never waits for it."""

    def __init__(self, session: Session, elsewhere: Elsewhere) -> None:
        self._session = session
        self._elsewhere = elsewhere

    async def rows(self, statement: Statement, params: Params) -> list[Row]:
        return self._elsewhere.run(self._session.rows(statement, params))

    async def write(self, steps: Sequence[Step]) -> None:
        self._elsewhere.run(self._session.write(steps))

    async def clear_log(self) -> None:
        self._elsewhere.run(self._session.clear_log())

    async def close(self) -> None:
        """It is used again."""


class Databases:
    """Of one process of a test run."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._elsewhere = Elsewhere()
        self._free: list[str] = []
        self._cleaners: dict[str, asyncpg.Connection] = {}
        self._sessions: dict[str, Session] = {}
        self._open = AsyncExitStack()

    def take(self) -> str:
        """The name of an empty one."""
        if not self._free:
            return self._make()
        name = self._free.pop()
        self._elsewhere.run(self._empty(name))
        return name

    def give_back(self, name: str) -> None:
        self._free.append(name)

    def direct(self, name: str) -> Direct:
        if name not in self._sessions:
            self._sessions[name] = self._elsewhere.run(self._open_session(name))
        return Direct(self._sessions[name], self._elsewhere)

    def close(self) -> None:
        self._elsewhere.run(self._close())
        self._elsewhere.stop()

    def url(self, name: str) -> str:
        return self._server.url(name)

    def _make(self) -> str:
        name = f"t_{uuid.uuid4().hex}"
        self._server.create(name)
        return name

    async def _empty(self, name: str) -> None:
        cleaner = self._cleaners.get(name)
        if cleaner is None:
            place = Place.of(self._server.url(name))
            cleaner = self._cleaners[name] = await asyncpg.connect(place.address)
        await cleaner.execute(_EMPTIED)
        await cleaner.execute(_BEGUN_AGAIN)

    async def _open_session(self, name: str) -> Session:
        return await self._open.enter_async_context(open_shared(Place.of(self._server.url(name))))

    async def _close(self) -> None:
        await self._open.aclose()
        for cleaner in self._cleaners.values():
            await cleaner.close()


@contextmanager
def a_database(databases: Databases) -> Iterator[str]:
    name = databases.take()
    yield name
    databases.give_back(name)
