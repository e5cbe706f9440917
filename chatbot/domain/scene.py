"""One look at an account: what the rules are given, how figures become levels, levels findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, LegRole
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.margin import leg_liquidation
from chatbot.domain.preview import view_without
from chatbot.domain.quote import LegLiquidation
from chatbot.domain.risk import (
    AlertKind,
    Figures,
    Finding,
    LegCause,
    NakedLeg,
    OnMarket,
    subject_of,
)
from chatbot.errors import InvariantBroken

HYSTERESIS = Decimal("0.10")


# --- what is looked at --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an operation in flight has left uncovered: ``quantity`` of the larger leg.

    ``lasting`` counts from the start of the operation: it is at most this long. ``attempts`` at trimming.
    ``growing``: it is still opening what is missing.
    """

    side: PositionSide
    quantity: Decimal
    lasting: timedelta
    attempts: int = 0
    growing: bool = False


@dataclass(frozen=True, slots=True)
class LegEvidence:
    """What the ledger knows of a leg that changed without an operation of ours. ``at``: venue time.

    ``one_of_two``: a close of both legs at a price, of which this leg has fired. ``slippage`` between the
    legs of a hedge that was closed as a pair. ``other``: how the other leg of it had gone, ``together`` with
    this one if that is news, too. ``made_good``: what else happened to the leg has left it as it was.
    """

    role: LegRole
    cause: LegCause
    after: Decimal = ZERO
    before: Decimal | None = None
    at: datetime | None = None
    price: Decimal | None = None
    realized: Decimal | None = None
    one_of_two: bool = False
    slippage: Decimal | None = None
    other: LegEvidence | None = None
    together: bool = False
    made_good: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A live hedge and what the journal tells about it.

    ``busy``: an operation is in flight. ``deliberate``: nothing but our own orders has changed the legs, so
    an imbalance is what was asked for. ``lost``: legs that are gone; ``doubtful``: those whose
    absence what is in flight may explain. ``unknown_orders`` have no answer, the oldest for ``unknown_for``.
    """

    hedge: Hedge
    busy: bool = False
    deliberate: bool = False
    lost: tuple[LegEvidence, ...] = ()
    doubtful: tuple[LegEvidence, ...] = ()
    exposure: Exposure | None = None
    unknown_orders: int = 0
    unknown_for: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Scene:
    """One look at one account. ``instruments`` of every open position and hedge.

    ``passed``: prices since the last look that concerned somebody; ``None``: nobody tells any.
    """

    account_id: AccountId
    account: str
    view: AccountView
    instruments: Mapping[Symbol, Instrument]
    watched: tuple[Watched, ...] = ()
    passed: Mapping[Symbol, Sequence[Decimal]] | None = field(default_factory=dict)
    _liquidations: dict[tuple[Symbol, PositionSide], LegLiquidation] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def liquidation(self, position: Position) -> LegLiquidation:
        """Of a position of the view; several rules ask for it."""
        place = position.symbol, position.side
        known = self._liquidations.get(place)
        if known is None:
            known = leg_liquidation(self.instruments[position.symbol], position, self.view)
            self._liquidations[place] = known
        return known

    def hedge_on(self, symbol: Symbol) -> Hedge | None:
        for watched in self.watched:
            if watched.hedge.symbol == symbol:
                return watched.hedge
        return None

    def mark_price(self, symbol: Symbol) -> Decimal:
        return self.view.markets[symbol].mark_price


# --- levels -------------------------------------------------------------------------------------


def falling_level(figure: Decimal, levels: Sequence[Decimal]) -> int:
    """``levels`` fall with gravity; reached when the figure is at or under it."""
    return sum(figure <= level for level in levels) - 1


def rising_level(figure: Decimal, levels: Sequence[Decimal]) -> int:
    return sum(figure >= level for level in levels) - 1


def falling(figure: Decimal | None, levels: Sequence[Decimal]) -> tuple[int, int]:
    """Level, and the level not left yet: a level is left when the figure is better by a tenth of it."""
    if figure is None:
        return -1, -1
    looser = [level * (1 + HYSTERESIS) for level in levels]
    return falling_level(figure, levels), falling_level(figure, looser)


def rising(figure: Decimal, levels: Sequence[Decimal]) -> tuple[int, int]:
    looser = [level * (1 - HYSTERESIS) for level in levels]
    return rising_level(figure, levels), rising_level(figure, looser)


def lasting_level(span: timedelta, levels: Sequence[timedelta]) -> int:
    return sum(span >= level for level in levels) - 1


# --- findings -----------------------------------------------------------------------------------


def key_of(scene: Scene, figures: Figures, kind: AlertKind, detail: str = "") -> str:
    """Numbers of hedges are the user's own; anything else is told apart by its account."""
    subject = subject_of(figures)
    key = f"{subject}:{kind}" if subject else str(kind)
    if detail:
        key = f"{key}:{detail}"
    return key if subject.startswith("#") else key + account_suffix(scene.account_id)


def account_suffix(account_id: AccountId) -> str:
    """How the keys end that belong to an account and to no hedge."""
    return f"@{account_id}"


def found(
    scene: Scene,
    kind: AlertKind,
    level: tuple[int, int],
    figures: Figures,
    *,
    detail: str = "",
    levels: int = 1,
) -> Finding:
    return Finding(
        key=key_of(scene, figures, kind, detail),
        kind=kind,
        level=level[0],
        holding=level[1],
        figures=figures,
        levels=levels,
        hedge_id=_hedge_id(scene, figures),
    )


def _hedge_id(scene: Scene, figures: Figures) -> HedgeId | None:
    if not isinstance(figures, OnMarket) or figures.number is None:
        return None
    for watched in scene.watched:
        if watched.hedge.number == figures.number:
            return watched.hedge.id
    raise InvariantBroken(f"hedge #{figures.number} is not watched")


def raised(is_so: bool) -> tuple[int, int]:
    return (0, 0) if is_so else (-1, -1)


def naked_leg(scene: Scene, symbol: Symbol, side: PositionSide, quantity: Decimal) -> NakedLeg:
    """The exposure, and where its leg is liquidated once it stands alone."""
    position = scene.view.position(symbol, side)
    liquidation = None
    if position is not None:
        liquidation = liquidation_alone(scene.view, scene.instruments[symbol], position)
    return NakedLeg(side, quantity, scene.mark_price(symbol), liquidation)


def liquidation_alone(view: AccountView, instrument: Instrument, position: Position) -> LegLiquidation:
    """Without the opposite leg: of two in cross margin another price than the venue's for the pair."""
    opposite = view.position(position.symbol, position.side.opposite)
    if opposite is None or not position.margin_mode is opposite.margin_mode is MarginMode.CROSS:
        return leg_liquidation(instrument, position, view)
    alone = replace(position, liquidation_price=None)
    return leg_liquidation(instrument, alone, view_without(view, instrument, opposite))


def account_finding(
    account_id: AccountId, kind: AlertKind, level: int, figures: Figures, *, levels: int
) -> Finding:
    """Of an account that could not even be looked at."""
    return Finding(f"{kind}{account_suffix(account_id)}", kind, level, level, figures, levels)
