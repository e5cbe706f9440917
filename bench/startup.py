"""From the start of the process to the first poll, and what it holds in memory then."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import figure, median, times
from bench.process import Reading, started, until_it_polls
from bench.tables import Aim, Table
from bench.users import copied, prepare, settings_of
from tests.wire.bot_api import TOKEN, LoopbackBotApi

USER = 1
REST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    repeats: int = 5


QUICK = Plan(repeats=1)


@dataclass(frozen=True, slots=True)
class Case:
    """``known``: it finds the databases of an earlier run."""

    name: str
    child: str
    known: bool = True


RESTART = Case("hedgerow run", "hedgerow")
FIRST_START = Case("hedgerow run, new database", "hedgerow", known=False)
ECHO = Case("PTB echo", "ptb-echo")
RAW_ECHO = Case("aiohttp echo", "aiohttp-echo")
CASES = (RESTART, FIRST_START, ECHO, RAW_ECHO)


@dataclass(frozen=True, slots=True)
class Start:
    """``ready`` in seconds."""

    ready: float
    at_rest: Reading


async def measure(plan: Plan, cases: Sequence[Case] = CASES) -> Table:
    """One start of each ahead of the measured ones: it compiles and warms the disk."""
    starts: dict[Case, list[Start]] = {case: [] for case in cases}
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as name:
        prepared = Path(name) / "prepared"
        prepared.mkdir()
        await prepare(prepared, [USER])
        for repeat in range(-1, plan.repeats):
            for number, case in enumerate(cases):
                folder = Path(name) / f"{repeat}-{number}"
                start = await _start(case, _furnished(folder, prepared, known=case.known))
                if repeat >= 0:
                    starts[case].append(start)
    return table(plan, starts)


def _furnished(folder: Path, prepared: Path, *, known: bool) -> Path:
    if known:
        return copied(prepared, folder)
    folder.mkdir()
    return folder


async def _start(case: Case, folder: Path) -> Start:
    async with LoopbackBotApi() as api:
        began = time.monotonic()
        settings = settings_of(folder, [USER], api.url)
        async with started(case.child, (api.url, TOKEN), folder, settings) as bot:
            polled = await until_it_polls(api, bot)
            await asyncio.sleep(REST_SECONDS)
            return Start(polled - began, await bot.read())


# --- the table ----------------------------------------------------------------------------------

COLUMNS = ("start", "ready s", "fastest s", "slowest s", "CPU s", "RSS MB", "ccxt loaded")
HEAVY = "ccxt"


def table(plan: Plan, starts: Mapping[Case, Sequence[Start]]) -> Table:
    return Table(
        f"Start: from the process's begin to its first poll, median of {plan.repeats}; memory at rest",
        COLUMNS,
        tuple(_row(case.name, found) for case, found in starts.items()),
        _aims(starts),
        (
            f"CPU and memory {REST_SECONDS} s after the first poll; everything compiled before.",
            "Hedgerow and the peers run under the same thin starter: it reads their memory and "
            "hides what only the development tools install.",
        ),
    )


def _row(name: str, found: Sequence[Start]) -> tuple[str, ...]:
    return (
        name,
        figure(_ready(found)),
        figure(min(start.ready for start in found)),
        figure(max(start.ready for start in found)),
        figure(median(start.at_rest.cpu for start in found)),
        figure(_rss(found)),
        "yes" if _loads(found, HEAVY) else "no",
    )


def _ready(found: Sequence[Start]) -> float:
    return median(start.ready for start in found)


def _rss(found: Sequence[Start]) -> float:
    return median(start.at_rest.rss for start in found)


def _loads(found: Sequence[Start], module: str) -> bool:
    return any(module in start.at_rest.loaded for start in found)


def _aims(starts: Mapping[Case, Sequence[Start]]) -> tuple[Aim, ...]:
    ours = starts[RESTART]
    ready, rss = _ready(ours), _rss(ours)
    beside = f"; {times(ready / _ready(starts[ECHO]))} the PTB echo" if ECHO in starts else ""
    cpu = figure(median(start.at_rest.cpu for start in ours))
    return (
        Aim(f"ready in under 1 s: {figure(ready)} s, {cpu} s of it at work{beside}", ready < 1),
        Aim(f"under 120 MB at rest: {figure(rss)} MB", rss < 120),
        Aim("ccxt is not loaded", not _loads(ours, HEAVY)),
    )
