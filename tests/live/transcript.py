"""``python -m tests.live.transcript binance``: the chat on an exchange, from the first key to the last.

The real program over a loopback Telegram and a loopback exchange, through the real ccxt. It dies by SIGKILL
after the exchange carried out the order on the offset leg and before its answer came; a second process takes
over.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from chatbot.domain.instrument import PositionMode
from chatbot.venues.feeds import ETH
from tests.e2e.nursery import Nursery
from tests.e2e.transcript import Line, told, written
from tests.live.floor import KEYS
from tests.live.processes import Killable, killable
from tests.wire.ccxt_rig import MAJORS

PARTS = ("the API key", "the secret", "the passphrase")


@dataclass
class Telling:
    stand: Killable
    notes: list[Line] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(Line(time.monotonic(), "*** ", text))

    async def books(self) -> str:
        held = {side: int(quantity) for side, quantity in (await self.stand.held()).items()}
        sides = (held, self.stand.ledger())
        exchange, ledger = (
            " and ".join(f"{side} {quantity}" for side, quantity in sorted(legs.items())) or "nothing"
            for legs in sides
        )
        return f"the exchange holds {exchange}; the ledger {ledger}"

    async def price(self, price: str) -> None:
        self.note(f"ETH goes to {price}")
        await self.stand.server.market.price(ETH, price)


async def tell(out: TextIO, nursery: Nursery, folder: Path, venue_id: str) -> None:
    """Writes the transcript; fails where the story or the proof does not hold."""
    async with killable(venue_id, nursery, folder, hurry=2) as stand:
        telling = Telling(stand)
        try:
            await _play(telling)
        finally:
            out.writelines(written(_lines(telling)))
        assert stand.complaints() == [], stand.complaints()
        assert await stand.held() == stand.ledger() == {}
    out.write(
        "proof: ledger equals exchange, no order sent or taken twice, no key in the chat or the database\n"
    )


async def _play(telling: Telling) -> None:
    stand, phone = telling.stand, telling.stand.phone
    await stand.holder.set_position_mode(PositionMode.ONE_WAY)
    child = await stand.start()
    telling.note(f"process {child.pid} is started")
    await stand.goes_live()
    phone.says("/open ETH long 1 10x isolated")
    refused = await phone.finds(lambda m: "Switch to hedge mode" in m.labels and m.edits == 0, "the way out")
    await phone.chooses(refused, "Switch to hedge mode", "is in hedge mode")
    await stand.does("/open ETH long 1 10x isolated sl 1900", "#1 ETH is open")
    await telling.price("2300")
    target = await phone.reads("lock it?")
    offer = await phone.chooses(target, "Hedge now", "net lock")
    await phone.chooses(offer, "Confirm", "#1 ETH is hedged")
    await phone.asks("/status", "#1 ETH")
    await telling.price("2480")
    warning = await phone.reads("short leg 1.5 % from liquidation")
    ways = await phone.chooses(warning, "Close…", "Close #1 ETH")
    await stand.dies_before_the_answer(child, ways, "Offset first")
    telling.note(f"kill -9: process {child.pid} is dead, the order on the short leg carried out, unanswered")
    telling.note(await telling.books())
    child = await stand.start()
    telling.note(f"process {child.pid} is started on the same files")
    await phone.reads("#1 ETH closed")
    await stand.at_rest()
    telling.note(await telling.books())
    phone.says(f"/disconnect {stand.venue_id}")
    sure = await phone.finds(lambda m: "Yes, disconnect" in m.labels, "the question")
    await phone.chooses(sure, "Yes, disconnect", "is disconnected")
    await stand.at_rest()
    await child.kill()
    _require_no_key(stand)


def _require_no_key(stand: Killable) -> None:
    on_disk = b"".join(path.read_bytes() for path in stand.folder.iterdir() if path.is_file())
    shown = "\n".join(message.text for message in stand.api.chat_log(stand.phone.chat))
    for part in filter(None, KEYS[stand.venue_id]):
        assert part.encode() not in on_disk
        assert part not in shown


# --- writing ------------------------------------------------------------------------------------


def _lines(telling: Telling) -> Iterator[Line]:
    names = dict(zip(KEYS[telling.stand.venue_id], PARTS, strict=True))
    yield from telling.notes
    yield from (_veiled(line, names) for line in told(telling.stand.phone))
    deleted = (call for call in telling.stand.api.calls if call.method == "deleteMessage")
    yield from (Line(call.at, "bot ", "(deletes that message)") for call in deleted)


def _veiled(line: Line, names: Mapping[str, str]) -> Line:
    return replace(line, text=f"({names[line.text]})") if line.text in names else line


async def main(arguments: Sequence[str]) -> None:
    nursery = await Nursery.open()
    try:
        for venue_id in arguments or MAJORS:
            with tempfile.TemporaryDirectory() as folder:
                await tell(sys.stdout, nursery, Path(folder), venue_id)
    finally:
        await nursery.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
