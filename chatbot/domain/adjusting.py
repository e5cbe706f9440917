"""Offers to scale the legs of a hedge, one or both, and to make them equal again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.closing import leg_named, legs_held, protected_by, smaller_position
from chatbot.domain.funding import outlook
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO, Instrument
from chatbot.domain.margin import NO_LIQUIDATION, leg_liquidation, pair_liquidation
from chatbot.domain.opening import (
    Desk,
    estimate,
    initial_now,
    legs_on,
    margin_needed,
    position_after,
    require_room,
)
from chatbot.domain.order import OrderType
from chatbot.domain.pnl import closing_costs, fee, gross_lock, totals, unrealized_pnl
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.preview import view_after
from chatbot.domain.quote import (
    AdjustQuote,
    AdjustRequest,
    AdjustWay,
    AdjustWayQuote,
    LegAction,
    LegPlan,
    LegPreview,
    Size,
    SizeUnit,
)
from chatbot.domain.refusals import balance_of, book_of, market_of, require_hedge_mode
from chatbot.domain.sizing import require_quantity, units_of
from chatbot.domain.wording import market_name, percent, price_text, quantity_text
from chatbot.errors import BadArgument, LimitExceeded, NotFound, UserError

THIN_DISTANCE = Decimal("0.10")
FORM = "/adjust #ID primary|offset|both +SIZE|-SIZE|±%"
LARGEST_GROWTH = Decimal(10)  # of a leg: more is a typing error


@dataclass(frozen=True, slots=True)
class _Table:
    """The desk with the legs that lie on it, by role."""

    desk: Desk
    hedge: Hedge | None
    legs: dict[LegRole, Position]
    hedges_margin: Decimal
    stopped: str

    @property
    def instrument(self) -> Instrument:
        return self.desk.instrument

    @property
    def name(self) -> str:
        return market_name(self.instrument) if self.hedge is None else f"#{self.hedge.number}"

    def leg(self, role: LegRole) -> Position:
        found = self.legs.get(role)
        if found is None:
            raise NotFound(f"{self.name} has no {role} leg just now; `/hedge {self.name}` opens one.")
        return found

    def quantity(self, role: LegRole) -> Decimal:
        return self.legs[role].quantity if role in self.legs else ZERO


def quote_adjust(
    request: AdjustRequest,
    hedge: Hedge | None,
    view: AccountView,
    instrument: Instrument,
    caps: RiskCaps,
    hedges_margin: Decimal,
    *,
    stopped: str = "",
) -> AdjustQuote:
    """Raises ``UserError`` with the reason. ``hedges_margin``: initial margin that hedges hold already.

    An offset never outgrows its primary by an adjustment. ``stopped``: why no leg may grow just now.
    """
    legs = legs_held(view, instrument, hedge)
    desk = Desk(view, instrument, market_of(view, instrument), book_of(view, instrument), caps)
    table = _Table(desk, hedge, legs, hedges_margin, stopped)
    now = _lock(table, view, ZERO)
    ways = _equalizing(table) if request.size is None else (_scaling(table, request, request.size),)
    return AdjustQuote(
        symbol=instrument.symbol,
        hedge_id=None if hedge is None else hedge.id,
        hedge_number=None if hedge is None else hedge.number,
        mark_price=desk.mark,
        legs=_previews(instrument, view, legs),
        net_lock=now.net,
        not_locked=now.not_locked,
        margin_free=balance_of(view, instrument).free,
        ways=ways,
        lock_currency=instrument.settle,
        warnings=tuple(_warnings(table)),
    )


# --- as asked -----------------------------------------------------------------------------------


def _scaling(table: _Table, request: AdjustRequest, size: Size) -> AdjustWayQuote:
    _require_size(size, grow=request.grow)
    named = [leg_named(name, table.legs, table.instrument, table.hedge)[0] for name in request.legs]
    roles = tuple(role for role in table.legs if role in named or not named)
    quantities = {role: _quantity(table, role, size, grow=request.grow) for role in roles}
    _require_no_overhedge(table, quantities, grow=request.grow)
    plans = tuple(
        _grow(table, role, quantity) if request.grow else _shrink(table, role, quantity)
        for role, quantity in quantities.items()
    )
    return _way(table, AdjustWay.SCALE, plans)


def _require_size(size: Size, *, grow: bool) -> None:
    if not size.value.is_finite() or size.value <= 0:
        raise BadArgument("The size must be a number above zero.", form=FORM, example="/adjust #3 both +10%")
    if size.unit is SizeUnit.SHARE and grow and size.value > LARGEST_GROWTH:
        raise BadArgument("A leg grows by 1000 % at most in one step.", example="/adjust #3 both +100%")


def _quantity(table: _Table, role: LegRole, size: Size, *, grow: bool) -> Decimal:
    instrument, held = table.instrument, table.leg(role).quantity
    quantity = instrument.round_quantity(_wanted(table, size, held))
    if grow:
        require_quantity(instrument, quantity, table.desk.mark)
        return quantity
    side = table.leg(role).side
    if quantity >= held:
        all_of_it = f"Your {side} holds {quantity_text(instrument, held)}, which is all of it"
        raise BadArgument(f"{all_of_it}; `/close {table.name}` closes.", form=FORM)
    if quantity < instrument.min_quantity:
        least = quantity_text(instrument, instrument.min_quantity)
        raise BadArgument(f"That is less than one order of the {side}, which is {least}.", form=FORM)
    return quantity


def _wanted(table: _Table, size: Size, held: Decimal) -> Decimal:
    if size.unit is SizeUnit.SHARE:
        return held * size.value
    return units_of(size, table.instrument, table.desk.mark)


def _require_no_overhedge(table: _Table, quantities: dict[LegRole, Decimal], *, grow: bool) -> None:
    sign = 1 if grow else -1
    before = {role: table.quantity(role) for role in LegRole}
    after = {role: held + sign * quantities.get(role, ZERO) for role, held in before.items()}
    kept = protected_by(table.hedge)
    surplus = after[kept.counterpart] - after[kept]
    if surplus <= max(ZERO, before[kept.counterpart] - before[kept]):
        return
    primary, offset = (quantity_text(table.instrument, after[role]) for role in (kept, kept.counterpart))
    raise LimitExceeded(
        f"The offset leg would hold {offset} against {primary} of the primary: more than it hedges. "
        f"Change both (`/adjust {table.name} both …`) or make them equal (`/adjust {table.name} rebalance`)."
    )


# --- equal again --------------------------------------------------------------------------------


def _equalizing(table: _Table) -> tuple[AdjustWayQuote, ...]:
    """The larger leg down or the smaller one up; what cannot be done is left out, nothing left: why."""
    primary, offset = (table.leg(role) for role in LegRole)
    gap = abs(primary.quantity - offset.quantity)
    if gap == 0:
        raise LimitExceeded(f"The legs of {table.name} are equal already; there is nothing to rebalance.")
    larger = LegRole.PRIMARY if primary.quantity > offset.quantity else LegRole.OFFSET
    if table.instrument.round_quantity(gap) < table.instrument.min_quantity:
        text = quantity_text(table.instrument, gap)
        raise LimitExceeded(f"The legs of {table.name} differ by {text}, which is less than one order.")
    ways, reasons = [], []
    for way, role in ((AdjustWay.TRIM, larger), (AdjustWay.ADD, larger.counterpart)):
        try:
            ways.append(_equal_by(table, way, role, gap))
        except UserError as error:
            reasons.append(error)
    if not ways:
        raise reasons[0]
    return tuple(ways)


def _equal_by(table: _Table, way: AdjustWay, role: LegRole, gap: Decimal) -> AdjustWayQuote:
    quantity = table.instrument.round_quantity(gap)
    if way is AdjustWay.TRIM:
        return _way(table, way, (_shrink(table, role, quantity),))
    require_quantity(table.instrument, quantity, table.desk.mark)
    return _way(table, way, (_grow(table, role, quantity),))


# --- plans --------------------------------------------------------------------------------------


def _grow(table: _Table, role: LegRole, quantity: Decimal) -> LegPlan:
    if table.stopped:
        raise LimitExceeded(table.stopped)
    held, instrument = table.leg(role), table.instrument
    require_hedge_mode(table.desk.view, instrument)
    fill = estimate(table.desk, held.side, quantity)
    return LegPlan(
        role=role,
        side=held.side,
        action=LegAction.OPEN,
        quantity=quantity,
        expected_price=fill.average_price,
        fee=fee(instrument, quantity, fill.average_price),
        slippage_bps=fill.slippage_bps,
        leverage=held.leverage,
        margin_mode=held.margin_mode,
        stop_loss=_resting(table, held, OrderType.STOP_LOSS),
        take_profit=_resting(table, held, OrderType.TAKE_PROFIT),
    )


def _resting(table: _Table, held: Position, kind: OrderType) -> Decimal | None:
    """What is added gets the stop that the leg has: of several the nearest to the price."""
    prices = [
        order.trigger_price
        for order in table.desk.view.open_orders
        if order.trigger_price is not None
        and order.type is kind
        and (order.symbol, order.position_side) == (held.symbol, held.side)
    ]
    return min(prices, key=lambda price: abs(price - table.desk.mark), default=None)


def _shrink(table: _Table, role: LegRole, quantity: Decimal) -> LegPlan:
    held, instrument = table.leg(role), table.instrument
    fill = table.desk.book.walk(held.side.closing, quantity)
    return LegPlan(
        role=role,
        side=held.side,
        action=LegAction.CLOSE,
        quantity=quantity,
        expected_price=fill.average_price,
        fee=fee(instrument, quantity, fill.average_price),
        slippage_bps=fill.slippage_bps,
        leverage=held.leverage,
        margin_mode=held.margin_mode,
    )


# --- what comes of it ---------------------------------------------------------------------------


def _way(table: _Table, way: AdjustWay, plans: tuple[LegPlan, ...]) -> AdjustWayQuote:
    desk, needed = table.desk, ZERO
    for plan in plans:
        if plan.action is LegAction.OPEN:
            needed += _needed(desk, table, plan)
        desk = replace(desk, view=_view_after(desk, plan))
    instrument, view = table.instrument, desk.view
    fees = sum((plan.fee for plan in plans), ZERO)
    realized = sum((_realized(table, plan) for plan in plans), ZERO)
    lock = _lock(table, view, realized - fees)
    legs = legs_on(view, instrument)
    return AdjustWayQuote(
        way=way,
        plans=plans,
        legs=_previews(instrument, view, _by_role(table, legs)),
        fees=-fees,
        realized=realized,
        margin_needed=needed,
        exposure_after=sum((leg.quantity * leg.side.sign for leg in legs), ZERO),
        pair_after=pair_liquidation(instrument, view),
        net_lock=lock.net,
        not_locked=lock.not_locked,
        paired_quantity=lock.quantity,
        fees_to_close=lock.fees_to_close,
        spread_cost=lock.spread,
        funding=outlook(instrument, desk.market, legs),
        warnings=tuple(_way_warnings(table, plans, view)),
    )


def _needed(desk: Desk, table: _Table, plan: LegPlan) -> Decimal:
    adopted = ZERO
    if table.hedge is None:
        adopted = sum((initial_now(desk, leg) for leg in table.legs.values()), ZERO)
    after = position_after(desk, plan)
    require_room(desk, plan, after, table.hedges_margin + adopted, instead=lambda fits: _less(table, fits))
    return margin_needed(desk, plan)


def _less(table: _Table, fits: Decimal) -> str:
    return f"grow by {quantity_text(table.instrument, fits)} or less" if fits else "close something"


def _view_after(desk: Desk, plan: LegPlan) -> AccountView:
    if plan.action is LegAction.OPEN:
        return view_after(desk.view, desk.instrument, position_after(desk, plan), received=-plan.fee)
    held = desk.position(plan.side)
    if held is None:
        return desk.view
    gain = unrealized_pnl(desk.instrument, plan.side, plan.quantity, held.entry_price, plan.expected_price)
    left = smaller_position(held, plan.quantity)
    return view_after(desk.view, desk.instrument, left, received=gain - plan.fee)


def _realized(table: _Table, plan: LegPlan) -> Decimal:
    if plan.action is LegAction.OPEN:
        return ZERO
    entry = table.leg(plan.role).entry_price
    return unrealized_pnl(table.instrument, plan.side, plan.quantity, entry, plan.expected_price)


def _by_role(table: _Table, legs: Sequence[Position]) -> dict[LegRole, Position]:
    roles = {position.side: role for role, position in table.legs.items()}
    return {roles[leg.side]: leg for leg in legs}


def _previews(
    instrument: Instrument, view: AccountView, legs: dict[LegRole, Position]
) -> tuple[LegPreview, ...]:
    return tuple(
        LegPreview(role, p.side, p.quantity, p.entry_price, leg_liquidation(instrument, p, view))
        for role, p in legs.items()
    )


@dataclass(frozen=True, slots=True)
class _Lock:
    net: Decimal | None
    not_locked: Decimal
    quantity: Decimal
    fees_to_close: Decimal
    spread: Decimal


def _lock(table: _Table, view: AccountView, brought: Decimal) -> _Lock:
    """``brought`` by the adjustment itself: realized less fees."""
    instrument = table.instrument
    legs = _by_role(table, legs_on(view, instrument))
    mark = table.desk.mark
    floating = sum(
        (unrealized_pnl(instrument, p.side, p.quantity, p.entry_price, mark) for p in legs.values()), ZERO
    )
    if len(legs) < 2:
        return _Lock(None, floating, ZERO, ZERO, ZERO)
    primary, offset = (legs[role] for role in LegRole)
    shared = min(primary.quantity, offset.quantity)
    gross = gross_lock(instrument, primary.side, shared, primary.entry_price, offset.entry_price)
    costs = closing_costs(instrument, shared, mark, table.desk.book)
    before = ZERO if table.hedge is None else totals(table.hedge).net
    net = gross + before + brought + costs.fees + costs.spread
    return _Lock(net, floating - gross, shared, costs.fees, costs.spread)


# --- warnings -----------------------------------------------------------------------------------


def _warnings(table: _Table) -> Iterator[str]:
    if table.hedge is None or any(leg.adopted for leg in table.hedge.legs):
        yield "What an adopted leg cost before Hedgerow found it is not counted."


def _way_warnings(table: _Table, plans: Sequence[LegPlan], view: AccountView) -> Iterator[str]:
    instrument = table.instrument
    for plan in plans:
        left = view.position(instrument.symbol, plan.side)
        end = NO_LIQUIDATION if left is None else leg_liquidation(instrument, left, view)
        if end.price is not None and end.distance is not None and end.distance < THIN_DISTANCE:
            at = price_text(instrument, end.price)
            yield f"The {plan.side} would be {percent(end.distance)} from its liquidation at {at}."
        yield from _stop_warnings(table, plan)
    exposure = sum((leg.quantity * leg.side.sign for leg in legs_on(view, instrument)), ZERO)
    held = sum((leg.quantity * leg.side.sign for leg in table.legs.values()), ZERO)
    if len(table.legs) > 1 and abs(exposure) > abs(held):
        side = "long" if exposure > 0 else "short"
        amount = quantity_text(instrument, abs(exposure))
        yield f"Net {side} {amount} stays unhedged and moves with the price."


def _stop_warnings(table: _Table, plan: LegPlan) -> Iterator[str]:
    instrument = table.instrument
    for name, at in (("stop-loss", plan.stop_loss), ("take-profit", plan.take_profit)):
        if at is not None:
            yield f"The {name} of the {plan.side} at {price_text(instrument, at)} covers what is added too."
    at_price = _resting(table, table.leg(plan.role), OrderType.TRIGGER)
    if at_price is not None and plan.action is LegAction.OPEN:
        shown = price_text(instrument, at_price)
        yield f"The closing order of the {plan.side} at {shown} covers the old size only."
