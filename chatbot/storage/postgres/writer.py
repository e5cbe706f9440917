"""Transactions on PostgreSQL: each on a connection of its own, the server brings their commits together.

A batch of our own, as SQLite has it, would make all of a process wait for the row that one of them wants, and
would lock many accounts' rows together, in an order that another process does not share.

When the connection breaks while a commit is under way nobody knows whether it happened. So each transaction
leaves a mark of its own, a row of ``cursors``, written in the same message as its COMMIT. Whoever is in doubt
tries to write that mark too, with another value. There can be one only: either it is found as the transaction
left it, and all of it is stored, or its place is taken now, and a COMMIT that is still on its way through a
network fails when it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final, TypeVar

import asyncpg

from chatbot.errors import Conflict, StorageError
from chatbot.storage.postgres.dialect import Numbered, numbered
from chatbot.storage.postgres.place import Place
from chatbot.storage.postgres.refusals import REFUSALS, in_words, is_gone, is_worth_repeating
from chatbot.storage.writer import Transaction, runs

T = TypeVar("T")

MOST_TRIES: Final = 5
PAUSE_SECONDS: Final = 0.02
# How long the outcome of a commit whose answer was lost is looked for, before that is given up.
PATIENCE_SECONDS: Final = 15.0
LOOK_EVERY_SECONDS: Final = 0.25

MARK: Final = "commit:"
_NOW = "extract(epoch from now())::bigint"
_TAKE_PLACE = f"""
    INSERT INTO cursors (name, value) VALUES ($1, -{_NOW})
    ON CONFLICT (name) DO UPDATE SET value = cursors.value RETURNING value
