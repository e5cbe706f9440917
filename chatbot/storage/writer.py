"""The one writer. Transactions that come while another is on its way to the disk share the next one.

A commit that reaches the disk costs a wait, whatever it holds. So the transactions that were asked for
meanwhile go together, each behind a savepoint of its own: one that conflicts is undone alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol

from chatbot.errors import Conflict, StorageError
from chatbot.storage.connection import in_words
from chatbot.storage.sql import Step

MOST_IN_ONE = 64

Outcome = StorageError | None


class Writer(Protocol):
    async def write(self, steps: Sequence[Step]) -> None: ...

    async def close(self) -> None: ...


def transact(
    connection: sqlite3.Connection, transactions: Sequence[Sequence[Step]], path: Path | None
) -> list[Outcome]:
    """All of them in one; an outcome each."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [_attempt(connection, steps, path) for steps in transactions]
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        return [in_words(error, path)] * len(transactions)
    finally:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
    return outcomes


def _attempt(connection: sqlite3.Connection, steps: Sequence[Step], path: Path | None) -> Outcome:
    connection.execute("SAVEPOINT attempt")
    failure = _apply(connection, steps, path)
    if failure is not None:
        connection.execute("ROLLBACK TO attempt")
    connection.execute("RELEASE attempt")
    return failure


def _apply(connection: sqlite3.Connection, steps: Sequence[Step], path: Path | None) -> Outcome:
    for sql, params, conflict in steps:
        try:
            written = connection.execute(sql, params).rowcount
        except sqlite3.Error as error:
            if not connection.in_transaction:
                raise  # SQLite has given up the whole transaction, the neighbors' work with it
            return in_words(error, path, conflict)
        if conflict and written != 1:
            return Conflict(conflict)
    return None


class DirectWriter:
    """For a database in memory: there is no disk to wait for, hence no thread, and tests repeat exactly."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def write(self, steps: Sequence[Step]) -> None:
        (failure,) = transact(self._connection, [steps], None)
        if failure is not None:
            raise failure

    async def close(self) -> None:
        """The connection belongs to the database, which reads through it too."""


class _Job(NamedTuple):
    steps: Sequence[Step]
    done: asyncio.Future[None]


class GroupWriter:
    """One connection in a thread of its own; a transaction is one hop there and back."""

    def __init__(self, connection: sqlite3.Connection, path: Path, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._path = path
        self._thread = thread
        self._waiting: list[_Job] = []
        self._batch: asyncio.Future[list[Outcome]] | None = None
        self._closed = False

    async def write(self, steps: Sequence[Step]) -> None:
        if self._closed:
            raise StorageError(f"the database {self._path} is closed already")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Job(steps, done))
        if self._batch is None:
            self._start(loop)
        await done

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waiting = [job for job in self._waiting if not job.done.cancelled()]
        jobs, self._waiting = self._waiting[:MOST_IN_ONE], self._waiting[MOST_IN_ONE:]
        self._batch = None
        if jobs:
            steps = [job.steps for job in jobs]
            self._batch = loop.run_in_executor(self._thread, transact, self._connection, steps, self._path)
            self._batch.add_done_callback(lambda batch: self._landed(jobs, batch))

    def _landed(self, jobs: Sequence[_Job], batch: asyncio.Future[list[Outcome]]) -> None:
        error = batch.exception()
        outcomes = [error] * len(jobs) if error else batch.result()
        for job, failure in zip(jobs, outcomes, strict=True):
            _settle(job.done, failure)
        self._start(batch.get_loop())

    async def close(self) -> None:
        self._closed = True
        while self._batch is not None:
            await asyncio.wait([self._batch])
            await asyncio.sleep(0)  # lets the callback of the batch begin the next one
        self._connection.close()


def _settle(done: asyncio.Future[None], failure: BaseException | None) -> None:
    if done.done():
        return  # nobody waits for it any more
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
