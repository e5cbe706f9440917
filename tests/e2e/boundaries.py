"""Where a bot can die: before and after everything it does that outlives it.

These are its commits to the database (and a moment within each), its orders and other requests to the venue,
what the venue writes for itself, and what a messenger is told. Each passage has a number; at one of them the
process kills itself with SIGKILL.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chatbot.platforms.telegram import messenger as telegram
from chatbot.storage import writer
from chatbot.storage.postgres.writer import PoolWriter
from chatbot.storage.session import Session
from chatbot.storage.sql import Step
from chatbot.venues.paper.state import Unsaved
from chatbot.venues.paper.statefile import Progress, StateFile
from chatbot.venues.paper.venue import PaperVenue

_TABLE = re.compile(r"(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) (\w+)", re.IGNORECASE)
_REQUESTS = {"place": "orders", "cancel": "cancel", "add_margin": "margin", "set_leg": "leg setting"}
Note = Callable[[], str]


def _called(name: str, _: Sequence[Any]) -> str:
    return name


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Boundaries:
    """``kill_at``: a number from 0, a name, or a name and how often it was passed (``after orders #2``);
    ``None`` only writes down what is passed.

    ``after_tap``: counting begins with a tap of this choice. ``note``: to be written with each passage.
    ``strikes``: what is done there in place of dying.
    """

    def __init__(
        self,
        trace: Path,
        kill_at: int | str | None,
        after_tap: str = "",
        *,
        note: Note = str,
        strikes: Callable[[], None] = dies,
    ) -> None:
        self._kill_at = kill_at
        self._after_tap = after_tap
        self._note = note
        self._strikes = strikes
        self._counting = not after_tap
        self._count = 0
        self._times = Counter[str]()
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def draw(self, messenger: type = telegram.TelegramMessenger) -> None:
        """Into this process, for good: it is a child that lives for one run."""
        self._around(Session, "write", self._name_write)
        for request, name in _REQUESTS.items():
            self._around(PaperVenue, request, partial(_called, name))
        self._around(messenger, "deliver", lambda _: "message")
        self._around_save()
        self._within_commits()

    def counts(self, on: bool) -> None:
        self._counting = on

    def passes(self, where: str) -> None:
        if not self._counting:
            return
        self._times[where] += 1
        nth = f"{where} #{self._times[where]}"
        os.write(self._trace, f"{self._count} {self._note()}{nth}\n".encode())
        if self._kill_at in {self._count, where, nth}:
            self._strikes()
        self._count += 1

    def _around(self, owner: type, name: str, named: Callable[[Sequence[Any]], str]) -> None:
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def guarded(it: object, *arguments: Any, **more: Any) -> Any:
            what = named(arguments)
            self._counting |= what.startswith("write inbox") and self._is_the_tap(arguments)
            self.passes(f"before {what}")
            result = await original(it, *arguments, **more)
            self.passes(f"after {what}")
            return result

        setattr(owner, name, guarded)

    def _around_save(self) -> None:
        original = StateFile.save

        def guarded(it: StateFile, progress: Progress, unsaved: Unsaved) -> None:
            if not unsaved:  # only the time of day
                original(it, progress, unsaved)
                return
            self.passes("before the venue's own write")
            original(it, progress, unsaved)
            self.passes("after the venue's own write")

        setattr(StateFile, "save", guarded)  # noqa: B010 (an assignment is what mypy forbids)

    def _within_commits(self) -> None:
        for owner in (writer, PoolWriter):
            self._after_the_statements(owner)

    def _after_the_statements(self, owner: object) -> None:
        original: Callable[..., Awaitable[None]] = getattr(owner, "_apply")  # noqa: B009 (likewise)

        async def guarded(*arguments: Any) -> None:
            await original(*arguments)
            self.passes("between the last statement and its commit")

        setattr(owner, "_apply", guarded)  # noqa: B010 (likewise)

    def _name_write(self, arguments: Sequence[Any]) -> str:
        steps: Sequence[Step] = arguments[0]
        tables = dict.fromkeys(found[1] for step in steps if (found := _TABLE.search(step.sql)))
        return f"write {' '.join(tables)}"

    def _is_the_tap(self, arguments: Sequence[Any]) -> bool:
        return bool(self._after_tap) and any(f":{self._after_tap}" in str(step) for step in arguments[0])
