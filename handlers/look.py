"""Who will see a card, and where: what the wording of a card depends on."""

from __future__ import annotations

from dataclasses import dataclass

from chatbot.chat import Button
from chatbot.ports import User
from handlers.buttons import Buttons


@dataclass(frozen=True, slots=True)
class Look:
    """``chat`` is ``str(ChatRef)``; ``balances``: free margin, equity and wallet may be shown there."""

    user: User
    chat: str
    buttons: Buttons
    balances: bool = True

    @property
    def zone(self) -> str:
        return self.user.preferences.time_zone

    def button(self, label: str, command: str, *, replaces: bool = False) -> Button:
        """A button that types ``command`` for this user in this chat."""
        return self.buttons.command(label, command, user=self.user.ref, chat=self.chat, replaces=replaces)
