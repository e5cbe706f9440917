"""Wires what has to do with keys and admission; part of the composition root."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from chatbot.chat import Erasure, MessageRef, Request, UserRef
from chatbot.domain.hedge import AccountId
from chatbot.errors import VenueUnavailable
from chatbot.ports import (
    Account,
    Alone,
    Clock,
    Credentials,
    Exchanges,
    KeyReport,
    Leases,
    Sealer,
    Sighting,
    TicketOffice,
    Venue,
    Venues,
)
from chatbot.services.admission import Admission
from chatbot.services.connecting import ConnectService, KeyCards
from chatbot.services.entering import KeyEntry
from chatbot.services.handing import Elsewhere
from chatbot.services.linking import LinkDesk
from chatbot.services.locks import AccountLocks
from chatbot.services.people import People
from chatbot.services.rechecking import FreezeCards, KeyWatch
from chatbot.settings import Settings
from chatbot.storage.database import Database
from chatbot.storage.master_key import GivenKey, KeyFile, MasterKey, MasterKeys, system_key
from chatbot.storage.vault import Envelopes, LinkOffice, SqlVault

if TYPE_CHECKING:
    from chatbot.platforms.web import ConnectPage


class NoExchanges:
    """Where no exchange is wired in: the bot trades on paper."""

    def refusal(self, venue_id: str) -> str | None:
        return "No exchange can be connected here: this bot trades on paper."

    def supported(self) -> tuple[str, ...]:
        return ()

    def needs_passphrase(self, venue_id: str) -> bool:
        return False

    async def examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        return KeyReport(can_read=False, can_trade=False, can_move_funds=None, ip_restricted=None)

    def venue(self, account: Account, credentials: Credentials) -> Venue:
        raise VenueUnavailable(f"{account.venue} is not wired in.", venue=account.venue)

    def seen(self, account: Account) -> Sighting:
        return Sighting()

    def forget(self, account_id: AccountId) -> None:
        """Nothing was learned."""


class Cards(KeyCards, FreezeCards, Protocol):
    """All the wording that this room needs."""


@dataclass(frozen=True, slots=True)
class KeyRoom:
    """``links`` and ``page`` are ``None`` without a public address."""

    vault: SqlVault
    admission: Admission
    connecting: ConnectService
    entry: KeyEntry
    watch: KeyWatch
    links: LinkDesk | None
    page: ConnectPage | None
    office: TicketOffice
    public_url: str | None

    def prepare(self) -> None:
        """A master key that cannot be made is told at the start, not to whoever hands in the first key."""
        if self.connecting.supported():
            self.vault.require_key()

    def page_url(self, reference: str) -> str:
        return f"{self.public_url}/connect/{self.office.token(reference)}"

    async def take_over(self) -> None:
        """Another process worked for some users until now."""
        await self.admission.load()
        await self.entry.load()

    def let_go(self, shards: Collection[int]) -> None:
        self.entry.let_go(shards)
        self.connecting.let_go(shards)

    async def forget_stale(self) -> None:
        self.entry.forget_stale()
        self.connecting.forget_stale()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the room needs of the rest of the bot.

    ``key_changed``: whoever holds on to something made with an account's key must let go of it.
    """

    keys: MasterKeys
    vault: SqlVault
    exchanges: Exchanges
    venues: Venues
    people: People
    clock: Clock
    locks: AccountLocks
    cards: Cards
    notify: Callable[[], None]
    erase: Callable[[MessageRef], Awaitable[Erasure]]
    key_changed: Callable[[Account], None] = lambda _: None
    leases: Leases = field(default_factory=Alone)
    receive: Callable[[Sequence[Request]], Awaitable[None]] | None = None

    @property
    def sealer(self) -> Sealer:
        return Envelopes(self.keys)

    @property
    def elsewhere(self) -> Elsewhere | None:
        return None if self.receive is None else Elsewhere(self.leases, self.sealer, self.receive)


async def open_key_room(settings: Settings, database: Database, around: Surroundings) -> KeyRoom:
    """:raises SettingsError: the master key is missing, or anybody can read it"""
    vault, office = around.vault, LinkOffice(around.keys)
    admission = Admission(database.invites, settings.allowed_users, around.clock)
    connecting = _connecting(database, vault, around)
    links = _links(settings, database, office, connecting, around)
    room = KeyRoom(
        vault=vault,
        admission=admission,
        connecting=connecting,
        entry=KeyEntry(
            connecting=connecting,
            tickets=database.tickets,
            office=office,
            erase=around.erase,
            allowed=admission.allows,
            clock=around.clock,
            own_secrets=settings.secrets,
            leases=around.leases,
            sealer=around.sealer,
            renew=admission.load,
        ),
        watch=_watch(database, vault, around),
        links=links,
        page=_page(links, settings),
        office=office,
        public_url=settings.public_url,
    )
    await vault.settle_master_key()
    await admission.load()
    await room.entry.load()
    return room


def _connecting(database: Database, vault: SqlVault, around: Surroundings) -> ConnectService:
    return ConnectService(
        store=database.store,
        vault=vault,
        keys=vault,
        exchanges=around.exchanges,
        venues=around.venues,
        people=around.people,
        clock=around.clock,
        locks=around.locks,
        key_changed=around.key_changed,
    )


def _watch(database: Database, vault: SqlVault, around: Surroundings) -> KeyWatch:
    return KeyWatch(
        store=database.store,
        vault=vault,
        keys=vault,
        exchanges=around.exchanges,
        clock=around.clock,
        locks=around.locks,
        cards=around.cards,
        notify=around.notify,
    )


def _links(
    settings: Settings,
    database: Database,
    office: TicketOffice,
    connecting: ConnectService,
    around: Surroundings,
) -> LinkDesk | None:
    if settings.public_url is None or settings.telegram.token is None:
        return None
    return LinkDesk(
        connecting=connecting,
        tickets=database.tickets,
        office=office,
        store=database.store,
        clock=around.clock,
        cards=around.cards,
        notify=around.notify,
        proven_user=_proof(settings.telegram.token.get_secret_value(), around.clock),
        elsewhere=around.elsewhere,
    )


def _page(links: LinkDesk | None, settings: Settings) -> ConnectPage | None:
    if links is None or settings.public_url is None:
        return None
    from chatbot.platforms.web import ConnectPage  # noqa: PLC0415 (brings the HTTP server)

    return ConnectPage(links, settings.public_url)


def _proof(token: str, clock: Clock) -> Callable[[str], UserRef | None]:
    from chatbot.platforms.telegram.initdata import proven_user  # noqa: PLC0415 (large)

    return lambda proof: proven_user(proof, token, clock.now())


def open_master_keys(settings: Settings, environ: Mapping[str, str] = os.environ) -> MasterKeys:
    """From where it was set, else of the service manager, else the file beside the database."""
    if settings.master_key is not None:
        text = settings.master_key.get_secret_value()
        return GivenKey(MasterKey.read(text, "HEDGEROW_MASTER_KEY"), "HEDGEROW_MASTER_KEY")
    folder = environ.get("CREDENTIALS_DIRECTORY")
    given = system_key(Path(folder)) if folder and settings.master_key_file is None else None
    if given is not None:
        return given
    path = settings.master_key_path
    return GivenKey(MasterKey.new(), "memory, like the database") if path is None else KeyFile(path)
