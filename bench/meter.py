"""Inside a measured process: answers how much processor time and memory it has used."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from pathlib import Path

WATCHED = ("ccxt", "httpx", "sqlalchemy", "alembic", "PIL", "prompt_toolkit", "pydantic")
STATM = Path("/proc/self/statm")


def answer_questions() -> None:
    """A line on standard input is a question, one on standard output its answer; the end of input ends us."""
    threading.Thread(target=_answer, name="meter", daemon=True).start()


def _answer() -> None:
    for _ in sys.stdin:
        print(json.dumps(reading()), flush=True)
    os._exit(0)  # whoever measured is gone


def reading() -> dict[str, object]:
    """``cpu`` in seconds of all threads, ``rss`` and ``peak`` in bytes, ``loaded`` of the watched modules."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "rss": _resident() or peak,
        "peak": peak,
        "loaded": [name for name in WATCHED if name in sys.modules],
    }


def _resident() -> int:
    """0 where the system does not tell."""
    if not STATM.exists():
        return 0
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
