"""What people type is taken in any order and many spellings; numbers are taken strictly."""

from __future__ import annotations

from datetime import time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.quote import OpenRequest, Size, SizeUnit
from chatbot.errors import BadArgument
from handlers.arguments import (
    AmbiguousSymbol,
    Arguments,
    clock_time_of,
    decimal_of,
    duration_of,
    hedge_number_of,
    matching_symbols,
    percent_of,
    resolve_symbol,
    time_span_of,
)
from handlers.open import open_request
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT, INSTRUMENTS

D = Decimal


def opening(line: str) -> OpenRequest:
    return open_request(Arguments(line.split(), INSTRUMENTS))


def complaint(line: str) -> str:
    with pytest.raises(BadArgument) as caught:
        opening(line)
    return caught.value.message


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1,000.5", "1000.5"),
        ("1,000,000", "1000000"),
        ("-3", "-3"),
        ("+3", "3"),
        ("007", "7"),
    ],
)
def test_plain_numbers_are_taken_exactly(word: str, value: str) -> None:
    assert decimal_of(word) == D(value)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("0,5", "two ways: write `0.5`"),
        ("0,500", "two ways"),
        ("10,00", "two ways"),
        ("1e400", "without an exponent"),
        ("1e3", "without an exponent"),
        ("NaN", "not a number I can use"),
        ("-inf", "not a number I can use"),
        ("sNaN", "not a number I can use"),
        ("1.2.3", "digits and a decimal point"),
        ("1,00,000", "digits and a decimal point"),
        ("1.000,5", "digits and a decimal point"),
        ("--5", "digits and a decimal point"),
        ("1" * 31, "more than 30 digits"),
        ("٣", "is not a number"),
        ("five", "is not a number"),
        ("🚀", "is not a number"),
        ("-", "is not a number"),
    ],
)
def test_what_is_no_plain_number_is_refused_with_the_reason(word: str, reason: str) -> None:
    with pytest.raises(BadArgument) as caught:
        decimal_of(word)

    assert reason in caught.value.message


@given(st.text(min_size=1, max_size=60))
def test_any_word_is_a_finite_decimal_or_a_complaint(word: str) -> None:
    try:
        value = decimal_of(word)
    except BadArgument as error:
        assert error.message.startswith("`")
    else:
        assert value.is_finite()


def test_percentages_durations_and_times() -> None:
    assert percent_of("12.5%") == D("0.125")
    assert duration_of("1h") == timedelta(hours=1)
    assert duration_of("90s") == timedelta(seconds=90)
    assert clock_time_of("7") == time(7)
    assert time_span_of("23:00-07:30") == (time(23), time(7, 30))
    assert hedge_number_of("#3") == 3
    assert hedge_number_of("3") is None


@pytest.mark.parametrize("word", ["1", "h", "-1h", "1y", "999999h"])
def test_what_is_no_duration_is_refused(word: str) -> None:
    with pytest.raises(BadArgument, match="duration"):
        duration_of(word)


@pytest.mark.parametrize("word", ["24:00", "7:60", "noon", ""])
def test_what_is_no_time_of_day_is_refused(word: str) -> None:
    with pytest.raises(BadArgument, match="time of day"):
        clock_time_of(word)


# --- symbols ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        "BTC",
        "btc",
        "btcusdt",
        "BTC/USDT:USDT",
        "btc-usdt",
        "BTCUSDT.P",
        "BTC_USDT",
        "btcusdt-perp",
        "BTC-USDT-SWAP",
    ],
)
def test_a_symbol_has_many_spellings(word: str) -> None:
    assert resolve_symbol(word, INSTRUMENTS) == BTC_USDT.symbol


def test_the_inverse_contract_goes_by_its_full_name() -> None:
    assert resolve_symbol("btc/usd:btc", INSTRUMENTS) == BTC_COIN.symbol


def test_a_name_that_two_contracts_answer_to_is_asked_about() -> None:
    with pytest.raises(AmbiguousSymbol) as caught:
        resolve_symbol("BTCUSD", INSTRUMENTS)

    assert set(caught.value.choices) == {BTC_USDT.symbol, BTC_COIN.symbol}


def test_an_unknown_market_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadArgument, match="Did you mean `ETH`") as caught:
        resolve_symbol("ETHH", INSTRUMENTS)

    assert not isinstance(caught.value, AmbiguousSymbol)


