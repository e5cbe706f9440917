"""Whose turn it is: fifty accounts on one exchange that counts what it is asked, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from chatbot.app import Bot, open_bot
from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.domain.quote import OpenRequest, Size, SizeUnit
from chatbot.domain.sight import EMPTY, ENDANGERED, HOLDING, HOLDING_STREAMED
from chatbot.ids import SeededIds
from chatbot.ports import Account, AccountStream, Changes, Credentials, PriceStream, Venue
from chatbot.services.pacing import GAP
from chatbot.settings import PaperSettings, Settings
from chatbot.venues.ccxt.limiter import Budget, Limiter, Urgency
from chatbot.watchroom import TURN_SECONDS
from tests.exchanges import ScriptedExchanges
from tests.services.test_streaming import ScriptedStream
from tests.services.world import BEGIN, CHAT, ETH, OWNER, prices

WEIGHT = 25.0  # of one look, as on Binance
BUDGET = Budget(2400, 60)


@dataclass
class Counted:
    """One account on the paper floor; each look is paid for."""

    account_id: AccountId
    exchange: CountingExchanges
    paper: Any

    async def view(self, symbols: Collection[Symbol] = (), *, depth: int = 50) -> AccountView:
        asked_at = self.exchange.clock.now()
        await self.exchange.limiter.admit(WEIGHT, Urgency.READ)
        self.exchange.looks.append((self.exchange.clock.now(), self.account_id))
        self.exchange.waits.append(self.exchange.clock.now() - asked_at)
        return cast(AccountView, await self.paper.view(symbols, depth=depth))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.paper, name)


@dataclass
class CountingExchanges(ScriptedExchanges):
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(BEGIN))
    looks: list[tuple[datetime, AccountId]] = field(default_factory=list)
    waits: list[timedelta] = field(default_factory=list)
    streams: list[ScriptedStream] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = Limiter("Binance", BUDGET, self.clock)

    def venue(self, account: Account, credentials: Credentials) -> Venue:
        return cast(Venue, Counted(account.id, self, self.door(account.id)))

    def room(self, venue_id: str) -> bool:
        return self.limiter.roomy

    async def account_stream(self, account: Account, credentials: Credentials) -> AccountStream | None:
        return self._stream()

    async def price_stream(self, venue_id: str) -> PriceStream | None:
        return self._stream()

    def _stream(self) -> ScriptedStream:
        self.streams.append(ScriptedStream())
        return self.streams[-1]


class Crowd:
    def __init__(self, bot: Bot, exchange: CountingExchanges) -> None:
        self.bot = bot
        self.exchange = exchange
        self.clock = exchange.clock
        self.accounts: list[Account] = []

    async def add(self, count: int, *, quantity: str = "1") -> list[Account]:
        """``quantity``: of ETH, long; 40 stand near liquidation, one does not, none is empty."""
        user = await self.bot.people.meet(OWNER, CHAT, "owner")
        added = []
        for _ in range(count):
            name = f"binance-{len(self.accounts) + 1}"
            account = Account(AccountId(name), user.id, "binance", name, BEGIN)
            await self.bot.keys.vault.keep(account, Credentials(f"key of {name}", f"secret of {name}"))
            await self.bot.store.commit(Changes(accounts=(account,)))
            if Decimal(quantity):
                await self.bot.exchange.trade_elsewhere(
                    account.id, ETH, PositionSide.LONG, Decimal(quantity), opens=True, reference=name
                )
            self.accounts.append(account)
            added.append(account)
        return added

    async def pass_time(self, seconds: float, *, answering: bool = False) -> None:
        """``answering``: streams are heard all the while."""
        passed = 0.0
        while passed < seconds:
            await self.clock.advance(0.25)
            passed += 0.25
            for stream in self.exchange.streams if answering else ():
                stream.pong()

    async def looks_in(self, seconds: float, *, answering: bool = False) -> Counter[AccountId]:
        self.exchange.looks.clear()
        await self.pass_time(seconds, answering=answering)
        return Counter(account_id for _, account_id in self.exchange.looks)

    @property
    def most_in_a_minute(self) -> float:
        times = [at for at, _ in self.exchange.looks]
        minute = timedelta(seconds=60)
        return max(WEIGHT * sum(start <= at < start + minute for at in times) for start in times)


@asynccontextmanager
async def a_crowd() -> AsyncIterator[Crowd]:
    exchange = CountingExchanges()
    settings = Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings())
    async with open_bot(
        settings, clock=exchange.clock, ids=SeededIds(7), feed=prices(), exchanges=exchange
    ) as bot:
        exchange.floor = bot.exchange
        await bot.start()
        crowd = Crowd(bot, exchange)
        running = asyncio.create_task(bot.run())
        try:
            yield crowd
        finally:
            await bot.stop()
            await running


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    async with a_crowd() as made:
        yield made


async def test_fifty_accounts_stay_within_the_budget_and_none_is_forgotten(crowd: Crowd) -> None:
    await crowd.add(50)
    looks = await crowd.looks_in(180)

    assert crowd.most_in_a_minute <= BUDGET.weight
    assert len(looks) == 50
    assert max(looks.values()) - min(looks.values()) <= 1
    assert min(looks.values()) >= 3


async def test_no_look_holds_its_account_while_it_waits_for_the_exchange(crowd: Crowd) -> None:
    await crowd.add(50)
    await crowd.pass_time(120)

    assert max(crowd.exchange.waits) == timedelta(0)


async def test_an_order_and_a_user_pass_all_looks_that_are_due(crowd: Crowd) -> None:
    await crowd.add(50)
    await crowd.pass_time(60)
    for urgency in (Urgency.ORDER, Urgency.EVIDENCE, Urgency.READ):
        admitted = asyncio.create_task(crowd.exchange.limiter.admit(5, urgency))
        for _ in range(10):
            await asyncio.sleep(0)  # no time passes
        assert admitted.done()


async def test_an_endangered_account_is_looked_at_more_often_than_calm_ones(crowd: Crowd) -> None:
    calm = await crowd.add(3)
    (endangered,) = await crowd.add(1, quantity="40")
    (empty,) = await crowd.add(1, quantity="0")
    await crowd.pass_time(30)
    looks = await crowd.looks_in(60)

    assert looks[endangered.id] == pytest.approx(timedelta(seconds=60) / ENDANGERED, abs=1)
    assert [looks[each.id] for each in calm] == pytest.approx([timedelta(seconds=60) / HOLDING] * 3, abs=1)
    assert looks[empty.id] == timedelta(seconds=60) / EMPTY


async def test_in_a_crowd_the_endangered_still_come_sooner(crowd: Crowd) -> None:
    calm = await crowd.add(49)
    (endangered,) = await crowd.add(1, quantity="40")
    await crowd.pass_time(60)
    looks = await crowd.looks_in(120)

    assert looks[endangered.id] > 3 * max(looks[each.id] for each in calm)


async def test_streams_make_polling_seldom_and_silence_makes_it_frequent_again(crowd: Crowd) -> None:
    (account,) = await crowd.add(1)
    await crowd.pass_time(30, answering=True)
    assert crowd.bot.watch.streaming.streamed(account)
    streamed = await crowd.looks_in(120, answering=True)
    assert streamed[account.id] == timedelta(seconds=120) / HOLDING_STREAMED

    await crowd.pass_time(30)
    assert not crowd.bot.watch.streaming.streamed(account)
    polled = await crowd.looks_in(60)
    assert polled[account.id] >= timedelta(seconds=60) / HOLDING


async def test_a_wake_leads_to_a_look_before_any_time_passes(crowd: Crowd) -> None:
    accounts = await crowd.add(3)
    await crowd.pass_time(30, answering=True)
    crowd.exchange.looks.clear()
    crowd.bot.watch.pacer.wake(accounts[1].id)
    await crowd.pass_time(0.25)

    assert crowd.exchange.looks == [(crowd.exchange.looks[0][0], accounts[1].id)]


async def test_a_price_leads_to_a_look_at_once_though_orders_on_paper_have_just_ended(crowd: Crowd) -> None:
    accounts = await crowd.add(3)
    await crowd.pass_time(30, answering=True)
    crowd.exchange.looks.clear()
    crowd.bot.watch.pacer.hurry(AccountId("paper:somebody"))
    crowd.bot.watch.pacer.concern("binance", accounts[1].id)
    await crowd.pass_time(0.25)

    assert [account_id for _, account_id in crowd.exchange.looks] == [accounts[1].id]


async def test_an_empty_account_is_looked_at_as_soon_as_an_order_of_ours_has_ended(crowd: Crowd) -> None:
    (account,) = await crowd.add(1, quantity="0")
    await crowd.pass_time(10)
    crowd.exchange.looks.clear()
    await crowd.pass_time(5)
    assert crowd.exchange.looks == []

    user = await crowd.bot.people.meet(OWNER, CHAT, "owner")
    user = await crowd.bot.people.choose(user, replace(user.preferences, default_account=account.id))
    size = Size(SizeUnit.BASE, Decimal(1))
    quote = await crowd.bot.hedging.offer_open(
        user, CHAT, OpenRequest(ETH, PositionSide.LONG, size, Decimal(10), MarginMode.ISOLATED)
    )
    await crowd.bot.hedging.confirm(user, CHAT, quote.id, "confirm", request_id=quote.id)
    await crowd.bot.supervisor.idle()
    crowd.exchange.looks.clear()
    await crowd.pass_time(TURN_SECONDS)

    assert [account_id for _, account_id in crowd.exchange.looks] == [account.id]


async def test_an_account_that_is_woken_all_the_time_is_looked_at_every_second(crowd: Crowd) -> None:
    (account,) = await crowd.add(1)
    await crowd.pass_time(30, answering=True)
    crowd.exchange.looks.clear()
    for _ in range(80):
        crowd.bot.watch.pacer.wake(account.id)
        await crowd.pass_time(0.25, answering=True)

    assert len(crowd.exchange.looks) == pytest.approx(timedelta(seconds=20) / GAP, abs=1)


async def test_a_disconnected_account_is_not_looked_at_when_it_is_woken(crowd: Crowd) -> None:
    (account,) = await crowd.add(1)
    await crowd.pass_time(10)
    gone = replace(account, disconnected_at=crowd.clock.now())
    await crowd.bot.store.commit(Changes(accounts=(gone,)))
    await crowd.pass_time(2)
    crowd.exchange.looks.clear()
    crowd.bot.watch.pacer.wake(account.id)
    await crowd.pass_time(10)

    assert crowd.exchange.looks == []


async def test_an_account_that_is_gone_holds_up_no_other_that_a_price_concerns(crowd: Crowd) -> None:
    gone, here = await crowd.add(2)
    await crowd.pass_time(30, answering=True)
    pacer = crowd.bot.watch.pacer
    pacer._crowd.add(gone.id)
    pacer.hurry(gone.id)
    await crowd.bot.store.commit(Changes(accounts=(replace(gone, disconnected_at=crowd.clock.now()),)))
    await crowd.pass_time(2, answering=True)
    crowd.exchange.looks.clear()
    pacer.concern("binance", here.id)
    await crowd.pass_time(0.25, answering=True)

    assert [account_id for _, account_id in crowd.exchange.looks] == [here.id]


async def test_those_that_tremble_at_a_level_starve_nobody_whom_a_price_concerns(crowd: Crowd) -> None:
    nearest = await crowd.add(8, quantity="40")
    (farther,) = await crowd.add(1, quantity="20")
    await crowd.pass_time(60)
    crowd.exchange.looks.clear()
    pacer = crowd.bot.watch.pacer
    pacer.hurry(farther.id)
    for _ in range(60):
        for account in nearest:
            pacer.hurry(account.id)
        await crowd.pass_time(0.5)
    looked_at = {account_id for _, account_id in crowd.exchange.looks}
    await crowd.pass_time(10)  # else the end would wait, in real time, for looks that wait for the clock

    assert farther.id in looked_at
