"""What a chart is drawn from: the market's past, the legs in it, and what the pair was worth on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.hedge import Hedge, Leg, LegRole
from chatbot.domain.history import (
    LegPast,
    Moment,
    ResultPoint,
    Span,
    locked_spans,
    moments,
    result_over_time,
)
from chatbot.domain.instrument import Instrument, PositionSide, Symbol
from chatbot.domain.market import PricePoint
from chatbot.domain.order import Fill
from chatbot.ports import BookedFill, Store, User, Venues
from chatbot.services.people import People
from chatbot.services.reporting import HedgeReport, LegReport, PositionReport, Reporting, StatusReport

DAY = timedelta(days=1)
POINTS = 300
LEAST_POINTS, LEAST_TIME = 5, timedelta(minutes=4)
# How much of the market is shown before a pair began: a share of its age, and no less than this.
LEAD_SHARE, LEAST_LEAD = 4, timedelta(minutes=20)
NOTICED = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Entry:
    """A leg was opened or grown."""

    at: datetime
    side: PositionSide
    price: Decimal


@dataclass(frozen=True, slots=True)
class ChartReport:
    """``hedge`` or ``positions`` or neither; ``asked_since``: from when prices were wanted."""

    symbol: Symbol
    instrument: Instrument
    status: StatusReport
    asked_since: datetime
    points: tuple[PricePoint, ...]
    entries: tuple[Entry, ...]
    locked: tuple[Span, ...]
    result: tuple[ResultPoint, ...]

    @property
    def hedge(self) -> HedgeReport | None:
        return next(iter(self.status.hedges), None)

    @property
    def positions(self) -> tuple[PositionReport, ...]:
        return self.status.positions

    @property
    def legs(self) -> tuple[LegReport, ...]:
        """What is held."""
        return _held(self.status)

    @property
    def known(self) -> timedelta:
        return self.points[-1].at - self.points[0].at if self.points else timedelta(0)

    @property
    def enough(self) -> bool:
        return _enough(self.points)

    @property
    def cut_short(self) -> bool:
        """The venue remembers less than was asked for."""
        return bool(self.points) and self.points[0].at - self.asked_since > NOTICED


class Charting:
    def __init__(self, store: Store, venues: Venues, people: People, reporting: Reporting) -> None:
        self._store = store
        self._venues = venues
        self._people = people
        self._reporting = reporting

    async def chart(self, user: User, symbol: Symbol) -> ChartReport:
        """Raises what a read of the venue raises."""
        account = await self._people.trading_account(user)
        status = await self._reporting.status(user, symbol=symbol)
        hedges = await self._store.live_hedges(account_id=account.id)
        hedge = next((hedge for hedge in hedges if hedge.symbol == symbol), None)
        fills = () if hedge is None else await self._store.booked_fills(hedge.id)
        since = _since(status, hedge)
        venue = self._venues.of(account)
        instrument = (await venue.instruments())[symbol]
        points = await venue.price_history(symbol, since, points=POINTS)
        if not _enough(points) and since > status.at - DAY:
            # A pair of minutes among prices that are told by the quarter of an hour: the day around it.
            since = status.at - DAY
            points = await venue.price_history(symbol, since, points=POINTS)
        legs = _moments(status, hedge, fills, instrument)
        return ChartReport(
            symbol=symbol,
            instrument=instrument,
            status=status,
            asked_since=since,
            points=points,
            entries=_entries(fills),
            locked=locked_spans(legs.get(PositionSide.LONG, ()), legs.get(PositionSide.SHORT, ())),
            result=result_over_time(list(legs.values()), points, instrument),
        )


def _enough(points: Sequence[PricePoint]) -> bool:
    return len(points) >= LEAST_POINTS and points[-1].at - points[0].at >= LEAST_TIME


def _held(status: StatusReport) -> tuple[LegReport, ...]:
    paired = [leg for hedge in status.hedges for leg in hedge.legs]
    return tuple(leg for leg in (*paired, *(p.leg for p in status.positions)) if leg.quantity)


def _since(status: StatusReport, hedge: Hedge | None) -> datetime:
    """Shortly before the pair began; the last day of everything else, and at least that of what was found."""
    day_ago = status.at - DAY
    if hedge is None or not status.hedges:
        return day_ago
    begin = hedge.opened_at - max((status.at - hedge.opened_at) / LEAD_SHARE, LEAST_LEAD)
    return min(begin, day_ago) if any(leg.adopted for leg in hedge.legs) else begin


# --- the legs -----------------------------------------------------------------------------------


def _moments(
    status: StatusReport, hedge: Hedge | None, fills: Sequence[BookedFill], instrument: Instrument
) -> dict[PositionSide, tuple[Moment, ...]]:
    """By side: the ledger's legs, and what only the venue knows of."""
    held = {leg.side: leg for leg in _held(status)}
    pasts = {} if hedge is None else _of_ledger(hedge, fills, held)
    for side, leg in held.items():
        if side not in pasts:
            pasts[side] = LegPast(_as_leg(leg), (), leg.opened_at or status.at - DAY)
    return {side: moments(past, instrument) for side, past in pasts.items()}


def _of_ledger(
    hedge: Hedge, fills: Sequence[BookedFill], held: Mapping[PositionSide, LegReport]
) -> dict[PositionSide, LegPast]:
    pasts = {}
    for leg in hedge.legs:
        found = held.get(leg.side)
        since = found.opened_at if found is not None else None
        pasts[leg.side] = LegPast(leg, _of_leg(fills, leg.role), since or hedge.opened_at)
    return pasts


def _of_leg(fills: Iterable[BookedFill], role: LegRole) -> tuple[Fill, ...]:
    return tuple(sorted((booked.fill for booked in fills if booked.leg is role), key=lambda fill: fill.at))


def _as_leg(leg: LegReport) -> Leg:
    return Leg(leg.role, leg.side, leg.quantity, leg.entry_price, leg.leverage, leg.margin_mode, adopted=True)


def _entries(fills: Iterable[BookedFill]) -> tuple[Entry, ...]:
    return tuple(
        Entry(fill.at, fill.position_side, fill.price)
        for fill in (booked.fill for booked in fills)
        if fill.opens
    )
