"""The room of a test run: whose it is, and who may be cleared away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import room


def of_a_process_that_is_gone(folder: Path) -> Path:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = room.new_folder("run-", folder)
    (left / "owner").write_text(str(gone.pid))
    return left


def test_only_what_nobody_owns_any_more_was_left_behind(tmp_path: Path) -> None:
    gone = of_a_process_that_is_gone(tmp_path)
    room.new_folder("run-", tmp_path)  # this process's
    (tmp_path / "run-unknown").mkdir()  # somebody is about to write its mark

    assert room.left_behind(tmp_path, "run-") == [gone]


def test_a_place_that_somebody_has_named_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    assert room.enter(lambda _: pytest.fail("nothing is cleared away")) is None
