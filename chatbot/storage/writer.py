"""SQLite's one writer. Transactions that come while another is on its way to the disk share the next one.

A commit that reaches the disk costs a wait, whatever it holds. So the transactions that were asked for
meanwhile go together. Should one of them conflict, all are undone and go again, each behind a savepoint of
its own, so that it is undone alone; savepoints at once would double what the many pay for the few.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple, Protocol

from chatbot.errors import Conflict, StorageError
from chatbot.storage.connection import REFUSALS, Connection, in_words
from chatbot.storage.sql import Params, Statement, Step

MOST_IN_ONE = 64

Transaction = Sequence[Step]
Outcome = StorageError | None


class Writer(Protocol):
    async def write(self, steps: Transaction) -> None: ...

    async def clear_log(self) -> None:
        """Nothing of what was overwritten is left in the write-ahead log."""
        ...

    async def close(self) -> None: ...


async def transact(
    connection: Connection, transactions: Sequence[Transaction], path: Path | None
) -> list[Outcome]:
    """All of them in one; an outcome each."""
    try:
        failure = await _together(connection, chain.from_iterable(transactions), path)
        if failure is None or len(transactions) == 1:
            return [failure] * len(transactions)
        return await _apart(connection, transactions, path)
    except sqlite3.Error as error:
        return [in_words(error, path)] * len(transactions)


async def _together(connection: Connection, steps: Iterable[Step], path: Path | None) -> Outcome:
    committed = False
    try:
        await connection.execute("BEGIN IMMEDIATE")
        await _apply(connection, steps, path)
        await connection.execute("COMMIT")
        committed = True
    except StorageError as failure:
        return failure
    finally:
        if not committed:
            await _undo(connection)
    return None


async def _apart(
    connection: Connection, transactions: Sequence[Transaction], path: Path | None
) -> list[Outcome]:
    committed = False
    try:
        await connection.execute("BEGIN IMMEDIATE")
        outcomes = [await _attempt(connection, steps, path) for steps in transactions]
        await connection.execute("COMMIT")
        committed = True
    finally:
        if not committed:
            await _undo(connection)
    return outcomes


async def _undo(connection: Connection) -> None:
    """Also where SQLite has undone it already: a task that is canceled half-way cannot know."""
    with contextlib.suppress(sqlite3.Error):
        await connection.execute("ROLLBACK")


async def _attempt(connection: Connection, steps: Transaction, path: Path | None) -> Outcome:
    failure: Outcome = None
    await connection.execute("SAVEPOINT attempt")
    try:
        await _apply(connection, steps, path)
    except StorageError as error:
        failure = error
        await connection.execute("ROLLBACK TO attempt")
    await connection.execute("RELEASE attempt")
    return failure


async def _apply(connection: Connection, steps: Iterable[Step], path: Path | None) -> None:
    for statement, conflict, rows in runs(steps):
        if statement.among_many:
            continue  # here is one writer
        try:
            written = await _run(connection, statement, rows)
        except REFUSALS as error:
            if not connection.in_transaction:
                raise  # SQLite has given up the whole transaction, the neighbors' work with it
            raise in_words(error, path, conflict) from None
        if conflict and written != len(rows):
            raise Conflict(conflict)


def runs(steps: Iterable[Step]) -> Iterator[tuple[Statement, str, list[Params]]]:
    """Steps that repeat a statement go to the database together."""
    for (statement, conflict), group in groupby(steps, key=lambda step: (step.statement, step.conflict)):
        yield statement, conflict, [step.params for step in group]


async def _run(connection: Connection, statement: Statement, rows: Sequence[Params]) -> int:
    if len(rows) == 1:
        return (await connection.execute(statement.text, rows[0])).rowcount
    return (await connection.executemany(statement.text, rows)).rowcount


class DirectWriter:
    """For a database in memory: there is no disk to wait for, so each transaction goes by itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def write(self, steps: Transaction) -> None:
        (failure,) = await transact(self._connection, [steps], None)
        if failure is not None:
            raise failure

    async def clear_log(self) -> None:
        """There is none."""

    async def close(self) -> None:
        """Nothing is ever on its way."""


class _Job(NamedTuple):
    steps: Transaction
    done: asyncio.Future[None]


class GroupWriter:
    """Each batch is a task of its own: whoever stops waiting for a commit does not stop the commit."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._waiting: list[_Job] = []
        self._batch: asyncio.Task[list[Outcome]] | None = None
        self._closed = False

    async def write(self, steps: Transaction) -> None:
        if self._closed:
            raise StorageError(f"the database {self._path} is closed already")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(steps, done))
        if self._batch is None:
            self._start()
        await done

    def _start(self) -> None:
        self._waiting = [job for job in self._waiting if not job.done.cancelled()]
        jobs, self._waiting = self._waiting[:MOST_IN_ONE], self._waiting[MOST_IN_ONE:]
        self._batch = None
        if jobs:
            transactions = [job.steps for job in jobs]
            self._batch = asyncio.create_task(transact(self._connection, transactions, self._path))
            self._batch.add_done_callback(lambda batch: self._landed(jobs, batch))

    def _landed(self, jobs: Sequence[_Job], batch: asyncio.Task[list[Outcome]]) -> None:
        for job, failure in zip(jobs, _outcomes(batch, len(jobs)), strict=True):
            _settle(job.done, failure)
        self._start()

    async def clear_log(self) -> None:
        """Between two batches, as it must not meet a transaction. Raises ``StorageError``."""
        await self._quiet()
        self._batch = asyncio.create_task(_clear_log(self._connection, self._path))
        self._batch.add_done_callback(lambda _: self._start())
        (failure,) = await asyncio.shield(self._batch)
        if failure is not None:
            raise failure

    async def close(self) -> None:
        self._closed = True
        await self._quiet()

    async def _quiet(self) -> None:
        while self._batch is not None:
            await asyncio.wait([self._batch])
            await asyncio.sleep(0)  # lets the callback of the batch begin the next one


async def _clear_log(connection: Connection, path: Path) -> list[Outcome]:
    try:
        ((busy, *_),) = await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)", {})
    except sqlite3.Error as error:
        return [in_words(error, path)]
    return [StorageError(f"the log of {path} is being read by another program") if busy else None]


def _outcomes(batch: asyncio.Task[list[Outcome]], jobs: int) -> Sequence[BaseException | None]:
    if batch.cancelled():
        return [StorageError("the program ended before this was written")] * jobs
    error = batch.exception()
    return [error] * jobs if error else batch.result()


def _settle(done: asyncio.Future[None], failure: BaseException | None) -> None:
    if done.done():
        return  # nobody waits for it any more
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
