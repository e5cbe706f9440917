"""The webhook of the real program: whoever knows the secret is heard, nobody else."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.market import still_market
from tests.e2e.phone import Phone, quiet
from tests.e2e.program import free_port, hedgerow, on_paper, on_telegram, running
from tests.wire.bot_api import SECRET_HEADER, LoopbackBotApi

USER = 7
SECRET = "a-secret-of-at-least-sixteen"

pytestmark = pytest.mark.slow


def update(number: int, text: str) -> dict[str, Any]:
    sender = {"id": USER, "is_bot": False, "first_name": "Ann"}
    chat = {"id": USER, "type": "private", "first_name": "Ann"}
    message = {"message_id": number, "from": sender, "chat": chat, "date": 1_780_000_000, "text": text}
    return {"update_id": number, "message": message}


async def post(port: int, secret: str | None, body: dict[str, Any]) -> int:
    headers = {} if secret is None else {SECRET_HEADER: secret}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/telegram", json=body, headers=headers) as response,
    ):
        return response.status


def with_webhook(api: LoopbackBotApi, folder: Path, port: int) -> dict[str, str]:
    paper = on_paper(
        folder,
        still_market(folder / "market.csv"),
        TELEGRAM__WEBHOOK_URL="https://bot.example.com/telegram",
        TELEGRAM__WEBHOOK_SECRET=SECRET,
        HTTP__PORT=str(port),
    )
    return paper | on_telegram(api, [USER])


async def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        async with LoopbackBotApi() as api:
            finished = await hedgerow("run", settings=with_webhook(api, tmp_path, port), folder=tmp_path)
    assert finished.code == 2
    assert finished.err.splitlines()[-1].startswith(f"HEDGEROW_HTTP__PORT: cannot listen on 127.0.0.1:{port}")
    assert "Unclosed" not in finished.err
    assert "Traceback" not in finished.err


async def test_the_webhook_hears_only_who_knows_the_secret(tmp_path: Path) -> None:
    port = free_port()
    async with LoopbackBotApi() as api:
        settings = with_webhook(api, tmp_path, port)
        phone = Phone(api, USER)
        async with running(settings, tmp_path) as bot:
            await bot.ready()
            assert api.webhook.url == "https://bot.example.com/telegram"
            assert api.webhook.secret == SECRET

            assert await post(port, None, update(1, "/start")) == 403
            assert await post(port, SECRET[:-1], update(2, "/start")) == 403
            assert await quiet(phone, 0.3) == []

            assert await post(port, SECRET, update(3, "/start")) == 200
            await phone.reads("Hedgerow")
            assert await post(port, SECRET, update(3, "/start")) == 200
            assert await quiet(phone, 0.3) == [], "the same update a second time is not answered again"

            await bot.kill()
        async with running(settings, tmp_path) as bot:
            await bot.ready()
            assert await post(port, SECRET, update(4, "/status")) == 200
            await phone.reads("Nothing is open")
            assert await bot.stop() == 0
        assert SECRET not in bot.log
        assert api.count("getUpdates") == 0
