"""Streams are kept, missed and found again: scripted ones, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.instrument import Symbol
from chatbot.domain.sight import Sight
from chatbot.domain.triggers import Trigger, Way
from chatbot.errors import BadCredentials, NotConnected, RateLimited, VenueUnavailable
from chatbot.ports import Account, AccountStream, PriceStream
from chatbot.services.keepers import REFUSED_PAUSE, SILENT_AFTER
from chatbot.services.streaming import LINGER, StreamService

START = datetime(2026, 3, 2, tzinfo=UTC)
ETH = Symbol("ETH/USDT:USDT")
CUT = VenueUnavailable("the connection is gone")


@dataclass
class ScriptedStream:
    """``tell`` is the exchange's hand; so is ``pong``."""

    heard: int = 0
    closed: bool = False
    followed: frozenset[Symbol] = frozenset()
    news: asyncio.Queue[Mapping[Symbol, Decimal] | Exception] = field(default_factory=asyncio.Queue)

    def tell(self, news: Mapping[Symbol, Decimal] | Exception | None = None) -> None:
        self.pong()
        self.news.put_nowait(news if news is not None else {})

    def pong(self) -> None:
        self.heard += 1

    async def changed(self) -> None:
        await self.moved()

    async def moved(self) -> Mapping[Symbol, Decimal]:
        told = await self.news.get()
        if isinstance(told, Exception):
            raise told
        return told

    def follow(self, symbols: Collection[Symbol]) -> None:
        self.followed = frozenset(symbols)

    async def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedStreams:
    """Each connection succeeds, unless ``refusals`` has something for it."""

    accounts: dict[AccountId, list[ScriptedStream]] = field(default_factory=dict)
    prices: dict[str, list[ScriptedStream]] = field(default_factory=dict)
    refusals: deque[Exception] = field(default_factory=deque)
    asked: int = 0

    async def of_account(self, account: Account) -> AccountStream | None:
        self.asked += 1
        if self.refusals:
            raise self.refusals.popleft()
        made = ScriptedStream()
        self.accounts.setdefault(account.id, []).append(made)
        return made

    async def of_prices(self, venue_id: str) -> PriceStream | None:
        made = ScriptedStream()
        self.prices.setdefault(venue_id, []).append(made)
        return made

    def tells_prices(self, venue_id: str) -> bool:
        return True

    def room(self, venue_id: str) -> bool:
        return True


class Rig:
    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.streams = ScriptedStreams()
        self.woken: list[AccountId] = []
        self.sights: dict[AccountId, Sight] = {}
        self.accounts: list[Account] = []
        self.service = StreamService(
            self.streams,
            self.clock,
            wake=self.woken.append,
            concern=lambda _, account_id: self.woken.append(account_id),
            sight=self.sights.get,
        )

    def holds(self, name: str, *, venue: str = "binance", low: str = "1990", high: str = "2010") -> Account:
        account = Account(AccountId(name), UserId(f"user of {name}"), venue, name, START)
        self.look(account, low=low, high=high)
        self.accounts.append(account)
        return account

    def look(self, account: Account, *, low: str, high: str) -> None:
        triggers = Trigger(ETH, Way.DOWN, Decimal(low)), Trigger(ETH, Way.UP, Decimal(high))
        sight = self.sights[account.id] = Sight(START, holds=True, triggers=triggers)
        self.service.seen(account, sight)

    async def tend(self) -> None:
        self.service.tend(self.accounts)
        await self.pass_time(0)

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def of(self, account: Account) -> ScriptedStream:
        return self.streams.accounts[account.id][-1]

    def prices(self, venue: str = "binance") -> ScriptedStream:
        return self.streams.prices[venue][-1]

    async def live(self, account: Account) -> None:
        """Until both streams have been heard."""
        await self.tend()
        self.of(account).pong()
        self.prices(account.venue).pong()
        await self.pass_time(2)
        assert self.service.streamed(account)
        self.woken.clear()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.service.stop()
    opened = [*made.streams.accounts.values(), *made.streams.prices.values()]
    assert all(stream.closed for of_one in opened for stream in of_one)


