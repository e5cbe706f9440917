"""One process at a time owns a database file.

Two processes would both recover what is in flight and both send orders. The lock is the kernel's: it is
gone with the process, however that ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from chatbot.errors import InUse, StorageError


class Ownership:
    """Held from ``take`` to ``release``; the lock file stays behind, since removing it would open a race."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, database: Path) -> Ownership:
        descriptor = _open(lock_path(database), database)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _read_owner(descriptor)
            os.close(descriptor)
            raise _refusal(error, database, owner) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_path(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _open(lock: Path, database: Path) -> int:
    try:
        return os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise StorageError(f"the folder of the database {database} does not exist; create it first") from None
    except OSError as error:
        raise StorageError(
            f"the folder of the database {database} cannot be written: {error.strerror}; choose another"
        ) from None


def _read_owner(descriptor: int) -> str:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return f" (process {text})" if text.isdigit() else ""


def _refusal(error: OSError, database: Path, owner: str) -> StorageError:
    if error.errno not in (errno.EAGAIN, errno.EACCES):
        return StorageError(f"the database {database} cannot be locked: {error.strerror}; name another place")
    return InUse(
        f"the database {database} is in use by another Hedgerow{owner}; "
        "stop that one first, or set HEDGEROW_DATABASE_URL to another file"
    )
