"""Read models: what an account looks like now, from one reading of the venue and the ledger.

The venue's word counts for what is held; the ledger adds what it cost. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, Position
from chatbot.domain.ending import lacking
from chatbot.domain.funding import eaten_at, outlook
from chatbot.domain.hedge import Hedge, HedgeId, HedgeStatus, Leg, LegRole
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.margin import leg_liquidation, nearer, position_margin_ratio
from chatbot.domain.order import OrderReport, OrderType
from chatbot.domain.pnl import Lock, lock_now, totals, unrealized_pnl
from chatbot.domain.quote import FundingOutlook, LegLiquidation
from chatbot.domain.risk import AlertKind
from chatbot.domain.topping_up import suggested_top_up
from chatbot.errors import NotFound
from chatbot.ports import Account, AlertEpisode, Clock, Store, User, Venues
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.people import People

BOOK_DEPTH = 20  # levels: enough to price the closing of what people hold


@dataclass(frozen=True, slots=True)
class LegReport:
    """A leg as the venue holds it; ``quantity`` 0: it is gone."""

    role: LegRole
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    pnl: Decimal  # unrealized
    liquidation: LegLiquidation
    leverage: Decimal
    margin_mode: MarginMode
    opened_at: datetime | None = None  # where the venue tells it
    top_up: Decimal | None = None  # margin that would help an isolated leg that is near its liquidation


@dataclass(frozen=True, slots=True)
class StopReport:
    """An order that rests on the venue and closes a leg by itself."""

    kind: str  # "stop-loss"
    side: PositionSide
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class HedgeReport:
    """``lock`` is worked out on what the venue holds, with the ledger's fees, funding and realized PnL."""

    number: int
    symbol: Symbol
    instrument: Instrument
    status: HedgeStatus
    frozen: str  # why, empty when it is not
    legs: tuple[LegReport, ...]
    age: timedelta
    net_exposure: Decimal
    imbalance: Decimal
    lock: Lock
    funding: FundingOutlook
    eaten_at: datetime | None  # venue time
    pair_liquidation: LegLiquidation
    margin_ratio: Decimal | None  # of the margin nearest to its end
    stops: tuple[StopReport, ...]
    alerts: tuple[tuple[str, datetime], ...]  # kind, since
    currency: str
    protected: PositionSide  # the primary's side
    lacking: str = ""  # what the figures do not know


@dataclass(frozen=True, slots=True)
class PositionReport:
    """A position that nothing hedges.

    ``number`` is that of the hedge it may become, ``None``: opened outside the bot. ``widowed``: the
    other leg of its hedge is gone or was lifted. ``both_sides_open``: the symbol alone does not tell
    which side is meant. ``pnl_share`` is of the entry notional. What was paid and realized to date is the
    whole hedge's, a leg that is gone included.
    """

    number: int | None
    symbol: Symbol
    instrument: Instrument
    leg: LegReport
    pnl_share: Decimal
    funding: FundingOutlook
    funding_to_date: Decimal
    fees_to_date: Decimal
    realized_to_date: Decimal
    widowed: bool
    both_sides_open: bool
    margin_ratio: Decimal | None
    stops: tuple[StopReport, ...]
    alerts: tuple[tuple[str, datetime], ...]
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """``at`` is the venue's clock, ``read_at`` and ``now`` are ours."""

    account: Account
    at: datetime
    read_at: datetime
    now: datetime
    balance: Balance
    hedges: tuple[HedgeReport, ...]
    positions: tuple[PositionReport, ...]
    other_balances: tuple[Balance, ...] = ()  # the coins behind inverse contracts

    @property
    def margin_ratio(self) -> Decimal | None:
        return self.balance.margin_ratio


@dataclass(frozen=True, slots=True)
class _Desk:
    """Everything that was read."""

    view: AccountView
    instruments: Mapping[Symbol, Instrument]
    episodes: tuple[AlertEpisode, ...]
    levels: tuple[Decimal, ...]  # liquidation distances that the user is warned of

    def mark(self, symbol: Symbol) -> Decimal:
        return self.view.markets[symbol].mark_price

    def alerts(self, hedge_id: HedgeId | None) -> tuple[tuple[str, datetime], ...]:
        """What was told, and when; what is held back by quiet hours or a snooze was not."""
        return tuple(
            (e.kind, e.told_at) for e in self.episodes if hedge_id and e.hedge_id == hedge_id and e.told_at
        )


