"""Keys at rest: they open for one account only, and when they are forgotten nothing is left of them."""

from __future__ import annotations

import asyncio
import logging
import pickle
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chatbot.domain.hedge import AccountId
from chatbot.errors import Conflict, InvariantBroken, NotConnected, SettingsError
from chatbot.ports import Account, Changes, Credentials, KeyReport
from chatbot.storage.database import Database, open_database
from chatbot.storage.master_key import GivenKey, KeyFile, MasterKey
from chatbot.storage.sealing import Belonging, fingerprint, seal, unseal
from chatbot.storage.vault import LinkOffice, SqlVault
from tests.storage import samples
from tests.storage.samples import LATER, NOW

SECRETS = Credentials("canary-api-key-0123456789", "canary-secret-abcdefghij", "canary passphrase")
MASTER = MasterKey(bytes(range(32)))
REPORT = KeyReport(can_read=True, can_trade=True, can_move_funds=False, ip_restricted=None, owner="u-1")


def account(number: int = 1, venue: str = "binance") -> Account:
    return replace(samples.account(f"a{number}x"), venue=venue, label=f"{venue}-{number}")


# What looks into the file; for PostgreSQL see test_postgres.py.
IN_A_FILE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as database:
        await database.store.commit(samples.PEOPLE)
        yield database


@pytest.fixture
def vault(database: Database) -> SqlVault:
    return database.vault(GivenKey(MASTER, "a test"))


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("t.db*")))


def ciphertext(folder: Path, account_id: str) -> bytes:
    connection = sqlite3.connect(folder / "t.db")
    (found,) = connection.execute("SELECT ciphertext FROM credentials WHERE account_id = ?", [account_id])
    connection.close()
    return bytes(found[0])


async def test_what_is_kept_opens_again(vault: SqlVault) -> None:
    await vault.keep(account(), SECRETS)
    opened = await vault.open(account())
    assert (opened.api_key, opened.secret, opened.passphrase) == (
        "canary-api-key-0123456789",
        "canary-secret-abcdefghij",
        "canary passphrase",
    )


async def test_the_account_is_written_with_its_key(vault: SqlVault, database: Database) -> None:
    await vault.keep(account(), SECRETS)
    assert await database.store.account(account().id) == account()


async def test_an_account_without_a_key_says_how_to_give_it_one(vault: SqlVault) -> None:
    with pytest.raises(NotConnected, match="/connect binance"):
        await vault.open(account())


@IN_A_FILE
async def test_no_secret_is_on_the_disk(vault: SqlVault, tmp_path: Path) -> None:
    await vault.keep(account(), SECRETS)
    for secret in (SECRETS.api_key, SECRETS.secret, SECRETS.passphrase):
        assert secret.encode() not in on_disk(tmp_path)


@IN_A_FILE
async def test_a_forgotten_key_is_gone_from_every_file(
    vault: SqlVault, database: Database, tmp_path: Path
) -> None:
    await vault.keep(account(1), SECRETS)
    await vault.keep(account(2), Credentials("another-key", "another-secret"))
    sealed = ciphertext(tmp_path, "a1x")
    assert sealed in on_disk(tmp_path)

    await vault.forget(replace(account(1), disconnected_at=LATER))

    assert sealed not in on_disk(tmp_path)
    assert b"canary" not in on_disk(tmp_path)
    with pytest.raises(NotConnected):
        await vault.open(account(1))
    assert (await vault.open(account(2))).secret == "another-secret"
    assert [each.id for each in await database.store.accounts()] == [samples.ACCOUNT_ID, "a2x"]
    assert [each.id for each in await database.store.former_accounts(account().user_id)] == ["a1x"]


@IN_A_FILE
async def test_forgetting_among_many_writers_leaves_nothing_and_loses_no_write(
    vault: SqlVault, database: Database, tmp_path: Path
) -> None:
    await vault.keep(account(), SECRETS)
    sealed = ciphertext(tmp_path, "a1x")
    others = [database.mailbox.secret(f"s{number}") for number in range(50)]
    await asyncio.gather(*others, vault.forget(replace(account(), disconnected_at=LATER)))
    assert sealed not in on_disk(tmp_path)
    connection = sqlite3.connect(tmp_path / "t.db")
    assert connection.execute("SELECT count(*) FROM secrets").fetchone() == (50,)
    connection.close()


