"""Streams of exchanges wake the accounts of which they tell. They are never believed: they lead to a look.

Where one is missing, accounts are polled as if there were none (``pacing.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Symbol
from chatbot.domain.shards import shard_of_account
from chatbot.domain.sight import Sight
from chatbot.ports import Account, AccountStream, Clock, PriceStream, Streams
from chatbot.services.arming import Arming
from chatbot.services.keepers import Keeper, Shelf

LINGER = timedelta(minutes=10)  # an account that holds nothing any more is listened to a little longer


class StreamService:
    """``wake`` looks at an account at once, ``concern`` as soon as that is fair to the others whom the same
    prices concern; ``sight`` is what the last look saw.
    """

    def __init__(
        self,
        streams: Streams,
        clock: Clock,
        *,
        wake: Callable[[AccountId], None],
        concern: Callable[[str, AccountId], None],
        sight: Callable[[AccountId], Sight | None],
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._wake = wake
        self._concern = concern
        self._sight = sight
        self._accounts: Shelf[AccountStream] = Shelf()
        self._prices: Shelf[PriceStream] = Shelf()
        self._held_at: dict[AccountId, datetime] = {}
        self._arming = Arming()

    def streamed(self, account: Account) -> bool:
        """Both its changes and the prices that could endanger it are told."""
        return all(keeper is not None and keeper.alive for keeper in self._keepers(account))

    def missing_for(self, account: Account) -> timedelta:
        """How long a stream has been missing, whether it ever lived or not; zero: none is."""
        return max(keeper.missing_for if keeper else timedelta(0) for keeper in self._keepers(account))

    def _keepers(self, account: Account) -> tuple[Keeper[AccountStream] | None, Keeper[PriceStream] | None]:
        return self._accounts.get(account.id), self._prices.get(account.venue)

    def states(self) -> Counter[tuple[str, bool]]:
        """How many streams there are of each venue, those that live and those that do not."""
        states = [*self._accounts.states(), *self._prices.states()]
        return Counter((name.partition(" ")[0], alive) for name, alive in states)

    # --- keeping --------------------------------------------------------------------------------

    def tend(self, accounts: Sequence[Account]) -> None:
        """One stream for each account that holds something or lately did, one of prices for each venue."""
        wanted = [account for account in accounts if self._held_lately(account.id)]
        self._accounts.keep_only([account.id for account in wanted])
        for account in wanted:
            if self._accounts.get(account.id) is None:
                self._accounts.put(account.id, self._of_account(account))
        self._tend_prices()

    def prices(self, venue: str) -> Mapping[Symbol, Decimal]:
        """The newest that a stream tells; none once it is lost, for they would be old."""
        keeper = self._prices.get(venue)
        return self._arming.prices(venue) if keeper is not None and keeper.alive else {}

    def passed(self, account: Account) -> Mapping[Symbol, Sequence[Decimal]] | None:
        """``None``: its venue tells none."""
        if not self._streams.tells_prices(account.venue):
            return None
        return self._arming.passed(account.id)

    def seen(self, account: Account, sight: Sight) -> None:
        """After each look."""
        self._arming.arm(account, sight.triggers)

    def drop(self, account: Account) -> None:
        """Its key changed or is gone: what was made with it ends."""
        self._held_at.pop(account.id, None)
        self._arming.disarm(account.id)
        self._accounts.end(account.id)

    def let_go(self, shards: Collection[int]) -> None:
        """Another process listens there now."""
        for account_id in [each for each in self._held_at if shard_of_account(each) in shards]:
            del self._held_at[account_id]
            self._arming.disarm(account_id)
            self._accounts.end(account_id)

    async def stop(self) -> None:
        await self._accounts.stop()
        await self._prices.stop()

    def _held_lately(self, account_id: AccountId) -> bool:
        now, sight = self._clock.now(), self._sight(account_id)
        if sight is not None and sight.holds:
            self._held_at[account_id] = now
        return account_id in self._held_at and now - self._held_at[account_id] < LINGER

    def _of_account(self, account: Account) -> Keeper[AccountStream]:
        async def listen(stream: AccountStream) -> None:
            while True:
                await stream.changed()
                self._wake(account.id)

        return Keeper(
            f"{account.venue} {account.id}",
            self._clock,
            open=lambda: self._streams.of_account(account),
            listen=listen,
            turned=lambda: self._wake(account.id),
        )

    # --- prices ---------------------------------------------------------------------------------

    def _tend_prices(self) -> None:
        venues = self._arming.venues()
        wanted = {venue: symbols for venue in venues if (symbols := self._arming.symbols(venue))}
        self._prices.keep_only(list(wanted))
        for venue, symbols in wanted.items():
            keeper = self._prices.get(venue)
            if keeper is None:
                self._prices.put(venue, self._of_prices(venue))
            elif keeper.stream is not None:
                keeper.stream.follow(symbols)

    def _of_prices(self, venue: str) -> Keeper[PriceStream]:
        async def listen(stream: PriceStream) -> None:
            stream.follow(self._arming.symbols(venue))
            while True:
                self.moved(venue, await stream.moved())

        return Keeper(
            f"{venue} prices", self._clock, open=lambda: self._streams.of_prices(venue), listen=listen
        )

    def moved(self, venue: str, prices: Mapping[Symbol, Decimal]) -> None:
        """A stream tells of prices: whoever they concern is looked at."""
        for account_id in self._arming.concerned(venue, prices):
            self._concern(venue, account_id)
