"""Streams of Bybit v5: positions of a private connection, tickers of a public one."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from chatbot.domain.account import AccountView
from chatbot.domain.instrument import PositionMode
from tests.wire.venues import bybit_words as words
from tests.wire.venues.bybit_market import BybitMarket
from tests.wire.venues.bybit_words import IDS, INDEXES, SYMBOLS
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.server import to_ms
from tests.wire.venues.streams import LegKey, Stream


class BybitStreams(BybitMarket):
    async def opened(self, stream: Stream) -> None:
        """Nothing is told before it is asked for."""

    async def heard(self, stream: Stream, text: str) -> None:
        asked = json.loads(text)
        match asked.get("op"):
            case "auth":
                await self._log_in(stream, asked["args"])
            case "subscribe":
                await self._subscribe(stream, asked)
            case "unsubscribe":
                stream.topics.difference_update(asked["args"])
                await _confirm(stream, asked, "unsubscribe")
            case "ping":
                await stream.say({"op": "pong", "ret_msg": "pong", "success": True, "conn_id": "c1"})

    async def _log_in(self, stream: Stream, args: list[Any]) -> None:
        api_key, expires, told = (str(arg) for arg in args)
        account = self.market.accounts.get(api_key)
        in_time = int(expires) > to_ms(self.wire_now())
        if account is None or not in_time or not hmac.compare_digest(_signature(account, expires), told):
            failed = {"success": False, "ret_msg": "Request not authorized", "op": "auth", "conn_id": "c1"}
            await stream.say({**failed, "retCode": 10003})
            return
        stream.account = account
        await stream.say({"success": True, "ret_msg": "", "op": "auth", "conn_id": "c1"})

    async def _subscribe(self, stream: Stream, asked: dict[str, Any]) -> None:
        stream.topics.update(asked["args"])
        await _confirm(stream, asked, "subscribe")
        if stream.account is not None:
            stream.changed(await stream.account.view())
        await self.tell(stream)

    async def tell(self, stream: Stream) -> None:
        if stream.account is not None and "position" in stream.topics:
            await self._tell_positions(stream, stream.account)
        named = {topic.removeprefix("tickers.") for topic in stream.topics if topic.startswith("tickers.")}
        for symbol in await self.moved(stream, [SYMBOLS[name] for name in named]):
            state, book = await self.market.state(symbol), await self.market.book(symbol)
            head = {"topic": f"tickers.{IDS[symbol]}", "type": "snapshot", "ts": to_ms(state.at), "cs": 1}
            await stream.say({**head, "data": words.ticker(state, book)})

    async def _tell_positions(self, stream: Stream, account: VenueAccount) -> None:
        view = await account.view()
        changed, gone = stream.changed(view)
        if not changed and not gone:
            return
        rows = []
        for position in changed:
            mark = (await self.market.state(position.symbol)).mark_price
            instrument = (await self.market.instruments())[position.symbol]
            rows.append(words.position(position, instrument, mark, view.position_mode, to_ms(view.at)))
        rows += [_empty(key, view) for key in gone]
        rows = [{**row, "category": "linear"} for row in rows]
        at = to_ms(view.at)
        await stream.say({"id": f"p{at}", "topic": "position", "creationTime": at, "data": rows})


def _empty(key: LegKey, view: AccountView) -> dict[str, Any]:
    symbol, side = key
    index = INDEXES[side] if view.position_mode is PositionMode.HEDGE else 0
    return words.empty_position(symbol, view.leg_settings[symbol, side], index)


def _signature(account: VenueAccount, expires: str) -> str:
    signed = f"GET/realtime{expires}"
    return hmac.new(account.key.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()


async def _confirm(stream: Stream, asked: dict[str, Any], op: str) -> None:
    body = {"success": True, "ret_msg": "", "conn_id": "c1", "req_id": asked.get("req_id", ""), "op": op}
    await stream.say(body)
