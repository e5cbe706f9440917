"""From what was typed to a quantity on the grid."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chatbot.domain.instrument import Instrument, OrderSide
from chatbot.domain.quote import Size, SizeUnit
from chatbot.domain.sizing import (
    Budget,
    offset_quantity,
    quantity_of,
    share_of_leg,
    smallest_fraction,
    smallest_quantity,
)
from chatbot.errors import BadArgument
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT, Number, a_book, an_instrument

D = Decimal
BASE, NOTIONAL, SHARE = SizeUnit.BASE, SizeUnit.NOTIONAL, SizeUnit.SHARE


def sized(
    value: Number,
    unit: SizeUnit = BASE,
    *,
    instrument: Instrument = ETH_USDT,
    price: Number = 2_300,
    margin: Number = 1_000,
    leverage: Number = 10,
    half_spread: Number = 0,
) -> Decimal:
    return quantity_of(
        Size(unit, D(value)),
        instrument,
        price=D(price),
        budget=Budget(D(margin), D(leverage)),
        book=a_book(instrument, price, half_spread=half_spread),
        side=OrderSide.BUY,
    )


def test_base_units_are_rounded_down_to_the_lot() -> None:
    assert sized("0.5") == D("0.5")
    assert sized("0.00999") == D("0.009")


def test_a_notional_becomes_base_units_at_the_price() -> None:
    assert sized(1_000, NOTIONAL) == D("0.434")


def test_an_inverse_instrument_counts_in_dollars() -> None:
    assert sized("0.05", instrument=BTC_COIN, price=20_000) == 1_000
    assert sized(1_050, NOTIONAL, instrument=BTC_COIN, price=20_000) == 1_000


def test_a_share_leaves_room_for_the_fee() -> None:
    quantity = sized(1, SHARE, leverage=10)
    taken = quantity * 2_300 * (D("0.1") + D("0.0005"))
    one_more = (quantity + ETH_USDT.lot_size) * 2_300 * D("0.1005")
    assert taken <= 1_000 < one_more


def test_a_share_is_sized_at_the_price_it_will_fill_at() -> None:
    quantity = sized(1, SHARE, half_spread=100)
    assert quantity * 2_400 * D("0.1005") <= 1_000


def test_a_share_of_coin_margin_buys_dollars_of_contracts() -> None:
    # 0.01 BTC at ten times carries 0.0995 BTC of notional: 1,990 dollars, 1,900 in steps of 100.
    assert sized(1, SHARE, instrument=BTC_COIN, price=20_000, margin="0.01") == 1_900


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize("unit", list(SizeUnit))
def test_a_size_that_is_no_amount_is_refused(value: str, unit: SizeUnit) -> None:
    with pytest.raises(BadArgument, match="above zero"):
        sized(value, unit)


def test_more_than_all_of_the_margin_is_refused() -> None:
    with pytest.raises(BadArgument, match="100 %"):
        sized("1.01", SHARE)


def test_a_size_below_the_minimum_says_what_would_pass() -> None:
    with pytest.raises(BadArgument, match=r"0\.003 ETH \(about 6\.90 USDT\)"):
        sized("0.002")
    assert sized("0.003") == D("0.003")


def test_a_share_below_the_minimum_says_what_it_would_take() -> None:
    with pytest.raises(BadArgument, match=r"0\.003 ETH takes 0\.69 USDT, 0\.50 USDT can be used"):
        sized(1, SHARE, margin="0.5")


def test_a_size_without_any_free_margin_is_refused() -> None:
    with pytest.raises(BadArgument, match="below the smallest order"):
        sized("0.25", SHARE, margin=0)


@pytest.mark.parametrize("value", ["10000.001", "1e400", "1e999999"])
def test_a_size_above_the_maximum_says_the_maximum(value: str) -> None:
    with pytest.raises(BadArgument, match="10,000 ETH at most"):
        sized(value)


def test_a_size_too_small_for_any_grid_is_below_the_minimum() -> None:
    with pytest.raises(BadArgument, match="smallest order"):
        sized("1e-400")


def test_the_smallest_order_meets_minimum_quantity_and_minimum_notional() -> None:
    assert smallest_quantity(ETH_USDT, D(2_300)) == D("0.003")
    assert smallest_quantity(BTC_USDT, D(121_000)) == D("0.001")
    assert smallest_quantity(BTC_COIN, D(20_000)) == 100


def test_the_offset_is_rounded_down_and_never_larger_than_the_primary() -> None:
    assert offset_quantity(ETH_USDT, D(1), D("0.3335")) == D("0.333")
    assert offset_quantity(an_instrument(lot="0.1"), D("0.25"), D(1)) == D("0.2")


def test_a_whole_leg_is_closed_exactly_even_with_dust_below_the_lot() -> None:
    assert share_of_leg(ETH_USDT, D("1.00005"), D(1)) == D("1.00005")
    assert share_of_leg(ETH_USDT, D("1.00005"), D("0.5")) == D("0.5")


def test_the_smallest_fraction_makes_exactly_one_order_or_more() -> None:
    quantity = D("0.007")
    fraction = smallest_fraction(ETH_USDT, quantity)
    assert fraction == D("0.15")
    assert share_of_leg(ETH_USDT, quantity, fraction) == D("0.001")
    assert share_of_leg(ETH_USDT, quantity, fraction - D("0.01")) == 0
    assert smallest_fraction(ETH_USDT, D("0.0005")) == 1
