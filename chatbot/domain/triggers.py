"""Prices at which something will next matter, found by the tick that crosses them and by no other.

A tick costs two comparisons while it crosses nothing, whatever the number of triggers. Prices are floats here
and nowhere else: rounding keeps their order, and a trigger is moved outwards by one step of a float, so that
none is passed over; it may fire that much too early. What fires only says where to look.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from chatbot.domain.instrument import Symbol

BLOCK: Final = 512  # entries; a full one is split in two
_NEVER: Final = math.inf


class Way(StrEnum):
    """``UP`` fires at the price and above it, ``DOWN`` at it and below."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Trigger:
    symbol: Symbol
    way: Way
    price: Decimal


class _Ladder:
    """Heights in ascending order with their owners, in blocks; the lowest is met first.

    An entry that is taken away is gone at once, so nothing grows by being changed.
    """

    __slots__ = ("_heights", "_owners", "_tops", "lowest")

    def __init__(self) -> None:
        self._heights: list[array[float]] = []
        self._owners: list[array[int]] = []
        self._tops: list[float] = []  # the highest of each block
        self.lowest = _NEVER

    def __len__(self) -> int:
        return sum(map(len, self._heights))

    def add(self, height: float, owner: int) -> None:
        if not self._tops:
            self._heights, self._owners, self._tops = [array("d")], [array("q")], [height]
        block = min(bisect_left(self._tops, height), len(self._tops) - 1)
        heights = self._heights[block]
        place = bisect_right(heights, height)
        heights.insert(place, height)
        self._owners[block].insert(place, owner)
        self._tops[block] = heights[-1]
        if len(heights) > 2 * BLOCK:
            self._split(block)
        self.lowest = min(self.lowest, height)

    def remove(self, height: float, owner: int) -> bool:
        """``False``: it has fired, or never was there."""
        for block in range(bisect_left(self._tops, height), len(self._tops)):
            heights, owners = self._heights[block], self._owners[block]
            first, end = bisect_left(heights, height), bisect_right(heights, height)
            if first == end:
                return False
            if (place := _index(owners, owner, first, end)) is not None:
                del heights[place], owners[place]
                self._shrunk(block)
                return True
        return False

    def reached(self, height: float) -> Iterator[int]:
        """Takes away all at and under ``height``."""
        whole = bisect_right(self._tops, height)
        for owners in self._owners[:whole]:
            yield from owners
        del self._heights[:whole], self._owners[:whole], self._tops[:whole]
        if self._heights:
            part = bisect_right(self._heights[0], height)
            yield from self._owners[0][:part]
            del self._heights[0][:part], self._owners[0][:part]
        self._set_lowest()

    def _split(self, block: int) -> None:
        heights, owners = self._heights[block], self._owners[block]
        self._heights[block : block + 1] = [heights[:BLOCK], heights[BLOCK:]]
        self._owners[block : block + 1] = [owners[:BLOCK], owners[BLOCK:]]
        self._tops[block : block + 1] = [heights[BLOCK - 1], heights[-1]]

    def _shrunk(self, block: int) -> None:
        if self._heights[block]:
            self._tops[block] = self._heights[block][-1]
        else:
            del self._heights[block], self._owners[block], self._tops[block]
        if block == 0:
            self._set_lowest()

    def _set_lowest(self) -> None:
        self.lowest = self._heights[0][0] if self._heights else _NEVER


def _index(owners: array[int], owner: int, first: int, end: int) -> int | None:
    try:
        return owners.index(owner, first, end)
    except ValueError:
        return None


class TriggerIndex:
    """Of one venue. ``owner`` is a number that the caller gives whatever the trigger belongs to.

    A price that is at or beyond a trigger fires it, however it got there: gaps, and prices that were not
    told, lose nothing. A trigger that has fired is gone.
    """

    def __init__(self) -> None:
        self._above: dict[Symbol, _Ladder] = {}
        self._below: dict[Symbol, _Ladder] = {}  # of heights turned round

    def __len__(self) -> int:
        return sum(len(ladder) for side in (self._above, self._below) for ladder in side.values())

    def symbols(self) -> set[Symbol]:
        sides = (self._above, self._below)
        return {symbol for side in sides for symbol, ladder in side.items() if ladder.lowest < _NEVER}

    def arm(self, trigger: Trigger, owner: int) -> None:
        side, height = self._place(trigger)
        ladder = side.get(trigger.symbol)
        if ladder is None:
            ladder = side[trigger.symbol] = _Ladder()
        ladder.add(height, owner)

    def disarm(self, trigger: Trigger, owner: int) -> bool:
        """``False``: it has fired already."""
        side, height = self._place(trigger)
        ladder = side.get(trigger.symbol)
        return ladder is not None and ladder.remove(height, owner)

    def crossed(self, symbol: Symbol, price: Decimal | float) -> list[int]:
        """The owners of what fires at this price, each as often as it has triggers that do."""
        at = float(price)
        above, below = self._above.get(symbol), self._below.get(symbol)
        fired: list[int] = []
        if above is not None and at >= above.lowest:
            fired += above.reached(at)
        if below is not None and -at >= below.lowest:
            fired += below.reached(-at)
        return fired

    def _place(self, trigger: Trigger) -> tuple[dict[Symbol, _Ladder], float]:
        price = float(trigger.price)
        if trigger.way is Way.UP:
            return self._above, math.nextafter(price, -_NEVER)
        return self._below, math.nextafter(-price, -_NEVER)
