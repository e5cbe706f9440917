"""The chat in a terminal: typed at a prompt, or read from a script line by line.

Buttons are numbered; a bare number taps that button. Pushes appear while one types, and their buttons take
the numbers behind those that are on show: no number changes its meaning under somebody's fingers.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import sys
import textwrap
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
from chatbot.errors import StorageError
from chatbot.ports import Clock

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import InMemoryHistory

LOCAL_USER = UserRef(Platform.CONSOLE, "local")
LOCAL_CHAT = ChatRef(Platform.CONSOLE, "local", private=True)
EDITED = "↻ "
HIDDEN = "(hidden)"
LEAVE = frozenset({"quit", "exit", "/quit", "/exit"})
_PAGE = 88
_BOLD_ON, _BOLD_OFF = "\x1b[1m", "\x1b[0m"
# Whatever a name or a reason carries, it does not steer the terminal.
_CONTROL = {code: None for code in (*range(32), 127, *range(128, 160)) if code != ord("\n")}


def _token() -> str:
    return secrets.token_hex(8)


# --- rendering ----------------------------------------------------------------------------------


def render(reply: Reply, *, bold: bool = False, first: int = 1, width: int | None = None) -> str:
    """Plain lines; ``bold`` sends the terminal's own codes, else the stars are dropped. A picture is its text
    twin.

    ``first`` is the number of the first button. Prose is broken between words at ``width``, if there is one.
    """
    shown = (Table(reply.picture.lines),) if reply.picture is not None and reply.picture.lines else ()
    parts = [_block(block, bold=bold, width=width) for block in (*shown, *reply.blocks)]
    rows = list(_numbered(reply.buttons, first))
    return "\n".join([*parts, *rows])


def _block(block: Block, *, bold: bool, width: int | None) -> str:
    if isinstance(block, Table):
        return "\n".join(f"  {line}".translate(_CONTROL) for line in block.lines)
    text = block.text.translate(_CONTROL)
    text = re.sub(r"`([^`\n]*)`", r"\1", text)
    lines = text.split("\n") if width is None else _wrapped(text, width)
    marked = rf"{_BOLD_ON}\1{_BOLD_OFF}" if bold else r"\1"
    return "\n".join(re.sub(r"\*\*(.+?)\*\*", marked, line, flags=re.DOTALL) for line in lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Each line of the text, broken between words; a bold span may run on."""
    return [
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    ]


def _numbered(rows: tuple[tuple[Button, ...], ...], first: int) -> Iterator[str]:
    number = first
    for row in rows:
        labels = []
        for button in row:
            labels.append(f"[{number}] {button.label}")
            number += 1
        yield "  ".join(labels)


# --- the messenger ------------------------------------------------------------------------------


class ConsoleMessenger:
    """Prints cards; remembers which number stands for which button.

    The first card with buttons after something was typed numbers them from 1; what comes unasked goes on
    from there. ``out`` of ``None`` is whatever ``sys.stdout`` is at that moment: the prompt replaces it while
    it is open.
    """

    platform = Platform.CONSOLE

    def __init__(self, out: TextIO | None = None, *, bold: bool = False, token: str | None = None) -> None:
        self._out = out
        self._bold = bold
        self._token = token or _token()
        self._count = 0
        self._taps: dict[int, tuple[str, Button]] = {}
        self._typed = True

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        card = edits or self._next_id()
        buttons = [button for row in reply.buttons for button in row]
        first = self._first_number(card, asked=self._typed and bool(buttons))
        self._typed = self._typed and not buttons and edits is not None
        text = render(reply, bold=self._bold, first=first, width=self._columns())
        self.print(f"{EDITED if edits else ''}{text}\n")
        self._taps |= {number: (card, button) for number, button in enumerate(buttons, first)}
        return card

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        if toast:
            self.print(f"· {toast}".translate(_CONTROL))

    def print(self, text: str) -> None:
        print(text, file=self._out or sys.stdout, flush=True)

    def typed(self) -> None:
        """Something was typed: the answer to it may number its buttons from 1 again."""
        self._typed = True

    def asked(self) -> None:
        """A command was typed: the numbers of older cards go; after a refusal there is none to tap."""
        self._taps = {}
        self.typed()

    def button(self, number: int) -> tuple[MessageRef, Button] | None:
        """The button that a typed number taps, with its card."""
        if number not in self._taps:
            return None
        card, button = self._taps[number]
        return MessageRef(LOCAL_CHAT, card), button

    def _first_number(self, card: str, *, asked: bool) -> int:
        """A card shown anew loses the buttons it had: they must not be tapped by mistake."""
        self._taps = {} if asked else {n: tap for n, tap in self._taps.items() if tap[0] != card}
        return max(self._taps, default=0) + 1

    def _columns(self) -> int | None:
        """Of a terminal, less room for symbols that take two; prose wider than a page is hard to read."""
        return min(shutil.get_terminal_size().columns - 2, _PAGE) if self._bold else None

    def _next_id(self) -> str:
        # With the token of this run: a card of an earlier run is never taken for one of this.
        self._count += 1
        return f"{self._token}:{self._count}"


