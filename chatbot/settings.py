"""Settings: from the environment and ``.env``, read once, checked as a whole, frozen.

Names are ``HEDGEROW_`` and the field, nested with ``__``: ``HEDGEROW_TELEGRAM__TOKEN``. A variable with the
prefix that is no setting is an error too, so that a typing mistake cannot pass for a default.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.errors import SettingsError
from chatbot.log import LogFormat, LogLevel

PREFIX = "HEDGEROW_"
NESTED = "__"
VENUE_PLACEHOLDER = "<ID>"
POSTGRESQL = "postgresql+asyncpg://"
_SERVER_FORM = f"{POSTGRESQL}USER:PASSWORD@HOST/NAME"
PAPER_STATE_NAME = "hedgerow-paper.db"
MASTER_KEY_NAME = "hedgerow.key"
MIN_WEBHOOK_SECRET = 16
# From 0 to 1; below this a name is taken for another thing altogether, not for a typing mistake.
LIKENESS = 0.75


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """Prices made up by the simulator, the same for the same seed."""


@dataclass(frozen=True, slots=True)
class ReplayMarket:
    """Prices from a recorded file."""

    path: Path


@dataclass(frozen=True, slots=True)
class LiveMarket:
    """Real public prices of a venue; fills stay simulated."""

    venue: str


PaperMarket = SimulatedMarket | ReplayMarket | LiveMarket


def _parse_market(value: object) -> object:
    if not isinstance(value, str):
        return value
    source, _, argument = value.partition(":")
    match source.lower(), argument:
        case "simulated", "":
            return SimulatedMarket()
        case "replay", path if path:
            return ReplayMarket(_existing_file(path))
        case "live", venue if venue.isalnum():
            return LiveMarket(venue.lower())
    raise ValueError(f"should be simulated, replay:PATH or live:VENUE, not {value!r}")


def _existing_file(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file {text!r} to replay")
    return path


def _parse_users(value: object) -> object:
    if not isinstance(value, str):
        return value
    return frozenset(_parse_user(entry.strip()) for entry in value.split(",") if entry.strip())


def _parse_user(entry: str) -> UserRef:
    match = re.fullmatch(r"(telegram|discord):(\d+)", entry)
    if match is None:
        raise ValueError(f"should list telegram:NUMBER or discord:NUMBER, separated by commas, not {entry!r}")
    return UserRef(Platform(match[1]), match[2])


def _parse_chat(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"telegram:(-?\d+)", value.strip())
    if match is None:
        raise ValueError(f"should be telegram:NUMBER (a group's number begins with -), not {value!r}")
    return ChatRef(Platform.TELEGRAM, match[1], private=not match[1].startswith("-"))


def _http_url(value: str) -> str:
    """The address without the slash at its end; never quoted in a complaint, as it may carry a password."""
    try:
        parts = urlsplit(value)
        complete = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete or "?" in value or "#" in value:
        raise ValueError("should be an address: http:// or https://, a host, no ? and no #")
    return value.rstrip("/")


def _https_url(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("should begin with https://: secrets go there, and Telegram takes nothing else")
    if "@" in urlsplit(_http_url(value)).netloc:
        raise ValueError("should have no user and no password in it: it is sent into chats")
    return _http_url(value)


def _http_host(value: str) -> str:
    url = _http_url(value)
    if urlsplit(url).path:
        raise ValueError("should be scheme and host only; the venue's own paths are kept")
    return url


def _bot_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"\d+:[A-Za-z0-9_-]+", value.get_secret_value()):
        raise ValueError("is not a bot token as @BotFather gives it: a number, a colon, letters")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{{MIN_WEBHOOK_SECRET},256}}", value.get_secret_value()):
        raise ValueError(f"should be {MIN_WEBHOOK_SECRET} to 256 letters, digits, _ or -")
    return value


def _database_url(value: str) -> str:
    """Never quoted in a complaint, as it may carry a password."""
    if value.startswith(POSTGRESQL):
        return _server_url(value)
    if not re.match(r"sqlite\+aiosqlite://(/|$)", value):
        raise ValueError(
            f"should begin with sqlite+aiosqlite:/// and go on with the path of a file, or be {_SERVER_FORM}"
        )
    if value.partition("?")[0] == "sqlite+aiosqlite:///":
        raise ValueError("names no file: all would be forgotten at the end")
    return value


def _server_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        complete = bool(parts.path.strip("/")) and "/" not in parts.path[1:] and parts.port != 0
        misplaced = parse_qs(parts.query).keys() & {"user", "password"}
    except ValueError:
        complete, misplaced = False, set()
    if not complete or "#" in value:
        raise ValueError(f"should be {_SERVER_FORM}; write %40 for @, %2F for / and %23 for # in a password")
    if misplaced:
        raise ValueError(f"should have user and password before the host: {_SERVER_FORM}")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


HttpUrl = Annotated[str, AfterValidator(_http_url)]
MOST_SPEED = 86_400  # a day of the market in a second


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TelegramSettings(Section):
    token: Annotated[SecretStr, AfterValidator(_bot_token)] | None = Field(
        None, examples=["123456789:the-token-from-BotFather"]
    )
    api_url: HttpUrl = Field("https://api.telegram.org", examples=["http://127.0.0.1:8081"])
    webhook_url: Annotated[str, AfterValidator(_https_url)] | None = Field(
        None, examples=["https://bot.example.com/telegram"]
    )
    webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] | None = Field(
        None, validate_default=True, examples=["a-long-random-word-of-yours"]
    )
    show_balances_in_groups: bool = Field(False, examples=["true"])
    messages_per_second: int = Field(30, ge=1, le=1000, examples=["30"])

    @field_validator("webhook_secret")
    @classmethod
    def _guard_webhook(cls, secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # Without it anybody who finds the address could speak in a user's name.
        if secret is None and info.data.get("webhook_url"):
            raise ValueError(f"is needed because {PREFIX}TELEGRAM__WEBHOOK_URL is set")
        return secret


class PaperSettings(Section):
    market: Annotated[PaperMarket, NoDecode, BeforeValidator(_parse_market)] = Field(
        SimulatedMarket(), examples=["replay:prices.csv"]
    )
    speed: Annotated[Decimal, Field(gt=0, le=MOST_SPEED)] = Field(
        Decimal(1), description="simulated seconds per second", examples=["60"]
    )
    seed: int = Field(7, examples=["7"])
    state_file: Path | None = Field(None, examples=["hedgerow-paper.db"])


class VenueSettings(Section):
    api_url: Annotated[str, AfterValidator(_http_host)] | None = Field(
        None, examples=["http://127.0.0.1:9000"]
    )
    demo: bool | None = Field(None, examples=["true"])


class HttpSettings(Section):
    host: str = Field("127.0.0.1", examples=["0.0.0.0"])  # noqa: S104 (an example, not a default)
    port: int = Field(8080, ge=0, le=65535, description="0 takes any free port", examples=["8080"])
    public_url: Annotated[str, AfterValidator(_https_url)] | None = Field(
        None, examples=["https://bot.example.com"]
    )


class OpsSettings(Section):
    host: str = Field("127.0.0.1", examples=["127.0.0.1"])
    port: int | None = Field(None, ge=0, le=65535, description="0 takes any free port", examples=["9464"])


class LogSettings(Section):
    format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(LogFormat.TEXT, examples=["json"])
    level: Annotated[LogLevel, BeforeValidator(_upper)] = Field(LogLevel.INFO, examples=["DEBUG"])


class ProcessesSettings(Section):
    # Longer than an order may be on its way to an exchange.
    lease_seconds: int = Field(10, ge=6, le=300, examples=["10"])


class QuoteSettings(Section):
    lifetime_seconds: int = Field(60, gt=0, examples=["60"])
    band: Annotated[Decimal, Field(gt=0, lt=1)] = Field(
        Decimal("0.003"), description="fraction by which the price may move", examples=["0.003"]
    )


class Settings(BaseSettings):
    """``Settings()`` is every default; only :func:`load_settings` looks at the environment."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter=NESTED,
    )

    telegram: TelegramSettings = TelegramSettings()
    allowed_users: Annotated[frozenset[UserRef], NoDecode, BeforeValidator(_parse_users)] = Field(
        frozenset(), examples=["telegram:123456789,discord:987654321"]
    )
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        "sqlite+aiosqlite:///hedgerow.db", examples=["sqlite+aiosqlite:///hedgerow.db"], repr=False
    )
    master_key_file: Path | None = Field(None, examples=["hedgerow.key"])
    master_key: SecretStr | None = Field(
        None, description="for tests only", examples=["32-random-bytes-in-base64"]
    )
    paper: PaperSettings = PaperSettings()
    venues: dict[str, VenueSettings] = {}
    http: HttpSettings = HttpSettings()
    ops: OpsSettings = OpsSettings()
    operator_chat: Annotated[ChatRef | None, NoDecode, BeforeValidator(_parse_chat)] = Field(
        None, examples=["telegram:123456789"]
    )
    log: LogSettings = LogSettings()
    quote: QuoteSettings = QuoteSettings()
    processes: ProcessesSettings = ProcessesSettings()

    @field_validator("operator_chat")
    @classmethod
    def _guard_operator(cls, chat: ChatRef | None, info: ValidationInfo) -> ChatRef | None:
        telegram = info.data.get("telegram")
        if chat is not None and isinstance(telegram, TelegramSettings) and telegram.token is None:
            raise ValueError(f"cannot be told anything while {PREFIX}TELEGRAM__TOKEN is not set")
        return chat

    @property
    def database_name(self) -> str:
        """The address without its password."""
        if not self.on_a_server:
            return self.database_url
        parts = urlsplit(self.database_url)
        user, port = parts.username or "", parts.port
        where = f"{f'{user}@' if user else ''}{parts.hostname or ''}{f':{port}' if port else ''}"
        return f"{POSTGRESQL}{where}{parts.path}"

    @property
    def on_a_server(self) -> bool:
        return self.database_url.startswith(POSTGRESQL)

    @property
    def database_path(self) -> Path | None:
        """None for a database in memory or on a server."""
        if self.on_a_server:
            return None
        path = self.database_url.removeprefix("sqlite+aiosqlite://").removeprefix("/").partition("?")[0]
        return None if path in {"", ":memory:"} else Path(path)

    @property
    def paper_state_path(self) -> Path | None:
        """Where the paper venue keeps its state; None (it forgets) when the database is in memory too."""
        return self.paper.state_file or self._beside_the_database(PAPER_STATE_NAME)

    @property
    def master_key_path(self) -> Path | None:
        """None when the database is in memory too and no file was named."""
        return self.master_key_file or self._beside_the_database(MASTER_KEY_NAME)

    def _beside_the_database(self, name: str) -> Path | None:
        """In the folder that the bot is started in, where the database is on a server."""
        if self.on_a_server:
            return Path(name)
        return None if self.database_path is None else self.database_path.with_name(name)

    @property
    def public_url(self) -> str | None:
        """Where the bot's own pages are: as set, else where its webhook is."""
        if self.http.public_url or self.telegram.webhook_url is None:
            return self.http.public_url
        parts = urlsplit(self.telegram.webhook_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never reach a log line."""
        candidates = (self.telegram.token, self.telegram.webhook_secret, self.master_key)
        kept = tuple(secret.get_secret_value() for secret in candidates if secret is not None)
        password = urlsplit(self.database_url).password if self.on_a_server else None
        return kept if not password else (*kept, password, unquote(password))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_settings(env_file: Path | None = Path(".env"), environ: Mapping[str, str] | None = None) -> Settings:
    """Read ``env_file`` (which may be missing) and then the environment, which wins.

    :raises SettingsError: one line for each wrong setting, all of them at once
    """
    from_file, complaints = _read_env_file(env_file)
    variables = from_file | _own_variables(os.environ if environ is None else environ)
    complaints |= {name: _unknown(name) for name in variables if not _is_setting(name)}
    try:
        settings = _build({name: value for name, value in variables.items() if _is_setting(name)})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise _settings_error(dict(map(_describe, found)) | complaints) from None
    complaints |= _clash_of_ports(settings)
    if complaints:
        raise _settings_error(complaints)
    return settings


def _clash_of_ports(settings: Settings) -> dict[str, str]:
    ops, http = settings.ops, settings.http
    if settings.public_url is None or not ops.port or ops.port != http.port or _apart(ops.host, http.host):
        return {}
    name = f"{PREFIX}OPS__PORT"
    reason = f"is the port of the pages for users, {PREFIX}HTTP__PORT; it needs another"
    return {name: f"{reason}. Example: {_example(name)}"}


def _apart(one: str, other: str) -> bool:
    """Addresses of two interfaces, where a port can be taken twice."""
    try:
        first, second = map(ip_address, (one, other))
    except ValueError:
        return False
    return first != second and not first.is_unspecified and not second.is_unspecified


def setting_names() -> Mapping[str, FieldInfo]:
    """Every setting by its environment name; a venue's id is written ``<ID>``."""
    return dict(_leaves(Settings, PREFIX))


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for field, info in model.model_fields.items():
        name = f"{prefix}{field.upper()}"
        if field == "venues":
            yield from _leaves(VenueSettings, f"{name}{NESTED}{VENUE_PLACEHOLDER}{NESTED}")
        elif isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from _leaves(info.annotation, f"{name}{NESTED}")
        else:
            yield name, info


def _build(variables: Mapping[str, str]) -> Settings:
    source = EnvSettingsSource(Settings)
    # The source has read the process's environment; ours has the file in it and nothing unknown or empty.
    source.env_vars = {name.lower(): value for name, value in variables.items()}
    return Settings(**source())


def _own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours by their upper-case names. An empty variable means the default."""
    named = ((name.upper(), value.strip()) for name, value in environ.items())
    return {name: value for name, value in named if name.startswith(PREFIX) and value}


def _read_env_file(path: Path | None) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of the file, and a complaint for every line of ours that is none."""
    if path is None or not path.exists():
        return {}, {}
    values: dict[str, str] = {}
    complaints: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                where = f"{path} line {binding.original.line}"
                if binding.error or (binding.key and binding.value is None):
                    complaints[where] = f"is not NAME=value. Example: {PREFIX}LOG__LEVEL=INFO"
                elif binding.key and binding.value is not None:
                    values[binding.key] = binding.value
    except (OSError, UnicodeDecodeError) as error:
        complaints[str(path)] = f"cannot be read: {error}"
    return _own_variables(values), complaints


def _is_setting(name: str) -> bool:
    return _generic(name) in setting_names()


def _generic(name: str) -> str:
    """The name with a venue's id replaced by its placeholder."""
    return re.sub(rf"^({PREFIX}VENUES__)[A-Z0-9]+(__.+)$", rf"\g<1>{VENUE_PLACEHOLDER}\g<2>", name)


def _unknown(name: str) -> str:
    found = re.match(rf"{PREFIX}VENUES?_+([A-Z0-9]+)", name)
    venue = found[1] if found else "BINANCE"
    known = [setting.removeprefix(PREFIX).replace(VENUE_PLACEHOLDER, venue) for setting in setting_names()]
    # Without the prefix, which all have in common and which would make any two names look alike.
    near = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1, cutoff=LIKENESS)
    if not near:
        return f"is not a setting; .env.example lists them all. Example: {_example(PREFIX + 'LOG__LEVEL')}"
    return f"is not a setting; did you mean {PREFIX}{near[0]}? Example: {_example(PREFIX + near[0])}"


def _describe(error: ErrorDetails) -> tuple[str, str]:
    name = _name_of([str(part) for part in error["loc"]])
    reason = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return name, f"{reason}. Example: {_example(name)}"


def _name_of(location: list[str]) -> str:
    """The setting that holds the location: pydantic goes on into members of unions and collections."""
    names = [PREFIX + NESTED.join(location[:depth]).upper() for depth in range(1, len(location) + 1)]
    return next(filter(_is_setting, names), names[-1])


def _example(name: str) -> str:
    examples = setting_names()[_generic(name)].examples or [""]
    return f"{name}={examples[0]}"


def _settings_error(complaints: Mapping[str, str]) -> SettingsError:
    return SettingsError("\n".join(f"{name}: {reason}" for name, reason in sorted(complaints.items())))
