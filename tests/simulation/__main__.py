"""``python -m tests.simulation``: runs by the thousand, or one of them with its story."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.simulation.crowd import Tally, run_all
from tests.simulation.run import Simulation
from tests.simulation.weather import Extra, Kind

SHOWN = 10  # violations


# --- what is printed ----------------------------------------------------------------------------


def report(tally: Tally, seconds: float) -> None:
    rate = tally.runs / seconds
    print(f"{tally.runs:,} runs in {seconds:.1f} s: {rate:,.0f} a second, {tally.cpu:.0f} s of CPU\n")
    _table("fault kinds that hit", [(kind.value, tally.hits[kind]) for kind in Kind])
    _table("and beside them", [(extra.value, tally.hits[extra]) for extra in Extra])
    _table("processes in one run", sorted(tally.lives.items()))
    _table("killed while", tally.killed.most_common())
    _table("runs by scenario", sorted(tally.scenarios.items()))
    print(f"single crash points: {tally.reached:,} of {tally.points:,} known were reached")
    print(f"violations: {len(tally.violations):,}")
    for seed, scenario, violation in sorted(tally.violations)[:SHOWN]:
        print(f"  make simulate SEED={seed}    # {scenario}: {violation.strip().splitlines()[-1][:150]}")


def _table(title: str, rows: Sequence[tuple[object, int]]) -> None:
    print(title)
    for name, count in rows:
        print(f"  {name!s:<26}{count:>10,}")
    print()


def replay(seed: int) -> int:
    outcome = Simulation().run(seed, tell=True)
    print(f"run {seed}: {outcome.scenario}, {outcome.climate}\n")
    print("\n".join(outcome.log))
    print(f"\n{outcome.violation}" if outcome.violation else "\nall that must hold held")
    return int(bool(outcome.violation))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--runs", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0, help="the first run's number")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, help="replay this run and tell its story")
    given = parser.parse_args(arguments)
    if given.seed is not None:
        return replay(given.seed)
    begun = time.perf_counter()
    tally = run_all(given.first, given.runs, given.workers)
    report(tally, time.perf_counter() - begun)
    return int(bool(tally.violations))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
