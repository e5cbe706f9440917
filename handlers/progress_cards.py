"""The card of an order on its way: sending, filled 0.3 of 0.5, done, failed, trimmed, frozen."""

from __future__ import annotations

from decimal import Decimal

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.domain.hedge import Hedge, HedgeStatus
from chatbot.domain.instrument import ZERO, Instrument
from chatbot.domain.intent import OrderIntent, Purpose
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target
from chatbot.domain.quote import LegAction
from chatbot.ports import Progress
from handlers.figures import Block, subject_name
from handlers.look import Look
from handlers.results import end_of, lock_of, not_counted, part_result, whole_result
from handlers.tables import table
from handlers.text import amount_of, listing, percent, plain, price, seconds, sentence, sum_of_money

_DOING = {
    OperationKind.OPEN: "Opening",
    OperationKind.HEDGE: "Hedging",
    OperationKind.CLOSE: "Closing",
    OperationKind.ADJUST: "Adjusting",
    OperationKind.STOPS: "Setting the stops of",
    OperationKind.MARGIN: "Adding margin to",
}
_NOT_DONE = {
    OperationKind.OPEN: "not opened",
    OperationKind.HEDGE: "not hedged",
    OperationKind.CLOSE: "not closed",
    OperationKind.ADJUST: "not adjusted",
    OperationKind.STOPS: "stops not changed",
    OperationKind.MARGIN: "no margin added",
}


def progress_card(look: Look, progress: Progress, band: Decimal) -> Reply:
    """``band``: how far from the quote a fill may be before the card says so, as a fraction."""
    match progress.operation.status:
        case OperationStatus.RUNNING:
            return _running(progress)
        case OperationStatus.TRIMMING:
            return _trimming(progress)
        case OperationStatus.FAILED:
            return _failed(look, progress)
        case OperationStatus.FROZEN:
            return _frozen(look, progress)
        case OperationStatus.DONE:
            return _done(look, progress, band)


def _name(progress: Progress) -> str:
    return subject_name(progress.hedge.number, progress.hedge.symbol, progress.instrument)


# --- on its way ---------------------------------------------------------------------------------


def _running(progress: Progress) -> Reply:
    operation = progress.operation
    legs = "\n".join(_leg_so_far(operation, target, progress) for target in operation.targets)
    symbol = "📈" if progress.hedge.offset is None else "🔒"
    head = f"**{symbol} {_DOING[operation.kind]} {_name(progress)}…**"
    return Reply(blocks=(Text(f"{head}\n{legs}"),), severity=Severity.INFO, slot=operation.slot)


def _leg_so_far(operation: Operation, target: Target, progress: Progress) -> str:
    return f"{_side(target, progress.hedge)}: {_state(operation, target, progress.instrument)}"


def _side(target: Target, hedge: Hedge) -> str:
    return f"{hedge.leg(target.role).side} leg"


def _state(operation: Operation, target: Target, instrument: Instrument) -> str:
    if target.top_up is not None:
        return f"sending {sum_of_money(target.top_up.amount, instrument.settle, sign=False)}"
    if target.guards:
        return "sending its stops" if (target.stop_loss or target.take_profit) else "removing its stops"
    wanted = amount_of(target.quantity, instrument)
    if target.filled >= target.quantity > 0:
        return f"filled {wanted}{_at(target, instrument)}"
    if target.filled:
        return f"filled {plain(target.filled)} of {wanted}{_at(target, instrument)}"
    if target.given_up:
        return target.given_up
    if target.stage > operation.stage:
        return "waits for the other leg"
    return f"sending {wanted}" if target.attempts < 2 else f"sending {wanted}, attempt {target.attempts}"


def _at(target: Target, instrument: Instrument) -> str:
    average = target.average_price
    return "" if average is None else f" at {price(average, instrument)}"


