"""Offers to open a leg, and what every offer that opens one goes through: estimate, margin, caps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from chatbot.domain.account import AccountView, LegSetting, Position
from chatbot.domain.advice import open_warnings
from chatbot.domain.funding import outlook
from chatbot.domain.hedge import LegRole
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionSide
from chatbot.domain.margin import NO_LIQUIDATION, initial_margin, leg_liquidation, margin_held
from chatbot.domain.market import FillEstimate, MarketState, OrderBook
from chatbot.domain.pnl import average_entry, fee, unrealized_pnl
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.preview import liquidations, view_after
from chatbot.domain.quote import LegAction, LegPlan, OpenQuote, OpenRequest
from chatbot.domain.refusals import (
    balance_of,
    book_of,
    market_of,
    require_depth,
    require_hedge_mode,
    require_leverage,
    require_margin,
    require_notional,
    require_share,
    stop_loss_for,
    take_profit_for,
    usable_margin,
)
from chatbot.domain.sizing import Budget, quantity_of
from chatbot.domain.wording import market_name, plain, quantity_text
from chatbot.errors import BadArgument, LimitExceeded

DEFAULT_SETTING = LegSetting(Decimal(5), MarginMode.CROSS)


@dataclass(frozen=True, slots=True)
class Desk:
    """What both kinds of opening look at."""

    view: AccountView
    instrument: Instrument
    market: MarketState
    book: OrderBook
    caps: RiskCaps

    @property
    def mark(self) -> Decimal:
        return self.market.mark_price

    def position(self, side: PositionSide) -> Position | None:
        return self.view.position(self.instrument.symbol, side)


def desk_of(view: AccountView, instrument: Instrument, caps: RiskCaps) -> Desk:
    require_hedge_mode(view, instrument)
    return Desk(view, instrument, market_of(view, instrument), book_of(view, instrument), caps)


def estimate(desk: Desk, side: PositionSide, quantity: Decimal) -> FillEstimate:
    found = desk.book.walk(side.opening, quantity)
    require_depth(desk.instrument, found, quantity)
    return found


def position_after(desk: Desk, plan: LegPlan) -> Position:
    """The position of the plan's side once it is filled as expected."""
    instrument, quantity, price = desk.instrument, plan.quantity, plan.expected_price
    margin = initial_margin(instrument, quantity, price, leverage=plan.leverage)
    isolated = plan.margin_mode is MarginMode.ISOLATED
    before = desk.position(plan.side)
    if before is None:
        before = Position(
            symbol=instrument.symbol,
            side=plan.side,
            quantity=ZERO,
            entry_price=price,
            leverage=plan.leverage,
            margin_mode=plan.margin_mode,
            margin=ZERO if isolated else None,
        )
    return replace(
        before,
        quantity=before.quantity + quantity,
        entry_price=average_entry(
            instrument, held=before.quantity, entry=before.entry_price, added=quantity, price=price
        ),
        leverage=plan.leverage,
        margin=margin_held(instrument, before) + margin if isolated else None,
    )


def margin_needed(desk: Desk, plan: LegPlan) -> Decimal:
    """Initial margin and fee of the order, and what a lower leverage takes for the leg it adds to."""
    margin = initial_margin(desk.instrument, plan.quantity, plan.expected_price, leverage=plan.leverage)
    return margin + plan.fee + _deeper_margin(desk, plan)


def _deeper_margin(desk: Desk, plan: LegPlan) -> Decimal:
    held = desk.position(plan.side)
    if held is None or held.margin_mode is MarginMode.ISOLATED:
        return ZERO
    after = initial_now(desk, replace(held, leverage=plan.leverage))
    return max(ZERO, after - initial_now(desk, held))


def require_room(
    desk: Desk, plan: LegPlan, after: Position, held: Decimal, *, instead: Callable[[Decimal], str]
) -> None:
    """Leverage, margin and caps; ``held`` by hedges already. ``instead`` says what a quantity comes to."""
    instrument, caps = desk.instrument, desk.caps
    notional = instrument.notional(after.quantity, max(desk.mark, plan.expected_price))
    require_leverage(instrument, plan.leverage, notional, caps)
    balance = balance_of(desk.view, instrument)
    needed = margin_needed(desk, plan)
    fitting = _fitting(desk, plan, usable_margin(balance, caps))
    require_margin(needed, balance, caps, instead=instead(fitting))
    require_notional(instrument, after.quantity, plan.expected_price, caps)
    held_here = held if balance.currency == desk.view.balance.currency else _margin_on(desk)
    require_share(held_here, needed, balance, caps)


def _fitting(desk: Desk, plan: LegPlan, usable: Decimal) -> Decimal:
    """The largest part of the plan that its margin would do for, on the lot; 0: not even one order."""
    deeper = _deeper_margin(desk, plan)
    share = (usable - deeper) / (margin_needed(desk, plan) - deeper)
    quantity = desk.instrument.round_quantity(plan.quantity * max(ZERO, share))
    return ZERO if quantity < desk.instrument.min_quantity else quantity


def _margin_on(desk: Desk) -> Decimal:
    """Initial margin of this market's positions: all that is told of hedges in another currency."""
    here = (p for p in desk.view.positions if p.symbol == desk.instrument.symbol)
    return sum((initial_now(desk, p) for p in here), ZERO)


def initial_now(desk: Desk, position: Position) -> Decimal:
    return initial_margin(desk.instrument, position.quantity, desk.mark, leverage=position.leverage)


def lowered(desk: Desk, leverage: Decimal, notional: Decimal) -> Decimal:
    """Leverage that nobody asked for gives way to the caps instead of being refused."""
    allowed = [leverage, desk.instrument.tier(notional).max_leverage]
    return min(allowed if desk.caps.leverage is None else [*allowed, desk.caps.leverage])


