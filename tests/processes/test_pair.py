"""What one process receives and another has to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot.app import open_bot
from chatbot.chat import ChatRef, Platform
from chatbot.domain.shards import shard_of
from chatbot.errors import SettingsError
from chatbot.ports import Credentials
from chatbot.services.admission import new_code
from chatbot.storage.postgres.connections import connected
from chatbot.storage.postgres.place import Place
from tests.exchanges import key
from tests.processes.pair import PATIENCE, a_pair, holds, running, settings, tap

SECRET = "sEcReT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9"
GROUP = ChatRef(Platform.TELEGRAM, "-100200", private=False)


async def everything_stored(url: str) -> str:
    """Every cell of every table."""
    async with connected(Place.of(url), "test") as connection:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        found = [await connection.fetch(f"SELECT t::text FROM {name} t") for (name,) in tables]  # noqa: S608
    return "\n".join(str(row[0]) for rows in found for row in rows)


async def test_what_one_receives_the_other_answers(postgres_url: str, tmp_path: Path) -> None:
    async with a_pair(postgres_url, tmp_path) as pair:
        one, other = pair.bots
        for bot in pair.bots:
            user = pair.someone_of(bot)
            await one.inbox.receive([pair.request(user, "/start")])
            assert "Hedgerow" in await pair.wall.reads(user.id, "Hedgerow")
        assert await other.store.unfinished_operations() == ()


async def test_in_a_group_each_is_answered_by_the_process_of_its_own(
    postgres_url: str, tmp_path: Path
) -> None:
    async with a_pair(postgres_url, tmp_path) as pair:
        one, other = pair.bots
        here, there = pair.someone_of(one), pair.someone_of(other)
        await one.inbox.receive(
            [pair.request(here, "/nonsens", GROUP), pair.request(there, "/unheard", GROUP)]
        )
        await pair.wall.reads(GROUP.id, "nonsens")
        await pair.wall.reads(GROUP.id, "unheard")
        assert len(pair.wall.said) == 2


async def test_a_key_is_taken_part_by_part_and_never_written_down(postgres_url: str, tmp_path: Path) -> None:
    async with a_pair(postgres_url, tmp_path) as pair:
        receiver, holder = pair.bots
        user = pair.someone_of(holder)
        pair.exchanges.knows(key())
        stored = []
        for text, answer in (
            ("/connect binance here", "API key"),
            (key(), "Now the"),
            (SECRET, "is connected"),
        ):
            await receiver.inbox.receive([pair.request(user, text)])
            stored.append(await everything_stored(postgres_url))
            await pair.wall.reads(user.id, answer)
        stored.append(await everything_stored(postgres_url))
        assert not any(secret in text for text in stored for secret in (key(), SECRET))
        assert len(pair.wall.erased) == 2


async def test_a_key_from_the_page_is_tried_by_whoever_works_for_the_user(
    postgres_url: str, tmp_path: Path
) -> None:
    async with a_pair(postgres_url, tmp_path) as pair:
        server, holder = pair.bots
        user = pair.someone_of(holder)
        pair.exchanges.knows(key())
        known = await holder.people.meet(user, ChatRef(Platform.TELEGRAM, user.id), "Ann")
        desk = server.keys.links
        assert desk is not None
        links = await desk.issue(known, known.home, "binance")
        token = server.keys.office.token(links.browser)
        taken = await desk.hand_in(token, Credentials(key(), SECRET), proof="")
        assert taken.handed_over
        await pair.wall.reads(user.id, "is connected")
        accounts = await holder.store.accounts(known.id)
        assert [account.venue for account in accounts] == ["paper", "binance"]
        assert key() not in await everything_stored(postgres_url)


async def test_who_was_admitted_by_one_is_known_to_the_other(postgres_url: str, tmp_path: Path) -> None:
    """And so is a key that such a person shows in a group: it is not written down."""
    async with a_pair(postgres_url, tmp_path) as pair:
        receiver, holder = pair.bots
        stranger = pair.someone_of(holder, since=5000)
        code = await new_code(holder.keys.admission.invites, holder.clock)
        await receiver.inbox.receive([pair.request(stranger, f"/start {code}")])
        await pair.wall.reads(stranger.id, "Hedgerow")
        await receiver.inbox.receive([pair.request(stranger, key(), GROUP)])
        assert key() not in await everything_stored(postgres_url)
        await pair.wall.reads(GROUP.id, "key")


async def test_what_an_overtaken_process_still_does_counts_for_nothing(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that is paused with a tap in its hands, wakes, and has not looked at the clock yet."""
    async with a_pair(postgres_url, tmp_path) as pair:
        overtaken, successor = pair.bots
        assert overtaken.keeper is not None
        user = pair.someone_of(overtaken)
        await overtaken.inbox.receive([pair.request(user, "/open BTC long 0.05 10x isolated")])
        await pair.wall.reads(user.id, "Long 0.05 BTC")
        asleep = asyncio.Event()
        monkeypatch.setattr(overtaken.keeper, "_turn", asleep.wait)
        await executed(
            postgres_url, "UPDATE processes SET expires_at = '' WHERE id = $1", overtaken.keeper._holder
        )
        await until(lambda: holds(successor, user))
        assert holds(overtaken, user), "it still believes"

        tapped = tap(pair, user, "Confirm")
        caplog.set_level("INFO")
        overtaken.inbox._submit([tapped])
        await until(lambda: "a request is left to another process" in caplog.text)
        assert await executed(postgres_url, "SELECT * FROM operations") == []

        await successor.inbox.receive([tapped])
        await pair.wall.reads(user.id, "is open")
        assert len(await executed(postgres_url, "SELECT * FROM operations")) == 1
        assert len(await executed(postgres_url, "SELECT * FROM intents")) == 1
        monkeypatch.undo()
        asleep.set()


async def executed(url: str, query: str, *given: object) -> list[object]:
    async with connected(Place.of(url), "test") as connection:
        return list(await connection.fetch(query, *given))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)


async def test_who_leaves_hands_its_users_over_at_once(postgres_url: str, tmp_path: Path) -> None:
    async with a_pair(postgres_url, tmp_path) as pair:
        one, other = pair.bots
        user = pair.someone_of(one)
        await one.inbox.receive([pair.request(user, "/start")])
        await pair.wall.reads(user.id, "Hedgerow")
        await one.stop()
        await other.inbox.receive([pair.request(user, "/nonsens")])
        await pair.wall.reads(user.id, "nonsens")
        assert other.keeper is not None
        assert other.keeper.of_shard(shard_of(str(user))).epoch >= 2


async def test_processes_with_different_master_keys_do_not_run_together(
    postgres_url: str, tmp_path: Path
) -> None:
    async with open_bot(settings(postgres_url, tmp_path)) as first, running(first):
        elsewhere = settings(postgres_url, tmp_path).model_copy(
            update={"master_key_file": tmp_path / "other.key"}
        )
        async with open_bot(elsewhere) as second:
            with pytest.raises(SettingsError, match=r"MASTER_KEY_FILE.*Copy the key file"):
                await second.start()


async def test_processes_with_different_paper_folders_do_not_run_together(
    postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    async with open_bot(settings(postgres_url, tmp_path)):
        with pytest.raises(SettingsError, match=r"STATE_FILE.*kept elsewhere"):
            async with open_bot(settings(postgres_url, tmp_path / "elsewhere")):
                pass
