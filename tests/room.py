"""Where the files of a test run lie: in memory, where there is enough of it, else where temporary files do.

A test kills processes, never the machine, so that nothing it proves depends on a disk, and to wait for one to
have written is most of what a test with a database would do.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH = 2 << 30  # bytes; a run takes a fifth of it
_PREFIX = "hedgerow-tests-"
_OWNER = "owner"


def enter(leaving: Callable[[Path], None]) -> Path | None:
    """In the first process of the run, whose children follow. ``leaving``: ends what may run in a folder.

    ``None``: nothing was changed, as somebody has named a place, or there is none.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return None
    for folder in left_behind(_MEMORY, _PREFIX):
        leaving(folder)
        shutil.rmtree(folder, ignore_errors=True)
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ENOUGH:
        return None
    room = new_folder(_PREFIX, _MEMORY)
    _use(str(room))
    return room


def leave(room: Path | None, *, keep: bool = False) -> None:
    """``keep``: until the next run, for who looks into what failed."""
    if room is not None:
        _use(None)
        if not keep:
            shutil.rmtree(room, ignore_errors=True)


def _use(folder: str | None) -> None:
    if folder is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # it is found out again


def new_folder(prefix: str, within: Path | None = None) -> Path:
    """It bears the mark of this process; others may look into it."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
    folder.chmod(0o755)
    (folder / _OWNER).write_text(str(os.getpid()))
    return folder


def left_behind(within: Path, prefix: str) -> list[Path]:
    """By runs that were killed, or failed."""
    return [folder for folder in within.glob(f"{prefix}*") if _has_no_owner(folder)]


def _has_no_owner(folder: Path) -> bool:
    try:
        os.kill(int((folder / _OWNER).read_text()), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):  # another user's, or not yet written
        return False
    return False
