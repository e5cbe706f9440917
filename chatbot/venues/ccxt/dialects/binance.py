"""Binance USDⓈ-M, natively: what its own fields say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.account import Balance, LegSetting
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.order import Fill, FillCause
from chatbot.ports import ROUTINE, KeyReport
from chatbot.venues.ccxt.access import together
from chatbot.venues.ccxt.dialects.common import (
    Dialect,
    Found,
    Instruments,
    Settings,
    ordered,
)
from chatbot.venues.ccxt.dialects.public import PAGE, milliseconds
from chatbot.venues.ccxt.limiter import Urgency
from chatbot.venues.ccxt.memory import OrderName
from chatbot.venues.ccxt.parse_account import balances, ratio, stands_alone
from chatbot.venues.ccxt.parse_orders import SIDES, one_way_leg
from chatbot.venues.ccxt.quirks import UPPER_SIDES, Call
from chatbot.venues.ccxt.reading import Answer, rows_of

MODES = {
    "CROSSED": MarginMode.CROSS,
    "cross": MarginMode.CROSS,
    "ISOLATED": MarginMode.ISOLATED,
    "isolated": MarginMode.ISOLATED,
}
# The venue asks thirty times as much for it as for a price. Who waits for an answer gets the one of now.
MODE_IS_FRESH_FOR = timedelta(seconds=60)
HELD_MODE_IS_FRESH_FOR = timedelta(minutes=10)  # open positions keep it from being changed, and tell it
WEEK = timedelta(days=7)


class Binance(Dialect):
    page = PAGE

    async def fees(self, instruments: Instruments) -> dict[Symbol, tuple[Decimal, Decimal]]:
        probe = self.probe()
        told = Answer.of(
            self.id,
            "commission rate",
            await self.access.read(Call.FEES, "fapiPrivateGetCommissionRate", symbol=self.native(probe)),
        )
        rates = told.decimal("takerCommissionRate"), told.decimal("makerCommissionRate")
        settle = instruments[probe].settle
        return {symbol: rates for symbol, known in instruments.items() if known.settle == settle}

    async def positions(self) -> list[tuple[Symbol, Answer]]:
        told = await self.access.read(Call.POSITIONS, "fapiPrivateV3GetPositionRisk")
        rows = rows_of(self.id, "position", told)
        return [
            (self.access.names[name], row)
            for row in rows
            if (name := row.text("symbol")) in self.access.names
        ]

    async def balances(self) -> tuple[Balance, ...]:
        """Maintenance margin and ratio are those of the cross positions; isolated ones stand alone."""
        told = Answer.of(self.id, "account", await self.access.read(Call.BALANCE, "fapiPrivateV3GetAccount"))
        isolated = _isolated_maintenance(told)
        found = balances(told, self.quirks.balance)
        rows = {row.text("asset"): row for row in told.rows("assets")}
        return tuple(_cross_only(b, rows[b.currency], isolated.get(b.currency, ZERO)) for b in found)

    async def modes(
        self, symbols: Collection[Symbol], margins: Mapping[tuple[Symbol, PositionSide], MarginMode]
    ) -> tuple[PositionMode, Settings]:
        mode, told = await together(
            self.position_mode(), self.access.read(Call.SETTINGS, "fapiPrivateGetSymbolConfig")
        )
        return mode, self._configured(told)

    def _configured(self, told: object) -> Settings:
        settings: Settings = {}
        for row in rows_of(self.id, "symbol configuration", told):
            symbol = self.access.names.get(row.text("symbol"))
            if symbol is not None:
                setting = LegSetting(row.positive("leverage"), row.one_of(MODES, "marginType"))
                settings |= dict.fromkeys(((symbol, side) for side in PositionSide), setting)
        return settings

    async def position_mode(self) -> PositionMode:
        now, memory = self.access.clock.now(), self.memory
        if memory.mode is None or memory.mode_at is None or now - memory.mode_at >= self._mode_is_fresh_for:
            memory.mode, memory.mode_at = await super().position_mode(), now
        return memory.mode

    @property
    def _mode_is_fresh_for(self) -> timedelta:
        if self.memory.held:
            return HELD_MODE_IS_FRESH_FOR
        return MODE_IS_FRESH_FOR if ROUTINE.get() else timedelta(0)

    async def mode_shown(self, rows: Iterable[tuple[Symbol, Answer]], mode: PositionMode) -> PositionMode:
        """Open positions tell it; when the last of them is gone, so is what was known from them."""
        fields = self.quirks.positions
        held = [row for _, row in rows if row.decimal(fields.quantity)]
        if held:
            alone = any(stands_alone(row, fields, mode) for row in held)
            return PositionMode.ONE_WAY if alone else PositionMode.HEDGE
        if self.memory.held:
            self.memory.mode = None
            return await self.position_mode()
        return mode

    async def set_position_mode(self, mode: PositionMode) -> None:
        self.memory.mode = None
        await super().set_position_mode(mode)
        self.memory.mode_at = self.access.clock.now()

    async def _open_orders(self, symbol: Symbol | None, *, conditional: bool) -> list[tuple[Symbol, Found]]:
        method = "fapiPrivateGetOpenAlgoOrders" if conditional else "fapiPrivateGetOpenOrders"
        named: dict[str, Any] = {"symbol": self.native(symbol)} if symbol else {}
        call = Call.ORDERS if symbol else Call.ALL_ORDERS
        told = await self.access.read(call, method, weight=self.quirks.weight(call) / 2, **named)
        fields = self.quirks.stops if conditional else self.quirks.orders
        return [
            (self.access.names[name], Found(row, fields, conditional))
            for row in rows_of(self.id, "open order", told)
            if (name := row.text("symbol")) in self.access.names
        ]

    def body(self, row: Answer) -> Answer:
        return row.part("info")

    async def find(self, symbol: Symbol, client_id: str, *, conditional: bool) -> Found | None:
        name = {"trigger": True, "clientAlgoId": client_id} if conditional else {"clientOrderId": client_id}
        return await self.fetch(symbol, "", name, conditional=conditional)

    async def order_fee(self, instrument: Instrument, found: Found) -> Decimal | None:
        """Raises ``Garbled`` while the fills are not told yet."""
        rows = await self._trades(instrument, orderId=found.answer.text("orderId"))
        if not rows:
            raise found.answer.garbled("fills", None)
        return sum([await self._commission(row, instrument) for row in rows], ZERO)

    async def _commission(self, row: Answer, instrument: Instrument) -> Decimal:
        return await self.settled(row.decimal("commission"), row.text("commissionAsset"), row, instrument)

    async def _trades(self, instrument: Instrument, **params: object) -> list[Answer]:
        told = await self.access.read(
            Call.FILLS,
            "fapiPrivateGetUserTrades",
            urgency=Urgency.EVIDENCE,
            weight=5,
            symbol=self.native(instrument.symbol),
            limit=PAGE,
            **params,
        )
        return rows_of(self.id, "fill", told)

    async def fills(self, instrument: Instrument, since: datetime) -> tuple[Fill, ...]:
        """Newest thousand first, then further back by their ids: windows of time are a week at most there."""
        rows = await self._trades(instrument)
        while len(rows) % PAGE == 0 and rows and min(row.instant("time") for row in rows) >= since:
            first = min(int(row.text("id")) for row in rows)
            older = await self._trades(instrument, fromId=max(0, first - PAGE))
            fresh = [row for row in older if int(row.text("id")) < first]
            if not fresh:
                break
            rows = fresh + rows
        wanted = [row for row in rows if row.instant("time") >= since]
        names = await self.order_names(instrument, {row.text("orderId") for row in wanted})
        return ordered([await self._native_fill(row, instrument, names) for row in wanted])

    async def _native_fill(self, row: Answer, instrument: Instrument, names: Mapping[str, OrderName]) -> Fill:
        side, name = row.one_of(SIDES, "side"), names[row.text("orderId")]
        profit = row.decimal("realizedPnl")
        return Fill(
            venue_fill_id=row.text("id"),
            symbol=instrument.symbol,
            side=side,
            position_side=UPPER_SIDES.get(row.text("positionSide"))
            or one_way_leg(side, profit, name.client_order_id),
            quantity=row.positive("qty") * instrument.contract_size,
            price=row.positive("price"),
            fee=await self._commission(row, instrument),
            realized_pnl=profit,
            at=row.instant("time"),
            client_order_id=name.client_order_id or None,
            cause=name.cause,
        )

    async def order_names(self, instrument: Instrument, ids: Collection[str]) -> Mapping[str, OrderName]:
        """Fills name the order only; the order its client id; and what a stop became, the list of stops."""
        unknown = sorted(order_id for order_id in ids if order_id not in self.memory.names)
        if unknown:
            found, parents = await together(
                together(*(self._plain(instrument.symbol, order_id) for order_id in unknown)),
                self._parents(instrument),
            )
            for order_id, order in zip(unknown, found, strict=True):
                self.memory.learn(order_id, _name(order, parents.get(order_id), self.quirks.forced))
        return {order_id: self.memory.names[order_id] for order_id in ids}

    async def _plain(self, symbol: Symbol, order_id: str) -> Found | None:
        return await self.fetch(symbol, order_id, {}, conditional=False)

    async def _parents(self, instrument: Instrument) -> dict[str, str]:
        told = await self.access.read(
            Call.FILLS,
            "fapiPrivateGetAllAlgoOrders",
            weight=5,
            symbol=self.native(instrument.symbol),
            limit=PAGE,
        )
        rows = rows_of(self.id, "conditional order", told)
        return {row.optional_text("actualOrderId"): row.text("clientAlgoId") for row in rows}

    async def funding_rows(self, instrument: Instrument, since_ms: int) -> list[Answer]:
        """A thousand at a time, the oldest first."""
        rows: list[Answer] = []
        while True:
            page = await super().funding_rows(instrument, since_ms)
            known = {row.text("id") for row in rows}
            rows += [row for row in page if row.text("id") not in known]
            if len(page) < PAGE:
                return rows
            since_ms = max(milliseconds(row.instant("timestamp")) for row in page)

    async def add_margin(self, instrument: Instrument, side: PositionSide, amount: Decimal) -> None:
        """Not through ccxt's own: that cuts the amount to the grid of quantities."""
        await self.access.write(
            Call.SET,
            "fapiPrivatePostPositionMargin",
            symbol=self.native(instrument.symbol),
            positionSide="BOTH" if instrument.symbol in self.memory.one_way else side.value.upper(),
            amount=f"{abs(amount):f}",
            type=1 if amount > 0 else 2,
        )

    async def key(self) -> KeyReport:
        mode, told = await together(
            self.position_mode(), self.access.read(Call.KEY, "sapiGetAccountApiRestrictions")
        )
        rights = Answer.of(self.id, "key", told)
        moving = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")
        ends = rights.get("tradingAuthorityExpirationTime")
        return KeyReport(
            can_read=rights.truth("enableReading"),
            can_trade=rights.truth("enableFutures"),
            can_move_funds=any(rights.get(right) is True for right in moving),
            ip_restricted=rights.truth("ipRestrict"),
            expires_at=None if ends is None else rights.instant("tradingAuthorityExpirationTime"),
            position_mode=mode,
        )


