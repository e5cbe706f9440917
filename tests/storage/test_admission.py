"""Tickets and invites: each is good once, for a while, and nobody has two."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from chatbot.chat import Platform, UserRef
from chatbot.errors import Conflict
from chatbot.ports import Invite, Ticket, TicketKind
from chatbot.storage.database import Database, open_database
from tests.storage import samples
from tests.storage.samples import NOW, USER_ID

SOON = NOW + timedelta(minutes=5)
EVE = UserRef(Platform.TELEGRAM, "666")


def ticket(name: str = "t1", kind: TicketKind = TicketKind.LINK) -> Ticket:
    return Ticket(name, f"digest-of-{name}", kind, USER_ID, "telegram:77", "binance", NOW, SOON)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
        await database.store.commit(samples.PEOPLE)
        await database.tickets.issue([ticket(), ticket("t2", TicketKind.TYPED)])
        yield database


async def test_a_ticket_is_found_by_the_hash_of_its_token(database: Database) -> None:
    assert await database.tickets.by_digest("digest-of-t1") == ticket()
    assert await database.tickets.by_digest("t1") is None


async def test_a_ticket_is_used_once(database: Database) -> None:
    await database.tickets.spend("t1", now=NOW)
    with pytest.raises(Conflict):
        await database.tickets.spend("t1", now=NOW)
    assert await database.tickets.by_digest("digest-of-t1") == replace(ticket(), used_at=NOW)


async def test_attempts_are_counted_up_to_a_limit(database: Database) -> None:
    for _ in range(2):
        await database.tickets.attempt("t1", now=NOW, most=2)
    with pytest.raises(Conflict):
        await database.tickets.attempt("t1", now=NOW, most=2)


async def test_nothing_is_tried_with_an_expired_or_a_used_ticket(database: Database) -> None:
    with pytest.raises(Conflict):
        await database.tickets.attempt("t1", now=SOON, most=5)
    await database.tickets.spend("t1", now=NOW)
    with pytest.raises(Conflict):
        await database.tickets.attempt("t1", now=NOW, most=5)


async def test_tickets_are_withdrawn_by_kind_or_all(database: Database) -> None:
    assert await database.tickets.typed() == (ticket("t2", TicketKind.TYPED),)
    await database.tickets.withdraw(USER_ID, NOW, kind=TicketKind.TYPED)
    assert await database.tickets.typed() == ()
    await database.tickets.attempt("t1", now=NOW, most=5)
    await database.tickets.withdraw(USER_ID, NOW)
    with pytest.raises(Conflict):
        await database.tickets.spend("t1", now=NOW)


async def test_an_invite_is_redeemed_once_and_in_time(database: Database) -> None:
    await database.invites.issue(Invite("first", NOW, SOON))
    await database.invites.issue(Invite("second", NOW, SOON))
    await database.invites.redeem("first", EVE, NOW)
    for digest, at in (("first", NOW), ("second", SOON), ("none", NOW)):
        with pytest.raises(Conflict):
            await database.invites.redeem(digest, UserRef(Platform.TELEGRAM, "667"), at)
    assert await database.invites.admitted() == {EVE}


async def test_who_brings_a_second_invite_stays_admitted(database: Database) -> None:
    for digest in ("first", "second"):
        await database.invites.issue(Invite(digest, NOW, SOON))
        await database.invites.redeem(digest, EVE, NOW)
    assert await database.invites.admitted() == {EVE}


async def test_what_expired_long_ago_is_forgotten_but_not_who_came_with_it(database: Database) -> None:
    await database.invites.issue(Invite("first", NOW, SOON))
    await database.invites.redeem("first", EVE, NOW)
    await database.store.prune(SOON + timedelta(days=1))
    assert await database.tickets.by_digest("digest-of-t1") is None
    assert await database.invites.admitted() == {EVE}
