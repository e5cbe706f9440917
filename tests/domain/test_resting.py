"""What rests on the exchange already, told on an offer to close; prices that can only be typing errors."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import LegRole
from chatbot.domain.instrument import PositionSide
from chatbot.domain.intent import Purpose, client_order_id
from chatbot.domain.order import OrderReport, OrderType
from chatbot.errors import BadArgument
from tests.builders import LONG, SHORT, Number, a_pair, a_position, a_view
from tests.domain.test_quoting_adjust import resting
from tests.domain.test_quoting_close import offered

D = Decimal
HEDGE = a_pair()


def ours(side: PositionSide, price: Number, quantity: Number = 1) -> OrderReport:
    role = LegRole.PRIMARY if side is LONG else LegRole.OFFSET
    order_id = client_order_id(HEDGE.id, role, Purpose.CLOSE_AT_PRICE, 1)
    return replace(resting(side, OrderType.TRIGGER, price, order_id), quantity=D(quantity))


def pair_with(*orders: OrderReport) -> AccountView:
    return a_view(a_position(LONG, 1, 2_000), a_position(SHORT, 1, 2_300), open_orders=orders)


def told(*orders: OrderReport, at: Number | None = None, fraction: Number = 1) -> tuple[str, ...]:
    return offered(pair_with(*orders), HEDGE, at=at, fraction=fraction).warnings


@pytest.mark.parametrize(
    ("kind", "name"), [(OrderType.STOP_LOSS, "stop-loss"), (OrderType.TRIGGER, "closing order")]
)
def test_a_stop_on_the_way_to_the_closing_price_is_warned_of(kind: OrderType, name: str) -> None:
    assert told(resting(SHORT, kind, 2_400), at=2_500) == (
        f"The {name} of the short at 2,400.00 fires before that price and leaves the long naked.",
    )


def test_a_take_profit_on_the_way_down_is_warned_of_too() -> None:
    assert told(resting(SHORT, OrderType.TAKE_PROFIT, 2_100), at=2_000) == (
        "The take-profit of the short at 2,100.00 fires before that price and leaves the long naked.",
    )


def test_a_stop_at_the_closing_price_itself_leaves_nobody_naked() -> None:
    assert told(resting(SHORT, OrderType.STOP_LOSS, 2_500), at=2_500) == (
        "The stop-loss of the short at 2,500.00 fires at that price too.",
    )


def test_stops_beyond_the_closing_price_or_behind_the_mark_are_no_news() -> None:
    beyond, behind = (
        resting(SHORT, OrderType.STOP_LOSS, 2_600),
        resting(LONG, OrderType.STOP_LOSS, 2_100),
    )
    assert told(beyond, behind, at=2_500) == ()


def test_a_single_position_has_no_other_leg_to_leave_naked() -> None:
    view = a_view(a_position(LONG, 1, 2_000), open_orders=(resting(LONG, OrderType.TAKE_PROFIT, 2_400),))
    assert (
        "The take-profit of the long at 2,400.00 fires before that price." in offered(view, at=2_500).warnings
    )


def test_an_earlier_closing_price_is_named_by_the_one_that_replaces_it() -> None:
    assert told(ours(LONG, 2_600), ours(SHORT, 2_600), at=2_500) == (
        "It replaces the closing orders at 2,600.00.",
    )


def test_a_full_closing_price_that_gives_way_to_a_part_is_told() -> None:
    assert told(ours(LONG, 2_600), ours(SHORT, 2_600), at=2_500, fraction="0.5") == (
        "It replaces the closing orders at 2,600.00: they close 100 %, it 50 %.",
    )


def test_a_closing_order_of_ours_is_no_obstacle_to_its_heir() -> None:
    (only,) = told(ours(LONG, 2_400), at=2_500)
    assert only == "It replaces the closing order at 2,400.00."


def test_whoever_lifts_a_hedge_is_told_that_the_other_closing_order_stays() -> None:
    assert told(ours(LONG, 2_600), ours(SHORT, 2_600)) == (
        "Only the offset: the closing order of the long at 2,600.00 stays.",
    )


@pytest.mark.parametrize(
    ("price", "how"),
    [(23_001, "more than 10 times the mark price"), (229, "less than a tenth of the mark price")],
)
def test_a_closing_price_that_can_only_be_a_typing_error_is_refused(price: int, how: str) -> None:
    with pytest.raises(BadArgument, match=f"{how}, 2,300.00. Check the typing."):
        offered(pair_with(), HEDGE, at=price)


@pytest.mark.parametrize("price", [23_000, 230])
def test_ten_times_away_is_still_a_price(price: int) -> None:
    assert offered(pair_with(), HEDGE, at=price).ways


def test_a_price_of_a_thousand_digits_is_too_large() -> None:
    with pytest.raises(BadArgument, match="The closing price is too large to be a price"):
        offered(pair_with(), HEDGE, at="1e400")
