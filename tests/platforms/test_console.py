"""The chat in a terminal: what is printed, what a typed number taps, and how a script runs."""

from __future__ import annotations

import asyncio
import io
import itertools
from datetime import UTC, datetime

from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from chatbot.chat import Button, ChatRef, Picture, Platform, Reply, Request, RequestKind, Table, Text
from chatbot.clock import VirtualClock
from chatbot.errors import StorageError
from chatbot.platforms.console import (
    LOCAL_CHAT,
    LOCAL_USER,
    ConsoleMessenger,
    ConsolePlatform,
    discreet_history,
    render,
)

CARD = Reply(
    blocks=(Text("**Locked** by `/hedge BTC`"), Table(("long  short", "1.000 1.000"))),
    buttons=((Button("Confirm", "q:1"), Button("Cancel", "q:2")), (Button("Help", "c:help"),)),
)


class Teletype:
    """A console whose bot answers each request with a fixed card, as late as it likes."""

    def __init__(self, script: str | io.StringIO, *answers: Reply, secret_after: str = "") -> None:
        self.out = io.StringIO()
        self.messenger = ConsoleMessenger(self.out, token="run")
        self.requests: list[Request] = []
        self._answers = itertools.cycle(answers or (CARD,))
        self._owed: list[Reply] = []
        count = itertools.count(1)
        self.platform = ConsolePlatform(
            self.messenger,
            submit=self._submit,
            idle=self._idle,
            clock=VirtualClock(datetime(2026, 3, 2, tzinfo=UTC)),
            stdin=io.StringIO(script) if isinstance(script, str) else script,
            new_id=lambda: str(next(count)),
            hides=lambda: bool(self._about(secret_after)),
        )

    def _about(self, text: str) -> list[Request]:
        """The newest request, if it said this."""
        return [request for request in self.requests[-1:] if request.text == text]

    async def _submit(self, request: Request) -> None:
        self.requests.append(request)
        self._owed.append(next(self._answers))

    async def _idle(self) -> None:
        await asyncio.sleep(0)
        for reply in self._owed:
            edits = None
            if reply.edit and self.requests[-1].message:
                edits = self.requests[-1].message.id
            await self.messenger.deliver(LOCAL_CHAT, reply, edits=edits)
        self._owed.clear()

    async def runs(self) -> str:
        assert await self.platform.run() == 0
        return self.out.getvalue()


def test_a_card_is_plain_text_with_numbered_buttons() -> None:
    assert render(CARD).splitlines() == [
        "Locked by /hedge BTC",
        "  long  short",
        "  1.000 1.000",
        "[1] Confirm  [2] Cancel",
        "[3] Help",
    ]


def test_bold_is_the_terminals_own_where_it_can() -> None:
    assert render(Reply((Text("**Locked** now"),)), bold=True) == "\x1b[1mLocked\x1b[0m now"


def test_nobodys_words_steer_the_terminal() -> None:
    assert render(Reply((Text("a\x1b[2Jb\x07"), Table(("c\x1b[0m",))))) == "a[2Jb\n  c[0m"


async def test_a_script_prints_each_command_and_its_reply_before_the_next() -> None:
    first, second = Reply((Text("one"),)), Reply((Text("two"),))

    printed = await Teletype("/status\n\n  /close #3  \n", first, second).runs()

    assert [line for line in printed.splitlines() if line] == ["> /status", "one", "> /close #3", "two"]


async def test_what_is_typed_becomes_a_command_of_the_local_user() -> None:
    console = Teletype("/status BTC\n")
    await console.runs()

    (request,) = console.requests
    assert (request.kind, request.text) == (RequestKind.COMMAND, "/status BTC")
    assert (request.user, request.chat) == (LOCAL_USER, LOCAL_CHAT)


async def test_a_number_taps_that_button_of_the_latest_card() -> None:
    console = Teletype("/hedge BTC\n2\n")
    await console.runs()

    tap = console.requests[1]
    assert (tap.kind, tap.text) == (RequestKind.CLICK, "q:2")
    assert tap.message is not None
    assert tap.message.id == "run:1"


