"""Long polling with the real client: nothing lost, nothing twice, trouble waited out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest

from chatbot.chat import Reply, Request, Text
from chatbot.clock import VirtualClock
from chatbot.errors import SettingsError, StorageError
from chatbot.pushing.memory import MemoryMailbox
from chatbot.storage.database import open_database
from tests.pushing.mail import asleep, until
from tests.wire.bot_api import TOKEN, LoopbackBotApi
from tests.wire.telegram_rig import COMMANDS, Rig


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


async def test_a_conversation(api: LoopbackBotApi) -> None:
    async with Rig(api).running():
        api.user_says(7, "/status")
        card = await api.wait_for_message(7, "you said /status")
        query_id = api.user_taps(7, card.id, "Again")
        await api.wait_for_message(7, "you said again")
        await api.wait_for(lambda api: query_id in api.answers)
    assert api.answers[query_id] == "toast"


async def test_the_commands_are_announced_and_a_leftover_webhook_is_taken_down(api: LoopbackBotApi) -> None:
    api.webhook.url = "https://old.example"
    async with Rig(api).running():
        assert [(command["command"], command["description"]) for command in api.commands] == list(COMMANDS)
        api.user_says(7, "hello")
        await api.wait_for_message(7, "you said hello")


async def test_halves_of_surrogate_pairs_are_answered_and_can_be_stored(api: LoopbackBotApi) -> None:
    async with Rig(api).running() as rig:
        api.user_says(7, "/open \ud800 BTC")
        card = await api.wait_for_message(7, "you said /open ? BTC")
        api.user_taps(7, card.id, "c:\udc00:forged")
        await api.wait_for_message(7, "you said c:?:forged")
    assert rig.texts == ["/open ? BTC", "c:?:forged"]
    async with open_database("sqlite+aiosqlite://") as database:
        await database.mailbox.receive(rig.handled)
        assert list(await database.mailbox.unhandled()) == rig.handled


async def test_the_order_of_every_chat_is_kept(api: LoopbackBotApi) -> None:
    api.delay = 0.002
    async with Rig(api).running() as rig:
        for number in range(20):
            for chat in (1, 2, 3):
                api.user_says(chat, f"{number}")
        await api.wait_for(lambda api: api.count("sendMessage") == 60)
        await rig.outbox.idle()
    for chat in (1, 2, 3):
        assert [card.text for card in api.bot_messages(chat)] == [
            f"you said {number}" for number in range(20)
        ]


async def test_what_came_while_the_bot_was_away_is_served_at_the_start(api: LoopbackBotApi) -> None:
    for number in range(150):
        api.user_says(7, str(number))
    async with Rig(api).running() as rig:
        await api.wait_for(lambda _: len(rig.handled) == 150)
    assert rig.texts == [str(number) for number in range(150)]


async def test_updates_are_confirmed_after_they_are_stored_and_handled_once_across_a_restart(
    api: LoopbackBotApi,
) -> None:
    mailbox = MemoryMailbox()
    async with Rig(api, mailbox=mailbox).running() as first:
        api.user_says(7, "one")
        await api.wait_for_message(7, "one")
    api.user_says(7, "two")
    async with Rig(api, mailbox=mailbox).running() as second:
        await api.wait_for_message(7, "two")
        await api.wait_for(lambda api: api.confirmed_below == 1002)
    assert (first.texts, second.texts) == (["one"], ["two"])
    assert await mailbox.cursor("telegram") == 1002


async def test_an_update_that_cannot_be_read_is_passed_over(api: LoopbackBotApi) -> None:
    async with Rig(api).running() as rig:
        api.push({"message": {"text": "/no chat", "from": {"id": 1}}})
        api.push({"edited_message": {}})
        api.user_says(7, "fine")
        await api.wait_for_message(7, "fine")
    assert rig.texts == ["fine"]


async def test_a_refused_token_stops_the_start_with_the_setting_s_name(api: LoopbackBotApi) -> None:
    rig = Rig(api)
    api.token = "222:other"
    with pytest.raises(SettingsError, match="HEDGEROW_TELEGRAM__TOKEN") as refusal:
        await rig.platform.start()
    assert TOKEN.partition(":")[2] not in str(refusal.value)


def postponed(rig: Rig) -> bool:
    return any(row.tries for row in rig.mailbox.rows.values())


async def test_trouble_is_waited_out_longer_each_time(
    api: LoopbackBotApi, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    api.refuse("getUpdates", 502, "Bad Gateway", times=3)
    async with Rig(api, clock=clock).running() as rig:
        for pause in (1, 2, 4):
            await until(lambda: asleep(clock))
            await clock.advance(pause)
        api.user_says(7, "back again")
        await api.wait_for(lambda _: rig.texts == ["back again"])
    pauses = [vars(record)["again_in"] for record in caplog.records if record.levelno == logging.WARNING]
    assert pauses == [1, 2, 4]


async def test_a_second_poller_is_reported_once(
    api: LoopbackBotApi, caplog: pytest.LogCaptureFixture
) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    api.refuse("getUpdates", 409, "Conflict: terminated by other getUpdates request", times=3)
    async with Rig(api, clock=clock).running() as rig:
        for pause in (1, 2, 4):
            await until(lambda: asleep(clock))
            await clock.advance(pause)
        api.user_says(7, "alone again")
        await api.wait_for(lambda _: rig.texts == ["alone again"])
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "only one may run" in warnings[0]


async def test_a_start_without_telegram_goes_on_when_telegram_is_back(api: LoopbackBotApi) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    api.refuse("getMe", 502, "Bad Gateway", times=2)
    async with Rig(api, clock=clock).running() as rig:
        assert rig.platform.username == ""
        await until(lambda: asleep(clock))
        await clock.advance(1)
        api.user_says(7, "hello")
        await api.wait_for(lambda _: rig.texts == ["hello"])
    assert rig.platform.username == "LoopbackBot"


class ShakyMailbox(MemoryMailbox):
    """Its first write fails."""

    failures = 1

    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageError("locked")
        await super().receive(requests, cursor=cursor)


async def test_what_could_not_be_stored_is_fetched_again(api: LoopbackBotApi) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with Rig(api, clock=clock, mailbox=ShakyMailbox()).running() as rig:
        api.user_says(7, "hello")
        await until(lambda: asleep(clock))
        assert api.confirmed_below == 0
        await clock.advance(1)
        await api.wait_for(lambda _: rig.texts == ["hello"])


async def test_ids_that_begin_anew_are_followed_and_do_not_spin(api: LoopbackBotApi) -> None:
    mailbox = MemoryMailbox()
    await mailbox.receive([], cursor=("telegram", 592_000_000))
    async with Rig(api, mailbox=mailbox).running() as rig:
        api.user_says(7, "one")
        await api.wait_for_message(7, "one")
        api.user_says(7, "two")
        await api.wait_for_message(7, "two")
        await api.wait_for(lambda api: api.confirmed_below == 1002)
    assert rig.texts == ["one", "two"]
    assert api.count("getUpdates") <= 4


async def test_a_429_holds_its_chat_only(api: LoopbackBotApi) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    api.flood("sendMessage", 3, chat=1)
    async with Rig(api, clock=clock).running() as rig:
        for text in ("a", "b"):
            api.user_says(1, text)
            api.user_says(2, text)
        await api.wait_for_message(2, "you said b")
        await until(lambda: postponed(rig))
        await clock.advance(2.9)
        assert api.bot_messages(1) == []
        await clock.advance(0.2)
        await api.wait_for_message(1, "you said b")
    assert [message.text for message in api.bot_messages(1)] == ["you said a", "you said b"]


async def test_an_edit_whose_answer_was_lost_is_made_again_and_changes_nothing(api: LoopbackBotApi) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))

    async def tick(request: Request) -> Sequence[Reply]:
        return (Reply((Text(f"card {request.text}"),), slot="card"),)

    async with Rig(api, clock=clock, handler=tick).running() as rig:
        api.user_says(7, "1")
        await api.wait_for_message(7, "card 1")
        api.lose_reply("editMessageText")
        api.user_says(7, "2")
        await until(lambda: postponed(rig))
        await clock.advance(1)
        await rig.outbox.idle()
    assert api.count("editMessageText") == 2
    assert [(card.text, card.edits) for card in api.bot_messages(7)] == [("card 2", 1)]


async def test_a_slow_chat_does_not_hold_up_another(api: LoopbackBotApi) -> None:
    gate = asyncio.Event()

    async def slow_in_chat_1(request: Request) -> Sequence[Reply]:
        if request.chat.id == "1":
            await gate.wait()
        return (Reply((Text(f"done {request.text}"),)),)

    async with Rig(api, handler=slow_in_chat_1).running():
        api.user_says(1, "first")
        api.user_says(2, "second")
        await api.wait_for_message(2, "done second")
        assert api.bot_messages(1) == []
        gate.set()
        await api.wait_for_message(1, "done first")


async def test_the_token_and_what_users_write_are_in_no_log(
    api: LoopbackBotApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Rig(api).running():
        api.user_says(7, "my secret words")
        await api.wait_for_message(7, "my secret words")
        api.flood("sendMessage", 1, chat=8)
        api.user_says(8, "more")
        await api.wait_for(lambda api: api.count("sendMessage") == 2)
    assert caplog.records
    assert TOKEN.partition(":")[2] not in caplog.text
    assert "my secret words" not in caplog.text
