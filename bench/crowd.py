"""Users on the loopback Telegram who ask again as soon as they are answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.wire.bot_api import Call, LoopbackBotApi

T = TypeVar("T")
QUESTION = "/status"
TICK = 0.1  # seconds; how late the end of a run may be noticed
PATIENCE = 20.0  # seconds without any answer


@dataclass(frozen=True, slots=True)
class Answer:
    """An update counts as answered when ``messages`` that contain ``mark`` have come to the server."""

    mark: str
    messages: int


@dataclass(slots=True)
class Load:
    """``latencies`` in seconds, of the updates answered within ``seconds``."""

    seconds: float
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


class Crowd:
    """One update of each chat is out at any time."""

    def __init__(self, api: LoopbackBotApi, chats: Sequence[int], answer: Answer) -> None:
        self._api = api
        self._chats = chats
        self._answer = answer
        self._asked: dict[int, float] = {}
        self._heard: dict[int, int] = {}
        self._latencies: list[float] = []
        self._asking = True

    async def ask(
        self, seconds: float, *, warm_up: float, read: Callable[[], Awaitable[T]]
    ) -> tuple[Load, T, T]:
        """``read`` is taken at the begin and at the end of the measured time."""
        listening = asyncio.create_task(self._listen())
        for chat in self._chats:
            self._say(chat)
        try:
            await asyncio.sleep(warm_up)
            before, began = await read(), time.monotonic()
            self._latencies.clear()
            await asyncio.sleep(seconds)
            latencies, ended = list(self._latencies), time.monotonic()
            after = await read()
            await self._quiet(listening)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        return Load(ended - began, latencies), before, after

    async def _quiet(self, listening: asyncio.Task[None]) -> None:
        """What is out is answered still, so that the next run begins with an empty queue."""
        self._asking = False
        async with asyncio.timeout(PATIENCE):
            while self._asked:
                if listening.done():
                    listening.result()
                await asyncio.sleep(TICK)

    def _say(self, chat: int) -> None:
        self._asked[chat] = time.monotonic()
        self._heard[chat] = 0
        self._api.user_says(chat, QUESTION)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await self._api.wait_for(lambda api: api.calls, timeout=PATIENCE)
            calls, self._api.calls = self._api.calls, []
            for call in calls:
                self._hear(call)

    def _hear(self, call: Call) -> None:
        chat = call.chat
        if call.method != "sendMessage" or chat not in self._asked:
            return
        if self._answer.mark not in call.parameters["text"]:
            return  # a push of the bot's own
        self._heard[chat] += 1
        if self._heard[chat] == self._answer.messages:
            self._latencies.append(call.at - self._asked.pop(chat))
            if self._asking:
                self._say(chat)
