"""Cards to HTML, held against what Telegram (the loopback's reading of it) accepts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import Button, Reply, Table, Text
from chatbot.platforms.telegram.markup import BLANK, CUT_NOTICE, TEXT_LIMIT, keyboard, render, units
from tests.wire.bot_api import Refusal, parse_html

# All of Unicode, halves of surrogate pairs and controls included, and much of what markup is made of.
texts = st.text(
    st.one_of(st.characters(exclude_categories=()), st.sampled_from("*`<>&;/ab \n\0")), max_size=300
)
blocks = st.one_of(st.builds(Text, texts), st.builds(Table, st.lists(texts, max_size=5).map(tuple)))
repeated = st.builds(lambda text, times: Text(text * times), texts, st.integers(1, 200))


def test_bold_and_code_are_marked_and_all_else_is_escaped() -> None:
    reply = Reply((Text("**Locked <1>** on `#3 & co` ** a * b"),))
    (page,) = render(reply)
    assert page.html == "<b>Locked &lt;1&gt;</b> on <code>#3 &amp; co</code> ** a * b"
    assert page.plain == "Locked <1> on #3 & co ** a * b"


def test_a_table_is_monospaced() -> None:
    (page,) = render(Reply((Text("head"), Table(("long   1.0", "liq  <none>")), Text("tail"))))
    assert page.html == "head\n<pre>long   1.0\nliq  &lt;none&gt;</pre>\ntail"


def test_markup_does_not_cross_a_line() -> None:
    (page,) = render(Reply((Text("**a\nb** `c\nd`"),)))
    assert page.html == "**a\nb** `c\nd`"


@given(st.lists(blocks, max_size=4))
def test_whatever_is_written_telegram_takes_it_and_shows_it(written: list[Text | Table]) -> None:
    for page in render(Reply(tuple(written))):
        assert parse_html(page.html) == page.plain
        assert page.plain.strip()


@given(st.lists(texts.map(Text), min_size=1, max_size=3))
def test_text_without_markup_is_shown_as_it_is(written: list[Text]) -> None:
    plain = [Text(block.text.replace("*", "").replace("`", "")) for block in written]
    shown = "\n".join(page.plain for page in render(Reply(tuple(plain))))
    expected = "\n".join(block.text.encode("utf-8", "replace").decode().replace("\0", "") for block in plain)
    assert shown in {expected, BLANK}


@given(st.lists(st.one_of(repeated, blocks), min_size=1, max_size=6), st.booleans())
def test_no_message_is_longer_than_telegram_allows(written: list[Text | Table], one_page: bool) -> None:
    pages = render(Reply(tuple(written)), one_page=one_page)
    assert all(units(page.plain) <= TEXT_LIMIT for page in pages)
    assert all(parse_html(page.html) == page.plain for page in pages)
    assert len(pages) == 1 or not one_page


def test_a_long_card_is_split_between_its_blocks() -> None:
    first, second = render(Reply((Text("a" * 3000), Table(("b" * 30,) * 60))))
    assert first.plain == "a" * 3000
    assert second.html.startswith("<pre>b")


def test_a_long_block_is_split_between_its_lines() -> None:
    lines = tuple(f"line {number:4} " + "x" * 20 for number in range(400))
    pages = render(Reply((Table(lines),)))
    assert len(pages) > 2
    assert "\n".join(page.plain for page in pages) == "\n".join(lines)
    assert all(page.html.startswith("<pre>") and page.html.endswith("</pre>") for page in pages)


def test_a_long_line_is_split_somewhere() -> None:
    pages = render(Reply((Text("🔒" * 5000),)))
    assert "".join(page.plain for page in pages) == "🔒" * 5000


def test_a_card_that_is_edited_is_cut_with_a_notice() -> None:
    lines = tuple(f"line {number:4} " + "x" * 20 for number in range(400))
    (page,) = render(Reply((Text("**head**"), Table(lines))), one_page=True)
    assert page.html.startswith("<b>head</b>\n<pre>line    0")
    assert page.html.endswith(f"</pre>\n{CUT_NOTICE}")
    assert page.html.count("<pre>") == 1
    assert TEXT_LIMIT - 40 < units(page.plain) <= TEXT_LIMIT


def test_one_endless_line_is_cut_too() -> None:
    (page,) = render(Reply((Text("x" * 5000),)), one_page=True)
    assert page.plain.startswith("x" * 2000)
    assert page.plain.endswith(CUT_NOTICE)


def test_nothing_visible_becomes_a_dash() -> None:
    for block in (Text(""), Text(" \n\t"), Text("\u200b\ufeff"), Table(()), Table(("", ""))):
        assert [page.html for page in render(Reply((block,)))] == [BLANK]


def test_buttons_keep_their_rows() -> None:
    reply = Reply(
        (Text("x"),), ((Button("Confirm", "q:1:go"), Button("Cancel", "q:1:no")), (Button("Help", "h"),))
    )
    markup = keyboard(reply)
    assert markup is not None
    assert json.loads(markup) == {
        "inline_keyboard": [
            [{"text": "Confirm", "callback_data": "q:1:go"}, {"text": "Cancel", "callback_data": "q:1:no"}],
            [{"text": "Help", "callback_data": "h"}],
        ]
    }


def test_a_button_with_more_than_64_bytes_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    fits, too_long = Button("fits", "ä" * 32), Button("too long", "ä" * 33)
    markup = keyboard(Reply((Text("x"),), ((fits, too_long), (Button("empty", ""),))))
    assert markup is not None
    assert [[button["text"] for button in row] for row in json.loads(markup)["inline_keyboard"]] == [["fits"]]
    assert len(caplog.records) == 2


def test_without_buttons_there_is_no_keyboard() -> None:
    assert keyboard(Reply((Text("x"),))) is None


@pytest.mark.parametrize(
    "bad", ["<", "<b", "<b>", "</b>", "<b><code>x</b></code>", "<blink>x</blink>", "<pre><b>x</b></pre>"]
)
def test_the_loopback_refuses_what_telegram_refuses(bad: str) -> None:
    with pytest.raises(Refusal, match="can't parse entities"):
        parse_html(bad)
