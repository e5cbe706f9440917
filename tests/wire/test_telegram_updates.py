"""Updates to requests, held against the library's own parser."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Update

from chatbot.chat import ChatRef, MessageRef, Platform, Request, RequestKind, UserRef
from chatbot.platforms.telegram.updates import decode

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANN = {"id": 7, "is_bot": False, "first_name": "Ann", "username": "ann"}
PRIVATE = {"id": 7, "type": "private", "first_name": "Ann"}
GROUP = {"id": -100, "type": "supergroup", "title": "Desk"}


def read(update: dict[str, Any]) -> Request | None:
    return decode({"update_id": 12, **update}, username="HedgeBot", received_at=NOW)


def message(text: str, *, chat: dict[str, Any] = PRIVATE, **others: Any) -> dict[str, Any]:
    return {"message": {"message_id": 5, "from": ANN, "chat": chat, "date": 1, "text": text, **others}}


def tap(**others: Any) -> dict[str, Any]:
    card = {"message_id": 9, "chat": PRIVATE, "date": 1, "text": "card"}
    query = {"id": "4411", "from": ANN, "chat_instance": "1", "message": card, "data": "q:1:go"}
    return {"callback_query": {**query, **others}}


def text_of(update: dict[str, Any]) -> str | None:
    request = read(update)
    return request.text if request else None


def test_a_message_becomes_a_command() -> None:
    chat = ChatRef(Platform.TELEGRAM, "7", private=True)
    assert read(message("/hedge ETH")) == Request(
        id="telegram:12",
        kind=RequestKind.COMMAND,
        user=UserRef(Platform.TELEGRAM, "7"),
        chat=chat,
        text="/hedge ETH",
        received_at=NOW,
        message=MessageRef(chat, "5"),
        user_name="Ann",
    )


def test_a_tap_becomes_a_click_on_its_card() -> None:
    request = read(tap())
    assert request is not None
    assert (request.kind, request.text, request.ack) == (RequestKind.CLICK, "q:1:go", "4411")
    assert request.message == MessageRef(ChatRef(Platform.TELEGRAM, "7"), "9")


def test_a_tap_on_a_card_too_old_to_be_shown_still_counts() -> None:
    request = read(tap(message={"message_id": 9, "chat": PRIVATE, "date": 0}))
    assert request is not None
    assert request.message is not None
    assert request.message.id == "9"


def test_our_name_is_taken_off_a_command() -> None:
    assert text_of(message("/status@HedgeBot #3", chat=GROUP)) == "/status #3"
    assert text_of(message("/status@hedgebot", chat=GROUP)) == "/status"
    assert text_of(message("/status@HedgeBot\n#3", chat=GROUP)) == "/status\n#3"


def test_a_command_for_another_bot_is_left_to_it() -> None:
    assert read(message("/status@OtherBot", chat=GROUP)) is None


def test_a_name_that_is_no_address_stays() -> None:
    assert text_of(message("/hedge me@HedgeBot")) == "/hedge me@HedgeBot"


def test_plain_text_counts_in_private_and_not_in_groups() -> None:
    assert text_of(message("hello")) == "hello"
    assert read(message("hello", chat=GROUP)) is None
    request = read(message("/status", chat=GROUP))
    assert request is not None
    assert not request.chat.private


@pytest.mark.parametrize(
    "update",
    [
        {"edited_message": message("/status")["message"]},
        {
            "channel_post": {
                "message_id": 1,
                "chat": {"id": -1, "type": "channel"},
                "date": 1,
                "text": "/status",
            }
        },
        {"message": {"message_id": 1, "from": ANN, "chat": PRIVATE, "date": 1, "sticker": {}}},
        {"message": {"message_id": 1, "from": ANN, "chat": PRIVATE, "date": 1, "caption": "/status"}},
        {"message": {"message_id": 1, "chat": GROUP, "date": 1, "text": "/status"}},
        message("/status", **{"from": {"id": 1087968824, "is_bot": True, "first_name": "Group"}}),
        tap(message=None),
        tap(data=None, game_short_name="chess"),
        {"my_chat_member": {}},
        {},
    ],
)
def test_all_else_is_left_out(update: dict[str, Any]) -> None:
    assert read(update) is None


def test_what_no_database_can_keep_is_taken_out() -> None:
    assert text_of(message("/open \ud83d BTC\0")) == "/open ? BTC"


def test_halves_of_surrogate_pairs_are_taken_out_wherever_they_stand() -> None:
    torn = {**ANN, "first_name": "A\udc00nn"}
    request = read(tap(**{"from": torn, "id": "44\ud80011", "data": "q:\udfff:go"}))

    assert request is not None
    assert (request.user_name, request.ack, request.text) == ("A?nn", "44?11", "q:?:go")


def test_a_whole_surrogate_pair_is_a_character_like_any_other() -> None:
    sent = json.dumps(message("🚀 go"))
    assert "\\ud83d\\ude80" in sent
    assert text_of(json.loads(sent)) == "🚀 go"


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["message", "callback_query", "inline_query"]), json_values, json_values)
def test_garbage_is_refused_in_words_that_the_poller_knows(kind: str, body: Any, chat: Any) -> None:
    garbage = {
        kind: body if not isinstance(body, dict) else {"from": ANN, "chat": chat, "text": "/x", **body}
    }
    try:
        read(garbage)
    except (KeyError, TypeError, ValueError, AttributeError):
        return


names = st.text(min_size=1, max_size=20)
ids = st.integers(1, 2**52)
written = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50)


@given(ids, ids, st.booleans(), written, names)
def test_we_read_the_same_as_the_library(user: int, number: int, private: bool, text: str, name: str) -> None:
    sender = {"id": user, "is_bot": False, "first_name": name.encode("utf-8", "replace").decode()}
    chat = {"id": user, "type": "private"} if private else {"id": -user, "type": "group", "title": "x"}
    raw = message("/" + text, chat=chat) | {"update_id": number}
    raw["message"]["from"] = sender
    ours = decode(raw, username="HedgeBot", received_at=NOW)
    theirs = Update.de_json(raw, None)
    assert theirs.effective_message is not None
    assert theirs.effective_user is not None
    assert theirs.effective_chat is not None
    if ours is None:
        assert "@" in text
        return
    assert ours.id == f"telegram:{theirs.update_id}"
    assert ours.user.id == str(theirs.effective_user.id)
    assert (ours.chat.id, ours.chat.private) == (
        str(theirs.effective_chat.id),
        theirs.effective_chat.type == "private",
    )
    assert ours.text.replace("@HedgeBot", "") == (theirs.effective_message.text or "").replace(
        "@HedgeBot", ""
    )
