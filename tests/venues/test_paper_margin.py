from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.instrument import PositionSide
from chatbot.domain.order import FillCause, OrderStatus, OrderType
from chatbot.venues.feeds import BTC, BTC_INVERSE, ETH, ScriptedFeed
from chatbot.venues.paper.catalog import CATALOG
from chatbot.venues.paper.margin import maintenance, solve_liquidation, unrealized
from chatbot.venues.paper.state import LegState
from tests.venues.paper_trader import CROSS, EVER, ISOLATED, LONG, SHORT, START, Trader


@pytest.fixture
def trader() -> Iterator[Trader]:
    trader = Trader()
    yield trader
    trader.exchange.close()


def leg(side: PositionSide, quantity: str, entry: str, margin: str = "0") -> LegState:
    amount, price = Decimal(quantity), Decimal(entry)
    return LegState(ETH, side, Decimal(10), ISOLATED, START, amount, amount * price, Decimal(margin))


# --- the formulas, with their examples ----------------------------------------------------------


def test_an_isolated_long_is_liquidated_where_margin_meets_maintenance() -> None:
    solved = solve_liquidation(
        [leg(LONG, "1", "2000")], CATALOG[ETH], backing=Decimal(200), mark=Decimal(2000)
    )
    assert solved is not None
    assert round(solved[0], 2) == Decimal("1809.05")
    assert solved[1] is LONG


def test_a_full_cross_hedge_is_liquidated_upwards() -> None:
    pair = [leg(LONG, "10", "2000"), leg(SHORT, "10", "2000")]
    solved = solve_liquidation(pair, CATALOG[ETH], backing=Decimal(1000), mark=Decimal(2000))
    assert solved is not None
    price, side = solved
    assert side is SHORT
    # 10,000 by the first tier; at that price ten contracts stand in the second one.
    notional = 10 * price
    assert abs(2 * maintenance(CATALOG[ETH], notional) - 1000) < Decimal("1e-6")


@given(
    long=st.decimals("0.001", "500", places=3),
    short=st.decimals("0", "500", places=3),
    entry=st.decimals("500", "4000", places=2),
    offset=st.decimals("500", "4000", places=2),
    backing=st.decimals("1", "100000", places=2),
)
def test_at_the_liquidation_price_equity_equals_maintenance(
    long: Decimal, short: Decimal, entry: Decimal, offset: Decimal, backing: Decimal
) -> None:
    instrument = CATALOG[ETH]
    legs = [leg(LONG, str(long), str(entry))]
    if short:
        legs.append(leg(SHORT, str(short), str(offset)))

    def room(price: Decimal) -> Decimal:
        gains = sum((unrealized(one, instrument, price) for one in legs), backing)
        kept = sum(maintenance(instrument, instrument.notional(one.quantity, price)) for one in legs)
        return gains - kept

    if room(Decimal(2000)) <= 0:
        return
    solved = solve_liquidation(legs, instrument, backing=backing, mark=Decimal(2000))
    if solved is None:
        assert room(Decimal(1)) > 0
        return
    price, side = solved
    assert abs(room(price)) < Decimal("1e-6") * max(Decimal(1), price)
    assert (price < 2000) is (side is LONG)


def test_maintenance_margin_is_continuous_between_tiers() -> None:
    for instrument in CATALOG.values():
        for tier, above in zip(instrument.tiers, instrument.tiers[1:], strict=False):
            assert tier.notional_cap is not None
            below = tier.notional_cap * tier.maintenance_margin_rate - tier.maintenance_amount
            beyond = tier.notional_cap * above.maintenance_margin_rate - above.maintenance_amount
            assert below == beyond


# --- liquidation as it happens ------------------------------------------------------------------


@pytest.mark.parametrize(("side", "away"), [(LONG, "1700"), (SHORT, "2300")])
async def test_an_isolated_leg_is_liquidated_at_its_own_price(
    trader: Trader, side: PositionSide, away: str
) -> None:
    await trader.use(side, mode=ISOLATED)
    await trader.open(side, "1")
    position = await trader.position(side)
    assert position is not None
    assert position.liquidation_price is not None
    assert position.margin is not None
    before = (await trader.venue.view()).balance.wallet

    view = await trader.price(away)

    fill = (await trader.fills())[-1]
    assert fill.cause is FillCause.LIQUIDATION
    assert fill.client_order_id is None
    assert abs(fill.price - position.liquidation_price) <= CATALOG[ETH].tick_size
    assert view.positions == ()
    assert before - view.balance.wallet <= position.margin
    assert fill.fee > 0


