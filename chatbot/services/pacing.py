"""Which accounts on exchanges are looked at, and when: the endangered sooner, the streamed more seldom.

Exchanges count what they are asked. A routine look begins only while there is room, so that whatever a user
waits for, and orders above all, never stand behind it. An account that a stream tells of is looked at at
once, and so is one that a price concerns; unless it concerns many at the same time: then those nearest to
their liquidation come first, a few at a time, without waiting for room.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Symbol
from chatbot.domain.sight import HOLDING, Sight
from chatbot.ports import ROUTINE, Account, Clock, Store
from chatbot.services.watching import WatchService

AT_ONCE = 4  # routine looks at one exchange
MOST_ROUNDS = 10
GAP = timedelta(seconds=1)  # between two looks at an account that its stream keeps waking
ACCOUNTS_ARE_FRESH_FOR = timedelta(seconds=1)


class _Rank(NamedTuple):
    account: Account
    hurried: bool
    lateness: float  # 1: due
    gravity: float


def _urgency(rank: _Rank) -> tuple[bool, float, float]:
    """Among the hurried it counts as well how long they wait: one that trembles at a level starves nobody."""
    return rank.hurried, rank.lateness * rank.gravity, rank.gravity


class Pacer:
    """``streamed``: whether an account's exchange tells by itself now. ``room``: whether one can be asked.

    ``busy``: whether orders of ours are on their way on an account, or missed there. ``prices``: the newest
    that are known.
    """

    def __init__(
        self,
        *,
        store: Store,
        watching: WatchService,
        clock: Clock,
        streamed: Callable[[Account], bool] = lambda _: False,
        room: Callable[[str], bool] = lambda _: True,
        busy: Callable[[AccountId], bool] = lambda _: False,
        prices: Callable[[str], Mapping[Symbol, Decimal]] = lambda _: {},
    ) -> None:
        self._store = store
        self._watching = watching
        self._clock = clock
        self._streamed = streamed
        self._room = room
        self._busy = busy
        self._prices = prices
        self._accounts: tuple[Account, ...] = ()
        self._accounts_at: datetime | None = None
        self._begun: dict[AccountId, datetime] = {}
        self._hurried: set[AccountId] = set()
        self._crowd: set[AccountId] = set()  # of those, the ones that a price concerns
        self._awake: dict[AccountId, asyncio.Task[None]] = {}
        self._again: set[AccountId] = set()
        self._woken_at: dict[AccountId, datetime] = {}

    # --- in turn --------------------------------------------------------------------------------

    async def look_at_due(self, venue: str) -> None:
        """The scheduler's job. The order is made anew after every few: danger moves with the prices."""
        for _ in range(MOST_ROUNDS):
            due = await self._first_due(venue)
            hurried = [account for account in due if account.id in self._hurried]
            if not due or not (hurried or self._room(venue)):
                return
            before = ROUTINE.set(not hurried)
            try:
                await self._look(hurried or due)
            finally:
                ROUTINE.reset(before)

    async def _first_due(self, venue: str) -> list[Account]:
        """Those that wait longest, in terms of how long they may wait; danger counts for more."""
        now, prices = self._clock.now(), self._prices(venue)
        ranked = (self._rank(each, now, prices) for each in await self.accounts() if each.venue == venue)
        due = [one for one in ranked if one.hurried or one.lateness >= 1]
        first = heapq.nlargest(AT_ONCE, due, key=_urgency) if len(due) > 1 else due
        return [one.account for one in first]

    def _rank(self, account: Account, now: datetime, prices: Mapping[Symbol, Decimal]) -> _Rank:
        sight = self._watching.sight(account.id)
        gravity = 1.0 if sight is None else sight.gravity(prices)
        return _Rank(account, account.id in self._hurried, self._lateness(account, sight, now), gravity)

    def hurry(self, account_id: AccountId) -> None:
        """Its next turn is now: orders of ours have come to an end, so there may be more or less to watch."""
        self._hurried.add(account_id)

    def _lateness(self, account: Account, sight: Sight | None, now: datetime) -> float:
        begun = self._begun.get(account.id)
        looked = begun if sight is None or (begun is not None and begun > sight.at) else sight.at
        return math.inf if looked is None else (now - looked) / self._interval(account, sight)

    def _interval(self, account: Account, sight: Sight | None) -> timedelta:
        if sight is None:  # it could not be looked at
            return HOLDING
        return sight.interval(streamed=self._streamed(account), busy=self._busy(account.id))

    async def accounts(self) -> tuple[Account, ...]:
        now = self._clock.now()
        if self._accounts_at is None or now - self._accounts_at >= ACCOUNTS_ARE_FRESH_FOR:
            self._accounts, self._accounts_at = await self._store.accounts(), now
            self._forget_all_but({account.id for account in self._accounts})
        return self._accounts

    def _forget_all_but(self, known: set[AccountId]) -> None:
        """One that is gone is never looked at, and would be waited for for ever."""
        self._crowd &= known
        self._hurried &= known

    async def _look(self, accounts: Sequence[Account]) -> None:
        now = self._clock.now()
        self._begun.update((account.id, now) for account in accounts)
        self._hurried.difference_update(account.id for account in accounts)
        self._crowd.difference_update(account.id for account in accounts)
        await self._watching.look_at_each(accounts)

    # --- woken ----------------------------------------------------------------------------------

    def wake(self, account_id: AccountId) -> None:
        """It is looked at at once; what is told while that goes on leads to one more look."""
        self._again.add(account_id)
        if account_id not in self._awake:
            looking = asyncio.create_task(self._look_while_told(account_id), name=f"look:{account_id}")
            self._awake[account_id] = looking
            looking.add_done_callback(lambda _: self._awake.pop(account_id, None))

    def concern(self, venue: str, account_id: AccountId) -> None:
        """A price has reached what matters to it."""
        alone = not self._crowd and len(self._awake) < AT_ONCE and self._room(venue)
        if alone or account_id in self._awake:
            self.wake(account_id)
        else:
            self._crowd.add(account_id)
            self.hurry(account_id)

    async def stop(self) -> None:
        looking = list(self._awake.values())
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def _look_while_told(self, account_id: AccountId) -> None:
        ROUTINE.set(False)
        while account_id in self._again:
            await self._clock.sleep(self._gap_left(account_id))
            self._again.discard(account_id)
            self._woken_at[account_id] = self._clock.now()
            account = await self._store.account(account_id)
            if account is None or account.disconnected_at is not None:
                return
            await self._look([account])

    def _gap_left(self, account_id: AccountId) -> float:
        last = self._woken_at.get(account_id)
        return 0.0 if last is None else (last + GAP - self._clock.now()).total_seconds()
