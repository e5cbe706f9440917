from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, getcontext, localcontext
from typing import Any

import pytest

from chatbot.domain.account import LegSetting, Position
from chatbot.domain.instrument import ContractKind, Instrument, MarginMode, OrderSide, PositionSide, Symbol
from chatbot.domain.margin import maintenance_margin
from chatbot.domain.order import OrderReport, OrderStatus, OrderType
from chatbot.venues.ccxt import parse, parse_account, parse_orders
from chatbot.venues.ccxt.quirks import Fields, Quirks
from chatbot.venues.ccxt.reading import Answer, Garbled, number
from chatbot.venues.ccxt.table import TABLE
from tests.builders import LONG, SHORT, an_instrument
from tests.venues.ccxt import payloads

ETH = Symbol("ETH/USDT:USDT")
AT = datetime(2025, 11, 24, 16, tzinfo=UTC)
BINANCE, BYBIT, OKX = TABLE["binance"], TABLE["bybit"], TABLE["okx"]
PLAIN = an_instrument("ETH")
TENTHS = replace(PLAIN, contract_size=Decimal("0.1"))
CROSS_20 = {(ETH, side): LegSetting(Decimal(20), MarginMode.CROSS) for side in PositionSide}


def position(quirks: Quirks, payload: dict[str, Any], instrument: Instrument = PLAIN) -> Position | None:
    told = Answer(quirks.id, "position", payload)
    return parse_account.position(told, quirks.positions, instrument, settings=CROSS_20)


def report(fields: Fields, payload: dict[str, Any], instrument: Instrument = PLAIN) -> OrderReport:
    return parse_orders.report(Answer("venue", "order", payload), fields, instrument)


