"""From a request and one reading of the account to an offer, or to the one sentence that says why not.

Everything is estimated on the book as it is now; of the account only what the view tells is known.
"""

from __future__ import annotations

from decimal import Decimal

from chatbot.domain.account import AccountView
from chatbot.domain.adjusting import quote_adjust
from chatbot.domain.closing import quote_close
from chatbot.domain.locking import quote_hedge
from chatbot.domain.opening import quote_open
from chatbot.domain.quote import Quote
from chatbot.domain.stopping import quote_stops
from chatbot.domain.topping_up import quote_margin
from chatbot.domain.wording import percent, symbol_name

__all__ = [
    "plan_unchanged",
    "quote_adjust",
    "quote_close",
    "quote_hedge",
    "quote_margin",
    "quote_open",
    "quote_stops",
]


def plan_unchanged(quote: Quote, view: AccountView) -> str | None:
    """Why the offer no longer holds; ``None``: it does."""
    return _position_change(quote, view) or _price_change(quote, view)


def _position_change(quote: Quote, view: AccountView) -> str | None:
    symbols = {symbol for symbol, _ in quote.reference_prices} | {p.symbol for p in quote.positions}
    seen = {(p.symbol, p.side) for p in quote.positions}
    for known in quote.positions:
        now = view.position(known.symbol, known.side)
        what = f"Your {known.side} on {symbol_name(known.symbol)}"
        if now is None:
            return f"{what} is gone."
        if now.quantity != known.quantity:
            return f"{what} changed from {known.quantity:f} to {now.quantity:f}."
        if now.entry_price != known.entry_price:
            return f"{what} has another entry price now."
    new = (p for p in view.positions if p.symbol in symbols and (p.symbol, p.side) not in seen)
    found = next(new, None)
    if found is None:
        return None
    return f"A {found.side} of {found.quantity:f} on {symbol_name(found.symbol)} has come up."


def _price_change(quote: Quote, view: AccountView) -> str | None:
    for symbol, reference in quote.reference_prices:
        market = view.markets.get(symbol)
        if market is None:
            return f"{symbol_name(symbol)} has no price just now."
        moved = abs(market.mark_price - reference) / reference
        if moved > quote.band:
            prices = f"from {_shown(reference)} to {_shown(market.mark_price)}"
            return f"The price of {symbol_name(symbol)} moved {prices}, outside ±{percent(quote.band)}."
    return None


def _shown(price: Decimal) -> str:
    """Six digits are enough to see that a price has moved."""
    digits = max(0, 5 - price.adjusted())
    return f"{price:,.{digits}f}"