async def test_forgetting_twice_is_well(vault: SqlVault) -> None:
    await vault.keep(account(), SECRETS)
    await vault.forget(account())
    await vault.forget(account())


@pytest.mark.parametrize("moved_to", ["user_id", "venue", "id"])
def test_an_envelope_opens_for_its_own_account_only(moved_to: str) -> None:
    sealed = seal(SECRETS, Belonging.of(account()), MASTER)
    elsewhere = replace(account(), **{moved_to: "another"})  # type: ignore[arg-type]
    with pytest.raises(InvariantBroken, match="does not open"):
        unseal(sealed, Belonging.of(elsewhere), MASTER)


@pytest.mark.parametrize("part", ["key_nonce", "wrapped_key", "nonce", "ciphertext"])
def test_an_envelope_that_was_tampered_with_does_not_open(part: str) -> None:
    sealed = seal(SECRETS, Belonging.of(account()), MASTER)
    flipped = bytes([getattr(sealed, part)[0] ^ 1]) + getattr(sealed, part)[1:]
    with pytest.raises(InvariantBroken):
        unseal(replace(sealed, **{part: flipped}), Belonging.of(account()), MASTER)


def test_no_two_envelopes_share_a_key_or_a_nonce() -> None:
    sealed = [seal(SECRETS, Belonging.of(account()), MASTER) for _ in range(50)]
    assert len({each.nonce for each in sealed} | {each.key_nonce for each in sealed}) == 100
    assert len({each.ciphertext for each in sealed}) == 50


@IN_A_FILE
async def test_a_row_moved_to_another_account_does_not_open(vault: SqlVault, tmp_path: Path) -> None:
    await vault.keep(account(1), SECRETS)
    await vault.keep(account(2), Credentials("another-key", "another-secret"))
    connection = sqlite3.connect(tmp_path / "t.db")
    connection.execute(
        "UPDATE credentials SET (key_nonce, wrapped_key, nonce, ciphertext) ="
        " (SELECT key_nonce, wrapped_key, nonce, ciphertext FROM credentials WHERE account_id = 'a1x')"
        " WHERE account_id = 'a2x'"
    )
    connection.commit()
    connection.close()
    with pytest.raises(InvariantBroken):
        await vault.open(account(2))


async def test_one_key_serves_one_account(vault: SqlVault) -> None:
    await vault.keep(account(1), SECRETS)
    with pytest.raises(Conflict):
        await vault.keep(account(2), SECRETS)
    assert await vault.holder("binance", SECRETS.api_key) == "a1x"
    assert await vault.holder("bybit", SECRETS.api_key) is None
    with pytest.raises(NotConnected):
        await vault.open(account(2))


async def test_a_new_key_takes_the_place_of_the_old_one(vault: SqlVault, tmp_path: Path) -> None:
    await vault.keep(account(), SECRETS)
    await vault.keep(account(), Credentials("the-new-key-9999", "new"))
    assert (await vault.open(account())).secret == "new"
    facts = await vault.facts(account().id)
    assert facts is not None
    assert facts.hint == "9999"


async def test_what_was_found_out_about_a_key_is_noted(vault: SqlVault) -> None:
    await vault.keep(account(), SECRETS)
    await vault.note(account().id, REPORT, NOW)
    (facts,) = await vault.all_facts()
    assert (facts.account_id, facts.hint, facts.report, facts.checked_at) == ("a1x", "6789", REPORT, NOW)
    assert await vault.facts(AccountId("a9")) is None


def test_a_fingerprint_is_the_venues_own() -> None:
    assert fingerprint("binance", "abc") == fingerprint("binance", "abc")
    assert fingerprint("binance", "abc") != fingerprint("bybit", "abc")


