"""What a restart keeps: offers, what was told, the market's time, and the books whoever looks into them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.books import Books
from tests.e2e.market import Stretch, still_market, write_market
from tests.e2e.phone import Phone, at_rest, quiet
from tests.e2e.program import on_paper, on_telegram, running
from tests.e2e.stage import CLOSE, HEDGING, OPENING, Stage
from tests.wire.bot_api import LoopbackBotApi

USER = 7

pytestmark = pytest.mark.slow


@pytest.fixture
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


async def test_an_offer_outlives_the_bot_that_made_it_and_works_once(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    settings = on_paper(tmp_path, still_market(tmp_path / "market.csv")) | on_telegram(api, [USER])
    phone = Phone(api, USER)
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        offer = await phone.asks(OPENING, "Long 0.05 BTC")
        confirm = offer.data_of("Confirm")
        menu = await phone.asks("/start", "Hedgerow")
        await bot.kill()
    phone.taps(offer, "Confirm")
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        opened = await phone.reads("#1 BTC is open")
        assert opened.id == offer.id
        tap = phone.taps_data(opened, confirm)
        assert "Nothing was sent" in await phone.toast(tap)
        await phone.chooses(menu, "Help", "What I can do")
        await at_rest(phone, tmp_path)
        assert await bot.stop() == 0
    assert Books(tmp_path).complaints() == []


async def test_an_offer_that_ran_out_while_the_bot_was_away_sends_nothing(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    market = still_market(tmp_path / "market.csv")
    settings = on_paper(tmp_path, market, QUOTE__LIFETIME_SECONDS="1") | on_telegram(api, [USER])
    phone = Phone(api, USER)
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        offer = await phone.asks(OPENING, "Long 0.05 BTC")
        await bot.kill()
    async with running(settings, tmp_path) as bot:  # starting takes about as long as the offer is good for
        await bot.ready()
        await quiet(phone, 1.0)
        tap = phone.taps(offer, "Confirm")
        assert "expired" in await phone.toast(tap)
        assert await bot.stop() == 0
    assert Books(tmp_path).orders() == {}


async def test_a_warning_is_not_repeated_and_the_market_goes_on_where_it_stood(
    api: LoopbackBotApi, tmp_path: Path
) -> None:
    calm, near = Decimal(100_000), Decimal(93_000)
    stretches = [Stretch(100, calm), Stretch(10, near), Stretch(2_000, near)]
    market = write_market(tmp_path / "market.csv", calm, stretches, settle_every=480, rate="0.0001")
    settings = on_paper(tmp_path, market, PAPER__SPEED="1800") | on_telegram(api, [USER])
    phone = Phone(api, USER)
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        offer = await phone.asks(OPENING, "Long 0.05 BTC")
        await phone.chooses(offer, "Confirm", "#1 BTC is open")
        # From here to the liquidation price it is 3 %: the gravest level, which cannot get worse.
        warning = await phone.reads("long 2", ever=True)
        assert "from liquidation" in warning.text
        await at_rest(phone, tmp_path)  # killed before the sending is marked, it would be sent once more
        await bot.kill()
    before = market_time(tmp_path)
    async with running(settings, tmp_path) as bot:
        await bot.ready()
        later = await quiet(phone, 3.0)  # a round or two of the watch
        assert [m.text for m in later if "liquidation" in m.text] == []
        await phone.chooses(warning, "Close…", "Close #1 BTC")
        assert await bot.stop() == 0
    passed = (market_time(tmp_path) - before) / 1_000_000
    assert 0 < passed < 1800 * 30, "time went on from where it stood, not from the beginning"


def market_time(folder: Path) -> int:
    """Microseconds."""
    ((at,),) = Books(folder).venue("SELECT at FROM market")
    return int(at)


@pytest.mark.asyncio(loop_scope="session")
async def test_another_program_may_look_into_the_ledger_and_nothing_is_lost(stage: Stage) -> None:
    """The last one to leave a database clears its log away: a visitor must never believe it is the last."""
    folder = stage.new_folder(await stage.prepare())
    child = await stage.start(folder)
    await stage.phone.asks("/status", "Nothing is open")
    for command in (OPENING, HEDGING):
        with closing(sqlite3.connect(folder / "hedgerow.db")) as visitor:
            visitor.execute("SELECT count(*) FROM hedges").fetchall()
        offer = await stage.offer(command, "Confirm")
        await stage.phone.chooses(offer, "Confirm", "✅ #1 BTC is")
    await at_rest(stage.phone, folder)
    await child.kill()
    assert Books(folder).complaints() == []
    assert len(Books(folder).ledger_legs()) == 2


@pytest.mark.asyncio(loop_scope="session")
async def test_a_close_cut_off_between_its_legs_is_finished_by_the_next_start(stage: Stage) -> None:
    base = await stage.prepare(OPENING, HEDGING)
    cut = await stage.cut_short(CLOSE, base, "after orders")
    legs = Books(cut.folder).venue_legs()
    assert [side for _, _, side in legs] == ["long"], "the offset leg is gone, the bot never heard of it"
    assert len(Books(cut.folder).ledger_legs()) == 2
    assert await stage.recover(cut)
    assert stage.verdict(cut) == []
    assert Books(cut.folder).venue_legs() == {}
    told = [message.text for message in stage.phone.messages if message.id == cut.card]
    assert re.search(r"closed: [+-]", told[0])
