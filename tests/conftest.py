"""What tests share: repeatable examples, an environment without anybody's own settings, a PostgreSQL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from chatbot.settings import PREFIX
from tests.postgres.server import FOLDER, NOT_FOUND, Server, prepare_folder, remove_folder

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
# A longer search with new examples each time: HYPOTHESIS_PROFILE=explore make test
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    if is_first(config):
        prepare_folder()


def pytest_unconfigure(config: pytest.Config) -> None:
    if is_first(config):
        remove_folder()


def is_first(config: pytest.Config) -> bool:
    """Not one of the workers that xdist starts."""
    return not hasattr(config, "workerinput")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        report for report in terminalreporter.stats.get("skipped", []) if NOT_FOUND in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.write_line(
            f"{NOT_FOUND}: {len(skipped)} tests of it were skipped. Debian: apt-get install postgresql",
            yellow=True,
        )


@pytest.fixture(scope="session")
def postgres() -> Server:
    if FOLDER not in os.environ:
        pytest.skip(NOT_FOUND)
    server = Server(Path(os.environ[FOLDER]))
    server.ensure()
    return server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """A database with the newest schema, for one test."""
    name = f"t_{uuid.uuid4().hex}"
    postgres.create(name)
    yield postgres.url(name)
    postgres.drop(name)
