"""Reading and writing, whatever lies beneath.

A transaction of writes is a list of statements, handed to the writer's thread in one hop. Reads are single
statements by key that SQLite answers from memory in microseconds; they run where they are asked for, since a
hop to a thread and back costs ten times as much. They see what is committed and never wait for the writer
(write-ahead log).
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chatbot.storage.codec import Cell
from chatbot.storage.connection import in_words
from chatbot.storage.sql import Row, Step
from chatbot.storage.writer import Writer

_NOTHING: Mapping[str, Cell] = {}


class Session:
    """``path`` is ``None`` for a database in memory."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer, path: Path | None) -> None:
        self._reader = reader
        self._writer = writer
        self._path = path

    async def rows(self, sql: str, params: Mapping[str, Cell] = _NOTHING) -> list[Row]:
        try:
            return self._reader.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise in_words(error, self._path) from None

    async def first(self, sql: str, params: Mapping[str, Cell] = _NOTHING) -> Row | None:
        rows = await self.rows(sql, params)
        return rows[0] if rows else None

    async def some(
        self, sql: str, params: Mapping[str, Cell], *, wanted: Callable[[Row], bool], limit: int
    ) -> list[Row]:
        """The first ``limit`` rows that are wanted; no more of the result is read than that takes."""
        try:
            cursor = self._reader.execute(sql, params)
            found = list(itertools.islice(filter(wanted, cursor), limit))
            cursor.close()
        except sqlite3.Error as error:
            raise in_words(error, self._path) from None
        return found

    async def write(self, steps: Sequence[Step]) -> None:
        """All or nothing, and on the disk when it returns."""
        await self._writer.write(steps)

    async def close(self) -> None:
        self._reader.close()
        await self._writer.close()
