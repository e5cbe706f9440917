"""An offered plan: what will be sent, what it costs, and what the account looks like afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from chatbot.domain.account import LegSetting
from chatbot.domain.hedge import AccountId, HedgeId, LegRole, UserId
from chatbot.domain.instrument import ZERO, MarginMode, OrderSide, PositionSide, Symbol
from chatbot.domain.intent import Purpose

QuoteId = NewType("QuoteId", str)  # 22 of [0-9A-Za-z_-], unguessable


class SizeUnit(StrEnum):
    BASE = "base"
    NOTIONAL = "notional"
    SHARE = "share"  # of the free margin (open) or of the leg


@dataclass(frozen=True, slots=True)
class Size:
    unit: SizeUnit
    value: Decimal  # a share is a fraction: 0.25


@dataclass(frozen=True, slots=True)
class OpenRequest:
    symbol: Symbol
    side: PositionSide
    size: Size
    leverage: Decimal | None = None
    margin_mode: MarginMode | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class HedgeRequest:
    """``side`` is that of the leg to be hedged; ``None`` where only one position is open on the symbol."""

    symbol: Symbol
    side: PositionSide | None = None
    ratio: Decimal = Decimal(1)
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


class CloseWay(StrEnum):
    OFFSET_FIRST = "offset_first"
    AT_ONCE = "at_once"
    OFFSET_ONLY = "offset_only"
    AT_PRICE = "at_price"
    SINGLE = "single"  # the only leg there is


@dataclass(frozen=True, slots=True)
class CloseRequest:
    symbol: Symbol
    fraction: Decimal = Decimal(1)
    trigger_price: Decimal | None = None  # both legs, at this price


LegName = LegRole | PositionSide  # how people name a leg


class AdjustWay(StrEnum):
    SCALE = "scale"  # as asked
    TRIM = "trim"  # the larger leg down to the smaller
    ADD = "add"  # the smaller leg up to the larger


@dataclass(frozen=True, slots=True)
class AdjustRequest:
    """Grow or shrink these legs (none named: both) by ``size``; without a size: make the legs equal."""

    symbol: Symbol
    legs: tuple[LegName, ...] = ()
    size: Size | None = None  # a share is of each leg
    grow: bool = True


@dataclass(frozen=True, slots=True)
class StopsRequest:
    """Set, move or remove the stops of one leg; ``leg`` is ``None`` where the price itself tells it.

    Removing ``CLOSE_AT_PRICE`` is about both legs.
    """

    symbol: Symbol
    leg: LegName | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    remove: tuple[Purpose, ...] = ()


@dataclass(frozen=True, slots=True)
class MarginRequest:
    """Move ``amount`` of the settlement currency into an isolated leg."""

    symbol: Symbol
    leg: LegName
    amount: Decimal


class LegAction(StrEnum):
    OPEN = "open"
    CLOSE = "close"
    KEEP = "keep"  # only its stops change
    TOP_UP = "top_up"  # only its margin changes


@dataclass(frozen=True, slots=True)
class LegPlan:
    """One order of the plan. Prices and fees are estimates (``~``)."""

    role: LegRole
    side: PositionSide
    action: LegAction
    quantity: Decimal
    expected_price: Decimal
    fee: Decimal
    slippage_bps: Decimal
    leverage: Decimal
    margin_mode: MarginMode
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trigger_price: Decimal | None = None
    replaces: tuple[Purpose, ...] = ()  # resting stops of these kinds make room for the new ones
    margin: Decimal = ZERO  # to be added to an isolated leg

    @property
    def setting(self) -> LegSetting:
        return LegSetting(self.leverage, self.margin_mode)

    @property
    def order_side(self) -> OrderSide:
        return self.side.opening if self.action is LegAction.OPEN else self.side.closing


class LiquidationSource(StrEnum):
    VENUE = "venue"
    COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class LegLiquidation:
    """``price`` is ``None`` where there is none; ``distance`` = |price - mark| / mark."""

    price: Decimal | None
    distance: Decimal | None
    source: LiquidationSource = LiquidationSource.COMPUTED


@dataclass(frozen=True, slots=True)
class FundingOutlook:
    """Money of one settlement and of a day at the current rate, positive: received. ``settles_at`` is venue
    time.
    """

    rate: Decimal
    interval_hours: Decimal
    settles_at: datetime
    long_receives: Decimal
    short_receives: Decimal
    net_per_settlement: Decimal
    net_per_day: Decimal
    at: datetime | None = None  # venue time of the reading: what "in 42 min" counts from


@dataclass(frozen=True, slots=True)
class OpenQuote:
    symbol: Symbol
    plan: LegPlan
    mark_price: Decimal
    notional: Decimal
    margin_needed: Decimal  # initial margin plus fee
    margin_free: Decimal
    liquidation: LegLiquidation
    liquidation_before: LegLiquidation | None  # of the position that this adds to
    funding: FundingOutlook
    loss_at_stop: Decimal | None  # PnL at the stop, negative: a loss; fees included
    gain_at_target: Decimal | None
    warnings: tuple[str, ...] = ()

    @property
    def plans(self) -> tuple[LegPlan, ...]:
        return (self.plan,)


@dataclass(frozen=True, slots=True)
class HedgeQuote:
    """Money in the settlement currency; costs negative, so that the column adds up to ``net_lock``.

    ``fees_paid_partial``: what an adopted leg cost before is not counted. ``close_now_net`` is the result of
    closing everything that is open on the market instead. ``fees_to_close`` are those of both legs;
    ``spread_cost`` half-spread and slippage of both closes. ``rounding_rest`` = primary quantity x ratio -
    offset quantity, in base.
    """

    symbol: Symbol
    primary_side: PositionSide
    primary_quantity: Decimal
    primary_entry: Decimal
    primary_leverage: Decimal
    primary_margin_mode: MarginMode
    plan: LegPlan
    mark_price: Decimal
    gross_lock: Decimal
    fees_paid: Decimal
    fees_paid_partial: bool
    fee_to_open: Decimal
    fees_to_close: Decimal
    spread_cost: Decimal
    funding_so_far: Decimal
    net_lock: Decimal
    close_now_net: Decimal
    margin_needed: Decimal
    margin_free: Decimal
    rounding_rest: Decimal
    rounding_rest_notional: Decimal
    net_exposure_after: Decimal
    liquidation_before: LegLiquidation  # of the primary, today
    primary_after: LegLiquidation
    offset_after: LegLiquidation
    pair_after: LegLiquidation  # the nearer of both
    funding: FundingOutlook
    lock_currency: str
    inverse: bool  # the lock is in coin; its quote value moves
    warnings: tuple[str, ...] = ()
    realized_so_far: Decimal = ZERO  # by legs of this hedge that were closed before, without fees
    offset_quantity_before: Decimal = ZERO  # what the offset leg holds already; the plan adds to it
    costs_more: Decimal = ZERO  # than closing the part that it locks now
    not_locked: Decimal = ZERO  # PnL at the mark price of what stays unhedged; no part of ``net_lock``

    @property
    def plans(self) -> tuple[LegPlan, ...]:
        return (self.plan,)

    @property
    def paired_quantity(self) -> Decimal:
        """What the lock and its costs are of."""
        return min(self.primary_quantity, self.offset_quantity_before + self.plan.quantity)


@dataclass(frozen=True, slots=True)
class CloseWayQuote:
    """``realized`` = PnL of the legs closed at the expected fills, less their closing fees (estimate).

    ``total`` adds what the hedge has paid and received before (fees, funding, realized). ``left`` legs stay
    open.
    """

    way: CloseWay
    plans: tuple[LegPlan, ...]
    realized: Decimal
    total: Decimal
    slippage_cost: Decimal
    exposure_between: Decimal  # signed, base units, while the legs are closed
    exposure_after: Decimal
    liquidation_after: LegLiquidation | None


@dataclass(frozen=True, slots=True)
class CloseQuote:
    symbol: Symbol
    hedge_id: HedgeId | None  # None: a position found on the venue that no hedge knows yet
    hedge_number: int | None
    mark_price: Decimal
    fraction: Decimal
    ways: tuple[CloseWayQuote, ...]  # the first is the default
    lock_currency: str
    warnings: tuple[str, ...] = ()

    def way(self, way: CloseWay) -> CloseWayQuote | None:
        return next((quoted for quoted in self.ways if quoted.way is way), None)


@dataclass(frozen=True, slots=True)
class CloseAllQuote:
    """`/panic`: every live pair and position of one account, each the default way."""

    closes: tuple[CloseQuote, ...]


@dataclass(frozen=True, slots=True)
class LegPreview:
    """A leg as it is or would be."""

    role: LegRole
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    liquidation: LegLiquidation


@dataclass(frozen=True, slots=True)
class AdjustWayQuote:
    """``fees`` negative; ``realized`` by what is closed, without fees; the lock is ``None`` without a pair.

    ``fees_to_close`` and ``spread_cost`` are those of closing the whole pair afterwards, negative.
    """

    way: AdjustWay
    plans: tuple[LegPlan, ...]
    legs: tuple[LegPreview, ...]  # afterwards
    fees: Decimal
    realized: Decimal
    margin_needed: Decimal
    exposure_after: Decimal
    pair_after: LegLiquidation
    net_lock: Decimal | None
    not_locked: Decimal  # PnL at the mark price of what one leg holds beyond the other; no part of the lock
    paired_quantity: Decimal
    fees_to_close: Decimal
    spread_cost: Decimal
    funding: FundingOutlook
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdjustQuote:
    symbol: Symbol
    hedge_id: HedgeId | None
    hedge_number: int | None
    mark_price: Decimal
    legs: tuple[LegPreview, ...]  # now
    net_lock: Decimal | None  # now
    not_locked: Decimal  # now
    margin_free: Decimal
    ways: tuple[AdjustWayQuote, ...]
    lock_currency: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StopChange:
    """``before``: trigger prices that rest now; ``after`` ``None``: removed. ``result`` of the leg there."""

    purpose: Purpose
    before: tuple[Decimal, ...]
    after: Decimal | None
    result: Decimal | None


@dataclass(frozen=True, slots=True)
class StopsQuote:
    """Nothing is traded."""

    symbol: Symbol
    hedge_id: HedgeId | None
    hedge_number: int | None
    plans: tuple[LegPlan, ...]  # one leg, or both that were to close at a price
    mark_price: Decimal
    changes: tuple[StopChange, ...]
    liquidation: LegLiquidation  # of the leg, or the nearer of both
    lock_currency: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarginQuote:
    symbol: Symbol
    hedge_id: HedgeId | None
    hedge_number: int | None
    plan: LegPlan
    mark_price: Decimal
    margin_before: Decimal
    margin_free: Decimal
    liquidation_before: LegLiquidation
    liquidation_after: LegLiquidation
    lock_currency: str
    warnings: tuple[str, ...] = ()


AnyRequest = OpenRequest | HedgeRequest | CloseRequest | AdjustRequest | StopsRequest | MarginRequest
AnyQuote = OpenQuote | HedgeQuote | CloseQuote | CloseAllQuote | AdjustQuote | StopsQuote | MarginQuote


class QuoteKind(StrEnum):
    OPEN = "open"
    HEDGE = "hedge"
    CLOSE = "close"
    CLOSE_ALL = "close_all"
    ADJUST = "adjust"
    STOPS = "stops"
    MARGIN = "margin"


@dataclass(frozen=True, slots=True)
class PositionPrint:
    """What the position looked like when the quote was made; a confirm finds it unchanged or requotes."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """A stored offer: one user, one chat, one plan, one price band, one use.

    ``offer`` is what was shown, ``request`` what was asked, so that it can be made afresh. Instants are of
    our clock.
    """

    id: QuoteId
    kind: QuoteKind
    user_id: UserId
    account_id: AccountId
    chat: str  # str(ChatRef)
    request: AnyRequest | None  # None for close_all
    offer: AnyQuote
    positions: tuple[PositionPrint, ...]
    reference_prices: tuple[tuple[Symbol, Decimal], ...]
    band: Decimal
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_by: str | None = None  # the request id of the tap
    choice: str | None = None
