"""Who will see a card, and where: what the wording of a card depends on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chatbot.chat import Button
from chatbot.ports import User
from handlers.buttons import Buttons

# A market alone could be on any account; a number tells it.
_ON_MARKET = re.compile(r"(?<=`)/(?:hedge|close|status|adopt|adjust|open) [A-Z0-9](?:(?! on )[^`])*(?=`)")


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

    def placed(self, text: str) -> str:
        """The text, its commands about a market naming the account."""
        return _ON_MARKET.sub(rf"\g<0>{self.there}", text)

    @property
    def tag(self) -> str:
        """How titles name it."""
        return f" · {self.account}" if self.account else ""

    def button(self, label: str, command: str, *, replaces: bool = False) -> Button:
        """A button that types ``command`` for this user in this chat."""
        return self.buttons.command(label, command, user=self.user.ref, chat=self.chat, replaces=replaces)
