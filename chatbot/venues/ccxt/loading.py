"""ccxt one exchange at a time: its packages import a hundred exchanges twice, of which we use a few.

Empty packages stand in for ``ccxt`` and ``ccxt.async_support``; their modules load when they are named.
Half the memory, half the time. When ccxt was imported as a whole before, that is used.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("ccxt", "ccxt.async_support")
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
    for name, folder in zip(PACKAGES, (root, root / "async_support"), strict=True):
        package = _Package(name)
        package.__dict__["__path__"] = [str(folder)]
        sys.modules[name] = package


def exchange_class(name: str) -> Any:
    """Raises ``LookupError`` when ccxt knows no such exchange."""
    prepare()
    try:
        return getattr(importlib.import_module(f"ccxt.async_support.{name}"), name)
    except ModuleNotFoundError as error:
        raise LookupError(name) from error


def errors() -> Any:
    prepare()
    return importlib.import_module(ERRORS)
