"""What is asked of the bot while it is killed, and what may be held when all has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Do(StrEnum):
    SAY = "say"
    TAP = "tap"  # the newest card with such a button
    PRICE = "price"  # of BTC
    WAIT = "wait"  # seconds


@dataclass(frozen=True, slots=True)
class Step:
    do: Do
    what: str


def say(what: str) -> Step:
    return Step(Do.SAY, what)


def tap(what: str) -> Step:
    return Step(Do.TAP, what)


def price(what: str) -> Step:
    return Step(Do.PRICE, what)


def wait(what: str) -> Step:
    return Step(Do.WAIT, what)


Held = dict[str, Decimal]  # by side


@dataclass(frozen=True, slots=True)
class Deed:
    """``before`` leads to where the deed begins.

    ``kind`` as the journal calls the operation; ``over``: words of a card that ends it; ``ends``: what may be
    held afterwards, the first being what was asked for.
    """

    name: str
    before: tuple[Step, ...]
    steps: tuple[Step, ...]
    kind: str
    over: tuple[str, ...]
    ends: tuple[Held, ...]


NOTHING: Held = {}
LONG: Held = {"long": Decimal("0.05")}
PAIR: Held = {"long": Decimal("0.05"), "short": Decimal("0.05")}
GROWN: Held = {"long": Decimal("0.06"), "short": Decimal("0.06")}

HELLO = (say("/start"),)
OPENING = (say("/open BTC long 0.05 10x isolated"), tap("Confirm"))
STOPPED = (say("/open BTC long 0.05 10x isolated sl 96000 tp 108000"), tap("Confirm"))
HEDGING = (say("/hedge BTC"), tap("Confirm"))
A_LONG = HELLO + OPENING
A_PAIR = A_LONG + HEDGING
CLOSED = ("closed:", "not closed")

DEEDS = {
    deed.name: deed
    for deed in (
        Deed("open", HELLO, OPENING, "open", ("is open", "not opened"), (LONG, NOTHING)),
        Deed("open with stops", HELLO, STOPPED, "open", ("is open", "not opened"), (LONG, NOTHING)),
        Deed("hedge", A_LONG, HEDGING, "hedge", ("is hedged", "not hedged"), (PAIR, LONG)),
        Deed(
            "adjust",
            A_PAIR,
            (say("/adjust #1 both +20%"), tap("Confirm")),
            "adjust",
            ("adjusted", "not adjusted"),
            (GROWN, PAIR),
        ),
        Deed(
            "margin",
            A_PAIR,
            (say("/margin #1 short 60"), tap("Confirm")),
            "margin",
            ("margin", "Margin"),
            (PAIR,),
        ),
        Deed(
            "stops",
            (*A_PAIR, say("/adjust #1 short sl 104000"), tap("Confirm")),
            (say("/adjust #1 short sl 105000"), tap("Confirm")),
            "stops",
            ("are changed", "not changed"),
            (PAIR,),
        ),
        Deed(
            "a stop fires",
            (*A_PAIR, say("/adjust #1 short sl 104000"), tap("Confirm")),
            (price("104500"), wait("10")),
            "",
            ("short leg",),
            (LONG,),
        ),
        Deed("offset first", A_PAIR, (say("/close"), tap("Offset first")), "close", CLOSED, (NOTHING, PAIR)),
        Deed("both at once", A_PAIR, (say("/close"), tap("Both at once")), "close", CLOSED, (NOTHING, PAIR)),
        Deed(
            "at price",
            A_PAIR,
            (say("/close #1 at 104000"), tap("At 104,000.0"), price("104200"), wait("10")),
            "close",
            ("was closed at your price", "not closed"),
            (NOTHING, PAIR),
        ),
    )
}
