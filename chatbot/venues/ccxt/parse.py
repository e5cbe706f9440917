"""Instruments and markets: ccxt's market dicts and the venues' own answers as domain values. Pure.

Contracts become base units here (quote units for inverse instruments) and never leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatbot.domain.instrument import ZERO, ContractKind, Instrument, MarginTier, Symbol
from chatbot.domain.market import BookLevel, MarketState, OrderBook, PricePoint
from chatbot.venues.ccxt.reading import EARLIEST_MS, LATEST_MS, Answer, number, rows_of

USUAL_INTERVAL = timedelta(hours=8)
MILLISECOND = timedelta(milliseconds=1)
DAY_MS = 86_400_000
UNLIMITED = Decimal(10) ** 12  # where a venue names no largest order


def tradable(market: Mapping[str, object], *, inverse: bool) -> bool:
    """Perpetuals that trade now and settle in what they are quoted in; with ``inverse`` also in their coin.

    A quanto, which settles in a third currency, never is: its profit is neither.
    """
    trades = bool(market.get("swap")) and market.get("active") is not False and bool(market.get("settle"))
    coin = bool(market.get("inverse")) and market.get("settle") == market.get("base")
    return trades and (market.get("linear") is True or (inverse and coin))


def instrument(
    venue: str,
    market: Mapping[str, object],
    tiers: Sequence[MarginTier],
    *,
    funding_interval: timedelta | None = None,
) -> Instrument:
    """Fee rates are the venue's usual ones until ``with_fees`` says what the account pays."""
    told = Answer.of(venue, "instrument", market)
    size = told.positive("contractSize")
    most = [
        told.positive_or_none("limits.amount.max"),
        told.positive_or_none("limits.market.max", "info.maxMktSz"),
    ]
    lot = told.positive("precision.amount") * size
    least = told.positive_or_none("limits.amount.min")
    return Instrument(
        symbol=Symbol(told.text("symbol")),
        base=told.text("base"),
        quote=told.text("quote"),
        settle=told.text("settle"),
        kind=ContractKind.LINEAR if told.truth("linear") else ContractKind.INVERSE,
        contract_size=size,
        tick_size=told.positive("precision.price"),
        lot_size=lot,
        min_quantity=lot if least is None else least * size,
        max_quantity=min((m * size for m in most if m is not None), default=UNLIMITED),
        min_notional=told.positive_or_none("limits.cost.min") or ZERO,
        taker_fee_rate=told.decimal("taker"),
        maker_fee_rate=told.decimal("maker"),
        funding_interval=funding_interval or _listed_interval(told) or USUAL_INTERVAL,
        tiers=tuple(tiers),
    )


def _listed_interval(told: Answer) -> timedelta | None:
    """Bybit lists minutes, KuCoin milliseconds, Phemex and Gate seconds."""
    for field, unit in (
        ("info.fundingInterval", timedelta(minutes=1)),
        ("info.fundingRateGranularity", timedelta(milliseconds=1)),
        ("info.funding_interval", timedelta(seconds=1)),
        ("info.fundInterval", timedelta(hours=1)),
    ):
        length = number(told.get(field))
        if length is not None and 0 < length * int(unit / MILLISECOND) <= DAY_MS:
            return int(length) * unit
    return None


def with_fees(known: Instrument, *, taker: Decimal, maker: Decimal) -> Instrument:
    return replace(known, taker_fee_rate=taker, maker_fee_rate=maker)


def margin_tiers(
    venue: str, rows: object, *, progressive: bool, unit: Decimal = Decimal(1)
) -> tuple[MarginTier, ...]:
    """ccxt's tiers, ascending; the last one has no upper end. ``unit`` turns their caps into notional.

    Progressive: each part of a position pays its own tier's rate, so that the margin has no jumps. Else the
    whole position pays the rate of its tier.
    """
    read = sorted((_tier(row) for row in rows_of(venue, "margin tiers", rows)), key=lambda t: t[0])
    if not read:
        raise Answer(venue, "margin tiers", {}).garbled("tiers", rows)
    tiers: list[MarginTier] = []
    amount, below = ZERO, read[0][1]
    for index, (floor, rate, leverage) in enumerate(read):
        amount += floor * unit * (rate - below) if progressive else ZERO
        below = rate
        cap = read[index + 1][0] * unit if index + 1 < len(read) else None
        tiers.append(MarginTier(cap, rate, amount, leverage))
    return tuple(tiers)


