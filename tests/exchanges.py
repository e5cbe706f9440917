"""Exchanges that say of keys what a test wrote down; asked as the real ones are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionMode
from chatbot.errors import BadCredentials
from chatbot.ports import Account, Credentials, KeyReport, Sighting, Venue
from chatbot.venues.paper.exchange import PaperExchange
from chatbot.venues.paper.shards import PaperShards
from chatbot.venues.paper.venue import PaperVenue

GOOD = KeyReport(
    can_read=True,
    can_trade=True,
    can_move_funds=False,
    ip_restricted=True,
    position_mode=PositionMode.HEDGE,
)
REFUSED = {"wazirx": "wazirx has no futures, so nothing can be hedged there."}


def key(letter: str = "k") -> str:
    """64 letters and digits, as Binance makes them; ends in four of the letter."""
    return f"{letter.upper()}aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY{'zA1bC2dE3fG4hJ5kL6mN7pQ8rS9'}{letter * 4}"


@dataclass
class ScriptedExchanges:
    """``reports`` by API key: a report, or the error that the exchange answers with. Others are unknown."""

    reports: dict[str, KeyReport | Exception] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    before_answer: Callable[[Credentials], None] = lambda _: None
    floor: PaperExchange | PaperShards | None = None  # where accounts trade whose key was taken
    doors: dict[AccountId, PaperVenue] = field(default_factory=dict)
    books: dict[str, AccountId] = field(default_factory=dict)  # by API key, where it is not the account's
    sightings: dict[AccountId, Sighting] = field(default_factory=dict)

    def knows(self, api_key: str, **changes: object) -> str:
        self.reports[api_key] = replace(GOOD, **changes)  # type: ignore[arg-type]
        return api_key

    def refusal(self, venue_id: str) -> str | None:
        return REFUSED.get(venue_id)

    def supported(self) -> tuple[str, ...]:
        return ("binance", "bybit", "okx")

    def needs_passphrase(self, venue_id: str) -> bool:
        return venue_id == "okx"

    async def examine(self, venue_id: str, credentials: Credentials) -> KeyReport:
        self.asked.append((venue_id, credentials.api_key[-4:]))
        self.before_answer(credentials)
        known: Mapping[str, KeyReport | Exception] = self.reports
        answer = known.get(credentials.api_key, BadCredentials(f"Invalid Api-Key {credentials.api_key}"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def venue(self, account: Account, credentials: Credentials) -> Venue:
        return self.door(self.books.get(credentials.api_key, account.id))

    def door(self, account_id: AccountId) -> PaperVenue:
        """Its ``faults`` can be scripted."""
        assert self.floor is not None, "nobody said where to trade"
        if account_id not in self.doors:
            self.doors[account_id] = self.floor.venue(account_id)
        return self.doors[account_id]

    def seen(self, account: Account) -> Sighting:
        return self.sightings.get(account.id, Sighting())

    def forget(self, account_id: AccountId) -> None:
        """The paper exchange knows its accounts without keys."""