async def test_an_edited_card_is_printed_anew_with_a_mark_and_its_old_buttons_are_gone() -> None:
    console = Teletype("/hedge BTC\n1\n1\n", CARD, Reply((Text("sending"),), edit=True))

    printed = await console.runs()

    assert "↻ sending" in printed
    assert "There is no button 1 to tap just now." in printed
    assert len(console.requests) == 2


async def test_a_number_without_a_button_taps_nothing() -> None:
    console = Teletype("1\n/status\n9\n0\n")

    printed = await console.runs()

    assert printed.count("There is no button") == 3
    assert len(console.requests) == 1


PUSH = Reply((Text("short leg 4.9 % from liquidation"),), ((Button("Close", "c:close"),),))


async def test_a_refused_command_leaves_no_older_offer_to_confirm_by_its_number() -> None:
    refusal = Reply(blocks=(Text("That would exceed your cap."),))
    teletype = Teletype("/open ETH long 1\n/open ETH long 100\n1\n", CARD, refusal)
    assert "There is no button 1" in await teletype.runs()
    assert [request.kind for request in teletype.requests] == [RequestKind.COMMAND] * 2


async def test_a_push_takes_the_numbers_behind_those_on_show() -> None:
    console = Teletype("/hedge BTC\n")
    await console.runs()

    await console.messenger.deliver(LOCAL_CHAT, PUSH, edits=None)

    assert "[4] Close" in console.out.getvalue()
    confirm, close = console.messenger.button(1), console.messenger.button(4)
    assert confirm is not None
    assert close is not None
    assert (confirm[1].data, close[1].data) == ("q:1", "c:close")
    assert confirm[0] != close[0]


async def test_every_card_of_one_answer_can_be_tapped() -> None:
    console = Teletype("")
    for _ in range(2):
        await console.messenger.deliver(LOCAL_CHAT, CARD, edits=None)

    numbers = [number for number in range(10) if console.messenger.button(number)]
    assert numbers == [1, 2, 3, 4, 5, 6]


async def test_the_answer_to_what_is_typed_numbers_from_one_again() -> None:
    console = Teletype("/hedge BTC\n/hedge ETH\n")

    printed = await console.runs()

    assert printed.count("[1] Confirm") == 2
    assert console.messenger.button(4) is None


async def test_a_card_that_is_sent_and_done_numbers_from_one_after_the_tap() -> None:
    console = Teletype("/hedge BTC\n")
    await console.runs()
    await console.messenger.deliver(LOCAL_CHAT, PUSH, edits=None)

    console.messenger.typed()
    await console.messenger.deliver(LOCAL_CHAT, Reply((Text("sending"),)), edits="run:1")
    await console.messenger.deliver(LOCAL_CHAT, CARD, edits="run:1")

    assert console.out.getvalue().rstrip().endswith("[1] Confirm  [2] Cancel\n[3] Help")


def test_prose_is_broken_between_words_and_tables_are_not() -> None:
    long = Reply((Text("**A lock that costs** two more fees\nand keeps the entry"), Table(("-" * 34,))))

    lines = render(long, bold=True, width=20).splitlines()

    assert lines == [
        "\x1b[1mA lock that",
        "costs\x1b[0m two more",
        "fees",
        "and keeps the entry",
        "  " + "-" * 34,
    ]


async def test_quit_ends_the_script() -> None:
    console = Teletype("/status\nquit\n/panic\n")
    await console.runs()

    assert [request.text for request in console.requests] == ["/status"]


async def test_every_request_has_an_id_of_its_own() -> None:
    console = Teletype("/status\n/status\n/status\n")
    await console.runs()

    assert len({request.id for request in console.requests}) == 3


async def test_cards_of_two_runs_never_share_an_id() -> None:
    first, second = ConsoleMessenger(io.StringIO()), ConsoleMessenger(io.StringIO())

    ids = {await messenger.deliver(LOCAL_CHAT, CARD, edits=None) for messenger in (first, second)}

    assert len(ids) == 2


