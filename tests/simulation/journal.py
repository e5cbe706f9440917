"""The real store over SQLite in memory, begun from a prepared state and taken back to it after each run.

One transaction around the whole run, the program's own transactions savepoints inside: what a run wrote is
undone at once, and no statement has to be compiled again. To whoever writes, a savepoint is a transaction.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from chatbot.ports import Alone, Changes
from chatbot.storage.admission import SqlInvites, SqlTickets
from chatbot.storage.census import SqlCensus
from chatbot.storage.connection import connect
from chatbot.storage.copies import SqlCopies
from chatbot.storage.mailbox import SqlMailbox
from chatbot.storage.schema import create_in
from chatbot.storage.session import Session, SqliteReader
from chatbot.storage.sql import Params, Row
from chatbot.storage.store import SqlStore
from chatbot.storage.writer import GroupWriter
from tests.properties.mortal import Killed
from tests.simulation.fate import Fate, Life
from tests.simulation.loop import others
from tests.simulation.weather import Extra

NOTHING: Params = {}
SOMEWHERE = Path("simulated")


class Disk:
    """What outlives the process."""

    def __init__(self) -> None:
        self.raw: sqlite3.Connection = connect(None)
        create_in(self.raw)
        self.open = False  # a transaction of the program
        self.raw.execute("BEGIN")

    def keep(self) -> None:
        """From now on every run begins here."""
        self.raw.execute("COMMIT")
        self.raw.execute("BEGIN")

    def rewind(self) -> None:
        self.raw.execute("ROLLBACK")
        self.raw.execute("BEGIN")
        self.open = False

    def recover(self) -> None:
        """What SQLite does when a database is opened that somebody left in the middle of a transaction."""
        if self.open:
            self.undo()

    def begin(self) -> None:
        self.raw.execute("SAVEPOINT written")
        self.open = True

    def commit(self) -> None:
        self.raw.execute("RELEASE written")
        self.open = False

    def undo(self) -> None:
        self.raw.execute("ROLLBACK TO written")
        self.commit()

    def has(self, changes: Changes) -> bool:
        """Of a transaction whose end nobody waited for: whether it was written."""
        for operation in changes.operations:
            found = self.one("SELECT version FROM operations WHERE id = ?", operation.id)
            return found is not None and found[0] > operation.version
        for message in changes.outbox:
            return self.one("SELECT 1 FROM outbox WHERE dedupe_key = ?", message.dedupe_key) is not None
        return False

    def rows(self, text: str, *given: Any) -> list[Any]:
        return self.raw.execute(text, given).fetchall()

    def one(self, text: str, *given: Any) -> Any:
        return self.raw.execute(text, given).fetchone()


class Wire:
    """The connection of one life: each statement that reads, each begin and each commit may be its last.

    ``turns``: how often others run before an answer comes; ``slow``: seconds that a commit may take.
    """

    def __init__(
        self,
        disk: Disk,
        fate: Fate,
        life: Life,
        rng: Random,
        *,
        hit: Callable[[Extra], None],
        turns: int = 0,
        slow: tuple[float, ...] = (),
    ) -> None:
        self._disk = disk
        self._fate = fate
        self._life = life
        self._rng = rng
        self._turns = turns
        self.slow = slow
        self._hit = hit
        self._execute = disk.raw.execute

    @property
    def in_transaction(self) -> bool:
        return self._disk.open

    async def execute(self, sql: str, parameters: Params = NOTHING, /) -> Any:
        if self._life.dead:
            raise Killed
        if sql == "BEGIN IMMEDIATE":
            await self._begin()
        elif sql == "COMMIT":
            self._disk.commit()
            await self._step("written")
        elif sql == "ROLLBACK":
            self._disk.recover()
        else:
            return self._execute(sql, parameters)
        return None

    async def _begin(self) -> None:
        if self.slow and (seconds := self._rng.choice(self.slow)):
            self._hit(Extra.SLOW_DISK)
            await asyncio.sleep(seconds)
        await self._step("write")
        self._disk.begin()

    async def executemany(self, sql: str, parameters: Sequence[Params], /) -> Any:
        if self._life.dead:
            raise Killed
        return self._disk.raw.executemany(sql, parameters)

    async def execute_fetchall(self, sql: str, parameters: Params, /) -> list[Row]:
        self._fate.step(self._life, "read")
        if self._turns:
            await self._answer()
        return self._execute(sql, parameters).fetchall()

    async def _step(self, label: str) -> None:
        self._fate.step(self._life, label)
        await self._answer()

    async def _answer(self) -> None:
        for _ in range(self._turns):
            await others()
            if self._life.dead:
                raise Killed


class WitnessedStore(SqlStore):
    """``saw`` is told what was committed, also if whoever committed it dies before the answer."""

    def __init__(self, session: Session, disk: Disk, saw: Callable[[Changes], None]) -> None:
        super().__init__(session, Alone())
        self._disk = disk
        self._saw = saw

    async def commit(self, changes: Changes) -> None:
        try:
            await super().commit(changes)
        except (Killed, GeneratorExit):
            if self._disk.has(changes):
                self._saw(changes)
            raise
        self._saw(changes)


class Books:
    """What ``chatbot.app`` needs of a database."""

    def __init__(self, wire: Wire, disk: Disk, saw: Callable[[Changes], None]) -> None:
        session = Session(SqliteReader(wire, SOMEWHERE), GroupWriter(wire, SOMEWHERE))
        self.store = WitnessedStore(session, disk, saw)
        self.mailbox = SqlMailbox(session, Alone())
        self.tickets = SqlTickets(session)
        self.invites = SqlInvites(session)
        self.census = SqlCensus(session)
        self.copies = SqlCopies(session)

    def vault(self, keys: object) -> KeylessVault:
        return KeylessVault()


class KeylessVault:
    """Nothing here is secret: the model exchange takes any key."""

    async def settle_master_key(self) -> None: ...

    async def open(self, account: object) -> None:
        """The model looks at no key."""
