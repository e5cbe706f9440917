"""Cards of offers: what will be sent, what it costs, and what the account looks like afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.domain.instrument import Instrument, PositionSide, Symbol
from chatbot.domain.quote import (
    AdjustQuote,
    CloseAllQuote,
    CloseQuote,
    HedgeQuote,
    MarginQuote,
    OpenQuote,
    Quote,
    StopsQuote,
)
from chatbot.domain.sizing import quote_value
from handlers.adjust_cards import adjust_blocks, adjust_buttons, confirm_buttons, margin_blocks, stops_blocks
from handlers.close_cards import close_all_blocks, close_all_buttons, close_blocks, close_buttons
from handlers.figures import (
    Block,
    coin_blocks,
    distance,
    funding_lines,
    leverage,
    liquidation,
    margin_lines,
    warning_blocks,
)
from handlers.look import Look
from handlers.sums import Sum
from handlers.tables import RULE, line, pair, table
from handlers.text import (
    amount_on,
    duration,
    fitted_money,
    fitted_price,
    fitted_quantity,
    money,
    percent,
    plain,
    price,
    short_name,
    sum_of_money,
    unit_of,
)

Instruments = Mapping[Symbol, Instrument]
Rows = tuple[tuple[Button, ...], ...]


def quote_card(look: Look, quote: Quote, instruments: Instruments, *, why: str = "") -> Reply:
    """``why`` says what became of the offer that this one replaces."""
    first = [Text(f"⚠️ {why}")] if why else []
    if look.account:
        first.append(Text(f"On **{look.account}**:"))
    return Reply(
        blocks=(*first, *_blocks(look, quote, instruments), Text(_validity(quote, instruments))),
        buttons=_buttons(look, quote, instruments),
        severity=Severity.INFO,
    )


def expired_card(look: Look, quote: Quote, instruments: Instruments) -> Reply:
    """The same figures without the buttons."""
    blocks = _blocks(look, quote, instruments)
    return Reply(blocks=(*blocks, Text("This offer has expired; nothing was sent.")))


def _blocks(look: Look, quote: Quote, instruments: Instruments) -> list[Block]:
    match quote.offer:
        case OpenQuote() as offer:
            return _open_blocks(look, offer, instruments[offer.symbol])
        case HedgeQuote() as offer:
            return _hedge_blocks(look, offer, instruments[offer.symbol])
        case CloseQuote() as offer:
            return close_blocks(look, offer, instruments[offer.symbol])
        case CloseAllQuote() as offer:
            return close_all_blocks(offer, instruments)
        case AdjustQuote() as offer:
            return adjust_blocks(look, offer, instruments[offer.symbol])
        case StopsQuote() as offer:
            return stops_blocks(offer, instruments[offer.symbol])
        case MarginQuote() as offer:
            return margin_blocks(look, offer, instruments[offer.symbol])


def _buttons(look: Look, quote: Quote, instruments: Instruments) -> Rows:
    match quote.offer:
        case CloseQuote() as offer:
            return close_buttons(look, quote.id, offer, instruments[offer.symbol])
        case CloseAllQuote():
            return close_all_buttons(look, quote.id)
        case AdjustQuote() as offer:
            return adjust_buttons(look, quote.id, offer)
        case _:
            return confirm_buttons(look, quote.id)


def _validity(quote: Quote, instruments: Instruments) -> str:
    valid = f"Valid {duration(quote.expires_at - quote.created_at)}"
    if not quote.reference_prices:
        return valid
    symbol, reference = quote.reference_prices[0]
    prices = price(reference, instruments[symbol]) if len(quote.reference_prices) == 1 else "these prices"
    return f"{valid}, within ±{percent(quote.band)} of {prices}"


# --- open ---------------------------------------------------------------------------------------


def _open_blocks(look: Look, offer: OpenQuote, instrument: Instrument) -> list[Block]:
    lines = table(
        _open_order_lines(offer, instrument),
        margin_lines(look, offer.margin_needed, offer.margin_free, instrument.settle),
        RULE,
        _open_liquidation_lines(offer, instrument),
        RULE,
        funding_lines(look, offer.funding, instrument.settle, (offer.plan.side,)),
        _stop_lines(offer, instrument),
    )
    return [Text(_open_title(offer, instrument)), lines, *warning_blocks(offer.warnings)]


def _open_title(offer: OpenQuote, instrument: Instrument) -> str:
    plan = offer.plan
    what = amount_on(plan.quantity, instrument)
    at = price(plan.expected_price, instrument)
    return f"**📈 {plan.side.capitalize()} {what} at ~{at}** · {leverage(plan.leverage)} {plan.margin_mode}"


def _open_order_lines(offer: OpenQuote, instrument: Instrument) -> list[str]:
    plan = offer.plan
    unit = instrument.base if instrument.settle == instrument.base else instrument.quote
    return [
        line("quantity", f"{fitted_quantity(plan.quantity, instrument, 16)} {unit_of(instrument)}"),
        line("price", f"~{fitted_price(plan.expected_price, instrument, 20)}"),
        line("slippage", f"~{min(abs(plan.slippage_bps), 9999):.1f} bps"),
        line("notional", f"~{fitted_money(offer.notional, unit, 16, sign=False)} {unit}"),
        line("fee", f"~{fitted_money(0 - abs(plan.fee), instrument.settle, 20)}"),
    ]


def _open_liquidation_lines(offer: OpenQuote, instrument: Instrument) -> list[str]:
    before = offer.liquidation_before
    after = liquidation(offer.liquidation, instrument, 20)
    lines = [] if before is None else [line("liq before", liquidation(before, instrument, 20))]
    return [*lines, line("liq after" if lines else "liq", after), line("  away", distance(offer.liquidation))]


def _stop_lines(offer: OpenQuote, instrument: Instrument) -> list[str]:
    stops = (
        ("stop-loss", offer.plan.stop_loss, offer.loss_at_stop),
        ("take-profit", offer.plan.take_profit, offer.gain_at_target),
    )
    lines = []
    for label, at, result in stops:
        if at is not None:
            lines.append(line(label, fitted_price(at, instrument, 20)))
        if at is not None and result is not None:
            lines.append(line("  result there", f"~{fitted_money(result, instrument.settle, 16)}"))
    return [RULE, *lines] if lines else []


# --- hedge --------------------------------------------------------------------------------------


def _hedge_blocks(look: Look, offer: HedgeQuote, instrument: Instrument) -> list[Block]:
    lines = table(
        _leg_lines(offer, instrument),
        RULE,
        _lock(offer).lines,
        _loose_lines(offer),
        RULE,
        funding_lines(look, offer.funding, instrument.settle, tuple(PositionSide)),
        RULE,
        margin_lines(look, offer.margin_needed, offer.margin_free, instrument.settle),
        _after_lines(offer, instrument),
    )
    coin = coin_blocks(inverse=offer.inverse)
    return [Text(_hedge_title(offer, instrument)), lines, *coin, *warning_blocks(offer.warnings)]


def _hedge_title(offer: HedgeQuote, instrument: Instrument) -> str:
    name = short_name(offer.symbol, instrument)
    lock = sum_of_money(offer.net_lock, offer.lock_currency)
    held = f"{offer.primary_side} {plain(offer.primary_quantity)} {unit_of(instrument)}"
    difference = money(abs(offer.costs_more), offer.lock_currency, sign=False)
    than = f"costs {difference} more" if offer.costs_more >= 0 else f"gives {difference} more"
    if offer.paired_quantity < offer.primary_quantity:
        held = f"{plain(offer.paired_quantity)} of {held}"
        than = f"{than} on what it locks"
    instead = money(offer.close_now_net, offer.lock_currency)
    return (
        f"**🔒 Lock ~{lock} on {name}** · {held} from {price(offer.primary_entry, instrument)}\n"
        f"Closing now instead gives **~{instead}**. The hedge {than}, "
        f"keeps your entry, and ties up {sum_of_money(offer.margin_needed, instrument.settle, sign=False)}."
    )


def _leg_lines(offer: HedgeQuote, instrument: Instrument) -> list[str]:
    plan = offer.plan
    offered = offer.offset_quantity_before + plan.quantity
    rows = (
        ("quantity", _q(offer.primary_quantity, instrument), _q(offered, instrument)),
        *((("to send", "", _q(plan.quantity, instrument)),) if offered != plan.quantity else ()),
        (
            "entry",
            fitted_price(offer.primary_entry, instrument, 12),
            _estimate(plan.expected_price, instrument),
        ),
        ("leverage", leverage(offer.primary_leverage), leverage(plan.leverage)),
        ("margin", str(offer.primary_margin_mode), str(plan.margin_mode)),
        ("liq now", liquidation(offer.liquidation_before, instrument, 12), "-"),
        (
            "liq after",
            liquidation(offer.primary_after, instrument, 12),
            liquidation(offer.offset_after, instrument, 12),
        ),
        ("away", distance(offer.primary_after), distance(offer.offset_after)),
        *((label, "", fitted_price(at, instrument, 12)) for label, at in _stops(offer)),
    )
    long_first = offer.primary_side is PositionSide.LONG
    return [
        pair("", "long", "short"),
        *(
            pair(label, *((primary, offset) if long_first else (offset, primary)))
            for label, primary, offset in rows
        ),
    ]


def _stops(offer: HedgeQuote) -> list[tuple[str, Decimal]]:
    stops = (("stop", offer.plan.stop_loss), ("target", offer.plan.take_profit))
    return [(label, at) for label, at in stops if at is not None]


def _q(value: Decimal, instrument: Instrument) -> str:
    return fitted_quantity(value, instrument, 12)


def _estimate(value: Decimal, instrument: Instrument) -> str:
    return f"~{fitted_price(value, instrument, 11)}"


def _lock(offer: HedgeQuote) -> Sum:
    parts = [
        ("fees paid", offer.fees_paid),
        ("fee to open ~", offer.fee_to_open),
        ("fees to close ~", offer.fees_to_close),
        ("spread to close ~", offer.spread_cost),
        ("funding so far", offer.funding_so_far),
    ]
    if offer.realized_so_far:
        parts.append(("realized before", offer.realized_so_far))
    return Sum(("gross lock ~", offer.gross_lock), tuple(parts), "net lock ~", offer.lock_currency)


def _loose_lines(offer: HedgeQuote) -> list[str]:
    if not offer.not_locked:
        return []
    return [line("not locked", f"~{fitted_money(offer.not_locked, offer.lock_currency, 18)}")]


def _after_lines(offer: HedgeQuote, instrument: Instrument) -> list[str]:
    after = offer.pair_after
    lines = [
        line("net exposure", fitted_quantity(offer.net_exposure_after, instrument, 18, sign=True)),
        line("pair liq", liquidation(after, instrument, 20)),
        *([line("  away", distance(after))] if after.price is not None else []),
    ]
    loose = abs(offer.net_exposure_after)
    if loose:
        worth = fitted_money(
            quote_value(instrument, loose, offer.mark_price), instrument.quote, 9, sign=False
        )
        lines.append(line("not hedged", f"{plain(loose)[:10]} (~{worth})"))
    return lines
