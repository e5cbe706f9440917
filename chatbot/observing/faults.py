"""What is wrong with the bot itself, as its operator has to know it: counts and venue names, no user's data.

Each rule has a section in docs/runbook.md, named for its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from chatbot.observing.health import Health
from chatbot.observing.reading import Ledger, Reading, age
from chatbot.ports import Tally

NAKED_AFTER = timedelta(seconds=60)
UNKNOWN_AFTER = timedelta(minutes=2)
ALERT_OWED_AFTER = timedelta(seconds=60)
MESSAGE_OWED_AFTER = timedelta(minutes=5)
VENUE_AWAY_AFTER = timedelta(minutes=5)
DATABASE_AFTER = timedelta(seconds=10)
LAG_SECONDS = 1.0
JOB_FAILURES = 3
KEY_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """``count`` grows as it gets worse. ``direct``: not by the way that is broken."""

    key: str
    says: str
    count: int = 1
    direct: bool = False

    @property
    def section(self) -> str:
        """Of the runbook: ``venue:okx`` is one of ``venue``."""
        return self.key.partition(":")[0]


def find(reading: Reading, health: Health) -> tuple[Fault, ...]:
    return tuple(fault for rule in RULES.values() for fault in rule(reading, health))


def naked(reading: Reading, _: Health) -> Iterator[Fault]:
    if reading.ledger is None:
        return
    tally, lasting = reading.ledger.naked, age(reading.ledger.naked, reading.at)
    if lasting >= NAKED_AFTER:
        yield Fault(
            "naked",
            f"{_many(tally, 'operation')} with one leg done and the other not, for {span(lasting)}.",
            tally.count,
        )


def unknown(reading: Reading, _: Health) -> Iterator[Fault]:
    if reading.ledger is None:
        return
    tally = reading.ledger.standing.unknown
    lasting = age(tally, reading.at)
    if lasting >= UNKNOWN_AFTER:
        yield Fault(
            "unknown", f"{_many(tally, 'order')} without a known outcome, for {span(lasting)}.", tally.count
        )


def frozen(reading: Reading, _: Health) -> Iterator[Fault]:
    if reading.ledger is None:
        return
    tally = reading.ledger.standing.frozen
    if tally.count:
        says = f"{_many(tally, 'hedge')} frozen: ledger and exchange differ, and nothing explains it."
        yield Fault("frozen", says, tally.count)


def accounts(reading: Reading, _: Health) -> Iterator[Fault]:
    count = reading.ledger.standing.frozen_accounts if reading.ledger is not None else 0
    if count:
        yield Fault("accounts", f"{_plural(count, 'account')} frozen: a key is not what it was.", count)


def deliveries(reading: Reading, _: Health) -> Iterator[Fault]:
    if reading.ledger is None:
        return
    ledger = reading.ledger
    if ledger.alert_owed_for >= ALERT_OWED_AFTER or ledger.owed_for >= MESSAGE_OWED_AFTER:
        yield Fault("deliveries", _owed(ledger), direct=True)


def _owed(ledger: Ledger) -> str:
    owed, alerts = ledger.standing.owed.count, ledger.standing.owed_alerts.count
    return (
        f"{_plural(owed, 'message')} not delivered, the oldest for {span(ledger.owed_for)}; "
        f"{_plural(alerts, 'alert')} among them, the oldest for {span(ledger.alert_owed_for)}."
    )


def database(_: Reading, health: Health) -> Iterator[Fault]:
    if health.broken_for >= DATABASE_AFTER:
        says = f"The database cannot be read or written ({health.broken_by}). New orders are refused."
        yield Fault("database", says, direct=True)


def venue(_: Reading, health: Health) -> Iterator[Fault]:
    for name, lasting in health.away().items():
        if lasting >= VENUE_AWAY_AFTER:
            yield Fault(f"venue:{name}", f"{name} has not answered for {span(lasting)}.")


def keys(_: Reading, health: Health) -> Iterator[Fault]:
    for name, count in health.refusals().items():
        if count >= KEY_REFUSALS:
            yield Fault(f"keys:{name}", f"{name} has refused {count} different keys in ten minutes.")


def lag(_: Reading, health: Health) -> Iterator[Fault]:
    if health.worst_lag >= LAG_SECONDS:
        yield Fault("lag", f"The event loop was {health.worst_lag:.1f} s late: everything waits that long.")


def job(_: Reading, health: Health) -> Iterator[Fault]:
    for name, times in health.failing_jobs():
        if times >= JOB_FAILURES:
            yield Fault(f"job:{name}", f"The job {name!r} has failed {times} times in a row.")


Rule = Callable[[Reading, Health], Iterator[Fault]]
# In the order in which they are told.
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (naked, unknown, database, frozen, accounts, deliveries, venue, job, lag, keys)
}


def _many(tally: Tally, word: str) -> str:
    example = f" (hedge {tally.hedge})" if tally.hedge else ""
    return f"{_plural(tally.count, word)}{example}"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def span(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7_200 else f"{seconds // 3600} h"
