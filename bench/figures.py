"""Numbers of several repeats to one, and numbers to words."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def median(values: Iterable[float]) -> float:
    """Not a number when nothing was measured."""
    found = list(values)
    return statistics.median(found) if found else float("nan")


def quantile(values: Sequence[float], share: float) -> float:
    """``share`` from 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def figure(value: float) -> str:
    """Three digits that mean something."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def times(value: float) -> str:
    return f"{value:.1f}x" if abs(value) >= 10 else f"{value:.2f}x"
