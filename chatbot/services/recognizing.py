"""Which disconnected account a key brings back, where the exchange does not tell whose a key is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chatbot.domain.account import AccountView
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import Instrument, Symbol
from chatbot.domain.ledger import stands_as_booked
from chatbot.ports import Account, Credentials, Exchanges, KeyRecords, Store, User

BY_KEY = "key:"  # how an owner begins that the exchange did not name


@dataclass(frozen=True, slots=True)
class Stranded:
    """Hedges on an account without a key, and markets of theirs on which the new key holds something."""

    account: Account
    numbers: tuple[int, ...]
    held: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True)
class Recognized:
    """``account`` of ``None``: it is a new one. ``resumed``: hedges by which the account was recognized."""

    account: Account | None
    resumed: tuple[int, ...] = ()
    stranded: tuple[Stranded, ...] = ()


class Recognizer:
    def __init__(self, *, store: Store, exchanges: Exchanges, keys: KeyRecords) -> None:
        self._store = store
        self._exchanges = exchanges
        self._keys = keys

    def owner(self, venue_id: str, credentials: Credentials) -> str:
        """The key stands for its owner: a hash of it is kept with the account, also without the key."""
        return BY_KEY + self._keys.fingerprint(venue_id, credentials.api_key)

    async def recognize(self, user: User, venue_id: str, credentials: Credentials) -> Recognized:
        """The very same key, or the very same positions. Raises VenueUnavailable."""
        former = [
            account
            for account in await self._store.former_accounts(user.id)
            if account.venue == venue_id and (not account.owner or account.owner.startswith(BY_KEY))
        ]
        owner = self.owner(venue_id, credentials)
        same = next((account for account in former if account.owner == owner), None)
        if same is not None:
            return Recognized(same)
        hedged = [(each, await self._store.live_hedges(account_id=each.id)) for each in former]
        return await self._by_positions([(each, hedges) for each, hedges in hedged if hedges], credentials)

    async def _by_positions(
        self, hedged: Sequence[tuple[Account, tuple[Hedge, ...]]], credentials: Credentials
    ) -> Recognized:
        if not hedged:
            return Recognized(None)
        view, instruments = await self._read(hedged[0][0], credentials)
        fitting = [
            (account, hedges)
            for account, hedges in hedged
            if all(_stands(hedge, view, instruments) for hedge in hedges)
        ]
        if len(fitting) == 1:
            account, hedges = fitting[0]
            return Recognized(account, resumed=_numbers(hedges))
        return Recognized(None, stranded=tuple(_stranded(*each, view) for each in hedged))

    async def _read(
        self, account: Account, credentials: Credentials
    ) -> tuple[AccountView, Mapping[Symbol, Instrument]]:
        """What is learned on the way is of a key that may belong elsewhere, so it is forgotten."""
        venue = self._exchanges.venue(account, credentials)
        try:
            return await venue.view(), await venue.instruments()
        finally:
            self._exchanges.forget(account.id)


def _stands(hedge: Hedge, view: AccountView, instruments: Mapping[Symbol, Instrument]) -> bool:
    instrument = instruments.get(hedge.symbol)
    return instrument is not None and stands_as_booked(hedge, view, instrument)


def _stranded(account: Account, hedges: tuple[Hedge, ...], view: AccountView) -> Stranded:
    held = {position.symbol for position in view.positions}
    return Stranded(account, _numbers(hedges), tuple(sorted({h.symbol for h in hedges} & held)))


def _numbers(hedges: Sequence[Hedge]) -> tuple[int, ...]:
    return tuple(hedge.number for hedge in hedges)
