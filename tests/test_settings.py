from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.errors import SettingsError
from chatbot.log import LogFormat, LogLevel
from chatbot.settings import (
    LiveMarket,
    PaperSettings,
    ReplayMarket,
    Settings,
    SimulatedMarket,
    load_settings,
    setting_names,
)

TOKEN = "123456789:AAHnotarealtokenbutofitsshape_0123456"


def load(**variables: str) -> Settings:
    return load_settings(
        env_file=None, environ={f"HEDGEROW_{name}": text for name, text in variables.items()}
    )


def complaints(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    return caught.value.message.splitlines()


def complaint(**variables: str) -> str:
    (line,) = complaints(**variables)
    return line


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = load()

    assert settings == Settings()
    assert settings.telegram.token is None
    assert settings.telegram.api_url == "https://api.telegram.org"
    assert settings.allowed_users == frozenset()
    assert settings.paper.market == SimulatedMarket()
    assert (settings.paper.speed, settings.paper.seed) == (Decimal(1), 7)
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert (settings.quote.lifetime_seconds, settings.quote.band) == (60, Decimal("0.003"))


def test_the_environment_reaches_every_section(tmp_path: Path) -> None:
    settings = load(
        TELEGRAM__TOKEN=TOKEN,
        TELEGRAM__SHOW_BALANCES_IN_GROUPS="true",
        ALLOWED_USERS="telegram:123, discord:456,",
        DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/h.db",
        PAPER__MARKET="live:OKX",
        PAPER__SPEED="0.5",
        VENUES__BINANCE__API_URL="http://127.0.0.1:9000/",
        LOG__FORMAT="JSON",
        LOG__LEVEL="debug",
        QUOTE__BAND="0.01",
    )

    assert settings.telegram.token is not None
    assert settings.telegram.token.get_secret_value() == TOKEN
    assert settings.telegram.show_balances_in_groups
    assert settings.allowed_users == {UserRef(Platform.TELEGRAM, "123"), UserRef(Platform.DISCORD, "456")}
    assert settings.database_path == tmp_path / "h.db"
    assert settings.paper.market == LiveMarket("okx")
    assert settings.paper.speed == Decimal("0.5")
    assert settings.venues["binance"].api_url == "http://127.0.0.1:9000"
    assert (settings.log.format, settings.log.level) == (LogFormat.JSON, LogLevel.DEBUG)
    assert settings.quote.band == Decimal("0.01")


def test_an_empty_variable_means_the_default() -> None:
    assert load(TELEGRAM__TOKEN="", PAPER__SPEED=" ") == Settings()


@pytest.mark.parametrize(("number", "private"), [("42", True), ("-1001234", False)])
def test_the_operators_chat_is_a_person_or_a_group(number: str, private: bool) -> None:
    settings = load(TELEGRAM__TOKEN=TOKEN, OPERATOR_CHAT=f"telegram:{number}")

    assert settings.operator_chat == ChatRef(Platform.TELEGRAM, number, private)


def test_probes_are_off_and_would_be_on_this_machine_only() -> None:
    assert (load().ops.host, load().ops.port) == ("127.0.0.1", None)
    assert load(OPS__PORT="9464").ops.host == "127.0.0.1"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("# mine\nOTHER=1\nexport HEDGEROW_PAPER__SEED='11'\nHEDGEROW_HTTP__PORT=9000\n")

    settings = load_settings(env_file, {"HEDGEROW_HTTP__PORT": "9001", "PATH": "x"})

    assert settings.paper.seed == 11
    assert settings.http.port == 9001


def test_a_missing_file_is_no_mistake(tmp_path: Path) -> None:
    assert load_settings(tmp_path / ".env", {}) == Settings()


@pytest.mark.parametrize(
    "line", ["HEDGEROW_LOG__LEVEL DEBUG", "HEDGEROW_LOG__LEVEL", "HEDGEROW_LOG__LEVEL='DEBUG"]
)
def test_a_line_that_is_no_assignment_is_named(tmp_path: Path, line: str) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text(f"HEDGEROW_PAPER__SEED=1\n{line}\n")

    with pytest.raises(SettingsError, match=r"line 2: is not NAME=value\. Example: HEDGEROW_LOG__LEVEL=INFO"):
        load_settings(env_file, {})


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {})


