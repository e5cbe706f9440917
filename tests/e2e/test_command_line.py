"""What ``hedgerow`` answers on the command line, and the console as a script sees it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.e2e.books import Books
from tests.e2e.market import still_market
from tests.e2e.program import Finished, hedgerow, on_paper, on_telegram, running
from tests.wire.bot_api import LoopbackBotApi

pytestmark = pytest.mark.slow


@pytest.fixture
def market(tmp_path: Path) -> Path:
    return still_market(tmp_path / "market.csv")


def is_a_clear_refusal(finished: Finished, code: int) -> bool:
    return finished.code == code and "Traceback" not in finished.err + finished.out


async def test_a_script_trades_with_numbered_buttons_and_a_refusal_is_no_failure(
    tmp_path: Path, market: Path
) -> None:
    script = """\
/start
/open BTC sideways 1
/open BTC long 0.05 10x isolated
1
1
/hedge BTC
1
/nonsense
99
/close #1
1
/status
quit
/open BTC long 0.05
"""
    settings = on_paper(tmp_path, market)
    finished = await hedgerow("run", settings=settings, folder=tmp_path, typed=script)
    assert finished.code == 0, finished.err
    expected = [
        "> /start",
        "I need a side",
        "> /open BTC long 0.05 10x isolated",
        "[1] Confirm",
        "#1 BTC is open: long 0.05 BTC",
        "#1 BTC is hedged",
        "I do not know /nonsense",
        "There is no button 99",
        "Close #1 BTC",
        "[1] Offset first",
        "#1 BTC closed",
        "Nothing is open",
    ]
    rest = finished.out
    for words in expected:
        assert words in rest, f"{words!r} does not follow; the output is:\n{finished.out}"
        rest = rest[rest.index(words) :]
    assert "Opening #2" not in finished.out, "what comes after quit is not read"
    books = Books(tmp_path)
    assert books.complaints() == []
    assert books.venue_legs() == {}


async def test_every_wrong_setting_is_one_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    settings = {
        "HEDGEROW_PAPER__SPEED": "fast",
        "HEDGEROW_HTTP__PORT": "99999",
        "HEDGEROW_TELEGRAM__TOKEN": "not-a-token-but-a-secret",
        "HEDGEROW_QUOTE__LIVETIME_SECONDS": "5",
    }
    finished = await hedgerow("run", settings=settings, folder=tmp_path)
    assert is_a_clear_refusal(finished, 2)
    lines = finished.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == sorted(settings)
    assert all("Example:" in line for line in lines)
    assert "not-a-token-but-a-secret" not in finished.err
    assert list(tmp_path.iterdir()) == [], "nothing was created"


@pytest.mark.parametrize(
    ("venue", "complaint"),
    [("BINACE", "I do not know an exchange named 'binace'"), ("ASTER", "Aster has no practice accounts")],
)
async def test_practice_that_cannot_be_had_stops_the_start(
    tmp_path: Path, venue: str, complaint: str
) -> None:
    name = f"HEDGEROW_VENUES__{venue}__DEMO"
    finished = await hedgerow("run", settings={name: "true"}, folder=tmp_path)
    assert is_a_clear_refusal(finished, 2)
    assert finished.err.startswith(f"{name}: {complaint}")
    assert list(tmp_path.iterdir()) == [], "nothing was created"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "the file is empty"),
        ("ts,mark,mid,index,funding_rate\n", "there is no row"),
        ("ts,mark,mid,index,funding_rate\n1759881600000,-1,1,1,\n", "line 2"),
    ],
    ids=["empty", "no rows", "a price below zero"],
)
async def test_a_broken_recording_is_refused_in_a_sentence(
    tmp_path: Path, content: str, complaint: str
) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text(content, encoding="utf-8")
    finished = await hedgerow("run", settings=on_paper(tmp_path, broken), folder=tmp_path)
    assert is_a_clear_refusal(finished, 2)
    assert len(finished.err.splitlines()) == 1
    assert "cannot replay broken.csv" in finished.err
    assert complaint in finished.err


async def test_check_names_a_broken_recording_as_what_it_is(tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text("", encoding="utf-8")
    finished = await hedgerow("check", settings=on_paper(tmp_path, broken), folder=tmp_path)
    assert is_a_clear_refusal(finished, 1)
    assert finished.out.splitlines()[-1].startswith("market     HEDGEROW_PAPER__MARKET: cannot replay")


async def test_a_second_process_on_one_database_is_refused_and_harms_nothing(
    tmp_path: Path, market: Path
) -> None:
    settings = on_paper(tmp_path, market)
    async with running(settings, tmp_path) as first:
        await until_created(tmp_path / "hedgerow-paper.db")
        for command in ("run", "check"):
            second = await hedgerow(command, settings=settings, folder=tmp_path)
            assert is_a_clear_refusal(second, 1)
            assert "is in use by another Hedgerow" in second.out + second.err
        first_words = await first.says("/start")
        assert "paper account" in first_words


async def until_created(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():  # noqa: ASYNC110 (another process makes it)
            await asyncio.sleep(0.02)


async def test_check_tells_what_it_found_and_fails_where_something_is_wrong(
    tmp_path: Path, market: Path
) -> None:
    fine = await hedgerow("check", settings=on_paper(tmp_path, market), folder=tmp_path)
    assert fine.code == 0
    assert [line.split()[0] for line in fine.out.splitlines()] == [
        "settings",
        "database",
        "clock",
        "keys",
        "market",
        "telegram",
    ]
    assert not list(tmp_path.glob("*paper*.db")), "a check binds nobody to a market"
    nowhere = on_paper(tmp_path / "missing", market)
    wrong = await hedgerow("check", settings=nowhere, folder=tmp_path)
    assert is_a_clear_refusal(wrong, 1)
    assert "does not exist" in wrong.out


async def test_an_invite_is_made_while_the_bot_runs(tmp_path: Path, market: Path) -> None:
    settings = on_paper(tmp_path, market)
    before = await hedgerow("invite", settings=settings, folder=tmp_path)
    async with running(settings, tmp_path):
        await until_created(tmp_path / "hedgerow-paper.db")
        meanwhile = await hedgerow("invite", settings=settings, folder=tmp_path)
    assert (before.code, meanwhile.code) == (0, 0)
    codes = [re.findall(r"/start (\S{20})$", each.out, re.MULTILINE) for each in (before, meanwhile)]
    assert len({code for (code,) in codes}) == 2


async def test_an_invite_is_also_a_link_where_the_bot_has_a_name(tmp_path: Path, market: Path) -> None:
    async with LoopbackBotApi(username="HedgerowBot") as api:
        settings = on_paper(tmp_path, market) | on_telegram(api, [7])
        named = await hedgerow("invite", settings=settings, folder=tmp_path)
        (code,) = re.findall(r"/start (\S+)$", named.out, re.MULTILINE)
        assert f"https://t.me/HedgerowBot?start={code}" in named.out
        async with running(settings, tmp_path) as bot:
            await bot.ready()
            api.user_says(8, f"/start {code}")
            await api.wait_for_message(8, "paper account", timeout=20)
            api.user_says(9, f"/start {code}")
            await api.wait_for_message(9, "not valid", timeout=20)


async def test_the_master_key_is_exchanged_and_the_keys_are_forgotten_by_command(
    tmp_path: Path, market: Path
) -> None:
    settings = on_paper(tmp_path, market)
    key_file = tmp_path / "hedgerow.key"
    first = await hedgerow("rotate-key", settings=settings, folder=tmp_path)
    made = key_file.read_text()
    second = await hedgerow("rotate-key", settings=settings, folder=tmp_path)
    assert (first.code, second.code) == (0, 0)
    assert "A new master key is in place; 0 keys are wrapped with it." in second.out
    assert key_file.read_text() != made
    assert [path.name for path in tmp_path.glob("hedgerow.key*")] == ["hedgerow.key"]

    asked = await hedgerow("forget-keys", settings=settings, folder=tmp_path)
    assert is_a_clear_refusal(asked, 1)
    assert "--yes" in asked.err
    done = await hedgerow("forget-keys", "--yes", settings=settings, folder=tmp_path)
    assert (done.code, done.out.split(".")[0]) == (0, "0 keys are deleted here")


@pytest.mark.parametrize("command", ["run", "check", "rotate-key"])
async def test_a_master_key_that_others_can_read_stops_the_start(
    tmp_path: Path, market: Path, command: str
) -> None:
    settings = on_paper(tmp_path, market)
    await hedgerow("rotate-key", settings=settings, folder=tmp_path)
    (tmp_path / "hedgerow.key").chmod(0o644)
    finished = await hedgerow(command, settings=settings, folder=tmp_path)
    assert finished.code in {1, 2}
    said = finished.out + finished.err
    assert "Traceback" not in said
    assert "chmod 600" in said


async def test_a_key_typed_into_a_script_is_not_repeated(tmp_path: Path, market: Path) -> None:
    canary = "3f9ad1c07be24586a0c1e2d3f4051627"
    script = f"here is {canary}\n/status\n"
    finished = await hedgerow("run", settings=on_paper(tmp_path, market), folder=tmp_path, typed=script)
    assert finished.code == 0, finished.err
    assert "That looked like a key" in finished.out
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("hedgerow.db*"))
    assert canary.encode() not in stored
    assert canary not in finished.err


async def test_version_and_help_need_no_settings(tmp_path: Path) -> None:
    wrong = {"HEDGEROW_PAPER__SPEED": "fast"}
    version, help_ = await asyncio.gather(
        hedgerow("--version", settings=wrong, folder=tmp_path),
        hedgerow("--help", settings=wrong, folder=tmp_path),
    )
    assert version.code == help_.code == 0
    assert version.out.startswith("hedgerow ")
    assert all(command in help_.out for command in ("run", "demo", "check", "backup", "restore", "invite"))


async def test_an_unknown_command_is_refused_with_the_usage(tmp_path: Path) -> None:
    finished = await hedgerow("hedge", settings={}, folder=tmp_path)
    assert is_a_clear_refusal(finished, 2)
    assert "usage: hedgerow" in finished.err
