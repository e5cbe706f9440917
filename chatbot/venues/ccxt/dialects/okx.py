"""OKX swaps, natively: what its own fields say. Sizes are contracts there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from chatbot.domain.account import Balance, LegSetting
from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    MarginMode,
    MarginTier,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.market import MarketState
from chatbot.domain.order import Fill, FillCause, FundingPayment
from chatbot.ports import KeyReport
from chatbot.venues.ccxt.access import together
from chatbot.venues.ccxt.dialects.common import Dialect, Found, Instruments, Settings, ordered
from chatbot.venues.ccxt.memory import OrderName
from chatbot.venues.ccxt.parse_account import balances
from chatbot.venues.ccxt.parse_orders import SIDES, funding_payment, one_way_leg
from chatbot.venues.ccxt.quirks import LOWER_SIDES, Call
from chatbot.venues.ccxt.reading import Answer

SWAP = "SWAP"
DOLLARS = "USDT"
POSITION_MODES = {"long_short_mode": PositionMode.HEDGE, "net_mode": PositionMode.ONE_WAY}
STOP_KINDS = ("conditional", "trigger")
PAGE = 100
FAMILIES_AT_ONCE = 5
MOST_PAGES = 100
# Bill types of fills that the venue made by itself.
LIQUIDATIONS = frozenset({"100", "101", "102", "103", "104", "105", "106", "107", "108", "109", "110"})
DELEVERAGED = frozenset({"125", "126", "127", "128"})


class Okx(Dialect):
    async def _rows(self, call: Call, method: str, **params: Any) -> list[Answer]:
        answer = await self.access.read(call, method, weight=1, **params)
        return Answer.of(self.id, method, answer).rows("data")

    async def _only(self, call: Call, method: str, **params: object) -> Answer:
        rows = await self._rows(call, method, **params)
        if not rows:
            raise Answer(self.id, method, {}).garbled("data", rows)
        return rows[0]

    # --- public ---------------------------------------------------------------------------------

    async def tiers(self) -> dict[Symbol, tuple[MarginTier, ...]]:
        """By family, a few in one request; their caps are contracts, worth what the mark price says today."""
        wanted = self.tradable()
        marks = await self._rows(Call.MARKET, "publicGetPublicMarkPrice", instType=SWAP)
        priced = {self.access.names.get(row.text("instId")): row.positive("markPx") for row in marks}
        families = {self._family(symbol): symbol for symbol in wanted if symbol in priced}
        names = sorted(families)
        chunks = [names[n : n + FAMILIES_AT_ONCE] for n in range(0, len(names), FAMILIES_AT_ONCE)]
        lists = await together(*(self._tier_rows(chunk) for chunk in chunks))
        told: dict[str, list[dict[str, object]]] = {}
        for row in (row for rows in lists for row in rows):
            told.setdefault(row.text("instFamily", "uly"), []).append(_tier(row))
        return {
            families[name]: self._tiers(rows, unit=self._worth(families[name], priced[families[name]]))
            for name, rows in told.items()
            if name in families
        }

    def _family(self, symbol: Symbol) -> str:
        return Answer.of(self.id, "instrument", self.access.markets[symbol]).text(
            "info.instFamily", "info.uly"
        )

    def _worth(self, symbol: Symbol, mark: Decimal) -> Decimal:
        """Of one contract: in quote (linear) or in base (inverse)."""
        told = Answer.of(self.id, "instrument", self.access.markets[symbol])
        size = told.positive("contractSize")
        return size * mark if told.truth("linear") else size / mark

    async def _tier_rows(self, families: list[str]) -> list[Answer]:
        told = await self.access.read(
            Call.TIERS,
            "publicGetPublicPositionTiers",
            instType=SWAP,
            tdMode="cross",
            instFamily=",".join(families),
        )
        return Answer.of(self.id, "margin tiers", told).rows("data")

    async def market(self, instrument: Instrument) -> MarketState:
        symbol, name = instrument.symbol, self.native(instrument.symbol)
        rate, mark, ticker, index = await together(
            self.access.read(Call.MARKET, "fetch_funding_rate", symbol),
            self._only(Call.MARKET, "publicGetPublicMarkPrice", instType=SWAP, instId=name),
            self._only(Call.MARKET, "publicGetMarketTicker", instId=name),
            self._only(
                Call.MARKET, "publicGetMarketIndexTickers", instId=f"{instrument.base}-{instrument.quote}"
            ),
        )
        told = Answer.of(self.id, f"funding rate of {symbol}", rate)
        prices = {
            "markPrice": mark.text("markPx"),
            "indexPrice": index.text("idxPx"),
            "last": ticker.text("last"),
            "timestamp": mark.text("ts"),
        }
        return self.state(instrument, told, Answer(self.id, f"prices of {symbol}", prices))

    # --- the account ----------------------------------------------------------------------------

    async def fees(self, instruments: Instruments) -> dict[Symbol, tuple[Decimal, Decimal]]:
        """Rates are negative where they are charged; apart for what settles in USDT, USDC and coins."""
        told = await self._only(Call.FEES, "privateGetAccountTradeFee", instType=SWAP)
        names = {"USDT": ("takerU", "makerU"), "USDC": ("takerUSDC", "makerUSDC")}
        rates: dict[Symbol, tuple[Decimal, Decimal]] = {}
        for symbol, known in instruments.items():
            taker, maker = names.get(known.settle, ("taker", "maker"))
            if told.get(taker) is not None:
                rates[symbol] = (ZERO - told.decimal(taker), ZERO - told.decimal(maker))
        return rates

    async def positions(self) -> list[tuple[Symbol, Answer]]:
        rows = await self._rows(Call.POSITIONS, "privateGetAccountPositions", instType=SWAP)
        return [(self.access.names[n], row) for row in rows if (n := row.text("instId")) in self.access.names]

    async def balances(self) -> tuple[Balance, ...]:
        told = await self._only(Call.BALANCE, "privateGetAccountBalance")
        found, rows = balances(told, self.quirks.balance), told.rows(self.quirks.balance.rows)
        return tuple(_with_ratio(b, row, told) for b, row in zip(found, rows, strict=True))

    async def position_mode(self) -> PositionMode:
        told = await self._only(Call.MODE, "privateGetAccountConfig")
        return told.one_of(POSITION_MODES, "posMode")

    async def modes(
        self, symbols: Collection[Symbol], margins: Mapping[tuple[Symbol, PositionSide], MarginMode]
    ) -> tuple[PositionMode, Settings]:
        """The venue keeps a leverage for each margin mode; the mode itself goes with the order."""
        asked = sorted(symbols)
        mode, *lists = await together(
            self.position_mode(), *(self._leverages(symbol, margins) for symbol in asked)
        )
        return mode, {key: setting for settings in lists for key, setting in settings.items()}

    async def _leverages(
        self, symbol: Symbol, margins: Mapping[tuple[Symbol, PositionSide], MarginMode]
    ) -> Settings:
        wanted = {
            side: margins.get((symbol, side)) or self.memory.wanted.get((symbol, side)) or MarginMode.CROSS
            for side in PositionSide
        }
        modes = sorted(set(wanted.values()))
        answers = await together(*(self._leverage_rows(symbol, mode) for mode in modes))
        rows = dict(zip(modes, answers, strict=True))
        found = {side: _of_side(rows[mode], side) for side, mode in wanted.items()}
        return {
            (symbol, side): LegSetting(row.positive("lever"), wanted[side])
            for side, row in found.items()
            if row is not None
        }

    async def _leverage_rows(self, symbol: Symbol, mode: MarginMode) -> list[Answer]:
        return await self._rows(
            Call.SETTINGS,
            "privateGetAccountLeverageInfo",
            instId=self.native(symbol),
            mgnMode=mode.value,
        )

    # --- orders ---------------------------------------------------------------------------------

    async def open_orders(self, symbols: Collection[Symbol], *, all: bool) -> list[tuple[Symbol, Found]]:
        plain, *stops = await together(
            self._rows(Call.ALL_ORDERS, "privateGetTradeOrdersPending", instType=SWAP),
            *(
                self._rows(Call.ALL_ORDERS, "privateGetTradeOrdersAlgoPending", instType=SWAP, ordType=kind)
                for kind in STOP_KINDS
            ),
        )
        conditional = [row for rows in stops for row in rows]
        return [*self._mine(plain, conditional=False), *self._mine(conditional, conditional=True)]

    def _mine(self, rows: Iterable[Answer], *, conditional: bool) -> list[tuple[Symbol, Found]]:
        fields = self.quirks.stops if conditional else self.quirks.orders
        named = ((self.access.names.get(row.text("instId")), row) for row in rows)
        return [(symbol, Found(row, fields, conditional)) for symbol, row in named if symbol is not None]

    def body(self, row: Answer) -> Answer:
        return row.part("info")

    async def find(self, symbol: Symbol, client_id: str, *, conditional: bool) -> Found | None:
        trigger = {"trigger": True} if conditional else {}
        return await self.fetch(symbol, "", {**trigger, "clientOrderId": client_id}, conditional=conditional)

    async def cancel(self, symbol: Symbol, client_id: str, found: Found) -> None:
        """Not by ccxt's own for conditional ones: that answers with nothing."""
        if not found.conditional:
            await super().cancel(symbol, client_id, found)
            return
        asked = [{"instId": self.native(symbol), "algoId": found.answer.text("algoId")}]
        await self.access.write(Call.CANCEL, "privatePostTradeCancelAlgos", asked)

    # --- history --------------------------------------------------------------------------------

    async def fills(self, instrument: Instrument, since: datetime) -> tuple[Fill, ...]:
        rows = await self._pages(
            Call.FILLS,
            "privateGetTradeFillsHistory",
            "billId",
            instId=self.native(instrument.symbol),
            begin=self.reachable(since),
        )
        nameless = {row.text("ordId") for row in rows if not row.optional_text("clOrdId")}
        names = await self.order_names(instrument, nameless)
        made = [await self._native_fill(row, instrument, names) for row in rows]
        return ordered(fill for fill in made if fill.at >= since)

    async def _pages(self, call: Call, method: str, mark: str, **params: object) -> list[Answer]:
        """Told newest first, a hundred at a time; given oldest first."""
        rows: list[Answer] = []
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = await self._rows(call, method, instType=SWAP, limit=PAGE, **params, **after)
            rows += page
            if len(page) < PAGE:
                break
            after = {"after": page[-1].text(mark)}
        return rows[::-1]

    async def funding_rows(self, instrument: Instrument, since_ms: int) -> list[Answer]:
        rows = await self._pages(
            Call.FUNDING, "privateGetAccountBillsArchive", "billId", type="8", begin=since_ms
        )
        name = self.native(instrument.symbol)
        return [row for row in rows if row.text("instId") == name]

    def funding_payment(
        self, row: Answer, instrument: Instrument, rates: Mapping[datetime, Decimal]
    ) -> FundingPayment | None:
        changed = row.optional("balChg") or row.decimal("posBalChg")
        at = row.instant("ts")
        return funding_payment(row, instrument, id=row.text("billId"), amount=changed, at=at, rates=rates)

    async def funding_rates(self, symbol: Symbol, since_ms: int) -> dict[datetime, Decimal]:
        rows = await self._pages(
            Call.FUNDING,
            "publicGetPublicFundingRateHistory",
            "fundingTime",
            instId=self.native(symbol),
            before=since_ms,
        )
        return {row.instant("fundingTime"): row.decimal("realizedRate") for row in rows}

    async def order_names(self, instrument: Instrument, ids: Collection[str]) -> Mapping[str, OrderName]:
        """What a stop became bears the stop's id, and the venue's own orders say why they were made."""
        unknown = sorted(order_id for order_id in ids if order_id not in self.memory.names)
        found = await together(
            *(self.fetch(instrument.symbol, order_id, {}, conditional=False) for order_id in unknown)
        )
        for order_id, order in zip(unknown, found, strict=True):
            self.memory.learn(order_id, _named(order))
        return {order_id: self.memory.names[order_id] for order_id in ids}

    async def _native_fill(self, row: Answer, instrument: Instrument, names: Mapping[str, OrderName]) -> Fill:
        side = row.one_of(SIDES, "side")
        name = names.get(row.text("ordId"), OrderName(row.optional_text("clOrdId")))
        paid, profit = ZERO - row.decimal("fee"), row.decimal("fillPnl")
        return Fill(
            venue_fill_id=row.text("tradeId"),
            symbol=instrument.symbol,
            side=side,
            position_side=LOWER_SIDES.get(row.text("posSide"))
            or one_way_leg(side, profit, name.client_order_id),
            quantity=row.positive("fillSz") * instrument.contract_size,
            price=row.positive("fillPx"),
            fee=await self.settled(paid, row.optional_text("feeCcy"), row, instrument),
            realized_pnl=profit,
            at=row.instant("fillTime", "ts"),
            client_order_id=name.client_order_id or None,
            cause=_cause(row, name),
        )

    # --- writes ---------------------------------------------------------------------------------

    def mode_symbol(self) -> Symbol | None:
        return None

    async def set_leverage(
        self, symbol: Symbol, side: PositionSide, wanted: LegSetting, other: LegSetting | None
    ) -> None:
        isolated = wanted.margin_mode is MarginMode.ISOLATED
        await self.access.write(
            Call.SET,
            "privatePostAccountSetLeverage",
            instId=self.native(symbol),
            lever=f"{wanted.leverage:f}",
            mgnMode=wanted.margin_mode.value,
            **({"posSide": side.value} if isolated else {}),
        )

    async def add_margin(self, instrument: Instrument, side: PositionSide, amount: Decimal) -> None:
        """Not through ccxt's own: that carries it out and then raises TypeError."""
        await self.access.write(
            Call.SET,
            "privatePostAccountPositionMarginBalance",
            instId=self.native(instrument.symbol),
            posSide="net" if instrument.symbol in self.memory.one_way else side.value,
            type="add" if amount > 0 else "reduce",
            amt=f"{abs(amount):f}",
        )

    async def key(self) -> KeyReport:
        told = await self._only(Call.KEY, "privateGetAccountConfig")
        rights = {right.strip() for right in told.text("perm").split(",")}
        return KeyReport(
            can_read="read_only" in rights,
            can_trade="trade" in rights,
            can_move_funds="withdraw" in rights,
            ip_restricted=bool(told.optional_text("ip").strip()),
            owner=told.optional_text("uid"),
            position_mode=told.one_of(POSITION_MODES, "posMode"),
        )


