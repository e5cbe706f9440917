"""The whole program on PostgreSQL: the life of a hedge with the bot killed in it, and commands beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.market import still_market
from tests.e2e.phone import Phone
from tests.e2e.program import hedgerow, on_paper, on_telegram, running
from tests.e2e.stage import HEDGING, OPENING
from tests.postgres.server import SUPERUSER
from tests.wire.bot_api import LoopbackBotApi

USER = 7
PASSWORD = "canary-password"

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path, postgres_url: str) -> dict[str, str]:
    """With a password, which this server does not ask for."""
    url = postgres_url.replace(f"{SUPERUSER}@", f"{SUPERUSER}:{PASSWORD}@")
    return on_paper(tmp_path, still_market(tmp_path / "market.csv"), DATABASE_URL=url, LOG__LEVEL="DEBUG")


async def test_a_hedge_outlives_the_bot(tmp_path: Path, settings: dict[str, str]) -> None:
    async with LoopbackBotApi() as api:
        settings |= on_telegram(api, [USER])
        phone = Phone(api, USER)
        async with running(settings, tmp_path) as bot:
            await bot.ready()
            await phone.chooses(await phone.asks(OPENING, "Long 0.05 BTC"), "Confirm", "#1 BTC is open")
            refused = await hedgerow("rotate-key", settings=settings, folder=tmp_path)
            assert refused.code != 0  # the keys are in use
            phone.says(HEDGING)
            await bot.kill()
        async with running(settings, tmp_path) as bot:
            await bot.ready()
            offer = await phone.finds(lambda message: "Confirm" in message.labels, "an offer")
            await phone.chooses(offer, "Confirm", "#1 BTC is hedged")
            closing = await phone.asks("/close #1", "Close #1 BTC")
            await phone.chooses(closing, "Offset first", "#1 BTC closed")
            await phone.asks("/status", "Nothing is open")
            assert await bot.stop() == 0
            assert PASSWORD not in bot.log
        assert PASSWORD not in refused.out + refused.err
    assert not list(tmp_path.glob("hedgerow*.db"))
    assert list(tmp_path.glob("hedgerow-paper.d/*.db"))


async def test_commands_work_beside_the_bot_and_say_where_the_books_are(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    checked = await hedgerow("check", settings=settings, folder=tmp_path)
    assert checked.code == 0, checked.out
    assert re.search(r"^database   fine: postgresql\+asyncpg://postgres@/t_\w+$", checked.out, re.MULTILINE)
    async with LoopbackBotApi() as api, running(settings | on_telegram(api, [USER]), tmp_path) as bot:
        await bot.ready()
        invited = await hedgerow("invite", settings=settings, folder=tmp_path)
    assert re.search(r"/start \S{20}$", invited.out, re.MULTILINE)
    for command in (["rotate-key"], ["forget-keys", "--yes"]):
        done = await hedgerow(*command, settings=settings, folder=tmp_path)
        assert done.code == 0, done.err
        assert PASSWORD not in done.out + done.err


async def test_a_server_that_is_not_there_is_one_sentence(tmp_path: Path, settings: dict[str, str]) -> None:
    settings["HEDGEROW_DATABASE_URL"] = f"postgresql+asyncpg://bot:{PASSWORD}@127.0.0.1:1/hedgerow"
    finished = await hedgerow("run", settings=settings, folder=tmp_path)
    assert finished.code == 1
    assert "the database hedgerow on 127.0.0.1:1 cannot be reached" in finished.err
    assert "Traceback" not in finished.err
    assert PASSWORD not in finished.out + finished.err
