"""Cards of what is: one per hedge, one per position that nothing hedges."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.instrument import ContractKind, Instrument, PositionSide
from chatbot.domain.quote import LegLiquidation
from chatbot.domain.risk import AlertKind
from chatbot.errors import VenueError
from chatbot.services.offering import PAUSED
from chatbot.services.reporting import HedgeReport, LegReport, PositionReport, StatusReport, StopReport
from chatbot.services.waiting import why_waiting
from handlers.alert_words import KIND_WORDS
from handlers.figures import (
    NEAR,
    Block,
    coin_blocks,
    distance,
    funding_lines,
    leverage,
    liquidation,
    subject_name,
    warning_blocks,
)
from handlers.look import Look
from handlers.tables import RULE, line, pair, table
from handlers.text import (
    amount_of,
    day,
    duration,
    fitted_money,
    fitted_price,
    fitted_quantity,
    listing,
    money,
    percent,
    plain,
    price,
    sentence,
    short_name,
    sum_of_money,
    unit_of,
)

STALE = timedelta(seconds=10)
Rows = tuple[tuple[Button, ...], ...]


def status_cards(look: Look, report: StatusReport) -> tuple[Reply, ...]:
    """Hedges first, then what is not hedged; with nothing live, what to do about it."""
    return open_cards(look, report) or (nothing_card(look, report),)


def unread_card(look: Look, error: VenueError) -> Reply:
    """An account whose exchange does not answer, or not this key."""
    words = f"**⚠️ {look.account or 'The account'} cannot be read**: {sentence(error.message)}"
    again = look.button("Refresh", f"/status{look.there}", replaces=True)
    return Reply(blocks=(Text(words),), buttons=((again,),), severity=Severity.WARNING)


def open_cards(look: Look, report: StatusReport) -> tuple[Reply, ...]:
    hedges = tuple(hedge_card(look, report, hedge) for hedge in report.hedges)
    positions = tuple(position_card(look, report, position) for position in report.positions)
    return hedges + positions


def nothing_card(look: Look, report: StatusReport) -> Reply:
    lines = [
        f"**Nothing is open{look.there}.**",
        "Open a position with `/open BTC long 0.05 10x`, then lock its profit with `/hedge BTC`.",
    ]
    if look.balances:
        lines.insert(
            1, f"Free margin {sum_of_money(report.balance.free, report.balance.currency, sign=False)}."
        )
    refresh = look.button("Refresh", "/status", replaces=True)
    return Reply(
        blocks=(Text("\n".join(lines)), *_notices(look, report)),
        buttons=((refresh, look.button("Help", "/help")),),
    )


# --- a hedge ------------------------------------------------------------------------------------


def hedge_card(look: Look, report: StatusReport, hedge: HedgeReport) -> Reply:
    instrument = hedge.instrument
    coin = coin_blocks(inverse=instrument.kind is ContractKind.INVERSE)
    lines = table(
        _leg_rows(hedge),
        RULE,
        _pair_lines(hedge),
        _margin_ratio_line(look, hedge.margin_ratio),
        RULE,
        funding_lines(look, hedge.funding, instrument.settle, tuple(PositionSide)),
        _cost_lines(look, hedge),
    )
    return Reply(
        blocks=(Text(_title(look, hedge)), lines, *coin, *_hedge_notices(look, report, hedge)),
        buttons=_hedge_buttons(look, hedge),
        severity=_severity(hedge),
    )


def _title(look: Look, hedge: HedgeReport) -> str:
    name = subject_name(hedge.number, hedge.symbol, hedge.instrument)
    gone = [str(leg.side) for leg in hedge.legs if not leg.quantity]
    if gone:
        legs = f"{listing(gone, last='and')} leg{'s' if len(gone) > 1 else ''}"
        return f"**🛑 {name} · {legs} gone, nothing locked** · {duration(hedge.age)}{look.tag}"
    lock = money(hedge.lock.net, hedge.currency)
    return f"**🔒 {name} · locked ~{lock} {hedge.currency}** · {duration(hedge.age)}{look.tag}"


def _leg_rows(hedge: HedgeReport) -> list[str]:
    instrument = hedge.instrument
    legs = {leg.side: leg for leg in hedge.legs}
    long, short = (legs.get(side) for side in PositionSide)
    rows = zip(_LABELS, _column(long, instrument), _column(short, instrument), strict=True)
    return [pair("", "long", "short"), *(pair(*row) for row in rows)]


_LABELS = ("quantity", "entry", "mark", "PnL", "liq", "away", "leverage", "margin")


def _column(leg: LegReport | None, instrument: Instrument) -> tuple[str, ...]:
    if leg is None or not leg.quantity:
        return ("gone", *("-" for _ in _LABELS[1:]))
    return (
        fitted_quantity(leg.quantity, instrument, 12),
        fitted_price(leg.entry_price, instrument, 12),
        fitted_price(leg.mark_price, instrument, 12),
        fitted_money(leg.pnl, instrument.settle, 12),
        liquidation(leg.liquidation, instrument, 12),
        distance(leg.liquidation),
        leverage(leg.leverage),
        str(leg.margin_mode),
    )


def _pair_lines(hedge: HedgeReport) -> list[str]:
    instrument, floating = hedge.instrument, hedge.lock.floating
    return [
        line(
            "net exposure",
            f"{fitted_quantity(hedge.net_exposure, instrument, 14, sign=True)} {unit_of(instrument)}",
        ),
        line("primary", str(hedge.protected)),
        line("imbalance", percent(hedge.imbalance)),
        *_lock_lines(hedge),
        *_if_any("not locked", floating, hedge.currency),
        line("nearest liq", _nearest(hedge.pair_liquidation, instrument)),
    ]


def _lock_lines(hedge: HedgeReport) -> list[str]:
    if not hedge.lock.quantity:
        return []
    return [
        line("gross lock", fitted_money(hedge.lock.gross, hedge.currency, 20)),
        line("net lock now", f"~{fitted_money(hedge.lock.net, hedge.currency, 18)}"),
    ]


def _nearest(value: LegLiquidation, instrument: Instrument) -> str:
    return f"{liquidation(value, instrument, 14)} {distance(value)}" if value.price is not None else "none"


def _margin_ratio_line(look: Look, ratio: Decimal | None) -> list[str]:
    return [line("margin ratio", "-" if ratio is None else percent(ratio))] if look.balances else []


def _cost_lines(look: Look, hedge: HedgeReport) -> list[str]:
    if hedge.eaten_at is None:
        eaten = "never at this rate" if hedge.lock.net > 0 else "nothing locked"
    else:
        eaten = day(hedge.eaten_at, look.zone)
    return [
        line("funding so far", fitted_money(hedge.lock.funding, hedge.currency, 18)),
        line("fees so far", fitted_money(hedge.lock.fees_paid, hedge.currency, 18)),
        *_if_any("realized so far", hedge.lock.realized, hedge.currency),
        line("lock eaten", eaten),
    ]


def _hedge_notices(look: Look, report: StatusReport, hedge: HedgeReport) -> list[Block]:
    instrument = hedge.instrument
    near = _near(hedge)
    frozen = (
        [f"frozen: {hedge.frozen}; /adopt #{hedge.number} takes over what the exchange says"]
        if hedge.frozen
        else []
    )
    gone = [
        f"the {leg.side} leg is gone: what is left is not hedged" for leg in hedge.legs if not leg.quantity
    ]
    told = _told(report, hedge.alerts, shown=frozenset({AlertKind.LIQUIDATION} if near else ()))
    stops = Text(_stops(hedge.stops, instrument))
    lacking = [hedge.lacking] if hedge.lacking else []
    return [*warning_blocks([*frozen, *gone, *near, *told, *lacking]), stops, *_notices(look, report)]


def _near(hedge: HedgeReport) -> list[str]:
    """The nearest first."""
    near = sorted(
        (away, leg.side)
        for leg in hedge.legs
        if leg.quantity and (away := leg.liquidation.distance) is not None and away < NEAR
    )
    return [f"{side} leg {percent(away)} from liquidation" for away, side in near]


def _told(
    report: StatusReport, alerts: Sequence[tuple[str, datetime]], shown: Collection[str] = ()
) -> list[str]:
    """Each kind once, since its first; what the card ``shown`` already says is not said again."""
    first: dict[str, datetime] = {}
    for kind, since in sorted(alerts, key=lambda alert: alert[1]):
        if kind not in shown:
            first.setdefault(kind, since)
    return [f"{KIND_WORDS[AlertKind(kind)]} (told {_ago(report.now - at)})" for kind, at in first.items()]


def _ago(span: timedelta) -> str:
    return "just now" if span < timedelta(seconds=1) else f"{duration(span)} ago"


def _stops(stops: tuple[StopReport, ...], instrument: Instrument) -> str:
    """By leg and price; one a line where there are more than two."""
    if not stops:
        return "stops: none"
    ordered = sorted(stops, key=lambda stop: (stop.side, stop.price))
    shown = [f"{s.side} {s.kind} {price(s.price, instrument)} ({plain(s.quantity)})" for s in ordered]
    return "\n".join(["stops:", *shown]) if len(shown) > 2 else f"stops: {', '.join(shown)}"


def _notices(look: Look, report: StatusReport) -> list[Block]:
    age = report.now - report.read_at
    texts = [f"⏱ These figures are {duration(age)} old."] if age > STALE else []
    if waiting := why_waiting(report.account):
        texts.append(f"🛑 {waiting}")
    if look.user.preferences.paused:
        texts.append(PAUSED)
    return [Text("\n".join(texts))] if texts else []


def _hedge_buttons(look: Look, hedge: HedgeReport) -> Rows:
    number = f"#{hedge.number}"
    refresh = look.button("Refresh", f"/status {number}", replaces=True)
    chart = look.button("Chart", f"/chart {number}")
    close = look.button("Close…", f"/close {number}")
    if hedge.frozen:
        return ((refresh, chart), (look.button("Adopt what the exchange says", f"/adopt {number}"),))
    if any(not leg.quantity for leg in hedge.legs):
        return ((refresh, chart), (look.button("Restore the hedge", f"/hedge {number}"), close))
    adjust = look.button("Adjust", f"/adjust {number}")
    if any(leg.top_up is not None and distance(leg.liquidation).endswith("!") for leg in hedge.legs):
        return ((refresh, chart, look.button("Add margin", f"/margin {number}")), (adjust, close))
    return ((refresh, chart), (adjust, close))


def _severity(hedge: HedgeReport) -> Severity:
    if hedge.status is HedgeStatus.FROZEN or any(not leg.quantity for leg in hedge.legs):
        return Severity.CRITICAL
    near = any(distance(leg.liquidation).endswith("!") for leg in hedge.legs)
    return Severity.WARNING if near else Severity.NEUTRAL


# --- a position ---------------------------------------------------------------------------------


def position_card(look: Look, report: StatusReport, position: PositionReport) -> Reply:
    instrument, leg = position.instrument, position.leg
    rows = table(
        line("entry", fitted_price(leg.entry_price, instrument, 20)),
        line("mark", fitted_price(leg.mark_price, instrument, 20)),
        line("liq", liquidation(leg.liquidation, instrument, 20)),
        line("  away", distance(leg.liquidation)),
        line("margin", f"{leverage(leg.leverage)} {leg.margin_mode}"),
        _margin_ratio_line(look, position.margin_ratio),
        RULE,
        funding_lines(look, position.funding, instrument.settle, (leg.side,)),
        _history_lines(position),
    )
    notices = [
        *_origin(position),
        _stops(position.stops, instrument),
        *(f"⚠️ {told}" for told in _told(report, position.alerts)),
        *([f"⚠️ {position.lacking}"] if position.lacking else []),
    ]
    return Reply(
        blocks=(
            Text(position_title(look, position)),
            rows,
            Text("\n".join(notices)),
            *_notices(look, report),
        ),
        buttons=_position_buttons(look, position),
    )


def _origin(position: PositionReport) -> list[str]:
    if _is_found_pair(position):
        return ["Opened outside the bot, and its opposite too: /adopt takes both over as one hedge."]
    if position.number is None:
        return ["Opened outside the bot; hedging or closing it takes it over."]
    return ["The other leg of this hedge is gone or was lifted."] if position.widowed else []


def position_title(look: Look, position: PositionReport) -> str:
    instrument, leg = position.instrument, position.leg
    name = subject_name(position.number, position.symbol, instrument)
    gain = f"{money(leg.pnl, instrument.settle)} {instrument.settle}"
    return (
        f"**📈 {name} {leg.side} {_size(leg.quantity, instrument)}, not hedged** "
        f"{gain} ({percent(position.pnl_share, sign=True)} of entry){look.tag}"
    )


def _size(quantity: Decimal, instrument: Instrument) -> str:
    """With its unit where the name of the market does not say it: ``5,000 USD``."""
    return amount_of(quantity, instrument) if unit_of(instrument) != instrument.base else plain(quantity)


def _history_lines(position: PositionReport) -> list[str]:
    if position.number is None:
        return []
    currency = position.instrument.settle
    return [
        line("funding so far", fitted_money(position.funding_to_date, currency, 18)),
        line("fees so far", fitted_money(position.fees_to_date, currency, 18)),
        *_if_any("realized so far", position.realized_to_date, currency),
    ]


def _if_any(label: str, amount: Decimal, currency: str) -> list[str]:
    return [line(label, fitted_money(amount, currency, 18))] if amount else []


def _position_buttons(look: Look, position: PositionReport) -> Rows:
    named = _named(look, position)
    return (
        (
            look.button("Refresh", f"/status {named}", replaces=True),
            look.button("Chart", f"/chart {named}"),
            hedge_button(look, position),
        ),
        (look.button("Adjust", f"/adjust {named}"), look.button("Close…", f"/close {named}")),
        *(((look.button("Take the pair over", f"/adopt {named}"),),) if _is_found_pair(position) else ()),
    )


def _is_found_pair(position: PositionReport) -> bool:
    """Both legs were opened elsewhere: nothing has to be traded to make them a hedge."""
    return position.number is None and position.both_sides_open


def _named(look: Look, position: PositionReport) -> str:
    """As commands take it: a market alone could be on any account."""
    if position.number is not None:
        return f"#{position.number}"
    return f"{short_name(position.symbol, position.instrument)}{look.there}"


def hedge_button(look: Look, position: PositionReport) -> Button:
    name = short_name(position.symbol, position.instrument)
    command = f"/hedge {_named(look, position)}"
    return look.button(
        f"Hedge {name}", f"{command} {position.leg.side}" if position.both_sides_open else command
    )


def unhedged_card(look: Look, report: StatusReport) -> Reply:
    """`/hedge` without an argument: what there is to hedge, each with its result and a button."""
    if not report.positions:
        hint = (
            "Every position is hedged."
            if report.hedges
            else "Nothing is open: `/open BTC long 0.05 10x` opens a position."
        )
        return Reply(
            blocks=(Text(f"**There is nothing to hedge{look.there}.** {hint}"),),
            buttons=((look.button("Status", "/status"),),),
        )
    lines = "\n".join(position_title(look, position) for position in report.positions)
    return Reply(
        blocks=(Text(lines), *_notices(look, report)),
        buttons=tuple((hedge_button(look, position),) for position in report.positions),
    )
