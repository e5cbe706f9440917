"""A PostgreSQL of the tests' own: made of the system's binaries, one for all processes of a test run.

The first test that needs it makes it, in a folder that the first process of the run has set up; that process
stops it in the end. It has no network, forgets on a power cut, and is fast.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.storage.database import upgrade

FOLDER = "POSTGRESQL_OF_THE_TESTS"
NOT_FOUND = "PostgreSQL was not found"
SUPERUSER = "postgres"
TEMPLATE = "template_hedgerow"
# Those who may run a server when the tests are run by root, who may not.
_OTHERS = ("postgres", "nobody")
_QUICK = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "jit": "off",
}
# A user whose password is asked, so that a wrong one can be tried.
_LOGINS = "local all guarded scram-sha-256\nlocal all all trust\n"


def find_binaries() -> Path | None:
    """The newest, as Debian lays them out, else those on the path."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), reverse=True
    )
    found = [str(path) for path in versions] + [shutil.which("initdb") or ""]
    return next((Path(path).resolve().parent for path in found if path), None)


def prepare_folder() -> None:
    """In the first process of the run. The path is short, as that of a socket must be."""
    if find_binaries() is not None:
        folder = tempfile.mkdtemp(prefix="hpg")
        Path(folder).chmod(0o755)
        os.environ[FOLDER] = folder


def remove_folder() -> None:
    folder = os.environ.pop(FOLDER, None)
    if folder is not None:
        server = Server(Path(folder))
        if (server.data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str, *, user: str = SUPERUSER, more: str = "") -> str:
        return f"postgresql+asyncpg://{user}@/{database}?host={self.folder}{more}"

    def ensure(self) -> None:
        """Made and started, by whichever process comes first."""
        with self._alone():
            if not (self.folder / "ready").exists():
                self._make()
                self.start()
                self.execute(f"CREATE DATABASE {TEMPLATE}")
                asyncio.run(upgrade(self.url(TEMPLATE)))
                (self.folder / "ready").touch()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make(self) -> None:
        account = _account()
        self.data.mkdir(mode=0o700)
        if account is not None:
            for path in (self.folder, self.data):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._run(
            "initdb",
            f"--pgdata={self.data}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        (self.data / "pg_hba.conf").write_text(_LOGINS)

    def start(self) -> None:
        given = {**_QUICK, "unix_socket_directories": str(self.folder)}
        options = " ".join(f"-c {name}={value}" for name, value in given.items() if value)
        options += " -c listen_addresses="
        self._control("start", "-o", options, "-l", str(self.data / "log"))

    def stop(self, mode: str = "immediate") -> None:
        self._control("stop", "-m", mode)

    def _control(self, command: str, *arguments: str) -> None:
        self._run("pg_ctl", command, "-w", "-D", str(self.data), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        binaries = find_binaries()
        assert binaries is not None
        account = _account()
        identity: dict[str, Any] = {}
        if account is not None:
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [binaries / program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            **identity,
        )
        assert done.returncode == 0, done.stderr

    def create(self, database: str, *, like: str = TEMPLATE) -> None:
        self.execute(f"CREATE DATABASE {database} TEMPLATE {like} STRATEGY file_copy")

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, *statements: str, database: str = "postgres") -> None:
        command = [str(find_binaries()) + "/psql", "-qAtX", "-h", str(self.folder), "-U", SUPERUSER]
        given = itertools.chain.from_iterable(("-c", each) for each in statements)
        subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1", "-d", database, *given],
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((known[name] for name in _OTHERS if name in known), None)
