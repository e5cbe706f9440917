"""What is told and what is held back, by one trembling figure: the liquidation distance of a short leg."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from chatbot.domain.episodes import (
    COOLDOWN,
    REPEAT_CRITICAL_AFTER,
    Episode,
    Step,
    is_quiet,
    snooze,
    snoozes,
    step,
)
from chatbot.domain.hedge import HedgeId
from chatbot.domain.preferences import AlertPreferences, Preferences
from chatbot.domain.quote import LegLiquidation
from chatbot.domain.risk import (
    AlertKind,
    AlertPhase,
    Figures,
    Finding,
    Gravity,
    HedgeFrozen,
    LegNaked,
    LiquidationNear,
    NakedLeg,
)
from chatbot.domain.scene import falling
from tests.builders import ETH_USDT, LONG, SHORT

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LEVELS = AlertPreferences().liquidation_distances
KEY = "#3:liquidation:short"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def away(percent: str, *, key: str = KEY, number: int = 3) -> Finding:
    distance = Decimal(percent) / 100
    level, holding = falling(distance, LEVELS)
    figures = LiquidationNear(
        instrument=ETH_USDT,
        number=number,
        side=SHORT,
        mark_price=Decimal(2_400),
        liquidation=LegLiquidation(Decimal(2_400) * (1 + distance), distance),
    )
    return Finding(key, AlertKind.LIQUIDATION, level, holding, figures, len(LEVELS), HedgeId(f"h{number:09}"))


def of_kind(kind: AlertKind, level: int, figures: Figures, key: str) -> Finding:
    return Finding(key, kind, level, level, figures, 1, HedgeId("h000000003"))


class Teller:
    """Feeds looks to ``step`` and remembers what the store would."""

    def __init__(self, alerts: AlertPreferences | None = None, zone: str = "UTC") -> None:
        self.preferences = Preferences(time_zone=zone, alerts=alerts or AlertPreferences())
        self.active: dict[str, Episode] = {}
        self.recent: dict[str, Episode] = {}

    def look(self, now: datetime, *findings: Finding, told_otherwise: Iterable[str] = ()) -> list[str]:
        result = self.judge(now, *findings, told_otherwise=told_otherwise)
        return [f"{alert.phase} {alert.level}" for alert in result.alerts]

    def judge(self, now: datetime, *findings: Finding, told_otherwise: Iterable[str] = ()) -> Step:
        result = step(
            findings,
            self.active.values(),
            self.preferences,
            now,
            recent=self.recent.values(),
            told_otherwise=set(told_otherwise),
        )
        for episode in result.episodes:
            self._keep(episode)
        return result

    def _keep(self, episode: Episode) -> None:
        if episode.cleared_at is None:
            self.active[episode.key] = episode
            return
        self.active.pop(episode.key, None)
        if episode.told_level >= 0:
            self.recent[episode.key] = episode

    def choose(self, alerts: AlertPreferences) -> None:
        self.preferences = replace(self.preferences, alerts=alerts)


# --- rise, worse, clear -------------------------------------------------------------------------


def test_nothing_is_told_of_a_figure_that_is_well() -> None:
    teller = Teller()

    assert teller.look(at(0), away("30")) == []
    assert teller.active == {}


def test_a_rise_is_told_once_and_not_on_every_look() -> None:
    teller = Teller()

    assert teller.look(at(0), away("15")) == ["rise 0"]
    assert teller.look(at(1), away("14")) == []
    assert teller.look(at(2), away("19")) == []


def test_each_worsening_is_told() -> None:
    teller = Teller()

    told = [teller.look(at(m), away(p)) for m, p in enumerate(("15", "9", "4"))]

    assert told == [["rise 0"], ["worse 1"], ["worse 2"]]


def test_a_jump_over_two_levels_is_told_once_at_the_gravest() -> None:
    assert Teller().look(at(0), away("3")) == ["rise 2"]


def test_clearing_is_told_with_the_level_that_was_told() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))

    assert teller.look(at(1), away("40")) == ["clear 2"]
    assert teller.active == {}


def test_a_level_is_left_only_when_the_figure_is_better_by_a_tenth_of_it() -> None:
    teller = Teller()
    teller.look(at(0), away("20"))

    assert teller.look(at(1), away("21.9")) == []
    assert teller.look(at(2), away("22.1")) == ["clear 0"]


def test_an_easing_is_silent_and_so_is_the_return() -> None:
    teller = Teller()
    teller.look(at(0), away("9"))

    assert teller.look(at(1), away("15")) == []
    assert teller.active[KEY].level == 0
    assert teller.look(at(2), away("9")) == []


def test_a_return_to_a_critical_level_is_told_again_after_an_hour() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))
    teller.look(at(1), away("15"))

    assert teller.look(at(30), away("4")) == []
    teller.look(at(31), away("15"))
    assert teller.look(at(0) + REPEAT_CRITICAL_AFTER, away("4")) == ["worse 2"]


def test_a_told_return_begins_anew_so_that_its_message_is_one_of_its_own() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))
    teller.look(at(1), away("15"))
    again = teller.judge(at(90), away("4"))

    assert [alert.since for alert in again.alerts] == [at(90)]
    assert teller.active[KEY].since == at(90)


def test_a_return_to_a_level_that_is_not_critical_is_silent_however_late() -> None:
    teller = Teller()
    teller.look(at(0), away("9"))
    teller.look(at(1), away("15"))

    assert teller.look(at(600), away("9")) == []


def test_an_episode_whose_subject_is_gone_ends_silently() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))

    assert teller.look(at(1)) == []
    assert teller.active == {}


def test_news_that_another_message_tells_count_as_told() -> None:
    teller = Teller()

    assert teller.look(at(0), away("15"), told_otherwise={KEY}) == []
    assert teller.active[KEY].told_level == 0
    assert teller.look(at(1), away("40")) == ["clear 0"]


def test_several_alerts_of_one_look_are_ordered_by_gravity() -> None:
    naked = LegNaked(
        instrument=ETH_USDT,
        number=1,
        naked=NakedLeg(LONG, Decimal(1), Decimal(2_400)),
        lasting=timedelta(seconds=6),
    )
    findings = (
        away("15", key="#1:liquidation:long", number=1),
        away("4", key="#2:liquidation:long", number=2),
        of_kind(AlertKind.NAKED, 0, naked, "#1:naked"),
    )

    alerts = Teller().judge(at(0), *findings).alerts

    assert [(a.gravity, a.kind) for a in alerts] == [
        (Gravity.CRITICAL, AlertKind.NAKED),
        (Gravity.CRITICAL, AlertKind.LIQUIDATION),
        (Gravity.WARNING, AlertKind.LIQUIDATION),
    ]


def test_what_is_over_comes_after_what_is_wrong() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))

    alerts = teller.judge(at(1), away("40"), away("4", key="#4:liquidation:short", number=4)).alerts

    assert [a.phase for a in alerts] == [AlertPhase.RISE, AlertPhase.CLEAR]


# --- cooldown -----------------------------------------------------------------------------------


def test_a_rise_soon_after_the_clearing_waits_for_the_cooldown() -> None:
    teller = Teller()
    teller.look(at(0), away("15"))
    teller.look(at(1), away("30"))

    assert teller.look(at(2), away("15")) == []
    assert teller.look(at(1) + COOLDOWN, away("15")) == ["rise 0"]


def test_a_tremble_within_the_cooldown_says_nothing_at_all() -> None:
    teller = Teller()
    teller.look(at(0), away("15"))
    teller.look(at(1), away("30"))
    teller.look(at(2), away("15"))

    assert teller.look(at(3), away("30")) == []
    assert teller.look(at(3.5), away("15")) == []


def test_a_graver_level_does_not_wait_for_the_cooldown() -> None:
    teller = Teller()
    teller.look(at(0), away("15"))
    teller.look(at(1), away("30"))

    assert teller.look(at(2), away("9")) == ["rise 1"]


def test_a_critical_level_does_not_wait_for_the_cooldown() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))
    teller.look(at(1), away("30"))

    assert teller.look(at(2), away("4")) == ["rise 2"]


# --- quiet hours --------------------------------------------------------------------------------

NIGHT = AlertPreferences(quiet_from=time(23), quiet_until=time(7))


def test_quiet_hours_hold_back_what_is_not_critical_and_tell_it_afterwards() -> None:
    teller = Teller(NIGHT)
    night, morning = NOON.replace(hour=2), NOON.replace(hour=7)

    assert teller.look(night, away("15")) == []
    assert teller.active[KEY].told_level == -1
    assert teller.look(morning, away("15")) == ["rise 0"]
    assert teller.active[KEY].since == night


def test_what_is_over_before_the_quiet_hours_are_is_never_told() -> None:
    teller = Teller(NIGHT)
    teller.look(NOON.replace(hour=2), away("15"))

    assert teller.look(NOON.replace(hour=3), away("30")) == []
    assert teller.look(NOON.replace(hour=7), away("30")) == []


def test_a_clearing_in_quiet_hours_is_told_afterwards() -> None:
    teller = Teller(NIGHT)
    teller.look(NOON.replace(hour=22), away("15"))

    assert teller.look(NOON.replace(hour=23), away("30")) == []
    assert teller.look(NOON.replace(day=3, hour=7), away("30")) == ["clear 0"]


def test_a_critical_alert_and_its_clearing_ignore_quiet_hours() -> None:
    teller = Teller(NIGHT)

    assert teller.look(NOON.replace(hour=2), away("4")) == ["rise 2"]
    assert teller.look(NOON.replace(hour=3), away("30")) == ["clear 2"]


def test_a_held_alert_that_turns_critical_overtakes_the_quiet_hours() -> None:
    teller = Teller(NIGHT)
    teller.look(NOON.replace(hour=2), away("15"))

    assert teller.look(NOON.replace(hour=3), away("4")) == ["rise 2"]


@pytest.mark.parametrize(
    ("zone", "instant", "quiet"),
    [
        # Quiet from 23:00 to 07:00 on the wall, whatever the clocks were changed to.
        ("Europe/Berlin", datetime(2026, 3, 28, 5, 59, tzinfo=UTC), True),  # 06:59 winter time
        ("Europe/Berlin", datetime(2026, 3, 28, 6, 0, tzinfo=UTC), False),  # 07:00
        ("Europe/Berlin", datetime(2026, 3, 29, 4, 59, tzinfo=UTC), True),  # 06:59 summer time
        ("Europe/Berlin", datetime(2026, 3, 29, 5, 0, tzinfo=UTC), False),  # 07:00, an hour earlier
        ("Europe/Berlin", datetime(2026, 10, 25, 5, 30, tzinfo=UTC), True),  # 06:30 winter time again
        ("America/New_York", datetime(2026, 3, 2, 3, 59, tzinfo=UTC), False),  # 22:59
        ("America/New_York", datetime(2026, 3, 2, 4, 0, tzinfo=UTC), True),  # 23:00
        ("UTC", datetime(2026, 3, 2, 0, 0, tzinfo=UTC), True),  # midnight is inside
    ],
)
def test_quiet_hours_follow_the_wall_clock(zone: str, instant: datetime, quiet: bool) -> None:
    assert is_quiet(NIGHT, zone, instant) is quiet


def test_quiet_hours_within_a_day_do_not_wrap() -> None:
    nap = AlertPreferences(quiet_from=time(13), quiet_until=time(15))

    assert [is_quiet(nap, "UTC", NOON.replace(hour=h)) for h in (12, 13, 14, 15)] == [
        False,
        True,
        True,
        False,
    ]


# --- snooze -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["*", "#3", "liquidation", "#3:liquidation", KEY])
def test_a_snooze_holds_back_what_it_names_and_it_is_told_afterwards(key: str) -> None:
    teller = Teller(snooze(AlertPreferences(), key, at(60), NOON))

    assert teller.look(at(0), away("15")) == []
    assert teller.look(at(60), away("15")) == ["rise 0"]


@pytest.mark.parametrize("key", ["#4", "funding", "#3:funding", "#4:liquidation"])
def test_a_snooze_of_something_else_holds_nothing(key: str) -> None:
    teller = Teller(snooze(AlertPreferences(), key, at(60), NOON))

    assert teller.look(at(0), away("15")) == ["rise 0"]


@pytest.mark.parametrize("key", ["*", "liquidation", "#3", "#3:liquidation"])
def test_no_snooze_holds_a_critical_level_that_was_not_told_before(key: str) -> None:
    teller = Teller(snooze(AlertPreferences(), key, at(600), NOON))

    assert teller.look(at(0), away("4")) == ["rise 2"]


def _told_critical_then_over() -> Teller:
    teller = Teller()
    teller.look(at(0), away("4"))
    teller.look(at(1), away("30"))
    return teller


@pytest.mark.parametrize("key", ["#3", "#3:liquidation"])
def test_an_explicit_snooze_holds_a_critical_level_told_before_for_at_most_an_hour(key: str) -> None:
    teller = _told_critical_then_over()
    teller.choose(snooze(AlertPreferences(), key, at(600), at(2)))

    assert teller.look(at(3), away("4")) == []
    assert teller.look(at(61), away("4")) == []
    assert teller.look(at(62), away("4")) == ["rise 2"]


@pytest.mark.parametrize("key", ["*", "liquidation"])
def test_a_wide_snooze_holds_no_critical_alert(key: str) -> None:
    teller = _told_critical_then_over()
    teller.choose(snooze(AlertPreferences(), key, at(600), at(2)))

    assert teller.look(at(3), away("4")) == ["rise 2"]


def test_an_explicit_snooze_never_holds_a_worsening_to_critical() -> None:
    teller = Teller()
    teller.look(at(0), away("9"))
    teller.choose(snooze(AlertPreferences(), "#3:liquidation", at(60), at(1)))

    assert teller.look(at(2), away("4")) == ["worse 2"]


def test_what_says_that_a_leg_is_naked_is_never_held() -> None:
    naked = LegNaked(
        instrument=ETH_USDT, number=3, naked=NakedLeg(LONG, Decimal(1), Decimal(2_400)), lasting=timedelta(0)
    )
    calm = replace(naked, naked=None)
    teller = Teller()
    teller.look(at(0), of_kind(AlertKind.NAKED, 0, naked, "#3:naked"))
    teller.look(at(1), of_kind(AlertKind.NAKED, -1, calm, "#3:naked"))
    teller.choose(snooze(snooze(AlertPreferences(), "#3", at(600), at(1)), "#3:naked", at(600), at(1)))

    assert teller.look(at(2), of_kind(AlertKind.NAKED, 0, naked, "#3:naked")) == ["rise 0"]


def test_a_snoozed_return_to_critical_is_told_when_the_snooze_ends() -> None:
    teller = Teller()
    teller.look(at(0), away("4"))
    teller.look(at(1), away("15"))
    teller.choose(snooze(AlertPreferences(), "#3", at(100), at(50)))

    assert teller.look(at(70), away("4")) == []
    assert teller.look(at(110), away("4")) == ["worse 2"]


def test_a_frozen_hedge_is_told_and_its_thaw_too() -> None:
    frozen = HedgeFrozen(instrument=ETH_USDT, number=3, reason="the exchange holds less")
    teller = Teller(NIGHT)

    assert teller.look(NOON.replace(hour=3), of_kind(AlertKind.FROZEN, 0, frozen, "#3:frozen")) == ["rise 0"]
    assert teller.look(NOON.replace(hour=4), of_kind(AlertKind.FROZEN, -1, frozen, "#3:frozen")) == [
        "clear 0"
    ]


def test_past_snoozes_are_forgotten_and_only_those_of_the_user_are_listed() -> None:
    first = snooze(AlertPreferences(), "#3", at(10), at(0))
    second = snooze(first, "funding", at(90), at(20))

    assert snoozes(first, at(1)) == [("#3", at(10))]
    assert set(second.snoozed) == {"funding"}
    assert snoozes(second, at(91)) == []
