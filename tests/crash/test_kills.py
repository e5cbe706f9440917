"""kill -9 at boundaries of every deed, and again in the recovery. ``make crash`` leaves out none of them."""

from __future__ import annotations

import pytest

from tests.crash.__main__ import Task
from tests.crash.conftest import Killers
from tests.crash.deeds import DEEDS

pytestmark = pytest.mark.slow

FEW = {"sqlite": 24, "postgresql": 48}  # at every how many-th boundary


@pytest.mark.parametrize("turn", range(len(DEEDS)))
def test_a_kill_leaves_no_trace(killers: Killers, database: str, turn: int) -> None:
    """Each deed begins with another boundary, so that all kinds of them get their turn."""
    deed = list(DEEDS)[turn]
    tally = killers.run(Task(database, deed, FEW[database], again=0, turn=turn))

    assert tally["violations"] == []
    assert int(str(tally["single"])) >= 1


@pytest.mark.parametrize("deed", ["offset first"])
def test_a_second_kill_in_the_recovery_of_the_first_leaves_none_either(killers: Killers, deed: str) -> None:
    tally = killers.run(Task("sqlite", deed, every=20, again=12, turn=7))

    assert tally["violations"] == []
    assert int(str(tally["double"])) >= 5
