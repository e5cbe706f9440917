"""What differs per exchange, as data. A venue through ccxt is a row here, and payloads in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.order import FillCause, OrderStatus, OrderType
from chatbot.venues.ccxt.limiter import Budget

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
OPEN, FILLED, CANCELED, EXPIRED = OrderStatus
Params = Mapping[str, object]
NOTHING: Params = {}
MODES = {mode.value: mode for mode in MarginMode}


class Call(StrEnum):
    """Requests as the venues weigh them."""

    MARKETS = "markets"
    MARKET = "market"  # mark, index and last price, funding
    BOOK = "book"
    CANDLES = "candles"
    TIERS = "tiers"
    FEES = "fees"
    POSITIONS = "positions"
    BALANCE = "balance"
    MODE = "mode"
    SETTINGS = "settings"
    ORDERS = "orders"  # of one symbol
    ALL_ORDERS = "all_orders"
    ORDER = "order"
    FILLS = "fills"
    FUNDING = "funding"
    KEY = "key"
    SET = "set"
    PLACE = "place"
    CANCEL = "cancel"


class Expiry(StrEnum):
    """How a venue is told until when a request may be carried out."""

    NONE = "none"  # it has no way; its own fixed window holds
    WINDOW = "window"  # milliseconds after the request's timestamp, as an option of the client
    PARAM = "param"  # the same, as a parameter of the request
    INSTANT = "instant"  # a header with the instant in milliseconds
    SECONDS = "seconds"  # seconds after the request's timestamp, as an option


@dataclass(frozen=True, slots=True)
class Validity:
    kind: Expiry = Expiry.NONE
    name: str = ""
    longest_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class Legs:
    """Native parameters that name the leg: no venue is left to guess it from side and reduce-only.

    ``one_way`` closes where an account has one position per symbol; it never opens anything, and a venue in
    hedge mode refuses it.
    """

    opening: Mapping[PositionSide, Params]
    closing: Mapping[PositionSide, Params]
    one_way: Params


def legs(long: Params, short: Params, *, one_way: Params, closing: Params = NOTHING) -> Legs:
    """``closing`` is sent besides when a leg is closed. ``one_way`` names the only position there is."""
    return Legs(
        opening={LONG: long, SHORT: short},
        closing={LONG: {**long, **closing}, SHORT: {**short, **closing}},
        one_way={"reduceOnly": True, **one_way},
    )


@dataclass(frozen=True, slots=True)
class Fields:
    """Where an order stands in the venue's own answer. Names in a tuple are alternatives, dots go deeper.

    ``fee_sign`` turns the venue's sign into ours (positive: paid). ``child`` is the order that a conditional
    one became. ``stop`` and ``profit`` are fields that hold a trigger price.
    """

    client_id: tuple[str, ...]
    id: tuple[str, ...]
    status: tuple[str, ...]
    statuses: Mapping[str, OrderStatus]
    side: str
    leg: str
    legs: Mapping[str, PositionSide]
    quantity: tuple[str, ...]
    updated_at: tuple[str, ...]
    filled: tuple[str, ...] = ()
    average: tuple[str, ...] = ()
    fee: str = ""
    fee_currency: str = ""
    fee_sign: int = 1
    fee_with_fills: bool = False  # the order may say nothing of it
    type: tuple[str, ...] = ()
    types: Mapping[str, OrderType] = field(default_factory=dict)
    price: tuple[str, ...] = ()
    trigger: tuple[str, ...] = ()
    profit: tuple[str, ...] = ()
    reduce_only: str = ""
    child: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PositionFields:
    """Where a position stands. ``leg`` names the side in hedge mode; in one-way mode ``one_way`` does, by a
    word in ``legs`` or by its sign. ``mode`` of another kind than a word: isolated unless zero.
    """

    symbol: str
    leg: str
    legs: Mapping[str, PositionSide]
    quantity: str
    entry: str
    one_way: str
    leverage: tuple[str, ...] = ()  # the first that is not zero
    mode: str = ""
    modes: Mapping[str, MarginMode] = field(default_factory=lambda: MODES)
    margin: tuple[str, ...] = ()
    liquidation: str = ""
    opened_at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BalanceFields:
    """The row of a currency in the venue's answer. Totals are of the whole account, in dollars.

    Where the venue tells no wallet it is the equity without the unrealized profit, and the other way round;
    ``profits`` are the rows of positions that tell theirs.
    """

    rows: str
    currency: str
    wallet: str
    equity: str
    free: str
    maintenance: str = ""
    unrealized: str = ""
    profits: str = ""
    profit: str = ""
    total_maintenance: str = ""
    total_equity: str = ""
    total_free: str = ""

    @property
    def tell_maintenance(self) -> bool:
        return bool(self.maintenance or self.total_maintenance)


@dataclass(frozen=True, slots=True)
class Quirks:
    """``batch``: how many orders one request takes (1: none). Practice accounts have an address of their own
    (``demo_url``), or the usual one with a header (``demo_headers``); with neither there are none.

    ``mode_param``: the margin mode travels with each order under this name, the venue keeps none.
    ``directed_stops``: conditional orders name a trigger price and the way the price goes; elsewhere they
    name a stop-loss or take-profit price. ``id_prefix`` is put before client ids and taken off again.
    """

    id: str
    title: str
    ccxt_id: str
    legs: Legs
    orders: Fields
    stops: Fields
    positions: PositionFields
    balance: BalanceFields
    rejections: Mapping[str, str]
    absent: frozenset[str]
    unchanged: frozenset[str]
    budget: Budget
    weights: Mapping[Call, float] = field(default_factory=dict)
    options: Params = field(default_factory=dict)
    passphrase: bool = False
    inverse: bool = False  # coin-margined perpetuals hold two legs there, and are read rightly
    validity: Validity = Validity()
    batch: int = 1
    stop_params: Params = field(default_factory=dict)
    directed_stops: bool = False
    stop_client_id: tuple[str, ...] = ("clientOrderId",)
    id_prefix: str = ""
    mode_param: str = ""
    leverage_param: str = ""  # the leverage travels with each order under this name
    # Parameters of set-leverage, set-margin-mode and add-margin that name the leg: {side} or {SIDE}.
    leverage_leg: Mapping[str, str] = field(default_factory=dict)
    margin_leg: Mapping[str, str] = field(default_factory=dict)
    mode_needs_leverage: bool = False
    progressive_tiers: bool = False
    forced: Mapping[str, FillCause] = field(default_factory=dict)  # how client ids of its own orders begin
    fill_profit: tuple[str, ...] = ()  # empty: it tells no realized profit with its fills
    whole_amounts: bool = False  # ccxt compares amounts with numbers there
    demo_url: str = ""
    demo_headers: Mapping[str, str] = field(default_factory=dict)
    other_name: str = ""  # what the key and the secret are called there
    price_stream: str = ""  # what ccxt.pro calls the one of mark prices; empty: none that is proven

    @property
    def has_demo(self) -> bool:
        return bool(self.demo_url or self.demo_headers)

    def weight(self, call: Call) -> float:
        return self.weights.get(call, 1.0)


UNIFIED_TYPES = {
    "market": OrderType.MARKET,
    "Market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "Limit": OrderType.LIMIT,
}
UNIFIED_STATUSES = {
    "open": OPEN,
    "closed": FILLED,
    "canceled": CANCELED,
    "canceling": OPEN,
    "expired": EXPIRED,
    "rejected": CANCELED,
}


def unified(leg: str, sides: Mapping[str, PositionSide]) -> Fields:
    """Where ccxt puts them, for venues whose own answer is not read directly."""
    return Fields(
        client_id=("clientOrderId",),
        id=("id",),
        status=("status",),
        statuses=UNIFIED_STATUSES,
        side="side",
        leg=leg,
        legs=sides,
        quantity=("amount",),
        updated_at=("lastUpdateTimestamp", "lastTradeTimestamp", "timestamp"),
        filled=("filled",),
        average=("average",),
        fee="fee.cost",
        fee_currency="fee.currency",
        fee_with_fills=True,
        type=("type", "info.ordType"),
        types=UNIFIED_TYPES,
        price=("price",),
        trigger=("stopLossPrice", "triggerPrice"),
        profit=("takeProfitPrice",),
        reduce_only="reduceOnly",
    )


UNIFIED_POSITION = PositionFields(
    symbol="symbol",
    leg="side",
    legs={"long": PositionSide.LONG, "short": PositionSide.SHORT},
    quantity="contracts",
    entry="entryPrice",
    one_way="side",
    leverage=("leverage", "info.cross_leverage_limit"),  # Gate's own is zero in cross margin
    mode="marginMode",
    margin=("positionMargin", "initialMargin"),
    liquidation="liquidationPrice",
    opened_at=("timestamp",),
)

UPPER_SIDES = {"LONG": LONG, "SHORT": SHORT}
LOWER_SIDES = {"long": LONG, "short": SHORT}
