"""The nursery and the stage of the end-to-end tests, and one process that does the killing for all tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.__main__ import Task
from tests.crash.grounds import found_here
from tests.e2e.conftest import nursery, stage
from tests.postgres.server import NOT_FOUND

__all__ = ["nursery", "stage"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Killers:
    """Who forks must be alone in its process, and a process of tests never is."""

    process: subprocess.Popen[str]

    def run(self, task: Task) -> dict[str, object]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(task.as_dict()) + "\n")
        self.process.stdin.flush()
        answer: dict[str, object] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="session")
def killers() -> Iterator[Killers]:
    command = [sys.executable, "-m", "tests.crash", "--serve", "--database", *found_here()]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Killers(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    if request.param not in found_here():
        pytest.skip(NOT_FOUND)
    return str(request.param)
