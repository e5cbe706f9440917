"""The real program over a loopback Telegram: kill -9 while it trades, and what the next start makes of it.

The rule is one: whoever was killed wherever, the user's card comes to an end, both books agree to the last
digit, nothing was traded twice, no update was lost or done twice, and no leg is left alone.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.e2e.stage import AT_ONCE, CLOSE, HEDGE, HEDGING, OPEN, OPENING, Deed, Stage

TOO_FAR = 200  # boundaries that no deed has
# Most boundaries are skipped for the sake of time; EVERY_BOUNDARY=1 skips none.
SPARSELY = not os.environ.get("EVERY_BOUNDARY")
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

STATES: dict[str, tuple[str, ...]] = {"open": (), "hedge": (OPENING,), "close": (OPENING, HEDGING)}


@pytest.mark.parametrize(
    ("deed", "stride", "at_least"),
    [
        pytest.param(OPEN, 12, 20, id="open"),
        pytest.param(HEDGE, 12, 20, id="hedge"),
        pytest.param(CLOSE, 10, 30, id="close"),
        pytest.param(AT_ONCE, 12, 20, id="close at once"),
    ],
)
async def test_a_kill_at_any_boundary_leaves_no_trace(
    stage: Stage, deed: Deed, stride: int, at_least: int
) -> None:
    base = await stage.prepare(*STATES[deed.kind])
    step = stride if SPARSELY else 1
    kills = 0
    for number in range(0, TOO_FAR, step):
        cut = await stage.cut_short(deed, base, number)
        if cut.survived:
            break
        kills += 1
        assert await stage.recover(cut)
        assert stage.verdict(cut) == [], f"killed at {cut.passed[-1]}"
    assert at_least <= kills * step < TOO_FAR


@pytest.mark.parametrize(("first", "stride"), [("after orders", 14), ("before orders", 20)])
async def test_a_second_kill_during_the_recovery_changes_nothing(
    stage: Stage, first: str, stride: int
) -> None:
    base = await stage.prepare(OPENING, HEDGING)
    step = stride if SPARSELY else 1
    kills = 0
    for number in range(0, TOO_FAR, step):
        cut = await stage.cut_short(CLOSE, base, first)
        assert not cut.survived
        if await stage.recover(cut, kill_at=number):
            break
        kills += 1
        assert await stage.recover(cut)
        assert stage.verdict(cut) == [], f"killed at {cut.passed[-1]}, then at boundary {number}"
    assert 15 <= kills * step < TOO_FAR


async def test_a_kill_at_any_moment_leaves_no_trace(stage: Stage) -> None:
    """Not where we thought of it, but when the clock says so: 6 moments over the length of a close."""
    base = await stage.prepare(OPENING, HEDGING)
    for moment in range(6):
        folder = stage.new_folder(base)
        child = await stage.start(folder)
        card = await stage.offer(CLOSE.command, CLOSE.label)
        stage.phone.taps(card, CLOSE.label)
        await asyncio.sleep(moment * 0.024)
        await child.kill()
        cut = stage.cut_by_hand(CLOSE, folder, card)
        assert await stage.recover(cut)
        assert stage.verdict(cut) == [], f"killed {moment * 24} ms after the tap"


async def test_a_stop_in_the_middle_of_a_close_ends_well_and_the_next_start_goes_on(stage: Stage) -> None:
    base = await stage.prepare(OPENING, HEDGING)
    for moment in range(3):
        folder = stage.new_folder(base)
        child = await stage.start(folder)
        card = await stage.offer(CLOSE.command, CLOSE.label)
        stage.phone.taps(card, CLOSE.label)
        await asyncio.sleep(moment * 0.025)
        assert await child.stop() == 0
        assert "Traceback" not in child.log
        cut = stage.cut_by_hand(CLOSE, folder, card)
        assert await stage.recover(cut)
        assert stage.verdict(cut) == [], f"stopped {moment * 25} ms after the tap"
