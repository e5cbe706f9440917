"""Somebody listens at the ports, and nobody behind them can tell."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from chatbot.chat import ChatRef, Platform, Reply
from chatbot.clock import VirtualClock
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.order import Outcome, Unknown
from chatbot.errors import Conflict, DeliverLater, VenueUnavailable
from chatbot.observing import wrappers
from chatbot.observing.events import Asked, Committed, Delivered, Event, Mailed, Placed
from chatbot.ports import Account, Changes, Mailbox, Store, Venue
from chatbot.storage.database import open_database
from tests.storage.samples import request

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ACCOUNT = Account(AccountId("a1"), UserId("u1"), "okx", "OKX", NOON)


class Door:
    """A venue, as far as it is asked here."""

    venue_id = "okx"
    notes = ("nothing of a port",)

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock

    async def view(self, symbols: object = (), *, depth: int = 50) -> str:
        await self.clock.sleep(0.25)
        return f"{symbols} {depth}"

    async def order(self, symbol: str, client_order_id: str) -> None:
        raise VenueUnavailable

    async def place(self, orders: object) -> tuple[Outcome, ...]:
        return (Unknown("cut"),)


def metered(clock: VirtualClock, heard: list[Event]) -> Any:
    inner: Any = Door(clock)
    return wrappers.metered_venue(ACCOUNT, inner, clock, heard.append)


async def test_a_call_is_told_with_its_time_and_answers_as_before() -> None:
    clock, heard = VirtualClock(NOON), list[Event]()
    asking = asyncio.create_task(metered(clock, heard).view({"ETH"}, depth=5))
    await clock.advance(0)
    await clock.advance(1)

    assert await asking == "{'ETH'} 5"
    assert heard == [Asked("okx", ACCOUNT.id, "view", 0.25, None)]


async def test_an_error_is_told_and_raised() -> None:
    heard = list[Event]()
    with pytest.raises(VenueUnavailable):
        await metered(VirtualClock(NOON), heard).order("ETH", "HR1")

    (asked,) = heard
    assert isinstance(asked, Asked)
    assert isinstance(asked.error, VenueUnavailable)


async def test_what_became_of_orders_is_told() -> None:
    heard = list[Event]()
    await metered(VirtualClock(NOON), heard).place(())

    assert heard[1] == Placed("okx", (Unknown("cut"),))


async def test_what_was_given_up_on_tells_nothing_of_the_venue() -> None:
    clock, heard = VirtualClock(NOON), list[Event]()
    asking = asyncio.create_task(metered(clock, heard).view())
    await clock.advance(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert heard == []


def test_what_is_no_call_of_the_port_is_the_venues_own() -> None:
    venue = metered(VirtualClock(NOON), [])

    assert (venue.venue_id, venue.notes) == ("okx", Door.notes)
    with pytest.raises(AttributeError):
        venue.balance_of_somebody_else  # noqa: B018


def test_every_call_of_the_port_is_metered() -> None:
    calls = {name for name in vars(Venue) if not name.startswith("_")} - {"venue_id"}

    assert calls == wrappers.VENUE_CALLS


def test_every_write_of_the_mailbox_is_metered() -> None:
    """What is left only reads; ``secret`` writes once in the life of a database."""
    calls = {name for name in vars(Mailbox) if not name.startswith("_")}

    reads = {"cursor", "unhandled", "due", "next_due_at", "sent_since", "due_beside"}
    assert calls - wrappers.MAIL_WRITES == {"receive", "secret"} | reads


async def test_commits_and_mail_are_told_with_what_they_were_about() -> None:
    clock, heard = VirtualClock(NOON), list[Event]()
    async with open_database("sqlite+aiosqlite://") as database:
        store: Store = wrappers.metered_store(database.store, clock, heard.append)
        mailbox = wrappers.metered_mailbox(database.mailbox, clock, heard.append)
        await mailbox.receive([request()], cursor=("telegram", 3))
        await store.commit(Changes(handled=(request().id,)))
        await mailbox.abandon([1], reason="old")
        read = await mailbox.cursor("telegram")

    assert read == 3
    assert heard == [
        Mailed(0.0, None, 1),
        Committed(0.0, None, Changes(handled=(request().id,))),
        Mailed(0.0, None, 0),
    ]


async def test_a_commit_that_fails_says_why() -> None:
    class Refusing:
        async def commit(self, changes: Changes) -> None:
            raise Conflict

    heard = list[Event]()
    inner: Any = Refusing()
    with pytest.raises(Conflict):
        await wrappers.metered_store(inner, VirtualClock(NOON), heard.append).commit(Changes())

    (committed,) = heard
    assert isinstance(committed, Committed)
    assert isinstance(committed.error, Conflict)


async def test_a_delivery_is_told_by_its_platform() -> None:
    class Away:
        platform = Platform.TELEGRAM

        async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
            raise DeliverLater

    heard = list[Event]()
    inner: Any = Away()
    messenger = wrappers.metered_messenger(inner, VirtualClock(NOON), heard.append)
    with pytest.raises(DeliverLater):
        await messenger.deliver(ChatRef(Platform.TELEGRAM, "1"), Reply(), edits=None)

    (delivered,) = heard
    assert isinstance(delivered, Delivered)
    assert messenger.platform is delivered.platform is Platform.TELEGRAM
