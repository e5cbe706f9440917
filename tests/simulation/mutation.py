"""Wrong versions of the code: one passage of its source is replaced while it is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType


@dataclass(frozen=True)
class Change:
    """``old`` stands exactly once in the module's source."""

    module: str
    old: str
    new: str

    def applied_to(self, source: str) -> str:
        count = source.count(self.old)
        if count != 1:
            raise LookupError(f"{count} times in {self.module}:\n{self.old}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Mutant:
    part: str
    name: str
    changes: tuple[Change, ...]


def source_of(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")


class _Loader(SourceFileLoader):
    def __init__(self, module: str, path: str, changes: Sequence[Change]) -> None:
        super().__init__(module, path)
        self._changes = changes

    def get_code(self, fullname: str) -> CodeType:
        """Never from the byte code that lies beside it."""
        source = Path(self.path).read_text(encoding="utf-8")
        for change in self._changes:
            source = change.applied_to(source)
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder:
    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = changes

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        changes = [change for change in self._changes if change.module == name]
        spec = PathFinder.find_spec(name, path) if changes else None
        if spec is None or spec.origin is None:
            return None
        loader: Loader = _Loader(name, spec.origin, changes)
        spec.loader = loader
        return spec


def infect(mutant: Mutant) -> None:
    """Before any module concerned is imported."""
    early = [change.module for change in mutant.changes if change.module in sys.modules]
    if early:
        raise RuntimeError(f"imported already: {', '.join(early)}")
    sys.meta_path.insert(0, _Finder(mutant.changes))
