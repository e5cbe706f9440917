"""Accounts and orders as the text of the state file, and back. Decimals travel as strings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from chatbot.domain.account import LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import MarginMode, OrderSide, PositionMode, PositionSide, Symbol
from chatbot.domain.order import OrderReport, OrderStatus, OrderType
from chatbot.venues.paper.state import AccountState, LegKey, LegState, WorkingOrder

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def dump_account(account: AccountState) -> str:
    return json.dumps(
        {
            "mode": account.mode,
            "wallets": {currency: str(amount) for currency, amount in account.wallets.items()},
            "settings": [
                [*key, str(setting.leverage), setting.margin_mode]
                for key, setting in account.settings.items()
            ],
            "legs": [_dump_leg(leg) for leg in account.legs.values()],
        }
    )


def load_account(account_id: AccountId, text: str) -> AccountState:
    data = json.loads(text)
    legs = [_load_leg(row) for row in data["legs"]]
    return AccountState(
        id=account_id,
        mode=PositionMode(data["mode"]),
        wallets={currency: Decimal(amount) for currency, amount in data["wallets"].items()},
        settings=dict(_load_setting(row) for row in data["settings"]),
        legs={(leg.symbol, leg.side): leg for leg in legs},
    )


def _dump_leg(leg: LegState) -> dict[str, Any]:
    return {
        "symbol": leg.symbol,
        "side": leg.side,
        "leverage": str(leg.leverage),
        "margin_mode": leg.margin_mode,
        "opened_at": to_micros(leg.opened_at),
        "quantity": str(leg.quantity),
        "cost": str(leg.cost),
        "margin": str(leg.margin),
        "liquidation_price": _dump_optional(leg.liquidation_price),
    }


def _load_leg(row: dict[str, Any]) -> LegState:
    return LegState(
        symbol=Symbol(row["symbol"]),
        side=PositionSide(row["side"]),
        leverage=Decimal(row["leverage"]),
        margin_mode=MarginMode(row["margin_mode"]),
        opened_at=from_micros(row["opened_at"]),
        quantity=Decimal(row["quantity"]),
        cost=Decimal(row["cost"]),
        margin=Decimal(row["margin"]),
        liquidation_price=_load_optional(row["liquidation_price"]),
    )


def _load_setting(row: list[str]) -> tuple[LegKey, LegSetting]:
    symbol, side, leverage, mode = row
    return (Symbol(symbol), PositionSide(side)), LegSetting(Decimal(leverage), MarginMode(mode))


def dump_order(order: WorkingOrder) -> str:
    report = order.report
    return json.dumps(
        {
            "client_order_id": report.client_order_id,
            "venue_order_id": report.venue_order_id,
            "symbol": report.symbol,
            "side": report.side,
            "position_side": report.position_side,
            "type": report.type,
            "status": report.status,
            "quantity": str(report.quantity),
            "filled_quantity": str(report.filled_quantity),
            "average_price": _dump_optional(report.average_price),
            "fee": str(report.fee),
            "updated_at": to_micros(report.updated_at),
            "reduce_only": report.reduce_only,
            "limit_price": _dump_optional(report.limit_price),
            "trigger_price": _dump_optional(report.trigger_price),
            "reason": report.reason,
            "fires_above": order.fires_above,
        }
    )


def load_order(text: str) -> WorkingOrder:
    data = json.loads(text)
    report = OrderReport(
        client_order_id=data["client_order_id"],
        venue_order_id=data["venue_order_id"],
        symbol=Symbol(data["symbol"]),
        side=OrderSide(data["side"]),
        position_side=PositionSide(data["position_side"]),
        type=OrderType(data["type"]),
        status=OrderStatus(data["status"]),
        quantity=Decimal(data["quantity"]),
        filled_quantity=Decimal(data["filled_quantity"]),
        average_price=_load_optional(data["average_price"]),
        fee=Decimal(data["fee"]),
        updated_at=from_micros(data["updated_at"]),
        reduce_only=data["reduce_only"],
        limit_price=_load_optional(data["limit_price"]),
        trigger_price=_load_optional(data["trigger_price"]),
        reason=data["reason"],
    )
    return WorkingOrder(report, data["fires_above"])


def _dump_optional(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _load_optional(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