def _tier(row: Answer) -> dict[str, object]:
    return {
        "minNotional": row.text("minSz"),
        "maintenanceMarginRate": row.text("mmr"),
        "maxLeverage": row.text("maxLever"),
    }


def _with_ratio(found: Balance, row: Answer, told: Answer) -> Balance:
    """Each currency's own in futures mode. Where all back each other there is one only: it is the dollars'.

    The venue's ratio is equity over margin; ours is margin over equity.
    """
    own, pooled = row.positive_or_none("mgnRatio"), told.positive_or_none("mgnRatio")
    if own is not None and found.margin_ratio is not None:
        return replace(found, margin_ratio=1 / own)
    if pooled is not None and found.currency == DOLLARS:
        return replace(found, margin_ratio=1 / pooled)
    return found


def _of_side(rows: Iterable[Answer], side: PositionSide) -> Answer | None:
    by_side = {row.optional_text("posSide"): row for row in rows}
    return by_side.get(side.value) or by_side.get("net") or by_side.get("")


def _named(order: Found | None) -> OrderName:
    if order is None:
        return OrderName("")
    causes = {
        "adl": FillCause.AUTO_DELEVERAGING,
        "full_liquidation": FillCause.LIQUIDATION,
        "partial_liquidation": FillCause.LIQUIDATION,
    }
    cause = causes.get(order.answer.optional_text("category"), FillCause.TRADE)
    ours = order.answer.optional_text("algoClOrdId", "clOrdId") if cause is FillCause.TRADE else ""
    return OrderName(ours, cause)


def _cause(row: Answer, name: OrderName) -> FillCause:
    kind = row.optional_text("subType")
    if kind in DELEVERAGED:
        return FillCause.AUTO_DELEVERAGING
    return FillCause.LIQUIDATION if kind in LIQUIDATIONS else name.cause
