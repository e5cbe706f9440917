"""One account's door to the paper exchange, with the network in between: delays, losses, refusals."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide, Symbol
from chatbot.domain.market import PricePoint
from chatbot.domain.order import (
    Accepted,
    Fill,
    FundingPayment,
    OrderReport,
    OrderRequest,
    OrderStatus,
    Outcome,
    Rejected,
    Unknown,
)
from chatbot.errors import OutcomeUnknown, StorageError, VenueUnavailable
from chatbot.ports import Clock
from chatbot.venues.paper.desk import error_of
from chatbot.venues.paper.engine import Engine
from chatbot.venues.paper.faults import (
    FaultPlan,
    Late,
    LostReply,
    LostRequest,
    OrderFault,
    Partial,
    Refuse,
    Unavailable,
)

Answer = TypeVar("Answer")

TIMED_OUT = "The paper exchange did not answer in time."


class PaperVenue:
    """Implements ``chatbot.ports.Venue``. ``faults`` is public: tests and drills script it while it runs."""

    venue_id = "paper"

    def __init__(self, engine: Engine, account_id: AccountId, clock: Clock, faults: FaultPlan) -> None:
        self.faults = faults
        self._engine = engine
        self._account_id = account_id
        self._clock = clock
        self._listed: Mapping[Symbol, Instrument] | None = None

    # --- reads ----------------------------------------------------------------------------------

    async def instruments(self) -> Mapping[Symbol, Instrument]:
        """Read once: what is listed stays, and a confirmation must not wait for it."""
        if self._listed is None:
            self._listed = await self._read(self._engine.instruments)
        return self._listed

    async def view(self, symbols: Collection[Symbol] = (), *, depth: int = 50) -> AccountView:
        return await self._read(lambda: self._engine.view(self._account_id, symbols, depth=depth))

    async def order(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        report = await self._read(lambda: self._engine.order(self._account_id, client_order_id))
        if report is None or report.symbol != symbol or self.faults.hides(client_order_id, self._clock.now()):
            return None
        return report

    async def fills(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        fills = await self._read(lambda: self._engine.fills(self._account_id, symbol, since))
        return tuple(fill for fill in fills if not self._hidden(fill))

    async def funding_payments(self, symbol: Symbol, since: datetime) -> tuple[FundingPayment, ...]:
        return await self._read(lambda: self._engine.funding_payments(self._account_id, symbol, since))

    async def price_history(
        self, symbol: Symbol, since: datetime, *, points: int = 300
    ) -> tuple[PricePoint, ...]:
        return await self._read(lambda: self._engine.price_history(symbol, since, points=points))

    def _hidden(self, fill: Fill) -> bool:
        faults = self.faults
        late = faults.hide_fills and faults.hides(fill.client_order_id or "", self._clock.now())
        return faults.hide_history or late

    # --- writes ---------------------------------------------------------------------------------

    async def place(self, orders: Sequence[OrderRequest]) -> tuple[Outcome, ...]:
        await self._travel()
        outcomes = tuple(self._deliver(request, self.faults.next_order()) for request in orders)
        await self._travel()
        return outcomes

    async def cancel(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        report = await self._write(lambda: self._engine.cancel(self._account_id, symbol, client_order_id))
        # Of one that has ended already an exchange only says so: the rest has to be looked up.
        ended = report is not None and report.status is not OrderStatus.CANCELED
        return None if ended and self.faults.hides(client_order_id, self._clock.now()) else report

    async def set_position_mode(self, mode: PositionMode) -> None:
        await self._write(lambda: self._engine.set_position_mode(self._account_id, mode))

    async def set_leg(self, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        await self._write(lambda: self._engine.set_leg(self._account_id, symbol, side, setting))

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        await self._write(lambda: self._engine.add_margin(self._account_id, symbol, side, amount))

    # --- the network ----------------------------------------------------------------------------

    async def _travel(self) -> None:
        """One way of the round trip."""
        if self.faults.delay:
            await self._clock.sleep(self.faults.delay / 2)

    async def _read(self, question: Callable[[], Answer]) -> Answer:
        await self._travel()
        if fault := self.faults.next_read():
            raise VenueUnavailable(fault.reason, venue=self.venue_id)
        try:
            answer = question()
        except StorageError as error:
            raise VenueUnavailable(error.message, venue=self.venue_id) from error
        await self._travel()
        return answer

    async def _write(self, action: Callable[[], Answer]) -> Answer:
        fault = self.faults.next_write()
        match fault:
            case Unavailable():
                raise VenueUnavailable(fault.reason, venue=self.venue_id)
            case Refuse():
                raise error_of(_rejected(fault))
            case LostRequest():
                raise OutcomeUnknown(TIMED_OUT, venue=self.venue_id)
        await self._travel()
        answer = self._carry_out(action)
        await self._travel()
        if isinstance(fault, LostReply):
            raise OutcomeUnknown(TIMED_OUT, venue=self.venue_id)
        return answer

    def _carry_out(self, action: Callable[[], Answer]) -> Answer:
        try:
            return action()
        except StorageError as error:
            raise OutcomeUnknown(error.message, venue=self.venue_id) from error

    def _deliver(self, request: OrderRequest, fault: OrderFault | None) -> Outcome:
        match fault:
            case Refuse():
                return _rejected(fault)
            case LostRequest():
                return Unknown(TIMED_OUT)
            case Late(seconds):
                arrives_at = self._clock.now() + timedelta(seconds=seconds)
                self._engine.submit_late(self._account_id, request, arrives_at)
                return Unknown(TIMED_OUT)
        outcome = self._submit(request, fault)
        return Unknown(TIMED_OUT) if isinstance(fault, LostReply) else outcome

    def _submit(self, request: OrderRequest, fault: OrderFault | None) -> Outcome:
        try:
            if isinstance(fault, Partial):
                outcome = self._engine.submit(self._account_id, request, share=fault.share)
            else:
                outcome = self._engine.submit(self._account_id, request)
        except StorageError as error:
            return Unknown(error.message)
        if isinstance(outcome, Accepted):
            self.faults.accepted(request.client_order_id, self._clock.now())
        return outcome


def _rejected(fault: Refuse) -> Rejected:
    return Rejected(fault.reason, fault.code, fault.kind)
