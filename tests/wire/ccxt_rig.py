"""The adapter for real exchanges, connected to a loopback one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatbot.clock import SystemClock, VirtualClock
from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.order import Accepted, OrderReport, OrderRequest, OrderType
from chatbot.ports import Account, Clock, Credentials
from chatbot.venues.ccxt.clones import Connections
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.ccxt.majors import BINANCE
from chatbot.venues.ccxt.marketplace import Marketplace
from chatbot.venues.ccxt.quirks import UNIFIED_POSITION, UPPER_SIDES, unified
from chatbot.venues.ccxt.venue import CcxtVenue
from chatbot.venues.feeds import ETH
from tests.wire.venues.binance import BinanceServer
from tests.wire.venues.bybit import BybitServer
from tests.wire.venues.core import START
from tests.wire.venues.okx import OkxServer
from tests.wire.venues.server import VenueServer

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
SERVERS: Mapping[str, type[VenueServer]] = {"binance": BinanceServer, "bybit": BybitServer, "okx": OkxServer}
MAJORS = sorted(SERVERS)


def loopback(
    venue_id: str, *, ago: timedelta = timedelta(0), wire_clock: Callable[[], datetime] | None = None
) -> VenueServer:
    """The venue's own time begins now, or so long ago: answers bear the time of the wire."""
    return SERVERS[venue_id](VirtualClock(datetime.now(UTC) - ago), wire_clock=wire_clock)


# As the exchanges of the second row are read: by ccxt's parsers and no dialect of their own.
UNIFIED = replace(
    BINANCE,
    id="unified",
    orders=unified("info.positionSide", UPPER_SIDES),
    stops=unified("info.positionSide", UPPER_SIDES),
    positions=UNIFIED_POSITION,
    fill_profit=("info.realizedPnl",),
    margin_leg={"positionSide": "{SIDE}"},
)


class Connected:
    """One account, by its key, on one loopback venue."""

    def __init__(
        self,
        venue_id: str,
        server: VenueServer,
        key: str = "key-of-the-account",
        *,
        clock: Clock | None = None,
    ) -> None:
        self.server = server
        self.holder = server.create_account(key)
        self.clock: Clock = clock or SystemClock()
        self.exchanges = CcxtExchanges(
            self.clock, api_urls={venue_id: server.url}, prices_fresh_for=timedelta(0)
        )
        rights = self.holder.key
        self._connections = Connections()
        self.credentials = Credentials(rights.key, rights.secret, rights.passphrase)
        self.account = Account(AccountId("a1"), UserId("u1"), venue_id, "mine", START)
        self.venue = self.exchanges.venue(self.account, self.credentials)

    async def read_by_ccxt(self) -> None:
        """From here on as an exchange of the second row."""
        shared = Marketplace(
            UNIFIED,
            self._connections,
            self.clock,
            api_url=self.server.url,
            prices_fresh_for=timedelta(0),
        )
        self.venue = CcxtVenue(shared, self.credentials)

    async def close(self) -> None:
        await self.exchanges.close()
        await self._connections.close()

    def order(
        self,
        side: PositionSide,
        quantity: str,
        *,
        opens: bool = True,
        id: str = "first1",
        type: OrderType = OrderType.MARKET,
        price: str | None = None,
        symbol: Symbol = ETH,
        valid_for: float = 10,
    ) -> OrderRequest:
        """``price``: the limit, or the trigger of a conditional order."""
        given = None if price is None else Decimal(price)
        return OrderRequest(
            client_order_id=id,
            symbol=symbol,
            side=side.opening if opens else side.closing,
            position_side=side,
            type=type,
            quantity=Decimal(quantity),
            reduce_only=not opens,
            valid_until=self.clock.now() + timedelta(seconds=valid_for),
            limit_price=given if type is OrderType.LIMIT else None,
            trigger_price=given if type.conditional else None,
        )

    async def place(self, request: OrderRequest) -> OrderReport:
        (outcome,) = await self.venue.place([request])
        assert isinstance(outcome, Accepted), outcome
        return outcome.report

    async def open(self, side: PositionSide, quantity: str = "1", *, id: str = "in1") -> OrderReport:
        return await self.place(self.order(side, quantity, id=id))
