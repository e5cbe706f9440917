"""Reading and writing, whatever lies beneath.

A read is one statement and sees what is committed; it never waits for a writer.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from chatbot.storage.codec import Cell
from chatbot.storage.connection import REFUSALS, Connection, in_words
from chatbot.storage.sql import Params, Row, Statement, Step
from chatbot.storage.writer import Writer

_NOTHING: Mapping[str, Cell] = {}


class Reader(Protocol):
    async def rows(self, statement: Statement, params: Params) -> list[Row]:
        """Raises ``StorageError``."""
        ...


class SqliteReader:
    """``path`` is ``None`` for a database in memory."""

    def __init__(self, connection: Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path

    async def rows(self, statement: Statement, params: Params) -> list[Row]:
        try:
            return list(await self._connection.execute_fetchall(statement.text, params))
        except REFUSALS as error:
            raise in_words(error, self._path) from None


class Session:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    def rows(self, statement: Statement, params: Params = _NOTHING) -> Coroutine[Any, Any, list[Row]]:
        return self._reader.rows(statement, params)

    async def first(self, statement: Statement, params: Params = _NOTHING) -> Row | None:
        rows = await self.rows(statement, params)
        return rows[0] if rows else None

    async def write(self, steps: Sequence[Step]) -> None:
        """All or nothing, and on the disk when it returns."""
        await self._writer.write(steps)

    async def clear_log(self) -> None:
        """What was deleted before is on the disk no more."""
        await self._writer.clear_log()

    async def close(self) -> None:
        """Waits for what is being written; the connections are closed by whoever opened them."""
        await self._writer.close()