# --- open ---------------------------------------------------------------------------------------


def quote_open(
    request: OpenRequest, view: AccountView, instrument: Instrument, caps: RiskCaps, hedges_margin: Decimal
) -> OpenQuote:
    """``hedges_margin``: initial margin that hedges hold already. Raises ``UserError`` with the reason."""
    desk = desk_of(view, instrument, caps)
    _require_direction(desk, request.side)
    plan = _open_plan(desk, request)
    after = position_after(desk, plan)
    require_room(desk, plan, after, hedges_margin, instead=lambda fits: _smaller(instrument, fits))
    return _open_quote(desk, request, plan, after)


def _smaller(instrument: Instrument, fits: Decimal) -> str:
    return f"take {quantity_text(instrument, fits)} or less" if fits else "close something"


def _require_direction(desk: Desk, side: PositionSide) -> None:
    if desk.position(side.opposite) is None:
        return
    name = market_name(desk.instrument)
    if desk.position(side) is not None:
        raise LimitExceeded(
            f"{name} is hedged already; `/adjust {name} both +10%` grows it, `/close {name}` closes it."
        )
    raise BadArgument(
        f"You hold a {side.opposite} on {name}; the opposite leg is a hedge.",
        form="/hedge SYMBOL [RATIO%]",
        example=f"/hedge {name}",
    )


def _open_setting(desk: Desk, request: OpenRequest) -> LegSetting:
    """The request's, else the position's, else what the venue would use, as far as the cap allows."""
    held = desk.position(request.side)
    default = desk.view.leg_settings.get((request.symbol, request.side), DEFAULT_SETTING)
    if held is not None:
        _require_same_mode(desk, held, request.margin_mode)
        default = LegSetting(held.leverage, held.margin_mode)
    leverage = request.leverage
    if leverage is None:
        leverage = lowered(desk, default.leverage, ZERO) if held is None else held.leverage
    if not leverage.is_finite() or leverage < 1:
        raise BadArgument("Leverage is 1x or more.")
    if held is not None:
        _require_no_lower_leverage(desk, held, leverage)
    return LegSetting(leverage, request.margin_mode or default.margin_mode)


def _require_same_mode(desk: Desk, held: Position, mode: MarginMode | None) -> None:
    if mode is not None and mode is not held.margin_mode:
        name = market_name(desk.instrument)
        raise BadArgument(
            f"Your {held.side} on {name} is {held.margin_mode}; add to it in {held.margin_mode}."
        )


def _require_no_lower_leverage(desk: Desk, held: Position, leverage: Decimal) -> None:
    """Exchanges refuse it: the margin of an isolated leg would have to grow by itself."""
    if held.margin_mode is MarginMode.ISOLATED and leverage < held.leverage:
        name = market_name(desk.instrument)
        raise BadArgument(
            f"Your isolated {held.side} on {name} has {plain(held.leverage)}x, which cannot be lowered "
            f"while it is open; add to it with {plain(held.leverage)}x or more."
        )


def _open_plan(desk: Desk, request: OpenRequest) -> LegPlan:
    setting = _open_setting(desk, request)
    instrument, side = desk.instrument, request.side
    quantity = quantity_of(
        request.size,
        instrument,
        price=desk.mark,
        budget=Budget(usable_margin(balance_of(desk.view, instrument), desk.caps), setting.leverage),
        book=desk.book,
        side=side.opening,
    )
    fill = estimate(desk, side, quantity)
    return LegPlan(
        role=LegRole.PRIMARY,
        side=side,
        action=LegAction.OPEN,
        quantity=quantity,
        expected_price=fill.average_price,
        fee=fee(instrument, quantity, fill.average_price),
        slippage_bps=fill.slippage_bps,
        leverage=setting.leverage,
        margin_mode=setting.margin_mode,
        stop_loss=stop_loss_for(instrument, side, request.stop_loss, desk.mark),
        take_profit=take_profit_for(instrument, side, request.take_profit, desk.mark),
    )


def _open_quote(desk: Desk, request: OpenRequest, plan: LegPlan, after: Position) -> OpenQuote:
    instrument = desk.instrument
    view = view_after(desk.view, instrument, after, received=-plan.fee)
    before = desk.position(plan.side)
    quote = OpenQuote(
        symbol=instrument.symbol,
        plan=plan,
        mark_price=desk.mark,
        notional=instrument.notional(plan.quantity, plan.expected_price),
        margin_needed=margin_needed(desk, plan),
        margin_free=balance_of(desk.view, instrument).free,
        liquidation=liquidations(instrument, view).of(plan.side) or NO_LIQUIDATION,
        liquidation_before=None if before is None else leg_liquidation(instrument, before, desk.view),
        funding=outlook(instrument, desk.market, legs_on(view, instrument)),
        loss_at_stop=_result_at(instrument, plan, plan.stop_loss),
        gain_at_target=_result_at(instrument, plan, plan.take_profit),
    )
    set_to = None if before is not None else desk.view.leg_settings.get((instrument.symbol, plan.side))
    return replace(quote, warnings=open_warnings(quote, request, instrument, before, set_to))


def legs_on(view: AccountView, instrument: Instrument) -> list[Position]:
    return [position for position in view.positions if position.symbol == instrument.symbol]


def _result_at(instrument: Instrument, plan: LegPlan, price: Decimal | None) -> Decimal | None:
    """Of this order alone, both its fees included."""
    if price is None:
        return None
    gain = unrealized_pnl(instrument, plan.side, plan.quantity, plan.expected_price, price)
    return gain - plan.fee - fee(instrument, plan.quantity, price)
