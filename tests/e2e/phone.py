"""One user's phone: what is typed and tapped, and what can be read on it since."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.books import Books
from tests.wire.bot_api import ChatMessage, LoopbackBotApi

PATIENCE = 25.0  # seconds; a busy machine is no reason to fail


class NotRead(AssertionError):
    """The awaited card did not come."""


@dataclass
class Phone:
    """``chat`` below zero is a group that ``user`` writes in."""

    api: LoopbackBotApi
    chat: int
    user: int | None = None
    actions: list[tuple[float, str]] = field(default_factory=list)  # the loop's seconds, what was done
    _seen: dict[int, int] = field(default_factory=dict)

    def says(self, text: str) -> None:
        self._act(text)
        self.api.user_says(self.chat, text, user=self.user)

    def taps(self, card: ChatMessage, label: str) -> str:
        assert label in card.labels, f"no button {label!r} among {card.labels} under:\n{card.text}"
        return self.taps_data(card, label)

    def taps_data(self, card: ChatMessage, data: str) -> str:
        """A label, or any data as a forged client would send it. Returns the id of the tap."""
        self._act(f"[{data}]")
        return self.api.user_taps(self.chat, card.id, data, user=self.user)

    async def asks(self, text: str, expecting: str) -> ChatMessage:
        self.says(text)
        return await self.reads(expecting)

    async def chooses(self, card: ChatMessage, label: str, expecting: str) -> ChatMessage:
        self.taps(card, label)
        return await self.reads(expecting)

    async def reads(self, words: str, *, ever: bool = False, patience: float = PATIENCE) -> ChatMessage:
        """The newest message with these words, of those that came or changed since the last action.

        ``ever``: of all.
        """
        return await self.finds(lambda message: words in message.text, words, ever=ever, patience=patience)

    async def finds(
        self,
        fits: Callable[[ChatMessage], bool],
        what: str,
        *,
        ever: bool = False,
        patience: float = PATIENCE,
    ) -> ChatMessage:
        def found(_: object = None) -> list[ChatMessage]:
            news = self.messages if ever else self.news
            return [message for message in news if fits(message)]

        try:
            await self.api.wait_for(found, timeout=patience)
        except TimeoutError:
            raise NotRead(f"never read {what!r}; the chat says:\n{self.transcript()}") from None
        return found()[-1]

    async def toast(self, tap: str) -> str:
        await self.api.wait_for(lambda api: tap in api.answers, timeout=PATIENCE)
        return self.api.answers[tap]

    async def all_is_taken(self) -> None:
        """The bot has confirmed every update that was pushed: none of them will be sent again."""
        pushed = self.api._next_update_id
        try:
            await self.api.wait_for(lambda api: api.confirmed_below >= pushed, timeout=PATIENCE)
        except TimeoutError:
            raise NotRead(f"updates up to {pushed} are not confirmed") from None

    @property
    def messages(self) -> list[ChatMessage]:
        return self.api.bot_messages(self.chat)

    @property
    def news(self) -> list[ChatMessage]:
        """What came or was edited since the last action."""
        return [m for m in self.messages if self._seen.get(m.id, -1) < m.edits]

    def transcript(self) -> str:
        return "\n---\n".join(f"{m.id} {'bot' if m.from_bot else 'you'}: {m.text}" for m in self._log())

    def glances(self) -> None:
        """From now on only what comes later is news."""
        self._seen = {message.id: message.edits for message in self.messages}

    def _log(self) -> list[ChatMessage]:
        return self.api.chat_log(self.chat)

    def _act(self, action: str) -> None:
        self.actions.append((asyncio.get_running_loop().time(), action))
        self.glances()


async def at_rest(phone: Phone, folder: Path) -> None:
    """All updates taken and handled, no order on its way, nothing owed."""
    await phone.all_is_taken()
    books = Books(folder)
    deadline = time.monotonic() + PATIENCE
    while left := books.unfinished():
        assert time.monotonic() < deadline, f"it does not come to rest: {left}"
        await asyncio.sleep(0.02)


async def quiet(phone: Phone, seconds: float) -> list[ChatMessage]:
    """What came although nobody did anything, within a short while."""
    phone.glances()
    await asyncio.sleep(seconds)
    return phone.news
