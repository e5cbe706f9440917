"""Tickets to hand in a key, and invites to come in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chatbot.chat import Platform, UserRef
from chatbot.domain.hedge import UserId
from chatbot.ports import Invite, Ticket, TicketKind
from chatbot.storage import key_statements
from chatbot.storage.codec import Cell, instant_text
from chatbot.storage.records import INVITE, TICKET
from chatbot.storage.session import Session
from chatbot.storage.sql import Step


class SqlTickets:
    """``chatbot.ports.Tickets``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def issue(self, tickets: Sequence[Ticket]) -> None:
        await self._session.write([Step(key_statements.NEW_TICKET, TICKET.encode(each)) for each in tickets])

    async def by_digest(self, digest: str) -> Ticket | None:
        row = await self._session.first(key_statements.TICKET_BY_DIGEST, {"digest": digest})
        return None if row is None else TICKET.decode(row)

    async def typed(self) -> tuple[Ticket, ...]:
        rows = await self._session.rows(key_statements.UNUSED_TICKETS, {"kind": TicketKind.TYPED.value})
        return tuple(TICKET.decode(row) for row in rows)

    async def attempt(self, reference: str, *, now: datetime, most: int) -> None:
        cells: dict[str, Cell] = {"reference": reference, "now": instant_text(now), "most": most}
        await self._session.write([Step(key_statements.ATTEMPT, cells, "this link does not work any more")])

    async def spend(self, reference: str, *, now: datetime) -> None:
        cells: dict[str, Cell] = {"reference": reference, "used_at": instant_text(now)}
        await self._session.write([Step(key_statements.SPEND_TICKET, cells, "this link was used already")])

    async def withdraw(self, user_id: UserId, now: datetime, *, kind: TicketKind | None = None) -> None:
        by: dict[str, Cell] = {"user_id": user_id} | ({} if kind is None else {"kind": kind.value})
        statement = key_statements.withdraw_tickets(*by)
        await self._session.write([Step(statement, {**by, "used_at": instant_text(now)})])


class SqlInvites:
    """``chatbot.ports.Invites``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def issue(self, invite: Invite) -> None:
        await self._session.write([Step(key_statements.NEW_INVITE, INVITE.encode(invite))])

    async def redeem(self, digest: str, ref: UserRef, now: datetime) -> None:
        at = instant_text(now)
        admitted: dict[str, Cell] = {"platform": ref.platform.value, "platform_id": ref.id, "admitted_at": at}
        await self._session.write(
            [
                Step(
                    key_statements.SPEND_INVITE,
                    {"digest": digest, "used_at": at},
                    "this invite does not work",
                ),
                Step(key_statements.ADMIT, admitted),
            ]
        )

    async def admitted(self) -> frozenset[UserRef]:
        rows = await self._session.rows(key_statements.ALL_ADMITTED)
        return frozenset(UserRef(Platform(platform), number) for platform, number in rows)
