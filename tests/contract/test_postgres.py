"""The contracts of store and mailbox on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chatbot.ports import Mailbox, Store
from chatbot.storage.database import Database, open_database
from tests.contract.mailbox_contract import MailboxContract
from tests.contract.store_contract import StoreContract


class Postgres:
    @pytest.fixture
    async def database(self, postgres_url: str) -> AsyncIterator[Database]:
        async with open_database(postgres_url) as database:
            yield database

    @pytest.fixture
    def store(self, database: Database) -> Store:
        return database.store

    @pytest.fixture
    def mailbox(self, database: Database) -> Mailbox:
        return database.mailbox


class TestStoreOnPostgres(Postgres, StoreContract):
    pass


class TestMailboxOnPostgres(Postgres, MailboxContract):
    pass
