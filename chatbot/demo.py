"""The whole story on paper, in under a minute: open, profit, lock, funding, danger, warning, close.

Nothing here is staged: the real bot trades on the paper exchange under a virtual clock. The story only waits for
what the bot says and answers it, as a trader would.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from chatbot.app import Bot, open_bot
from chatbot.chat import (
    Button,
    ChatRef,
    MessageRef,
    Platform,
    Reply,
    Request,
    RequestKind,
    UserRef,
)
from chatbot.clock import VirtualClock
from chatbot.domain import pnl
from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge
from chatbot.errors import HedgerowError
from chatbot.ids import SeededIds
from chatbot.platforms.console import render
from chatbot.ports import User
from chatbot.settings import PaperSettings, Settings
from chatbot.venues.feeds import PriceFeed, ReplayFeed, SimulatedFeed

TRADER = UserRef(Platform.CONSOLE, "trader")
CHAT = ChatRef(Platform.CONSOLE, "trader")
STEP = timedelta(minutes=1)
SEED = 7
BEGIN = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
PROFIT, DANGER = "lock it?", "from liquidation"


class DemoFailed(HedgerowError):
    """The story did not come to its end."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the trader types, and how long each part of the story may take on the market."""

    name: str
    lines: tuple[str, ...]
    warnings: int  # how many the trader waits for before closing
    patience: timedelta = timedelta(days=5)


SIMULATED = Script(
    "simulated market, seed 7",
    ("/start", "/alerts target 3", "/alerts liquidation 15 10 5", "/open BTC long 0.05 5x isolated"),
    warnings=1,
)
REPLAYED = Script(
    "real prices",
    ("/start", "/alerts target 2", "/alerts liquidation 15 10 7", "/open BTC long 0.05 5x isolated"),
    warnings=3,
)


@dataclass(slots=True)
class Stage:
    """The trader's phone: shows what is delivered, remembers the buttons."""

    out: TextIO
    now: Callable[[], datetime]
    pause: float
    cards: dict[str, Reply] = field(default_factory=dict)
    news: list[Reply] = field(default_factory=list)
    platform: Platform = Platform.CONSOLE

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:  # noqa: ARG002
        message_id = edits or str(len(self.cards) + 1)
        self.cards[message_id] = reply
        self.news.append(reply)
        await self._print("bot", render(reply), edited=edits is not None)
        return message_id

    async def acknowledge(self, request: Request, toast: str | None) -> None:
        """The console has no toasts; the cards tell."""

    async def typed(self, text: str) -> None:
        await self._print("you", text)

    async def _print(self, who: str, text: str, *, edited: bool = False) -> None:
        first, *rest = text.splitlines() or [""]
        mark = f"{self.now():%m-%d %H:%M}  {who}{'~' if edited else ' '}│ "
        print(mark + first, file=self.out)
        for line in rest:
            print(" " * (len(mark) - 2) + "│ " + line, file=self.out)
        print(file=self.out, flush=True)
        await asyncio.sleep(self.pause)


