"""A loopback server that speaks the public part of Binance USDⓈ-M: markets, mark prices, funding, books."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from aiohttp import web

from chatbot.domain.instrument import Symbol
from chatbot.venues.feeds import BTC, ETH, SOL

IDS = {BTC: "BTCUSDT", ETH: "ETHUSDT", SOL: "SOLUSDT"}
NEXT_FUNDING = 1_795_363_200_000  # 2026-11-22 16:00 UTC


def _market(name: str) -> dict[str, Any]:
    base = name.removesuffix("USDT")
    return {
        "symbol": name,
        "pair": name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "4529764", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


class BinancePublic:
    """``url`` stands in for Binance's; the fields are what it answers; ``asked`` lists the paths."""

    def __init__(self) -> None:
        self.url = ""
        self.marks = {"BTCUSDT": "64000.5", "ETHUSDT": "2000.25", "SOLUSDT": "150.75"}
        self.rate = "0.00012"
        self.next_funding = NEXT_FUNDING
        self.down = False
        self.garbled: set[str] = set()
        self.asked: list[str] = []
        app = web.Application()
        app.router.add_get("/fapi/v1/exchangeInfo", self._exchange_info)
        app.router.add_get("/fapi/v1/premiumIndex", self._premium_index)
        app.router.add_get("/fapi/v1/depth", self._depth)
        app.router.add_get("/fapi/v1/fundingInfo", self._funding_info)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> BinancePublic:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def mark(self, symbol: Symbol, price: str) -> None:
        self.marks[IDS[symbol]] = price

    def _answer(self, request: web.Request, body: Any) -> web.Response:
        self.asked.append(request.path)
        if self.down:
            return web.Response(status=503, text="<html>Service Unavailable</html>")
        return web.json_response(body)

    async def _exchange_info(self, request: web.Request) -> web.Response:
        symbols = [{}] if "exchangeInfo" in self.garbled else [_market(name) for name in self.marks]
        return self._answer(
            request,
            {"timezone": "UTC", "serverTime": 1, "rateLimits": [], "exchangeFilters": [], "symbols": symbols},
        )

    async def _premium_index(self, request: web.Request) -> web.Response:
        name = request.query["symbol"]
        return self._answer(
            request,
            {
                "symbol": name,
                "markPrice": "n/a" if name in self.garbled else self.marks[name],
                "indexPrice": self.marks[name],
                "estimatedSettlePrice": self.marks[name],
                "lastFundingRate": self.rate,
                "interestRate": "0.00010000",
                "nextFundingTime": self.next_funding,
                "time": NEXT_FUNDING - 3_600_000,
            },
        )

    async def _depth(self, request: web.Request) -> web.Response:
        price = float(self.marks[request.query["symbol"]])
        body = {
            "lastUpdateId": 1,
            "E": 1,
            "T": 1,
            "bids": [[f"{price - 0.25:.2f}", "1.5"]],
            "asks": [[f"{price + 0.75:.2f}", "2.5"]],
        }
        return self._answer(request, body)

    async def _funding_info(self, request: web.Request) -> web.Response:
        info = {
            "symbol": "SOLUSDT",
            "adjustedFundingRateCap": "0.02",
            "adjustedFundingRateFloor": "-0.02",
            "fundingIntervalHours": 4,
            "disclaimer": False,
        }
        return self._answer(request, [info])
