"""Ports with somebody listening at them. What is behind them neither knows nor waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, cast

from chatbot.chat import ChatRef, Platform, Reply, Request
from chatbot.observing.events import Asked, Committed, Delivered, Event, Examined, Mailed, Placed, Tell
from chatbot.ports import (
    Account,
    Changes,
    Clock,
    Credentials,
    Exchanges,
    KeyReport,
    Mailbox,
    Messenger,
    Store,
    Venue,
)

VENUE_CALLS = frozenset(name for name, each in vars(Venue).items() if iscoroutinefunction(each))
MAIL_WRITES = frozenset(
    {"delivered", "postpone", "abandon", "chat_unreachable", "remember_message", "first_to"}
)

Call = Callable[..., Awaitable[Any]]
Noted = Callable[[float, BaseException | None], Event]


class _Stopwatch:
    """Tells how long the block took and what it raised; nothing of one that was canceled."""

    def __init__(self, clock: Clock, tell: Tell, noted: Noted) -> None:
        self._clock = clock
        self._tell = tell
        self._noted = noted

    def __enter__(self) -> None:
        self._began = self._clock.now()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, asyncio.CancelledError):
            self._tell(self._noted((self._clock.now() - self._began).total_seconds(), error))


class _Wrapper:
    """All that is not metered is the inner one's own."""

    def __init__(self, inner: object, clock: Clock, tell: Tell) -> None:
        self._inner = inner
        self._clock = clock
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _timed(self, noted: Noted) -> _Stopwatch:
        return _Stopwatch(self._clock, self._tell, noted)


class _Store(_Wrapper):
    async def commit(self, changes: Changes) -> None:
        with self._timed(lambda seconds, error: Committed(seconds, error, changes)):
            await self._inner.commit(changes)  # type: ignore[attr-defined]


class _Mailbox(_Wrapper):
    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        with self._timed(lambda seconds, error: Mailed(seconds, error, len(requests))):
            await self._inner.receive(requests, cursor=cursor)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._metered(found) if name in MAIL_WRITES else found

    def _metered(self, call: Call) -> Call:
        async def metered(*args: Any, **named: Any) -> Any:
            with self._timed(lambda seconds, error: Mailed(seconds, error, 0)):
                return await call(*args, **named)

        return metered


class _Venue(_Wrapper):
    def __init__(self, account: Account, inner: Venue, clock: Clock, tell: Tell) -> None:
        super().__init__(inner, clock, tell)
        self._account = account

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in VENUE_CALLS:
            found = self.__dict__[name] = self._metered(name, found)  # looked up once
        return found

    def _metered(self, name: str, call: Call) -> Call:
        venue, account = self._account.venue, self._account.id

        async def metered(*args: Any, **named: Any) -> Any:
            with self._timed(lambda seconds, error: Asked(venue, account, name, seconds, error)):
                answer = await call(*args, **named)
            if name == "place":
                self._tell(Placed(venue, answer))
            return answer

        return metered


class _Messenger(_Wrapper):
    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        platform: Platform = self._inner.platform  # type: ignore[attr-defined]
        with self._timed(lambda seconds, error: Delivered(platform, seconds, error)):
            return await self._inner.deliver(chat, reply, edits=edits)  # type: ignore[attr-defined,no-any-return]


class _Exchanges(_Wrapper):
    async def examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        with self._timed(lambda _, error: Examined(venue_id, error)):
            return await self._inner.examine(venue_id, credentials)  # type: ignore[attr-defined,no-any-return]


def metered_store(store: Store, clock: Clock, tell: Tell) -> Store:
    return cast("Store", _Store(store, clock, tell))


def metered_mailbox(mailbox: Mailbox, clock: Clock, tell: Tell) -> Mailbox:
    return cast("Mailbox", _Mailbox(mailbox, clock, tell))


def metered_venue(account: Account, venue: Venue, clock: Clock, tell: Tell) -> Venue:
    return cast("Venue", _Venue(account, venue, clock, tell))


def metered_messenger(messenger: Messenger, clock: Clock, tell: Tell) -> Messenger:
    """For the outbox only: what else a platform can do, it is asked itself."""
    return cast("Messenger", _Messenger(messenger, clock, tell))


def metered_exchanges(exchanges: Exchanges, clock: Clock, tell: Tell) -> Exchanges:
    """For where keys are tried; what has streams is the exchanges themselves."""
    return cast("Exchanges", _Exchanges(exchanges, clock, tell))
