"""A small bot around the real client: a mailbox in memory, a handler of the test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chatbot.chat import Button, Reply, Request, Text
from chatbot.clock import SystemClock
from chatbot.platforms.telegram import TelegramPlatform, Webhook
from chatbot.ports import Clock
from chatbot.pushing.inbox import InboxProcessor, replies_to_outbox
from chatbot.pushing.memory import MemoryMailbox
from chatbot.pushing.outbox import Outbox
from tests.wire.bot_api import LoopbackBotApi

COMMANDS = (("hedge", "Lock the profit of a position"), ("status", "What is open"))
Handler = Callable[[Request], Awaitable[Sequence[Reply]]]


async def echo(request: Request) -> Sequence[Reply]:
    return (Reply((Text(f"you said {request.text}"),), ((Button("Again", "again"),),), toast="toast"),)


@dataclass
class Rig:
    api: LoopbackBotApi
    clock: Clock = field(default_factory=SystemClock)
    handler: Handler = echo
    webhook: Webhook | None = None
    mailbox: MemoryMailbox = field(default_factory=MemoryMailbox)
    handled: list[Request] = field(default_factory=list)
    platform: TelegramPlatform = field(init=False)
    inbox: InboxProcessor = field(init=False)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self.inbox = InboxProcessor(
            self.mailbox, self.handle, self.finish, self.acknowledge, clock=self.clock
        )
        self.platform = TelegramPlatform(
            token=self.api.token,
            api_url=self.api.url,
            mailbox=self.mailbox,
            intake=self.inbox,
            clock=self.clock,
            commands=COMMANDS,
            webhook=self.webhook,
        )
        self.outbox = Outbox(self.mailbox, [self.platform.messenger], self.clock, limits={})

    async def handle(self, request: Request) -> Sequence[Reply]:
        self.handled.append(request)
        return await self.handler(request)

    async def finish(self, request: Request, replies: Sequence[Reply]) -> None:
        owed = replies_to_outbox(request, replies, self.clock.now())
        await self.mailbox.settle(handled=[request.id], outbox=owed)
        self.outbox.notify()

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        await self.platform.messenger.acknowledge(request, toast)

    @property
    def texts(self) -> list[str]:
        return [request.text for request in self.handled]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Rig]:
        await self.inbox.start()
        await self.platform.start()
        tasks = [asyncio.create_task(self.outbox.run()), asyncio.create_task(self.platform.run())]
        try:
            yield self
        finally:
            await self.platform.stop_intake()
            await self.inbox.stop(drain_seconds=2)
            await self.outbox.stop(drain_seconds=2)
            await self.platform.stop()
            await asyncio.gather(*tasks)
