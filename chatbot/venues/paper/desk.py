"""The account desk: opening, modes, leverage, deposits and resets, and orders typed in by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chatbot import errors
from chatbot.domain.account import LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import ZERO, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.domain.order import OrderRequest, OrderStatus, OrderType, Rejected
from chatbot.venues.paper.floor import Floor
from chatbot.venues.paper.ledger import refresh
from chatbot.venues.paper.margin import free_margin, summary
from chatbot.venues.paper.state import START_BALANCE, AccountState, LegKey, Reference

OPENING = "opening balance"
LARGEST_DEPOSIT = Decimal(10) ** 12
RESET = "The account was reset."


def error_of(rejected: Rejected) -> errors.VenueRejected:
    """The refusal as the error class that it names."""
    kind = getattr(errors, rejected.kind, errors.VenueRejected)
    known = isinstance(kind, type) and issubclass(kind, errors.VenueRejected)
    made: errors.VenueRejected = (kind if known else errors.VenueRejected)(
        rejected.reason, venue="paper", code=rejected.code
    )
    return made


def require_symbol(floor: Floor, symbol: Symbol) -> None:
    if symbol not in floor.instruments:
        raise errors.InstrumentUnavailable("Invalid symbol.", venue="paper", code="-1121")


def open_account(floor: Floor, account_id: AccountId) -> AccountState:
    account = AccountState(account_id)
    floor.accounts[account_id] = account
    note_reference(floor, account, OPENING, START_BALANCE)
    return account


def note_reference(
    floor: Floor, account: AccountState, reference: str, amounts: Mapping[str, Decimal]
) -> None:
    for currency, amount in amounts.items():
        account.pay(currency, amount)
    floor.unsaved.references.append(Reference(account.id, reference, floor.now, dict(amounts)))
    floor.touch(account)


def set_position_mode(floor: Floor, account: AccountState, mode: PositionMode) -> None:
    if account.mode is mode:
        return
    if account.legs:
        raise errors.WrongPositionMode(
            "Position side cannot be changed if there exists position.", venue="paper", code="-4068"
        )
    if account.orders:
        raise errors.WrongPositionMode(
            "Position side cannot be changed if there exists open orders.", venue="paper", code="-4067"
        )
    account.mode = mode
    floor.touch(account)


def set_leg(floor: Floor, account: AccountState, key: LegKey, setting: LegSetting) -> None:
    if setting == account.setting(key) and key not in account.legs:
        return
    _check_leverage(floor, key, setting.leverage)
    _check_margin_mode(account, key, setting.margin_mode)
    _check_open_leg(floor, account, key, setting)
    account.settings[key] = setting
    if leg := account.legs.get(key):
        leg.leverage = setting.leverage
    floor.touch(account)


def _refuse(reason: str, code: str) -> errors.InvalidOrder:
    return errors.InvalidOrder(reason, venue="paper", code=code)


def _check_leverage(floor: Floor, key: LegKey, leverage: Decimal) -> None:
    whole = leverage.is_finite() and leverage == leverage.to_integral_value()
    if not whole or not 1 <= leverage <= floor.instruments[key[0]].max_leverage:
        raise _refuse(f"Leverage {leverage:.6} is not valid.", "-4028")


def _check_margin_mode(account: AccountState, key: LegKey, mode: MarginMode) -> None:
    if mode is account.setting(key).margin_mode:
        return
    if key in account.legs:
        raise _refuse("Margin type cannot be changed if there exists position.", "-4048")
    if any((order.report.symbol, order.report.position_side) == key for order in account.orders.values()):
        raise _refuse("Margin type cannot be changed if there exists open orders.", "-4047")


def _check_open_leg(floor: Floor, account: AccountState, key: LegKey, setting: LegSetting) -> None:
    leg = account.legs.get(key)
    if leg is None or setting.leverage == leg.leverage:
        return
    instrument, mark = floor.instruments[leg.symbol], floor.mark(leg.symbol)
    notional = instrument.notional(leg.quantity, mark)
    if setting.leverage > instrument.tier(notional).max_leverage:
        raise _refuse("Exceeded the maximum allowable position at current leverage.", "-2027")
    if leg.isolated:
        if setting.leverage < leg.leverage:
            reason = "Leverage reduction is not supported in Isolated Margin Mode with open positions."
            raise _refuse(reason, "-4161")
        return
    figures = summary(account, floor.instruments, floor.mark, instrument.settle)
    more = notional / setting.leverage - notional / leg.leverage
    if more > 0 and figures.cross_initial + more > figures.cross_equity:
        raise errors.InsufficientMargin("Margin is insufficient.", venue="paper", code="-2019")


def add_margin(floor: Floor, account: AccountState, key: LegKey, amount: Decimal) -> None:
    """Out of what is free, into an isolated leg; the wallet holds it as before."""
    leg = account.legs.get(key)
    if leg is None:
        raise _refuse("Cannot add position margin: position is 0.", "-4054")
    if not leg.isolated:
        raise _refuse("Add margin only support for isolated position.", "-4049")
    if not amount.is_finite() or amount <= 0:
        raise _refuse("Amount must be positive.", "-4055")
    settle = floor.instruments[leg.symbol].settle
    if amount > free_margin(account, floor.instruments, floor.mark, settle):
        raise errors.InsufficientMargin("Isolated balance insufficient.", venue="paper", code="-4051")
    leg.margin += amount
    refresh(leg, floor.instruments[leg.symbol], floor.mark(leg.symbol))
    floor.touch(account)


# --- money and hands ----------------------------------------------------------------------------


def deposit(floor: Floor, account: AccountState, amount: Decimal, *, reference: str) -> None:
    if not amount.is_finite() or not ZERO < amount <= LARGEST_DEPOSIT:
        raise _refuse("The amount has to be above zero and not astronomical.", "-4051")
    note_reference(floor, account, reference, {"USDT": amount})


def reset(floor: Floor, account: AccountState, *, reference: str) -> None:
    for order in tuple(account.orders.values()):
        floor.end_order(account, order, OrderStatus.CANCELED, RESET)
    account.legs.clear()
    account.settings.clear()
    account.mode = PositionMode.HEDGE
    missing = {
        currency: start - account.wallets.get(currency, ZERO) for currency, start in START_BALANCE.items()
    }
    note_reference(floor, account, reference, missing)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody types into the exchange's own app."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    opens: bool
    at: datetime


def typed_orders(floor: Floor, account: AccountState, wish: Wish) -> list[OrderRequest]:
    """One market order; in one-way mode it first nets the opposite leg, so it may become two."""
    opposite = account.legs.get((wish.symbol, wish.side.opposite))
    netted = ZERO
    if account.mode is PositionMode.ONE_WAY and wish.opens and opposite is not None:
        netted = min(opposite.quantity, wish.quantity)
    orders = []
    if netted:
        orders.append(_typed(floor, wish, wish.side.opposite, netted, opens=False))
    if rest := wish.quantity - netted:
        orders.append(_typed(floor, wish, wish.side, rest, opens=wish.opens))
    return orders


def _typed(floor: Floor, wish: Wish, side: PositionSide, quantity: Decimal, *, opens: bool) -> OrderRequest:
    return OrderRequest(
        client_order_id=f"web_{floor.order_number}_{side}",
        symbol=wish.symbol,
        side=side.opening if opens else side.closing,
        position_side=side,
        type=OrderType.MARKET,
        quantity=quantity,
        reduce_only=not opens,
        valid_until=wish.at,
    )