def test_settings_are_frozen() -> None:
    settings = load()

    with pytest.raises(ValidationError):
        settings.database_url = "sqlite+aiosqlite://"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.http.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("TELGRAM__TOKEN", "TELEGRAM__TOKEN"),
        ("TELEGRAM_TOKEN", "TELEGRAM__TOKEN"),
        ("TELEGRAM__TOKEN_", "TELEGRAM__TOKEN"),
        ("ALLOWED_USER", "ALLOWED_USERS"),
        ("PAPER_MARKET", "PAPER__MARKET"),
        ("VENUE__OKX__API_URL", "VENUES__OKX__API_URL"),
        ("VENUES__BYBIT__API_URI", "VENUES__BYBIT__API_URL"),
        ("LOG_LEVEL", "LOG__LEVEL"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_right_one(name: str, right: str) -> None:
    line = complaint(**{name: TOKEN})

    assert line.startswith(f"HEDGEROW_{name}: is not a setting; did you mean HEDGEROW_{right}? Example: ")
    assert TOKEN not in line


def test_a_name_like_none_of_ours_gets_no_guess() -> None:
    assert complaint(DISCORD__TOKEN="x").startswith("HEDGEROW_DISCORD__TOKEN: is not a setting; .env.example")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("TELEGRAM__TOKEN", "secret", "is not a bot token"),
        ("TELEGRAM__API_URL", "api.telegram.org", "should be an address"),
        ("TELEGRAM__API_URL", "http://[::1", "should be an address"),
        ("TELEGRAM__WEBHOOK_SECRET", "short", "should be 16 to 256"),
        ("TELEGRAM__SHOW_BALANCES_IN_GROUPS", "maybe", "should be a valid boolean"),
        ("ALLOWED_USERS", "telegram:bob", "should list telegram:NUMBER"),
        ("ALLOWED_USERS", "console:1", "should list telegram:NUMBER"),
        ("DATABASE_URL", "sqlite:///hedgerow.db", "should begin with sqlite+aiosqlite:///"),
        ("DATABASE_URL", "postgresql://bot@db/hedgerow", "should begin with sqlite+aiosqlite:///"),
        ("DATABASE_URL", "postgresql+asyncpg://bot@db", "should be postgresql+asyncpg://USER:PASSWORD@HOST"),
        ("DATABASE_URL", "postgresql+asyncpg://bot:a/b@db/hedgerow", "should be postgresql+asyncpg://USER"),
        ("DATABASE_URL", "postgresql+asyncpg://db/h?password=x", "should have user and password before"),
        ("DATABASE_URL", "sqlite+aiosqlite:///", "names no file: all would be forgotten"),
        ("PAPER__MARKET", "random", "should be simulated, replay:PATH or live:VENUE"),
        ("PAPER__MARKET", "replay:no-such-file.csv", "there is no file 'no-such-file.csv'"),
        ("PAPER__MARKET", "live:", "should be simulated"),
        ("PAPER__SPEED", "0", "should be greater than 0"),
        ("PAPER__SPEED", "NaN", "should be a finite number"),
        ("PAPER__SEED", "seven", "should be a valid integer"),
        ("VENUES__OKX__API_URL", "https://okx.example/api", "should be scheme and host only"),
        ("OPS__PORT", "9464.5", "should be a valid integer"),
        ("OPS__PORT", "70000", "should be less than or equal to 65535"),
        ("OPERATOR_CHAT", "123456", "should be telegram:NUMBER"),
        ("OPERATOR_CHAT", "telegram:@me", "should be telegram:NUMBER"),
        ("OPERATOR_CHAT", "console:local", "should be telegram:NUMBER"),
        ("OPERATOR_CHAT", "telegram:5", "cannot be told anything while HEDGEROW_TELEGRAM__TOKEN is not set"),
        ("HTTP__PORT", "65536", "should be less than or equal to 65535"),
        ("HTTP__PUBLIC_URL", "http://bot.example.com", "should begin with https://"),
        ("HTTP__PUBLIC_URL", "https://me:pw@bot.example.com", "should have no user and no password in it"),
        ("LOG__FORMAT", "xml", "should be 'text' or 'json'"),
        ("LOG__LEVEL", "LOUD", "should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("QUOTE__LIFETIME_SECONDS", "0", "should be greater than 0"),
        ("QUOTE__BAND", "1", "should be less than 1"),
    ],
)
def test_a_wrong_value_is_one_line_with_name_reason_and_example(name: str, text: str, reason: str) -> None:
    line = complaint(**{name: text})

    assert line.startswith(f"HEDGEROW_{name}: {reason}")
    assert f" Example: HEDGEROW_{name}=" in line


