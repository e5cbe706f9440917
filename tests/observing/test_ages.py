from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chatbot.observing.ages import Ages
from chatbot.ports import Backlog

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_nothing_that_waits_has_no_age() -> None:
    ages = Ages()
    ages.look(0, at(0))

    assert ages.of(Backlog(), at(100)) == timedelta(0)


def test_a_message_is_as_old_as_the_look_that_saw_it_first() -> None:
    ages = Ages()
    ages.look(7, at(0))
    ages.look(8, at(5))
    ages.look(20, at(10))

    assert ages.of(Backlog(1, 8, at(300)), at(60)) == timedelta(seconds=55)


def test_a_message_that_was_never_postponed_is_as_old_as_it_is_due() -> None:
    """Also what an earlier process has left."""
    ages = Ages()
    ages.look(8, at(0))

    assert ages.of(Backlog(1, 8, at(-3600)), at(60)) == timedelta(seconds=3660)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.data())
def test_no_message_is_said_to_be_older_than_it_is_nor_younger_than_by_a_look(
    written: list[int], data: st.DataObject
) -> None:
    """A look each second, after so many new rows; the oldest that waits only moves on."""
    ages, rows, oldest = Ages(), list[int](), 0
    for second, more in enumerate(written):
        rows += [second] * more
        ages.look(len(rows), at(second))
        oldest = data.draw(st.integers(oldest, max(len(rows) - 1, oldest)))
        waiting = oldest < len(rows)
        ages.forget_below(oldest + 1 if waiting else None)
        backlog = Backlog(1, oldest + 1, at(second + 10)) if waiting else Backlog()

        age = timedelta(seconds=second - rows[oldest]) if waiting else timedelta(0)
        assert ages.of(backlog, at(second)) == age
