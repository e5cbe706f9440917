"""What an exception or an answer proves. Only the allow-list proves a refusal; the rest is ``Unknown``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import ClientConnectorError

from chatbot import errors
from chatbot.domain.order import Rejected, Unknown
from chatbot.ports import Credentials
from chatbot.venues.ccxt.loading import errors as ccxt_errors
from chatbot.venues.ccxt.quirks import Quirks

LONGEST_REASON = 200
STRUCK = "[redacted]"
ONE_WAY_NOW = "the account is not in hedge mode any more"
# An address, a signature, a key: whatever a venue or ccxt puts into its complaint.
TELLTALE = re.compile(
    r"https?://\S+|\b(?:signature|sign|apiKey|api_key|secret|passphrase|listenKey|signer|user)\b(?!'s\b)[\"'=:\s]+[^\s&\"',}]+|"
    r"\b[0-9a-fA-F]{40,}\b|\b[A-Za-z0-9+/_-]{43,}={0,2}",
    re.IGNORECASE,
)
# Where venues put codes and words; the second level is that of single orders in a list.
CODES = ("sCode", "code", "retCode", "ret_code", "label", "bizCode")
WORDS = ("sMsg", "msg", "retMsg", "ret_msg", "message", "detail")
FINE = frozenset({"0", "00000", "200", "200000", "2", ""})
LISTS = ("data", "result", "list", "info")
NOT_SENT = "VenueUnavailable"
TOO_MANY = re.compile(r"\b(?:418|429|403)\b")
WAIT = re.compile(r"(?:until|retry.after)\D{0,20}(\d{10,13})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Complaint:
    code: str
    words: str


def redacted(text: str, credentials: Credentials | None = None) -> str:
    """Fit to leave the adapter: no address, no signature, no key."""
    for secret in secrets_of(credentials):
        text = text.replace(secret, STRUCK)
    text = " ".join(TELLTALE.sub(STRUCK, text).split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def secrets_of(credentials: Credentials | None) -> tuple[str, ...]:
    if credentials is None:
        return ()
    return tuple(s for s in (credentials.api_key, credentials.secret, credentials.passphrase) if len(s) > 3)


def complaints(body: object) -> Iterator[Complaint]:
    """Every code in an answer, those of single orders first."""
    if isinstance(body, list):
        for row in body:
            yield from complaints(row)
    elif isinstance(body, Mapping):
        for name in LISTS:
            yield from complaints(body.get(name))
        code = next((str(body[c]) for c in CODES if body.get(c) not in (None, "")), "")
        if code not in FINE:
            yield Complaint(code, next((str(body[w]) for w in WORDS if body.get(w)), ""))


def body_of(error: BaseException) -> object:
    """ccxt's messages are the venue's id and the body of the answer. ``None``: there is nothing to read."""
    text = str(error.args[0]) if error.args else ""
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    if not starts:
        return None
    try:
        return json.JSONDecoder().raw_decode(text[min(starts) :])[0]
    except ValueError:
        return None


def complaint_of(error: BaseException) -> Complaint | None:
    return next(complaints(body_of(error)), None)


def judged(
    complaint: Complaint, quirks: Quirks, credentials: Credentials | None = None
) -> Rejected | Unknown:
    """A single order's complaint: refused if its code proves it."""
    kind = quirks.rejections.get(complaint.code)
    words = redacted(complaint.words or f"error {complaint.code}", credentials)
    if kind is None:
        return Unknown(f"{quirks.title} answered {complaint.code}: {words}")
    if kind == "InvalidOrder" and wrong_mode(complaint.words):
        kind = "WrongPositionMode"
    if kind == "WrongPositionMode":
        words = f"{ONE_WAY_NOW} ({words.rstrip('.')})."
    return Rejected(words, complaint.code, kind)


def wrong_mode(words: str) -> bool:
    return re.search(r"position idx not match|posSide|position mode", words, re.IGNORECASE) is not None


