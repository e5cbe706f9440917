"""What the bot itself must not give away, pasted, refused, repeated by others and logged at DEBUG: nowhere.

The program runs as it does for its operator; it dies by SIGKILL, so that every file is left as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from chatbot.storage import schema
from chatbot.storage.master_key import MasterKey
from tests.crash.grounds import tables_of
from tests.crash.upgrades import NAME, as_of
from tests.e2e.market import still_market
from tests.e2e.nursery import Nursery, Order
from tests.e2e.phone import PATIENCE, Phone, at_rest
from tests.e2e.program import free_port, hedgerow, on_paper, on_telegram
from tests.e2e.test_webhook import post, update
from tests.postgres.server import Server
from tests.wire.bot_api import LoopbackBotApi

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

USER = 7
ADVICE = "That looked like a key"
TOKEN = "110201543:AAc4n4ry-T0ken_GWJxfSeofSAs0K5PALDs"
WEBHOOK_SECRET = "c4n4ry-webhook-secret"
PASSWORD = "c4n4ry-p@ss/word"  # with what has to be escaped in an address
ESCAPED = "c4n4ry-p%40ss%2Fword"
MASTER_KEY = MasterKey(b"c4n4ry-of-the-master-key-32-byte").text
# Of exchanges that are not asked for, in the shapes that they have.
STRAYS = (
    "c4N4rY7aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzA1bC2dE3fG4hJ5kL6mN7pQ89",
    "9a1b2c3d-4e5f-6071-8293-c4a4a5b6d7e8",
    "postgresql://hedgerow:0ther-c4n4ry@db.example.com/hedgerow",
)
OWN = (TOKEN, MASTER_KEY)
NEVER_SAID = (*OWN, *STRAYS)


def settings_of(api: LoopbackBotApi, folder: Path, **more: str) -> dict[str, str]:
    paper = on_paper(
        folder, still_market(folder / "market.csv"), MASTER_KEY=MASTER_KEY, LOG__LEVEL="DEBUG", **more
    )
    return paper | on_telegram(api, [USER])


FORMS = ("{}", "look what I found:\n  {}", "/open {} long")


def pasted(*secrets: str) -> list[str]:
    return [form.format(secret) for secret in secrets for form in FORMS]


def found_in(folder: Path, secrets: tuple[str, ...]) -> list[str]:
    """The files, by name, with what they give away."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [f"{p.name}: {secret}" for p in files for secret in secrets if secret.encode() in p.read_bytes()]


def said(api: LoopbackBotApi, secrets: tuple[str, ...]) -> list[str]:
    """To Telegram, but for the secret that it is to send with each update."""
    words = json.dumps(
        [dict(c.parameters) for c in api.calls if c.method not in ("getUpdates", "setWebhook")]
    )
    return [secret for secret in secrets if secret in words]


def trouble_with(api: LoopbackBotApi) -> None:
    """Telegram's refusals repeat what was sent, as careless gateways do."""
    told = f"refused by /bot{TOKEN}/sendMessage for {WEBHOOK_SECRET} and {MASTER_KEY}"
    api.refuse("sendMessage", 502, told, times=2)
    api.refuse("sendMessage", 400, f"Bad Request: {told}", times=1)
    api.refuse("editMessageText", 400, f"Bad Request: {told}", times=1)
    api.refuse("getUpdates", 500, told, times=2)
    api.lose_reply("sendMessage", times=1)


async def is_told_so(phone: Phone, texts: list[str]) -> None:
    """All at once; each is answered for."""
    for text in texts:
        phone.says(text)
    await phone.api.wait_for(
        lambda _: sum(ADVICE in message.text for message in phone.messages) >= len(texts), timeout=PATIENCE
    )


async def test_nothing_gives_away_a_secret_of_the_bot(nursery: Nursery, tmp_path: Path) -> None:
    async with LoopbackBotApi(token=TOKEN) as api:
        phone = Phone(api, USER)
        child = await nursery.bear(Order(settings_of(api, tmp_path), str(tmp_path)))
        await phone.asks("/start", "Hedgerow")
        await is_told_so(phone, pasted(*NEVER_SAID))
        await phone.asks("/connect okx", "Now send the API key")
        await phone.asks(TOKEN, "Taken. Now")
        await phone.asks("/cancel", "Nothing was stored")
        trouble_with(api)
        for number in range(4):
            phone.says(f"/open {number} BTC long")
        await phone.asks("/status", "Nothing is open")
        await at_rest(phone, tmp_path)
        await child.kill()
        assert "DEBUG" in child.log
        assert "Traceback" in child.log, "Telegram's refusals are logged with all that they say"
        assert found_in(tmp_path, NEVER_SAID) == []
        assert said(api, NEVER_SAID) == []
        assert not [m.text for m in api.chat_log(USER) if any(secret in m.text for secret in NEVER_SAID)]


