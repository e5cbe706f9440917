"""Words and buttons that several warnings share."""

from __future__ import annotations

from dataclasses import dataclass

from chatbot.domain.instrument import Instrument
from chatbot.domain.quote import LegLiquidation, LiquidationSource
from chatbot.domain.risk import AlertKind, NakedLeg, OnMarket
from handlers.figures import Block, subject_name
from handlers.text import amount_of, percent, price, short_name

KIND_WORDS = {
    AlertKind.NAKED: "a leg stands alone",
    AlertKind.LOST: "a leg is gone",
    AlertKind.STOPPED: "a leg was closed by its stop",
    AlertKind.SHRUNK: "a leg has shrunk",
    AlertKind.UNPROTECTED: "a stop is gone",
    AlertKind.GROWN: "a leg has grown",
    AlertKind.LIQUIDATION: "liquidation is near",
    AlertKind.MARGIN: "margin ratio is high",
    AlertKind.FROZEN: "frozen",
    AlertKind.UNKNOWN: "an order without an answer",
    AlertKind.IMBALANCE: "the legs differ",
    AlertKind.EATEN: "funding eats the lock",
    AlertKind.FUNDING: "funding is due",
    AlertKind.TARGET: "profit target reached",
    AlertKind.PRICE: "price reached",
    AlertKind.FLIP: "funding has turned",
    AlertKind.RATE: "funding rate is high",
    AlertKind.VENUE: "the exchange did not answer",
    AlertKind.STREAM: "no live stream",
}


@dataclass(frozen=True, slots=True)
class Words:
    """``head`` is set bold; ``actions`` are labels and the commands they type.

    ``done``: no warning, it came as it was wished.
    """

    head: str
    body: str = ""
    actions: tuple[tuple[str, str], ...] = ()
    more: tuple[Block, ...] = ()
    done: bool = False


def named(figures: OnMarket) -> str:
    """As commands take it."""
    if figures.number is not None:
        return f"#{figures.number}"
    return short_name(figures.instrument.symbol, figures.instrument)


def target_of(figures: OnMarket) -> str:
    """As commands that trade take it: a market alone could be on any account."""
    if figures.number is not None or not figures.account:
        return named(figures)
    return f"{named(figures)} on {figures.account}"


def name_of(figures: OnMarket) -> str:
    """A position without a number names its account: the market alone could be on any."""
    name = subject_name(figures.number, figures.instrument.symbol, figures.instrument)
    return name if figures.number is not None or not figures.account else f"{name} on {figures.account}"


def close(figures: OnMarket, label: str = "Close…") -> tuple[str, str]:
    return label, f"/close {target_of(figures)}"


def hedge(figures: OnMarket, label: str = "Hedge now") -> tuple[str, str]:
    return label, f"/hedge {target_of(figures)}"


def equalize(figures: OnMarket) -> tuple[str, str]:
    return "Rebalance", f"/adjust {target_of(figures)} rebalance"


def status(figures: OnMarket) -> tuple[str, str]:
    return "Status", f"/status {target_of(figures)}"


def exposure_of(naked: NakedLeg, instrument: Instrument) -> str:
    return f"{naked.side} {amount_of(naked.quantity, instrument)} unhedged"


def next_liquidation(naked: NakedLeg, instrument: Instrument) -> str:
    liquidation = naked.liquidation
    if liquidation is None or liquidation.price is None:
        return ", with no liquidation price"
    return f", next liquidation {sourced(liquidation, instrument)}, {away(liquidation)} away"


def alone_liquidated(naked: NakedLeg, instrument: Instrument) -> str:
    """A sentence of its own."""
    liquidation = naked.liquidation
    if liquidation is None or liquidation.price is None:
        return f"Alone, the {naked.side} has no liquidation price."
    at = sourced(liquidation, instrument)
    return f"Alone, the {naked.side} is liquidated at {at}, {away(liquidation)} away."


def sourced(liquidation: LegLiquidation, instrument: Instrument) -> str:
    if liquidation.price is None:
        return "none"
    if liquidation.source is LiquidationSource.VENUE:
        return f"{price(liquidation.price, instrument)} (exchange)"
    return f"~{price(liquidation.price, instrument)} (computed)"


def away(liquidation: LegLiquidation) -> str:
    return "far" if liquidation.distance is None else percent(liquidation.distance)
