"""Many users on one loopback Telegram, each opening, hedging and closing as fast as the bot answers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.wire.bot_api import Call, ChatMessage, LoopbackBotApi

REFUSED = "Try again in a moment"  # a process that was paused with the exchange's file in its hands
PATIENCE = 60.0  # seconds for one card; a take-over may lie in between


class Town(LoopbackBotApi):
    """Wakes who waits for a chat when something happens in it, and remembers when something was said."""

    def __init__(self) -> None:
        super().__init__()
        self._bells: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.heard: dict[int, list[float]] = defaultdict(list)  # when, in each chat

    async def _answer(self, call: Call, request: web.Request) -> Any:
        result = await super()._answer(call, request)
        self.calls.clear()
        if call.chat is not None:
            bell = self._bells.pop(call.chat, None)
            if bell is not None:
                bell.set()
        return result

    async def _send_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.heard[int(parameters["chat_id"])].append(time.monotonic())
        return await super()._send_message(parameters)

    async def card(self, chat: int, fits: Callable[[ChatMessage], bool], what: str) -> ChatMessage:
        """The newest message of the chat that fits, as soon as there is one."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    bell = self._bells[chat]
                    found = [message for message in self.bot_messages(chat) if fits(message)]
                    if found:
                        return found[-1]
                    await bell.wait()
        except TimeoutError:
            log = "\n---\n".join(message.text for message in self.chat_log(chat)[-6:])
            raise AssertionError(f"chat {chat} never read {what}; it says:\n{log}") from None


@dataclass(frozen=True, slots=True)
class Deed:
    """``done`` is in the card at the end, ``failed`` where time ran out; a deed is so many ``orders``."""

    command: str
    label: str
    done: str
    failed: str
    orders: int

    def is_over(self, text: str) -> bool:
        return self.done in text or self.failed in text


ROUND = (
    Deed("/open BTC long 0.05 10x isolated", "Confirm", "is open", "not opened", 1),
    Deed("/hedge BTC", "Confirm", "is hedged", "not hedged", 1),
    Deed("/close", "Offset first", "closed:", "not closed", 2),
)


@dataclass
class Tally:
    """``waits``: seconds from a command to the end of its deed, and the instant of that end."""

    deeds: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    waits: list[tuple[float, float, int]] = field(default_factory=list)  # ended at, seconds, user

    done: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, deed: Deed, began: float, user: int) -> None:
        now = time.monotonic()
        self.deeds[deed.command] += 1
        self.orders += deed.orders
        self.waits.append((now, now - began, user))
        self.done.set()

    async def until(self, deeds: int) -> None:
        while self.deeds.total() < deeds:
            self.done.clear()
            await self.done.wait()

    @property
    def hedges(self) -> int:
        return self.deeds["/hedge BTC"]


@dataclass
class Crowd:
    """``stopping``: each user ends the round that is under way."""

    town: Town
    users: Sequence[int]
    tally: Tally = field(default_factory=Tally)
    stopping: bool = False
    commands: int = 0
    taps: int = 0
    taps_refused: int = 0

    @property
    def updates(self) -> int:
        return self.commands + self.taps

    async def live(self, rounds: int | None = None) -> None:
        await asyncio.gather(*(self._live(user, rounds) for user in self.users))

    async def _live(self, user: int, rounds: int | None) -> None:
        number = 0
        while not self.stopping and (rounds is None or number < rounds):
            number += 1
            for deed in ROUND:
                while not await self._do(user, deed):
                    """What could not be done in time, or just now, is asked for again."""

    async def _do(self, user: int, deed: Deed) -> bool:
        began = time.monotonic()
        last = max((message.id for message in self.town.chat_log(user)), default=0)
        self.commands += 1
        self.town.user_says(user, deed.command)
        offer = await self.town.card(
            user,
            lambda m: m.id > last and (deed.label in m.labels or REFUSED in m.text),
            f"an offer to {deed.command}",
        )
        if deed.label not in offer.labels:
            return False
        self.taps += 1
        self.town.user_taps(user, offer.id, deed.label)
        end = await self.town.card(
            user,
            lambda m: m.id >= offer.id and (deed.is_over(m.text) or REFUSED in m.text),
            f"the end of {deed.command}",
        )
        if deed.done not in end.text:
            self.taps_refused += REFUSED in end.text
            return False
        self.tally.note(deed, began, user)
        return True
