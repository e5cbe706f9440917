"""Streams of Binance USDⓈ-M: the account by listen key, and mark prices."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from chatbot.domain.account import Position
from chatbot.domain.instrument import PositionMode
from tests.wire.venues.binance_market import NOT_ALLOWED, BinanceMarket
from tests.wire.venues.binance_words import IDS, SYMBOLS
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.faults import Endpoint
from tests.wire.venues.server import Call, Route, VenueRefusal, plain, to_ms
from tests.wire.venues.streams import LegKey, Stream

LASTS = timedelta(hours=1)


class BinanceStreams(BinanceMarket):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for method in ("POST", "PUT", "DELETE"):
            route = Route(Endpoint.STREAM, self._listen_key, signed=False)
            self.routes[method, "/fapi/v1/listenKey"] = route

    async def _listen_key(self, call: Call) -> Any:
        """The key alone is enough; nothing is signed."""
        account = self.market.accounts.get(call.received.api_key)
        if account is None:
            raise VenueRefusal(*NOT_ALLOWED)
        account.listen_key = f"listen{account.key.key}"
        return {"listenKey": account.listen_key} if call.received.method == "POST" else {}

    async def opened(self, stream: Stream) -> None:
        told = stream.request.query.get("listenKey") or stream.request.path.rpartition("/")[2]
        for account in self.market.accounts.values():
            if account.listen_key and account.listen_key == told:
                stream.account = account
                stream.changed(await account.view())

    async def heard(self, stream: Stream, text: str) -> None:
        asked = json.loads(text)
        if asked.get("method") == "SUBSCRIBE":
            stream.topics.update(asked["params"])
        if asked.get("method") == "UNSUBSCRIBE":
            stream.topics.difference_update(asked["params"])
        await stream.say({"result": None, "id": asked.get("id")})
        await self.tell(stream)

    async def tell(self, stream: Stream) -> None:
        if stream.account is not None:
            await self._tell_account(stream, stream.account)
        every = any(topic.startswith("!markPrice@arr") for topic in stream.topics)
        named = {topic.partition("@")[0].upper() for topic in stream.topics if "@markPrice" in topic}
        symbols = [symbol for name, symbol in SYMBOLS.items() if every or name in named]
        for symbol in await self.moved(stream, symbols):
            state = await self.market.state(symbol)
            event = {
                "e": "markPriceUpdate",
                "E": to_ms(state.at),
                "s": IDS[symbol],
                "p": plain(state.mark_price, 8),
                "i": plain(state.index_price, 8),
                "P": plain(state.index_price, 8),
                "r": plain(state.funding_rate, 8),
                "T": to_ms(state.next_funding_at),
            }
            await stream.say([event] if every else event)

    async def _tell_account(self, stream: Stream, account: VenueAccount) -> None:
        view = await account.view()
        changed, gone = stream.changed(view)
        if not changed and not gone:
            return
        balance, at = view.balance, to_ms(view.at)
        money = {"a": balance.currency, "wb": plain(balance.wallet), "cw": plain(balance.wallet), "bc": "0"}
        rows = [_row(position, view.position_mode) for position in changed]
        rows += [_empty(key, view.position_mode) for key in gone]
        body = {"m": "ORDER", "B": [money], "P": rows}
        await stream.say({"e": "ACCOUNT_UPDATE", "E": at, "T": at, "a": body})


def _row(position: Position, mode: PositionMode) -> dict[str, str]:
    size = position.side.sign * position.quantity
    return {
        **_empty((position.symbol, position.side), mode),
        "pa": plain(size),
        "ep": plain(position.entry_price),
        "bep": plain(position.entry_price),
        "mt": position.margin_mode.value,
        "iw": plain(position.margin),
    }


def _empty(key: LegKey, mode: PositionMode) -> dict[str, str]:
    symbol, side = key
    shown = "BOTH" if mode is PositionMode.ONE_WAY else side.upper()
    none = dict.fromkeys(("pa", "ep", "bep", "cr", "up", "iw"), "0")
    return {"s": IDS[symbol], **none, "mt": "cross", "ps": shown, "ma": "USDT"}
