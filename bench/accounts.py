"""Accounts on a real exchange: a shallow clone for each use, beside an instance of ccxt for each account."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bench.figures import figure, times
from bench.tables import Aim, Table
from chatbot.ports import Credentials
from chatbot.venues.ccxt.clones import Client, Connections, clone, make_template
from chatbot.venues.ccxt.loading import exchange_class
from chatbot.venues.ccxt.majors import BINANCE

CLONE, PLAIN = "a clone of one template", "an instance of ccxt"
MOST_KB = 40.0
MANY, MOST_MB = 10_000, 200.0


@dataclass(frozen=True, slots=True)
class Plan:
    clones: int = MANY
    instances: int = 40
    signed: int = 500
    symbols: int = 600


QUICK = Plan(clones=4_000, instances=5, signed=100, symbols=100)


async def measure(plan: Plan) -> Table:
    connections = Connections()
    markets = [_market(n) for n in range(plan.symbols)]
    async with _venue() as (venue, url):
        template = make_template(BINANCE, connections, api_url=url)
        template.set_markets(markets)
        template.options["timeDifference"] = 0
        small = await _cost(plan.clones, lambda n: clone(template, _key(n)))
        large = await _cost(plan.instances, lambda n: _instance(n, markets))
        seconds = await _signed(template, plan.signed)
    await connections.close()
    return Table(
        title=f"Accounts, {plan.symbols} symbols: memory and time for one more",
        columns=("for each account", "KB", "µs"),
        rows=(
            (CLONE, figure(small[0]), figure(small[1])),
            (PLAIN, figure(large[0]), figure(large[1])),
            ("ccxt to clone", times(large[0] / small[0]), times(large[1] / small[1])),
        ),
        aims=(
            Aim(
                f"{figure(small[0])} KB for one more account, {figure(MOST_KB)} at most", small[0] <= MOST_KB
            ),
            Aim(
                f"{figure(small[0] * MANY / 1024)} MB for {MANY:,} accounts, by {plan.clones:,} of them; "
                f"{figure(MOST_MB)} at most",
                small[0] * MANY / 1024 <= MOST_MB,
            ),
            Aim(
                f"{venue.right} of {plan.signed} requests at once signed by their own key "
                f"in {figure(seconds)} s",
                (venue.right, venue.wrong) == (plan.signed, 0),
            ),
        ),
        notes=(
            "Memory of Python's own objects. An instance has a TLS context besides, and loaded markets hold",
            "the venue's own words too: it is larger in truth.",
        ),
    )


async def _cost(count: int, make: Callable[[int], Any]) -> tuple[float, float]:
    """KB and microseconds for each."""
    first = make(0)
    began = time.perf_counter()
    timed = [make(n) for n in range(count)]
    took = time.perf_counter() - began
    gc.collect()
    tracemalloc.start()
    weighed = [make(n) for n in range(count)]
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await asyncio.gather(*(client.close() for client in (first, *timed, *weighed)))
    return grown / 1024 / count, took / count * 1e6


def _instance(n: int, markets: list[dict[str, Any]]) -> Any:
    key = _key(n)
    made = exchange_class("binanceusdm")({"apiKey": key.api_key, "secret": key.secret})
    made.set_markets(markets)
    made.open()
    return made


async def _signed(template: Client, count: int) -> float:
    clients = [clone(template, _key(n)) for n in range(count)]
    began = time.perf_counter()
    await asyncio.gather(*(client.fapiPrivateV3GetAccount() for client in clients))
    return time.perf_counter() - began


def _key(n: int) -> Credentials:
    return Credentials(f"key-{n}", f"secret-of-key-{n}")


def _market(n: int) -> dict[str, Any]:
    return {
        "id": f"C{n}USDT", "symbol": f"C{n}/USDT:USDT", "base": f"C{n}", "quote": "USDT", "settle": "USDT",
        "baseId": f"C{n}", "quoteId": "USDT", "settleId": "USDT", "type": "swap", "swap": True, "spot": False,
        "contract": True, "linear": True, "inverse": False, "active": True, "contractSize": "1",
        "precision": {"amount": "0.001", "price": "0.01"}, "limits": {}, "info": {},
    }  # fmt: skip


class Venue:
    """Counts which requests are signed by the key that they name."""

    def __init__(self) -> None:
        self.right = 0
        self.wrong = 0

    async def answer(self, request: web.Request) -> web.Response:
        signed, _, told = request.rel_url.raw_query_string.rpartition("&signature=")
        secret = f"secret-of-{request.headers['X-MBX-APIKEY']}"
        due = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if hmac.compare_digest(due, told):
            self.right += 1
        else:
            self.wrong += 1
        return web.json_response({})


@asynccontextmanager
async def _venue() -> AsyncIterator[tuple[Venue, str]]:
    venue, app = Venue(), web.Application()
    app.router.add_route("*", "/{path:.*}", venue.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield venue, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