# --- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["N/A", "", "nan", "Infinity", None, True, [], {}, "1e99", "1,5", "0x10"])
def test_what_is_no_number_is_not_read_as_one(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize(
    ("value", "read"), [("0.00", "0"), (0.1, "0.1"), (7, "7"), (" 1.50 ", "1.5"), ("1E-7", "1E-7")]
)
def test_numbers_keep_what_was_written(value: object, read: str) -> None:
    assert number(value) == Decimal(read)


def test_reading_neither_needs_nor_changes_the_callers_decimal_context() -> None:
    with localcontext() as context:
        context.prec = 3
        before = getcontext().copy()

        assert number("12345.678901") == Decimal("12345.678901")
        assert repr(getcontext()) == repr(before)


def test_a_complaint_names_venue_field_and_value() -> None:
    with pytest.raises(Garbled, match=r"binance: the position has positionAmt = 'lots', which"):
        position(BINANCE, payloads.BINANCE_POSITION | {"positionAmt": "lots"})


# --- positions ----------------------------------------------------------------------------------


def test_a_binance_leg_takes_leverage_and_mode_from_the_settings() -> None:
    leg = position(BINANCE, payloads.BINANCE_POSITION)

    assert leg is not None
    assert (leg.side, leg.quantity, leg.entry_price) == (SHORT, Decimal("1.5"), Decimal("2000.5"))
    assert (leg.leverage, leg.margin_mode, leg.margin) == (Decimal(20), MarginMode.CROSS, None)
    assert leg.liquidation_price is None  # "0": not reported


def test_a_bybit_leg_is_told_by_its_index() -> None:
    leg = position(BYBIT, payloads.BYBIT_POSITION)

    assert leg is not None
    assert (leg.side, leg.quantity, leg.leverage) == (SHORT, Decimal("1.5"), Decimal(10))
    assert leg.liquidation_price is None  # "": not reported
    assert leg.opened_at == AT


def test_okx_contracts_become_base_units() -> None:
    leg = position(OKX, payloads.OKX_POSITION, TENTHS)

    assert leg is not None
    assert (leg.side, leg.quantity) == (SHORT, Decimal("1.5"))
    assert (leg.margin_mode, leg.margin) == (MarginMode.ISOLATED, Decimal(300))
    assert leg.liquidation_price == Decimal("2180.25")


@pytest.mark.parametrize(
    ("quirks", "payload", "one_way"),
    [
        (BINANCE, payloads.BINANCE_POSITION, {"positionSide": "BOTH"}),
        (BYBIT, payloads.BYBIT_POSITION, {"positionIdx": 0}),
        (OKX, payloads.OKX_POSITION, {"posSide": "net", "pos": "-15"}),
    ],
)
def test_in_one_way_mode_sign_or_word_tells_the_side(
    quirks: Quirks, payload: dict[str, Any], one_way: dict[str, Any]
) -> None:
    leg = position(quirks, payload | one_way)

    assert leg is not None
    assert leg.side is SHORT


@pytest.mark.parametrize("word", ["", None, "SHORTS", 1e308])
@pytest.mark.parametrize(
    ("quirks", "payload", "field"),
    [(BINANCE, payloads.BINANCE_POSITION, "positionSide"), (OKX, payloads.OKX_POSITION, "posSide")],
)
def test_a_side_that_is_not_told_is_not_guessed_from_the_sign(
    quirks: Quirks, payload: dict[str, Any], field: str, word: object
) -> None:
    """OKX counts a short leg in positive numbers: by its sign it would be a second long."""
    with pytest.raises(Garbled, match=field):
        position(quirks, payload | {field: word})


@pytest.mark.parametrize(
    ("quirks", "payload"),
    [
        (BINANCE, payloads.BINANCE_POSITION | {"positionAmt": "0.000"}),
        (BYBIT, payloads.BYBIT_POSITION | {"size": "0", "avgPrice": "0"}),
        (OKX, payloads.OKX_POSITION | {"pos": "0"}),
    ],
)
def test_a_leg_of_nothing_is_none(quirks: Quirks, payload: dict[str, Any]) -> None:
    assert position(quirks, payload) is None


@pytest.mark.parametrize(
    ("quirks", "payload"),
    [
        (BINANCE, payloads.BINANCE_POSITION | {"entryPrice": "0"}),
        (BYBIT, payloads.BYBIT_POSITION | {"avgPrice": ""}),
        (BYBIT, payloads.BYBIT_POSITION | {"leverage": "ten"}),
        (OKX, payloads.OKX_POSITION | {"mgnMode": "sideways"}),
        (OKX, payloads.OKX_POSITION | {"margin": ""}),
    ],
)
def test_a_leg_with_a_field_missing_or_odd_is_an_error(quirks: Quirks, payload: dict[str, Any]) -> None:
    with pytest.raises(Garbled):
        position(quirks, payload)


# --- money --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quirks", "payload"),
    [
        (BINANCE, payloads.BINANCE_ACCOUNT),
        (BYBIT, payloads.BYBIT_WALLET),
        (OKX, payloads.OKX_BALANCE),
    ],
)
def test_money_is_wallet_equity_and_what_is_free(quirks: Quirks, payload: dict[str, Any]) -> None:
    found = parse_account.balances(Answer(quirks.id, "balance", payload), quirks.balance)
    balance = parse_account.balance_of("USDT", found)

    assert (balance.wallet, balance.equity) == (Decimal(10_000), Decimal("10015.75"))
    assert 9_700 < balance.free < 9_900
    assert balance.margin_ratio == balance.maintenance_margin / balance.equity


def test_free_margin_that_is_not_told_is_what_is_not_bound() -> None:
    """Bybit leaves its totals empty in isolated margin."""
    wallet = payloads.BYBIT_WALLET | {"totalAvailableBalance": ""}

    (balance,) = parse_account.balances(Answer("bybit", "balance", wallet), BYBIT.balance)

    assert balance.free == Decimal("9699.93")


def test_a_currency_that_was_never_held_is_nothing() -> None:
    balance = parse_account.balance_of("USDT", ())

    assert balance.wallet == balance.equity == balance.free == 0
    assert balance.margin_ratio is None


# --- orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "payload", "instrument"),
    [
        (BINANCE.orders, payloads.BINANCE_ORDER, PLAIN),
        (BYBIT.orders, payloads.BYBIT_ORDER, PLAIN),
        (OKX.orders, payloads.OKX_ORDER, TENTHS),
    ],
)
def test_a_filled_order_says_the_same_everywhere(
    fields: Fields, payload: dict[str, Any], instrument: Instrument
) -> None:
    told = report(fields, payload, instrument)

    assert (told.client_order_id, told.status, told.type) == (
        "HRabcPO1", OrderStatus.FILLED, OrderType.MARKET,
    )  # fmt: skip
    assert (told.side, told.position_side) == (OrderSide.SELL, SHORT)
    assert told.quantity == told.filled_quantity == Decimal("1.5")
    assert told.average_price == Decimal("2000.5")
    assert told.updated_at == AT + timedelta(milliseconds=123)
    assert told.fee >= 0


