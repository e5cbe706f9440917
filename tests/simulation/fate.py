"""What happens at which step: each await at a boundary of the process is one, and any may be its last."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.properties.mortal import Killed

MOST_STEPS = 50_000  # of a run: whoever goes round without letting time pass is found by that


@dataclass
class Life:
    """Of one process."""

    dead: bool = False


@dataclass
class Fate:
    """``plan``: what happens at the n-th step, counted over all lives; a step may kill the process.

    ``labels``: what kind each step was that was reached, if they are kept.
    """

    plan: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    labels: list[str] | None = None
    steps: int = 0
    life: Life = field(default_factory=Life)
    endless: bool = False
    deadly: str = ""  # the next step of this kind kills, once
    killed_at: list[str] = field(default_factory=list)
    _next: int = 0

    def ordain(self, events: Iterable[tuple[int, Callable[[], object]]]) -> None:
        self.plan = sorted([*self.plan, *events], key=lambda event: event[0])
        self._next = self.plan[0][0] if self.plan else 0

    def kill(self) -> None:
        self.life.dead = True

    def step(self, life: Life, label: str) -> None:
        if life.dead:
            raise Killed
        self.steps += 1
        if self.steps > MOST_STEPS:
            self.endless = life.dead = True
            raise Killed
        if self.labels is not None:
            self.labels.append(label)
        if label == self.deadly:
            self.deadly = ""
            self.kill()
            self._die_if_killed(life, label)
        if self.plan and self.steps >= self._next:
            self._happen()
            self._die_if_killed(life, label)

    def _die_if_killed(self, life: Life, label: str) -> None:
        if life.dead:
            self.killed_at.append(label)
            raise Killed

    def _happen(self) -> None:
        while self.plan and self.plan[0][0] <= self.steps:
            _, happens = self.plan.pop(0)
            happens()
        self._next = self.plan[0][0] if self.plan else 0
