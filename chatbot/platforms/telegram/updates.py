"""Updates of the Bot API to requests. Everything that is neither a text nor a tap is left out.

Written by hand for the few fields that matter; a test holds it against the library's own parser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chatbot.chat import ChatRef, MessageRef, Platform, Request, RequestKind, UserRef
from chatbot.domain.keys import looks_like_key

ALLOWED_UPDATES = ("message", "callback_query")

_ADDRESSED = re.compile(r"(/[A-Za-z0-9_]+)@([A-Za-z0-9_]+)(?=\s|$)")


def decode(update: Mapping[str, Any], *, username: str, received_at: datetime) -> Request | None:
    """``None``: nothing for us. Raises ``KeyError``, ``TypeError`` or ``ValueError`` if it is no update."""
    request_id = f"telegram:{int(update['update_id'])}"
    if "message" in update:
        return _from_message(update["message"], request_id, username, received_at)
    if "callback_query" in update:
        return _from_tap(update["callback_query"], request_id, received_at)
    return None


def _from_message(
    message: Mapping[str, Any], request_id: str, username: str, received_at: datetime
) -> Request | None:
    sender = message.get("from")
    # Anonymous admins and channels write as bots: there is nobody to answer to.
    if sender is None or sender.get("is_bot") or "text" not in message:
        return None
    chat = _chat(message["chat"])
    text = _for_us(_clean(message["text"]), username)
    # In a group people also talk to one another; a key that slips out there is our business all the same.
    if text is None or not (chat.private or text.startswith("/") or looks_like_key(text)):
        return None
    return Request(
        id=request_id,
        kind=RequestKind.COMMAND,
        user=_user(sender),
        chat=chat,
        text=text,
        received_at=received_at,
        message=MessageRef(chat, str(int(message["message_id"]))),
        user_name=_name(sender),
    )


def _from_tap(query: Mapping[str, Any], request_id: str, received_at: datetime) -> Request | None:
    """Taps on messages of inline mode and on games carry no message or no data."""
    message, data = query.get("message"), query.get("data")
    if message is None or data is None:
        return None
    chat = _chat(message["chat"])
    return Request(
        id=request_id,
        kind=RequestKind.CLICK,
        user=_user(query["from"]),
        chat=chat,
        text=_clean(data),
        received_at=received_at,
        message=MessageRef(chat, str(int(message["message_id"]))),
        user_name=_name(query["from"]),
        ack=_clean(str(query["id"])),
    )


def _for_us(text: str, username: str) -> str | None:
    """``/status@OurBot 3`` without our name; ``None`` if it is another bot's."""
    addressed = _ADDRESSED.match(text)
    if addressed is None:
        return text
    if addressed[2].lower() != username.lower():
        return None
    return addressed[1] + text[addressed.end() :]


def _chat(chat: Mapping[str, Any]) -> ChatRef:
    return ChatRef(Platform.TELEGRAM, str(int(chat["id"])), private=chat["type"] == "private")


def _user(user: Mapping[str, Any]) -> UserRef:
    return UserRef(Platform.TELEGRAM, str(int(user["id"])))


def _name(user: Mapping[str, Any]) -> str:
    return _clean(str(user.get("first_name") or user.get("username") or ""))


def _clean(text: str) -> str:
    """Without NUL and halves of surrogate pairs: JSON can carry them, a database or an answer cannot."""
    if not isinstance(text, str):
        raise TypeError("the text is no text")
    return text.encode("utf-8", "replace").decode().replace("\0", "")
