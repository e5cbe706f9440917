"""When a user's digest is due, and what becomes of a hedge that is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from chatbot.domain.preferences import AlertPreferences, DigestRhythm

LATEST = timedelta(hours=3)  # a digest that could not be sent by then waits for the next one
AFTER_SETTLEMENT = timedelta(minutes=5)  # until then the exchange has told what was paid
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Due:
    """``key`` names it once and for ever; ``at`` is when it was to be told."""

    key: str
    at: datetime


def daily(chosen: AlertPreferences, zone: ZoneInfo, now: datetime) -> Due | None:
    """At the user's wall clock, once a calendar day: also where summer time skips or repeats that time."""
    if chosen.digest is not DigestRhythm.DAILY:
        return None
    today = now.astimezone(zone).date()
    for day in (today, today - timedelta(days=1)):
        at = datetime.combine(day, chosen.digest_at, zone)
        if timedelta(0) <= now - at.astimezone(now.tzinfo) <= LATEST:
            return Due(f"{day:%Y-%m-%d}", at)
    return None


def by_settlement(
    chosen: AlertPreferences, next_funding_at: datetime, interval: timedelta, venue_now: datetime
) -> Due | None:
    """A little after each settlement; instants are the venue's."""
    if chosen.digest is not DigestRhythm.FUNDING:
        return None
    at = next_funding_at - interval + AFTER_SETTLEMENT
    due = timedelta(0) <= venue_now - at <= LATEST
    return Due(f"{at - AFTER_SETTLEMENT:%Y%m%dT%H%M}", at) if due else None


def until_told(next_funding_at: datetime, interval: timedelta, venue_now: datetime) -> timedelta:
    """How long nothing will be due."""
    last = next_funding_at - interval + AFTER_SETTLEMENT
    return (last if last > venue_now else next_funding_at + AFTER_SETTLEMENT) - venue_now


class Verdict(StrEnum):
    """Whether a lock is worth keeping, as far as funding says."""

    EARNS = "earns"
    LASTS = "lasts"
    ENDS_SOON = "ends soon"
    NOTHING = "nothing"  # left of it


def verdict(locked: Decimal, per_day: Decimal, eaten_at: datetime | None, at: datetime) -> Verdict:
    """``locked`` net of all costs; ``per_day`` positive: received. Instants are the venue's."""
    if locked <= 0:
        return Verdict.NOTHING
    if per_day >= 0:
        return Verdict.EARNS
    soon = eaten_at is not None and eaten_at - at <= SOON
    return Verdict.ENDS_SOON if soon else Verdict.LASTS
