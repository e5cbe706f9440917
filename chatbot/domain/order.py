"""Orders as a venue is asked for them and as it reports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chatbot.domain.instrument import ZERO, OrderSide, PositionSide, Symbol


class OrderType(StrEnum):
    """Conditional ones (the last three) become market orders when the mark price crosses
    ``trigger_price``.
    """

    MARKET = "market"
    LIMIT = "limit"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TRIGGER = "trigger"

    @property
    def conditional(self) -> bool:
        return self in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT, OrderType.TRIGGER)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a venue is asked to do. It must refuse a request that arrives after ``valid_until`` (our
    clock).
    """

    client_order_id: str
    symbol: Symbol
    side: OrderSide
    position_side: PositionSide
    type: OrderType
    quantity: Decimal
    reduce_only: bool
    valid_until: datetime
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    post_only: bool = False


class OrderStatus(StrEnum):
    OPEN = "open"  # resting, partly filled or waiting for its trigger
    FILLED = "filled"
    CANCELED = "canceled"  # by the user, by the venue, or what a market order could not fill
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self is not OrderStatus.OPEN


@dataclass(frozen=True, slots=True)
class OrderReport:
    """An order as the venue tells it. ``fee`` is the sum so far, in the settlement currency, positive:
    paid.
    """

    client_order_id: str
    venue_order_id: str
    symbol: Symbol
    side: OrderSide
    position_side: PositionSide
    type: OrderType
    status: OrderStatus
    quantity: Decimal
    filled_quantity: Decimal
    average_price: Decimal | None
    fee: Decimal
    updated_at: datetime
    reduce_only: bool = False
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    reason: str = ""  # why it was canceled, in the venue's words


@dataclass(frozen=True, slots=True)
class Accepted:
    report: OrderReport


@dataclass(frozen=True, slots=True)
class Rejected:
    """Proven: the venue did nothing. ``code`` is the venue's, ``kind`` the name of our error class."""

    reason: str
    code: str = ""
    kind: str = "VenueRejected"


@dataclass(frozen=True, slots=True)
class Unknown:
    """Everything else: timeout, cut answer, 5xx, an answer without an id. Never sent again."""

    reason: str


Outcome = Accepted | Rejected | Unknown


class FillCause(StrEnum):
    TRADE = "trade"
    LIQUIDATION = "liquidation"
    AUTO_DELEVERAGING = "auto_deleveraging"


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution in the account's history. ``client_order_id`` is ``None`` for the venue's own
    closings.
    """

    venue_fill_id: str
    symbol: Symbol
    side: OrderSide
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    realized_pnl: Decimal
    at: datetime
    client_order_id: str | None = None
    cause: FillCause = FillCause.TRADE

    @property
    def opens(self) -> bool:
        return self.side is self.position_side.opening

    @property
    def signed_change(self) -> Decimal:
        """What it does to the leg's quantity."""
        return self.quantity if self.opens else ZERO - self.quantity


@dataclass(frozen=True, slots=True)
class FundingPayment:
    """Funding settled on one leg; ``amount`` in the settlement currency, positive: received."""

    venue_payment_id: str
    symbol: Symbol
    side: PositionSide
    amount: Decimal
    rate: Decimal
    at: datetime