def test_all_mistakes_are_told_at_once() -> None:
    lines = complaints(HTTP__PORT="x", LOG__FORMAT="x", TELGRAM__TOKEN="x")

    assert [line.partition(":")[0] for line in lines] == [
        "HEDGEROW_HTTP__PORT",
        "HEDGEROW_LOG__FORMAT",
        "HEDGEROW_TELGRAM__TOKEN",
    ]


def test_probes_and_pages_cannot_share_a_port() -> None:
    pages = {"HTTP__PUBLIC_URL": "https://bot.example.com", "HTTP__PORT": "9464"}

    line = complaint(**pages, OPS__PORT="9464")

    assert line.startswith("HEDGEROW_OPS__PORT: is the port of the pages for users, HEDGEROW_HTTP__PORT")
    assert load(OPS__PORT="9464", HTTP__PORT="9464").ops.port == 9464, "without pages nothing is there"
    assert load(**pages, OPS__PORT="9465").ops.port == 9465


@pytest.mark.parametrize(("host", "clash"), [("0.0.0.0", True), ("localhost", True), ("10.0.0.7", False)])  # noqa: S104
def test_a_port_is_taken_on_every_address_that_meets_it(host: str, *, clash: bool) -> None:
    given = {"HTTP__PUBLIC_URL": "https://bot.example.com", "HTTP__PORT": "9464", "HTTP__HOST": host}

    with pytest.raises(SettingsError) if clash else nullcontext():
        load(**given, OPS__PORT="9464")


def test_a_webhook_needs_its_secret() -> None:
    url = "https://bot.example.com/hook"

    assert complaint(TELEGRAM__WEBHOOK_URL=url).startswith(
        "HEDGEROW_TELEGRAM__WEBHOOK_SECRET: is needed because HEDGEROW_TELEGRAM__WEBHOOK_URL is set."
    )
    assert (
        load(TELEGRAM__WEBHOOK_URL=url, TELEGRAM__WEBHOOK_SECRET="0123456789abcdef").telegram.webhook_url
        == url
    )


def test_a_webhook_must_be_encrypted() -> None:
    line = complaint(
        TELEGRAM__WEBHOOK_URL="http://bot.example.com", TELEGRAM__WEBHOOK_SECRET="0123456789abcdef"
    )

    assert line.startswith("HEDGEROW_TELEGRAM__WEBHOOK_URL: should begin with https://")


def test_secrets_are_never_repeated() -> None:
    secret = "no-token-at-all!"
    shown = complaint(TELEGRAM__TOKEN=secret) + complaint(TELEGRAM__WEBHOOK_SECRET=secret)
    settings = load(TELEGRAM__TOKEN=TOKEN)

    assert secret not in shown
    assert TOKEN not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secrets == (TOKEN,)


