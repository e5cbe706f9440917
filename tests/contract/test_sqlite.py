"""The contracts of store and mailbox on SQLite, in a file and in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatbot.ports import Mailbox, Store
from chatbot.storage.database import Database, open_database
from tests.contract.mailbox_contract import MailboxContract
from tests.contract.store_contract import StoreContract


class Sqlite:
    @pytest.fixture(params=["file", "memory"])
    async def database(self, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
        place = f"/{tmp_path}/hedgerow.db" if request.param == "file" else ""
        async with open_database(f"sqlite+aiosqlite://{place}") as database:
            yield database

    @pytest.fixture
    def store(self, database: Database) -> Store:
        return database.store

    @pytest.fixture
    def mailbox(self, database: Database) -> Mailbox:
        return database.mailbox


class TestStoreOnSqlite(Sqlite, StoreContract):
    pass


class TestMailboxOnSqlite(Sqlite, MailboxContract):
    pass
