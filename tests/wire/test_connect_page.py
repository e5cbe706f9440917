"""The one-time page: who may use it, how often, and what it gives away."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from chatbot.errors import VenueUnavailable
from tests.dialogs.harness import ANN, BOB, NOON
from tests.exchanges import key
from tests.wire.connect_rig import ConnectRig, a_connect_rig
from tests.wire.test_init_data import signed

SECRET = "sEcReT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3aB4cD5eF6gH7iJ8kL9"
IN_APP = "Open the page here"
AUTH_DATE = str(int(NOON.timestamp()))


@pytest.fixture
async def rig() -> AsyncIterator[ConnectRig]:
    async with a_connect_rig() as rig:
        yield rig


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def form(api_key: str = "", secret: str = SECRET, **more: str) -> dict[str, str]:
    return {"api_key": api_key or key(), "api_secret": secret, **more}


async def get(browser: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with browser.get(url) as answer:
        return answer.status, await answer.text()


async def post(browser: aiohttp.ClientSession, url: str, data: dict[str, str]) -> tuple[int, str]:
    async with browser.post(url, data=data) as answer:
        return answer.status, await answer.text()


async def test_with_a_public_address_the_key_is_not_asked_for_in_the_chat(rig: ConnectRig) -> None:
    card = await rig.offered()
    assert "Then enter it on my own page, not in this chat." in card.text
    assert card.labels == [IN_APP, "Open it in the browser", "Type it here instead"]
    assert await rig.dialog.reads("hello") == "I listen to commands; /help lists them."


async def test_typing_it_into_the_chat_stays_possible(rig: ConnectRig) -> None:
    card = await rig.offered()
    await rig.dialog.taps(card, "Type it here instead")
    assert "Now send the API key." in card.text


async def test_the_page_connects_and_the_chat_shows_the_account(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    rig.exchanges.knows(key())
    url = await rig.link()
    status, page = await get(browser, url)
    assert (status, "<h1>Connect Binance</h1>" in page) == (200, True)

    status, page = await post(browser, url, form())

    assert status == 200
    assert "key ending in kkkk" in page
    assert key() not in page
    await rig.dialog.settle()
    assert rig.dialog.latest.text.startswith("✅ binance is connected · key …kkkk")
    assert rig.dialog.latest.labels == ["Use binance", "Accounts"]


async def test_the_link_works_once(rig: ConnectRig, browser: aiohttp.ClientSession) -> None:
    rig.exchanges.knows(key("a"))
    rig.exchanges.knows(key("b"))
    card = await rig.offered()
    url = rig.address(card)
    await post(browser, url, form(key("a")))
    for used in (url, rig.address(card, IN_APP)):
        assert (await get(browser, used))[0] == 410
        assert (await post(browser, used, form(key("b"))))[0] == 410
    assert len(rig.exchanges.asked) == 1


async def test_two_taps_on_connect_are_one(rig: ConnectRig, browser: aiohttp.ClientSession) -> None:
    rig.exchanges.knows(key())
    url = await rig.link()
    answers = await asyncio.gather(*(post(browser, url, form()) for _ in range(4)))
    assert sorted(status for status, _ in answers) == [200, 410, 410, 410]
    assert len(rig.exchanges.asked) == 1


async def test_looking_uses_nothing_up(rig: ConnectRig, browser: aiohttp.ClientSession) -> None:
    rig.exchanges.knows(key())
    url = await rig.link()
    for _ in range(20):
        assert (await get(browser, url))[0] == 200
    assert (await post(browser, url, form()))[0] == 200


async def test_the_link_expires_after_five_minutes(rig: ConnectRig, browser: aiohttp.ClientSession) -> None:
    url = await rig.link()
    await rig.dialog.clock.advance(300)
    status, page = await get(browser, url)
    assert (status, "has expired" in page) == (410, True)
    assert (await post(browser, url, form()))[0] == 410
    assert rig.exchanges.asked == []


async def test_a_new_link_takes_the_place_of_the_old_one(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    old = await rig.link()
    new = await rig.link()
    assert (await get(browser, old))[0] == 410
    assert (await get(browser, new))[0] == 200


async def test_a_refused_key_may_be_tried_again_but_not_for_ever(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    url = await rig.link()
    for _ in range(4):
        status, page = await post(browser, url, form())
        assert status == 422
        assert "does not accept this key" in page
        assert key() not in page
        assert SECRET not in page
    status, page = await post(browser, url, form())
    assert status == 410
    assert "does not accept this key" in page
    assert (await get(browser, url))[0] == 410


async def test_an_exchange_that_is_away_is_said_and_the_link_stays_good(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    rig.exchanges.reports[key()] = VenueUnavailable()
    url = await rig.link()
    status, page = await post(browser, url, form())
    assert (status, "cannot be reached just now" in page) == (422, True)
    rig.exchanges.knows(key())
    assert (await post(browser, url, form()))[0] == 200


async def test_what_is_left_to_ask_waits_in_the_chat(rig: ConnectRig, browser: aiohttp.ClientSession) -> None:
    rig.exchanges.knows(key(), can_move_funds=None)
    status, page = await post(browser, await rig.link(), form())
    assert (status, "Almost done" in page) == (200, True)
    await rig.dialog.settle()
    await rig.dialog.taps(rig.dialog.latest, "Yes, I checked")
    assert "binance is connected" in rig.dialog.latest.text


async def test_a_passphrase_is_asked_for_where_there_is_one(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    okx = rig.exchanges.knows("9a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")
    url = await rig.link("okx")
    _, page = await get(browser, url)
    assert 'id="passphrase"' in page
    secret = "3F9AD1C07BE24586A0C1E2D3F4051627"
    assert "The passphrase is missing." in (await post(browser, url, form(okx, secret)))[1]
    assert (await post(browser, url, form(okx, secret, passphrase="my pass")))[0] == 200


# --- within the messenger -------------------------------------------------------------------------


async def test_within_telegram_the_page_believes_telegram_only(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    rig.exchanges.knows(key())
    url = await rig.link(label=IN_APP)
    mallory = signed(user='{"id":666}', auth_date=AUTH_DATE)
    for proof in ("", "garbage", mallory, signed(token="1:x", user='{"id":1}', auth_date=AUTH_DATE)):
        status, page = await post(browser, url, form(init_data=proof))
        assert (status, "does not say that it is you" in page) == (410, True)
    assert rig.exchanges.asked == []

    ann = signed(user='{"id":1}', auth_date=AUTH_DATE)
    assert (await post(browser, url, form(init_data=ann)))[0] == 200


async def test_what_telegram_said_is_kept_while_the_form_is_shown_again(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    url = await rig.link(label=IN_APP)
    ann = signed(user='{"id":1}', auth_date=AUTH_DATE)
    _, page = await post(browser, url, form(init_data=ann))
    field = re.search(r'id="init_data" value="([^"]*)"', page)
    assert field is not None
    assert field[1].replace("&amp;", "&") == ann


# --- strangers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/connect/" + "A" * 43, "/connect/short", "/connect/", "/", "/connect/-/x.css"]
)
async def test_whoever_has_no_link_finds_nothing(
    rig: ConnectRig, browser: aiohttp.ClientSession, path: str
) -> None:
    status, _ = await get(browser, f"http://127.0.0.1:{rig.server.port}{path}")
    assert status in {404, 410}


async def test_a_form_sent_from_another_site_is_refused(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    url = await rig.link()
    async with browser.post(url, data=form(), headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert answer.status == 403
    assert rig.exchanges.asked == []


async def test_a_form_that_is_far_too_long_is_refused(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    assert (await post(browser, await rig.link(), form("x" * 20_000)))[0] == 413
    assert rig.exchanges.asked == []


async def test_what_is_typed_in_is_never_taken_for_markup(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    _, page = await post(browser, await rig.link(), form(init_data='"><script>alert(1)</script>'))
    assert "<script>alert" not in page


async def test_the_key_of_one_user_does_not_get_into_anothers_chat(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    rig.exchanges.knows(key())
    await rig.dialog.says("/start", by=BOB)
    url = await rig.link()
    await post(browser, url, form())
    await rig.dialog.settle()
    assert rig.dialog.latest.chat.id == ANN.id


# --- headers, and what is stored ------------------------------------------------------------------


async def test_every_page_is_sent_with_its_guards(rig: ConnectRig, browser: aiohttp.ClientSession) -> None:
    url = await rig.link()
    for asked in (browser.get(url), browser.post(url, data=form()), browser.get(url[:-1] + "_")):
        async with asked as answer:
            headers = answer.headers
            assert headers["Cache-Control"] == "no-store"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Strict-Transport-Security"].startswith("max-age=")
            assert headers["X-Content-Type-Options"] == "nosniff"
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors https://web.telegram.org" in policy


async def test_the_page_loads_nothing_from_anybody_else(
    rig: ConnectRig, browser: aiohttp.ClientSession
) -> None:
    _, page = await get(browser, await rig.link())
    assert re.findall(r"(?:src|href|action)=\"([^\"]+)\"", page) == ["-/page.css", "-/page.js"]
    assert "style=" not in page
    assert re.search(r"\son\w+=", page) is None


async def test_a_page_may_live_under_a_path() -> None:
    async with a_connect_rig("https://example.com/hedgerow") as rig, aiohttp.ClientSession() as browser:
        card = await rig.offered()
        url = rig.dialog.bot.keys.page_url(card.button(IN_APP).ticket)
        assert url.startswith("https://example.com/hedgerow/connect/")
        here = url.replace("https://example.com", f"http://127.0.0.1:{rig.server.port}")
        assert (await get(browser, here))[0] == 200
        style = here.rpartition("/")[0] + "/-/page.css"
        assert (await get(browser, style))[0] == 200


async def test_no_token_is_in_the_database(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/t.db"
    async with a_connect_rig(database_url=url) as rig:
        card = await rig.offered()
        tokens = [rig.address(card, label).rpartition("/")[2] for label in card.labels[:2]]
        stored = b"".join(path.read_bytes() for path in tmp_path.glob("t.db*"))
        connection = sqlite3.connect(tmp_path / "t.db")
        kinds = connection.execute("SELECT kind FROM tickets WHERE used_at IS NULL ORDER BY kind").fetchall()
        connection.close()
    assert kinds == [("app",), ("link",)]
    assert [len(token) for token in tokens] == [43, 43]
    assert not any(token.encode() in stored for token in tokens)
