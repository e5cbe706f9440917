from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.instrument import PositionMode, Symbol
from chatbot.domain.market import OrderBook
from chatbot.domain.order import Accepted, OrderStatus, OrderType, Rejected
from chatbot.errors import InstrumentUnavailable, InsufficientMargin, InvalidOrder, WrongPositionMode
from chatbot.venues.feeds import BTC, BTC_INVERSE, ETH, ScriptedFeed
from tests.venues.paper_trader import CROSS, ISOLATED, LONG, SHORT, Trader


@pytest.fixture
def trader() -> Iterator[Trader]:
    trader = Trader()
    yield trader
    trader.exchange.close()


async def book(trader: Trader, symbol: Symbol = ETH) -> OrderBook:
    return (await trader.venue.view([symbol])).books[symbol]


# --- market orders ------------------------------------------------------------------------------


async def test_a_market_order_walks_the_book(trader: Trader) -> None:
    before = await book(trader)
    size = before.asks[0].quantity + before.asks[1].quantity

    report = await trader.open(LONG, str(size))

    fills = await trader.fills()
    assert [(f.price, f.quantity) for f in fills] == [(x.price, x.quantity) for x in before.asks[:2]]
    estimate = before.walk(report.side, size)
    assert report.average_price is not None
    assert abs(report.average_price - estimate.average_price) < Decimal("1e-8")
    assert report.fee == sum(f.price * f.quantity for f in fills) * Decimal("0.0005")


async def test_the_middle_of_the_book_is_the_market_price(trader: Trader) -> None:
    assert (await book(trader)).mid == 2_000


async def test_what_was_taken_is_gone_until_the_book_recovers(trader: Trader) -> None:
    fresh = await book(trader)
    await trader.open(LONG, str(fresh.asks[0].quantity))

    assert (await book(trader)).asks[0].price == fresh.asks[1].price
    await trader.clock.advance(1)
    assert (await book(trader)).asks == fresh.asks


async def test_a_new_price_brings_a_new_book(trader: Trader) -> None:
    fresh = await book(trader)
    await trader.open(LONG, str(fresh.asks[0].quantity))

    await trader.price("2001")

    moved = await book(trader)
    assert moved.mid == 2_001
    assert len(moved.asks) == len(fresh.asks)


async def test_the_same_price_always_shows_the_same_book(trader: Trader) -> None:
    first = await book(trader)
    await trader.open(SHORT, "5")
    await trader.price("2100")
    await trader.price("2000")
    assert (await book(trader)).bids == first.bids


async def test_a_book_too_thin_fills_a_part_and_cancels_the_rest(trader: Trader) -> None:
    await trader.exchange.deposit(trader.account, Decimal(10_000_000), reference="rich")
    offered = sum(level.quantity for level in (await book(trader)).asks)

    report = await trader.open(LONG, "2999")

    assert report.status is OrderStatus.CANCELED
    assert report.filled_quantity == offered < 2999
    assert "thin" in report.reason


async def test_entry_is_the_average_of_the_open_fills(trader: Trader) -> None:
    await trader.open(LONG, "1")
    await trader.price("2100")
    await trader.open(LONG, "3")

    position = await trader.position(LONG)
    cost = sum(f.price * f.quantity for f in await trader.fills())
    assert position is not None
    assert position.entry_price == cost / 4


async def test_a_partial_close_keeps_the_entry(trader: Trader) -> None:
    await trader.open(LONG, "2")
    before = await trader.position(LONG)
    await trader.price("2300")
    await trader.close(LONG, "0.5")

    after = await trader.position(LONG)
    assert before is not None
    assert after is not None
    assert after.quantity == Decimal("1.5")
    assert after.entry_price == before.entry_price


async def test_a_full_hedge_locks_the_same_profit_at_every_price(trader: Trader) -> None:
    await trader.open(LONG, "1")
    await trader.price("2300")
    await trader.open(SHORT, "1")

    equities = {(await trader.price(price)).balance.equity for price in ("1000", "2300", "3777.77")}

    assert len(equities) == 1


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        ("0", "-4003"),
        ("-1", "-4003"),
        ("NaN", "-4003"),
        ("Infinity", "-4003"),
        ("1e400", "-4005"),
        ("0.0001", "-4004"),
        ("1.0005", "-1111"),
        ("0.001", "-4164"),
        ("3001", "-4005"),
        ("100", "-2019"),
    ],
)
async def test_a_wrong_quantity_is_refused_in_the_venues_words(
    trader: Trader, quantity: str, code: str
) -> None:
    rejected = await trader.refused(trader.request(LONG, quantity))

    assert rejected.code == code
    assert (await trader.venue.view()).positions == ()


