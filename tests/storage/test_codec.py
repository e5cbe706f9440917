"""Nothing is rounded, nothing shifts: what is stored is what comes back."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.chat import Picture, Reply, Text
from chatbot.domain.preferences import Preferences
from chatbot.domain.quote import QuoteKind
from chatbot.errors import InvariantBroken
from chatbot.storage.codec import Cell, decimal_text, dump, instant_of, instant_text, load
from chatbot.storage.records import INTENT, QUOTE, intent_of, quote_cells, quote_of
from tests.storage import samples

amounts = st.decimals(allow_nan=False, allow_infinity=False)
instants = st.datetimes(
    min_value=datetime(1000, 1, 1),  # noqa: DTZ001 (the strategy adds the zone)
    timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14))),
)
LONG = Decimal("-12345678901234567890123456789012345678901234567890.000000000000000000000000000000000000010")


def through_sqlite(text: str) -> str:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (money TEXT NOT NULL) STRICT")
    connection.execute("INSERT INTO t VALUES (?)", (text,))
    ((stored,),) = connection.execute("SELECT money FROM t")
    connection.close()
    return str(stored)


@given(amounts)
def test_an_amount_survives_a_column_to_the_digit(amount: Decimal) -> None:
    stored = Decimal(through_sqlite(decimal_text(amount)))
    assert stored.as_tuple() == amount.as_tuple()


@given(amounts)
def test_an_amount_survives_json_to_the_digit(amount: Decimal) -> None:
    preferences = Preferences(caps=replace(Preferences().caps, notional=amount))
    stored = load(Preferences, dump(Preferences, preferences)).caps.notional
    assert stored.as_tuple() == amount.as_tuple()


@pytest.mark.parametrize("amount", [LONG, Decimal("-0.00"), Decimal("1E+30"), Decimal("0E-18")])
def test_the_form_of_an_amount_is_kept(amount: Decimal) -> None:
    assert Decimal(through_sqlite(decimal_text(amount))).as_tuple() == amount.as_tuple()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(InvariantBroken):
        decimal_text(Decimal(text))


@given(instants)
def test_an_instant_survives_to_the_microsecond_and_comes_back_in_utc(instant: datetime) -> None:
    stored = instant_of(through_sqlite(instant_text(instant)))
    assert stored == instant
    assert stored.tzinfo is UTC


@given(instants, instants)
def test_instants_sort_as_text(one: datetime, other: datetime) -> None:
    assert (instant_text(one) < instant_text(other)) == (one < other)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(InvariantBroken):
        instant_text(datetime(2026, 11, 22))  # noqa: DTZ001 (that is the point)


@given(st.text(), st.text())
def test_a_card_survives_whatever_is_written_on_it(text: str, slot: str) -> None:
    card = samples.reply(text, slot=slot)
    assert load(Reply, dump(Reply, card)) == card


def test_absent_values_stay_absent() -> None:
    bare = replace(samples.intent(), limit_price=None, trigger_price=None, average_price=None)
    cells = INTENT.encode(bare)
    assert cells["limit_price"] is None
    assert INTENT.decode(list(cells.values())) == bare


@pytest.mark.parametrize("change", [-1, 1])
def test_a_row_of_another_width_is_refused(change: int) -> None:
    cells: list[Cell] = [*INTENT.encode(samples.intent()).values(), None]
    with pytest.raises(InvariantBroken):
        INTENT.decode(cells[: len(cells) - 1 + change])


def test_a_row_that_was_read_before_comes_to_the_same_and_a_changed_one_does_not() -> None:
    row = tuple(INTENT.encode(samples.intent()).values())
    changed = tuple(INTENT.encode(replace(samples.intent(), reason="another")).values())
    assert intent_of(row) is intent_of(list(row))
    assert intent_of(changed) == replace(samples.intent(), reason="another")


def test_a_quote_must_be_what_its_kind_says() -> None:
    wrong = replace(samples.quote(kind=QuoteKind.HEDGE), kind=QuoteKind.CLOSE)
    with pytest.raises(InvariantBroken):
        quote_cells(wrong)
    other_request = replace(samples.quote(), request=samples.quote(kind=QuoteKind.OPEN).request)
    with pytest.raises(InvariantBroken):
        quote_cells(other_request)


@pytest.mark.parametrize("kind", list(QuoteKind))
def test_decimals_in_an_offer_keep_their_form(kind: QuoteKind) -> None:
    cells = quote_cells(samples.quote(kind=kind))
    row = [cells[name] for name in (*QUOTE.fields, "request", "offer")]
    assert repr(quote_of(row).offer).replace("TzInfo(0)", "") == repr(samples.quote(kind=kind).offer).replace(
        "datetime.timezone.utc", ""
    )


@given(st.binary(max_size=300))
def test_a_picture_survives_to_the_byte(png: bytes) -> None:
    reply = Reply((Text("caption"),), picture=Picture(png, "what it shows", ("⠉⠉ 2,300", "")))
    assert load(Reply, dump(Reply, reply)) == reply


def test_a_reply_stored_before_there_were_pictures_has_none() -> None:
    assert load(Reply, '{"blocks": [{"text": "said"}]}') == Reply((Text("said"),))


def test_nothing_is_no_value() -> None:
    with pytest.raises(InvariantBroken):
        load(Reply, "null")