# --- the platform -------------------------------------------------------------------------------


class ConsolePlatform:
    """Reads what is typed and hands it on as requests.

    ``submit`` takes a request into the inbox; ``idle`` returns when all that it set off has been printed.
    While ``hides`` says so, what is typed is a secret and not shown, and so is what ``gives_away`` takes
    for one.
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
        hides: Callable[[], bool] = lambda: False,
        gives_away: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._hides = hides
        self._gives_away = gives_away
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
        from prompt_toolkit.filters import Condition  # noqa: PLC0415
        from prompt_toolkit.patch_stdout import patch_stdout  # noqa: PLC0415

        # Asked at each redraw: the answer that wants a secret may come while the prompt is open already.
        session: PromptSession[str] = PromptSession(
            self._prompt, is_password=Condition(self._hides), history=discreet_history(self._is_secret)
        )
        with patch_stdout(raw=True):
            while (line := await _prompted(session)) is not None:
                if not await self._take(line):
                    return

    async def _follow_script(self) -> None:
        async for line in _lines(self._stdin):
            if not line.strip():
                continue
            shown = HIDDEN if self._is_secret(line) else line.strip()
            self._messenger.print(f"> {shown}".translate(_CONTROL))
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
            try:
                await self._hand_on(text)
            except StorageError as error:
                self._messenger.print(f"Not taken: {error.message}. Say it again when that is mended.")
        return True

    def _is_secret(self, line: str) -> bool:
        return self._hides() or self._gives_away(line)

    def _prompt(self) -> str:
        return "(hidden) > " if self._hides() else "> "

    async def _hand_on(self, text: str) -> None:
        if self._hides() or not re.fullmatch(r"[0-9]{1,3}", text):
            self._messenger.asked()
            await self._submit(self._request(RequestKind.COMMAND, text, None))
            return
        tapped = self._messenger.button(int(text))
        if tapped is None:
            self._messenger.print(f"There is no button {text} to tap just now.")
            return
        card, button = tapped
        self._messenger.typed()
        await self._submit(self._request(RequestKind.CLICK, button.data, card))

    def _request(self, kind: RequestKind, text: str, message: MessageRef | None) -> Request:
        request_id = f"console:{self._new_id()}"
        now = self._clock.now()
        return Request(request_id, kind, LOCAL_USER, LOCAL_CHAT, text, now, message, user_name="you")


def discreet_history(is_secret: Callable[[str], bool]) -> InMemoryHistory:
    """What was typed before, but for secrets."""
    from prompt_toolkit.history import InMemoryHistory  # noqa: PLC0415

    class Discreet(InMemoryHistory):
        def append_string(self, string: str) -> None:
            if not is_secret(string):
                super().append_string(string)

    return Discreet()


async def _prompted(session: PromptSession[str]) -> str | None:
    """One line, or ``None`` at the end of the input."""
    try:
        return await session.prompt_async()
    except (EOFError, KeyboardInterrupt):
        return None


async def _lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines of a stream that may block, read on a thread that does not hold up the end of the program."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        # After quit the loop may be closed while there is still something to read.
        with contextlib.suppress(RuntimeError):
            for line in iter(stream.readline, ""):
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True, name="console-input").start()
    while line := await lines.get():
        yield line
