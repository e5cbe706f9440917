"""Streams of OKX v5: positions of a private connection, prices and funding rates of a public one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from chatbot.domain.instrument import PositionMode, Symbol
from tests.wire.venues import okx_words as words
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.okx_market import OkxMarket
from tests.wire.venues.okx_words import IDS, SYMBOLS
from tests.wire.venues.server import to_ms
from tests.wire.venues.streams import LegKey, Stream

PRICES = ("mark-price", "funding-rate", "tickers")
POSITIONS = "positions"


class OkxStreams(OkxMarket):
    async def opened(self, stream: Stream) -> None:
        """Nothing is told before it is asked for."""

    async def heard(self, stream: Stream, text: str) -> None:
        if text == "ping":
            await stream.say("pong")
            return
        asked = json.loads(text)
        match asked.get("op"):
            case "login":
                await self._log_in(stream, asked["args"][0])
            case "subscribe" | "unsubscribe" as op:
                for arg in asked["args"]:
                    await self._follow(stream, op, arg)
                await self.tell(stream)

    async def _log_in(self, stream: Stream, told: dict[str, str]) -> None:
        account = self.market.accounts.get(told["apiKey"])
        if account is None or not _genuine(account, told):
            await stream.say({"event": "error", "code": "60009", "msg": "Login failed.", "connId": "c1"})
            return
        stream.account = account
        await stream.say({"event": "login", "code": "0", "msg": "", "connId": "c1"})

    async def _follow(self, stream: Stream, op: str, arg: dict[str, str]) -> None:
        topic = json.dumps(arg, sort_keys=True)
        if arg["channel"] == POSITIONS and stream.account is None:
            await stream.say({"event": "error", "code": "60011", "msg": "Please log in", "connId": "c1"})
            return
        (stream.topics.add if op == "subscribe" else stream.topics.discard)(topic)
        await stream.say({"event": op, "arg": arg, "connId": "c1"})

    async def tell(self, stream: Stream) -> None:
        """Positions at once when they are subscribed to, then as they change."""
        args = [json.loads(topic) for topic in sorted(stream.topics)]
        followed = [arg for arg in args if arg["channel"] == POSITIONS]
        if stream.account is not None and followed:
            await self._tell_positions(stream, stream.account, followed)
        priced = [arg for arg in args if arg["channel"] in PRICES]
        moved = await self.moved(stream, {SYMBOLS[arg["instId"]] for arg in priced})
        for arg in priced:
            if SYMBOLS[arg["instId"]] in moved:
                row = await self._price_row(arg["channel"], SYMBOLS[arg["instId"]])
                await stream.say({"arg": arg, "data": [row]})

    async def _price_row(self, channel: str, symbol: Symbol) -> dict[str, Any]:
        state = await self.market.state(symbol)
        match channel:
            case "mark-price":
                return words.mark_price(state)
            case "funding-rate":
                return words.funding_rate(state)
        return words.ticker(state, await self.market.book(symbol))

    async def _tell_positions(
        self, stream: Stream, account: VenueAccount, args: list[dict[str, str]]
    ) -> None:
        view = await account.view()
        changed, gone = stream.changed(view)
        rows = []
        for position in changed:
            mark = (await self.market.state(position.symbol)).mark_price
            instrument = (await self.market.instruments())[position.symbol]
            row = words.position(position, instrument, mark, view, to_ms(view.at))
            rows.append(row)
        rows += [_empty(key, view.position_mode, to_ms(view.at)) for key in gone]
        for arg in args:
            wanted = [row for row in rows if arg.get("instId") in (None, row["instId"])]
            if wanted:
                named: dict[str, str] = {**arg, "uid": account.key.owner}
                await stream.say({"arg": named, "data": wanted})


def _genuine(account: VenueAccount, told: dict[str, str]) -> bool:
    signed = f"{told['timestamp']}GET/users/self/verify"
    digest = hmac.new(account.key.secret.encode(), signed.encode(), hashlib.sha256).digest()
    right = base64.b64encode(digest).decode()
    return told["passphrase"] == account.key.passphrase and hmac.compare_digest(right, told["sign"])


def _empty(key: LegKey, mode: PositionMode, at_ms: int) -> dict[str, Any]:
    symbol, side = key
    nothing = ("availPos", "avgPx", "imr", "last", "liqPx", "margin", "markPx", "mgnRatio", "mmr", "upl")
    blank: dict[str, Any] = dict.fromkeys(nothing, "")
    return {
        **blank,
        "cTime": str(at_ms),
        "ccy": words.settles_in(symbol),
        "instId": IDS[symbol],
        "instType": "SWAP",
        "lever": "10",
        "mgnMode": "cross",
        "notionalUsd": "0",
        "pos": "0",
        "posId": "210",
        "posSide": "net" if mode is PositionMode.ONE_WAY else side.value,
        "uTime": str(at_ms),
        "uplRatio": "",
    }
