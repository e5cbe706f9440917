"""The shape of the repository, where no other tool looks."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chatbot.settings import VENUE_PLACEHOLDER, Settings, load_settings, setting_names

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
# What a tool or the bot itself leaves behind, and git's own: none of it is the project's.
LEFT_BEHIND = {"__pycache__", "build", "dist"}

# The standard library's ways to the clock, the network, chance and the disk.
IMPURE = {
    "asyncio", "http", "io", "logging", "os", "pathlib", "random", "secrets", "socket", "sqlite3",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip

# The four places that log and go on, whatever happened (docs: errors).
BROAD_EXCEPT_ALLOWED = {
    "handlers/router.py",
    "chatbot/pushing/scheduler.py",
    "chatbot/pushing/outbox.py",
    "chatbot/services/recovery.py",
}

# Brackets, lest this file contains what it looks for.
REGISTRY_HOST = re.compile(r"p[y]pi\.org|python[h]osted\.org|n[p]mjs\.(?:org|com)", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:w[o]rk|o[p]t|f[a]rm|h[o]me|r[o]ot|U[s]ers)/\w")


def project_files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not _is_left_behind(name))
        yield from (Path(folder, name) for name in sorted(names) if not _is_data(name))


def _is_left_behind(name: str) -> bool:
    hidden = name.startswith(".") and name not in {".ci", ".github"}
    return hidden or name in LEFT_BEHIND or name.endswith(".egg-info")


def _is_data(name: str) -> bool:
    return ".db" in name or name == ".env" or name.startswith(".coverage")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Settings


def env_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(match.groups() for line in lines if (match := re.fullmatch(r"# (HEDGEROW_\w+)=(.*)", line)))  # type: ignore[misc]


def test_env_example_lists_every_setting_and_no_other() -> None:
    documented = [name.replace(VENUE_PLACEHOLDER, "BINANCE") for name in setting_names()]

    assert sorted(env_example()) == sorted(documented)


def test_env_example_shows_the_defaults() -> None:
    assert load_settings(env_file=None, environ=env_example()) == Settings()


def test_env_example_leaves_no_default_out() -> None:
    documented = env_example()
    has_default = {
        name for name, field in setting_names().items() if field.default not in (None, frozenset())
    }

    assert {name for name in has_default if not documented[name]} == set()


def test_env_example_explains_every_setting() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()

    for above, line in pairwise(lines):
        if "HEDGEROW_" in line:
            assert re.match(r"# [A-Z].+\.$", above), f"no explanation above {line}"


# Imports


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _names(node)


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


@pytest.mark.parametrize("path", python_files("chatbot/domain"), ids=relative)
def test_the_domain_knows_neither_time_nor_network(path: Path) -> None:
    for module in imported_modules(path):
        top = module.partition(".")[0]
        ours = module == "chatbot.errors" or module.startswith("chatbot.domain")
        assert ours or top in sys.stdlib_module_names, f"{relative(path)} imports {module}"
        assert top not in IMPURE, f"{relative(path)} imports {module}"


@pytest.mark.parametrize("path", python_files("chatbot", "handlers"), ids=relative)
def test_the_exchange_library_is_loaded_only_when_needed(path: Path) -> None:
    top_level = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert "ccxt" not in {name.partition(".")[0] for node in top_level for name in _names(node)}


def test_the_direction_of_imports_is_under_contract() -> None:
    contracts = {contract["id"] for contract in project()["tool"]["importlinter"]["contracts"]}

    assert contracts >= {
        "domain-is-pure",
        "services-know-ports-only",
        "adapters-are-independent",
        "adapters-know-no-service",
        "handlers-are-thin",
        "only-the-app-imports-handlers",
        "ccxt-has-one-importer",
        "telegram-has-one-importer",
        "sql-lives-in-storage",
        "no-cycles",
    }


@pytest.mark.parametrize("path", python_files("chatbot", "handlers"), ids=relative)
def test_a_broad_except_stands_in_four_places_only(path: Path) -> None:
    catches = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler)]
    broad = [
        node.lineno
        for node in catches
        if node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    ]

    assert not broad or relative(path) in BROAD_EXCEPT_ALLOWED, f"lines {broad}"


# Packaging


def pins(lock: str) -> dict[str, str]:
    """Name to version and hashes, as the lock has them."""
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    return {entry.partition("==")[0]: entry for entry in entries}


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_every_release_with_its_hashes(lock: str) -> None:
    for name, entry in pins(lock).items():
        assert re.match(
            r"[a-z0-9.-]+==\d[\w.]*( ;[^\\\n]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n|$))+$", entry
        ), name


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_place_to_load_from(lock: str) -> None:
    assert re.search(r"://|file:|@|^-", (ROOT / lock).read_text(), re.MULTILINE) is None


def test_locks_agree_and_hold_what_is_declared() -> None:
    runtime, development = (pins(lock) for lock in LOCKS)
    declared = project()["project"]
    names = [re.match(r"[\w-]+", need)[0] for need in declared["dependencies"]]  # type: ignore[index]
    tools = [re.match(r"[\w-]+", need)[0] for need in declared["optional-dependencies"]["dev"]]  # type: ignore[index]

    assert runtime.items() <= development.items()
    assert set(names) <= set(runtime)
    assert set(tools) <= set(development)
    # The build backend comes from the lock, so that the project installs without the network.
    assert "setuptools" in runtime


def test_the_makefile_has_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert targets >= {"setup", "demo", "run", "test", "check", "bench", "lock", "clean"}


def test_continuous_integration_checks_and_tests() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    assert re.findall(r"^make (\w+)", script.read_text(), re.MULTILINE) == ["check", "test"]


@pytest.mark.parametrize(
    "name",
    [
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "pyproject.toml", "Makefile", ".gitignore",
        "chatbot/__main__.py", "chatbot/app.py", "handlers/__init__.py", "bench/__main__.py",
    ],
)  # fmt: skip
def test_everything_is_where_a_newcomer_looks(name: str) -> None:
    assert (ROOT / name).exists()


def test_nothing_names_this_machine_or_a_registry() -> None:
    found = [
        f"{relative(path)}: {match[0]}"
        for path in project_files()
        for pattern in (REGISTRY_HOST, MACHINE_PATH, re.compile(re.escape(str(ROOT))))
        if (match := pattern.search(path.read_bytes().decode(errors="ignore")))
    ]

    assert found == []
