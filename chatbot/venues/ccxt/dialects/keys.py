"""What a key may do, and the mode of its account, of venues that ccxt asks no question of its own.

What a venue leaves open is ``None``, never taken for a no.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from chatbot.domain.instrument import PositionMode, Symbol
from chatbot.ports import KeyReport
from chatbot.venues.ccxt.access import Access
from chatbot.venues.ccxt.quirks import Call
from chatbot.venues.ccxt.reading import Answer

POSITION_MODES = {
    "hedge_mode": PositionMode.HEDGE,
    "one_way_mode": PositionMode.ONE_WAY,
    "Hedged": PositionMode.HEDGE,
    "OneWay": PositionMode.ONE_WAY,
}
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


async def read_mode(access: Access, probe: Symbol) -> PositionMode:
    """Of venues for which ccxt has no question of its own. Raises ``Garbled``."""
    return await MODE_READERS[access.quirks.id](access, probe)


async def _bitget_mode(access: Access, probe: Symbol) -> PositionMode:
    told = await access.read(Call.MODE, "fetch_leverage", probe)
    return Answer.of("bitget", "account", told).one_of(POSITION_MODES, "info.posMode")


async def _gate_mode(access: Access, probe: Symbol) -> PositionMode:
    told = Answer.of("gate", "account", await access.read(Call.MODE, "fetch_balance"))
    rows = told.rows("info") if isinstance(told.get("info"), list) else [told.part("info")]
    return PositionMode.HEDGE if rows[0].truth("in_dual_mode") else PositionMode.ONE_WAY


async def _phemex_mode(access: Access, probe: Symbol) -> PositionMode:
    """Positions of all symbols are listed, flat ones too."""
    told = Answer.of("phemex", "account", await access.read(Call.MODE, "fetch_balance"))
    rows = told.rows("info.data.positions")
    if not rows:
        raise told.garbled("info.data.positions", rows)
    return rows[0].one_of(POSITION_MODES, "posMode")


MODE_READERS: Mapping[str, Callable[[Access, Symbol], Awaitable[PositionMode]]] = {
    "bitget": _bitget_mode,
    "gate": _gate_mode,
    "phemex": _phemex_mode,
}
READERS: Mapping[str, Callable[[Access], Awaitable[KeyReport]]] = {
    "kucoin": _kucoin,
    "gate": _gate,
    "bitget": _bitget,
}
