"""The documents say what the code does, as far as a program can tell."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatbot.domain.dangers import NAKED_AFTER, UNKNOWN_AFTER, VENUE_DOWN_AFTER
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import ALWAYS_ON, AlertKind, gravity_of
from chatbot.domain.sight import STREAM_LOST_AFTER
from chatbot.settings import setting_names
from chatbot.venues.paper import faults
from chatbot.venues.paper.catalog import CATALOG
from handlers import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ADRS = sorted((DOCS / "adr").glob("[0-9]*.md"))
ADR_PARTS = ["Context", "Decision", "Consequences", "Measured", "What would change it"]
ONE_PAGE = 80  # lines

# What is installed under another name than it is imported by.
DISTRIBUTIONS = {
    "pydantic_core": "pydantic",
    "telegram": "python-telegram-bot",
    "PIL": "pillow",
    "dotenv": "python-dotenv",
}

# Which document explains a setting, by the beginning of its name.
EXPLAINED_IN = {
    "HEDGEROW_TELEGRAM__SHOW_BALANCES_IN_GROUPS": "docs/adr/0004-platform-neutral-replies.md",
    "HEDGEROW_TELEGRAM__MESSAGES_PER_SECOND": "docs/alerts.md",
    "HEDGEROW_TELEGRAM__": "docs/adr/0005-own-ingress-for-updates.md",
    "HEDGEROW_HTTP__": "docs/keys.md",
    "HEDGEROW_MASTER_KEY": "docs/keys.md",
    "HEDGEROW_DATABASE_URL": "docs/adr/0003-storage-engine.md",
    "HEDGEROW_PAPER__": "docs/paper.md",
    "HEDGEROW_VENUES__": "docs/exchanges.md",
    "HEDGEROW_PROCESSES__": "docs/processes.md",
    "HEDGEROW_QUOTE__": "docs/glossary.md",
    "HEDGEROW_ALLOWED_USERS": "docs/architecture.md",
    "HEDGEROW_LOG__": "docs/architecture.md",
    "HEDGEROW_OPS__": "docs/operations.md",
    "HEDGEROW_OPERATOR_CHAT": "docs/operations.md",
}


# Looks like a command and is asked by HTTP; tests/test_deploy.py holds them against the server.
PAGES = {"/livez", "/readyz", "/metrics"}


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def mentions(document: str, word: str) -> bool:
    """As a whole word: /open is not mentioned by /opening."""
    return re.search(rf"(?<![\w/]){re.escape(word)}(?!\w)", document) is not None


def drawing() -> ModuleType:
    """The script that draws the picture; it belongs to no package."""
    spec = util.spec_from_file_location("draw_architecture", DOCS / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


# Links


def without_code(document: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", document, flags=re.DOTALL | re.MULTILINE)


def links(document: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(document)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def anchors(document: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", without_code(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in links(path.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path

        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_every_file_of_ours_that_is_named_exists(path: Path) -> None:
    named = re.findall(
        r"`((?:chatbot|handlers|tests|docs|bench)/[\w./-]+|\.ci/\w+)`", path.read_text(encoding="utf-8")
    )

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_document_is_reached_from_the_architecture_or_the_readme() -> None:
    reached = {DOCS / "architecture.md", ROOT / "README.md", ROOT / "CHANGELOG.md"}
    waiting = list(reached)
    while waiting:
        path = waiting.pop()
        if path.suffix == ".md" and path.exists():
            found = {(path.parent / link.partition("#")[0]).resolve() for link in links(path.read_text())}
            waiting += found - reached
            reached |= found

    assert set(documents()) <= reached


# The picture


def test_the_picture_is_what_the_imports_say() -> None:
    script = drawing()

    assert text("docs/architecture.svg") == script.draw(script.read_imports(ROOT)), (
        "draw it anew: python docs/draw_architecture.py"
    )


def test_no_import_goes_against_the_direction() -> None:
    assert 'class="against"' not in text("docs/architecture.svg")


def test_an_import_against_the_direction_is_drawn_as_one(tmp_path: Path) -> None:
    write_module(tmp_path, "chatbot/domain/saga.py", "from chatbot.services.driving import Driver\n")
    write_module(tmp_path, "chatbot/chat.py", "import chatbot.storage.store\n")
    script = drawing()

    picture = script.draw(script.read_imports(tmp_path))

    assert "domain imports services, against the direction" in picture
    assert "chat imports storage, against the direction" in picture


def test_arrows_keep_their_distance_from_each_other_and_from_boxes() -> None:
    script = drawing()
    placed: Mapping[Any, float] = script.place(script.read_imports(ROOT).edges)

    assert placed
    for edge, x in placed.items():
        beside = [at for other, at in placed.items() if other != edge and script.side_by_side(edge, other)]
        assert all(abs(x - at) >= 10 for at in beside), edge
        assert any(left <= x <= right for left, right in script.free_spans(edge)), edge


def test_the_picture_names_every_package() -> None:
    packages = {path.parent.name for path in (ROOT / "chatbot").glob("*/__init__.py")} | {"handlers"}
    names = re.findall(r'class="name[^>]*>([^<]+)<', text("docs/architecture.svg"))
    leaves = re.findall(r"leaves ([a-z, ]+)\.", text("docs/architecture.svg"))

    assert packages <= {*names, *", ".join(leaves).split(", ")}


def write_module(root: Path, name: str, source: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


# Decisions


def test_the_index_lists_every_decision() -> None:
    index = re.findall(r"^\| (\d{4}) \| \[([^\]]+)\]\(([^)]+)\) \|", text("docs/adr/README.md"), re.MULTILINE)

    assert [file for _, _, file in index] == [path.name for path in ADRS]
    for number, title, file in index:
        assert (DOCS / "adr" / file).read_text().splitlines()[0] == f"# {number} {title}"


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))


@pytest.mark.parametrize("path", ADRS, ids=relative)
def test_a_decision_fills_one_page_and_has_all_its_parts(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == ADR_PARTS
    assert any(re.fullmatch(r"Status: (accepted|replaced by \[\d{4}\]\(.+\))", line) for line in lines)
    assert len(lines) <= ONE_PAGE


def declared_libraries() -> set[str]:
    block = re.search(r"^dependencies = \[(.*?)^\]", text("pyproject.toml"), re.DOTALL | re.MULTILINE)
    assert block is not None
    return {name.lower() for name in re.findall(r'"([\w-]+)', block[1])}


def test_the_decision_on_dependencies_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", text("docs/adr/0006-dependencies.md"), re.MULTILINE)
    listed = {name.strip().lower() for row in rows for name in re.sub(r"\(.*?\)", "", row).split(",")}

    assert declared_libraries() <= listed


def test_the_decision_on_dependencies_says_who_imports_what() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|", text("docs/adr/0006-dependencies.md"), re.MULTILINE
    )
    importers = {
        name.strip().lower(): who for row, who in rows for name in re.sub(r"\(.*?\)", "", row).split(",")
    }
    script = drawing()

    for room, libraries in script.read_imports(ROOT).libraries.items():
        for library in libraries:
            assert f"`{room}`" in importers[DISTRIBUTIONS.get(library, library.replace("_", "-"))]


# Commands and settings


def test_the_changelog_announces_every_command() -> None:
    changelog = text("CHANGELOG.md")

    assert [command.name for command in COMMANDS if not mentions(changelog, command.name)] == []


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="there is no README yet")
def test_the_readme_mentions_every_command() -> None:
    readme = text("README.md")

    assert [command.name for command in COMMANDS if not mentions(readme, command.name)] == []


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_no_document_mentions_a_command_that_does_not_exist(path: Path) -> None:
    known = {command.name for command in COMMANDS} | PAGES
    mentioned = re.findall(r"`(/[a-z]+)(?=[ `])", path.read_text(encoding="utf-8"))

    assert set(mentioned) <= known


@pytest.mark.parametrize("setting", sorted(setting_names()))
def test_every_setting_is_explained_where_it_belongs(setting: str) -> None:
    prefixes = [start for start in EXPLAINED_IN if setting.startswith(start)]

    assert prefixes, "EXPLAINED_IN does not say where"
    assert mentions(text(EXPLAINED_IN[max(prefixes, key=len)]), setting)


@pytest.mark.parametrize("path", documents(), ids=relative)
def test_no_document_mentions_a_setting_that_does_not_exist(path: Path) -> None:
    known = setting_names()
    mentioned = re.findall(r"HEDGEROW_[A-Z_]+(?:<ID>__[A-Z_]+)?", path.read_text(encoding="utf-8"))
    generic = [re.sub(r"(VENUES__)[A-Z0-9]+(__)", r"\1<ID>\2", name) for name in mentioned]

    assert [name for name in generic if name not in known] == []


# Alerts


def percentages(levels: tuple[Decimal, ...]) -> str:
    return ", ".join(f"{(level * 100).normalize():f} %" for level in levels)


def spans(*levels: timedelta) -> str:
    seconds = [int(level.total_seconds()) for level in levels]
    return ", ".join(f"{span // 60} min" if span % 60 == 0 else f"{span} s" for span in seconds)


def alert_rows() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", text("docs/alerts.md"), re.MULTILINE)
    return {kind: [cell.strip() for cell in rest.split("|")] for kind, rest in rows}


def documented_levels(kind: AlertKind) -> int:
    return len(alert_rows()[kind][1].split(","))


def test_every_kind_of_alert_has_a_row() -> None:
    assert list(alert_rows()) == [kind.value for kind in AlertKind]


@pytest.mark.parametrize("kind", AlertKind)
def test_the_gravity_of_an_alert_is_documented(kind: AlertKind) -> None:
    levels = documented_levels(kind)
    gravities = [gravity_of(kind, level, levels).value for level in range(levels)]
    shortest = gravities[:1] if len(set(gravities)) == 1 else gravities

    assert alert_rows()[kind][2] == ", ".join(shortest)


@pytest.mark.parametrize("kind", AlertKind)
def test_what_cannot_be_switched_off_is_documented(kind: AlertKind) -> None:
    assert alert_rows()[kind][3] == ("no" if kind in ALWAYS_ON else "yes")


def test_the_default_levels_of_alerts_are_documented() -> None:
    chosen = AlertPreferences()
    expected = {
        AlertKind.NAKED: spans(NAKED_AFTER),
        AlertKind.LIQUIDATION: percentages(chosen.liquidation_distances),
        AlertKind.MARGIN: percentages(chosen.margin_ratios),
        AlertKind.UNKNOWN: spans(*UNKNOWN_AFTER),
        AlertKind.VENUE: spans(*VENUE_DOWN_AFTER),
        AlertKind.STREAM: spans(*STREAM_LOST_AFTER),
        AlertKind.IMBALANCE: percentages((chosen.imbalance,)),
        AlertKind.EATEN: percentages(chosen.funding_eaten),
        AlertKind.FUNDING: spans(chosen.funding_before),
        AlertKind.TARGET: percentages((chosen.profit_target,)),
    }

    assert {kind: alert_rows()[kind][1] for kind in expected} == expected


# The simulated exchange


def test_every_instrument_of_the_simulated_exchange_is_documented() -> None:
    rows = re.findall(
        r"^\| `([A-Z/:]+)`[^|]*\| (\S+) \| (\S+) \| (\d+) h \| (\d+) \|", text("docs/paper.md"), re.MULTILINE
    )
    listed = {
        str(symbol): (
            str(one.tick_size),
            str(one.lot_size),
            str(one.funding_interval // timedelta(hours=1)),
            str(one.max_leverage),
        )
        for symbol, one in CATALOG.items()
    }

    assert {symbol: tuple(figures) for symbol, *figures in rows} == listed


def test_every_scripted_fault_is_documented() -> None:
    source = ast.parse(Path(str(faults.__file__)).read_text())
    names = {node.name for node in source.body if isinstance(node, ast.ClassDef)} - {"FaultPlan"}

    assert set(re.findall(r"^\| `([A-Z]\w+)` \|", text("docs/paper.md"), re.MULTILINE)) == names


# The glossary


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    words = [
        word.lower() for word in re.findall(r"^\*\*([^*]+)\*\* – ", text("docs/glossary.md"), re.MULTILINE)
    ]

    assert words == sorted(set(words))
    assert len(words) > 30
