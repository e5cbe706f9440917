"""kill -9 at boundaries of every deed, and again in the recovery. ``make crash`` leaves out none of them."""

from __future__ import annotations

import pytest

from tests.crash.__main__ import Task
from tests.crash.conftest import Killers
from tests.crash.deeds import DEEDS
from tests.crash.grounds import found_here
from tests.postgres.server import NOT_FOUND

pytestmark = pytest.mark.slow

SQLITE, POSTGRESQL = 24, 30  # at every how many-th boundary
DEEDS_ON_POSTGRESQL = ("hedge", "margin", "offset first", "at price")


@pytest.mark.parametrize("deed", DEEDS)
def test_a_kill_leaves_no_trace(killers: Killers, deed: str) -> None:
    """Each deed begins with another boundary, so that all kinds of them get their turn."""
    tally = killers.run(Task("sqlite", deed, SQLITE, again=0, turn=list(DEEDS).index(deed)))

    assert tally["violations"] == []
    assert int(str(tally["single"])) >= 1


@pytest.mark.parametrize("deed", DEEDS_ON_POSTGRESQL)
def test_a_kill_leaves_no_trace_on_a_server_either(killers: Killers, deed: str) -> None:
    if "postgresql" not in found_here():
        pytest.skip(NOT_FOUND)
    tally = killers.run(Task("postgresql", deed, POSTGRESQL, again=0, turn=list(DEEDS).index(deed)))

    assert tally["violations"] == []
    assert int(str(tally["single"])) >= 1


def test_an_outage_of_the_server_leaves_none_while_the_bot_lives_on(killers: Killers) -> None:
    if "postgresql" not in found_here():
        pytest.skip(NOT_FOUND)
    deed = "offset first"
    tally = killers.run(Task("postgresql", deed, POSTGRESQL, again=0, turn=9, outages=True))

    assert tally["violations"] == []
    assert int(str(tally["single"])) >= 2


@pytest.mark.parametrize("deed", ["offset first"])
def test_a_second_kill_in_the_recovery_of_the_first_leaves_none_either(killers: Killers, deed: str) -> None:
    tally = killers.run(Task("sqlite", deed, every=20, again=12, turn=7))

    assert tally["violations"] == []
    assert int(str(tally["double"])) >= 5
