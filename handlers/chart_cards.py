"""The wording of charts: what stands in the picture, and the few lines below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from chatbot.charts.description import Chart, Dot, Level, Point, Result, Shade, Tone
from chatbot.chat import Button, Picture, Reply, Text
from chatbot.domain.history import Span
from chatbot.domain.instrument import ZERO, PositionSide
from chatbot.services.charting import ChartReport
from chatbot.services.reporting import HedgeReport, LegReport, PositionReport, StopReport
from handlers.figures import leverage, liquidation, subject_name
from handlers.look import Look
from handlers.text import (
    amount_of,
    duration,
    fitted_price,
    instant,
    listing,
    money,
    percent,
    plain,
    price,
    short_name,
    sum_of_money,
    zone_of,
)

MOST_CHOICES = 6
PRICE_WIDTH = 12
LEAST_SHARE = 50  # of the time shown
_TONES = {PositionSide.LONG: Tone.LONG, PositionSide.SHORT: Tone.SHORT}
_STOPS = {"stop-loss": ("stop", Tone.STOP), "take-profit": ("target", Tone.TARGET)}


@dataclass(frozen=True, slots=True)
class _Head:
    symbol: str
    name: str
    says: str  # behind the name
    beneath: str


# --- cards --------------------------------------------------------------------------------------


def chart_card(look: Look, report: ChartReport, picture: Picture) -> Reply:
    return Reply(
        blocks=(Text("\n".join(_caption(look, report))),), buttons=_buttons(look, report), picture=picture
    )


def too_early_card(look: Look, report: ChartReport) -> Reply:
    name = short_name(report.symbol, report.instrument)
    known = f"the exchange has told {duration(report.known)} of it" if report.known else "there is none yet"
    words = (
        f"**There is too little price history of {name} for a chart:** {known}. Try again in a few minutes."
    )
    return Reply(blocks=(Text(words),), buttons=_buttons(look, report))


def _buttons(look: Look, report: ChartReport) -> tuple[tuple[Button, ...], ...]:
    named = _named(report)
    about = f"/status {named}" if report.legs else "/status"
    return ((look.button("Refresh", f"/chart {named}", replaces=True), look.button("Status", about)),)


def _named(report: ChartReport) -> str:
    number = _number(report)
    return f"#{number}" if number is not None else short_name(report.symbol, report.instrument)


def _number(report: ChartReport) -> int | None:
    if report.hedge is not None:
        return report.hedge.number
    return next((p.number for p in report.positions if p.number is not None), None)


# --- words --------------------------------------------------------------------------------------


def _head(look: Look, report: ChartReport) -> _Head:
    if report.hedge is not None:
        return _hedge_head(look, report, report.hedge)
    if report.positions:
        return _position_head(look, report, report.positions[0])
    return _market_head(report)


def _hedge_head(look: Look, report: ChartReport, hedge: HedgeReport) -> _Head:
    lock = f" ~{money(hedge.lock.net, hedge.currency)} {hedge.currency}" if look.balances else ""
    sizes = [f"{leg.side} {plain(leg.quantity)}" for leg in report.legs]
    name = subject_name(hedge.number, hedge.symbol, hedge.instrument)
    return _Head("🔒", name, f"locked{lock}", " · ".join([*sizes, duration(hedge.age)]))


def _position_head(look: Look, report: ChartReport, position: PositionReport) -> _Head:
    leg, currency = position.leg, report.instrument.settle
    gain = sum_of_money(leg.pnl, currency) if look.balances else percent(position.pnl_share, sign=True)
    name = subject_name(position.number, report.symbol, report.instrument)
    size = amount_of(leg.quantity, report.instrument)
    return _Head(
        "📈", name, f"{leg.side} {gain}", f"{size}, {leverage(leg.leverage)} {leg.margin_mode}, not hedged"
    )


def _market_head(report: ChartReport) -> _Head:
    now, first = report.points[-1].price, report.points[0].price
    change = percent(now / first - 1, sign=True)
    prices = [point.price for point in report.points]
    span = f"between {price(min(prices), report.instrument)} and {price(max(prices), report.instrument)}"
    name = short_name(report.symbol, report.instrument)
    return _Head("", name, f"{price(now, report.instrument)} · {change} in {duration(report.known)}", span)


def _caption(look: Look, report: ChartReport) -> Iterator[str]:
    head = _head(look, report)
    yield f"**{f'{head.symbol} {head.name}'.strip()} · {head.says}**"
    if report.legs:
        entries = [f"{leg.side} from {price(leg.entry_price, report.instrument)}" for leg in report.legs]
        yield f"Mark {price(report.points[-1].price, report.instrument)}, {listing(entries, last='and')}."
        yield from _nearest(report)
    if report.result and look.balances:
        result = sum_of_money(report.result[-1].amount, report.instrument.settle)
        yield f"Result {result} before fees and funding."
    if report.cut_short and report.legs:
        yield f"The exchange remembers {duration(report.known)} of prices."


def _nearest(report: ChartReport) -> Iterator[str]:
    near = [leg for leg in report.legs if _threatens(leg)]
    if near:
        leg = min(near, key=lambda leg: leg.liquidation.distance or 0)
        at = liquidation(leg.liquidation, report.instrument, 14)
        yield f"Nearest liquidation: {leg.side} at {at}, {percent(leg.liquidation.distance or ZERO)} away."


def picture_words(look: Look, report: ChartReport) -> str:
    """For those who do not see the picture."""
    name = short_name(report.symbol, report.instrument)
    since = instant(report.points[0].at, look.zone)
    shown = [f"{leg.side} entry at {price(leg.entry_price, report.instrument)}" for leg in report.legs]
    marks = f", with {listing(shown, last='and')}" if shown else ""
    return (
        f"Mark price of {name} since {since}, now {price(report.points[-1].price, report.instrument)}{marks}."
    )


# --- the picture --------------------------------------------------------------------------------


def description(look: Look, report: ChartReport) -> Chart:
    head = _head(look, report)
    return Chart(
        title=f"{head.name} · {head.says}",
        subtitle=head.beneath,
        price=tuple(Point(point.at, point.price) for point in report.points),
        now=fitted_price(report.points[-1].price, report.instrument, PRICE_WIDTH),
        levels=tuple(_levels(report)),
        dots=tuple(Dot(entry.at, entry.price, _TONES[entry.side]) for entry in report.entries),
        shades=tuple(Shade(span.since, span.until) for span in report.locked if _seen(report, span)),
        shade_label="locked",
        result=_result(report) if look.balances else None,
        zone=zone_of(look.zone),
        zone_name=zone_of(look.zone).key.rpartition("/")[2].replace("_", " "),
    )


def _seen(report: ChartReport, span: Span) -> bool:
    return span.until is None or span.until > report.points[0].at


def _levels(report: ChartReport) -> Iterator[Level]:
    instrument = report.instrument
    for leg in report.legs:
        shown = fitted_price(leg.entry_price, instrument, PRICE_WIDTH)
        yield Level(leg.entry_price, f"{leg.side} {shown}", _TONES[leg.side], anchors=True)
    yield from _liquidations(report, report.legs)
    yield from dict.fromkeys(_stop(report, stop) for stop in _stops(report))


def _liquidations(report: ChartReport, legs: Iterable[LegReport]) -> Iterator[Level]:
    for leg in legs:
        if leg.liquidation.price is not None and _threatens(leg):
            shown = liquidation(leg.liquidation, report.instrument, PRICE_WIDTH)
            yield Level(leg.liquidation.price, f"liq {leg.side} {shown}", Tone.DANGER)


def _threatens(leg: LegReport) -> bool:
    """A price more than twice as high as now is no news."""
    away = leg.liquidation.distance
    return away is not None and away < 1


def _stops(report: ChartReport) -> tuple[StopReport, ...]:
    if report.hedge is not None:
        return report.hedge.stops
    return report.positions[0].stops if report.positions else ()


def _stop(report: ChartReport, stop: StopReport) -> Level:
    word, tone = _STOPS.get(stop.kind, ("close", Tone.STOP))
    shown = fitted_price(stop.price, report.instrument, PRICE_WIDTH)
    return Level(stop.price, f"{word} {stop.side} {shown}", tone)


def _result(report: ChartReport) -> Result | None:
    """None yet of what was opened a moment ago: it would be a stroke at the edge."""
    if not report.result or report.result[-1].at - report.result[0].at < report.known / LEAST_SHARE:
        return None
    currency = report.instrument.settle
    points = tuple(Point(point.at, point.amount) for point in report.result)
    title = f"Result before fees and funding, in {currency}"
    return Result(points, title, money(points[-1].value, currency))
