"""Wires who looks at accounts, when, and what wakes them; part of the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass

from chatbot.ports import Account, Clock, Presenter, Store, Streams
from chatbot.pushing.scheduler import Scheduler
from chatbot.routing import PAPER, RoutedVenues
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.locks import AccountLocks
from chatbot.services.pacing import Pacer
from chatbot.services.streaming import StreamService
from chatbot.services.watching import WatchService

TURN_SECONDS = 1.0  # how often it is asked whose turn it is
TEND_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WatchRoom:
    watching: WatchService
    pacer: Pacer
    streaming: StreamService
    venues: RoutedVenues

    def schedule(self, scheduler: Scheduler, venues: Iterable[str]) -> None:
        """What is not on paper; each exchange by itself, so that a slow one holds up nobody elsewhere."""
        for venue in venues:
            scheduler.every(f"watch {venue}", TURN_SECONDS, self._turn_of(venue))
        scheduler.every("streams", TEND_SECONDS, self.tend)

    def _turn_of(self, venue: str) -> Callable[[], Awaitable[None]]:
        return lambda: self.pacer.look_at_due(venue)

    async def tend(self) -> None:
        self.streaming.tend([each for each in await self.pacer.accounts() if each.venue != PAPER])

    def key_changed(self, account: Account) -> None:
        self.venues.forget(account)
        self.streaming.drop(account)

    def let_go(self, shards: Collection[int]) -> None:
        """Another process watches them now."""
        self.watching.forget(shards)
        self.streaming.let_go(shards)

    async def stop(self) -> None:
        await self.streaming.stop()
        await self.pacer.stop()


def open_watch_room(
    *,
    store: Store,
    venues: RoutedVenues,
    streams: Streams,
    bookkeeper: Bookkeeper,
    presenter: Presenter,
    clock: Clock,
    locks: AccountLocks,
    notify: Callable[[], None],
    first: Callable[[Account], Awaitable[object]],
) -> WatchRoom:
    watching = WatchService(
        store=store,
        venues=venues,
        bookkeeper=bookkeeper,
        presenter=presenter,
        clock=clock,
        notify=notify,
        unstreamed=lambda account: streaming.missing_for(account),  # noqa: PLW0108 (made below)
        seen=lambda account, sight: streaming.seen(account, sight),  # noqa: PLW0108 (likewise)
        passed=lambda account: streaming.passed(account),  # noqa: PLW0108 (likewise)
        first=first,
    )
    pacer = Pacer(
        store=store,
        watching=watching,
        clock=clock,
        streamed=lambda account: streaming.streamed(account),  # noqa: PLW0108 (likewise)
        room=streams.room,
        busy=locks.busy,
        prices=lambda venue: streaming.prices(venue),  # noqa: PLW0108 (likewise)
    )
    streaming = StreamService(streams, clock, wake=pacer.wake, concern=pacer.concern, sight=watching.sight)
    return WatchRoom(watching, pacer, streaming, venues)
