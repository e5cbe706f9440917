"""How long a search is: as many inputs as every run of the tests affords, or ``FUZZ`` times as many."""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ", "1"))


def examples(number: int, **more: object) -> settings:
    """More of them only where somebody asked: then they are new ones each time."""
    return settings(
        max_examples=number * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **more,  # type: ignore[arg-type]  # whatever hypothesis takes
    )


class Count:
    """Of what was really tried."""

    def __init__(self) -> None:
        self.inputs = 0

    def at_least(self, number: int, report: Callable[[str], None]) -> None:
        report(f"{self.inputs} inputs")
        assert self.inputs >= number * TIMES