@pytest.mark.parametrize(
    ("limit", "code"),
    [(None, "-1102"), ("0", "-4001"), ("-5", "-4001"), ("NaN", "-4001"), ("1500.001", "-4014")],
)
async def test_a_wrong_limit_price_is_refused(trader: Trader, limit: str | None, code: str) -> None:
    request = trader.request(LONG, "1", type=OrderType.LIMIT, limit=limit)
    assert (await trader.refused(request)).code == code


async def test_an_unknown_symbol_is_refused(trader: Trader) -> None:
    unknown = Symbol("DOGE/USDT:USDT")
    rejected = await trader.refused(trader.request(LONG, "1", symbol=unknown))

    assert (rejected.code, rejected.kind) == ("-1121", "InstrumentUnavailable")
    with pytest.raises(InstrumentUnavailable):
        await trader.venue.view([unknown])


async def test_a_request_that_arrives_too_late_is_refused(trader: Trader) -> None:
    request = trader.request(LONG, "1", valid_for=5)
    await trader.clock.advance(5.001)
    assert (await trader.refused(request)).code == "-1021"


async def test_a_used_client_id_is_refused_even_when_its_order_is_final(trader: Trader) -> None:
    await trader.done(trader.request(LONG, "1", client_order_id="once"))
    rejected = await trader.refused(trader.request(LONG, "1", client_order_id="once"))

    assert rejected.code == "-4116"
    position = await trader.position(LONG)
    assert position is not None
    assert position.quantity == 1


async def test_a_client_id_with_strange_characters_is_refused(trader: Trader) -> None:
    for name in ("häh", "a b", "x" * 37):
        assert (await trader.refused(trader.request(LONG, "1", client_order_id=name))).code == "-4015"


async def test_reduce_only_never_increases_a_leg(trader: Trader) -> None:
    assert (await trader.refused(trader.request(LONG, "1", reduce_only=True))).code == "-2022"


async def test_a_close_larger_than_its_leg_is_refused(trader: Trader) -> None:
    await trader.open(LONG, "1")
    assert (await trader.refused(trader.request(LONG, "1.001", opens=False))).code == "-2022"
    assert (await trader.refused(trader.request(SHORT, "1", opens=False))).code == "-2022"
    unflagged = trader.request(LONG, "2", opens=False, reduce_only=False)
    assert (await trader.refused(unflagged)).code == "-2022"


async def test_a_position_beyond_the_tier_of_its_leverage_is_refused(trader: Trader) -> None:
    await trader.use(LONG, leverage=100)
    assert (await trader.refused(trader.request(LONG, "30"))).code == "-2027"


async def test_a_close_needs_no_minimum(trader: Trader) -> None:
    await trader.open(LONG, "1")
    assert (await trader.close(LONG, "0.001")).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("limit", "trigger", "type"),
    [("2000", None, OrderType.MARKET), (None, "2100", OrderType.MARKET), ("2000", "2100", OrderType.LIMIT)],
)
async def test_a_price_that_the_order_type_does_not_have_is_refused(
    trader: Trader,
    limit: str | None,
    trigger: str | None,
    type: OrderType,
) -> None:
    request = trader.request(LONG, "1", type=type, limit=limit, trigger=trigger)
    assert (await trader.refused(request)).code == "-1106"


@given(
    quantity=st.decimals(allow_nan=True, allow_infinity=True),
    limit=st.none() | st.decimals(allow_nan=True, allow_infinity=True),
    trigger=st.none() | st.decimals(allow_nan=True, allow_infinity=True),
    type=st.sampled_from(OrderType),
    opens=st.booleans(),
    name=st.text(max_size=40),
)
async def test_no_request_however_odd_breaks_the_exchange(
    quantity: Decimal,
    limit: Decimal | None,
    trigger: Decimal | None,
    type: OrderType,
    opens: bool,
    name: str,
) -> None:
    trader = Trader()
    await trader.open(LONG, "1")
    request = trader.request(LONG, "1", type=type, opens=opens)
    odd = replace(
        request, quantity=quantity, limit_price=limit, trigger_price=trigger, client_order_id=name or "n1"
    )

    (outcome,) = await trader.send(odd)

    assert isinstance(outcome, Accepted | Rejected)
    assert (await trader.venue.view()).balance.wallet == await trader.explained_wallet()
    trader.exchange.close()


