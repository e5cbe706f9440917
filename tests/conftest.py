"""What tests share: repeatable examples, an environment without anybody's own settings, a PostgreSQL."""

from __future__ import annotations

import gc
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from chatbot.settings import PREFIX
from chatbot.storage.database import Database
from chatbot.storage.session import Session
from tests import room
from tests.postgres.elsewhere import Databases, a_database
from tests.postgres.server import (
    FOLDER,
    NOT_FOUND,
    Server,
    find_binaries,
    prepare_folder,
    remove_folder,
    remove_left_behind,
)

# What is not about databases and yet says most about them, by the beginning of its module's name.
ON_BOTH = ("services.", "pushing.test_mailbox", "dialogs.test_the_main_path", "dialogs.test_closing")

# What takes longest, by the beginning of its module's name, in this order. In front is what a module prepares
# once for all of its tests: workers take from each other's end.
LONGEST = (
    "test_demo",
    "e2e.test_crash_day",
    "simulation.test_simulation",
    "processes.test_processes",
    "crash.",
    "fuzz.",
    "e2e.",
    "live.test_kills",
    "properties.test_money_path",
)
HERE = Path(__file__).parent

ROOM = pytest.StashKey[Path | None]()
FAILED = pytest.StashKey[bool]()

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
# A longer search with new examples each time: HYPOTHESIS_PROFILE=explore make test
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgresql", "both"],
        default="both",
        help="what a database in memory is: all of it one of these, or SQLite's and a part on both",
    )


def pytest_configure(config: pytest.Config) -> None:
    write_byte_code()
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    if is_first(config):
        config.stash[ROOM] = room.enter(remove_left_behind)
        prepare_folder()
        if config.getoption("--database") == "postgresql" and FOLDER not in os.environ:
            raise pytest.UsageError(f"{NOT_FOUND}: --database=postgresql needs it")


def write_byte_code() -> None:
    """Hundreds of processes are started: what the first one has compiled the next ones read."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[FAILED] = exitstatus != pytest.ExitCode.OK


def pytest_unconfigure(config: pytest.Config) -> None:
    if is_first(config):
        remove_folder()
        room.leave(config.stash.get(ROOM, None), keep=config.stash.get(FAILED, False))


def is_first(config: pytest.Config) -> bool:
    """Not one of the workers that xdist starts."""
    return not hasattr(config, "workerinput")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if FOLDER not in os.environ:
        left_out = [item for item in items if needs_postgresql(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=turn)


def turn(item: pytest.Item) -> int:
    """What takes long begins early, so that no worker is left alone with it in the end."""
    module = module_of(item)
    if module.startswith(LONGEST):
        return next(place for place, name in enumerate(LONGEST) if module.startswith(name))
    return len(LONGEST) + (item.get_closest_marker("slow") is None)


def module_of(item: pytest.Item) -> str:
    return ".".join(item.path.relative_to(HERE).with_suffix("").parts)


def pytest_collection_finish() -> None:
    """Thousands of tests stay to the end; to look through them for garbage again and again takes minutes."""
    gc.collect()
    gc.freeze()


def needs_postgresql(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    named: list[str] = getattr(item, "fixturenames", [])
    return "postgres" in named or (given is not None and "postgresql" in given.params.values())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if find_binaries() is None:
        terminalreporter.write_line(
            f"{NOT_FOUND}: the tests that need it were left out. Debian: apt-get install postgresql",
            yellow=True,
        )


@pytest.fixture(scope="session")
def postgres() -> Server:
    server = Server(Path(os.environ[FOLDER]))
    server.ensure()
    return server


@pytest.fixture(scope="session")
def postgres_databases(postgres: Server) -> Iterator[Databases]:
    databases = Databases(postgres)
    yield databases
    databases.close()


@pytest.fixture
def postgres_url(postgres_databases: Databases) -> Iterator[str]:
    """An empty database with the newest schema, for one test, which leaves the schema as it is."""
    with a_database(postgres_databases) as name:
        yield postgres_databases.url(name)


@pytest.fixture
def postgres_url_of_its_own(postgres: Server) -> Iterator[str]:
    """A database without any schema, for one test, which may do with it whatever it likes."""
    name = f"t_{uuid.uuid4().hex}"
    postgres.create(name, like="template1")
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database; the test is held against both kinds."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/t.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Addresses of databases that nobody has used yet, without any schema."""
    if request.param == "sqlite":
        yield lambda: f"sqlite+aiosqlite:///{tmp_path / uuid.uuid4().hex}.db"
        return
    server: Server = request.getfixturevalue("postgres")
    names: list[str] = []

    def create() -> str:
        names.append(f"t_{uuid.uuid4().hex}")
        server.create(names[-1], like="template1")
        return server.url(names[-1])

    yield create
    for name in names:
        server.drop(name)


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """One of them."""
    return new_url()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Some of the tests that need a database, whichever, are held against both in every run."""
    chosen = metafunc.config.getoption("--database")
    module = metafunc.module.__name__.removeprefix("tests.")
    if chosen == "both" and module.startswith(ON_BOTH):
        metafunc.parametrize("in_memory", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL whatever would be in memory is in an empty database of the server."""
    chosen = request.config.getoption("--database")
    if getattr(request, "param", chosen) != "postgresql":
        return
    databases: Databases = request.getfixturevalue("postgres_databases")

    def open_instead() -> Database:
        name = databases.take()
        direct = databases.direct(name)
        resources = AsyncExitStack()
        resources.callback(databases.give_back, name)
        return Database(Session(direct, direct), resources)

    monkeypatch.setattr("chatbot.storage.database._open_in_memory", open_instead)
