"""Keys on Telegram: deleted before anything is stored, and nowhere to be found afterwards."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import aiohttp
import pytest

from chatbot.app import Bot, open_bot, telegram_platform
from chatbot.log import LogFormat, LogLevel, configure_logging
from chatbot.settings import Settings
from tests.exchanges import ScriptedExchanges, key
from tests.wire.bot_api import Call, LoopbackBotApi
from tests.wire.test_connect_page import SECRET

ANN = 7
GROUP = -100
PASSPHRASE = "canary-passphrase"
OKX_KEY, OKX_SECRET = "9a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "3F9AD1C07BE24586A0C1E2D3F4051627"


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


@dataclass
class Live:
    bot: Bot
    api: LoopbackBotApi
    exchanges: ScriptedExchanges
    port: int | None

    async def says(self, text: str, answer: str, *, chat: int = ANN) -> None:
        self.api.user_says(chat, text, user=ANN)
        await self.api.wait_for_message(chat, answer)


@asynccontextmanager
async def live(
    api: LoopbackBotApi,
    folder: Path,
    *,
    telegram: Mapping[str, object] = MappingProxyType({}),
    **http: object,
) -> AsyncIterator[Live]:
    settings = Settings.model_validate(
        {
            "database_url": f"sqlite+aiosqlite:///{folder}/t.db",
            "telegram": {"token": api.token, "api_url": api.url, **telegram},
            "allowed_users": f"telegram:{ANN}",
            "http": {"port": 0, **http},
        }
    )
    exchanges = ScriptedExchanges()
    async with open_bot(settings, exchanges=exchanges) as bot:
        platform = telegram_platform(bot)
        bot.speak_through(platform.messenger)
        await bot.start()
        await platform.start()
        tasks = [asyncio.create_task(bot.outbox.run()), asyncio.create_task(platform.run())]
        try:
            yield Live(bot, api, exchanges, platform.http_port)
        finally:
            await platform.stop_intake()
            await bot.inbox.stop(drain_seconds=2)
            await bot.outbox.stop(drain_seconds=2)
            await platform.stop()
            await asyncio.gather(*tasks)


def everything_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def requests_stored(folder: Path) -> int:
    connection = sqlite3.connect(folder / "t.db")
    (count,) = connection.execute("SELECT count(*) FROM inbox").fetchone()
    connection.close()
    return int(count)


async def test_a_part_of_a_key_is_deleted_before_it_could_be_stored(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    async with live(api, tmp_path) as chat:
        await chat.says("/connect binance", "Now send the API key")
        stored: list[int] = []
        original = api._delete_message

        async def at_deletion(parameters: dict[str, object]) -> bool:
            stored.append(requests_stored(tmp_path))
            return await original(parameters)

        api._delete_message = at_deletion  # type: ignore[method-assign, assignment]
        await chat.says(key(), "Now the secret")

        assert stored == [1], "only the command was in the inbox when the key was deleted"
        assert key() not in [message.text for message in api.chat_log(ANN)]


@pytest.mark.parametrize("level", [LogLevel.DEBUG])
async def test_no_secret_is_left_anywhere(api: LoopbackBotApi, tmp_path: Path, level: LogLevel) -> None:
    log = io.StringIO()
    before = list(logging.getLogger().handlers), logging.getLogger().level
    configure_logging(LogFormat.JSON, level, stream=log)
    try:
        async with live(api, tmp_path, public_url="https://bot.example.com") as chat:
            await every_way_in(chat)
            secrets = [key(), key("w"), SECRET, OKX_KEY, OKX_SECRET, PASSPHRASE]
            while_running = everything_on_disk(tmp_path)
            audit = audit_of(tmp_path)
        said = json.dumps([dict(call.parameters) for call in api.calls if call.method != "getUpdates"])
        for secret in secrets:
            assert secret.encode() not in while_running
            assert secret.encode() not in everything_on_disk(tmp_path)
            assert secret not in log.getvalue()
            assert secret not in said
            assert secret not in audit
        assert '"connect"' in audit
        assert '"connect_refused"' in audit
        assert "chatbot" in log.getvalue(), "the log was written"
    finally:
        logging.basicConfig(level=before[1], handlers=before[0], force=True)


async def every_way_in(chat: Live) -> None:
    chat.exchanges.knows(OKX_KEY)
    chat.exchanges.knows(key("w"))
    await chat.says("/connect okx here", "Now send the API key")
    await chat.says(OKX_KEY, "Now the secret")
    await chat.says(OKX_SECRET, "passphrase of the key")
    await chat.says(PASSPHRASE, "okx is connected")
    await chat.says("/connect binance here", "Connect binance")
    await chat.says(f"{key()} {SECRET}", "does not accept this key")
    await chat.says(f"oh, {key()}", "That looked like a key")
    chat.api.user_says(GROUP, f"look: {key()}", user=ANN)
    await chat.api.wait_for_message(GROUP, "That looked like a key")
    await through_the_page(chat)
    user = (await chat.bot.store.users())[0]
    await chat.bot.keys.connecting.disconnect(user, "okx")


async def through_the_page(chat: Live) -> None:
    await chat.says("/connect binance", "on my own page")
    card = chat.api.bot_messages(ANN)[-1]
    path = card.data_of("Open it in the browser").removeprefix("https://bot.example.com")
    form = {"api_key": key("w"), "api_secret": SECRET}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{chat.port}{path}", data=form) as answer,
    ):
        assert answer.status == 200
        assert "Connected" in await answer.text()
    await chat.api.wait_for_message(ANN, "binance is connected")


def audit_of(folder: Path) -> str:
    connection = sqlite3.connect(folder / "t.db")
    rows = connection.execute("SELECT action, detail FROM audit").fetchall()
    connection.close()
    return json.dumps(rows)


async def test_a_message_that_telegram_does_not_delete_is_left_to_its_author(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    async with live(api, tmp_path) as chat:
        await chat.says("/connect binance", "Now send the API key")
        api.refuse("deleteMessage", 400, "Bad Request: message can't be deleted")
        await chat.says(key(), "please delete it yourself")
        assert key().encode() not in everything_on_disk(tmp_path)


@pytest.mark.parametrize("method", ["deleteMessage"])
async def test_a_message_that_is_gone_already_counts_as_deleted(
    api: LoopbackBotApi, tmp_path: Path, method: str
) -> None:
    async with live(api, tmp_path) as chat:
        await chat.says("/connect binance", "Now send the API key")
        api.refuse(method, 400, "Bad Request: message to delete not found")
        await chat.says(key(), "Now the secret")
        assert "yourself" not in api.bot_messages(ANN)[-1].text


async def test_after_a_restart_the_rest_of_an_entry_is_still_kept_from_the_record(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    async with live(api, tmp_path) as chat:
        chat.exchanges.knows(OKX_KEY)
        await chat.says("/connect okx", "Now send the API key")
        await chat.says(OKX_KEY, "Now the secret")
    async with live(api, tmp_path) as chat:
        await chat.says("short-secret", "started anew")
        assert api.count("deleteMessage") == 2
        assert b"short-secret" not in everything_on_disk(tmp_path)
        await chat.says("hello", "I listen to commands")


async def test_the_buttons_to_the_page_open_it_within_telegram_and_outside(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    async with live(api, tmp_path, public_url="https://bot.example.com") as chat:
        await chat.says("/connect binance", "on my own page")
        markup = json.loads(str(last(api, "sendMessage").parameters["reply_markup"]))
        (app,), (link,), (here,) = markup["inline_keyboard"]
        assert app["web_app"]["url"].startswith("https://bot.example.com/connect/")
        assert link["url"].startswith("https://bot.example.com/connect/")
        assert app["web_app"]["url"] != link["url"]
        assert here["callback_data"].endswith("/connect binance here")


async def test_the_webhook_and_the_page_share_one_port(api: LoopbackBotApi, tmp_path: Path) -> None:
    hook = {"webhook_url": "https://bot.example.com/telegram", "webhook_secret": "correct-horse-battery"}
    async with live(api, tmp_path, telegram=hook) as chat:
        here = f"http://127.0.0.1:{chat.port}"
        api.webhook.url = f"{here}/telegram"
        await chat.says("/connect binance", "on my own page")
        path = api.bot_messages(ANN)[-1].data_of("Open it in the browser")
        async with aiohttp.ClientSession() as session:
            async with session.get(path.replace("https://bot.example.com", here)) as page:
                assert (page.status, "Connect Binance" in await page.text()) == (200, True)
            async with session.post(f"{here}/telegram", json={"update_id": 1}) as forged:
                assert forged.status == 403


def last(api: LoopbackBotApi, method: str) -> Call:
    return [call for call in api.calls if call.method == method][-1]
