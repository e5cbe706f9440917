"""How old a message is that nobody could deliver yet.

A postponed message forgets when it was due at first. Rows are numbered as they are written, so what is known
is the newest row at each look: a row above that number was written later.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta

from chatbot.ports import Backlog


class Ages:
    """Right to the time between two looks; a lower bound for what was written before the first of them."""

    def __init__(self) -> None:
        self._newest: list[int] = []  # ascending
        self._at: list[datetime] = []

    def look(self, newest_row: int, now: datetime) -> None:
        if not self._newest or newest_row > self._newest[-1]:
            self._newest.append(newest_row)
            self._at.append(now)

    def forget_below(self, row: int | None) -> None:
        """No row under this one waits any more; ``None``: none at all does."""
        last = len(self._newest) - 1
        past = last if row is None else min(bisect_left(self._newest, row), last)
        del self._newest[:past], self._at[:past]

    def of(self, backlog: Backlog, now: datetime) -> timedelta:
        """Of the oldest one; zero: nothing waits."""
        if backlog.first_row is None or backlog.due_at is None:
            return timedelta(0)
        written_at = self._at[min(bisect_left(self._newest, backlog.first_row), len(self._at) - 1)]
        return max(now - written_at, now - backlog.due_at, timedelta(0))
