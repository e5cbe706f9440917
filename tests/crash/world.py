"""The life of one process: the real bot on files and a database that outlive it, and a user who plays a part.

The part goes on where the last process died: what Telegram does not know to be taken it sends again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

from chatbot.app import Bot, open_bot
from chatbot.chat import MessageRef, Request, RequestKind
from chatbot.domain.instrument import Symbol
from chatbot.errors import StorageError
from chatbot.log import LogFormat, LogLevel, configure_logging
from chatbot.settings import load_settings
from chatbot.storage.session import Session
from chatbot.venues.feeds import ScriptedFeed
from tests.crash.deeds import Do, Step
from tests.crash.instant import InstantLoop, LoopClock
from tests.crash.phone import HOME, USER, Phone
from tests.dialogs.harness import CountingIds
from tests.e2e.boundaries import Boundaries, dies
from tests.postgres.server import Server

BTC = Symbol("BTC/USDT:USDT")
CALM = Decimal(100_000)
SETTLES = 6.0  # seconds of watching after the last step
TRACE, LOG, TAKEN, PRICE = "boundaries", "bot.log", "taken", "price"
IDS_OF_A_LIFE = 1_000
RESTED, STUCK = 0, 3
MOST_TRIES, SENT_AGAIN_AFTER = 60, 1.0
PATIENCE = 30.0  # real seconds for a whole life


@dataclass(frozen=True, slots=True)
class Life:
    """``number``: how many there were before on these files. ``at``: seconds since the beginning.

    ``kill_at``: the boundary to die at, as ``Boundaries`` names it, once ``counts_from`` steps are taken.
    ``server``: the one that is struck there in place of this process, and is ``away`` for so many seconds.
    """

    folder: Path
    settings: Mapping[str, str]
    script: Sequence[Step]
    number: int
    at: float
    kill_at: str | None = None
    counts_from: int = 0
    server: Server | None = None
    away: float = 0.0


def live(life: Life) -> None:
    """To the end of the script until all is at rest; then the process ends, unless it was killed."""
    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, InstantLoop)
        for name in ("rows", "write", "clear_log"):
            loop.waits_for(Session, name)
        clock = LoopClock(loop, life.at)
        boundaries = Boundaries(
            life.folder / TRACE,
            life.kill_at,
            note=lambda: f"{clock.seconds:.3f} ",
            strikes=blow(life, loop),
        )
        boundaries.draw(Phone)
        os._exit(loop.run_until_complete(_Play(life, loop, clock, boundaries).through()))


def blow(life: Life, loop: InstantLoop) -> Callable[[], None]:
    """What happens at the boundary. While a server is away the bot's time passes as the server's does."""
    return dies if life.server is None else partial(_strike, life.server, life.away, loop)


def _strike(server: Server, away: float, loop: InstantLoop) -> None:
    passes_slowly = ExitStack()
    passes_slowly.enter_context(loop.in_real_time())
    server.strike(away, and_when_it_is_back=lambda: loop.call_soon_threadsafe(passes_slowly.close))


class IdsOfALife(CountingIds):
    """The same in every run, and never those of an earlier process."""

    def __init__(self, number: int) -> None:
        super().__init__()
        for _ in range(number * IDS_OF_A_LIFE):
            next(self._count)


class _Play:
    def __init__(self, life: Life, loop: InstantLoop, clock: LoopClock, boundaries: Boundaries) -> None:
        self._life = life
        self._loop = loop
        self._clock = clock
        self._boundaries = boundaries
        self._phone = Phone(life.folder)
        self._feed = ScriptedFeed({BTC: CALM})
        if (life.folder / PRICE).exists():  # the market moved while nobody was there
            self._feed.set(BTC, Decimal((life.folder / PRICE).read_text()))

    async def through(self) -> int:
        life = self._life
        settings = load_settings(None, dict(life.settings))
        opening = open_bot(
            settings,
            clock=self._clock,
            ids=IdsOfALife(life.number),
            feed=self._feed,
            messengers=(self._phone,),
            alone=True,  # leases go by the server's clock, which no loop can jump over
        )
        with self._loop.in_real_time():
            bot = await opening.__aenter__()
        self._boundaries.counts(self._taken >= life.counts_from)
        await bot.start()
        loops = asyncio.create_task(bot.run())
        await self._play(bot)
        assert not loops.done(), "a loop of the bot has ended"
        return RESTED

    async def _play(self, bot: Bot) -> None:
        await bot.settled()
        while (number := self._taken) < len(self._life.script):
            self._boundaries.counts(number >= self._life.counts_from)
            await self._take_in_the_end(bot, number, self._life.script[number])
            self._boundaries.passes("before the update is confirmed")
            (self._life.folder / TAKEN).write_text(str(number + 1))
            self._boundaries.passes("after the update is confirmed")
            await bot.settled()
        await self._clock.sleep(SETTLES)
        await bot.settled()

    @property
    def _taken(self) -> int:
        return int(_read(self._life.folder / TAKEN, "0"))

    async def _take_in_the_end(self, bot: Bot, number: int, step: Step) -> None:
        """What could not be stored is sent again."""
        for _ in range(MOST_TRIES):
            try:
                return await self._take(bot, number, step)
            except StorageError:
                await self._clock.sleep(SENT_AGAIN_AFTER)
        raise AssertionError("an update cannot be stored")

    async def _take(self, bot: Bot, number: int, step: Step) -> None:
        match step.do:
            case Do.PRICE:
                (self._life.folder / PRICE).write_text(step.what)
                self._feed.set(BTC, Decimal(step.what))
            case Do.WAIT:
                await self._clock.sleep(float(step.what))
            case Do.SAY:
                request = self._request(number, RequestKind.COMMAND, step.what, f"u{number}")
                await bot.inbox.receive([request], repeated=True)
            case Do.TAP:
                card = self._phone.newest_with(step.what)
                if card is not None:  # else it was tapped in an earlier life, or never offered
                    data = card.buttons[step.what]
                    request = self._request(number, RequestKind.CLICK, data, card.id)
                    await bot.inbox.receive([request], repeated=True)

    def _request(self, number: int, kind: RequestKind, text: str, message: str) -> Request:
        at = self._clock.now()
        return Request(f"t:{number}", kind, USER, HOME, text, at, MessageRef(HOME, message), user_name="Ann")


def born(life: Life) -> None:
    """What a forked process does instead of what its parent would have gone on with."""
    log = os.open(life.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    configure_logging(LogFormat.JSON, LogLevel.WARNING)
    import faulthandler  # noqa: PLC0415

    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    live(life)


def _read(path: Path, otherwise: str) -> str:
    return path.read_text() if path.exists() else otherwise


@dataclass(frozen=True, slots=True)
class Passage:
    """``at``: seconds since the beginning. ``name`` has its number among those of its kind."""

    at: float
    name: str

    @property
    def kind(self) -> str:
        return self.name.rpartition(" #")[0]


def passages(folder: Path) -> list[Passage]:
    lines = ((folder / TRACE).read_text()).splitlines()
    parts = (line.split(" ", 2) for line in lines)
    return [Passage(float(at), name) for _, at, name in parts]
