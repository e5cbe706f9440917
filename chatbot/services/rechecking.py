"""Keys are tried again every day: rights change, and keys expire."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from chatbot.chat import OutboxMessage, Priority, Reply
from chatbot.errors import BadCredentials, HedgerowError, VenueRejected
from chatbot.ports import (
    Account,
    AuditEntry,
    Changes,
    Clock,
    Exchanges,
    KeyRecords,
    Store,
    User,
    Vault,
)
from chatbot.services.key_rules import BY_KEY, refusal
from chatbot.services.locks import AccountLocks
from chatbot.services.people import PAPER

log = logging.getLogger(__name__)


class FreezeCards(Protocol):
    def frozen(self, user: User, account: Account) -> Reply: ...

    def thawed(self, user: User, account: Account) -> Reply: ...


class KeyWatch:
    """A key that lost what it needs, or may move money now: its account takes no new orders."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        keys: KeyRecords,
        exchanges: Exchanges,
        clock: Clock,
        locks: AccountLocks,
        cards: FreezeCards,
        notify: Callable[[], None],
    ) -> None:
        self._store = store
        self._vault = vault
        self._keys = keys
        self._exchanges = exchanges
        self._clock = clock
        self._locks = locks
        self._cards = cards
        self._notify = notify

    async def recheck_all(self) -> None:
        """What fails for one account is logged and stops no other."""
        for account in await self._store.accounts():
            if account.venue == PAPER:
                continue
            try:
                await self._recheck(account)
            except HedgerowError as error:
                extra = {"account": account.id, "reason": type(error).__name__}
                log.warning("a key could not be checked", extra=extra)

    async def _recheck(self, account: Account) -> None:
        reason = await self._trouble(account)
        await self._note(account, "key_checked", f"{account.label}: {reason or 'in order'}")
        async with self._locks.of(account.id):
            now = await self._store.account(account.id)
            if now is None or now.disconnected_at is not None or reason == now.frozen:
                return
            if reason or now.frozen.startswith(BY_KEY):
                await self._freeze(replace(now, frozen=reason))

    async def _note(self, account: Account, action: str, detail: str) -> None:
        entry = AuditEntry(self._clock.now(), account.user_id, action, detail)
        await self._store.commit(Changes(audit=(entry,)))

    async def _trouble(self, account: Account) -> str:
        """Why the account may take no new orders; empty: it may. Raises when the exchange does not say."""
        credentials = await self._vault.open(account)
        try:
            report = await self._exchanges.examine(account.venue, credentials)
        except BadCredentials:
            return f"{BY_KEY}is not accepted by {account.venue} any more"
        except VenueRejected:
            return f"{BY_KEY}may not read and trade futures any more"
        await self._keys.note(account.id, report, self._clock.now())
        return refusal(report, self._clock.now())

    async def _freeze(self, account: Account) -> None:
        """Or thaw: a reason that is empty is none."""
        user = await self._store.user(account.user_id)
        if user is None:
            return
        now = self._clock.now()
        card = self._cards.frozen(user, account) if account.frozen else self._cards.thawed(user, account)
        priority = Priority.CRITICAL if account.frozen else Priority.WARNING
        owed = OutboxMessage(
            f"key:{account.id}:{account.frozen}:{now.isoformat()}", user.home, card, priority, now
        )
        entry = AuditEntry(now, user.id, "key_frozen" if account.frozen else "key_thawed", account.label)
        await self._store.commit(Changes(accounts=(account,), outbox=(owed,), audit=(entry,)))
        self._notify()
