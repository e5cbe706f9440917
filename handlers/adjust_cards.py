"""Cards of adjusting a hedge: what each leg becomes, what it costs, where the liquidations move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from chatbot.chat import Button, Reply, Text
from chatbot.domain.instrument import Instrument, MarginMode, PositionSide
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import (
    AdjustQuote,
    AdjustWay,
    AdjustWayQuote,
    LegAction,
    LegPlan,
    LegPreview,
    MarginQuote,
    QuoteId,
    StopChange,
    StopsQuote,
)
from chatbot.services.reporting import LegReport, StatusReport
from handlers.buttons import CANCEL, CONFIRM
from handlers.figures import Block, distance, liquidation, margin_lines, subject_name, warning_blocks
from handlers.look import Look
from handlers.tables import RULE, line, pair, table
from handlers.text import (
    amount_of,
    amount_on,
    fitted_money,
    fitted_price,
    fitted_quantity,
    percent,
    plain,
    price,
    short_name,
    sum_of_money,
    unit_of,
)

Rows = tuple[tuple[Button, ...], ...]
_STOP_NAMES = {
    Purpose.STOP_LOSS: "stop-loss",
    Purpose.TAKE_PROFIT: "take-profit",
    Purpose.CLOSE_AT_PRICE: "closing price",
}


# --- scaling ------------------------------------------------------------------------------------


def adjust_blocks(look: Look, offer: AdjustQuote, instrument: Instrument) -> list[Block]:
    parts: list[str | list[str]] = []
    if len(offer.ways) == 1:
        (way,) = offer.ways
        parts = [_leg_lines(offer.legs, way.legs, instrument), RULE, _way_lines(look, offer, way, instrument)]
    else:
        parts = [_leg_lines(offer.legs, (), instrument)]
        for way in offer.ways:
            parts += [RULE, f"{_way_name(way)}:", _way_lines(look, offer, way, instrument)]
    return [Text(_title(offer, instrument)), table(*parts), *warning_blocks(_warnings(offer))]


def _warnings(offer: AdjustQuote) -> list[str]:
    """Of two ways each with its name: what only one of them brings must not be read into the other."""
    if len(offer.ways) == 1:
        return [*offer.warnings, *offer.ways[0].warnings]
    said = [
        f"{_way_name(way).capitalize()}: {text[:1].lower()}{text[1:]}"
        for way in offer.ways
        for text in way.warnings
    ]
    return [*offer.warnings, *said]


def _title(offer: AdjustQuote, instrument: Instrument) -> str:
    name = subject_name(offer.hedge_number, offer.symbol, instrument)
    mark = price(offer.mark_price, instrument)
    if offer.ways[0].way is not AdjustWay.SCALE:
        gap = abs(sum((leg.quantity * leg.side.sign for leg in offer.legs), Decimal(0)))
        return f"**🔒 {name}: the legs differ by {amount_on(gap, instrument)}** · mark {mark}"
    changes = ", ".join(_change(plan, instrument) for plan in offer.ways[0].plans)
    return f"**🔒 {name}: {changes}** · mark {mark}"


def _change(plan: LegPlan, instrument: Instrument) -> str:
    sign = "+" if plan.action is LegAction.OPEN else "−"
    return f"{plan.side} {sign}{amount_on(plan.quantity, instrument)}"


def _leg_lines(now: Sequence[LegPreview], then: Sequence[LegPreview], instrument: Instrument) -> list[str]:
    before, after = ({leg.side: leg for leg in legs} for legs in (now, then))
    rows = [pair("", "long", "short")]
    for label, figure in _FIGURES:
        rows.append(pair(label, *(_cell(before.get(side), figure, instrument) for side in PositionSide)))
        if after:
            rows.append(
                pair("  then", *(_cell(after.get(side), figure, instrument) for side in PositionSide))
            )
    return rows


def _quantity(leg: LegPreview, instrument: Instrument) -> str:
    return fitted_quantity(leg.quantity, instrument, 12)


def _entry(leg: LegPreview, instrument: Instrument) -> str:
    return fitted_price(leg.entry_price, instrument, 12)


def _liq(leg: LegPreview, instrument: Instrument) -> str:
    return liquidation(leg.liquidation, instrument, 12)


def _away(leg: LegPreview, _: Instrument) -> str:
    return distance(leg.liquidation)


Figure = Callable[[LegPreview, Instrument], str]
_FIGURES: tuple[tuple[str, Figure], ...] = (
    ("quantity", _quantity),
    ("entry", _entry),
    ("liq", _liq),
    ("away", _away),
)


def _cell(leg: LegPreview | None, figure: Figure, instrument: Instrument) -> str:
    return "-" if leg is None else figure(leg, instrument)


def _way_lines(look: Look, offer: AdjustQuote, way: AdjustWayQuote, instrument: Instrument) -> list[str]:
    currency = offer.lock_currency
    net = fitted_quantity(way.exposure_after, instrument, 14, sign=True)
    return [
        *(_order_line(plan, instrument) for plan in way.plans),
        line("fee", f"~{fitted_money(way.fees, currency, 18)}"),
        *([line("realizes", f"~{fitted_money(way.realized, currency, 18)}")] if way.realized else []),
        *(margin_lines(look, way.margin_needed, offer.margin_free, currency) if way.margin_needed else []),
        line("net exposure then", f"{net} {unit_of(instrument)}"),
        *_lock_lines(offer, way),
        line("net funding per day", f"~{fitted_money(way.funding.net_per_day, currency, 13)}"),
    ]


def _order_line(plan: LegPlan, instrument: Instrument) -> str:
    what = f"{plan.order_side} {fitted_quantity(plan.quantity, instrument, 8)} ({plan.side})"
    return line(what, f"~{fitted_price(plan.expected_price, instrument, 11)}")


def _lock_lines(offer: AdjustQuote, way: AdjustWayQuote) -> Iterator[str]:
    currency = offer.lock_currency
    if offer.net_lock is not None:
        yield line("net lock now", f"~{fitted_money(offer.net_lock, currency, 18)}")
    if way.net_lock is not None:
        yield line("net lock then", f"~{fitted_money(way.net_lock, currency, 18)}")
    if offer.not_locked or way.not_locked:
        yield line("not locked now", f"~{fitted_money(offer.not_locked, currency, 17)}")
        yield line("not locked then", f"~{fitted_money(way.not_locked, currency, 17)}")


def _way_name(way: AdjustWayQuote) -> str:
    (plan,) = way.plans
    return f"{'trim' if way.way is AdjustWay.TRIM else 'add to'} the {plan.side}"


def adjust_buttons(look: Look, quote_id: QuoteId, offer: AdjustQuote) -> Rows:
    if offer.ways[0].way is AdjustWay.SCALE:
        choices = [look.buttons.offer("Confirm", quote_id, AdjustWay.SCALE)]
    else:
        choices = [look.buttons.offer(_way_name(way).capitalize(), quote_id, way.way) for way in offer.ways]
    choices.append(look.buttons.offer("Cancel", quote_id, CANCEL))
    return tuple(tuple(choices[start : start + 2]) for start in range(0, len(choices), 2))


# --- stops --------------------------------------------------------------------------------------


def stops_blocks(offer: StopsQuote, instrument: Instrument) -> list[Block]:
    name = subject_name(offer.hedge_number, offer.symbol, instrument)
    heads = ", ".join(_stop_head(change, instrument) for change in offer.changes)
    sides = " and ".join(plan.side for plan in offer.plans)
    lines = [
        *(line(str(plan.side), amount_of(plan.quantity, instrument)) for plan in offer.plans),
        line("mark", fitted_price(offer.mark_price, instrument, 20)),
        line("liq", liquidation(offer.liquidation, instrument, 20)),
        RULE,
        *(text for change in offer.changes for text in _stop_lines(change, offer, instrument)),
    ]
    title = f"**🔒 {name} {sides}: {heads}** · mark {price(offer.mark_price, instrument)}"
    return [Text(title), table(lines), *warning_blocks(offer.warnings)]


def _stop_head(change: StopChange, instrument: Instrument) -> str:
    name = _STOP_NAMES[change.purpose]
    return f"remove the {name}" if change.after is None else f"{name} {price(change.after, instrument)}"


def _stop_lines(change: StopChange, offer: StopsQuote, instrument: Instrument) -> Iterator[str]:
    before = ", ".join(price(at, instrument) for at in change.before) or "none"
    after = "none" if change.after is None else fitted_price(change.after, instrument, 20)
    yield line(f"{_STOP_NAMES[change.purpose]} now", before)
    yield line("  then", after)
    if change.after is not None:
        away = abs(change.after - offer.mark_price) / offer.mark_price
        yield line("  away", percent(away))
    if change.result is not None:
        yield line("  result of the leg", f"~{fitted_money(change.result, offer.lock_currency, 14)}")


# --- margin -------------------------------------------------------------------------------------


def margin_blocks(look: Look, offer: MarginQuote, instrument: Instrument) -> list[Block]:
    name = subject_name(offer.hedge_number, offer.symbol, instrument)
    plan, currency = offer.plan, offer.lock_currency
    amount = sum_of_money(plan.margin, currency, sign=False)
    left = offer.margin_free - plan.margin
    lines = [
        line("mark", fitted_price(offer.mark_price, instrument, 20)),
        line("liq now", liquidation(offer.liquidation_before, instrument, 20)),
        line("  away", distance(offer.liquidation_before)),
        line("liq then", liquidation(offer.liquidation_after, instrument, 20)),
        line("  away", distance(offer.liquidation_after)),
        RULE,
        line("margin now", fitted_money(offer.margin_before, currency, 18, sign=False)),
        line("  then", fitted_money(offer.margin_before + plan.margin, currency, 18, sign=False)),
        *([line("free then", fitted_money(left, currency, 18, sign=False))] if look.balances else []),
    ]
    note = "It stays with this leg; closing the leg frees what is left of it."
    title = f"**🔒 {name}: add {amount} to the {plan.side}**"
    return [Text(title), table(lines), Text(note), *warning_blocks(offer.warnings)]


def confirm_buttons(look: Look, quote_id: QuoteId) -> Rows:
    confirm = look.buttons.offer("Confirm", quote_id, CONFIRM)
    return ((confirm, look.buttons.offer("Cancel", quote_id, CANCEL)),)


# --- menus --------------------------------------------------------------------------------------

_SHARES = ("10%", "50%")


def adjust_menu(look: Look, report: StatusReport) -> Reply:
    """What can be changed, each with a button that shows its offer first."""
    if report.hedges:
        hedge = report.hedges[0]
        name, legs = f"#{hedge.number}", [leg for leg in hedge.legs if leg.quantity]
        title, instrument = subject_name(hedge.number, hedge.symbol, hedge.instrument), hedge.instrument
    elif report.positions:
        position = report.positions[0]
        name = _position_name(look, position.number, position.instrument)
        title = subject_name(position.number, position.symbol, position.instrument)
        legs, instrument = [position.leg], position.instrument
    else:
        return _nothing(look)
    held = " · ".join(f"{leg.side} {amount_of(leg.quantity, instrument)}" for leg in legs)
    words = (
        f"**Adjust {title}** · {held}\n"
        "Each button shows its offer first. Or type it: "
        f"`/adjust {name} {legs[0].side} +0.01`, `/adjust {name} {legs[0].side} sl PRICE`."
    )
    return Reply(blocks=(Text(words),), buttons=_menu_rows(look, name, legs))


def _position_name(look: Look, number: int | None, instrument: Instrument) -> str:
    if number is not None:
        return f"#{number}"
    return f"{short_name(instrument.symbol, instrument)}{look.there}"


def _menu_rows(look: Look, name: str, legs: Sequence[LegReport]) -> Rows:
    pair_of_legs = len(legs) > 1
    who, label = ("both", "Both") if pair_of_legs else (str(legs[0].side), legs[0].side.capitalize())
    rows = [
        tuple(
            look.button(f"{label} {shown}{share}", f"/adjust {name} {who} {typed}{share}")
            for typed, shown in (("+", "+"), ("-", "−"))
        )
        for share in _SHARES
    ]
    if pair_of_legs and legs[0].quantity != legs[1].quantity:
        rows.append((look.button("Make equal", f"/adjust {name} rebalance"),))
    if any(leg.margin_mode is MarginMode.ISOLATED for leg in legs):
        rows.append((look.button("Add margin", f"/margin {name}"),))
    return tuple(rows)


def margin_menu(look: Look, report: StatusReport) -> Reply:
    """The isolated legs with their distances, and for each what would help."""
    found = [(f"#{h.number}", leg, h.instrument) for h in report.hedges for leg in h.legs if leg.quantity]
    for position in report.positions:
        name = _position_name(look, position.number, position.instrument)
        found.append((name, position.leg, position.instrument))
    if not found:
        return _nothing(look)
    lines = [f"{leg.side}: {_margin_state(leg, instrument)}" for _, leg, instrument in found]
    buttons = tuple(
        (look.button(_add_label(leg, instrument), f"/margin {name} {leg.side} {plain(leg.top_up)}"),)
        for name, leg, instrument in found
        if leg.top_up is not None
    )
    name = found[0][0]
    hint = f"Another amount: `/margin {name} {found[0][1].side} 60`."
    head = f"**Add margin to {name}**"
    return Reply(blocks=(Text("\n".join([head, *lines, hint])),), buttons=buttons)


def _add_label(leg: LegReport, instrument: Instrument) -> str:
    return f"Add {plain(leg.top_up or Decimal(0))} {instrument.settle} to the {leg.side}"


def _margin_state(leg: LegReport, instrument: Instrument) -> str:
    if leg.margin_mode is MarginMode.CROSS:
        return "cross margin, the whole account stands behind it"
    away, end = leg.liquidation.distance, liquidation(leg.liquidation, instrument, 20)
    return "no liquidation price" if away is None else f"{percent(away)} from liquidation at {end}"


def _nothing(look: Look) -> Reply:
    return Reply(
        blocks=(Text("**Nothing is open there.** `/status` lists what is."),),
        buttons=((look.button("Status", "/status"),),),
    )