# --- modes --------------------------------------------------------------------------------------


async def test_one_way_mode_refuses_the_second_leg(trader: Trader) -> None:
    await trader.venue.set_position_mode(PositionMode.ONE_WAY)
    await trader.open(LONG, "1")

    rejected = await trader.refused(trader.request(SHORT, "1"))

    assert rejected.code == "-4061"
    assert rejected.reason == "Order's position side does not match user's setting."
    assert rejected.kind == "WrongPositionMode"
    await trader.close(LONG, "1")
    assert (await trader.open(SHORT, "1")).status is OrderStatus.FILLED


async def test_in_one_way_mode_a_resting_order_opens_no_second_leg(trader: Trader) -> None:
    await trader.venue.set_position_mode(PositionMode.ONE_WAY)
    order = trader.request(SHORT, "1", type=OrderType.LIMIT, limit="2100")
    trigger = trader.request(SHORT, "1", type=OrderType.TRIGGER, trigger="2150")
    await trader.done(order)
    await trader.done(trigger)
    await trader.open(LONG, "1")

    view = await trader.price("2200")

    assert [position.side for position in view.positions] == [LONG]
    for request in (order, trigger):
        assert (await trader.order(request.client_order_id)).status is OrderStatus.EXPIRED


async def test_the_position_mode_stays_while_a_position_or_an_order_is_open(trader: Trader) -> None:
    await trader.done(trader.request(LONG, "1", type=OrderType.LIMIT, limit="1500", client_order_id="rests"))
    with pytest.raises(WrongPositionMode) as resting:
        await trader.venue.set_position_mode(PositionMode.ONE_WAY)
    await trader.venue.cancel(ETH, "rests")
    await trader.open(LONG, "1")
    with pytest.raises(WrongPositionMode) as open_leg:
        await trader.venue.set_position_mode(PositionMode.ONE_WAY)

    assert (resting.value.code, open_leg.value.code) == ("-4067", "-4068")


async def test_leverage_of_one_side_leaves_the_other_alone(trader: Trader) -> None:
    await trader.use(LONG, leverage=20)
    settings = (await trader.venue.view()).leg_settings

    assert settings[ETH, LONG].leverage == 20
    assert settings[ETH, SHORT].leverage == 10


async def test_the_margin_mode_of_an_open_leg_is_fixed(trader: Trader) -> None:
    await trader.open(LONG, "1")
    with pytest.raises(InvalidOrder) as refused:
        await trader.use(LONG, mode=ISOLATED)
    assert refused.value.code == "-4048"


async def test_an_isolated_leg_cannot_lower_its_leverage(trader: Trader) -> None:
    await trader.use(LONG, mode=ISOLATED, leverage=10)
    await trader.open(LONG, "1")
    with pytest.raises(InvalidOrder) as refused:
        await trader.use(LONG, mode=ISOLATED, leverage=5)
    assert refused.value.code == "-4161"


async def test_lower_leverage_needs_the_margin_for_it(trader: Trader) -> None:
    await trader.open(LONG, "40")
    with pytest.raises(InsufficientMargin):
        await trader.use(LONG, mode=CROSS, leverage=2)
    position = await trader.position(LONG)
    assert position is not None
    assert position.leverage == 10


# --- limit orders -------------------------------------------------------------------------------


async def test_a_resting_order_fills_as_maker_at_its_own_price(trader: Trader) -> None:
    order = trader.request(LONG, "1", type=OrderType.LIMIT, limit="1950")
    assert (await trader.done(order)).status is OrderStatus.OPEN

    await trader.price("1940")

    report = await trader.order(order.client_order_id)
    assert report.status is OrderStatus.FILLED
    assert report.average_price == 1950
    assert report.fee == Decimal(1950) * Decimal("0.0002")


