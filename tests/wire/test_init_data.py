"""Who opened a page within Telegram: only what Telegram signed, and only while it is fresh."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode

import pytest

from chatbot.chat import Platform, UserRef
from chatbot.platforms.telegram.initdata import proven_user
from tests.wire.bot_api import TOKEN

# The public example of the Mini App documentation, and the token that it was signed with.
EXAMPLE_TOKEN = "5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8"
EXAMPLE = (
    "query_id=AAHdF6IQAAAAAN0XohDhrOrc&user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%22"
    "%2C%22last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22"
    "%2C%22is_premium%22%3Atrue%7D&auth_date=1662771648"
    "&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2"
)
EXAMPLE_AT = datetime.fromtimestamp(1662771648, UTC)
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ANN = UserRef(Platform.TELEGRAM, "7")


def signed(token: str = TOKEN, **fields: str) -> str:
    """As Telegram does it; ``signature`` is signed along."""
    values = {
        "user": '{"id":7,"first_name":"Ann"}',
        "auth_date": str(int(NOW.timestamp())),
        "signature": "zL-ucjNyREiHDE8aihFwpfR9aggP2xiAo3NSpfe-p7IbCisNlDKlo7Kb6G4D0Ao2",
        **fields,
    }
    text = "\n".join(f"{name}={values[name]}" for name in sorted(values))
    secret = hmac.new(b"WebAppData", token.encode(), sha256).digest()
    return urlencode({**values, "hash": hmac.new(secret, text.encode(), sha256).hexdigest()})


def test_the_documented_example_is_accepted() -> None:
    found = proven_user(EXAMPLE, EXAMPLE_TOKEN, EXAMPLE_AT + timedelta(minutes=1))
    assert found == UserRef(Platform.TELEGRAM, "279058397")


def test_the_signature_field_is_part_of_what_is_signed() -> None:
    assert proven_user(signed(), TOKEN, NOW) == ANN
    fields = dict(parse_qsl(signed()))
    del fields["signature"]
    assert proven_user(urlencode(fields), TOKEN, NOW) is None


def test_another_bots_word_counts_for_nothing() -> None:
    assert proven_user(signed("1:another"), TOKEN, NOW) is None


@pytest.mark.parametrize(
    ("age", "accepted"),
    [(timedelta(minutes=15), True), (timedelta(minutes=16), False), (-timedelta(minutes=2), False)],
)
def test_an_old_word_is_refused(age: timedelta, accepted: bool) -> None:
    assert (proven_user(signed(), TOKEN, NOW + age) is not None) is accepted


@pytest.mark.parametrize(
    "field", [{"user": '{"id":8}'}, {"auth_date": "1"}, {"hash": "0" * 64}, {"hash": ""}, {"extra": "1"}]
)
def test_whatever_is_changed_is_noticed(field: dict[str, str]) -> None:
    fields = dict(parse_qsl(signed())) | field
    assert proven_user(urlencode(fields), TOKEN, NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no pairs at all",
        "hash=",
        "hash=é",
        signed() + "&user=%7B%22id%22%3A8%7D",
        signed(user="not json"),
        signed(user="{}"),
        signed(user="[1]"),
        signed(auth_date="soon"),
        signed(auth_date="9" * 30),
        signed(filler="x" * 9_000),
    ],
)
def test_garbage_is_nobody(text: str) -> None:
    assert proven_user(text, TOKEN, NOW) is None
