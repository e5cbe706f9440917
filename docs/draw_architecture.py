"""Draws docs/architecture.svg from the imports of the code.

    python docs/draw_architecture.py            writes the picture
    python docs/draw_architecture.py --check    exit code 1 when it is not what the code says

Only packages are drawn, not modules. An arrow is at least one import, in the color of what is imported;
leaves (charts, chat words, errors, log, settings) are listed, not pointed at. An import against the
direction is a red curve.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "architecture.svg"
FOLDERS = ("chatbot", "handlers")
LEAVES = frozenset({"charts", "chat", "errors", "log", "settings"})

WIDTH, HEIGHT = 1180, 660
EDGE = 14.0  # between an arrow and the corner of a box
CLEARANCE = 7.0  # between an arrow and a box that it passes
AGAINST = "#d1242f"


@dataclass(frozen=True, slots=True)
class Box:
    """``passable``: arrows to what lies beneath run across it."""

    name: str
    says: tuple[str, ...]
    left: float
    right: float
    top: float
    bottom: float
    color: str
    fill: str
    passable: bool = False

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


AMBER, AMBER_FILL = "#9a6700", "#fff8e6"

BOXES = (
    Box("app", ("wires it all; command line, demo",), 24, 1156, 24, 92, "#57606a", "#f6f8fa"),
    Box("platforms", ("update → Request,", "Reply → markup"), 24, 178, 170, 380, AMBER, AMBER_FILL),
    Box("pushing", ("inbox, outbox,", "pacing, scheduler"), 192, 342, 170, 380, AMBER, AMBER_FILL),
    Box("handlers", ("commands, words",), 368, 524, 170, 250, "#8250df", "#f7f1ff"),
    Box(
        "services",
        ("load, ask the domain,", "journal, send, journal"),
        408, 592, 296, 380, "#0969da", "#eef6ff",
    ),
    Box("storage", ("ledger, journal,", "mailbox"), 616, 766, 170, 380, AMBER, AMBER_FILL),
    Box("venues", ("paper exchange,", "price feeds"), 780, 912, 170, 380, AMBER, AMBER_FILL),
    Box("observing", ("metrics, health,", "operator's alarms"), 926, 1052, 170, 380, AMBER, AMBER_FILL),
    Box("clock · ids", ("time, chance",), 1066, 1156, 170, 380, AMBER, AMBER_FILL),
    Box(
        "ports",
        ("what the services need: Venue,", "Store, Mailbox, Messenger, Clock"),
        24, 1156, 436, 496, "#bf3989", "#fff2f8", passable=True,
    ),
    Box(
        "domain",
        ("pure, in Decimal: sizing, funding, margin, quotes, saga, ledger, alerts; no clock, no network",),
        24, 1156, 552, 608, "#1a7f37", "#effbf1",
    ),
)  # fmt: skip
BY_NAME = {box.name: box for box in BOXES}
ROOM_OF = {"clock": "clock · ids", "ids": "clock · ids", "pen": "charts"}

Edge = tuple[str, str]
Span = tuple[float, float]


# --- what the code says -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Imports:
    edges: frozenset[Edge]
    libraries: Mapping[str, tuple[str, ...]]


def read_imports(root: Path) -> Imports:
    edges: set[Edge] = set()
    libraries: dict[str, set[str]] = defaultdict(set)
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        room = room_of(".".join(path.relative_to(root).with_suffix("").parts))
        for module in imported(path):
            top = module.partition(".")[0]
            if top in FOLDERS:
                edges.add((room, room_of(module)))
            elif top not in sys.stdlib_module_names:
                libraries[room].add(top)
    drawn = frozenset((a, b) for a, b in edges if a != b and b not in LEAVES)
    return Imports(drawn, {room: tuple(sorted(found)) for room, found in libraries.items()})


def room_of(module: str) -> str:
    """The box of a module, or the leaf. What has no place of its own is the program's top level."""
    first, _, rest = module.partition(".")
    name = first if first == "handlers" else rest.partition(".")[0]
    name = ROOM_OF.get(name, name)
    return name if name in BY_NAME or name in LEAVES else "app"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "chatbot":
            yield from (f"chatbot.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


# --- where the arrows run -----------------------------------------------------------------------


def free_spans(edge: Edge) -> list[Span]:
    """Where a straight arrow may run from box to box without touching a third one; empty: nowhere."""
    source, target = BY_NAME.get(edge[0]), BY_NAME.get(edge[1])
    if source is None or target is None or source.bottom >= target.top:
        return []
    spans = [(max(source.left, target.left) + EDGE, min(source.right, target.right) - EDGE)]
    for box in BOXES:
        if not box.passable and source.bottom < box.bottom and box.top < target.top and box is not target:
            spans = [left for span in spans for left in _without(span, box)]
    return [span for span in spans if span[0] <= span[1]]


def _without(span: Span, box: Box) -> tuple[Span, Span]:
    return (span[0], min(span[1], box.left - CLEARANCE)), (max(span[0], box.right + CLEARANCE), span[1])


def place(edges: Iterable[Edge]) -> dict[Edge, float]:
    """An x for every arrow that can be straight: the narrowest choice first, each far from the others."""
    spans = {edge: found for edge in sorted(edges) if (found := free_spans(edge))}
    placed: dict[Edge, float] = {}
    for edge in sorted(spans, key=lambda edge: (_room(spans[edge]), edge)):
        candidates = [x for span in spans[edge] for x in _steps(span)]
        placed[edge] = max(candidates, key=lambda x: (_distance(x, edge, placed), -_off_center(x, edge), x))
    return placed


def _room(spans: Iterable[Span]) -> float:
    return sum(right - left for left, right in spans)


def _steps(span: Span) -> list[float]:
    """Every four pixels, and both ends."""
    left, right = span
    return [left, *(left + 4 * number for number in range(1, int((right - left) // 4) + 1)), right]


def _distance(x: float, edge: Edge, placed: Mapping[Edge, float]) -> float:
    """To the nearest arrow beside it; more than 40 is no better than 40."""
    beside = [abs(x - at) for other, at in placed.items() if side_by_side(edge, other)]
    return min([40.0, *beside])


def side_by_side(one: Edge, other: Edge) -> bool:
    top = max(BY_NAME[one[0]].bottom, BY_NAME[other[0]].bottom)
    return top < min(BY_NAME[one[1]].top, BY_NAME[other[1]].top)


def _off_center(x: float, edge: Edge) -> float:
    narrow = min((BY_NAME[name] for name in edge), key=lambda box: box.right - box.left)
    return abs(x - narrow.middle)


# --- the picture --------------------------------------------------------------------------------

STYLE = """
    text { font-family: "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #1f2328 }
    .name { font-size: 17px; font-weight: 600 }
    .says { font-size: 13px; fill: #424a53 }
    .lib { font: 11.5px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #6e7781 }
    .end { text-anchor: end }
    .name.small { font-size: 12.5px }
    .says.small { font-size: 11.5px }
"""


def draw(imports: Imports) -> str:
    placed = place(imports.edges)
    against = sorted(imports.edges - placed.keys())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Which package imports which">',
        "<title>Which package imports which</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#ffffff"/>',
        *(_box(box, imports.libraries.get(box.name, ())) for box in BOXES),
        *(_arrow(edge, placed[edge]) for edge in sorted(placed)),
        *(_curve(edge) for edge in against),
        _legend(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box, libraries: tuple[str, ...]) -> str:
    rectangle = (
        f'<rect x="{box.left:g}" y="{box.top:g}" width="{box.right - box.left:g}" '
        f'height="{box.bottom - box.top:g}" rx="8" fill="{box.fill}" stroke="{box.color}"/>'
    )
    words = _bar(box, libraries) if box.right - box.left > 500 else _column(box, libraries)
    return "\n".join([rectangle, *words])


def _bar(box: Box, libraries: tuple[str, ...]) -> Iterator[str]:
    """Name at the left, words beside it, libraries at the right."""
    y = (box.top + box.bottom) / 2 + 5
    yield _text("name", box.left + 12, y, box.name)
    for number, words in enumerate(box.says):
        yield _text("says", box.left + 100, y + 18 * number - 9 * (len(box.says) - 1), words)
    if libraries:
        yield _text("lib end", box.right - 12, y, "  ".join(libraries))


def _column(box: Box, libraries: tuple[str, ...]) -> Iterator[str]:
    """Name at the top, words beneath, libraries at the foot."""
    size = " small" if box.right - box.left < 100 else ""
    yield _text(f"name{size}", box.left + 12, box.top + 28, box.name)
    for number, words in enumerate(box.says):
        yield _text(f"says{size}", box.left + 12, box.top + 50 + 18 * number, words)
    for number, library in enumerate(reversed(libraries)):
        yield _text("lib", box.left + 12, box.bottom - 12 - 16 * number, library)


def _text(kind: str, x: float, y: float, words: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>'


def _arrow(edge: Edge, x: float) -> str:
    source, target = BY_NAME[edge[0]], BY_NAME[edge[1]]
    tip = target.top - 1
    return (
        f'<g class="import" stroke="{target.color}" fill="{target.color}">'
        f"<title>{escape(source.name)} imports {escape(target.name)}</title>"
        f'<circle cx="{x:g}" cy="{source.bottom:g}" r="2.5" stroke="none"/>'
        f'<line x1="{x:g}" y1="{source.bottom:g}" x2="{x:g}" y2="{tip - 7:g}" stroke-width="1.6"/>'
        f'<path d="M{x - 4.5:g} {tip - 9:g} L{x + 4.5:g} {tip - 9:g} L{x:g} {tip:g} Z" stroke="none"/></g>'
    )


def _curve(edge: Edge) -> str:
    """From middle to middle. A leaf that imports more than leaves starts at the bottom of the picture."""
    source, target = BY_NAME.get(edge[0]), BY_NAME[edge[1]]
    x1, y1 = (source.middle, (source.top + source.bottom) / 2) if source else (WIDTH / 2, HEIGHT - 12.0)
    x2, y2 = target.middle, (target.top + target.bottom) / 2
    title = f"{edge[0]} imports {edge[1]}, against the direction"
    return (
        f'<g class="against"><title>{escape(title)}</title>'
        f'<path d="M{x1:g} {y1:g} C{x1:g} {y1 - 60:g} {x2:g} {y2 + 60:g} {x2:g} {y2:g}" fill="none" '
        f'stroke="{AGAINST}" stroke-width="2.5" stroke-dasharray="6 4"/></g>'
    )


def _legend() -> str:
    leaves = ", ".join(sorted(LEAVES))
    words = (
        f"An arrow is an import, in the color of what is imported. Not drawn: imports of the leaves {leaves}."
    )
    return f'<text class="says" x="{BOXES[0].left:g}" y="{HEIGHT - 24}">{escape(words)}</text>'


def main(arguments: list[str]) -> int:
    picture = draw(read_imports(ROOT))
    if "--check" not in arguments:
        PICTURE.write_text(picture, encoding="utf-8")
        return 0
    return int(not PICTURE.exists() or PICTURE.read_text(encoding="utf-8") != picture)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