def _isolated_maintenance(told: Answer) -> dict[str, Decimal]:
    """By currency; the account lists the positions that there are."""
    sums: dict[str, Decimal] = {}
    for row in told.rows("positions") if told.get("positions") is not None else []:
        if (row.optional("isolatedMargin") or ZERO) > 0:
            currency = row.optional_text("marginAsset") or "USDT"
            sums[currency] = sums.get(currency, ZERO) + (row.optional("maintMargin") or ZERO)
    return sums


def _cross_only(found: Balance, row: Answer, isolated: Decimal) -> Balance:
    maintenance = max(ZERO, found.maintenance_margin - isolated)
    wallet, unrealized = row.optional("crossWalletBalance"), row.optional("crossUnPnl")
    equity = found.equity if wallet is None or unrealized is None else wallet + unrealized
    return replace(found, maintenance_margin=maintenance, margin_ratio=ratio(maintenance, equity))


def _name(order: Found | None, parent: str | None, forced: Mapping[str, FillCause]) -> OrderName:
    """An order that is not found any more was nobody's of ours that we still ask for."""
    said = order.answer.optional_text("clientOrderId") if order else ""
    cause = next((forced[word] for word in forced if said.startswith(word)), None)
    return OrderName(parent or said) if cause is None else OrderName("", cause)
