"""Ten thousand accounts behind one address while prices crash: who is looked at when, and what it costs.

The pacer, the triggers, the rules and the limiter are the bot's own; accounts are a leg in isolated margin
each, an exchange answers every look at the accounts' prices of that instant. Beside it goes, with the same
budget, the way of most bots: one account after the other.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import cast

from bench.figures import figure, quantile, times
from bench.tables import Aim, Table
from chatbot.clock import VirtualClock
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.instrument import Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.scene import Scene
from chatbot.domain.sight import Sight, sight_of
from chatbot.ports import ROUTINE, Account, Store
from chatbot.services.arming import Arming
from chatbot.services.pacing import Pacer
from chatbot.services.watching import WatchService
from chatbot.venues.ccxt.limiter import Budget, Limiter, Urgency
from tests.builders import a_market, a_position, a_view, an_instrument

VENUE = "binance"
WEIGHT, BUDGET = 25.0, Budget(2400, 60)  # of one look, and of an address in a minute
ANSWER = 0.1  # seconds
BEGIN = datetime(2025, 10, 10, 21, 0, tzinfo=UTC)
LIMITS = AlertPreferences()
TOLD_AT = LIMITS.liquidation_distances[1]  # 10 %: whoever is nearer is endangered
SOONER = 10.0
COLUMNS = ("looked at", "endangered", "delay s", "p90 s", "worst s", "staleness s", "looks", "budget")
OURS, IN_TURN = "Hedgerow, by danger", "one after the other"


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of calm, then ten of crash, then until all that are endangered were seen."""

    accounts: int = 10_000
    markets: int = 20
    before: int = 300
    fall: float = 0.10


QUICK = Plan(accounts=2_000, before=60)


@dataclass(frozen=True, slots=True)
class Holder:
    account: Account
    instrument: Instrument
    side: PositionSide
    entry: float
    liquidation: float

    def distance(self, price: float) -> float:
        """Negative: liquidated."""
        return (price - self.liquidation) / price * self.side.sign


@dataclass
class World:
    """Prices, holders, and who was seen when."""

    plan: Plan
    clock: VirtualClock
    prices: dict[Symbol, float]
    holders: dict[AccountId, Holder]
    limiter: Limiter
    seen: dict[AccountId, datetime] = field(default_factory=dict)
    looks: int = 0
    endangered_since: dict[AccountId, datetime] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    worst_staleness: float = 0.0

    async def look(self, account_id: AccountId) -> Sight:
        await self.limiter.admit(WEIGHT, Urgency.READ)
        await self.clock.sleep(ANSWER)
        now, holder = self.clock.now(), self.holders[account_id]
        self.looks += 1
        self._note(account_id, now)
        self.seen[account_id] = now
        return sight_of(self._scene(holder), LIMITS, now)

    def _note(self, account_id: AccountId, now: datetime) -> None:
        since = self.endangered_since.get(account_id)
        if since is None:
            return
        unseen = _seconds(now - max(self.seen[account_id], since))
        self.worst_staleness = max(self.worst_staleness, unseen)
        if self.seen[account_id] < since:
            self.delays.append(unseen)

    def sight(self, holder: Holder) -> Sight:
        return sight_of(self._scene(holder), LIMITS, self.clock.now())

    def _scene(self, holder: Holder) -> Scene:
        mark = Decimal(repr(self.prices[holder.instrument.symbol]))
        position = a_position(
            holder.side,
            1,
            Decimal(repr(holder.entry)),
            instrument=holder.instrument,
            mode=MarginMode.ISOLATED,
            liquidation_price=Decimal(repr(holder.liquidation)),
        )
        market = {holder.instrument.symbol: a_market(holder.instrument, mark)}
        instruments = {holder.instrument.symbol: holder.instrument}
        view = a_view(position, markets=market, books={}, instruments=instruments)
        return Scene(holder.account.id, holder.account.label, view, instruments)

    def note_endangered(self) -> None:
        now = self.clock.now()
        for name, holder in self.holders.items():
            if holder.distance(self.prices[holder.instrument.symbol]) <= TOLD_AT:
                self.endangered_since.setdefault(name, now)

    @property
    def unseen(self) -> bool:
        """Somebody endangered was not looked at since."""
        return any(self.seen[name] < since for name, since in self.endangered_since.items())


def _seconds(span: timedelta) -> float:
    return span.total_seconds()


def a_world(plan: Plan) -> World:
    """Half are short and safe in a crash; distances from 11 % to 60 %, a few markets hold the most."""
    rng, clock = Random(20251010), VirtualClock(BEGIN)
    instruments = [an_instrument(f"C{n}") for n in range(plan.markets)]
    prices = {each.symbol: 100.0 * (n + 1) for n, each in enumerate(instruments)}
    chosen = rng.choices(instruments, [1 / (n + 1) for n in range(plan.markets)], k=plan.accounts)
    holders = {}
    for number, instrument in enumerate(chosen):
        price, side = prices[instrument.symbol], rng.choice(list(PositionSide))
        name = AccountId(f"account-{number}")
        away = price * min(0.6, rng.lognormvariate(-1.6, 0.7) + 0.105)
        account = Account(name, UserId(f"user-{number}"), VENUE, VENUE, BEGIN)
        entry = price * (1 + side.sign * rng.uniform(-0.01, 0.04))
        holders[name] = Holder(account, instrument, side, entry, price - side.sign * away)
    world = World(plan, clock, prices, holders, Limiter("Binance", BUDGET, clock))
    # Everybody was seen once, some time within the last pass over all.
    whole = plan.accounts * WEIGHT / BUDGET.weight * BUDGET.seconds
    for name in holders:
        world.seen[name] = BEGIN - timedelta(seconds=rng.uniform(0, whole))
    return world