@pytest.mark.parametrize(
    ("fields", "payload", "instrument"),
    [(BINANCE.stops, payloads.BINANCE_STOP, PLAIN), (OKX.stops, payloads.OKX_STOP, TENTHS)],
)
def test_a_stop_says_the_same_everywhere(
    fields: Fields, payload: dict[str, Any], instrument: Instrument
) -> None:
    told = report(fields, payload, instrument)

    assert (told.client_order_id, told.status, told.type) == (
        "HRabcPS1", OrderStatus.OPEN, OrderType.STOP_LOSS,
    )  # fmt: skip
    assert (told.position_side, told.trigger_price) == (SHORT, Decimal(2200))


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        (BINANCE.orders, payloads.BINANCE_ORDER | {"executedQty": None}),
        (BINANCE.orders, payloads.BINANCE_ORDER | {"avgPrice": "0"}),
        (BINANCE.orders, payloads.BINANCE_ORDER | {"status": "PONDERING"}),
        (BYBIT.orders, payloads.BYBIT_ORDER | {"cumExecFee": ""}),
        (OKX.orders, payloads.OKX_ORDER | {"accFillSz": "-15"}),
        (OKX.orders, payloads.OKX_ORDER | {"uTime": "yesterday"}),
        (OKX.orders, payloads.OKX_ORDER | {"ordId": ""}),
    ],
)
def test_an_order_with_a_field_missing_or_odd_is_an_error(fields: Fields, payload: dict[str, Any]) -> None:
    with pytest.raises(Garbled):
        report(fields, payload)


def test_a_kind_of_order_that_only_other_hands_place_is_shown_as_a_waiting_one() -> None:
    told = report(BINANCE.orders, payloads.BINANCE_ORDER | {"type": "TRAILING_STOP_MARKET", "status": "NEW"})

    assert told.type is OrderType.TRIGGER


@pytest.mark.parametrize(
    ("amount", "rate", "leg"),
    [
        ("-1.2", "0.0001", LONG),
        ("1.2", "0.0001", SHORT),
        ("-1.2", "-0.0001", SHORT),
        ("1.2", "-0.0001", LONG),
    ],
)
def test_the_signs_of_funding_tell_the_leg(amount: str, rate: str, leg: PositionSide) -> None:
    payment = parse_orders.funding_payment(
        Answer("binance", "income", {}),
        PLAIN,
        id="1",
        amount=Decimal(amount),
        at=AT + timedelta(seconds=3),
        rates={AT: Decimal(rate), AT - timedelta(hours=8): Decimal(9)},
    )

    assert payment is not None
    assert (payment.side, payment.amount, payment.rate) == (leg, Decimal(amount), Decimal(rate))


def test_funding_without_its_rate_is_an_error_and_no_guess() -> None:
    told = Answer("binance", "income", {})
    with pytest.raises(Garbled):
        parse_orders.funding_payment(told, PLAIN, id="1", amount=Decimal(1), at=AT, rates={})


# --- instruments and markets --------------------------------------------------------------------


def test_an_instrument_is_in_base_units() -> None:
    tiers = parse.margin_tiers("okx", payloads.TIERS, progressive=False)

    made = parse.instrument("okx", payloads.MARKET, tiers)

    assert (made.symbol, made.kind) == (ETH, ContractKind.LINEAR)
    assert (made.lot_size, made.min_quantity) == (Decimal("0.001"), Decimal("0.001"))
    assert made.max_quantity == 2000
    assert made.funding_interval == timedelta(hours=8)


def test_the_quantity_of_an_inverse_instrument_is_in_quote_units() -> None:
    inverse = payloads.MARKET | {
        "symbol": "BTC/USD:BTC", "settle": "BTC", "linear": False, "inverse": True, "contractSize": "100",
        "precision": {"amount": "1", "price": "0.1"},
    }  # fmt: skip
    tiers = parse.margin_tiers("okx", payloads.TIERS, progressive=False)

    made = parse.instrument("okx", inverse, tiers)

    assert made.kind is ContractKind.INVERSE
    assert made.lot_size == made.contract_size == 100


