from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from chatbot.domain.digest import AFTER_SETTLEMENT, LATEST, Verdict, by_settlement, daily, verdict
from chatbot.domain.preferences import AlertPreferences, DigestRhythm

D = Decimal
AT_NINE = AlertPreferences()
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def told(chosen: AlertPreferences, zone: ZoneInfo, begin: datetime, hours: int) -> list[tuple[str, datetime]]:
    """Each key once, with the first minute at which it was due."""
    first: dict[str, datetime] = {}
    for minute in range(hours * 60):
        now = begin + minute * MINUTE
        if (due := daily(chosen, zone, now)) is not None:
            first.setdefault(due.key, now)
    return sorted(first.items())


def test_it_is_due_at_the_wall_clock_of_the_user() -> None:
    assert told(AT_NINE, BERLIN, utc(2026, 3, 2), 48) == [
        ("2026-03-02", utc(2026, 3, 2, 8)),
        ("2026-03-03", utc(2026, 3, 3, 8)),
    ]


def test_summer_time_moves_it_along() -> None:
    assert told(AT_NINE, BERLIN, utc(2026, 3, 28), 48) == [
        ("2026-03-28", utc(2026, 3, 28, 8)),
        ("2026-03-29", utc(2026, 3, 29, 7)),
    ]


@pytest.mark.parametrize(
    ("zone", "at", "begin", "due"),
    [
        (BERLIN, time(2, 30), utc(2026, 3, 28, 12), utc(2026, 3, 29, 1, 30)),  # 02:30 is skipped that night
        (NEW_YORK, time(1, 30), utc(2026, 10, 31, 12), utc(2026, 11, 1, 5, 30)),  # 01:30 comes twice
    ],
)
def test_a_time_that_is_skipped_or_comes_twice_is_told_once(
    zone: ZoneInfo, at: time, begin: datetime, due: datetime
) -> None:
    found = told(replace(AT_NINE, digest_at=at), zone, begin, 24)
    assert [first for _, first in found if first.date() == due.date()] == [due]
    assert len({key for key, _ in found}) == len(found) == 1


def test_one_that_is_late_is_told_for_three_hours_and_then_no_more() -> None:
    at = utc(2026, 3, 2, 9)
    zone = ZoneInfo("UTC")
    assert daily(AT_NINE, zone, at - MINUTE) is None
    assert daily(AT_NINE, zone, at + LATEST) is not None
    assert daily(AT_NINE, zone, at + LATEST + MINUTE) is None


def test_shortly_before_midnight_it_is_still_of_that_day() -> None:
    late = replace(AT_NINE, digest_at=time(23, 50))
    due = daily(late, ZoneInfo("UTC"), utc(2026, 3, 3, 0, 20))
    assert due is not None
    assert due.key == "2026-03-02"


def test_after_each_settlement_it_waits_for_what_was_paid() -> None:
    chosen = replace(AT_NINE, digest=DigestRhythm.FUNDING)
    settlement, interval = utc(2026, 3, 2, 8), timedelta(hours=8)
    ahead = settlement + interval

    def due(after: timedelta) -> str | None:
        found = by_settlement(chosen, ahead, interval, settlement + after)
        return None if found is None else found.key

    assert due(AFTER_SETTLEMENT - MINUTE) is None
    assert due(AFTER_SETTLEMENT) == due(AFTER_SETTLEMENT + MINUTE) == "20260302T0800"
    assert due(AFTER_SETTLEMENT + LATEST + MINUTE) is None


def test_who_wants_the_one_is_not_sent_the_other() -> None:
    at = utc(2026, 3, 2, 9)
    for rhythm in (DigestRhythm.FUNDING, DigestRhythm.OFF):
        assert daily(replace(AT_NINE, digest=rhythm), ZoneInfo("UTC"), at) is None
    assert by_settlement(AT_NINE, at + timedelta(hours=7), timedelta(hours=8), at) is None


@pytest.mark.parametrize(
    ("locked", "per_day", "days", "said"),
    [
        ("300", "4", None, Verdict.EARNS),
        ("300", "0", None, Verdict.EARNS),
        ("300", "-4", 75, Verdict.LASTS),
        ("20", "-4", 5, Verdict.ENDS_SOON),
        ("28", "-4", 7, Verdict.ENDS_SOON),
        ("0", "4", None, Verdict.NOTHING),
        ("-10", "-4", None, Verdict.NOTHING),
    ],
)
def test_whether_a_lock_is_worth_keeping(locked: str, per_day: str, days: int | None, said: Verdict) -> None:
    now = utc(2026, 3, 2)
    eaten = None if days is None else now + timedelta(days=days)
    assert verdict(D(locked), D(per_day), eaten, now) is said
