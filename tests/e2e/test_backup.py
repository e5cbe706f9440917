"""The drill with real processes: copied while it trades, killed, lost, restored, reconciled, traded on."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.books import Books
from tests.e2e.market import still_market
from tests.e2e.nursery import Nursery, Order
from tests.e2e.phone import Phone
from tests.e2e.program import hedgerow, on_paper, on_telegram, running
from tests.e2e.stage import HEDGING, OPENING
from tests.wire.bot_api import LoopbackBotApi

ANN, BOB = 7, 8
PATIENCE = 60.0

# In the loop of the session, where the nursery is.
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def api() -> AsyncIterator[LoopbackBotApi]:
    async with LoopbackBotApi() as api:
        yield api


async def test_a_bot_that_lost_its_database_goes_on_from_a_copy(
    api: LoopbackBotApi, nursery: Nursery, tmp_path: Path, new_url: Callable[[], str]
) -> None:
    state = tmp_path / "hedgerow-paper.db"
    market = still_market(tmp_path / "market.csv")
    settings = on_paper(tmp_path, market, PAPER__STATE_FILE=str(state)) | on_telegram(api, [ANN, BOB])
    settings |= {"HEDGEROW_MASTER_KEY_FILE": str(tmp_path / "hedgerow.key")}
    lost = settings | {"HEDGEROW_DATABASE_URL": new_url()}
    found = settings | {"HEDGEROW_DATABASE_URL": new_url()}
    ann, bob = Phone(api, ANN), Phone(api, BOB)
    copy = tmp_path / "night.backup"
    async with running(lost, tmp_path) as bot:
        await bot.ready()
        await bob.asks("/start", "Hedgerow")
        offer = await ann.asks(OPENING, "Long 0.05 BTC")
        await ann.chooses(offer, "Confirm", "#1 BTC is open")
        hedge = await ann.asks(HEDGING, "net lock")
        copying = asyncio.create_task(hedgerow("backup", str(copy), settings=lost, folder=tmp_path))
        await ann.chooses(hedge, "Confirm", "#1 BTC is hedged")
        saved = await copying
        assert saved.code == 0, saved.err
        assert "It is whole" in saved.out
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        later = await bob.asks(OPENING, "Long 0.05 BTC")
        confirm = later.data_of("Confirm")
        await bob.chooses(later, "Confirm", "#1 BTC is open")
        await bot.kill()
    assert len(Books(tmp_path).venue_legs()) == 3
    orders = set(Books(tmp_path).orders())

    restored = await hedgerow("restore", str(copy), settings=found, folder=tmp_path)
    assert restored.code == 0, restored.err
    assert "reconcile-only" in restored.out
    checked = await hedgerow("check", settings=found, folder=tmp_path)
    assert "restored   the ledger comes from a copy of" in checked.out
    bob.taps_data(later, confirm)  # while the bot is away
    # What was on its way gets its time to arrive; by the clock of this bot that is a second.
    child = await nursery.bear(Order(found, str(tmp_path), anchor=datetime.now(UTC).isoformat()))
    try:
        told = await ann.reads("I was restored from a copy of", patience=PATIENCE)
        assert "#1 BTC" in told.text
        assert "orders are taken again" in told.text
        told = await bob.reads("I was restored from a copy of", patience=PATIENCE)
        assert "BTC: open at the exchange, in no hedge that I know" in told.text
        assert "reconcile-only: the ledger comes from a copy of" in child.log
        await bob.asks("/hedge BTC", "reconcile-only")
        await bob.chooses(told, "Adopt all", "The exchange's word counts now")
        for phone, button in ((ann, "Offset first"), (bob, "Close")):
            closing = await phone.asks("/close BTC", "expected")
            await phone.chooses(closing, button, "BTC closed")
        assert await child.stop() == 0
    finally:
        await nursery.empty()
    assert Books(tmp_path).venue_legs() == {}
    new = [name for name in Books(tmp_path).orders() if name not in orders]
    assert [name[13] for name in new] == ["C"] * 3, "nothing but what was asked for"
