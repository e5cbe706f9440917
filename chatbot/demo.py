"""The whole story on paper, in under a minute: open, profit, lock, funding, danger, warning, close.

Nothing here is staged: the real bot trades on the paper exchange under a virtual clock. The story only waits
for what the bot says and the market does, and answers as a trader would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from chatbot.app import Bot, open_bot
from chatbot.chat import ChatRef, MessageRef, Platform, Reply, Request, RequestKind, Severity, UserRef
from chatbot.clock import VirtualClock
from chatbot.domain import pnl
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import PositionSide
from chatbot.domain.order import Fill, FundingPayment
from chatbot.errors import HedgerowError, SettingsError
from chatbot.ids import SeededIds
from chatbot.platforms.console import render
from chatbot.ports import User
from chatbot.settings import PaperSettings, Settings
from chatbot.stage import Line, Rest, Stage
from chatbot.venues.feeds import BTC, PriceFeed, ReplayFeed, SimulatedFeed

TRADER = UserRef(Platform.CONSOLE, "trader")
CHAT = ChatRef(Platform.CONSOLE, "trader")
STEP = timedelta(minutes=1)
SEED = 43  # a market that tells the story within a day
BEGIN = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
PATIENCE = timedelta(days=5)
PROFIT, DANGER = "lock it?", "from liquidation"
PICTURE_KIND = ".png"


class DemoFailed(HedgerowError):
    """The story did not come to its end."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the trader types first, when the profit is locked, and how grave a warning must be to close.

    ``rise`` is the fraction at which the trader asks for the hedge; ``None``: the bot's own alert decides.
    """

    market: str
    opening: tuple[str, ...]
    rise: Decimal | None
    waits_for: Severity


SIMULATED = Script(
    "a simulated market",
    ("/start", "/open BTC long 0.05 4x isolated"),
    rise=None,
    waits_for=Severity.WARNING,
)
REPLAYED = Script(
    "recorded prices",
    ("/start", "/alerts liquidation 15 10 7", "/open BTC long 0.05 5x isolated"),
    rise=Decimal("0.02"),
    waits_for=Severity.CRITICAL,
)


@dataclass(frozen=True, slots=True)
class Told:
    """A story that came to its end: what was said, and what the ledger has of it."""

    lines: tuple[Line, ...]
    hedge: Hedge
    fills: tuple[Fill, ...]
    funding: tuple[FundingPayment, ...]
    proof: str


class Chronicle:
    """What the market did and what the ledger has booked meanwhile."""

    def __init__(self, bot: Bot, feed: PriceFeed) -> None:
        self._bot = bot
        self._feed = feed
        self._first: Decimal | None = None
        self._payments_told = 0

    @property
    def over(self) -> bool:
        """A recording has come to its end."""
        return self._feed.ends_at is not None and self._bot.exchange.market_now() >= self._feed.ends_at

    def mark(self) -> Decimal:
        at = self._feed.latest(self._bot.exchange.market_now())
        prices = None if at is None else self._feed.prices(BTC, at)
        if prices is None:
            raise DemoFailed("there is no price of BTC")
        return prices.mark

    def change(self) -> Decimal:
        """As a fraction, since this was first asked."""
        mark = self.mark()
        self._first = self._first or mark
        return mark / self._first - 1

    async def meanwhile(self, passed: timedelta) -> str:
        change = self.change() * 100
        told = f"{_span(passed)} later: BTC {self.mark():,.0f}, {change:+.1f} % since the start"
        return told + await self._funding()

    async def _funding(self) -> str:
        hedge = await self.hedge()
        if hedge is None:
            return ""
        booked = await self._bot.store.booked_funding(hedge.id)
        news = [entry.payment for entry in booked[self._payments_told :]]
        self._payments_told = len(booked)
        sums = {side: sum((p.amount for p in news if p.side is side), Decimal(0)) for side in PositionSide}
        words = ", ".join(f"{side} {amount:+.2f}" for side, amount in sums.items() if amount)
        return f"\nfunding settled: {words}" if words else ""

    async def user(self) -> User:
        user = await self._bot.store.user_by_ref(TRADER)
        if user is None:
            raise DemoFailed("the trader is unknown")
        return user

    async def hedge(self) -> Hedge | None:
        user = await self._bot.store.user_by_ref(TRADER)
        return None if user is None else await self._bot.store.hedge_by_number(user.id, 1)

    async def view(self) -> AccountView:
        account = await self._bot.people.trading_account(await self.user())
        return await self._bot.venues.of(account).view()


class Story:
    def __init__(self, bot: Bot, clock: VirtualClock, stage: Stage, chronicle: Chronicle) -> None:
        self._bot = bot
        self._clock = clock
        self._stage = stage
        self._chronicle = chronicle
        self._said = 0

    async def tell(self, script: Script) -> Told:
        """Raises ``DemoFailed`` when the story or the proof does not hold."""
        await self._open(script)
        before = (await self._chronicle.view()).balance.wallet
        await self.tap("Confirm")
        await self._lock(script)
        await self._live_with_it(script)
        await self._stage.headline("5 · Both legs are closed, the offset first")
        await self.tap("Close…")
        await self.tap("Offset first")
        return await self._proven(before)

    async def _open(self, script: Script) -> None:
        self._chronicle.change()
        await self._stage.headline("1 · A trader opens a long")
        for line in script.opening:
            await self.say(line)

    async def _lock(self, script: Script) -> None:
        await self._stage.headline("2 · The price runs")
        if script.rise is None:
            await self._until(self._said_by_bot(PROFIT), "BTC did not run far enough to be worth a lock")
        else:
            await self._until_risen(script.rise)
        await self._stage.headline("3 · The profit is locked with an equal short")
        await self.say("/hedge BTC")
        await self.tap("Confirm")
        await self.say("/status")

    async def _until_risen(self, rise: Decimal) -> None:
        lowest = f"the price of BTC did not rise by {rise * 100:.0f} %, there is no profit to lock"
        await self._until(lambda: self._chronicle.change() >= rise, lowest)

    async def _live_with_it(self, script: Script) -> None:
        """Until the warning comes; where a recording ends without one, the pair is closed all the same."""
        await self._stage.headline("4 · The market goes on, and a leg nears its liquidation")
        warned = self._said_by_bot(DANGER, script.waits_for)
        await self._until(lambda: warned() or self._chronicle.over, "no leg came near its liquidation")

    def _said_by_bot(self, words: str, severity: Severity | None = None) -> Callable[[], bool]:
        """Whether it has been said from now on, at this severity."""
        mark = len(self._stage.lines)

        def said(reply: Reply) -> bool:
            return words in render(reply) and severity in (None, reply.severity)

        return lambda: any(said(reply) for reply in self._stage.said_since(mark))

    async def say(self, text: str) -> None:
        await self._stage.typed(text)
        await self._send(RequestKind.COMMAND, text, None)

    async def tap(self, label: str) -> None:
        found = self._stage.button(label)
        if found is None:
            raise DemoFailed(f"no card has a button {label!r}")
        message_id, button = found
        await self._stage.tapped(label, message_id)
        await self._send(RequestKind.CLICK, button.data, MessageRef(CHAT, message_id))

    async def _send(self, kind: RequestKind, text: str, card: MessageRef | None) -> None:
        self._said += 1
        request = Request(f"demo:{self._said}", kind, TRADER, CHAT, text, self._clock.now(), card)
        await self._bot.inbox.receive([request])
        await self._bot.settled()

    async def _until(self, happened: Callable[[], bool], failure: str) -> None:
        """Lets the market run; it stops where a recording ends or patience does."""
        until = self._clock.now() + PATIENCE
        while self._clock.now() < until and not self._chronicle.over:
            await self._clock.advance(STEP.total_seconds())
            await self._bot.scheduler.run_due()
            await self._bot.settled()
            if happened():
                return
        if not happened():
            raise DemoFailed(failure)

    async def _proven(self, wallet_before: Decimal) -> Told:
        """What the ledger says was earned is what the exchange's wallet gained, to the last digit."""
        hedge, view = await self._chronicle.hedge(), await self._chronicle.view()
        if hedge is None or hedge.live or view.positions:
            raise DemoFailed("the pair is not closed")
        gained = view.balance.wallet - wallet_before
        net = pnl.totals(hedge).net
        if abs(gained - net) > Decimal("1e-12"):
            raise DemoFailed(f"the ledger says {net}, the exchange {gained}")
        return await self._told(hedge, gained, net)

    async def _told(self, hedge: Hedge, gained: Decimal, net: Decimal) -> Told:
        fills = tuple(booked.fill for booked in await self._bot.store.booked_fills(hedge.id))
        funding = tuple(booked.payment for booked in await self._bot.store.booked_funding(hedge.id))
        proof = (
            f"proof: ledger equals venue: {len(fills)} fills and {len(funding)} funding payments, "
            f"ledger {net:+.8f} USDT = wallet {gained:+.8f} USDT, nothing left open"
        )
        return Told(tuple(self._stage.lines), hedge, fills, funding, proof)


