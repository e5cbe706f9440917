"""The paper exchange as the rest of the program has it: one object, a door for each account, and the desk."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

from chatbot.domain.account import Balance
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.order import OrderReport
from chatbot.errors import SettingsError, StorageError
from chatbot.ports import Clock
from chatbot.venues.feeds import PriceFeed
from chatbot.venues.paper.desk import Wish
from chatbot.venues.paper.engine import Engine
from chatbot.venues.paper.faults import FaultPlan
from chatbot.venues.paper.state import Reference
from chatbot.venues.paper.statefile import StateFile
from chatbot.venues.paper.venue import PaperVenue


class PaperExchange:
    """Implements ``chatbot.ports.PaperDesk``; ``venue`` gives each account its ``chatbot.ports.Venue``.

    ``feed`` is public so that a test or the demo can move the prices of a ``ScriptedFeed``.
    """

    def __init__(self, engine: Engine, feed: PriceFeed, clock: Clock) -> None:
        self.feed = feed
        self._engine = engine
        self._clock = clock

    @classmethod
    def open(
        cls,
        state_file: Path | None,
        feed: PriceFeed,
        clock: Clock,
        speed: Decimal,
        *,
        epoch: int | None = None,
    ) -> PaperExchange:
        """``None``: in memory. Raises ``StorageError`` (in use, broken), ``SettingsError`` (other market).

        ``epoch``: of the lease under which a file that moves from process to process is opened.
        """
        state = StateFile(state_file, epoch)
        try:
            return cls(Engine(state, feed, clock, speed), feed, clock)
        except (SettingsError, StorageError):
            state.close()
            raise

    def venue(self, account_id: AccountId, faults: FaultPlan | None = None) -> PaperVenue:
        """The account is made at its first use, with 10,000 USDT and in hedge mode."""
        return PaperVenue(lambda: self._engine, account_id, self._clock, faults or FaultPlan())

    @property
    def engine(self) -> Engine:
        return self._engine

    def advance(self) -> None:
        """Brings the market up to the clock. Every call does so itself; a job does while nobody calls."""
        self._engine.advance()

    def market_now(self) -> datetime:
        return self._engine.market_now()

    def close(self) -> None:
        """The market's last instant is kept; the file is free for another process."""
        self._engine.close()

    def balance(self, account: AccountId, currency: str = "USDT") -> Balance:
        """Of one settlement currency; a view shows that of the linear contracts."""
        return self._engine.balance(account, currency)

    def money_from_outside(self, account: AccountId) -> tuple[Reference, ...]:
        """Opening balance, deposits and resets: with fills and funding they explain the wallet exactly."""
        return self._engine.money_from_outside(account)

    async def deposit(self, account: AccountId, amount: Decimal, *, reference: str) -> Balance:
        return self._engine.deposit(account, amount, reference)

    async def reset(self, account: AccountId, *, reference: str) -> Balance:
        return self._engine.reset(account, reference)

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
        wish = Wish(symbol, side, quantity, opens, self._clock.now())
        self._engine.trade_elsewhere(account, wish, reference)

    async def cancel_elsewhere(
        self, account: AccountId, symbol: Symbol, side: PositionSide | None = None, *, reference: str
    ) -> tuple[OrderReport, ...]:
        return self._engine.cancel_elsewhere(account, symbol, side, reference)
