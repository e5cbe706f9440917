"""The fixtures and the words that the suites of the loopback venues share."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import ETH
from tests.wire.venues.clients import ccxt_client
from tests.wire.venues.core import VenueAccount
from tests.wire.venues.server import VenueServer

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


@dataclass(slots=True)
class Desk:
    """A connected trader."""

    server: VenueServer
    account: VenueAccount
    client: Any

    async def held(self) -> dict[str, Decimal]:
        """In base units; legs of size zero are left out."""
        rows = await self.client.fetch_positions([ETH])
        sizes = {row["side"]: Decimal(row["contracts"]) * Decimal(row["contractSize"]) for row in rows}
        return {side: size for side, size in sizes.items() if size}

    def contracts(self, quantity: str) -> str:
        return f"{Decimal(quantity) / Decimal(self.client.market(ETH)['contractSize']):f}"


class VenueSuite(abc.ABC):
    """What the suites ask of a venue, in that venue's words."""

    server_class: ClassVar[type[VenueServer]]
    place_name: ClassVar[str]  # method and path of a single order
    too_many: ClassVar[type[Exception]]
    banned: ClassVar[type[Exception]]
    closing_too_much: ClassVar[type[Exception] | None]  # None: trimmed
    reads_per_lookup: ClassVar[int] = 1

    @abc.abstractmethod
    def order_params(self, side: PositionSide, client_id: str) -> dict[str, Any]:
        """Names the leg natively and carries our id."""

    @abc.abstractmethod
    def stop_params(self, side: PositionSide, client_id: str, trigger: str) -> dict[str, Any]: ...

    @abc.abstractmethod
    async def lookup(self, desk: Desk, client_id: str) -> dict[str, Any] | None: ...

    @abc.abstractmethod
    async def open_stops(self, desk: Desk) -> list[str]:
        """Client ids."""

    # --- fixtures -------------------------------------------------------------------------------

    @pytest.fixture
    async def server(self) -> AsyncIterator[VenueServer]:
        async with self.server_class() as server:
            yield server
            assert server.unknown == []

    @pytest.fixture
    async def desk(self, server: VenueServer) -> AsyncIterator[Desk]:
        account = server.create_account()
        async with ccxt_client(server, account) as client:
            yield Desk(server, account, client)

    async def trade(
        self, desk: Desk, side: PositionSide, quantity: str, client_id: str, *, opens: bool = True
    ) -> Any:
        order_side = side.opening if opens else side.closing
        params = self.order_params(side, client_id)
        amount = desk.contracts(quantity)
        return await desk.client.create_order(ETH, "market", order_side.value, amount, None, params)

    async def stop(self, desk: Desk, side: PositionSide, quantity: str, client_id: str, trigger: str) -> Any:
        params = self.stop_params(side, client_id, trigger)
        amount = desk.contracts(quantity)
        return await desk.client.create_order(ETH, "market", side.closing.value, amount, None, params)

    async def tiers(self, desk: Desk) -> Any:
        return await desk.client.fetch_market_leverage_tiers(ETH)

    @abc.abstractmethod
    async def permissions(self, client: Any) -> tuple[bool, bool, bool]:
        """May trade; may move funds; bound to addresses."""

    async def rest(self, desk: Desk, client_id: str, price: str) -> Any:
        params = self.order_params(LONG, client_id)
        return await desk.client.create_order(ETH, "limit", "buy", desk.contracts("1"), price, params)

    def leverage_params(self) -> dict[str, Any]:
        return {}

    async def margin(self, desk: Desk) -> Decimal:
        rows = await desk.client.fetch_positions([ETH])
        (leg,) = (row for row in rows if row["side"] == "long")
        return Decimal(leg["positionMargin"])

    @abc.abstractmethod
    async def open_isolated(self, desk: Desk, side: PositionSide, quantity: str) -> None: ...

    @abc.abstractmethod
    async def add_margin(self, desk: Desk, side: PositionSide, amount: str) -> None: ...

    def funding_paid_by_the_long(self, amount: Decimal) -> Decimal:
        return -amount

    @abc.abstractmethod
    async def forced_causes(self, desk: Desk) -> list[str]:
        """ "liquidation" and "adl", as the venue's own fields tell them."""
