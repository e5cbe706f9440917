"""ccxt one exchange at a time: its packages import a hundred exchanges twice, of which we use a few.

Empty packages stand in for ``ccxt`` and its two ways to ask; their modules load when they are named.
Half the memory, half the time. When ccxt was imported as a whole before, that is used.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("ccxt", "ccxt.async_support", "ccxt.pro")
ERRORS = "ccxt.base.errors"


class _Package(ModuleType):
    """A package whose attributes are the exchange classes, as ccxt's own ``__init__`` leaves them."""

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and isinstance(getattr(value, name, None), type):
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "exchanges":
            return _names(self)
        if name in _names(self):
            return getattr(importlib.import_module(f"{self.__name__}.{name}"), name)
        home = f"{self.__name__}.base.exchange" if name == "Exchange" else ERRORS
        return getattr(importlib.import_module(home), name)


def _names(package: ModuleType) -> list[str]:
    return sorted(path.stem for path in Path(package.__path__[0]).glob("[a-z]*.py"))


def prepare() -> None:
    """Before the first import of ccxt."""
    if any(name in sys.modules for name in PACKAGES):
        return
    spec = find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("ccxt is not installed")
    root = Path(spec.submodule_search_locations[0])
    for name in PACKAGES:
        parent, _, own = name.rpartition(".")
        package = _Package(name)
        package.__dict__["__path__"] = [str(root / own)] if parent else [str(root)]
        sys.modules[name] = package
        if parent:
            sys.modules[parent].__dict__[own] = package


def exchange_class(name: str, *, streaming: bool = False) -> Any:
    """Raises ``LookupError`` when ccxt knows no such exchange, or (``streaming``) has no websockets of it."""
    prepare()
    package = "ccxt.pro" if streaming else "ccxt.async_support"
    try:
        return getattr(importlib.import_module(f"{package}.{name}"), name)
    except ModuleNotFoundError as error:
        raise LookupError(name) from error


def errors() -> Any:
    prepare()
    return importlib.import_module(ERRORS)
