"""Noise that can be asked for at any instant: waves that add up to a random walk, and jumps that fade."""

from __future__ import annotations

import hashlib
import math

SECONDS_A_DAY = 86_400
SHORTEST_WAVE = 2.0  # seconds
WAVES = 22  # the longest lasts 2 x 2^21 s, 48 days: beyond that the price returns to its start
# Waves of all lengths up to the lag add up to this many times the variance of one wave.
WAVE_GAIN = 6.0
JUMP_CELL = 6 * 3600
JUMP_HALF_LIFE = 3 * 3600.0
JUMP_CHANCE = 0.4
JUMP_SCALE = 0.022
JUMP_RAMP = 20.0  # seconds from start to full height
CELLS_REMEMBERED = 9


def dice(key: str) -> tuple[float, float]:
    """Two numbers in (0, 1) that the key always throws."""
    bits = hashlib.blake2b(key.encode(), digest_size=16).digest()
    one, other = (int.from_bytes(half, "big") >> 11 for half in (bits[:8], bits[8:]))
    return (one + 0.5) / 2**53, (other + 0.5) / 2**53


def bell(key: str) -> float:
    """A standard normal number that the key always throws."""
    one, other = dice(key)
    return math.sqrt(-2 * math.log(one)) * math.cos(math.tau * other)


class Wave:
    """Value noise of one length: random heights at the cell borders, straight lines between them."""

    __slots__ = ("_amplitude", "_key", "_length", "base", "ends", "slope", "starts")

    def __init__(self, key: str, *, length: float, amplitude: float) -> None:
        self._key = key
        self._length = length
        self._amplitude = amplitude
        self.starts = self.ends = self.base = self.slope = 0.0

    def go_to(self, seconds: float) -> None:
        """Makes ``base + slope * (seconds - starts)`` hold between ``starts`` and ``ends``."""
        cell = math.floor(seconds / self._length)
        self.starts, self.ends = cell * self._length, (cell + 1) * self._length
        self.base = self._height(cell)
        self.slope = (self._height(cell + 1) - self.base) / self._length

    def _height(self, cell: int) -> float:
        return self._amplitude * bell(f"{self._key}:{cell}")


class Walk:
    """Waves of doubling length: Brownian motion up to the longest, yet any instant can be asked for."""

    def __init__(self, key: str, volatility: float) -> None:
        self._waves = [
            Wave(
                f"{key}:{number}",
                length=(length := SHORTEST_WAVE * 2**number),
                amplitude=volatility * math.sqrt(length / SECONDS_A_DAY / WAVE_GAIN),
            )
            for number in range(WAVES)
        ]
        self._origin = 0.0
        self._origin = self.at(0.0)

    def at(self, seconds: float) -> float:
        total = -self._origin
        for wave in self._waves:
            if not wave.starts <= seconds < wave.ends:
                wave.go_to(seconds)
            total += wave.base + wave.slope * (seconds - wave.starts)
        return total


class Jumps:
    """Sudden moves of a few percent that fade over hours: crashes, squeezes, and the way back."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._known: dict[int, tuple[float, float]] = {}

    def at(self, seconds: float) -> float:
        newest = int(seconds // JUMP_CELL)
        cells = range(max(0, newest - CELLS_REMEMBERED), newest + 1)
        return sum(self._height(cell, seconds) for cell in cells)

    def _height(self, cell: int, seconds: float) -> float:
        starts, size = self._jump(cell)
        age = seconds - starts
        if size == 0.0 or age <= 0:
            return 0.0
        return float(size * min(1.0, age / JUMP_RAMP) * 0.5 ** (age / JUMP_HALF_LIFE))

    def _jump(self, cell: int) -> tuple[float, float]:
        if cell not in self._known:
            self._known[cell] = self._make(cell)
        return self._known[cell]

    def _make(self, cell: int) -> tuple[float, float]:
        happens, when = dice(f"{self._key}:{cell}")
        size = JUMP_SCALE * bell(f"{self._key}:{cell}:size") if happens < JUMP_CHANCE else 0.0
        return (cell + when) * JUMP_CELL, size
