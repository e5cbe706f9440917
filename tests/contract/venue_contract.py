"""What every ``Venue`` has to do, whoever implements it. A suite subclasses this and makes the market."""

from __future__ import annotations

import abc
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from chatbot.domain.account import LegSetting
from chatbot.domain.instrument import MarginMode, OrderSide, PositionMode, PositionSide, Symbol
from chatbot.domain.order import (
    Accepted,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Rejected,
    Unknown,
)
from chatbot.errors import (
    InstrumentUnavailable,
    InsufficientMargin,
    InvalidOrder,
    VenueRejected,
    WrongPositionMode,
)
from chatbot.ports import Clock, Venue
from chatbot.venues.feeds import BTC_INVERSE

EVER = datetime(2000, 1, 1, tzinfo=UTC)


class VenueUnderTest(abc.ABC):
    """``symbol`` trades near ``price``, and its account holds some 10,000 dollars in hedge mode, flat.

    ``unit`` is a quantity worth some 2,000 dollars, ``margin`` an amount of the settlement currency that an
    isolated leg of it can take.
    """

    venue: Venue
    clock: Clock
    symbol: Symbol
    settle: str = "USDT"
    price: Decimal = Decimal(2_000)
    unit: Decimal = Decimal(1)
    margin: Decimal = Decimal(50)

    def trade_in_coin(self) -> None:
        """From here on about the inverse perpetual: quantities in dollars, money in bitcoin."""
        self.symbol, self.settle, self.price = BTC_INVERSE, "BTC", Decimal(64_000)
        self.unit, self.margin = Decimal(2_000), Decimal("0.001")

    def quantity(self, units: str) -> Decimal:
        return self.unit * Decimal(units)

    def at(self, usual: str) -> Decimal:
        """What 2,000 and its neighbors are on this market."""
        return Decimal(usual) * self.price / 2_000

    @abc.abstractmethod
    async def lose_next_request(self) -> None: ...

    @abc.abstractmethod
    async def lose_next_reply(self) -> None: ...

    @abc.abstractmethod
    async def trade_for(self, minutes: int, *, price: Decimal) -> None:
        """Time goes by on the market, which trades at this price meanwhile."""


