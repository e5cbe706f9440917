"""How fast a platform may be written to. Pure: the instants are arguments."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.chat import ChatRef, Priority


@dataclass(frozen=True, slots=True)
class Limits:
    """Messages and edits alike. The last ``…_reserve`` of a window are kept for critical messages."""

    overall: int
    overall_reserve: int
    overall_window: timedelta
    private_burst: int
    private_interval: timedelta
    group: int
    group_reserve: int
    group_window: timedelta


# What comes later on its way and what comes sooner must not meet in one window of the platform's.
MARGIN = timedelta(milliseconds=50)


def telegram_limits(per_second: int = 30) -> Limits:
    """The numbers of Telegram's Bots FAQ. The exact ones are unspecified: a 429 holds its chat as long as it
    says.
    """
    return Limits(
        overall=per_second,
        overall_reserve=math.ceil(per_second / 10) if per_second > 1 else 0,
        overall_window=timedelta(seconds=1) + MARGIN,
        private_burst=3,
        private_interval=timedelta(seconds=1) + MARGIN,
        group=20,
        group_reserve=2,
        group_window=timedelta(seconds=60) + MARGIN,
    )


TELEGRAM_LIMITS = telegram_limits()


class _Window:
    """The instants of the last ``size`` sends, the oldest first."""

    __slots__ = ("_length", "_size", "sent")

    def __init__(self, size: int, length: timedelta, sent: Iterable[datetime] = ()) -> None:
        self._size = size
        self._length = length
        self.sent: deque[datetime] = deque(sent, maxlen=size)

    def resized(self, size: int) -> _Window:
        return _Window(size, self._length, self.sent)

    def forget(self, now: datetime) -> None:
        # Instants from the future are left over from a clock that was set back.
        while self.sent and not now - self._length < self.sent[0] <= now:
            self.sent.popleft()

    def room(self, now: datetime) -> int:
        self.forget(now)
        return self._size - len(self.sent)

    def free_at(self, now: datetime, *, reserve: int) -> datetime:
        """When the next one fits while ``reserve`` places stay free."""
        self.forget(now)
        over = len(self.sent) - (self._size - reserve)
        return now if over < 0 else self.sent[over] + self._length


class Pacer:
    """Books what was sent and says when the next message may go.

    A private chat is a bucket of ``private_burst`` that refills by one each ``private_interval``, kept as the
    instant at which it will be full again.
    """

    def __init__(self, limits: Limits | None) -> None:
        self._limits = limits
        self._overall = _Window(limits.overall, limits.overall_window) if limits else None
        self._reserve = limits.overall_reserve if limits else 0
        self._full_at: dict[ChatRef, datetime] = {}
        self._groups: dict[ChatRef, _Window] = {}
        self._holds: dict[ChatRef, datetime] = {}
        self._failures = 0  # since the platform was last heard of
        self._away_until: datetime | None = None
        self._probing = False

    @property
    def memory(self) -> timedelta:
        """What was sent longer ago does not matter any more."""
        limits = self._limits
        if limits is None:
            return timedelta(0)
        return max(limits.overall_window, limits.group_window, limits.private_burst * limits.private_interval)

    def away(self, now: datetime, pause: Callable[[int], float]) -> None:
        """The platform cannot be reached: then one message at a time finds out whether it is back.

        ``pause`` in seconds, after so many failures. What was on its way when it went counts once.
        """
        self._probing = False
        if self._away_until is None or now >= self._away_until:
            self._away_until = now + timedelta(seconds=pause(self._failures))
            self._failures += 1

    def reached(self) -> None:
        self._failures, self._away_until, self._probing = 0, None, False

    def shared_by(self, processes: int) -> None:
        """What the platform takes in all is divided; what a chat takes is not: one process sends there."""
        if self._limits is not None and self._overall is not None:
            self._overall = self._overall.resized(max(2, self._limits.overall // processes))
            self._reserve = max(1, self._limits.overall_reserve // processes)

    def sent(self, chat: ChatRef, now: datetime) -> None:
        self._probing = self._away_until is not None
        if self._limits is None or self._overall is None:
            return
        self._overall.sent.append(now)
        if chat.private:
            full_at = max(self._full_at.get(chat, now), now)
            self._full_at[chat] = full_at + self._limits.private_interval
        else:
            self._group(chat, self._limits).sent.append(now)

    def hold(self, chat: ChatRef, until: datetime) -> None:
        """Nothing to this chat before then."""
        self._holds[chat] = max(until, self._holds.get(chat, until))

    def chat_free_at(self, chat: ChatRef, priority: Priority, now: datetime) -> datetime:
        return max(self._holds.get(chat, now), self._paced_until(chat, priority, now))

    def overall_free_at(self, priority: Priority, now: datetime) -> datetime:
        back_at = now if self._away_until is None else max(now, self._away_until)
        if self._limits is None or self._overall is None:
            return back_at
        free_at = self._overall.free_at(now, reserve=_reserve(self._reserve, priority))
        return max(back_at, free_at)

    def room(self, now: datetime) -> int | None:
        """How many may go now at most; ``None``: any number."""
        if self._away_until is not None and (self._probing or now < self._away_until):
            return 0
        room = None if self._overall is None else self._overall.room(now)
        return room if self._away_until is None or room == 0 else 1

    def closed(self, now: datetime) -> set[str]:
        """The chats to which not even a critical message may go now."""
        if not (self._full_at or self._groups or self._holds):
            return set()
        self._forget(now)
        return {str(chat) for chat in self._known() if self.chat_free_at(chat, Priority.CRITICAL, now) > now}

    def next_opening(self, now: datetime) -> datetime | None:
        """When something that may not go now may go."""
        instants = [self.chat_free_at(chat, priority, now) for chat in self._known() for priority in _CLASSES]
        instants += [self.overall_free_at(priority, now) for priority in _CLASSES]
        return min((at for at in instants if at > now), default=None)

    def _paced_until(self, chat: ChatRef, priority: Priority, now: datetime) -> datetime:
        limits = self._limits
        if limits is None:
            return now
        if not chat.private:
            window = self._groups.get(chat)
            return window.free_at(now, reserve=_reserve(limits.group_reserve, priority)) if window else now
        # Never longer than an empty bucket takes, even if the clock was set back.
        full_at = min(self._full_at.get(chat, now), now + limits.private_burst * limits.private_interval)
        return max(now, full_at - (limits.private_burst - 1) * limits.private_interval)

    def _group(self, chat: ChatRef, limits: Limits) -> _Window:
        if chat not in self._groups:
            self._groups[chat] = _Window(limits.group, limits.group_window)
        return self._groups[chat]

    def _known(self) -> Iterator[ChatRef]:
        yield from self._full_at.keys() | self._groups.keys() | self._holds.keys()

    def _forget(self, now: datetime) -> None:
        self._holds = {chat: until for chat, until in self._holds.items() if until > now}
        self._full_at = {chat: full_at for chat, full_at in self._full_at.items() if full_at > now}
        for window in self._groups.values():
            window.forget(now)
        self._groups = {chat: window for chat, window in self._groups.items() if window.sent}


_CLASSES = (Priority.CRITICAL, Priority.INFO)


def _reserve(places: int, priority: Priority) -> int:
    return 0 if priority is Priority.CRITICAL else places
