"""Where the master key is looked for, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from chatbot.app import open_bot
from chatbot.errors import SettingsError
from chatbot.keyroom import open_master_keys
from chatbot.settings import Settings
from chatbot.storage.master_key import FILE_NAME, KeyFile, MasterKey
from tests.exchanges import ScriptedExchanges


@pytest.fixture
def service(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / FILE_NAME).write_text(MasterKey(bytes(32)).text)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def beside(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/hedgerow.db"


def test_without_a_word_it_is_a_file_beside_the_database(tmp_path: Path) -> None:
    keys = open_master_keys(Settings(database_url=beside(tmp_path)), {})
    assert isinstance(keys, KeyFile)
    assert keys.path == tmp_path / "hedgerow.key"
    assert not keys.path.exists(), "nobody has needed it yet"


def test_the_service_managers_key_comes_before_that_file(tmp_path: Path, service: dict[str, str]) -> None:
    keys = open_master_keys(Settings(database_url=beside(tmp_path)), service)
    assert keys.current() == MasterKey(bytes(32))


def test_a_file_that_is_named_comes_before_the_service_managers_key(
    tmp_path: Path, service: dict[str, str]
) -> None:
    settings = Settings(database_url=beside(tmp_path), master_key_file=tmp_path / "mine.key")
    assert isinstance(open_master_keys(settings, service), KeyFile)


def test_a_service_manager_without_a_key_changes_nothing(tmp_path: Path) -> None:
    folder = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert isinstance(open_master_keys(Settings(database_url=beside(tmp_path)), folder), KeyFile)


def test_a_key_in_the_environment_comes_first(tmp_path: Path, service: dict[str, str]) -> None:
    given = MasterKey(b"1" * 32)
    settings = Settings(database_url=beside(tmp_path), master_key=SecretStr(given.text))
    assert open_master_keys(settings, service).current() == given


@pytest.mark.parametrize("exchanges", [ScriptedExchanges(), None])
async def test_the_key_is_made_at_the_start_where_an_exchange_can_be_connected(
    tmp_path: Path, exchanges: ScriptedExchanges | None
) -> None:
    settings = Settings(database_url=beside(tmp_path))
    async with open_bot(settings, exchanges=exchanges) as bot:
        assert not (tmp_path / "hedgerow.key").exists(), "whoever only looks makes none"
        await bot.start()
        assert (tmp_path / "hedgerow.key").exists() is (exchanges is not None)
        await bot.stop()


async def test_a_key_that_cannot_be_made_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(database_url=beside(tmp_path), master_key_file=tmp_path / "nowhere" / "a.key")
    async with open_bot(settings, exchanges=ScriptedExchanges()) as bot:
        with pytest.raises(SettingsError, match="HEDGEROW_MASTER_KEY_FILE"):
            await bot.start()


def test_a_wrong_key_in_the_environment_is_named_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        open_master_keys(Settings(master_key=SecretStr("a-wrong-one")), {})
    assert refused.value.message.startswith("HEDGEROW_MASTER_KEY: is no master key")
    assert "a-wrong-one" not in refused.value.message


def test_a_database_in_memory_has_a_key_in_memory() -> None:
    keys = open_master_keys(Settings(database_url="sqlite+aiosqlite://"), {})
    assert keys.current() == keys.current()
    assert keys.source == "memory, like the database"
