"""The picture of the demo: columns that stand, words that fit, and the README shows what is said today."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from chatbot import pen
from chatbot.chat import Button, Reply, Table, Text
from chatbot.demo import key_moments, tell
from chatbot.pen import SCALE, SYMBOLS, Color, Pen, Run, prose_lines, spelled, width_of
from chatbot.picture import BUBBLE, CONVERSATION, DARK, LIGHT, PADDING, Entry, draw, entries, save, transcript
from chatbot.stage import Line, Speaker, wrapped

ROOT = Path(__file__).resolve().parent.parent
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ROOM = BUBBLE - 2 * PADDING
LARGEST = 200_000


@pytest.fixture(scope="module")
def phones() -> list[list[Line]]:
    return key_moments(asyncio.run(tell(None, io.StringIO())).lines)


def card(*blocks: Text | Table, buttons: tuple[str, ...] = (), message_id: str = "1") -> Line:
    row = tuple(Button(label, "x") for label in buttons)
    reply = Reply(blocks=blocks, buttons=(row,) if row else ())
    return Line(NOON, Speaker.BOT, reply=reply, message_id=message_id)


def share_of(image: Image.Image, color: Color) -> float:
    colors = image.getcolors(image.width * image.height) or []
    return sum(count for count, found in colors if found == color) / (image.width * image.height)


# --- tables -------------------------------------------------------------------------------------


def test_labels_begin_and_figures_end_at_their_columns() -> None:
    assert entries("entry        64,002.5    ~67,223.2") == [
        Entry("entry", 0, right=False),
        Entry("64,002.5", 21, right=True),
        Entry("~67,223.2", 34, right=True),
    ]


def test_the_heads_of_columns_end_where_their_figures_do() -> None:
    heads = entries("                 long        short")
    figures = entries("quantity        0.050        0.050")

    assert [head.cell for head in heads] == [figure.cell for figure in figures[1:]]
    assert all(head.right for head in heads)


def test_an_indented_label_keeps_its_indent() -> None:
    assert entries("  away                      24.5 %")[0] == Entry("away", 2, right=False)


def test_words_one_blank_apart_stay_together() -> None:
    assert [entry.text for entry in entries("funding +0.0100 %/8h in 2 h 10 min")] == [
        "funding +0.0100 %/8h in 2 h 10 min"
    ]


def test_all_digits_are_equally_wide() -> None:
    assert len({width_of(digit, 13.5) for digit in "0123456789"}) == 1


def test_no_line_of_a_table_is_wider_than_its_card(phones: list[list[Line]]) -> None:
    tables = (block for lines in phones for line in lines for block in line.reply.blocks)
    lines = [line for block in tables if isinstance(block, Table) for line in block.lines]

    assert lines
    assert max(sum(width_of(entry.text, 13.5) for entry in entries(line)) for line in lines) <= ROOM


# --- prose --------------------------------------------------------------------------------------


def text_of(runs: list[Run]) -> str:
    return "".join(("" if run.glued or not number else " ") + run.text for number, run in enumerate(runs))


def test_prose_breaks_before_it_is_too_wide_and_loses_nothing() -> None:
    words = "If it goes, you are long 0.05 BTC unhedged, next liquidation 48,214.8 (exchange), 30.9 % away."

    lines = prose_lines(words, ROOM, 14.5)

    assert len(lines) > 1
    assert " ".join(text_of(line) for line in lines) == words
    assert all(width_of(text_of(line), 14.5) <= ROOM for line in lines)


def test_what_follows_bold_words_without_a_blank_is_glued_to_them() -> None:
    (line,) = prose_lines("gives **~+157.43**. The `hedge` costs", ROOM, 14.5)

    assert text_of(line) == "gives ~+157.43. The hedge costs"
    assert [run.text for run in line if run.bold] == ["~+157.43"]
    assert [run.text for run in line if run.glued] == ["."]


def test_a_paragraph_begins_a_line() -> None:
    assert [text_of(line) for line in prose_lines("one\ntwo", ROOM, 14.5)] == ["one", "two"]


def test_wrapped_bold_is_closed_and_opened_on_every_line() -> None:
    assert list(wrapped("a **bold one that is** b", 8)) == ["a **bold**", "**one that**", "**is** b"]


# --- letters and symbols ------------------------------------------------------------------------


def missing(character: str) -> bool:
    """The font draws the same box for whatever it does not have."""
    font = pen._font(20)
    return bytes(font.getmask(character)) == bytes(font.getmask("\ue123"))


def test_every_letter_of_the_conversation_can_be_drawn(phones: list[list[Line]]) -> None:
    letters = set(spelled(transcript(phones))) - set(SYMBOLS) - {"\n", " "}

    assert missing("漢")
    assert [letter for letter in sorted(letters) if missing(letter)] == []


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_symbol_stays_in_its_place(symbol: str) -> None:
    image = Image.new("RGB", (60 * SCALE, 60 * SCALE), LIGHT.card)
    before = image.copy()

    SYMBOLS[symbol](Pen(image), 20, 20)

    changed = ImageChops.difference(image, before).getbbox()
    assert changed is not None
    left, top, right, bottom = (edge / SCALE for edge in changed)
    assert 19 <= left < right <= 37
    assert 19 <= top < bottom <= 37


def test_a_symbol_is_found_with_and_without_its_variation_mark() -> None:
    assert spelled("⚠️") == spelled("⚠") == "⚠"
    assert width_of("⚠️", 14.5) == pen.SYMBOL_WIDTH


# --- the conversation ---------------------------------------------------------------------------


def test_a_tapped_button_is_filled() -> None:
    offer = card(Text("Offer"), buttons=("Confirm", "Cancel"))
    tap = Line(NOON, Speaker.TRADER, "Confirm", message_id="1")
    other = Line(NOON, Speaker.TRADER, "Confirm", message_id="2")

    assert share_of(draw([[offer, tap]], LIGHT), LIGHT.tapped) > 0.03
    assert share_of(draw([[offer, other]], LIGHT), LIGHT.tapped) == 0
    assert share_of(draw([[offer]], LIGHT), LIGHT.tapped) == 0


def test_a_tap_takes_no_room_of_its_own() -> None:
    offer = card(Text("Offer"), buttons=("Confirm",))
    tap = Line(NOON, Speaker.TRADER, "Confirm", message_id="1")

    assert draw([[offer, tap]], LIGHT).size == draw([[offer]], LIGHT).size


def test_what_is_typed_stands_in_the_traders_color() -> None:
    typed = Line(NOON, Speaker.TRADER, "/hedge BTC")

    assert share_of(draw([[typed]], DARK), DARK.own) > 0.02


def test_phones_stand_side_by_side_and_are_as_high_as_the_highest() -> None:
    short, long = [card(Text("one"))], [card(Text("one\ntwo\nthree"))]

    alone, both = draw([long], LIGHT), draw([short, long], LIGHT)

    assert both.height == alone.height
    assert both.width > 2 * alone.width


def test_the_phones_show_offer_done_danger_and_result(phones: list[list[Line]]) -> None:
    told = [transcript([lines]) for lines in phones]

    assert told[0].startswith("/hedge BTC")
    assert told[0].endswith("Confirm")
    for words in ("is hedged", "from liquidation", "Close…", "closed: +"):
        assert words in told[1]


def test_the_same_conversation_gives_the_same_picture(phones: list[list[Line]]) -> None:
    assert draw(phones, DARK).tobytes() == draw(phones, DARK).tobytes()


@pytest.mark.parametrize("name", ["demo.png", "demo-dark.png"])
def test_the_picture_of_the_readme_shows_what_is_said_today(phones: list[list[Line]], name: str) -> None:
    path = ROOT / "docs" / name
    with Image.open(path) as shown:
        shown.load()
        assert shown.info.get(CONVERSATION) == transcript(phones), "draw it anew: make picture"
        assert shown.size == draw(phones, LIGHT).size
    assert path.stat().st_size < LARGEST
    assert f"docs/{name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_dark_picture_is_dark(tmp_path: Path) -> None:
    light, dark = save([[card(Text("one"))]], tmp_path / "one.png")

    with Image.open(light) as first, Image.open(dark) as second:
        brightness = [sum(image.convert("L").resize((1, 1)).tobytes()) for image in (first, second)]
    assert brightness[0] > 180
    assert brightness[1] < 60
