"""A PostgreSQL of the tests' own: made of the system's binaries, one for all processes of a test run.

The first test that needs it makes it, in a folder that the first process of the run has set up; that process
stops it in the end. It has no network, forgets on a power cut, and is fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from chatbot.storage.database import upgrade
from tests.room import left_behind, new_folder

FOLDER = "POSTGRESQL_OF_THE_TESTS"
_PREFIX = "hedgerow-pg-"
NOT_FOUND = "PostgreSQL was not found"
SUPERUSER = "postgres"
TEMPLATE = "template_hedgerow"
# Those who may run a server when the tests are run by root, who may not.
_OTHERS = ("postgres", "nobody")
_ALWAYS = {"listen_addresses": "''", "max_connections": "200", "shared_buffers": "64MB", "jit": "off"}
_FORGETFUL = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "deadlock_timeout": "20ms",
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
        remove_left_behind(Path(tempfile.gettempdir()))
        os.environ[FOLDER] = str(new_folder(_PREFIX))


def remove_left_behind(within: Path) -> None:
    for folder in left_behind(within, _PREFIX):
        remove(Server(folder))


def remove_folder() -> None:
    folder = os.environ.pop(FOLDER, None)
    if folder is not None:
        remove(Server(Path(folder)))


def remove(server: Server) -> None:
    if (server.data / "postmaster.pid").exists():
        with contextlib.suppress(AssertionError):  # one that was never quite started ends by itself
            server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    """``durable``: what it has committed survives a power cut, as that of a real one."""

    folder: Path
    durable: bool = False

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
                with ThreadPoolExecutor(1) as thread:  # whoever asks may be in a loop of its own
                    thread.submit(lambda: asyncio.run(upgrade(self.url(TEMPLATE)))).result()
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
        given = {**_ALWAYS, **({} if self.durable else _FORGETFUL)}
        given["unix_socket_directories"] = str(self.folder)
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        self._control("start", "-o", options, "-l", str(self.data / "log"))

    def stop(self, mode: str = "immediate") -> None:
        self._control("stop", "-m", mode)

    def strike(self, away: float, *, and_when_it_is_back: Callable[[], object]) -> None:
        """It ends as with its machine, and comes back while whoever needs it already asks again."""

        def recover() -> None:
            time.sleep(away)
            self.start()
            and_when_it_is_back()

        self.stop()
        Thread(target=recover).start()

    def is_back(self) -> bool:
        with contextlib.suppress(AssertionError):
            self.execute("SELECT 1")
            return True
        return False

    def _control(self, command: str, *arguments: str) -> None:
        self._run("pg_ctl", command, "-w", "-D", str(self.data), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        account = _account()
        identity: dict[str, Any] = {}
        if account is not None:
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [self._program(program), *arguments],
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

    def dump(self, database: str) -> str:
        """The schema as the server's own tool tells it."""
        command = [
            str(find_binaries()) + "/pg_dump",
            "--schema-only",
            "-h",
            str(self.folder),
            "-U",
            SUPERUSER,
        ]
        done = subprocess.run([*command, database], check=True, capture_output=True, text=True)
        return done.stdout

    def execute(self, *statements: str, database: str = "postgres") -> None:
        given = itertools.chain.from_iterable(("-c", each) for each in statements)
        self._as_client("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, *given)

    def _as_client(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._program(program), f"--host={self.folder}", f"--username={SUPERUSER}", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @staticmethod
    def _program(name: str) -> Path:
        binaries = find_binaries()
        assert binaries is not None
        return binaries / name


@contextmanager
def a_server_alone(*, durable: bool = False) -> Iterator[Server]:
    """For who stops it."""
    server = Server(new_folder(_PREFIX), durable)
    try:
        server.ensure()
        yield server
    finally:
        remove(server)


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((known[name] for name in _OTHERS if name in known), None)
