"""How numbers, instants and other people's words are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import text
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT

D = Decimal
amounts = st.decimals(min_value=D("-1e12"), max_value=D("1e12"), allow_nan=False, places=10)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("1234.5", "+1,234.50"),
        ("-1234.567", "-1,234.57"),
        ("0", "+0.00"),
        ("-0.0031", "-0.0031"),
        ("0.000000001", "+0.00000000"),
        ("0.005", "+0.0050"),
    ],
)
def test_money_carries_its_sign_and_keeps_what_is_under_a_cent(amount: str, shown: str) -> None:
    assert text.money(D(amount)) == shown


def test_money_in_coin_has_eight_decimals() -> None:
    assert text.money(D("0.00012345"), "BTC") == "+0.00012345"


def test_a_zero_is_never_negative() -> None:
    assert text.number(D("-0.0001"), 2, sign=True) == "+0.00"


@given(amounts, st.integers(5, 20))
def test_a_fitted_number_fits(amount: Decimal, width: int) -> None:
    assert len(text.fitted(amount, 8, width, sign=True)) <= max(width, 8)


@given(amounts)
def test_a_fitted_number_that_is_not_nothing_does_not_read_as_nothing(amount: Decimal) -> None:
    shown = text.fitted(amount, 10, 12)

    assert not amount or any(digit in shown for digit in "123456789")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("118024.1", "118,024.10"), ("1e12", "1.00T"), ("123456789012", "123.46B"), ("1e-8", "0.00000001")],
)
def test_what_does_not_fit_gives_way_step_by_step(amount: str, shown: str) -> None:
    assert text.fitted(D(amount), 8 if D(amount) < 1 else 2, 10) == shown


AMOUNTS = st.decimals(-1000, 1000, places=6) | st.decimals(-1000, 1000, places=2)


@given(st.lists(st.tuples(AMOUNTS, st.integers(0, 2)), min_size=1, max_size=7))
def test_rounded_parts_add_up_to_the_rounded_total(parts: list[tuple[Decimal, int]]) -> None:
    exact = [part for part, _ in parts]

    shown = text.adding_up(sum(exact, D(0)), exact, order=[order for _, order in parts])

    assert sum(shown) == text.rounded(sum(exact, D(0)), 2)
    for part, out in zip(exact, shown, strict=True):
        assert abs(part - out) < D("0.01"), "never more than a cent"
        assert out == part or part != text.rounded(part, 2), "what is exact stays"


def test_the_rest_of_the_rounding_goes_to_estimates_first_and_to_the_largest_error_among_them() -> None:
    parts = [D("161.003"), D("-4.9"), D("-3.364"), D("-0.124"), D("-0.324")]
    total = sum(parts, D(0))
    assert text.rounded(total, 2) == D("152.29")
    # By themselves they make 152.30: one cent is to be taken from an estimate, the third or the fourth.
    assert text.adding_up(total, parts, order=[2, 1, 0, 0, 1]) == (
        D("161.00"),
        D("-4.90"),
        D("-3.37"),
        D("-0.12"),
        D("-0.32"),
    )


def test_prices_follow_the_tick_and_quantities_the_lot() -> None:
    assert text.price(D("2299.876"), ETH_USDT) == "2,299.88"
    assert text.quantity(D(1), ETH_USDT) == "1.000"
    assert text.quantity(D("0.0005"), ETH_USDT) == "0.0005"


def test_an_inverse_contract_is_counted_in_its_quote() -> None:
    assert text.unit_of(BTC_COIN) == "USD"
    assert text.unit_of(BTC_USDT) == "BTC"


def test_only_the_usual_contract_goes_by_its_coin() -> None:
    assert text.short_name(BTC_USDT.symbol, BTC_USDT) == "BTC"
    assert text.short_name(BTC_COIN.symbol, BTC_COIN) == "BTC/USD:BTC"


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        ("0.125", "12.5 %"),
        ("0.00004", "0.004 %"),
        ("0.0000000001", "<0.0001 %"),
        ("-0.0000000001", ">-0.0001 %"),
        ("0", "0.0 %"),
        ("10", "1,000.0 %"),
        ("123456", ">1,000 %"),
        ("-11", "<-1,000 %"),
        ("-0.5", "-50.0 %"),
    ],
)
def test_a_small_share_is_not_shown_as_none(fraction: str, shown: str) -> None:
    assert text.percent(D(fraction)) == shown


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (timedelta(days=2, hours=4, minutes=59), "2 d 4 h"),
        (timedelta(hours=3, minutes=5), "3 h 5 min"),
        (timedelta(days=2, minutes=5), "2 d"),
        (timedelta(minutes=42, seconds=30), "42 min"),
        (timedelta(seconds=8.4), "8 s"),
        (timedelta(0), "0 s"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_durations_name_the_two_units_that_matter(span: timedelta, shown: str) -> None:
    assert text.duration(span) == shown


def test_instants_are_told_in_the_zone_of_the_user() -> None:
    at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)

    assert text.instant(at, "Europe/Berlin") == "2 Jul 00:30"
    assert text.instant(at, "UTC") == "1 Jul 22:30 UTC"
    assert text.instant(at, "Nowhere/Land") == "1 Jul 22:30"


@given(st.text(max_size=200))
def test_an_echo_is_short_and_carries_no_markup(word: str) -> None:
    shown = text.echo(word)

    assert len(shown) <= 24
    assert not set(shown) & set("*`\n\r\x1b")


def test_a_moment_is_told_in_tenths() -> None:
    assert text.seconds(timedelta(seconds=0.34)) == "0.3 s"
    assert text.seconds(timedelta(milliseconds=4)) == "under 0.1 s"


def test_a_sentence_ends_once() -> None:
    assert text.sentence("Margin is insufficient.") == "Margin is insufficient."
    assert text.sentence("legs differ") == "legs differ."
