"""What is read at one moment, for metrics, probes and the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chatbot.domain.causes import lopsided
from chatbot.domain.operation import Operation
from chatbot.ports import Pace, Standing, Tally


@dataclass(frozen=True, slots=True)
class Ledger:
    """From the database. ``owed_for`` and ``alert_owed_for``: the age of the oldest message not delivered."""

    standing: Standing
    naked: Tally
    running: int
    owed_for: timedelta
    alert_owed_for: timedelta


@dataclass(frozen=True, slots=True)
class Reading:
    """``ledger`` is ``None`` while the database cannot be read; ``seconds`` is what it took to ask it.

    ``looks``: by venue, how long ago the account was looked at that waits longest. ``streams``: how many live
    (``True``) and how many do not, by venue.
    """

    at: datetime
    seconds: float
    ledger: Ledger | None = None
    unexplained: int = 0
    looks: Mapping[str, timedelta] = field(default_factory=dict)
    streams: Mapping[tuple[str, bool], int] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)


def naked_legs(running: Sequence[Operation]) -> Tally:
    """Operations that have done one leg and not yet the other, since their start at most."""
    naked = [operation for operation in running if lopsided(operation)]
    first = min(naked, key=lambda operation: operation.started_at, default=None)
    return Tally() if first is None else Tally(len(naked), first.started_at, first.hedge_id)


def age(tally: Tally, now: datetime) -> timedelta:
    return timedelta(0) if tally.oldest is None else max(now - tally.oldest, timedelta(0))
