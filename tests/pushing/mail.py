"""Words for tests about mail: requests, messages, and a messenger that writes down what it delivers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from chatbot.chat import (
    ChatRef,
    MessageRef,
    OutboxMessage,
    Platform,
    Priority,
    Reply,
    Request,
    RequestKind,
    Text,
    UserRef,
)
from chatbot.clock import VirtualClock
from chatbot.ports import Clock

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def private(number: int) -> ChatRef:
    return ChatRef(Platform.TELEGRAM, str(number))


def group(number: int) -> ChatRef:
    return ChatRef(Platform.TELEGRAM, str(-number), private=False)


def request(number: int, *, chat: ChatRef | None = None, text: str = "/status") -> Request:
    chat = chat or private(1)
    user = UserRef(Platform.TELEGRAM, chat.id)
    return Request(f"telegram:{number}", RequestKind.COMMAND, user, chat, text, START)


def tap(number: int, *, chat: ChatRef | None = None, card: str = "50") -> Request:
    chat = chat or private(1)
    user = UserRef(Platform.TELEGRAM, chat.id)
    where = MessageRef(chat, card)
    return Request(
        f"telegram:{number}", RequestKind.CLICK, user, chat, "data", START, where, ack=f"query-{number}"
    )


def says(text: str, *, slot: str | None = None, edit: bool = False, toast: str | None = None) -> Reply:
    return Reply((Text(text),), slot=slot, edit=edit, toast=toast)


def owed(
    key: str,
    chat: ChatRef,
    *,
    priority: Priority = Priority.REPLY,
    slot: str | None = None,
    after: float = 0.0,
    replaces: str | None = None,
) -> OutboxMessage:
    """The text is the key."""
    not_before = START + timedelta(seconds=after)
    return OutboxMessage(key, chat, says(key, slot=slot), priority, not_before, replaces)


async def until(holds: Callable[[], bool]) -> None:
    """Lets the loop turn, for what tells nobody when it changes. Time does not pass on a virtual clock."""
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


def asleep(clock: VirtualClock) -> bool:
    """Somebody waits for time to pass."""
    return any(not woken.done() for _, _, woken in clock._sleepers)


@dataclass(frozen=True, slots=True)
class Sent:
    text: str
    chat: ChatRef
    seconds: float  # since START
    edits: str | None


@dataclass(slots=True)
class RecordingMessenger:
    """``trouble`` may raise for a message; ``takes`` is how long a delivery lasts, in seconds."""

    clock: Clock
    platform: Platform = Platform.TELEGRAM
    takes: float = 0.0
    trouble: Callable[[ChatRef, str], None] = lambda chat, text: None
    sent: list[Sent] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        block = reply.blocks[0]
        assert isinstance(block, Text)
        self.tried.append(block.text)
        if self.takes:
            await self.clock.sleep(self.takes)
        self.trouble(chat, block.text)
        seconds = (self.clock.now() - START).total_seconds()
        self.sent.append(Sent(block.text, chat, seconds, edits))
        self.replies.append(reply)
        return edits or str(1000 + len(self.sent))

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        raise AssertionError("the outbox acknowledges nothing")

    @property
    def texts(self) -> list[str]:
        return [sent.text for sent in self.sent]
