"""Builders for tests: instruments with tiers like those of a large venue, markets, books, account views.

Everything has a sensible default; a test names only what matters to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Balance, LegSetting, Position
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, Leg, LegRole, UserId
from chatbot.domain.instrument import (
    ZERO,
    ContractKind,
    Instrument,
    MarginMode,
    MarginTier,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.market import BookLevel, MarketState, OrderBook
from chatbot.domain.order import OrderReport

Number = Decimal | int | str

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
CROSS, ISOLATED = MarginMode.CROSS, MarginMode.ISOLATED


def decimals(*values: Number) -> tuple[Decimal, ...]:
    return tuple(Decimal(value) for value in values)


def tiers(*rows: tuple[Number | None, Number, Number]) -> tuple[MarginTier, ...]:
    """Rows of cap, maintenance rate and highest leverage; amounts make maintenance margin continuous."""
    made: list[MarginTier] = []
    for cap, rate, leverage in rows:
        amount = ZERO
        if made:
            below = made[-1]
            edge = below.notional_cap or ZERO
            amount = below.maintenance_amount + edge * (Decimal(rate) - below.maintenance_margin_rate)
        made.append(
            MarginTier(None if cap is None else Decimal(cap), Decimal(rate), amount, Decimal(leverage))
        )
    return tuple(made)


def an_instrument(
    base: str = "ETH",
    *,
    quote: str = "USDT",
    kind: ContractKind = ContractKind.LINEAR,
    tick: Number = "0.01",
    lot: Number = "0.001",
    max_quantity: Number = 10_000,
    min_notional: Number = 5,
    taker: Number = "0.0005",
    maker: Number = "0.0002",
    hours: int = 8,
    margin_tiers: tuple[MarginTier, ...] | None = None,
) -> Instrument:
    settle = quote if kind is ContractKind.LINEAR else base
    return Instrument(
        symbol=Symbol(f"{base}/{quote}:{settle}"),
        base=base,
        quote=quote,
        settle=settle,
        kind=kind,
        contract_size=Decimal(1) if kind is ContractKind.LINEAR else Decimal(lot),
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        min_quantity=Decimal(lot),
        max_quantity=Decimal(max_quantity),
        min_notional=Decimal(min_notional),
        taker_fee_rate=Decimal(taker),
        maker_fee_rate=Decimal(maker),
        funding_interval=timedelta(hours=hours),
        tiers=margin_tiers or tiers((None, "0.005", 125)),
    )


BTC_USDT = an_instrument(
    "BTC",
    tick="0.1",
    max_quantity=1_000,
    margin_tiers=tiers(
        (50_000, "0.004", 125),
        (600_000, "0.005", 100),
        (3_000_000, "0.01", 75),
        (12_000_000, "0.025", 50),
        (70_000_000, "0.05", 20),
        (None, "0.1", 10),
    ),
)
ETH_USDT = an_instrument(
    "ETH",
    margin_tiers=tiers(
        (50_000, "0.005", 100),
        (600_000, "0.0065", 75),
        (3_000_000, "0.01", 50),
        (12_000_000, "0.02", 25),
        (None, "0.05", 10),
    ),
)
SOL_USDT = an_instrument(
    "SOL",
    lot="0.1",
    hours=4,
    margin_tiers=tiers((50_000, "0.01", 75), (500_000, "0.02", 25), (None, "0.05", 10)),
)
BTC_COIN = an_instrument(
    "BTC",
    quote="USD",
    kind=ContractKind.INVERSE,
    tick="0.1",
    lot=100,
    max_quantity=10_000_000,
    min_notional=0,
    margin_tiers=tiers((5, "0.004", 125), (10, "0.005", 100), (20, "0.01", 50), (None, "0.025", 20)),
)
INSTRUMENTS: Mapping[Symbol, Instrument] = {
    instrument.symbol: instrument for instrument in (BTC_USDT, ETH_USDT, SOL_USDT, BTC_COIN)
}


def a_market(
    instrument: Instrument = ETH_USDT,
    mark: Number = 2_300,
    *,
    rate: Number = "0.0001",
    interval: timedelta | None = None,
    at: datetime = NOW,
    next_funding_in: timedelta = timedelta(minutes=42),
) -> MarketState:
    price = Decimal(mark)
    return MarketState(
        symbol=instrument.symbol,
        mark_price=price,
        index_price=price,
        last_price=price,
        funding_rate=Decimal(rate),
        funding_interval=interval or instrument.funding_interval,
        next_funding_at=at + next_funding_in,
        at=at,
    )


def a_book(
    instrument: Instrument = ETH_USDT,
    mid: Number = 2_300,
    *,
    half_spread: Number = 0,
    depth: Number = 1_000,
    step: Number = 1,
    levels: int = 10,
    at: datetime = NOW,
) -> OrderBook:
    """``depth`` per level, levels ``step`` apart; without spread everything fills at mid up to ``depth``."""
    middle, half, apart, each = Decimal(mid), Decimal(half_spread), Decimal(step), Decimal(depth)
    if instrument.kind is ContractKind.INVERSE:
        each *= 1_000
    return OrderBook(
        symbol=instrument.symbol,
        bids=tuple(BookLevel(middle - half - apart * n, each) for n in range(levels)),
        asks=tuple(BookLevel(middle + half + apart * n, each) for n in range(levels)),
        at=at,
    )


def a_position(
    side: PositionSide = LONG,
    quantity: Number = 1,
    entry: Number = 2_000,
    *,
    instrument: Instrument = ETH_USDT,
    leverage: Number = 10,
    mode: MarginMode = CROSS,
    margin: Number | None = None,
    liquidation_price: Number | None = None,
    opened_at: datetime | None = None,
) -> Position:
    """An isolated one holds its initial margin unless ``margin`` says otherwise."""
    held = None if margin is None else Decimal(margin)
    if mode is ISOLATED and held is None:
        held = instrument.notional(Decimal(quantity), Decimal(entry)) / Decimal(leverage)
    return Position(
        symbol=instrument.symbol,
        side=side,
        quantity=Decimal(quantity),
        entry_price=Decimal(entry),
        leverage=Decimal(leverage),
        margin_mode=mode,
        margin=held,
        liquidation_price=None if liquidation_price is None else Decimal(liquidation_price),
        opened_at=opened_at,
    )


def _pnl(instrument: Instrument, position: Position, mark: Decimal) -> Decimal:
    sign, quantity = position.side.sign, position.quantity
    if instrument.kind is ContractKind.LINEAR:
        return sign * quantity * (mark - position.entry_price)
    return sign * (quantity / position.entry_price - quantity / mark)


def a_balance(
    wallet: Number,
    positions: Iterable[Position] = (),
    *,
    currency: str = "USDT",
    marks: Mapping[Symbol, Decimal] | None = None,
    instruments: Mapping[Symbol, Instrument] = INSTRUMENTS,
    margin_ratio: Decimal | None = None,
) -> Balance:
    """Equity, free margin and maintenance as a venue would work them out of these positions."""
    settled = [p for p in positions if instruments[p.symbol].settle == currency]
    equity = cross_equity = Decimal(wallet)
    initial = maintenance = ZERO
    for position in settled:
        instrument, mark = instruments[position.symbol], (marks or {})[position.symbol]
        gain = _pnl(instrument, position, mark)
        equity += gain
        if position.margin_mode is ISOLATED:
            cross_equity -= position.margin or ZERO
            continue
        cross_equity += gain
        notional = instrument.notional(position.quantity, mark)
        tier = instrument.tier(notional)
        initial += notional / position.leverage
        maintenance += notional * tier.maintenance_margin_rate - tier.maintenance_amount
    return Balance(
        currency=currency,
        wallet=Decimal(wallet),
        equity=equity,
        free=max(ZERO, cross_equity - initial),
        maintenance_margin=maintenance,
        margin_ratio=margin_ratio,
    )


def a_view(
    *positions: Position,
    wallet: Number = 10_000,
    coin_wallet: Number | None = None,
    instrument: Instrument = ETH_USDT,
    mark: Number = 2_300,
    rate: Number = "0.0001",
    half_spread: Number = 0,
    depth: Number = 1_000,
    markets: Mapping[Symbol, MarketState] | None = None,
    books: Mapping[Symbol, OrderBook] | None = None,
    position_mode: PositionMode = PositionMode.HEDGE,
    leg_settings: Mapping[tuple[Symbol, PositionSide], LegSetting] | None = None,
    open_orders: tuple[OrderReport, ...] = (),
    instruments: Mapping[Symbol, Instrument] = INSTRUMENTS,
    at: datetime = NOW,
    read_at: datetime | None = None,
) -> AccountView:
    """One market (``instrument`` at ``mark``) unless ``markets`` and ``books`` say otherwise."""
    known = {**instruments, instrument.symbol: instrument}
    shown = markets or {instrument.symbol: a_market(instrument, mark, rate=rate, at=at)}
    marks = {symbol: market.mark_price for symbol, market in shown.items()}
    default_books = {
        symbol: a_book(known[symbol], price, half_spread=half_spread, depth=depth, at=at)
        for symbol, price in marks.items()
    }
    coins = {known[symbol].settle for symbol in marks} - {"USDT"}
    return AccountView(
        at=at,
        read_at=read_at or at,
        balance=a_balance(wallet, positions, marks=marks, instruments=known),
        position_mode=position_mode,
        positions=positions,
        leg_settings=leg_settings or {},
        markets=shown,
        books=default_books if books is None else books,
        open_orders=open_orders,
        other_balances=tuple(
            a_balance(coin_wallet, positions, currency=coin, marks=marks, instruments=known)
            for coin in sorted(coins)
            if coin_wallet is not None
        ),
    )


def a_leg(
    role: LegRole = LegRole.PRIMARY,
    side: PositionSide = LONG,
    quantity: Number = 1,
    entry: Number = 2_000,
    *,
    leverage: Number = 10,
    mode: MarginMode = CROSS,
    fees_paid: Number = 0,
    funding: Number = 0,
    realized: Number = 0,
    adopted: bool = False,
) -> Leg:
    return Leg(
        role=role,
        side=side,
        quantity=Decimal(quantity),
        entry_price=Decimal(entry),
        leverage=Decimal(leverage),
        margin_mode=mode,
        fees_paid=Decimal(fees_paid),
        funding=Decimal(funding),
        realized_pnl=Decimal(realized),
        adopted=adopted,
    )


def a_hedge(
    primary: Leg | None = None,
    offset: Leg | None = None,
    *,
    instrument: Instrument = ETH_USDT,
    number: int = 3,
    opened_at: datetime = NOW - timedelta(hours=52),
) -> Hedge:
    return Hedge(
        id=HedgeId("h000000003"),
        number=number,
        user_id=UserId("user"),
        account_id=AccountId("account"),
        symbol=instrument.symbol,
        primary=primary or a_leg(),
        offset=offset,
        opened_at=opened_at,
    )


def a_pair(
    *,
    quantity: Number = 1,
    offset_quantity: Number | None = None,
    entry: Number = 2_000,
    offset_entry: Number = 2_300,
    side: PositionSide = LONG,
    instrument: Instrument = ETH_USDT,
) -> Hedge:
    """A locked hedge: primary and offset, fees and funding zero."""
    return a_hedge(
        a_leg(LegRole.PRIMARY, side, quantity, entry),
        a_leg(LegRole.OFFSET, side.opposite, offset_quantity or quantity, offset_entry),
        instrument=instrument,
    )
