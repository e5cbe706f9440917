"""Whatever is entered as a secret, in whatever order with other things: it is never written down."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.domain.hedge import AccountId, UserId
from chatbot.domain.keys import looks_like_key
from chatbot.ports import Account, Credentials
from chatbot.storage.master_key import MasterKey
from chatbot.storage.sealing import Belonging, seal, unseal
from tests.dialogs.harness import NOON, a_dialog
from tests.exchanges import ScriptedExchanges

CANARY = "c4n4ry"
marks = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
secrets = st.builds(lambda before, after: f"{before}{CANARY}{after}", marks, marks)
texts = st.text(max_size=60)


def is_command(text: str) -> bool:
    return re.match(r"/[a-z]{2,12}(@\w+)?(\s|$)", text) is not None


def stored_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("t.db*"))


async def enter(parts: list[str], folder: Path) -> tuple[bytes, int]:
    """What the database holds afterwards, and how many requests came in."""
    url = f"sqlite+aiosqlite:///{folder}/t.db"
    async with a_dialog(exchanges=ScriptedExchanges(), database_url=url) as dialog:
        await dialog.says("/connect okx")
        for part in parts:
            await dialog.says(part)
            if CANARY in "".join(card.text for card in dialog.screen.cards):
                return CANARY.encode(), 0
        held = stored_in(folder)
        connection = sqlite3.connect(folder / "t.db")
        (count,) = connection.execute("SELECT count(*) FROM inbox").fetchone()
        connection.close()
    return held, int(count)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(secrets.filter(lambda text: not is_command(text)), min_size=1, max_size=3))
def test_a_secret_that_was_asked_for_is_never_written_down(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        held, count = asyncio.run(enter(parts, Path(folder)))
    assert CANARY.encode() not in held
    assert count == 1 + len(parts), "that something came is written down"


@given(texts, texts, texts, st.binary(min_size=32, max_size=32))
def test_whatever_is_sealed_opens_again_for_its_owner(
    api_key: str, secret: str, passphrase: str, master: bytes
) -> None:
    account = Account(AccountId("a"), UserId("u"), "okx", "okx", NOON)
    sealed = seal(Credentials(api_key, secret, passphrase), Belonging.of(account), MasterKey(master))
    opened = unseal(sealed, Belonging.of(account), MasterKey(master))
    assert (opened.api_key, opened.secret, opened.passphrase) == (api_key, secret, passphrase)


names = st.text("ab:1", min_size=1, max_size=4)


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_two_owners_are_never_bound_to_the_same_bytes(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    same = Belonging(*one).bound("data key") == Belonging(*other).bound("data key")
    assert same == (one == other)
    assert Belonging(*one).bound("data key") != Belonging(*one).bound("credentials")


@given(st.text("abcdefABCDEF0123456789", min_size=64, max_size=64))
def test_a_key_is_recognized_by_its_looks_whenever_it_is_random(key: str) -> None:
    digits = sum(char.isdigit() for char in key)
    random_enough = len(set(key)) >= 10 and 3 <= digits <= 61
    assert looks_like_key(key) is random_enough
