"""Which venue an account trades on; part of the composition root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Protocol, cast

from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Instrument, PositionMode, PositionSide, Symbol
from chatbot.domain.market import PricePoint
from chatbot.domain.order import Fill, FundingPayment, OrderReport, OrderRequest, Outcome, Rejected
from chatbot.domain.shards import shard_of_account
from chatbot.errors import NotConnected, VenueError, VenueUnavailable
from chatbot.ports import (
    Account,
    AccountStream,
    Alone,
    Exchanges,
    Leases,
    PriceStream,
    Streaming,
    Vault,
    Venue,
)

PAPER = "paper"
NOT_SENT = "VenueUnavailable"  # as outcomes name what surely was not sent


class PaperPlace(Protocol):
    def venue(self, account_id: AccountId) -> Venue: ...


class RoutedVenues:
    """Paper accounts trade on the built-in exchange, every other one where its key is from."""

    def __init__(
        self,
        paper: PaperPlace,
        exchanges: Exchanges,
        vault: Vault,
        leases: Leases | None = None,
        *,
        metered: Callable[[Account, Venue], Venue] = lambda _, venue: venue,
    ) -> None:
        self._leases = leases or Alone()
        self._paper = paper
        self._exchanges = exchanges
        self._vault = vault
        self._metered = metered
        self._venues: dict[AccountId, Venue] = {}

    def of(self, account: Account) -> Venue:
        known = self._venues.get(account.id)
        if known is None:
            known = self._venues[account.id] = self._metered(account, self._door(account))
        return known

    def _door(self, account: Account) -> Venue:
        if account.venue == PAPER:
            return self._paper.venue(account.id)
        return LiveVenue(account, self._exchanges, self._vault, self._leases)

    def forget(self, account: Account) -> None:
        """The account has another key now, or none."""
        self._venues.pop(account.id, None)
        self._exchanges.forget(account.id)

    def let_go(self, shards: Collection[int]) -> None:
        """What was learned of their accounts may not be so when they come back."""
        for account_id in [each for each in self._venues if shard_of_account(each) in shards]:
            del self._venues[account_id]
            self._exchanges.forget(account_id)


@cache
def _can_stream(exchanges: type[Exchanges]) -> bool:
    """A protocol is looked through method by method."""
    return issubclass(exchanges, Streaming)


class RoutedStreams:
    """Streams of the exchanges that have some; the vault is opened for each connection. Paper has none: it is
    looked at every other second.
    """

    def __init__(self, exchanges: Exchanges, vault: Vault) -> None:
        self._streaming: Streaming | None = None
        if _can_stream(type(exchanges)):
            self._streaming = cast(Streaming, exchanges)
        self._vault = vault

    async def of_account(self, account: Account) -> AccountStream | None:
        if self._streaming is None or account.venue == PAPER:
            return None
        return await self._streaming.account_stream(account, await self._vault.open(account))

    async def of_prices(self, venue_id: str) -> PriceStream | None:
        if self._streaming is None or venue_id == PAPER:
            return None
        return await self._streaming.price_stream(venue_id)

    def tells_prices(self, venue_id: str) -> bool:
        return self._streaming is not None and venue_id != PAPER

    def room(self, venue_id: str) -> bool:
        return self._streaming is None or self._streaming.room(venue_id)


class LiveVenue:
    """The door to an exchange account. It holds no key: the vault is opened for each call.

    It is shut (``LeaseLost``) as soon as another process works for the account.
    """

    def __init__(self, account: Account, exchanges: Exchanges, vault: Vault, leases: Leases) -> None:
        self._leases = leases
        self._account = account
        self._shard = shard_of_account(account.id)
        self._exchanges = exchanges
        self._vault = vault

    @property
    def venue_id(self) -> str:
        return self._account.venue

    async def _open(self) -> Venue:
        try:
            credentials = await self._vault.open(self._account)
        except NotConnected as error:
            raise VenueUnavailable(
                f"{self._account.label} has no key any more.", venue=self._account.venue
            ) from error
        self._leases.of_shard(self._shard)  # after the wait, before the call
        return self._exchanges.venue(self._account, credentials)

    # --- reads ----------------------------------------------------------------------------------

    async def instruments(self) -> Mapping[Symbol, Instrument]:
        return await (await self._open()).instruments()

    async def view(self, symbols: Collection[Symbol] = (), *, depth: int = 50) -> AccountView:
        return await (await self._open()).view(symbols, depth=depth)

    async def order(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        return await (await self._open()).order(symbol, client_order_id)

    async def fills(self, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        return await (await self._open()).fills(symbol, since)

    async def funding_payments(self, symbol: Symbol, since: datetime) -> tuple[FundingPayment, ...]:
        return await (await self._open()).funding_payments(symbol, since)

    async def price_history(
        self, symbol: Symbol, since: datetime, *, points: int = 300
    ) -> tuple[PricePoint, ...]:
        return await (await self._open()).price_history(symbol, since, points=points)

    # --- writes ---------------------------------------------------------------------------------

    async def set_position_mode(self, mode: PositionMode) -> None:
        await (await self._open()).set_position_mode(mode)

    async def set_leg(self, symbol: Symbol, side: PositionSide, setting: LegSetting) -> None:
        await (await self._open()).set_leg(symbol, side, setting)

    async def add_margin(self, symbol: Symbol, side: PositionSide, amount: Decimal) -> None:
        await (await self._open()).add_margin(symbol, side, amount)

    async def place(self, orders: Sequence[OrderRequest]) -> tuple[Outcome, ...]:
        """Without a key nothing has left."""
        try:
            venue = await self._open()
        except VenueError as error:
            return tuple(Rejected(error.message, kind=NOT_SENT) for _ in orders)
        return await venue.place(orders)

    async def cancel(self, symbol: Symbol, client_order_id: str) -> OrderReport | None:
        return await (await self._open()).cancel(symbol, client_order_id)
