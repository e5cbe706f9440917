"""Cards of closing: every way with the result it is expected to give and the risk in between."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from chatbot.chat import Button, Text
from chatbot.domain.instrument import ZERO, Instrument, PositionSide, Symbol
from chatbot.domain.quote import CloseAllQuote, CloseQuote, CloseWay, CloseWayQuote, LegPlan, QuoteId
from handlers.buttons import CANCEL, CONFIRM
from handlers.figures import Block, liquidation, subject_name, warning_blocks
from handlers.look import Look
from handlers.tables import line, note, table
from handlers.text import (
    fitted_money,
    fitted_price,
    fitted_quantity,
    listing,
    plain,
    price,
    share,
    short_name,
    sum_of_money,
    unit_of,
)

Rows = tuple[tuple[Button, ...], ...]

_HEADS = {
    CloseWay.OFFSET_FIRST: "offset first, then primary",
    CloseWay.AT_ONCE: "both at once",
    CloseWay.OFFSET_ONLY: "only the offset leg",
    CloseWay.AT_PRICE: "both, at a price",
    CloseWay.SINGLE: "close it",
}
_LABELS = {
    CloseWay.OFFSET_FIRST: "Offset first",
    CloseWay.AT_ONCE: "Both at once",
    CloseWay.OFFSET_ONLY: "Only the offset",
    CloseWay.AT_PRICE: "At that price",
    CloseWay.SINGLE: "Close",
}


def close_blocks(look: Look, offer: CloseQuote, instrument: Instrument) -> list[Block]:
    default = offer.ways[0]
    lines = [
        row
        for way in offer.ways
        for row in _way_lines(
            way, offer, instrument, repeats=way is not default and way.plans == default.plans
        )
    ]
    hint = [] if default.way is CloseWay.AT_PRICE else [Text(_at_a_price(look, offer, instrument))]
    return [Text(_title(offer, instrument)), table(lines), *hint, *warning_blocks(offer.warnings)]


def _at_a_price(look: Look, offer: CloseQuote, instrument: Instrument) -> str:
    """The way that needs a number; the price is only an example."""
    name = f"#{offer.hedge_number}"
    if offer.hedge_number is None:
        name = f"{short_name(offer.symbol, instrument)}{look.there}"
    part = "" if offer.fraction == 1 else f" {plain(offer.fraction * 100)}%"
    what = "both at a price" if len(offer.ways) > 1 else "at a price"
    return f"Or {what}: `/close {name}{part} at {_round_price(offer.mark_price, instrument)}`"


def _round_price(mark: Decimal, instrument: Instrument) -> Decimal:
    """A little over the price, in two digits that are easy to type."""
    over = mark * Decimal("1.1")
    step = Decimal(1).scaleb(over.adjusted() - 1)
    rounded = instrument.round_price((over / step).to_integral_value() * step)
    return Decimal(f"{rounded.normalize():f}")


def _title(offer: CloseQuote, instrument: Instrument) -> str:
    name, mark = (
        subject_name(offer.hedge_number, offer.symbol, instrument),
        price(offer.mark_price, instrument),
    )
    way = offer.ways[0]
    if _ends(way, offer):
        expected = sum_of_money(way.total, offer.lock_currency)
        return f"**Close {name}, expected ~{expected}** · mark {mark}"
    realizes = sum_of_money(way.realized, offer.lock_currency)
    return f"**Close {share(offer.fraction)} of {name}, realizes ~{realizes}** · mark {mark}"


def _ends(way: CloseWayQuote, offer: CloseQuote) -> bool:
    """Nothing of the hedge is left after it: only then is there a result of the whole."""
    return offer.fraction == 1 and way.way is not CloseWay.OFFSET_ONLY


def _way_lines(way: CloseWayQuote, offer: CloseQuote, instrument: Instrument, *, repeats: bool) -> list[str]:
    """``repeats``: the orders are those of the first way, which stand above already."""
    currency = offer.lock_currency
    return [
        _HEADS[way.way],
        *(_order_line(plan, instrument) for plan in way.plans if not repeats),
        *([line("  slippage", f"~{_money(way.slippage_cost, currency)}")] if way.slippage_cost else []),
        line("  realizes", f"~{_money(way.realized, currency)}"),
        *([line("  in total", f"~{_money(way.total, currency)}")] if _ends(way, offer) else []),
        *(row for text in _risks(way, offer, instrument) for row in note(text, indent=2)),
    ]


def _money(amount: Decimal, currency: str) -> str:
    return fitted_money(amount, currency, 18)


def _order_line(plan: LegPlan, instrument: Instrument) -> str:
    at = plan.trigger_price
    worth = (
        fitted_price(plan.expected_price, instrument, 11) if at is None else fitted_price(at, instrument, 11)
    )
    what = f"  {plan.order_side} {fitted_quantity(plan.quantity, instrument, 8)} ({plan.side})"
    return line(what, f"{'~' if at is None else 'at '}{worth}")


def _risks(way: CloseWayQuote, offer: CloseQuote, instrument: Instrument) -> list[str]:
    texts = []
    if way.exposure_between:
        texts.append(f"between: {_exposure(way.exposure_between, instrument)}")
    elif way.way is CloseWay.AT_ONCE:
        texts.append("no gap between the legs")
    if way.exposure_after:
        both_stay = offer.fraction < 1 and way.way is not CloseWay.SINGLE
        left = f"then {'net ' if both_stay else ''}{_exposure(way.exposure_after, instrument)}"
        after = way.liquidation_after
        texts.append(left if after is None else f"{left}, liq {liquidation(after, instrument, 14)}")
    return texts


def _exposure(signed: Decimal, instrument: Instrument) -> str:
    side = PositionSide.LONG if signed > 0 else PositionSide.SHORT
    return f"{side} {fitted_quantity(abs(signed), instrument, 12)} {unit_of(instrument)}"


def close_buttons(look: Look, quote_id: QuoteId, offer: CloseQuote, instrument: Instrument) -> Rows:
    choices = [look.buttons.offer(_label(way, instrument), quote_id, way.way) for way in offer.ways]
    choices.append(look.buttons.offer("Cancel", quote_id, CANCEL))
    return tuple(tuple(choices[start : start + 2]) for start in range(0, len(choices), 2))


def _label(way: CloseWayQuote, instrument: Instrument) -> str:
    at = way.plans[0].trigger_price if way.plans else None
    return _LABELS[way.way] if at is None else f"At {price(at, instrument)}"


# --- everything ---------------------------------------------------------------------------------


def close_all_blocks(offer: CloseAllQuote, instruments: Mapping[Symbol, Instrument]) -> list[Block]:
    totals = listing([sum_of_money(t, c) for c, t in _totals(offer).items()], last="and")
    rows = [row for close in offer.closes for row in _close_lines(close, instruments[close.symbol])]
    warnings = list(dict.fromkeys(warning for close in offer.closes for warning in close.warnings))
    return [Text(f"**🛑 Close everything, expected ~{totals}**"), table(rows), *warning_blocks(warnings)]


def _totals(offer: CloseAllQuote) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for close in offer.closes:
        totals[close.lock_currency] = totals.get(close.lock_currency, ZERO) + close.ways[0].total
    return totals


def _close_lines(close: CloseQuote, instrument: Instrument) -> list[str]:
    way = close.ways[0]
    name = subject_name(close.hedge_number, close.symbol, instrument)
    legs = [f"{plan.side} {plain(plan.quantity)}" for plan in way.plans]
    return [
        line(name, f"~{_money(way.total, close.lock_currency)}"),
        *note(f"{_HEADS[way.way]}: {', '.join(legs)}", indent=2),
    ]


def close_all_buttons(look: Look, quote_id: QuoteId) -> Rows:
    close = look.buttons.offer("Close everything", quote_id, CONFIRM)
    return ((close, look.buttons.offer("Cancel", quote_id, CANCEL)),)