async def test_a_limit_that_crosses_takes_what_its_price_allows_and_rests(trader: Trader) -> None:
    asks = (await book(trader)).asks
    size = asks[0].quantity + asks[1].quantity
    request = trader.request(LONG, str(size), type=OrderType.LIMIT, limit=str(asks[0].price))

    report = await trader.done(request)

    assert report.status is OrderStatus.OPEN
    assert report.filled_quantity == asks[0].quantity
    assert (await trader.venue.view()).open_orders == (report,)

    await trader.price("1990")

    report = await trader.order(request.client_order_id)
    assert (report.status, report.average_price) == (OrderStatus.FILLED, asks[0].price)
    fills = await trader.fills()
    assert report.fee == sum(fill.fee for fill in fills)
    assert fills[0].fee / fills[0].quantity > fills[1].fee / fills[1].quantity


async def test_post_only_never_takes(trader: Trader) -> None:
    crossing = trader.request(LONG, "1", type=OrderType.LIMIT, limit="2100", post_only=True)
    resting = trader.request(LONG, "1", type=OrderType.LIMIT, limit="1999", post_only=True)

    assert (await trader.refused(crossing)).code == "-5022"
    assert (await trader.done(resting)).status is OrderStatus.OPEN


async def test_a_resting_opening_order_reserves_its_margin(trader: Trader) -> None:
    free = (await trader.venue.view()).balance.free
    await trader.done(trader.request(LONG, "10", type=OrderType.LIMIT, limit="1500"))
    assert free - (await trader.venue.view()).balance.free == 1500


async def test_a_resting_close_expires_when_its_leg_is_gone(trader: Trader) -> None:
    await trader.open(LONG, "1")
    order = trader.request(LONG, "1", opens=False, type=OrderType.LIMIT, limit="2100")
    await trader.done(order)
    await trader.close(LONG, "1")
    assert len((await trader.venue.view()).open_orders) == 1

    await trader.price("2200")

    assert (await trader.order(order.client_order_id)).status is OrderStatus.EXPIRED
    assert (await trader.venue.view()).positions == ()


# --- conditional orders -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "type", "trigger", "before", "after"),
    [
        (LONG, OrderType.STOP_LOSS, "1900", "1900.01", "1899"),
        (LONG, OrderType.TAKE_PROFIT, "2100", "2099.99", "2100"),
        (SHORT, OrderType.STOP_LOSS, "2100", "2099.99", "2101"),
        (SHORT, OrderType.TAKE_PROFIT, "1900", "1900.01", "1900"),
        (LONG, OrderType.TRIGGER, "1900", "1900.01", "1899"),
        (SHORT, OrderType.TRIGGER, "2100", "2099.99", "2101"),
    ],
)
async def test_a_conditional_order_fires_when_the_mark_crosses(
    trader: Trader,
    side: object,
    type: OrderType,
    trigger: str,
    before: str,
    after: str,
) -> None:
    leg = LONG if side is LONG else SHORT
    await trader.open(leg, "1")
    order = trader.request(leg, "1", opens=False, type=type, trigger=trigger)
    assert (await trader.done(order)).status is OrderStatus.OPEN

    assert len((await trader.price(before)).positions) == 1
    assert (await trader.price(after)).positions == ()

    report = await trader.order(order.client_order_id)
    assert report.status is OrderStatus.FILLED
    assert report.average_price is not None
    assert abs(report.average_price - Decimal(after)) < 1


async def test_conditional_orders_watch_the_mark_not_the_book(trader: Trader) -> None:
    assert isinstance(trader.feed, ScriptedFeed)
    await trader.open(LONG, "1")
    await trader.done(trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="1900"))

    trader.feed.set(ETH, mid=Decimal(1800))

    assert len((await trader.venue.view()).positions) == 1


async def test_a_trigger_that_lies_behind_the_price_is_refused(trader: Trader) -> None:
    await trader.open(LONG, "1")
    request = trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="2100")
    assert (await trader.refused(request)).code == "-2021"


async def test_a_stop_stays_when_its_leg_is_closed_and_expires_when_it_fires(trader: Trader) -> None:
    await trader.open(LONG, "1")
    stop = trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="1900")
    await trader.done(stop)
    await trader.close(LONG, "1")
    assert len((await trader.venue.view()).open_orders) == 1

    view = await trader.price("1800")

    assert view.open_orders == ()
    assert view.positions == ()
    assert (await trader.order(stop.client_order_id)).status is OrderStatus.EXPIRED


