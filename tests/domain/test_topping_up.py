"""Margin for an isolated leg: what it does, how much to suggest, whether it has arrived."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatbot.domain.account import AccountView, Position
from chatbot.domain.hedge import LegRole
from chatbot.domain.instrument import PositionSide
from chatbot.domain.quote import LegName, MarginQuote, MarginRequest
from chatbot.domain.quoting import quote_margin
from chatbot.domain.topping_up import has_arrived, liquidation_with, suggested_top_up
from chatbot.errors import BadArgument, LimitExceeded, NotFound
from tests.builders import ETH_USDT, ISOLATED, LONG, SHORT, Number, a_pair, a_position, a_view

D = Decimal
LEVELS = (D("0.20"), D("0.10"), D("0.05"))


def isolated(side: PositionSide = LONG, entry: Number = 2_000, leverage: Number = 10) -> Position:
    return a_position(side, 1, entry, mode=ISOLATED, leverage=leverage)


def offered(amount: Number, leg: LegName = LONG, view: AccountView | None = None) -> MarginQuote:
    view = view or a_view(isolated(), a_position(SHORT, 1, 2_300), mark=2_000)
    return quote_margin(MarginRequest(ETH_USDT.symbol, leg, D(amount)), a_pair(), view, ETH_USDT)


def test_the_liquidation_moves_as_the_formula_says() -> None:
    """Isolated long 1 ETH at 2,000, 10x: (2,000 − 200 − a) / (1 − m); with 60 more (2,000 − 260) / 0.995."""
    quote = offered(60)
    assert quote.liquidation_before.price == pytest.approx(D(1_800) / D("0.995"))
    assert quote.liquidation_after.price == pytest.approx(D(1_740) / D("0.995"))
    assert (quote.margin_before, quote.plan.margin) == (D(200), D(60))


def test_the_leg_is_named_by_role_or_side() -> None:
    assert offered(60, LegRole.PRIMARY).plan.side is LONG
    with pytest.raises(NotFound, match="no short"):
        offered(60, SHORT, a_view(isolated(), mark=2_000))


def test_a_cross_leg_is_backed_by_the_whole_account() -> None:
    with pytest.raises(LimitExceeded, match="cross margin"):
        offered(60, SHORT)


def test_no_more_than_is_free_and_no_less_than_a_cent() -> None:
    with pytest.raises(LimitExceeded, match="are free"):
        offered(1_000_000)
    with pytest.raises(BadArgument, match="smallest amount"):
        offered("0.001")
    assert offered("60.019").plan.margin == D("60.01")


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_an_amount_that_is_none_is_refused(amount: str) -> None:
    with pytest.raises(BadArgument, match="more than zero"):
        offered(amount)


# --- a suggestion -------------------------------------------------------------------------------


def suggestion(position: Position, mark: Number, wallet: Number = 10_000) -> Decimal | None:
    return suggested_top_up(ETH_USDT, position, a_view(position, mark=mark, wallet=wallet), LEVELS)


def test_what_is_far_from_its_liquidation_needs_nothing() -> None:
    assert suggestion(isolated(), 2_600) is None


def test_a_cross_leg_gets_no_suggestion() -> None:
    assert suggestion(a_position(LONG, 10, 2_000), 1_850, wallet=3_000) is None


def test_less_is_suggested_where_less_is_free_and_nothing_where_nothing_is() -> None:
    rich, poor = suggestion(isolated(), 1_900), suggestion(isolated(), 1_900, wallet=230)
    assert rich is not None and poor is not None
    assert poor <= D(30) < rich
    assert suggestion(isolated(), 1_900, wallet=200) is None


@given(
    side=st.sampled_from(list(PositionSide)),
    leverage=st.integers(2, 20),
    away=st.decimals("0.005", "0.199", places=4),
)
def test_a_suggestion_takes_the_leg_half_as_far_again_and_over_its_level(
    side: PositionSide, leverage: int, away: Decimal
) -> None:
    position = isolated(side, leverage=leverage)
    end = liquidation_with(ETH_USDT, position, a_view(position, mark=2_000), D(0)).price
    assert end is not None
    mark = (end / (1 - side.sign * away)).quantize(D("0.01"))
    view = a_view(position, mark=mark, wallet=100_000)
    before = liquidation_with(ETH_USDT, position, view, D(0)).distance
    assert before is not None
    assume(before < LEVELS[0])
    amount = suggested_top_up(ETH_USDT, position, view, LEVELS)
    assert amount is not None
    after = liquidation_with(ETH_USDT, position, view, amount).distance
    reached = min(level for level in LEVELS if before <= level)
    tiny = D("0.0001")
    assert after is None or after >= max(before * D("1.5"), reached * D("1.1")) - tiny


# --- evidence -----------------------------------------------------------------------------------


@given(
    before=st.decimals("1", "10000", places=2),
    amount=st.decimals("0.01", "5000", places=2),
    funding=st.decimals("-50", "50", places=4),
    arrived=st.booleans(),
)
def test_the_margin_of_the_leg_tells_whether_it_arrived(
    before: Decimal, amount: Decimal, funding: Decimal, arrived: bool
) -> None:
    now = before + funding + (amount if arrived else 0)
    assert has_arrived(before=before, now=now, amount=amount, funding=funding) is arrived