def test_credentials_show_no_secret_and_are_not_pickled() -> None:
    assert "canary" not in repr(SECRETS) + str(SECRETS) + f"{SECRETS!r}"
    with pytest.raises(TypeError):
        pickle.dumps(SECRETS)
    assert "AAEC" not in repr(MASTER)


async def test_the_vault_writes_no_secret_to_the_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        vault = database.vault(GivenKey(MASTER, "a test"))
        await vault.keep(account(), SECRETS)
        await vault.forget(account())
    assert "canary" not in caplog.text


# --- exchanging the master key --------------------------------------------------------------------


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "hedgerow.key")


async def kept(database: Database, keys: KeyFile, rows: int = 3) -> SqlVault:
    vault = database.vault(keys)
    for number in range(rows):
        await vault.keep(account(number), Credentials(f"key-{number}", f"secret-{number}"))
    return vault


async def opens_all(vault: SqlVault, rows: int = 3) -> bool:
    return [(await vault.open(account(number))).secret for number in range(rows)] == [
        f"secret-{number}" for number in range(rows)
    ]


async def test_after_the_exchange_all_opens_with_the_new_key_and_nothing_with_the_old(
    database: Database, keys: KeyFile
) -> None:
    vault = await kept(database, keys)
    old = keys.current()

    assert await vault.rotate() == 3

    assert keys.current() != old
    assert not keys.successor_path.exists()
    assert await opens_all(vault)
    assert await opens_all(database.vault(KeyFile(keys.path)))
    with pytest.raises(SettingsError, match="another or none"):
        await database.vault(GivenKey(old, "a test")).open(account(0))


async def test_a_crash_before_the_rows_are_written_leaves_the_old_key(
    database: Database, keys: KeyFile
) -> None:
    await kept(database, keys)
    old = keys.current()
    keys.prepare_successor()

    again = KeyFile(keys.path)
    vault = database.vault(again)
    await vault.settle_master_key()

    assert again.current() == old
    assert not keys.successor_path.exists()
    assert await opens_all(vault)


async def test_a_crash_after_the_rows_are_written_leaves_the_new_key(
    database: Database, keys: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await kept(database, keys)
    old = keys.current()

    def power_cut(_: KeyFile) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(KeyFile, "promote_successor", power_cut)
        with pytest.raises(KeyboardInterrupt):
            await vault.rotate()

    again = KeyFile(keys.path)
    assert await opens_all(database.vault(again)), "both keys are known until it is settled"
    await database.vault(again).settle_master_key()
    assert again.current() != old
    assert await opens_all(database.vault(KeyFile(keys.path)))


async def test_without_a_row_the_exchange_still_makes_a_new_key(database: Database, keys: KeyFile) -> None:
    before = keys.current()
    assert await database.vault(keys).rotate() == 0
    assert KeyFile(keys.path).current() != before


async def test_rows_without_their_master_key_stop_the_start(database: Database, keys: KeyFile) -> None:
    await kept(database, keys)
    keys.path.unlink()
    with pytest.raises(SettingsError, match="HEDGEROW_MASTER_KEY_FILE: stored keys need the master key"):
        await database.vault(KeyFile(keys.path)).settle_master_key()


async def test_only_a_key_file_is_exchanged(vault: SqlVault) -> None:
    with pytest.raises(SettingsError, match="this key comes from a test"):
        await vault.rotate()


# --- links ----------------------------------------------------------------------------------------


def test_a_token_is_made_of_the_reference_and_the_master_key() -> None:
    office = LinkOffice(GivenKey(MASTER, "a test"))
    reference = office.new_reference()
    assert len(office.token(reference)) == 43
    assert office.token(reference) == office.token(reference)
    assert office.token(reference) != office.token(office.new_reference())
    assert office.token(reference) != LinkOffice(GivenKey(MasterKey.new(), "x")).token(reference)


async def test_an_empty_change_of_accounts_keeps_the_key(vault: SqlVault, database: Database) -> None:
    await vault.keep(account(), SECRETS)
    await database.store.commit(Changes(accounts=(replace(account(), frozen="the key expired"),)))
    assert (await vault.open(account())).api_key == SECRETS.api_key
