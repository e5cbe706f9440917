"""Delivers cards to Telegram, and reads its refusals."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from chatbot.chat import ChatRef, MessageRef, Picture, Platform, Reply, Request
from chatbot.errors import ChatUnreachable, DeliverLater, DeliveryError, PlatformAway
from chatbot.platforms.telegram.client import (
    BadRequest,
    ChatMigrated,
    FloodControl,
    Forbidden,
    InvalidToken,
    JSONDict,
    NetworkError,
    TelegramClient,
    TelegramError,
    photo,
    photo_in_place,
)
from chatbot.platforms.telegram.markup import Page, PageUrl, caption, keyboard, render

TOAST_LIMIT = 200
TOKEN_REFUSED_PAUSE = 30.0  # seconds
ERASE_SECONDS = 5.0  # updates wait for it

log = logging.getLogger(__name__)

# The Bot API tells its refusals apart by their texts only.
_UNCHANGED = re.compile("message is not modified", re.IGNORECASE)
_NOT_EDITABLE = re.compile(
    "message to edit not found|message can't be edited|message_id_invalid|message identifier is not specified"
    "|there is no (?:text|media) in the message to edit",
    re.IGNORECASE,
)
_GONE = re.compile(
    "chat not found|user not found|peer_id_invalid|chat_write_forbidden|not enough rights|have no rights"
    "|need administrator rights|group chat was deactivated|chat_restricted|chat_send_plain_forbidden"
    "|topic_closed",
    re.IGNORECASE,
)
_ALREADY_GONE = re.compile("message to delete not found", re.IGNORECASE)
# A group may let the bot write and not let it show, and a picture may be one that Telegram cannot read.
_NO_PICTURE = re.compile(
    "not enough rights to send photos|chat_send_(?:photos|media)_forbidden|image_process_failed"
    "|photo_invalid|wrong type of the web page content",
    re.IGNORECASE,
)
_LINK_PREVIEW = '{"is_disabled":true}'


class TelegramMessenger:
    """``chatbot.ports.Messenger``.

    A timeout says nothing about whether the message arrived. It is sent again: a card twice beats a warning
    not at all. An edit sent again changes nothing.
    """

    def __init__(self, client: TelegramClient, page_url: PageUrl | None = None) -> None:
        self._client = client
        self._page_url = page_url
        self._moved: dict[str, str] = {}  # groups that became supergroups: old id to new id

    @property
    def platform(self) -> Platform:
        return Platform.TELEGRAM

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        """Raises ``ChatUnreachable``, ``DeliverLater``, ``DeliveryError`` if Telegram will never take it."""
        try:
            return await self._deliver(chat, reply, edits)
        except ChatMigrated as moved:
            self._moved[chat.id] = str(moved.new_chat_id)
            log.warning("the group has a new id", extra={"chat": str(chat), "new": moved.new_chat_id})
            raise DeliverLater("the group has a new id") from None
        except TelegramError as error:
            raise delivery_error(error) from None

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        parameters: JSONDict = {"callback_query_id": request.ack}
        if toast:
            parameters["text"] = _shortened(toast)
        try:
            await self._client.call("answerCallbackQuery", parameters)
        except TelegramError as error:
            # Too old, mostly: after a restart. The card follows anyway.
            log.debug("tap not acknowledged", extra={"reason": type(error).__name__})

    async def erase(self, message: MessageRef) -> bool:
        """``chatbot.ports.Eraser``: what a user wrote, as long as Telegram lets us."""
        chat_id = self._moved.get(message.chat.id, message.chat.id)
        parameters: JSONDict = {"chat_id": chat_id, "message_id": message.id}
        try:
            await self._client.call("deleteMessage", parameters, read_seconds=ERASE_SECONDS)
        except BadRequest as refusal:
            return _ALREADY_GONE.search(refusal.message) is not None
        except TelegramError as error:
            log.warning("a message could not be deleted", extra={"reason": type(error).__name__})
            return False
        return True

    async def _deliver(self, chat: ChatRef, reply: Reply, edits: str | None) -> str | None:
        chat_id = self._moved.get(chat.id, chat.id)
        if reply.picture is None:
            return await self._deliver_words(chat_id, reply, edits)
        try:
            return await self._deliver_picture(chat_id, reply, reply.picture, edits)
        except (BadRequest, Forbidden) as refusal:
            if not _NO_PICTURE.search(refusal.message):
                raise
            log.info("no picture here; sending its caption", extra={"reason": refusal.message})
            return await self._deliver_words(chat_id, replace(reply, picture=None), edits)

    async def _deliver_words(self, chat_id: str, reply: Reply, edits: str | None) -> str | None:
        # A card that will be edited is one message from the start.
        pages = render(reply, one_page=edits is not None or reply.slot is not None)
        buttons = keyboard(reply, self._page_url)
        if edits is not None and await self._edited(chat_id, edits, pages[0], buttons):
            return edits
        for page in pages[:-1]:
            await self._send(chat_id, page, None)
        return await self._send(chat_id, pages[-1], buttons)

    async def _edited(self, chat_id: str, message_id: str, page: Page, buttons: str | None) -> bool:
        parameters = {"chat_id": chat_id, "message_id": message_id, **_with_buttons(buttons)}
        return await _took_place(
            self._call("editMessageText", page, lambda text, mode: parameters | _words(text, mode))
        )

    async def _send(self, chat_id: str, page: Page, buttons: str | None) -> str:
        parameters = {"chat_id": chat_id, **_with_buttons(buttons)}
        sent = await self._call("sendMessage", page, lambda text, mode: parameters | _words(text, mode))
        return str(sent["message_id"])

    async def _deliver_picture(
        self, chat_id: str, reply: Reply, picture: Picture, edits: str | None
    ) -> str | None:
        """A card of words does not become a picture everywhere: then the picture is sent anew."""
        page = caption(reply)
        parameters = {"chat_id": chat_id, **_with_buttons(keyboard(reply, self._page_url))}

        def in_place(text: str, mode: str | None) -> JSONDict:
            return {**parameters, "message_id": edits, "media": photo_in_place(picture.png, text, mode)}

        def anew(text: str, mode: str | None) -> JSONDict:
            return {**parameters, "photo": photo(picture.png), "caption": text, "parse_mode": mode}

        if edits is not None and await _took_place(self._call("editMessageMedia", page, in_place)):
            return edits
        sent = await self._call("sendPhoto", page, anew)
        return str(sent["message_id"])

    async def _call(self, method: str, page: Page, shape: Callable[[str, str | None], JSONDict]) -> Any:
        """``shape`` makes the parameters of a text and its parse mode."""
        try:
            return await self._client.call(method, shape(page.html, "HTML"))
        except BadRequest as refusal:
            if not _is_about_the_markup(refusal):
                raise
            log.error("our markup was refused; sending plain text", extra={"reason": refusal.message})
        return await self._client.call(method, shape(page.plain, None))


async def _took_place(edit: Awaitable[Any]) -> bool:
    """``False``: that message cannot be edited any more."""
    try:
        await edit
    except BadRequest as refusal:
        if _UNCHANGED.search(refusal.message):
            return True
        if _NOT_EDITABLE.search(refusal.message):
            return False
        raise
    return True


def _with_buttons(buttons: str | None) -> JSONDict:
    return {} if buttons is None else {"reply_markup": buttons}


def _words(text: str, mode: str | None) -> JSONDict:
    return {"text": text, "parse_mode": mode, "link_preview_options": _LINK_PREVIEW}


def delivery_error(error: TelegramError) -> DeliveryError:
    """What to do about it."""
    if isinstance(error, Forbidden) or (isinstance(error, BadRequest) and _GONE.search(error.message)):
        return ChatUnreachable(error.message)
    if isinstance(error, FloodControl):
        return DeliverLater(error.message, retry_after=error.retry_after)
    if isinstance(error, InvalidToken):
        return PlatformAway("Telegram does not accept the token", retry_after=TOKEN_REFUSED_PAUSE)
    # A BadRequest is a NetworkError to the library, and the one of them that will be one again.
    if isinstance(error, NetworkError) and not isinstance(error, BadRequest):
        return PlatformAway(f"Telegram cannot be reached: {type(error).__name__}")
    return DeliveryError(f"Telegram refuses the message: {error.message}")


def _is_about_the_markup(refusal: BadRequest) -> bool:
    return "can't parse entities" in refusal.message.lower()


def _shortened(toast: str) -> str:
    return toast if len(toast) <= TOAST_LIMIT else toast[: TOAST_LIMIT - 1] + "…"
