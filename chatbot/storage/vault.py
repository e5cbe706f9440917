"""Credentials at rest: sealed, rewrapped, and forgotten so that nothing is left."""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from chatbot.domain.hedge import AccountId
from chatbot.domain.shards import shard_of
from chatbot.errors import InvariantBroken, NotConnected, SettingsError, StorageError
from chatbot.ports import Account, Credentials, KeyFacts, KeyReport, Leases
from chatbot.storage import key_statements, statements
from chatbot.storage.codec import Cell, dump, instant_text
from chatbot.storage.fencing import write
from chatbot.storage.master_key import KeyFile, MasterKey, MasterKeys
from chatbot.storage.records import KEY_FACTS, account_cells
from chatbot.storage.sealing import (
    Belonging,
    Sealed,
    fingerprint,
    rewrap,
    seal,
    seal_text,
    unseal,
    unseal_text,
)
from chatbot.storage.session import Session
from chatbot.storage.sql import Row, Step

HINT_LENGTH = 4
AGREED_KEY = "master key"  # whose id all processes of a database have
SAME_KEY = "this key is stored already"

log = logging.getLogger(__name__)


class SqlVault:
    """``chatbot.ports.Vault`` and ``KeyRecords``. Opened for each use; nothing decrypted is kept."""

    def __init__(self, session: Session, keys: MasterKeys, leases: Leases) -> None:
        self._session = session
        self._keys = keys
        self._leases = leases

    @property
    def key_source(self) -> str:
        """Where the master key is, in words."""
        return self._keys.source

    @property
    def key_id(self) -> str:
        """:raises SettingsError: there is none, and it cannot be made"""
        return self._keys.current().id

    def require_key(self) -> None:
        """Makes the master key, if there is none yet. :raises SettingsError: it cannot be made"""
        self._keys.current()

    async def keep(self, account: Account, credentials: Credentials) -> None:
        """The account is written with them, all or nothing. ``Conflict``: the key is another account's."""
        sealed = seal(credentials, Belonging.of(account), self._keys.current())
        cells: dict[str, Cell] = {
            "account_id": account.id,
            **_cells(sealed),
            "fingerprint": fingerprint(account.venue, credentials.api_key),
            "hint": credentials.api_key[-HINT_LENGTH:],
        }
        await self._write(account, [_put(account), Step(key_statements.PUT_CREDENTIALS, cells, SAME_KEY)])

    async def _write(self, account: Account, steps: Sequence[Step]) -> None:
        await write(self._session, [self._leases.of_shard(shard_of(account.user_id))], steps)

    async def open(self, account: Account) -> Credentials:
        row = await self._session.first(key_statements.SEALED, {"account_id": account.id})
        if row is None:
            raise NotConnected(
                f"The account {account.label} has no key. `/connect {account.venue}` gives it one."
            )
        sealed = Sealed(*row)
        return unseal(sealed, Belonging.of(account), self._master(sealed.master_key_id))

    async def forget(self, account: Account) -> None:
        """The account is written as it is given, in the same transaction."""
        forget = Step(key_statements.FORGET_CREDENTIALS, {"account_id": account.id})
        await self._write(account, [forget, _put(account)])
        try:
            await self._session.clear_log()
        except StorageError as error:
            log.warning("the write-ahead log keeps a forgotten row a while", extra={"reason": error.message})

    # --- what may be shown ----------------------------------------------------------------------

    async def facts(self, account_id: AccountId) -> KeyFacts | None:
        row = await self._session.first(key_statements.key_facts("account_id"), {"account_id": account_id})
        return None if row is None else KEY_FACTS.decode(row)

    async def all_facts(self) -> tuple[KeyFacts, ...]:
        return tuple(KEY_FACTS.decode(row) for row in await self._session.rows(key_statements.key_facts()))

    def fingerprint(self, venue_id: str, api_key: str) -> str:
        return fingerprint(venue_id, api_key)

    async def holder(self, venue_id: str, api_key: str) -> AccountId | None:
        given: dict[str, Cell] = {"fingerprint": fingerprint(venue_id, api_key)}
        row = await self._session.first(key_statements.HOLDER, given)
        return None if row is None else AccountId(str(row[0]))

    async def note(self, account_id: AccountId, report: KeyReport, at: datetime) -> None:
        cells: dict[str, Cell] = {
            "account_id": account_id,
            "report": dump(KeyReport, report),
            "checked_at": instant_text(at),
        }
        await self._session.write([Step(key_statements.NOTE_KEY, cells)])

    # --- the master key -------------------------------------------------------------------------

    async def settle_master_key(self) -> None:
        """At start. :raises SettingsError: rows are there and their key is not"""
        in_use = {str(key_id) for (key_id,) in await self._session.rows(key_statements.MASTER_KEY_IDS)}
        for key_id in in_use:
            self._master(key_id)
        if isinstance(self._keys, KeyFile):
            self._keys.settle(in_use)

    async def rotate(self) -> int:
        """Every row under a new master key; how many. All or none, wherever the power goes."""
        if not isinstance(self._keys, KeyFile):
            raise SettingsError(
                f"HEDGEROW_MASTER_KEY_FILE: only a key file can be exchanged; this key comes from "
                f"{self._keys.source}. Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
            )
        await self.settle_master_key()
        self._keys.current()
        successor = self._keys.prepare_successor()
        rows = await self._session.rows(key_statements.WRAPPINGS)
        agreed = Step(statements.PUT_SECRET, {"name": AGREED_KEY, "value": successor.id.encode()})
        steps = [self._rewrap(row, successor) for row in rows]
        await self._session.write([agreed, *steps])
        self._keys.promote_successor()
        await self._session.clear_log()
        return len(steps)

    def _rewrap(self, row: Row, successor: MasterKey) -> Step:
        account_id, key_id, key_nonce, wrapped_key, user_id, venue = row
        sealed = Sealed(key_id, key_nonce, wrapped_key, b"", b"")
        fresh = rewrap(sealed, Belonging(user_id, venue, account_id), self._master(key_id), successor)
        cells: dict[str, Cell] = {
            "account_id": account_id,
            "old_key_id": key_id,
            "master_key_id": fresh.master_key_id,
            "key_nonce": fresh.key_nonce,
            "wrapped_key": fresh.wrapped_key,
        }
        return Step(key_statements.REWRAP, cells, "a key was changed meanwhile")

    def _master(self, key_id: str) -> MasterKey:
        key = self._keys.of(key_id)
        if key is None:
            raise SettingsError(
                f"HEDGEROW_MASTER_KEY_FILE: stored keys need the master key {key_id}, and "
                f"{self._keys.source} holds another or none. Put the right one there, or give the "
                "stored keys up with: hedgerow forget-keys. Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
            )
        return key


