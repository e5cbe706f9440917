"""The time between the legs, from what is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chatbot.domain.hedge import LegRole
from chatbot.domain.operation import OperationStatus
from chatbot.observing.gaps import LegGaps
from chatbot.ports import Changes
from tests.storage.samples import NOW, fill, intent, operation

PRIMARY, OFFSET = LegRole.PRIMARY, LegRole.OFFSET


def filled(role: LegRole, seconds: float) -> Changes:
    order = replace(intent(f"HR{role}"), leg=role)
    booked = fill(f"f-{role}-{seconds}", at=NOW + timedelta(seconds=seconds))
    traded = replace(booked.fill, client_order_id=order.client_order_id)
    return Changes(intents=(order,), fills=(replace(booked, leg=role, fill=traded),))


def ended(status: OperationStatus) -> Changes:
    return Changes(operations=(replace(operation(), status=status),))


def gaps_of(*changes: Changes) -> list[float]:
    gaps = LegGaps()
    return [gap for each in changes for gap in gaps.follow(each)]


def test_it_is_between_the_last_fills_of_the_two() -> None:
    """Unequal is what the pair was until then."""
    done = ended(OperationStatus.DONE)

    assert gaps_of(filled(OFFSET, 0), filled(PRIMARY, 1), filled(PRIMARY, 2.5), done) == [2.5]
    assert gaps_of(filled(PRIMARY, 3), filled(OFFSET, 3), done) == [0]


def test_an_operation_of_one_leg_has_none() -> None:
    assert gaps_of(filled(OFFSET, 0), ended(OperationStatus.DONE)) == []


@pytest.mark.parametrize("status", [OperationStatus.FAILED, OperationStatus.FROZEN])
def test_one_that_failed_is_no_measure_of_speed(status: OperationStatus) -> None:
    assert gaps_of(filled(OFFSET, 0), filled(PRIMARY, 1), ended(status)) == []


def test_what_has_ended_is_forgotten() -> None:
    gaps = LegGaps()
    for changes in (filled(OFFSET, 0), filled(PRIMARY, 1), ended(OperationStatus.DONE)):
        gaps.follow(changes)

    assert gaps._last == {}


def test_a_fill_of_nobodys_order_is_none_of_the_operation() -> None:
    booked = fill("by hand")
    by_hand = Changes(fills=(replace(booked, fill=replace(booked.fill, client_order_id=None)),))

    assert gaps_of(filled(OFFSET, 0), by_hand, ended(OperationStatus.DONE)) == []
