"""Accounts on exchanges: a key is tried before it is kept; a disconnected account keeps none."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from chatbot.chat import Reply
from chatbot.domain import keys as shapes
from chatbot.domain.hedge import AccountId, Hedge, UserId
from chatbot.domain.shards import shard_of
from chatbot.errors import (
    BadArgument,
    BadCredentials,
    Busy,
    Conflict,
    HedgerowError,
    KeyRefused,
    QuoteExpired,
    VenueError,
    VenueRejected,
    VenueUnavailable,
)
from chatbot.ports import (
    Account,
    AuditEntry,
    Changes,
    Clock,
    Credentials,
    Exchanges,
    KeyFacts,
    KeyRecords,
    KeyReport,
    Sighting,
    Store,
    User,
    Vault,
    Venues,
)
from chatbot.services import key_rules
from chatbot.services.key_rules import KeyDoubt, KeyWarning, other_reason
from chatbot.services.locks import AccountLocks
from chatbot.services.people import PAPER, People
from chatbot.services.recognizing import Recognized, Recognizer, Stranded

MOST_ATTEMPTS, ATTEMPTS_WITHIN = 6, timedelta(minutes=10)
DOUBTS_LAST = timedelta(minutes=5)
TAKEN = "This key, or the exchange account behind it, is connected here already; nothing was stored."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Connected:
    """``renewed``: the account was known before and has a new key now; ``resumed`` are the hedges that it was
    recognized by, ``stranded`` those that wait for another.
    """

    account: Account
    hint: str
    warnings: tuple[KeyWarning, ...]
    expires_at: datetime | None
    is_default: bool
    renewed: bool
    resumed: tuple[int, ...] = ()
    stranded: tuple[Stranded, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Nothing is stored yet: what the exchange cannot tell, the user has to confirm."""

    venue: str
    hint: str
    doubts: tuple[KeyDoubt, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One account as ``/accounts`` shows it."""

    account: Account
    facts: KeyFacts | None
    warnings: tuple[KeyWarning, ...]
    is_default: bool
    seen: Sighting


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is open on an account; ``positions`` of ``None``: the exchange does not say just now."""

    account: Account
    hedges: tuple[Hedge, ...]
    positions: int | None


@dataclass(frozen=True, slots=True)
class _Pending:
    venue: str
    credentials: Credentials = field(repr=False)
    report: KeyReport
    until: datetime


class KeyCards(Protocol):
    """The wording of what happened elsewhere than in the chat."""

    def connected(self, user: User, result: Connected | Doubtful) -> Reply: ...


class ConnectService:
    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        keys: KeyRecords,
        exchanges: Exchanges,
        venues: Venues,
        people: People,
        clock: Clock,
        locks: AccountLocks,
        key_changed: Callable[[Account], None],
    ) -> None:
        """``key_changed``: whoever holds on to something made with an account's key must let go of it."""
        self._store = store
        self._vault = vault
        self._keys = keys
        self._exchanges = exchanges
        self._venues = venues
        self._people = people
        self._clock = clock
        self._locks = locks
        self._key_changed = key_changed
        self._recognizer = Recognizer(store=store, exchanges=exchanges, keys=keys)
        self._storing = asyncio.Lock()
        self._attempts: defaultdict[tuple[UserId, str], deque[datetime]] = defaultdict(deque)
        self._pending: dict[UserId, _Pending] = {}

    # --- where ------------------------------------------------------------------------------

    def supported(self) -> tuple[str, ...]:
        return self._exchanges.supported()

    def needs_passphrase(self, venue_id: str) -> bool:
        return self._exchanges.needs_passphrase(venue_id)

    def venue_named(self, word: str) -> str:
        """:raises BadArgument: no exchange of that name :raises KeyRefused: one that cannot be connected"""
        venue_id = word.lower()
        if venue_id in self.supported():
            return venue_id
        refused = self._exchanges.refusal(venue_id)
        near = difflib.get_close_matches(venue_id[:32], self.supported(), n=1, cutoff=0.65)
        if near and near[0] != venue_id:
            raise BadArgument(
                f"I do not know an exchange of that name. Did you mean `{near[0]}`?",
                example=f"/connect {near[0]}",
            )
        raise KeyRefused(refused) if refused else BadArgument("I do not know an exchange of that name.")

    # --- connecting -------------------------------------------------------------------------

    async def connect(self, user: User, venue_id: str, credentials: Credentials) -> Connected | Doubtful:
        """Raises Busy (too many tries), KeyRefused, VenueUnavailable: in all of these nothing is stored."""
        self.require_tries(user, venue_id)
        self._attempts[user.id, venue_id].append(self._clock.now())
        self._pending.pop(user.id, None)
        try:
            report = await self._approved(user, venue_id, credentials)
            return await self._accept(user, venue_id, credentials, report)
        except HedgerowError as error:
            await self._audit(user.id, "connect_refused", f"{venue_id}: {type(error).__name__}")
            raise

    async def confirm_doubts(self, user: User) -> Connected:
        """:raises QuoteExpired: there is nothing to confirm (any more)"""
        pending = self._pending.pop(user.id, None)
        if pending is None or pending.until <= self._clock.now():
            raise QuoteExpired("That key is not held any more; nothing was stored. /connect starts again.")
        return await self._keep(user, pending.venue, pending.credentials, pending.report)

    def drop_doubts(self, user: User) -> bool:
        return self._pending.pop(user.id, None) is not None

    def let_go(self, shards: Collection[int]) -> None:
        """Another process works for them; keys that wait for a word are forgotten."""
        self._pending = {user: kept for user, kept in self._pending.items() if shard_of(user) not in shards}

    def forget_stale(self) -> None:
        """Keys that nobody confirmed in time."""
        now = self._clock.now()
        self._pending = {user: kept for user, kept in self._pending.items() if kept.until > now}

    async def _accept(
        self, user: User, venue_id: str, credentials: Credentials, report: KeyReport
    ) -> Connected | Doubtful:
        doubts = key_rules.doubts(report)
        if not doubts:
            return await self._keep(user, venue_id, credentials, report)
        until = self._clock.now() + DOUBTS_LAST
        self._pending[user.id] = _Pending(venue_id, credentials, report, until)
        return Doubtful(venue_id, credentials.api_key[-4:], doubts)

    async def _approved(self, user: User, venue_id: str, credentials: Credentials) -> KeyReport:
        _require_whole(venue_id, credentials, passphrase=self.needs_passphrase(venue_id))
        await self._require_free(user, venue_id, credentials)
        report = await self._examine(venue_id, credentials)
        reason = key_rules.refusal(report, self._clock.now())
        if reason:
            raise KeyRefused(f"Refused: {reason}. Nothing was stored. {key_rules.remedy(report)}")
        return report

    async def _require_free(self, user: User, venue_id: str, credentials: Credentials) -> None:
        holder = await self._keys.holder(venue_id, credentials.api_key)
        if holder is None:
            return
        account = await self._store.account(holder)
        if account is None or account.user_id != user.id:
            raise KeyRefused(TAKEN)
        raise KeyRefused(f"This key is connected already, as `{account.label}`; nothing was changed.")

    async def _examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        """No text of the exchange gets out that could quote the key."""
        try:
            return await self._exchanges.examine(venue_id, credentials)
        except BadCredentials:
            hint = shapes.advice(venue_id, credentials.api_key, credentials.secret)
            raise KeyRefused(f"{venue_id} does not accept this key. {hint} Nothing was stored.") from None
        except VenueRejected as error:
            said = _scrubbed(error.message, credentials)
            raise KeyRefused(
                f"{venue_id} does not let this key read and trade futures: {said} "
                "Allow both for it there, from this machine's address. Nothing was stored."
            ) from None
        except VenueError:
            raise _out_of_reach(venue_id) from None

    async def _keep(
        self, user: User, venue_id: str, credentials: Credentials, report: KeyReport
    ) -> Connected:
        found = await self._recognized(user, venue_id, credentials, report)
        report_owner = report.owner or self._recognizer.owner(venue_id, credentials)
        async with self._storing:
            account, renewed = await self._account_for(user, venue_id, report_owner, found)
            try:
                await self._vault.keep(account, credentials)
            except Conflict:
                raise KeyRefused(TAKEN) from None
        self._key_changed(account)
        now = self._clock.now()
        await self._keys.note(account.id, report, now)
        await self._audit(user.id, "connect", f"{account.label} …{credentials.api_key[-4:]}")
        return Connected(
            account=account,
            hint=credentials.api_key[-4:],
            warnings=key_rules.warnings(report, now),
            expires_at=report.expires_at,
            is_default=(await self._people.trading_account(user)).id == account.id,
            renewed=renewed,
            resumed=found.resumed,
            stranded=found.stranded,
        )

    async def _recognized(
        self, user: User, venue_id: str, credentials: Credentials, report: KeyReport
    ) -> Recognized:
        if report.owner:
            return Recognized(None)
        try:
            return await self._recognizer.recognize(user, venue_id, credentials)
        except VenueError:
            raise _out_of_reach(venue_id) from None

    async def _account_for(
        self, user: User, venue_id: str, owner: str, found: Recognized
    ) -> tuple[Account, bool]:
        """The account behind the key: a known one of this user comes back, with its history."""
        mine = [*await self._store.accounts(user.id), *await self._store.former_accounts(user.id)]
        await self._require_nobody_elses(user, venue_id, owner)
        known = found.account or next((a for a in mine if (a.venue, a.owner) == (venue_id, owner)), None)
        if known is not None:
            back = replace(known, disconnected_at=None, frozen=other_reason(known), owner=owner)
            return back, True
        label = _free_label(venue_id, {account.label for account in mine})
        new = Account(
            AccountId(f"{label}:{user.ref}"), user.id, venue_id, label, self._clock.now(), owner=owner
        )
        return new, False

    async def _require_nobody_elses(self, user: User, venue_id: str, owner: str) -> None:
        """Two ledgers of one exchange account would each take the other's trades for accidents."""
        known = await self._store.account_behind(venue_id, owner)
        if known is not None and known.user_id != user.id:
            raise KeyRefused(TAKEN)

    def require_tries(self, user: User, venue_id: str) -> None:
        """:raises Busy: too many lately; to be asked before a key is, not once it was typed"""
        now, made = self._clock.now(), self._attempts[user.id, venue_id]
        while made and made[0] <= now - ATTEMPTS_WITHIN:
            made.popleft()
        if len(made) >= MOST_ATTEMPTS:
            left = -(-(made[0] + ATTEMPTS_WITHIN - now) // timedelta(minutes=1))
            raise Busy(
                f"Those were too many tries on {venue_id}; nothing was sent. Try again in {left} min, and "
                "look meanwhile whether the key is whole, and may be used from here."
            )

    # --- what is connected ------------------------------------------------------------------

    async def lines(self, user: User) -> tuple[Line, ...]:
        default = await self._people.trading_account(user)
        accounts = sorted(await self._store.accounts(user.id), key=lambda each: each.venue != PAPER)
        return tuple([await self._line(each, default) for each in accounts])

    async def _line(self, account: Account, default: Account) -> Line:
        facts = await self._keys.facts(account.id)
        seen = Sighting() if account.venue == PAPER else self._exchanges.seen(account)
        report = _as_seen(facts.report, seen) if facts and facts.report else None
        found = key_rules.warnings(report, self._clock.now()) if report else ()
        shown = replace(facts, report=report) if facts else None
        return Line(account, shown, found, account.id == default.id, seen)

    async def holdings(self, user: User, name: str) -> Holdings:
        """What a disconnection would leave alone. Raises NotFound, BadArgument (paper), Busy."""
        account = await self._own_exchange_account(user, name)
        await self._require_calm(account)
        try:
            view = await self._venues.of(account).view()
            positions: int | None = sum(1 for position in view.positions if position.quantity)
        except HedgerowError:
            positions = None
        return Holdings(account, await self._store.live_hedges(account_id=account.id), positions)

    async def disconnect(self, user: User, name: str) -> Account:
        """The key is gone for good. Raises as ``holdings``."""
        account = await self._own_exchange_account(user, name)
        await self._require_calm(account)
        async with self._locks.of(account.id):
            await self._require_calm(account)  # whoever held the lock may have started something
            gone = replace(account, disconnected_at=self._clock.now(), frozen="")
            await self._vault.forget(gone)
            self._key_changed(gone)
        await self._people.forget_default(user, account)
        await self._audit(user.id, "disconnect", account.label)
        return gone

    async def _own_exchange_account(self, user: User, name: str) -> Account:
        account = await self._people.account_named(user, name)
        if account.venue == PAPER:
            raise BadArgument("The paper account has no key and stays; /paper starts it over.")
        return account

    async def _require_calm(self, account: Account) -> None:
        if await self._store.unfinished_operations(account.id):
            raise Busy("An order is still being settled there; nothing was changed. Try again in a moment.")

    async def _audit(self, user_id: UserId, action: str, detail: str) -> None:
        await self._store.commit(Changes(audit=(AuditEntry(self._clock.now(), user_id, action, detail),)))


def _out_of_reach(venue_id: str) -> VenueUnavailable:
    return VenueUnavailable(f"{venue_id} cannot be reached just now; nothing was stored.", venue=venue_id)


def _as_seen(report: KeyReport, seen: Sighting) -> KeyReport:
    """The daily check knows the mode of then; every look since knows better."""
    return replace(report, position_mode=seen.position_mode or report.position_mode)


def _require_whole(venue_id: str, credentials: Credentials, *, passphrase: bool) -> None:
    parts: Sequence[tuple[str, str]] = (("API key", credentials.api_key), ("secret", credentials.secret))
    if passphrase:
        parts = (*parts, ("passphrase", credentials.passphrase))
    for name, value in parts:
        if problem := shapes.defect(name, value):
            raise KeyRefused(f"{problem} Nothing was stored.")
    if credentials.api_key == credentials.secret:
        raise KeyRefused(
            "Key and secret are the same text: one of them was pasted twice. Nothing was stored."
        )
    if shapes.swapped(venue_id, credentials.api_key, credentials.secret):
        raise KeyRefused("Key and secret are swapped: enter them the other way round. Nothing was stored.")


def _scrubbed(text: str, credentials: Credentials) -> str:
    for secret in (credentials.api_key, credentials.secret, credentials.passphrase):
        if secret:
            text = text.replace(secret, "…")
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _free_label(venue_id: str, taken: set[str]) -> str:
    numbered = (venue_id if n == 1 else f"{venue_id}-{n}" for n in range(1, len(taken) + 2))
    return next(label for label in numbered if label not in taken)
