"""Which accounts a price concerns, by the triggers that their last looks have set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Symbol
from chatbot.domain.triggers import Trigger, TriggerIndex
from chatbot.ports import Account


@dataclass(frozen=True, slots=True)
class _Armed:
    number: int
    venue: str
    triggers: Sequence[Trigger]


class Arming:
    """What has fired is armed again by the look that it leads to."""

    def __init__(self) -> None:
        self._indexes: defaultdict[str, TriggerIndex] = defaultdict(TriggerIndex)
        self._armed: dict[AccountId, _Armed] = {}
        self._owners: dict[int, AccountId] = {}
        self._prices: defaultdict[str, dict[Symbol, Decimal]] = defaultdict(dict)
        self._last_number = 0

    def arm(self, account: Account, triggers: Sequence[Trigger]) -> None:
        """In place of what was armed for it before."""
        self.disarm(account.id)
        if not triggers:
            return
        self._last_number += 1
        armed = _Armed(self._last_number, account.venue, triggers)
        self._armed[account.id], self._owners[armed.number] = armed, account.id
        for trigger in triggers:
            self._indexes[account.venue].arm(trigger, armed.number)

    def disarm(self, account_id: AccountId) -> None:
        armed = self._armed.pop(account_id, None)
        if armed is None:
            return
        del self._owners[armed.number]
        for trigger in armed.triggers:
            self._indexes[armed.venue].disarm(trigger, armed.number)

    def symbols(self, venue: str) -> set[Symbol]:
        """Those whose prices could concern anybody."""
        return self._indexes[venue].symbols()

    def prices(self, venue: str) -> Mapping[Symbol, Decimal]:
        """The newest told."""
        return self._prices[venue]

    def concerned(self, venue: str, prices: Mapping[Symbol, Decimal]) -> set[AccountId]:
        index = self._indexes[venue]
        self._prices[venue].update(prices)
        return {
            self._owners[number]
            for symbol, price in prices.items()
            for number in index.crossed(symbol, price)
        }
