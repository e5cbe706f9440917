"""The ledger on SQLite and on PostgreSQL, beside each other: commits with 1 and 16 tasks, reads by key."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import figure, median, quantile, times
from bench.tables import Table
from chatbot.ports import Changes, Store
from chatbot.storage.database import open_database
from tests.postgres.server import a_server_alone, find_binaries
from tests.storage import samples

SQLITE, POSTGRESQL = "SQLite, one file", "PostgreSQL, this machine"
TASKS = 16


@dataclass(frozen=True, slots=True)
class Plan:
    repeats: int = 3
    seconds: float = 1.0
    reads: int = 2_000


QUICK = Plan(repeats=1, seconds=0.5, reads=500)


@dataclass(frozen=True, slots=True)
class Found:
    alone: float  # commits a second
    together: float
    slow: float  # ms at p99, together
    processor: float  # ms a commit, of this process
    read: float  # ms


async def measure(plan: Plan) -> Table:
    found: dict[str, list[Found]] = {SQLITE: [], POSTGRESQL: []}
    for _ in range(plan.repeats):
        async with _on_sqlite() as store:
            found[SQLITE].append(await _measured(store, plan))
        if find_binaries() is not None:
            async with _on_postgresql() as store:
                found[POSTGRESQL].append(await _measured(store, plan))
    rows = [(name, *map(figure, _middle(each))) for name, each in found.items() if each]
    return Table(
        title=f"Storage: a handled update and the reply it owes, on the disk; median of {plan.repeats}",
        columns=("", "1 task tx/s", f"{TASKS} tasks tx/s", "p99 ms", "CPU ms/tx", "read ms"),
        rows=(*rows, *_ratio(found)),
        notes=() if found[POSTGRESQL] else ("PostgreSQL was not found: apt-get install postgresql",),
    )


def _ratio(found: dict[str, list[Found]]) -> Iterator[tuple[str, ...]]:
    if found[POSTGRESQL]:
        pairs = zip(_middle(found[POSTGRESQL]), _middle(found[SQLITE]), strict=True)
        yield ("PostgreSQL to SQLite", *(times(server / file) for server, file in pairs))


def _middle(found: list[Found]) -> tuple[float, ...]:
    return (
        median(each.alone for each in found),
        median(each.together for each in found),
        median(each.slow for each in found),
        median(each.processor for each in found),
        median(each.read for each in found),
    )


@asynccontextmanager
async def _on_sqlite() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_database(f"sqlite+aiosqlite:///{Path(folder) / 'hedgerow.db'}") as database:
            yield database.store


@asynccontextmanager
async def _on_postgresql() -> AsyncIterator[Store]:
    """A server of the measurement's own, which writes to the disk as a real one does."""
    with a_server_alone(durable=True) as server:
        server.create("hedgerow")
        async with open_database(server.url("hedgerow")) as database:
            yield database.store


async def _measured(store: Store, plan: Plan) -> Found:
    await store.commit(samples.PEOPLE)
    numbers = itertools.count()
    await _commits(store, numbers, 1, plan.seconds / 4)  # connections, statements, pages
    alone = await _commits(store, numbers, 1, plan.seconds)
    used = time.process_time()
    together = await _commits(store, numbers, TASKS, plan.seconds)
    used = time.process_time() - used
    return Found(
        alone=len(alone) / sum(alone),
        together=len(together) / plan.seconds,
        slow=quantile(together, 0.99) * 1_000,
        processor=used / len(together) * 1_000,
        read=await _read(store, plan.reads) * 1_000,
    )


async def _commits(store: Store, numbers: Iterator[int], tasks: int, seconds: float) -> list[float]:
    """How long each took."""
    until = time.perf_counter() + seconds
    taken: list[float] = []

    async def work() -> None:
        while (began := time.perf_counter()) < until:
            await store.commit(_update(next(numbers)))
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(work() for _ in range(tasks)))
    return taken


def _update(number: int) -> Changes:
    return Changes(outbox=(samples.message(f"m{number}"),), handled=(f"telegram:{number}",))


async def _read(store: Store, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        await store.user(samples.USER_ID)
    return (time.perf_counter() - began) / count