def _span(passed: timedelta) -> str:
    days, rest = divmod(int(passed.total_seconds()) // 60, 1440)
    hours, minutes = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


@asynccontextmanager
async def _running(bot: Bot, stage: Stage) -> AsyncIterator[None]:
    bot.speak_through(stage)
    await bot.start()
    outbox = asyncio.create_task(bot.outbox.run())
    try:
        yield
    finally:
        await bot.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await outbox


async def tell(data: Path | None, out: TextIO, *, colors: bool = False, rest: Rest | None = None) -> Told:
    """``data``: recorded prices to play it on; ``rest`` sleeps while a person reads."""
    feed = SimulatedFeed(SEED, step=STEP) if data is None else _recorded(data)
    script = SIMULATED if data is None else REPLAYED
    clock = VirtualClock(BEGIN)
    settings = Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings())
    print(_introduction(script), file=out)
    async with open_bot(settings, clock=clock, ids=SeededIds(), feed=feed) as bot:
        chronicle = Chronicle(bot, feed)
        stage = Stage(out, bot.exchange.market_now, chronicle.meanwhile, rest, colors)
        async with _running(bot, stage):
            told = await Story(bot, clock, stage, chronicle).tell(script)
    print(told.proof, file=out)
    return told


def _introduction(script: Script) -> str:
    return (
        f"Hedgerow demo: the real bot, {script.market}, 10,000 USDT of paper money;\n"
        "no key, no token, no network. The clock is the market's (UTC), [..] are buttons,\n"
        "↻ is a message that the bot edits in place.\n"
    )