async def test_just_before_its_liquidation_price_a_leg_lives(trader: Trader) -> None:
    await trader.use(LONG, mode=ISOLATED)
    await trader.open(LONG, "1")
    position = await trader.position(LONG)
    assert position is not None
    assert position.liquidation_price is not None
    above = position.liquidation_price.quantize(Decimal("0.01")) + Decimal("0.01")

    assert len((await trader.price(str(above))).positions) == 1
    assert (await trader.price(str(above - Decimal("0.02")))).positions == ()


async def test_one_isolated_leg_dies_and_the_other_is_naked(trader: Trader) -> None:
    for side in (LONG, SHORT):
        await trader.use(side, mode=ISOLATED)
        await trader.open(side, "1")

    view = await trader.price("2300")

    assert [position.side for position in view.positions] == [LONG]


async def test_a_cross_account_is_liquidated_when_its_ratio_reaches_one(trader: Trader) -> None:
    await trader.open(LONG, "40")
    position = await trader.position(LONG)
    assert position is not None
    assert position.liquidation_price is not None
    near = position.liquidation_price.quantize(Decimal("0.01")) + Decimal("0.02")

    view = await trader.price(str(near))
    assert view.balance.margin_ratio is not None
    assert Decimal("0.99") < view.balance.margin_ratio < 1

    view = await trader.price(str(near - 1))
    assert view.positions == ()
    assert view.balance.wallet >= 0
    assert view.balance.margin_ratio is None


async def test_of_a_full_cross_hedge_the_losing_leg_goes_upwards(trader: Trader) -> None:
    for side in (LONG, SHORT):
        await trader.use(side, leverage=50)
    await trader.open(LONG, "40")
    await trader.open(SHORT, "40")
    short = await trader.position(SHORT)
    long = await trader.position(LONG)
    assert short is not None
    assert long is not None
    assert long.liquidation_price is None
    assert short.liquidation_price is not None
    assert short.liquidation_price > 2000

    view = await trader.price(str(short.liquidation_price.quantize(Decimal(1)) + 1))

    assert [position.side for position in view.positions] == [LONG]
    fill = (await trader.fills())[-1]
    assert fill.cause is FillCause.LIQUIDATION
    # The loss is far beyond the wallet, yet the long leg stands for it: no clamp, nobody's insurance.
    assert abs(fill.price - short.liquidation_price) <= CATALOG[ETH].tick_size
    assert view.balance.wallet < 0 < view.balance.equity


async def test_a_jump_past_bankruptcy_never_leaves_a_debt(trader: Trader) -> None:
    await trader.open(LONG, "45")
    await trader.open(SHORT, "1")

    view = await trader.price("700")

    assert view.position(ETH, LONG) is None
    assert view.balance.equity >= 0
    assert view.balance.wallet == await trader.explained_wallet()


async def test_isolated_losses_stop_at_the_margin_of_the_leg(trader: Trader) -> None:
    await trader.use(LONG, mode=ISOLATED, leverage=50)
    await trader.open(LONG, "10")

    view = await trader.price("1000")

    paid = Decimal(10_000) - view.balance.wallet
    assert paid < Decimal(2000) * 10 / 50 + 15


async def test_funding_beyond_its_margin_costs_an_isolated_leg_no_more_than_that(trader: Trader) -> None:
    assert isinstance(trader.feed, ScriptedFeed)
    await trader.use(LONG, mode=ISOLATED, leverage=100)
    await trader.open(LONG, "1")
    held = await trader.position(LONG)
    assert held is not None
    assert held.margin is not None
    before = (await trader.venue.view()).balance.wallet
    trader.feed.set(ETH, funding_rate=Decimal("0.05"))

    await trader.clock.advance(timedelta(hours=4).total_seconds())
    view = await trader.price("1999")

    assert view.positions == ()
    assert before - view.balance.wallet <= held.margin
    assert view.balance.wallet == await trader.explained_wallet()


