"""The composition root: the only module that names concrete adapters and imports the handlers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from chatbot.chat import Erasure, MessageRef, Platform, Reply, Request
from chatbot.clock import SystemClock
from chatbot.domain.hedge import UserId
from chatbot.errors import SettingsError
from chatbot.ids import RandomIds
from chatbot.keyroom import KeyRoom, NoExchanges, Surroundings, open_key_room, open_master_keys
from chatbot.opsroom import Ears, OpsRoom
from chatbot.opsroom import Surroundings as OpsSurroundings
from chatbot.ports import (
    Changes,
    Clock,
    Eraser,
    Exchanges,
    IdSource,
    Leases,
    Mailbox,
    Messenger,
    Store,
)
from chatbot.pushing.inbox import InboxProcessor, replies_to_outbox
from chatbot.pushing.leasing import LeaseKeeper
from chatbot.pushing.limits import Limits, telegram_limits
from chatbot.pushing.outbox import Outbox
from chatbot.pushing.scheduler import Scheduler
from chatbot.routing import PAPER, RoutedStreams, RoutedVenues
from chatbot.services.accounts import AccountService
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.charting import Charting
from chatbot.services.digesting import DigestService
from chatbot.services.driving import Driver
from chatbot.services.hedging import HedgeService
from chatbot.services.locks import AccountLocks
from chatbot.services.offering import Offers, QuoteTerms
from chatbot.services.pairs import PairWatch
from chatbot.services.people import People
from chatbot.services.recovery import Supervisor
from chatbot.services.reporting import Reporting
from chatbot.services.restoring import Beginning, Reconciler
from chatbot.services.watching import WatchService
from chatbot.settings import LiveMarket, ReplayMarket, Settings
from chatbot.sharing import (
    SharedWork,
    leases_of,
    once_for_all,
    open_leases,
    open_shared_paper,
    require_one_master_key,
)
from chatbot.storage.database import Database, open_database, open_database_beside
from chatbot.venues.feeds import PriceFeed, ReplayFeed, SimulatedFeed
from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.shards import PaperShards
from chatbot.watchroom import WatchRoom, open_watch_room
from handlers import COMMANDS
from handlers.buttons import Buttons
from handlers.context import Services
from handlers.presenter import CardPresenter
from handlers.router import Router

if TYPE_CHECKING:
    from chatbot.platforms.telegram import TelegramPlatform
    from chatbot.venues.ccxt.exchanges import CcxtExchanges

MARKET_SECONDS = 1.0
WATCH_SECONDS = 2.0
PRUNE_SECONDS = 3600.0
STALE_SECONDS = 60.0
DIGEST_SECONDS = 30.0
UNFINISHED_SECONDS = 5.0
RECHECK_SECONDS = 86_400.0
KEEP = timedelta(days=7)


@runtime_checkable
class Polled(Protocol):
    """A price feed that asks the world by itself while the bot runs."""

    async def run(self) -> None: ...

    async def poll(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Bot:
    """Everything that runs, wired."""

    settings: Settings
    clock: Clock
    store: Store
    mailbox: Mailbox
    exchange: PaperExchange | PaperShards
    venues: RoutedVenues
    people: People
    hedging: HedgeService
    accounts: AccountService
    pairs: PairWatch
    reporting: Reporting
    digests: DigestService
    watching: WatchService
    watch: WatchRoom
    bookkeeper: Bookkeeper
    supervisor: Supervisor
    keys: KeyRoom
    ops: OpsRoom
    beginning: Beginning
    router: Router
    inbox: InboxProcessor
    outbox: Outbox
    scheduler: Scheduler
    messengers: dict[Platform, Messenger]
    exchanges: Exchanges
    keeper: LeaseKeeper | None = None  # who divides the users among processes, where there may be several

    def speak_through(self, messenger: Messenger) -> None:
        """A platform joins: from now on what is owed to its chats is delivered."""
        self.messengers[messenger.platform] = messenger
        self.outbox.add(self.ops.ears.messenger(messenger))

    async def start(self) -> None:
        """What was in flight goes on before anything new is taken. Raises SettingsError (the master key)."""
        self.keys.prepare()
        await self.beginning.wait()
        if self.keeper is not None:
            await require_one_master_key(self.keys.vault, self.mailbox)
            await self.keeper.start(self._shared_work())
            return
        await self.supervisor.resume_all()
        await self.inbox.start()

    def _shared_work(self) -> SharedWork:
        return SharedWork(
            inbox=self.inbox,
            outbox=self.outbox,
            supervisor=self.supervisor,
            watch=self.watch,
            bookkeeper=self.bookkeeper,
            keys=self.keys,
            venues=self.venues,
            paper=self.exchange,
            exchanges=self.exchanges,
        )

    async def settled(self) -> None:
        """Everything received is handled, no order is in flight, everything owed is delivered."""
        await self.inbox.idle()
        await self.supervisor.idle()
        await self.outbox.idle()

    async def run(self) -> None:
        """The outbox and the scheduler, until ``stop``; live prices beside them."""
        async with _polling(self.exchange.feed), asyncio.TaskGroup() as tasks:
            tasks.create_task(self.outbox.run(), name="outbox")
            tasks.create_task(self.scheduler.run(), name="scheduler")
            if self.keeper is not None:
                tasks.create_task(self.keeper.run(), name="leases")
            tasks.create_task(self.ops.run(), name="ops")

    async def stop(self) -> None:
        await self.ops.stop()
        if self.keeper is not None:
            self.keeper.retire()
        await self.inbox.stop()
        await self.scheduler.stop()
        await self.watch.stop()
        await self.supervisor.stop()
        await self.outbox.stop()
        if self.keeper is not None:
            self.exchange.close()  # before another process opens what is in it
            await self.keeper.stop()


@asynccontextmanager
async def _polling(feed: PriceFeed) -> AsyncIterator[None]:
    if not isinstance(feed, Polled):
        yield
        return
    asking = asyncio.create_task(feed.run(), name="live prices")
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await feed.close()


@asynccontextmanager
async def open_bot(
    settings: Settings,
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    feed: PriceFeed | None = None,
    exchanges: Exchanges | None = None,
    messengers: Sequence[Messenger] = (),
    limits: Mapping[Platform, Limits] | None = None,
    only_look: bool = False,
    alone: bool = False,
) -> AsyncIterator[Bot]:
    """``limits``: how fast each platform may be sent to, in place of what is set; a benchmark lifts them.

    ``only_look``: a paper exchange that does not exist yet is not founded, since it belongs to one market,
    and a restored database stays as it is. ``alone``: nobody shares the database, though a server has it.
    """
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        keeper = None if alone else open_leases(settings, clock, only_look=only_look)
        database = await stack.enter_async_context(_open_database(settings, keeper, only_look=only_look))
        market = feed or open_feed(settings, clock)
        if keeper is not None:
            exchange: PaperExchange | PaperShards = await open_shared_paper(
                settings, keeper, database.mailbox, market, clock
            )
        else:
            exchange = PaperExchange.open(
                _state_file(settings, only_look), market, clock, settings.paper.speed
            )
        stack.callback(exchange.close)
        ids = ids or RandomIds()
        if not only_look:
            await Beginning(database.copies, clock).begin()
        bot = await _wire(
            settings,
            database,
            exchange,
            clock,
            ids,
            exchanges=exchanges,
            messengers=messengers,
            limits=limits_of(settings) if limits is None else limits,
            keeper=keeper,
        )
        stack.push_async_callback(bot.watch.stop)
        yield bot


def limits_of(settings: Settings) -> Mapping[Platform, Limits]:
    return {Platform.TELEGRAM: telegram_limits(settings.telegram.messages_per_second)}


def _open_database(
    settings: Settings, keeper: LeaseKeeper | None, *, only_look: bool
) -> AbstractAsyncContextManager[Database]:
    if only_look and settings.on_a_server:
        return open_database_beside(settings.database_url)
    return open_database(settings.database_url, keeper)


def _state_file(settings: Settings, only_look: bool) -> Path | None:
    state = settings.paper_state_path
    if only_look and state is not None and not state.exists():
        return None
    return state


def open_feed(settings: Settings, clock: Clock) -> PriceFeed:
    market = settings.paper.market
    if isinstance(market, ReplayMarket):
        return ReplayFeed.read(market.path)
    if isinstance(market, LiveMarket):
        from chatbot.venues.live_prices import LivePrices  # noqa: PLC0415 (large: only where it is used)

        override = settings.venues.get(market.venue)
        return LivePrices(market.venue, clock, api_url=override.api_url if override else None)
    return SimulatedFeed.at_speed(settings.paper.seed, settings.paper.speed)


def open_exchanges(settings: Settings, clock: Clock) -> CcxtExchanges:
    """Loads nothing of an exchange before an account of it is used."""
    from chatbot.venues.ccxt.exchanges import CcxtExchanges  # noqa: PLC0415 (large, likewise)

    return CcxtExchanges(
        clock,
        api_urls={name: venue.api_url for name, venue in settings.venues.items() if venue.api_url},
        practice=frozenset(name for name, venue in settings.venues.items() if venue.demo),
    )


async def _wire(
    settings: Settings,
    database: Database,
    exchange: PaperExchange | PaperShards,
    clock: Clock,
    ids: IdSource,
    *,
    keeper: LeaseKeeper | None = None,
    messengers: Sequence[Messenger],
    limits: Mapping[Platform, Limits],
    exchanges: Exchanges | None = None,
) -> Bot:
    ears, leases = Ears(settings, clock), leases_of(keeper)
    store, mailbox = ears.store(database.store), ears.mailbox(database.mailbox)
    exchanges = exchanges or NoExchanges()
    master_keys = open_master_keys(settings)
    vault = database.vault(master_keys)
    venues = RoutedVenues(exchange, exchanges, vault, leases, metered=ears.venue)
    locks = AccountLocks()
    people = People(store, clock)
    buttons = Buttons(await mailbox.secret("buttons"))
    presenter = CardPresenter(buttons, settings.quote.band)
    bookkeeper = Bookkeeper(store, venues, clock, locks)
    outbox = Outbox(
        mailbox,
        [ears.messenger(each) for each in messengers],
        clock,
        limits,
        aged=presenter.aged,
        leases=leases,
    )
    driver = Driver(
        store=store,
        venues=venues,
        clock=clock,
        presenter=presenter,
        bookkeeper=bookkeeper,
        locks=locks,
        notify=outbox.notify,
    )
    watch = open_watch_room(
        store=store,
        venues=venues,
        streams=RoutedStreams(exchanges, vault),
        bookkeeper=bookkeeper,
        presenter=presenter,
        clock=clock,
        locks=locks,
        notify=outbox.notify,
        first=lambda account: reconciler.reconcile(account),  # noqa: PLW0108 (made below)
    )
    supervisor = Supervisor(store, driver, clock, ended=watch.pacer.hurry)
    offers = Offers(
        store=store,
        venues=venues,
        clock=clock,
        ids=ids,
        people=people,
        bookkeeper=bookkeeper,
        terms=QuoteTerms(timedelta(seconds=settings.quote.lifetime_seconds), settings.quote.band),
    )
    hedging = HedgeService(
        store=store,
        venues=venues,
        clock=clock,
        ids=ids,
        people=people,
        offers=offers,
        presenter=presenter,
        bookkeeper=bookkeeper,
        supervisor=supervisor,
        locks=locks,
    )
    reconciler = Reconciler(
        store=store,
        venues=venues,
        bookkeeper=bookkeeper,
        hedging=hedging,
        clock=clock,
        ids=ids,
        locks=locks,
        cards=presenter,
        notify=outbox.notify,
    )
    pairs = PairWatch(store=store, venues=venues, clock=clock, ids=ids, supervisor=supervisor, locks=locks)
    accounts = AccountService(
        store=store, venues=venues, paper=exchange, people=people, clock=clock, locks=locks
    )
    reporting = Reporting(store, venues, people, clock, bookkeeper)
    charting = Charting(store, venues, people, reporting)
    digests = DigestService(
        store=store,
        venues=venues,
        reporting=reporting,
        charting=charting,
        cards=presenter,
        clock=clock,
        notify=outbox.notify,
    )
    spoken = {messenger.platform: messenger for messenger in messengers}

    async def erase(message: MessageRef) -> Erasure:
        messenger = spoken.get(message.chat.platform)
        if messenger is None or not isinstance(messenger, Eraser):
            return Erasure.NONE
        return Erasure.ERASED if await messenger.erase(message) else Erasure.LEFT

    around = Surroundings(
        keys=master_keys,
        vault=vault,
        exchanges=ears.exchanges(exchanges),
        venues=venues,
        people=people,
        clock=clock,
        locks=locks,
        cards=presenter,
        notify=outbox.notify,
        erase=erase,
        key_changed=watch.key_changed,
        leases=leases,
        receive=lambda requests: inbox.receive(requests),  # noqa: PLW0108 (made below)
    )
    keys = await open_key_room(settings, database, around)
    ops = OpsRoom(
        settings,
        ears,
        OpsSurroundings(
            census=database.census,
            store=store,
            mailbox=mailbox,
            exchanges=exchanges,
            watch=watch,
            bookkeeper=bookkeeper,
            supervisor=supervisor,
            messengers=spoken,
            notify=outbox.notify,
        ),
    )
    router = Router(
        Services(
            hedging=hedging,
            reconciler=reconciler,
            accounts=accounts,
            reporting=reporting,
            charting=charting,
            people=people,
            paper=exchange,
            store=store,
            clock=clock,
            buttons=buttons,
            admission=keys.admission,
            connecting=keys.connecting,
            entry=keys.entry,
            links=keys.links,
            show_balances_in_groups=settings.telegram.show_balances_in_groups,
            market=exchange.feed.name,
        ),
        COMMANDS,
    )

    inbox = _open_inbox(store, mailbox, router, keys, outbox, spoken, clock, leases)
    scheduler = Scheduler(clock, ended=ears.job_ended)
    bot = Bot(
        settings=settings,
        clock=clock,
        store=store,
        mailbox=mailbox,
        exchange=exchange,
        venues=venues,
        people=people,
        hedging=hedging,
        accounts=accounts,
        pairs=pairs,
        reporting=reporting,
        digests=digests,
        watching=watch.watching,
        watch=watch,
        bookkeeper=bookkeeper,
        supervisor=supervisor,
        keys=keys,
        ops=ops,
        beginning=Beginning(database.copies, clock),
        router=router,
        inbox=inbox,
        outbox=outbox,
        scheduler=scheduler,
        messengers=spoken,
        exchanges=exchanges,
        keeper=keeper,
    )
    _schedule(bot)
    return bot


def _open_inbox(  # noqa: PLR0917 (all that a request touches)
    store: Store,
    mailbox: Mailbox,
    router: Router,
    keys: KeyRoom,
    outbox: Outbox,
    spoken: Mapping[Platform, Messenger],
    clock: Clock,
    leases: Leases,
) -> InboxProcessor:
    async def finish(request: Request, replies: Sequence[Reply]) -> None:
        owed = replies_to_outbox(request, replies, clock.now())
        await store.commit(Changes(handled=(request.id,), outbox=owed, behalf=UserId(str(request.user))))
        outbox.notify()

    async def acknowledge(request: Request, toast: str | None) -> None:
        messenger = spoken.get(request.chat.platform)
        if messenger is not None:
            await messenger.acknowledge(request, toast)

    return InboxProcessor(
        mailbox,
        router.handle,
        finish,
        acknowledge,
        clock=clock,
        screen=keys.entry.screen,
        leases=leases,
    )


def _schedule(bot: Bot) -> None:
    async def advance_market() -> None:
        bot.exchange.advance()

    async def watch() -> None:
        """One after the other: both need the accounts' locks, and who finds one taken only looks."""
        await bot.watching.look_at_all(PAPER)
        await bot.pairs.finish_fired_pairs()

    async def prune() -> None:
        await bot.store.prune(bot.clock.now() - KEEP)

    bot.scheduler.every("market", MARKET_SECONDS, advance_market)
    bot.scheduler.every("watch", WATCH_SECONDS, watch)
    bot.watch.schedule(bot.scheduler, bot.keys.connecting.supported())
    bot.ops.schedule(bot.scheduler)
    prune_once = once_for_all(bot.mailbox, bot.clock, "prune", PRUNE_SECONDS, prune)
    bot.scheduler.every("prune", PRUNE_SECONDS, prune_once if bot.keeper is not None else prune)
    bot.scheduler.every("digests", DIGEST_SECONDS, bot.digests.tell_due, first_after=DIGEST_SECONDS)
    if bot.keeper is not None:
        bot.scheduler.every("unfinished", UNFINISHED_SECONDS, _resume_all(bot))
    bot.scheduler.every("stale keys", STALE_SECONDS, bot.keys.forget_stale)
    bot.scheduler.every("key check", RECHECK_SECONDS, bot.keys.watch.recheck_all, first_after=STALE_SECONDS)


