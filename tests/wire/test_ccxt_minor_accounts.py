"""Mode and rights of accounts on the exchanges of the second row, from documented answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from chatbot.clock import SystemClock
from chatbot.domain.instrument import PositionMode, Symbol
from chatbot.errors import VenueUnavailable
from chatbot.venues.ccxt.access import Access
from chatbot.venues.ccxt.clones import Connections, make_template
from chatbot.venues.ccxt.dialects.keys import read_key, read_mode
from chatbot.venues.ccxt.limiter import Limiter
from chatbot.venues.ccxt.table import TABLE
from tests.wire.test_ccxt_order_forms import KEY, MARKET, SYMBOL

HEDGE, ONE_WAY = PositionMode.HEDGE, PositionMode.ONE_WAY


def bitget(mode: str) -> Any:
    data = {"marginCoin": "USDT", "posMode": mode, "crossedMarginLeverage": "10", "isolatedLongLever": "5",
            "isolatedShortLever": "6", "marginMode": "crossed"}  # fmt: skip
    return {"code": "00000", "msg": "success", "data": data}


def gate(dual: object) -> Any:
    return {"currency": "USDT", "total": "100", "available": "100", "in_dual_mode": dual}


def phemex(mode: str) -> Any:
    account = {"currency": "USDT", "accountBalanceRv": "100", "totalUsedBalanceRv": "0"}
    leg = {"symbol": "ETHUSDT", "posMode": mode, "posSide": "Long", "size": "0", "unRealisedPnlRv": "0"}
    return {"code": 0, "msg": "", "data": {"account": account, "positions": [leg]}}


@asynccontextmanager
async def asked(venue_id: str, answers: Mapping[str, Any]) -> AsyncIterator[Access]:
    """``answers`` by the end of the path."""

    async def answer(request: web.Request) -> web.Response:
        body = next((body for end, body in answers.items() if request.path.endswith(end)), None)
        return web.json_response(body) if body is not None else web.Response(status=404, text="<html>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    quirks, clock, connections = TABLE[venue_id], SystemClock(), Connections()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    template = make_template(quirks, connections, api_url=url)
    template.set_markets([MARKET])
    try:
        limiter = Limiter(quirks.title, quirks.budget, clock)
        yield Access(quirks, template, limiter, clock, {"ETHUSDT": Symbol(SYMBOL)}, KEY)
    finally:
        await connections.close()
        await runner.cleanup()


@pytest.mark.parametrize(
    ("venue_id", "path", "body", "mode"),
    [
        ("bitget", "account/account", bitget("hedge_mode"), HEDGE),
        ("bitget", "account/account", bitget("one_way_mode"), ONE_WAY),
        ("gate", "/accounts", gate(True), HEDGE),
        ("gate", "/accounts", gate(False), ONE_WAY),
        ("phemex", "accountPositions", phemex("Hedged"), HEDGE),
        ("phemex", "accountPositions", phemex("OneWay"), ONE_WAY),
    ],
)
async def test_the_position_mode_is_told_by_the_account(
    venue_id: str, path: str, body: Any, mode: PositionMode
) -> None:
    async with asked(venue_id, {path: body}) as access:
        assert await read_mode(access, SYMBOL) is mode


@pytest.mark.parametrize(
    ("venue_id", "path", "body"),
    [
        ("bitget", "account/account", bitget("sideways_mode")),
        ("gate", "/accounts", gate(None)),
        ("phemex", "accountPositions", phemex("")),
    ],
)
async def test_a_mode_that_is_not_told_is_not_guessed(venue_id: str, path: str, body: Any) -> None:
    async with asked(venue_id, {path: body}) as access:
        with pytest.raises(VenueUnavailable):
            await read_mode(access, SYMBOL)


async def test_kucoin_tells_what_a_key_may_do() -> None:
    key = {"permission": "General,Futures,Withdrawal", "ipWhitelist": "10.1.2.3", "uid": 77, "apiKey": "k"}
    async with asked("kucoin", {"user/api-key": {"code": "200000", "data": key}}) as access:
        report = await read_key(access)

    assert (report.can_read, report.can_trade, report.can_move_funds) == (True, True, True)
    assert (report.ip_restricted, report.owner) == (True, "77")


@pytest.mark.parametrize(
    ("venue_id", "path", "body"),
    [
        ("gate", "account/detail", {"user_id": 77, "ip_whitelist": [], "key": {"mode": 1}}),
        ("bitget", "account/info", {"code": "00000", "data": {"userId": "77", "ips": ""}}),
    ],
)
async def test_what_a_venue_leaves_open_is_not_taken_for_a_no(venue_id: str, path: str, body: Any) -> None:
    async with asked(venue_id, {path: body}) as access:
        report = await read_key(access)

    assert (report.can_trade, report.can_move_funds) == (None, None)
    assert (report.ip_restricted, report.owner) == (False, "77")


@pytest.mark.parametrize("venue_id", ["bingx", "phemex", "aster"])
async def test_where_no_question_is_known_nothing_is_claimed(venue_id: str) -> None:
    async with asked(venue_id, {}) as access:
        report = await read_key(access)

    assert (report.can_trade, report.can_move_funds, report.ip_restricted) == (None, None, None)
