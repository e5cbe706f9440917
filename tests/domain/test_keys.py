"""What is taken for a key, and what is said about one that was refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.keys import advice, defect, looks_like_key, swapped

HEX_64 = "3f9ad1c07be24586a0c1e2d3f4051627" * 2
BINANCE = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
OKX_KEY = "9a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
BYBIT_SECRET = "qW8eR7tY6uI5oP4aS3dF2gH1jK0lZ9xC8vB7"
LETTERS = "vmPUZEbmvnSDoVNHkqHlWFsOrzaKEwzvswpMuIgwCIPyhutIcolyRJugDduEhxAt"
BASE64 = "/kT9Zx+3qLw8Yv2Rb7Nn5Mm1Cc4Dd6Ee0Ff9Gg8Hh7Ii6Jj5Kk4Ll3Mm2Nn1Oo0Pp9Qq8Rr7Ss6Tt5Uu4=="


@pytest.mark.parametrize(
    "text",
    [
        BINANCE,
        HEX_64,
        HEX_64[:32].upper(),
        OKX_KEY,
        BYBIT_SECRET,
        BASE64,
        f"bg_{HEX_64[:32]}",
        f"my key is {BINANCE} ok?",
        LETTERS,
        f"{LETTERS[:40]}7{LETTERS[41:]}",
        LETTERS[:36],
        f"apiKey={BINANCE}",
        f"/connect binance {BINANCE}",
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==",
    ],
)
def test_keys_and_secrets_are_recognized(text: str) -> None:
    assert looks_like_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/hedge BTC",
        "/open BTC/USDT:USDT long 1000usdt 10x sl 95000 tp 120000",
        "x" * 300,
        "1" * 64,
        "-" * 80,
        "https://www.example.com/futures/en/my/settings/api-management?ref=2026a1b2c3d4e5f6a7b8c9d0e1f2",
        "/start 4fJx_0aB-9cD1eF2gH3i",
        "Donaudampfschifffahrtsgesellschaftskapitaen",
        "ThisIsTheVeryLongNameOfAnAbstractFactoryOfSomeFactories",
        "WHATISTHELIQUIDATIONPRICEOFMYPOSITIONNUMBERTHREEONBINANCE",
        "whatistheliquidationpriceofmypositionnumberthreeonbinance",
        "what is the liquidation price of my position number 3 on binance",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert not looks_like_key(text)


@given(st.text(max_size=200))
def test_any_text_can_be_judged(text: str) -> None:
    assert looks_like_key(text) in {True, False}


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.text(max_size=30))
def test_random_hex_is_a_key_wherever_it_stands(key: str, around: str) -> None:
    digits = sum(char.isdigit() for char in key)
    if len(set(key)) >= 10 and 3 <= digits <= 61:
        assert looks_like_key(f"{around} {key} {around}")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("key", "", "The key is missing."),
        ("secret", "********", "masked"),
        ("secret", "••••••", "masked"),
        ("key", "abc def", "space"),
        ("key", "abc\tdef", "characters that no key has"),
        ("secret", "ключ-секрет", "characters that no key has"),
        ("key", "a" * 513, "characters that no key has"),
        ("secret", "-----BEGIN PRIVATE KEY-----", "HMAC"),
    ],
)
def test_what_cannot_be_a_key_is_said_before_anybody_is_asked(name: str, value: str, words: str) -> None:
    assert words in defect(name, value)


@pytest.mark.parametrize(
    ("name", "value"), [("key", BINANCE), ("secret", BASE64), ("passphrase", "my pass 1!")]
)
def test_what_could_be_one_has_no_defect(name: str, value: str) -> None:
    assert defect(name, value) == ""


def test_swapped_is_said_only_where_it_is_sure() -> None:
    bybit_key = "aB3dE5fG7hJ9kL1mN2"
    assert swapped("bybit", BYBIT_SECRET, bybit_key)
    assert not swapped("bybit", bybit_key, BYBIT_SECRET)
    assert swapped("okx", HEX_64[:32], OKX_KEY)
    assert not swapped("binance", BINANCE, HEX_64), "both look alike there"
    assert not swapped("elsewhere", BYBIT_SECRET, bybit_key)


def test_the_advice_names_the_part_that_was_cut_off() -> None:
    assert "The key may have been cut off: binance gives 64" in advice("binance", BINANCE[:60], HEX_64)
    assert "The secret may have been cut off" in advice("binance", BINANCE, HEX_64[:63])
    assert "swapped or cut off" in advice("binance", BINANCE, HEX_64)
    assert "swapped or cut off" in advice("elsewhere", "a", "b")
