"""Changes to a venue's answer as no venue should make them."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

Path = tuple[Any, ...]

ODD: tuple[Any, ...] = (
    *(
        "",
        " ",
        "N/A",
        "nan",
        "NaN",
        "-Infinity",
        "1e400",
        "-1e400",
        "1e-400",
        "null",
        "0x1",
        "١٢",
        "1,5",
        "--1",
    ),
    *(
        None,
        [],
        {},
        True,
        False,
        -1,
        "-1",
        1e308,
        10**40,
        float("nan"),
        float("inf"),
        [1],
        {"a": 1},
        "x" * 300,
    ),
)


def paths(data: Any, here: Path = ()) -> list[Path]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path for key, value in inner for path in ((*here, key), *paths(value, (*here, key)))]


def changed(data: Any, path: Path, value: Any = None, *, drop: bool = False) -> Any:
    made = copy.deepcopy(data)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made


def doubled(data: Any, path: Path) -> Any:
    """A row of a list twice."""
    made = copy.deepcopy(data)
    inner = made
    for step in path[:-1]:
        inner = inner[step]
    inner.insert(path[-1], copy.deepcopy(inner[path[-1]]))
    return made


class Bender:
    """``fields`` are the names that may be changed; empty: all. What it did is in ``did``."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.did = ""

    def __call__(self, data: Any) -> Any:
        cells = [path for path in paths(data) if not isinstance(path[-1], int)]
        rows = [path for path in paths(data) if isinstance(path[-1], int)]
        if rows and self._chance.random() < 0.15:
            path = self._chance.choice(rows)
            self.did = f"doubled {path}"
            return doubled(data, path)
        if not cells:
            self.did = "nothing to change"
            return data
        return self._one_cell(data, self._chance.choice(cells))

    def _one_cell(self, data: Any, path: Path) -> Any:
        if self._chance.random() < 0.25:
            self.did = f"dropped {path}"
            return changed(data, path, drop=True)
        value = self._chance.choice(ODD)
        self.did = f"{path} = {value!r}"
        return changed(data, path, value)


def numbers_of(found: object, name: str) -> list[tuple[str, Decimal]]:
    if isinstance(found, Decimal):
        return [(name, found)]
    if is_dataclass(found):
        return [n for f in fields(found) for n in numbers_of(getattr(found, f.name), f"{name}.{f.name}")]
    if isinstance(found, Mapping):
        return [n for key, value in found.items() for n in numbers_of(value, f"{name}[{key}]")]
    if isinstance(found, list | tuple):
        return [n for value in found for n in numbers_of(value, name)]
    return []
