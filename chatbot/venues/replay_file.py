"""Reading a recorded market, strictly: a file that is wrong anywhere is refused, naming the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from chatbot.errors import SettingsError

SMALLEST_PRICE = Decimal("1e-10")
HIGHEST_RATE = Decimal("0.1")  # of a settlement; venues cap it far below
EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)  # nothing was traded before
COLUMNS = ("ts", "mark", "mid", "index", "funding_rate")
EXPECTED = (
    "a CSV file with the columns ts,mark,mid,index,funding_rate; ts in epoch milliseconds, ascending; "
    "funding_rate only on the rows where funding was settled, for example "
    "1759881600000,121286.5,121336.2,121340.1,0.00002542"
)


@dataclass(frozen=True, slots=True)
class Row:
    at: datetime
    mark: Decimal
    mid: Decimal
    index: Decimal
    funding_rate: Decimal | None


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets begin their files with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_file(path, "it cannot be read as text") from error


def _bad_file(path: Path, problem: str) -> SettingsError:
    return SettingsError(
        f"HEDGEROW_PAPER__MARKET: cannot replay {path.name}: {problem}. Expected {EXPECTED}."
    )


def parse_rows(path: Path, text: str) -> list[Row]:
    try:
        return _parse_rows(path, text)
    except csv.Error as error:
        raise _bad_file(path, f"it is no CSV file: {error}") from None


def _parse_rows(path: Path, text: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text))
    header = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in COLUMNS if name not in header]:
        problem = "the file is empty" if not header else f"line 1 has no column {', '.join(missing)}"
        raise _bad_file(path, problem)
    places = {name: header.index(name) for name in COLUMNS}
    rows: list[Row] = []
    for cells in reader:
        if cells:
            rows.append(_parse_row(path, reader.line_num, cells, places, rows[-1].at if rows else None))
    if not rows:
        raise _bad_file(path, "there is no row after the header")
    return rows


def _parse_row(
    path: Path, line: int, cells: list[str], places: Mapping[str, int], before: datetime | None
) -> Row:
    try:
        values = {name: cells[place].strip() for name, place in places.items()}
        row = Row(
            _instant(values["ts"]),
            _price("mark", values["mark"]),
            _price("mid", values["mid"]),
            _price("index", values["index"]),
            _rate(values["funding_rate"]) if values["funding_rate"] else None,
        )
    except IndexError:
        raise _bad_file(path, f"line {line} has only {len(cells)} columns") from None
    except ValueError as error:
        raise _bad_file(path, f"line {line}: {error}") from None
    if before is not None and row.at <= before:
        raise _bad_file(path, f"line {line}: ts is not later than the one before it")
    return row


def _instant(text: str) -> datetime:
    # ASCII digits only, and short enough to be an instant: int() takes more than a timestamp should have.
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        raise ValueError(f"ts {text[:20]!r} is no number of milliseconds")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
    if at < EARLIEST:
        raise ValueError(f"ts {text} is {at:%Y-%m-%d}: are these seconds? Milliseconds are expected")
    return at


def _number(name: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{name} {text[:20]!r} is no number") from None
    if not number.is_finite() or abs(number) > 10**12:
        raise ValueError(f"{name} {text[:20]!r} is no usable number")
    return number


def _rate(text: str) -> Decimal:
    rate = _number("funding_rate", text)
    if abs(rate) > HIGHEST_RATE:
        raise ValueError(f"funding_rate {text[:20]!r} is a fraction per settlement, at most {HIGHEST_RATE}")
    return rate


def _price(name: str, text: str) -> Decimal:
    price = _number(name, text)
    if price < SMALLEST_PRICE:
        raise ValueError(f"{name} {text[:20]!r} is not a price above zero")
    return price
