"""Alert rules: an account's view and its hedges, against the user's limits, give findings.

Each rule is one function. Whether a finding is told is decided in ``episodes.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from chatbot.domain.account import AccountView, Position
from chatbot.domain.changes import changed, net_on_venue
from chatbot.domain.funding import eaten_at, outlook
from chatbot.domain.hedge import AccountId, Hedge, HedgeStatus
from chatbot.domain.instrument import ZERO, Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.margin import account_margin_ratio
from chatbot.domain.pnl import hedge_gross_lock, net_lock_now, unrealized_pnl
from chatbot.domain.preferences import AlertPreferences, PriceMark
from chatbot.domain.risk import (
    ALWAYS_ON,
    AlertKind,
    Finding,
    FundingSoon,
    HedgeFrozen,
    LegCause,
    LegNaked,
    LiquidationNear,
    LockEaten,
    MarginHigh,
    OrderUnknown,
    PriceReached,
    RateNews,
    Silence,
    TargetReached,
    Unequal,
    VenueDown,
)
from chatbot.domain.scene import (
    HYSTERESIS,
    LegEvidence,
    Scene,
    account_finding,
    falling,
    found,
    lasting_level,
    naked_leg,
    raised,
    rising,
)
from chatbot.domain.topping_up import liquidation_with, suggested_top_up

NAKED_AFTER = timedelta(seconds=5)
TRIMS_BEFORE_WORSE = 5
UNKNOWN_AFTER = (timedelta(seconds=30), timedelta(minutes=5))
VENUE_DOWN_AFTER = (timedelta(minutes=1), timedelta(minutes=5))


def find(scene: Scene, limits: AlertPreferences) -> tuple[Finding, ...]:
    """Of every rule that is not switched off, harmless findings included."""
    off = limits.disabled - ALWAYS_ON
    return tuple(finding for rule in _RULES for finding in rule(scene, limits) if finding.kind not in off)


# --- rules: positions ---------------------------------------------------------------------------


def _by_symbol(view: AccountView) -> dict[Symbol, list[Position]]:
    found: dict[Symbol, list[Position]] = {}
    for position in view.positions:
        found.setdefault(position.symbol, []).append(position)
    return found


def _number(scene: Scene, symbol: Symbol) -> int | None:
    hedge = scene.hedge_on(symbol)
    return None if hedge is None else hedge.number


def liquidation_near(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    for positions in _by_symbol(scene.view).values():
        joint = len(positions) > 1 and all(p.margin_mode is MarginMode.CROSS for p in positions)
        dangers = [_danger(scene, position, joint=joint) for position in positions]
        if joint:
            # One account, one price: told once, for the leg that loses on the way there.
            dangers = [min(dangers, key=_distance)]
        for figures in dangers:
            levels = limits.of_hedge(figures.number).liquidation_distances
            yield found(
                scene,
                AlertKind.LIQUIDATION,
                falling(figures.liquidation.distance, levels),
                _with_way_out(scene, figures, levels),
                detail="pair" if figures.joint else figures.side.value,
                levels=len(levels),
            )


def _danger(scene: Scene, position: Position, *, joint: bool) -> LiquidationNear:
    instrument, mark = scene.instruments[position.symbol], scene.mark_price(position.symbol)
    liquidation = scene.liquidation(position)
    side, left = position.side, None
    if joint and liquidation.price is not None:
        side = PositionSide.LONG if liquidation.price < mark else PositionSide.SHORT
    opposite = scene.view.position(position.symbol, position.side.opposite)
    if opposite is not None and not joint:
        left = naked_leg(scene, position.symbol, opposite.side, opposite.quantity)
    return LiquidationNear(
        instrument=instrument,
        number=_number(scene, position.symbol),
        account=scene.account,
        side=side,
        mark_price=mark,
        liquidation=liquidation,
        joint=joint,
        left=left,
    )


def _with_way_out(scene: Scene, figures: LiquidationNear, levels: Sequence[Decimal]) -> LiquidationNear:
    position = scene.view.position(figures.instrument.symbol, figures.side)
    if position is None or figures.joint:
        return figures
    amount = suggested_top_up(figures.instrument, position, scene.view, levels)
    if amount is None:
        return figures
    then = liquidation_with(figures.instrument, position, scene.view, amount)
    return replace(figures, top_up=amount, with_top_up=then)


def _distance(figures: LiquidationNear) -> Decimal:
    distance = figures.liquidation.distance
    return Decimal("Infinity") if distance is None else distance


def margin_high(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    levels = limits.margin_ratios
    for balance in (scene.view.balance, *scene.view.other_balances):
        ratio = account_margin_ratio(scene.view, balance.currency) or ZERO
        figures = MarginHigh(account=scene.account, currency=balance.currency, ratio=ratio)
        level, detail = rising(ratio, levels), balance.currency.lower()
        yield found(scene, AlertKind.MARGIN, level, figures, detail=detail, levels=len(levels))


def funding_soon(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    for symbol, positions in _by_symbol(scene.view).items():
        market = scene.view.markets[symbol]
        settles_in = market.next_funding_at - scene.view.at
        if not timedelta(0) < settles_in <= limits.funding_before:
            continue
        figures = _funding_figures(scene, symbol, positions, settles_in)
        costs = -figures.outlook.net_per_settlement > limits.funding_net_cost
        # Holding: told once per settlement, wherever the rate goes until then.
        level = (0 if costs else -1, 0)
        yield found(scene, AlertKind.FUNDING, level, figures, detail=f"{market.next_funding_at:%Y%m%dT%H%M}")


def _funding_figures(
    scene: Scene, symbol: Symbol, positions: Sequence[Position], settles_in: timedelta
) -> FundingSoon:
    hedge = scene.hedge_on(symbol)
    instrument, market = scene.instruments[symbol], scene.view.markets[symbol]
    return FundingSoon(
        instrument=instrument,
        number=_number(scene, symbol),
        account=scene.account,
        outlook=outlook(instrument, market, positions),
        settles_in=settles_in,
        net_exposure=_net(positions),
        paid=ZERO if hedge is None else _paid(hedge),
        locked=None if hedge is None or not hedge.paired else hedge_gross_lock(hedge, instrument),
    )


def _paid(hedge: Hedge) -> Decimal:
    return ZERO - sum((leg.funding for leg in hedge.legs), ZERO)


def target_reached(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    # What is being traded, or has just lost its other leg, has other news than its profit.
    occupied = {w.hedge.symbol for w in scene.watched if w.busy or w.lost or w.hedge.paired}
    for symbol, positions in _by_symbol(scene.view).items():
        if len(positions) == 1 and positions[0].entry_price > 0 and symbol not in occupied:
            figures = _profit(scene, positions[0])
            level = rising(figures.share, (limits.of_hedge(figures.number).profit_target,))
            yield found(scene, AlertKind.TARGET, level, figures, detail=figures.side.value)


def _profit(scene: Scene, position: Position) -> TargetReached:
    instrument, mark = scene.instruments[position.symbol], scene.mark_price(position.symbol)
    profit = unrealized_pnl(instrument, position.side, position.quantity, position.entry_price, mark)
    return TargetReached(
        instrument=instrument,
        number=_number(scene, position.symbol),
        account=scene.account,
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark_price=mark,
        profit=profit,
        share=profit / instrument.notional(position.quantity, position.entry_price),
    )


# --- rules: markets -----------------------------------------------------------------------------

FLIPPED = Decimal("0.00001")  # a rate nearer to nothing has no sign
_HELD = 0  # a level that is not left again while there is a finding


def rate_news(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    """What a full hedge pays it receives: there a rate is no news."""
    for symbol, positions in _by_symbol(scene.view).items():
        market, net = scene.view.markets[symbol], _net(positions)
        figures = RateNews(
            instrument=scene.instruments[symbol],
            number=_number(scene, symbol),
            account=scene.account,
            outlook=outlook(scene.instruments[symbol], market, positions),
            net_exposure=net,
        )
        rate = market.funding_rate if net else ZERO
        flipped = (_level(rate <= -FLIPPED), _level(rate < (FLIPPED if net else ZERO)))
        yield found(scene, AlertKind.FLIP, flipped, figures)
        yield found(scene, AlertKind.RATE, rising(abs(rate), (limits.funding_rate,)), figures)


def _net(positions: Sequence[Position]) -> Decimal:
    return sum((p.quantity * p.side.sign for p in positions), ZERO)


def _level(is_so: bool) -> int:
    return 0 if is_so else -1


def price_reached(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    for mark in limits.prices:
        symbol = Symbol(mark.symbol)
        market = scene.view.markets.get(symbol)
        if mark.account != scene.account_id or market is None:
            continue
        prices = (market.mark_price, *(scene.passed or {}).get(symbol, ()))
        figures = PriceReached(
            instrument=scene.instruments[symbol],
            account=scene.account,
            price=mark.price,
            rising=mark.rising,
            mark_price=market.mark_price,
        )
        # Told once, wherever the price goes from there.
        level = _level(any(mark.reached_at(price) for price in prices)), _HELD
        yield found(scene, AlertKind.PRICE, level, figures, detail=price_detail(mark))


def price_detail(mark: PriceMark) -> str:
    """How its alert is told from others: a key has no colon within its parts."""
    return f"{mark.symbol.replace(':', '-')} {'up' if mark.rising else 'down'} {mark.price.normalize():f}"


# --- rules: hedges ------------------------------------------------------------------------------


def _instrument(scene: Scene, hedge: Hedge) -> Instrument:
    return scene.instruments[hedge.symbol]


def leg_lost(scene: Scene, _: AlertPreferences) -> Iterator[Finding]:
    """That it is gone is one piece of news, and how it went, where that is known only later, another."""
    for watched in scene.watched:
        yield from (_lost(scene, watched.hedge, lost, raised(True)) for lost in watched.lost)
        # No news, and not the end of what was told.
        yield from (_lost(scene, watched.hedge, lost, (-1, _HELD)) for lost in watched.doubtful)


def _lost(scene: Scene, hedge: Hedge, lost: LegEvidence, level: tuple[int, int]) -> Finding:
    kind = AlertKind.STOPPED if lost.cause is LegCause.STOPPED else AlertKind.LOST
    figures = changed(scene, hedge, lost)
    detail = figures.side.value
    if lost.cause is LegCause.UNEXPLAINED:
        detail = f"{detail}:{lost.cause}"
    return found(scene, kind, level, figures, detail=detail)


def leg_naked(scene: Scene, _: AlertPreferences) -> Iterator[Finding]:
    for watched in scene.watched:
        hedge, exposure = watched.hedge, watched.exposure
        level, naked = -1, None
        if exposure is not None and not watched.lost and exposure.lasting >= NAKED_AFTER:
            level = int(exposure.attempts >= TRIMS_BEFORE_WORSE)
            naked = naked_leg(scene, hedge.symbol, exposure.side, exposure.quantity)
        figures = LegNaked(
            instrument=_instrument(scene, hedge),
            number=hedge.number,
            naked=naked,
            lasting=timedelta(0) if exposure is None else exposure.lasting,
            attempts=0 if exposure is None else exposure.attempts,
            growing=exposure is not None and exposure.growing,
        )
        yield found(scene, AlertKind.NAKED, (level, level), figures, levels=2)


def hedge_frozen(scene: Scene, _: AlertPreferences) -> Iterator[Finding]:
    for watched in scene.watched:
        hedge = watched.hedge
        frozen = hedge.status is HedgeStatus.FROZEN
        figures = HedgeFrozen(
            instrument=_instrument(scene, hedge),
            number=hedge.number,
            reason=hedge.reason,
            naked=net_on_venue(scene, hedge) if frozen and not watched.lost else None,
        )
        yield found(scene, AlertKind.FROZEN, raised(frozen), figures)


def order_unknown(scene: Scene, _: AlertPreferences) -> Iterator[Finding]:
    for watched in scene.watched:
        lasting = watched.unknown_for if watched.unknown_orders else timedelta(0)
        level = lasting_level(lasting, UNKNOWN_AFTER)
        figures = OrderUnknown(
            instrument=_instrument(scene, watched.hedge),
            number=watched.hedge.number,
            orders=watched.unknown_orders,
            lasting=lasting,
        )
        yield found(scene, AlertKind.UNKNOWN, (level, level), figures, levels=len(UNKNOWN_AFTER))


def imbalance(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    for watched in scene.watched:
        hedge = watched.hedge
        if not hedge.paired or watched.busy or watched.deliberate:
            continue
        figures = Unequal(
            instrument=_instrument(scene, hedge),
            number=hedge.number,
            net_exposure=hedge.net_exposure,
            ratio=hedge.imbalance,
            mark_price=scene.mark_price(hedge.symbol),
        )
        yield found(
            scene,
            AlertKind.IMBALANCE,
            over(hedge.imbalance, limits.of_hedge(hedge.number).imbalance),
            figures,
        )


def over(figure: Decimal, limit: Decimal) -> tuple[int, int]:
    """Over the limit; at it is still well."""
    return (0 if figure > limit else -1), (0 if figure > limit * (1 - HYSTERESIS) else -1)


def lock_eaten(scene: Scene, limits: AlertPreferences) -> Iterator[Finding]:
    for watched in scene.watched:
        hedge = watched.hedge
        if hedge.paired and (locked := hedge_gross_lock(hedge, _instrument(scene, hedge))) > 0:
            figures = _eaten(scene, hedge, locked)
            levels = limits.of_hedge(hedge.number).funding_eaten
            yield found(scene, AlertKind.EATEN, rising(figures.share, levels), figures, levels=len(levels))


def _eaten(scene: Scene, hedge: Hedge, locked: Decimal) -> LockEaten:
    instrument, market = _instrument(scene, hedge), scene.view.markets[hedge.symbol]
    paid = _paid(hedge)
    per_day = outlook(instrument, market, hedge.legs).net_per_day
    net_lock = net_lock_now(hedge, instrument, market.mark_price)
    return LockEaten(
        instrument=instrument,
        number=hedge.number,
        locked=locked,
        paid=paid,
        share=paid / locked,
        per_day=per_day,
        eaten_at=eaten_at(net_lock, per_day, scene.view.at),
    )


_RULES: tuple[Callable[[Scene, AlertPreferences], Iterator[Finding]], ...] = (
    leg_naked,
    leg_lost,
    hedge_frozen,
    order_unknown,
    liquidation_near,
    margin_high,
    imbalance,
    lock_eaten,
    funding_soon,
    target_reached,
    price_reached,
    rate_news,
)


# --- what is beyond an account ------------------------------------------------------------------


def venue_finding(
    account_id: AccountId,
    venue: str,
    lasting: timedelta,
    reason: str,
    silence: Silence = Silence.VENUE,
) -> Finding:
    """``lasting`` zero: it can be reached."""
    figures = VenueDown(venue=venue, lasting=lasting, reason=reason, silence=silence)
    level = lasting_level(lasting, VENUE_DOWN_AFTER)
    return account_finding(account_id, AlertKind.VENUE, level, figures, levels=len(VENUE_DOWN_AFTER))
