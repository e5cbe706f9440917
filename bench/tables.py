"""Results as plain text: a title, columns, what they mean, and the aims with what came of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """``words`` say it with the measured value; ``met`` says how it ended."""

    words: str
    met: bool

    def __str__(self) -> str:
        return f"  [{'met' if self.met else 'MISSED'}] {self.words}"


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    aims: tuple[Aim, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        yield self.title
        yield _line(self.columns, widths)
        yield "  ".join("-" * width for width in widths)
        yield from (_line(row, widths) for row in self.rows)
        yield from map(str, self.aims)
        yield from (f"  {note}" for note in self.notes)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
