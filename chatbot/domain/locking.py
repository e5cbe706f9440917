"""Offers to lock: the opposite leg against a hedge of the ledger or a position found on the venue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.advice import hedge_warnings
from chatbot.domain.funding import outlook
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.instrument import ZERO, ContractKind, Instrument, PositionSide
from chatbot.domain.margin import NO_LIQUIDATION, leg_liquidation
from chatbot.domain.opening import (
    Desk,
    desk_of,
    estimate,
    initial_now,
    legs_on,
    lowered,
    margin_needed,
    position_after,
    require_room,
)
from chatbot.domain.pnl import closing_costs, exit_price, fee, gross_lock, totals, unrealized_pnl
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.preview import liquidations, view_after
from chatbot.domain.quote import HedgeQuote, HedgeRequest, LegAction, LegPlan
from chatbot.domain.refusals import balance_of, stop_loss_for, take_profit_for
from chatbot.domain.sizing import offset_quantity, quote_value, require_quantity
from chatbot.domain.wording import market_name
from chatbot.errors import BadArgument, LimitExceeded, NotFound, NothingOpen


@dataclass(frozen=True, slots=True)
class _Pairing:
    """The leg that is there, and what is there of the other one already."""

    kept: Position
    role: LegRole  # of the leg to be opened
    before: Position | None
    hedge: Hedge | None

    @property
    def side(self) -> PositionSide:
        return self.kept.side.opposite

    @property
    def held(self) -> Decimal:
        return ZERO if self.before is None else self.before.quantity


def quote_hedge(
    request: HedgeRequest,
    hedge: Hedge | None,
    view: AccountView,
    instrument: Instrument,
    caps: RiskCaps,
    hedges_margin: Decimal,
) -> HedgeQuote:
    """Against a hedge of the ledger or a position found on the venue. Raises ``UserError`` with the reason.

    Where one leg of a pair is smaller or gone, the offer makes it up. ``hedges_margin``: initial margin that
    hedges of the ledger hold already.
    """
    desk = desk_of(view, instrument, caps)
    _require_ratio(request.ratio)
    pairing = _pairing(desk, request, hedge)
    plan = _hedge_plan(desk, request, pairing)
    after = position_after(desk, plan)
    adopted = initial_now(desk, pairing.kept) if hedge is None else ZERO
    name = market_name(instrument)
    require_room(desk, plan, after, hedges_margin + adopted, instead=lambda fits: _part(pairing, fits, name))
    quote = _hedge_quote(desk, request, pairing, plan, after)
    return replace(quote, warnings=hedge_warnings(quote, instrument, view, desk.book))


def _part(pairing: _Pairing, fits: Decimal, name: str) -> str:
    """Whole percents, rounded down: the margin does for it."""
    share = (100 * (pairing.held + fits) / pairing.kept.quantity).to_integral_value(ROUND_DOWN)
    return f"hedge a part (`/hedge {name} {share}%`)" if fits and share else "close something"


def _require_ratio(ratio: Decimal) -> None:
    if not ratio.is_finite() or not 0 < ratio <= 1:
        raise BadArgument("A hedge covers more than 0 % and at most 100 % of the position.", example="50%")


def _pairing(desk: Desk, request: HedgeRequest, hedge: Hedge | None) -> _Pairing:
    kept = _kept(desk, request.side, hedge)
    primary_side = kept.side if hedge is None else hedge.primary.side
    role = LegRole.OFFSET if kept.side is primary_side else LegRole.PRIMARY
    return _Pairing(kept, role, desk.position(kept.side.opposite), hedge)


def _kept(desk: Desk, side: PositionSide | None, hedge: Hedge | None) -> Position:
    """The named leg, the only one, or the larger one of a hedge that the ledger knows."""
    name = market_name(desk.instrument)
    here = [p for p in map(desk.position, PositionSide) if p is not None]
    if not here:
        raise NothingOpen(
            f"You have no position on {name}; open one first, for instance `/open {name} long 25%`."
        )
    if side is not None:
        named = [p for p in here if p.side is side]
        if not named:
            raise NotFound(f"You have no {side} on {name}; you hold a {here[0].side}: `/hedge {name}`.")
        return named[0]
    if len(here) == 1:
        return here[0]
    if hedge is None and here[0].quantity != here[1].quantity:
        raise BadArgument(
            f"You hold a long and a short on {name} of different size; name the side to hedge.",
            example=f"/hedge {name} long",
        )
    return max(here, key=lambda position: position.quantity)


def _missing(desk: Desk, request: HedgeRequest, pairing: _Pairing) -> Decimal:
    instrument = desk.instrument
    wanted = offset_quantity(instrument, pairing.kept.quantity, request.ratio)
    missing = instrument.round_quantity(wanted - pairing.held)
    if missing > 0 or pairing.held == 0:
        return missing
    name = market_name(instrument)
    if pairing.hedge is None:
        raise LimitExceeded(f"You hold both legs of {name} already; `/adopt {name}` makes them one hedge.")
    number = f" (#{pairing.hedge.number})"
    raise LimitExceeded(f"{name} is hedged already{number}; see `/status {name}`.")


def _hedge_plan(desk: Desk, request: HedgeRequest, pairing: _Pairing) -> LegPlan:
    instrument, side = desk.instrument, pairing.side
    quantity = _missing(desk, request, pairing)
    require_quantity(instrument, quantity, desk.mark)
    fill = estimate(desk, side, quantity)
    like = pairing.before or pairing.kept
    notional = instrument.notional(quantity + pairing.held, fill.average_price)
    leverage = like.leverage if pairing.before else lowered(desk, like.leverage, notional)
    return LegPlan(
        role=pairing.role,
        side=side,
        action=LegAction.OPEN,
        quantity=quantity,
        expected_price=fill.average_price,
        fee=fee(instrument, quantity, fill.average_price),
        slippage_bps=fill.slippage_bps,
        leverage=leverage,
        margin_mode=like.margin_mode,
        stop_loss=stop_loss_for(instrument, side, request.stop_loss, desk.mark),
        take_profit=take_profit_for(instrument, side, request.take_profit, desk.mark),
    )


@dataclass(frozen=True, slots=True)
class _SoFar:
    """Of the hedge until now, costs negative. ``partial``: what a leg cost before it was found is unknown."""

    fees: Decimal
    partial: bool
    funding: Decimal
    realized: Decimal

    @property
    def net(self) -> Decimal:
        return self.fees + self.funding + self.realized


def _so_far(desk: Desk, pairing: _Pairing) -> _SoFar:
    hedge = pairing.hedge
    legs = [leg for leg in (pairing.kept, pairing.before) if leg is not None]
    if hedge is None:
        return _SoFar(ZERO, True, ZERO, ZERO)
    known = totals(hedge)
    partial = any(hedge.leg_on(leg.side).adopted for leg in legs)
    return _SoFar(-known.fees_paid, partial, known.funding, known.realized)


def _hedge_quote(
    desk: Desk, request: HedgeRequest, pairing: _Pairing, plan: LegPlan, after: Position
) -> HedgeQuote:
    instrument, kept, so_far = desk.instrument, pairing.kept, _so_far(desk, pairing)
    shared = min(kept.quantity, after.quantity)
    gross = gross_lock(instrument, kept.side, shared, kept.entry_price, after.entry_price)
    costs = closing_costs(instrument, shared, desk.mark, desk.book)
    view = view_after(desk.view, instrument, after, received=-plan.fee)
    legs = liquidations(instrument, view)
    rest = kept.quantity * request.ratio - after.quantity
    net_lock = gross + so_far.net - plan.fee + costs.fees + costs.spread
    loose = kept.quantity - shared
    return HedgeQuote(
        symbol=instrument.symbol,
        primary_side=kept.side,
        primary_quantity=kept.quantity,
        primary_entry=kept.entry_price,
        primary_leverage=kept.leverage,
        primary_margin_mode=kept.margin_mode,
        plan=plan,
        mark_price=desk.mark,
        gross_lock=gross,
        fees_paid=so_far.fees,
        fees_paid_partial=so_far.partial,
        fee_to_open=-plan.fee,
        fees_to_close=costs.fees,
        spread_cost=costs.spread,
        funding_so_far=so_far.funding,
        realized_so_far=so_far.realized,
        net_lock=net_lock,
        close_now_net=so_far.net + _close_now(desk, pairing, kept.quantity),
        costs_more=so_far.net + _close_now(desk, pairing, shared) - net_lock,
        not_locked=unrealized_pnl(instrument, kept.side, loose, kept.entry_price, desk.mark),
        margin_needed=margin_needed(desk, plan),
        margin_free=balance_of(desk.view, instrument).free,
        rounding_rest=rest,
        rounding_rest_notional=quote_value(instrument, rest, desk.mark),
        net_exposure_after=kept.side.sign * (kept.quantity - after.quantity),
        liquidation_before=leg_liquidation(instrument, kept, desk.view),
        primary_after=legs.of(kept.side) or NO_LIQUIDATION,
        offset_after=legs.of(plan.side) or NO_LIQUIDATION,
        pair_after=legs.pair,
        funding=outlook(instrument, desk.market, legs_on(view, instrument)),
        lock_currency=instrument.settle,
        inverse=instrument.kind is ContractKind.INVERSE,
        offset_quantity_before=pairing.held,
    )


def _close_now(desk: Desk, pairing: _Pairing, quantity: Decimal) -> Decimal:
    """What closing ``quantity`` of the kept leg and all of the other would realize, fees off."""
    closed = [(pairing.kept, quantity)]
    if pairing.before is not None:
        closed.append((pairing.before, pairing.before.quantity))
    return sum((_realized(desk, leg, part) for leg, part in closed), ZERO)


def _realized(desk: Desk, leg: Position, quantity: Decimal) -> Decimal:
    price = exit_price(desk.book, leg.side.closing, quantity, desk.mark)
    gain = unrealized_pnl(desk.instrument, leg.side, quantity, leg.entry_price, price)
    return gain - fee(desk.instrument, quantity, price)
