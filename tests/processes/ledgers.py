"""The two books of several processes: the ledger in PostgreSQL, the venue in a file for each shard."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from chatbot.storage.postgres.connections import connected
from chatbot.storage.postgres.place import Place
from chatbot.venues.paper.checks import DUPLICATE
from tests.e2e.books import Books
from tests.processes.town import Crowd, Town


class SharedBooks(Books):
    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(folder)
        self._place = Place.of(url)
        self._folder = folder

    def ledger(self, query: str) -> list[tuple[Any, ...]]:
        with ThreadPoolExecutor(1) as apart:  # the caller may be in a loop of its own
            return apart.submit(asyncio.run, self._ask(query)).result()

    async def _ask(self, query: str) -> list[tuple[Any, ...]]:
        async with connected(self._place, "books") as connection:
            return [tuple(row) for row in await connection.fetch(query)]

    def venue(self, query: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for file in sorted(self._folder.glob("hedgerow-paper.d/*.db")):
            with closing(sqlite3.connect(file)) as connection:
                found += connection.execute(query).fetchall()
        return found

    def sent_twice(self) -> int:
        """Orders that the venue had to refuse because it knew them already."""
        ((number,),) = self.ledger(f"SELECT count(*) FROM intents WHERE reason LIKE '%{DUPLICATE.reason}%'")  # noqa: S608
        return int(number)

    def said_twice(self, town: Town, users: Sequence[int]) -> list[int]:
        """Messages in the chats that the bot does not know of: sent, and before it was marked sent again."""
        known = {(chat, str(number)) for chat, number in self.ledger("SELECT chat, message_id FROM outbox")}
        return [
            message.id
            for user in users
            for message in town.bot_messages(user)
            if (f"telegram:{user}", str(message.id)) not in known
        ]

    def unanswered(self, crowd: Crowd) -> list[str]:
        """Every command has its reply, and every tap its operation or its refusal, once."""
        ((replies,),) = self.ledger("SELECT count(*) FROM outbox WHERE dedupe_key LIKE 'reply:%'")
        ((operations,),) = self.ledger("SELECT count(*) FROM operations")
        ((handled,),) = self.ledger("SELECT count(*) FROM inbox WHERE handled = 1")
        found = {"updates handled": handled, "replies": replies, "operations": operations}
        wanted = {
            "updates handled": crowd.updates,
            "replies": crowd.commands + crowd.taps_refused,
            "operations": crowd.taps - crowd.taps_refused,
        }
        return [f"{found[what]} {what} of {wanted[what]}" for what in found if found[what] != wanted[what]]

    def taken_over(self) -> int:
        ((number,),) = self.ledger("SELECT coalesce(sum(epoch), 0) FROM leases WHERE name LIKE 'shard:%'")
        return int(number)
