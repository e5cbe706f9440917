"""Structured logging on the standard library, with secrets taken out before anything is written.

A call site writes ``log.info("order sent", extra={"hedge": 3, "venue": "paper"})``; the extras become
``key=value`` in text and members in JSON. What a whole piece of work is about is said once, with ``about``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO
from urllib.parse import quote

REDACTED = "[redacted]"

# Kept at these even when the bot is at DEBUG: httpx logs every address, and with it the token, at INFO.
QUIET_LOGGERS: Mapping[str, int] = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "telegram": logging.INFO,
    "aiosqlite": logging.INFO,
}

_BOT_PATH = re.compile(r"/bot[^/\s\"']+/")
# The colon may be percent-encoded when the token stands in an address.
_BOT_TOKEN = re.compile(r"\d+(?::|%3[Aa])[A-Za-z0-9_-]{30,}")
# Text of users must neither forge a line nor steer a terminal.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_ABOUT: ContextVar[Mapping[str, object]] = ContextVar("about")


class _About:
    """Entered and left many times a second, so no generator."""

    __slots__ = ("_before", "_subjects")

    def __init__(self, subjects: Mapping[str, object]) -> None:
        self._subjects = subjects
        self._before: Token[Mapping[str, object]] | None = None

    def __enter__(self) -> None:
        self._before = _ABOUT.set({**_ABOUT.get({}), **self._subjects})

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            _ABOUT.reset(self._before)


def about(**subjects: object) -> AbstractContextManager[None]:
    """Every line logged within, also by what is called or started there, bears ``hedge=…`` and the like."""
    return _About(subjects)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class RedactionFilter(logging.Filter):
    """Rewrites a record in place, so that every handler after it sees the clean text only."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._forms: set[str] = set()
        self._secrets: re.Pattern[str] | None = None
        for secret in secrets:
            self.register(secret)

    def register(self, secret: str) -> None:
        """Never let this value out again, in any of the forms that text may carry it in."""
        if not secret:
            return
        self._forms |= {secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
        # The longest first, lest a part of a secret leaves the rest of it standing.
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        if self._secrets is not None:
            text = self._secrets.sub(REDACTED, text)
        return _BOT_TOKEN.sub(REDACTED, _BOT_PATH.sub(f"/bot{REDACTED}/", text))

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.redact(_message(record)), ()
        if record.exc_info:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        for name, value in {**_ABOUT.get({}), **_extras(record)}.items():
            setattr(record, name, self._redact_value(value))
        return True

    def _redact_value(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.redact(str(value))


class TextFormatter(logging.Formatter):
    """``2026-01-02T03:04:05.678Z INFO chatbot.app message key=value``, tracebacks below."""

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {name}={_quoted(value)}" for name, value in _extras(record).items())
        line = f"{_at(record)} {record.levelname} {record.name} {record.getMessage()}{extras}"
        return "\n".join([line.translate(_CONTROL), *_details(record)])


class JsonFormatter(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "at": _at(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        details = _details(record)
        exception = {"exception": "\n".join(details)} if details else {}
        return json.dumps(_extras(record) | fields | exception, ensure_ascii=False, default=str)


def configure_logging(
    format: LogFormat = LogFormat.TEXT,
    level: LogLevel = LogLevel.INFO,
    secrets: Iterable[str] = (),
    *,
    stream: TextIO | None = None,
) -> RedactionFilter:
    """Send every log record to standard error, redacted. Later secrets are registered with what is returned.

    Standard output stays free for the chat of the console.
    """
    redaction = RedactionFilter(secrets)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format is LogFormat.JSON else TextFormatter())
    handler.addFilter(redaction)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    threshold = logging.getLevelNamesMapping()[level]
    for name, floor in QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(max(floor, threshold))
    return redaction


def _message(record: logging.LogRecord) -> str:
    """The text of the record. When its arguments do not fit, logging would print them, secrets and all."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}


def _details(record: logging.LogRecord) -> list[str]:
    return [text for text in (record.exc_text, record.stack_info) if text]


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or re.search(r"[\s\"=]", text) else text


def _at(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
