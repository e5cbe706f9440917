"""The key that locks all others: where it comes from, and how it is exchanged without a moment of doubt.

A file belongs to its owner alone (mode 0600). A new key lies beside it as ``NAME.new`` until every row is
wrapped with it; then it takes the old one's place in one step. Whichever of the two a crash leaves behind,
the rows say which is theirs.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from chatbot.errors import SettingsError

KEY_BYTES = 32
FILE_NAME = "hedgerow-master-key"  # in the service manager's folder of credentials


@dataclass(frozen=True, slots=True, repr=False)
class MasterKey:
    material: bytes

    @property
    def id(self) -> str:
        """Tells keys apart and tells nothing else."""
        return sha256(b"hedgerow master key\0" + self.material).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"

    @classmethod
    def new(cls) -> MasterKey:
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def read(cls, text: str, source: str) -> MasterKey:
        """Base64 of 32 bytes. :raises SettingsError: without repeating the text"""
        try:
            material = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            material = b""
        if len(material) != KEY_BYTES:
            raise SettingsError(
                f"{source}: is no master key: 32 random bytes in base64. "
                "Make one with: openssl rand -base64 32"
            )
        return cls(material)

    @property
    def text(self) -> str:
        return base64.b64encode(self.material).decode()


class MasterKeys(Protocol):
    @property
    def source(self) -> str:
        """Where the key is, in words."""
        ...

    def current(self) -> MasterKey:
        """What new rows are wrapped with. :raises SettingsError:"""
        ...

    def of(self, key_id: str) -> MasterKey | None: ...


class GivenKey:
    """A key that somebody else keeps: the service manager, or a test."""

    def __init__(self, key: MasterKey, source: str) -> None:
        self._key = key
        self.source = source

    def current(self) -> MasterKey:
        return self._key

    def of(self, key_id: str) -> MasterKey | None:
        return self._key if self._key.id == key_id else None


class KeyFile:
    """Made on first need. ``of`` also knows the key that is about to take over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._current: MasterKey | None = _read(path) if path.exists() else None

    @property
    def source(self) -> str:
        return f"the file {self.path}"

    @property
    def successor_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.new")

    def current(self) -> MasterKey:
        if self._current is None:
            self._current = self._made() or _read(self.path)
        return self._current

    def _made(self) -> MasterKey | None:
        """``None``: another process made one in the same moment."""
        key = MasterKey.new()
        try:
            _write(self.path, key)
        except KeyThere:
            return None
        return key

    def of(self, key_id: str) -> MasterKey | None:
        return next((key for key in self._known() if key.id == key_id), None)

    def prepare_successor(self) -> MasterKey:
        successor = MasterKey.new()
        _write(self.successor_path, successor)
        return successor

    def promote_successor(self) -> None:
        """All rows are wrapped with it: it takes the old key's place, which is gone with that."""
        self._current = _read(self.successor_path)
        self.successor_path.replace(self.path)
        _sync_folder(self.path)

    def settle(self, in_use: Collection[str]) -> None:
        """After a crash between two keys. ``in_use``: ids of the keys that rows are wrapped with."""
        if not self.successor_path.exists():
            return
        if _read(self.successor_path).id not in in_use:
            self.successor_path.unlink()
            return
        self.promote_successor()

    def _known(self) -> list[MasterKey]:
        paths = [path for path in (self.path, self.successor_path) if path.exists()]
        return [_read(path) for path in paths]


class KeyThere(SettingsError):
    """A key is never written over another."""


def system_key(folder: Path) -> GivenKey | None:
    """Of the service manager's credentials (``LoadCredential=hedgerow-master-key:PATH``)."""
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    return GivenKey(MasterKey.read(_text(path), str(path)), "the service manager's credentials")


def _read(path: Path) -> MasterKey:
    _require_private(path)
    return MasterKey.read(_text(path), f"HEDGEROW_MASTER_KEY_FILE {path}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise SettingsError(
            f"HEDGEROW_MASTER_KEY_FILE: {path} cannot be read ({error.strerror}). "
            "Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
        ) from None


def _require_private(path: Path) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # reading it will say why
    if path.is_dir():
        raise SettingsError(
            f"HEDGEROW_MASTER_KEY_FILE: {path} is a folder. Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
        )
    if mode & 0o077:
        raise SettingsError(
            f"HEDGEROW_MASTER_KEY_FILE: {path} can be read by others (mode {mode:04o}). "
            f"Make it yours alone with: chmod 600 {path}"
        )


def _write(path: Path, key: MasterKey) -> None:
    """Complete under its name or not there at all; never over a key that is there."""
    partial = path.with_name(f"{path.name}.part")
    try:
        with _folder_to_oneself(path):
            partial.unlink(missing_ok=True)
            _write_private(partial, f"{key.text}\n")
            try:
                os.link(partial, path)
            finally:
                partial.unlink()
            _sync_folder(path)
    except FileExistsError:
        raise KeyThere(
            f"HEDGEROW_MASTER_KEY_FILE: {path} is there already. "
            "Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"HEDGEROW_MASTER_KEY_FILE: {path} cannot be made ({error.strerror}). "
            "Example: HEDGEROW_MASTER_KEY_FILE=hedgerow.key"
        ) from None


@contextmanager
def _folder_to_oneself(path: Path) -> Iterator[None]:
    """Among processes that start together."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
