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
from tests.e2e.phone import Phone, at_rest
from tests.e2e.program import on_paper, on_telegram
from tests.wire.bot_api import ChatMessage, LoopbackBotApi

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

    # --- before the cut -----------------------------------------------------------------------

    async def prepare(self, *commands: str) -> Path:
        """The files of a user after these were typed and agreed to."""
        folder = self.new_folder()
        child = await self.start(folder)
        await self.phone.asks("/start", "Hedgerow")
        for command in commands:
            offer = await self.offer(command, "Confirm")
            await self.phone.chooses(offer, "Confirm", "✅ #1 BTC is")
        await at_rest(self.phone, folder)
        await child.kill()
        return folder

    async def offer(self, command: str, label: str) -> ChatMessage:
        """What answers the command: the card with such a button."""
        self.phone.says(command)
        return await self.phone.finds(lambda message: label in message.labels, f"a button {label!r}")

    def new_folder(self, like: Path | None = None) -> Path:
        self.runs += 1
        folder = self.folder / str(self.runs)
        folder.mkdir()
        for name in FILES:
            if like is not None and (like / name).exists():
                shutil.copy(like / name, folder / name)
        return folder

    async def start(self, folder: Path, *, kill_at: int | str | None = None, after_tap: str = "") -> Child:
        settings = on_paper(folder, self.market) | on_telegram(self.api, [USER])
        return await self.nursery.bear(Order(settings, str(folder), kill_at, after_tap))

    # --- the cut ------------------------------------------------------------------------------

    async def cut_short(self, deed: Deed, base: Path, kill_at: int | str) -> Cut:
        """The deed on a copy of ``base`` by a bot that dies at the boundary, if it gets there."""
        folder = self.new_folder(base)
        child = await self.start(folder, kill_at=kill_at, after_tap=deed.choice)
        card = await self.offer(deed.command, deed.label)
        self.phone.taps(card, deed.label)
        died = asyncio.create_task(child.ended())
        rested = asyncio.create_task(self._ends(deed, card, folder))
        done, _ = await asyncio.wait({died, rested}, return_when=asyncio.FIRST_COMPLETED)
        rested.cancel()
        await asyncio.gather(rested, return_exceptions=True)
        await child.kill()
        await died
        return Cut(deed, folder, card.id, survived=rested in done, passed=child.boundaries)

    def cut_by_hand(self, deed: Deed, folder: Path, card: ChatMessage) -> Cut:
        """The bot was killed from outside; nobody knows where it was."""
        return Cut(deed, folder, card.id, survived=False, passed=[])

    async def _ends(self, deed: Deed, card: ChatMessage, folder: Path) -> None:
        await self.phone.finds(
            lambda message: message.id == card.id and deed.is_over(message.text), "the end"
        )
        await at_rest(self.phone, folder)

    # --- after the cut ------------------------------------------------------------------------

    async def recover(self, cut: Cut, *, kill_at: int | None = None) -> bool:
        """A new bot on the same files; ``False``: it died too, at ``kill_at``, before all was at rest."""
        child = await self.start(cut.folder, kill_at=kill_at)
        died = asyncio.create_task(child.ended())
        rested = asyncio.create_task(at_rest(self.phone, cut.folder))
        done, _ = await asyncio.wait({died, rested}, return_when=asyncio.FIRST_COMPLETED)
        if rested in done:
            rested.result()
        rested.cancel()
        await asyncio.gather(rested, return_exceptions=True)
        await child.kill()
        await died
        return rested in done

    def verdict(self, cut: Cut) -> list[str]:
        """What is wrong with how it ended; empty when all is well."""
        books = Books(cut.folder)
        card = next(message for message in self.phone.messages if message.id == cut.card)
        return [
            *books.complaints(),
            *([] if _held(books) in cut.deed.ends else [f"this is held: {_held(books)}"]),
            *([] if cut.deed.is_over(card.text) else [f"the card still says: {card.text}"]),
            *_not_once(books, cut.deed),
        ]


@dataclass(frozen=True, slots=True)
class Deed:
    """What the user asks for; ``kind`` as the journal calls it; ``ends``: what may be held afterwards."""

    kind: str
    command: str
    label: str
    choice: str
    over: tuple[str, ...]
    ends: tuple[dict[str, str], ...]

    def is_over(self, text: str) -> bool:
        return any(words in text for words in self.over)


@dataclass(frozen=True, slots=True)
class Cut:
    """A deed that was cut short, or not (``survived``). ``card`` is the message that tells of it."""

    deed: Deed
    folder: Path
    card: int
    survived: bool
    passed: list[str]


NOTHING: dict[str, str] = {}
LONG = {"long": "0.05"}
PAIR = {"long": "0.05", "short": "0.05"}

OPENING = "/open BTC long 0.05 10x isolated"
HEDGING = "/hedge BTC"
OPEN = Deed("open", OPENING, "Confirm", "confirm", ("is open", "not opened"), (LONG, NOTHING))
HEDGE = Deed("hedge", HEDGING, "Confirm", "confirm", ("is hedged", "not hedged"), (PAIR, LONG))
CLOSE = Deed("close", "/close", "Offset first", "offset_first", ("closed:", "not closed"), (NOTHING, PAIR))
AT_ONCE = Deed("close", "/close", "Both at once", "at_once", ("closed:", "not closed"), (NOTHING, PAIR))


def _held(books: Books) -> dict[str, str]:
    return {side: str(quantity) for (_, _, side), quantity in sorted(books.venue_legs().items())}


def _not_once(books: Books, deed: Deed) -> list[str]:
    """A tap is one operation, however often it was looked at."""
    operations = books.ledger(f"SELECT id FROM operations WHERE kind = '{deed.kind}'")  # noqa: S608
    return [] if len(operations) == 1 else [f"{len(operations)} operations of this kind"]


@asynccontextmanager
async def staged(folder: Path, nursery: Nursery) -> AsyncIterator[Stage]:
    market = still_market(folder / "market.csv")
    async with LoopbackBotApi() as api:
        try:
            yield Stage(api, Phone(api, USER), nursery, folder, market)
        finally:
            await nursery.empty()
