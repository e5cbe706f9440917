"""What is said of a leg that was lost, stopped, shrunk or grown outside an operation of ours."""

from __future__ import annotations

from dataclasses import replace

from chatbot.chat import Text
from chatbot.domain.ending import Ending
from chatbot.domain.risk import AlertKind, LegCause, LegChanged, LegEnd
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
    told = (_other_leg(kind, figures), _left_naked(figures), _realized(kind, figures))
    facts = " ".join(fact for fact in told if fact)
    head = f"{name_of(figures)}: {_what_is_gone(kind, figures)}"
    return Words(head, facts, _after_change(figures), done=as_wished)


def _closed_at_price(figures: LegChanged, ended: Ending) -> Words:
    """What was asked for, with the table of every finished close."""
    result = sum_of(ended, figures.instrument.settle)
    outcome = (
        "its result is not known in full" if ended.lacking else sum_of_money(result.net, result.currency)
    )
    head = f"{name_of(figures)} was closed at your price: {outcome}"
    unknown = not_counted(ended)
    notes: tuple[Block, ...] = (Text(unknown),) if unknown else ()
    return Words(head, "", (("Status", "/status"),), more=(table(result.lines), *notes), done=True)


def _what_is_gone(kind: AlertKind, figures: LegChanged) -> str:
    other = figures.other
    if kind is AlertKind.LOST and other is not None and other.together:
        how = f"{figures.side} {_how(figures)}, {other.side} {_how_other(other, figures)}"
        return f"both legs are gone ({how})"
    which = f"{figures.side} leg" if figures.number is not None else f"{figures.side} that I did not open"
    return f"the {which} {_what_happened(kind, figures)}"


def _other_leg(kind: AlertKind, figures: LegChanged) -> str:
    other = figures.other
    if other is None or (kind is AlertKind.LOST and other.together):
        return ""
    return f"The {other.side} leg was gone before ({_how_other(other, figures)})."


def _how_other(other: LegEnd, figures: LegChanged) -> str:
    return _how(replace(figures, cause=other.cause, price=other.price))


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
    LegCause.FORGOTTEN: "by an order of mine from after the copy that was restored",
}


def _how(figures: LegChanged) -> str:
    how = _HOW.get(figures.cause)
    return "the exchange has not told why yet" if how is None else f"{how}{_at(figures)}"


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
        if figures.ended.lacking:
            return f"What is known comes to {net}, fees and funding included. {figures.ended.lacking}"
        return f"The hedge made {net} in all, fees and funding included."
    if figures.realized is None or kind is AlertKind.GROWN:
        return ""
    realized = sum_of_money(figures.realized, figures.instrument.settle)
    leg = " leg" if figures.number is not None else ""
    return f"Realized on the {figures.side}{leg} {realized}, fees apart."


def _after_change(figures: LegChanged) -> tuple[tuple[str, str], ...]:
    if figures.naked is None:
        return (("Status", "/status"),)
    if figures.frozen:
        return (("Adopt", f"/adopt {target_of(figures)}"), status(figures))
    if figures.number is None:
        return hedge(figures), close(figures)
    return hedge(figures, "Restore the hedge"), close(
        figures, "Close…" if figures.after else "Close the rest"
    )
