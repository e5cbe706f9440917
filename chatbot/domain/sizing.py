"""How much: from what was typed to a quantity on the instrument's grid, always rounded down."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from chatbot.domain.instrument import ZERO, ContractKind, Instrument, OrderSide
from chatbot.domain.market import OrderBook
from chatbot.domain.quote import Size, SizeUnit
from chatbot.domain.wording import market_name, money, percent, quantity_text
from chatbot.errors import BadArgument

SIZE_FORM = "0.5 | 1000usdt | 25%"
_PERCENT = Decimal("0.01")


# --- the grid -----------------------------------------------------------------------------------


def round_up(instrument: Instrument, quantity: Decimal) -> Decimal:
    lots = (quantity / instrument.lot_size).to_integral_value(ROUND_UP)
    return lots * instrument.lot_size


def quote_value(instrument: Instrument, quantity: Decimal, price: Decimal) -> Decimal:
    """In quote units; the quantity of an inverse instrument is that already."""
    return quantity * price if instrument.kind is ContractKind.LINEAR else quantity


def smallest_quantity(instrument: Instrument, price: Decimal) -> Decimal:
    """That passes the minimum quantity and the minimum notional at this price."""
    unit = quote_value(instrument, Decimal(1), price)
    return round_up(instrument, max(instrument.min_quantity, instrument.min_notional / unit))


def require_quantity(instrument: Instrument, quantity: Decimal, price: Decimal) -> None:
    smallest = smallest_quantity(instrument, price)
    if quantity < smallest:
        raise BadArgument(
            f"That is below the smallest order on {market_name(instrument)}: "
            f"{quantity_text(instrument, smallest)}{_worth(instrument, smallest, price)}."
        )
    if quantity > instrument.max_quantity:
        largest = quantity_text(instrument, instrument.max_quantity)
        raise BadArgument(f"One order on {market_name(instrument)} can be {largest} at most.")


def _worth(instrument: Instrument, quantity: Decimal, price: Decimal) -> str:
    if instrument.kind is ContractKind.INVERSE:
        return ""
    return f" (about {money(quantity * price, instrument.quote)})"


# --- opening ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Budget:
    """What a share refers to: free margin that may be used, and what one unit of notional takes of it."""

    margin: Decimal
    leverage: Decimal

    def notional(self, share: Decimal, fee_rate: Decimal) -> Decimal:
        """So that initial margin and fee together take the share."""
        return self.margin * share / (1 / self.leverage + fee_rate)


def quantity_of(
    size: Size, instrument: Instrument, *, price: Decimal, budget: Budget, book: OrderBook, side: OrderSide
) -> Decimal:
    """On the grid, within the minimum and maximum; ``BadArgument`` says what would pass."""
    if not size.value.is_finite() or size.value <= 0:
        raise BadArgument("The size must be a number above zero.", form=SIZE_FORM, example="0.5")
    if size.unit is SizeUnit.SHARE:
        wanted = _of_budget(size.value, instrument, budget, book, side)
    else:
        wanted = units_of(size, instrument, price)
    if wanted > instrument.max_quantity:
        # Before rounding: a number of a thousand digits need not be brought to the grid.
        require_quantity(instrument, wanted, price)
    quantity = instrument.round_quantity(wanted)
    if size.unit is SizeUnit.SHARE:
        _require_share(size.value, instrument, quantity, price, budget)
    require_quantity(instrument, quantity, price)
    return quantity


def units_of(size: Size, instrument: Instrument, price: Decimal) -> Decimal:
    """Of a size in base units or notional, before rounding."""
    linear = instrument.kind is ContractKind.LINEAR
    if size.unit is SizeUnit.BASE:
        return size.value if linear else size.value * price
    return size.value / price if linear else size.value


def _of_budget(
    share: Decimal, instrument: Instrument, budget: Budget, book: OrderBook, side: OrderSide
) -> Decimal:
    if share > 1:
        raise BadArgument("A share of the free margin is 100 % at most.", form=SIZE_FORM, example="25%")
    notional = budget.notional(share, instrument.taker_fee_rate)
    at_mid = _quantity_at(instrument, notional, book.mid)
    average = book.walk(side, at_mid).average_price if at_mid > 0 else book.mid
    return min(at_mid, _quantity_at(instrument, notional, average))


def _quantity_at(instrument: Instrument, notional: Decimal, price: Decimal) -> Decimal:
    return notional / price if instrument.kind is ContractKind.LINEAR else notional * price


def _require_share(
    share: Decimal, instrument: Instrument, quantity: Decimal, price: Decimal, budget: Budget
) -> None:
    smallest = smallest_quantity(instrument, price)
    if quantity >= smallest:
        return
    needed = instrument.notional(smallest, price) * (1 / budget.leverage + instrument.taker_fee_rate)
    raise BadArgument(
        f"{percent(share)} of your free margin is below the smallest order: "
        f"{quantity_text(instrument, smallest)} takes {money(needed, instrument.settle)}, "
        f"{money(budget.margin, instrument.settle)} can be used.",
        form=SIZE_FORM,
    )


# --- hedging and closing ------------------------------------------------------------------------


def offset_quantity(instrument: Instrument, primary: Decimal, ratio: Decimal) -> Decimal:
    """Ratio x primary, rounded down to the lot; never more than the primary holds."""
    return max(ZERO, min(instrument.round_quantity(primary * ratio), instrument.round_quantity(primary)))


def share_of_leg(instrument: Instrument, quantity: Decimal, fraction: Decimal) -> Decimal:
    """All of it is exactly all of it, dust below the lot included; a part is rounded down to the lot."""
    return quantity if fraction == 1 else instrument.round_quantity(quantity * fraction)


def smallest_fraction(instrument: Instrument, quantity: Decimal) -> Decimal:
    """The smallest whole percent of a leg that makes an order; 1 where only the whole leg does."""
    least = max(instrument.min_quantity, instrument.lot_size)
    percents = (least / quantity / _PERCENT).to_integral_value(ROUND_UP)
    return min(Decimal(1), percents * _PERCENT)
