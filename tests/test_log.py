from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.log import (
    QUIET_LOGGERS,
    REDACTED,
    LogFormat,
    LogLevel,
    RedactionFilter,
    about,
    configure_logging,
)

TOKEN = "123456789:AAHnotarealtokenbutofitsshape_0123456"
SECRET = 'pass"word/å\\1'
log = logging.getLogger("chatbot.test")

BOTH_FORMATS = pytest.mark.parametrize("format", list(LogFormat))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    # configure_logging closes the handlers that it replaces; those of pytest must survive.
    root.handlers.clear()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)


class Journal:
    def __init__(self, format: LogFormat, level: LogLevel = LogLevel.DEBUG) -> None:
        self._stream = io.StringIO()
        self.redaction = configure_logging(format, level, [SECRET], stream=self._stream)

    @property
    def text(self) -> str:
        return self._stream.getvalue()


def test_text_is_one_line_with_its_extras() -> None:
    journal = Journal(LogFormat.TEXT)

    log.info("order %s", "sent", extra={"hedge": 3, "note": "two words"})

    at, rest = journal.text.split(" ", 1)
    assert at.endswith("Z")
    assert rest == 'INFO chatbot.test order sent hedge=3 note="two words"\n'


def test_json_is_one_object_a_line() -> None:
    journal = Journal(LogFormat.JSON)

    log.warning("ratio %.1f", 0.25, extra={"hedge": 3, "at": "extras do not replace what is ours"})

    line = json.loads(journal.text)
    assert line.pop("at").endswith("Z")
    assert line == {"level": "WARNING", "logger": "chatbot.test", "message": "ratio 0.2", "hedge": 3}


@BOTH_FORMATS
def test_what_work_is_about_stands_on_every_line_of_it(format: LogFormat) -> None:
    journal = Journal(format)

    with about(hedge="H1", request=SECRET):
        log.info("sent")
        with about(hedge="H2", operation="op"):
            log.info("of another hedge", extra={"operation": "its own"})
        log.info("filled")
    log.info("elsewhere")

    sent, other, filled, elsewhere = journal.text.splitlines()
    assert "H1" in sent
    assert "H2" in other
    assert "its own" in other
    assert "H1" not in other
    assert "H1" in filled
    assert "hedge" not in elsewhere.replace("chatbot", "")
    assert_clean(sent)


async def test_a_task_stays_about_what_it_was_started_for() -> None:
    journal = Journal(LogFormat.JSON)

    async def drive() -> None:
        await asyncio.sleep(0)
        log.info("step")

    with about(hedge="H1"):
        driving = asyncio.create_task(drive())
    log.info("meanwhile")
    await driving

    meanwhile, step = (json.loads(line) for line in journal.text.splitlines())
    assert "hedge" not in meanwhile
    assert step["hedge"] == "H1"


def assert_clean(text: str) -> None:
    assert REDACTED in text
    for hidden in (
        TOKEN,
        TOKEN.replace(":", "%3A"),
        TOKEN.partition(":")[2],
        SECRET,
        json.dumps(SECRET)[1:-1],
    ):
        assert hidden not in text


@BOTH_FORMATS
@pytest.mark.parametrize("secret", [TOKEN, TOKEN.replace(":", "%3A"), SECRET])
def test_secrets_leave_message_arguments_and_extras(format: LogFormat, secret: str) -> None:
    journal = Journal(format)

    log.info(f"in the message {secret}")  # a message that is no constant is what is tested
    log.info("in the arguments %s %r", secret, {"key": secret})
    log.info("by name %(key)s", {"key": secret})
    log.info("in an extra", extra={"key": secret, "keys": [secret]})
    log.info("in arguments that do not fit", secret)  # noqa: PLE1205

    for line in journal.text.splitlines():
        assert_clean(line)


def fail_with(secret: str) -> None:
    try:
        raise ValueError(f"inner {secret}")
    except ValueError as error:
        raise RuntimeError(f"outer {secret}") from error


@BOTH_FORMATS
@pytest.mark.parametrize("secret", [TOKEN, SECRET])
def test_secrets_leave_exceptions_and_their_causes(format: LogFormat, secret: str) -> None:
    journal = Journal(format)

    try:
        fail_with(secret)
    except RuntimeError:
        log.exception("failed")

    assert_clean(journal.text)
    assert "RuntimeError: outer" in journal.text
    assert "ValueError: inner" in journal.text


@BOTH_FORMATS
def test_secrets_leave_the_stack(format: LogFormat) -> None:
    journal = Journal(format)

    eval(f"log.info('here', stack_info=True)  # {TOKEN}", {"log": log})  # noqa: S307

    assert "Stack (most recent call last)" in journal.text
    assert TOKEN not in journal.text


def test_the_path_of_the_bot_api_loses_even_a_token_of_unknown_shape() -> None:
    journal = Journal(LogFormat.TEXT)

    log.info("POST https://api.example/bot42:short/sendMessage and /file/bot42:short/photo.png")

    assert "42:short" not in journal.text
    assert f"/bot{REDACTED}/sendMessage" in journal.text
    assert f"/file/bot{REDACTED}/photo.png" in journal.text


def test_handlers_further_on_see_the_clean_record() -> None:
    journal = Journal(LogFormat.TEXT)
    later = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(later))

    try:
        fail_with(TOKEN)
    except RuntimeError:
        log.exception("token %s", TOKEN)

    assert_clean(journal.text)
    assert_clean(later.getvalue())


def test_a_secret_can_be_registered_later() -> None:
    journal = Journal(LogFormat.TEXT)
    journal.redaction.register("exchange-key")
    journal.redaction.register("")

    log.info("key=exchange-key, end")

    assert journal.text.endswith(f"key={REDACTED}, end\n")


def test_the_longer_of_two_secrets_leaves_no_rest() -> None:
    redaction = RedactionFilter(["abcd", "abcdefgh"])

    assert redaction.redact("abcdefgh abcd") == f"{REDACTED} {REDACTED}"


def test_text_of_users_can_neither_forge_a_line_nor_steer_the_terminal() -> None:
    journal = Journal(LogFormat.TEXT)

    log.info("typed %s", "x\n2026-01-01 ERROR chatbot lost\x1b[2J", extra={"chat": "a\nb"})

    assert journal.text.count("\n") == 1
    assert "\x1b" not in journal.text


@pytest.mark.parametrize(
    ("level", "httpx", "telegram"),
    [
        (LogLevel.DEBUG, logging.WARNING, logging.INFO),
        (LogLevel.INFO, logging.WARNING, logging.INFO),
        (LogLevel.ERROR, logging.ERROR, logging.ERROR),
    ],
)
def test_libraries_are_quieter_than_the_bot(level: LogLevel, httpx: int, telegram: int) -> None:
    Journal(LogFormat.TEXT, level)

    assert logging.getLogger("httpx").level == httpx
    assert logging.getLogger("telegram").level == telegram
    assert logging.getLogger("aiosqlite").level == telegram
    assert logging.getLogger().level == logging.getLevelNamesMapping()[level]


@given(
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=4),
    before=st.text(st.characters(exclude_categories=["Cs"])),
    after=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_no_text_around_a_secret_saves_it(secret: str, before: str, after: str) -> None:
    clean = RedactionFilter([secret]).redact(f"{before}{secret}{after}")

    assert all(secret not in part for part in clean.split(REDACTED))