async def test_a_webhook_gives_away_none_either(nursery: Nursery, tmp_path: Path) -> None:
    port = free_port()
    async with LoopbackBotApi(token=TOKEN) as api:
        settings = settings_of(
            api,
            tmp_path,
            TELEGRAM__WEBHOOK_URL="https://bot.example.com/telegram",
            TELEGRAM__WEBHOOK_SECRET=WEBHOOK_SECRET,
            HTTP__PORT=str(port),
        )
        phone = Phone(api, USER)
        child = await nursery.bear(Order(settings, str(tmp_path)))
        await api.wait_for(lambda _: api.webhook.url, timeout=PATIENCE)
        texts = pasted(WEBHOOK_SECRET)
        assert await post(port, f"{WEBHOOK_SECRET}x", update(1, "/start")) == 403
        for number, text in enumerate(texts, start=2):
            assert await post(port, WEBHOOK_SECRET, update(number, text)) == 200
        await api.wait_for(
            lambda _: sum(ADVICE in message.text for message in phone.messages) == len(texts),
            timeout=PATIENCE,
        )
        await child.kill()
        assert found_in(tmp_path, (*OWN, WEBHOOK_SECRET)) == []
        assert said(api, (*OWN, WEBHOOK_SECRET)) == []


async def test_neither_does_a_server_that_cannot_be_reached(tmp_path: Path) -> None:
    """The address of a database carries a password, and every complaint of a driver may carry the address."""
    async with LoopbackBotApi(token=TOKEN) as api:
        url = f"postgresql+asyncpg://canary:{ESCAPED}@127.0.0.1:{free_port()}/hedgerow"
        settings = settings_of(api, tmp_path, DATABASE_URL=url)
        for command in ("run", "check"):
            finished = await hedgerow(command, settings=settings, folder=tmp_path)
            assert finished.code != 0
            assert "Traceback" not in finished.err
            no_password(finished.out + finished.err)
    assert found_in(tmp_path, (PASSWORD, ESCAPED)) == []


async def test_nor_one_that_runs(nursery: Nursery, postgres: Server, tmp_path: Path) -> None:
    postgres.execute("DROP DATABASE IF EXISTS guarded WITH (FORCE)")
    postgres.execute("DROP ROLE IF EXISTS guarded")
    postgres.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{PASSWORD}'")
    postgres.execute("CREATE DATABASE guarded OWNER guarded")
    url = f"postgresql+asyncpg://guarded:{ESCAPED}@/guarded?host={postgres.folder}"
    async with LoopbackBotApi(token=TOKEN) as api:
        wrong = settings_of(api, tmp_path, DATABASE_URL=url.replace(ESCAPED, f"{ESCAPED}x"))
        refused = await hedgerow("check", settings=wrong, folder=tmp_path)
        assert "password" in refused.out
        no_password(refused.out + refused.err)
        phone = Phone(api, USER)
        settings = settings_of(api, tmp_path, DATABASE_URL=url, PAPER__STATE_FILE=str(tmp_path / "paper.db"))
        child = await nursery.bear(Order(settings, str(tmp_path)))
        await phone.asks("/start", "Hedgerow")
        await is_told_so(phone, pasted(PASSWORD, url))
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'guarded'")
        await phone.asks("/status", "Nothing is open")
        await child.kill()
        assert found_in(tmp_path, (PASSWORD, ESCAPED)) == []
        assert said(api, (PASSWORD, ESCAPED)) == []
    no_password(repr(tables_of(url)))


async def test_the_backup_of_an_upgrade_holds_none(nursery: Nursery, tmp_path: Path) -> None:
    async with LoopbackBotApi(token=TOKEN) as api:
        phone = Phone(api, USER)
        child = await nursery.bear(Order(settings_of(api, tmp_path), str(tmp_path)))
        await phone.asks("/start", "Hedgerow")
        await is_told_so(phone, pasted(*OWN))
        await child.kill()
        old = tmp_path / "old"
        old.mkdir()
        as_of(schema.REVISIONS[0], tmp_path / NAME, old / NAME)
        finished = await hedgerow("check", settings=settings_of(api, old), folder=old)
    assert "database   fine" in finished.out
    assert list(old.glob(f"{NAME}.bak-*"))
    assert found_in(tmp_path, NEVER_SAID) == []


@pytest.mark.parametrize("secret", [MASTER_KEY, TOKEN, STRAYS[0]])
async def test_the_terminal_keeps_none(tmp_path: Path, secret: str) -> None:
    settings: Mapping[str, str] = on_paper(
        tmp_path, still_market(tmp_path / "market.csv"), MASTER_KEY=MASTER_KEY, LOG__LEVEL="DEBUG"
    )
    typed = f"/start\nlook: {secret}\n/connect okx\n{secret}\n/cancel\n"
    finished = await hedgerow("run", settings=settings, folder=tmp_path, typed=typed)
    assert secret not in finished.out + finished.err
    assert found_in(tmp_path, (secret,)) == []


def no_password(text: str) -> None:
    assert PASSWORD not in text
    assert ESCAPED not in text
