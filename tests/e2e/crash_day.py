"""``python -m tests.e2e.crash_day [PRICES.csv]``: the alerts of 10 October 2025 as three users read them.

The real bot and Telegram client on a loopback Bot API; the recorded minutes of that day pass in seconds.
Beside what was told stands what had to be: the rule worked out anew over every minute (``tests/e2e/due.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

from chatbot import app
from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import ReplayFeed
from chatbot.venues.replay_file import Row, parse_rows, read_text
from tests import jumping
from tests.e2e.due import Due, Leg, funding_due, gone_due, liquidation_due, price_due, target_due
from tests.e2e.lock_screen import BOB, BTC, CAT, LockScreen, a_lock_screen
from tests.wire.bot_api import ChatMessage

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "replay-btcusdt-1m-2025-10-08-to-12.csv"
BEGIN, END = datetime(2025, 10, 10, 13, 30, tzinfo=UTC), datetime(2025, 10, 11, 0, 2, tzinfo=UTC)
LOOK = 30.0  # seconds: prices change by the minute, and looks in between see nothing new
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
NAMES = {7: "Ann", BOB: "Bob", CAT: "Cat"}


@dataclass
class Day:
    """What each was told after the positions stood, and what was due."""

    told: dict[str, list[tuple[datetime, ChatMessage]]] = field(default_factory=dict)
    due: dict[str, list[Due]] = field(default_factory=dict)
    typed: dict[str, list[str]] = field(default_factory=dict)


def recorded(path: Path = RECORDED) -> list[Row]:
    """One settlement beyond the end, so that its rate is known before."""
    until = END.replace(hour=8, minute=1)
    return [row for row in parse_rows(path, read_text(path)) if BEGIN <= row.at <= until]


async def live(rows: Sequence[Row]) -> Day:
    """Ann holds a hedge at eightfold leverage, Bob a long at four alone, Cat a short in cross margin."""
    feed = ReplayFeed(rows, name="replay:crash")
    with patch.object(app, "WATCH_SECONDS", LOOK), patch.object(app, "MARKET_SECONDS", LOOK):
        async with a_lock_screen(feed, begin=BEGIN) as ann:
            day = Day()
            bob, cat = await ann.another(BOB), await ann.another(CAT)
            await ann.does("/open BTC long 0.25 8x isolated", "#1 BTC")
            await ann.does("/hedge #1", "hedged")
            await bob.phone.asks("/alerts liquidation 15 12", "✅ Saved.")
            await bob.does("/open BTC long 0.2 4x isolated", "#1 BTC")
            await cat.phone.asks("/alerts BTC 115000 105000", "✅ Saved.")
            await cat.does("/open BTC short 0.1 2x cross", "#1 BTC")
            screens = {"Ann": ann, "Bob": bob, "Cat": cat}
            legs = {name: await _legs(screen) for name, screen in screens.items()}
            since = {name: len(screen.phone.messages) for name, screen in screens.items()}
            day.typed = {name: [text for _, text in s.phone.actions] for name, s in screens.items()}
            await ann.passes((END - ann.clock.now()).total_seconds())
            for name, screen in screens.items():
                news = screen.phone.messages[since[name] :]
                day.told[name] = [(screen.at(message), message) for message in news]
            day.due = what_was_due(rows, legs)
            return day


async def _legs(screen: LockScreen) -> dict[PositionSide, Leg]:
    view = await screen.view()
    return {
        p.side: Leg(p.side, p.quantity, p.entry_price, p.liquidation_price)
        for p in view.positions
        if p.symbol == BTC
    }


def what_was_due(rows: Sequence[Row], legs: dict[str, dict[PositionSide, Leg]]) -> dict[str, list[Due]]:
    lived = [row for row in rows if row.at < END]
    ann, bob, cat = legs["Ann"], legs["Bob"][LONG], legs["Cat"][SHORT]
    usual, chosen = _levels("0.20 0.10 0.05"), _levels("0.15 0.12")
    gone = gone_due(lived, ann[LONG])
    until_gone = [row for row in lived if row.at < gone.at]
    due = {
        "Ann": [
            *liquidation_due(until_gone, ann[LONG], usual),
            *liquidation_due(until_gone, ann[SHORT], usual),
            gone,
            *liquidation_due([row for row in lived if row.at >= gone.at], ann[SHORT], usual),
        ],
        "Bob": [*liquidation_due(lived, bob, chosen), *funding_due(rows, bob, END)],
        "Cat": [
            *target_due(lived, cat, Decimal("0.05")),
            *price_due(lived, Decimal(115_000)),
            *price_due(lived, Decimal(105_000)),
        ],
    }
    return {name: sorted(each, key=lambda due: due.at) for name, each in due.items()}


def _levels(words: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(word) for word in words.split())


# --- writing --------------------------------------------------------------------------------------------


def write(day: Day, out: TextIO) -> None:
    for name, typed in day.typed.items():
        out.write(f"{name} typed: {', '.join(text for text in typed if text != '[Confirm]')}\n")
    lines = [(at, name, message) for name, told in day.told.items() for at, message in told]
    for at, name, message in sorted(lines, key=lambda line: line[:2]):
        head = f"{at:%H:%M:%S} {name} | "
        first, *rest = message.text.splitlines()
        out.write(f"\n{head}{first}\n")
        out.writelines(f"{'|':>{len(head) - 1}} {more}\n" for more in rest)
        if message.labels:
            out.write(f"{'|':>{len(head) - 1}} {'  '.join(f'[{label}]' for label in message.labels)}\n")
    for name, due in day.due.items():
        out.write(f"\nWhat {name} had to be told, by every rule over every minute:\n")
        out.writelines(f"  {each.at:%H:%M} {each.words}\n" for each in due)


def main(arguments: Sequence[str], out: TextIO) -> int:
    path = Path(arguments[0]) if arguments else RECORDED
    if not path.exists():
        out.write(f"There is no {path.name}: name a file of recorded prices that covers 10 October 2025.\n")
        return 2
    write(jumping.run(live(recorded(path))), out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