class Reporting:
    def __init__(
        self, store: Store, venues: Venues, people: People, clock: Clock, bookkeeper: Bookkeeper
    ) -> None:
        self._bookkeeper = bookkeeper
        self._store = store
        self._venues = venues
        self._people = people
        self._clock = clock

    async def status(
        self, user: User, *, symbol: Symbol | None = None, number: int | None = None
    ) -> StatusReport:
        """Of everything, of one symbol, or of one hedge; one read of the venue.

        :raises NotFound: the user has no live hedge of that number
        """
        account = await self._people.trading_account(user)
        hedges = await self._store.live_hedges(account_id=account.id)
        if number is not None:
            hedges = _numbered(hedges, number)
            symbol = hedges[0].symbol
        venue = self._venues.of(account)
        symbols = {hedge.symbol for hedge in hedges} | ({symbol} if symbol else set())
        view = await venue.view(symbols, depth=BOOK_DEPTH)
        hedges = await self._bookkeeper.follow(account, hedges, view)
        levels = user.preferences.alerts.liquidation_distances
        episodes = await self._store.active_episodes(user.id)
        desk = _Desk(view, await venue.instruments(), episodes, levels)
        return _report(account, desk, hedges, self._clock.now(), symbol)

    async def mark_price(self, user: User, symbol: Symbol) -> Decimal:
        """Where the user's orders would go. Raises what a read of the venue raises."""
        account = await self._people.trading_account(user)
        view = await self._venues.of(account).view({symbol}, depth=1)
        return view.markets[symbol].mark_price


def _numbered(hedges: tuple[Hedge, ...], number: int) -> tuple[Hedge, ...]:
    found = tuple(hedge for hedge in hedges if hedge.number == number)
    if not found:
        raise NotFound(f"You have no open hedge #{number}.")
    return found


def _report(
    account: Account, desk: _Desk, hedges: Iterable[Hedge], now: datetime, symbol: Symbol | None
) -> StatusReport:
    wanted = [hedge for hedge in hedges if symbol in (None, hedge.symbol)]
    pairs = [hedge for hedge in wanted if _is_pair(hedge, desk)]
    paired = {hedge.symbol for hedge in pairs}
    known = {hedge.symbol: hedge for hedge in wanted}
    alone = [p for p in desk.view.positions if p.symbol not in paired and symbol in (None, p.symbol)]
    return StatusReport(
        account=account,
        at=desk.view.at,
        read_at=desk.view.read_at,
        now=now,
        balance=desk.view.balance,
        hedges=tuple(_hedge_report(hedge, desk) for hedge in pairs),
        positions=tuple(_position_report(p, known.get(p.symbol), desk) for p in alone if p.quantity),
        other_balances=desk.view.other_balances,
    )


def _is_pair(hedge: Hedge, desk: _Desk) -> bool:
    """Both legs are there, or the hedge needs its owner. Else it is one position that nothing hedges."""
    held = [desk.view.position(hedge.symbol, side) for side in PositionSide]
    both = hedge.offset is not None and all(position is not None for position in held)
    return both or hedge.status is HedgeStatus.FROZEN


# --- a hedge ------------------------------------------------------------------------------------


def _hedge_report(hedge: Hedge, desk: _Desk) -> HedgeReport:
    instrument = desk.instruments[hedge.symbol]
    legs = tuple(_leg_report(leg, desk, instrument) for leg in hedge.legs)
    held = _as_held(hedge, legs)
    view = desk.view
    lock = lock_now(held, instrument, desk.mark(hedge.symbol), view.books.get(hedge.symbol))
    funding = outlook(instrument, view.markets[hedge.symbol], legs)
    return HedgeReport(
        number=hedge.number,
        symbol=hedge.symbol,
        instrument=instrument,
        status=hedge.status,
        frozen=hedge.reason if hedge.status is HedgeStatus.FROZEN else "",
        legs=legs,
        age=view.at - hedge.opened_at,
        net_exposure=held.net_exposure,
        imbalance=held.imbalance,
        lock=lock,
        funding=funding,
        eaten_at=eaten_at(lock.net, funding.net_per_day, view.at),
        pair_liquidation=nearer(*(leg.liquidation for leg in legs)),
        margin_ratio=_margin_ratio((p for p in view.positions if p.symbol == hedge.symbol), desk),
        stops=_stops(hedge.symbol, view.open_orders),
        alerts=tuple(each for each in desk.alerts(hedge.id) if _holds(each[0], held)),
        currency=instrument.settle,
        protected=hedge.leg(hedge.protected).side,
        lacking=lacking(hedge, instrument),
    )


