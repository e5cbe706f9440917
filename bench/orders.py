"""From the tap on Confirm to the orders' arrival at the venue, counted in round trips."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bench.figures import figure, median
from bench.tables import Aim, Table
from bench.users import HEDGES, NOTIONAL, Silent, confirm, settings_of
from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.domain.instrument import PositionSide
from chatbot.domain.quote import CloseRequest, CloseWay, HedgeRequest, OpenRequest, Quote
from chatbot.ports import User
from chatbot.services.planning import CONFIRM
from chatbot.settings import load_settings
from chatbot.venues.paper.faults import FaultPlan, OrderFault, Unavailable, WriteFault
from chatbot.venues.paper.venue import PaperVenue

USER = 1
SYMBOL, _ = HEDGES[0]
LEVERAGES = (Decimal(5), Decimal(8))


@dataclass(frozen=True, slots=True)
class Plan:
    """``delay`` is the venue's round trip in seconds."""

    repeats: int = 9
    delay: float = 0.1


QUICK = Plan(repeats=3, delay=0.05)


class Arrivals(FaultPlan):
    """Notes when something reaches the venue; nothing goes wrong."""

    def __init__(self, delay: float) -> None:
        super().__init__(delay=delay)
        self.orders: list[float] = []
        self.calls: list[float] = []

    def next_order(self) -> OrderFault | None:
        self.orders.append(time.perf_counter())
        return super().next_order()

    def next_write(self) -> WriteFault | None:
        self.calls.append(time.perf_counter())
        return super().next_write()

    def next_read(self) -> Unavailable | None:
        self.calls.append(time.perf_counter())
        return super().next_read()


@dataclass(frozen=True, slots=True)
class Trip:
    """Of one confirmation. ``before``: reads and settings that reached the venue ahead of the first order;
    ``first``, ``last``: seconds from the tap to the arrival of an order.
    """

    before: int
    first: float
    last: float
    orders: int


@dataclass(frozen=True, slots=True)
class Scene:
    bot: Bot
    user: User
    venue: PaperVenue
    delay: float

    async def tap(self, quote: Quote, choice: str) -> Trip:
        arrivals = self.venue.faults = Arrivals(self.delay)
        tapped = time.perf_counter()
        await confirm(self.bot, self.user, quote, choice)
        await self.bot.settled()
        self.venue.faults = FaultPlan()
        first, last = arrivals.orders[0], arrivals.orders[-1]
        before = sum(at < first for at in arrivals.calls)
        return Trip(before, first - tapped, last - tapped, len(arrivals.orders))


async def measure(plan: Plan) -> Table:
    trips: dict[str, list[Trip]] = {}
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        settings = load_settings(None, settings_of(Path(folder), [USER]))
        async with open_bot(settings, messengers=[Silent()], limits={}) as bot:
            await bot.start()
            outbox = asyncio.create_task(bot.outbox.run())
            scene = await _scene(bot, plan.delay)
            for repeat in range(plan.repeats):
                for name, trip in (await _round(scene, LEVERAGES[repeat % 2])).items():
                    trips.setdefault(name, []).append(trip)
            await bot.stop()
            await outbox
    return table(plan, trips)


async def _scene(bot: Bot, delay: float) -> Scene:
    ref = UserRef(Platform.TELEGRAM, str(USER))
    user = await bot.people.meet(ref, ChatRef(Platform.TELEGRAM, str(USER)), "Ann")
    venue = bot.venues.of(await bot.hedging.account(user))
    if not isinstance(venue, PaperVenue):
        raise TypeError("the account is not on the paper venue")
    await venue.instruments()
    return Scene(bot, user, venue, delay)


OPEN, HEDGE, OPEN_ANEW = "open", "hedge", "open with another leverage"
OFFSET_FIRST, AT_ONCE = "close, offset first", "close, both at once"


async def _round(scene: Scene, leverage: Decimal) -> Mapping[str, Trip]:
    """Open, hedge, close, twice; the first time with a leverage that the venue does not have yet."""
    opened_anew = await _open(scene, leverage)
    await _hedge(scene)
    offset_first = await _close(scene, CloseWay.OFFSET_FIRST)
    return {
        OPEN: await _open(scene, None),
        HEDGE: await _hedge(scene),
        OFFSET_FIRST: offset_first,
        AT_ONCE: await _close(scene, CloseWay.AT_ONCE),
        OPEN_ANEW: opened_anew,
    }


async def _open(scene: Scene, leverage: Decimal | None) -> Trip:
    wanted = OpenRequest(SYMBOL, PositionSide.LONG, NOTIONAL, leverage)
    offer = await scene.bot.hedging.offer_open(scene.user, scene.user.home, wanted)
    return await scene.tap(offer, CONFIRM)


async def _hedge(scene: Scene) -> Trip:
    wanted = HedgeRequest(SYMBOL)
    return await scene.tap(await scene.bot.hedging.offer_hedge(scene.user, scene.user.home, wanted), CONFIRM)


async def _close(scene: Scene, way: CloseWay) -> Trip:
    wanted = CloseRequest(SYMBOL)
    return await scene.tap(await scene.bot.hedging.offer_close(scene.user, scene.user.home, wanted), way)


# --- the table ----------------------------------------------------------------------------------

COLUMNS = ("tap on Confirm", "calls before", "first order ms", "trips", "last order ms", "trips", "gap ms")


def table(plan: Plan, trips: Mapping[str, Sequence[Trip]]) -> Table:
    return Table(
        f"Orders: a venue that is {plan.delay * 1000:.0f} ms away (round trip), median of {plan.repeats}",
        COLUMNS,
        tuple(_row(name, found, plan.delay) for name, found in trips.items()),
        _aims(trips, plan.delay),
        (
            "Times are from the tap to the arrival at the venue: half a round trip is the order's own way.",
            "Trips are whole round trips ahead of the order. Journal on disk, every write synced.",
            "A leverage or margin mode that the venue does not have yet is set before the order: one more.",
        ),
    )


def _row(name: str, found: Sequence[Trip], delay: float) -> tuple[str, ...]:
    first, last = median(trip.first for trip in found), median(trip.last for trip in found)
    return (
        name,
        str(max(trip.before for trip in found)),
        figure(first * 1000),
        figure(_round_trips(first, delay)),
        figure(last * 1000),
        figure(_round_trips(last, delay)),
        figure(_gap(found) * 1000) if _orders(found) > 1 else "",
    )


def _orders(found: Sequence[Trip]) -> int:
    return max(trip.orders for trip in found)


def _gap(found: Sequence[Trip]) -> float:
    return median(trip.last - trip.first for trip in found)


def _round_trips(seconds: float, delay: float) -> float:
    """Ahead of an order that arrives after so long."""
    return seconds / delay - 0.5


def _aims(trips: Mapping[str, Sequence[Trip]], delay: float) -> tuple[Aim, ...]:
    usual = [found for name, found in trips.items() if name != OPEN_ANEW]
    worst = max(median(_round_trips(trip.first, delay) for trip in found) for found in usual)
    calls = max(trip.before for found in usual for trip in found)
    gap = _gap(trips[AT_ONCE])
    return (
        Aim(
            f"one round trip before the first order: {calls} call(s), {figure(worst)} round trips of time "
            "at worst, our own work and the disk included",
            calls == 1 and worst < 2,
        ),
        Aim(
            f"both legs of a close at once in one step: {figure(gap * 1000)} ms apart",
            gap < delay / 2,
        ),
    )
