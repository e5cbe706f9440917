"""10 October 2025 on a phone: what was told is what was due, at the look after it, once a step."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests import jumping
from tests.e2e.crash_day import LOOK, RECORDED, Day, live, main, recorded, write
from tests.e2e.lock_screen import heads

SPOKEN = 3.0  # seconds until several of one look are through: a chat takes one a second


@pytest.fixture(scope="module")
def day() -> Day:
    if not RECORDED.exists():
        pytest.skip("the recorded prices are not here")
    return jumping.run(live(recorded()))


@pytest.mark.parametrize("name", ["Ann", "Bob", "Cat"])
def test_what_was_told_is_what_every_rule_finds_over_every_minute(day: Day, name: str) -> None:
    told = [(at, head) for at, message in day.told[name] for head in heads([message])]
    words = [due.words for due in day.due[name]]
    delays = [(at - due.at).total_seconds() for (at, _), due in zip(told, day.due[name], strict=True)]

    assert [word in head for word, (_, head) in zip(words, told, strict=True)] == [True] * len(words), told
    assert all(0 <= delay <= LOOK + SPOKEN for delay in delays), delays


def test_it_was_no_quiet_day(day: Day) -> None:
    told = " ".join(message.text for each in day.told.values() for _, message in each)
    for words in ("4.3 % from", "safe again", "is gone (liquidated at", "funding in", "lock it?", "fell to"):
        assert words in told


def test_the_transcript_shows_each_message_its_buttons_and_what_was_due(day: Day) -> None:
    out = io.StringIO()
    write(day, out)
    assert "21:20:00 Ann | 🛑 #1 BTC: the long leg is gone (liquidated at 107,042.2)" in out.getvalue()
    assert "| [Restore the hedge]  [Close the rest]  [Settings]" in out.getvalue()
    assert "  21:20 the long leg is gone (liquidated" in out.getvalue()


def test_without_the_recorded_prices_the_command_says_what_it_needs(tmp_path: Path) -> None:
    out = io.StringIO()
    assert main([str(tmp_path / "prices.csv")], out) == 2
    assert "10 October 2025" in out.getvalue()
