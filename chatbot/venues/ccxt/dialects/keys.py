"""What a key may do, where the exchange tells it. What it leaves open is ``None``, never taken for a no."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from chatbot.ports import KeyReport
from chatbot.venues.ccxt.access import Access
from chatbot.venues.ccxt.quirks import Call
from chatbot.venues.ccxt.reading import Answer

UNTOLD = KeyReport(can_read=True, can_trade=None, can_move_funds=None, ip_restricted=None)


async def read_key(access: Access) -> KeyReport:
    reader = READERS.get(access.quirks.id)
    return UNTOLD if reader is None else await reader(access)


async def _kucoin(access: Access) -> KeyReport:
    told = Answer.of("kucoin", "key", await access.read(Call.KEY, "privateGetUserApiKey")).part("data")
    rights = {right.strip() for right in told.text("permission").split(",")}
    return KeyReport(
        can_read="General" in rights,
        can_trade="Futures" in rights,
        can_move_funds=any("ithdraw" in right or "ransfer" in right for right in rights),
        ip_restricted=bool(told.optional_text("ipWhitelist")),
        owner=told.optional_text("uid"),
    )


async def _gate(access: Access) -> KeyReport:
    told = Answer.of("gate", "account", await access.read(Call.KEY, "privateAccountGetDetail"))
    allowed = told.get("ip_whitelist")
    return KeyReport(
        can_read=True,
        can_trade=None,
        can_move_funds=None,
        ip_restricted=bool(allowed) if isinstance(allowed, list) else None,
        owner=told.optional_text("user_id"),
    )


async def _bitget(access: Access) -> KeyReport:
    told = Answer.of("bitget", "account", await access.read(Call.KEY, "privateSpotGetV2SpotAccountInfo"))
    return KeyReport(
        can_read=True,
        can_trade=None,
        can_move_funds=None,
        ip_restricted=bool(told.optional_text("data.ips").strip()),
        owner=told.optional_text("data.userId"),
    )


READERS: Mapping[str, Callable[[Access], Awaitable[KeyReport]]] = {
    "kucoin": _kucoin,
    "gate": _gate,
    "bitget": _bitget,
}
