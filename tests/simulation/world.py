"""The whole bot over the model exchange, one life after the other, with whoever taps its buttons."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from chatbot.app import Bot, _wire
from chatbot.chat import ChatRef, Platform, Reply, Request
from chatbot.domain.hedge import AccountId, HedgeId
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.intent import OperationId
from chatbot.domain.order import OrderType
from chatbot.domain.quote import QuoteId
from chatbot.errors import DeliverLater, HedgerowError, InvariantBroken, StorageError, VenueError
from chatbot.ports import Account, Changes, Credentials, KeyReport, Sighting, User, Venue
from chatbot.pushing.outbox import DEFAULT_LIMITS
from chatbot.services.hedging import Started
from chatbot.settings import PaperSettings, Settings
from chatbot.storage.database import Database
from chatbot.venues.paper.exchange import PaperExchange
from tests.properties.mortal import Killed, Stumbles, Witness
from tests.simulation.door import ModelVenue, Network
from tests.simulation.exchange import Holder, ModelExchange
from tests.simulation.fate import Fate, Life
from tests.simulation.inspection import Inspection, Violation
from tests.simulation.journal import Books, Disk, Wire
from tests.simulation.loop import LoopClock, VirtualLoop
from tests.simulation.stages import Person, Stage, Wish
from tests.simulation.weather import Extra, Kind, Weather

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SETTINGS = Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings())
BEAT = 4.0  # seconds between the bot's own jobs: as often as an account is looked at while orders fly
IN_TIME = 3_600.0  # nothing may take longer once nothing new goes wrong
BAD_FOR = 120.0  # seconds after which nothing new goes wrong
LOOKS = 12  # at most, until ledger and exchange have to agree
BETWEEN_LOOKS = 6.0
CHAT_IS_AWAY = (0.5, 3.0, 8.0)
CANCELS_BY_HAND, MAKES_GOOD = 0.4, 0.1  # where a stop rests


class CountedIds:
    """Implements ``chatbot.ports.IdSource``: as short-lived as the run, and told at a glance."""

    def __init__(self, seed: int, life: int) -> None:
        self._before = f"{life}{seed % 1_000_000:06}"
        self._numbers = itertools.count()

    def hedge_id(self) -> HedgeId:
        return HedgeId(f"{self._before}h{next(self._numbers)}".ljust(10, "0")[:10])

    def operation_id(self) -> OperationId:
        return OperationId(f"{self._before}op{next(self._numbers)}".ljust(16, "0"))

    def quote_id(self) -> QuoteId:
        return QuoteId(f"{self._before}q{next(self._numbers)}".ljust(22, "0"))


@dataclass
class Phone:
    """The chats. ``take``: called with each message before it is shown."""

    world: World
    life: Life
    platform: Platform = Platform.TELEGRAM

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        world = self.world
        world.fate.step(self.life, "deliver")
        told = world.inspection.delivers(chat, reply)
        if world.weather.climate.chat and world.rng.random() < world.weather.climate.chat:
            world.weather.hit(Extra.CHAT_AWAY)
            raise DeliverLater("later", retry_after=world.rng.choice(CHAT_IS_AWAY))
        world.cards += 1
        world.inspection.shows(chat, told)
        world.fate.step(self.life, "delivered")
        return edits or str(world.cards)

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """Nobody looks at a toast."""


class ModelExchanges:
    """Implements ``chatbot.ports.Exchanges`` for one life."""

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life
        self._doors: dict[AccountId, Venue] = {}

    def refusal(self, venue_id: str) -> str | None:
        return None

    def supported(self) -> tuple[str, ...]:
        return ()

    def needs_passphrase(self, venue_id: str) -> bool:
        return False

    async def examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        return KeyReport(can_read=True, can_trade=True, can_move_funds=False, ip_restricted=True)

    def venue(self, account: Account, credentials: Credentials) -> Venue:
        door = self._doors.get(account.id)
        if door is None:
            world, exchange = self._world, self._world.exchanges[account.venue]
            door = self._doors[account.id] = ModelVenue(
                exchange, exchange.holder(account.id), world.clock, world.network, world.fate, self._life
            )
        return door

    def seen(self, account: Account) -> Sighting:
        return Sighting()

    def forget(self, account_id: AccountId) -> None:
        """Nothing was learned."""


NO_PAPER = cast(PaperExchange, SimpleNamespace(feed=SimpleNamespace(name="model"), venue=None))


@dataclass
class World:
    """``stage`` is where it begins. ``log`` is the story, if it is told."""

    loop: VirtualLoop
    stage: Stage
    weather: Weather
    rng: Random
    fate: Fate
    seed: int
    downtime: tuple[float, ...] = (0.0,)
    log: list[str] | None = None
    witness: Witness = field(default_factory=Witness)
    stumbles: Stumbles = field(default_factory=Stumbles)
    lives: int = 0
    cards: int = 0
    wishes: list[Wish] = field(default_factory=list)
    handled: set[str] = field(default_factory=set)
    exchanges: dict[str, ModelExchange] = field(default_factory=dict)
    bot: Bot | None = None
    prices_moved: bool = False
    clock_stepped: bool = False
    _wishing: set[asyncio.Task[None]] = field(default_factory=set)
    _wire: Wire | None = None
    _clears_at: float = 0.0

    def __post_init__(self) -> None:
        stage, loop = self.stage, self.loop
        self.disk: Disk = stage.disk
        self.wishes = list(stage.wishes)
        self.exchanges = {name: exchange.copy() for name, exchange in stage.exchanges.items()}
        self.clock = LoopClock(loop, BEGIN, self.weather.climate.clock_off)
        self.true_clock = LoopClock(loop, BEGIN)
        self.inspection = Inspection(self)
        quiet = Wire(self.disk, Fate(), Life(), self.rng, hit=self.weather.hit)
        self.reader = Books(quiet, self.disk, lambda changes: None).store
        self.network = Network(loop, self.weather, self.inspection)
        for exchange in self.exchanges.values():
            exchange.now = self.venue_now
            exchange.changed = self.inspection.changed
        loop.reset()
        loop._now = stage.now
        self._clears_at = stage.now + BAD_FOR

    def _committed(self, changes: Changes) -> None:
        self.witness.saw(changes)
        self.inspection.committed(changes)

    # --- what the world does --------------------------------------------------------------------

    def set_price(self, symbol: Symbol, price: Decimal) -> None:
        self.note(f"price of {symbol} {price}")
        self.weather.hit(Extra.PRICE)
        self.prices_moved = True
        for exchange in self.exchanges.values():
            exchange.set_price(symbol, price)

    def half_a_price(self, symbol: Symbol, price: Decimal) -> None:
        """Of the orders that were to close a pair one is dropped, or fires long before the other."""
        lasting = self.rng.random() < 0.5
        for exchange in self.exchanges.values():
            for holder in exchange.holders.values():
                resting = [each for each in holder.resting if holder.orders[each].symbol == symbol]
                if resting and lasting:
                    exchange.fire(holder, self.rng.choice(resting))
                elif resting:
                    self._drop(exchange, holder, self.rng.choice(resting))
        if not lasting:
            self.set_price(symbol, price)

    def liquidate(self, symbol: Symbol, side: PositionSide) -> None:
        for exchange in self.exchanges.values():
            for holder in list(exchange.holders.values()):
                if exchange.liquidate(holder, symbol, side):
                    self.note(f"{side} of {holder.id} LIQUIDATED")
                    self.weather.hit(Extra.LIQUIDATION)
                    return

    def liquidate_any(self) -> None:
        held = self._held()
        if held:
            exchange, holder, (symbol, side) = self.rng.choice(held)
            self.note(f"{side} of {holder.id} LIQUIDATED")
            self.weather.hit(Extra.LIQUIDATION)
            exchange.liquidate(holder, symbol, side)

    def by_hand(self) -> None:
        """Somebody closes, in part or whole, or adds to, a leg on the exchange itself, or cancels a stop."""
        held = self._held()
        if not held:
            return
        exchange, holder, (symbol, side) = self.rng.choice(held)
        stops = [o.client_order_id for o in holder.open_orders() if o.symbol == symbol and o.type.conditional]
        if stops and self.rng.random() < CANCELS_BY_HAND:
            self._drop(exchange, holder, self.rng.choice(stops))
            return
        lot = exchange.instruments[symbol].lot_size
        share = self.rng.choice((Decimal(1), Decimal("0.5"), Decimal("0.1")))
        quantity = max(lot, holder.quantity(symbol, side) * share // lot * lot)
        opens = self.rng.random() < 0.2
        self.note(f"BY HAND {'+' if opens else '-'}{quantity} of {side} of {holder.id}")
        self.weather.hit(Kind.OTHER_HAND)
        exchange.by_hand(holder, symbol, side, quantity, opens=opens)

    def lose_a_stop(self, symbol: Symbol) -> None:
        for exchange in self.exchanges.values():
            for holder in exchange.holders.values():
                for order in [order for order in holder.open_orders() if order.symbol == symbol]:
                    self._drop(exchange, holder, order.client_order_id)

    def _drop(self, exchange: ModelExchange, holder: Holder, client_order_id: str) -> None:
        self.note(f"{client_order_id} of {holder.id} CANCELED, and not by us")
        self.weather.hit(Kind.OTHER_HAND)
        self.inspection.dropped.add(client_order_id)
        exchange.drop(holder, client_order_id)

    def _make_good_any(self) -> None:
        """Once all is done: in the same instant in which a stop fires somebody opens as much."""
        stops = [
            (exchange, holder, order.client_order_id)
            for exchange in self.exchanges.values()
            for holder in exchange.holders.values()
            for order in holder.open_orders()
            if order.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
        ]
        if stops and self.rng.random() < MAKES_GOOD:
            self._make_good(*self.rng.choice(stops))

    def _make_good(self, exchange: ModelExchange, holder: Holder, client_order_id: str) -> None:
        order = holder.orders[client_order_id]
        key = order.symbol, order.position_side
        before = holder.quantity(*key)
        exchange.fire(holder, client_order_id)
        closed = before - holder.quantity(*key)
        self.note(f"{client_order_id} of {holder.id} FIRED, and {closed} were opened BY HAND")
        if closed:
            self.weather.hit(Kind.OTHER_HAND)
            exchange.by_hand(holder, *key, closed, opens=True)

    def _held(self) -> list[tuple[ModelExchange, Holder, tuple[Symbol, PositionSide]]]:
        return [
            (exchange, holder, key)
            for exchange in self.exchanges.values()
            for holder in exchange.holders.values()
            for key in holder.positions
        ]

    def jump(self) -> None:
        symbol = self.rng.choice(sorted(self.exchanges["alpha"].prices))
        share = Decimal(self.rng.randint(-40, 40)) / 1000
        self.set_price(
            symbol, (self.exchanges["alpha"].prices[symbol] * (1 + share)).quantize(Decimal("0.1"))
        )

    def clock_steps(self) -> None:
        """Somebody sets our clock right, or wrong."""
        self.inspection.harmed = self.clock_stepped = True
        self.clock.off = 0.0 if self.clock.off else self.rng.choice((-5.0, 5.0))
        self.note(f"our clock is off by {self.clock.off} s now")

    def venue_now(self) -> datetime:
        return self.true_clock.now()

    def note(self, what: str) -> None:
        if self.log is not None:
            self.log.append(f"{self.loop.time() - self.stage.now:9.2f} s  step {self.fate.steps:4}  {what}")

    # --- life and death -------------------------------------------------------------------------

    def boot(self) -> None:
        self.lives += 1
        self.fate.life = Life()
        self.bot = None
        self.inspection.boots(self.loop.time())
        _ = self.loop.create_task(self._boot(self.fate.life), name="boot")

    async def _boot(self, life: Life) -> None:
        climate = self.weather.climate
        slow = climate.slow_disk if self.loop.time() < self._clears_at < float("inf") else ()
        wire = self._wire = Wire(
            self.disk, self.fate, life, self.rng, turns=climate.turns, slow=slow, hit=self.weather.hit
        )
        bot = await _wire(
            SETTINGS,
            cast(Database, Books(wire, self.disk, self._committed)),
            NO_PAPER,
            self.clock,
            CountedIds(self.seed, self.lives),
            messengers=(Phone(self, life),),
            limits=DEFAULT_LIMITS,
            exchanges=ModelExchanges(self, life),
        )
        await bot.supervisor.resume_all()
        self.bot = bot
        _ = self.loop.create_task(self._supervised("outbox", bot.outbox.run))
        _ = self.loop.create_task(self._supervised("jobs", lambda: self._jobs(bot)))
        for wish in sorted(self.wishes, key=lambda wish: not wish.foreign):
            if wish.id not in self.handled:
                self._wish(bot, wish)

    async def _supervised(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Killed:
            raise
        except Exception as error:  # noqa: BLE001 (a loop that dies is what is looked for)
            self.inspection.finds(f"{name} died: {type(error).__name__}: {error}")

    async def _jobs(self, bot: Bot) -> None:
        """What the scheduler would run."""
        while True:
            for venue in self.exchanges:
                await self._job(bot.watch.pacer.look_at_due(venue))
            await self._job(bot.pairs.finish_fired_pairs())
            await asyncio.sleep(BEAT)

    async def _job(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except VenueError as error:
            self.note(f"a job failed: {error}")

    def crash(self) -> None:
        self.weather.hit(Extra.CRASH)
        self.inspection.died(self.loop.time())
        self.note(f"KILLED at {self.fate.killed_at[-1]}")
        self.disk.recover()
        self.loop.drop_all()
        self._wishing.clear()
        self.loop.pass_time(self.rng.choice(self.downtime))
        self.boot()

    # --- wishes ---------------------------------------------------------------------------------

    def _wish(self, bot: Bot, wish: Wish) -> None:
        task = self.loop.create_task(self._carry_out(bot, wish), name=f"wish {wish.id}")
        self._wishing.add(task)
        task.add_done_callback(self._wishing.discard)

    async def _carry_out(self, bot: Bot, wish: Wish) -> None:
        await asyncio.sleep(wish.after)
        person = self.stage.people[wish.person]
        try:
            answer = await bot.hedging.confirm(
                person.user, person.chat, wish.quote.id, wish.choice, request_id=wish.id
            )
        except (InvariantBroken, StorageError) as error:
            self.inspection.finds(f"a tap came to {type(error).__name__}: {error}")
        except HedgerowError as error:
            self.note(f"{wish.id}: {type(error).__name__}: {error}")
        else:
            self.note(f"{wish.id}: {type(answer).__name__}")
            if isinstance(answer, Started):
                self.inspection.started(wish)
        self.handled.add(wish.id)

    # --- until all is quiet ---------------------------------------------------------------------

    def play(self) -> None:
        """To the end, or to the first violation."""
        self.boot()
        self._until(self._quiet)
        self._clears()
        self._make_good_any()
        for _ in range(LOOKS):
            seen = self._look()
            self._until(self._quiet)
            if seen and self.inspection.at_peace():
                break
            self._pass(BETWEEN_LOOKS)
        self.inspection.at_rest()

    def _until(self, reached: Callable[[], bool]) -> None:
        loop, fate, found = self.loop, self.fate, self.inspection.found
        ready, limit = loop.ready, loop.time() + IN_TIME
        while True:
            if fate.life.dead:
                if fate.endless:
                    raise Violation("something goes round and round without end")
                self.crash()
            elif not ready:
                if reached():
                    return
                if loop.time() > self._clears_at:
                    self._clears()
                if loop.time() > limit:
                    raise Violation("an operation does not come to its end")
            loop.turn()
            if found:
                raise Violation(found[0])

    def _clears(self) -> None:
        """Whatever is on its way still arrives, and what is hidden stays so; nothing new goes wrong."""
        self._clears_at = float("inf")
        self.note("the weather clears")
        self.weather.clears()
        self.clock.off = 0.0
        if self._wire is not None:
            self._wire.slow = ()

    def _quiet(self) -> bool:
        bot = self.bot
        if bot is None or self._wishing or bot.supervisor.running or self.loop.world_at is not None:
            return False
        return not bot.outbox._in_flight and not self.inspection.owed()

    def _pass(self, seconds: float) -> None:
        until = self.loop.time() + seconds
        self._until(lambda: self.loop.time() >= until)

    def _look(self) -> bool:
        """Everybody is looked at once more; ``False``: the process died over it."""
        bot = self.bot
        if bot is None:
            return False
        accounts = [account for person in self.stage.people for account in person.accounts]
        looking = self.loop.create_task(bot.watching.look_at_each(accounts))
        self._until(lambda: looking.done() or self.bot is not bot)
        return self.bot is bot


def heard(stumbles: Stumbles) -> None:
    """What the program complains about goes there, and to nobody else."""
    log = logging.getLogger("chatbot")
    log.handlers = [stumbles]
    log.propagate = False
    log.setLevel(logging.ERROR)


__all__ = ["BEGIN", "Kind", "Person", "User", "World"]
