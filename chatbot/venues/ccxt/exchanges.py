"""The exchanges that accounts can be connected on. Implements ``chatbot.ports.Exchanges``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta

from chatbot.domain.hedge import AccountId
from chatbot.errors import BadCredentials, InstrumentUnavailable
from chatbot.ports import Account, Clock, Credentials, KeyReport, Pace, Sighting
from chatbot.venues.ccxt import table
from chatbot.venues.ccxt.clones import Connections
from chatbot.venues.ccxt.dialects.common import Dialect
from chatbot.venues.ccxt.marketplace import PRICES_ARE_FRESH_FOR, Health, Marketplace
from chatbot.venues.ccxt.memory import AccountMemory
from chatbot.venues.ccxt.quirks import Quirks
from chatbot.venues.ccxt.streams import CcxtAccountStream, CcxtPriceStream
from chatbot.venues.ccxt.venue import CcxtVenue

WALLET_KEY = re.compile(r"0x[0-9a-fA-F]{40} (?:0x)?[0-9a-fA-F]{64}")


class CcxtExchanges:
    """``api_urls``: other addresses by venue id, scheme and host only; the venues' own paths are kept.

    ``practice``: the venues whose practice accounts are used instead of the real ones.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        api_urls: Mapping[str, str] | None = None,
        practice: frozenset[str] = frozenset(),
        prices_fresh_for: timedelta = PRICES_ARE_FRESH_FOR,
    ) -> None:
        self._clock = clock
        self._api_urls = api_urls or {}
        self._practice = practice
        self._prices_fresh_for = prices_fresh_for
        self._connections = Connections()
        self._places: dict[str, Marketplace] = {}
        self._memories: dict[AccountId, AccountMemory] = {}
        self._processes = 1

    def refusal(self, venue_id: str) -> str | None:
        quirks = table.known(venue_id)
        if quirks is not None and quirks.id in self._practice and not quirks.has_demo:
            return f"{quirks.title} has no practice accounts; take the demo setting away to use real ones."
        return table.refusal(venue_id)

    def supported(self) -> tuple[str, ...]:
        return tuple(table.TABLE)

    def needs_passphrase(self, venue_id: str) -> bool:
        quirks = table.known(venue_id)
        return quirks is not None and quirks.passphrase

    def key_name(self, venue_id: str) -> str:
        """What the key is called there: what to ask the user for."""
        quirks = self._quirks(venue_id)
        return quirks.other_name or "API key and secret"

    async def examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        """Reads with the key at once. Raises BadCredentials, MissingPermission, VenueUnavailable."""
        quirks = self._quirks(venue_id)
        if quirks.other_name and not WALLET_KEY.fullmatch(f"{credentials.api_key} {credentials.secret}"):
            raise BadCredentials(
                f"{quirks.title} takes the {quirks.other_name}: 0x and digits.", venue=quirks.id
            )
        place = self.marketplace(venue_id)
        dialect = await place.dialect(credentials)
        return await (_practice_key(dialect) if place.practice else dialect.key())

    def venue(self, account: Account, credentials: Credentials) -> CcxtVenue:
        """Cheap: what an account learned of itself outlives this, its credentials do not."""
        memory = self._memories.setdefault(account.id, AccountMemory())
        return CcxtVenue(self.marketplace(account.venue), credentials, memory)

    def seen(self, account: Account) -> Sighting:
        memory, place = self._memories.get(account.id), self._places.get(account.venue)
        return Sighting(
            position_mode=None if memory is None else memory.mode,
            clock_ahead=None if place is None else place.clock_ahead,
        )

    def room(self, venue_id: str) -> bool:
        place = self._places.get(venue_id)
        return place is None or place.limiter.roomy

    def paces(self) -> Mapping[str, Pace]:
        limiters = {name: place.limiter for name, place in self._places.items()}
        return {name: Pace(each.waits, each.waited, each.pause_left) for name, each in limiters.items()}

    async def account_stream(self, account: Account, credentials: Credentials) -> CcxtAccountStream | None:
        connection = await self.marketplace(account.venue).connection(credentials)
        return None if connection is None else CcxtAccountStream(connection)

    async def price_stream(self, venue_id: str) -> CcxtPriceStream | None:
        if not self._quirks(venue_id).price_stream:
            return None
        connection = await self.marketplace(venue_id).connection(None)
        return None if connection is None else CcxtPriceStream(connection)

    def forget(self, account_id: AccountId) -> None:
        self._memories.pop(account_id, None)

    def shared_by(self, processes: int) -> None:
        """So many processes behind this address ask the same venues."""
        self._processes = processes
        for place in self._places.values():
            place.limiter.shared_by(processes)

    async def health(self, venue_id: str) -> Health:
        """Asks without a key."""
        return await self.marketplace(venue_id).health()

    def marketplace(self, venue_id: str) -> Marketplace:
        quirks = self._quirks(venue_id)
        if quirks.id not in self._places:
            place = self._places[quirks.id] = Marketplace(
                quirks,
                self._connections,
                self._clock,
                api_url=self._api_urls.get(quirks.id),
                practice=quirks.id in self._practice,
                prices_fresh_for=self._prices_fresh_for,
            )
            place.limiter.shared_by(self._processes)
        return self._places[quirks.id]

    async def close(self) -> None:
        for place in self._places.values():
            place.close()
        await self._connections.close()
        await asyncio.sleep(0)  # lets the transports close

    def _quirks(self, venue_id: str) -> Quirks:
        found = table.known(venue_id)
        if found is None:
            raise InstrumentUnavailable(table.refusal(venue_id), venue=venue_id)
        return found


async def _practice_key(dialect: Dialect) -> KeyReport:
    """Practice accounts hold no money, and not every exchange tells there what their keys may do."""
    await dialect.positions()
    mode = await dialect.position_mode()
    return KeyReport(
        can_read=True, can_trade=None, can_move_funds=False, ip_restricted=None, position_mode=mode
    )
