"""What is told of a leg that changed without an operation of ours."""

from __future__ import annotations

from chatbot.domain.ending import ending_of
from chatbot.domain.hedge import Hedge, HedgeStatus
from chatbot.domain.instrument import ZERO, PositionSide, Symbol
from chatbot.domain.risk import (
    Alert,
    AlertKind,
    AlertPhase,
    Gravity,
    LegCause,
    LegChanged,
    LegEnd,
    NakedLeg,
    gravity_of,
)
from chatbot.domain.scene import LegEvidence, Scene, key_of, naked_leg


def changed(scene: Scene, hedge: Hedge, evidence: LegEvidence) -> LegChanged:
    """``hedge`` as it is now: one that is closed meanwhile exposes nothing, whatever its market holds."""
    instrument = scene.instruments[hedge.symbol]
    return LegChanged(
        instrument=instrument,
        number=hedge.number,
        side=hedge.leg(evidence.role).side,
        cause=evidence.cause,
        after=evidence.after,
        before=evidence.before,
        price=evidence.price,
        realized=evidence.realized,
        at=evidence.at,
        naked=net_on_venue(scene, hedge) if hedge.live else None,
        at_users_price=evidence.one_of_two,
        live=hedge.live,
        frozen=hedge.status is HedgeStatus.FROZEN,
        other=None if hedge.live else _other_end(hedge, evidence),
        ended=None if hedge.live else ending_of(hedge, instrument, evidence.slippage),
    )


def _other_end(hedge: Hedge, evidence: LegEvidence) -> LegEnd | None:
    other = evidence.other
    if other is None:
        return None
    return LegEnd(hedge.leg(other.role).side, other.cause, other.price, evidence.together)


def net_on_venue(scene: Scene, hedge: Hedge) -> NakedLeg | None:
    """What the venue (not the ledger) holds uncovered of a hedge that was a pair."""
    return None if hedge.offset is None else _net(scene, hedge.symbol)


def _net(scene: Scene, symbol: Symbol) -> NakedLeg | None:
    net = sum((p.quantity * p.side.sign for p in scene.view.positions if p.symbol == symbol), ZERO)
    if not net:
        return None
    side = PositionSide.LONG if net > 0 else PositionSide.SHORT
    return naked_leg(scene, symbol, side, abs(net))


def change_alert(scene: Scene, hedge: Hedge, evidence: LegEvidence) -> Alert | None:
    """A leg that was lost with the whole hedge, shrunk or grown: told at once, once.

    ``None`` for what is a state, and told as such: a pair that has lost one leg, a hedge that is frozen.
    """
    gone = evidence.after == 0
    held_again = evidence.made_good and hedge.leg(evidence.role).quantity > 0
    if evidence.cause is LegCause.UNEXPLAINED or (hedge.live and gone and not held_again):
        return None
    kind = _kind_of_change(evidence, gone=gone)
    figures = changed(scene, hedge, evidence)
    at = evidence.at or scene.view.at
    return Alert(
        key=f"#{hedge.number}:{kind}:{figures.side}",
        kind=kind,
        phase=AlertPhase.RISE,
        level=0,
        gravity=_gravity_of_change(kind, figures),
        since=at,
        figures=figures,
    )


def forced_alert(scene: Scene, evidence: LegEvidence, symbol: Symbol, side: PositionSide) -> Alert:
    """Of a position that no hedge knows."""
    gone = evidence.after == 0
    kind = AlertKind.LOST if gone else AlertKind.SHRUNK
    figures = LegChanged(
        instrument=scene.instruments[symbol],
        account=scene.account,
        side=side,
        cause=evidence.cause,
        after=evidence.after,
        before=evidence.before,
        price=evidence.price,
        realized=evidence.realized,
        at=evidence.at,
        naked=_net(scene, symbol),
    )
    return Alert(
        key=key_of(scene, figures, kind, side.value),
        kind=kind,
        phase=AlertPhase.RISE,
        level=0,
        gravity=gravity_of(kind, 0, 1),
        since=evidence.at or scene.view.at,
        figures=figures,
    )


def _gravity_of_change(kind: AlertKind, figures: LegChanged) -> Gravity:
    """A stop that closed all there was did what it was there for."""
    done = kind is AlertKind.STOPPED and figures.naked is None
    return Gravity.WARNING if done else gravity_of(kind, 0, 1)


def _kind_of_change(evidence: LegEvidence, *, gone: bool) -> AlertKind:
    if evidence.before is not None and evidence.after > evidence.before:
        return AlertKind.GROWN
    if evidence.cause is LegCause.STOPPED:
        return AlertKind.STOPPED
    return AlertKind.LOST if gone else AlertKind.SHRUNK
