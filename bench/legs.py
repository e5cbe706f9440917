"""Two legs at a real exchange: how far apart they arrive when a pair is closed, as its own log has it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import figure, median
from bench.tables import Aim, Table
from bench.users import HEDGES, Silent, chat_of, confirm, hedge, open_long, settings_of
from chatbot.app import Bot, open_bot, open_exchanges
from chatbot.chat import Platform, UserRef
from chatbot.domain.quote import CloseRequest, CloseWay
from chatbot.ports import Credentials, User
from chatbot.settings import load_settings
from tests.e2e.nursery import FastClock
from tests.live.floor import KEYS, opened_account
from tests.live.processes import RunningClock
from tests.wire.ccxt_rig import MAJORS, SERVERS
from tests.wire.venues.clients import ccxt_client
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.server import Received, VenueServer

USER = 1
SYMBOL, MARGIN_MODE = HEDGES[1]
MOST_MS = 5.0
HURRY = 20  # how fast the clocks go: an exchange's budget of requests is not what is measured
IN_TURN = "ccxt, an order at a time"


@dataclass(frozen=True, slots=True)
class Plan:
    repeats: int = 9


QUICK = Plan(repeats=3)


@dataclass(frozen=True, slots=True)
class Close:
    """Of one pair. Seconds from the tap to the first order, and from there to the last."""

    requests: int
    first: float
    gap: float


async def measure(plan: Plan) -> Table:
    rows: dict[str, Sequence[Close]] = {}
    for venue_id in MAJORS:
        for name, found in (await _closes(venue_id, plan)).items():
            rows[f"{venue_id}: {name}"] = found
    return table(plan, rows)


async def _closes(venue_id: str, plan: Plan) -> Mapping[str, Sequence[Close]]:
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        async with _exchange(venue_id) as server, _trader(Path(folder), server, venue_id) as (bot, user):
            ways = (CloseWay.AT_ONCE, CloseWay.OFFSET_FIRST)
            found = {way.replace("_", " "): await _repeated(bot, user, server, way, plan) for way in ways}
            return {**found, IN_TURN: await _in_turn(server, plan)}


@asynccontextmanager
async def _exchange(venue_id: str) -> AsyncIterator[VenueServer]:
    clock = RunningClock(HURRY)
    async with SERVERS[venue_id](clock, wire_clock=clock.now) as server:
        opened_account(server, venue_id)
        yield server


@asynccontextmanager
async def _trader(folder: Path, server: VenueServer, venue_id: str) -> AsyncIterator[tuple[Bot, User]]:
    settings = load_settings(
        None, settings_of(folder, [USER]) | {f"HEDGEROW_VENUES__{venue_id.upper()}__API_URL": server.url}
    )
    clock = FastClock(HURRY)
    exchanges = open_exchanges(settings, clock)
    async with open_bot(settings, clock=clock, exchanges=exchanges, messengers=[Silent()], limits={}) as bot:
        await bot.start()
        outbox = asyncio.create_task(bot.outbox.run())
        try:
            yield bot, await _connected(bot, venue_id)
        finally:
            await bot.stop()
            await outbox
            await exchanges.close()


async def _connected(bot: Bot, venue_id: str) -> User:
    user = await bot.people.meet(UserRef(Platform.TELEGRAM, str(USER)), chat_of(USER), "Ann")
    await bot.keys.connecting.connect(user, venue_id, Credentials(*KEYS[venue_id]))
    user, _ = await bot.people.choose_account(user, venue_id)
    return user


async def _repeated(bot: Bot, user: User, server: VenueServer, way: CloseWay, plan: Plan) -> Sequence[Close]:
    return [await _close(bot, user, server, way) for _ in range(plan.repeats)]


async def _close(bot: Bot, user: User, server: VenueServer, way: CloseWay) -> Close:
    await open_long(bot, user, SYMBOL, MARGIN_MODE)
    await bot.settled()
    await hedge(bot, user, SYMBOL)
    await bot.settled()
    offer = await bot.hedging.offer_close(user, user.home, CloseRequest(SYMBOL))
    before, tapped = len(server.log), time.monotonic()
    await confirm(bot, user, offer, way)
    await bot.settled()
    return _measured(_orders(server, before), tapped)


async def _in_turn(server: VenueServer, plan: Plan) -> Sequence[Close]:
    """What most programs do: two calls of ccxt, one after the other."""
    (account,) = server.market.accounts.values()
    found = []
    async with ccxt_client(server, account) as client:
        client.milliseconds = lambda: int(server.wire_now().timestamp() * 1000)
        for number in range(plan.repeats):
            before, began = len(server.log), time.monotonic()
            for side in ("buy", "sell"):
                await client.create_order(SYMBOL, "market", side, 1, None, _params(server, side, number))
            found.append(_measured(_orders(server, before), began))
    return found


def _params(server: VenueServer, side: str, number: int) -> dict[str, object]:
    """A long and a short are opened: that they are two legs is said in each exchange's own way."""
    leg = "long" if side == "buy" else "short"
    index = 1 if side == "buy" else 2
    ways: Mapping[str, Mapping[str, object]] = {
        "BinanceServer": {"positionSide": leg.upper()},
        "BybitServer": {"positionIdx": index},
        "OkxServer": {"posSide": leg, "tdMode": "cross"},
    }
    own = ways[type(server).__name__]
    return {**own, "clientOrderId": f"inturn{leg}{number}"}


def _orders(server: VenueServer, since: int) -> Sequence[Received]:
    routes = server.routes
    return [
        received
        for received in server.log[since:]
        if (route := routes.get((received.method, received.path))) and route.endpoint is Endpoint.PLACE
    ]


def _measured(orders: Sequence[Received], began: float) -> Close:
    """Legs of one request arrive together."""
    first, last = orders[0].at, orders[-1].at
    return Close(len(orders), first - began, last - first)


# --- the table ----------------------------------------------------------------------------------


def table(plan: Plan, rows: Mapping[str, Sequence[Close]]) -> Table:
    return Table(
        f"Two legs on a loopback exchange, by its own log, median of {plan.repeats}",
        ("both legs are closed", "requests", "tap to first ms", "gap ms"),
        tuple(_row(name, found) for name, found in rows.items()),
        (_aim(rows),),
        (
            "The exchange runs in the same process: its work is in the times.",
            "ccxt alone reads nothing before and writes nothing down.",
            "Offset first waits for the offset's fill and writes it down before the primary leaves.",
        ),
    )


def _row(name: str, found: Sequence[Close]) -> tuple[str, ...]:
    return (
        name,
        str(max(close.requests for close in found)),
        figure(median(close.first for close in found) * 1000),
        figure(median(close.gap for close in found) * 1000),
    )


def _aim(rows: Mapping[str, Sequence[Close]]) -> Aim:
    at_once = [close for name, found in rows.items() if name.endswith("at once") for close in found]
    worst = max(close.gap for close in at_once) * 1000
    return Aim(
        f"both legs of a close at once {figure(worst)} ms apart at worst, {figure(MOST_MS)} at most",
        worst < MOST_MS,
    )
