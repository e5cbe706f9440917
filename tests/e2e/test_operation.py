"""A real process and its operator: probes by HTTP, a service manager's socket, a chat that is told."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.market import still_market
from tests.e2e.program import Running, free_port, hedgerow, on_paper, on_telegram, running
from tests.wire.bot_api import LoopbackBotApi

pytestmark = pytest.mark.slow

OWNER, OPERATOR = 7, 4242
SERVING = "probes and metrics at http://127.0.0.1:"


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return still_market(tmp_path / "market.csv")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        door.setblocking(False)
        yield door


async def next_word(manager: socket.socket) -> str:
    async with asyncio.timeout(20):
        return (await asyncio.get_running_loop().sock_recv(manager, 256)).decode()


def where(bot: Running) -> str:
    (port,) = re.findall(rf"{SERVING}(\d+)", bot.log)
    return f"http://127.0.0.1:{port}"


async def test_a_bot_on_telegram_tells_its_service_manager_and_answers_probes(
    tmp_path: Path, market: Path, manager: socket.socket
) -> None:
    async with LoopbackBotApi() as api:
        settings = on_paper(tmp_path, market, OPS__PORT="0", LOG__FORMAT="json")
        settings |= on_telegram(api, [OWNER])
        settings |= {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "3000000"}
        async with running(settings, tmp_path) as bot, aiohttp.ClientSession() as http:
            assert await next_word(manager) == "READY=1"
            await bot.ready()
            api.user_says(OWNER, "/start")
            await api.wait_for_message(OWNER, "paper account", timeout=20)
            assert [await next_word(manager), await next_word(manager)] == ["WATCHDOG=1"] * 2
            async with http.get(f"{where(bot)}/livez") as answer:
                assert answer.status == 200
            async with http.get(f"{where(bot)}/readyz") as answer:
                assert (answer.status, (await answer.json())["platform"]) == (
                    200,
                    {"ok": True, "name": "telegram"},
                )
            async with http.get(f"{where(bot)}/metrics") as answer:
                figures = await answer.text()
            assert await bot.stop() == 0
            words = [await next_word(manager)]
            while words[-1] == "WATCHDOG=1":
                words.append(await next_word(manager))
            log = [json.loads(line) for line in bot.log.splitlines()]
    assert words[-1] == "STOPPING=1"
    assert "hedgerow_updates_handled_total 1.0" in figures
    assert 'hedgerow_deliveries_total{outcome="delivered",platform="telegram"}' in figures
    assert str(OWNER) not in re.findall(r'"([^"]*)"', figures)
    assert all(line["level"] == "INFO" for line in log)


async def test_a_bot_in_the_terminal_answers_probes_too_and_only_where_it_was_told(
    tmp_path: Path, market: Path
) -> None:
    port = free_port()
    async with running(on_paper(tmp_path, market, OPS__PORT=str(port)), tmp_path) as bot:
        await bot.ready(f"{SERVING}{port}")
        async with aiohttp.ClientSession() as http, http.get(f"{where(bot)}/livez") as answer:
            assert answer.status == 200
        listening = Path("/proc/net/tcp").read_text(encoding="ascii")
        await bot.says("quit")
    assert f"0100007F:{port:04X} 00000000:0000 0A" in listening, "on loopback"
    assert f"00000000:{port:04X}" not in listening


async def test_the_operators_chat_is_told_what_is_wrong_by_the_running_bot(
    tmp_path: Path, market: Path
) -> None:
    """A message to a platform that does not run waits for more than a minute, as far as the rows can tell."""
    async with LoopbackBotApi() as api:
        settings = on_paper(tmp_path, market) | on_telegram(api, [OWNER])
        settings["HEDGEROW_OPERATOR_CHAT"] = f"telegram:{OPERATOR}"
        await hedgerow("run", settings=on_paper(tmp_path, market), folder=tmp_path, typed="quit\n")
        owe_since_yesterday(tmp_path / "hedgerow.db")
        async with running(settings, tmp_path) as bot:
            await bot.ready()
            await api.wait_for_message(OPERATOR, "1 alert among them", timeout=30)


def owe_since_yesterday(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO outbox"
            " (dedupe_key, chat, private, reply, priority, not_before, state, tries, reason)"
            " VALUES ('x', 'discord:1', 1, '{}', 0, '2020-01-01T00:00:00.000000+00:00', 'pending', 0, '')"
        )
    connection.close()


async def test_check_shows_who_is_told_and_refuses_a_chat_of_another_form(
    tmp_path: Path, market: Path
) -> None:
    async with LoopbackBotApi() as api:
        settings = on_paper(tmp_path, market, OPS__PORT="9464") | on_telegram(api, [OWNER])
        named = settings | {"HEDGEROW_OPERATOR_CHAT": f"telegram:{OPERATOR}"}
        fine = await hedgerow("check", settings=named, folder=tmp_path)
        wrong = settings | {"HEDGEROW_OPERATOR_CHAT": "@me"}
        refused = await hedgerow("check", settings=wrong, folder=tmp_path)
    assert fine.code == 0, fine.out
    assert f"operator   telegram:{OPERATOR} is told of faults" in fine.out
    assert "ops        probes and metrics on 127.0.0.1:9464" in fine.out
    assert refused.code == 2
    assert refused.err.startswith("HEDGEROW_OPERATOR_CHAT: should be telegram:NUMBER")
