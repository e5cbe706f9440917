"""What buttons carry, and how a tap is told from a forgery.

``c:<mac>:<command>``   navigation: the command is handled as if typed, the answer is a new card
``e:<mac>:<command>``   the same, and the answer replaces the card that bears the button
``q:<quote id>:<choice>``   money: an unguessable, single-use offer kept in the store

The code of a navigation button is bound to user and chat; an offer is bound to them by its row.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass
from hashlib import sha256

from chatbot.chat import Button, ChatRef, UserRef
from chatbot.domain.quote import QuoteId
from chatbot.errors import InvariantBroken, NotFound

MAX_BYTES = 64
_MAC_LENGTH = 11  # 64 bits
_SIGNED = re.compile(r"([ce]):([A-Za-z0-9_-]{11}):(.+)", re.DOTALL)
_OFFERED = re.compile(r"q:([A-Za-z0-9_-]{22}):([a-z_]{1,20})")

CONFIRM = "confirm"
CANCEL = "cancel"


class InvalidButton(NotFound):
    """That button is not valid (any more). Nothing was done; /status shows what is."""


@dataclass(frozen=True, slots=True)
class Navigation:
    command: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Decision:
    quote_id: QuoteId
    choice: str


class Buttons:
    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise InvariantBroken("the secret that signs buttons is too short")
        self._secret = secret

    def command(
        self, label: str, command: str, *, user: UserRef, chat: ChatRef | str, replaces: bool = False
    ) -> Button:
        """Types ``command`` for this user in this chat; ``replaces``: the answer replaces the card."""
        kind = "e" if replaces else "c"
        return Button(label, _checked(f"{kind}:{self._mac(kind, command, user, str(chat))}:{command}"))

    def offer(self, label: str, quote_id: QuoteId, choice: str) -> Button:
        data = _checked(f"q:{quote_id}:{choice}")
        if _OFFERED.fullmatch(data) is None:
            raise InvariantBroken("an offer's button that could not be read back")
        return Button(label, data)

    def decode(self, data: str, *, user: UserRef, chat: ChatRef) -> Navigation | Decision:
        """:raises InvalidButton: forged, foreign or garbage"""
        if len(data) > MAX_BYTES:
            raise InvalidButton
        if offered := _OFFERED.fullmatch(data):
            return Decision(QuoteId(offered[1]), offered[2])
        signed = _SIGNED.fullmatch(data)
        if signed is None:
            raise InvalidButton
        kind, mac, command = signed.groups()
        if not hmac.compare_digest(mac, self._mac(kind, command, user, str(chat))):
            raise InvalidButton
        return Navigation(command, replaces=kind == "e")

    def _mac(self, kind: str, command: str, user: UserRef, chat: str) -> str:
        parts = (kind, str(user), chat, command)
        # Lengths first: no two different lists of parts make the same message.
        message = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
        digest = hmac.new(self._secret, message, sha256).digest()
        return base64.urlsafe_b64encode(digest[:8]).decode()[:_MAC_LENGTH]


def fits(command: str) -> bool:
    """Whether a navigation button can carry it."""
    return len(command.encode("utf-8", "surrogatepass")) <= MAX_BYTES - len("c::") - _MAC_LENGTH


def _checked(data: str) -> str:
    if len(data.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvariantBroken(f"a button can carry {MAX_BYTES} bytes, not {data!r}")
    return data
