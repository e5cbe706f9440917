"""An update through the whole bot, beside bots that only echo."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.crowd import Answer, Crowd, Load
from bench.figures import figure, median, quantile, times
from bench.process import BotProcess, Reading, started, until_it_polls
from bench.tables import Aim, Table
from bench.users import HEDGES, copied, prepare, settings_of
from tests.wire.bot_api import TOKEN, LoopbackBotApi

SLOW_SERVER = 0.05
ECHOED = Answer(mark="/status", messages=1)


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    child: str
    answer: Answer


HEDGEROW = Contender("Hedgerow", "hedgerow-unpaced", Answer(mark="🔒", messages=len(HEDGES)))
ECHO = Contender("PTB echo", "ptb-echo", ECHOED)
CONCURRENT_ECHO = Contender("PTB echo, concurrent", "ptb-echo-concurrent", ECHOED)
RAW_ECHO = Contender("aiohttp echo", "aiohttp-echo", ECHOED)
CONTENDERS = (HEDGEROW, ECHO, CONCURRENT_ECHO, RAW_ECHO)


@dataclass(frozen=True, slots=True)
class Plan:
    """``seconds`` are measured of each load, after ``warm_up`` of it."""

    repeats: int = 5
    chats: int = 100
    seconds: float = 2.0
    warm_up: float = 0.5
    contenders: tuple[Contender, ...] = CONTENDERS


QUICK = Plan(repeats=1, seconds=1.0, warm_up=0.4)


@dataclass(frozen=True, slots=True)
class Busy:
    """A load and what it cost the bot's process; ``cpu`` in seconds an update."""

    per_second: float
    p50: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Sample:
    alone: Busy
    crowd: Busy
    slow_crowd: Busy
    idle_cpu: float  # seconds a second
    rss: float


Samples = Mapping[Contender, Sequence[Sample]]


async def measure(plan: Plan) -> Table:
    """Raises ``TimeoutError`` when a bot falls silent."""
    users = range(1, plan.chats + 1)
    samples: dict[Contender, list[Sample]] = {contender: [] for contender in plan.contenders}
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as name:
        prepared = Path(name) / "prepared"
        prepared.mkdir()
        await prepare(prepared, users)
        for repeat in range(plan.repeats):
            for contender in plan.contenders:
                folder = copied(prepared, Path(name) / f"{repeat}-{contender.child}")
                samples[contender].append(await _sample(contender, plan, users, folder))
    return table(plan, samples)


async def _sample(contender: Contender, plan: Plan, users: Sequence[int], folder: Path) -> Sample:
    async with LoopbackBotApi() as api:
        settings = settings_of(folder, users, api.url)
        async with started(contender.child, (api.url, TOKEN), folder, settings) as bot:
            await until_it_polls(api, bot)
            return await _put_through(bot, api, contender, plan, users)


async def _put_through(
    bot: BotProcess, api: LoopbackBotApi, contender: Contender, plan: Plan, users: Sequence[int]
) -> Sample:
    async def load(chats: Sequence[int], delay: float) -> Busy:
        api.delay = delay
        crowd = Crowd(api, chats, contender.answer)
        return _busy(*await crowd.ask(plan.seconds, warm_up=plan.warm_up, read=bot.read))

    idle = await _idle_cpu(bot, plan)
    alone, crowd, slow = await load(users[:1], 0.0), await load(users, 0.0), await load(users, SLOW_SERVER)
    return Sample(alone, crowd, slow, idle, (await bot.read()).rss)


async def _idle_cpu(bot: BotProcess, plan: Plan) -> float:
    await asyncio.sleep(plan.warm_up)
    before = await bot.read()
    await asyncio.sleep(plan.seconds)
    return ((await bot.read()).cpu - before.cpu) / plan.seconds


def _busy(load: Load, before: Reading, after: Reading) -> Busy:
    cpu = (after.cpu - before.cpu) / max(1, len(load.latencies))
    return Busy(load.per_second, quantile(load.latencies, 0.5), cpu)


# --- the table ----------------------------------------------------------------------------------

COLUMNS = (
    "whole bot, /status with 2 hedges",
    "p50 ms, 1 chat",
    "updates/s",
    "updates/s, 50 ms",
    "CPU ms/update",
    "CPU, 50 ms",
    "idle CPU %",
    "RSS MB",
)


def table(plan: Plan, samples: Samples) -> Table:
    middle = {contender: _middle(found) for contender, found in samples.items()}
    rows = [_row(contender, sample) for contender, sample in middle.items()]
    ours, echo = middle[HEDGEROW], middle.get(ECHO)
    if echo is not None:
        rows.append(_ratio_row("Hedgerow to PTB echo", ours, echo))
    return Table(
        f"Updates: {plan.chats} chats, each asking again when answered; server answers after 0 or 50 ms; "
        f"median of {plan.repeats}",
        COLUMNS,
        tuple(rows),
        () if echo is None else _aims(ours, echo),
        (
            f"An update of Hedgerow is answered by {HEDGEROW.answer.messages} cards, one of an echo by 1.",
            "Telegram's pacing (30 messages/s, 1/s a chat) is lifted for this table and only here.",
            "CPU holds all threads of the bot's process, and for Hedgerow its market and its watch over "
            f"{plan.chats * len(HEDGES)} hedges.",
            "The PTB echo works on one update after the other, which is the library's default.",
        ),
    )


def _middle(samples: Sequence[Sample]) -> Sample:
    return Sample(
        alone=_middle_of([sample.alone for sample in samples]),
        crowd=_middle_of([sample.crowd for sample in samples]),
        slow_crowd=_middle_of([sample.slow_crowd for sample in samples]),
        idle_cpu=median(sample.idle_cpu for sample in samples),
        rss=median(sample.rss for sample in samples),
    )


def _middle_of(found: Sequence[Busy]) -> Busy:
    per_second = median(busy.per_second for busy in found)
    return Busy(per_second, median(busy.p50 for busy in found), median(busy.cpu for busy in found))


def _row(contender: Contender, sample: Sample) -> tuple[str, ...]:
    return (contender.name, *map(figure, _values(sample)))


def _ratio_row(name: str, ours: Sample, echo: Sample) -> tuple[str, ...]:
    pairs = zip(_values(ours), _values(replace(echo, idle_cpu=float("nan"))), strict=True)
    return (name, *("" if math.isnan(peer) else times(value / peer) for value, peer in pairs))


def _values(sample: Sample) -> tuple[float, ...]:
    return (
        sample.alone.p50 * 1000,
        sample.crowd.per_second,
        sample.slow_crowd.per_second,
        sample.crowd.cpu * 1000,
        sample.slow_crowd.cpu * 1000,
        sample.idle_cpu * 100,
        sample.rss,
    )


def _aims(ours: Sample, echo: Sample) -> tuple[Aim, ...]:
    faster = ours.slow_crowd.per_second / echo.slow_crowd.per_second
    dearer, dearer_slow = ours.crowd.cpu / echo.crowd.cpu, ours.slow_crowd.cpu / echo.slow_crowd.cpu
    return (
        Aim(f"more updates/s than the PTB echo at 50 ms: {times(faster)}", faster > 1),
        Aim(
            f"under twice its CPU an update: {times(dearer)} at 0 ms, {times(dearer_slow)} at 50 ms",
            max(dearer, dearer_slow) < 2,
        ),
    )
