"""Kills at every boundary of a deed, singly, and again at the boundaries of the recovery."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import sqlite3
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.crash.deeds import Deed, Do, Step
from tests.crash.grounds import Ground
from tests.crash.phone import Phone
from tests.crash.world import LOG, RESTED, TAKEN, Life, Passage, born, passages
from tests.e2e.books import Books

DOWN = 3.0  # seconds between a death and the next start
TRIES = 6
KILLED = -signal.SIGKILL


@dataclass
class Tally:
    """``known``: the boundaries that were passed once processes were killed before; ``reached``: those at
    which one died. Each is named after its deed.
    """

    known: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)
    single: int = 0
    double: int = 0
    lives: int = 0
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        self.known |= other.known
        self.reached |= other.reached
        self.single += other.single
        self.double += other.double
        self.lives += other.lives
        self.violations += other.violations
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True)
class Run:
    """Files that processes have lived on; ``kills`` of them were killed, the last one at ``died_at``."""

    folder: Path
    lives: int = 0
    at: float = 0.0
    kills: int = 0
    died_at: str = ""


class Campaign:
    """``every``: at every how many-th boundary of a deed one dies; ``again``: likewise of its recovery.

    Which ones takes turns. 0: nowhere.
    """

    def __init__(
        self, deed: Deed, ground: Ground, folder: Path, *, every: int = 1, again: int = 0, turn: int = 0
    ) -> None:
        self._deed = deed
        self._ground = ground
        self._folder = folder
        self._every = every
        self._again = again
        self._turn = turn
        self._numbers = itertools.count(1)
        self._script = (*deed.before, *deed.steps)
        self._tally = Tally()

    def run(self) -> Tally:
        began = time.monotonic()
        base = self._prepared()
        self._everywhere(base)
        self._tally.seconds = time.monotonic() - began
        return self._tally

    def replay(self, first: str, second: str | None) -> Tally:
        """One kill, or two."""
        run = self._lives(self._prepared(), first, counts_from=len(self._deed.before))
        if second is not None:
            run = self._lives(run, second)
        self._recover(run, f"--kill '{first}'")
        return self._tally

    def _everywhere(self, base: Run) -> None:
        seen: set[str] = set()
        for name in sorted(self._undisturbed(base))[self._turn % self._every :: self._every]:
            state = self._killed(base, name, counts_from=len(self._deed.before))
            if state is None:
                continue
            self._tally.single += 1
            self._tally.reached.add(f"{self._deed.name}: {name}")
            how = f"--kill '{name}'"
            ways = self._recover(state, how)
            # What lies on the disk is all that the next process knows.
            digest = self._digest(state)
            if self._again and digest not in seen:
                self._kill_again(state, ways[(self._turn + len(seen)) % self._again :: self._again], how)
            seen.add(digest)
            self._remove(state)

    def _kill_again(self, state: Run, names: Sequence[str], how: str) -> None:
        before = ""
        for name in names:
            run = self._killed(state, name)
            if run is None:
                continue
            self._tally.double += 1
            digest = self._digest(run)
            if digest != before:
                self._recover(run, f"{how} --again-at '{name}'")
            before = digest
            self._remove(run)

    # --- lives ----------------------------------------------------------------------------------

    def _prepared(self) -> Run:
        run = self._begun(None)
        assert in_a_process(self._life(run, None, 0, self._deed.before)) == RESTED, log_of(run)
        return self._after(run, killed=False)

    def _undisturbed(self, base: Run) -> list[str]:
        """The boundaries."""
        run = self._lives(base, None, counts_from=len(self._deed.before))
        self._judge(run, "--kill ''")
        names = [passage.name for passage in passages(run.folder)]
        self._tally.known |= {f"{self._deed.name}: {name}" for name in names}
        self._remove(run)
        return names

    def _killed(self, base: Run, kill_at: str, *, counts_from: int = 0) -> Run | None:
        """Threads take turns as they like, so that a boundary may be passed another time, or not at all."""
        for _ in range(TRIES):
            run = self._lives(base, kill_at, counts_from=counts_from)
            if run.died_at:
                return run
            self._judge(run, f"--kill '{kill_at}'")
            self._remove(run)
        return None

    def _recover(self, state: Run, how: str) -> list[str]:
        """The boundaries that were passed on the way."""
        run = self._lives(state, None)
        self._judge(run, how)
        names = [passage.name for passage in passages(run.folder)]
        self._remove(run)
        return names

    def _lives(self, base: Run, kill_at: str | None, *, counts_from: int = 0) -> Run:
        """Another process, on a copy of the files."""
        run = self._begun(base)
        code = in_a_process(self._life(run, kill_at, counts_from, self._script))
        self._tally.lives += 1
        if code not in (RESTED, KILLED):
            self._complain(f"--kill '{kill_at}'", f"ended with {code}:\n{log_of(run)[-3000:]}")
        return self._after(run, killed=code == KILLED)

    def _begun(self, base: Run | None) -> Run:
        folder = (
            self._folder / f"{self._ground.name}-{self._deed.name.replace(' ', '-')}-{next(self._numbers)}"
        )
        if base is None:
            self._ground.make(folder)
            return Run(folder)
        self._ground.copy(base.folder, folder)
        return replace(base, folder=folder, died_at="")

    def _after(self, run: Run, *, killed: bool) -> Run:
        last = [Passage(run.at, ""), *passages(run.folder)][-1]
        died_at = last.name if killed else ""
        return replace(
            run,
            lives=run.lives + 1,
            at=max(run.at, last.at) + DOWN,
            kills=run.kills + killed,
            died_at=died_at,
        )

    def _life(self, run: Run, kill_at: str | None, counts_from: int, script: Sequence[Step]) -> Life:
        settings = settings_of(self._ground, run.folder, self._folder)
        return Life(run.folder, settings, script, run.lives, run.at, kill_at, counts_from)

    # --- the verdict ----------------------------------------------------------------------------

    def _judge(self, run: Run, how: str) -> None:
        with self._ground.ledger(run.folder) as ledger:
            for complaint in self._complaints(run, Books(run.folder, ledger)):
                self._complain(how, complaint)

    def _complaints(self, run: Run, books: Books) -> Iterator[str]:
        phone = Phone(run.folder)
        yield from books.complaints()
        yield from (left for left in books.unfinished() if "owed" in left)
        held = {side: quantity for (_, _, side), quantity in books.venue_legs().items()}
        if held not in self._deed.ends:
            yield f"this is held: {held}"
        if not any(phone.shows(words) for words in self._deed.over):
            yield f"no card says {' or '.join(self._deed.over)}:\n{phone.transcript(2)}"
        yield from self._not_once(run, books, phone)
        yield from self._logged(log_of(run))

    def _logged(self, log: str) -> Iterator[str]:
        if "Traceback" in log or '"ERROR"' in log:
            yield f"it logged:\n{log[-2000:]}"

    def _not_once(self, run: Run, books: Books, phone: Phone) -> Iterator[str]:
        """A tap is one operation, an update one row, a message delivered once but for what a kill cut off."""
        if self._deed.kind:
            kinds = [kind for (kind,) in books.ledger("SELECT kind FROM operations ORDER BY started_at")]
            asked = sum(step.do is Do.TAP for step in self._script)
            if len(kinds) != asked or kinds[-1] != self._deed.kind:
                yield f"{asked} taps became these operations: {kinds}"
        updates = sum(step.do in (Do.SAY, Do.TAP) for step in self._script)
        ((stored,),) = books.ledger("SELECT count(*) FROM inbox WHERE handled = 1")
        taken = int((run.folder / TAKEN).read_text())
        if stored != updates or taken != len(self._script):
            yield f"{updates} updates were sent, {stored} are stored and handled, {taken} steps confirmed"
        ((told,),) = books.ledger("SELECT count(*) FROM outbox WHERE state = 'delivered'")
        if not told <= phone.deliveries <= told + run.kills:
            yield f"{told} messages are marked as delivered, the phone got {phone.deliveries}"

    def _complain(self, how: str, what: str) -> None:
        replay = f"python -m tests.crash --database {self._ground.name} --deed '{self._deed.name}' {how}"
        self._tally.violations.append(f"{what}\n    again: {replay}")

    def _digest(self, run: Run) -> str:
        """Of all that the next process will find."""
        digest = hashlib.sha256((run.folder / TAKEN).read_bytes())
        digest.update(Phone(run.folder).transcript().encode())
        with self._ground.ledger(run.folder) as ledger:
            digest.update(content_of(ledger))
        with closing(sqlite3.connect(run.folder / "hedgerow-paper.db")) as venue:
            digest.update(content_of(venue))
        return digest.hexdigest()

    def _remove(self, run: Run) -> None:
        self._ground.remove(run.folder)


def settings_of(ground: Ground, folder: Path, keys: Path) -> dict[str, str]:
    """And a generous offer: time passes while nobody is there."""
    return {
        "HEDGEROW_DATABASE_URL": ground.url(folder),
        "HEDGEROW_PAPER__STATE_FILE": str(folder / "hedgerow-paper.db"),
        "HEDGEROW_MASTER_KEY_FILE": str(keys / "master.key"),
        "HEDGEROW_ALLOWED_USERS": "telegram:7",
        "HEDGEROW_QUOTE__LIFETIME_SECONDS": "3600",
        "HEDGEROW_QUOTE__BAND": "0.5",
    }


def log_of(run: Run) -> str:
    return (run.folder / LOG).read_text()


OF_NO_MATTER = ("market", "cursors")  # the time of day, and marks that are random


def content_of(connection: sqlite3.Connection) -> bytes:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).fetchall()
    rows = ((name, connection.execute(f"SELECT * FROM {name}").fetchall()) for (name,) in tables)  # noqa: S608
    return repr([(name, content) for name, content in rows if name not in OF_NO_MATTER]).encode()


def in_a_process(life: Life) -> int:
    """The exit code, or minus the signal. This process must have one thread only."""
    pid = os.fork()
    if pid == 0:
        try:
            born(life)
        except BaseException:  # noqa: BLE001 (nothing of the parent's may run on here)
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