async def test_a_toast_is_printed_beside_the_cards() -> None:
    console = Teletype("")
    request = Request("1", RequestKind.CLICK, LOCAL_USER, LOCAL_CHAT, "x", datetime(2026, 3, 2, tzinfo=UTC))

    await console.messenger.acknowledge(request, "Canceled.")
    await console.messenger.acknowledge(request, None)

    assert console.out.getvalue() == "· Canceled.\n"


async def test_a_push_for_an_edited_card_of_an_earlier_run_is_printed_too() -> None:
    console = Teletype("")

    shown = await console.messenger.deliver(ChatRef(Platform.CONSOLE, "local"), CARD, edits="old:7")

    assert shown == "old:7"
    assert "↻ Locked" in console.out.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_at_a_terminal_what_is_typed_goes_out_and_pushes_do_not_wait() -> None:
    console = Teletype(Terminal())
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("/status\r\r   \r")
        keys.send_text("quit\r")
        printed = await console.runs()

    assert [request.text for request in console.requests] == ["/status"]
    assert "Locked by /hedge BTC" in printed


async def test_the_end_of_the_input_ends_the_conversation() -> None:
    console = Teletype(Terminal())
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("\x04")
        await console.runs()

    assert console.requests == []


async def test_a_script_does_not_repeat_a_secret() -> None:
    printed = await Teletype("/connect\n1\n/status\n", secret_after="/connect").runs()

    assert [line for line in printed.splitlines() if line.startswith(">")] == [
        "> /connect",
        "> (hidden)",
        "> /status",
    ]


async def test_a_secret_of_digits_taps_no_button() -> None:
    console = Teletype("/connect\n1\n", secret_after="/connect")
    await console.runs()

    assert [(request.kind, request.text) for request in console.requests] == [
        (RequestKind.COMMAND, "/connect"),
        (RequestKind.COMMAND, "1"),
    ]


def test_a_secret_is_not_among_what_was_typed_before() -> None:
    hidden = False
    history = discreet_history(lambda _: hidden)
    history.append_string("/connect binance")
    hidden = True
    history.append_string("hush-hush")

    assert history.get_strings() == ["/connect binance"]


async def test_at_a_terminal_a_secret_is_not_shown() -> None:
    console = Teletype(Terminal(), secret_after="/connect")
    screen = io.StringIO()
    terminal = Vt100_Output(screen, lambda: Size(rows=24, columns=80), term="xterm")
    with create_pipe_input() as keys, create_app_session(input=keys, output=terminal):
        keys.send_text("/connect\rhush-hush\r")
        keys.send_text("quit\r")
        await console.runs()

    assert [request.text for request in console.requests] == ["/connect", "hush-hush"]
    assert "/connect" in screen.getvalue()
    assert "(hidden)" in screen.getvalue()
    assert "hush-hush" not in screen.getvalue()
    assert "*********" in screen.getvalue()


# --- pictures -----------------------------------------------------------------------------------


def test_a_picture_is_its_text_twin_above_the_caption() -> None:
    shown = render(
        Reply((Text("**caption**"),), CARD.buttons, picture=Picture(b"png", "a chart", ("⠉⠉ 1", "⣀⣀ 0")))
    )

    assert shown.split("\n") == ["  ⠉⠉ 1", "  ⣀⣀ 0", "caption", "[1] Confirm  [2] Cancel", "[3] Help"]


def test_a_picture_without_a_twin_leaves_its_caption() -> None:
    assert render(Reply((Text("caption"),), picture=Picture(b"png", "a chart"))) == "caption"


def test_a_twin_does_not_steer_the_terminal() -> None:
    assert "\x1b" not in render(Reply(picture=Picture(b"", "", ("\x1b[2J",))))


async def test_a_command_that_cannot_be_stored_is_refused_in_a_sentence_and_the_chat_goes_on() -> None:
    chat = Teletype("/status\n/help\n", Reply((Text("Help."),)))
    submit, refusals = chat.platform._submit, [StorageError("the database cannot grow: the disk is full")]

    async def full_at_first(request: Request) -> None:
        if refusals:
            raise refusals.pop()
        await submit(request)

    chat.platform._submit = full_at_first
    printed = await chat.runs()
    assert (
        "Not taken: the database cannot grow: the disk is full. Say it again when that is mended." in printed
    )
    assert "Help." in printed
