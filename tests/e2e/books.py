"""The two books of a run, read from their files by nobody's code but this: the bot's ledger and the venue's.

Only while no process holds the files.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

Legs = dict[tuple[str, str, str], Decimal]  # (account, symbol, side) to what is held

OWED = "messages still owed"
LIVE_LEGS = (
    "SELECT h.account_id, h.symbol, l.side, l.quantity FROM legs l JOIN hedges h ON h.id = l.hedge_id "
    "WHERE h.status <> 'closed'"
)


class Books:
    """``ledger`` where it is not the file in the folder: a connection to a copy of it."""

    def __init__(self, folder: Path, ledger: sqlite3.Connection | None = None) -> None:
        self._copy = ledger
        self._ledger = folder / "hedgerow.db"
        self._venue = folder / "hedgerow-paper.db"

    # --- the two sides ------------------------------------------------------------------------

    def ledger_legs(self) -> Legs:
        rows = self.ledger(LIVE_LEGS)
        return {
            (account, symbol, side): Decimal(held) for account, symbol, side, held in rows if Decimal(held)
        }

    def venue_legs(self) -> Legs:
        return {
            (account, leg["symbol"], leg["side"]): Decimal(leg["quantity"])
            for account, state in self.venue("SELECT id, state FROM accounts")
            for leg in json.loads(state)["legs"]
        }

    def wallets(self) -> dict[str, Decimal]:
        rows = self.venue("SELECT id, state FROM accounts")
        return {account: Decimal(json.loads(state)["wallets"]["USDT"]) for account, state in rows}

    def orders(self) -> dict[str, dict[str, Any]]:
        """What the venue knows of each client order id."""
        rows = self.venue("SELECT client_order_id, state FROM orders")
        return {client_order_id: json.loads(state) for client_order_id, state in rows}

    # --- what must hold -----------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """Whatever is not as it must be once everything has come to rest; empty when all is well.

        A message may be owed: the watch goes on, and the bot may have been killed before its next word.
        """
        return [
            *self._legs_differ(),
            *self._orders_differ(),
            *self._fills_differ(),
            *self._money_differs(),
            *(left for left in self.unfinished() if OWED not in left),
        ]

    def _legs_differ(self) -> Iterator[str]:
        ledger, venue = self.ledger_legs(), self.venue_legs()
        if ledger != venue:
            yield f"legs: the ledger has {ledger}, the venue {venue}"

    def _orders_differ(self) -> Iterator[str]:
        """No order that the journal does not know, none executed twice or beyond what was meant."""
        intents = {
            row[0]: (Decimal(row[1]), Decimal(row[2]), row[3])
            for row in self.ledger("SELECT client_order_id, quantity, filled_quantity, status FROM intents")
        }
        traded = self._traded()
        for client_order_id in self.orders().keys() - intents.keys():
            yield f"order {client_order_id} was sent and is not in the journal"
        for client_order_id, (meant, filled, status) in intents.items():
            done = traded.get(client_order_id, Decimal(0))
            if done != filled or done > meant:
                yield f"order {client_order_id} ({status}): meant {meant}, booked {filled}, traded {done}"
            if status in {"journaled", "unknown"}:
                yield f"order {client_order_id} is still {status}"

    def _traded(self) -> dict[str, Decimal]:
        traded: dict[str, Decimal] = {}
        for client_order_id, quantity in self.venue(
            "SELECT client_order_id, quantity FROM fills WHERE client_order_id IS NOT NULL"
        ):
            traded[client_order_id] = traded.get(client_order_id, Decimal(0)) + Decimal(quantity)
        return traded

    def _fills_differ(self) -> Iterator[str]:
        """Per account, side and direction the ledger booked what the venue traded."""
        query = "SELECT {account}, side, position_side, quantity FROM fills"
        ledger = _sums(self.ledger(query.format(account="account_id")))
        venue = _sums(self.venue(query.format(account="account")))
        if ledger != venue:
            yield f"fills: the ledger booked {ledger}, the venue traded {venue}"

    def _money_differs(self) -> Iterator[str]:
        """The wallet is what came from outside, and what the ledger says was made and paid."""
        query = "SELECT account, amounts FROM money_from_outside"
        outside = [(account, json.loads(amounts)["USDT"]) for account, amounts in self.venue(query)]
        made = self.ledger("SELECT account_id, realized_pnl FROM fills")
        funding = self.ledger("SELECT account_id, amount FROM funding_payments")
        fees = self.ledger("SELECT account_id, fee FROM fills")
        ledger = Counter[str]()
        for account, amount in (*outside, *made, *funding):
            ledger[account] += Decimal(amount)  # type: ignore[assignment]  # a counter of anything that adds up
        for account, fee in fees:
            ledger[account] -= Decimal(fee)  # type: ignore[assignment]  # likewise
        for account, wallet in self.wallets().items():
            if wallet != ledger[account]:
                yield f"money of {account}: the ledger explains {ledger[account]}, the wallet holds {wallet}"

    def unfinished(self) -> list[str]:
        """What the ledger has not brought to an end; may be asked while the bot runs."""
        queries = {
            "operations not at their end": "operations WHERE status IN ('running', 'trimming')",
            "updates not handled": "inbox WHERE handled = 0",
            OWED: "outbox WHERE state = 'pending'",
            "messages given up": "outbox WHERE state = 'abandoned'",
            "hedges frozen": "hedges WHERE status = 'frozen'",
        }
        numbers = {what: self._count(query) for what, query in queries.items()}
        return [f"{number} {what}" for what, number in numbers.items() if number]

    def _count(self, which: str) -> int:
        ((number,),) = self.ledger(f"SELECT count(*) FROM {which}")  # noqa: S608 (names, no value)
        return int(number)

    # --- reading ------------------------------------------------------------------------------

    def ledger(self, query: str) -> list[tuple[Any, ...]]:
        if self._copy is not None:
            return self._copy.execute(query).fetchall()
        with _opened(self._ledger) as connection:
            return connection.execute(query).fetchall()

    def venue(self, query: str) -> list[tuple[Any, ...]]:
        """Where several processes may share the database, the exchange has a file for each shard."""
        found: list[tuple[Any, ...]] = []
        for file in sorted(self._venue.with_suffix(".d").glob("*.db")) or [self._venue]:
            with _opened(file) as connection:
                found += connection.execute(query).fetchall()
        return found


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def _sums(rows: list[tuple[Any, ...]]) -> dict[tuple[str, ...], Decimal]:
    sums: dict[tuple[str, ...], Decimal] = {}
    for *key, quantity in rows:
        sums[tuple(key)] = sums.get(tuple(key), Decimal(0)) + Decimal(quantity)
    return sums