def test_a_recording_to_replay_must_exist(tmp_path: Path) -> None:
    recording = tmp_path / "prices: May.csv"
    recording.write_text("at,price\n")

    assert load(PAPER__MARKET=f"replay:{recording}").paper.market == ReplayMarket(recording)


@pytest.mark.parametrize(
    ("url", "database", "state"),
    [
        ("sqlite+aiosqlite:///hedgerow.db", "hedgerow.db", "hedgerow-paper.db"),
        ("sqlite+aiosqlite:////srv/bot/h.db?timeout=5", "/srv/bot/h.db", "/srv/bot/hedgerow-paper.db"),
        ("sqlite+aiosqlite:///:memory:", None, None),
        ("postgresql+asyncpg://bot:word@db:6432/hedgerow", None, "hedgerow-paper.db"),
        ("sqlite+aiosqlite://", None, None),
    ],
)
def test_the_paper_state_lies_beside_the_database(url: str, database: str | None, state: str | None) -> None:
    settings = load(DATABASE_URL=url)

    assert settings.database_path == (Path(database) if database else None)
    assert settings.paper_state_path == (Path(state) if state else None)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("sqlite+aiosqlite:///hedgerow.db", "hedgerow.key"),
        ("sqlite+aiosqlite:////srv/bot/h.db", "/srv/bot/hedgerow.key"),
        ("postgresql+asyncpg://bot:word@db:6432/hedgerow", "hedgerow.key"),
        ("sqlite+aiosqlite://", None),
    ],
)
def test_the_master_key_lies_beside_the_database(url: str, key: str | None) -> None:
    assert load(DATABASE_URL=url).master_key_path == (Path(key) if key else None)
    assert load(DATABASE_URL=url, MASTER_KEY_FILE="safe.key").master_key_path == Path("safe.key")


def test_the_password_of_the_database_is_a_secret() -> None:
    settings = load(DATABASE_URL="postgresql+asyncpg://bot:hunter%402@db:6432/hedgerow?ssl=require")
    assert settings.database_name == "postgresql+asyncpg://bot@db:6432/hedgerow"
    assert set(settings.secrets) == {"hunter%402", "hunter@2"}
    assert "hunter" not in repr(settings)
    assert load(DATABASE_URL="postgresql+asyncpg:///hedgerow").secrets == ()


def test_pages_are_where_the_webhook_is_unless_told_otherwise() -> None:
    webhook = {
        "TELEGRAM__WEBHOOK_URL": "https://bot.example.com:8443/telegram",
        "TELEGRAM__WEBHOOK_SECRET": "0123456789abcdef",
    }
    assert load().public_url is None
    assert load(**webhook).public_url == "https://bot.example.com:8443"
    elsewhere = load(**webhook, HTTP__PUBLIC_URL="https://keys.example.com/bot/")
    assert elsewhere.public_url == "https://keys.example.com/bot"


def test_a_master_key_in_the_environment_is_never_repeated() -> None:
    settings = load(MASTER_KEY="c2VjcmV0")
    assert "c2VjcmV0" not in repr(settings) + settings.model_dump_json()
    assert settings.secrets == ("c2VjcmV0",)


def test_the_paper_state_goes_where_it_is_told_to() -> None:
    assert load(PAPER__STATE_FILE="elsewhere.db").paper_state_path == Path("elsewhere.db")


def test_settings_can_be_made_in_code() -> None:
    owner = UserRef(Platform.TELEGRAM, "1")
    settings = Settings(allowed_users=frozenset({owner}), paper=PaperSettings(market=LiveMarket("okx")))

    assert settings.allowed_users == {owner}
    assert settings.paper.market == LiveMarket("okx")


def test_every_setting_has_an_example() -> None:
    assert [name for name, field in setting_names().items() if not field.examples] == []
