"""Profit and loss, against the worked examples of the arithmetic."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.pnl import (
    apply_fill,
    closing_costs,
    fee,
    gross_lock,
    lock_now,
    net_lock_now,
    open_pnl,
    totals,
    unrealized_pnl,
)
from chatbot.errors import InvariantBroken
from tests.builders import BTC_COIN, ETH_USDT, LONG, SHORT, a_book, a_hedge, a_leg, a_pair, decimals

D = Decimal


def test_a_long_gains_what_the_price_rises() -> None:
    assert unrealized_pnl(ETH_USDT, LONG, D(1), D(2_000), D(2_300)) == 300
    assert unrealized_pnl(ETH_USDT, SHORT, D(1), D(2_000), D(2_300)) == -300


def test_an_inverse_long_gains_coin_and_ever_less_of_it() -> None:
    doubled = unrealized_pnl(BTC_COIN, LONG, D(1_000), D(20_000), D(40_000))
    assert doubled == D("0.025")
    assert unrealized_pnl(BTC_COIN, LONG, D(1_000), D(20_000), D(80_000)) == D("0.0375")
    assert unrealized_pnl(BTC_COIN, SHORT, D(1_000), D(20_000), D(40_000)) == -doubled


def test_nothing_held_gains_nothing_whatever_its_entry() -> None:
    assert unrealized_pnl(BTC_COIN, LONG, D(0), D(0), D(40_000)) == 0


def test_a_fee_is_a_share_of_the_notional_of_the_fill() -> None:
    assert fee(ETH_USDT, D(1), D(2_300)) == D("1.15")
    assert fee(ETH_USDT, D(1), D(2_300), rate=ETH_USDT.maker_fee_rate) == D("0.46")
    assert fee(BTC_COIN, D(1_000), D(20_000)) == D("0.000025")


# --- fills --------------------------------------------------------------------------------------


def test_adding_to_a_leg_averages_its_entry_and_pays_the_fee() -> None:
    leg = a_leg(quantity=1, entry=2_000, fees_paid=1)
    leg = apply_fill(leg, ETH_USDT, opens=True, quantity=D(3), price=D(2_400), fee=D("3.6"))
    assert (leg.quantity, leg.entry_price, leg.fees_paid, leg.realized_pnl) == decimals(4, 2_300, D("4.6"), 0)


def test_adding_to_an_inverse_leg_averages_harmonically() -> None:
    leg = a_leg(quantity=1_000, entry=20_000)
    leg = apply_fill(leg, BTC_COIN, opens=True, quantity=D(1_000), price=D(40_000), fee=D(0))
    assert leg.entry_price == D(2_000) / D("0.075")
    # The same PnL as the two fills apart: that is what an average entry is for.
    apart = unrealized_pnl(BTC_COIN, LONG, D(1_000), D(20_000), D(50_000)) + unrealized_pnl(
        BTC_COIN, LONG, D(1_000), D(40_000), D(50_000)
    )
    together = unrealized_pnl(BTC_COIN, LONG, leg.quantity, leg.entry_price, D(50_000))
    assert together == pytest.approx(apart, abs=D("1e-20"))


def test_closing_a_part_realizes_it_and_leaves_the_entry() -> None:
    leg = a_leg(side=SHORT, quantity=2, entry=2_300)
    leg = apply_fill(leg, ETH_USDT, opens=False, quantity=D("0.5"), price=D(2_400), fee=D("0.6"))
    assert (leg.quantity, leg.entry_price, leg.realized_pnl, leg.fees_paid) == decimals(
        D("1.5"),
        2_300,
        -50,
        D("0.6"),
    )


def test_a_closed_leg_remembers_its_entry_and_starts_afresh_when_opened_again() -> None:
    leg = a_leg(quantity=1, entry=2_000)
    closed = apply_fill(leg, ETH_USDT, opens=False, quantity=D(1), price=D(2_100), fee=D(1))
    assert (closed.quantity, closed.entry_price, closed.realized_pnl) == decimals(0, 2_000, 100)
    again = apply_fill(closed, ETH_USDT, opens=True, quantity=D(1), price=D(2_500), fee=D(1))
    assert (again.entry_price, again.realized_pnl, again.fees_paid) == decimals(2_500, 100, 2)


def test_closing_more_than_the_leg_holds_is_a_contradiction() -> None:
    with pytest.raises(InvariantBroken, match="holds 1"):
        apply_fill(a_leg(quantity=1), ETH_USDT, opens=False, quantity=D("1.001"), price=D(2_000), fee=D(0))


@pytest.mark.parametrize(("quantity", "price"), [(0, 2_000), (-1, 2_000), (1, 0), (1, -5)])
def test_a_fill_without_quantity_or_price_is_a_contradiction(quantity: int, price: int) -> None:
    with pytest.raises(InvariantBroken):
        apply_fill(a_leg(), ETH_USDT, opens=True, quantity=D(quantity), price=D(price), fee=D(0))


# --- the pair -----------------------------------------------------------------------------------


def test_the_gross_lock_is_the_distance_of_the_entries() -> None:
    assert gross_lock(ETH_USDT, LONG, D(1), D(2_000), D(2_300)) == 300
    assert gross_lock(ETH_USDT, SHORT, D(1), D(2_300), D(2_000)) == 300


def test_an_inverse_pair_locks_coin() -> None:
    locked = gross_lock(BTC_COIN, LONG, D(1_000), D(20_000), D(25_000))
    assert locked == D("0.01")
    assert open_pnl(_inverse_pair(), BTC_COIN, D(90_000)) == pytest.approx(locked, abs=D("1e-25"))


def _inverse_pair() -> Hedge:
    return a_pair(quantity=1_000, entry=20_000, offset_entry=25_000, instrument=BTC_COIN)


def test_the_worked_example_of_a_lock_nets_295_55() -> None:
    hedge = a_hedge(a_leg(fees_paid="1.00"), a_leg(LegRole.OFFSET, SHORT, 1, 2_300, fees_paid="1.15"))
    lock = lock_now(hedge, ETH_USDT, D(2_300), a_book(mid=2_300))
    assert (lock.gross, lock.fees_paid, lock.fees_to_close, lock.spread_cost) == decimals(
        300,
        D("-2.15"),
        D("-2.30"),
        0,
    )
    assert lock.net == D("295.55")
    assert net_lock_now(hedge, ETH_USDT, D(2_300)) == D("295.55")


def test_a_spread_is_crossed_by_both_legs() -> None:
    costs = closing_costs(ETH_USDT, D(2), D(2_300), a_book(mid=2_300, half_spread="0.5"))
    assert costs.spread == -2
    assert costs.fees == -(D("2.29950") + D("2.3005"))


def test_closing_into_a_thin_book_costs_its_slippage_too() -> None:
    # Half of it fills one step away from the first level, on either side.
    book = a_book(mid=2_300, half_spread=1, depth=1, step=2)
    assert closing_costs(ETH_USDT, D(2), D(2_300), book).spread == -(2 * (1 + 3))


def test_what_one_leg_holds_beyond_the_other_floats_and_is_not_locked() -> None:
    hedge = a_pair(quantity=1, offset_quantity="0.6")
    lock = lock_now(hedge, ETH_USDT, D(2_500))
    assert (lock.quantity, lock.gross) == decimals(D("0.6"), 180)
    assert lock.floating == D("0.4") * 500


def test_without_a_second_leg_nothing_is_locked() -> None:
    lock = lock_now(a_hedge(a_leg(fees_paid=1, funding="-0.5")), ETH_USDT, D(2_300))
    assert (lock.gross, lock.fees_to_close, lock.floating, lock.net) == decimals(0, 0, 300, D("-1.5"))


def test_a_leg_closed_earlier_stays_in_the_lock_by_what_it_realized() -> None:
    hedge = a_hedge(a_leg(), a_leg(LegRole.OFFSET, SHORT, 1, 2_300, realized=-40, funding=2, fees_paid=3))
    assert lock_now(hedge, ETH_USDT, D(2_300)).net == 300 - 40 + 2 - 3 - D("2.30")


def test_the_result_of_a_closed_hedge_is_realized_less_fees_plus_funding() -> None:
    hedge = a_hedge(
        a_leg(quantity=0, realized=411, fees_paid="2.2", funding="-1.5"),
        a_leg(LegRole.OFFSET, SHORT, 0, realized="-114.1", fees_paid="2.3", funding="1.2"),
    )
    assert totals(hedge).net == D(411) - D("114.1") - D("4.5") - D("0.3")