def _resume_all(bot: Bot) -> Callable[[], Awaitable[None]]:
    """What was begun elsewhere, and what stumbled over a database that was away."""

    async def resume() -> None:
        await bot.supervisor.resume_all()

    return resume


# --- platforms ----------------------------------------------------------------------------------


def telegram_platform(bot: Bot) -> TelegramPlatform:
    from chatbot.platforms.http import HttpServer  # noqa: PLC0415
    from chatbot.platforms.telegram import TelegramPlatform, Webhook  # noqa: PLC0415 (large, likewise)

    telegram, http = bot.settings.telegram, bot.settings.http
    if telegram.token is None:
        raise SettingsError("HEDGEROW_TELEGRAM__TOKEN is not set")
    webhook = None
    if telegram.webhook_url is not None and telegram.webhook_secret is not None:
        secret = telegram.webhook_secret.get_secret_value()
        webhook = Webhook(telegram.webhook_url, secret, http.host, http.port)
    server = None
    if bot.keys.page is not None:
        server = HttpServer(http.host, http.port)
        server.add_routes(bot.keys.page.routes())
    return TelegramPlatform(
        token=telegram.token.get_secret_value(),
        api_url=telegram.api_url,
        mailbox=bot.mailbox,
        intake=bot.inbox,
        clock=bot.clock,
        commands=[(command.name.removeprefix("/"), command.summary) for command in COMMANDS],
        webhook=webhook,
        server=server,
        page_url=bot.keys.page_url if bot.keys.page is not None else None,
        turn=bot.keeper if webhook is None else None,
    )