def _recorded(data: Path) -> ReplayFeed:
    if not data.is_file():
        raise SettingsError(f"--data: there is no file {str(data)!r} to replay")
    try:
        return ReplayFeed.read(data)
    except SettingsError as error:
        raise SettingsError(error.message.replace("HEDGEROW_PAPER__MARKET", "--data")) from None


def main(data: Path | None, out: TextIO | None = None, *, picture: Path | None = None) -> int:
    out = out or sys.stdout
    if picture is not None:
        _check_place(picture)
    at_terminal = out.isatty()
    colors = at_terminal and not os.environ.get("NO_COLOR")
    told = asyncio.run(tell(data, out, colors=colors, rest=asyncio.sleep if at_terminal else None))
    if picture is not None:
        _draw(told, picture, out)
    return 0


def _check_place(picture: Path) -> None:
    if picture.suffix.lower() != PICTURE_KIND:
        raise SettingsError(f"--picture: {picture.name!r} should end in {PICTURE_KIND}, for example demo.png")
    if not picture.parent.is_dir():
        raise SettingsError(f"--picture: there is no folder {str(picture.parent)!r} to write into")


def key_moments(lines: Sequence[Line]) -> list[list[Line]]:
    """What the picture shows, phone by phone: the offer until it is confirmed; done, danger, closed."""
    asked = next(n for n, line in enumerate(lines) if line.text.startswith("/hedge"))
    dangers = [n for n, line in enumerate(lines) if DANGER in render(line.reply)]
    danger = lines[dangers[-1] - 1 : dangers[-1] + 2] if dangers else ()
    return [list(lines[asked : asked + 3]), [lines[asked + 3], *danger, lines[-1]]]


def _draw(told: Told, picture: Path, out: TextIO) -> None:
    from chatbot.picture import save  # noqa: PLC0415 (Pillow: only for who wants a picture)

    try:
        written = save(key_moments(told.lines), picture)
    except OSError as error:
        raise DemoFailed(f"the picture could not be written: {error.strerror}") from error
    print("picture:", ", ".join(str(path) for path in written), file=out)
