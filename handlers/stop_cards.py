"""What is said of a stop or closing order that is gone from the exchange without us."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from chatbot.domain.intent import Purpose
from chatbot.domain.risk import OrderEnd, OrderGone
from handlers.alert_words import Words, name_of, status, target_of
from handlers.text import plain, price

_NAMES = {
    Purpose.STOP_LOSS: "stop-loss",
    Purpose.TAKE_PROFIT: "take-profit",
    Purpose.CLOSE_AT_PRICE: "closing order",
}
_AGAIN = {Purpose.STOP_LOSS: "stop", Purpose.TAKE_PROFIT: "target"}
_WORDS = {Purpose.STOP_LOSS: "sl", Purpose.TAKE_PROFIT: "tp"}
_HOW = {
    OrderEnd.CANCELED: "It was canceled on the exchange, not by me.",
    OrderEnd.EXPIRED: "It expired on the exchange.",
    OrderEnd.FORGOTTEN: "The exchange no longer knows it and tells of no fill.",
}
_HUNDREDTH = Decimal("0.01")


def order_gone(figures: OrderGone) -> Words:
    what = f"the {_NAMES[figures.purpose]} of the {_leg(figures)} at {_at(figures)} is gone"
    body = f"{_HOW[figures.end]} {_left(figures)}"
    return Words(f"{name_of(figures)}: {what}", body, (_again(figures), status(figures)))


def _left(figures: OrderGone) -> str:
    if figures.purpose is Purpose.CLOSE_AT_PRICE:
        return _without_closing_order(figures)
    name = _NAMES[figures.purpose]
    if figures.still is not None:
        return f"Another {name} at {price(figures.still, figures.instrument)} still stands."
    naked = ", and nothing hedges it" if figures.alone and figures.purpose is Purpose.STOP_LOSS else ""
    return f"The {_leg(figures)} has no {name} any more{naked}."


def _without_closing_order(figures: OrderGone) -> str:
    twin, side = figures.twin, figures.side
    if twin is None:
        return f"Nothing closes the {_leg(figures)} at that price any more."
    return (
        f"That of the {twin} leg still stands: when the price gets there it closes the {twin}, "
        f"you are {side} unhedged until I have closed the {side} at market."
    )


def _leg(figures: OrderGone) -> str:
    return str(figures.side) if figures.alone else f"{figures.side} leg"


def _at(figures: OrderGone) -> str:
    return price(figures.price, figures.instrument)


def _again(figures: OrderGone) -> tuple[str, str]:
    """The ordinary offer: it shows what it would do, and asks."""
    at = f"{figures.price.normalize():f}"
    # Several of them can be one message, so each says what it is about.
    if figures.purpose is not Purpose.CLOSE_AT_PRICE:
        label = f"{figures.side.capitalize()} {_AGAIN[figures.purpose]} {_at(figures)} again"
        return label, f"/adjust {target_of(figures)} {figures.side} {_WORDS[figures.purpose]} {at}"
    share = (figures.share * 100).quantize(_HUNDREDTH, ROUND_HALF_UP)
    part = f"{plain(share)}% " if share < 100 else ""
    return f"Close at {_at(figures)} again", f"/close {target_of(figures)} {part}at {at}"