class Story:
    def __init__(self, bot: Bot, clock: VirtualClock, stage: Stage, script: Script) -> None:
        self._bot = bot
        self._clock = clock
        self._stage = stage
        self._script = script
        self._said = 0

    async def tell(self) -> str:
        """Returns the proof; raises ``DemoFailed`` when the story or the proof does not hold."""
        for line in self._script.lines:
            await self.say(line)
        before = (await self._view()).balance.wallet
        await self.tap("Confirm")
        await self.wait_for(PROFIT)
        await self.tap("Hedge now")
        await self.tap("Confirm")
        await self.say("/status")
        for _ in range(self._script.warnings):
            await self.wait_for(DANGER)
        await self.tap("Close…")
        await self.tap("Offset first")
        return await self._proof(before)

    async def say(self, text: str) -> None:
        await self._stage.typed(text)
        await self._send(RequestKind.COMMAND, text, None)

    async def tap(self, label: str) -> None:
        message_id, button = self._button(label)
        await self._stage.typed(f"[{label}]")
        await self._send(RequestKind.CLICK, button.data, MessageRef(CHAT, message_id))

    def _button(self, label: str) -> tuple[str, Button]:
        for message_id, reply in reversed(self._stage.cards.items()):
            for row in reply.buttons:
                for button in row:
                    if label in button.label:
                        return message_id, button
        raise DemoFailed(f"no card has a button {label!r}")

    async def _send(self, kind: RequestKind, text: str, card: MessageRef | None) -> None:
        self._said += 1
        request = Request(f"demo:{self._said}", kind, TRADER, CHAT, text, self._clock.now(), card)
        await self._bot.inbox.receive([request])
        await self._bot.settled()

    async def wait_for(self, words: str) -> None:
        """Lets the market run until a message says this."""
        self._stage.news.clear()
        until = self._clock.now() + self._script.patience
        while self._clock.now() < until:
            await self._clock.advance(STEP.total_seconds())
            await self._bot.scheduler.run_due()
            await self._bot.settled()
            if any(words in render(reply) for reply in self._stage.news):
                return
        raise DemoFailed(f"nothing said {words!r} within {self._script.patience}")

    async def _user(self) -> User:
        user = await self._bot.store.user_by_ref(TRADER)
        if user is None:
            raise DemoFailed("the trader is unknown")
        return user

    async def _view(self) -> AccountView:
        account = await self._bot.people.trading_account(await self._user())
        return await self._bot.venues.of(account).view()

    async def _proof(self, wallet_before: Decimal) -> str:
        """What the ledger says was earned is what the exchange's wallet gained, to the last digit."""
        user = await self._user()
        hedge = await self._bot.store.hedge_by_number(user.id, 1)
        view = await self._view()
        if hedge is None or hedge.live or view.positions:
            raise DemoFailed("the pair is not closed")
        gained = view.balance.wallet - wallet_before
        net = pnl.totals(hedge).net
        if abs(gained - net) > Decimal("1e-12"):
            raise DemoFailed(f"the ledger says {net}, the exchange {gained}")
        return await self._proof_line(hedge, gained, net)

    async def _proof_line(self, hedge: Hedge, gained: Decimal, net: Decimal) -> str:
        fills = await self._bot.store.booked_fills(hedge.id)
        payments = await self._bot.store.booked_funding(hedge.id)
        return (
            f"proof: ledger equals venue: {len(fills)} fills and {len(payments)} funding payments, "
            f"ledger {net:+.8f} USDT = wallet {gained:+.8f} USDT, nothing left open"
        )


@asynccontextmanager
async def _stage_set(
    feed: PriceFeed, clock: VirtualClock, out: TextIO, pause: float
) -> AsyncIterator[tuple[Bot, Stage]]:
    settings = Settings(database_url="sqlite+aiosqlite://", paper=PaperSettings())
    async with open_bot(settings, clock=clock, ids=SeededIds(), feed=feed) as bot:
        stage = Stage(out, bot.exchange.market_now, pause)
        bot.speak_through(stage)
        await bot.start()
        running = asyncio.create_task(bot.outbox.run())
        try:
            yield bot, stage
        finally:
            await bot.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def tell(data: Path | None, out: TextIO, *, pause: float = 0.0) -> None:
    feed = SimulatedFeed(SEED, step=STEP) if data is None else ReplayFeed.read(data)
    script = SIMULATED if data is None else REPLAYED
    clock = VirtualClock(BEGIN)
    print(f"Hedgerow demo · {script.name} · no key, no token, no network\n", file=out)
    async with _stage_set(feed, clock, out, pause) as (bot, stage):
        proof = await Story(bot, clock, stage, script).tell()
    print(proof, file=out)


def main(data: Path | None, out: TextIO | None = None) -> int:
    out = out or sys.stdout
    asyncio.run(tell(data, out, pause=0.6 if out.isatty() else 0.0))
    return 0