async def forget_all(session: Session, now: datetime) -> int:
    """Every key of every user, and nothing is left of them; how many. No master key is needed."""
    count = len(await session.rows(key_statements.key_facts()))
    steps = [
        Step(key_statements.DISCONNECT_ALL, {"disconnected_at": instant_text(now)}),
        Step(key_statements.FORGET_ALL_CREDENTIALS, {}),
    ]
    await session.write(steps)
    await session.clear_log()
    return count


class Envelopes:
    """``chatbot.ports.Sealer`` by the master key, which all processes of a bot have."""

    def __init__(self, keys: MasterKeys) -> None:
        self._keys = keys

    def seal(self, text: str, *, about: str) -> str:
        return seal_text(text, about, self._keys.current())

    def unseal(self, sealed: str, *, about: str) -> str:
        key = self._keys.of(sealed.partition(".")[0])
        if key is None:
            raise InvariantBroken("what was handed over was sealed with another master key")
        return unseal_text(sealed, about, key)


class LinkOffice:
    """``chatbot.ports.TicketOffice``: tokens by the master key, so that the database alone makes none."""

    def __init__(self, keys: MasterKeys) -> None:
        self._keys = keys

    def new_reference(self) -> str:
        return secrets.token_urlsafe(16)

    def token(self, reference: str) -> str:
        secret = sha256(b"hedgerow links\0" + self._keys.current().material).digest()
        made = hmac.new(secret, reference.encode(), sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _put(account: Account) -> Step:
    return Step(
        statements.PUT_ACCOUNT, account_cells(account), f"account {account.label} belongs to somebody else"
    )


def _cells(sealed: Sealed) -> dict[str, Cell]:
    return {name: getattr(sealed, name) for name in key_statements.SEALED_COLUMNS}
