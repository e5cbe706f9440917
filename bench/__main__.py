"""``python -m bench``: everything, under six minutes; ``--quick``: one repeat, under one."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench import accounts, legs, orders, startup, storage, triggers, updates, watching
from bench.tables import Table


@dataclass(frozen=True, slots=True)
class Part:
    full: Callable[[], Awaitable[Table]]
    quick: Callable[[], Awaitable[Table]]


PARTS = {
    "updates": Part(lambda: updates.measure(updates.Plan()), lambda: updates.measure(updates.QUICK)),
    "orders": Part(lambda: orders.measure(orders.Plan()), lambda: orders.measure(orders.QUICK)),
    "legs": Part(lambda: legs.measure(legs.Plan()), lambda: legs.measure(legs.QUICK)),
    "accounts": Part(lambda: accounts.measure(accounts.Plan()), lambda: accounts.measure(accounts.QUICK)),
    "storage": Part(lambda: storage.measure(storage.Plan()), lambda: storage.measure(storage.QUICK)),
    "triggers": Part(lambda: triggers.measure(triggers.Plan()), lambda: triggers.measure(triggers.QUICK)),
    "watching": Part(lambda: watching.measure(watching.Plan()), lambda: watching.measure(watching.QUICK)),
    "start": Part(lambda: startup.measure(startup.Plan()), lambda: startup.measure(startup.QUICK)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 0 whatever was measured: aims are told, not enforced; machines differ."""
    parsed = _parser().parse_args(arguments)
    began = time.monotonic()
    print(_machine(), flush=True)
    for name in parsed.only or PARTS:
        part = PARTS[name]
        print(f"\n{asyncio.run(_awaited(part.quick if parsed.quick else part.full))}", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s in all.")
    return 0


async def _awaited(measure: Callable[[], Awaitable[Table]]) -> Table:
    return await measure()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Side-by-side benchmarks.")
    parser.add_argument("--only", action="append", choices=[*PARTS], help="this part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one repeat, short loads: under a minute")
    return parser


def _machine() -> str:
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the begin. "
        "Compare within a table, not across runs."
    )


if __name__ == "__main__":
    sys.exit(main())
