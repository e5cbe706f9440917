"""The digest: once a day, or after each settlement, what every hedge has locked and costs, and a picture.

Written under a key that is unique for ever, so that a process which dies in between tells it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from zoneinfo import ZoneInfo

from chatbot.chat import AsOf, OutboxMessage, Priority, Reply
from chatbot.domain.account import AccountView
from chatbot.domain.digest import Due, by_settlement, daily, until_told
from chatbot.domain.episodes import EVERYTHING, is_quiet
from chatbot.domain.hedge import AccountId, Hedge, UserId
from chatbot.domain.instrument import ZERO, Symbol
from chatbot.domain.preferences import DigestRhythm
from chatbot.errors import VenueError
from chatbot.ports import ROUTINE, Account, Changes, Clock, Store, User, Venues
from chatbot.services.charting import Charting, ChartReport
from chatbot.services.reporting import HedgeReport, Reporting

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
APART = timedelta(minutes=50)  # settlements are an hour apart or more
LOOK_AGAIN = timedelta(minutes=10)  # at the latest: settlements may be moved, and a replayed market hurries
AT_ONCE = 4  # users; an exchange has other things to answer


@dataclass(frozen=True, slots=True)
class HedgeDigest:
    """``lately``: funding of the last day, positive: received."""

    account: Account
    hedge: HedgeReport
    lately: Decimal


@dataclass(frozen=True, slots=True)
class Digest:
    """``at``: our clock. ``unhedged``: positions without a hedge. ``unread``: accounts that did not answer.

    ``chart``: of the hedge with the largest lock.
    """

    at: datetime
    hedges: tuple[HedgeDigest, ...]
    unhedged: int
    unread: tuple[str, ...]
    several_accounts: bool
    chart: ChartReport | None = None


class DigestCards(Protocol):
    def digest(self, user: User, digest: Digest) -> Reply:
        """Draws, so it takes some ten milliseconds."""
        ...


class DigestService:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        reporting: Reporting,
        charting: Charting,
        cards: DigestCards,
        clock: Clock,
        notify: Callable[[], None],
    ) -> None:
        self._store = store
        self._venues = venues
        self._reporting = reporting
        self._charting = charting
        self._cards = cards
        self._clock = clock
        self._notify = notify
        # Lost with the process: then the key keeps a digest from being told twice.
        self._told: dict[UserId, str] = {}
        self._told_at: dict[UserId, datetime] = {}
        self._settled_by: dict[UserId, datetime] = {}  # nothing is settled before, by our clock

    async def tell_due(self) -> None:
        """The scheduler's job. What fails for one user stops no other."""
        pairs: dict[UserId, list[Hedge]] = {}
        for hedge in await self._store.live_hedges():
            if hedge.paired:
                pairs.setdefault(hedge.user_id, []).append(hedge)
        users = [user for user in await self._store.users() if user.id in pairs and user.reachable]
        before = ROUTINE.set(True)
        try:
            for first in range(0, len(users), AT_ONCE):
                await self._tell_each(users[first : first + AT_ONCE], pairs)
        finally:
            ROUTINE.reset(before)

    async def _tell_each(self, users: Sequence[User], pairs: Mapping[UserId, Sequence[Hedge]]) -> None:
        telling = (self._tell_if_due(user, pairs[user.id]) for user in users)
        outcomes = await asyncio.gather(*telling, return_exceptions=True)
        for user, outcome in zip(users, outcomes, strict=True):
            if isinstance(outcome, VenueError):
                log.info("no digest yet", extra={"user": user.id, "error": type(outcome).__name__})
            elif isinstance(outcome, BaseException):
                log.error("a digest failed", exc_info=outcome, extra={"user": user.id})

    async def _tell_if_due(self, user: User, hedges: Sequence[Hedge]) -> None:
        due = await self._due(user, hedges)
        if due is None or self._told.get(user.id) == due.key:
            return
        if not self._told_lately(user) and await self._was_there(user, hedges, due):
            await self._tell(user, due, hedges)
        self._told[user.id] = due.key

    def _told_lately(self, user: User) -> bool:
        """Another rhythm was chosen right after a digest: what was due before it is in it."""
        told_at = self._told_at.get(user.id)
        return told_at is not None and self._clock.now() - told_at < APART

    async def _tell(self, user: User, due: Due, hedges: Sequence[Hedge]) -> None:
        digest = await self._digest(user, hedges)
        if digest.hedges or digest.unread:
            reply = await asyncio.to_thread(self._cards.digest, user, digest)
            await self._owe(user, due, reply)
            self._told_at[user.id] = self._clock.now()

    async def _due(self, user: User, hedges: Sequence[Hedge]) -> Due | None:
        chosen, zone, now = user.preferences.alerts, user.preferences.time_zone, self._clock.now()
        if now < chosen.snoozed.get(EVERYTHING, now):
            return None
        if chosen.digest is DigestRhythm.DAILY:
            return daily(chosen, ZoneInfo(zone), now)
        if chosen.digest is DigestRhythm.OFF or is_quiet(chosen, zone, now):
            return None
        return await self._settled(user, hedges) if now >= self._settled_by.get(user.id, now) else None

    async def _was_there(self, user: User, hedges: Sequence[Hedge], due: Due) -> bool:
        """A pair that is newer than its morning has its first digest tomorrow."""
        if user.preferences.alerts.digest is not DigestRhythm.DAILY:
            return True
        for hedge in hedges:
            orders = await self._store.intents(hedge_id=hedge.id)
            if not orders or min(order.created_at for order in orders) <= due.at:
                return True
        return False

    async def _settled(self, user: User, hedges: Sequence[Hedge]) -> Due | None:
        """The newest settlement of any of the markets."""
        chosen, found, waits = user.preferences.alerts, [], [LOOK_AGAIN]
        for account_id in {hedge.account_id for hedge in hedges}:
            view = await self._view(account_id, {h.symbol for h in hedges if h.account_id == account_id})
            if view is None:
                continue
            for market in view.markets.values():
                found.append(by_settlement(chosen, market.next_funding_at, market.funding_interval, view.at))
                waits.append(until_told(market.next_funding_at, market.funding_interval, view.at))
        self._settled_by[user.id] = self._clock.now() + min(waits)
        return max((due for due in found if due is not None), key=lambda due: due.at, default=None)

    async def _view(self, account_id: AccountId, symbols: set[Symbol]) -> AccountView | None:
        account = await self._store.account(account_id)
        if account is None or account.disconnected_at is not None:
            return None
        return await self._venues.of(account).view(symbols, depth=1)

    async def _owe(self, user: User, due: Due, reply: Reply) -> None:
        now = self._clock.now()
        message = OutboxMessage(
            dedupe_key=f"digest:{user.id}:{due.key}",
            chat=user.home,
            reply=replace(reply, as_of=AsOf(now, user.preferences.time_zone)),
            priority=Priority.INFO,
            not_before=now,
            topic=f"digest:{user.id}",
        )
        await self._store.commit(Changes(outbox=(message,)))
        self._notify()

    # --- what is told -----------------------------------------------------------------------

    async def _digest(self, user: User, hedges: Sequence[Hedge]) -> Digest:
        accounts = {each.id: each for each in await self._store.accounts(user.id)}
        found: list[HedgeDigest] = []
        unread: list[str] = []
        unhedged = 0
        for account_id in dict.fromkeys(hedge.account_id for hedge in hedges):
            account = accounts.get(account_id)
            if account is None:
                continue
            try:
                status = await self._reporting.status(_on(user, account))
            except VenueError as error:
                extra = {"account": account.id, "error": type(error).__name__}
                log.info("no digest of an account", extra=extra)
                unread.append(account.label)
                continue
            found += [await self._of_hedge(account, each, hedges, status.at) for each in status.hedges]
            unhedged += len(status.positions)
        return Digest(
            at=self._clock.now(),
            hedges=tuple(found),
            unhedged=unhedged,
            unread=tuple(unread),
            several_accounts=len(accounts) > 1,
            chart=await self._chart(user, found),
        )

    async def _of_hedge(
        self, account: Account, report: HedgeReport, hedges: Sequence[Hedge], at: datetime
    ) -> HedgeDigest:
        hedge = next((each for each in hedges if each.number == report.number), None)
        booked = () if hedge is None else await self._store.booked_funding(hedge.id)
        lately = sum((each.payment.amount for each in booked if at - each.payment.at <= DAY), ZERO)
        return HedgeDigest(account, report, lately)

    async def _chart(self, user: User, found: Sequence[HedgeDigest]) -> ChartReport | None:
        """Of the pair with the largest lock."""
        if not found:
            return None
        largest = max(found, key=lambda each: each.hedge.lock.net)
        try:
            chart = await self._charting.chart(_on(user, largest.account), largest.hedge.symbol)
        except VenueError:
            return None
        return chart if chart.enough else None


def _on(user: User, account: Account) -> User:
    """As if orders went there: what is read is of that account."""
    return replace(user, preferences=replace(user.preferences, default_account=account.id))
