"""The webhook: only Telegram gets in, and hears yes only after the update is safe."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest

from chatbot.chat import Request
from chatbot.errors import SettingsError, StorageError
from chatbot.platforms.telegram import Webhook
from chatbot.pushing.memory import MemoryMailbox
from tests.wire.bot_api import SECRET_HEADER, LoopbackBotApi
from tests.wire.telegram_rig import Rig

SECRET = "correct-horse-battery-staple"


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def webhook() -> Webhook:
    port = free_port()
    return Webhook(url=f"http://127.0.0.1:{port}/telegram", secret=SECRET, port=port)


def update(number: int, text: str = "/status") -> dict[str, Any]:
    ann = {"id": 7, "is_bot": False, "first_name": "Ann"}
    chat = {"id": 7, "type": "private"}
    return {
        "update_id": number,
        "message": {"message_id": number, "from": ann, "chat": chat, "date": 1, "text": text},
    }


async def post(
    session: aiohttp.ClientSession,
    rig: Rig,
    body: bytes,
    *,
    secret: str | None = SECRET,
    path: str | None = None,
) -> int:
    assert rig.webhook is not None
    headers = {} if secret is None else {SECRET_HEADER: secret}
    url = rig.webhook.url if path is None else f"http://127.0.0.1:{rig.webhook.port}{path}"
    async with session.post(url, data=io.BytesIO(body), headers=headers) as response:
        assert await response.text() in {"", "404: Not Found"} or response.status == 413
        return response.status


async def test_a_conversation(api: LoopbackBotApi) -> None:
    async with Rig(api, webhook=webhook()).running():
        assert api.webhook.secret == SECRET
        api.user_says(7, "hello")
        card = await api.wait_for_message(7, "you said hello")
        api.user_taps(7, card.id, "Again")
        await api.wait_for_message(7, "you said again")
    assert api.count("getUpdates") == 0


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], "ünïcödé"])
async def test_without_the_secret_nobody_gets_in(
    api: LoopbackBotApi, session: aiohttp.ClientSession, secret: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with Rig(api, webhook=webhook()).running() as rig:
        assert await post(session, rig, json.dumps(update(1)).encode(), secret=secret) == 403
        await rig.inbox.idle()
    assert rig.handled == []
    assert SECRET[:-1] not in caplog.text


async def test_the_right_secret_gets_in_whatever_the_content_type(
    api: LoopbackBotApi, session: aiohttp.ClientSession
) -> None:
    async with Rig(api, webhook=webhook()).running() as rig:
        assert rig.webhook is not None
        headers = {SECRET_HEADER: SECRET, "Content-Type": "application/json; charset=utf-8"}
        async with session.post(rig.webhook.url, data=json.dumps(update(1)), headers=headers) as response:
            assert response.status == 200
        await rig.inbox.idle()
    assert rig.texts == ["/status"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b"7", b"{}", b'{"update_id": "x"}'])
async def test_what_is_no_update_is_refused(
    api: LoopbackBotApi, session: aiohttp.ClientSession, body: bytes
) -> None:
    async with Rig(api, webhook=webhook()).running() as rig:
        assert await post(session, rig, body) == 400
        assert await post(session, rig, json.dumps(update(1)).encode()) == 200


async def test_a_body_of_two_megabytes_and_another_path_are_refused(
    api: LoopbackBotApi, session: aiohttp.ClientSession
) -> None:
    async with Rig(api, webhook=webhook()).running() as rig:
        assert await post(session, rig, b" " * 2_000_000) == 413
        assert await post(session, rig, b"{}", path="/") == 404


async def test_an_update_delivered_twice_is_handled_once(
    api: LoopbackBotApi, session: aiohttp.ClientSession
) -> None:
    mailbox = MemoryMailbox()
    body = json.dumps(update(5)).encode()
    async with Rig(api, webhook=webhook(), mailbox=mailbox).running() as first:
        assert await post(session, first, body) == 200
        assert await post(session, first, body) == 200
        await first.inbox.idle()
    async with Rig(api, webhook=webhook(), mailbox=mailbox).running() as second:
        assert await post(session, second, body) == 200
        assert await post(session, second, json.dumps(update(4, "older")).encode()) == 200
        await second.inbox.idle()
    assert (first.texts, second.texts) == (["/status"], ["older"])


async def test_updates_that_come_together_are_all_taken(
    api: LoopbackBotApi, session: aiohttp.ClientSession
) -> None:
    async with Rig(api, webhook=webhook()).running() as rig:
        bodies = [json.dumps(update(number, str(number))).encode() for number in range(1, 41)]
        statuses = await asyncio.gather(*(post(session, rig, body) for body in bodies))
        await rig.inbox.idle()
    assert statuses == [200] * 40
    assert sorted(rig.texts, key=int) == [str(number) for number in range(1, 41)]


class LockedMailbox(MemoryMailbox):
    async def receive(self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None) -> None:
        raise StorageError("locked")


async def test_telegram_hears_no_yes_before_the_update_is_stored(
    api: LoopbackBotApi, session: aiohttp.ClientSession
) -> None:
    async with Rig(api, webhook=webhook(), mailbox=LockedMailbox()).running() as rig:
        assert await post(session, rig, json.dumps(update(1)).encode()) == 503


async def test_a_port_that_is_taken_stops_the_start_with_the_setting_s_name(api: LoopbackBotApi) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        rig = Rig(api, webhook=Webhook("https://bot.example/telegram", SECRET, port=port))
        with pytest.raises(SettingsError, match="HEDGEROW_HTTP__PORT"):
            await rig.platform.start()
        await rig.platform.stop()


def test_the_secret_is_not_in_the_words_of_the_setting() -> None:
    assert SECRET not in repr(webhook())
