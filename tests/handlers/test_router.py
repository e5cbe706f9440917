"""Who may speak, and what is said when something went wrong."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from chatbot.chat import Reply, Request, RequestKind, Text
from chatbot.errors import (
    BadArgument,
    Busy,
    Conflict,
    HedgerowError,
    InsufficientMargin,
    InvariantBroken,
    LimitExceeded,
    OutcomeUnknown,
    VenueUnavailable,
)
from chatbot.platforms.console import render
from handlers import COMMANDS
from handlers.context import Call, Command
from handlers.router import Router, error_number
from tests.dialogs.harness import ANN, EVE, GROUP, NOON, a_dialog, home_of


def asked(text: str, **changes: object) -> Request:
    request = Request("r1", RequestKind.COMMAND, ANN, home_of(ANN), text, NOON)
    return replace(request, **changes)  # type: ignore[arg-type]


def raising(error: Exception) -> Command:
    async def fail(call: Call) -> Reply:
        raise error

    return Command("/fail", "fails", "/fail [HOW]", "/fail badly", fail)


async def said(command: Command, request: Request) -> str:
    async with a_dialog() as dialog:
        router = Router(dialog.bot.router.services, (*COMMANDS, command))
        return "\n".join(render(reply) for reply in await router.handle(request))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BadArgument("Too many."), "Too many.\nForm: /fail [HOW]\nExample: /fail badly"),
        (BadArgument("No.", form="/x", example="/x 1"), "No.\nForm: /x\nExample: /x 1"),
        (LimitExceeded("Over your cap."), "Over your cap."),
        (Busy(), "Something is still in flight on this account; nothing was sent."),
        (InsufficientMargin("Margin is insufficient."), "The exchange refused: Margin is insufficient."),
        (VenueUnavailable(), "cannot be reached just now; nothing was sent. Try again in a moment."),
        (OutcomeUnknown(), "it is being looked up. /status shows what is known."),
        (Conflict(), "look at /status and try again"),
    ],
)
async def test_a_known_error_is_told_in_a_sentence(error: HedgerowError, words: str) -> None:
    assert words in await said(raising(error), asked("/fail"))


@pytest.mark.parametrize(
    "error", [RuntimeError("secret-of-mine"), InvariantBroken("secret-of-mine"), KeyError("x")]
)
async def test_a_bug_is_logged_with_the_number_that_the_user_is_told(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="handlers.router"):
        words = await said(raising(error), asked("/fail"))

    number = error_number(asked("/fail"))
    assert number in words
    assert [getattr(record, "error", None) for record in caplog.records] == [number]
    assert "secret-of-mine" not in words
    assert "Traceback" not in words


async def test_a_stranger_is_told_the_id_to_give_to_the_owner_and_nothing_else() -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says("/status", by=EVE)

        assert card.text == "I do not know you yet: give the owner of this bot your id, telegram:666."
        assert await dialog.bot.store.user_by_ref(EVE) is None


async def test_a_stranger_in_a_group_gets_nothing() -> None:
    async with a_dialog() as dialog:
        assert await dialog.says("/status", by=EVE, chat=GROUP) == []


async def test_plain_words_get_a_pointer_in_private_and_silence_in_a_group() -> None:
    async with a_dialog() as dialog:
        assert "/help" in await dialog.reads("hello there")
        assert await dialog.says("hello there", chat=GROUP) == []


@pytest.mark.parametrize("text", ["/hegde BTC", "/HEGDE", "/statsu"])
async def test_an_unknown_command_is_answered_with_the_nearest(text: str) -> None:
    async with a_dialog() as dialog:
        assert "Did you mean /" in await dialog.reads(text)


@pytest.mark.parametrize("text", ["/", "/🚀", "/" + "x" * 10_000, "//", "/ status", "/qqqqqqq"])
async def test_what_resembles_no_command_is_answered_with_the_help(text: str) -> None:
    async with a_dialog() as dialog:
        answer = await dialog.reads(text)

        assert "/help" in answer
        assert len(answer) < 200


async def test_a_command_may_be_addressed_to_the_bot_and_shouted() -> None:
    async with a_dialog() as dialog:
        assert "Nothing is open" in await dialog.reads("/STATUS@hedgerow_bot")


@pytest.mark.parametrize("name", ["/paper", "/risk", "/settings"])
async def test_private_matters_stay_private(name: str) -> None:
    async with a_dialog() as dialog:
        (card,) = await dialog.says(name, chat=GROUP)

        assert card.text == f"{name} only in a private chat, please: others can read this one."


async def test_ten_thousand_characters_are_too_long_and_get_the_form() -> None:
    async with a_dialog() as dialog:
        answer = await dialog.reads("/open BTC long " + "9" * 10_000)

        assert "too long" in answer
        assert "Form: /open SYMBOL" in answer


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
async def test_every_command_is_explained_by_the_help(command: Command) -> None:
    async with a_dialog() as dialog:
        assert f"{command.name} {command.summary}" in await dialog.reads("/help")
        assert f"Form: {command.form}" in await dialog.reads(f"/help {command.name.removeprefix('/')}")


def test_the_table_fits_the_menus_of_the_platforms() -> None:
    for command in COMMANDS:
        assert command.name[1:].islower()
        assert len(command.name) <= 32
        assert 3 <= len(command.summary) <= 100
        assert command.example.startswith(command.name)
        assert command.form.startswith(command.name)


async def test_a_text_reply_carries_no_more_than_was_said() -> None:
    async def quiet(call: Call) -> tuple[Reply, ...]:
        return (Reply((Text("one"),)), Reply((Text("two"),)))

    words = await said(Command("/quiet", "is quiet", "/quiet", "/quiet", quiet), asked("/quiet"))

    assert words == "one\ntwo"
