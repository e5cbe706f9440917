"""An upgrade that is killed half-way leaves the old database or the new one, and the next start goes on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chatbot.storage import schema

ROOT = Path(__file__).parents[2]


# The first goes through all that lies between; `make crash` begins at every one, and kills at each statement.
FIRST_AND_LAST = (schema.REVISIONS[0], schema.REVISIONS[-2])
EVERY = "3"


@pytest.mark.slow
def test_an_upgrade_killed_at_any_statement_loses_nothing(database: str) -> None:
    asked = ["--upgrades", "--database", database, "--every", EVERY, "--revision", *FIRST_AND_LAST]
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *asked],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for revision in FIRST_AND_LAST:
        line = re.search(rf"from {revision} on {database}: (\d+) kills, (\d+) \D+(\d+) the new", done.stdout)
        assert line is not None, done.stdout
        kills, kept, whole = map(int, line.groups())
        assert kills == kept + whole
        assert kills > 8
        assert whole >= 1
