"""Runs that are cut short and taken up again, each on a copy of the same files."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.books import Books
from tests.e2e.market import still_market
from tests.e2e.nursery import Child, Nursery, Order
from tests.e2e.phone import PATIENCE, Phone
from tests.e2e.program import on_paper, on_telegram
from tests.wire.bot_api import LoopbackBotApi

USER = 7
FILES = ("hedgerow.db", "hedgerow.db-wal", "hedgerow-paper.db", "hedgerow-paper.db-wal")


@dataclass
class Stage:
    """A user, a Telegram and a nursery. Each run has a folder of its own under ``folder``."""

    api: LoopbackBotApi
    phone: Phone
    nursery: Nursery
    folder: Path
    market: Path
    runs: int = 0

    async def prepare(self, *, hedged: bool) -> Path:
        """The files of a user who holds 0.05 BTC long, ``hedged`` or not."""
        folder = self.new_folder()
        child = await self.start(folder)
        await self.phone.asks("/start", "Hedgerow")
        await self.agrees("/open BTC long 0.05 10x isolated", "Confirm", "#1 BTC is open")
        if hedged:
            await self.agrees("/hedge BTC", "Confirm", "#1 BTC is hedged")
        await self.at_rest(folder)
        await child.kill()
        return folder

    async def agrees(self, command: str, label: str, expecting: str) -> None:
        offer = await self.phone.finds_offer(command, label)
        await self.phone.chooses(offer, label, expecting)

    def new_folder(self, like: Path | None = None) -> Path:
        self.runs += 1
        folder = self.folder / str(self.runs)
        folder.mkdir()
        for name in FILES:
            if like is not None and (like / name).exists():
                shutil.copy(like / name, folder / name)
        return folder

    async def start(self, folder: Path, *, kill_at: int | None = None, after_tap: str = "") -> Child:
        settings = on_paper(folder, self.market) | on_telegram(self.api, [USER])
        return await self.nursery.bear(Order(settings, str(folder), kill_at, after_tap))

    async def at_rest(self, folder: Path) -> None:
        """All updates taken and handled, no order on its way, nothing owed."""
        await self.phone.all_is_taken()
        books = Books(folder)
        async with asyncio.timeout(PATIENCE):
            while books.unfinished():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    market = still_market(folder / "market.csv")
    async with LoopbackBotApi() as api:
        nursery = await Nursery.open()
        try:
            yield Stage(api, Phone(api, USER), nursery, folder, market)
        finally:
            await nursery.close()
