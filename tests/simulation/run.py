"""One run: a stage, a climate, and what befalls it at which step, all drawn from one number."""

from __future__ import annotations

import gc
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from tests.properties.mortal import Stumbles
from tests.simulation.fate import Fate
from tests.simulation.loop import new_loop, running
from tests.simulation.stages import SCENARIOS, Stage, Wish
from tests.simulation.staging import make_stage
from tests.simulation.weather import CALM, Climate, Extra, Kind, Weather, a_climate
from tests.simulation.world import World, heard

EVENTS_AT = 8  # the step of an undisturbed run at which what is to happen happens
DOWNTIMES = ((0.0,), (0.0,), (0.5, 3.0), (6.0, 20.0))


@dataclass
class Outcome:
    """``violation`` is empty when all that must hold held. ``killed``: at what it was killed."""

    seed: int
    scenario: str
    violation: str = ""
    hits: Counter[str] = field(default_factory=Counter)
    killed: list[str] = field(default_factory=list)
    climate: str = ""
    lives: int = 1
    log: list[str] = field(default_factory=list)


class Simulation:
    """All stages, made once. Numbers below ``singles`` are the single crash points, one after the other."""

    def __init__(self) -> None:
        self._loop = new_loop()
        self._stumbles = Stumbles()
        heard(self._stumbles)
        self.stages = [make_stage(self._loop, name) for name in SCENARIOS]
        for stage in self.stages:
            stage.steps = self._undisturbed(stage)
        self._points = [
            (index, step) for index, stage in enumerate(self.stages) for step in range(len(stage.steps))
        ]
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 50)

    @property
    def singles(self) -> int:
        return len(self._points)

    @property
    def points(self) -> Iterator[tuple[str, str]]:
        """Every crash point that is known: the scenario and what is done there."""
        for index, step in self._points:
            yield self.stages[index].name, self.stages[index].steps[step]

    def _undisturbed(self, stage: Stage) -> tuple[str, ...]:
        labels: list[str] = []
        fate = Fate(labels=labels)
        world = self._world(stage, Weather(CALM, Random(1)), fate, seed=0)
        fate.ordain([(EVENTS_AT, partial(self._all_events, stage, world))])
        self._play(world)
        return tuple(labels)

    def _all_events(self, stage: Stage, world: World) -> None:
        for event in stage.events:
            event(world)

    def run(self, seed: int, *, tell: bool = False) -> Outcome:
        """``tell``: with its story."""
        if seed < self.singles:
            return self._single(seed, tell=tell)
        rng = Random(seed)
        stage = rng.choice(self.stages)
        weather = Weather(a_climate(rng), rng)
        world = self._world(stage, weather, Fate(), seed=seed, tell=tell)
        world.downtime = rng.choice(DOWNTIMES)
        world.wishes += self._more_taps(stage, rng)
        world.fate.ordain(self._plan(world, rng))
        world.fate.deadly = "answer" if rng.random() < 0.15 else ""
        return self._outcome(world)

    def _single(self, seed: int, *, tell: bool) -> Outcome:
        index, step = self._points[seed]
        stage = self.stages[index]
        world = self._world(stage, Weather(CALM, Random(seed)), Fate(), seed=seed, tell=tell)
        world.fate.ordain([(EVENTS_AT, partial(self._all_events, stage, world)), (step + 1, world.fate.kill)])
        return self._outcome(world)

    def _more_taps(self, stage: Stage, rng: Random) -> list[Wish]:
        """A button tapped twice, and one tapped by somebody who saw it over another's shoulder."""
        more = []
        for wish in stage.wishes:
            if rng.random() < 0.2:
                after = rng.choice((0.0, 0.0, 0.5, 5.0, 25.0))
                more.append(replace(wish, id=f"{wish.id} again", after=after))
            if len(stage.people) > 1 and rng.random() < 0.5:
                other = (wish.person + 1) % len(stage.people)
                more.append(replace(wish, id=f"{wish.id} by another", person=other, foreign=True))
        return more

    def _plan(self, world: World, rng: Random) -> list[tuple[int, Callable[[], object]]]:
        steps = len(world.stage.steps)
        plan: list[tuple[int, Callable[[], object]]] = [
            (rng.randint(1, steps), partial(event, world)) for event in world.stage.events
        ]
        at = 0
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            at = rng.randint(1, steps + 9) if not at else at + rng.randint(1, 35)
            plan.append((at, world.fate.kill))
        for share, event in (
            (0.12, world.liquidate_any),
            (0.10, world.by_hand),
            (0.06, world.jump),
            (0.04, world.clock_steps),
        ):
            if rng.random() < share:
                plan.append((rng.randint(1, steps + 5), event))
        return plan

    def _world(self, stage: Stage, weather: Weather, fate: Fate, *, seed: int, tell: bool = False) -> World:
        self._stumbles.found.clear()
        world = World(self._loop, stage, weather, weather.rng, fate, seed, stumbles=self._stumbles)
        world.log = [] if tell else None
        return world

    def _play(self, world: World) -> None:
        try:
            with running(self._loop):
                world.play()
        finally:
            with running(self._loop):
                self._loop.drop_all()
            world.disk.rewind()

    def _outcome(self, world: World) -> Outcome:
        outcome = Outcome(world.seed, world.stage.name, hits=world.weather.hits)
        try:
            self._play(world)
        except AssertionError as error:
            outcome.violation = str(error) or traceback.format_exc()
        except Exception:  # noqa: BLE001 (whatever it is, it must not end the other runs)
            outcome.violation = traceback.format_exc()
        outcome.lives = world.lives
        outcome.killed = world.fate.killed_at
        outcome.climate = str(world.weather.climate)
        if world.weather.climate.clock_off and world.inspection.sent:
            outcome.hits[Kind.CLOCK_OFF] += 1
        outcome.log = world.log or []
        return outcome


__all__ = ["Climate", "Extra", "Outcome", "Simulation"]
