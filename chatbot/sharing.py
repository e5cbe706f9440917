"""Wires what several processes on one database share; part of the composition root.

On PostgreSQL any number of processes divide the users among themselves, even if there is only one. On SQLite
one process has them all, and nothing here happens.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from chatbot.clock import SystemClock
from chatbot.errors import SettingsError
from chatbot.keyroom import KeyRoom
from chatbot.ports import Alone, Clock, Leases, Mailbox
from chatbot.pushing.inbox import InboxProcessor
from chatbot.pushing.leasing import LeaseKeeper
from chatbot.pushing.outbox import Outbox
from chatbot.routing import RoutedVenues
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.recovery import Supervisor
from chatbot.settings import LiveMarket, Settings, SimulatedMarket
from chatbot.storage.vault import AGREED_KEY, SqlVault
from chatbot.venues.feeds import PriceFeed, SimulatedFeed
from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.shards import PaperShards
from chatbot.watchroom import WatchRoom

POLLING = "telegram"  # the duty of one process; its cursor in the mailbox is called the same
FOLDER_MARK = "id"

log = logging.getLogger(__name__)


@runtime_checkable
class Divisible(Protocol):
    """What is limited by address, for all processes behind it."""

    def shared_by(self, processes: int) -> None: ...


def open_leases(settings: Settings, clock: Clock, *, only_look: bool = False) -> LeaseKeeper | None:
    """``None``: this process is alone. Who only looks takes nothing from those that work."""
    if only_look or not settings.on_a_server:
        return None
    from chatbot.storage.postgres.leases import SqlLeaseTable  # noqa: PLC0415 (its driver: large)

    telegram = settings.telegram
    polls = telegram.token is not None and telegram.webhook_url is None
    return LeaseKeeper(
        SqlLeaseTable(settings.database_url),
        # Terms are real time, however fast the bot's own clock goes.
        SystemClock(),
        term=timedelta(seconds=settings.processes.lease_seconds),
        duties=[POLLING] if polls else [],
    )


# --- paper ----------------------------------------------------------------------------------------


async def open_shared_paper(
    settings: Settings, leases: Leases, mailbox: Mailbox, feed: PriceFeed, clock: Clock
) -> PaperShards:
    """:raises SettingsError: the other processes keep the paper accounts in another folder"""
    path = settings.paper_state_path
    if path is None:
        raise SettingsError("HEDGEROW_PAPER__STATE_FILE is needed. Example: hedgerow-paper.db")
    folder = path.with_suffix(".d")
    await _require_common(folder, feed.name, mailbox)
    speed = settings.paper.speed
    return PaperShards(folder, leases, clock, speed, feed=feed, feed_of_one=_feeds(settings, feed))


async def _require_common(folder: Path, market: str, mailbox: Mailbox) -> None:
    """The folder, and the market in it, that the first process founded."""
    found = await asyncio.to_thread(_mark_of, folder)
    if await mailbox.secret(f"paper folder {folder.name}", offered=found.encode()) != found.encode():
        raise SettingsError(
            f"HEDGEROW_PAPER__STATE_FILE: the paper accounts of this database are kept elsewhere than in "
            f"{folder}. All processes need the same one; a new name starts new paper accounts. "
            "Example: HEDGEROW_PAPER__STATE_FILE=paper-2.db"
        )
    founded = await mailbox.secret(f"paper market {folder.name}", offered=market.encode())
    if founded != market.encode():
        raise SettingsError(
            f"HEDGEROW_PAPER__MARKET: the paper accounts live on {founded.decode()}, not {market}. "
            "Set it back, or start over by setting HEDGEROW_PAPER__STATE_FILE to a new file, "
            "for example paper-2.db."
        )


def _mark_of(folder: Path) -> str:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = folder / FOLDER_MARK
        if not mark.exists():
            partial = folder / f"{FOLDER_MARK}.{secrets.token_hex(4)}"
            partial.write_text(secrets.token_hex(16), encoding="ascii")
            try:
                mark.hardlink_to(partial)  # whoever comes first decides, and nobody reads half of it
            except FileExistsError:
                pass
            finally:
                partial.unlink()
        return mark.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(
            f"HEDGEROW_PAPER__STATE_FILE: the folder {folder} cannot be used: {error.strerror}. "
            "Example: HEDGEROW_PAPER__STATE_FILE=hedgerow-paper.db"
        ) from None


async def require_one_master_key(vault: SqlVault, mailbox: Mailbox) -> None:
    """:raises SettingsError: what one process seals another could not open"""
    agreed = await mailbox.secret(AGREED_KEY, offered=vault.key_id.encode())
    if agreed.decode() != vault.key_id:
        raise SettingsError(
            f"HEDGEROW_MASTER_KEY_FILE: the processes of this database have the key {agreed.decode()}, "
            f"and {vault.key_source} holds {vault.key_id}. Copy the key file of the first one here. "
            "Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
        )


def _feeds(settings: Settings, feed: PriceFeed) -> Callable[[], PriceFeed]:
    """What remembers where it is, each market has of its own."""
    market = settings.paper.market
    if isinstance(market, LiveMarket):
        from chatbot.venues.live_prices import LivePrices  # noqa: PLC0415 (large, likewise)

        return feed.view if isinstance(feed, LivePrices) else lambda: feed
    if isinstance(market, SimulatedMarket) and isinstance(feed, SimulatedFeed):
        return lambda: SimulatedFeed.at_speed(settings.paper.seed, settings.paper.speed)
    return lambda: feed


# --- work -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SharedWork:
    """``chatbot.pushing.leasing.Work``: all that is done for users."""

    inbox: InboxProcessor
    outbox: Outbox
    supervisor: Supervisor
    watch: WatchRoom
    bookkeeper: Bookkeeper
    keys: KeyRoom
    venues: RoutedVenues
    paper: PaperExchange | PaperShards
    exchanges: object

    async def begin(self, shards: Collection[int]) -> None:
        del shards  # whoever is asked sees what is held
        await self.keys.take_over()
        await self.supervisor.resume_all()
        self.look()

    def look(self) -> None:
        self.inbox.look()
        self.outbox.notify()

    async def let_go(self, shards: Collection[int], *, seconds: float) -> None:
        """First what brings new work, then what it has begun, then what tells of it."""
        await self.inbox.let_go(shards, seconds=seconds)
        await self.supervisor.let_go(shards, seconds=seconds)
        await self.outbox.let_go(shards, seconds=seconds)
        self.watch.let_go(shards)
        self.bookkeeper.forget(shards)
        self.keys.let_go(shards)
        self.venues.let_go(shards)
        if isinstance(self.paper, PaperShards):
            self.paper.let_go(shards)

    def shared_by(self, processes: int, *, here: int) -> None:
        log.info("processes", extra={"all": processes, "here": here})
        self.outbox.shared_by(processes)
        if isinstance(self.exchanges, Divisible):
            self.exchanges.shared_by(here)


def once_for_all(
    mailbox: Mailbox, clock: Clock, name: str, seconds: float, job: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    """Of several processes one does it each time: whichever comes first."""

    async def do() -> None:
        now = clock.now()
        due_at = now - timedelta(seconds=now.timestamp() % seconds)
        if await mailbox.first_to(name, due_at.replace(microsecond=0)):
            await job()

    return do


def leases_of(keeper: LeaseKeeper | None) -> Leases:
    return keeper or Alone()