def _trimming(progress: Progress) -> Reply:
    operation = progress.operation
    tried = f", attempt {operation.trim_attempts}" if operation.trim_attempts > 1 else ""
    words = (
        f"**⚠️ {_name(progress)}: bringing the legs back together**\n"
        f"One leg could not be filled{_because(operation)}. {_trimmed(progress)}{tried}."
    )
    return Reply(blocks=(Text(words),), severity=Severity.WARNING, slot=operation.slot)


def _because(operation: Operation) -> str:
    return f" ({operation.reason.rstrip('.')})" if operation.reason else ""


def _trimmed(progress: Progress) -> str:
    operation, instrument = progress.operation, progress.instrument
    if operation.trim_role is None:
        return ""
    side = progress.hedge.leg(operation.trim_role).side
    done = f"{plain(operation.trim_filled)} of {amount_of(operation.trim_quantity, instrument)}"
    return f"The {side} leg is trimmed by the gap: {done}"


# --- came to nothing ----------------------------------------------------------------------------


def _failed(look: Look, progress: Progress) -> Reply:
    operation = progress.operation
    reason = operation.reason or "the order was not filled in time"
    filled = [target for target in operation.targets if target.filled]
    fate = "".join(f"\n{_leg_so_far(operation, target, progress)}" for target in filled)
    fate = fate or _nothing(operation)
    words = f"**⚠️ {_name(progress)} {_NOT_DONE[operation.kind]}**: {sentence(reason)}{fate}"
    return Reply(
        blocks=(Text(words),),
        buttons=((look.button("Status", "/status"),),),
        severity=Severity.WARNING,
        slot=operation.slot,
    )


def _nothing(operation: Operation) -> str:
    trades = operation.kind not in (OperationKind.STOPS, OperationKind.MARGIN)
    return "\nNothing was filled." if trades else ""


def _frozen(look: Look, progress: Progress) -> Reply:
    operation, hedge = progress.operation, progress.hedge
    words = (
        f"**🛑 {_name(progress)} is frozen**: {sentence(operation.reason or hedge.reason)}\n"
        "No order is sent for it until you choose: adopt what the exchange says, or put it right there."
    )
    buttons = (
        look.button("Adopt what the exchange says", f"/adopt #{hedge.number}"),
        look.button("Status", f"/status #{hedge.number}"),
    )
    return Reply(blocks=(Text(words),), buttons=(buttons,), severity=Severity.CRITICAL, slot=operation.slot)


# --- done ---------------------------------------------------------------------------------------


def _done(look: Look, progress: Progress, band: Decimal) -> Reply:
    blocks = {
        OperationKind.OPEN: _opened,
        OperationKind.HEDGE: _hedged,
        OperationKind.CLOSE: _closed,
        OperationKind.ADJUST: _adjusted,
        OperationKind.STOPS: _stops_set,
        OperationKind.MARGIN: _margin_added,
    }
    operation = progress.operation
    trimmed = [Text(f"⚠️ {_trimmed(progress)}{_because(operation)}.")] if operation.trim_quantity else []
    noted = (
        [Text(f"⚠️ {sentence(operation.reason)}")] if operation.reason and not operation.trim_quantity else []
    )
    lacking = end_of(progress).lacking if progress.hedge.live else ""
    missing = [Text(f"⚠️ {lacking}")] if lacking else []
    return Reply(
        blocks=(*blocks[operation.kind](progress), *_far_fills(progress, band), *trimmed, *noted, *missing),
        buttons=_done_buttons(look, progress),
        severity=Severity.WARNING if trimmed else Severity.SUCCESS,
        slot=operation.slot,
    )


def _far_fills(progress: Progress, band: Decimal) -> list[Block]:
    """The market may move between the confirmation and the fill."""
    far = [
        f"⚠️ The {_side(target, progress.hedge)} filled {percent(away)} from the quote."
        for target in progress.operation.targets
        if (away := _from_quote(target)) > band
    ]
    return [Text("\n".join(far))] if far else []


def _from_quote(target: Target) -> Decimal:
    at, quoted = target.average_price, target.expected_price
    return ZERO if at is None or quoted <= 0 else abs(at - quoted) / quoted