def order_outcome(
    error: BaseException, quirks: Quirks, credentials: Credentials | None = None
) -> Rejected | Unknown:
    """Of a request that carried orders. Never tried again, whatever this says."""
    if was_never_sent(error):
        return Rejected(f"{quirks.title} cannot be reached just now; nothing was sent.", "", NOT_SENT)
    complaint = complaint_of(error)
    if complaint is not None:
        return judged(complaint, quirks, credentials)
    if _is_local(error):
        return Rejected(redacted(_words(error), credentials), "", "InvalidOrder")
    return Unknown(f"{quirks.title}: {type(error).__name__}")


def was_never_sent(error: BaseException) -> bool:
    """No connection came about, so nothing went over it."""
    return isinstance(error, ccxt_errors().ExchangeNotAvailable) and isinstance(
        error.__cause__, ClientConnectorError
    )


def _is_local(error: BaseException) -> bool:
    """Raised by ccxt's own checks before anything was sent. After sending, these carry the answer's body."""
    known = ccxt_errors()
    local = (known.ArgumentsRequired, known.BadSymbol, known.NotSupported, known.InvalidOrder)
    repeated = isinstance(error, known.DuplicateOrderId)
    return isinstance(error, local) and not repeated and error.__cause__ is None


def _words(error: BaseException) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def is_pause(error: BaseException, quirks: Quirks) -> bool:
    """The venue refuses us for our pace. What it names a wrong key is one, whatever ccxt takes it for."""
    known, complaint = ccxt_errors(), complaint_of(error)
    if complaint is not None and quirks.rejections.get(complaint.code, "RateLimited") != "RateLimited":
        return False
    paced = isinstance(error, known.RateLimitExceeded | known.DDoSProtection)
    refused = isinstance(error, known.ExchangeNotAvailable) and TOO_MANY.search(_words(error)[:400])
    return paced or bool(refused and error.__cause__ is None)


def pause_seconds(error: BaseException, now_ms: float) -> float:
    """Until the instant that the venue names, ten minutes when it shut us out, else five seconds."""
    text = _words(error)
    named = WAIT.search(text)
    if named:
        until = float(named[1]) * (1 if len(named[1]) > 10 else 1000)
        return max(1.0, (until - now_ms) / 1000)
    return 600.0 if re.search(r"\b(?:418|403)\b", text[:400]) else 5.0


def read_error(
    error: BaseException, quirks: Quirks, credentials: Credentials | None = None, *, pause: float = 0.0
) -> errors.VenueError:
    """Of a request that changes nothing."""
    complaint = complaint_of(error)
    if is_pause(error, quirks):
        return errors.RateLimited(
            f"{quirks.title} asks us to slow down.", venue=quirks.id, retry_after=max(1.0, pause)
        )
    words = redacted(complaint.words if complaint else type(error).__name__, credentials)
    kind = _key_trouble(error, complaint, quirks)
    if kind:
        return named_error(Rejected(words, complaint.code if complaint else "", kind), quirks)
    return errors.VenueUnavailable(
        f"{quirks.title} did not answer the question: {words}",
        venue=quirks.id,
        code=complaint.code if complaint else "",
    )


def _key_trouble(error: BaseException, complaint: Complaint | None, quirks: Quirks) -> str:
    """By code, else by ccxt's class: a question asked in vain does no harm."""
    kind = quirks.rejections.get(complaint.code, "") if complaint else ""
    known = ccxt_errors()
    if kind in ("BadCredentials", "MissingPermission"):
        return kind
    if kind or not isinstance(error, known.AuthenticationError):
        return ""
    return "MissingPermission" if isinstance(error, known.PermissionDenied) else "BadCredentials"


def write_error(
    error: BaseException, quirks: Quirks, credentials: Credentials | None = None
) -> errors.VenueError:
    """Of a request that changes something other than orders."""
    outcome = order_outcome(error, quirks, credentials)
    if isinstance(outcome, Unknown):
        return errors.OutcomeUnknown(outcome.reason, venue=quirks.id)
    return named_error(outcome, quirks)


def named_error(rejected: Rejected, quirks: Quirks) -> errors.VenueError:
    """The refusal as the error class that it names."""
    kind = getattr(errors, rejected.kind, errors.VenueRejected)
    made: errors.VenueError = kind(rejected.reason, venue=quirks.id, code=rejected.code)
    return made
