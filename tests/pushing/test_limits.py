"""The limiter alone, on instants that the test chooses."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import ChatRef, Priority
from chatbot.pushing.limits import MARGIN, TELEGRAM_LIMITS, Pacer, telegram_limits
from tests.pushing.mail import START, group, private


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_private_chat_takes_three_at_once_and_then_one_a_second() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    for _ in range(3):
        assert pacer.chat_free_at(private(1), Priority.REPLY, at(0)) == at(0)
        pacer.sent(private(1), at(0))
    assert pacer.chat_free_at(private(1), Priority.REPLY, at(0)) == at(1) + MARGIN
    pacer.sent(private(1), at(1) + MARGIN)
    assert pacer.chat_free_at(private(1), Priority.REPLY, at(1) + MARGIN) == at(2) + 2 * MARGIN


def test_a_rested_private_chat_has_its_burst_back() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    for _ in range(3):
        pacer.sent(private(1), at(0))
    rested = at(3) + 3 * MARGIN
    for _ in range(3):
        assert pacer.chat_free_at(private(1), Priority.REPLY, rested) == rested
        pacer.sent(private(1), rested)
    assert pacer.chat_free_at(private(1), Priority.REPLY, rested) == rested + timedelta(seconds=1) + MARGIN


def test_the_last_places_of_a_group_are_kept_for_critical_messages() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    for second in range(18):
        pacer.sent(group(1), at(second))
    assert pacer.chat_free_at(group(1), Priority.WARNING, at(20)) == at(60) + MARGIN
    assert pacer.chat_free_at(group(1), Priority.CRITICAL, at(20)) == at(20)
    pacer.sent(group(1), at(20))
    pacer.sent(group(1), at(20))
    assert pacer.chat_free_at(group(1), Priority.CRITICAL, at(20)) == at(60) + MARGIN
    assert pacer.closed(at(20)) == {"telegram:-1"}


def test_a_hold_concerns_its_chat_only() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    pacer.hold(private(1), at(7))
    assert pacer.chat_free_at(private(1), Priority.CRITICAL, at(0)) == at(7)
    assert pacer.chat_free_at(private(2), Priority.INFO, at(0)) == at(0)
    assert pacer.next_opening(at(0)) == at(7)
    assert pacer.next_opening(at(7)) is None


def test_without_limits_only_holds_count() -> None:
    pacer = Pacer(None)
    for _ in range(100):
        pacer.sent(private(1), at(0))
    assert pacer.chat_free_at(private(1), Priority.INFO, at(0)) == at(0)
    assert pacer.overall_free_at(Priority.INFO, at(0)) == at(0)
    pacer.hold(private(1), at(1))
    assert pacer.closed(at(0)) == {"telegram:1"}


def test_a_clock_set_back_by_an_hour_does_not_silence_the_bot() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    for number in range(30):
        pacer.sent(group(1) if number % 2 else private(1), at(3600))
    assert pacer.overall_free_at(Priority.INFO, at(0)) == at(0)
    assert pacer.chat_free_at(group(1), Priority.INFO, at(0)) == at(0)
    assert pacer.chat_free_at(private(1), Priority.INFO, at(0)) <= at(1) + MARGIN


def test_what_rests_is_forgotten() -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    for number in range(1, 11):
        pacer.sent(private(number), at(0))
        pacer.sent(group(number), at(0))
        pacer.hold(private(number), at(1))
    assert pacer.closed(at(61)) == set()
    assert not list(pacer._known())


@pytest.mark.parametrize("per_second", [1, 2, 20, 30, 1_000])
def test_what_the_platform_takes_in_all_can_be_set(per_second: int) -> None:
    pacer = Pacer(telegram_limits(per_second))
    for number in range(per_second):
        assert pacer.overall_free_at(Priority.CRITICAL, at(0)) == at(0)
        pacer.sent(private(number), at(0))
    assert pacer.overall_free_at(Priority.CRITICAL, at(0)) == at(1) + MARGIN


def test_one_a_second_is_for_everybody() -> None:
    assert Pacer(telegram_limits(1)).overall_free_at(Priority.INFO, at(0)) == at(0)


WAY = timedelta(milliseconds=20)  # at least, and with the margin at most


@given(st.randoms(use_true_random=False), st.integers(1, 30))
def test_whatever_the_way_takes_the_platform_counts_no_more_than_it_allows(
    random: Random, chats: int
) -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    now, arrived = START, []
    for _ in range(200):
        chat = private(random.randrange(chats))
        chat_free = pacer.chat_free_at(chat, Priority.CRITICAL, now)
        now = max(chat_free, pacer.overall_free_at(Priority.CRITICAL, now))
        pacer.sent(chat, now)
        arrived.append(now + WAY + MARGIN * random.random())
    assert most_within(timedelta(seconds=1), arrived) <= 30


CHATS = [private(1), private(2), group(1), group(2)]


@given(st.lists(st.tuples(st.sampled_from(CHATS), st.floats(0, 0.5)), max_size=400))
def test_whoever_asks_first_never_breaks_a_limit(tries: list[tuple[ChatRef, float]]) -> None:
    pacer = Pacer(TELEGRAM_LIMITS)
    now = START
    sent: list[tuple[ChatRef, datetime]] = []
    for chat, pause in tries:
        now += timedelta(seconds=pause)
        free_at = pacer.chat_free_at(chat, Priority.CRITICAL, now)
        if max(free_at, pacer.overall_free_at(Priority.CRITICAL, now)) <= now:
            pacer.sent(chat, now)
            sent.append((chat, now))
    assert most_within(timedelta(seconds=1), [at for _, at in sent]) <= 30
    for chat in CHATS:
        instants = [at for to, at in sent if to == chat]
        if chat.private:
            assert most_within(timedelta(seconds=1), instants) <= 4  # the burst and the first refill
            assert most_within(timedelta(seconds=10), instants) <= 13
        else:
            assert most_within(timedelta(seconds=60), instants) <= 20


def most_within(window: timedelta, instants: list[datetime]) -> int:
    """In any half-open window of that length."""
    return max((sum(start <= at < start + window for at in instants) for start in instants), default=0)
