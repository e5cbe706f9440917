"""Offers to open a leg."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.hedge import LegRole
from chatbot.domain.instrument import Instrument, MarginMode, PositionMode, PositionSide
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.quote import LegAction, OpenQuote, OpenRequest, Size, SizeUnit
from chatbot.domain.quoting import quote_open
from chatbot.errors import BadArgument, LimitExceeded, NotFound
from tests.builders import (
    BTC_COIN,
    CROSS,
    ETH_USDT,
    ISOLATED,
    LONG,
    SHORT,
    Number,
    a_book,
    a_position,
    a_view,
)

D = Decimal


def a_request(
    side: PositionSide = LONG,
    size: Number = 1,
    *,
    unit: SizeUnit = SizeUnit.BASE,
    instrument: Instrument = ETH_USDT,
    leverage: Number | None = 10,
    mode: MarginMode | None = None,
    stop: Number | None = None,
    target: Number | None = None,
) -> OpenRequest:
    return OpenRequest(
        symbol=instrument.symbol,
        side=side,
        size=Size(unit, D(size)),
        leverage=None if leverage is None else D(leverage),
        margin_mode=mode,
        stop_loss=None if stop is None else D(stop),
        take_profit=None if target is None else D(target),
    )


def offered(
    request: OpenRequest | None = None,
    view: AccountView | None = None,
    *,
    instrument: Instrument = ETH_USDT,
    caps: RiskCaps | None = None,
    hedges_margin: Number = 0,
) -> OpenQuote:
    return quote_open(
        request or a_request(), view or a_view(), instrument, caps or RiskCaps(), D(hedges_margin)
    )


def test_the_plan_is_one_market_order_priced_through_the_book() -> None:
    quote = offered(view=a_view(half_spread=1))
    plan = quote.plan
    assert (plan.role, plan.action, plan.side) == (LegRole.PRIMARY, LegAction.OPEN, LONG)
    assert (plan.quantity, plan.expected_price) == (D(1), D(2_301))
    assert quote.notional == 2_301
    assert plan.fee == D("1.1505")
    assert quote.margin_needed == D("230.1") + plan.fee
    assert quote.margin_free == 10_000


def test_an_isolated_leg_is_liquidated_by_its_own_margin() -> None:
    quote = offered(a_request(mode=ISOLATED))
    assert quote.plan.margin_mode is ISOLATED
    assert quote.liquidation.price == D(2_070) / D("0.995")
    assert quote.liquidation_before is None


def test_the_fee_is_gone_from_what_backs_a_cross_leg() -> None:
    quote = offered(view=a_view(wallet=1_000))
    assert quote.liquidation.price == (D(2_300) - 1_000 + quote.plan.fee) / D("0.995")


def test_adding_to_a_position_shows_the_liquidation_of_the_whole_before_and_after() -> None:
    held = a_position(LONG, 1, 2_000, mode=ISOLATED)
    quote = offered(a_request(leverage=None), a_view(held))
    assert quote.plan.margin_mode is ISOLATED
    assert quote.liquidation_before is not None
    assert quote.liquidation_before.price == D(1_800) / D("0.995")
    # Two at 2,150 with 200 + 230 of margin.
    assert quote.liquidation.price == (2 * D(2_150) - 430) / (2 * D("0.995"))


def test_what_the_venue_would_use_is_taken_where_nothing_was_asked_for() -> None:
    view = a_view(leg_settings={(ETH_USDT.symbol, LONG): LegSetting(D(7), ISOLATED)})
    plan = offered(a_request(leverage=None), view).plan
    assert (plan.leverage, plan.margin_mode) == (D(7), ISOLATED)


def test_a_setting_over_the_cap_is_lowered_but_a_wish_over_the_cap_is_refused() -> None:
    view = a_view(leg_settings={(ETH_USDT.symbol, LONG): LegSetting(D(50), CROSS)})
    assert offered(a_request(leverage=None), view).plan.leverage == 20
    with pytest.raises(LimitExceeded, match=r"leverage cap of 20x.*`/risk leverage 50`"):
        offered(a_request(leverage=50), view)


def test_stops_show_what_they_would_bring_with_both_fees() -> None:
    quote = offered(a_request(stop=2_200, target=2_500))
    assert quote.loss_at_stop == -100 - D("1.15") - D("1.1")
    assert quote.gain_at_target == 200 - D("1.15") - D("1.25")


def test_stops_are_brought_to_the_grid() -> None:
    assert offered(a_request(stop="2200.004")).plan.stop_loss == D("2200.00")


@pytest.mark.parametrize(
    ("side", "stop", "target", "where"),
    [
        (LONG, 2_400, None, "stop-loss of a long lies below"),
        (LONG, 2_300, None, "stop-loss of a long lies below"),
        (LONG, None, 2_200, "take-profit of a long lies above"),
        (SHORT, 2_200, None, "stop-loss of a short lies above"),
        (SHORT, None, 2_400, "take-profit of a short lies below"),
    ],
)
def test_a_stop_on_the_wrong_side_is_refused(
    side: PositionSide, stop: int | None, target: int | None, where: str
) -> None:
    with pytest.raises(BadArgument, match=f"{where} the price, which is 2,300.00"):
        offered(a_request(side, stop=stop, target=target))


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "1e400", "0.001"])
def test_a_stop_that_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(BadArgument, match=r"price above zero|too large to be a price"):
        offered(a_request(stop=price))


def test_one_way_mode_is_refused_with_what_to_do() -> None:
    with pytest.raises(LimitExceeded, match="can switch to hedge mode now"):
        offered(view=a_view(position_mode=PositionMode.ONE_WAY))


def test_the_opposite_of_a_position_is_a_hedge_and_not_an_opening() -> None:
    with pytest.raises(BadArgument, match="opposite leg is a hedge") as refused:
        offered(view=a_view(a_position(SHORT)))
    assert refused.value.example == "/hedge ETH"


def test_a_hedged_symbol_takes_no_opening() -> None:
    with pytest.raises(LimitExceeded, match="hedged already"):
        offered(view=a_view(a_position(LONG), a_position(SHORT)))


def test_margin_beyond_what_is_free_is_refused_with_both_figures() -> None:
    with pytest.raises(LimitExceeded, match=r"needs 231\.15 USDT of margin and 98\.00 USDT can be used"):
        offered(view=a_view(wallet=100))


def test_the_reserve_is_never_used() -> None:
    enough = D("231.15") / D("0.98")
    caps = RiskCaps(hedge_share=None)
    offered(view=a_view(wallet=enough + D("0.01")), caps=caps)
    with pytest.raises(LimitExceeded, match="2 % of equity stays in reserve"):
        offered(view=a_view(wallet=enough - D("0.01")), caps=caps)


def test_all_of_the_free_margin_can_be_used_as_a_share() -> None:
    quote = offered(
        a_request(size=1, unit=SizeUnit.SHARE),
        a_view(half_spread=1),
        caps=RiskCaps(hedge_share=None),
    )
    assert D(9_790) < quote.margin_needed <= D(9_800)


def test_the_allocation_cap_counts_what_hedges_hold_already() -> None:
    offered(hedges_margin=7_700)
    with pytest.raises(LimitExceeded, match=r"80\.3 % of your equity.* cap of 80 %.*`/risk share 81%`"):
        offered(hedges_margin=7_800)


def test_the_notional_cap_counts_the_whole_position() -> None:
    caps = RiskCaps(notional=D(4_000))
    offered(caps=caps)
    with pytest.raises(LimitExceeded, match=r"`/risk notional 4600`"):
        offered(view=a_view(a_position(LONG, 1, 2_300)), caps=caps)


def test_leverage_above_what_the_size_allows_is_refused() -> None:
    caps = RiskCaps(leverage=None, hedge_share=None)
    with pytest.raises(LimitExceeded, match="allows 75x at most for this size"):
        offered(a_request(size=30, leverage=100), a_view(wallet=100_000), caps=caps)


@pytest.mark.parametrize("leverage", ["0", "-3", "0.5", "NaN"])
def test_leverage_below_one_is_refused(leverage: str) -> None:
    with pytest.raises(BadArgument, match="1x or more"):
        offered(a_request(leverage=leverage))


def test_a_book_too_thin_is_refused_with_what_it_offers() -> None:
    with pytest.raises(LimitExceeded, match=r"too thin for 1 ETH: it offers 0\.5 ETH"):
        offered(view=a_view(depth="0.05"))


def test_another_margin_mode_than_the_positions_is_refused() -> None:
    with pytest.raises(BadArgument, match="is cross; add to it in cross"):
        offered(a_request(mode=ISOLATED), a_view(a_position(LONG)))


def test_the_leverage_of_an_isolated_position_cannot_be_lowered_while_it_is_open() -> None:
    view = a_view(a_position(LONG, mode=ISOLATED, leverage=10))
    with pytest.raises(BadArgument, match="isolated long on ETH has 10x, which cannot be lowered"):
        offered(a_request(leverage=5), view)
    assert offered(a_request(leverage=20), view).plan.leverage == 20


def test_a_lower_leverage_takes_margin_for_the_cross_position_it_adds_to() -> None:
    view = a_view(a_position(LONG, 1, 2_300, leverage=10))
    same, lower = offered(a_request(leverage=10), view), offered(a_request(leverage=5), view)
    assert same.margin_needed == 230 + same.plan.fee
    assert lower.margin_needed == 460 + 230 + lower.plan.fee
    assert lower.warnings == ("Leverage of your open long changes from 10x to 5x.",)


def test_margin_that_only_the_new_part_would_find_is_refused() -> None:
    view = a_view(a_position(LONG, 10, 2_300, leverage=10), wallet=3_000)
    with pytest.raises(LimitExceeded, match=r"needs 2,346\.12 USDT of margin"):
        offered(a_request(size="0.1", leverage=5), view)


def test_where_margin_lacks_the_size_that_fits_is_told_and_fits() -> None:
    view = a_view(wallet=1_000)
    with pytest.raises(LimitExceeded, match=r"take 4\.239 ETH or less or add money"):
        offered(a_request(size=10), view, caps=RiskCaps(hedge_share=None))
    assert offered(a_request(size="4.239"), view, caps=RiskCaps(hedge_share=None)).plan.quantity == D("4.239")


def test_where_not_even_one_order_fits_nothing_smaller_is_suggested() -> None:
    with pytest.raises(LimitExceeded, match="close something or add money"):
        offered(a_request(size=1), a_view(wallet="0.1"))


def test_without_price_or_book_nothing_is_offered() -> None:
    view = a_view()
    with pytest.raises(NotFound, match="no price"):
        offered(view=replace(view, markets={}))
    with pytest.raises(NotFound, match="quoting"):
        offered(view=replace(view, books={}))
    empty = replace(a_book(), bids=())
    with pytest.raises(NotFound, match="quoting"):
        offered(view=replace(view, books={ETH_USDT.symbol: empty}))


def test_an_inverse_leg_is_paid_with_its_coin() -> None:
    request = a_request(size="0.05", instrument=BTC_COIN)
    view = a_view(instrument=BTC_COIN, mark=20_000, coin_wallet="0.1")
    quote = offered(request, view, instrument=BTC_COIN)
    assert (quote.plan.quantity, quote.notional) == (D(1_000), D("0.05"))
    assert quote.margin_needed == D("0.005") + D("0.000025")
    assert quote.margin_free == D("0.1")


def test_without_its_coin_an_inverse_leg_is_refused() -> None:
    view = a_view(instrument=BTC_COIN, mark=20_000)
    with pytest.raises(LimitExceeded, match="deposit BTC first"):
        offered(a_request(size="0.05", instrument=BTC_COIN), view, instrument=BTC_COIN)


# --- warnings -----------------------------------------------------------------------------------


def test_a_calm_offer_warns_of_nothing() -> None:
    assert offered(a_request(leverage=5)).warnings == ()


def test_a_liquidation_close_by_is_warned_of() -> None:
    warnings = offered(a_request(leverage=20, mode=ISOLATED)).warnings
    assert warnings == ("The long is 4.5 % from its liquidation at 2,195.98.",)


def test_a_stop_beyond_the_liquidation_is_warned_of() -> None:
    warnings = offered(a_request(leverage=5, mode=ISOLATED, stop=1_500)).warnings
    assert warnings == ("The stop-loss lies beyond the liquidation at 1,849.25.",)


def test_a_rounded_size_and_a_changed_leverage_are_told() -> None:
    view = a_view(a_position(LONG, 1, 2_300, leverage=5))
    warnings = offered(a_request(size="0.5009"), view).warnings
    assert warnings == (
        "Rounded down to 0.5 ETH (steps of 0.001 ETH).",
        "Leverage of your open long changes from 5x to 10x.",
    )


def test_heavy_slippage_is_told() -> None:
    warnings = offered(view=a_view(half_spread=10)).warnings
    assert warnings == ("The book is thin: this order slips about 0.43 %.",)