def test_ten_thousand_characters_are_no_market() -> None:
    with pytest.raises(BadArgument, match="I do not know the market"):
        resolve_symbol("A" * 10_000, INSTRUMENTS)


def test_separators_alone_name_nothing() -> None:
    assert matching_symbols("/", INSTRUMENTS) == ()


# --- a whole line -------------------------------------------------------------------------------

WANTED = OpenRequest(
    BTC_USDT.symbol,
    PositionSide.LONG,
    Size(SizeUnit.BASE, D("0.05")),
    D(10),
    MarginMode.ISOLATED,
    D(100_000),
    D(130_000),
)


@given(st.permutations(["BTC", "long", "0.05", "10x", "isolated", "sl 100000", "tp 130,000"]))
def test_the_order_of_arguments_does_not_matter(words: list[str]) -> None:
    assert opening(" ".join(words)) == WANTED


@pytest.mark.parametrize(
    "line",
    [
        "btcusdt buy 0.05 x10 iso stop=100000 target=130000",
        "BTC LONG 0.05btc 10X isolated sl:100,000 tp:130000",
        "buy 0.05BTC 10x isolated stop 100000 take-profit 130000",
    ],
)
def test_synonyms_mean_the_same(line: str) -> None:
    assert opening(line) == WANTED


@pytest.mark.parametrize(
    ("word", "size"),
    [
        ("1000usdt", Size(SizeUnit.NOTIONAL, D(1000))),
        ("1000 usdt", Size(SizeUnit.NOTIONAL, D(1000))),
        ("$1,000", Size(SizeUnit.NOTIONAL, D(1000))),
        ("2.5kusdt", Size(SizeUnit.NOTIONAL, D(2500))),
        ("1k", Size(SizeUnit.BASE, D(1000))),
        ("25%", Size(SizeUnit.SHARE, D("0.25"))),
        ("0.5", Size(SizeUnit.BASE, D("0.5"))),
    ],
)
def test_sizes_are_coins_money_or_a_share(word: str, size: Size) -> None:
    assert opening(f"BTC long {word}").size == size


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "I need a market"),
        ("BTC", "I need a side"),
        ("BTC sideways 1", "I need a side: **long** or **short**."),
        ("BTC long", "I need a size"),
        ("BTC long short 1", "both sides"),
        ("BTC long 0", "more than zero"),
        ("BTC long -1", "more than zero"),
        ("BTC long NaN", "not a number I can use"),
        ("BTC long 1e400", "without an exponent"),
        ("BTC long 0,5", "write `0.5`"),
        ("BTC long 1 10", "more than one size"),
        ("BTC long 1 1000usdt", "more than one size"),
        ("BTC long 150%", "at most 100 %"),
        ("BTC long %", "is not a number"),
        ("BTC long 1 0x", "more than zero"),
        ("BTC long 1 10x 20x", "two leverages"),
        ("BTC long 1 isolated cross", "both margin modes"),
        ("BTC long 1 sl", "a price after `sl`"),
        ("BTC long 1 sl 5 sl 6", "the stop-loss twice"),
        ("BTC long 1 sl -5", "more than zero"),
        ("BTC ETH long 1", "One market at a time"),
        ("BTC long 0.5eth", "The size is in ETH"),
        ("XYZ long 1", "I do not know the market `XYZ`"),
        ("BTC long 1 please", "`please` means here"),
        ("🚀 long 1", "I need a market"),
        ("BTC 🚀 1", "I need a side"),
    ],
)
def test_each_mistake_gets_its_own_sentence(line: str, said: str) -> None:
    assert said in complaint(line)


def test_a_coin_in_the_size_names_the_market() -> None:
    assert opening("long 0.5eth").symbol == ETH_USDT.symbol


@given(
    st.lists(
        st.sampled_from(
            ["BTC", "long", "short", "0.05", "10x", "sl", "tp", "at", "#3", "50%", "cross", "1e9", "$"]
        ),
        max_size=9,
    )
)
def test_any_mixture_of_words_is_a_request_or_a_complaint(words: list[str]) -> None:
    try:
        request = opening(" ".join(words))
    except BadArgument as error:
        assert error.message
    else:
        assert request.size.value > 0
