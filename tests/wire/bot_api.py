"""A Telegram of one's own: the Bot API over real HTTP on the loopback, strict where Telegram is strict.

A test, a bench or another process's parent hosts it, points the bot at ``url`` and plays the users::

    async with LoopbackBotApi() as api:
        ...                                     # start the bot with api.token and api.url
        api.user_says(7, "/status")
        card = await api.wait_for_message(7, "locked")
        api.user_taps(7, card.id, "Refresh")

Chats with negative ids are groups. Imports aiohttp and the standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web

from tests.wire.flood import FloodControl

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
PHOTO_SIDES, PHOTO_BYTES = 10_000, 10 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
BUTTONS_LIMIT = 100
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"

_FILLS_A_CHAT = frozenset({"sendMessage", "sendPhoto", "editMessageText", "editMessageMedia"})
NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


class Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        body = {"ok": False, "error_code": self.status, "description": self.description}
        return body | ({"parameters": self.parameters} if self.parameters else {})


def bad_request(description: str) -> Refusal:
    return Refusal(400, f"Bad Request: {description}")


@dataclass(slots=True)
class ChatMessage:
    """A message as the chat shows it now. ``buttons``: rows of (label, data).

    With a ``photo`` the text is its caption.
    """

    id: int
    chat: int
    from_bot: bool
    text: str
    html: str = ""
    buttons: tuple[tuple[tuple[str, str], ...], ...] = ()
    edits: int = 0
    at: float = 0.0
    photo: bytes = b""

    @property
    def labels(self) -> list[str]:
        return [label for row in self.buttons for label, _ in row]

    def data_of(self, label_or_data: str) -> str:
        """The data of a button. Data that no button bears is returned as it is: clients can forge taps."""
        labeled = {label: data for row in self.buttons for label, data in row}
        return labeled.get(label_or_data, label_or_data)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    parameters: Mapping[str, Any]
    at: float  # monotonic seconds

    @property
    def chat(self) -> int | None:
        return int(self.parameters["chat_id"]) if "chat_id" in self.parameters else None


@dataclass(slots=True)
class Fault:
    """What befalls the next ``times`` calls that match. ``lose_reply``: carried out, then the line is cut."""

    method: str
    chat: int | None = None
    times: int = 1
    refusal: Refusal | None = None
    lose_reply: bool = False

    def matches(self, call: Call) -> bool:
        return self.times > 0 and self.method == call.method and self.chat in {None, call.chat}


@dataclass(slots=True)
class WebhookSetting:
    url: str = ""
    secret: str = ""


class LoopbackBotApi:
    """``delay`` seconds before each answer but those to polls; ``way``: before a message is at the server.

    With a ``flood_control`` what it does not admit is answered with 429. State is plain attributes: look at
    them.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        username: str = "LoopbackBot",
        delay: float = 0.0,
        way: Callable[[], float] | None = None,
        flood_control: FloodControl | None = None,
    ) -> None:
        self.way = way
        self.flood_control = flood_control
        self.away = False  # every line is cut
        self.token = token
        self.username = username
        self.delay = delay
        self.calls: list[Call] = []
        self.commands: list[dict[str, str]] = []
        self.answers: dict[str, str] = {}  # callback query id to toast
        self.webhook = WebhookSetting()
        self.webhook_refusals: list[int] = []
        self.blocked: set[int] = set()
        self.unknown_chats: set[int] = set()
        self.frozen_messages: set[tuple[int, int]] = set()  # (chat, id) that cannot be edited any more
        self.takes_media_into_words = False  # newer servers turn a message of words into a photo
        self.confirmed_below = 0
        self._faults: list[Fault] = []
        self._messages: dict[int, dict[int, ChatMessage]] = {}
        self._updates: deque[dict[str, Any]] = deque()
        self._open_queries: set[str] = set()
        self._next_update_id = 1000
        self._next_message_id = 1
        self._poll = 0  # the number of the poll that is served; a newer one ends it
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._deliverer: asyncio.Task[None] | None = None
        self.url = ""

    # --- life -------------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> Self:
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def stop(self) -> None:
        self._poll += 1
        self._touch()
        if self._deliverer is not None:
            self._deliverer.cancel()
            await asyncio.gather(self._deliverer, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    # --- the users --------------------------------------------------------------------------------

    def user_says(self, chat: int, text: str, *, user: int | None = None) -> int:
        """Returns the update's id."""
        message = self._keep(ChatMessage(self._message_id(), chat, from_bot=False, text=text))
        return self.push({"message": self._wire(message, user)})

    def user_taps(self, chat: int, message_id: int, button: str, *, user: int | None = None) -> str:
        """``button`` by its label, or any data (forged taps). Returns the callback query's id."""
        message = self._messages[chat][message_id]
        query_id = f"{self._next_update_id}77"
        self._open_queries.add(query_id)
        query = {
            "id": query_id,
            "from": _user(user or abs(chat)),
            "message": self._wire(message, None),
            "chat_instance": str(chat),
            "data": message.data_of(button),
        }
        self.push({"callback_query": query})
        return query_id

    def push(self, update: Mapping[str, Any]) -> int:
        """Any update."""
        update_id = self._next_update_id
        self._next_update_id += 1
        self._updates.append({"update_id": update_id, **update})
        self._touch()
        return update_id

    def expire_taps(self) -> None:
        self._open_queries.clear()

    # --- what happened ----------------------------------------------------------------------------

    def chat_log(self, chat: int) -> list[ChatMessage]:
        """The chat as a user sees it now, the oldest first."""
        return [*self._messages.get(chat, {}).values()]

    def bot_messages(self, chat: int) -> list[ChatMessage]:
        return [message for message in self.chat_log(chat) if message.from_bot]

    def count(self, method: str) -> int:
        return sum(call.method == method for call in self.calls)

    async def wait_for(
        self,
        predicate: Callable[[LoopbackBotApi], object],
        *,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> None:
        """Until it holds, looked at after every change. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout):
            while not predicate(self):
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_message(
        self,
        chat: int,
        containing: str,
        *,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> ChatMessage:
        """The newest message of the bot that has the text."""

        def found(_: object = None) -> list[ChatMessage]:
            return [message for message in self.bot_messages(chat) if containing in message.text]

        await self.wait_for(found, timeout=timeout)
        return found()[-1]

    # --- trouble ----------------------------------------------------------------------------------

    def refuse(
        self,
        method: str,
        status: int,
        description: str,
        *,
        chat: int | None = None,
        times: int = 1,
        **parameters: Any,
    ) -> None:
        self._faults.append(Fault(method, chat, times, Refusal(status, description, **parameters)))

    def flood(self, method: str, retry_after: int, *, chat: int | None = None, times: int = 1) -> None:
        description = f"Too Many Requests: retry after {retry_after}"
        self.refuse(method, 429, description, chat=chat, times=times, retry_after=retry_after)

    def lose_reply(self, method: str, *, chat: int | None = None, times: int = 1) -> None:
        self._faults.append(Fault(method, chat, times, lose_reply=True))

    # --- HTTP -------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            if request.match_info["token"] != self.token:
                raise Refusal(401, "Unauthorized")
            call = Call(request.match_info["method"], await _parameters(request), _now())
            self.calls.append(call)
            if self.away and request.transport is not None:
                request.transport.abort()
                return web.Response()
            if call.method in _FILLS_A_CHAT:
                await self._admit(call)
            result = await self._answer(call, request)
        except Refusal as refusal:
            return _json(refusal.body(), refusal.status)
        finally:
            self._touch()
        return _json({"ok": True, "result": result}, 200)

    async def _admit(self, call: Call) -> None:
        if self.way is not None:
            await asyncio.sleep(self.way())
        if self.flood_control is None or call.chat is None:
            return
        retry_after = self.flood_control.admit(call.chat, _now())
        if retry_after is not None:
            description = f"Too Many Requests: retry after {retry_after}"
            raise Refusal(429, description, retry_after=retry_after)

    async def _answer(self, call: Call, request: web.Request) -> Any:
        fault = next((fault for fault in self._faults if fault.matches(call)), None)
        if fault is not None:
            fault.times -= 1
        if fault is not None and fault.refusal is not None:
            raise fault.refusal
        method = self._methods().get(call.method)
        if method is None:
            raise Refusal(404, "Not Found: method not found")
        if self.delay and call.method != "getUpdates":
            await asyncio.sleep(self.delay)
        result = await method(call.parameters)
        if fault is not None and fault.lose_reply and request.transport is not None:
            request.transport.abort()
        return result

    def _methods(self) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
        return {
            "getMe": self._get_me,
            "getUpdates": self._get_updates,
            "setMyCommands": self._set_my_commands,
            "setWebhook": self._set_webhook,
            "deleteWebhook": self._delete_webhook,
            "sendMessage": self._send_message,
            "sendPhoto": self._send_photo,
            "editMessageText": self._edit_message_text,
            "editMessageMedia": self._edit_message_media,
            "deleteMessage": self._delete_message,
            "answerCallbackQuery": self._answer_callback_query,
        }

    # --- methods ----------------------------------------------------------------------------------

    async def _get_me(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {**_user(int(self.token.partition(":")[0]), is_bot=True), "username": self.username}

    async def _get_updates(self, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self.webhook.url:
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        self._poll += 1
        poll = self._poll
        self._touch()
        offset = int(parameters.get("offset", 0))
        # As Telegram's TQueue does: an offset from another world is ignored, and all that waits is served.
        self._confirm(offset if offset <= self._next_update_id + 10 else 0)
        deadline = _now() + min(float(parameters.get("timeout", 0)), 50.0)
        while not self._updates and (left := deadline - _now()) > 0 and poll == self._poll:
            await self._until_change(left)
        if poll != self._poll:
            raise Refusal(409, "Conflict: terminated by other getUpdates request")
        limit = int(parameters.get("limit", 100))
        return [update for _, update in zip(range(limit), self._updates, strict=False)]

    def _confirm(self, offset: int) -> None:
        self.confirmed_below = max(self.confirmed_below, offset)
        while self._updates and self._updates[0]["update_id"] < offset:
            self._updates.popleft()

    async def _set_my_commands(self, parameters: Mapping[str, Any]) -> bool:
        commands = _from_json(parameters["commands"])
        for command in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= len(command["description"]) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands = commands
        return True

    async def _set_webhook(self, parameters: Mapping[str, Any]) -> bool:
        self.webhook = WebhookSetting(parameters["url"], parameters.get("secret_token", ""))
        if self._deliverer is None:
            self._deliverer = asyncio.create_task(self._deliver_to_webhook())
        return True

    async def _delete_webhook(self, _: Mapping[str, Any]) -> bool:
        self.webhook = WebhookSetting()
        return True

    async def _send_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        chat = self._writable_chat(parameters)
        text, markup = _text(parameters)
        message = ChatMessage(self._message_id(), chat, from_bot=True, text=text, html=markup)
        message.buttons = _keyboard(parameters)
        return self._wire(self._keep(message), None)

    async def _send_photo(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        chat = self._writable_chat(parameters)
        photo = _photo(parameters.get("photo"))
        text, markup = _caption(parameters)
        message = ChatMessage(self._message_id(), chat, from_bot=True, text=text, html=markup, photo=photo)
        message.buttons = _keyboard(parameters)
        return self._wire(self._keep(message), None)

    async def _edit_message_media(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        message = self._editable(parameters)
        if not message.photo and not self.takes_media_into_words:
            raise bad_request("there is no media in the message to edit")
        media = _from_json(parameters["media"])
        if media.get("type") != "photo":
            raise bad_request("unsupported type of media")
        scheme, _, name = media["media"].partition("://")
        if scheme != "attach":
            raise bad_request("wrong file identifier/HTTP URL specified")
        message.photo = _photo(parameters.get(name))
        message.text, message.html = _caption(media)
        message.buttons = _keyboard(parameters)
        message.edits += 1
        return self._wire(message, None)

    def _editable(self, parameters: Mapping[str, Any]) -> ChatMessage:
        chat = self._writable_chat(parameters)
        message = self._messages.get(chat, {}).get(int(parameters["message_id"]))
        if message is None:
            raise bad_request("message to edit not found")
        if not message.from_bot or (chat, message.id) in self.frozen_messages:
            raise bad_request("message can't be edited")
        return message

    async def _edit_message_text(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        message = self._editable(parameters)
        if message.photo:
            raise bad_request("there is no text in the message to edit")
        text, markup = _text(parameters)
        buttons = _keyboard(parameters)
        if (text, markup, buttons) == (message.text, message.html, message.buttons):
            raise bad_request(NOT_MODIFIED)
        message.text, message.html, message.buttons = text, markup, buttons
        message.edits += 1
        return self._wire(message, None)

    async def _delete_message(self, parameters: Mapping[str, Any]) -> bool:
        chat = self._writable_chat(parameters)
        if self._messages.get(chat, {}).pop(int(parameters["message_id"]), None) is None:
            raise bad_request("message to delete not found")
        return True

    async def _answer_callback_query(self, parameters: Mapping[str, Any]) -> bool:
        query_id = parameters["callback_query_id"]
        if query_id not in self._open_queries:
            raise bad_request(TOO_OLD)
        if len(parameters.get("text", "")) > 200:
            raise bad_request("MESSAGE_TOO_LONG")
        self._open_queries.discard(query_id)
        self.answers[query_id] = parameters.get("text", "")
        return True

    # --- the webhook's other end ------------------------------------------------------------------

    async def _deliver_to_webhook(self) -> None:
        """One after the other, again until it is taken."""
        async with aiohttp.ClientSession() as session:
            while True:
                while not (self._updates and self.webhook.url):
                    await self._until_change(None)
                if await self._delivered(session, self._updates[0]):
                    self._updates.popleft()
                self._touch()

    async def _delivered(self, session: aiohttp.ClientSession, update: Mapping[str, Any]) -> bool:
        headers = {SECRET_HEADER: self.webhook.secret} if self.webhook.secret else {}
        try:
            async with session.post(self.webhook.url, json=update, headers=headers) as response:
                taken = 200 <= response.status < 300
        except aiohttp.ClientError:
            self.webhook_refusals.append(0)
            await asyncio.sleep(0.05)
            return False
        if not taken:
            self.webhook_refusals.append(response.status)
        return taken

    # --- helpers ----------------------------------------------------------------------------------

    def _touch(self) -> None:
        self._changed.set()

    async def _until_change(self, seconds: float | None) -> None:
        # Awaited in place: in a task of its own it would miss a change that another waiter clears away.
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _message_id(self) -> int:
        self._next_message_id += 1
        return self._next_message_id

    def _keep(self, message: ChatMessage) -> ChatMessage:
        message.at = _now()
        self._messages.setdefault(message.chat, {})[message.id] = message
        return message

    def _wire(self, message: ChatMessage, user: int | None) -> dict[str, Any]:
        bot = {**_user(int(self.token.partition(":")[0]), is_bot=True), "username": self.username}
        return {
            "message_id": message.id,
            "from": bot if message.from_bot else _user(user or abs(message.chat)),
            "chat": _chat(message.chat),
            "date": 1_780_000_000,
            **_content(message),
        }

    def _writable_chat(self, parameters: Mapping[str, Any]) -> int:
        chat = int(parameters["chat_id"])
        if chat in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        if chat in self.unknown_chats:
            raise bad_request("chat not found")
        return chat


def _now() -> float:
    """Monotonic seconds, of the loop if one runs: its time may jump."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


# --- what Telegram checks ---------------------------------------------------------------------------


def _text(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """The visible text and its markup."""
    raw = parameters.get("text", "")
    visible = parse_html(raw) if parameters.get("parse_mode") == "HTML" else raw
    if not visible.strip("\u200b\u2060\ufeff\x00 \n\t\r"):
        raise bad_request("message text is empty")
    if len(visible.encode("utf-16-le")) // 2 > TEXT_LIMIT:
        raise bad_request("message is too long")
    return visible, raw


def _caption(parameters: Mapping[str, Any]) -> tuple[str, str]:
    raw = parameters.get("caption", "")
    visible = parse_html(raw) if parameters.get("parse_mode") == "HTML" else raw
    if len(visible.encode("utf-16-le")) // 2 > CAPTION_LIMIT:
        raise bad_request("message caption is too long")
    return visible, raw


def _photo(upload: object) -> bytes:
    if not isinstance(upload, Upload):
        raise bad_request("there is no photo in the request")
    content = upload.content
    if not content.startswith(PNG) or upload.kind != "image/png" or len(content) > PHOTO_BYTES:
        raise bad_request("IMAGE_PROCESS_FAILED")
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    if width + height > PHOTO_SIDES or max(width, height) > 20 * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return content


def _content(message: ChatMessage) -> dict[str, Any]:
    if not message.photo:
        return {"text": message.text}
    photo = {"file_id": f"photo{message.id}", "file_unique_id": f"p{message.id}", "width": 1, "height": 1}
    return {"caption": message.text, "photo": [photo]}


_TAG = re.compile(r"<(/?)([A-Za-z-]*)((?:\s[^<>]*)?)>")
_TAGS = frozenset({"b", "strong", "i", "em", "u", "s", "code", "pre", "a", "tg-spoiler", "blockquote"})
_MONOSPACED = frozenset({"code", "pre"})


def parse_html(text: str) -> str:
    """The text without its markup. Raises ``Refusal`` as Telegram does for markup that is not well-formed."""
    plain: list[str] = []
    open_tags: list[str] = []
    at = 0
    while (start := text.find("<", at)) >= 0:
        plain.append(_unescape(text[at:start]))
        tag = _TAG.match(text, start)
        offset = len(text[:start].encode())
        if tag is None or tag[2] not in _TAGS:
            raise _unparsable(f'Unsupported start tag "{tag[2] if tag else ""}" at byte offset {offset}')
        _open_or_close(open_tags, tag, offset)
        at = tag.end()
    if open_tags:
        raise _unparsable(f'Can\'t find end tag corresponding to start tag "{open_tags[-1]}"')
    return "".join([*plain, _unescape(text[at:])])


_ENTITY = re.compile(r"&(lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda entity: _NAMED.get(entity[1]) or _numbered(entity[1]), text)


def _numbered(entity: str) -> str:
    return chr(int(entity[2:], 16) if entity[1] == "x" else int(entity[1:]))


def _open_or_close(open_tags: list[str], tag: re.Match[str], offset: int) -> None:
    closes, name = bool(tag[1]), tag[2]
    if not closes:
        if _MONOSPACED & set(open_tags):
            raise _unparsable(f'"{name}" inside of monospaced text at byte offset {offset}')
        open_tags.append(name)
    elif not open_tags or open_tags.pop() != name:
        raise _unparsable(f'Unmatched end tag at byte offset {offset}, found "</{name}>"')


def _unparsable(reason: str) -> Refusal:
    return bad_request(f"can't parse entities: {reason}")


def _keyboard(parameters: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], ...]:
    if "reply_markup" not in parameters:
        return ()
    rows = _from_json(parameters["reply_markup"])["inline_keyboard"]
    keyboard = tuple(tuple((button["text"], _does(button, parameters)) for button in row) for row in rows)
    buttons = [button for row in keyboard for button in row]
    if any(not label.strip() for label, _ in buttons):
        raise bad_request("Text buttons are unallowed in the inline keyboard")
    if len(buttons) > BUTTONS_LIMIT:
        raise bad_request("REPLY_MARKUP_TOO_LONG")
    return keyboard


def _does(button: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """What comes back in a tap, or the address that is opened."""
    (kind,) = button.keys() - {"text"}  # Telegram takes exactly one
    if kind == "callback_data":
        if not 1 <= len(button[kind].encode()) <= 64:
            raise bad_request("BUTTON_DATA_INVALID")
        return str(button[kind])
    address = str(button[kind]["url"] if kind == "web_app" else button[kind])
    if kind == "web_app" and int(parameters["chat_id"]) < 0:
        raise bad_request("BUTTON_TYPE_INVALID")
    if kind not in {"url", "web_app"} or not address.startswith("https://"):
        raise bad_request("BUTTON_URL_INVALID")
    return address


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


async def _parameters(request: web.Request) -> Mapping[str, Any]:
    if request.content_type == "application/json":
        body = await request.json()
        return body if isinstance(body, dict) else {}
    if request.content_type == "application/x-www-form-urlencoded":
        body = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        return {**request.query, **body}
    fields = await request.post()
    return {**request.query, **{name: _field(value) for name, value in fields.items()}}


def _field(value: str | bytes | bytearray | web.FileField) -> object:
    if isinstance(value, web.FileField):
        return Upload(value.filename, value.content_type, value.file.read())
    return value


def _json(body: Mapping[str, Any], status: int) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


def _user(user: int, *, is_bot: bool = False) -> dict[str, Any]:
    return {"id": user, "is_bot": is_bot, "first_name": f"User {user}"}


def _chat(chat: int) -> dict[str, Any]:
    if chat < 0:
        return {"id": chat, "type": "supergroup", "title": "Group"}
    return {"id": chat, "type": "private", "first_name": f"User {chat}"}


__all__ = ["TOKEN", "Call", "ChatMessage", "Fault", "LoopbackBotApi", "Refusal", "Upload", "parse_html"]
