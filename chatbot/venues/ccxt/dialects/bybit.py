"""Bybit v5 linear, natively: what its own fields say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.account import Balance, LegSetting
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.market import MarketState
from chatbot.domain.order import Fill, FillCause, FundingPayment
from chatbot.errors import InvalidOrder
from chatbot.ports import KeyReport
from chatbot.venues.ccxt.access import together
from chatbot.venues.ccxt.dialects.common import (
    LONGEST_HISTORY,
    MOST_PAGES,
    Dialect,
    Found,
    Instruments,
    Settings,
    ordered,
)
from chatbot.venues.ccxt.dialects.public import milliseconds
from chatbot.venues.ccxt.limiter import Urgency
from chatbot.venues.ccxt.parse_account import balances
from chatbot.venues.ccxt.parse_orders import SIDES
from chatbot.venues.ccxt.quirks import Call
from chatbot.venues.ccxt.reading import Answer

LINEAR = "linear"
MODES = {
    "REGULAR_MARGIN": MarginMode.CROSS,
    "PORTFOLIO_MARGIN": MarginMode.CROSS,
    "ISOLATED_MARGIN": MarginMode.ISOLATED,
}
INDEXES = {PositionSide.LONG: "1", PositionSide.SHORT: "2"}
LEVERAGES = {PositionSide.LONG: "buyLeverage", PositionSide.SHORT: "sellLeverage"}
WEEK = timedelta(days=7) - timedelta(seconds=1)
CAUSES = {
    "Trade": FillCause.TRADE,
    "AdlTrade": FillCause.AUTO_DELEVERAGING,
    "BustTrade": FillCause.LIQUIDATION,
}
FIRST_KEYS = datetime(2018, 1, 1, tzinfo=UTC)  # what ends before that (the years 1 and 1970) never does


class Bybit(Dialect):
    @property
    def settles(self) -> tuple[str, ...]:
        """Lists without a symbol are of one settlement coin."""
        listed = {str(market.get("settle")) for market in self.access.markets.values()}
        return tuple(coin for coin in ("USDT", "USDC") if coin in listed) or ("USDT",)

    async def _pages(
        self, call: Call, method: str, *, urgency: Urgency = Urgency.READ, **params: Any
    ) -> list[Answer]:
        rows: list[Answer] = []
        cursor: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            answer = await self.access.read(
                call, method, urgency=urgency, category=LINEAR, **params, **cursor
            )
            told = Answer.of(self.id, method, answer)
            rows += told.rows("result.list")
            following = told.optional_text("result.nextPageCursor")
            if not following or following == cursor.get("cursor") or not told.rows("result.list"):
                break
            cursor = {"cursor": following}
        return rows

    async def _of_all_coins(self, call: Call, method: str, **params: Any) -> list[Answer]:
        lists = await together(
            *(self._pages(call, method, settleCoin=coin, **params) for coin in self.settles)
        )
        return [row for listed in lists for row in listed]

    # --- public ---------------------------------------------------------------------------------

    async def market(self, instrument: Instrument) -> MarketState:
        told = await self.access.read(Call.MARKET, "fetch_funding_rate", instrument.symbol)
        return self.state(instrument, Answer.of(self.id, f"ticker of {instrument.symbol}", told), None)

    # --- the account ----------------------------------------------------------------------------

    async def fees(self, instruments: Instruments) -> dict[Symbol, tuple[Decimal, Decimal]]:
        rows = await self._pages(Call.FEES, "privateGetV5AccountFeeRate")
        named = {self.access.names.get(row.text("symbol")): row for row in rows}
        return {
            symbol: (row.decimal("takerFeeRate"), row.decimal("makerFeeRate"))
            for symbol, row in named.items()
            if symbol is not None
        }

    async def positions(self) -> list[tuple[Symbol, Answer]]:
        rows = await self._of_all_coins(Call.POSITIONS, "privateGetV5PositionList", limit=200)
        return [
            (self.access.names[name], row)
            for row in rows
            if (name := row.text("symbol")) in self.access.names
        ]

    async def balances(self) -> tuple[Balance, ...]:
        answer = await self.access.read(
            Call.BALANCE, "privateGetV5AccountWalletBalance", accountType="UNIFIED"
        )
        accounts = Answer.of(self.id, "wallet", answer).rows("result.list")
        return balances(accounts[0], self.quirks.balance) if accounts else ()

    async def margin_mode(self) -> MarginMode:
        """One for the whole account."""
        answer = await self.access.read(Call.SETTINGS, "privateGetV5AccountInfo")
        return Answer.of(self.id, "account", answer).one_of(MODES, "result.marginMode")

    async def modes(
        self, symbols: Collection[Symbol], margins: Mapping[tuple[Symbol, PositionSide], MarginMode]
    ) -> tuple[PositionMode, Settings]:
        """Asked by symbol it tells both legs, flat ones too, and with them the position mode."""
        asked = sorted(symbols) or [self.probe()]
        margin, *lists = await together(
            self.margin_mode(),
            *(self._pages(Call.SETTINGS, "privateGetV5PositionList", symbol=self.native(s)) for s in asked),
        )
        settings: Settings = {}
        for symbol, rows in zip(asked, lists, strict=True):
            settings |= _settings(symbol, rows, margin)
        return self._mode(lists), settings

    def _mode(self, lists: Collection[list[Answer]]) -> PositionMode:
        told = {row.text("positionIdx") for rows in lists for row in rows}
        if not told:
            raise Answer(self.id, "position list", {}).garbled("positionIdx", None)
        return PositionMode.ONE_WAY if told == {"0"} else PositionMode.HEDGE

    async def position_mode(self) -> PositionMode:
        mode, _ = await self.modes((), {})
        return mode

    def mode_symbol(self) -> Symbol | None:
        return None

    # --- orders ---------------------------------------------------------------------------------

    async def open_orders(self, symbols: Collection[Symbol], *, all: bool) -> list[tuple[Symbol, Found]]:
        rows = await self._of_all_coins(Call.ALL_ORDERS, "privateGetV5OrderRealtime", limit=50)
        return [
            (self.access.names[name], self._row(row))
            for row in rows
            if (name := row.text("symbol")) in self.access.names
        ]

    def _row(self, row: Answer) -> Found:
        return Found(row, self.quirks.orders, conditional=bool(row.optional_text("triggerPrice").strip("0.")))

    async def look_up(self, symbol: Symbol, client_id: str) -> Found | None:
        """Open and lately ended orders first; the history has the rest, a little later."""
        for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
            rows = await self._pages(
                Call.ORDER,
                method,
                urgency=Urgency.EVIDENCE,
                symbol=self.native(symbol),
                orderLinkId=client_id,
            )
            named = [row for row in rows if row.optional_text("orderLinkId") == client_id]
            if named:
                return self._row(named[0])
        return None

    def body(self, row: Answer) -> Answer:
        return row.part("info")

    async def order_fee(self, instrument: Instrument, found: Found) -> Decimal | None:
        return None

    # --- history --------------------------------------------------------------------------------

    async def _executions(self, instrument: Instrument, since: datetime, kind: str) -> list[Answer]:
        """Windows of a week are the longest that are answered."""
        now = self.access.venue_now()
        start = max(since, now - LONGEST_HISTORY)
        windows: list[tuple[datetime, datetime]] = []
        while start <= now + WEEK and (not windows or windows[-1][1] < now):
            windows.append((start, start + WEEK))
            start += WEEK
        params: dict[str, Any] = {"execType": kind} if kind else {}
        lists = await together(
            *(
                self._pages(
                    Call.FILLS,
                    "privateGetV5ExecutionList",
                    symbol=self.native(instrument.symbol),
                    startTime=milliseconds(first),
                    endTime=milliseconds(last),
                    limit=100,
                    **params,
                )
                for first, last in windows
            )
        )
        unique = {row.text("execId"): row for rows in lists for row in reversed(rows)}
        return list(unique.values())

    async def fills(self, instrument: Instrument, since: datetime) -> tuple[Fill, ...]:
        rows = await self._executions(instrument, since, "")
        traded = [row for row in rows if row.text("execType") in CAUSES]
        return ordered(f for f in (_fill(row, instrument) for row in traded) if f.at >= since)

    async def funding(self, instrument: Instrument, since: datetime) -> tuple[FundingPayment, ...]:
        rows = await self._executions(instrument, since, "Funding")
        made = (_funding(row, instrument) for row in rows)
        return tuple(sorted((p for p in made if p.at >= since), key=lambda p: (p.at, p.side)))

    # --- writes ---------------------------------------------------------------------------------

    async def set_leverage(
        self, symbol: Symbol, side: PositionSide, wanted: LegSetting, other: LegSetting | None
    ) -> None:
        """Both sides travel together; only in isolated margin may they differ."""
        isolated = wanted.margin_mode is MarginMode.ISOLATED
        opposite = other.leverage if other is not None and isolated else wanted.leverage
        await self.access.write(
            Call.SET,
            "privatePostV5PositionSetLeverage",
            category=LINEAR,
            symbol=self.native(symbol),
            **{LEVERAGES[side]: f"{wanted.leverage:f}", LEVERAGES[side.opposite]: f"{opposite:f}"},
        )

    async def set_margin_mode(self, symbol: Symbol, side: PositionSide, wanted: LegSetting) -> None:
        """It is one for the whole account, so it changes only while nothing else would change with it."""
        if any(row.decimal("size") for _, row in await self.positions()):
            raise InvalidOrder(
                "Bybit has one margin mode for the whole account; it changes only while nothing is open.",
                venue=self.id,
            )
        await super().set_margin_mode(symbol, side, wanted)

    async def add_margin(self, instrument: Instrument, side: PositionSide, amount: Decimal) -> None:
        await self.access.write(
            Call.SET,
            "privatePostV5PositionAddMargin",
            category=LINEAR,
            symbol=self.native(instrument.symbol),
            margin=f"{amount:f}",
            positionIdx=0 if instrument.symbol in self.memory.one_way else int(INDEXES[side]),
        )

    async def key(self) -> KeyReport:
        mode, answer = await together(
            self.position_mode(), self.access.read(Call.KEY, "privateGetV5UserQueryApi")
        )
        told = Answer.of(self.id, "key", answer).part("result")
        if told.optional_text("uta") == "0":
            raise InvalidOrder(
                "This is a classic Bybit account; upgrade it to a unified trading account first.",
                venue=self.id,
            )
        wallet, contracts = _listed(told, "Wallet"), _listed(told, "ContractTrade")
        reads_only = told.text("readOnly") == "1"
        ips = told.get("ips")
        return KeyReport(
            can_read=True,
            can_trade=not reads_only and {"Order", "Position"} <= contracts,
            can_move_funds=not reads_only
            and bool(wallet & {"Withdraw", "AccountTransfer", "SubMemberTransfer", "SubMemberTransferList"}),
            ip_restricted=isinstance(ips, list) and bool(ips) and "*" not in ips,
            expires_at=_end(told),
            owner=told.optional_text("userID"),
            position_mode=mode,
        )


def _end(told: Answer) -> datetime | None:
    text = told.optional_text("expiredAt")
    end = datetime.fromisoformat(text) if text else None
    return None if end is None or end < FIRST_KEYS else end


def _listed(told: Answer, right: str) -> set[Any]:
    listed = told.get(f"permissions.{right}")
    return set(listed) if isinstance(listed, list) else set()


def _settings(symbol: Symbol, rows: list[Answer], margin: MarginMode) -> Settings:
    """In one-way mode one row speaks for both sides."""
    by_index = {row.text("positionIdx"): row for row in rows}
    found = {side: by_index.get(INDEXES[side]) or by_index.get("0") for side in PositionSide}
    return {
        (symbol, side): LegSetting(row.positive("leverage"), margin)
        for side, row in found.items()
        if row is not None and row.get("leverage") is not None
    }


def _fill(row: Answer, instrument: Instrument) -> Fill:
    side = row.one_of(SIDES, "side")
    closes = (row.optional("closedSize") or ZERO) > 0
    opened = PositionSide.LONG if side.value == "buy" else PositionSide.SHORT
    return Fill(
        venue_fill_id=row.text("execId"),
        symbol=instrument.symbol,
        side=side,
        position_side=opened.opposite if closes else opened,
        quantity=row.positive("execQty") * instrument.contract_size,
        price=row.positive("execPrice"),
        fee=row.decimal("execFee"),
        realized_pnl=row.decimal("execPnl") if closes else ZERO,
        at=row.instant("execTime"),
        client_order_id=row.optional_text("orderLinkId") or None,
        cause=row.one_of(CAUSES, "execType"),
    )


def _funding(row: Answer, instrument: Instrument) -> FundingPayment:
    """Told per leg; ``execFee`` is what was paid, and the rate is positive where the long leg pays."""
    leg = row.one_of({"Buy": PositionSide.LONG, "Sell": PositionSide.SHORT}, "side")
    amount = ZERO - row.decimal("execFee")
    size = abs(row.decimal("feeRate"))
    rate = size if (amount < 0) == (leg is PositionSide.LONG) else ZERO - size
    return FundingPayment(row.text("execId"), instrument.symbol, leg, amount, rate, row.instant("execTime"))
