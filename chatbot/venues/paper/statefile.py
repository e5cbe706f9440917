"""The exchange's own memory: one SQLite file, written in one transaction before a call is answered.

``None`` as path keeps it in memory. The file belongs to one process at a time: to the one that holds the
kernel's lock on it, or, where files move from process to process, to the one with the newest epoch. That one
need not wait for a process that was paused and still has the file open.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import OrderSide, PositionSide, Symbol
from chatbot.domain.market import PricePoint
from chatbot.domain.order import Fill, FillCause, FundingPayment
from chatbot.errors import LeaseLost, StorageError
from chatbot.venues.paper.codec import (
    dump_account,
    dump_order,
    from_micros,
    load_account,
    load_order,
    to_micros,
)
from chatbot.venues.paper.state import AccountState, Reference, Unsaved, WorkingOrder

VERSION = 2
MARKS_KEPT = timedelta(days=8)  # a week, and a day so that a chart of a week may begin a little earlier
MARKS = """
CREATE TABLE marks (
    symbol TEXT NOT NULL, at INTEGER NOT NULL, price TEXT NOT NULL, PRIMARY KEY (symbol, at)
) STRICT, WITHOUT ROWID
"""
SCHEMA = f"""
CREATE TABLE market (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    feed TEXT NOT NULL, started_at INTEGER NOT NULL, at INTEGER NOT NULL,
    order_number INTEGER NOT NULL, fill_number INTEGER NOT NULL
) STRICT;
CREATE TABLE accounts (id TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE orders (
    account TEXT NOT NULL, client_order_id TEXT NOT NULL, number INTEGER NOT NULL, open INTEGER NOT NULL,
    state TEXT NOT NULL, PRIMARY KEY (account, client_order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_orders ON orders (number) WHERE open;
CREATE TABLE fills (
    number INTEGER PRIMARY KEY, account TEXT NOT NULL, symbol TEXT NOT NULL, at INTEGER NOT NULL,
    side TEXT NOT NULL, position_side TEXT NOT NULL,
    quantity TEXT NOT NULL, price TEXT NOT NULL, fee TEXT NOT NULL,
    realized_pnl TEXT NOT NULL, client_order_id TEXT, cause TEXT NOT NULL
) STRICT;
CREATE INDEX fills_of_account ON fills (account, symbol, at);
CREATE TABLE funding (
    number INTEGER PRIMARY KEY, account TEXT NOT NULL, symbol TEXT NOT NULL, at INTEGER NOT NULL,
    payment_id TEXT NOT NULL, side TEXT NOT NULL, amount TEXT NOT NULL, rate TEXT NOT NULL
) STRICT;
CREATE INDEX funding_of_account ON funding (account, symbol, at);
CREATE TABLE money_from_outside (
    account TEXT NOT NULL, reference TEXT NOT NULL, at INTEGER NOT NULL, amounts TEXT NOT NULL,
    PRIMARY KEY (account, reference)
) STRICT, WITHOUT ROWID;
{MARKS}"""
OWNER = (
    "CREATE TABLE IF NOT EXISTS owner (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT"
)
BUSY_SECONDS = 0.1  # what another process may take for its last write
# What leads from a version to the next one.
UPGRADES = {1: MARKS}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the market got. ``feed`` names the market that the state belongs to."""

    feed: str
    started_at: datetime
    at: datetime
    order_number: int
    fill_number: int


class StateFile:
    def __init__(self, path: Path | None, epoch: int | None = None) -> None:
        self._epoch = epoch
        self._name = "in memory" if path is None else path.name
        with self._failures("opened"):
            if path is not None:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # balances are nobody else's business
            # One loop, one thread: sqlite's own check of the thread would only forbid closing from another.
            self._db = sqlite3.connect(
                path or ":memory:",
                timeout=0 if epoch is None else BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._prepare()
        except StorageError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        with self._failures("opened"):
            if self._epoch is None:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("BEGIN EXCLUSIVE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._create()
                version = VERSION
            while version in UPGRADES:
                self._db.execute(UPGRADES[version])
                version += 1
                self._db.execute(f"PRAGMA user_version = {version}")
            self._take_over()
            self._db.execute("COMMIT")
        if version != VERSION:
            raise StorageError(
                f"The paper state file {self._name} was written by another version of the program."
            )

    def _take_over(self) -> None:
        """Within a transaction. Raises ``LeaseLost``: a newer process was here."""
        if self._epoch is not None:
            self._db.execute(OWNER)
            self._db.execute("INSERT OR IGNORE INTO owner VALUES (1, ?)", (self._epoch,))
            self._db.execute("UPDATE owner SET epoch = max(epoch, ?)", (self._epoch,))
            self._require_owner()

    def _require_owner(self) -> None:
        if self._epoch is not None and self._one("SELECT epoch FROM owner") != (self._epoch,):
            raise LeaseLost(f"The paper state file {self._name} is another process's by now.")

    def _create(self) -> None:
        if self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise StorageError(f"{self._name} is a database, but not one of the paper exchange.")
        for statement in filter(str.strip, SCHEMA.split(";")):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _failures(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise StorageError(
                    f"The paper state file {self._name} is in use by another process; stop that one first."
                ) from error
            raise StorageError(f"The paper state file {self._name} cannot be {doing}: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self._name} is no paper state file: {error}.") from error
        except OSError as error:
            raise StorageError(
                f"The paper state file {self._name} cannot be {doing}: {error.strerror}."
            ) from error

    # --- writing --------------------------------------------------------------------------------

    def save(self, progress: Progress, unsaved: Unsaved) -> None:
        """All or nothing. What could not be saved stays in ``unsaved`` for the next time."""
        with self._failures("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._require_owner()
                self._write(progress, unsaved)
                self._db.execute("COMMIT")
            except (sqlite3.Error, LeaseLost):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        unsaved.clear()

    def _write(self, progress: Progress, unsaved: Unsaved) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO market VALUES (1, ?, ?, ?, ?, ?)",
            (
                progress.feed,
                to_micros(progress.started_at),
                to_micros(progress.at),
                progress.order_number,
                progress.fill_number,
            ),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO accounts VALUES (?, ?)",
            [(account.id, dump_account(account)) for account in unsaved.accounts.values()],
        )
        self._db.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)", _order_rows(unsaved))
        self._db.executemany(
            "INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_fill_row(account_id, fill) for account_id, fill in unsaved.fills],
        )
        self._db.executemany(
            "INSERT INTO funding (account, symbol, at, payment_id, side, amount, rate)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [_funding_row(account_id, payment) for account_id, payment in unsaved.funding],
        )
        self._db.executemany(
            "INSERT INTO money_from_outside VALUES (?, ?, ?, ?)",
            [_reference_row(r) for r in unsaved.references],
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)",
            [(symbol, to_micros(mark.at), str(mark.price)) for symbol, mark in unsaved.marks],
        )
        oldest = to_micros(progress.at - MARKS_KEPT)
        self._db.executemany(
            "DELETE FROM marks WHERE symbol = ? AND at < ?",
            [(symbol, oldest) for symbol in {symbol for symbol, _ in unsaved.marks}],
        )

    # --- reading --------------------------------------------------------------------------------

    def progress(self) -> Progress | None:
        row = self._one("SELECT feed, started_at, at, order_number, fill_number FROM market")
        return Progress(row[0], from_micros(row[1]), from_micros(row[2]), row[3], row[4]) if row else None

    def accounts(self) -> list[AccountState]:
        accounts = {
            account_id: load_account(AccountId(account_id), state)
            for account_id, state in self._all("SELECT id, state FROM accounts ORDER BY id")
        }
        for account_id, state in self._all("SELECT account, state FROM orders WHERE open ORDER BY number"):
            order = load_order(state)
            accounts[account_id].orders[order.report.client_order_id] = order
        return list(accounts.values())

    def order(self, account_id: AccountId, client_order_id: str) -> WorkingOrder | None:
        row = self._one(
            "SELECT state FROM orders WHERE account = ? AND client_order_id = ?", account_id, client_order_id
        )
        return load_order(row[0]) if row else None

    def fills(self, account_id: AccountId, symbol: Symbol, since: datetime) -> tuple[Fill, ...]:
        rows = self._all(
            "SELECT number, symbol, side, position_side, quantity, price, fee, realized_pnl, at,"
            " client_order_id, cause FROM fills"
            " WHERE account = ? AND symbol = ? AND at >= ? ORDER BY at, number",
            account_id,
            symbol,
            to_micros(since),
        )
        return tuple(_load_fill(*row) for row in rows)

    def funding(self, account_id: AccountId, symbol: Symbol, since: datetime) -> tuple[FundingPayment, ...]:
        rows = self._all(
            "SELECT payment_id, side, amount, rate, at FROM funding"
            " WHERE account = ? AND symbol = ? AND at >= ? ORDER BY at, number",
            account_id,
            symbol,
            to_micros(since),
        )
        return tuple(
            FundingPayment(key, symbol, PositionSide(side), Decimal(amount), Decimal(rate), from_micros(at))
            for key, side, amount, rate, at in rows
        )

    def marks(self, symbol: Symbol, since: datetime) -> list[PricePoint]:
        rows = self._all(
            "SELECT at, price FROM marks WHERE symbol = ? AND at >= ? ORDER BY at", symbol, to_micros(since)
        )
        return [PricePoint(from_micros(at), Decimal(price)) for at, price in rows]

    def money_from_outside(self, account_id: AccountId) -> tuple[Reference, ...]:
        rows = self._all(
            "SELECT reference, at, amounts FROM money_from_outside WHERE account = ? ORDER BY at", account_id
        )
        return tuple(
            Reference(account_id, reference, from_micros(at), _load_amounts(amounts))
            for reference, at, amounts in rows
        )

    def knows_reference(self, account_id: AccountId, reference: str) -> bool:
        query = "SELECT 1 FROM money_from_outside WHERE account = ? AND reference = ?"
        return self._one(query, account_id, reference) is not None

    def close(self) -> None:
        self._db.close()

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._failures("read"):
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._failures("read"):
            return self._db.execute(query, values).fetchall()


def _order_rows(unsaved: Unsaved) -> Iterator[tuple[str, str, int, bool, str]]:
    for (account_id, client_order_id), order in unsaved.orders.items():
        report = order.report
        number = int(report.venue_order_id)
        yield account_id, client_order_id, number, not report.status.final, dump_order(order)


def _fill_row(account_id: AccountId, fill: Fill) -> tuple[object, ...]:
    return (
        int(fill.venue_fill_id),
        account_id,
        fill.symbol,
        to_micros(fill.at),
        fill.side,
        fill.position_side,
        str(fill.quantity),
        str(fill.price),
        str(fill.fee),
        str(fill.realized_pnl),
        fill.client_order_id,
        fill.cause,
    )


def _load_fill(*row: object) -> Fill:
    number, symbol, side, position_side, quantity, price, fee, realized, at, client_order_id, cause = row
    return Fill(
        venue_fill_id=str(number),
        symbol=Symbol(str(symbol)),
        side=OrderSide(str(side)),
        position_side=PositionSide(str(position_side)),
        quantity=Decimal(str(quantity)),
        price=Decimal(str(price)),
        fee=Decimal(str(fee)),
        realized_pnl=Decimal(str(realized)),
        at=from_micros(int(str(at))),
        client_order_id=None if client_order_id is None else str(client_order_id),
        cause=FillCause(str(cause)),
    )


def _funding_row(account_id: AccountId, payment: FundingPayment) -> tuple[object, ...]:
    at = to_micros(payment.at)
    key, amount, rate = payment.venue_payment_id, str(payment.amount), str(payment.rate)
    return account_id, payment.symbol, at, key, payment.side, amount, rate


def _reference_row(reference: Reference) -> tuple[object, ...]:
    amounts = json.dumps({currency: str(amount) for currency, amount in reference.amounts.items()})
    return reference.account_id, reference.reference, to_micros(reference.at), amounts


def _load_amounts(text: object) -> dict[str, Decimal]:
    return {currency: Decimal(amount) for currency, amount in json.loads(str(text)).items()}
