"""The one-time page in a real browser: what a person sees, and what the page's own policy lets happen."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright import async_api as playwright

from tests.exchanges import key
from tests.wire.connect_rig import ConnectRig, a_connect_rig
from tests.wire.test_connect_page import AUTH_DATE, IN_APP, SECRET
from tests.wire.test_init_data import signed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="there is no chromium here (Debian: apt-get install chromium)"
    ),
]


@pytest.fixture
async def rig() -> AsyncIterator[ConnectRig]:
    async with a_connect_rig() as rig:
        yield rig


class Window:
    """A page of a phone's size; ``complaints`` are its errors, blocked loads and foreign addresses."""

    def __init__(self, page: playwright.Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: playwright.ConsoleMessage) -> None:
        # A form that comes back with 422 is written to the console as a failed load.
        if message.type in {"error", "warning"} and "status of 4" not in message.text:
            self.complaints.append(message.text)

    def _on_request(self, request: playwright.Request) -> None:
        if not request.url.startswith("http://127.0.0.1:"):
            self.complaints.append(f"asked {request.url}")

    async def connects(self, api_key: str, secret: str = SECRET) -> None:
        await self.page.get_by_label("API key", exact=True).fill(api_key)
        await self.page.get_by_label("Secret", exact=True).fill(secret)
        async with self.page.expect_navigation():
            await self.page.get_by_role("button", name="Connect").click()

    async def keeps_a_picture(self, name: str) -> None:
        """Where a person wants to look at them: CONNECT_PICTURES=folder."""
        folder = os.environ.get("CONNECT_PICTURES")
        if folder:
            await self.page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)


@pytest.fixture(params=["light", "dark"])
async def window(request: pytest.FixtureRequest) -> AsyncIterator[Window]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        page = await browser.new_page(
            viewport={"width": 390, "height": 844}, device_scale_factor=2, color_scheme=request.param
        )
        shown = Window(page)
        yield shown
        await browser.close()
        assert shown.complaints == []


async def test_a_person_connects_an_account(
    rig: ConnectRig, window: Window, request: pytest.FixtureRequest
) -> None:
    scheme = "dark" if "dark" in request.node.name else "light"
    rig.exchanges.knows(key())
    page = window.page
    await page.goto(await rig.link())
    assert await page.title() == "Connect Binance · Hedgerow"
    await window.keeps_a_picture(f"form-{scheme}")

    await window.connects("a-wrong-key")
    problem = page.get_by_role("alert")
    assert "does not accept this key" in await problem.inner_text()
    assert await page.get_by_label("Secret", exact=True).input_value() == ""
    await window.keeps_a_picture(f"refused-{scheme}")

    await window.connects(key())
    assert await page.get_by_role("heading").inner_text() == "Connected"
    assert "kkkk" in await page.content()
    assert key() not in await page.content()
    await window.keeps_a_picture(f"done-{scheme}")
    await rig.dialog.settle()
    assert "binance is connected" in rig.dialog.latest.text


async def test_what_is_typed_is_hidden_until_it_is_asked_to_be_shown(rig: ConnectRig, window: Window) -> None:
    page = window.page
    await page.goto(await rig.link())
    secret = page.get_by_label("Secret", exact=True)
    assert await secret.get_attribute("type") == "password"
    assert await secret.get_attribute("autocomplete") == "off"
    await page.get_by_role("button", name="Show the Secret").click()
    assert await secret.get_attribute("type") == "text"


async def test_the_page_is_as_wide_as_the_phone(rig: ConnectRig, window: Window) -> None:
    await window.page.goto(await rig.link("okx"))
    assert await window.page.evaluate("document.documentElement.scrollWidth") == 390
    assert await window.page.get_by_label("Passphrase of the key", exact=True).count() == 1
    small = await window.page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), .main')]"
        ".filter(e => e.getBoundingClientRect().height < 44).length"
    )
    assert small == 0, "a finger needs 44 pixels"


async def test_within_telegram_the_page_hands_on_who_opened_it(rig: ConnectRig, window: Window) -> None:
    rig.exchanges.knows(key())
    proof = signed(user='{"id":1}', auth_date=AUTH_DATE)
    url = await rig.link(label=IN_APP)
    await window.page.goto(f"{url}#tgWebAppData={encoded(proof)}&tgWebAppVersion=9.1")

    await window.connects("a-wrong-key")
    await window.connects(key())

    assert await window.page.get_by_role("heading").inner_text() == "Connected"


async def test_a_link_that_is_used_up_says_what_to_do(rig: ConnectRig, window: Window) -> None:
    old = await rig.link()
    await rig.link()
    await window.page.goto(old)
    assert "Write /connect in the chat for a new one." in await window.page.inner_text("main")


def encoded(text: str) -> str:
    return quote(text, safe="")
