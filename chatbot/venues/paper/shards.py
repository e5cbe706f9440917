"""Paper exchanges that move from process to process: one for each shard of the users, in a file of its own.

Each is a market by itself: of the same kind and the same seed, and with a time of its own, which stands still
while no process has it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from chatbot.domain.account import Balance
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.order import OrderReport
from chatbot.domain.shards import shard_of_account
from chatbot.errors import LeaseLost, StorageError
from chatbot.ports import Clock, Leases
from chatbot.venues.feeds import PriceFeed
from chatbot.venues.paper.engine import Engine
from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.faults import FaultPlan
from chatbot.venues.paper.state import Reference
from chatbot.venues.paper.venue import PaperVenue


class PaperShards:
    """As ``PaperExchange`` to the rest of the program. Raises ``LeaseLost`` for what another process has.

    ``feed_of_one`` makes the prices of one market; ``feed`` stands for them all.
    """

    def __init__(
        self,
        folder: Path,
        leases: Leases,
        clock: Clock,
        speed: Decimal,
        *,
        feed: PriceFeed,
        feed_of_one: Callable[[], PriceFeed],
    ) -> None:
        self.feed = feed
        self._folder = folder
        self._leases = leases
        self._clock = clock
        self._speed = speed
        self._feed_of_one = feed_of_one
        self._opened: dict[int, tuple[int, PaperExchange]] = {}

    def venue(self, account_id: AccountId, faults: FaultPlan | None = None) -> PaperVenue:
        return PaperVenue(lambda: self._engine_of(account_id), account_id, self._clock, faults or FaultPlan())

    def advance(self) -> None:
        for shard in list(self._opened):
            with contextlib.suppress(StorageError):  # whoever asks for something of it is told
                self._exchange(shard).advance()

    def market_now(self) -> datetime:
        return self._clock.now()

    def let_go(self, shards: Collection[int]) -> None:
        for shard in [each for each in self._opened if each in shards]:
            self._close(shard)

    def close(self) -> None:
        self.let_go(list(self._opened))

    def balance(self, account: AccountId, currency: str = "USDT") -> Balance:
        return self._of(account).balance(account, currency)

    def money_from_outside(self, account: AccountId) -> tuple[Reference, ...]:
        return self._of(account).money_from_outside(account)

    # --- the desk -------------------------------------------------------------------------------

    async def deposit(self, account: AccountId, amount: Decimal, *, reference: str) -> Balance:
        return await self._of(account).deposit(account, amount, reference=reference)

    async def reset(self, account: AccountId, *, reference: str) -> Balance:
        return await self._of(account).reset(account, reference=reference)

    async def trade_elsewhere(
        self,
        account: AccountId,
        symbol: Symbol,
        side: PositionSide,
        quantity: Decimal,
        *,
        opens: bool,
        reference: str,
    ) -> None:
        await self._of(account).trade_elsewhere(
            account, symbol, side, quantity, opens=opens, reference=reference
        )

    async def cancel_elsewhere(
        self, account: AccountId, symbol: Symbol, side: PositionSide | None = None, *, reference: str
    ) -> tuple[OrderReport, ...]:
        return await self._of(account).cancel_elsewhere(account, symbol, side, reference=reference)

    # --- opening --------------------------------------------------------------------------------

    def _engine_of(self, account_id: AccountId) -> Engine:
        return self._of(account_id).engine

    def _of(self, account_id: AccountId) -> PaperExchange:
        return self._exchange(shard_of_account(account_id))

    def _exchange(self, shard: int) -> PaperExchange:
        lease = self._leases.of_shard(shard)
        if lease is None:
            raise LeaseLost
        epoch, opened = self._opened.get(shard, (0, None))
        if opened is None or epoch != lease.epoch:
            opened = self._open(shard, lease.epoch)
        return opened

    def _open(self, shard: int, epoch: int) -> PaperExchange:
        self._close(shard)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / f"{shard:02}.db"
        opened = PaperExchange.open(file, self._feed_of_one(), self._clock, self._speed, epoch=epoch)
        self._opened[shard] = (epoch, opened)
        return opened

    def _close(self, shard: int) -> None:
        _, opened = self._opened.pop(shard, (0, None))
        if opened is not None:
            with contextlib.suppress(StorageError):  # another process has it already
                opened.close()
