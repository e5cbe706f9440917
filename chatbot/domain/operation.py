"""One confirmed plan on its way through the venue. Pure data; what happens next is decided in ``saga.py``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chatbot.domain.hedge import AccountId, HedgeId, LegRole, UserId
from chatbot.domain.instrument import ZERO, Symbol
from chatbot.domain.intent import OperationId, Purpose
from chatbot.domain.pnl import ClosingCosts
from chatbot.domain.quote import CloseWay, LegAction, QuoteId

MAX_ATTEMPTS = 3  # at one and the same order


class OperationKind(StrEnum):
    OPEN = "open"
    HEDGE = "hedge"
    CLOSE = "close"
    ADJUST = "adjust"
    STOPS = "stops"
    MARGIN = "margin"


class OperationStatus(StrEnum):
    RUNNING = "running"
    TRIMMING = "trimming"  # the second leg could not be filled: bringing the pair back to where it is safe
    DONE = "done"
    FAILED = "failed"  # nothing more will be sent; ``reason`` says what came of it
    FROZEN = "frozen"  # evidence contradicts itself: the user decides

    @property
    def final(self) -> bool:
        return self in (OperationStatus.DONE, OperationStatus.FAILED, OperationStatus.FROZEN)


@dataclass(frozen=True, slots=True)
class TopUp:
    """Margin on its way into an isolated leg: written down before it is sent, told by the leg's own margin.

    ``before`` and ``seen_at`` (venue time) are the reading that it was sent on; ``sent_at`` is ours,
    ``None``: not sent. ``liquidation_price`` is the exchange's afterwards, where it was told.
    """

    amount: Decimal
    before: Decimal | None = None
    seen_at: datetime | None = None
    sent_at: datetime | None = None
    arrived: bool = False
    liquidation_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What one leg is to become by this operation: ``quantity`` to open or close, ``filled`` so far.

    ``closing_costs`` are those of closing the pair later as the offer showed them, per unit of quantity.
    """

    role: LegRole
    action: LegAction
    quantity: Decimal
    expected_price: Decimal
    stage: int  # targets of one stage are sent together
    filled: Decimal = ZERO
    cost: Decimal = ZERO  # sum of fill quantity x price
    fee: Decimal = ZERO
    attempts: int = 0
    given_up: str = ""  # why no more attempts are made
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trigger_price: Decimal | None = None
    closing_costs: ClosingCosts | None = None
    guards: Decimal = ZERO  # what the stops are to cover where nothing is traded
    replaces: tuple[Purpose, ...] = ()  # resting stops of these kinds go once the new ones stand
    top_up: TopUp | None = None

    @property
    def left(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def settled(self) -> bool:
        return self.left <= 0 or bool(self.given_up)

    @property
    def average_price(self) -> Decimal | None:
        return self.cost / self.filled if self.filled else None


@dataclass(frozen=True, slots=True)
class Operation:
    """``chat`` and ``slot`` name the card that is edited as the order goes; ``trim`` is what is left to trim.

    Instants are of our clock. ``version`` grows with each write.
    """

    id: OperationId
    kind: OperationKind
    user_id: UserId
    account_id: AccountId
    hedge_id: HedgeId
    symbol: Symbol
    quote_id: QuoteId
    chat: str
    targets: tuple[Target, ...]
    started_at: datetime
    deadline_at: datetime
    way: CloseWay | None = None
    status: OperationStatus = OperationStatus.RUNNING
    stage: int = 0
    trim_role: LegRole | None = None
    trim_quantity: Decimal = ZERO
    trim_filled: Decimal = ZERO
    trim_attempts: int = 0
    finished_at: datetime | None = None
    reason: str = ""
    card: str | None = None  # the message whose button was tapped: it is edited as the order goes
    version: int = 0

    @property
    def slot(self) -> str:
        return f"op:{self.id}"

    @property
    def current(self) -> tuple[Target, ...]:
        return tuple(target for target in self.targets if target.stage == self.stage)

    def target(self, role: LegRole) -> Target:
        return next(target for target in self.targets if target.role is role)

    def with_target(self, changed: Target) -> Operation:
        return replace(self, targets=tuple(changed if t.role is changed.role else t for t in self.targets))
