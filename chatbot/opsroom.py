"""Wires who watches the bot itself: metrics, probes, the operator's chat; part of the composition root."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chatbot.chat import ChatRef, Platform, Reply
from chatbot.observing import faults, wrappers
from chatbot.observing.desk import OperatorDesk
from chatbot.observing.events import Event, Lagged, Ran
from chatbot.observing.health import Health
from chatbot.observing.reader import Reader, Sources
from chatbot.observing.systemd import ServiceManager
from chatbot.ports import (
    Account,
    Census,
    Clock,
    Exchanges,
    Mailbox,
    Messenger,
    Pace,
    Paced,
    Store,
    Venue,
)
from chatbot.pushing.scheduler import Scheduler
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.recovery import Supervisor
from chatbot.settings import Settings
from chatbot.watchroom import WatchRoom

if TYPE_CHECKING:
    from chatbot.observing.instruments import Instruments

BEAT_SECONDS = 0.5
JUDGE_SECONDS = 5.0
STILL_AFTER = timedelta(seconds=60)  # some job ends every second
NOT_READY_AFTER = timedelta(seconds=60)  # without an answer of an exchange

log = logging.getLogger(__name__)


class Ears:
    """At the ports, where anybody is there to listen: a bot without an operator runs without them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.clock = clock
        self.health = Health(clock)
        self.instruments = _instruments() if settings.ops.port is not None else None
        self.listening = settings.ops.port is not None or settings.operator_chat is not None

    def hear(self, event: Event) -> None:
        self.health.hear(event)
        if self.instruments is not None:
            self.instruments.hear(event)

    def job_ended(self, job: str, error: Exception | None) -> None:
        self.hear(Ran(job, error))

    def store(self, store: Store) -> Store:
        return wrappers.metered_store(store, self.clock, self.hear) if self.listening else store

    def mailbox(self, mailbox: Mailbox) -> Mailbox:
        return wrappers.metered_mailbox(mailbox, self.clock, self.hear) if self.listening else mailbox

    def venue(self, account: Account, venue: Venue) -> Venue:
        return wrappers.metered_venue(account, venue, self.clock, self.hear) if self.listening else venue

    def messenger(self, messenger: Messenger) -> Messenger:
        return wrappers.metered_messenger(messenger, self.clock, self.hear) if self.listening else messenger

    def exchanges(self, exchanges: Exchanges) -> Exchanges:
        return wrappers.metered_exchanges(exchanges, self.clock, self.hear) if self.listening else exchanges


