"""An account of OKX v5: positions, money, modes and leverage."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from chatbot.domain.instrument import MarginMode, PositionMode, PositionSide, Symbol
from chatbot.venues.feeds import BTC
from tests.wire.venues import okx_words as words
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.okx_market import Answering, ok, symbol_of
from tests.wire.venues.okx_streams import OkxStreams
from tests.wire.venues.okx_words import IDS
from tests.wire.venues.server import Call, Route, VenueRefusal, to_ms

WRONG_SIDE = ("51000", "Parameter posSide error")


class OkxAccount(OkxStreams):
    """Leverage is kept for each margin mode, as OKX has it; a leg has one margin mode at a time here."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._levers: dict[tuple[str, Symbol, PositionSide, MarginMode], Decimal] = {}
        self._account_routes()

    def _account_routes(self) -> None:
        def read(path: str, endpoint: Endpoint, handler: Answering) -> None:
            self.routes["GET", f"/api/v5/{path}"] = Route(endpoint, ok(handler))

        def write(path: str, endpoint: Endpoint, handler: Answering) -> None:
            self.routes["POST", f"/api/v5/{path}"] = Route(endpoint, ok(handler), trades=True)

        read("account/config", Endpoint.PERMISSIONS, self._config)
        read("account/positions", Endpoint.POSITIONS, self._positions)
        read("account/balance", Endpoint.BALANCE, self._balance)
        read("account/leverage-info", Endpoint.SETTINGS, self._leverage_info)
        read("account/trade-fee", Endpoint.FEES, self._trade_fee)
        write("account/set-position-mode", Endpoint.MODE, self._set_mode)
        write("account/set-leverage", Endpoint.SETTINGS, self._set_leverage)
        write("account/position/margin-balance", Endpoint.ADD_MARGIN, self._margin_balance)

    async def _config(self, call: Call) -> list[Any]:
        return [words.config(call.account.key, (await call.account.view()).position_mode)]

    async def _positions(self, call: Call) -> list[Any]:
        view, instruments = await self.positions_view(call), await self.market.instruments()
        rows = []
        for position in view.positions:
            mark = (await self.market.state(position.symbol)).mark_price
            instrument = instruments[position.symbol]
            at = to_ms(view.at)
            rows.append(words.position(position, instrument, mark, view, at))
        wanted = call.text("instId")
        return [row for row in rows if not wanted or row["instId"] in wanted.split(",")]

    async def _balance(self, call: Call) -> list[Any]:
        rows, coin_price = await self._positions(call), self.market.marks[BTC][-1][1]
        return [words.balance(await call.account.view(), rows, coin_price)]

    async def _trade_fee(self, call: Call) -> list[Any]:
        instruments = list((await self.market.instruments()).values())
        return [words.trade_fee(instruments[0], to_ms(self.wire_now()))]

    async def _set_mode(self, call: Call) -> list[Any]:
        wanted = call.text("posMode")
        with self.engine_refusals():
            mode = PositionMode.HEDGE if wanted == "long_short_mode" else PositionMode.ONE_WAY
            await call.account.set_position_mode(mode)
        return [{"posMode": wanted}]

    async def _set_leverage(self, call: Call) -> list[Any]:
        symbol, margin_mode = symbol_of(call), MarginMode(call.text("mgnMode"))
        leverage, named = Decimal(call.text("lever")), call.text("posSide", "net")
        hedge = (await call.account.view()).position_mode is PositionMode.HEDGE
        if margin_mode is MarginMode.ISOLATED and hedge and named == "net":
            raise VenueRefusal(*WRONG_SIDE)
        sides = list(PositionSide) if named == "net" else [PositionSide(named)]
        if margin_mode is MarginMode.CROSS:
            sides = list(PositionSide)
        for side in sides:
            await self._keep_leverage(call.account, symbol, side, margin_mode, leverage)
        row = {"instId": IDS[symbol], "lever": call.text("lever"), "mgnMode": margin_mode.value}
        return [{**row, "posSide": named if margin_mode is MarginMode.ISOLATED else ""}]

    async def _keep_leverage(
        self,
        account: VenueAccount,
        symbol: Symbol,
        side: PositionSide,
        margin_mode: MarginMode,
        leverage: Decimal,
    ) -> None:
        """A leg held in the other mode keeps its own."""
        position = (await account.view()).position(symbol, side)
        if position is None or position.margin_mode is margin_mode:
            with self.engine_refusals():
                await account.set_leg(symbol, side, leverage=leverage, margin_mode=margin_mode)
        self._levers[account.key.key, symbol, side, margin_mode] = leverage

    def leverage(
        self, account: VenueAccount, symbol: Symbol, side: PositionSide, mode: MarginMode
    ) -> Decimal:
        return self._levers.get((account.key.key, symbol, side, mode), Decimal(10))

    async def _leverage_info(self, call: Call) -> list[Any]:
        symbol, margin_mode = symbol_of(call), MarginMode(call.text("mgnMode"))
        hedge = (await call.account.view()).position_mode is PositionMode.HEDGE
        apart = margin_mode is MarginMode.ISOLATED and hedge
        return [
            {
                "ccy": "",
                "instId": IDS[symbol],
                "mgnMode": margin_mode.value,
                "posSide": side.value if apart else "net",
                "lever": f"{self.leverage(call.account, symbol, side, margin_mode):f}",
            }
            for side in (PositionSide if apart else [PositionSide.LONG])
        ]

    async def _margin_balance(self, call: Call) -> list[Any]:
        sign = 1 if call.text("type") == "add" else -1
        symbol, side = symbol_of(call), PositionSide(call.text("posSide"))
        with self.engine_refusals():
            await call.account.add_margin(symbol, side, sign * Decimal(call.text("amt")))
        names = ("amt", "instId", "posSide", "type")
        return [
            {**{name: call.text(name) for name in names}, "ccy": words.settles_in(symbol), "leverage": ""}
        ]