@pytest.mark.parametrize(("side", "away"), [(LONG, "40000"), (SHORT, "65000")])
async def test_an_inverse_leg_is_liquidated_on_its_losing_side(side: PositionSide, away: str) -> None:
    trader = Trader(feed=ScriptedFeed({BTC: Decimal(50_000), BTC_INVERSE: Decimal(50_000)}))
    await trader.use(side, mode=ISOLATED, symbol=BTC_INVERSE)
    await trader.open(side, "10000", symbol=BTC_INVERSE)
    position = await trader.position(side, symbol=BTC_INVERSE)
    assert position is not None
    assert position.liquidation_price is not None
    assert (position.liquidation_price - 50_000) * side.sign < 0

    view = await trader.price(away, symbol=BTC_INVERSE)

    assert view.positions == ()
    (coin,) = view.other_balances
    # A tenth of 0.2 BTC was its margin.
    assert Decimal("0.079") < coin.wallet < Decimal("0.083")
    trader.exchange.close()


async def test_liquidation_cancels_the_resting_orders_that_would_open(trader: Trader) -> None:
    await trader.open(LONG, "40")
    order = trader.request(LONG, "1", type=OrderType.LIMIT, limit="1000")
    await trader.done(order)

    await trader.price("1600")

    assert (await trader.order(order.client_order_id)).status is OrderStatus.CANCELED


# --- free margin --------------------------------------------------------------------------------


async def test_margin_is_checked_to_the_cent(trader: Trader) -> None:
    balance = (await trader.venue.view()).balance
    # 49.9 ETH at 10x bind less than 10,000, but with their fee of about 49.9 they need more than there is.
    assert (await trader.refused(trader.request(LONG, "49.9"))).kind == "InsufficientMargin"
    assert balance.free == 10_000
    await trader.open(LONG, "49")


async def test_opposite_legs_are_not_netted(trader: Trader) -> None:
    await trader.open(LONG, "25")
    assert (await trader.refused(trader.request(SHORT, "25"))).kind == "InsufficientMargin"


async def test_isolated_margin_is_not_free(trader: Trader) -> None:
    await trader.use(LONG, mode=ISOLATED)
    await trader.open(LONG, "1")

    view = await trader.venue.view()
    position = view.position(ETH, LONG)

    assert position is not None
    assert view.balance.free == view.balance.wallet - (position.margin or 0)
    assert view.balance.maintenance_margin == 0


# --- money --------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("open", "close", "price", "wait", "limit")),
        st.sampled_from(PositionSide),
        st.integers(1, 3000),
    ),
    max_size=25,
)


@given(steps=STEPS, isolated=st.booleans())
async def test_the_wallet_is_explained_by_its_histories(
    steps: list[tuple[str, PositionSide, int]], isolated: bool
) -> None:
    trader = Trader()
    for side in PositionSide:
        await trader.use(side, mode=ISOLATED if isolated else CROSS, leverage=20)
    for action, side, amount in steps:
        quantity = str(Decimal(amount) / 1000)
        match action:
            case "open":
                await trader.send(trader.request(side, quantity))
            case "close":
                await trader.send(trader.request(side, quantity, opens=False))
            case "limit":
                price = str(Decimal(amount) + 500)
                await trader.send(trader.request(side, quantity, type=OrderType.LIMIT, limit=price))
            case "price":
                await trader.price(str(Decimal(amount) / 2 + 1200))
            case "wait":
                await trader.clock.advance(amount * 60)
    view = await trader.venue.view()
    assert view.balance.wallet == await trader.explained_wallet()
    bought = sum(fill.signed_change for fill in await trader.fills())
    assert bought == sum(position.quantity for position in view.positions)
    trader.exchange.close()


async def test_realized_over_a_whole_life_is_exact(trader: Trader) -> None:
    await trader.open(LONG, "1")
    await trader.price("2100.07")
    await trader.open(LONG, "0.333")
    for quantity in ("0.1", "0.777", "0.456"):
        await trader.close(LONG, quantity)

    fills = await trader.fills()
    cash = sum(fill.price * fill.signed_change for fill in fills)
    assert sum(fill.realized_pnl for fill in fills) == -cash


