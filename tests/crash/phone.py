"""What a user's phone shows, on disk: it outlives every process of the bot."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.chat import ChatRef, Platform, Reply, Request, UserRef
from chatbot.platforms.console import render

FILE = "phone.jsonl"
USER = UserRef(Platform.TELEGRAM, "7")
HOME = ChatRef(Platform.TELEGRAM, "7")


@dataclass(slots=True)
class Card:
    id: str
    text: str
    buttons: dict[str, str]  # label to data


class Phone:
    """Implements ``chatbot.ports.Messenger``: what was delivered is on the phone when ``deliver`` returns."""

    platform = Platform.TELEGRAM

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self.cards: dict[str, Card] = {}
        self.deliveries = 0
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                self._show(json.loads(line))

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        shown = edits if edits in self.cards else str(len(self.cards) + 1)
        buttons = {button.label: button.data for row in reply.buttons for button in row}
        line = {"id": shown, "text": render(reply), "buttons": buttons}
        self._append(line)
        self._show(line)
        return shown

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """A toast is gone in a moment; nobody keeps it."""

    def newest_with(self, label: str) -> Card | None:
        return next((card for card in reversed(self.cards.values()) if label in card.buttons), None)

    def shows(self, words: str) -> bool:
        return any(words in card.text for card in self.cards.values())

    def transcript(self, last: int = 0) -> str:
        return "\n---\n".join([card.text for card in self.cards.values()][-last:])

    def _show(self, line: dict[str, Any]) -> None:
        self.cards[line["id"]] = Card(**line)
        self.deliveries += 1

    def _append(self, line: dict[str, Any]) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, json.dumps(line).encode() + b"\n")
        os.close(descriptor)