class VenueContract:
    @pytest.fixture
    def subject(self) -> VenueUnderTest:
        raise NotImplementedError

    def order(
        self,
        subject: VenueUnderTest,
        side: PositionSide,
        quantity: str,
        *,
        opens: bool = True,
        id: str = "first1",
        limit: str | None = None,
        trigger: str | None = None,
    ) -> OrderRequest:
        kind = OrderType.LIMIT if limit else OrderType.STOP_LOSS if trigger else OrderType.MARKET
        return OrderRequest(
            client_order_id=id,
            symbol=subject.symbol,
            side=side.opening if opens else side.closing,
            position_side=side,
            type=kind,
            quantity=subject.quantity(quantity),
            reduce_only=not opens,
            valid_until=subject.clock.now() + timedelta(seconds=10),
            limit_price=subject.at(limit) if limit else None,
            trigger_price=subject.at(trigger) if trigger else None,
        )

    async def place(self, subject: VenueUnderTest, request: OrderRequest) -> OrderReport:
        (outcome,) = await subject.venue.place([request])
        assert isinstance(outcome, Accepted), outcome
        return outcome.report

    async def test_instruments_carry_their_grid(self, subject: VenueUnderTest) -> None:
        instrument = (await subject.venue.instruments())[subject.symbol]

        assert instrument.symbol == subject.symbol
        assert instrument.lot_size > 0
        assert instrument.tick_size > 0
        assert instrument.min_quantity % instrument.lot_size == 0
        assert instrument.tiers[0].maintenance_margin_rate > 0
        assert instrument.tiers[-1].notional_cap is None

    async def test_a_view_shows_the_markets_that_were_asked_for(self, subject: VenueUnderTest) -> None:
        view = await subject.venue.view([subject.symbol])

        market, book = view.markets[subject.symbol], view.books[subject.symbol]
        assert book.bids[0].price < book.asks[0].price
        assert book.bids[0].price <= market.mark_price * 2
        assert [level.price for level in book.bids] == sorted((x.price for x in book.bids), reverse=True)
        assert [level.price for level in book.asks] == sorted(x.price for x in book.asks)
        assert market.next_funding_at > view.at

    async def test_a_new_account_is_flat(self, subject: VenueUnderTest) -> None:
        view = await subject.venue.view()

        assert view.positions == ()
        assert view.open_orders == ()
        assert view.position_mode is PositionMode.HEDGE
        money = view.balance_in(subject.settle)
        assert money is not None
        assert money.wallet == money.equity == money.free > 0
        assert money.margin_ratio is None

    async def test_both_legs_stand_side_by_side_in_hedge_mode(self, subject: VenueUnderTest) -> None:
        outcomes = await subject.venue.place(
            [
                self.order(subject, PositionSide.LONG, "1", id="long1"),
                self.order(subject, PositionSide.SHORT, "0.5", id="short1"),
            ]
        )

        assert [o.report.client_order_id for o in outcomes if isinstance(o, Accepted)] == ["long1", "short1"]
        view = await subject.venue.view()
        long, short = (view.position(subject.symbol, side) for side in PositionSide)
        assert long is not None
        assert short is not None
        assert (long.quantity, short.quantity) == (subject.quantity("1"), subject.quantity("0.5"))
        assert subject.symbol in view.markets

    async def test_a_filled_order_tells_its_price_and_fee(self, subject: VenueUnderTest) -> None:
        report = await self.place(subject, self.order(subject, PositionSide.LONG, "1"))

        assert report.status is OrderStatus.FILLED
        assert report.filled_quantity == subject.unit
        assert report.average_price is not None
        assert report.fee > 0

    async def test_an_order_is_found_by_its_client_id(self, subject: VenueUnderTest) -> None:
        report = await self.place(subject, self.order(subject, PositionSide.LONG, "1", id="findme1"))

        assert await subject.venue.order(subject.symbol, "findme1") == report
        assert await subject.venue.order(subject.symbol, "neversent") is None

    async def test_fills_explain_the_order(self, subject: VenueUnderTest) -> None:
        report = await self.place(subject, self.order(subject, PositionSide.LONG, "1"))

        fills = await subject.venue.fills(subject.symbol, EVER)
        assert sum(fill.quantity for fill in fills) == subject.unit
        assert sum(fill.fee for fill in fills) == report.fee
        assert {fill.client_order_id for fill in fills} == {"first1"}
        assert await subject.venue.fills(subject.symbol, fills[0].at) == fills
        assert await subject.venue.fills(subject.symbol, fills[-1].at + timedelta(hours=1)) == ()

    async def test_closing_realizes_the_profit(self, subject: VenueUnderTest) -> None:
        await self.place(subject, self.order(subject, PositionSide.LONG, "1", id="in1"))
        report = await self.place(
            subject, self.order(subject, PositionSide.LONG, "1", opens=False, id="out1")
        )

        assert report.side is OrderSide.SELL
        assert (await subject.venue.view()).positions == ()
        out = [f for f in await subject.venue.fills(subject.symbol, EVER) if f.client_order_id == "out1"]
        assert sum(fill.realized_pnl for fill in out) < 0  # the spread was crossed twice
        assert not any(fill.opens for fill in out)

    async def test_one_client_id_is_one_order(self, subject: VenueUnderTest) -> None:
        request = self.order(subject, PositionSide.LONG, "1", id="same1")
        await self.place(subject, request)

        (again,) = await subject.venue.place([request])

        assert not isinstance(again, Accepted)
        position = (await subject.venue.view()).position(subject.symbol, PositionSide.LONG)
        assert position is not None
        assert position.quantity == subject.unit

    async def test_a_close_never_opens_the_other_way(self, subject: VenueUnderTest) -> None:
        await self.place(subject, self.order(subject, PositionSide.LONG, "1", id="in1"))

        (outcome,) = await subject.venue.place(
            [self.order(subject, PositionSide.LONG, "2", opens=False, id="toomuch1")]
        )

        view = await subject.venue.view()
        assert view.position(subject.symbol, PositionSide.SHORT) is None
        assert isinstance(outcome, Rejected) or view.positions == ()

    async def test_a_refusal_names_its_error_class(self, subject: VenueUnderTest) -> None:
        (outcome,) = await subject.venue.place([self.order(subject, PositionSide.LONG, "1000")])

        assert isinstance(outcome, Rejected)
        assert outcome.kind == "InsufficientMargin"
        assert (await subject.venue.view()).positions == ()

    async def test_a_refused_order_does_not_stop_the_other_one(self, subject: VenueUnderTest) -> None:
        bad = self.order(subject, PositionSide.LONG, "0.0000001", id="bad1")
        good = self.order(subject, PositionSide.SHORT, "1", id="good1")

        refused, accepted = await subject.venue.place([bad, good])

        assert isinstance(refused, Rejected)
        assert isinstance(accepted, Accepted)
        assert accepted.report.client_order_id == "good1"

    async def test_a_resting_order_can_be_canceled_once_and_again(self, subject: VenueUnderTest) -> None:
        report = await self.place(
            subject, self.order(subject, PositionSide.LONG, "1", limit="1500", id="rest1")
        )
        assert report.status is OrderStatus.OPEN
        assert [o.client_order_id for o in (await subject.venue.view()).open_orders] == ["rest1"]

        first = await subject.venue.cancel(subject.symbol, "rest1")
        again = await subject.venue.cancel(subject.symbol, "rest1")

        assert first is not None
        assert first.status is OrderStatus.CANCELED
        assert again == first
        assert (await subject.venue.view()).open_orders == ()
        assert await subject.venue.cancel(subject.symbol, "neversent") is None

    async def test_a_stop_rests_beside_its_leg(self, subject: VenueUnderTest) -> None:
        await self.place(subject, self.order(subject, PositionSide.LONG, "1", id="in1"))
        stop = self.order(subject, PositionSide.LONG, "1", opens=False, trigger="1500", id="stop1")

        report = await self.place(subject, stop)

        assert report.status is OrderStatus.OPEN
        (resting,) = (await subject.venue.view()).open_orders
        assert resting.type is OrderType.STOP_LOSS
        assert resting.trigger_price == subject.at("1500")

    async def test_leverage_and_margin_mode_belong_to_the_side(self, subject: VenueUnderTest) -> None:
        setting = LegSetting(Decimal(5), MarginMode.ISOLATED)

        await subject.venue.set_leg(subject.symbol, PositionSide.LONG, setting)
        await self.place(subject, self.order(subject, PositionSide.LONG, "1"))

        view = await subject.venue.view()
        assert view.leg_settings[subject.symbol, PositionSide.LONG] == setting
        position = view.position(subject.symbol, PositionSide.LONG)
        assert position is not None
        assert position.leverage == 5
        assert position.margin_mode is MarginMode.ISOLATED
        assert position.margin is not None
        assert position.margin > 0

    async def test_impossible_leverage_is_refused(self, subject: VenueUnderTest) -> None:
        with pytest.raises(InvalidOrder):
            await subject.venue.set_leg(
                subject.symbol, PositionSide.LONG, LegSetting(Decimal(100_000), MarginMode.CROSS)
            )

    async def test_added_margin_moves_the_liquidation_of_an_isolated_leg(
        self, subject: VenueUnderTest
    ) -> None:
        setting = LegSetting(Decimal(10), MarginMode.ISOLATED)
        await subject.venue.set_leg(subject.symbol, PositionSide.SHORT, setting)
        await subject.venue.place([self.order(subject, PositionSide.SHORT, "1")])
        before = await subject.venue.view({subject.symbol})
        await subject.venue.add_margin(subject.symbol, PositionSide.SHORT, subject.margin)
        after = await subject.venue.view({subject.symbol})
        was, leg = (v.position(subject.symbol, PositionSide.SHORT) for v in (before, after))
        assert was is not None and leg is not None
        assert was.margin is not None and leg.margin is not None
        assert leg.margin - was.margin == subject.margin
        assert was.liquidation_price is not None and leg.liquidation_price is not None
        assert leg.liquidation_price > was.liquidation_price
        had, has = (v.balance_in(subject.settle) for v in (before, after))
        assert had is not None and has is not None
        assert had.free - has.free == pytest.approx(subject.margin, abs=subject.margin / 50)

    async def test_margin_cannot_be_added_to_a_cross_leg_or_to_none(self, subject: VenueUnderTest) -> None:
        with pytest.raises(VenueRejected):
            await subject.venue.add_margin(subject.symbol, PositionSide.LONG, subject.margin)
        setting = LegSetting(Decimal(10), MarginMode.CROSS)
        await subject.venue.set_leg(subject.symbol, PositionSide.LONG, setting)
        await subject.venue.place([self.order(subject, PositionSide.LONG, "1")])
        with pytest.raises(VenueRejected):
            await subject.venue.add_margin(subject.symbol, PositionSide.LONG, subject.margin)

    async def test_more_margin_than_is_free_is_refused(self, subject: VenueUnderTest) -> None:
        setting = LegSetting(Decimal(10), MarginMode.ISOLATED)
        await subject.venue.set_leg(subject.symbol, PositionSide.LONG, setting)
        await subject.venue.place([self.order(subject, PositionSide.LONG, "1")])
        with pytest.raises(InsufficientMargin):
            await subject.venue.add_margin(subject.symbol, PositionSide.LONG, subject.margin * 20_000)

    async def test_the_position_mode_changes_only_when_flat(self, subject: VenueUnderTest) -> None:
        await subject.venue.set_position_mode(PositionMode.ONE_WAY)
        assert (await subject.venue.view()).position_mode is PositionMode.ONE_WAY
        await subject.venue.set_position_mode(PositionMode.HEDGE)
        await subject.venue.set_position_mode(PositionMode.HEDGE)
        await self.place(subject, self.order(subject, PositionSide.LONG, "1"))

        with pytest.raises(WrongPositionMode):
            await subject.venue.set_position_mode(PositionMode.ONE_WAY)

    async def test_a_lost_request_is_unknown_and_did_nothing(self, subject: VenueUnderTest) -> None:
        await subject.lose_next_request()

        (outcome,) = await subject.venue.place([self.order(subject, PositionSide.LONG, "1", id="lost1")])

        assert isinstance(outcome, Unknown)
        assert await subject.venue.order(subject.symbol, "lost1") is None
        assert (await subject.venue.view()).positions == ()

    async def test_a_lost_reply_is_unknown_but_was_done(self, subject: VenueUnderTest) -> None:
        await subject.lose_next_reply()

        (outcome,) = await subject.venue.place([self.order(subject, PositionSide.LONG, "1", id="lost1")])

        assert isinstance(outcome, Unknown)
        report = await subject.venue.order(subject.symbol, "lost1")
        assert report is not None
        assert report.status is OrderStatus.FILLED

    async def test_the_price_history_ends_with_the_price_of_now(self, subject: VenueUnderTest) -> None:
        await subject.trade_for(5, price=subject.at("2000"))
        await subject.trade_for(5, price=subject.at("2010"))

        view = await subject.venue.view([subject.symbol])
        points = await subject.venue.price_history(subject.symbol, EVER)

        assert points[-1].price == view.markets[subject.symbol].mark_price == subject.at("2010")
        assert abs(points[-1].at - view.at) < timedelta(seconds=5)
        assert len(points) > 3
        assert subject.at("2000") in {point.price for point in points}

    async def test_the_price_history_ascends_and_begins_no_earlier_than_asked(
        self, subject: VenueUnderTest
    ) -> None:
        for price in ("2000", "2010", "1990"):
            await subject.trade_for(5, price=subject.at(price))
        since = (await subject.venue.view()).at - timedelta(minutes=7)

        instants = [point.at for point in await subject.venue.price_history(subject.symbol, since)]

        assert instants == sorted(set(instants))
        assert instants[0] >= since
        future = instants[-1] + timedelta(hours=1)
        assert await subject.venue.price_history(subject.symbol, future) == ()

    async def test_a_thinned_price_history_keeps_its_extremes(self, subject: VenueUnderTest) -> None:
        for price in ("2000", "2000", "2222", "2000", "1888", "2000", "2000"):
            await subject.trade_for(4, price=subject.at(price))

        points = await subject.venue.price_history(subject.symbol, EVER, points=8)

        assert len(points) <= 8
        assert max(point.price for point in points) == subject.at("2222")
        assert min(point.price for point in points) == subject.at("1888")

    async def test_there_is_no_price_history_of_what_is_not_listed(self, subject: VenueUnderTest) -> None:
        with pytest.raises(InstrumentUnavailable):
            await subject.venue.price_history(Symbol("NONE/USDT:USDT"), EVER)
