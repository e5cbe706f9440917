"""Asking an exchange through ccxt's unified methods; what a venue tells better itself is overridden."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from chatbot.domain.account import Balance, LegSetting
from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    MarginMode,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.order import Fill, FillCause, FundingPayment, OrderReport
from chatbot.errors import InvalidOrder, VenueUnavailable
from chatbot.ports import KeyReport
from chatbot.venues.ccxt.access import together
from chatbot.venues.ccxt.dialects.keys import read_key, read_mode
from chatbot.venues.ccxt.dialects.public import PublicDialect, milliseconds
from chatbot.venues.ccxt.limiter import Urgency
from chatbot.venues.ccxt.memory import OrderName
from chatbot.venues.ccxt.parse_account import balances
from chatbot.venues.ccxt.parse_orders import SIDES, funding_payment, report
from chatbot.venues.ccxt.quirks import Call, Fields
from chatbot.venues.ccxt.reading import Answer, rows_of

Settings = dict[tuple[Symbol, PositionSide], LegSetting]
Instruments = Mapping[Symbol, Instrument]
MOST_PAGES = 30
LONGEST_HISTORY = timedelta(days=180)
WEEK = timedelta(days=6, hours=23)


@dataclass(frozen=True, slots=True)
class Found:
    """An order of the venue's and how to read it."""

    answer: Answer
    fields: Fields
    conditional: bool