def _tier(row: Answer) -> tuple[Decimal, Decimal, Decimal]:
    return row.not_negative("minNotional"), row.positive("maintenanceMarginRate"), row.positive("maxLeverage")


def hours(text: str | None) -> timedelta | None:
    """ "8h" as ccxt writes it."""
    match = re.fullmatch(r"(\d{1,2})h", text or "")
    return timedelta(hours=int(match[1])) if match and 0 < int(match[1]) <= 24 else None


def market_state(
    symbol: Symbol, told: Answer, *, interval: timedelta, read_at: datetime, last: Answer | None = None
) -> MarketState:
    """Of ccxt's funding rate and ticker (``last``); what only one of them tells is taken from that."""
    both = (told, last or told)
    mark = _first(both, "markPrice", "info.markPrice")
    index = _first(both, "indexPrice")
    price = both[1].positive_or_none("last", "info.lastPrice", "close")
    if mark is None:
        raise told.garbled("markPrice", told.get("markPrice"))
    return MarketState(
        symbol=symbol,
        mark_price=mark,
        index_price=index or mark,
        last_price=price or mark,
        funding_rate=told.decimal("fundingRate"),
        funding_interval=interval,
        next_funding_at=_next_funding(told),
        at=next((a.instant("timestamp") for a in both if a.get("timestamp") is not None), read_at),
    )


def _first(answers: Iterable[Answer], *fields: str) -> Decimal | None:
    found = (answer.positive_or_none(*fields) for answer in answers)
    return next((price for price in found if price is not None), None)


def _next_funding(told: Answer) -> datetime:
    """ccxt puts the coming settlement in either field, depending on the venue."""
    return told.instant("fundingTimestamp", "nextFundingTimestamp")


def order_book(venue: str, symbol: Symbol, data: object, *, size: Decimal, read_at: datetime) -> OrderBook:
    told = Answer.of(venue, f"order book of {symbol}", data)
    return OrderBook(
        symbol=symbol,
        bids=_levels(told, "bids", size),
        asks=_levels(told, "asks", size),
        at=told.instant("timestamp") if told.get("timestamp") is not None else read_at,
    )


def _levels(told: Answer, field: str, size: Decimal) -> tuple[BookLevel, ...]:
    rows = told.get(field)
    if not isinstance(rows, list):
        raise told.garbled(field, rows)
    levels = []
    for row in rows:
        paired = isinstance(row, list) and len(row) > 1
        price, quantity = (number(row[0]), number(row[1])) if paired else (None, None)
        if price is None or quantity is None or price <= 0 or quantity < 0:
            raise told.garbled(field, row)
        if quantity:
            levels.append(BookLevel(price, quantity * size))
    return tuple(sorted(levels, key=lambda level: level.price, reverse=field == "bids"))


def price_points(
    venue: str, symbol: Symbol, rows: object, *, since: datetime, until: datetime, step: timedelta
) -> tuple[PricePoint, ...]:
    """Of ccxt's candles of this length: the opening, then the extremes somewhere inside; ascending."""
    told = Answer(venue, f"prices of {symbol}", {"candles": rows})
    if not isinstance(rows, list):
        raise told.garbled("candles", rows)
    points = (point for row in rows for point in _points(told, row, step, until))
    return tuple(sorted((p for p in points if p.at >= since), key=lambda p: p.at))


def _points(told: Answer, row: object, step: timedelta, until: datetime) -> Iterator[PricePoint]:
    if not isinstance(row, list) or len(row) < 5:
        raise told.garbled("candle", row)
    at, *prices = (number(cell) for cell in row[:5])
    known = [price for price in prices if price is not None and price > 0]
    if at is None or not EARLIEST_MS <= at <= LATEST_MS or len(known) < 4:
        raise told.garbled("candle", row)
    begin = datetime.fromtimestamp(int(at) / 1000, UTC)
    opened, high, low, closed = known
    first, second = (low, high) if closed >= opened else (high, low)
    length = min(step, until - begin) if begin < until else step  # the last candle is still growing
    yield PricePoint(begin, opened)
    yield PricePoint(begin + length / 3, first)
    yield PricePoint(begin + length * 2 / 3, second)


def symbols_by_id(markets: Iterable[Mapping[str, object]]) -> dict[str, Symbol]:
    """The venue's own names of the perpetuals."""
    return {str(m["id"]): Symbol(str(m["symbol"])) for m in markets if m.get("swap")}