async def test_a_change_wakes_the_account_it_is_about_and_no_other(rig: Rig) -> None:
    mine, other = rig.holds("mine"), rig.holds("other")
    await rig.tend()
    rig.of(mine).tell()
    await rig.pass_time(0)

    assert rig.woken == [mine.id]
    assert rig.of(mine) is not rig.of(other)


async def test_streams_are_counted_by_venue_and_whether_they_live(rig: Rig) -> None:
    mine = rig.holds("mine")
    rig.holds("other", venue="okx")
    await rig.live(mine)
    rig.of(mine).tell(CUT)
    await rig.pass_time(0)

    assert rig.service.states() == {("binance", True): 1, ("binance", False): 1, ("okx", False): 2}


async def test_an_account_that_holds_nothing_has_no_stream(rig: Rig) -> None:
    account = rig.holds("mine")
    rig.sights[account.id] = Sight(START)
    rig.service.seen(account, rig.sights[account.id])
    await rig.tend()

    assert rig.streams.accounts == {}
    assert rig.streams.prices == {}


async def test_a_stream_lingers_after_the_last_position_and_then_ends(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.live(account)
    rig.sights[account.id] = Sight(START)
    await rig.tend()
    assert not rig.of(account).closed

    await rig.pass_time(LINGER.total_seconds())
    await rig.tend()

    assert rig.of(account).closed


async def test_a_price_wakes_those_for_whom_it_changes_something(rig: Rig) -> None:
    near, far = rig.holds("near"), rig.holds("far", low="1900", high="2100")
    elsewhere = rig.holds("elsewhere", venue="okx")
    await rig.tend()
    assert rig.prices().followed == {ETH}

    rig.prices().tell({ETH: Decimal(2005)})
    await rig.pass_time(0)
    assert rig.woken == []

    rig.prices().tell({ETH: Decimal(2011)})
    await rig.pass_time(0)
    assert rig.woken == [near.id]
    assert {far.id, elsewhere.id}.isdisjoint(rig.woken)


async def test_a_stream_counts_once_it_was_heard_and_prices_with_it(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.tend()
    rig.of(account).pong()
    await rig.pass_time(2)
    assert not rig.service.streamed(account)

    rig.prices().pong()
    await rig.pass_time(2)
    assert rig.service.streamed(account)


async def test_answers_to_pings_keep_a_calm_stream_alive(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.live(account)
    for _ in range(12):
        await rig.pass_time(10)
        rig.of(account).pong()
        rig.prices().pong()

    assert rig.service.streamed(account)
    assert len(rig.streams.accounts[account.id]) == 1


async def test_one_that_says_nothing_is_given_up_and_the_account_looked_at_at_once(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.live(account)
    silent = rig.of(account)
    await rig.pass_time(SILENT_AFTER.total_seconds() + 2)

    assert silent.closed
    assert not rig.service.streamed(account)
    assert rig.woken == [account.id]


async def test_a_cut_stream_is_opened_anew_and_what_was_missed_looked_for(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.live(account)
    cut = rig.of(account)
    cut.tell(CUT)
    await rig.pass_time(0)
    assert rig.woken == [account.id]
    assert cut.closed

    await rig.pass_time(2)
    assert rig.of(account) is not cut
    rig.of(account).pong()
    await rig.pass_time(2)
    assert rig.woken == [account.id, account.id]
    assert rig.service.missing_for(account) == timedelta(0)


async def test_pauses_between_tries_grow_to_a_minute(rig: Rig) -> None:
    rig.holds("mine")
    rig.streams.refusals.extend([CUT] * 10_000)
    await rig.tend()
    tries = []
    for _ in range(10):
        before = rig.streams.asked
        await rig.pass_time(60)
        tries.append(rig.streams.asked - before)

    assert tries[0] in (5, 6, 7)
    assert 6 <= sum(tries[2:]) <= 11


async def test_many_that_were_cut_together_do_not_come_back_in_the_same_instant(rig: Rig) -> None:
    accounts = [rig.holds(f"account {n}") for n in range(30)]
    await rig.tend()
    for account in accounts:
        rig.of(account).tell(CUT)
    back = []
    for _ in range(14):
        await rig.pass_time(0.1)
        back.append(sum(len(rig.streams.accounts[a.id]) > 1 for a in accounts))

    assert back[6] == 0
    assert 0 < back[9] < 30
    assert back[-1] == 30


async def test_a_refused_key_is_not_tried_by_the_minute(rig: Rig) -> None:
    rig.holds("mine")
    rig.streams.refusals.extend([BadCredentials("refused")] * 2)
    await rig.tend()
    assert rig.streams.asked == 1

    await rig.pass_time(REFUSED_PAUSE - 1)
    assert rig.streams.asked == 1
    await rig.pass_time(1)
    assert rig.streams.asked == 2


async def test_an_exchange_that_asks_to_slow_down_is_obeyed(rig: Rig) -> None:
    account = rig.holds("mine")
    rig.streams.refusals.append(RateLimited("slow down", retry_after=40))
    await rig.tend()
    await rig.pass_time(29)
    assert rig.streams.asked == 1

    await rig.pass_time(21)
    assert rig.streams.asked == 2
    assert len(rig.streams.accounts[account.id]) == 1


async def test_how_long_one_that_lived_is_missing_is_known(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.live(account)
    rig.streams.refusals.extend([CUT] * 10_000)
    rig.of(account).tell(CUT)
    await rig.pass_time(0)
    await rig.pass_time(300)

    assert rig.service.missing_for(account) == timedelta(seconds=300)


async def test_one_that_never_lived_is_not_missed(rig: Rig) -> None:
    account = rig.holds("mine")
    rig.streams.refusals.extend([CUT] * 10_000)
    await rig.tend()
    await rig.pass_time(300)
    rig.prices().pong()

    assert not rig.service.streamed(account)
    assert rig.streams.accounts == {}


async def test_a_changed_key_ends_the_stream_and_the_next_has_the_new_one(rig: Rig) -> None:
    account = rig.holds("mine")
    await rig.live(account)
    old = rig.of(account)
    rig.service.drop(account)
    await rig.pass_time(0)
    assert old.closed

    await rig.tend()
    assert rig.of(account) is not old


async def test_an_account_without_a_key_is_left_alone(rig: Rig) -> None:
    rig.holds("mine")
    rig.streams.refusals.append(NotConnected("no key"))
    await rig.tend()
    await rig.pass_time(3_600)

    assert rig.streams.asked == 1


async def test_one_that_never_came_up_is_missing_since_it_was_first_wanted(rig: Rig) -> None:
    account = rig.holds("mine")
    rig.streams.refusals.extend([CUT] * 10_000)
    await rig.tend()
    await with_prices(rig, 300)
    assert rig.service.missing_for(account) == timedelta(minutes=5)

    rig.streams.refusals.clear()
    while not rig.streams.accounts:
        await with_prices(rig, 3)
    rig.of(account).pong()
    await rig.pass_time(2)

    assert rig.service.missing_for(account) == timedelta(0)


async def with_prices(rig: Rig, seconds: int) -> None:
    """Only the account's own stream may be missing."""
    for _ in range(seconds // 3):
        rig.prices().pong()
        await rig.pass_time(3)


@pytest.mark.parametrize("refusal", [BadCredentials("no"), RuntimeError("a bug")])
async def test_one_that_is_refused_or_fails_is_missing(rig: Rig, refusal: Exception) -> None:
    account = rig.holds("mine")
    rig.streams.refusals.append(refusal)
    await rig.tend()
    await rig.pass_time(300)

    assert rig.service.missing_for(account) == timedelta(minutes=5)


async def test_one_that_cannot_be_is_not_missing(rig: Rig) -> None:
    account = rig.holds("mine")
    rig.streams.refusals.append(NotConnected())
    await rig.tend()
    await with_prices(rig, 300)

    assert rig.service.missing_for(account) == timedelta(0)
