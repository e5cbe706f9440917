"""Reading venues' answers, loudly: a field that is missing or odd is an error with its name, never a zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, localcontext
from typing import TypeVar

from chatbot.errors import VenueUnavailable

Meaning = TypeVar("Meaning")

# Beyond these no price, quantity or amount of money is believed.
LARGEST_EXPONENT = 30
EARLIEST_MS, LATEST_MS = 946_684_800_000, 32_503_680_000_000  # the years 2000 and 3000
SHOWN = 16  # what is longer may be a key that the venue repeats


class Garbled(VenueUnavailable):
    """The exchange's answer cannot be read; for an order that means nobody knows."""


def number(value: object) -> Decimal | None:
    """``None`` unless it is one finite number; a float is taken as it is written."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    with localcontext() as context:  # ccxt leaves traps and roundings of its own behind
        context.traps[InvalidOperation] = True
        try:
            read = Decimal(str(value).strip())
        except InvalidOperation:
            return None
    believable = read.is_finite() and (read == 0 or abs(read.adjusted()) <= LARGEST_EXPONENT)
    return read if believable else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A dict of a venue's answer. Fields may be given as alternatives; a dot goes one dict deeper."""

    venue: str
    what: str
    data: Mapping[str, object]

    @classmethod
    def of(cls, venue: str, what: str, data: object) -> Answer:
        if not isinstance(data, Mapping):
            raise _garbled(venue, what, "answer", data)
        return cls(venue, what, data)

    def part(self, field: str) -> Answer:
        return Answer.of(self.venue, f"{self.what} {field}", self._get(field))

    def rows(self, field: str = "") -> list[Answer]:
        """The dicts of a list; the list stands under ``field``."""
        found = self._get(field) if field else self.data
        if not isinstance(found, list):
            raise self.garbled(field, found)
        return [Answer.of(self.venue, f"{self.what} {field}".strip(), row) for row in found]

    def get(self, *fields: str) -> object:
        """The first that is there and not empty, else ``None``."""
        found = (self._get(field) for field in fields if field)
        return next((value for value in found if value is not None and value != ""), None)

    def text(self, *fields: str) -> str:
        value = self.get(*fields)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise self.garbled(fields, value)
        return str(value)

    def optional_text(self, *fields: str) -> str:
        value = self.get(*fields)
        return str(value) if isinstance(value, str | int) else ""

    def decimal(self, *fields: str) -> Decimal:
        value = self.get(*fields)
        read = number(value)
        if read is None:
            raise self.garbled(fields, value)
        return read

    def optional(self, *fields: str) -> Decimal | None:
        """``None`` where the venue says nothing; what it says must be a number."""
        return None if self.get(*fields) is None else self.decimal(*fields)

    def positive(self, *fields: str) -> Decimal:
        read = self.decimal(*fields)
        if read <= 0:
            raise self.garbled(fields, read)
        return read

    def not_negative(self, *fields: str) -> Decimal:
        read = self.decimal(*fields)
        if read < 0:
            raise self.garbled(fields, read)
        return read

    def positive_or_none(self, *fields: str) -> Decimal | None:
        """Zero, null and nothing: not reported."""
        read = self.optional(*fields)
        return read if read is not None and read > 0 else None

    def instant(self, *fields: str) -> datetime:
        """Milliseconds since 1970."""
        read = self.decimal(*fields)
        if not EARLIEST_MS <= read <= LATEST_MS:
            raise self.garbled(fields, read)
        return datetime.fromtimestamp(int(read) / 1000, UTC)

    def one_of(self, meanings: Mapping[str, Meaning], *fields: str) -> Meaning:
        said = self.text(*fields)
        if said not in meanings:
            raise self.garbled(fields, said)
        return meanings[said]

    def truth(self, *fields: str) -> bool:
        value = self.get(*fields)
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise self.garbled(fields, value)

    def garbled(self, fields: str | Iterable[str], value: object) -> Garbled:
        name = fields if isinstance(fields, str) else " or ".join(field for field in fields if field)
        return _garbled(self.venue, self.what, name, value)

    def _get(self, field: str) -> object:
        found: object = self.data
        for step in field.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found


def rows_of(venue: str, what: str, data: object) -> list[Answer]:
    if not isinstance(data, list):
        raise _garbled(venue, what, "answer", data)
    return [Answer.of(venue, what, row) for row in data]


def _garbled(venue: str, what: str, field: str, value: object) -> Garbled:
    return Garbled(f"{venue}: the {what} has {field} = {_shown(value)}, which cannot be read.", venue=venue)


def _shown(value: object) -> str:
    scalar = value is None or isinstance(value, str | int | float | Decimal)
    shown = repr(str(value) if isinstance(value, Decimal) else value) if scalar else ""
    return shown if scalar and len(shown) <= SHOWN + 2 else f"something ({type(value).__name__})"
