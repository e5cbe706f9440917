"""Domain values to columns and back: ``Decimal`` and instants exactly, compound values as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property, lru_cache, partial
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter

from chatbot.errors import InvariantBroken

REMEMBERED: Final = 512  # rows of a kind: a few MB in all

Cell = str | int | bytes | None
Row = tuple[Cell, ...]
Convert = Callable[[Any], Any]
T = TypeVar("T")

_BYTES_AS_TEXT = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


def instant_text(value: datetime) -> str:
    """Always of one width, so that text sorts as time does."""
    if value.tzinfo is None:
        raise InvariantBroken("an instant without a time zone cannot be stored")
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(timespec="microseconds")


def instant_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise InvariantBroken(f"{value} is not an amount and cannot be stored")
    return str(value)


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    """Built on first use: start-up pays only for the shapes that it reads."""
    # A dataclass takes no settings of ours, a choice of one does.
    return TypeAdapter(shape | None, config=_BYTES_AS_TEXT)


def dump(shape: Any, value: object) -> str:
    """JSON with decimals as strings and bytes in base 64."""
    return _adapter(shape).dump_json(value).decode()


def load(shape: Any, text: str) -> Any:
    value = _adapter(shape).validate_json(text)
    if value is None:
        raise InvariantBroken("nothing is stored where something was")
    return value


def remembered(read: Callable[[Row], T]) -> Callable[[Sequence[Any]], T]:
    """A row that was read before is not decoded again: what it comes to cannot be changed, and is shared.

    Only for what is read again and again.
    """
    known = lru_cache(maxsize=REMEMBERED)(read)
    return lambda row: known(tuple(row))


def _same(value: Any) -> Any:
    return value


def _optional(convert: Convert) -> Convert:
    if convert is _same:
        return _same
    return lambda value: None if value is None else convert(value)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (UnionType, Union):
        return hint, False
    members = [member for member in get_args(hint) if member is not NoneType]
    return (members[0], True) if len(members) == 1 else (hint, False)


def _json_converters(shape: Any) -> tuple[Convert, Convert]:
    return partial(dump, shape), partial(load, shape)


def _scalar_converters(kind: type) -> tuple[Convert, Convert] | None:
    if kind is Decimal:
        return decimal_text, Decimal
    if kind is datetime:
        return instant_text, instant_of
    if kind is bool:
        return int, bool
    if issubclass(kind, Enum):
        members = {member.value: member for member in kind}
        return attrgetter("_value_"), members.__getitem__
    return (_same, _same) if kind in (str, int) else None


def _converters(hint: Any) -> tuple[Convert, Convert]:
    """How a field of this type is written and read."""
    bare, optional = _without_none(hint)
    bare = getattr(bare, "__supertype__", bare)  # a NewType is stored as what it stands for
    pair = (_scalar_converters(bare) if isinstance(bare, type) else None) or _json_converters(bare)
    return (_optional(pair[0]), _optional(pair[1])) if optional else pair


class Record(Generic[T]):
    """A dataclass, stored with one column per field, named alike, in the order of the fields.

    ``omit`` names fields that live elsewhere; they are given by name to ``decode``.
    """

    def __init__(self, shape: type[T], *, omit: Sequence[str] = ()) -> None:
        self._shape = shape
        self._omit = frozenset(omit)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        assert dataclasses.is_dataclass(self._shape)  # noqa: S101 (tells the type checker; all callers are in this package)
        return tuple(f.name for f in dataclasses.fields(self._shape) if f.name not in self._omit)

    @cached_property
    def _writers(self) -> tuple[tuple[str, Convert], ...]:
        """Of the fields that are not written as they are."""
        hints = get_type_hints(self._shape)
        write = {name: _converters(hints[name])[0] for name in self.fields}
        return tuple((name, convert) for name, convert in write.items() if convert is not _same)

    @cached_property
    def _values(self) -> Callable[[T], tuple[Any, ...]]:
        return attrgetter(*self.fields)  # of more than one field, so that it is a tuple

    @cached_property
    def _readers(self) -> tuple[tuple[int, Convert], ...]:
        """Of the columns that are not taken as they are, by their place."""
        hints = get_type_hints(self._shape)
        read = (_converters(hints[name])[1] for name in self.fields)
        return tuple((place, convert) for place, convert in enumerate(read) if convert is not _same)

    @cached_property
    def _in_order(self) -> bool:
        """What lives elsewhere comes last, so that nothing need be named."""
        assert dataclasses.is_dataclass(self._shape)  # noqa: S101 (likewise)
        return tuple(f.name for f in dataclasses.fields(self._shape))[: len(self.fields)] == self.fields

    def encode(self, value: T) -> dict[str, Cell]:
        cells: dict[str, Any] = dict(zip(self.fields, self._values(value), strict=True))
        for name, write in self._writers:
            cells[name] = write(cells[name])
        return cells

    def decode(self, cells: Sequence[Cell], **elsewhere: object) -> T:
        read: list[Any] = list(cells)
        if len(read) != len(self.fields):
            raise InvariantBroken(f"a row of {len(read)} columns is no {self._shape.__name__}")
        for place, convert in self._readers:
            read[place] = convert(read[place])
        if self._in_order:
            return self._shape(*read, **elsewhere)
        return self._shape(**dict(zip(self.fields, read, strict=True)), **elsewhere)
