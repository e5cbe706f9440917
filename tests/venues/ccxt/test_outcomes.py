"""What proves a refusal, and what proves nothing: the real classes of ccxt, with their causes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from chatbot import errors
from chatbot.domain.order import OrderRequest, OrderType, Rejected, Unknown
from chatbot.ports import Credentials
from chatbot.venues.ccxt import outcomes, placing
from chatbot.venues.ccxt.loading import errors as ccxt_errors
from chatbot.venues.ccxt.quirks import Quirks
from chatbot.venues.ccxt.reading import Answer
from chatbot.venues.ccxt.table import TABLE
from tests.builders import LONG, SHORT, an_instrument
from tests.wire.test_ccxt_order_forms import ticket

E = ccxt_errors()
BINANCE, BYBIT, OKX = TABLE["binance"], TABLE["bybit"], TABLE["okx"]
KEY = Credentials("an-api-key-of-alice", "a-secret-of-alice", "a-phrase")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def unreachable() -> aiohttp.ClientConnectorError:
    key = ConnectionKey("fapi.binance.com", 443, True, True, None, None, None)
    return aiohttp.ClientConnectorError(key, OSError(111, "refused"))


def binance(code: int, text: str = "words") -> str:
    return "binanceusdm " + json.dumps({"code": code, "msg": text})


def okx(code: str, *rows: tuple[str, str]) -> str:
    data = [{"sCode": s, "sMsg": m, "clOrdId": f"id{n}"} for n, (s, m) in enumerate(rows)]
    return "okx " + json.dumps({"code": code, "msg": "", "data": data})


@pytest.mark.parametrize(
    ("quirks", "error", "kind"),
    [
        (BINANCE, E.InsufficientFunds(binance(-2019)), "InsufficientMargin"),
        (BINANCE, E.InvalidOrder(binance(-2022)), "InvalidOrder"),
        (BINANCE, E.OperationRejected(binance(-4061)), "WrongPositionMode"),
        (BINANCE, E.AuthenticationError(binance(-2015)), "BadCredentials"),
        (BINANCE, E.DDoSProtection(binance(-2015)), "BadCredentials"),  # ccxt's word for a key that worked
        (BINANCE, E.BadSymbol(binance(-1121)), "InstrumentUnavailable"),
        (BINANCE, E.RateLimitExceeded(binance(-1015)), "RateLimited"),
        (BYBIT, E.BadRequest('bybit {"retCode":10001,"retMsg":"position idx not match position mode"}'),
         "WrongPositionMode"),
        (BYBIT, E.InsufficientFunds('bybit {"retCode":110007,"retMsg":"poor"}'), "InsufficientMargin"),
        (BYBIT, E.PermissionDenied('bybit {"retCode":10005,"retMsg":"denied"}'), "MissingPermission"),
        (OKX, E.ExchangeError(okx("1", ("51008", "Insufficient margin"))), "InsufficientMargin"),
        (OKX, E.InvalidOrder(okx("1", ("51112", "More than held"))), "InvalidOrder"),
        (OKX, E.BadRequest(okx("1", ("51000", "Parameter posSide error"))), "WrongPositionMode"),
        (OKX, E.ExchangeError(okx("50120")), "MissingPermission"),
        (BINANCE, E.InvalidOrder("binanceusdm amount of ETH/USDT:USDT must be greater"), "InvalidOrder"),
        (BINANCE, E.BadSymbol("binanceusdm does not have market symbol FOO"), "InvalidOrder"),
        (BINANCE, caused(E.ExchangeNotAvailable("binanceusdm POST"), unreachable()), "VenueUnavailable"),
    ],
)  # fmt: skip
def test_only_the_allow_list_and_what_was_never_sent_prove_a_refusal(
    quirks: Quirks, error: Exception, kind: str
) -> None:
    outcome = outcomes.order_outcome(error, quirks)

    assert isinstance(outcome, Rejected)
    assert outcome.kind == kind


@pytest.mark.parametrize(
    ("quirks", "error"),
    [
        (BINANCE, caused(E.RequestTimeout("binanceusdm POST"), TimeoutError())),
        (BINANCE, caused(E.ExchangeNotAvailable("x POST"), aiohttp.ServerDisconnectedError())),
        (BINANCE, caused(E.ExchangeNotAvailable("x POST"), aiohttp.ClientOSError(104, "reset"))),
        (BINANCE, caused(E.ExchangeError("x POST"), aiohttp.ClientPayloadError("cut"))),
        (BINANCE, E.ExchangeNotAvailable("binanceusdm POST url 503 Service Unavailable <html></html>")),
        (BINANCE, E.OperationFailed(binance(-1006))),
        (BINANCE, E.RequestTimeout(binance(-1007))),
        (BINANCE, E.OperationFailed(binance(-1008))),
        (BINANCE, E.InvalidOrder(binance(-4116))),  # the id is taken: an earlier attempt exists
        (BINANCE, E.ExchangeError(binance(-987654))),
        (BINANCE, E.AuthenticationError("binanceusdm POST url 401 Unauthorized <html></html>")),
        (BINANCE, E.DDoSProtection("binanceusdm 429 Too Many Requests <html></html>")),
        (BYBIT, E.ExchangeError('bybit {"retCode":10016,"retMsg":"Server error"}')),
        (BYBIT, E.ExchangeError('bybit {"retCode":10000,"retMsg":"Server Timeout"}')),
        (BYBIT, E.InvalidOrder('bybit {"retCode":110072,"retMsg":"OrderLinkedID is duplicate"}')),
        (OKX, E.ExchangeError(okx("1", ("51149", "Order timed out")))),
        (OKX, E.InvalidOrder(okx("1", ("51016", "Duplicated client order ID")))),
        (OKX, E.RequestTimeout(okx("50004"))),
        (OKX, E.DuplicateOrderId("okx a duplicate")),
        (OKX, TypeError("what ccxt stumbled over")),
        (OKX, asyncio.CancelledError()),
    ],
)  # fmt: skip
def test_everything_else_is_unknown(quirks: Quirks, error: BaseException) -> None:
    assert isinstance(outcomes.order_outcome(error, quirks), Unknown)


@pytest.mark.parametrize("quirks", TABLE.values(), ids=lambda q: q.id)
def test_every_kind_of_refusal_is_the_name_of_an_error(quirks: Quirks) -> None:
    for kind in quirks.rejections.values():
        assert issubclass(getattr(errors, kind), errors.VenueError)


def test_no_code_for_a_repeated_id_proves_anything() -> None:
    for venue, code in (("binance", "-4116"), ("bybit", "110072"), ("okx", "51016"), ("phemex", "10000")):
        assert code not in TABLE[venue].rejections


def test_a_read_that_is_refused_for_its_pace_says_when_to_come_back() -> None:
    error = E.DDoSProtection(
        'binanceusdm 418 I am a teapot {"code":-1003,"msg":"banned until 1764000060000"}'
    )

    pause = outcomes.pause_seconds(error, 1764000000000)
    told = outcomes.read_error(error, BINANCE, pause=pause)

    assert isinstance(told, errors.RateLimited)
    assert told.retry_after == 60


@pytest.mark.parametrize(
    ("text", "seconds"), [("x 429 Too Many Requests <html>", 5), ("bybit 403 Forbidden <html>", 600)]
)
def test_a_pause_that_is_not_named_is_short_and_after_a_ban_long(text: str, seconds: float) -> None:
    assert outcomes.pause_seconds(E.RateLimitExceeded(text), 0) == seconds


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (E.AuthenticationError(binance(-2015)), errors.BadCredentials),
        (E.DDoSProtection(binance(-2015)), errors.BadCredentials),
        (E.AuthenticationError('binanceusdm requires "apiKey" credential'), errors.BadCredentials),
        (E.PermissionDenied(binance(-987654)), errors.MissingPermission),
        (E.PermissionDenied(binance(-4087)), errors.MissingPermission),
        (E.ExchangeError("binanceusdm GET https://fapi/x?signature=abc"), errors.VenueUnavailable),
    ],
)
def test_a_read_fails_with_the_error_that_says_what_to_do(
    error: Exception, kind: type[errors.VenueError]
) -> None:
    assert type(outcomes.read_error(error, BINANCE)) is kind


@pytest.mark.parametrize(
    "text",
    [
        "GET https://fapi.binance.com/fapi/v1/order?timestamp=1&signature=" + "ab" * 32,
        "signature=" + "0f" * 32,
        '{"apiKey":"an-api-key-of-alice"}',
        "the secret a-secret-of-alice is wrong",
        "sign: " + "A" * 44 + "=",
        "passphrase a-phrase",
    ],
)
def test_no_address_signature_or_key_leaves_the_adapter(text: str) -> None:
    shown = outcomes.redacted(text, KEY)

    for secret in ("ab" * 32, "0f" * 32, KEY.api_key, KEY.secret, KEY.passphrase, "https://", "A" * 44):
        assert secret not in shown


# --- several orders, several answers ------------------------------------------------------------


def tickets(*ids: str) -> Sequence[OrderRequest]:
    plain = an_instrument("ETH")
    kind = OrderType.MARKET
    legs = (LONG, SHORT)
    made = [ticket(plain, legs[n % 2], opens=True, type=kind) for n in range(len(ids))]
    return [replace(order, client_order_id=name) for order, name in zip(made, ids, strict=True)]


def answers(*rows: dict[str, Any]) -> list[Answer]:
    return [Answer("binance", "order", row) for row in rows]


def match(requests: Sequence[OrderRequest], *rows: dict[str, Any]) -> dict[str, str]:
    found = placing.answered(requests, answers(*rows), BINANCE, lambda _: BINANCE.orders)
    return {name: "taken" if isinstance(a, tuple) else type(a).__name__ for name, a in found.items()}


TAKEN_A = {"clientOrderId": "a", "orderId": 1}
TAKEN_B = {"clientOrderId": "b", "orderId": 2}
POOR = {"code": -2019, "msg": "Margin is insufficient."}
ODD = {"code": -1006, "msg": "Unexpected response."}


@pytest.mark.parametrize(
    ("rows", "a", "b"),
    [
        ((TAKEN_B, TAKEN_A), "taken", "taken"),
        ((POOR, TAKEN_B), "Rejected", "taken"),
        ((POOR, TAKEN_A), "taken", "Rejected"),
        ((POOR, POOR), "Rejected", "Rejected"),
        ((POOR, ODD), "Unknown", "Unknown"),  # whose is whose, nobody knows
        ((ODD, TAKEN_A), "taken", "Unknown"),
        ((TAKEN_A,), "taken", "Unknown"),
        ((POOR,), "Unknown", "Unknown"),
        ((), "Unknown", "Unknown"),
        (({"clientOrderId": "a"}, TAKEN_B), "Unknown", "taken"),  # an answer without an order id
        (({"clientOrderId": "z", "orderId": 9}, TAKEN_A), "taken", "Unknown"),
        (({}, TAKEN_A), "taken", "Unknown"),
        ((TAKEN_A, TAKEN_A), "taken", "Unknown"),
    ],
)
def test_answers_are_matched_by_id_and_never_by_place(
    rows: tuple[dict[str, Any], ...], a: str, b: str
) -> None:
    assert match(tickets("a", "b"), *rows) == {"a": a, "b": b}


def test_an_answer_for_somebody_elses_order_is_not_ours() -> None:
    assert match(tickets("a"), {"clientOrderId": "z", "orderId": 9}) == {"a": "Unknown"}


def test_plain_words_stay_readable() -> None:
    words = "Order's position side does not match user's setting."
    assert outcomes.redacted(words) == words
