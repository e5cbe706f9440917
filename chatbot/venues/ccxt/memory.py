"""What is remembered of an account between two looks: nothing secret, nothing that cannot be read anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from chatbot.domain.instrument import Instrument, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.order import FillCause

LegKey = tuple[Symbol, PositionSide]
MOST_NAMES = 5_000
Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class OrderName:
    """Whose order it was: its client id, if any, and why the venue made it."""

    client_order_id: str
    cause: FillCause = FillCause.TRADE
    leg: PositionSide | None = None


@dataclass(slots=True)
class AccountMemory:
    """``wanted`` modes were set by us where the venue keeps none; ``held`` are those of the positions.

    ``one_way``: markets whose position is the only one that can stand there.
    """

    symbols: frozenset[Symbol] = frozenset()
    wanted: dict[LegKey, MarginMode] = field(default_factory=dict)
    leverage: dict[LegKey, Decimal] = field(default_factory=dict)
    held: dict[LegKey, MarginMode] | None = None
    mode: PositionMode | None = None
    one_way: frozenset[Symbol] = frozenset()
    mode_at: datetime | None = None
    instruments: Mapping[Symbol, Instrument] | None = None
    instruments_at: datetime | None = None
    all_orders_at: datetime | None = None
    names: dict[str, OrderName] = field(default_factory=dict)
    sent: dict[str, None] = field(default_factory=dict)

    def margin_mode(self, key: LegKey) -> MarginMode | None:
        """The position's own goes before what was wanted for the next one."""
        return (self.held or {}).get(key) or self.wanted.get(key)

    def learn(self, order_id: str, name: OrderName) -> None:
        _bounded(self.names)[order_id] = name

    def sends(self, client_order_id: str) -> bool:
        """``False``: an order with this id was sent before. Some venues would carry it out twice."""
        if client_order_id in self.sent:
            return False
        _bounded(self.sent)[client_order_id] = None
        return True


def _bounded(known: dict[str, Kept]) -> dict[str, Kept]:
    """The oldest goes."""
    if len(known) >= MOST_NAMES:
        known.pop(next(iter(known)))
    return known
