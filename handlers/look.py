"""Who will see a card, and where: what the wording of a card depends on."""

from __future__ import annotations

from dataclasses import dataclass

from chatbot.chat import Button
from chatbot.ports import User
from handlers.buttons import Buttons


@dataclass(frozen=True, slots=True)
class Look:
    """``chat`` is ``str(ChatRef)``; ``balances``: free margin, equity and wallet may be shown there.

    ``account``: the name of the account that a card is about, where its reader has more than one.
    """

    user: User
    chat: str
    buttons: Buttons
    balances: bool = True
    account: str = ""

    @property
    def zone(self) -> str:
        return self.user.preferences.time_zone

    @property
    def there(self) -> str:
        """How commands name the account, after a market that alone could be on any."""
        return f" on {self.account}" if self.account else ""

    @property
    def tag(self) -> str:
        """How titles name it."""
        return f" · {self.account}" if self.account else ""

    def button(self, label: str, command: str, *, replaces: bool = False) -> Button:
        """A button that types ``command`` for this user in this chat."""
        return self.buttons.command(label, command, user=self.user.ref, chat=self.chat, replaces=replaces)
