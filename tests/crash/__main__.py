"""``make crash``: kill -9 at every boundary of every deed, singly and doubly, on each database.

Then the database's server is struck at each of them, and upgrades are killed at each statement.

``python -m tests.crash --deed open --kill 'after orders #1' --again-at 'before message #1'`` repeats one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from tests.crash import upgrades
from tests.crash.campaign import Campaign, Tally
from tests.crash.deeds import DEEDS
from tests.crash.grounds import GROUNDS, Ground, found_here
from tests.crash.outages import on_a_server_alone
from tests.dialogs.harness import a_dialog

SERVER = "postgresql"
PARTS = 4  # of each deed, so that no worker is left alone with the longest


@dataclass(frozen=True, slots=True)
class Task:
    database: str
    deed: str
    every: int
    again: int
    turn: int
    outages: bool = False

    @property
    def name(self) -> str:
        return f"{self.database}, {self.deed}: {'the server struck' if self.outages else 'killed'}"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Battlefield:
    """``grounds`` by name; ``folder`` is for the files of all runs."""

    folder: Path
    grounds: dict[str, Ground]

    def run(self, task: Task) -> Tally:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, self.campaign(task, Path(folder)) as it:
            return it.run()

    def replay(self, task: Task, first: str, second: str | None) -> Tally:
        with self.campaign(task, self.folder) as it:
            return it.replay(first, second)

    @contextmanager
    def campaign(self, task: Task, folder: Path) -> Iterator[Campaign]:
        deed, ground = DEEDS[task.deed], self.grounds[task.database]
        if task.outages:
            with on_a_server_alone(deed, folder, every=task.every, turn=task.turn) as campaign:
                yield campaign
        else:
            yield Campaign(deed, ground, folder, every=task.every, again=task.again, turn=task.turn)


@contextmanager
def battlefield(databases: Sequence[str]) -> Iterator[Battlefield]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-")))
        grounds = {name: stack.enter_context(GROUNDS[name](folder)) for name in databases}
        yield Battlefield(folder, grounds)


async def import_everything() -> None:
    """Before the first fork, so that no child spends its time on it."""
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.05 10x isolated sl 96000")
        await dialog.does("/hedge BTC")
        await dialog.does("/adjust #1 both +20%")
        await dialog.does("/margin #1 short 60")
        await dialog.does("/close #1 at 104000", button="At 104,000.0")
        await dialog.does("/close", button="Offset first")


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    asyncio.run(import_everything())
    logging.getLogger().handlers.clear()
    gc.collect()
    gc.freeze()  # what is never touched again is never copied
    with battlefield(asked.database) as field:
        if asked.serve:
            return serve(field, sys.stdin, sys.stdout)
        if asked.kill is not None:
            return replay(field, asked, sys.stdout)
        only = [part for name, part in PARTS_OF_IT.items() if getattr(asked, name, False)]
        verdicts = [part(field, asked, sys.stdout) for part in only or PARTS_OF_IT.values()]
        return int(any(verdicts))


def replay(field: Battlefield, asked: argparse.Namespace, out: TextIO) -> int:
    database = SERVER if asked.outages else asked.database[0]
    task = Task(database, asked.deed[0], 1, 0, 0, asked.outages)
    return report({database: field.replay(task, asked.kill, asked.again_at)}, asked, out)


def kills(field: Battlefield, asked: argparse.Namespace, out: TextIO) -> int:
    return report(
        conduct(field, [Task(*each) for each in _shares(asked, asked.database)], asked, out), asked, out
    )


def outages(field: Battlefield, asked: argparse.Namespace, out: TextIO) -> int:
    """Of the database server."""
    if SERVER not in asked.database:
        return 0
    tasks = [Task(*each, outages=True) for each in _shares(asked, [SERVER])]
    return report(conduct(field, tasks, asked, out), asked, out)


def killed_upgrades(field: Battlefield, asked: argparse.Namespace, out: TextIO) -> int:
    homes = [upgrades.home_of(ground) for ground in field.grounds.values()]
    return upgrades.conduct(homes, field.folder, out, asked.revision, asked.every)


PARTS_OF_IT: dict[str, Callable[[Battlefield, argparse.Namespace, TextIO], int]] = {
    "kills": kills,
    "outages": outages,
    "upgrades": killed_upgrades,
}


def _shares(asked: argparse.Namespace, databases: Sequence[str]) -> Iterator[tuple[str, str, int, int, int]]:
    for database, deed, part in itertools.product(databases, asked.deed, range(PARTS)):
        yield database, deed, asked.every * PARTS, asked.again, asked.every * part


def conduct(
    field: Battlefield, tasks: Sequence[Task], asked: argparse.Namespace, out: TextIO
) -> dict[str, Tally]:
    tallies = {task.database: Tally() for task in tasks}
    began = time.monotonic()
    # Made before anything else runs here: who forks must be alone in its process.
    with multiprocessing.get_context("fork").Pool(asked.workers) as pool:
        for task, tally in pool.imap_unordered(_Conduct(field), tasks, chunksize=1):
            tallies[task.database].add(tally)
            out.write(f"{task.name} {tally.single} + {tally.double}\n")
            out.flush()
    for tally in tallies.values():
        tally.seconds = time.monotonic() - began
    return tallies


@dataclass(frozen=True, slots=True)
class _Conduct:
    field: Battlefield

    def __call__(self, task: Task) -> tuple[Task, Tally]:
        return task, self.field.run(task)


def serve(field: Battlefield, orders: TextIO, answers: TextIO) -> int:
    """A task a line as JSON, a tally a line."""
    for line in orders:
        tally = asdict(field.run(Task(**json.loads(line))))
        answers.write(json.dumps(tally, default=sorted) + "\n")
        answers.flush()
    return 0


def report(tallies: dict[str, Tally], asked: argparse.Namespace, out: TextIO) -> int:
    out.write(
        f"{'database':<12}{'boundaries':>11}{'reached':>9}{'single':>8}{'double':>8}{'violations':>12}\n"
    )
    for database, tally in tallies.items():
        out.write(
            f"{database:<12}{len(tally.known):>11}{len(tally.reached & tally.known):>9}"
            f"{tally.single:>8}{tally.double:>8}{len(tally.violations):>12}\n"
        )
    lives, seconds = sum(t.lives for t in tallies.values()), max(t.seconds for t in tallies.values())
    out.write(f"{lives} processes in {seconds:.0f} s\n")
    for database, tally in tallies.items():
        missed = sorted(tally.known - tally.reached) if asked.every == 1 else []
        out.writelines(f"not reached on {database}: {boundary}\n" for boundary in missed)
    violations = [violation for tally in tallies.values() for violation in tally.violations]
    out.writelines(f"violation: {violation}\n" for violation in violations)
    return 1 if violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--database", nargs="+", choices=GROUNDS, default=found_here())
    parser.add_argument("--deed", nargs="+", choices=DEEDS, default=list(DEEDS), metavar="DEED")
    parser.add_argument("--every", type=int, default=1, help="kill at every how many-th boundary")
    parser.add_argument("--again", type=int, default=24, help="and at every how many-th of the recovery")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kill", help="only at this boundary")
    parser.add_argument("--again-at", help="then at this one of the recovery")
    parser.add_argument("--upgrades", action="store_true", help="only the upgrades that are killed half-way")
    parser.add_argument("--kills", action="store_true", help="only the processes that are killed")
    parser.add_argument("--outages", action="store_true", help="only the database server that is struck")
    parser.add_argument("--revision", nargs="+", choices=upgrades.EARLIER, default=upgrades.EARLIER)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
