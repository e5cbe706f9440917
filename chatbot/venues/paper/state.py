"""What the exchange remembers of an account. Mutable on purpose: it is the exchange's own books."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from chatbot.domain.account import LegSetting
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import (
    ZERO,
    ContractKind,
    Instrument,
    MarginMode,
    PositionMode,
    PositionSide,
    Symbol,
)
from chatbot.domain.market import PricePoint
from chatbot.domain.order import Fill, FundingPayment, OrderReport

START_BALANCE: Mapping[str, Decimal] = {"USDT": Decimal(10_000), "BTC": Decimal("0.1")}
DEFAULT_SETTING = LegSetting(Decimal(10), MarginMode.CROSS)
# Ten decimals hold every fee of the catalog exactly; divisions are rounded to them.
MONEY = Decimal("1e-10")
PRICE_PLACES = 8

LegKey = tuple[Symbol, PositionSide]


def money(amount: Decimal) -> Decimal:
    return amount.quantize(MONEY).normalize() if amount else ZERO


def tidy(price: Decimal) -> Decimal:
    """An average price with at most eight decimals."""
    exponent = price.as_tuple().exponent
    return round(price, PRICE_PLACES) if isinstance(exponent, int) and exponent < -PRICE_PLACES else price


@dataclass(slots=True)
class LegState:
    """``cost`` is the sum of the open fills' notionals, in quote (linear) or base (inverse); entry follows.

    ``margin`` is the isolated margin balance, zero in cross mode.
    """

    symbol: Symbol
    side: PositionSide
    leverage: Decimal
    margin_mode: MarginMode
    opened_at: datetime
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    liquidation_price: Decimal | None = None  # of an isolated leg; kept here because every tick asks for it

    @property
    def isolated(self) -> bool:
        return self.margin_mode is MarginMode.ISOLATED

    def entry_price(self, kind: ContractKind) -> Decimal:
        linear = kind is ContractKind.LINEAR
        return tidy(self.cost / self.quantity if linear else self.quantity / self.cost)


@dataclass(slots=True)
class WorkingOrder:
    """Resting or conditional. ``fires_above``: fires when the mark is at the trigger or above, else below."""

    report: OrderReport
    fires_above: bool = False

    @property
    def remaining(self) -> Decimal:
        return self.report.quantity - self.report.filled_quantity


@dataclass(slots=True)
class AccountState:
    id: AccountId
    mode: PositionMode = PositionMode.HEDGE
    wallets: dict[str, Decimal] = field(default_factory=dict)
    legs: dict[LegKey, LegState] = field(default_factory=dict)
    settings: dict[LegKey, LegSetting] = field(default_factory=dict)
    orders: dict[str, WorkingOrder] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        return bool(self.legs or self.orders)

    def setting(self, key: LegKey) -> LegSetting:
        return self.settings.get(key, DEFAULT_SETTING)

    def symbols(self) -> set[Symbol]:
        return {symbol for symbol, _ in self.legs} | {order.report.symbol for order in self.orders.values()}

    def pay(self, currency: str, amount: Decimal) -> None:
        self.wallets[currency] = self.wallets.get(currency, ZERO) + amount


@dataclass(slots=True)
class Unsaved:
    """What has changed since the last write to the state file. ``marks`` alone are no reason for one."""

    accounts: dict[AccountId, AccountState] = field(default_factory=dict)
    orders: dict[tuple[AccountId, str], WorkingOrder] = field(default_factory=dict)
    fills: list[tuple[AccountId, Fill]] = field(default_factory=list)
    funding: list[tuple[AccountId, FundingPayment]] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    marks: list[tuple[Symbol, PricePoint]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.accounts or self.orders or self.fills or self.funding or self.references)

    def clear(self) -> None:
        self.accounts.clear()
        self.orders.clear()
        self.fills.clear()
        self.funding.clear()
        self.references.clear()
        self.marks.clear()


@dataclass(frozen=True, slots=True)
class Reference:
    """Money that came from outside (a deposit, a reset), or a hand at the exchange: once per reference."""

    account_id: AccountId
    reference: str
    at: datetime
    amounts: Mapping[str, Decimal] = field(default_factory=dict)


def settled_in(
    legs: Iterable[LegState], instruments: Mapping[Symbol, Instrument], currency: str
) -> list[LegState]:
    return [leg for leg in legs if instruments[leg.symbol].settle == currency]
