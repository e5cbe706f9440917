"""One writer per account: its orders, its ledger and its recovery never interleave."""

from __future__ import annotations

import asyncio

from chatbot.domain.hedge import AccountId


class AccountLocks:
    def __init__(self) -> None:
        self._locks: dict[AccountId, asyncio.Lock] = {}

    def of(self, account_id: AccountId) -> asyncio.Lock:
        return self._locks.setdefault(account_id, asyncio.Lock())

    def busy(self, account_id: AccountId) -> bool:
        lock = self._locks.get(account_id)
        return lock is not None and lock.locked()
