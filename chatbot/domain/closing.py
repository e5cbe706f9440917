"""Offers to close: each way with its expected result and the risk in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO, Instrument, OrderSide, PositionSide
from chatbot.domain.intent import Purpose
from chatbot.domain.margin import leg_liquidation, pair_liquidation
from chatbot.domain.market import FillEstimate, MarketState, OrderBook
from chatbot.domain.pnl import fee, totals, unrealized_pnl
from chatbot.domain.preview import view_after
from chatbot.domain.quote import (
    CloseQuote,
    CloseRequest,
    CloseWay,
    CloseWayQuote,
    LegAction,
    LegLiquidation,
    LegName,
    LegPlan,
)
from chatbot.domain.refusals import book_of, market_of, price_on_grid, require_plausible
from chatbot.domain.resting import fires_before, left_by_lifting, replaced
from chatbot.domain.sizing import share_of_leg, smallest_fraction
from chatbot.domain.wording import market_name, percent, price_text, typed_percent
from chatbot.errors import BadArgument, NotFound, NothingOpen

_BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class _Closing:
    """One leg, how much of it is closed and where that is expected to fill."""

    position: Position
    role: LegRole
    quantity: Decimal
    estimate: FillEstimate
    trigger: Decimal | None

    @property
    def side(self) -> PositionSide:
        return self.position.side

    @property
    def price(self) -> Decimal:
        return self.estimate.average_price

    @property
    def signed_left(self) -> Decimal:
        return (self.position.quantity - self.quantity) * self.side.sign

    def pnl(self, instrument: Instrument) -> Decimal:
        return unrealized_pnl(instrument, self.side, self.quantity, self.position.entry_price, self.price)

    def fee(self, instrument: Instrument) -> Decimal:
        return fee(instrument, self.quantity, self.price)

    def slippage(self, instrument: Instrument, reference: Decimal) -> Decimal:
        """Against a fill at ``reference``; negative: a cost."""
        return unrealized_pnl(instrument, self.side, self.quantity, reference, self.price)

    def plan(self, instrument: Instrument) -> LegPlan:
        return LegPlan(
            role=self.role,
            side=self.side,
            action=LegAction.CLOSE,
            quantity=self.quantity,
            expected_price=self.price,
            fee=self.fee(instrument),
            slippage_bps=self.estimate.slippage_bps,
            leverage=self.position.leverage,
            margin_mode=self.position.margin_mode,
            trigger_price=self.trigger,
            # One price at a time: an earlier one goes once the new orders stand.
            replaces=() if self.trigger is None else (Purpose.CLOSE_AT_PRICE,),
        )


@dataclass(frozen=True, slots=True)
class _Desk:
    view: AccountView
    instrument: Instrument
    market: MarketState
    book: OrderBook
    hedge: Hedge | None


def quote_close(
    request: CloseRequest, hedge: Hedge | None, view: AccountView, instrument: Instrument
) -> CloseQuote:
    """All ways that apply, the default first. Raises ``UserError`` with the reason."""
    _require_fraction(request.fraction)
    positions = _positions(view, instrument)
    desk = _Desk(view, instrument, market_of(view, instrument), book_of(view, instrument), hedge)
    trigger = _trigger(request, desk)
    roles = _roles(positions, hedge)
    legs = [_closing(desk, p, roles[p.side], request.fraction, trigger) for p in positions]
    # Offset before primary: the order in which a pair is closed.
    legs.sort(key=lambda leg: leg.role is protected_by(hedge))
    return CloseQuote(
        symbol=instrument.symbol,
        hedge_id=None if hedge is None else hedge.id,
        hedge_number=None if hedge is None else hedge.number,
        mark_price=desk.market.mark_price,
        fraction=request.fraction,
        ways=tuple(_ways(desk, legs, trigger)),
        lock_currency=instrument.settle,
        warnings=tuple(_warnings(desk, legs, request.fraction)),
    )


def _require_fraction(fraction: Decimal) -> None:
    if not fraction.is_finite() or not 0 < fraction <= 1:
        raise BadArgument("Close more than 0 % and at most 100 %.", example="50%")


def _positions(view: AccountView, instrument: Instrument) -> list[Position]:
    here = [p for p in view.positions if p.symbol == instrument.symbol and p.quantity > 0]
    if not here:
        raise NothingOpen(f"There is nothing to close on {market_name(instrument)}: no position is open.")
    return here


def legs_held(view: AccountView, instrument: Instrument, hedge: Hedge | None) -> dict[LegRole, Position]:
    """What is open on the market, by the role it has in its hedge, the primary first.

    Raises NothingOpen.
    """
    positions = [p for p in view.positions if p.symbol == instrument.symbol and p.quantity > 0]
    if not positions:
        raise NothingOpen(f"Nothing is open on {market_name(instrument)}.")
    roles = _roles(positions, hedge)
    return {role: p for role in LegRole for p in positions if roles[p.side] is role}


def protected_by(hedge: Hedge | None) -> LegRole:
    """The leg that people call the primary."""
    return LegRole.PRIMARY if hedge is None else hedge.protected


def leg_named(
    name: LegName, legs: Mapping[LegRole, Position], instrument: Instrument, hedge: Hedge | None
) -> tuple[LegRole, Position]:
    """Of ``legs_held``, by its side or by what people call it."""
    wanted: LegName = name
    if isinstance(name, LegRole):
        wanted = protected_by(hedge) if name is LegRole.PRIMARY else protected_by(hedge).counterpart
    found = next(((role, p) for role, p in legs.items() if wanted in (role, p.side)), None)
    if found is None:
        what = name if isinstance(name, PositionSide) else f"{name} leg"
        raise NotFound(f"You hold no {what} on {market_name(instrument)}.")
    return found


def _roles(positions: Sequence[Position], hedge: Hedge | None) -> dict[PositionSide, LegRole]:
    primary = hedge.primary.side if hedge is not None else _elder(positions).side
    return {p.side: LegRole.PRIMARY if p.side is primary else LegRole.OFFSET for p in positions}


def _elder(positions: Sequence[Position]) -> Position:
    """Which position came first; where the venue does not tell, the larger, then the long one."""
    dated = [(p.opened_at, p) for p in positions if p.opened_at is not None]
    if len(dated) == len(positions) and len({at for at, _ in dated}) == len(dated):
        return min(dated, key=lambda pair: pair[0])[1]
    return max(positions, key=lambda p: (p.quantity, p.side is PositionSide.LONG))


def _trigger(request: CloseRequest, desk: _Desk) -> Decimal | None:
    if request.trigger_price is None:
        return None
    price = price_on_grid(desk.instrument, request.trigger_price, name="The closing price")
    if price == desk.instrument.round_price(desk.market.mark_price):
        raise BadArgument(
            f"The price is {price_text(desk.instrument, price)} already; close now: "
            f"`/close {market_name(desk.instrument)}`."
        )
    require_plausible(desk.instrument, price, desk.market.mark_price, name="closing price")
    return price


def _closing(
    desk: _Desk, position: Position, role: LegRole, fraction: Decimal, trigger: Decimal | None
) -> _Closing:
    quantity = share_of_leg(desk.instrument, position.quantity, fraction)
    if fraction < 1 and quantity < desk.instrument.min_quantity:
        least = typed_percent(smallest_fraction(desk.instrument, position.quantity))
        raise BadArgument(
            f"{percent(fraction)} of your {position.side} is less than one order; take `{least}` or more.",
            example=f"/close {market_name(desk.instrument)} {least}",
        )
    estimate = desk.book.walk(position.side.closing, quantity)
    if trigger is not None:
        estimate = _at_trigger(estimate, trigger, position.side)
    return _Closing(position, role, quantity, estimate, trigger)


def _at_trigger(estimate: FillEstimate, trigger: Decimal, side: PositionSide) -> FillEstimate:
    """The book of that moment is not known: today's slippage around the trigger."""
    worse = -1 if side.closing is OrderSide.SELL else 1
    return replace(estimate, average_price=trigger * (1 + worse * estimate.slippage_bps / _BPS))