class Dialect(PublicDialect):
    page: ClassVar[int] = 100  # the most rows of a history that every one of these venues answers

    # --- the account ----------------------------------------------------------------------------

    async def fees(self, instruments: Instruments) -> dict[Symbol, tuple[Decimal, Decimal]]:
        """Taker and maker rate by symbol; what is missing pays the usual rate."""
        probe = self.probe()
        told = Answer.of(self.id, "fees", await self.access.read(Call.FEES, "fetch_trading_fee", probe))
        rates = told.decimal("taker"), told.decimal("maker")
        settle = instruments[probe].settle
        return {symbol: rates for symbol, known in instruments.items() if known.settle == settle}

    async def positions(self) -> list[tuple[Symbol, Answer]]:
        told = rows_of(self.id, "position", await self.access.read(Call.POSITIONS, "fetch_positions"))
        return [(Symbol(row.text("symbol")), row) for row in told]

    async def balances(self) -> tuple[Balance, ...]:
        told = Answer.of(self.id, "balance", await self.access.read(Call.BALANCE, "fetch_balance"))
        body = told.get("info")
        answer = Answer(self.id, "balance", {"list": body}) if isinstance(body, list) else told.part("info")
        return balances(answer, self.quirks.balance)

    async def modes(
        self, symbols: Collection[Symbol], margins: Mapping[tuple[Symbol, PositionSide], MarginMode]
    ) -> tuple[PositionMode, Settings]:
        """The position mode, and what the next order of each side would use. ``margins`` are of positions."""
        mode = await self.position_mode()
        found = await together(*(self._leg_settings(symbol) for symbol in symbols))
        return mode, {key: setting for legs in found for key, setting in legs.items()}

    async def position_mode(self) -> PositionMode:
        if self.access.template.has.get("fetchPositionMode") is not True:
            return await read_mode(self.access, self.probe())
        told = await self.access.read(Call.MODE, "fetch_position_mode", self.probe())
        hedged = Answer.of(self.id, "position mode", told).truth("hedged")
        return PositionMode.HEDGE if hedged else PositionMode.ONE_WAY

    async def mode_shown(self, rows: Iterable[tuple[Symbol, Answer]], mode: PositionMode) -> PositionMode:
        """After the positions are read; ``mode`` is what ``modes`` said besides."""
        return mode

    async def _leg_settings(self, symbol: Symbol) -> Settings:
        if not self.access.template.has.get("fetchLeverage"):
            return self._remembered(symbol)
        told = Answer.of(self.id, "leverage", await self.access.read(Call.SETTINGS, "fetch_leverage", symbol))
        return {
            (symbol, side): LegSetting(
                told.positive(f"{side.value}Leverage"), self._margin_mode(symbol, side, told)
            )
            for side in PositionSide
        }

    def _margin_mode(self, symbol: Symbol, side: PositionSide, told: Answer) -> MarginMode:
        kept = self.memory.margin_mode((symbol, side)) if self.quirks.mode_param else None
        said = told.optional_text("marginMode")
        return kept or (MarginMode(said) if said in tuple(MarginMode) else MarginMode.CROSS)

    def _remembered(self, symbol: Symbol) -> Settings:
        """What was set by us, where the venue does not tell it; nothing is made up."""
        known = self.memory.leverage
        return {
            (symbol, side): LegSetting(
                known[symbol, side], self.memory.margin_mode((symbol, side)) or MarginMode.CROSS
            )
            for side in PositionSide
            if (symbol, side) in known
        }

    # --- orders ---------------------------------------------------------------------------------

    async def open_orders(self, symbols: Collection[Symbol], *, all: bool) -> list[tuple[Symbol, Found]]:
        """``all``: of every symbol, where the venue lists them at once; else those of ``symbols``."""
        asked: Iterable[Symbol | None] = [None] if all else sorted(symbols)
        lists = await together(
            *(self._open_orders(symbol, conditional=kind) for symbol in asked for kind in (False, True))
        )
        return [found for listed in lists for found in listed]

    async def _open_orders(self, symbol: Symbol | None, *, conditional: bool) -> list[tuple[Symbol, Found]]:
        call = Call.ORDERS if symbol else Call.ALL_ORDERS
        params = {"trigger": True} if conditional else {}
        told = await self.access.read(
            call,
            "fetch_open_orders",
            symbol,
            None,
            None,
            params,
            weight=self.quirks.weight(call) / 2,
        )
        return [self.found(row, conditional=conditional) for row in rows_of(self.id, "open order", told)]

    def found(self, row: Answer, *, conditional: bool) -> tuple[Symbol, Found]:
        """The venue's own order in ccxt's."""
        fields = self.quirks.stops if conditional else self.quirks.orders
        return Symbol(row.text("symbol")), Found(self.body(row), fields, conditional)

    def body(self, row: Answer) -> Answer:
        return row

    async def look_up(self, symbol: Symbol, client_id: str) -> Found | None:
        """By our id, among plain and conditional orders."""
        plain, stop = await together(
            self.find(symbol, client_id, conditional=False), self.find(symbol, client_id, conditional=True)
        )
        return stop if plain is None else plain  # type: ignore[no-any-return]

    async def find(self, symbol: Symbol, client_id: str, *, conditional: bool) -> Found | None:
        params = {"clientOrderId": self.quirks.id_prefix + client_id}
        order_id = self.quirks.id_prefix + client_id if self.quirks.id_prefix else ""
        if conditional:
            return await self._find_stop(symbol, client_id)
        return await self.fetch(symbol, order_id, params, conditional=False)

    async def _find_stop(self, symbol: Symbol, client_id: str) -> Found | None:
        """Conditional orders of these venues are listed by symbol and seldom found by our id."""
        listed = await self._open_orders(symbol, conditional=True)
        return next((f for _, f in listed if self._names(f, client_id)), None)

    def _names(self, found: Found, client_id: str) -> bool:
        said = found.answer.optional_text(*found.fields.client_id)
        return said.removeprefix(self.quirks.id_prefix) == client_id

    async def fetch(
        self, symbol: Symbol, order_id: str, params: Mapping[str, object], *, conditional: bool
    ) -> Found | None:
        """``None``: the venue knows no such order."""
        try:
            told = await self.access.read(
                Call.ORDER, "fetch_order", order_id, symbol, dict(params), urgency=Urgency.EVIDENCE, weight=1
            )
        except VenueUnavailable as error:
            if error.code in self.quirks.absent:
                return None
            raise
        return self.found(Answer.of(self.id, "order", told), conditional=conditional)[1]

    async def child(self, symbol: Symbol, found: Found) -> Found | None:
        """What a conditional order became."""
        order_id = found.answer.optional_text(*found.fields.child) if found.fields.child else ""
        return (
            await self.fetch(symbol, order_id, {}, conditional=False) if order_id not in ("", "0") else None
        )

    async def order_fee(self, instrument: Instrument, found: Found) -> Decimal | None:
        """In the settlement currency. Raises ``Garbled`` while the fills are not told yet."""
        fields = found.fields
        if found.answer.get(fields.fee) is not None:
            paid = found.answer.decimal(fields.fee) * fields.fee_sign
            currency = found.answer.optional_text(fields.fee_currency)
            return await self.settled(paid, currency, found.answer, instrument)
        order_id = found.answer.text(*found.fields.id)
        told = await self.access.read(
            Call.FILLS, "fetch_my_trades", instrument.symbol, None, 100, urgency=Urgency.EVIDENCE
        )
        rows = [row for row in rows_of(self.id, "fill", told) if row.optional_text("order") == order_id]
        if not rows:
            raise found.answer.garbled("fills", None)
        return sum([await self.fee(row, instrument) for row in rows], ZERO)

    async def cancel(self, symbol: Symbol, client_id: str, found: Found) -> None:
        order_id = found.answer.text(*found.fields.id)
        params = {"trigger": True} if found.conditional else {}
        await self.access.write(Call.CANCEL, "cancel_order", order_id, symbol, params)

    # --- history --------------------------------------------------------------------------------

    async def fills(self, instrument: Instrument, since: datetime) -> tuple[Fill, ...]:
        told = await self.access.read(
            Call.FILLS, "fetch_my_trades", instrument.symbol, self.within_a_week(since), self.page
        )
        rows = rows_of(self.id, "fill", told)
        names = await self.order_names(instrument, {row.text("order") for row in rows})
        made = [await self._fill(row, instrument, names) for row in rows]
        return ordered(fill for fill in made if fill.at >= since)

    def within_a_week(self, since: datetime) -> int | None:
        """Most venues answer a week from then at most; without an instant they tell the newest page."""
        recent = self.access.venue_now() - since < WEEK
        return milliseconds(since) if recent else None

    def reachable(self, since: datetime) -> int:
        return milliseconds(max(since, self.access.venue_now() - LONGEST_HISTORY))

    async def order_names(self, instrument: Instrument, ids: Collection[str]) -> Mapping[str, OrderName]:
        unknown = sorted(order_id for order_id in ids if order_id not in self.memory.names)
        found = await together(
            *(self.fetch(instrument.symbol, order_id, {}, conditional=False) for order_id in unknown)
        )
        for order_id, order in zip(unknown, found, strict=True):
            if order is not None:
                told = report(order.answer, order.fields, instrument, prefix=self.quirks.id_prefix)
                self.memory.learn(order_id, self._named(told))
        return {order_id: self.memory.names[order_id] for order_id in ids if order_id in self.memory.names}

    def _named(self, told: OrderReport) -> OrderName:
        """Orders of the venue's own bear ids that say so."""
        forced = self.quirks.forced
        cause = next((forced[word] for word in forced if told.client_order_id.startswith(word)), None)
        ours = told.client_order_id if cause is None else ""
        return OrderName(ours, cause or FillCause.TRADE, told.position_side)

    async def _fill(self, row: Answer, instrument: Instrument, names: Mapping[str, OrderName]) -> Fill:
        name = names.get(row.text("order"))
        if name is None or name.leg is None:
            raise row.garbled("order", row.text("order"))
        opens = row.one_of(SIDES, "side") is name.leg.opening
        return Fill(
            venue_fill_id=row.text("id"),
            symbol=instrument.symbol,
            side=name.leg.opening if opens else name.leg.closing,
            position_side=name.leg,
            quantity=row.positive("amount") * instrument.contract_size,
            price=row.positive("price"),
            fee=await self.fee(row, instrument),
            realized_pnl=row.optional(*self.quirks.fill_profit) or ZERO if self.quirks.fill_profit else ZERO,
            at=row.instant("timestamp"),
            client_order_id=name.client_order_id or None,
            cause=name.cause,
        )

    async def fee(self, row: Answer, instrument: Instrument) -> Decimal:
        """Of ccxt's trade, in the settlement currency."""
        return await self.settled(row.decimal("fee.cost"), row.optional_text("fee.currency"), row, instrument)

    async def settled(self, fee: Decimal, currency: str, row: Answer, instrument: Instrument) -> Decimal:
        """A fee paid in another coin (BNB for one) at that coin's mark price of now."""
        if fee == 0 or currency in ("", instrument.settle):
            return fee
        symbol = f"{currency}/{instrument.settle}:{instrument.settle}"
        if symbol not in self.access.markets:
            raise row.garbled("fee currency", currency)
        told = await self.access.read(Call.MARKET, "fetch_ticker", symbol)
        return fee * Answer.of(self.id, f"ticker of {symbol}", told).positive("last", "close")

    async def funding(self, instrument: Instrument, since: datetime) -> tuple[FundingPayment, ...]:
        rows = await self.funding_rows(instrument, self.reachable(since))
        if not rows:
            return ()
        rates = await self.funding_rates(instrument.symbol, self.reachable(since))
        made = (self.funding_payment(row, instrument, rates) for row in rows)
        return tuple(sorted((p for p in made if p is not None and p.at >= since), key=lambda p: p.at))

    async def funding_rows(self, instrument: Instrument, since_ms: int) -> list[Answer]:
        told = await self.access.read(
            Call.FUNDING, "fetch_funding_history", instrument.symbol, since_ms, self.page
        )
        return rows_of(self.id, "funding payment", told)

    def funding_payment(
        self, row: Answer, instrument: Instrument, rates: Mapping[datetime, Decimal]
    ) -> FundingPayment | None:
        at = row.instant("timestamp")
        amount = row.decimal("amount")
        return funding_payment(row, instrument, id=row.text("id"), amount=amount, at=at, rates=rates)

    async def funding_rates(self, symbol: Symbol, since_ms: int) -> dict[datetime, Decimal]:
        """Settled rates by their instant."""
        told = await self.access.read(Call.FUNDING, "fetch_funding_rate_history", symbol, since_ms, self.page)
        rows = rows_of(self.id, "settled funding rate", told)
        return {row.instant("timestamp"): row.decimal("fundingRate") for row in rows}

    # --- writes ---------------------------------------------------------------------------------

    async def set_position_mode(self, mode: PositionMode) -> None:
        await self.access.write(Call.SET, "set_position_mode", mode is PositionMode.HEDGE, self.mode_symbol())
        self.memory.mode = mode

    def mode_symbol(self) -> Symbol | None:
        return self.probe()

    async def set_leverage(
        self, symbol: Symbol, side: PositionSide, wanted: LegSetting, other: LegSetting | None
    ) -> None:
        """``other``: the setting of the opposite side, where one request carries both."""
        if not self.quirks.leverage_param:
            params = _filled(self.quirks.leverage_leg, side, wanted.margin_mode)
            await self.access.write(Call.SET, "set_leverage", int(wanted.leverage), symbol, params)
        self.memory.leverage[symbol, side] = wanted.leverage

    async def set_margin_mode(self, symbol: Symbol, side: PositionSide, wanted: LegSetting) -> None:
        if not self.quirks.mode_param:
            params = {"leverage": int(wanted.leverage)} if self.quirks.mode_needs_leverage else {}
            mode = wanted.margin_mode.value
            await self.access.write(Call.SET, "set_margin_mode", mode, symbol, params)
        self.memory.wanted[symbol, side] = wanted.margin_mode

    async def add_margin(self, instrument: Instrument, side: PositionSide, amount: Decimal) -> None:
        if self.access.template.has.get("addMargin") is not True:
            raise InvalidOrder(
                f"{self.quirks.title} takes no margin for a leg through its API.", venue=self.id
            )
        params = _filled(self.quirks.margin_leg, side, MarginMode.ISOLATED)
        await self.access.write(Call.SET, "add_margin", instrument.symbol, f"{amount:f}", params)

    async def key(self) -> KeyReport:
        """Whether it reads is proven by reading; the rest where the venue tells."""
        mode = await self.position_mode()
        return replace(await read_key(self.access), position_mode=mode)


def _filled(named: Mapping[str, str], side: PositionSide, mode: MarginMode) -> dict[str, str]:
    words = {"side": side.value, "SIDE": side.value.upper(), "mode": mode.value}
    return {name: word.format(**words) for name, word in named.items()}


def ordered(fills: Iterable[Fill]) -> tuple[Fill, ...]:
    return tuple(sorted(fills, key=lambda fill: fill.at))
