"""Never lose a leg: a part of ``make simulate``, small enough for every test run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.properties.mortal import Killed
from tests.simulation.crowd import Tally
from tests.simulation.fate import Fate
from tests.simulation.loop import at_once, new_loop, running
from tests.simulation.mutants import MUTANTS
from tests.simulation.mutation import Mutant, source_of
from tests.simulation.run import Outcome, Simulation
from tests.simulation.stages import SCENARIOS
from tests.simulation.weather import Kind

RUNS = 800
FIRST = 100_000
CHUNKS = 4  # so that several workers share them
EVERY = 4  # parts that the single crash points come in

MOST = 2  # runs that are told in full where several fail


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with nobody_else_listens():
        yield Simulation()


@contextmanager
def nobody_else_listens() -> Iterator[None]:
    """The simulation takes the program's log for itself; whoever comes next gets it back."""
    log = logging.getLogger("chatbot")
    before = log.handlers, log.propagate, log.level
    try:
        yield
    finally:
        log.handlers, log.propagate = before[0], before[1]
        log.setLevel(before[2])


def require_well(outcomes: list[Outcome]) -> None:
    wrong = [f"make simulate SEED={o.seed}  # {o.scenario}: {o.violation}" for o in outcomes if o.violation]
    assert not wrong, f"{len(wrong)} of {len(outcomes)}:\n" + "\n".join(wrong[:MOST])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_leg_is_lost_in_any_weather(simulation: Simulation, chunk: int) -> None:
    require_well([simulation.run(FIRST + number) for number in range(chunk, RUNS, CHUNKS)])


@pytest.mark.parametrize("part", range(EVERY))
def test_no_leg_is_lost_wherever_the_process_dies(simulation: Simulation, part: int) -> None:
    outcomes = [simulation.run(number) for number in range(part, simulation.singles, EVERY)]

    require_well(outcomes)
    assert all(outcome.killed for outcome in outcomes)


def test_every_kind_of_fault_hits_and_is_counted(simulation: Simulation) -> None:
    tally = Tally()
    for number in range(200):
        tally.add(simulation.run(FIRST + RUNS + number), single=False)

    assert set(tally.hits) >= set(Kind)
    assert set(tally.scenarios) == set(SCENARIOS)


def test_a_run_repeats_to_the_letter(simulation: Simulation) -> None:
    first, second = (simulation.run(FIRST + 7, tell=True) for _ in range(2))

    assert first.log == second.log
    assert len(first.log) > 3


def test_the_story_of_a_run_names_its_orders(simulation: Simulation) -> None:
    story = "\n".join(simulation.run(next(_single_of(simulation, "hedge")), tell=True).log)

    assert "KILLED at" in story
    assert "sends HR" in story
    assert "FILL HR" in story


def _single_of(simulation: Simulation, scenario: str) -> Iterator[int]:
    points = enumerate(simulation.points)
    return (number for number, (name, label) in points if name == scenario and label == "answer")


# --- the harness itself -------------------------------------------------------------------------


def test_time_passes_only_where_nobody_is_ready() -> None:
    loop, seen = new_loop(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop.time()))

    with running(loop):
        for name, seconds in (("late", 5.0), ("soon", 1.0), ("now", 0.0)):
            _ = loop.create_task(sleeper(name, seconds))
        loop.at(3.0, lambda: seen.append(("world", loop.time())))
        while len(seen) < 4:
            loop.turn()

    assert seen == [("now", 0.0), ("soon", 1.0), ("world", 3.0), ("late", 5.0)]


def test_a_dropped_process_runs_no_line_more_and_the_world_goes_on() -> None:
    loop, seen = new_loop(), list[str]()

    async def process() -> None:
        await asyncio.sleep(1)
        seen.append("the process")

    with running(loop):
        _ = loop.create_task(process())
        loop.at(1.0, lambda: seen.append("the world"))
        loop.turn()
        loop.drop_all()
        loop.pass_time(5)

    assert seen == ["the world"]
    assert loop.time() == 5


def test_whoever_is_dead_reaches_no_boundary() -> None:
    fate = Fate()
    fate.ordain([(2, fate.kill)])
    life = fate.life

    fate.step(life, "read")
    for _ in range(2):
        with pytest.raises(Killed):
            fate.step(life, "write")

    assert fate.killed_at == ["write"]


def test_what_a_run_wrote_is_taken_back(simulation: Simulation) -> None:
    stage = simulation.stages[0]
    before = stage.disk.rows("SELECT count(*) FROM operations")
    simulation.run(0)

    assert stage.disk.rows("SELECT count(*) FROM operations") == before


def test_a_coroutine_that_waits_is_refused_where_none_may() -> None:
    with pytest.raises(RuntimeError, match="had to wait"):
        at_once(asyncio.sleep(0))


# --- seeded bugs --------------------------------------------------------------------------------


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_still_fits_the_code(mutant: Mutant) -> None:
    for change in mutant.changes:
        before = source_of(change.module)
        after = change.applied_to(before)
        assert after != before
        compile(after, change.module, "exec")


def test_there_are_mutants_of_every_part() -> None:
    parts = {mutant.part for mutant in MUTANTS}
    assert parts == {"saga", "journal", "recovery", "sizing", "reconciler", "alerts", "outbox"}
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 22
