"""How the world around the bot has answered lately. In memory: it is about this process and its moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.errors import (
    BadCredentials,
    Conflict,
    MissingPermission,
    RateLimited,
    StorageError,
    VenueUnavailable,
)
from chatbot.observing.events import Asked, Committed, Event, Examined, Lagged, Mailed, Ran
from chatbot.ports import Clock

FORGOTTEN_AFTER = timedelta(minutes=10)  # a venue that nobody asks any more is not away
REFUSALS_WITHIN = timedelta(minutes=10)
LAGS_WITHIN = timedelta(seconds=30)
MOST_REFUSALS = 1_000


@dataclass(slots=True)
class Contact:
    """``away_since``: since when each question has gone unanswered. A refusal and a 429 are answers."""

    asked_at: datetime
    away_since: datetime | None = None

    def note(self, error: BaseException | None, now: datetime) -> None:
        self.asked_at = now
        if not is_away(error):
            self.away_since = None
        elif self.away_since is None:
            self.away_since = now


def is_away(error: BaseException | None) -> bool:
    return isinstance(error, VenueUnavailable) and not isinstance(error, RateLimited)


def is_broken(error: BaseException | None) -> bool:
    """The database, that is: a conflict is what it is there to find."""
    return isinstance(error, StorageError | TimeoutError) and not isinstance(error, Conflict)


def is_refusal(error: BaseException | None) -> bool:
    return isinstance(error, BadCredentials | MissingPermission)


class Health:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._venues: dict[str, Contact] = {}
        self._failures: dict[str, int] = {}
        self._lags: deque[tuple[datetime, float]] = deque()
        self._refusals: deque[tuple[datetime, str, object]] = deque(maxlen=MOST_REFUSALS)
        self.job_ended_at: datetime | None = None
        self.written_at: datetime | None = None
        self.broken_since: datetime | None = None
        self.broken_by = ""

    def hear(self, event: Event) -> None:
        match event:
            case Committed(_, error, _) | Mailed(_, error, _):
                self.wrote(error)
            case Asked(venue, account, _, _, error):
                self._asked(venue, account, error)
            case Examined(venue, error):
                self._asked(venue, object(), error)  # whosever key it was: each try counts by itself
            case Ran(_, StorageError() as error) if is_broken(error):
                self.broke(error)  # one fault, however many jobs find the database away
            case Ran(job, error):
                self._ran(job, error)
            case Lagged(seconds):
                self._lagged(seconds)

    # --- the database ---------------------------------------------------------------------------

    def wrote(self, error: BaseException | None) -> None:
        if is_broken(error):
            self.broke(error)
        else:
            self.written_at, self.broken_since = self._clock.now(), None

    def broke(self, error: BaseException | None) -> None:
        self.broken_since = self.broken_since or self._clock.now()
        self.broken_by = type(error).__name__

    @property
    def broken_for(self) -> timedelta:
        return timedelta(0) if self.broken_since is None else self._clock.now() - self.broken_since

    # --- exchanges ------------------------------------------------------------------------------

    def _asked(self, venue: str, subject: object, error: BaseException | None) -> None:
        now = self._clock.now()
        self._venues.setdefault(venue, Contact(now)).note(error, now)
        if is_refusal(error):
            self._refusals.append((now, venue, subject))

    def away(self) -> Mapping[str, timedelta]:
        """Every venue that was asked lately, and for how long it has not answered."""
        now = self._clock.now()
        asked = {v: c for v, c in self._venues.items() if now - c.asked_at < FORGOTTEN_AFTER}
        return {
            venue: timedelta(0) if contact.away_since is None else now - contact.away_since
            for venue, contact in sorted(asked.items())
        }

    def refusals(self) -> Mapping[str, int]:
        """By venue: how many different keys it has refused lately."""
        since = self._clock.now() - REFUSALS_WITHIN
        found: dict[str, set[object]] = {}
        for at, venue, subject in self._refusals:
            if at >= since:
                found.setdefault(venue, set()).add(subject)
        return {venue: len(subjects) for venue, subjects in sorted(found.items())}

    # --- this process ---------------------------------------------------------------------------

    def _ran(self, job: str, error: BaseException | None) -> None:
        self.job_ended_at = self._clock.now()
        self._failures[job] = 0 if error is None else self._failures.get(job, 0) + 1

    def failing_jobs(self) -> Iterator[tuple[str, int]]:
        """How often in a row each has failed."""
        return ((job, times) for job, times in sorted(self._failures.items()) if times)

    def _lagged(self, seconds: float) -> None:
        now = self._clock.now()
        self._lags.append((now, seconds))
        while now - self._lags[0][0] > LAGS_WITHIN:
            self._lags.popleft()

    @property
    def worst_lag(self) -> float:
        """Seconds, of the last half minute."""
        return max((seconds for _, seconds in self._lags), default=0.0)
