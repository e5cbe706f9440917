"""Who opened a page within Telegram, as Telegram signs it with the bot's token.

The page gets a query string. All its fields but ``hash`` (``signature`` stays in) are signed, sorted by name.
"""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qsl

from chatbot.chat import Platform, UserRef

LASTS = timedelta(minutes=15)
AHEAD = timedelta(minutes=1)  # clocks differ
LONGEST = 8_192


def proven_user(init_data: str, token: str, now: datetime) -> UserRef | None:
    """``None``: forged, changed, too old, or not about a user."""
    if len(init_data) > LONGEST:
        return None
    try:
        pairs = parse_qsl(init_data, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None
    fields = dict(pairs)
    given = fields.pop("hash", "")
    if len(fields) + 1 != len(pairs) or not _is_signed(fields, given, token):
        return None
    return _user(fields.get("user", "")) if _is_fresh(fields.get("auth_date", ""), now) else None


def _is_signed(fields: dict[str, str], given: str, token: str) -> bool:
    message = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    secret = hmac.new(b"WebAppData", token.encode(), sha256).digest()
    expected = hmac.new(secret, message.encode("utf-8", "surrogatepass"), sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _is_fresh(auth_date: str, now: datetime) -> bool:
    try:
        at = datetime.fromtimestamp(int(auth_date), UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return now - LASTS <= at <= now + AHEAD


def _user(text: str) -> UserRef | None:
    try:
        user = json.loads(text)
        return UserRef(Platform.TELEGRAM, str(int(user["id"])))
    except (ValueError, KeyError, TypeError):
        return None
