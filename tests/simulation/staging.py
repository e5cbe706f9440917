"""Makes the stages: a bot in fair weather does what leads there, and what it left behind is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from random import Random
from typing import Any

from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.quote import (
    AdjustRequest,
    CloseRequest,
    HedgeRequest,
    MarginRequest,
    OpenRequest,
    Quote,
    StopsRequest,
)
from chatbot.ports import Changes
from chatbot.services.hedging import Started
from chatbot.venues.feeds import ETH
from tests.simulation.fate import Fate
from tests.simulation.journal import Disk
from tests.simulation.loop import VirtualLoop, running
from tests.simulation.stages import ALPHA, BETA, NAMES, SCENARIOS, Request, Stage, Wish, a_person, exchanges
from tests.simulation.weather import CALM, Weather
from tests.simulation.world import BEGIN, World

OFFERS = {
    OpenRequest: "offer_open",
    HedgeRequest: "offer_hedge",
    CloseRequest: "offer_close",
    AdjustRequest: "offer_adjust",
    StopsRequest: "offer_stops",
    MarginRequest: "offer_margin",
}


class _Hands:
    """Implements ``tests.simulation.stages.Hands``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.stage = world.stage
        self._taps = 0

    @property
    def _bot(self) -> Any:
        return self._world.bot

    async def do(self, request: Request, choice: str = "confirm", *, who: int = 0, on: int = 0) -> None:
        quote, person = await self._offer(request, who, on), self.stage.people[who]
        self._taps += 1
        answer = await self._bot.hedging.confirm(
            person.user, person.chat, quote.id, choice, request_id=f"made:{self._taps}"
        )
        assert isinstance(answer, Started), answer
        await self._settled()

    async def want(
        self, request: Request, choice: str = "confirm", *, who: int = 0, on: int = 0, after: float = 0.0
    ) -> None:
        await self._settled()
        quote = await self._offer(request, who, on)
        self.stage.wishes.append(Wish(f"tap:{len(self.stage.wishes)}", who, quote, choice, after))

    async def _offer(self, request: Request, who: int, on: int) -> Quote:
        person = self.stage.people[who]
        account = person.accounts[on]
        preferences = replace(person.user.preferences, default_account=account.id)
        user = await self._bot.people.choose(person.user, preferences)
        offer = getattr(self._bot.hedging, OFFERS[type(request)])
        quote: Quote = await offer(user, person.chat, request)
        return quote

    async def _settled(self) -> None:
        await self._bot.supervisor.idle()
        await self._bot.outbox.idle()

    def price(self, symbol: Symbol, price: Any) -> None:
        for exchange in self._world.exchanges.values():
            exchange.set_price(symbol, price)

    def liquidate(self, side: PositionSide) -> None:
        self._world.liquidate(ETH, side)

    async def look(self) -> None:
        accounts = [account for person in self.stage.people for account in person.accounts]
        await self._bot.watching.look_at_each(accounts)
        await self._settled()


def make_stage(loop: VirtualLoop, name: str) -> Stage:
    venues = (ALPHA, BETA) if name == "two exchanges" else (ALPHA,)
    names = NAMES if name == "two people" else NAMES[:1]
    people = [a_person(who, number, venues, BEGIN) for number, who in enumerate(names)]
    stage = Stage(name, Disk(), exchanges(venues), people)
    with running(loop):
        world = World(loop, stage, Weather(CALM, Random(0)), Random(0), Fate(), seed=999)
        world.inspection.making = True
        world.boot()
        world._until(lambda: world.bot is not None)
        _run(world, _prepared(world, name))
        world._until(world._quiet)
        loop.drop_all()
    stage.disk.keep()
    stage.exchanges = {key: exchange.copy() for key, exchange in world.exchanges.items()}
    stage.now = loop.time()
    loop.reset()
    return stage


async def _prepared(world: World, name: str) -> None:
    bot = world.bot
    assert bot is not None
    people = world.stage.people
    await bot.store.commit(
        Changes(users=tuple(p.user for p in people), accounts=tuple(a for p in people for a in p.accounts))
    )
    await SCENARIOS[name](_Hands(world))


def _run(world: World, work: Coroutine[Any, Any, None]) -> None:
    task: asyncio.Task[None] = world.loop.create_task(work)
    world._until(task.done)
    task.result()