def _done_buttons(look: Look, progress: Progress) -> tuple[tuple[Button, ...], ...]:
    hedge = progress.hedge
    number = f"#{hedge.number}"
    status = look.button("Status", f"/status {number}" if hedge.live else "/status")
    if not hedge.live:
        return ((status,),)
    close = look.button("Close…", f"/close {number}")
    if hedge.paired:
        return ((status, close),)
    return ((status, look.button("Hedge", f"/hedge {number}"), close),)


def _opened(progress: Progress) -> list[Block]:
    hedge, instrument = progress.hedge, progress.instrument
    leg = hedge.primary
    head = f"**✅ {_name(progress)} is open: {leg.side} {amount_of(leg.quantity, instrument)}**"
    return [Text(f"{head}\n{_fills(progress)}"), *_stops(progress)]


def _fills(progress: Progress, *, with_fee: bool = True) -> str:
    """``with_fee`` false: a table that follows has it, rounded so that it adds up."""
    operation = progress.operation
    rows = [_fill(target, progress) for target in operation.targets if target.filled]
    last = [_fee(progress)] if with_fee else []
    if operation.finished_at is not None:
        last.append(f"Took {seconds(operation.finished_at - operation.started_at)}.")
    return "\n".join([*rows, " ".join(last)]).rstrip()


def _fee(progress: Progress) -> str:
    fee = sum((target.fee for target in progress.operation.targets), ZERO)
    return f"Fee {sum_of_money(fee, progress.instrument.settle, sign=False)}."


def _fill(target: Target, progress: Progress) -> str:
    instrument = progress.instrument
    at = price(target.average_price or target.expected_price, instrument)
    quoted = price(target.expected_price, instrument)
    leg = _side(target, progress.hedge).capitalize()
    return f"{leg}: filled {plain(target.filled)} at {at} (quote {quoted})."


def _stops(progress: Progress) -> list[Block]:
    instrument = progress.instrument
    prices = [
        (name, at)
        for target in progress.operation.targets
        for name, at in (("stop-loss", target.stop_loss), ("take-profit", target.take_profit))
        if at is not None
    ]
    if not prices:
        return []
    return [
        Text(
            "On the exchange: " + ", ".join(f"{name} at {price(at, instrument)}" for name, at in prices) + "."
        )
    ]


def _hedged(progress: Progress) -> list[Block]:
    lock = lock_of(progress)
    head = f"**✅ {_name(progress)} is hedged: ~{sum_of_money(lock.net, lock.currency)} locked**"
    return [Text(f"{head}\n{_fills(progress)}"), table(lock.lines), *_stops(progress)]


def _closed(progress: Progress) -> list[Block]:
    if any(target.trigger_price is not None for target in progress.operation.targets):
        return [_resting(progress)]
    if progress.hedge.status is not HedgeStatus.CLOSED:
        return _partly_closed(progress)
    result, ended = whole_result(progress), end_of(progress)
    outcome = sum_of_money(result.net, result.currency)
    head = f"**✅ {_name(progress)} closed: {outcome}**"
    if ended.lacking:
        head = f"**⚠️ {_name(progress)} closed, its result is not known in full**"
    unknown = not_counted(ended)
    return [
        Text(f"{head}\n{_fills(progress)}{_already_gone(progress)}"),
        table(result.lines),
        *([Text(unknown)] if unknown else []),
    ]


def _already_gone(progress: Progress) -> str:
    """A leg that is gone already is not an error: the rest is closed, and the card says so."""
    gone = [_side(target, progress.hedge) for target in progress.operation.targets if not target.filled]
    return f"\nThe {listing(gone, last='and')} was gone already." if gone else ""


def _resting(progress: Progress) -> Text:
    hedge, instrument = progress.hedge, progress.instrument
    orders = [
        f"{_side(target, hedge)}: {amount_of(target.quantity, instrument)} at {price(at, instrument)}"
        for target in progress.operation.targets
        if (at := target.trigger_price) is not None
    ]
    head = f"**✅ {_name(progress)} closes by itself at a price**"
    rest = "The orders rest on the exchange and only reduce; I watch the pair."
    if len(orders) == 1:
        rest = "The order rests on the exchange and only reduces; I watch it."
    return Text("\n".join([head, *orders, rest]))


