"""Positions and money of an account: the venues' answers as domain values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from chatbot.domain.account import Balance, LegSetting, Position
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionMode, PositionSide, Symbol
from chatbot.venues.ccxt.quirks import BalanceFields, PositionFields
from chatbot.venues.ccxt.reading import Answer

Settings = Mapping[tuple[Symbol, PositionSide], LegSetting]


def position(
    told: Answer,
    fields: PositionFields,
    instrument: Instrument,
    *,
    settings: Settings,
    margin_mode: MarginMode | None = None,
) -> Position | None:
    """``None``: flat. ``settings`` and ``margin_mode`` complete what the venue tells elsewhere."""
    amount = told.decimal(fields.quantity)
    if amount == 0:
        return None
    side = side_of(told, fields, amount)
    setting = settings.get((instrument.symbol, side))
    mode = margin_mode or _mode(told, fields, setting)
    return Position(
        symbol=instrument.symbol,
        side=side,
        quantity=abs(amount) * instrument.contract_size,
        entry_price=told.positive(fields.entry),
        leverage=_leverage(told, fields, setting),
        margin_mode=mode,
        margin=told.not_negative(*fields.margin) if mode is MarginMode.ISOLATED else None,
        liquidation_price=told.positive_or_none(fields.liquidation),
        opened_at=told.instant(*fields.opened_at) if told.get(*fields.opened_at) is not None else None,
    )


def side_of(told: Answer, fields: PositionFields, amount: Decimal) -> PositionSide:
    named = fields.legs.get(told.optional_text(fields.leg))
    if named is not None:
        return named
    if fields.one_way == fields.quantity:
        return PositionSide.LONG if amount > 0 else PositionSide.SHORT
    return told.one_of(fields.legs, fields.one_way)


def stands_alone(told: Answer, fields: PositionFields, mode: PositionMode) -> bool:
    """A position of one-way mode names no leg; ``mode`` is believed where the venue names the side anyhow."""
    if fields.leg == fields.one_way:
        return mode is PositionMode.ONE_WAY
    return told.optional_text(fields.leg) not in fields.legs


def _mode(told: Answer, fields: PositionFields, setting: LegSetting | None) -> MarginMode:
    if fields.mode:
        return told.one_of(fields.modes, fields.mode)
    if setting is None:
        raise told.garbled("margin mode", None)
    return setting.margin_mode


def _leverage(told: Answer, fields: PositionFields, setting: LegSetting | None) -> Decimal:
    said = (told.positive_or_none(name) for name in fields.leverage)
    leverage = next((found for found in said if found is not None), None)
    if leverage is None and setting is not None:
        return setting.leverage
    return told.positive(*fields.leverage) if leverage is None else leverage


def balances(told: Answer, fields: BalanceFields) -> tuple[Balance, ...]:
    rows = told.get(fields.rows)
    listed = [told.part(fields.rows)] if isinstance(rows, Mapping) else told.rows(fields.rows)
    return tuple(_balance(told, row, fields) for row in listed)


def balance_of(currency: str, found: Iterable[Balance]) -> Balance:
    """An account that never held the currency has nothing in it, and venues leave such rows out."""
    nothing = Balance(currency, wallet=ZERO, equity=ZERO, free=ZERO, maintenance_margin=ZERO)
    return next((balance for balance in found if balance.currency == currency), nothing)


def _balance(told: Answer, row: Answer, fields: BalanceFields) -> Balance:
    unrealized = _unrealized(told, row, fields)
    equity = row.decimal(fields.equity) if fields.equity else row.decimal(fields.wallet) + unrealized
    wallet = row.decimal(fields.wallet) if fields.wallet else equity - unrealized
    maintenance = _maintenance(told, row, fields)
    return Balance(
        currency=row.text(fields.currency).upper(),
        wallet=wallet,
        equity=equity,
        free=_free(told, row, fields),
        maintenance_margin=maintenance,
        margin_ratio=ratio(maintenance, told.optional(fields.total_equity) or equity),
    )


def _unrealized(told: Answer, row: Answer, fields: BalanceFields) -> Decimal:
    if fields.profits:
        return sum((leg.decimal(fields.profit) for leg in told.rows(fields.profits)), ZERO)
    return (row.optional(fields.unrealized) or ZERO) if fields.unrealized else ZERO


def ratio(maintenance: Decimal, equity: Decimal) -> Decimal | None:
    """1 and more: liquidation. ``None`` where nothing is at risk."""
    if maintenance <= 0:
        return None
    return maintenance / equity if equity > 0 else Decimal(1)


def _maintenance(told: Answer, row: Answer, fields: BalanceFields) -> Decimal:
    if fields.total_maintenance:
        return told.optional(fields.total_maintenance) or ZERO
    return (row.optional(fields.maintenance) or ZERO) if fields.maintenance else ZERO


def _free(told: Answer, row: Answer, fields: BalanceFields) -> Decimal:
    """Of the whole account where margin is pooled, never below nothing."""
    pooled = told.optional(fields.total_free) if fields.total_free else None
    if pooled is not None:
        return max(ZERO, pooled)
    if fields.free:
        return max(ZERO, row.decimal(fields.free))
    bound = (row.optional(name) or ZERO for name in ("totalPositionIM", "totalOrderIM", "totalUsedBalanceRv"))
    return max(ZERO, row.decimal(fields.wallet) - sum(bound, ZERO))
