"""Over random walks of a figure: what is told alternates, and agrees with a dense recomputation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.episodes import COOLDOWN, REPEAT_CRITICAL_AFTER, Episode, step
from chatbot.domain.preferences import AlertPreferences, Preferences
from chatbot.domain.risk import Alert, AlertKind, AlertPhase, Finding, MarginHigh
from chatbot.domain.scene import rising

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LEVELS = AlertPreferences().margin_ratios
KEY = "margin@account"

steps = st.lists(st.integers(-20, 20), min_size=1, max_size=60)
pauses = st.sampled_from([1, 10, 60, 600, 2_400])
Told = list[tuple[datetime, Alert]]


def finding(ratio: Decimal) -> Finding:
    level, holding = rising(ratio, LEVELS)
    figures = MarginHigh(account="paper", currency="USDT", ratio=ratio)
    return Finding(KEY, AlertKind.MARGIN, level, holding, figures, len(LEVELS))


def walk(moves: Sequence[int]) -> list[Decimal]:
    """Ratios in percent, kept between 0 and 99."""
    ratio, ratios = 45, []
    for move in moves:
        ratio = min(99, max(0, ratio + move))
        ratios.append(Decimal(ratio) / 100)
    return ratios


def tell(
    ratios: Sequence[Decimal], pause: int, preferences: Preferences, *, lost: Collection[int] = ()
) -> tuple[Told, Episode | None]:
    """``lost`` are the looks that die before their commit: what they tell and write never was."""
    told: Told = []
    active: Episode | None = None
    recent: list[Episode] = []
    for index, ratio in enumerate(ratios):
        now = START + timedelta(seconds=pause * index)
        result = step([finding(ratio)], [active] if active else [], preferences, now, recent=recent)
        if index in lost:
            continue
        for episode in result.episodes:
            active = episode if episode.cleared_at is None else None
            recent = [episode] if episode.cleared_at and episode.told_level >= 0 else recent
        told += [(now, alert) for alert in result.alerts]
    return told, active


def level_with_hysteresis(ratios: Sequence[Decimal]) -> int:
    """Each level by itself: on at the level, off a tenth of it below; the highest that is on."""
    on = [False] * len(LEVELS)
    for ratio in ratios:
        on = [
            ratio >= level or (was_on and ratio >= level * Decimal("0.9"))
            for was_on, level in zip(on, LEVELS, strict=True)
        ]
    return max((index for index, is_on in enumerate(on) if is_on), default=-1)


@given(steps, pauses)
def test_rises_and_clearings_alternate_and_levels_only_grow_in_between(moves: list[int], pause: int) -> None:
    told, _ = tell(walk(moves), pause, Preferences())

    believed, since = -1, START
    for now, alert in told:
        match alert.phase:
            case AlertPhase.RISE:
                assert believed == -1
            case AlertPhase.WORSE:
                again = alert.level == len(LEVELS) - 1 and now - since >= REPEAT_CRITICAL_AFTER
                assert believed >= 0
                assert alert.level > believed or again
            case AlertPhase.CLEAR:
                assert alert.level == believed
        believed = -1 if alert.phase is AlertPhase.CLEAR else alert.level
        since = now


@given(steps, pauses)
def test_the_episode_agrees_with_a_dense_recomputation(moves: list[int], pause: int) -> None:
    ratios = walk(moves)
    _, active = tell(ratios, pause, Preferences())

    assert (-1 if active is None else active.level) == level_with_hysteresis(ratios)


@given(steps, st.sampled_from([600, 3_600]))
def test_without_a_cooldown_in_the_way_the_user_knows_of_every_danger(moves: list[int], pause: int) -> None:
    told, active = tell(walk(moves), pause, Preferences())

    knows = told[-1][1].phase is not AlertPhase.CLEAR if told else False
    assert pause >= COOLDOWN.total_seconds()
    assert knows is (active is not None)
    assert active is None or active.told_level >= active.level


@given(steps, pauses, st.sets(st.integers(0, 59)))
def test_whatever_looks_die_no_message_has_the_key_of_another(
    moves: list[int], pause: int, lost: set[int]
) -> None:
    told, _ = tell(walk(moves), pause, Preferences(), lost=lost)
    keys = [(alert.key, alert.since, alert.phase, alert.level) for _, alert in told]

    assert len(keys) == len(set(keys))


@given(steps, st.sets(st.integers(0, 58)))
def test_looks_that_die_are_made_up_for_by_the_next(moves: list[int], lost: set[int]) -> None:
    """Held for the whole of the last level's hysteresis, the user knows of it in the end."""
    ratios = [*walk(moves), Decimal("0.90")]

    told, active = tell(ratios, 600, Preferences(), lost=lost - {len(ratios) - 1})

    assert active is not None
    assert active.told_level == len(LEVELS) - 1
    assert told[-1][1].phase is not AlertPhase.CLEAR


@given(steps, pauses)
def test_in_quiet_hours_only_critical_levels_and_their_end_are_told(moves: list[int], pause: int) -> None:
    always = AlertPreferences(quiet_from=time(0), quiet_until=time(23, 59, 59))

    told, _ = tell(walk(moves), pause, Preferences(alerts=always))

    assert all(alert.level == len(LEVELS) - 1 for _, alert in told)
