"""Warnings on an offer: short plain sentences, the gravest first, none longer than a phone's two lines."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from chatbot.domain.account import AccountView, LegSetting, Position
from chatbot.domain.instrument import ContractKind, Instrument, MarginMode, PositionSide
from chatbot.domain.market import OrderBook
from chatbot.domain.order import OrderType
from chatbot.domain.quote import HedgeQuote, LegLiquidation, LegPlan, OpenQuote, OpenRequest, SizeUnit
from chatbot.domain.sizing import units_of
from chatbot.domain.wording import money, percent, plain, price_text, quantity_text

THIN_DISTANCE = Decimal("0.10")
FAR_DISTANCE = Decimal(1)  # a price twice as high or at nothing warns nobody
HIGH_SLIPPAGE_BPS = Decimal(20)


def open_warnings(
    quote: OpenQuote,
    request: OpenRequest,
    instrument: Instrument,
    before: Position | None,
    set_to: LegSetting | None = None,
) -> tuple[str, ...]:
    """``set_to``: what the exchange has for a side that holds nothing, from an earlier position perhaps."""
    plan = quote.plan
    return (
        *_thin(plan.side, quote.liquidation, instrument),
        *_late_stop(plan, quote.liquidation, instrument),
        *_slippage(plan),
        *_rounded(quote, request, instrument),
        *_other_leverage(plan, None if before is None else before.leverage, "your open"),
        *_taken_over(plan, request, set_to),
    )


def hedge_warnings(
    quote: HedgeQuote, instrument: Instrument, view: AccountView, book: OrderBook
) -> tuple[str, ...]:
    plan = quote.plan
    return (
        *_locked_loss(quote),
        *_unknown_costs(quote),
        *_thin(quote.primary_side, quote.primary_after, instrument),
        *_thin(plan.side, quote.offset_after, instrument),
        *_joint_liquidation(quote, instrument),
        *_naked_by_stop(plan),
        *_naked_by_resting(quote, instrument, view),
        *_late_stop(plan, quote.offset_after, instrument),
        *_slippage(plan),
        *_thin_exit(quote, instrument, book),
        *_rest(quote, instrument),
        *_offset_leverage(quote, view),
    )


def _locked_loss(quote: HedgeQuote) -> Iterator[str]:
    if quote.net_lock < 0:
        yield f"This locks a loss: {money(quote.net_lock, quote.lock_currency)} net."


def _unknown_costs(quote: HedgeQuote) -> Iterator[str]:
    if quote.fees_paid_partial:
        yield "What an adopted leg cost before Hedgerow found it is not counted."


def _thin(side: PositionSide, liquidation: LegLiquidation, instrument: Instrument) -> Iterator[str]:
    price, distance = liquidation.price, liquidation.distance
    if price is not None and distance is not None and distance < THIN_DISTANCE:
        yield f"The {side} is {percent(distance)} from its liquidation at {price_text(instrument, price)}."


def _joint_liquidation(quote: HedgeQuote, instrument: Instrument) -> Iterator[str]:
    """A full hedge in cross margin dies with the price all the same, for maintenance margin grows with it."""
    price, distance = quote.pair_after.price, quote.pair_after.distance
    cross = quote.primary_margin_mode is quote.plan.margin_mode is MarginMode.CROSS
    if not cross or price is None or distance is None or distance >= FAR_DISTANCE:
        return
    rise = price > quote.mark_price
    if rise is (instrument.kind is ContractKind.LINEAR):
        way = "rise" if rise else "fall"
        yield f"Even hedged, a {way} to {price_text(instrument, price)} liquidates both legs."


def _naked_by_stop(plan: LegPlan) -> Iterator[str]:
    if plan.stop_loss is not None or plan.take_profit is not None:
        yield f"A stop on the {plan.side} alone leaves the {plan.side.opposite} naked when it fires."


_RESTING = {
    OrderType.STOP_LOSS: "stop-loss",
    OrderType.TAKE_PROFIT: "take-profit",
    OrderType.TRIGGER: "closing order",
}


def _naked_by_resting(quote: HedgeQuote, instrument: Instrument, view: AccountView) -> Iterator[str]:
    """Stops that were set before the hedge stay where they are."""
    kept = quote.plan.side.opposite
    for order in view.open_orders:
        mine = (order.symbol, order.position_side) == (quote.symbol, kept)
        if mine and order.type in _RESTING and order.trigger_price is not None:
            at = price_text(instrument, order.trigger_price)
            yield f"The {_RESTING[order.type]} of the {kept} at {at} leaves the {quote.plan.side} naked."


def _late_stop(plan: LegPlan, liquidation: LegLiquidation, instrument: Instrument) -> Iterator[str]:
    stop, end = plan.stop_loss, liquidation.price
    if stop is not None and end is not None and (stop - end) * plan.side.sign <= 0:
        yield f"The stop-loss lies beyond the liquidation at {price_text(instrument, end)}."


def _slippage(plan: LegPlan) -> Iterator[str]:
    if plan.slippage_bps > HIGH_SLIPPAGE_BPS:
        yield f"The book is thin: this order slips about {percent(plan.slippage_bps / 10_000, digits=2)}."


def _thin_exit(quote: HedgeQuote, instrument: Instrument, book: OrderBook) -> Iterator[str]:
    whole = quote.offset_quantity_before + quote.plan.quantity
    exits = (book.walk(side.closing, whole) for side in PositionSide)
    if not all(estimate.complete for estimate in exits):
        yield "The book is too thin to close it all now; closing may cost more than shown."


def _rounded(quote: OpenQuote, request: OpenRequest, instrument: Instrument) -> Iterator[str]:
    size, quantity = request.size, quote.plan.quantity
    if size.unit is SizeUnit.SHARE or units_of(size, instrument, quote.mark_price) == quantity:
        return
    lot = quantity_text(instrument, instrument.lot_size)
    worth = _in_the_unit_typed(quote, size.unit, instrument)
    yield f"Rounded down to {quantity_text(instrument, quantity)}{worth} (steps of {lot})."


def _in_the_unit_typed(quote: OpenQuote, unit: SizeUnit, instrument: Instrument) -> str:
    """What is counted in coins was typed in money, or the reverse."""
    linear = instrument.kind is ContractKind.LINEAR
    if unit is (SizeUnit.BASE if linear else SizeUnit.NOTIONAL):
        return ""
    currency = instrument.quote if linear else instrument.base
    return f", ~{money(instrument.notional(quote.plan.quantity, quote.mark_price), currency)}"


def _taken_over(plan: LegPlan, request: OpenRequest, set_to: LegSetting | None) -> Iterator[str]:
    """What nobody named; cross margin is what everybody expects."""
    if set_to is None:
        return
    taken = []
    if request.leverage is None and plan.leverage == set_to.leverage:
        taken.append(f"{plain(plan.leverage)}x")
    if request.margin_mode is None and plan.margin_mode is MarginMode.ISOLATED:
        taken.append(str(plan.margin_mode))
    if taken:
        what = " ".join(taken).capitalize()
        yield f"{what} is what the {plan.side} side is set to on the exchange; name another to change it."


def _rest(quote: HedgeQuote, instrument: Instrument) -> Iterator[str]:
    if quote.rounding_rest > 0:
        lot = quantity_text(instrument, instrument.lot_size)
        yield f"{quantity_text(instrument, quote.rounding_rest)} stays unhedged (steps of {lot})."


def _offset_leverage(quote: HedgeQuote, view: AccountView) -> Iterator[str]:
    plan = quote.plan
    if plan.leverage != quote.primary_leverage:
        theirs = plain(quote.primary_leverage)
        yield f"The {plan.side} uses {plain(plan.leverage)}x, your {quote.primary_side} {theirs}x."
    setting = view.leg_settings.get((quote.symbol, plan.side))
    if setting is not None:
        yield from _changed_setting(plan, setting)


def _changed_setting(plan: LegPlan, setting: LegSetting) -> Iterator[str]:
    yield from _other_leverage(plan, setting.leverage, "the next")
    if setting.margin_mode is not plan.margin_mode:
        yield f"Margin of the {plan.side} side changes from {setting.margin_mode} to {plan.margin_mode}."


def _other_leverage(plan: LegPlan, before: Decimal | None, what: str) -> Iterator[str]:
    if before is not None and before != plan.leverage:
        yield f"Leverage of {what} {plan.side} changes from {plain(before)}x to {plain(plan.leverage)}x."
