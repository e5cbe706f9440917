"""Reading: each statement on a connection of its own, outside of any transaction."""

from __future__ import annotations

import asyncpg

from chatbot.storage.postgres.dialect import numbered
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.refusals import REFUSALS, in_words
from chatbot.storage.sql import Params, Row, Statement


class PoolReader:
    """A statement that writes and returns what it wrote may come here too; then it is committed."""

    def __init__(self, pool: asyncpg.Pool, place: Place) -> None:
        self._pool = pool
        self._place = place

    async def rows(self, statement: Statement, params: Params) -> list[Row]:
        ready = numbered(statement)
        try:
            found: list[Row] = await self._pool.fetch(ready.text, *ready.arguments(params))
        except REFUSALS as error:
            raise in_words(error, self._place) from None
        return found
