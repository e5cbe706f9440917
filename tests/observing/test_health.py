"""What is heard at the ports becomes a state: who is away, since when, and what fails in a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.hedge import AccountId
from chatbot.errors import (
    BadCredentials,
    Conflict,
    MissingPermission,
    OutcomeUnknown,
    RateLimited,
    StorageError,
    VenueRejected,
    VenueUnavailable,
)
from chatbot.observing import faults
from chatbot.observing.events import Asked, Committed, Examined, Lagged, Mailed, Ran
from chatbot.observing.faults import Fault
from chatbot.observing.health import FORGOTTEN_AFTER, Health
from chatbot.observing.reading import Ledger, Reading
from chatbot.ports import Backlog, Changes, Standing, Tally

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Ward:
    def __init__(self) -> None:
        self.clock = VirtualClock(NOON)
        self.health = Health(self.clock)

    def asks(self, venue: str, error: Exception | None = None, account: str = "a") -> None:
        self.health.hear(Asked(venue, AccountId(account), "view", 0.1, error))

    def faults(self, ledger: Ledger | None = None) -> list[Fault]:
        return list(faults.find(Reading(self.clock.now(), 0.0, ledger), self.health))

    @property
    def keys(self) -> list[str]:
        return [fault.key for fault in self.faults()]


@pytest.fixture
def ward() -> Ward:
    return Ward()


# --- exchanges ----------------------------------------------------------------------------------


async def test_an_exchange_is_away_from_its_first_silence_to_its_first_answer(ward: Ward) -> None:
    ward.asks("okx")
    await ward.clock.advance(10)
    for _ in range(4):
        ward.asks("okx", VenueUnavailable())
        await ward.clock.advance(100)
    away, keys = dict(ward.health.away()), ward.keys
    ward.asks("okx", account="b")

    assert away == {"okx": timedelta(seconds=400)}
    assert keys == ["venue:okx"]
    assert dict(ward.health.away()) == {"okx": timedelta(0)}
    assert ward.keys == []


@pytest.mark.parametrize("error", [VenueRejected(), RateLimited(), BadCredentials(), OutcomeUnknown()])
async def test_a_refusal_is_an_answer(ward: Ward, error: Exception) -> None:
    ward.asks("okx", error)
    await ward.clock.advance(400)
    ward.asks("okx", error)

    assert dict(ward.health.away()) == {"okx": timedelta(0)}


async def test_an_exchange_that_nobody_asks_any_more_is_not_away(ward: Ward) -> None:
    ward.asks("okx", VenueUnavailable())
    await ward.clock.advance(FORGOTTEN_AFTER.total_seconds())

    assert dict(ward.health.away()) == {}


async def test_one_key_that_is_refused_at_every_look_is_no_storm(ward: Ward) -> None:
    for _ in range(200):
        ward.asks("okx", BadCredentials())

    assert ward.keys == []


async def test_many_keys_refused_in_ten_minutes_are_one(ward: Ward) -> None:
    for number in range(3):
        ward.asks("okx", MissingPermission(), account=str(number))
    ward.health.hear(Examined("okx", BadCredentials()))
    ward.health.hear(Examined("bybit", BadCredentials()))
    before = ward.keys
    ward.health.hear(Examined("okx", BadCredentials()))
    storm = ward.keys
    await ward.clock.advance(601)

    assert (before, storm, ward.keys) == ([], ["keys:okx"], [])


# --- the database -------------------------------------------------------------------------------


async def test_the_database_is_broken_until_something_is_written(ward: Ward) -> None:
    ward.health.hear(Committed(0.1, StorageError(), Changes()))
    await ward.clock.advance(10)
    broken = ward.keys
    ward.health.hear(Mailed(0.1, None, 1))

    assert broken == ["database"]
    assert ward.keys == []
    assert ward.health.written_at == NOON + timedelta(seconds=10)


async def test_a_conflict_is_what_the_database_is_there_for(ward: Ward) -> None:
    ward.health.hear(Committed(0.1, Conflict(), Changes()))
    await ward.clock.advance(60)

    assert ward.keys == []


# --- this process -------------------------------------------------------------------------------


def test_a_job_that_fails_three_times_in_a_row_is_a_fault_until_it_succeeds(ward: Ward) -> None:
    told = []
    for error in (OSError(), OSError(), None, OSError(), OSError(), OSError(), None):
        ward.health.hear(Ran("prune", error))
        told.append(ward.keys)

    assert told == [[], [], [], [], [], ["job:prune"], []]


async def test_a_late_loop_is_a_fault_for_half_a_minute(ward: Ward) -> None:
    ward.health.hear(Lagged(1.5))
    late = ward.keys
    for _ in range(31):
        await ward.clock.advance(1)
        ward.health.hear(Lagged(0.01))

    assert late == ["lag"]
    assert ward.keys == []
    assert ward.health.worst_lag == 0.01


# --- what the database tells --------------------------------------------------------------------


def ledger(standing: Standing, *, naked: Tally | None = None, owed: float = 0, alert: float = 0) -> Ledger:
    return Ledger(standing, naked or Tally(), 1, timedelta(seconds=owed), timedelta(seconds=alert))


def since(seconds: float) -> Tally:
    return Tally(2, NOON - timedelta(seconds=seconds), None)


@pytest.mark.parametrize(
    ("told", "fine", "fault"),
    [
        ("naked", ledger(Standing(), naked=since(59)), ledger(Standing(), naked=since(60))),
        ("unknown", ledger(Standing(unknown=since(119))), ledger(Standing(unknown=since(120)))),
        ("frozen", ledger(Standing()), ledger(Standing(frozen=Tally(1)))),
        ("accounts", ledger(Standing()), ledger(Standing(frozen_accounts=1))),
        ("deliveries", ledger(Standing(), alert=59), ledger(Standing(), alert=60)),
        ("deliveries", ledger(Standing(owed=Backlog(9)), owed=299), ledger(Standing(), owed=300)),
    ],
)
def test_each_fault_has_its_threshold(ward: Ward, told: str, fine: Ledger, fault: Ledger) -> None:
    assert ward.faults(fine) == []
    assert [each.key for each in ward.faults(fault)] == [told]


def test_what_cannot_be_read_is_not_guessed(ward: Ward) -> None:
    assert ward.faults(None) == []


def test_every_fault_is_of_the_section_of_its_rule() -> None:
    assert Fault("venue:okx", "").section == "venue"
    assert set(faults.RULES) == {
        "naked", "unknown", "database", "frozen", "accounts", "deliveries", "venue", "job", "lag", "keys"
    }  # fmt: skip


async def test_a_database_that_is_away_is_one_fault_however_many_jobs_find_it_so(ward: Ward) -> None:
    for _ in range(12):
        for job in ("watch", "streams", "watch okx"):
            ward.health.hear(Ran(job, StorageError("the database cannot be reached just now")))
        await ward.clock.advance(1)
    assert ward.keys == ["database"]
