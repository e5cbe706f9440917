"""What became of an order whose answer we never got: settled by evidence, never by sending again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.domain.account import STALE_READ, AccountView
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import ZERO, Instrument, PositionSide
from chatbot.domain.intent import OrderIntent
from chatbot.domain.ledger import fill_by_position, report_of_fills, venue_quantity
from chatbot.domain.order import Fill, OrderReport
from chatbot.errors import OutcomeUnknown, VenueRejected
from chatbot.ports import Clock, Venue
from chatbot.services.reading import read_until_answered

CLOCKS_DIFFER = timedelta(seconds=6)  # by how much the venue's may be behind ours, and the way there
# After the validity window, both at once: a request that came at the last moment has to be in what is read.
GRACE = CLOCKS_DIFFER + STALE_READ
LOOK_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    report: OrderReport


@dataclass(frozen=True, slots=True)
class NeverArrived:
    pass


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The leg moved, and not by this order."""

    reason: str


Verdict = Found | NeverArrived | Contradiction


class Evidence:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def settle(
        self,
        venue: Venue,
        hedge: Hedge,
        intent: OrderIntent,
        instrument: Instrument,
        *,
        booked: frozenset[str],
    ) -> Verdict:
        """Looks until the order is found or can no longer arrive; then position and history decide.

        ``booked``: ids of the fills that are in the ledger, and client ids of the orders that are settled.
        """
        while True:
            found = await self._look_up(venue, intent)
            if found is not None:
                return Found(found)
            if self._clock.now() >= intent.valid_until + GRACE:
                ended = await self._take_back(venue, intent)
                if ended is not None:
                    return Found(ended)
                history = await self._history(venue, hedge, intent)
                return self._judge(hedge, intent, instrument, history, booked)
            await self._clock.sleep(LOOK_AGAIN)

    async def _look_up(self, venue: Venue, intent: OrderIntent) -> OrderReport | None:
        return await read_until_answered(
            self._clock, lambda: venue.order(intent.symbol, intent.client_order_id)
        )

    async def _take_back(self, venue: Venue, intent: OrderIntent) -> OrderReport | None:
        """What is judged must have ended: an order that is partly filled may still be working, unseen.

        Canceling again does no harm, so it is tried until it is answered.
        """
        if intent.purpose.protective:
            return None
        while True:
            try:
                report = await read_until_answered(
                    self._clock, lambda: venue.cancel(intent.symbol, intent.client_order_id)
                )
                return report if report is not None and report.status.final else None
            except VenueRejected:
                return None
            except OutcomeUnknown:
                await self._clock.sleep(LOOK_AGAIN)

    async def _history(
        self, venue: Venue, hedge: Hedge, intent: OrderIntent
    ) -> tuple[AccountView, tuple[Fill, ...]]:
        view = await read_until_answered(self._clock, lambda: venue.view({intent.symbol}))
        # A part of the order may have been booked already: what it did is told by all of its fills.
        since = min(seen_until(hedge), intent.created_at - CLOCKS_DIFFER)
        fills = await read_until_answered(self._clock, lambda: venue.fills(intent.symbol, since))
        return view, fills

    def _judge(
        self,
        hedge: Hedge,
        intent: OrderIntent,
        instrument: Instrument,
        history: tuple[AccountView, tuple[Fill, ...]],
        booked: frozenset[str],
    ) -> Verdict:
        """The order cannot arrive any more and nobody finds it: history and position say what it did."""
        view, fills = history
        told = _resting(intent, view) or report_of_fills(intent, fills, instrument)
        if told is not None:
            return Found(told)
        leg = hedge.leg(intent.leg)
        news = [fill for fill in fills if fill.at >= seen_until(hedge)]
        others = sum((f.signed_change for f in news if _unbooked(f, leg.side, booked)), ZERO)
        moved = venue_quantity(view, hedge, intent.leg) - leg.quantity
        if intent.type.conditional or moved == others:
            return NeverArrived()
        report = fill_by_position(
            intent,
            leg,
            view.position(hedge.symbol, leg.side),
            instrument=instrument,
            mark_price=view.markets[hedge.symbol].mark_price,
            at=view.at,
        )
        if report is None or others:
            return Contradiction(f"the {leg.side} leg changed, and not by order {intent.client_order_id}")
        return Found(report)


def seen_until(hedge: Hedge) -> datetime:
    """Venue time. What is older is in the ledger, or before it."""
    return hedge.fills_seen_at or hedge.opened_at


def settled_ids(intents: Iterable[OrderIntent]) -> frozenset[str]:
    """Orders whose fills are all in the ledger; those of a stop that fired meanwhile are not."""
    return frozenset(i.client_order_id for i in intents if i.status.final)


def _resting(intent: OrderIntent, view: AccountView) -> OrderReport | None:
    """The list of open orders may know what the look-up by id does not find yet."""
    return next((o for o in view.open_orders if o.client_order_id == intent.client_order_id), None)


def _unbooked(fill: Fill, side: PositionSide, booked: frozenset[str]) -> bool:
    """Of this leg, and not by the order in question: another hand's, the venue's own, a stop that fired."""
    known = fill.client_order_id in booked or fill.venue_fill_id in booked
    return fill.position_side is side and not known
