"""A day at sea: the whole bot on the paper exchange, with everything going wrong that a seed can think of.

Orders, answers and reads get lost, another hand trades on the same legs, prices jump, legs are liquidated,
funding is settled, and the bot is killed in the middle of a write or of a request and started again on the
same database. After each thing the user does, the sea calms down and what must always hold is checked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from chatbot.app import Bot, _wire
from chatbot.clock import VirtualClock
from chatbot.domain.hedge import HedgeStatus, LegRole
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import (
    AdjustQuote,
    AdjustRequest,
    CloseQuote,
    CloseRequest,
    HedgeRequest,
    LegName,
    MarginRequest,
    OpenRequest,
    Quote,
    QuoteKind,
    Size,
    SizeUnit,
    StopsRequest,
)
from chatbot.errors import HedgerowError, InvariantBroken, QuoteExpired, StorageError
from chatbot.ids import SeededIds
from chatbot.ports import Account, User
from chatbot.pushing.outbox import DEFAULT_LIMITS
from chatbot.services.hedging import Started
from chatbot.settings import PaperSettings, Settings
from chatbot.storage.database import Database, open_database
from chatbot.venues.feeds import ScriptedFeed
from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.faults import (
    FaultPlan,
    Late,
    LostReply,
    LostRequest,
    OrderFault,
    Partial,
    Refuse,
    Unavailable,
    WriteFault,
)
from tests.properties.mortal import Killed, Mortality, MortalStore, MortalVenue, Stumbles, Witness
from tests.services.world import BEGIN, BTC, CHAT, ETH, OWNER, Phone

COIN = Symbol("BTC/USD:BTC")
SYMBOLS = (ETH, BTC, COIN)
SIZES = {ETH: ("0.5", "1", "1.234", "3"), BTC: ("0.01", "0.05", "0.1"), COIN: ("1000", "5300", "20000")}
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
IN_TIME = 3_600.0  # no operation may need longer once the sea is calm


@dataclass
class Storm:
    seed: int
    rng: Random
    clock: VirtualClock
    feed: ScriptedFeed
    database: Database
    exchange: PaperExchange
    faults: FaultPlan
    stumbles: Stumbles
    phone: Phone = field(default_factory=Phone)
    mortality: Mortality = field(default_factory=Mortality)
    log: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    witness: Witness = field(default_factory=Witness)
    disturbed: set[Symbol] = field(default_factory=set)  # where another hand or the exchange traded
    tainted: bool = False  # the wallet holds what no hedge knows
    bot: Bot = field(init=False)
    user: User = field(init=False)
    account: Account = field(init=False)
    taps: int = 0
    lives: int = 0

    # --- life and death ---------------------------------------------------------------------

    async def start(self) -> None:
        self.lives += 1
        self.mortality = Mortality()
        store = MortalStore(self.database.store, self.mortality, self.witness)
        whole = self.database
        database = SimpleNamespace(
            store=store,
            mailbox=whole.mailbox,
            vault=whole.vault,
            tickets=whole.tickets,
            invites=whole.invites,
            census=whole.census,
            copies=whole.copies,
        )
        self.bot = await _wire(
            Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings()),
            cast(Database, database),
            self.exchange,
            self.clock,
            SeededIds(self.seed * 1000 + self.lives),
            messengers=(self.phone,),
            limits=DEFAULT_LIMITS,
        )
        self.user = await self.bot.people.meet(OWNER, CHAT, "owner")
        self.account = await self.bot.people.trading_account(self.user)
        venue = MortalVenue(self.exchange._engine, self.account.id, self.clock, self.faults)
        venue.mortality, venue.witness = self.mortality, self.witness
        self.bot.venues._venues[self.account.id] = venue
        await self.bot.supervisor.resume_all()

    async def restart(self) -> None:
        self.counts["restart"] += 1
        self.note("restart")
        self.mortality.dead = True
        await self.bot.supervisor.stop()
        await self.start()

    def note(self, what: str) -> None:
        self.log.append(f"{self.clock.now():%H:%M:%S} {what}")

    # --- what the world does ----------------------------------------------------------------

    def brew(self) -> None:
        """Faults for what comes next."""
        rng, faults = self.rng, self.faults
        self.calm()
        if rng.random() < 0.25:
            # With an order lost as well, the position alone could not tell whose hand moved it.
            faults.hide_history = rng.random() < 0.5
            return
        faults.on_orders(*(self._order_fault() for _ in range(rng.randint(1, 5))))
        if rng.random() < 0.3:
            faults.on_writes(*(self._write_fault() for _ in range(rng.randint(1, 4))))
        if rng.random() < 0.2:
            skip: list[Unavailable | None] = [None] * rng.randint(3, 12)
            faults.on_reads(*skip, *[Unavailable()] * rng.randint(1, 6))
        faults.delay = rng.choice([0.0, 0.0, 0.2, 1.0])
        faults.hide_orders_for = rng.choice([0.0, 0.0, 0.0, 5.0, 40.0, 3600.0])
        faults.hide_fills = rng.random() < 0.1
        self.mortality.turns = rng.choice([0, 0, 1, 2])
        if rng.random() < 0.25:
            self.mortality.left = rng.randint(1, 14)

    def calm(self) -> None:
        faults = self.faults
        faults._orders.clear()
        faults._writes.clear()
        faults._reads.clear()
        faults.delay = faults.hide_orders_for = 0.0
        faults.hide_fills = faults.hide_history = False
        faults._hidden_until.clear()
        self.mortality.left = None
        self.mortality.turns = 0

    def _order_fault(self) -> OrderFault | None:
        rng = self.rng
        return rng.choice(
            [
                None,
                None,
                LostRequest(),
                LostReply(),
                Late(rng.choice([0.5, 3.0, 4.9, 60.0])),
                Partial(Decimal(rng.randint(1, 9)) / 10),
                Refuse("Server busy.", "-1008", "VenueRejected"),
                Refuse("Margin is insufficient.", "-2019", "InsufficientMargin"),
                Refuse("ReduceOnly Order is rejected.", "-2022", "InvalidOrder"),
            ]
        )

    def _write_fault(self) -> WriteFault | None:
        refuse = Refuse("Unknown order sent.", "-2011", "VenueRejected")
        return self.rng.choice([None, None, LostRequest(), LostReply(), refuse, Unavailable()])

    async def meddle(self) -> None:
        """Somebody else, or the market."""
        if self.rng.random() < 0.5:
            self.jump()
        else:
            await self.by_hand()

    def jump(self, most: float = 0.02) -> None:
        symbol = self.rng.choice(SYMBOLS)
        share = 1 + self.rng.uniform(-most, most)
        price = self.feed._last[symbol].mark * Decimal(str(round(share, 4)))
        self.feed.set(symbol, price.quantize(Decimal("0.1")))
        self.note(f"price of {symbol} {price:.1f}")

    async def by_hand(self) -> None:
        view = self.exchange._engine.view(self.account.id)
        closes = bool(view.positions) and self.rng.random() < 0.8
        if closes:
            position = self.rng.choice(view.positions)
            symbol, side = position.symbol, position.side
            lot = self.exchange._engine.instruments()[symbol].lot_size
            share = position.quantity * Decimal(self.rng.choice(["1", "1", "0.4", "0.25"]))
            quantity = max(lot, share // lot * lot)
        else:
            symbol = self.rng.choice(SYMBOLS)
            side = self.rng.choice([LONG, SHORT])
            quantity = Decimal(self.rng.choice(SIZES[symbol]))
        self.taps += 1
        self.disturbed.add(symbol)
        self.counts["by hand"] += 1
        hedges = await self.database.store.live_hedges(account_id=self.account.id)
        if all(hedge.symbol != symbol for hedge in hedges):
            self.tainted = True
        self.note(f"by hand: {'close' if closes else 'open'} {side} {quantity} {symbol}")
        try:
            await self.exchange.trade_elsewhere(
                self.account.id, symbol, side, quantity, opens=not closes, reference=f"hand:{self.taps}"
            )
        except HedgerowError as error:
            self.note(f"  refused: {error}")

    # --- what the user does -----------------------------------------------------------------

    async def act(self) -> None:
        acts: list[tuple[int, str, Callable[[], Coroutine[Any, Any, None]]]] = [
            (3, "open", self.open),
            (10, "hedge", self.hedge),
            (8, "close", self.close),
            (2, "close at price", self.close_at_price),
            (6, "adjust", self.adjust),
            (2, "rebalance", self.rebalance),
            (1, "no closing price", self.no_closing_price),
            (3, "stops", self.stops),
            (3, "margin", self.margin),
            (1, "close all", self.close_all),
            (2, "hand", self.by_hand),
            (1, "restart", self.restart),
            (1, "funding", self.funding),
            (1, "big jump", self.big_jump),
            (1, "adopt", self.adopt),
        ]
        (_, name, act) = self.rng.choices(acts, [weight for weight, _, _ in acts])[0]
        if not await self.database.store.live_hedges() and self.rng.random() < 0.8:
            name, act = "open", self.open
        self.brew()
        self.note(f"--- {name}")
        try:
            await self._meanwhile(act())
        except HedgerowError as error:
            if isinstance(error, InvariantBroken | StorageError):
                raise
            self.note(f"  {type(error).__name__}: {error}")
        except Killed:
            pass
        await self.weather()

    def symbol(self) -> Symbol:
        return self.rng.choice([ETH, ETH, ETH, BTC, COIN])

    async def open(self) -> None:
        rng, symbol = self.rng, self.symbol()
        mark = self.feed._last[symbol].mark
        side = rng.choice([LONG, SHORT])
        away = Decimal(rng.choice(["0.01", "0.03", "0.1"])) * side.sign
        size = Size(SizeUnit.BASE, Decimal(rng.choice(SIZES[symbol])))
        if symbol == COIN:
            size = Size(SizeUnit.NOTIONAL, Decimal(rng.choice(SIZES[symbol])))
        request = OpenRequest(
            symbol,
            side,
            size,
            Decimal(rng.choice([2, 5, 10])),
            rng.choice([MarginMode.CROSS, MarginMode.ISOLATED]),
            _whole(mark * (1 - away)) if rng.random() < 0.4 else None,
            _whole(mark * (1 + away)) if rng.random() < 0.3 else None,
        )
        await self.carry_out(await self.bot.hedging.offer_open(self.user, CHAT, request))

    async def hedge(self) -> None:
        symbol = await self._held_symbol()
        ratio = Decimal(self.rng.choice(["1", "1", "0.5", "0.3"]))
        mark = self.feed._last[symbol].mark
        stop = _whole(mark * Decimal("1.05")) if self.rng.random() < 0.2 else None
        request = HedgeRequest(symbol, ratio=ratio, stop_loss=stop)
        await self.carry_out(await self.bot.hedging.offer_hedge(self.user, CHAT, request))

    async def close(self) -> None:
        fraction = Decimal(self.rng.choice(["1", "1", "0.5", "0.3"]))
        request = CloseRequest(await self._held_symbol(), fraction)
        await self.carry_out(await self.bot.hedging.offer_close(self.user, CHAT, request))

    async def close_at_price(self) -> None:
        symbol = await self._held_symbol()
        near = Decimal(self.rng.choice(["0.99", "0.995", "1.005", "1.01"]))
        fraction = Decimal(self.rng.choice(["1", "1", "0.5"]))
        request = CloseRequest(symbol, fraction, _whole(self.feed._last[symbol].mark * near))
        await self.carry_out(await self.bot.hedging.offer_close(self.user, CHAT, request))

    async def close_all(self) -> None:
        await self.carry_out(await self.bot.hedging.offer_close_all(self.user, CHAT))

    async def adjust(self) -> None:
        rng = self.rng
        size = Size(SizeUnit.SHARE, Decimal(rng.choice(["0.1", "0.25", "0.5", "1.5"])))
        legs: tuple[LegName, ...] = rng.choice([(), (), (LegRole.PRIMARY,), (LegRole.OFFSET,)])
        request = AdjustRequest(await self._held_symbol(), legs, size, rng.random() < 0.6)
        await self.carry_out(await self.bot.hedging.offer_adjust(self.user, CHAT, request))

    async def rebalance(self) -> None:
        request = AdjustRequest(await self._held_symbol())
        await self.carry_out(await self.bot.hedging.offer_adjust(self.user, CHAT, request))

    async def stops(self) -> None:
        rng, (symbol, side) = self.rng, self._held_leg()
        mark = self.feed._last[symbol].mark
        away = Decimal(rng.choice(["0.01", "0.02", "0.05"])) * side.sign
        kinds = (Purpose.STOP_LOSS, Purpose.TAKE_PROFIT)
        remove = tuple(kind for kind in kinds if rng.random() < 0.2)
        request = StopsRequest(
            symbol,
            side,
            None if Purpose.STOP_LOSS in remove else _whole(mark * (1 - away)),
            _whole(mark * (1 + away)) if Purpose.TAKE_PROFIT not in remove and rng.random() < 0.5 else None,
            remove,
        )
        await self.carry_out(await self.bot.hedging.offer_stops(self.user, CHAT, request))

    async def no_closing_price(self) -> None:
        request = StopsRequest(await self._held_symbol(), remove=(Purpose.CLOSE_AT_PRICE,))
        await self.carry_out(await self.bot.hedging.offer_stops(self.user, CHAT, request))

    async def margin(self) -> None:
        symbol, side = self._held_leg()
        amount = Decimal(self.rng.randint(500, 20_000)) / 100
        if symbol == COIN:
            amount = Decimal(self.rng.randint(100_000, 2_000_000)) / 10**8
        request = MarginRequest(symbol, side, amount)
        await self.carry_out(await self.bot.hedging.offer_margin(self.user, CHAT, request))

    def _held_leg(self) -> tuple[Symbol, PositionSide]:
        held = [(p.symbol, p.side) for p in self.exchange._engine.view(self.account.id).positions]
        return self.rng.choice(held) if held else (self.symbol(), LONG)

    async def _held_symbol(self) -> Symbol:
        hedges = await self.database.store.live_hedges(account_id=self.account.id)
        return self.rng.choice([hedge.symbol for hedge in hedges]) if hedges else self.symbol()

    async def funding(self) -> None:
        await self.clock.advance(8 * 3600)
        self.counts["funding"] += 1

    async def big_jump(self) -> None:
        self.disturbed.update(SYMBOLS)
        self.jump(0.35)

    async def adopt(self) -> None:
        for hedge in await self.database.store.live_hedges(account_id=self.account.id):
            if hedge.status is HedgeStatus.FROZEN:
                self.counts["adopt"] += 1
                self.tainted = True
                await self.bot.hedging.adopt(self.user, hedge.number)

    async def carry_out(self, quote: Quote) -> None:
        offer, choice = quote.offer, "confirm"
        ways = offer.ways if isinstance(offer, CloseQuote | AdjustQuote) else ()
        if ways:
            choice = self.rng.choice([way.way.value for way in ways])
        self.note(f"{quote.kind} {choice} {quote.request}")
        if self.rng.random() < 0.1:
            await self.meddle()
        self.taps += 1
        tapping = f"tap:{self.taps}"
        answer = await self.bot.hedging.confirm(self.user, CHAT, quote.id, choice, request_id=tapping)
        if not isinstance(answer, Started):
            self.note(f"  requoted: {answer.why}")
            return
        named = quote.kind in (QuoteKind.CLOSE, QuoteKind.ADJUST)
        self.counts[choice if named else quote.kind] += 1
        if self.rng.random() < 0.1:
            await self._tap_again(quote, choice)

    async def _tap_again(self, quote: Quote, choice: str) -> None:
        try:
            await self.bot.hedging.confirm(self.user, CHAT, quote.id, choice, request_id="again")
        except QuoteExpired:
            return
        raise AssertionError("an offer was used twice")

    # --- until all is quiet -----------------------------------------------------------------

    async def weather(self) -> None:
        """The operation goes its way while others meddle; then the sea is calm and everything settles."""
        meddlers = self.rng.choice([0, 0, 0, 1, 2])
        for _ in range(self.rng.choice([0, 40, 200])):
            if not self.bot.supervisor.running and not self.mortality.dead:
                break
            await self._a_moment(0.5)
            if meddlers and self.rng.random() < 0.1:
                meddlers -= 1
                await self.meddle()
            if self.rng.random() < 0.005:
                await self.restart()
        self.calm()
        await self.settle()
        for _ in range(3):
            await self._a_moment(12.0)
            await self.settle()

    async def settle(self) -> None:
        passed = 0.0
        while self.bot.supervisor.running or self.mortality.dead:
            await self._a_moment(0.5)
            passed += 0.5
            assert passed < IN_TIME, "an operation does not come to its end"

    async def _a_moment(self, seconds: float) -> None:
        if self.mortality.dead:
            await self.restart()
        await self.clock.advance(seconds)
        try:
            if not self.mortality.dead:
                await self._pump(self.bot.scheduler.run_due())
        except Killed:
            pass

    async def _meanwhile(self, doing: Coroutine[Any, Any, None]) -> None:
        """The bot's jobs go on while the user's wish is carried out."""
        task = asyncio.ensure_future(doing)
        while not task.done():
            await self._a_moment(0.1)
        await task

    async def _pump(self, doing: Coroutine[Any, Any, None]) -> None:
        """Lets time pass while somebody waits for the exchange."""
        task = asyncio.ensure_future(doing)
        while not task.done():
            await self.clock.advance(0.1)
        await task


def _whole(price: Decimal) -> Decimal:
    return price.quantize(Decimal(1))


@asynccontextmanager
async def a_storm(seed: int) -> AsyncIterator[Storm]:
    clock = VirtualClock(BEGIN)
    feed = ScriptedFeed({ETH: Decimal(2000), BTC: Decimal(100_000), COIN: Decimal(100_000)})
    stumbles = Stumbles()
    root = logging.getLogger("chatbot")
    async with open_database("sqlite+aiosqlite://") as database:
        exchange = PaperExchange.open(None, feed, clock, Decimal(1))
        faults = FaultPlan()
        storm = Storm(seed, Random(seed), clock, feed, database, exchange, faults, stumbles)
        root.addHandler(stumbles)
        await storm.start()
        try:
            yield storm
        finally:
            await storm.bot.supervisor.stop()
            root.removeHandler(stumbles)
            exchange.close()
