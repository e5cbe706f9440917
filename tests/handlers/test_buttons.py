"""A tap is believed only where the button was made: by us, for this user, in this chat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.domain.quote import CloseWay, QuoteId
from chatbot.errors import InvariantBroken
from handlers.buttons import MAX_BYTES, Buttons, Decision, InvalidButton, Navigation, fits

ANN = UserRef(Platform.TELEGRAM, "1")
BOB = UserRef(Platform.TELEGRAM, "2")
HERE = ChatRef(Platform.TELEGRAM, "10")
THERE = ChatRef(Platform.TELEGRAM, "20")
BUTTONS = Buttons(b"k" * 32)
QUOTE = QuoteId("abcdefghijklmnopqrs_-0")


def test_a_command_comes_back_as_it_went_out() -> None:
    button = BUTTONS.command("Status", "/status #3", user=ANN, chat=HERE)

    assert BUTTONS.decode(button.data, user=ANN, chat=HERE) == Navigation("/status #3", replaces=False)


def test_whether_the_card_is_replaced_is_signed_too() -> None:
    button = BUTTONS.command("Refresh", "/status", user=ANN, chat=HERE, replaces=True)
    assert BUTTONS.decode(button.data, user=ANN, chat=HERE) == Navigation("/status", replaces=True)

    with pytest.raises(InvalidButton):
        BUTTONS.decode("c" + button.data[1:], user=ANN, chat=HERE)


def test_a_chat_may_be_given_by_its_name() -> None:
    button = BUTTONS.command("Status", "/status", user=ANN, chat=str(HERE))

    assert BUTTONS.decode(button.data, user=ANN, chat=HERE) == Navigation("/status", replaces=False)


@pytest.mark.parametrize(("user", "chat"), [(BOB, HERE), (ANN, THERE), (BOB, THERE)])
def test_a_button_of_somebody_else_or_elsewhere_is_not_valid(user: UserRef, chat: ChatRef) -> None:
    button = BUTTONS.command("Status", "/status", user=ANN, chat=HERE)

    with pytest.raises(InvalidButton):
        BUTTONS.decode(button.data, user=user, chat=chat)


def test_a_button_signed_with_another_secret_is_not_valid() -> None:
    forged = Buttons(b"x" * 32).command("Close", "/close #1", user=ANN, chat=HERE)

    with pytest.raises(InvalidButton):
        BUTTONS.decode(forged.data, user=ANN, chat=HERE)


@given(st.text(max_size=80))
def test_garbage_is_not_valid_and_nothing_worse(data: str) -> None:
    try:
        meaning = BUTTONS.decode(data, user=ANN, chat=HERE)
    except InvalidButton:
        return
    # What has the form of an offer is judged by the store, which knows its own.
    assert isinstance(meaning, Decision)


@given(st.data())
def test_changing_any_character_makes_a_command_invalid(data: st.DataObject) -> None:
    good = BUTTONS.command("Close", "/close #3 50%", user=ANN, chat=HERE).data
    place = data.draw(st.integers(0, len(good) - 1))
    char = data.draw(st.characters(codec="ascii").filter(lambda c: c != good[place]))

    with pytest.raises(InvalidButton):
        BUTTONS.decode(good[:place] + char + good[place + 1 :], user=ANN, chat=HERE)


@pytest.mark.parametrize("choice", ["confirm", "cancel", *CloseWay])
def test_an_offer_carries_its_id_and_the_choice(choice: str) -> None:
    button = BUTTONS.offer("Go", QUOTE, choice)

    assert len(button.data.encode()) <= MAX_BYTES
    assert BUTTONS.decode(button.data, user=ANN, chat=HERE) == Decision(QUOTE, choice)


def test_a_button_never_grows_beyond_what_a_platform_carries() -> None:
    longest = "/" + "x" * 49
    assert fits(longest)
    assert len(BUTTONS.command("x", longest, user=ANN, chat=HERE).data.encode()) == MAX_BYTES

    assert not fits(longest + "x")
    with pytest.raises(InvariantBroken):
        BUTTONS.command("x", longest + "x", user=ANN, chat=HERE)


def test_bytes_count_and_not_characters() -> None:
    assert not fits("é" * 26)


def test_what_is_not_even_text_is_not_valid() -> None:
    with pytest.raises(InvalidButton):
        BUTTONS.decode("c:AAAAAAAAAAA:\ud800", user=ANN, chat=HERE)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(InvariantBroken):
        Buttons(b"short")
