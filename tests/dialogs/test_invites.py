"""Strangers: an invite is the only thing that they can bring."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chatbot.app import open_bot
from chatbot.chat import Platform, UserRef
from chatbot.clock import VirtualClock
from chatbot.services.admission import new_code
from chatbot.settings import Settings
from chatbot.storage.database import Database
from chatbot.venues.feeds import ScriptedFeed
from tests.dialogs.harness import EVE, GROUP, NOON, START, Dialog, a_dialog
from tests.exchanges import key


async def code_of(dialog: Dialog) -> str:
    return await new_code(dialog.bot.keys.admission.invites, dialog.clock)


async def is_known(dialog: Dialog, who: UserRef) -> bool:
    return await dialog.bot.store.user_by_ref(who) is not None


async def test_an_invite_admits_whoever_brings_it() -> None:
    async with a_dialog() as dialog:
        assert "I do not know you yet" in await dialog.reads("/status", by=EVE)
        assert "Connected: paper account" in await dialog.reads(f"/start {await code_of(dialog)}", by=EVE)
        assert "Nothing is open." in await dialog.reads("/status", by=EVE)


async def test_an_invite_works_once() -> None:
    mallory = UserRef(Platform.TELEGRAM, "667")
    async with a_dialog() as dialog:
        code = await code_of(dialog)
        await dialog.says(f"/start {code}", by=EVE)
        assert "not valid" in await dialog.reads(f"/start {code}", by=mallory)
        assert not await is_known(dialog, mallory)


async def test_an_invite_expires_after_seven_days() -> None:
    async with a_dialog() as dialog:
        code = await code_of(dialog)
        await dialog.clock.advance(timedelta(days=7).total_seconds())
        assert "not valid" in await dialog.reads(f"/start {code}", by=EVE)
        assert not await is_known(dialog, EVE)


@pytest.mark.parametrize(
    "typed", ["/start guessed-code", "/start a b", f"/start {'x' * 65}", "/help", "hello"]
)
async def test_a_stranger_without_one_gets_no_further(typed: str) -> None:
    async with a_dialog() as dialog:
        answer = await dialog.reads(typed, by=EVE)
        assert "not valid" in answer or "I do not know you yet" in answer
        assert not await is_known(dialog, EVE)


async def test_a_stranger_cannot_guess_on_and_on() -> None:
    async with a_dialog() as dialog:
        for number in range(5):
            await dialog.says(f"/start guess-number-{number}", by=EVE)
        code = await code_of(dialog)
        assert "too many tries" in await dialog.reads(f"/start {code}", by=EVE)


async def test_an_invite_in_a_group_is_not_taken() -> None:
    async with a_dialog() as dialog:
        code = await code_of(dialog)
        assert await dialog.reads(f"/start {code}", by=EVE, chat=GROUP) == ""
        assert "Connected" in await dialog.reads(f"/start {code}", by=EVE)


async def test_an_invite_does_not_harm_who_is_allowed_already() -> None:
    async with a_dialog() as dialog:
        code = await code_of(dialog)
        assert "Connected" in await dialog.reads(f"/start {code}")
        assert "Connected" in await dialog.reads(f"/start {code}", by=EVE), "it is still good"


async def test_a_strangers_key_is_deleted_and_nothing_is_kept_of_it() -> None:
    async with a_dialog() as dialog:
        assert "I do not know you yet" in await dialog.reads(key(), by=EVE)
        assert dialog.screen.erased == ["m1"]


async def test_who_was_admitted_stays_so_after_a_restart(tmp_path: object) -> None:
    settings = Settings(database_url=f"sqlite+aiosqlite:///{tmp_path}/t.db")
    clock = VirtualClock(NOON)
    database = await Database.open(settings.database_url)
    code = await new_code(database.invites, clock)
    await database.close()
    for expected in (False, True):
        async with open_bot(settings, clock=clock, feed=ScriptedFeed(START)) as bot:
            assert bot.keys.admission.allows(EVE) is expected
            if not expected:
                await bot.keys.admission.redeem(EVE, code)
