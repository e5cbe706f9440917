"""``python -m tests.e2e.transcript``: the chat as a user saw it, kill -9 in the middle of a close included.

The real program over a loopback Telegram, at the speed of real time. It dies by SIGKILL right after the
exchange carried out the order on the offset leg, before the answer is written down; a second process takes
over.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TextIO

from tests.e2e.books import Books, Legs
from tests.e2e.nursery import Child, Nursery, Order
from tests.e2e.phone import Phone, at_rest
from tests.e2e.program import on_paper, on_telegram
from tests.e2e.story import SPEED, USER, locks_a_profit, moving_market
from tests.wire.bot_api import Call, LoopbackBotApi, parse_html

WHERE = "after orders"
SHOWN = {"sendMessage": "bot ", "editMessageText": "bot~"}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """Something that happened, for the transcript. ``at`` is monotonic."""

    at: float
    who: str
    text: str


@dataclass
class Telling:
    phone: Phone
    folder: Path
    nursery: Nursery
    hurry: int
    notes: list[Line] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(Line(time.monotonic(), "*** ", text))

    async def start(self, *, kill_at: str | None = None) -> Child:
        settings = on_paper(self.folder, moving_market(self.folder), PAPER__SPEED=SPEED)
        order = Order(
            settings | on_telegram(self.phone.api, [USER]),
            str(self.folder),
            kill_at,
            after_tap="offset_first",
            hurry=self.hurry,
        )
        return await self.nursery.bear(order)


async def tell(out: TextIO, nursery: Nursery, folder: Path, *, hurry: int = 1) -> None:
    """Writes the transcript; fails where the story or the proof does not hold."""
    async with LoopbackBotApi() as api:
        telling = Telling(Phone(api, USER), folder, nursery, hurry)
        try:
            await _play(telling)
        finally:
            await nursery.empty()
            out.writelines(written([*telling.notes, *told(telling.phone)]))
    complaints = Books(folder).complaints()
    assert complaints == [], complaints
    assert Books(folder).venue_legs() == {}
    out.write("proof: ledger equals venue, no order traded twice, nothing left open\n")


async def _play(telling: Telling) -> None:
    phone, books = telling.phone, Books(telling.folder)
    child = await telling.start(kill_at=WHERE)
    telling.note(f"process {child.pid} is started")
    warning, _, _ = await locks_a_profit(phone)
    ways = await phone.chooses(warning, "Close…", "Close #1 BTC")
    phone.taps(ways, "Offset first")
    code = await child.ended()
    telling.note(
        f"kill -9: process {child.pid} is dead (exit {code}), {WHERE.removesuffix('s')} on the short leg"
    )
    telling.note(f"the exchange holds {_legs(books.venue_legs())}; the ledger {_legs(books.ledger_legs())}")
    child = await telling.start()
    telling.note(f"process {child.pid} is started on the same files")
    await phone.reads("#1 BTC closed")
    await phone.asks("/status", "Nothing is open")
    await at_rest(phone, telling.folder)
    await child.kill()
    telling.note(f"the exchange holds {_legs(books.venue_legs())}; the ledger {_legs(books.ledger_legs())}")


def _legs(legs: Legs) -> str:
    return " and ".join(f"{side} {held}" for (_, _, side), held in sorted(legs.items())) or "nothing"


# --- writing ------------------------------------------------------------------------------------


def told(phone: Phone) -> Iterator[Line]:
    """What was typed, and what came."""
    return chain(_typed(phone), _shown(phone.api.calls))


def written(lines: Iterable[Line]) -> Iterator[str]:
    ordered = sorted(lines)
    begin = ordered[0].at
    for line in ordered:
        head = f"{line.at - begin:6.2f} s  {line.who}| "
        first, *rest = line.text.splitlines()
        yield f"{head}{first}\n"
        yield from (f"{'':{len(head) - 2}}| {more}\n" for more in rest)
        yield "\n"


def _typed(phone: Phone) -> Iterator[Line]:
    return (Line(at, "you ", text) for at, text in phone.actions)


def _shown(calls: Sequence[Call]) -> Iterator[Line]:
    for call in calls:
        if call.method in SHOWN:
            yield Line(call.at, SHOWN[call.method], _card(call))


def _card(call: Call) -> str:
    return "\n".join([parse_html(call.parameters["text"]), *_buttons(call)])


def _buttons(call: Call) -> Iterator[str]:
    markup = call.parameters.get("reply_markup")
    if markup is None:
        return
    rows = json.loads(markup) if isinstance(markup, str) else markup
    for row in rows["inline_keyboard"]:
        yield "  ".join(f"[{button['text']}]" for button in row)


async def main() -> None:
    nursery = await Nursery.open()
    try:
        with tempfile.TemporaryDirectory() as folder:
            await tell(sys.stdout, nursery, Path(folder))
    finally:
        await nursery.close()


if __name__ == "__main__":
    asyncio.run(main())
