"""Tells the operator's chat what is wrong with the bot, once, and when it is over.

Through the outbox like everything else; where that is what is broken, straight through the messenger. Each
process judges for itself, so what several of them find in the same minutes bears the same key and goes out
once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chatbot.chat import ChatRef, OutboxMessage, Priority, Reply, Severity, Text
from chatbot.errors import DeliveryError, StorageError
from chatbot.observing.faults import Fault, span
from chatbot.ports import Changes, Clock, Store

COOL_DOWN = timedelta(minutes=10)  # between two messages about the same fault
AGAIN_AFTER = timedelta(hours=6)  # while it lasts
SETTLED_AFTER = timedelta(minutes=1)  # gone for so long: over
WRITE_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    key: str  # of the message, the same in every process
    reply: Reply
    priority: Priority
    direct: bool


@dataclass(slots=True)
class _Case:
    """``told_at`` of ``None``: the operator does not know of it."""

    fault: Fault
    since: datetime
    told_at: datetime | None = None
    told_count: int = 0
    gone_since: datetime | None = None


@dataclass(slots=True)
class Cases:
    """What holds and what was told of it. Pure but for its memory: the instants are arguments."""

    _cases: dict[str, _Case] = field(default_factory=dict)
    _told_at: dict[str, datetime] = field(default_factory=dict)

    def step(self, faults: Sequence[Fault], now: datetime) -> list[News]:
        found = {fault.key: fault for fault in faults}
        news = [each for fault in faults if (each := self._holds(fault, now)) is not None]
        over = [each for key in list(self._cases) if key not in found and (each := self._gone(key, now))]
        return news + over

    def _holds(self, fault: Fault, now: datetime) -> News | None:
        case = self._cases.setdefault(fault.key, _Case(fault, now))
        case.fault, case.gone_since = fault, None
        if not self._worth_telling(case, now):
            return None
        first = case.told_at is None
        case.told_at, case.told_count = now, fault.count
        self._told_at[fault.key] = now
        return _told(fault, case.since, now, first=first)

    def _worth_telling(self, case: _Case, now: datetime) -> bool:
        last = self._told_at.get(case.fault.key)
        if last is not None and now - last < COOL_DOWN:
            return False
        if case.told_at is None or case.fault.count > case.told_count:
            return True
        return now - case.told_at >= AGAIN_AFTER

    def _gone(self, key: str, now: datetime) -> News | None:
        case = self._cases[key]
        case.gone_since = case.gone_since or now
        if now - case.gone_since < SETTLED_AFTER:
            return None
        del self._cases[key]
        return None if case.told_at is None else _over(case, case.told_at)


def _told(fault: Fault, since: datetime, now: datetime, *, first: bool) -> News:
    lasting = "" if first else f" It was seen first {span(now - since)} ago."
    says = f"**Hedgerow: {fault.section}**\n{fault.says}{lasting}\nRunbook: `{fault.section}`."
    key = f"operator:{fault.key}:{_bucket(now)}"
    return News(key, Reply((Text(says),), severity=Severity.CRITICAL), Priority.CRITICAL, fault.direct)


def _over(case: _Case, told_at: datetime) -> News:
    lasted = span((case.gone_since or told_at) - case.since)
    says = f"**Hedgerow: {case.fault.section} is over**\nIt lasted {lasted}: {case.fault.says}"
    key = f"operator:{case.fault.key}:{_bucket(told_at)}:over"
    return News(key, Reply((Text(says),), severity=Severity.SUCCESS), Priority.WARNING, direct=False)


def _bucket(at: datetime) -> int:
    """Two messages of one process about one fault are always in two of them."""
    return int(at.timestamp() // COOL_DOWN.total_seconds())


class OperatorDesk:
    """``speak`` delivers at once, past the outbox; it raises what messengers raise, and ``LookupError``."""

    def __init__(
        self,
        chat: ChatRef,
        *,
        store: Store,
        clock: Clock,
        notify: Callable[[], None],
        speak: Callable[[ChatRef, Reply], Awaitable[object]],
    ) -> None:
        self._chat = chat
        self._store = store
        self._clock = clock
        self._notify = notify
        self._speak = speak
        self._cases = Cases()
        self._unsent: dict[str, News] = {}

    async def hear(self, faults: Sequence[Fault]) -> None:
        """What could not be told is tried again the next time."""
        for news in self._cases.step(faults, self._clock.now()):
            self._unsent[news.key] = news
        for news in list(self._unsent.values()):
            if await self._tell(news):
                del self._unsent[news.key]

    async def _tell(self, news: News) -> bool:
        if news.direct:
            return await self._say(news) or await self._owe(news)
        return await self._owe(news) or await self._say(news)

    async def _owe(self, news: News) -> bool:
        message = OutboxMessage(news.key, self._chat, news.reply, news.priority, self._clock.now())
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._store.commit(Changes(outbox=(message,)))
        except (StorageError, TimeoutError):
            return False
        self._notify()
        return True

    async def _say(self, news: News) -> bool:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await self._speak(self._chat, news.reply)
        except (DeliveryError, LookupError, TimeoutError, OSError) as error:
            log.error(
                "the operator cannot be told", extra={"about": news.key, "reason": type(error).__name__}
            )
            return False
        return True