# --- ways ---------------------------------------------------------------------------------------


def _ways(desk: _Desk, legs: Sequence[_Closing], trigger: Decimal | None) -> Iterator[CloseWayQuote]:
    if trigger is not None:
        yield _way(desk, CloseWay.AT_PRICE, legs, legs)
    elif len(legs) == 1:
        yield _way(desk, CloseWay.SINGLE, legs, legs)
    else:
        yield _way(desk, CloseWay.OFFSET_FIRST, legs, legs)
        yield _way(desk, CloseWay.AT_ONCE, legs, legs)
        yield _way(desk, CloseWay.OFFSET_ONLY, legs[:1], legs)


def _way(desk: _Desk, way: CloseWay, closed: Sequence[_Closing], legs: Sequence[_Closing]) -> CloseWayQuote:
    instrument = desk.instrument
    realized = sum((leg.pnl(instrument) - leg.fee(instrument) for leg in closed), ZERO)
    reference = closed[0].trigger or desk.book.mid
    before = ZERO if desk.hedge is None else totals(desk.hedge).net
    after = _exposure(legs, closed)
    return CloseWayQuote(
        way=way,
        plans=tuple(leg.plan(instrument) for leg in closed),
        realized=realized,
        total=realized + before,
        slippage_cost=sum((leg.slippage(instrument, reference) for leg in closed), ZERO),
        exposure_between=_exposure(legs, legs[:1]) if way is CloseWay.OFFSET_FIRST else ZERO,
        exposure_after=after,
        liquidation_after=None if _all_gone(closed, legs) else _liquidation_left(desk, closed, after),
    )


