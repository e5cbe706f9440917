"""The exchange's price history: one mark a minute of the market, kept as long as the state file says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from chatbot.domain.market import PricePoint
from chatbot.venues.feeds import PriceFeed
from chatbot.venues.paper.floor import Floor

MINUTE = timedelta(minutes=1)
# A fast market, or a long pause, passes days in one step; it is remembered in no more marks than this.
MOST_AT_ONCE = 24


def full_minutes(after: datetime, until: datetime) -> Iterator[datetime]:
    """The whole minutes in between, ``until`` included; evenly fewer where they are too many."""
    first = _whole_minute(after) + MINUTE
    count = (until - first) // MINUTE + 1
    stride = max(1, -(-count // MOST_AT_ONCE))
    return (first + number * MINUTE for number in range(0, count, stride))


def _whole_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def note_marks(floor: Floor, feed: PriceFeed, until: datetime) -> None:
    """To be called before the ticks up to ``until`` are taken: the prices in force are those of before."""
    for at in full_minutes(floor.now, until):
        told_at = feed.latest(at)
        if told_at is None or (feed.max_age is not None and at - told_at > feed.max_age):
            continue
        for symbol in feed.symbols:
            if (prices := feed.prices(symbol, told_at)) is not None:
                floor.unsaved.marks.append((symbol, PricePoint(at, prices.mark)))
