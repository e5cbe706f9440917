"""Offers to set, move and remove stops: on the right leg, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge, LegRole
from chatbot.domain.intent import Purpose, client_order_id
from chatbot.domain.order import OrderReport, OrderType
from chatbot.domain.quote import LegAction, LegName, StopsQuote, StopsRequest
from chatbot.domain.quoting import quote_stops
from chatbot.errors import BadArgument, NotFound
from tests.builders import ETH_USDT, ISOLATED, LONG, SHORT, Number, a_hedge, a_leg, a_pair, a_position, a_view
from tests.domain.test_quoting_adjust import resting

D = Decimal
LONG_LEG, SHORT_LEG = a_position(LONG, 1, 2_000), a_position(SHORT, 1, 2_300)
STOP, TARGET = Purpose.STOP_LOSS, Purpose.TAKE_PROFIT


def offered(
    view: AccountView | None = None,
    *,
    leg: LegName | None = None,
    sl: Number | None = None,
    tp: Number | None = None,
    remove: tuple[Purpose, ...] = (),
    hedge: Hedge | None = None,
) -> StopsQuote:
    request = StopsRequest(
        ETH_USDT.symbol, leg, None if sl is None else D(sl), None if tp is None else D(tp), remove
    )
    return quote_stops(request, hedge or a_pair(), view or a_view(LONG_LEG, SHORT_LEG), ETH_USDT)


def ours(price: Number, purpose: Purpose = STOP, role: LegRole = LegRole.PRIMARY) -> OrderReport:
    kind = OrderType.STOP_LOSS if purpose is STOP else OrderType.TAKE_PROFIT
    side = LONG if role is LegRole.PRIMARY else SHORT
    return resting(side, kind, price, client_order_id(a_pair().id, role, purpose, 1))


def test_the_price_itself_tells_which_leg_is_meant() -> None:
    assert offered(sl=2_000).plans[0].side is LONG
    assert offered(sl=2_600).plans[0].side is SHORT
    assert offered(tp=2_600).plans[0].side is LONG
    assert offered(tp=2_000).plans[0].side is SHORT


def test_two_prices_that_mean_two_legs_need_a_name() -> None:
    with pytest.raises(BadArgument, match="name the one"):
        offered(sl=2_000, tp=2_100)


def test_a_stop_on_the_wrong_side_of_the_price_is_refused() -> None:
    with pytest.raises(BadArgument, match="stop-loss of a long lies below"):
        offered(leg=LONG, sl=2_600)
    with pytest.raises(BadArgument, match="take-profit of a short lies below"):
        offered(leg=LegRole.OFFSET, tp=2_600)


def test_nothing_is_traded_and_the_whole_leg_is_covered() -> None:
    plan = offered(sl=2_100).plans[0]
    assert (plan.action, plan.quantity, plan.stop_loss, plan.replaces) == (
        LegAction.KEEP,
        D(1),
        D(2_100),
        (STOP,),
    )


def test_the_result_of_the_leg_at_its_stop_is_told() -> None:
    (change,) = offered(sl=2_100).changes
    assert change.result == D(100) - ETH_USDT.taker_fee_rate * 2_100


def test_a_moved_stop_tells_where_it_was() -> None:
    view = a_view(LONG_LEG, SHORT_LEG, open_orders=(ours(1_900),))
    (change,) = offered(view, sl=2_100).changes
    assert (change.before, change.after) == ((D(1_900),), D(2_100))


def test_a_stop_at_its_own_price_is_no_change_unless_it_covers_less_than_the_leg() -> None:
    with pytest.raises(BadArgument, match="is at 1,900"):
        offered(a_view(LONG_LEG, SHORT_LEG, open_orders=(ours(1_900),)), sl=1_900)
    larger = a_view(a_position(LONG, 2, 2_000), SHORT_LEG, open_orders=(ours(1_900),))
    assert offered(larger, sl=1_900).plans[0].quantity == D(2)


def test_a_stop_is_removed_where_there_is_one_of_ours() -> None:
    view = a_view(LONG_LEG, SHORT_LEG, open_orders=(ours(1_900),))
    quote = offered(view, remove=(STOP,))
    assert (quote.plans[0].side, quote.changes[0].after) == (LONG, None)
    with pytest.raises(NotFound, match="no take-profit that I could remove"):
        offered(view, leg=LONG, remove=(TARGET,))


def test_both_legs_with_such_a_stop_need_a_name() -> None:
    view = a_view(LONG_LEG, SHORT_LEG, open_orders=(ours(1_900), ours(2_600, role=LegRole.OFFSET)))
    with pytest.raises(BadArgument, match="name the one"):
        offered(view, remove=(STOP,))
    assert offered(view, leg=SHORT, remove=(STOP,)).plans[0].side is SHORT


def test_a_stop_that_was_set_outside_the_bot_stays_and_is_told() -> None:
    foreign = resting(LONG, OrderType.STOP_LOSS, 1_800, "web_1")
    quote = offered(a_view(LONG_LEG, SHORT_LEG, open_orders=(foreign,)), sl=2_100)
    assert quote.changes[0].before == ()
    assert "The stop-loss at 1,800.00 was set outside the bot and stays." in quote.warnings


def test_one_stop_of_a_pair_leaves_the_other_leg_naked_and_says_so() -> None:
    assert "A stop on the long alone leaves the short naked when it fires." in offered(sl=2_100).warnings
    alone = offered(a_view(LONG_LEG), sl=2_100, hedge=a_hedge(a_leg()))
    assert alone.warnings == ()


def test_a_stop_beyond_the_liquidation_is_warned_of() -> None:
    isolated = a_position(LONG, 1, 2_300, mode=ISOLATED)
    quote = offered(a_view(isolated), sl=1_500, hedge=a_hedge(a_leg(entry=2_300)))
    assert any("beyond the liquidation" in warning for warning in quote.warnings)


def test_set_and_remove_at_once_is_a_contradiction_and_nothing_at_all_too() -> None:
    with pytest.raises(BadArgument, match="not both"):
        offered(leg=LONG, sl=2_100, remove=(STOP,))
    with pytest.raises(BadArgument, match="a stop to set"):
        offered(leg=LONG)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "1E+400"])
def test_a_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(BadArgument, match=r"price above zero|too large to be a price"):
        offered(sl=price)
