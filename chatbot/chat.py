"""A conversation in words that no platform owns: what comes in and what goes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Platform(StrEnum):
    TELEGRAM = "telegram"
    DISCORD = "discord"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class UserRef:
    platform: Platform
    id: str

    def __str__(self) -> str:
        return f"{self.platform}:{self.id}"


@dataclass(frozen=True, slots=True)
class ChatRef:
    platform: Platform
    id: str
    private: bool = True

    def __str__(self) -> str:
        return f"{self.platform}:{self.id}"


@dataclass(frozen=True, slots=True)
class MessageRef:
    chat: ChatRef
    id: str


class RequestKind(StrEnum):
    COMMAND = "command"  # text is what was typed
    CLICK = "click"  # text is the data of the button, message the card that bears it
    # What was typed is not for the record; text says what became of the message.
    SECRET = "secret"  # noqa: S105 (the word, not a value)


class Erasure(StrEnum):
    """What became of a message that held a secret: the text of a ``SECRET`` request."""

    ERASED = "erased"
    LEFT = "left"  # it could not be deleted: its author has to do it
    NONE = "none"  # the platform shows no such messages


@dataclass(frozen=True, slots=True)
class Request:
    """``id`` is unique per update of a platform: the same update handled again has the same id."""

    id: str
    kind: RequestKind
    user: UserRef
    chat: ChatRef
    text: str
    received_at: datetime
    message: MessageRef | None = None
    user_name: str = ""
    ack: str = ""  # what the platform needs to acknowledge a tap (Telegram: callback query id)


class Severity(StrEnum):
    NEUTRAL = "neutral"
    SUCCESS = "success"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Button:
    """``data`` comes back in the click; at most 64 bytes of UTF-8 (Telegram's limit).

    ``ticket`` instead of data opens the one-time page to hand in a key; ``in_app``: within the messenger.
    """

    label: str
    data: str
    ticket: str = ""
    in_app: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """Prose. ``**bold**`` and `` `code` `` are the only markup; platforms escape all else."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Monospace lines, at most 34 characters each."""

    lines: tuple[str, ...]


Block = Text | Table


@dataclass(frozen=True, slots=True)
class Picture:
    """``alt`` says in a sentence what it shows; ``lines`` show it where there are only letters."""

    png: bytes
    alt: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AsOf:
    """When what a card says was true. ``zone`` is that of whoever reads it."""

    at: datetime
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Reply:
    """One card. The first line of ``blocks`` carries the number that decides.

    ``slot`` names the card ("op:…", "status:3"): a later reply with the same slot edits that message
    where the platform can. ``edit`` puts the reply in place of the card whose button was tapped.
    ``toast`` is the short answer to a tap (at most 200 characters); a reply with no blocks is only that.
    With a ``picture`` the blocks are its caption: a few lines, as some platforms take 1,024 characters only.
    With ``as_of`` it tells its age where it arrives late. ``subject`` ("#3", "BTC"): what it is about, for
    where it stands among others.
    """

    blocks: tuple[Block, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    severity: Severity = Severity.NEUTRAL
    slot: str | None = None
    edit: bool = False
    toast: str | None = None
    picture: Picture | None = None
    as_of: AsOf | None = None
    subject: str = ""


class Priority(IntEnum):
    """Lower goes first. A naked leg overtakes everything."""

    CRITICAL = 0
    REPLY = 10
    PROGRESS = 20
    WARNING = 30
    INFO = 40


class Part(StrEnum):
    """Of what is told on a topic."""

    BEGINS = "begins"
    GOES_ON = "goes_on"
    ENDS = "ends"  # no news to a chat in which the rest never arrived


ALERT = "alert:"  # how the key of a warning begins


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message owed to a chat. ``dedupe_key`` is unique for ever: the same message is never owed twice.

    ``replaces`` is the platform's id of the message to edit; without it ``reply.slot`` decides. Of several
    undelivered messages with one slot in one chat only the newest is delivered, and so with one ``topic``;
    but what is told on a topic never edits what was told before. From ``expires_at`` on it is not delivered.
    """

    dedupe_key: str
    chat: ChatRef
    reply: Reply
    priority: Priority
    not_before: datetime
    replaces: str | None = None
    topic: str | None = None
    part: Part = Part.BEGINS
    expires_at: datetime | None = None

    @property
    def alerts(self) -> bool:
        """A warning, which may be told with others in one message."""
        return self.dedupe_key.startswith(ALERT)
