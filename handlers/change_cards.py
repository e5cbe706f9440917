"""What is said of a leg that was lost, stopped, shrunk or grown outside an operation of ours."""

from __future__ import annotations

from chatbot.chat import Text
from chatbot.domain.ending import Ending
from chatbot.domain.risk import AlertKind, LegCause, LegChanged
from handlers.alert_words import (
    Words,
    close,
    exposure_of,
    hedge,
    name_of,
    next_liquidation,
    status,
    target_of,
)
from handlers.figures import Block
from handlers.results import not_counted, sum_of
from handlers.tables import table
from handlers.text import plain, price, sum_of_money


def leg_changed(kind: AlertKind, figures: LegChanged) -> Words:
    as_wished = figures.at_users_price and figures.naked is None
    if as_wished and figures.ended is not None:
        return _closed_at_price(figures, figures.ended)
    facts = " ".join(fact for fact in (_left_naked(figures), _realized(kind, figures)) if fact)
    head = f"{name_of(figures)}: the {figures.side} leg {_what_happened(kind, figures)}"
    return Words(head, facts, _after_change(figures), done=as_wished)


def _closed_at_price(figures: LegChanged, ended: Ending) -> Words:
    """What was asked for, with the table of every finished close."""
    result = sum_of(ended, figures.instrument.settle)
    head = f"{name_of(figures)} was closed at your price: {sum_of_money(result.net, result.currency)}"
    unknown = not_counted(ended.adopted)
    notes: tuple[Block, ...] = (Text(unknown),) if unknown else ()
    return Words(head, "", (("Status", "/status"),), more=(table(result.lines), *notes), done=True)


def _what_happened(kind: AlertKind, figures: LegChanged) -> str:
    if kind is AlertKind.LOST:
        return f"is gone ({_how(figures)})"
    before, after = (plain(q) if q is not None else "?" for q in (figures.before, figures.after))
    if kind is AlertKind.STOPPED:
        order = "closing order" if figures.at_users_price else "stop"
        did = f"cut to {after}" if figures.after else "closed"
        return f"was {did} by your {order}{_at(figures)}"
    verb = "grew" if kind is AlertKind.GROWN else "shrank"
    return f"{verb} from {before} to {after} ({_how(figures)})"


_HOW = {
    LegCause.LIQUIDATED: "liquidated",
    LegCause.AUTO_DELEVERAGED: "auto-deleveraged",
    LegCause.STOPPED: "by your stop",
    LegCause.BY_HAND: "outside the bot",
}


def _how(figures: LegChanged) -> str:
    how = _HOW.get(figures.cause)
    return "nothing on the exchange explains it" if how is None else f"{how}{_at(figures)}"


def _at(figures: LegChanged) -> str:
    return "" if figures.price is None else f" at {price(figures.price, figures.instrument)}"


def _left_naked(figures: LegChanged) -> str:
    naked = figures.naked
    if naked is None:
        return "Nothing else of it is open." if not figures.live else ""
    instrument = figures.instrument
    exposed = f"{exposure_of(naked, instrument)} at {price(naked.mark_price, instrument)}"
    return f"You are {exposed}{next_liquidation(naked, instrument)}."


def _realized(kind: AlertKind, figures: LegChanged) -> str:
    if figures.ended is not None:
        net = sum_of_money(figures.ended.net, figures.instrument.settle)
        return f"The hedge made {net} in all, fees and funding included."
    if figures.realized is None or kind is AlertKind.GROWN:
        return ""
    realized = sum_of_money(figures.realized, figures.instrument.settle)
    return f"Realized on the {figures.side} leg {realized}, fees apart."


def _after_change(figures: LegChanged) -> tuple[tuple[str, str], ...]:
    if figures.naked is None:
        return (("Status", "/status"),)
    if figures.cause is LegCause.UNEXPLAINED:
        return (("Adopt", f"/adopt {target_of(figures)}"), status(figures))
    return hedge(figures, "Restore the hedge"), close(
        figures, "Close…" if figures.after else "Close the rest"
    )