def _holds(kind: str, held: Hedge) -> bool:
    """The last look may be seconds old: what the legs themselves contradict is not said any more."""
    if kind in (AlertKind.LOST, AlertKind.STOPPED, AlertKind.NAKED, AlertKind.TARGET):
        return not held.paired
    return kind != AlertKind.IMBALANCE or held.imbalance > 0


def _leg_report(leg: Leg, desk: _Desk, instrument: Instrument) -> LegReport:
    position = desk.view.position(instrument.symbol, leg.side)
    if position is None:
        return _gone(leg, desk.mark(instrument.symbol))
    return _held(leg.role, position, desk, instrument)


def _gone(leg: Leg, mark: Decimal) -> LegReport:
    nowhere = LegLiquidation(None, None)
    return LegReport(
        leg.role, leg.side, ZERO, leg.entry_price, mark, ZERO, nowhere, leg.leverage, leg.margin_mode
    )


def _held(role: LegRole, position: Position, desk: _Desk, instrument: Instrument) -> LegReport:
    mark = desk.mark(position.symbol)
    return LegReport(
        role=role,
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=mark,
        pnl=unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark),
        liquidation=leg_liquidation(instrument, position, desk.view),
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        opened_at=position.opened_at,
        top_up=suggested_top_up(instrument, position, desk.view, desk.levels),
    )


def _margin_ratio(positions: Iterable[Position], desk: _Desk) -> Decimal | None:
    """Isolated legs each have their own, cross ones share the account's."""
    ratios = (position_margin_ratio(desk.instruments[p.symbol], p, desk.view) for p in positions)
    return max((ratio for ratio in ratios if ratio is not None), default=None)


def _as_held(hedge: Hedge, legs: Iterable[LegReport]) -> Hedge:
    """The ledger's costs on the venue's quantities."""
    for leg in legs:
        booked = hedge.leg(leg.role)
        hedge = hedge.with_leg(replace(booked, quantity=leg.quantity, entry_price=leg.entry_price))
    return hedge


_STOP_NAMES = {
    OrderType.STOP_LOSS: "stop-loss",
    OrderType.TAKE_PROFIT: "take-profit",
    OrderType.TRIGGER: "closes at",
}


def _stops(symbol: Symbol, orders: Iterable[OrderReport]) -> tuple[StopReport, ...]:
    return tuple(
        StopReport(_STOP_NAMES[order.type], order.position_side, order.trigger_price, order.quantity)
        for order in orders
        if order.symbol == symbol and order.trigger_price is not None and order.type in _STOP_NAMES
    )


# --- a position ---------------------------------------------------------------------------------


def _position_report(position: Position, hedge: Hedge | None, desk: _Desk) -> PositionReport:
    instrument = desk.instruments[position.symbol]
    leg = _held(LegRole.PRIMARY, position, desk, instrument)
    entry_notional = instrument.notional(position.quantity, position.entry_price)
    so_far = None if hedge is None else totals(hedge)
    opposite = desk.view.position(position.symbol, position.side.opposite)
    return PositionReport(
        number=None if hedge is None else hedge.number,
        symbol=position.symbol,
        instrument=instrument,
        leg=leg,
        pnl_share=leg.pnl / entry_notional if entry_notional else ZERO,
        funding=outlook(instrument, desk.view.markets[position.symbol], (leg,)),
        funding_to_date=ZERO if so_far is None else so_far.funding,
        fees_to_date=ZERO if so_far is None else ZERO - so_far.fees_paid,
        realized_to_date=ZERO if so_far is None else so_far.realized,
        widowed=hedge is not None and hedge.offset is not None,
        both_sides_open=opposite is not None,
        margin_ratio=_margin_ratio((position,), desk),
        stops=_stops(position.symbol, desk.view.open_orders),
        alerts=() if hedge is None else desk.alerts(hedge.id),
        lacking="" if hedge is None else lacking(hedge, instrument),
    )