"""  # noqa: S608 (constants of this module)
FORGET_OLD_MARKS: Final = f"DELETE FROM cursors WHERE name LIKE '{MARK}%' AND abs(value) < {_NOW} - 7 * 86400"  # noqa: S608
_OVERWRITE = "VACUUM (FULL, VERBOSE) credentials"
_OVERWRITE_PAUSES: Final = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)  # seconds

log = logging.getLogger(__name__)

_CHANCE: Final = random.Random()  # noqa: S311 (no secret)


class _Undone(Exception):
    """Nothing of the transaction is stored, and nothing speaks against trying again."""

    def __init__(self, failure: StorageError) -> None:
        super().__init__(failure)
        self.failure = failure


class PoolWriter:
    """``allowed`` raises ``StorageError`` when this process may not write any more."""

    def __init__(
        self, pool: asyncpg.Pool, place: Place, *, allowed: Callable[[], None] = lambda: None
    ) -> None:
        self._pool = pool
        self._place = place
        self._allowed = allowed
        self._under_way: set[asyncio.Task[None]] = set()
        self._spent: list[str] = []  # marks of answered commits, of no more use
        self._closed = False

    async def write(self, steps: Transaction) -> None:
        """A task of its own: whoever stops waiting for a commit does not stop the commit."""
        if self._closed:
            raise StorageError(f"the database {self._place.name} is closed already")
        self._allowed()
        task = asyncio.create_task(self._write(steps))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # somebody may have stopped waiting for it

    async def _write(self, steps: Transaction) -> None:
        for number in count(1):
            try:
                await self._attempt(steps)
            except _Undone as undone:
                if number == MOST_TRIES:
                    raise undone.failure from None
                await asyncio.sleep(_CHANCE.uniform(0, PAUSE_SECONDS * number))
            else:
                return

    async def _attempt(self, steps: Transaction) -> None:
        mark = f"{MARK}{uuid.uuid4().hex}"
        async with self._connection() as connection:
            async with _undone_unless_complete(connection):
                await self._apply(connection, steps)
            lost = await self._commit(connection, mark)
        if lost is not None:
            await self._find_out(mark, lost)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            connection = await self._pool.acquire(timeout=30)
        except REFUSALS as error:
            raise in_words(error, self._place) from None
        try:
            yield connection
        finally:
            with contextlib.suppress(*REFUSALS):
                await self._pool.release(connection)

    async def _apply(self, connection: asyncpg.Connection, steps: Transaction) -> None:
        await self._asked(connection.execute("BEGIN"))
        for statement, conflict, rows in runs(steps):
            ready = numbered(statement)
            arguments = [ready.arguments(row) for row in rows]
            if conflict:
                for each in arguments:
                    await self._write_one(connection, ready, each, conflict)
            elif len(arguments) == 1:
                await self._asked(connection.execute(ready.text, *arguments[0]))
            else:
                await self._asked(connection.executemany(ready.text, arguments))

    async def _write_one(
        self, connection: asyncpg.Connection, ready: Numbered, arguments: Sequence[object], conflict: str
    ) -> None:
        status = await self._asked(connection.execute(ready.text, *arguments), conflict)
        if rows_of(status) != 1:
            raise Conflict(conflict)

    async def _asked(self, answer: Awaitable[T], conflict: str = "") -> T:
        """Before the COMMIT: whatever is refused or lost here leaves nothing behind."""
        try:
            return await answer
        except REFUSALS as error:
            failure = in_words(error, self._place, conflict)
            if is_worth_repeating(error) or (is_gone(error) and not isinstance(error, TimeoutError)):
                raise _Undone(failure) from None
            raise failure from None

    async def _commit(self, connection: asyncpg.Connection, mark: str) -> StorageError | None:
        """The trouble, when it is open what became of it."""
        spent, self._spent = self._spent, []
        try:
            await connection.execute(_ending(mark, spent))
        except REFUSALS as error:
            self._spent += spent
            failure = in_words(error, self._place)
            if is_gone(error):
                return failure
            await _roll_back(connection)
            raise (_Undone(failure) if is_worth_repeating(error) else failure) from None
        self._spent.append(mark)
        return None

    async def _find_out(self, mark: str, lost: StorageError) -> None:
        """Returns when it was written. ``_Undone``: it was not, and never will be."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            value = await self._look(mark)
            if value is not None:
                break
            if time.monotonic() > until:
                raise StorageError(
                    f"the database {self._place.name} went away in the middle of a commit; "
                    "whether that was written is not known yet"
                )
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        if value < 0:
            raise _Undone(lost)
        self._spent.append(mark)

    async def _look(self, mark: str) -> int | None:
        """``None``: no answer yet."""
        try:
            return int(await self._pool.fetchval(_TAKE_PLACE, mark))
        except REFUSALS:
            return None

    async def clear_log(self) -> None:
        """Writes the table of keys anew: what was forgotten is in no file of the database any more.

        Not of the write-ahead log, nor of copies: docs/postgres.md says what that means.
        """
        try:
            async with self._pool.acquire(timeout=30) as connection:
                # Who is just connecting anywhere on the server, or reads for long, can keep a dead row.
                for pause in _OVERWRITE_PAUSES:
                    await asyncio.sleep(pause)
                    if not await _overwrite(connection):
                        return
        except REFUSALS as error:
            raise in_words(error, self._place) from None
        log.warning(
            "the server still keeps a forgotten key for somebody who reads; it goes with the next one"
        )

    async def close(self) -> None:
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way)
        with contextlib.suppress(*REFUSALS):
            await self._pool.execute("DELETE FROM cursors WHERE name = ANY($1)", self._spent)


async def _overwrite(connection: asyncpg.Connection) -> int:
    """How many dead rows the server could not leave out yet. It says so in its own language."""
    said: list[str] = []

    def hear(_: object, message: asyncpg.PostgresLogMessage) -> None:
        said.append(message.detail or "")

    connection.add_log_listener(hear)
    try:
        await connection.execute(_OVERWRITE)
    finally:
        connection.remove_log_listener(hear)
    counts = (re.search(r"\d+", detail) for detail in said)
    return max((int(found[0]) for found in counts if found), default=0)


def _ending(mark: str, spent: Sequence[str]) -> str:
    """One message, hence without parameters; marks are ours to the letter."""
    names = ", ".join(f"'{each}'" for each in spent)
    forget = f"DELETE FROM cursors WHERE name IN ({names}); " if spent else ""  # noqa: S608
    return f"{forget}INSERT INTO cursors (name, value) VALUES ('{mark}', {_NOW}); COMMIT"  # noqa: S608


@asynccontextmanager
async def _undone_unless_complete(connection: asyncpg.Connection) -> AsyncIterator[None]:
    complete = False
    try:
        yield
        complete = True
    finally:
        if not complete:
            await _roll_back(connection)


async def _roll_back(connection: asyncpg.Connection) -> None:
    with contextlib.suppress(*REFUSALS):
        await connection.execute("ROLLBACK")


def rows_of(status: str) -> int:
    """``UPDATE 3``, ``INSERT 0 1``."""
    return int(status.rpartition(" ")[2])