async def test_a_stop_closes_what_is_left_of_a_shrunk_leg(trader: Trader) -> None:
    await trader.open(LONG, "1")
    stop = trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="1900")
    await trader.done(stop)
    await trader.close(LONG, "0.4")

    assert (await trader.price("1800")).positions == ()
    assert (await trader.order(stop.client_order_id)).filled_quantity == Decimal("0.6")


async def test_an_opening_trigger_without_margin_expires(trader: Trader) -> None:
    order = trader.request(LONG, "1000", type=OrderType.TRIGGER, trigger="2100")
    await trader.done(order)

    await trader.price("2200")

    report = await trader.order(order.client_order_id)
    assert (report.status, report.reason) == (OrderStatus.EXPIRED, "Margin is insufficient.")


async def test_a_crossed_path_counts_even_when_the_price_came_back(trader: Trader) -> None:
    assert isinstance(trader.feed, ScriptedFeed)
    await trader.open(LONG, "1")
    await trader.done(trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="1900"))
    trader.feed.set(ETH, Decimal(1890))
    trader.feed.set(ETH, Decimal(2000))

    assert (await trader.venue.view()).positions == ()


# --- inverse ------------------------------------------------------------------------------------


async def test_an_inverse_contract_is_margined_and_settled_in_its_coin() -> None:
    feed = ScriptedFeed({BTC: Decimal(64_000), BTC_INVERSE: Decimal(50_000)})
    trader = Trader(feed=feed)
    usdt = (await trader.venue.view()).balance.wallet
    await trader.open(LONG, "10000", symbol=BTC_INVERSE)
    await trader.price("62500", symbol=BTC_INVERSE)
    await trader.close(LONG, "10000", symbol=BTC_INVERSE)

    coin = trader.exchange.balance(trader.account, "BTC")
    # 10,000 USD bought at 50,000 and sold at 62,500 earn 0.2 - 0.16 BTC, less spread and fees.
    assert Decimal("0.1396") < coin.wallet < Decimal("0.14")
    assert (await trader.venue.view()).balance.wallet == usdt
    trader.exchange.close()


# --- hands elsewhere ----------------------------------------------------------------------------


async def test_a_trade_elsewhere_appears_among_the_fills_once(trader: Trader) -> None:
    for _ in range(2):
        await trader.exchange.trade_elsewhere(
            trader.account, ETH, LONG, Decimal(1), opens=True, reference="by hand 1"
        )

    position = await trader.position(LONG)
    assert position is not None
    assert position.quantity == 1
    assert len(await trader.fills()) == 1


async def test_a_trade_elsewhere_can_close_a_leg_and_is_refused_like_any_other(trader: Trader) -> None:
    await trader.open(LONG, "1")
    await trader.exchange.trade_elsewhere(trader.account, ETH, LONG, Decimal(1), opens=False, reference="a")
    assert await trader.position(LONG) is None
    with pytest.raises(InvalidOrder):
        await trader.exchange.trade_elsewhere(
            trader.account, ETH, LONG, Decimal(1), opens=False, reference="b"
        )


async def test_one_way_mode_nets_what_is_typed_elsewhere(trader: Trader) -> None:
    await trader.venue.set_position_mode(PositionMode.ONE_WAY)
    await trader.open(LONG, "1")

    await trader.exchange.trade_elsewhere(
        trader.account, ETH, SHORT, Decimal("1.5"), opens=True, reference="flip"
    )

    (position,) = (await trader.venue.view()).positions
    assert (position.side, position.quantity) == (SHORT, Decimal("0.5"))


async def test_users_share_the_market_but_not_the_account(trader: Trader) -> None:
    other = trader.exchange.venue(trader.account.__class__("bob"))
    fresh = await book(trader)
    await trader.open(LONG, str(fresh.asks[0].quantity))

    view = await other.view([ETH])

    assert view.positions == ()
    assert view.balance.wallet == 10_000
    assert view.books[ETH].asks[0].price == fresh.asks[1].price
    assert await other.fills(ETH, view.at) == ()
    assert await other.order(ETH, "order1") is None


async def test_btc_and_eth_are_both_on_the_shelf(trader: Trader) -> None:
    assert {BTC, ETH} <= set(await trader.venue.instruments())