async def test_a_deposit_counts_once(trader: Trader) -> None:
    await trader.exchange.deposit(trader.account, Decimal("250.5"), reference="d1")
    balance = await trader.exchange.deposit(trader.account, Decimal("250.5"), reference="d1")
    assert balance.wallet == Decimal("10250.5")
    assert await trader.explained_wallet() == balance.wallet


async def test_a_reset_starts_over_but_keeps_history(trader: Trader) -> None:
    await trader.open(LONG, "1")
    await trader.done(trader.request(LONG, "1", type=OrderType.LIMIT, limit="1000", client_order_id="rests"))

    balance = await trader.exchange.reset(trader.account, reference="r1")
    await trader.open(SHORT, "1")
    await trader.exchange.reset(trader.account, reference="r1")

    view = await trader.venue.view()
    assert balance.wallet == 10_000
    assert [position.side for position in view.positions] == [SHORT]
    assert (await trader.order("rests")).status is OrderStatus.CANCELED
    assert len(await trader.fills()) == 2
    assert view.balance.wallet == await trader.explained_wallet()


# --- funding ------------------------------------------------------------------------------------


async def test_longs_pay_a_positive_rate_and_shorts_get_it(trader: Trader) -> None:
    await trader.open(LONG, "2")
    await trader.open(SHORT, "1")

    await trader.clock.advance(timedelta(hours=4).total_seconds())

    payments = await trader.venue.funding_payments(ETH, EVER)
    assert {(p.side, p.amount) for p in payments} == {
        (LONG, Decimal("-0.4")),
        (SHORT, Decimal("0.2")),
    }
    assert {p.at for p in payments} == {START.replace(hour=16)}


async def test_funding_follows_each_markets_own_interval(trader: Trader) -> None:
    symbol = next(symbol for symbol in CATALOG if symbol.startswith("SOL"))
    await trader.open(LONG, "1", symbol=symbol)
    await trader.open(LONG, "1")

    await trader.clock.advance(timedelta(hours=24).total_seconds())

    assert len(await trader.venue.funding_payments(symbol, EVER)) == 6
    assert len(await trader.venue.funding_payments(ETH, EVER)) == 3


async def test_funding_of_an_isolated_leg_moves_its_liquidation(trader: Trader) -> None:
    await trader.use(LONG, mode=ISOLATED)
    await trader.open(LONG, "1")
    before = await trader.position(LONG)
    await trader.clock.advance(timedelta(hours=4).total_seconds())
    after = await trader.position(LONG)

    assert before is not None
    assert after is not None
    assert before.margin is not None
    assert after.margin == before.margin - Decimal("0.2")
    assert before.liquidation_price is not None
    assert after.liquidation_price is not None
    assert after.liquidation_price > before.liquidation_price


async def test_funding_is_settled_at_the_price_of_its_own_instant(trader: Trader) -> None:
    assert isinstance(trader.feed, ScriptedFeed)
    await trader.open(LONG, "1")
    await trader.clock.advance(timedelta(hours=5).total_seconds())
    trader.feed.set(ETH, Decimal(1000))

    (payment,) = await trader.venue.funding_payments(ETH, EVER)

    assert payment.amount == Decimal("-0.2")


async def test_a_leg_opened_after_the_settlement_pays_nothing(trader: Trader) -> None:
    await trader.clock.advance(timedelta(hours=4).total_seconds())
    await trader.open(LONG, "1")
    await trader.venue.view()
    assert await trader.venue.funding_payments(ETH, EVER) == ()


async def test_inverse_funding_is_paid_in_the_coin() -> None:
    trader = Trader(feed=ScriptedFeed({BTC: Decimal(50_000), BTC_INVERSE: Decimal(50_000)}))
    await trader.open(LONG, "10000", symbol=BTC_INVERSE)
    await trader.clock.advance(timedelta(hours=4).total_seconds())
    (payment,) = await trader.venue.funding_payments(BTC_INVERSE, EVER)
    assert payment.amount == Decimal("-0.00002")
    trader.exchange.close()