# --- contenders ---------------------------------------------------------------------------------


class Watching:
    """What the pacer asks of the watch."""

    def __init__(self, world: World, arming: Arming) -> None:
        self._world = world
        self._arming = arming
        self._sights = {name: world.sight(holder) for name, holder in world.holders.items()}
        for name, holder in world.holders.items():
            arming.arm(holder.account, self._sights[name].triggers)

    def sight(self, account_id: AccountId) -> Sight | None:
        return self._sights.get(account_id)

    async def look_at_each(self, accounts: Sequence[Account]) -> None:
        await asyncio.gather(*(self._look(account) for account in accounts))

    async def _look(self, account: Account) -> None:
        sight = self._sights[account.id] = await self._world.look(account.id)
        self._arming.arm(account, sight.triggers)


class Accounts:
    """What the pacer asks of the store."""

    def __init__(self, world: World) -> None:
        self._known = {holder.account.id: holder.account for holder in world.holders.values()}
        self._all = tuple(self._known.values())

    async def accounts(self) -> tuple[Account, ...]:
        return self._all

    async def account(self, account_id: AccountId) -> Account | None:
        return self._known.get(account_id)


Told = Callable[[Mapping[Symbol, Decimal]], None]


@asynccontextmanager
async def by_danger(world: World) -> AsyncIterator[Told]:
    arming = Arming()
    pacer = Pacer(
        store=cast(Store, Accounts(world)),
        watching=cast(WatchService, Watching(world, arming)),
        clock=world.clock,
        room=lambda _: world.limiter.roomy,
        prices=arming.prices,
    )

    async def turns() -> None:
        while True:
            await pacer.look_at_due(VENUE)
            await world.clock.sleep(1.0)

    def told(prices: Mapping[Symbol, Decimal]) -> None:
        for account_id in arming.concerned(VENUE, prices):
            pacer.concern(VENUE, account_id)

    async with _running(turns()):
        yield told
        await pacer.stop()


@asynccontextmanager
async def in_turn(world: World) -> AsyncIterator[Told]:
    waiting = [(at, name) for name, at in world.seen.items()]
    heapq.heapify(waiting)

    async def turns() -> None:
        ROUTINE.set(True)
        while True:
            _, name = heapq.heappop(waiting)
            await world.look(name)
            heapq.heappush(waiting, (world.clock.now(), name))

    async with _running(turns()):
        yield lambda _: None


@asynccontextmanager
async def _running(work: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(cast(asyncio.Future[None], work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# --- measuring ----------------------------------------------------------------------------------


async def measure(plan: Plan) -> Table:
    worlds = {}
    for name, contender in ((OURS, by_danger), (IN_TURN, in_turn)):
        worlds[name] = world = a_world(plan)
        async with contender(world) as told:
            await _play(world, told)
    return table(plan, worlds)


async def _play(world: World, told: Told) -> None:
    rng, second = Random(7), 0
    crash = range(world.plan.before, world.plan.before + 10)
    while second < crash.stop or world.unseen:
        fall = world.plan.fall / len(crash) if second in crash else 0.0
        for symbol, price in [*world.prices.items()]:
            world.prices[symbol] = price * (1 - fall) * (1 + rng.gauss(0, 0.0002))
        if second < crash.stop:
            world.note_endangered()
        told({symbol: Decimal(repr(price)) for symbol, price in world.prices.items()})
        await world.clock.advance(1.0)
        second += 1


# --- the table ----------------------------------------------------------------------------------


def table(plan: Plan, worlds: Mapping[str, World]) -> Table:
    ours, theirs = worlds[OURS], worlds[IN_TURN]
    sooner = quantile(theirs.delays, 0.5) / quantile(ours.delays, 0.5)
    return Table(
        f"Looks: {plan.accounts:,} accounts behind one address, prices fall {plan.fall:.0%} in 10 s",
        COLUMNS,
        tuple(_row(name, world) for name, world in worlds.items()),
        (
            Aim(
                f"who falls under {TOLD_AT:.0%} is seen {times(sooner)} sooner at the median, "
                f"{times(max(theirs.delays) / max(ours.delays))} at worst, {SOONER:g}x asked",
                sooner >= SOONER,
            ),
        ),
        (
            f"Delay: from falling under {TOLD_AT:.0%} to the next look, median. Staleness: the longest",
            "that an endangered one went unseen. Budget: of what Binance allows an address.",
        ),
    )


def _row(name: str, world: World) -> tuple[str, ...]:
    allowed = _seconds(world.clock.now() - BEGIN) * BUDGET.weight / BUDGET.seconds
    return (
        name,
        str(len(world.endangered_since)),
        figure(quantile(world.delays, 0.5)),
        figure(quantile(world.delays, 0.9)),
        figure(max(world.delays, default=0.0)),
        figure(world.worst_staleness),
        f"{world.looks:,}",
        f"{world.looks * WEIGHT / allowed:.0%}",
    )
