"""Walking the order book."""

from __future__ import annotations

from decimal import Decimal

from chatbot.domain.instrument import OrderSide
from tests.builders import a_book

D = Decimal
BOOK = a_book(mid=2_300, half_spread=1, depth=2, step=1, levels=3)


def test_a_buyer_pays_the_asks_from_the_best_on() -> None:
    fill = BOOK.walk(OrderSide.BUY, D(3))
    assert fill.average_price == (2 * D(2_301) + D(2_302)) / 3
    assert fill.complete


def test_a_seller_gets_the_bids_from_the_best_on() -> None:
    fill = BOOK.walk(OrderSide.SELL, D(3))
    assert fill.average_price == (2 * D(2_299) + D(2_298)) / 3


def test_slippage_is_the_distance_from_mid_in_basis_points() -> None:
    assert BOOK.walk(OrderSide.BUY, D(1)).slippage_bps == D(1) / 2_300 * 10_000


def test_a_thin_book_fills_what_it_has_and_says_so() -> None:
    fill = BOOK.walk(OrderSide.BUY, D(7))
    assert (fill.quantity, fill.complete) == (D(6), False)
    assert fill.average_price == 2_302


def test_an_empty_side_fills_nothing_at_mid() -> None:
    fill = BOOK.walk(OrderSide.BUY, D(0))
    assert (fill.quantity, fill.average_price, fill.complete) == (D(0), D(2_300), True)
