"""Payloads with any field missing, emptied or turned into something else: an error of ours, or the truth."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.domain.account import LegSetting
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.venues.ccxt import parse, parse_account, parse_orders
from chatbot.venues.ccxt.reading import Answer, Garbled
from chatbot.venues.ccxt.table import TABLE
from tests.builders import an_instrument
from tests.fuzz.bending import ODD, changed, numbers_of, paths
from tests.fuzz.scale import examples
from tests.venues.ccxt import payloads

ETH = Symbol("ETH/USDT:USDT")
AT = datetime(2025, 11, 24, 16, tzinfo=UTC)
INSTRUMENT = an_instrument("ETH")
SETTINGS = {(ETH, side): LegSetting(Decimal(20), MarginMode.CROSS) for side in PositionSide}

Reader = Callable[[Any], object]


def _position(venue: str) -> Reader:
    quirks = TABLE[venue]
    return lambda data: parse_account.position(
        Answer.of(venue, "position", data), quirks.positions, INSTRUMENT, settings=SETTINGS
    )


def _order(venue: str, *, stop: bool = False) -> Reader:
    quirks = TABLE[venue]
    fields = quirks.stops if stop else quirks.orders
    return lambda data: parse_orders.report(Answer.of(venue, "order", data), fields, INSTRUMENT)


def _balance(venue: str) -> Reader:
    return lambda data: parse_account.balances(Answer.of(venue, "balance", data), TABLE[venue].balance)


def _market(data: Any) -> object:
    told = Answer.of("binance", "funding rate", data)
    return parse.market_state(ETH, told, interval=timedelta(hours=8), read_at=AT)


CASES: dict[str, tuple[Reader, Any]] = {
    "binance position": (_position("binance"), payloads.BINANCE_POSITION),
    "bybit position": (_position("bybit"), payloads.BYBIT_POSITION),
    "okx position": (_position("okx"), payloads.OKX_POSITION),
    "binance order": (_order("binance"), payloads.BINANCE_ORDER),
    "binance stop": (_order("binance", stop=True), payloads.BINANCE_STOP),
    "bybit order": (_order("bybit"), payloads.BYBIT_ORDER),
    "okx order": (_order("okx"), payloads.OKX_ORDER),
    "okx stop": (_order("okx", stop=True), payloads.OKX_STOP),
    "binance account": (_balance("binance"), payloads.BINANCE_ACCOUNT),
    "bybit wallet": (_balance("bybit"), payloads.BYBIT_WALLET),
    "okx balance": (_balance("okx"), payloads.OKX_BALANCE),
    "market": (_market, payloads.FUNDING_RATE),
    "book": (lambda data: parse.order_book("okx", ETH, data, size=Decimal(1), read_at=AT), payloads.BOOK),
    "tiers": (lambda data: parse.margin_tiers("okx", data, progressive=True), payloads.TIERS),
    "instrument": (lambda data: parse.instrument("okx", data, ()), payloads.MARKET),
}

junk: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(ODD), st.text(max_size=8), st.floats(), st.lists(st.integers(), max_size=2)
)
# What a wrong zero would be worst in; where the venue says so itself it may be zero.
NEEDED = {"quantity", "entry_price", "leverage", "mark_price", "average_price", "contract_size", "tick_size"}


@dataclass(frozen=True)
class Change:
    """Of the ``place``-th field, going round."""

    place: int
    value: Any
    drop: bool


def _changed(data: Any, change: Change) -> Any:
    known = paths(data)
    if not known:
        return data
    return changed(data, known[change.place % len(known)], change.value, drop=change.drop)


@pytest.mark.parametrize("case", CASES)
def test_a_changed_payload_is_an_error_of_ours_or_no_wrong_zero(case: str) -> None:
    read, payload = CASES[case]

    @examples(150)
    @given(st.lists(st.builds(Change, st.integers(0, 300), junk, st.booleans()), min_size=1, max_size=3))
    def batch(changes: list[Change]) -> None:
        mutated = functools.reduce(_changed, changes, payload)
        try:
            result = read(mutated)
        except Garbled as error:
            assert re.match(r"\w+: the .+ has .+ = .+, which cannot be read\.$", error.message)
            return
        for name in NEEDED:
            value = getattr(result, name, None)
            assert value is None or value > 0 or (case.endswith(("order", "stop")) and name == "quantity")
        assert all(value.is_finite() for _, value in numbers_of(result, case))

    batch()


@pytest.mark.parametrize("case", CASES)
def test_junk_is_always_an_error_of_ours(case: str) -> None:
    read, _ = CASES[case]

    @examples(40)
    @given(st.one_of(junk, st.dictionaries(st.text(max_size=5), junk, max_size=3)))
    def batch(found: object) -> None:
        with pytest.raises(Garbled):
            read(found)

    batch()


@pytest.mark.parametrize("case", CASES)
def test_the_payload_itself_is_read(case: str) -> None:
    read, payload = CASES[case]

    assert read(payload)
