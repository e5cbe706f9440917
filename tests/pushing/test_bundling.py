"""Several alerts of one chat go as one message."""

from __future__ import annotations

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.platforms.console import render
from chatbot.pushing.bundling import MOST_ROWS, bundled


def an_alert(subject: str, says: str, *labels: str, severity: Severity = Severity.WARNING) -> Reply:
    made = tuple((Button(label, f"{subject} {label}"),) for label in labels)
    settings = (Button("Settings", "/alerts"),)
    return Reply((Text(says),), (*made, settings), severity, subject=subject)


def test_one_stays_as_it_is() -> None:
    alone = an_alert("#3", "near", "Close…")
    assert bundled([alone]) is alone


def test_the_words_follow_one_another_and_a_button_says_what_it_is_about() -> None:
    card = bundled(
        [an_alert("#3", "**#3 near**", "Close…", "Add 5 USDT"), an_alert("SOL", "**SOL far**", "Close…")]
    )
    assert render(card).splitlines() == [
        "#3 near",
        "",
        "SOL far",
        "[1] #3 Close…",
        "[2] #3 Add 5 USDT",
        "[3] SOL Close…",
        "[4] Settings",
    ]


def test_a_button_does_what_it_did() -> None:
    card = bundled([an_alert("#3", "a", "Close…"), an_alert("#4", "b", "Close…")])
    assert [b.data for row in card.buttons for b in row] == ["#3 Close…", "#4 Close…", "/alerts"]


def test_of_one_hedge_no_button_is_named_and_none_comes_twice() -> None:
    card = bundled([an_alert("#3", "a", "Close…", "Add 5 USDT"), an_alert("#3", "b", "Close…", "Status")])
    assert [b.label for row in card.buttons for b in row] == ["Close…", "Add 5 USDT", "Status", "Settings"]


def test_how_things_stand_is_asked_for_by_one_button() -> None:
    one = Reply((Text("a"),), ((Button("Set again", "/a"), Button("Status", "/status #3")),), subject="#3")
    other = Reply((Text("b"),), ((Button("Set again", "/b"), Button("Status", "/status")),), subject="#3")

    buttons = [(b.label, b.data) for row in bundled([one, other]).buttons for b in row]

    assert buttons == [("Set again", "/a"), ("Status", "/status #3"), ("Set again", "/b")]


def test_the_gravest_gives_the_color() -> None:
    calm, grave = an_alert("#3", "a"), an_alert("#4", "b", severity=Severity.CRITICAL)
    assert bundled([calm, grave]).severity is Severity.CRITICAL


def test_there_are_not_more_buttons_than_can_be_read() -> None:
    many = [an_alert(f"#{n}", "x", "Close…", "Add", "Snooze 1 h") for n in range(5)]
    assert len(bundled(many).buttons) == MOST_ROWS + 1
