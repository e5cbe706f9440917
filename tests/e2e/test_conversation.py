"""The whole main job as a user reads it: the real program, Telegram's own protocol, a market that moves."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.books import Books
from tests.e2e.nursery import Nursery
from tests.e2e.phone import Phone, at_rest
from tests.e2e.program import on_paper, on_telegram, running
from tests.e2e.story import SPEED, USER, locks_a_profit, moving_market
from tests.e2e.transcript import tell
from tests.wire.bot_api import LoopbackBotApi

pytestmark = pytest.mark.slow


def amount(pattern: str, text: str) -> Decimal:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern!r} is not in:\n{text}"
    return Decimal(found[1].replace(",", ""))


async def test_a_profit_is_locked_warned_about_and_closed_offset_first(tmp_path: Path) -> None:
    settings = on_paper(tmp_path, moving_market(tmp_path), PAPER__SPEED=SPEED)
    async with LoopbackBotApi() as api, running(settings | on_telegram(api, [USER]), tmp_path) as bot:
        await bot.ready()
        phone = Phone(api, USER)
        warning, promised, locked = await locks_a_profit(phone)
        assert amount(r"~\+([\d.,]+) USDT locked", locked) == pytest.approx(
            amount(r"Lock ~\+([\d.,]+) USDT", promised), abs=2
        )
        ways = await phone.chooses(warning, "Close…", "Close #1 BTC")
        assert {"Offset first", "Both at once", "Only the offset", "Cancel"} <= set(ways.labels)
        done = await phone.chooses(ways, "Offset first", "#1 BTC closed")
        await at_rest(phone, tmp_path)
        assert await bot.stop() == 0
    books = Books(tmp_path)
    assert books.complaints() == []
    assert books.venue_legs() == {}
    (wallet,) = books.wallets().values()
    told = amount(r"closed: \+([\d.,]+) USDT", done.text)
    assert told == (wallet - 10_000).quantize(Decimal("0.01")), "what is told is what the wallet gained"
    closes = books.venue("SELECT position_side, side FROM fills ORDER BY number")
    ways_out = [row for row in dict.fromkeys(closes) if row in {("short", "buy"), ("long", "sell")}]
    assert ways_out == [("short", "buy"), ("long", "sell")], "the offset leg went first"
    assert "ERROR" not in bot.log
    assert api.token not in bot.log


@pytest.mark.asyncio(loop_scope="session")
async def test_the_transcript_is_of_a_bot_that_died_between_the_legs_and_finished_the_close(
    nursery: Nursery, tmp_path: Path
) -> None:
    out = io.StringIO()
    await tell(out, nursery, tmp_path, hurry=2)
    text = out.getvalue()
    cut = text.index("kill -9")
    assert text.index("you | [Offset first]") < cut < text.index("#1 BTC closed")
    assert "lock it?" not in text[cut:], "a leg that is being closed is nothing to hedge"
    assert text.endswith("proof: ledger equals venue, no order traded twice, nothing left open\n")
