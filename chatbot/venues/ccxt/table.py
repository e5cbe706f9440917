"""Which exchanges an account can be connected on, and why not on the others."""

from __future__ import annotations

from collections.abc import Mapping

from chatbot.venues.ccxt.majors import BINANCE, BYBIT, OKX
from chatbot.venues.ccxt.minors import ASTER, BINGX, BITGET, GATE, KUCOIN, PHEMEX
from chatbot.venues.ccxt.quirks import Quirks

TABLE: Mapping[str, Quirks] = {
    row.id: row for row in (BINANCE, BYBIT, OKX, BITGET, GATE, KUCOIN, BINGX, PHEMEX, ASTER)
}
# Other names under which people and ccxt know them.
ALIASES = {
    "binanceusdm": "binance",
    "gateio": "gate",
    "kucoinfutures": "kucoin",
    "okex": "okx",
}

ONE_WAY = (
    "hyperliquid krakenfutures kraken deribit whitebit backpack bitfinex cryptocom dydx paradex apex lighter"
)
ONE_WAY_ONLY = frozenset(f"{ONE_WAY} grvt xt toobit delta deepcoin digifinex hashkey coinbase".split())
INVERTED = {
    "mexc": "which leg a closing order addresses there is contradictory",
    "htx": "orders name no leg there and need numbers as ids",
    "blofin": "closing orders address the wrong leg there and cannot be looked up",
}


def known(venue_id: str) -> Quirks | None:
    wanted = venue_id.strip().lower()
    return TABLE.get(ALIASES.get(wanted, wanted))


def refusal(venue_id: str) -> str | None:
    """Why no account can be connected there, in one sentence; ``None``: it can."""
    wanted = venue_id.strip().lower()
    if known(wanted):
        return None
    instead = f"Connect one of these: {', '.join(TABLE)}."
    if wanted in ONE_WAY_ONLY:
        return (
            f"{wanted} holds one position per symbol, so a long and a short leg cannot stand there. {instead}"
        )
    if wanted in INVERTED:
        return f"{wanted} is not supported, because {INVERTED[wanted]}. {instead}"
    return f"I do not know an exchange named {wanted!r}. {instead}"
