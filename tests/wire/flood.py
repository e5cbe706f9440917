"""How much Telegram takes: what its Bots FAQ says, held strictly, by sliding windows at the server's door."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class _Door:
    """At most ``most`` in any ``seconds``."""

    most: int
    seconds: float
    passed: deque[float] = field(default_factory=deque)

    def closed_for(self, now: float) -> float:
        while self.passed and self.passed[0] + self.seconds <= now:
            self.passed.popleft()
        return self.passed[0] + self.seconds - now if len(self.passed) >= self.most else 0.0


@dataclass
class _Bucket:
    """A burst, and then one in each ``seconds``."""

    burst: int
    seconds: float
    full_at: float = -math.inf

    def closed_for(self, now: float) -> float:
        return max(0.0, self.full_at - (self.burst - 1) * self.seconds - now)

    def take(self, now: float) -> None:
        self.full_at = max(self.full_at, now) + self.seconds


@dataclass
class FloodControl:
    """``refused``: the chats that were told to wait. Instants in seconds."""

    per_second: int = 30
    refused: list[int] = field(default_factory=list)
    most_in_a_second: int = 0

    def __post_init__(self) -> None:
        self._overall = _Door(self.per_second, 1.0)
        self._private: defaultdict[int, _Bucket] = defaultdict(lambda: _Bucket(3, 1.0))
        self._groups: defaultdict[int, _Door] = defaultdict(lambda: _Door(20, 60.0))

    def admit(self, chat: int, now: float) -> int | None:
        """``None``: it may pass; else the ``retry_after``."""
        own = self._groups[chat] if chat < 0 else self._private[chat]
        wait = max(self._overall.closed_for(now), own.closed_for(now))
        if wait > 1e-9:
            self.refused.append(chat)
            return math.ceil(wait)
        self._overall.passed.append(now)
        self.most_in_a_second = max(self.most_in_a_second, len(self._overall.passed))
        if isinstance(own, _Bucket):
            own.take(now)
        else:
            own.passed.append(now)
        return None
