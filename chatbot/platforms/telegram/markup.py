"""Cards to Telegram's HTML.

A message holds 4,096 characters, a caption 1,024, counted after the markup is taken out; we count
UTF-16 units, the strictest reading. A long card becomes several messages, split between blocks, else
between lines, with the buttons under the last. A card that is edited is one message always, and so is a
caption, cut if need be.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from chatbot.chat import Block, Button, Reply, Table, Text

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
DATA_LIMIT = 64  # bytes
CUT_NOTICE = "… (cut: too long for one message)"
BLANK = "–"

log = logging.getLogger(__name__)

_MARKUP = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*|`([^`\n]+)`")
# Telegram trims these and refuses what is left of nothing.
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u3164\u2800\x00-\x1f\x7f-\x9f]*")


@dataclass(frozen=True, slots=True)
class Page:
    """One message: as HTML, and as plain text for the day that Telegram does not take our HTML."""

    html: str
    plain: str


def render(reply: Reply, *, one_page: bool = False) -> tuple[Page, ...]:
    pages = _pages(reply.blocks, TEXT_LIMIT)
    if one_page and len(pages) > 1:
        pages = [_cut(pages[0], TEXT_LIMIT)]
    return tuple(_page(blocks) for blocks in pages) or (Page(BLANK, BLANK),)


PageUrl = Callable[[str], str]


def keyboard(reply: Reply, page_url: PageUrl | None = None) -> str | None:
    """``reply_markup`` as JSON. A button that Telegram would refuse the whole message for is left out.

    ``page_url`` makes an address of the reference of a ticket; without it such buttons are left out.
    """
    rows = [[made for button in row if (made := _made(button, page_url))] for row in reply.buttons]
    rows = [row for row in rows if row]
    return json.dumps({"inline_keyboard": rows}, ensure_ascii=False) if rows else None


def caption(reply: Reply) -> Page:
    """Of a picture: cut where it is too long, and empty where there is nothing to say."""
    pages = _pages(reply.blocks, CAPTION_LIMIT)
    if not pages:
        return Page("", "")
    return _page(pages[0] if len(pages) == 1 else _cut(pages[0], CAPTION_LIMIT))


def _pages(blocks: Sequence[Block], limit: int) -> list[list[Block]]:
    pieces = (piece for block in blocks for piece in _pieces(_clean_block(block), limit))
    return list(_packed(pieces, limit))


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _made(button: Button, page_url: PageUrl | None) -> dict[str, Any] | None:
    if button.ticket and page_url is not None:
        return _page_button(button, page_url(button.ticket))
    return _button(button) if _is_sendable(button) else None


def _page_button(button: Button, url: str) -> dict[str, Any]:
    opens: dict[str, Any] = {"web_app": {"url": url}} if button.in_app else {"url": url}
    return {"text": _clean(button.label), **opens}


def _button(button: Button) -> dict[str, Any]:
    return {"text": _clean(button.label), "callback_data": button.data}


def _is_sendable(button: Button) -> bool:
    sendable = 1 <= len(button.data.encode()) <= DATA_LIMIT and not _is_blank(button.label)
    if not sendable:
        log.error("a button cannot be sent and is left out", extra={"button": button.label})
    return sendable


# --- pages ------------------------------------------------------------------------------------------


def _packed(pieces: Iterable[Block], limit: int) -> Iterator[list[Block]]:
    """Fills pages in order."""
    page: list[Block] = []
    size = 0
    for piece in pieces:
        needed = units(_plain(piece))
        if page and size + 1 + needed > limit:
            yield page
            page, size = [], 0
        size += needed + (1 if page else 0)
        page.append(piece)
    if page:
        yield page


def _cut(page: Sequence[Block], limit: int) -> list[Block]:
    """As much of the page as leaves room for the notice."""
    room = limit - units(CUT_NOTICE) - 1
    lines = [_with_lines(block, [line]) for block in page for line in _lines(block)]
    kept: list[Block] = []
    for line in lines:
        room -= units(_plain(line)) + 1
        if room < 0:
            break
        kept.append(line)
    if not kept:
        kept = list(_pieces(lines[0], limit - units(CUT_NOTICE) - 1))[:1]
    return [*_joined(kept), Text(CUT_NOTICE)]


def _joined(lines: Iterable[Block]) -> Iterator[Block]:
    """Neighboring lines of a table in one table again."""
    table: list[str] = []
    for line in lines:
        if isinstance(line, Table):
            table.extend(line.lines)
            continue
        if table:
            yield Table(tuple(table))
            table = []
        yield line
    if table:
        yield Table(tuple(table))


def _pieces(block: Block, limit: int) -> Iterator[Block]:
    """The block itself, or parts of whole lines that fit, or of slices of a line that is too long."""
    if units(_plain(block)) <= limit:
        yield block
        return
    part: list[str] = []
    size = 0
    for line in chain.from_iterable(_sliced(line, limit) for line in _lines(block)):
        if part and size + 1 + units(line) > limit:
            yield _with_lines(block, part)
            part, size = [], 0
        size += units(line) + (1 if part else 0)
        part.append(line)
    yield _with_lines(block, part)


def _sliced(line: str, limit: int) -> Iterator[str]:
    if units(line) <= limit:
        yield line
        return
    # Half as many characters always fit, as none has more than two units.
    step = limit // 2
    yield from (line[start : start + step] for start in range(0, len(line), step))


def _lines(block: Block) -> list[str]:
    return block.text.split("\n") if isinstance(block, Text) else list(block.lines)


def _with_lines(block: Block, lines: Sequence[str]) -> Block:
    return Text("\n".join(lines)) if isinstance(block, Text) else Table(tuple(lines))


# --- text -------------------------------------------------------------------------------------------


def _page(blocks: Sequence[Block]) -> Page:
    plain = "\n".join(_plain(block) for block in blocks)
    if _is_blank(plain):
        return Page(BLANK, BLANK)
    return Page("\n".join(_html(block) for block in blocks), plain)


def _html(block: Block) -> str:
    if isinstance(block, Table):
        return f"<pre>{_escape(_plain(block))}</pre>"
    parts: list[str] = []
    at = 0
    for match in _MARKUP.finditer(block.text):
        parts += [_escape(block.text[at : match.start()]), _marked(match)]
        at = match.end()
    return "".join([*parts, _escape(block.text[at:])])


def _marked(match: re.Match[str]) -> str:
    bold, code = match[1], match[2]
    return f"<b>{_escape(bold)}</b>" if bold is not None else f"<code>{_escape(code)}</code>"


def _plain(block: Block) -> str:
    if isinstance(block, Table):
        return "\n".join(block.lines)
    return _MARKUP.sub(lambda match: match[1] if match[1] is not None else match[2], block.text)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clean_block(block: Block) -> Block:
    if isinstance(block, Text):
        return Text(_clean(block.text))
    return Table(tuple(_clean(line) for line in block.lines))


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which cannot be sent, and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def _is_blank(text: str) -> bool:
    return _INVISIBLE.fullmatch(text) is not None
