from __future__ import annotations

import re

import pytest

from chatbot.clock import SystemClock
from chatbot.domain.instrument import PositionSide
from chatbot.errors import BadCredentials, InstrumentUnavailable
from chatbot.ports import Credentials, Exchanges, Venue
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.ccxt.loading import exchange_class
from chatbot.venues.ccxt.quirks import Call, Quirks
from chatbot.venues.ccxt.table import INVERTED, ONE_WAY_ONLY, TABLE, known, refusal

ROWS = pytest.mark.parametrize("quirks", TABLE.values(), ids=lambda q: q.id)


@ROWS
def test_every_row_is_complete(quirks: Quirks) -> None:
    assert exchange_class(quirks.ccxt_id)
    assert quirks.rejections
    assert quirks.absent
    for legs in (quirks.legs.opening, quirks.legs.closing):
        assert legs.keys() == set(PositionSide)
    assert quirks.budget.weight > max(quirks.weight(call) for call in Call)


@ROWS
def test_no_code_says_two_things(quirks: Quirks) -> None:
    assert not quirks.rejections.keys() & quirks.unchanged
    for code in quirks.absent & quirks.rejections.keys():
        assert quirks.rejections[code] == "InvalidOrder"


@ROWS
def test_our_order_ids_fit_everywhere(quirks: Quirks) -> None:
    longest = "HR" + "a" * 10 + "PO" + "9" * 6

    assert len(quirks.id_prefix + longest) <= 28
    assert re.fullmatch("[A-Za-z0-9]+", longest)


@pytest.mark.parametrize("venue_id", ["binance", "Binance", "kucoinfutures", "gateio", " bybit "])
def test_what_is_supported_is_not_refused(venue_id: str) -> None:
    assert refusal(venue_id) is None
    assert known(venue_id) is not None


@pytest.mark.parametrize("venue_id", [*sorted(ONE_WAY_ONLY), *INVERTED, "atlantis", ""])
def test_what_is_not_supported_is_refused_in_one_sentence_with_a_way_out(venue_id: str) -> None:
    said = refusal(venue_id)

    assert said is not None
    assert "Connect one of these: binance," in said
    assert "\n" not in said


async def test_the_exchanges_are_what_the_services_expect() -> None:
    exchanges: Exchanges = CcxtExchanges(SystemClock())

    assert exchanges.supported()[:3] == ("binance", "bybit", "okx")
    assert [v for v in exchanges.supported() if exchanges.needs_passphrase(v)] == ["okx", "bitget", "kucoin"]
    assert exchanges.refusal("deribit")


async def test_an_account_on_an_unknown_exchange_is_an_error_with_the_reason() -> None:
    exchanges = CcxtExchanges(SystemClock())

    with pytest.raises(InstrumentUnavailable, match="deribit holds one position per symbol"):
        await exchanges.health("deribit")


async def test_a_wallet_is_asked_for_where_keys_are_wallets() -> None:
    exchanges = CcxtExchanges(SystemClock())

    assert "wallet address" in exchanges.key_name("aster")
    assert exchanges.key_name("okx") == "API key and secret"
    with pytest.raises(BadCredentials, match="wallet address and private key"):
        await exchanges.examine("aster", Credentials("an-api-key", "a-secret"))


@ROWS
def test_practice_is_an_address_or_a_header_or_nothing(quirks: Quirks) -> None:
    assert quirks.demo_url == "" or quirks.demo_url.startswith("https://")
    assert not (quirks.demo_url and quirks.demo_headers)
    wanted = CcxtExchanges(SystemClock(), practice=frozenset({quirks.id}))
    assert (wanted.refusal(quirks.id) is None) is quirks.has_demo


def test_the_venue_is_a_venue() -> None:
    from chatbot.venues.ccxt.venue import CcxtVenue  # noqa: PLC0415

    kind: type[Venue] = CcxtVenue
    assert kind is CcxtVenue
