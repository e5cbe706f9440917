"""Where a bot can die: before and after everything it does that outlives it.

These are its commits to the database, its orders at the venue, what the venue writes for itself, and what
Telegram is told. Each passage has a number; at one of them the process kills itself with SIGKILL.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from chatbot.platforms.telegram import messenger as telegram
from chatbot.storage.session import Session
from chatbot.storage.sql import Step
from chatbot.venues.paper.state import Unsaved
from chatbot.venues.paper.statefile import Progress, StateFile
from chatbot.venues.paper.venue import PaperVenue

_TABLE = re.compile(r"(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) (\w+)", re.IGNORECASE)


class Boundaries:
    """``kill_at`` of ``None`` only writes down what is passed."""

    def __init__(self, trace: Path, kill_at: int | str | None, after_tap: str) -> None:
        self._trace = trace
        self._kill_at = kill_at
        self._after_tap = after_tap
        self._counting = not after_tap
        self._count = 0
        trace.unlink(missing_ok=True)

    def draw(self) -> None:
        """Into this process, for good: it is a child that lives for one run."""
        self._around(Session, "write", self._name_write)
        self._around(PaperVenue, "place", lambda _: "orders")
        self._around(telegram.TelegramMessenger, "deliver", lambda _: "message")
        self._around_save()

    def passes(self, where: str) -> None:
        if not self._counting:
            return
        with self._trace.open("a", encoding="utf-8") as trace:
            trace.write(f"{self._count} {where}\n")
        if self._kill_at in {self._count, where}:
            os.kill(os.getpid(), signal.SIGKILL)
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

    def _name_write(self, arguments: Sequence[Any]) -> str:
        steps: Sequence[Step] = arguments[0]
        tables = dict.fromkeys(found[1] for step in steps if (found := _TABLE.search(step.sql)))
        return f"write {' '.join(tables)}"

    def _is_the_tap(self, arguments: Sequence[Any]) -> bool:
        return any(f":{self._after_tap}" in str(step) for step in arguments[0])
