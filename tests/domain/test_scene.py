"""Where a leg is liquidated once it stands alone."""

from __future__ import annotations

from decimal import Decimal

from chatbot.domain.margin import leg_liquidation
from chatbot.domain.quote import LiquidationSource
from chatbot.domain.scene import liquidation_alone
from tests.builders import CROSS, ISOLATED, LONG, SHORT, a_position, a_view, an_instrument

D = Decimal
FLAT = an_instrument()  # one tier of 0.5 %


def test_a_cross_leg_alone_has_the_accounts_money_and_no_others_maintenance() -> None:
    """Without the short: (1,000 - 20,000) / (0.05 - 10)."""
    long = a_position(LONG, 10, 2_000, instrument=FLAT, liquidation_price=9_999)
    short = a_position(SHORT, 10, 2_000, instrument=FLAT, liquidation_price=9_999)
    view = a_view(long, short, wallet=1_000, mark=2_000, instrument=FLAT)

    alone = liquidation_alone(view, FLAT, long)

    assert alone.price is not None
    assert round(alone.price, 2) == D("1909.55")
    assert alone.source is LiquidationSource.COMPUTED


def test_an_isolated_opposite_takes_its_own_margin_with_it() -> None:
    """The money behind the cross leg is the same before and after: what the exchange tells still holds."""
    long = a_position(LONG, 1, 2_000, mode=CROSS, instrument=FLAT)
    short = a_position(SHORT, 1, 2_000, mode=ISOLATED, leverage=2, instrument=FLAT)
    view = a_view(long, short, wallet=1_500, mark=2_000, instrument=FLAT)

    alone = liquidation_alone(view, FLAT, long)

    assert alone == leg_liquidation(FLAT, long, view)
    assert alone.price is not None
    # 500 back it: the other 1,000 are the short's.
    assert round(alone.price, 2) == round((2_000 - D(500)) / (1 - D("0.005")), 2)


def test_an_isolated_leg_does_not_care_for_the_other() -> None:
    long = a_position(LONG, 1, 2_000, mode=ISOLATED, instrument=FLAT)
    short = a_position(SHORT, 1, 2_000, instrument=FLAT)
    view = a_view(long, short, wallet=1_500, mark=2_000, instrument=FLAT)

    alone = liquidation_alone(view, FLAT, long)

    assert alone.price is not None
    assert round(alone.price, 2) == D("1809.05")
