from __future__ import annotations

import logging
import pickle
from collections.abc import AsyncIterator
from decimal import ROUND_FLOOR, Context, getcontext, localcontext
from typing import Any

import pytest

from chatbot.ports import Credentials
from chatbot.venues.ccxt.clones import Client, Connections, clone, make_template
from chatbot.venues.ccxt.loading import exchange_class
from chatbot.venues.ccxt.table import TABLE

ALICE = Credentials("key-of-alice", "secret-of-alice", "phrase-of-alice")
BOB = Credentials("key-of-bob", "secret-of-bob", "phrase-of-bob")


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    made = Connections()
    yield made
    await made.close()


@pytest.fixture
async def template(connections: Connections) -> Client:
    return make_template(TABLE["binance"], connections)


async def test_a_clone_has_keys_options_and_headers_of_its_own(template: Client) -> None:
    alice = clone(template, ALICE, options={"recvWindow": 1234}, headers={"expTime": "9"})
    bob = clone(template, BOB)

    assert (alice.apiKey, bob.apiKey) == ("key-of-alice", "key-of-bob")
    assert (alice.options["recvWindow"], bob.options["recvWindow"]) == (1234, 10_000)
    assert "expTime" not in bob.headers
    assert not template.apiKey


async def test_clones_share_what_is_big(template: Client) -> None:
    first, second = clone(template, ALICE), clone(template, BOB)

    assert first.markets is second.markets is template.markets
    assert first.session is second.session
    assert first.ssl_context is second.ssl_context


async def test_each_signs_with_its_own_secret(template: Client) -> None:
    template.options["timeDifference"] = 0
    signed = [
        clone(template, who).sign("order", ["fapiPrivate"], "POST", {"symbol": "ETHUSDT"})
        for who in (ALICE, BOB)
    ]

    assert [s["headers"]["X-MBX-APIKEY"] for s in signed] == ["key-of-alice", "key-of-bob"]


@pytest.mark.parametrize("venue_id", TABLE)
async def test_nothing_is_retried_throttled_or_printed(connections: Connections, venue_id: str) -> None:
    made = make_template(TABLE[venue_id], connections)

    assert made.enableRateLimit is False
    assert made.verbose is False
    assert not made.options.get("maxRetriesOnFailure")
    assert made.has["fetchCurrencies"] is False
    assert made.number is str


async def test_ccxt_writes_nothing_of_a_request_into_the_log(
    template: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = clone(template, ALICE)

    made.logger.debug("%s %s", "headers", {"X-MBX-APIKEY": ALICE.api_key})

    assert caplog.text == ""


async def test_numbers_of_the_description_are_text_too(template: Client) -> None:
    assert isinstance(template.fees["linear"]["trading"]["taker"], str)


@pytest.mark.parametrize(
    ("venue_id", "address"),
    [
        ("binance", "http://127.0.0.1:9/fapi/v1"),
        ("bybit", "http://127.0.0.1:9"),
        ("okx", "http://127.0.0.1:9"),
        ("kucoin", "http://127.0.0.1:9"),
    ],
)
async def test_another_address_keeps_the_venues_paths(
    connections: Connections, venue_id: str, address: str
) -> None:
    made = make_template(TABLE[venue_id], connections, api_url="http://127.0.0.1:9")

    addresses = _leaves(made.urls["api"])
    assert all(url.startswith("http://127.0.0.1:9") for url in addresses)
    assert address in addresses


async def test_binances_errors_are_told_apart_at_any_address(connections: Connections) -> None:
    made = make_template(TABLE["binance"], connections, api_url="http://127.0.0.1:9")

    with pytest.raises(Exception, match="-2019") as caught:
        made.handle_errors(
            400, "", "http://127.0.0.1:9/x", "POST", {}, '{"code":-2019}', {"code": -2019}, {}, ""
        )
    assert type(caught.value).__name__ == "InsufficientFunds"


async def test_one_session_serves_all(connections: Connections) -> None:
    templates = [make_template(TABLE[venue], connections) for venue in ("bybit", "okx")]

    assert templates[0].session is templates[1].session
    await connections.close()
    assert templates[0].session.closed


def test_making_a_client_leaves_the_decimal_context_alone() -> None:
    with localcontext(Context(prec=31, rounding=ROUND_FLOOR)):
        exchange_class("okx")

        assert getcontext().rounding == ROUND_FLOOR
        assert getcontext().prec == 31


def test_an_unknown_exchange_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        exchange_class("atlantis")


def test_credentials_show_and_keep_nothing() -> None:
    assert "secret-of-alice" not in repr(ALICE)
    with pytest.raises(TypeError):
        pickle.dumps(ALICE)


def _leaves(urls: Any) -> list[str]:
    if isinstance(urls, dict):
        return [leaf for url in urls.values() for leaf in _leaves(url)]
    return [urls]
