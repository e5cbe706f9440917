"""A whole bot on the paper exchange: scripted prices, a virtual clock, a database in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, Platform, Reply, Request, UserRef
from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.domain.operation import Operation
from chatbot.domain.quote import (
    CloseRequest,
    CloseWay,
    HedgeRequest,
    OpenRequest,
    Quote,
    Size,
    SizeUnit,
)
from chatbot.ids import SeededIds
from chatbot.ports import Account, User
from chatbot.services.hedging import Requoted, Started
from chatbot.settings import PaperSettings, Settings
from chatbot.venues.feeds import PriceFeed, ScriptedFeed
from chatbot.venues.paper.faults import FaultPlan

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
BTC, ETH = Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT")
OWNER = UserRef(Platform.CONSOLE, "owner")
CHAT = ChatRef(Platform.CONSOLE, "owner")
PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET


@dataclass
class Phone:
    """What was delivered, in order; cards by id in their last state."""

    platform: Platform = Platform.CONSOLE
    seen: list[Reply] = field(default_factory=list)
    cards: dict[str, Reply] = field(default_factory=dict)

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        card = edits or str(len(self.cards) + 1)
        self.cards[card] = reply
        self.seen.append(reply)
        return card

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Nothing to show."""


@dataclass
class World:
    bot: Bot
    clock: VirtualClock
    feed: ScriptedFeed
    phone: Phone
    user: User
    account: Account
    on_disk: bool = False
    taps: int = 0

    @property
    def faults(self) -> FaultPlan:
        return self.bot.venues.of(self.account).faults  # type: ignore[attr-defined,no-any-return]

    def price(self, symbol: Symbol, price: str) -> None:
        self.feed.set(symbol, Decimal(price))

    async def open(
        self,
        symbol: Symbol = ETH,
        side: PositionSide = PositionSide.LONG,
        quantity: str = "1",
        *,
        margin_mode: MarginMode = MarginMode.CROSS,
        leverage: str = "10",
        stop_loss: str | None = None,
        take_profit: str | None = None,
    ) -> Operation:
        request = OpenRequest(
            symbol,
            side,
            Size(SizeUnit.BASE, Decimal(quantity)),
            Decimal(leverage),
            margin_mode,
            None if stop_loss is None else Decimal(stop_loss),
            None if take_profit is None else Decimal(take_profit),
        )
        return await self.carry_out(await self.bot.hedging.offer_open(self.user, CHAT, request))

    async def hedge(self, symbol: Symbol = ETH, ratio: str = "1") -> Operation:
        request = HedgeRequest(symbol, ratio=Decimal(ratio))
        return await self.carry_out(await self.bot.hedging.offer_hedge(self.user, CHAT, request))

    async def close(
        self,
        way: CloseWay = CloseWay.OFFSET_FIRST,
        symbol: Symbol = ETH,
        fraction: str = "1",
        at: str | None = None,
    ) -> Operation:
        request = CloseRequest(symbol, Decimal(fraction), None if at is None else Decimal(at))
        return await self.carry_out(await self.bot.hedging.offer_close(self.user, CHAT, request), way)

    async def tap(self, quote: Quote, choice: str = "confirm") -> Started | Requoted:
        self.taps += 1
        return await self.bot.hedging.confirm(
            self.user, CHAT, quote.id, choice, request_id=f"tap:{self.taps}"
        )

    async def carry_out(self, quote: Quote, choice: str = "confirm") -> Operation:
        started = await self.tap(quote, choice)
        assert isinstance(started, Started), started
        await self.settle()
        operation = await self.bot.store.operation(started.operations[0].id)
        assert operation is not None
        return operation

    async def settle(self, *, at_most: float = 600.0) -> None:
        """Lets time pass until no operation is in flight."""
        passed = 0.0
        while self.bot.supervisor.running and passed < at_most:
            # A database on disk answers from its own thread: the clock must not run away from it.
            await asyncio.sleep(0.002 if self.on_disk else 0)
            await self.clock.advance(0.25)
            passed += 0.25

    async def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        """As the scheduler would see it."""
        passed = 0.0
        while passed < seconds:
            await self.clock.advance(step)
            passed += step
            await self.bot.scheduler.run_due()

    async def view(self) -> AccountView:
        return await self.bot.venues.of(self.account).view()

    async def live(self, symbol: Symbol = ETH) -> Hedge:
        hedges = await self.bot.store.live_hedges(account_id=self.account.id)
        return next(hedge for hedge in hedges if hedge.symbol == symbol)

    async def hedge_number(self, number: int) -> Hedge:
        hedge = await self.bot.store.hedge_by_number(self.user.id, number)
        assert hedge is not None
        return hedge

    async def elsewhere(
        self, side: PositionSide, quantity: str, *, opens: bool, symbol: Symbol = ETH
    ) -> None:
        self.taps += 1
        await self.bot.exchange.trade_elsewhere(
            self.account.id, symbol, side, Decimal(quantity), opens=opens, reference=f"hand:{self.taps}"
        )

    async def require_ledger_equals_venue(self) -> None:
        view = await self.view()
        hedges = await self.bot.store.live_hedges(account_id=self.account.id)
        ledger = {(h.symbol, leg.side): leg.quantity for h in hedges for leg in h.legs if leg.quantity}
        venue = {(p.symbol, p.side): p.quantity for p in view.positions}
        assert ledger == venue


def prices(eth: str = "2000", btc: str = "100000") -> ScriptedFeed:
    return ScriptedFeed({ETH: Decimal(eth), BTC: Decimal(btc)})


@asynccontextmanager
async def a_world(
    feed: ScriptedFeed | None = None,
    *,
    clock: VirtualClock | None = None,
    database: Path | None = None,
    ids: int = 7,
    settings: Settings | None = None,
) -> AsyncIterator[World]:
    """``database``: a folder for files that outlive this world. ``settings``: all others."""
    clock = clock or VirtualClock(BEGIN)
    feed = feed or prices()
    url = "sqlite+aiosqlite://" if database is None else f"sqlite+aiosqlite:///{database}/bot.db"
    settings = (settings or Settings(paper=PaperSettings())).model_copy(update={"database_url": url})
    phone = Phone()
    async with open_bot(
        settings, clock=clock, ids=SeededIds(ids), feed=_as_feed(feed), messengers=(phone,)
    ) as bot:
        user = await bot.people.meet(OWNER, CHAT, "owner")
        account = await bot.people.trading_account(user)
        await bot.start()
        outbox = asyncio.create_task(bot.outbox.run())
        try:
            yield World(bot, clock, feed, phone, user, account, on_disk=database is not None)
        finally:
            await bot.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await outbox


def _as_feed(feed: ScriptedFeed) -> PriceFeed:
    return feed
