"""A trader with a paper account, for tests: short words for orders and prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView, LegSetting, Position
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.domain.order import Accepted, Fill, OrderReport, OrderRequest, OrderType, Outcome, Rejected
from chatbot.venues.feeds import BTC, ETH, SOL, PriceFeed, ScriptedFeed
from chatbot.venues.paper import FaultPlan, PaperExchange

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ISOLATED, CROSS = MarginMode.ISOLATED, MarginMode.CROSS
EVER = datetime(2000, 1, 1, tzinfo=UTC)


def scripted() -> ScriptedFeed:
    return ScriptedFeed({BTC: Decimal(64_000), ETH: Decimal(2_000), SOL: Decimal(150)})


class Trader:
    def __init__(
        self,
        *,
        feed: PriceFeed | None = None,
        clock: VirtualClock | None = None,
        state: Path | None = None,
        speed: Decimal = Decimal(1),
        name: str = "alice",
    ) -> None:
        self.clock = clock or VirtualClock(START)
        self.feed = feed or scripted()
        self.exchange = PaperExchange.open(state, self.feed, self.clock, speed)
        self.account = AccountId(name)
        self.faults = FaultPlan()
        self.venue = self.exchange.venue(self.account, self.faults)
        self._count = 0

    def request(
        self,
        side: PositionSide,
        quantity: str,
        *,
        opens: bool = True,
        symbol: Symbol = ETH,
        type: OrderType = OrderType.MARKET,
        limit: str | None = None,
        trigger: str | None = None,
        post_only: bool = False,
        reduce_only: bool | None = None,
        client_order_id: str = "",
        valid_for: float = 10,
    ) -> OrderRequest:
        self._count += 1
        return OrderRequest(
            client_order_id=client_order_id or f"order{self._count}",
            symbol=symbol,
            side=side.opening if opens else side.closing,
            position_side=side,
            type=type,
            quantity=Decimal(quantity),
            reduce_only=not opens if reduce_only is None else reduce_only,
            valid_until=self.clock.now() + timedelta(seconds=valid_for),
            limit_price=None if limit is None else Decimal(limit),
            trigger_price=None if trigger is None else Decimal(trigger),
            post_only=post_only,
        )

    async def send(self, *requests: OrderRequest) -> tuple[Outcome, ...]:
        return await self.venue.place(requests)

    async def done(self, request: OrderRequest) -> OrderReport:
        (outcome,) = await self.venue.place([request])
        assert isinstance(outcome, Accepted), outcome
        return outcome.report

    async def refused(self, request: OrderRequest) -> Rejected:
        (outcome,) = await self.venue.place([request])
        assert isinstance(outcome, Rejected), outcome
        return outcome

    async def open(self, side: PositionSide, quantity: str, *, symbol: Symbol = ETH) -> OrderReport:
        return await self.done(self.request(side, quantity, symbol=symbol))

    async def close(self, side: PositionSide, quantity: str, *, symbol: Symbol = ETH) -> OrderReport:
        return await self.done(self.request(side, quantity, symbol=symbol, opens=False))

    async def use(
        self, side: PositionSide, *, leverage: int = 10, mode: MarginMode = CROSS, symbol: Symbol = ETH
    ) -> None:
        await self.venue.set_leg(symbol, side, LegSetting(Decimal(leverage), mode))

    async def price(self, price: str, *, symbol: Symbol = ETH) -> AccountView:
        """Moves the market there and looks."""
        assert isinstance(self.feed, ScriptedFeed)
        self.feed.set(symbol, Decimal(price))
        return await self.venue.view()

    async def position(self, side: PositionSide, *, symbol: Symbol = ETH) -> Position | None:
        return (await self.venue.view()).position(symbol, side)

    async def order(self, client_order_id: str, *, symbol: Symbol = ETH) -> OrderReport:
        report = await self.venue.order(symbol, client_order_id)
        assert report is not None
        return report

    async def fills(self, *, symbol: Symbol = ETH) -> tuple[Fill, ...]:
        return await self.venue.fills(symbol, EVER)

    async def explained_wallet(self) -> Decimal:
        """Deposits + realized - fees + funding, from the histories alone."""
        outside = self.exchange.money_from_outside(self.account)
        total = sum((entry.amounts.get("USDT", Decimal(0)) for entry in outside), Decimal(0))
        for symbol in (BTC, ETH, SOL):
            if symbol not in await self.venue.instruments():
                continue
            for fill in await self.venue.fills(symbol, EVER):
                total += fill.realized_pnl - fill.fee
            for payment in await self.venue.funding_payments(symbol, EVER):
                total += payment.amount
        return total
