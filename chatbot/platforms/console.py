"""The chat in a terminal: typed at a prompt, or read from a script line by line.

Buttons are numbered; a bare number taps that button of the latest card. Pushes appear while one types.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, TextIO

from chatbot.chat import (
    Block,
    Button,
    ChatRef,
    MessageRef,
    Platform,
    Reply,
    Request,
    RequestKind,
    Table,
    UserRef,
)
from chatbot.ports import Clock

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

LOCAL_USER = UserRef(Platform.CONSOLE, "local")
LOCAL_CHAT = ChatRef(Platform.CONSOLE, "local", private=True)
EDITED = "↻ "
LEAVE = frozenset({"quit", "exit", "/quit", "/exit"})
_BOLD_ON, _BOLD_OFF = "\x1b[1m", "\x1b[0m"
# Whatever a name or a reason carries, it does not steer the terminal.
_CONTROL = {code: None for code in (*range(32), 127, *range(128, 160)) if code != ord("\n")}


def _token() -> str:
    return secrets.token_hex(8)


# --- rendering ----------------------------------------------------------------------------------


def render(reply: Reply, *, bold: bool = False) -> str:
    """Plain lines; ``bold`` sends the terminal's own codes, else the stars are dropped."""
    parts = [_block(block, bold=bold) for block in reply.blocks]
    rows = list(_numbered(reply.buttons))
    return "\n".join([*parts, *rows])


def _block(block: Block, *, bold: bool) -> str:
    if isinstance(block, Table):
        return "\n".join(f"  {line}".translate(_CONTROL) for line in block.lines)
    text = block.text.translate(_CONTROL)
    text = re.sub(r"`([^`\n]*)`", r"\1", text)
    return re.sub(r"\*\*(.+?)\*\*", rf"{_BOLD_ON}\1{_BOLD_OFF}" if bold else r"\1", text)


def _numbered(rows: tuple[tuple[Button, ...], ...]) -> Iterator[str]:
    number = 0
    for row in rows:
        labels = []
        for button in row:
            number += 1
            labels.append(f"[{number}] {button.label}")
        yield "  ".join(labels)


# --- the messenger ------------------------------------------------------------------------------


class ConsoleMessenger:
    """Prints cards; remembers the buttons of the latest one.

    ``out`` of ``None`` is whatever ``sys.stdout`` is at that moment: the prompt replaces it while it is open.
    """

    platform = Platform.CONSOLE

    def __init__(self, out: TextIO | None = None, *, bold: bool = False, token: str | None = None) -> None:
        self._out = out
        self._bold = bold
        self._token = token or _token()
        self._count = 0
        self._card: str | None = None
        self._buttons: tuple[Button, ...] = ()

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        text = render(reply, bold=self._bold)
        self.print(f"{EDITED if edits else ''}{text}\n")
        card = edits or self._next_id()
        self._remember(card, tuple(button for row in reply.buttons for button in row))
        return card

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        if toast:
            self.print(f"· {toast}".translate(_CONTROL))

    def print(self, text: str) -> None:
        print(text, file=self._out or sys.stdout, flush=True)

    def button(self, number: int) -> tuple[MessageRef, Button] | None:
        """The button that a typed number taps, with its card."""
        if self._card is None or not 1 <= number <= len(self._buttons):
            return None
        return MessageRef(LOCAL_CHAT, self._card), self._buttons[number - 1]

    def _remember(self, card: str, buttons: tuple[Button, ...]) -> None:
        """A card that loses its buttons leaves none to tap: an older card's must not be tapped by mistake."""
        if buttons or card == self._card:
            self._card, self._buttons = card, buttons

    def _next_id(self) -> str:
        # With the token of this run: a card of an earlier run is never taken for one of this.
        self._count += 1
        return f"{self._token}:{self._count}"


# --- the platform -------------------------------------------------------------------------------


class ConsolePlatform:
    """Reads what is typed and hands it on as requests.

    ``submit`` takes a request into the inbox; ``idle`` returns when all that it set off has been printed.
    """

    def __init__(
        self,
        messenger: ConsoleMessenger,
        *,
        submit: Callable[[Request], Awaitable[None]],
        idle: Callable[[], Awaitable[None]],
        clock: Clock,
        stdin: TextIO | None = None,
        new_id: Callable[[], str] = _token,
    ) -> None:
        self._messenger = messenger
        self._submit = submit
        self._idle = idle
        self._clock = clock
        self._stdin = sys.stdin if stdin is None else stdin
        self._new_id = new_id

    @property
    def interactive(self) -> bool:
        return self._stdin.isatty()

    async def run(self) -> int:
        """Until the input ends or ``quit``; the exit code. What a user did wrong does not change it."""
        if self.interactive:
            await self._converse()
        else:
            await self._follow_script()
        await self._idle()
        return 0

    async def _converse(self) -> None:
        # Loaded only for a person at a terminal: it takes a tenth of a second.
        from prompt_toolkit import PromptSession  # noqa: PLC0415
        from prompt_toolkit.patch_stdout import patch_stdout  # noqa: PLC0415

        session: PromptSession[str] = PromptSession()
        with patch_stdout(raw=True):
            while (line := await _prompted(session)) is not None:
                if not await self._take(line):
                    return

    async def _follow_script(self) -> None:
        async for line in _lines(self._stdin):
            if not line.strip():
                continue
            self._messenger.print(f"> {line.strip()}".translate(_CONTROL))
            if not await self._take(line):
                return
            await self._idle()

    async def _take(self, line: str) -> bool:
        """False when the conversation is over."""
        # A terminal may hand on bytes that are no text; nothing behind here could store them.
        text = line.encode("utf-8", "replace").decode().strip()
        if text.lower() in LEAVE:
            return False
        if text:
            await self._hand_on(text)
        return True

    async def _hand_on(self, text: str) -> None:
        if not re.fullmatch(r"[0-9]{1,3}", text):
            await self._submit(self._request(RequestKind.COMMAND, text, None))
            return
        tapped = self._messenger.button(int(text))
        if tapped is None:
            self._messenger.print(f"There is no button {text} to tap just now.")
            return
        card, button = tapped
        await self._submit(self._request(RequestKind.CLICK, button.data, card))

    def _request(self, kind: RequestKind, text: str, message: MessageRef | None) -> Request:
        request_id = f"console:{self._new_id()}"
        now = self._clock.now()
        return Request(request_id, kind, LOCAL_USER, LOCAL_CHAT, text, now, message, user_name="you")


async def _prompted(session: PromptSession[str]) -> str | None:
    """One line, or ``None`` at the end of the input."""
    try:
        return await session.prompt_async("> ")
    except (EOFError, KeyboardInterrupt):
        return None


async def _lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines of a stream that may block, read on a thread that does not hold up the end of the program."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in iter(stream.readline, ""):
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True, name="console-input").start()
    while line := await lines.get():
        yield line
