"""What an offer foretells is what an exchange with arithmetic of its own then does."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView, LegSetting, Position
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.margin import account_margin_ratio, leg_liquidation
from chatbot.domain.order import Accepted, OrderRequest, OrderStatus, OrderType
from chatbot.domain.preferences import RiskCaps
from chatbot.domain.quote import (
    CloseRequest,
    HedgeRequest,
    LegAction,
    LegLiquidation,
    LegPlan,
    LiquidationSource,
    OpenRequest,
    Size,
    SizeUnit,
)
from chatbot.domain.quoting import quote_close, quote_hedge, quote_open
from chatbot.venues.feeds import BTC, BTC_INVERSE, ETH, ScriptedFeed
from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.venue import PaperVenue
from tests.builders import LONG, NOW, SHORT

D = Decimal
NO_CAPS = RiskCaps(hedge_share=None, leverage=None, reserve=D(0))
STARTS = {BTC: D(100_000), ETH: D(2_000), BTC_INVERSE: D(100_000)}
# An exchange keeps prices and coin to eight digits.
CLOSE = D("1e-7")


class Account:
    """A paper account and one trader who does what the offers say."""

    def __init__(self) -> None:
        self._clock = VirtualClock(NOW)
        self._feed = ScriptedFeed(STARTS)
        self.exchange = PaperExchange.open(None, self._feed, self._clock, D(1))
        self.venue: PaperVenue = self.exchange.venue(AccountId("trader"))
        self._ids = itertools.count()
        self.instruments: Mapping[Symbol, Instrument] = {}

    async def see(self, symbol: Symbol) -> AccountView:
        self.instruments = await self.venue.instruments()
        return await self.venue.view({symbol})

    async def move(self, symbol: Symbol, price: Decimal) -> None:
        self._feed.set(symbol, price)
        await self._clock.advance(2)

    async def do(self, symbol: Symbol, plan: LegPlan) -> tuple[Decimal, Decimal]:
        """Average price and fee."""
        if plan.action is LegAction.OPEN:
            await self.venue.set_leg(symbol, plan.side, LegSetting(plan.leverage, plan.margin_mode))
        order = OrderRequest(
            client_order_id=f"T{next(self._ids)}",
            symbol=symbol,
            side=plan.order_side,
            position_side=plan.side,
            type=OrderType.MARKET,
            quantity=plan.quantity,
            reduce_only=plan.action is LegAction.CLOSE,
            valid_until=self._clock.now() + timedelta(seconds=30),
        )
        (outcome,) = await self.venue.place([order])
        assert isinstance(outcome, Accepted), outcome
        report = outcome.report
        assert report.status is OrderStatus.FILLED
        assert report.average_price is not None
        return report.average_price, report.fee


def near(found: Decimal | None, expected: Decimal | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= CLOSE * max(D(1), abs(expected))


def told(view: AccountView, symbol: Symbol, side: PositionSide) -> Decimal | None:
    position = view.position(symbol, side)
    assert position is not None
    return position.liquidation_price


def computed(instrument: Instrument, position: Position, view: AccountView) -> LegLiquidation:
    silent = tuple(replace(p, liquidation_price=None) for p in view.positions)
    return leg_liquidation(
        instrument, replace(position, liquidation_price=None), replace(view, positions=silent)
    )


CASES = [
    (symbol, size, mode, leverage, first, moved)
    for symbol, size in ((BTC, "0.2"), (ETH, "7.5"), (BTC_INVERSE, "0.03"))
    for mode in MarginMode
    for leverage in (5, 20)
    for first, moved in ((LONG, "1.03"), (SHORT, "0.97"), (LONG, "0.98"))
]


@pytest.mark.parametrize(("symbol", "size", "mode", "leverage", "first", "moved"), CASES)
async def test_an_opening_a_lock_and_a_close_come_as_quoted(
    symbol: Symbol, size: str, mode: MarginMode, leverage: int, first: PositionSide, moved: str
) -> None:
    account = Account()
    view = await account.see(symbol)
    instrument = account.instruments[symbol]
    wallet = view.balance_in(instrument.settle)
    assert wallet is not None

    request = OpenRequest(symbol, first, Size(SizeUnit.BASE, D(size)), D(leverage), mode)
    opening = quote_open(request, view, instrument, NO_CAPS, D(0))
    assert near((await account.do(symbol, opening.plan))[0], opening.plan.expected_price)
    view = await account.see(symbol)
    assert near(told(view, symbol, first), opening.liquidation.price)

    await account.move(symbol, STARTS[symbol] * D(moved))
    view = await account.see(symbol)
    lock = quote_hedge(HedgeRequest(symbol), None, view, instrument, NO_CAPS, D(0))
    price, paid = await account.do(symbol, lock.plan)
    assert near(price, lock.plan.expected_price)
    assert near(-paid, lock.fee_to_open)
    view = await account.see(symbol)
    assert near(told(view, symbol, first), lock.primary_after.price)
    assert near(told(view, symbol, first.opposite), lock.offset_after.price)

    await account.move(symbol, STARTS[symbol] * D("1.01"))
    view = await account.see(symbol)
    closing = quote_close(CloseRequest(symbol), None, view, instrument).ways[0]
    for plan in closing.plans:
        await account.do(symbol, plan)
    after = (await account.see(symbol)).balance_in(instrument.settle)
    assert after is not None
    fees = opening.plan.fee + paid
    assert near(after.wallet - wallet.wallet, closing.realized - fees)


@pytest.mark.parametrize("moved", ["0.97", "1", "1.04"])
@pytest.mark.parametrize("modes", list(itertools.product(MarginMode, repeat=3)))
async def test_computed_prices_are_those_that_the_exchange_reports(
    modes: tuple[MarginMode, ...], moved: str
) -> None:
    """Two legs of different size on one market, a third on another, in every mixture of modes."""
    account = Account()
    await account.see(BTC)
    legs = ((BTC, LONG, "0.2", modes[0]), (BTC, SHORT, "0.15", modes[1]), (ETH, LONG, "6", modes[2]))
    for symbol, side, quantity, mode in legs:
        await account.venue.set_leg(symbol, side, LegSetting(D(20), mode))
        await account.exchange.trade_elsewhere(
            AccountId("trader"), symbol, side, D(quantity), opens=True, reference=f"{symbol}{side}"
        )
    await account.move(BTC, STARTS[BTC] * D(moved))
    view = await account.see(ETH)
    assert len(view.positions) == 3
    for position in view.positions:
        found = computed(account.instruments[position.symbol], position, view)
        assert found.source is LiquidationSource.COMPUTED
        assert near(found.price, position.liquidation_price), position
    ratio = account_margin_ratio(replace(view, balance=replace(view.balance, margin_ratio=None)))
    assert ratio is not None
    assert near(ratio, view.balance.margin_ratio or D(0))
