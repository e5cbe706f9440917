"""What concerns an account as a whole: its position mode, and starting the paper account over."""

from __future__ import annotations

from chatbot.domain.account import AccountView, Balance
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import PositionMode
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent
from chatbot.domain.ledger import venue_quantity, written_off
from chatbot.domain.refusals import obstacle_to_other_mode
from chatbot.errors import Busy, LimitExceeded, OutcomeUnknown, VenueUnavailable
from chatbot.ports import (
    Account,
    AuditEntry,
    Changes,
    Clock,
    IntentNote,
    PaperDesk,
    Store,
    User,
    Venue,
    Venues,
)
from chatbot.services.locks import AccountLocks
from chatbot.services.people import People

STARTED_OVER = "the paper account was started over"


class AccountService:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        paper: PaperDesk,
        people: People,
        clock: Clock,
        locks: AccountLocks,
    ) -> None:
        self._store = store
        self._venues = venues
        self._paper = paper
        self._people = people
        self._clock = clock
        self._locks = locks

    async def position_mode(self, user: User) -> PositionMode:
        account = await self._people.trading_account(user)
        return (await self._venues.of(account).view()).position_mode

    async def switch_position_mode(self, user: User, mode: PositionMode) -> None:
        """Only while the account is flat. Raises Busy, LimitExceeded (what to close first), VenueError."""
        account = await self._people.trading_account(user)
        await self._require_calm(account)
        async with self._locks.of(account.id):
            await self._require_calm(account)
            venue = self._venues.of(account)
            view = await venue.view()
            if view.position_mode is mode:
                return
            _require_flat(view)
            await _set_mode(venue, mode)
            entry = AuditEntry(self._clock.now(), user.id, "position_mode", f"{account.id} {mode}")
            await self._store.commit(Changes(audit=(entry,)))

    async def start_over(self, user: User, *, request_id: str) -> Balance:
        """The paper account as it was at first; what the ledger held of it is closed.

        The same request again changes nothing: the exchange knows its id, and what has been opened since is
        still there on the exchange.
        """
        account = await self._people.trading_account(user)
        await self._require_calm(account)
        async with self._locks.of(account.id):
            await self._require_calm(account)
            balance = await self._paper.reset(account.id, reference=request_id)
            view = await self._venues.of(account).view()
            for hedge in await self._store.live_hedges(account_id=account.id):
                if not any(venue_quantity(view, hedge, leg.role) for leg in hedge.legs):
                    await self._write_off(hedge, view)
            return balance

    async def _write_off(self, hedge: Hedge, view: AccountView) -> None:
        now = self._clock.now()
        ended = [_ended(i) for i in await self._store.intents(hedge_id=hedge.id) if not i.status.final]
        await self._store.commit(
            Changes(
                hedges=(written_off(hedge, STARTED_OVER, view.at),),
                intents=tuple(ended),
                notes=tuple(IntentNote(i.client_order_id, now, i.status, i.reason) for i in ended),
                audit=(AuditEntry(now, hedge.user_id, "write_off", f"hedge {hedge.id}: {STARTED_OVER}"),),
            )
        )

    async def _require_calm(self, account: Account) -> None:
        if await self._store.unfinished_operations(account.id):
            raise Busy("An order is still being settled; nothing was changed. Try again in a moment.")


def _ended(intent: OrderIntent) -> OrderIntent:
    """Stops went with the account; what never got an answer needs none any more."""
    if intent.status is IntentStatus.JOURNALED:
        return intent.after(IntentEvent.PROVEN_ABSENT, reason=STARTED_OVER)
    return intent.after(IntentEvent.CANCELED, reason=STARTED_OVER)


def _require_flat(view: AccountView) -> None:
    obstacle = obstacle_to_other_mode(view)
    if obstacle:
        raise LimitExceeded(f"The position mode changes only while nothing is open. {obstacle}")


async def _set_mode(venue: Venue, mode: PositionMode) -> None:
    """An answer that got lost is looked up: the mode is there to be read."""
    try:
        await venue.set_position_mode(mode)
    except OutcomeUnknown as error:
        if (await venue.view()).position_mode is not mode:
            raise VenueUnavailable(
                "The exchange did not take the new position mode.", venue=error.venue
            ) from error
