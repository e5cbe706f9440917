"""``make cluster``: three processes, one killed or paused under load again and again; 1, 2 and 3 compared.

Everything is real: processes, PostgreSQL, the Bot API over HTTP, SIGKILL and SIGSTOP. Exit code 1 when
anything was lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chatbot.domain.shards import shard_of
from tests.postgres.server import FOLDER, NOT_FOUND, Server, prepare_folder, remove_folder
from tests.processes.cast import Actor, Cast, staged
from tests.processes.greenhouse import Pace
from tests.processes.ledgers import SharedBooks

USERS = range(1000, 1030)
MEASURED_SECONDS, WARM_UP_SECONDS = 15.0, 4.0


@dataclass
class Blow:
    """One process was struck. Seconds: until others held its shards, and until its users read something."""

    how: str
    taken_over: float
    heard: list[float] = field(default_factory=list)


@dataclass
class Proof:
    blows: list[Blow]
    hedges: int
    orders: int
    updates: int
    violations: list[str]
    sent_twice: int
    said_twice: int


async def prove(url: str, folder: Path, blows: int, seed: int) -> Proof:
    chance = random.Random(seed)
    struck: list[Blow] = []
    async with staged(url, folder, USERS) as cast:
        for _ in range(3):
            await cast.enter()
        await cast.balanced(3)
        living = asyncio.create_task(cast.crowd.live())
        for number in range(blows):
            await asyncio.sleep(chance.uniform(1.0, 3.0))
            victim = chance.choice([actor for actor in cast.actors if actor.alive])
            struck.append(await _strike(cast, victim, pause=number % 4 == 3))
            await cast.balanced(3)
            print(f"  {number + 1}: {_line(struck[-1])}", flush=True)
        cast.crowd.stopping = True
        await living
        books = await cast.at_rest()
        return await asyncio.to_thread(_proof, cast, books, struck)


async def _strike(cast: Cast, victim: Actor, *, pause: bool) -> Blow:
    """A killed process is replaced, a paused one goes on after another has its work."""
    users = await _users_of(cast, victim)
    gone = victim.name
    victim.send(signal.SIGSTOP if pause else signal.SIGKILL)
    at = time.monotonic()
    taken = await cast.until_nothing_is_held_by(gone) - at
    heard = await _heard_since(cast, users, at)
    if pause:
        victim.send(signal.SIGCONT)
    else:
        await cast.enter()
    return Blow("paused" if pause else "killed", taken, heard)


async def _users_of(cast: Cast, actor: Actor) -> list[int]:
    held = await cast.held_by(actor.name)
    return [user for user in cast.crowd.users if f"shard:{shard_of(f'telegram:{user}'):02}" in held]


async def _heard_since(cast: Cast, users: Sequence[int], at: float) -> list[float]:
    """How long each of them, all busy, had to wait for the next word."""

    def first(user: int) -> float | None:
        return next((said - at for said in cast.town.heard[user] if said > at), None)

    await cast.town.wait_for(lambda _: all(first(user) is not None for user in users), timeout=60)
    return [seconds for user in users if (seconds := first(user)) is not None]


def _proof(cast: Cast, books: SharedBooks, struck: list[Blow]) -> Proof:
    tally = cast.crowd.tally
    twice = books.sent_twice()
    violations = [*books.complaints(), *books.unanswered(cast.crowd)]
    if twice:
        violations.append(f"{twice} orders were sent twice")
    if books.ledger_legs():
        violations.append(f"all is closed, and yet the ledger holds {books.ledger_legs()}")
    said_twice = len(books.said_twice(cast.town, cast.crowd.users))
    return Proof(struck, tally.hedges, tally.orders, cast.crowd.updates, violations, twice, said_twice)


# --- throughput -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speed:
    """``deeds`` (an opening, a hedge, a close) and ``orders`` a second; ``median`` seconds for one."""

    processes: int
    deeds: float
    orders: float
    median: float


async def measure(url: str, folder: Path, processes: int, seconds: float) -> Speed:
    async with staged(url, folder, USERS, pace=Pace(unpaced=True)) as cast:
        for _ in range(processes):
            await cast.enter()
        await cast.balanced(processes)
        living = asyncio.create_task(cast.crowd.live())
        await asyncio.sleep(WARM_UP_SECONDS)
        tally, began = cast.crowd.tally, time.monotonic()
        deeds, orders = tally.deeds.total(), tally.orders
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        done = tally.deeds.total() - deeds, tally.orders - orders
        waits = [wait for ended, wait, _ in tally.waits if ended > began]
        cast.crowd.stopping = True
        await living
        await cast.at_rest()
    return Speed(processes, done[0] / took, done[1] / took, statistics.median(waits))


# --- telling --------------------------------------------------------------------------------------


def _line(blow: Blow) -> str:
    heard = f"; their users read on after {_spread(blow.heard)}" if blow.heard else ""
    return f"{blow.how}: others held its shards after {blow.taken_over:.2f} s{heard}"


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s (median), {max(seconds):.2f} s (worst)"


def _tell(proof: Proof) -> None:
    print(f"\n  hedges {proof.hedges}, orders {proof.orders}, updates {proof.updates}")
    print(f"  orders sent twice {proof.sent_twice}, messages {proof.said_twice} (each goes at least once)")
    for how in ("killed", "paused"):
        blows = [blow for blow in proof.blows if blow.how == how]
        if blows:
            print(f"  {how} {len(blows)} times: take-over {_spread([blow.taken_over for blow in blows])}")
            heard = [seconds for blow in blows for seconds in blow.heard]
            if heard:
                print(f"    next word to {len(heard)} waiting users: {_spread(heard)}")
    print(f"  violations {len(proof.violations)}")
    for violation in proof.violations:
        print(f"    {violation}")


def _databases(server: Server, count: int) -> list[str]:
    names = [f"cluster_{number}" for number in range(count)]
    for name in names:
        server.create(name)
    return [server.url(name) for name in names]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.processes", description=__doc__)
    parser.add_argument("--blows", type=int, default=8, help="how often a process is struck")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=MEASURED_SECONDS, help="of each throughput")
    given = parser.parse_args(arguments)
    prepare_folder()
    if FOLDER not in os.environ:
        print(NOT_FOUND)
        return 1
    try:
        return _run(Server(Path(os.environ[FOLDER])), given)
    finally:
        remove_folder()


def _run(server: Server, given: argparse.Namespace) -> int:
    server.ensure()
    urls = _databases(server, 4)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}.")
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / str(number) for number in range(4)]
        for folder in folders:
            folder.mkdir()
        print(f"\nThree processes, {len(USERS)} users, leases of 6 s:", flush=True)
        proof = asyncio.run(prove(urls[0], folders[0], given.blows, given.seed))
        _tell(proof)
        print(f"\nThroughput without Telegram's limits, {len(USERS)} users who never rest:")
        print("  processes  deeds/s  orders/s  median s", flush=True)
        for processes in (1, 2, 3):
            speed = asyncio.run(measure(urls[processes], folders[processes], processes, given.seconds))
            print(
                f"  {speed.processes:>9}  {speed.deeds:>7.1f}  {speed.orders:>8.1f}  {speed.median:>8.2f}",
                flush=True,
            )
        print("  The users, the Bot API and PostgreSQL run on the same cores.")
    return 1 if proof.violations else 0


if __name__ == "__main__":
    sys.exit(main())
