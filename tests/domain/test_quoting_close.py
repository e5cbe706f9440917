"""Offers to close, and whether a stored offer still holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import AccountId, Hedge, LegRole, UserId
from chatbot.domain.instrument import Instrument
from chatbot.domain.quote import (
    CloseQuote,
    CloseRequest,
    CloseWay,
    CloseWayQuote,
    LegAction,
    PositionPrint,
    Quote,
    QuoteId,
    QuoteKind,
)
from chatbot.domain.quoting import plan_unchanged, quote_close
from chatbot.errors import BadArgument, NotFound
from tests.builders import (
    BTC_COIN,
    ETH_USDT,
    ISOLATED,
    LONG,
    NOW,
    SHORT,
    Number,
    a_book,
    a_hedge,
    a_leg,
    a_market,
    a_pair,
    a_position,
    a_view,
)

D = Decimal
LONG_LEG, SHORT_LEG = a_position(LONG, 1, 2_000), a_position(SHORT, 1, 2_300)


def offered(
    view: AccountView,
    hedge: Hedge | None = None,
    *,
    fraction: Number = 1,
    at: Number | None = None,
    instrument: Instrument = ETH_USDT,
) -> CloseQuote:
    trigger = None if at is None else D(at)
    return quote_close(CloseRequest(instrument.symbol, D(fraction), trigger), hedge, view, instrument)


def way_of(quote: CloseQuote, way: CloseWay) -> CloseWayQuote:
    found = quote.way(way)
    assert found is not None
    return found


def a_paid_pair() -> Hedge:
    return a_hedge(
        a_leg(fees_paid=1, funding="-0.6"), a_leg(LegRole.OFFSET, SHORT, 1, 2_300, fees_paid="1.15")
    )


# --- a pair -------------------------------------------------------------------------------------


def test_a_pair_can_be_closed_in_three_ways_and_offset_first_is_the_default() -> None:
    quote = offered(a_view(LONG_LEG, SHORT_LEG), a_pair())
    assert [way.way for way in quote.ways] == [
        CloseWay.OFFSET_FIRST,
        CloseWay.AT_ONCE,
        CloseWay.OFFSET_ONLY,
    ]
    assert (quote.hedge_number, quote.lock_currency, quote.mark_price) == (3, "USDT", D(2_300))


def test_lifting_most_of_a_hedge_shows_the_liquidation_of_the_leg_left_exposed() -> None:
    """The dust of the other leg has a nearer price, which matters to nobody."""
    long = a_position(LONG, 1, 2_000, mode=ISOLATED)
    short = a_position(SHORT, 1, 2_300, mode=ISOLATED)
    quote = offered(a_view(long, short), a_pair(), fraction="0.999")
    left = way_of(quote, CloseWay.OFFSET_ONLY)
    assert left.exposure_after > 0
    assert left.liquidation_after is not None
    assert left.liquidation_after.price is not None
    assert left.liquidation_after.price < quote.mark_price


def test_the_offset_leg_is_closed_before_the_primary() -> None:
    plans = offered(a_view(LONG_LEG, SHORT_LEG), a_pair()).ways[0].plans
    assert [plan.role for plan in plans] == [LegRole.OFFSET, LegRole.PRIMARY]
    assert [plan.side for plan in plans] == [SHORT, LONG]
    assert {plan.action for plan in plans} == {LegAction.CLOSE}


def test_closing_realizes_the_lock_and_adds_what_was_paid_before() -> None:
    view = a_view(LONG_LEG, SHORT_LEG, mark=2_400, half_spread=1)
    default = offered(view, a_paid_pair()).ways[0]
    assert default.realized == (399 - D("1.1995")) + (-101 - D("1.2005"))
    assert default.total == default.realized - D("2.15") - D("0.6")
    assert default.slippage_cost == -2


def test_between_the_legs_the_primary_stands_alone() -> None:
    quote = offered(a_view(LONG_LEG, SHORT_LEG), a_pair())
    default, at_once = quote.ways[0], way_of(quote, CloseWay.AT_ONCE)
    assert (default.exposure_between, default.exposure_after) == (D(1), D(0))
    assert (at_once.exposure_between, at_once.exposure_after) == (D(0), D(0))
    assert default.liquidation_after is None


def test_lifting_the_hedge_brings_exposure_and_liquidation_back() -> None:
    long = a_position(LONG, 1, 2_000, mode=ISOLATED)
    short = a_position(SHORT, 1, 2_300, mode=ISOLATED)
    lifted = way_of(offered(a_view(long, short), a_pair()), CloseWay.OFFSET_ONLY)
    assert [plan.side for plan in lifted.plans] == [SHORT]
    assert lifted.exposure_after == 1
    assert lifted.liquidation_after is not None
    assert lifted.liquidation_after.price == D(1_800) / D("0.995")
    assert lifted.realized == D("-1.15")


def test_lifting_in_cross_margin_counts_what_the_closed_leg_lost() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, 1, 2_300), wallet=500, mark=2_400)
    lifted = way_of(offered(view, a_pair()), CloseWay.OFFSET_ONLY)
    assert lifted.liquidation_after is not None
    # 500 in the wallet, less 100 lost and 1.20 of fee, stand behind the long.
    assert lifted.liquidation_after.price == (2_000 - D("398.8")) / D("0.995")


def test_a_short_primary_is_closed_last_too() -> None:
    hedge = a_pair(side=SHORT, entry=2_600)
    plans = offered(a_view(a_position(SHORT, 1, 2_600), a_position(LONG, 1, 2_300)), hedge).ways[0].plans
    assert [plan.side for plan in plans] == [LONG, SHORT]


def test_at_a_price_both_legs_wait_for_the_same_trigger() -> None:
    quote = offered(a_view(LONG_LEG, SHORT_LEG, half_spread="2.3"), a_pair(), at="2500.004")
    (way,) = quote.ways
    assert way.way is CloseWay.AT_PRICE
    assert {plan.trigger_price for plan in way.plans} == {D("2500.00")}
    # Ten basis points of slippage as of now, around the trigger.
    assert [plan.expected_price for plan in way.plans] == [D("2502.5"), D("2497.5")]
    assert way.slippage_cost == -5


def test_a_pair_found_on_the_venue_takes_its_elder_leg_for_the_primary() -> None:
    long = replace(LONG_LEG, opened_at=NOW)
    short = replace(SHORT_LEG, quantity=D(2), opened_at=NOW - timedelta(hours=1))
    by_age = offered(a_view(long, short)).ways[0].plans
    assert [plan.side for plan in by_age] == [LONG, SHORT]
    by_size = offered(a_view(replace(long, opened_at=None), replace(short, quantity=D("0.5")))).ways[0].plans
    assert [plan.side for plan in by_size] == [SHORT, LONG]


# --- one leg ------------------------------------------------------------------------------------


def test_a_single_position_has_one_way() -> None:
    quote = offered(a_view(LONG_LEG))
    (way,) = quote.ways
    assert (way.way, way.realized, way.exposure_after) == (CloseWay.SINGLE, 300 - D("1.15"), D(0))
    assert way.total == way.realized
    assert quote.hedge_id is None
    assert quote.warnings == ("Fees and funding before Hedgerow found this position are not counted.",)


def test_a_leg_that_is_gone_already_is_no_error() -> None:
    quote = offered(a_view(LONG_LEG), a_paid_pair())
    assert quote.ways[0].way is CloseWay.SINGLE
    assert quote.warnings == ("Only the long is left; the other leg is gone already.",)


def test_an_inverse_position_realizes_coin() -> None:
    position = a_position(LONG, 1_000, 20_000, instrument=BTC_COIN)
    view = a_view(position, instrument=BTC_COIN, mark=25_000, coin_wallet="0.1")
    quote = offered(view, instrument=BTC_COIN)
    assert quote.lock_currency == "BTC"
    assert quote.ways[0].realized == D("0.01") - D("0.00002")


# --- a part -------------------------------------------------------------------------------------


def test_a_part_is_rounded_down_to_the_lot_on_each_leg() -> None:
    view = a_view(a_position(LONG, "1.001"), a_position(SHORT, "1.000", 2_300))
    default = offered(view, a_pair(quantity="1.001", offset_quantity=1), fraction="0.5").ways[0]
    assert [plan.quantity for plan in default.plans] == [D("0.5"), D("0.5")]
    assert default.exposure_after == D("0.001")
    assert default.liquidation_after is not None


def test_a_full_close_closes_exactly_what_is_there() -> None:
    view = a_view(a_position(LONG, "1.00005"))
    assert offered(view).ways[0].plans[0].quantity == D("1.00005")


def test_a_part_that_rounds_to_nothing_says_the_smallest_that_works() -> None:
    view = a_view(a_position(LONG, "0.007"))
    with pytest.raises(BadArgument, match="take `15%` or more") as refused:
        offered(view, fraction="0.1")
    assert refused.value.example == "/close ETH 15%"
    assert offered(view, fraction="0.15").ways[0].plans[0].quantity == D("0.001")


def test_an_isolated_leg_gives_back_margin_in_step() -> None:
    half = offered(a_view(a_position(mode=ISOLATED)), fraction="0.5").ways[0]
    assert half.liquidation_after is not None
    assert half.liquidation_after.price == D(1_800) / D("0.995")


# --- refusals -----------------------------------------------------------------------------------


def test_nothing_to_close_is_said() -> None:
    with pytest.raises(NotFound, match="nothing to close on ETH"):
        offered(a_view())


@pytest.mark.parametrize("fraction", ["0", "-1", "1.01", "NaN"])
def test_a_fraction_outside_the_leg_is_refused(fraction: str) -> None:
    with pytest.raises(BadArgument, match="at most 100 %"):
        offered(a_view(LONG_LEG), fraction=fraction)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "1e400"])
def test_a_closing_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(BadArgument, match=r"price above zero|too large to be a price"):
        offered(a_view(LONG_LEG), at=price)


def test_a_closing_price_that_is_there_already_is_refused() -> None:
    with pytest.raises(BadArgument, match="`/close ETH`"):
        offered(a_view(LONG_LEG), at=2_300)


def test_closing_into_a_thin_book_is_offered_with_a_warning() -> None:
    quote = offered(a_view(LONG_LEG, depth="0.01"), a_hedge())
    assert quote.warnings == ("The book is too thin to close it all at once; a rest may stay open.",)


def test_a_price_beyond_a_liquidation_is_never_reached() -> None:
    view = a_view(LONG_LEG, a_position(SHORT, 1, 2_300, mode=ISOLATED))
    assert offered(view, a_pair(), at=2_500).warnings == ()
    warnings = offered(view, a_pair(), at=2_600).warnings
    assert warnings == ("The short is liquidated at 2,517.41, before that price is reached.",)


# --- does it still hold? ------------------------------------------------------------------------


def stored(view: AccountView) -> Quote:
    return Quote(
        id=QuoteId("q"),
        kind=QuoteKind.CLOSE,
        user_id=UserId("user"),
        account_id=AccountId("account"),
        chat="console:me",
        request=CloseRequest(ETH_USDT.symbol),
        offer=offered(view),
        positions=tuple(PositionPrint(p.symbol, p.side, p.quantity, p.entry_price) for p in view.positions),
        reference_prices=((ETH_USDT.symbol, D(2_300)),),
        band=D("0.003"),
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=60),
    )


def test_an_offer_holds_while_position_and_price_do() -> None:
    quote = stored(a_view(LONG_LEG))
    assert plan_unchanged(quote, a_view(LONG_LEG, mark="2306.90")) is None
    assert plan_unchanged(quote, a_view(LONG_LEG, mark="2293.10")) is None


def test_a_price_outside_the_band_voids_it_with_both_figures() -> None:
    why = plan_unchanged(stored(a_view(LONG_LEG)), a_view(LONG_LEG, mark="2306.91"))
    assert why == "The price of ETH moved from 2,300.00 to 2,306.91, outside ±0.3 %."


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (a_view(), "is gone"),
        (a_view(a_position(LONG, "0.5", 2_000)), "changed from 1 to 0.5"),
        (a_view(a_position(LONG, 1, 2_100)), "another entry price"),
        (a_view(LONG_LEG, SHORT_LEG), "A short of 1 on ETH has come up"),
    ],
)
def test_a_position_that_changed_voids_it(now: AccountView, why: str) -> None:
    assert why in (plan_unchanged(stored(a_view(LONG_LEG)), now) or "")


def test_what_happens_on_another_market_does_not_matter() -> None:
    quote = stored(a_view(LONG_LEG))
    elsewhere = a_position(LONG, 1_000, 20_000, instrument=BTC_COIN)
    markets = {i.symbol: a_market(i, mark) for i, mark in ((ETH_USDT, 2_300), (BTC_COIN, 20_000))}
    books = {i.symbol: a_book(i, mark) for i, mark in ((ETH_USDT, 2_300), (BTC_COIN, 20_000))}
    view = a_view(LONG_LEG, elsewhere, markets=markets, books=books)
    assert plan_unchanged(quote, view) is None


def test_without_a_price_an_offer_does_not_hold() -> None:
    view = replace(a_view(LONG_LEG), markets={})
    assert plan_unchanged(stored(a_view(LONG_LEG)), view) == "ETH has no price just now."