COIN_MARGINED = {"symbol": "BTC/USD:BTC", "base": "BTC", "quote": "USD", "settle": "BTC"}
QUANTO = {"symbol": "BTC/USD:USDC", "base": "BTC", "quote": "USD", "settle": "USDC"}


@pytest.mark.parametrize(
    ("told", "listed", "with_inverse"),
    [
        ({}, True, True),
        (COIN_MARGINED | {"linear": False, "inverse": True}, False, True),
        (QUANTO | {"linear": False, "inverse": False}, False, False),
        (QUANTO | {"linear": False, "inverse": True}, False, False),
        ({"active": False}, False, False),
        ({"swap": False}, False, False),
        ({"settle": None}, False, False),
    ],
)
def test_what_settles_in_its_coin_is_traded_where_that_is_known_to_work(
    told: dict[str, Any], listed: bool, with_inverse: bool
) -> None:
    market = payloads.MARKET | told

    assert parse.tradable(market, inverse=False) is listed
    assert parse.tradable(market, inverse=True) is with_inverse


@pytest.mark.parametrize(
    ("told", "length"),
    [
        ({"fundingInterval": 240}, timedelta(hours=4)),
        ({"fundingRateGranularity": 28_800_000}, timedelta(hours=8)),
        ({"funding_interval": "14400"}, timedelta(hours=4)),
        ({"fundInterval": "1"}, timedelta(hours=1)),
        ({}, timedelta(hours=8)),
    ],
)
def test_funding_intervals_are_listed_in_many_units(told: dict[str, Any], length: timedelta) -> None:
    tiers = parse.margin_tiers("okx", payloads.TIERS, progressive=False)

    assert parse.instrument("okx", payloads.MARKET | {"info": told}, tiers).funding_interval == length


def test_progressive_tiers_make_a_margin_without_jumps() -> None:
    tiers = parse.margin_tiers("binance", payloads.TIERS, progressive=True)
    made = replace(PLAIN, tiers=tiers)

    below, above = (maintenance_margin(made, Decimal(1), Decimal(p)) for p in ("50000", "50000.01"))

    assert (below, tiers[1].maintenance_amount) == (Decimal(200), Decimal(50))
    assert above - below < Decimal("0.01")
    assert tiers[-1].notional_cap is None


def test_other_tiers_ask_their_rate_of_the_whole_position() -> None:
    tiers = parse.margin_tiers("okx", payloads.TIERS, progressive=False, unit=Decimal(2))

    assert {tier.maintenance_amount for tier in tiers} == {0}
    assert tiers[0].notional_cap == 100_000


def test_a_market_is_read_from_its_funding_rate() -> None:
    told = Answer("binance", "funding rate", payloads.FUNDING_RATE)

    state = parse.market_state(ETH, told, interval=timedelta(hours=4), read_at=AT)

    assert (state.mark_price, state.index_price, state.last_price) == (
        Decimal("1990.5"), Decimal(1991), Decimal("1990.4"),
    )  # fmt: skip
    assert state.funding_rate == Decimal("-0.0001")
    assert state.next_funding_at == AT + timedelta(hours=1)


def test_a_book_is_in_base_units_and_in_order() -> None:
    upside_down = payloads.BOOK | {"bids": payloads.BOOK["bids"][::-1]}

    book = parse.order_book("okx", ETH, upside_down, size=Decimal("0.1"), read_at=AT)

    assert [level.price for level in book.bids] == [Decimal("1990.4"), Decimal("1990.3")]
    assert book.asks[0].quantity == Decimal("0.2")


@pytest.mark.parametrize("bad", [None, [["x", "1"]], [["1"]], [["-1", "1"]], {"1990": "1"}])
def test_a_book_that_cannot_be_read_is_an_error_and_no_empty_one(bad: object) -> None:
    with pytest.raises(Garbled):
        parse.order_book("okx", ETH, payloads.BOOK | {"asks": bad}, size=Decimal(1), read_at=AT)
