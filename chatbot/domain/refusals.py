"""Why an offer cannot be made: each check raises one sentence that says what would help, or passes."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from chatbot.domain.account import AccountView, Balance
from chatbot.domain.instrument import ZERO, Instrument, PositionMode, PositionSide
from chatbot.domain.market import FillEstimate, MarketState, OrderBook
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.sizing import quote_value
from chatbot.domain.wording import (
    market_name,
    money,
    percent,
    plain,
    price_text,
    quantity_text,
    symbol_name,
)
from chatbot.errors import BadArgument, LimitExceeded, NotFound, OneWayMode


def market_of(view: AccountView, instrument: Instrument) -> MarketState:
    market = view.markets.get(instrument.symbol)
    if market is None or market.mark_price <= 0:
        raise NotFound(f"{market_name(instrument)} has no price just now; try again in a moment.")
    return market


def book_of(view: AccountView, instrument: Instrument) -> OrderBook:
    book = view.books.get(instrument.symbol)
    if book is None or not book.bids or not book.asks:
        raise NotFound(f"Nobody is quoting {market_name(instrument)} just now; try again in a moment.")
    return book


def balance_of(view: AccountView, instrument: Instrument) -> Balance:
    balance = view.balance_in(instrument.settle)
    if balance is None:
        raise LimitExceeded(
            f"{market_name(instrument)} settles in {instrument.settle}, and this account has none; "
            f"deposit {instrument.settle} first."
        )
    return balance


def require_hedge_mode(view: AccountView, instrument: Instrument) -> None:
    if view.position_mode is not PositionMode.HEDGE or instrument.symbol in view.one_way:
        obstacle = obstacle_to_other_mode(view)
        raise OneWayMode(
            "The account is in one-way mode, where a second leg would close the first. "
            + (
                f"It can switch to hedge mode once nothing is open. {obstacle}"
                if obstacle
                else "Nothing is open, so it can switch to hedge mode now."
            ),
            obstacle=obstacle,
        )


def obstacle_to_other_mode(view: AccountView) -> str:
    """What has to go before an exchange changes the position mode; empty: nothing."""
    held = sorted({symbol_name(position.symbol) for position in view.positions})
    if held:
        command = f"/close {held[0]}" if len(held) == 1 else "/close"
        return f"Close {' and '.join(held)} first: `{command}` works in this mode, too."
    resting = sorted({symbol_name(order.symbol) for order in view.open_orders})
    return f"Cancel the orders on {' and '.join(resting)} first." if resting else ""


def require_depth(instrument: Instrument, estimate: FillEstimate, wanted: Decimal) -> None:
    if not estimate.complete:
        there = quantity_text(instrument, estimate.quantity)
        raise LimitExceeded(
            f"The book is too thin for {quantity_text(instrument, wanted)}: "
            f"it offers {there}; take that or less."
        )


def require_leverage(instrument: Instrument, leverage: Decimal, notional: Decimal, caps: RiskCaps) -> None:
    if not leverage.is_finite() or leverage < 1:
        raise BadArgument("Leverage is 1x or more.")
    most = instrument.tier(notional).max_leverage
    if leverage > most:
        name = market_name(instrument)
        raise LimitExceeded(
            f"{name} allows {plain(most)}x at most for this size; take {plain(most)}x or less."
        )
    if caps.leverage is not None and leverage > caps.leverage:
        raise LimitExceeded(
            f"{plain(leverage)}x is over your leverage cap of {plain(caps.leverage)}x; "
            f"change it with `/risk leverage {plain(leverage)}`."
        )


def usable_margin(balance: Balance, caps: RiskCaps) -> Decimal:
    """Free margin less the reserve that is never used as margin."""
    return max(ZERO, balance.free - max(ZERO, balance.equity) * caps.reserve)


def require_margin(needed: Decimal, balance: Balance, caps: RiskCaps, *, instead: str) -> None:
    """``instead`` is what would fit ("take a smaller size")."""
    usable = usable_margin(balance, caps)
    if needed > usable:
        raise LimitExceeded(
            f"That needs {money(needed, balance.currency)} of margin and {money(usable, balance.currency)} "
            f"can be used ({percent(caps.reserve)} of equity stays in reserve); "
            f"{instead} or add money."
        )


def require_notional(instrument: Instrument, quantity: Decimal, price: Decimal, caps: RiskCaps) -> None:
    worth = quote_value(instrument, quantity, price)
    if caps.notional is not None and worth > caps.notional:
        raise LimitExceeded(
            f"A leg of {money(worth, instrument.quote)} is over your cap of "
            f"{money(caps.notional, instrument.quote)} per hedge; "
            f"change it with `/risk notional {_rounded_up(worth)}`."
        )


def require_share(held: Decimal, needed: Decimal, balance: Balance, caps: RiskCaps) -> None:
    """``held`` by hedges already, initial margin."""
    if caps.hedge_share is None:
        return
    total = held + needed
    if total > caps.hedge_share * balance.equity:
        share = total / balance.equity if balance.equity > 0 else None
        taken = "all" if share is None else percent(share)
        raise LimitExceeded(
            f"Hedges would take {taken} of your equity, over your cap of "
            f"{percent(caps.hedge_share)}; take a smaller size or change the cap with {_wider(share)}."
        )


def _wider(share: Decimal | None) -> str:
    """The command that would let it pass, in whole percents."""
    if share is None or share > 1:
        return "`/risk share off`"
    whole = (share * 100).to_integral_value(ROUND_CEILING)
    return f"`/risk share {plain(whole)}%`"


def _rounded_up(value: Decimal) -> str:
    return plain(value.to_integral_value(ROUND_CEILING))


# --- stops --------------------------------------------------------------------------------------


def stop_loss_for(
    instrument: Instrument, side: PositionSide, price: Decimal | None, mark: Decimal
) -> Decimal | None:
    """On the grid and on the losing side of the mark price, which is what triggers it."""
    return _stop(instrument, side, price, mark, name="stop-loss", sign=-side.sign)


def take_profit_for(
    instrument: Instrument, side: PositionSide, price: Decimal | None, mark: Decimal
) -> Decimal | None:
    return _stop(instrument, side, price, mark, name="take-profit", sign=side.sign)


def _stop(
    instrument: Instrument,
    side: PositionSide,
    price: Decimal | None,
    mark: Decimal,
    *,
    name: str,
    sign: int,
) -> Decimal | None:
    """``sign``: 1 where the stop lies above the mark price."""
    if price is None:
        return None
    on_grid = price_on_grid(instrument, price, name=f"The {name}")
    if (on_grid - mark) * sign <= 0:
        where = "above" if sign > 0 else "below"
        raise BadArgument(
            f"The {name} of a {side} lies {where} the price, which is {price_text(instrument, mark)}."
        )
    require_plausible(instrument, on_grid, mark, name=name)
    return on_grid


_MOST_DIGITS = 15
MOST_TIMES = 10  # away from the mark price, either way: more is a typing error


def require_plausible(instrument: Instrument, price: Decimal, mark: Decimal, *, name: str) -> None:
    if mark / MOST_TIMES <= price <= mark * MOST_TIMES:
        return
    shown, now = price_text(instrument, price), price_text(instrument, mark)
    how = f"more than {MOST_TIMES} times" if price > mark else "less than a tenth of"
    raise BadArgument(f"A {name} of {shown} is {how} the mark price, {now}. Check the typing.")


def price_on_grid(instrument: Instrument, price: Decimal, *, name: str) -> Decimal:
    if price.is_finite() and price > 0 and price.adjusted() > _MOST_DIGITS:
        raise BadArgument(f"{name} is too large to be a price.")
    if not price.is_finite() or price <= 0:
        raise BadArgument(f"{name} must be a price above zero.")
    on_grid = instrument.round_price(price)
    if on_grid <= 0:
        raise BadArgument(f"{name} must be a price above zero.")
    return on_grid