def _partly_closed(progress: Progress) -> list[Block]:
    hedge, instrument = progress.hedge, progress.instrument
    result = part_result(progress)
    left = [f"{leg.side} {amount_of(leg.quantity, instrument)}" for leg in hedge.legs if leg.quantity]
    head = f"**✅ {_name(progress)}: realized {sum_of_money(result.net, result.currency)}**"
    rest = f"Left open: {listing(left, last='and')}." + ("" if hedge.paired else " It is not hedged now.")
    told = f"{head}\n{_fills(progress, with_fee=False)}{_already_gone(progress)}"
    return [Text(told), table(result.lines), Text("\n".join([rest, *_closing_orders(progress)]))]


def _closing_orders(progress: Progress) -> list[str]:
    """Of the legs that go on."""
    return [
        f"The closing order of the {_order(intent, progress)} stays."
        for intent in progress.resting
        if intent.purpose is Purpose.CLOSE_AT_PRICE and progress.hedge.leg(intent.leg).quantity
    ]


def _order(intent: OrderIntent, progress: Progress) -> str:
    side, instrument = progress.hedge.leg(intent.leg).side, progress.instrument
    at = price(intent.trigger_price or ZERO, instrument)
    return f"{side} at {at} ({amount_of(intent.left, instrument)})"


# --- adjusted -----------------------------------------------------------------------------------


def _adjusted(progress: Progress) -> list[Block]:
    hedge, instrument = progress.hedge, progress.instrument
    legs = [f"{leg.side} {amount_of(leg.quantity, instrument)}" for leg in hedge.legs if leg.quantity]
    head = f"**✅ {_name(progress)} adjusted: {listing(legs, last='and')}**"
    closes = any(target.action is LegAction.CLOSE for target in progress.operation.targets)
    blocks: list[Block] = [Text(f"{head}\n{_fills(progress, with_fee=not closes)}")]
    if closes:
        blocks.append(table(part_result(progress).lines))
    if hedge.paired:
        blocks.append(table(lock_of(progress).lines))
    return [*blocks, *_stops(progress)]


def _stops_set(progress: Progress) -> list[Block]:
    target = progress.operation.targets[0]
    if Purpose.CLOSE_AT_PRICE in target.replaces:
        return [Text(f"**✅ {_name(progress)} no longer closes by itself at a price**")]
    side = progress.hedge.leg(target.role).side
    gone = [name for purpose, name in _STOP_NAMES.items() if purpose in target.replaces]
    removed = [n for n, at in zip(gone, _prices_of(target), strict=True) if at is None]
    words = f"\nNo {listing(removed, last='and')} any more." if removed else ""
    head = f"**✅ {_name(progress)}: the stops of the {side} are changed**{words}"
    return [Text(head), *_stops(progress)]


_STOP_NAMES = {Purpose.STOP_LOSS: "stop-loss", Purpose.TAKE_PROFIT: "take-profit"}


def _prices_of(target: Target) -> list[Decimal | None]:
    """Of the stops that were to change, in the order of their names."""
    prices = {Purpose.STOP_LOSS: target.stop_loss, Purpose.TAKE_PROFIT: target.take_profit}
    return [price for purpose, price in prices.items() if purpose in target.replaces]


def _margin_added(progress: Progress) -> list[Block]:
    (target,) = progress.operation.targets
    side, top_up, instrument = progress.hedge.leg(target.role).side, target.top_up, progress.instrument
    if top_up is None:
        return []
    amount = sum_of_money(top_up.amount, instrument.settle, sign=False)
    end = top_up.liquidation_price
    where = "" if end is None else f"\nIts liquidation is at {price(end, instrument)} now (exchange)."
    return [Text(f"**✅ {_name(progress)}: {amount} added to the {side}**{where}")]
