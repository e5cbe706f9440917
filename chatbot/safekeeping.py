"""``hedgerow backup`` and ``hedgerow restore``: what they are given and what they print."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TextIO

from chatbot.clock import SystemClock
from chatbot.settings import Settings
from chatbot.storage.backup import Contents
from chatbot.storage.backup import back_up as back_up_database
from chatbot.storage.backup import restore as restore_database

ENDING = ".backup"
KEYS_APART = (
    "Exchange keys in it stay encrypted by the master key, which is not in it: keep a copy of that one, too, "
    "elsewhere. Without it no key opens; with both anybody can open them."
)
NOW_RECONCILE = (
    "The next hedgerow run starts in reconcile-only: on no account is an order sent before its ledger "
    "equals the exchange, or its owner took over what the exchange says with /adopt. Be sure that the old "
    "bot is off."
)


def back_up(settings: Settings, out: TextIO, file: Path | None) -> int:
    """Works while the bot runs, too."""
    now = SystemClock().now()
    target = _target(file, now)
    found = asyncio.run(back_up_database(settings.database_url, target, now))
    print(f"{target}: {_size(found.size)}, as of {_instant(found.copied_at)}", file=out)
    _print_contents(found, out)
    print(f"It is whole: every page, every reference.\n{KEYS_APART}", file=out)
    return 0


def _target(file: Path | None, now: datetime) -> Path:
    if file is None or _is_folder(file):
        return (file or Path()) / f"hedgerow-{now:%Y%m%dT%H%M%SZ}{ENDING}"
    return file


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # which the writing will tell better
        return False


def restore(settings: Settings, out: TextIO, file: Path) -> int:
    found = asyncio.run(restore_database(settings.database_url, file))
    print(f"Restored from {file}, a copy of {_instant(found.copied_at)}", file=out)
    _print_contents(found, out)
    print(NOW_RECONCILE, file=out)
    return 0


def _print_contents(found: Contents, out: TextIO) -> None:
    lines = {
        "users": str(found.rows["users"]),
        "accounts": f"{found.rows['accounts']}, {found.rows.get('credentials', 0)} with a key",
        "hedges": f"{found.rows['hedges']}, {found.live_hedges} of them open",
        "fills": str(found.rows["fills"]),
        "schema": found.revision,
    }
    for name, text in lines.items():
        print(f"  {name:<9}{text}", file=out)


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _size(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 1_000_000 else f"{size / 1_000:.0f} kB"
