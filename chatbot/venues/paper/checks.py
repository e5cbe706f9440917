"""Why an order is refused, in Binance's words and codes. ``None`` means it may pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chatbot.domain.account import LegSetting
from chatbot.domain.instrument import (
    ZERO,
    Instrument,
    OrderSide,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.order import OrderRequest, OrderType, Rejected
from chatbot.venues.paper.book import Market, Piece
from chatbot.venues.paper.margin import Instruments, Marks, free_margin, sigma, summary
from chatbot.venues.paper.state import AccountState

CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")

DUPLICATE = Rejected("ClientOrderId is duplicated.", "-4116", "InvalidOrder")
TOO_LATE = Rejected("Timestamp for this request is outside of the recvWindow.", "-1021", "InvalidOrder")
NO_SYMBOL = Rejected("Invalid symbol.", "-1121", "InstrumentUnavailable")
REDUCE_ONLY = Rejected("ReduceOnly Order is rejected.", "-2022", "InvalidOrder")
NO_MARGIN = Rejected("Margin is insufficient.", "-2019", "InsufficientMargin")
WRONG_SIDE = Rejected("Order's position side does not match user's setting.", "-4061", "WrongPositionMode")
WOULD_TRIGGER = Rejected("Order would immediately trigger.", "-2021", "InvalidOrder")
TOO_LARGE_POSITION = Rejected(
    "Exceeded the maximum allowable position at current leverage.", "-2027", "InvalidOrder"
)
NOT_A_MAKER = Rejected(
    "Due to the order could not be executed as maker, the Post Only order will be rejected.",
    "-5022",
    "InvalidOrder",
)


def no_price(symbol: str) -> Rejected:
    return Rejected(
        f"There is no fresh price of {symbol}; trading is halted.", "-4108", "InstrumentUnavailable"
    )


def _invalid(reason: str, code: str) -> Rejected:
    return Rejected(reason, code, "InvalidOrder")


@dataclass(frozen=True, slots=True)
class Submission:
    """An order at the door, with all that the checks look at."""

    request: OrderRequest
    account: AccountState
    market: Market
    instruments: Instruments
    marks: Marks
    clock_now: datetime

    @property
    def instrument(self) -> Instrument:
        return self.market.instrument

    @property
    def opens(self) -> bool:
        return self.request.side is self.request.position_side.opening

    @property
    def held(self) -> Decimal:
        leg = self.account.legs.get((self.request.symbol, self.request.position_side))
        return leg.quantity if leg else ZERO


def refusal(submission: Submission) -> Rejected | None:
    for check in CHECKS:
        if rejected := check(submission):
            return rejected
    return None


def _arrival(submission: Submission) -> Rejected | None:
    request = submission.request
    if submission.clock_now > request.valid_until:
        return TOO_LATE
    if not CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        return _invalid("Client order id is not valid.", "-4015")
    return None


def _quantity(submission: Submission) -> Rejected | None:
    quantity, instrument = submission.request.quantity, submission.instrument
    if not quantity.is_finite() or quantity <= 0:
        return _invalid("Quantity less than or equal to zero.", "-4003")
    if quantity > instrument.max_quantity:
        return _invalid("Quantity greater than max quantity.", "-4005")
    if quantity < instrument.min_quantity:
        return _invalid("Quantity less than min quantity.", "-4004")
    if quantity % instrument.lot_size:
        return _invalid("Precision is over the maximum defined for this asset.", "-1111")
    return None


def _prices(submission: Submission) -> Rejected | None:
    request = submission.request
    for wanted, name, price in (
        (request.type is OrderType.LIMIT, "price", request.limit_price),
        (request.type.conditional, "triggerPrice", request.trigger_price),
    ):
        if not wanted and price is not None:
            return _invalid(f"Parameter '{name}' sent when not required.", "-1106")
        if wanted and (rejected := _price(name, price, submission.instrument)):
            return rejected
    return None


def _price(name: str, price: Decimal | None, instrument: Instrument) -> Rejected | None:
    if price is None:
        return _invalid(f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.", "-1102")
    if not price.is_finite() or not 0 < price < 10**12:
        return _invalid("Price less than 0.", "-4001")
    if price % instrument.tick_size:
        return _invalid("Price not increased by tick size.", "-4014")
    return None


def _position_mode(submission: Submission) -> Rejected | None:
    """One-way keeps one leg per symbol: the opposite one cannot be opened beside it."""
    request = submission.request
    blocked = submission.opens and blocks_opening(submission.account, request.symbol, request.position_side)
    return WRONG_SIDE if blocked else None


def blocks_opening(account: AccountState, symbol: Symbol, side: PositionSide) -> bool:
    return account.mode is PositionMode.ONE_WAY and (symbol, side.opposite) in account.legs


def _reduce_only(submission: Submission) -> Rejected | None:
    """A conditional order may outlive its leg; everything else must fit it now."""
    request = submission.request
    if submission.opens:
        return REDUCE_ONLY if request.reduce_only else None
    if request.type.conditional:
        return None
    return REDUCE_ONLY if request.quantity > submission.held else None


def _trigger(submission: Submission) -> Rejected | None:
    request, mark = submission.request, submission.market.prices.mark
    if not request.type.conditional or request.trigger_price is None:
        return None
    if fires_above(request, mark):
        return WOULD_TRIGGER if mark >= request.trigger_price else None
    return WOULD_TRIGGER if mark <= request.trigger_price else None


def fires_above(request: OrderRequest, mark: Decimal) -> bool:
    """A stop waits on the losing side of the price, a take-profit on the other, a trigger where it is put."""
    assert request.trigger_price is not None  # noqa: S101 - callers have conditional orders only
    buys = request.side is OrderSide.BUY
    match request.type:
        case OrderType.STOP_LOSS:
            return buys
        case OrderType.TAKE_PROFIT:
            return not buys
        case _:
            return request.trigger_price >= mark


def _min_notional(submission: Submission) -> Rejected | None:
    request, instrument = submission.request, submission.instrument
    price = request.limit_price or request.trigger_price or submission.market.prices.mark
    if not submission.opens or instrument.notional(request.quantity, price) >= instrument.min_notional:
        return None
    least = instrument.min_notional
    return _invalid(
        f"Order's notional must be no smaller than {least} (unless you choose reduce only).", "-4164"
    )


def _maker(submission: Submission) -> Rejected | None:
    request = submission.request
    if request.limit_price is None or not request.post_only or request.type is not OrderType.LIMIT:
        return None
    return NOT_A_MAKER if submission.market.reaches(request.side, request.limit_price) else None


def _margin(submission: Submission) -> Rejected | None:
    """Conditional orders reserve nothing; they are checked when they fire."""
    if not submission.opens or submission.request.type.conditional:
        return None
    return lacks_margin(submission, submission.request.quantity)


def lacks_margin(submission: Submission, quantity: Decimal) -> Rejected | None:
    request, instrument, account = submission.request, submission.instrument, submission.account
    setting = account.setting((request.symbol, request.position_side))
    pieces = _expected_pieces(submission, quantity)
    notional = sum((instrument.notional(q, price) for price, q in pieces), ZERO)
    mark = submission.market.prices.mark
    if not _position_allowed(submission, setting, instrument.notional(submission.held, mark) + notional):
        return TOO_LARGE_POSITION
    marked = sum((instrument.notional(q, mark) for _, q in pieces), ZERO)
    open_loss = max(ZERO, sigma(instrument, request.position_side) * (notional - marked))
    needed = notional / setting.leverage + notional * instrument.taker_fee_rate + open_loss
    free = free_margin(account, submission.instruments, submission.marks, instrument.settle)
    solvent = summary(account, submission.instruments, submission.marks, instrument.settle).cross_equity > 0
    return None if solvent and needed <= free else NO_MARGIN


def _expected_pieces(submission: Submission, quantity: Decimal) -> list[Piece]:
    request = submission.request
    if request.type is OrderType.LIMIT and request.limit_price is not None:
        return [(request.limit_price, quantity)]
    return submission.market.offer(request.side, quantity)


def _position_allowed(submission: Submission, setting: LegSetting, notional: Decimal) -> bool:
    return setting.leverage <= submission.instrument.tier(notional).max_leverage


CHECKS: tuple[Callable[[Submission], Rejected | None], ...] = (
    _arrival,
    _quantity,
    _prices,
    _position_mode,
    _reduce_only,
    _trigger,
    _min_notional,
    _maker,
    _margin,
)
