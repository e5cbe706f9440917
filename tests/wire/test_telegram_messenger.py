"""The messenger over real HTTP: what is sent, what is edited, and what each refusal means."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from chatbot.chat import (
    Button,
    ChatRef,
    MessageRef,
    Picture,
    Platform,
    Reply,
    Request,
    RequestKind,
    Table,
    Text,
    UserRef,
)
from chatbot.errors import ChatUnreachable, DeliverLater, DeliveryError
from chatbot.platforms.telegram import TelegramClient, TelegramMessenger
from tests.pushing.mail import START
from tests.wire.bot_api import TOKEN, LoopbackBotApi

CHAT = ChatRef(Platform.TELEGRAM, "7")
CARD = Reply(
    (Text("**Lock +295.43** <now>"), Table(("long  1.0", "short 1.0"))),
    ((Button("Confirm", "q:go"),),),
    toast="ok",
)


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


@pytest.fixture
async def messenger(api: LoopbackBotApi) -> AsyncIterator[TelegramMessenger]:
    client = TelegramClient(api.token, api.url)
    await client.open()
    yield TelegramMessenger(client)
    await client.close_session()


def pixel(color: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(data, format="PNG")
    return data.getvalue()


RED, BLUE = pixel((200, 0, 0)), pixel((0, 0, 200))


def chart(png: bytes = RED, text: str = "**#3 ETH** <locked>") -> Reply:
    buttons = ((Button("Refresh", "e:chart"), Button("Status", "c:status")),)
    return Reply((Text(text),), buttons, picture=Picture(png, "a chart", ("⠉⠉",)))


def says(text: str) -> Reply:
    return Reply((Text(text),))


def click(query_id: str) -> Request:
    user = UserRef(Platform.TELEGRAM, "7")
    return Request(
        "telegram:1", RequestKind.CLICK, user, CHAT, "x", START, MessageRef(CHAT, "1"), ack=query_id
    )


async def test_a_card_is_sent_with_its_buttons(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    message_id = await messenger.deliver(CHAT, CARD, edits=None)
    (shown,) = api.chat_log(7)
    assert str(shown.id) == message_id
    assert shown.text == "Lock +295.43 <now>\nlong  1.0\nshort 1.0"
    assert shown.html == "<b>Lock +295.43</b> &lt;now&gt;\n<pre>long  1.0\nshort 1.0</pre>"
    assert shown.buttons == ((("Confirm", "q:go"),),)
    assert api.calls[-1].parameters["link_preview_options"] == '{"is_disabled":true}'


async def test_a_card_is_edited_in_place_and_loses_its_buttons(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    message_id = await messenger.deliver(CHAT, CARD, edits=None)
    assert await messenger.deliver(CHAT, says("done"), edits=message_id) == message_id
    (shown,) = api.chat_log(7)
    assert (shown.text, shown.buttons, shown.edits) == ("done", (), 1)


async def test_an_edit_that_changes_nothing_is_done(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    message_id = await messenger.deliver(CHAT, CARD, edits=None)
    assert await messenger.deliver(CHAT, CARD, edits=message_id) == message_id
    assert len(api.chat_log(7)) == 1


async def test_a_card_that_is_gone_or_frozen_is_sent_anew(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    assert await messenger.deliver(CHAT, says("first"), edits="4711") is not None
    message_id = await messenger.deliver(CHAT, says("second"), edits=None)
    assert message_id is not None
    api.frozen_messages.add((7, int(message_id)))
    assert await messenger.deliver(CHAT, says("third"), edits=message_id) not in {None, message_id}
    assert [shown.text for shown in api.chat_log(7)] == ["first", "second", "third"]


async def test_a_long_card_becomes_several_messages_with_the_buttons_under_the_last(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    reply = Reply((Text("a" * 4000), Text("b" * 4000)), ((Button("Go", "go"),),))
    message_id = await messenger.deliver(CHAT, reply, edits=None)
    first, second = api.chat_log(7)
    assert (first.labels, second.labels) == ([], ["Go"])
    assert message_id == str(second.id)


async def test_a_long_card_with_a_slot_stays_one_message(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    await messenger.deliver(CHAT, Reply((Text("a\n" * 4000),), slot="status:3"), edits=None)
    assert len(api.chat_log(7)) == 1


async def test_markup_that_telegram_refuses_is_sent_as_plain_text(
    api: LoopbackBotApi, messenger: TelegramMessenger, caplog: pytest.LogCaptureFixture
) -> None:
    api.refuse("sendMessage", 400, "Bad Request: can't parse entities: unsupported start tag")
    await messenger.deliver(CHAT, CARD, edits=None)
    (shown,) = api.chat_log(7)
    assert shown.html == "Lock +295.43 <now>\nlong  1.0\nshort 1.0"
    assert shown.labels == ["Confirm"]
    assert caplog.records[0].levelno == logging.ERROR


@pytest.mark.parametrize(
    "description", ["chat not found", "not enough rights to send text messages to the chat"]
)
async def test_a_chat_that_cannot_be_written_to_is_unreachable(
    api: LoopbackBotApi, messenger: TelegramMessenger, description: str
) -> None:
    api.refuse("sendMessage", 400, f"Bad Request: {description}")
    with pytest.raises(ChatUnreachable):
        await messenger.deliver(CHAT, CARD, edits=None)


@pytest.mark.parametrize("description", ["bot was blocked by the user", "bot was kicked from the group chat"])
async def test_a_chat_that_turned_us_out_is_unreachable(
    api: LoopbackBotApi, messenger: TelegramMessenger, description: str
) -> None:
    api.refuse("editMessageText", 403, f"Forbidden: {description}")
    with pytest.raises(ChatUnreachable, match=description):
        await messenger.deliver(CHAT, CARD, edits="5")


async def test_a_429_says_when_to_come_back(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    api.flood("sendMessage", 17)
    with pytest.raises(DeliverLater) as refusal:
        await messenger.deliver(CHAT, CARD, edits=None)
    assert refusal.value.retry_after == 17


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_trouble_at_telegram_is_for_later(
    api: LoopbackBotApi, messenger: TelegramMessenger, status: int
) -> None:
    api.refuse("sendMessage", status, "Bad Gateway")
    with pytest.raises(DeliverLater):
        await messenger.deliver(CHAT, CARD, edits=None)


async def test_a_lost_answer_is_for_later(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    api.lose_reply("sendMessage")
    with pytest.raises(DeliverLater):
        await messenger.deliver(CHAT, CARD, edits=None)
    assert len(api.chat_log(7)) == 1, "Telegram had it: sent again, it will be there twice"


async def test_a_dead_server_is_for_later(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    await api.stop()
    with pytest.raises(DeliverLater):
        await messenger.deliver(CHAT, CARD, edits=None)


async def test_a_refused_token_is_for_later_once_we_run(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    api.token = "another"
    with pytest.raises(DeliverLater):
        await messenger.deliver(CHAT, CARD, edits=None)


async def test_what_telegram_will_never_take_is_a_failed_delivery(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    api.refuse("sendMessage", 400, "Bad Request: something new")
    with pytest.raises(DeliveryError, match=r"[Ss]omething new") as refusal:
        await messenger.deliver(CHAT, CARD, edits=None)
    assert type(refusal.value) is DeliveryError


async def test_a_group_that_became_a_supergroup_is_followed(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    old = ChatRef(Platform.TELEGRAM, "-5", private=False)
    description = "Bad Request: group chat was upgraded to a supergroup chat"
    api.refuse("sendMessage", 400, description, chat=-5, migrate_to_chat_id=-1005)
    with pytest.raises(DeliverLater):
        await messenger.deliver(old, CARD, edits=None)
    await messenger.deliver(old, CARD, edits=None)
    assert len(api.chat_log(-1005)) == 1


async def test_a_tap_is_answered_with_its_toast(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    await messenger.deliver(CHAT, CARD, edits=None)
    query_id = api.user_taps(7, api.chat_log(7)[0].id, "Confirm")
    await messenger.acknowledge(click(query_id), "x" * 300)
    assert api.answers[query_id] == "x" * 199 + "…"


@pytest.mark.parametrize("toast", [None, "", "done"])
async def test_a_tap_that_is_too_old_is_no_failure(
    api: LoopbackBotApi, messenger: TelegramMessenger, toast: str | None
) -> None:
    await messenger.acknowledge(click("unknown"), toast)
    assert api.count("answerCallbackQuery") == 1


async def test_the_token_is_in_no_error_and_in_no_log(
    api: LoopbackBotApi, messenger: TelegramMessenger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    for status in (400, 403, 404, 429, 500, 502):
        api.refuse("sendMessage", status, "whatever")
        with pytest.raises(DeliveryError) as refusal:
            await messenger.deliver(CHAT, CARD, edits=None)
        said.append(repr(refusal.value))
    await api.stop()
    with pytest.raises(DeliveryError) as refusal:
        await messenger.deliver(CHAT, CARD, edits=None)
    said.append(repr(refusal.value))
    secret = TOKEN.partition(":")[2]
    assert not [text for text in (*said, caplog.text) if secret in text]


# --- pictures -----------------------------------------------------------------------------------


async def test_a_picture_is_sent_with_its_caption_and_buttons(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    message_id = await messenger.deliver(CHAT, chart(), edits=None)

    (shown,) = api.chat_log(7)
    assert str(shown.id) == message_id
    assert shown.photo == RED
    assert (shown.text, shown.html) == ("#3 ETH <locked>", "<b>#3 ETH</b> &lt;locked&gt;")
    assert shown.labels == ["Refresh", "Status"]


async def test_a_picture_is_replaced_in_place(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    message_id = await messenger.deliver(CHAT, chart(RED, "before"), edits=None)

    assert await messenger.deliver(CHAT, chart(BLUE, "**after**"), edits=message_id) == message_id

    (shown,) = api.chat_log(7)
    assert (shown.photo, shown.text, shown.html, shown.edits) == (BLUE, "after", "<b>after</b>", 1)
    assert shown.labels == ["Refresh", "Status"]


async def test_words_do_not_become_a_picture_where_the_server_does_not_know_how(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    words = await messenger.deliver(CHAT, CARD, edits=None)

    picture = await messenger.deliver(CHAT, chart(), edits=words)

    first, second = api.chat_log(7)
    assert (first.photo, first.edits) == (b"", 0)
    assert (str(second.id), second.photo) == (picture, RED)


async def test_words_become_a_picture_where_the_server_knows_how(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    api.takes_media_into_words = True
    words = await messenger.deliver(CHAT, CARD, edits=None)

    assert await messenger.deliver(CHAT, chart(), edits=words) == words
    assert api.chat_log(7)[0].photo == RED


async def test_a_picture_does_not_become_words_but_is_followed_by_them(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    picture = await messenger.deliver(CHAT, chart(), edits=None)

    await messenger.deliver(CHAT, says("too little history"), edits=picture)

    assert [(bool(m.photo), m.text) for m in api.chat_log(7)] == [
        (True, "#3 ETH <locked>"),
        (False, "too little history"),
    ]


async def test_a_deleted_picture_is_sent_anew(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    message_id = await messenger.deliver(CHAT, chart(), edits="99")

    assert message_id == str(api.chat_log(7)[0].id)
    assert [call.method for call in api.calls] == ["editMessageMedia", "sendPhoto"]


async def test_a_caption_that_is_too_long_is_cut_at_a_line(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    await messenger.deliver(CHAT, chart(text="\n".join(["**line** of words"] * 200)), edits=None)

    (shown,) = api.chat_log(7)
    *lines, notice = shown.text.split("\n")
    assert set(lines) == {"line of words"}
    assert notice.startswith("… (cut")
    assert 700 < len(shown.text) <= 1024


async def test_a_picture_needs_no_caption(api: LoopbackBotApi, messenger: TelegramMessenger) -> None:
    await messenger.deliver(CHAT, Reply(picture=Picture(RED, "a chart")), edits=None)

    assert api.chat_log(7)[0].text == ""


@pytest.mark.parametrize(
    "refusal",
    [
        "Bad Request: not enough rights to send photos to the chat",
        "Bad Request: CHAT_SEND_PHOTOS_FORBIDDEN",
        "Bad Request: IMAGE_PROCESS_FAILED",
    ],
)
async def test_where_no_picture_is_taken_the_caption_is_said(
    api: LoopbackBotApi, messenger: TelegramMessenger, refusal: str
) -> None:
    api.refuse("sendPhoto", 400, refusal)

    await messenger.deliver(CHAT, chart(), edits=None)

    (shown,) = api.chat_log(7)
    assert (shown.text, shown.photo) == ("#3 ETH <locked>", b"")
    assert shown.labels == ["Refresh", "Status"]


async def test_a_picture_waits_like_words_when_there_are_too_many(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    api.flood("sendPhoto", 9)

    with pytest.raises(DeliverLater) as later:
        await messenger.deliver(CHAT, chart(), edits=None)

    assert later.value.retry_after == 9


async def test_a_caption_whose_markup_is_refused_goes_out_plain(
    api: LoopbackBotApi, messenger: TelegramMessenger
) -> None:
    api.refuse("sendPhoto", 400, "Bad Request: can't parse entities: whatever")

    await messenger.deliver(CHAT, chart(), edits=None)

    assert api.chat_log(7)[0].html == "#3 ETH <locked>"