def _liquidation_left(desk: _Desk, closed: Sequence[_Closing], exposure: Decimal) -> LegLiquidation:
    """Of the leg that is left exposed; of a pair that stays equal, the nearer."""
    instrument, view = desk.instrument, _after(desk, closed)
    side = PositionSide.LONG if exposure > 0 else PositionSide.SHORT
    left = view.position(instrument.symbol, side)
    if exposure == 0 or left is None:
        return pair_liquidation(instrument, view)
    return leg_liquidation(instrument, left, view)


def _exposure(legs: Sequence[_Closing], closed: Sequence[_Closing]) -> Decimal:
    left = (leg.signed_left if leg in closed else leg.position.quantity * leg.side.sign for leg in legs)
    return sum(left, ZERO)


def _all_gone(closed: Sequence[_Closing], legs: Sequence[_Closing]) -> bool:
    return len(closed) == len(legs) and all(leg.signed_left == 0 for leg in closed)


def _after(desk: _Desk, closed: Sequence[_Closing]) -> AccountView:
    view = desk.view
    for leg in closed:
        received = leg.pnl(desk.instrument) - leg.fee(desk.instrument)
        view = view_after(
            view, desk.instrument, smaller_position(leg.position, leg.quantity), received=received
        )
    return view


def smaller_position(position: Position, closed: Decimal) -> Position:
    """A venue frees the margin of an isolated position in step with its quantity."""
    left = position.quantity - closed
    margin = None if position.margin is None else position.margin * left / position.quantity
    return replace(position, quantity=left, margin=margin)


# --- warnings -----------------------------------------------------------------------------------


def _warnings(desk: _Desk, legs: Sequence[_Closing], fraction: Decimal) -> Iterator[str]:
    if desk.hedge is None:
        yield "Fees and funding before Hedgerow found this position are not counted."
    elif any(leg.adopted for leg in desk.hedge.legs):
        yield "What an adopted leg cost before Hedgerow found it is not counted."
    if desk.hedge is not None and desk.hedge.offset is not None and len(legs) == 1:
        yield f"Only the {legs[0].side} is left; the other leg is gone already."
    for leg in legs:
        yield from _never_reached(desk, leg)
    yield from _resting(desk, legs, fraction)
    if not all(leg.estimate.complete for leg in legs):
        yield "The book is too thin to close it all at once; a rest may stay open."


def _never_reached(desk: _Desk, leg: _Closing) -> Iterator[str]:
    """A leg may die on the way to the price that it waits for."""
    end = leg_liquidation(desk.instrument, leg.position, desk.view).price
    if leg.trigger is None or end is None:
        return
    if min(leg.trigger, desk.market.mark_price) <= end <= max(leg.trigger, desk.market.mark_price):
        at = price_text(desk.instrument, end)
        yield f"The {leg.side} is liquidated at {at}, before that price is reached."


def _resting(desk: _Desk, legs: Sequence[_Closing], fraction: Decimal) -> Iterator[str]:
    """What orders that rest already mean for the close."""
    instrument, hedge, view, paired = desk.instrument, desk.hedge, desk.view, len(legs) > 1
    trigger = legs[0].trigger
    if trigger is None:
        if paired:
            yield from left_by_lifting(instrument, hedge, view, legs[-1].position)
        return
    for leg in legs:
        yield from fires_before(instrument, hedge, view, leg.position, trigger=trigger, paired=paired)
    yield from replaced(instrument, hedge, view, [leg.position for leg in legs], fraction=fraction)
