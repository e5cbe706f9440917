"""Where the master key comes from, and which files are refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chatbot.errors import SettingsError
from chatbot.storage.master_key import FILE_NAME, KeyFile, MasterKey, _write, system_key


def test_the_file_is_made_on_first_need_for_its_owner_only(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "hedgerow.key")
    assert not keys.path.exists()
    key = keys.current()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert KeyFile(keys.path).current() == key
    assert MasterKey.read(keys.path.read_text(), "x") == key


def test_a_folder_is_no_file_and_its_mode_is_let_be(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder") as refused:
        KeyFile(tmp_path)
    assert "chmod" not in refused.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_may_touch_is_refused_with_the_way_to_mend_it(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "hedgerow.key"
    KeyFile(path).current()
    path.chmod(mode)
    with pytest.raises(SettingsError) as refused:
        KeyFile(path)
    assert f"mode {mode:04o}" in refused.value.message
    assert f"chmod 600 {path}" in refused.value.message


@pytest.mark.parametrize("text", ["", "short", "A" * 44, "é" * 44, "c2hvcnQ="])
def test_a_text_that_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hedgerow.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="no master key") as refused:
        KeyFile(path)
    assert not text or text not in refused.value.message


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.*cannot be made"):
        KeyFile(tmp_path / "nowhere" / "hedgerow.key").current()


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    first, second = KeyFile(tmp_path / "hedgerow.key"), KeyFile(tmp_path / "hedgerow.key")
    key = first.current()
    assert second.current() == key, "whoever comes second takes what is there"
    with pytest.raises(SettingsError, match="there already"):
        write_again(first.path)
    assert KeyFile(first.path).current() == key


def write_again(path: Path) -> None:
    _write(path, MasterKey.new())


def test_what_a_crash_left_half_written_is_no_key_and_in_nobodys_way(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "hedgerow.key")
    (tmp_path / "hedgerow.key.part").write_text("half")
    assert KeyFile(keys.path).current() == KeyFile(keys.path).current()
    assert [path.name for path in tmp_path.iterdir()] == ["hedgerow.key"]


def test_the_service_manager_may_hold_the_key(tmp_path: Path) -> None:
    assert system_key(tmp_path) is None
    key = MasterKey.new()
    (tmp_path / FILE_NAME).write_text(key.text)
    given = system_key(tmp_path)
    assert given is not None
    assert given.current() == key
    assert given.of(key.id) == key
    assert given.of("another") is None


def test_two_keys_have_two_names() -> None:
    assert MasterKey.new().id != MasterKey.new().id
    assert MasterKey(bytes(32)).id == MasterKey(bytes(32)).id
