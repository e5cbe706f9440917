"""The database server ends at every boundary of a deed, without having written what it had in memory.

The bot lives on: it finds its connections dead, then nobody who answers, then a server that has recovered.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.crash.campaign import Campaign, Run, Tally
from tests.crash.deeds import Deed, Step
from tests.crash.grounds import PostgresGround
from tests.crash.world import Life, passages
from tests.postgres.server import Server, a_server_alone

PATIENCE = 30.0  # real seconds for a server to recover
STARTED_BY_NOW = 2.0
AGAIN = 0.05
AWAY = (0.0, 3.0)  # seconds, in turn: for so long nobody even tries to bring it back


class Outages(Campaign):
    """``server``: of this campaign alone, durable."""

    def __init__(self, deed: Deed, server: Server, folder: Path, *, every: int = 1, turn: int = 0) -> None:
        super().__init__(deed, PostgresGround(server), folder, every=every, turn=turn)
        self._server = server
        self._away = itertools.cycle(AWAY)

    def replay(self, first: str, second: str | None = None) -> Tally:
        base = self._prepared()
        for _ in AWAY:
            self._struck(base, first)
        return self._tally

    def _everywhere(self, base: Run) -> None:
        for name in sorted(self._undisturbed(base))[self._turn % self._every :: self._every]:
            self._struck(base, name)

    def _struck(self, base: Run, name: str) -> None:
        run = self._lives(base, name, counts_from=len(self._deed.before))
        self._wait_for_the_server()
        if any(passage.name == name for passage in passages(run.folder)):
            self._tally.single += 1
            self._tally.reached.add(f"{self._deed.name}: {name}")
        # What was delivered may have been marked as such in a commit that did not happen.
        self._judge(replace(run, kills=1), f"--outages --kill '{name}'")
        self._remove(run)

    def _wait_for_the_server(self) -> None:
        """A process that came to its end before the server was away for long enough has not started it."""
        began = time.monotonic()
        while not self._server.is_back():
            away = time.monotonic() - began
            assert away < PATIENCE, "the server does not come back"
            if away > STARTED_BY_NOW:
                with suppress(AssertionError):  # it is being started already
                    self._server.start()
            time.sleep(AGAIN)

    def _life(self, run: Run, kill_at: str | None, counts_from: int, script: Sequence[Step]) -> Life:
        life = super()._life(run, kill_at, counts_from, script)
        return replace(life, server=self._server, away=next(self._away) if kill_at else 0.0)

    def _logged(self, log: str) -> Iterator[str]:
        """That the database is away must be logged."""
        yield from ()


@contextmanager
def on_a_server_alone(deed: Deed, folder: Path, *, every: int = 1, turn: int = 0) -> Iterator[Outages]:
    with a_server_alone(durable=True) as server:
        yield Outages(deed, server, folder, every=every, turn=turn)