def _instruments() -> Instruments:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    from chatbot.observing.instruments import Instruments  # noqa: PLC0415 (only where it is scraped)

    try:
        return Instruments(version("hedgerow"))
    except PackageNotFoundError:
        return Instruments("unknown")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the room needs of the rest of the bot. ``messengers`` may still grow."""

    census: Census
    store: Store
    mailbox: Mailbox
    exchanges: Exchanges
    watch: WatchRoom
    bookkeeper: Bookkeeper
    supervisor: Supervisor
    messengers: Mapping[Platform, Messenger]
    notify: Callable[[], None]


class OpsRoom:
    """``run`` until ``stop``; ``serving`` around it, so that a probe is answered while the bot starts."""

    def __init__(self, settings: Settings, ears: Ears, around: Surroundings) -> None:
        self._settings = settings
        self.ears = ears
        self._clock = ears.clock
        self._around = around
        self._reader = Reader(_sources(around, ears.clock), ears.clock, ears.health)
        self._desk = self._operator(settings.operator_chat)
        self._service = ServiceManager.found()
        self._began_at: datetime | None = None  # recovery is done, the loops run
        self._beating: asyncio.Task[None] | None = None
        self._platform = "none"
        self._connected: Callable[[], bool] = lambda: False
        self.port: int | None = None  # in fact, while it is served

    def attach(self, platform: Platform, connected: Callable[[], bool]) -> None:
        """Where the users are."""
        self._platform, self._connected = platform.value, connected

    def schedule(self, scheduler: Scheduler) -> None:
        if self.ears.listening:
            scheduler.every("operator", JUDGE_SECONDS, self.judge, first_after=JUDGE_SECONDS)

    async def judge(self) -> None:
        """The scheduler's job."""
        reading = await self._reader.read()
        if self._desk is not None:
            await self._desk.hear(faults.find(reading, self.ears.health))

    def _operator(self, chat: ChatRef | None) -> OperatorDesk | None:
        if chat is None:
            return None
        around = self._around

        async def speak(chat: ChatRef, reply: Reply) -> None:
            await around.messengers[chat.platform].deliver(chat, reply, edits=None)

        return OperatorDesk(chat, store=around.store, clock=self._clock, notify=around.notify, speak=speak)

    # --- the pulse ------------------------------------------------------------------------------

    async def run(self) -> None:
        self._began_at = self._clock.now()
        if self._service is not None:
            self._service.ready()
        if self._service is None and not self.ears.listening:
            return
        self._beating = asyncio.create_task(self._beat_on(), name="pulse")
        try:
            await asyncio.wait([self._beating])
        finally:
            self._beating.cancel()
        if not self._beating.cancelled():
            self._beating.result()

    async def stop(self) -> None:
        if self._service is not None:
            self._service.stopping()
        if self._beating is not None:
            self._beating.cancel()

    async def _beat_on(self) -> None:
        while True:
            asked_at = self._clock.now()
            await self._clock.sleep(BEAT_SECONDS)
            now = self._clock.now()
            self.ears.hear(Lagged(max(0.0, (now - asked_at).total_seconds() - BEAT_SECONDS)))
            if self._service is not None and self._alive:
                self._service.alive(now)

    # --- what is asked --------------------------------------------------------------------------

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Raises ``SettingsError`` for a port that is taken."""
        ops = self._settings.ops
        if ops.port is None:
            yield
            return
        from chatbot.platforms.http import HttpServer  # noqa: PLC0415 (brings the HTTP server)
        from chatbot.platforms.ops import OpsPages  # noqa: PLC0415

        server = HttpServer(ops.host, ops.port, setting="HEDGEROW_OPS__PORT")
        server.add_routes(OpsPages(live=self.live, ready=self.ready, metrics=self.metrics).routes())
        await server.start()
        self.port = server.port
        log.info("probes and metrics at http://%s:%s", ops.host, self.port)
        try:
            yield
        finally:
            await server.stop()

    @property
    def _alive(self) -> bool:
        """While it starts, answering is all that can be asked of it."""
        if self._began_at is None:
            return True
        last = self.ears.health.job_ended_at
        return self._clock.now() - max(last or self._began_at, self._began_at) < STILL_AFTER

    def live(self) -> tuple[bool, Mapping[str, object]]:
        health = self.ears.health
        stage = "starting" if self._began_at is None else "running"
        last = health.job_ended_at
        quiet = None if last is None else round((self._clock.now() - last).total_seconds(), 3)
        return self._alive, {"stage": stage, "last_job_seconds": quiet, "worst_lag_seconds": health.worst_lag}

    async def ready(self) -> tuple[bool, Mapping[str, object]]:
        reading = await self._reader.read()
        health = self.ears.health
        database = {"ok": reading.ledger is not None and health.broken_since is None}
        away = {venue: lasting.total_seconds() for venue, lasting in health.away().items()}
        parts: dict[str, dict[str, object]] = {
            "database": {**database, "trouble": health.broken_by if health.broken_since else None},
            "recovery": {"ok": self._began_at is not None, "in_flight": self._around.supervisor.running},
            "platform": {"ok": self._connected(), "name": self._platform},
            "exchanges": {
                "ok": all(seconds < NOT_READY_AFTER.total_seconds() for seconds in away.values()),
                "away_seconds": away,
            },
        }
        return all(part["ok"] for part in parts.values()), parts

    async def metrics(self) -> tuple[bytes, str]:
        from chatbot.observing.instruments import CONTENT_TYPE  # noqa: PLC0415

        if self.ears.instruments is None:
            return b"", CONTENT_TYPE
        self.ears.instruments.show(await self._reader.read(), self.ears.health)
        return self.ears.instruments.text(), CONTENT_TYPE


def _sources(around: Surroundings, clock: Clock) -> Sources:
    watch = around.watch

    async def looks() -> Mapping[str, timedelta]:
        now, oldest = clock.now(), dict[str, timedelta]()
        for account in await watch.pacer.accounts():
            sight = watch.watching.sight(account.id)
            if sight is not None:
                oldest[account.venue] = max(now - sight.at, oldest.get(account.venue, timedelta(0)))
        return oldest

    def paces() -> Mapping[str, Pace]:
        return around.exchanges.paces() if isinstance(around.exchanges, Paced) else {}

    return Sources(
        census=around.census,
        store=around.store,
        mailbox=around.mailbox,
        unexplained=lambda: around.bookkeeper.unexplained,
        looks=looks,
        streams=watch.streaming.states,
        paces=paces,
    )
