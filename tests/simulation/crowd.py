"""Many runs, shared among processes, and what they come to together."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.run import Outcome, Simulation


@dataclass
class Tally:
    runs: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    scenarios: Counter[str] = field(default_factory=Counter)
    lives: Counter[int] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    reached: int = 0
    points: int = 0
    violations: list[tuple[int, str, str]] = field(default_factory=list)
    cpu: float = 0.0

    def add(self, outcome: Outcome, *, single: bool) -> None:
        self.runs += 1
        self.hits.update(outcome.hits)
        self.scenarios[outcome.scenario] += 1
        self.lives[outcome.lives] += 1
        self.killed.update(outcome.killed)
        self.reached += single and bool(outcome.killed)
        if outcome.violation:
            self.violations.append((outcome.seed, outcome.scenario, outcome.violation))

    def merge(self, other: Tally) -> None:
        self.runs += other.runs
        self.hits.update(other.hits)
        self.scenarios.update(other.scenarios)
        self.lives.update(other.lives)
        self.killed.update(other.killed)
        self.reached += other.reached
        self.points = other.points
        self.violations += other.violations
        self.cpu += other.cpu


def work(numbers: range) -> Tally:
    """One worker's share."""
    begun = time.process_time()
    simulation, tally = Simulation(), Tally()
    tally.points = simulation.singles
    for number in numbers:
        tally.add(simulation.run(number), single=number < simulation.singles)
    tally.cpu = time.process_time() - begun
    return tally


def run_all(first: int, runs: int, workers: int) -> Tally:
    total = Tally()
    shares = [range(first + worker, first + runs, workers) for worker in range(workers)]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for tally in pool.map(work, shares):
            total.merge(tally)
    return total
