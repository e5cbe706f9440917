"""What a warning says of a market: its funding rate, and a price that was asked for."""

from __future__ import annotations

from chatbot.domain.risk import AlertKind, PriceReached, RateNews
from handlers.alert_words import Words, equalize, hedge, name_of, named, status
from handlers.text import funding_rate, hours, money, price, short_name


def rate_news(kind: AlertKind, figures: RateNews) -> Words:
    if kind is AlertKind.FLIP:
        head = f"{name_of(figures)}: funding has turned, shorts pay longs"
    else:
        head = f"{name_of(figures)}: funding rate {_rate(figures)}"
    both = bool(figures.outlook.long_receives and figures.outlook.short_receives)
    return Words(head, _costs(figures), (equalize(figures) if both else hedge(figures), status(figures)))


def calm_rate(kind: AlertKind, figures: RateNews) -> str:
    if kind is AlertKind.FLIP:
        return f"funding has turned back, longs pay shorts ({_rate(figures)})"
    return f"funding rate calm again ({_rate(figures)})"


def _rate(figures: RateNews) -> str:
    return f"{funding_rate(figures.outlook.rate)} per {hours(figures.outlook.interval_hours)}"


def _costs(figures: RateNews) -> str:
    outlook, currency = figures.outlook, figures.instrument.settle
    verb = "get" if outlook.net_per_settlement > 0 else "pay"
    amount = money(abs(outlook.net_per_settlement), currency, sign=False)
    per_day = money(abs(outlook.net_per_day), currency, sign=False)
    return f"You {verb} ~{amount} {currency} a settlement, ~{per_day} a day, at {_rate(figures)}."


def price_reached(figures: PriceReached) -> Words:
    name = short_name(figures.instrument.symbol, figures.instrument)
    way = "rose to" if figures.rising else "fell to"
    head = f"{name} {way} {price(figures.price, figures.instrument)}"
    body = f"Mark {price(figures.mark_price, figures.instrument)} on {figures.account}. It is told once."
    chart = ("Chart", f"/chart {named(figures)}")
    return Words(head, body, (chart, status(figures)))
