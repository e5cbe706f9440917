"""At which prices an account should be looked at again: nothing that is told depends on a price in between.

Of a leg in isolated margin, and of a profit target, they are known in closed form. What a cross account is
near to depends on all its prices together. There ``room`` is what is left until a limit is met: along with
equity and maintenance margin it is a (broken) line in each price, or in its inverse for inverse contracts.
As long as no price has moved against it by more than the same share ``room / Σ speed x price``, the room
cannot be used up, whatever the prices do together. Exact rules decide what is told; this only says when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from chatbot.domain.account import Position
from chatbot.domain.instrument import ZERO, ContractKind, Instrument, MarginMode, Symbol
from chatbot.domain.margin import (
    CrossLegs,
    account_margin_ratio,
    cross_equity,
    cross_legs,
    pair_liquidation,
)
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import AlertKind
from chatbot.domain.scene import HYSTERESIS, Scene
from chatbot.domain.triggers import Trigger, Way

# Where a venue's own figure is all there is, or maintenance margin jumps, nothing can be known beforehand:
# then it is this share of the way to liquidation, within bounds.
BLIND_SHARE: Final = Decimal("0.1")
LEAST, MOST = Decimal("0.001"), Decimal("0.01")
FARTHEST: Final = Decimal("0.25")  # of a price: beyond it, another tier's maintenance might count
_SAFE: Final = 1 - Decimal("1e-9")  # more than all roundings together


def watchpoints(scene: Scene, limits: AlertPreferences) -> tuple[Trigger, ...]:
    """At most two for each market: the nearest above and the nearest below."""
    rules = (_liquidations, _margins, _targets, _prices)
    found = [trigger for rule in rules for trigger in rule(scene, limits)]
    nearest: dict[tuple[Symbol, Way], Trigger] = {}
    for trigger in found:
        place = trigger.symbol, trigger.way
        known = nearest.get(place)
        nearest[place] = trigger if known is None else _nearer(known, trigger)
    return tuple(nearest.values())


def _nearer(one: Trigger, other: Trigger) -> Trigger:
    choose = min if one.way is Way.UP else max
    return choose(one, other, key=lambda trigger: trigger.price)


def _around(symbol: Symbol, mark: Decimal, prices: Iterable[Decimal]) -> Iterator[Trigger]:
    """A price that is the mark itself counts on both sides: it may be left either way."""
    for price in prices:
        if price >= mark:
            yield Trigger(symbol, Way.UP, price)
        if 0 < price <= mark:
            yield Trigger(symbol, Way.DOWN, price)


def falling_limits(levels: Iterable[Decimal]) -> set[Decimal]:
    """Where a level is reached, and where it is left."""
    return {limit for level in levels for limit in (level, level * (1 + HYSTERESIS))}


def rising_limits(levels: Iterable[Decimal]) -> set[Decimal]:
    return {limit for level in levels for limit in (level, level * (1 - HYSTERESIS))}


# --- one leg, one price -------------------------------------------------------------------------


def _liquidations(scene: Scene, limits: AlertPreferences) -> Iterator[Trigger]:
    if AlertKind.LIQUIDATION in limits.disabled:
        return
    for position in scene.view.positions:
        levels = limits.of_hedge(_number(scene, position.symbol)).liquidation_distances
        yield from _liquidation(scene, position, falling_limits(levels))


def _number(scene: Scene, symbol: Symbol) -> int | None:
    hedge = scene.hedge_on(symbol)
    return None if hedge is None else hedge.number


def _liquidation(scene: Scene, position: Position, distances: set[Decimal]) -> Iterator[Trigger]:
    symbol, instrument = position.symbol, scene.instruments[position.symbol]
    mark = scene.mark_price(symbol)
    price = scene.liquidation(position).price
    if price is not None:
        yield from _around(symbol, mark, _prices_at(price, distances))
    if position.margin_mode is MarginMode.ISOLATED:
        if price is None or _beyond(position, price, mark):
            yield from _around(symbol, mark, [mark])
    elif position.liquidation_price:
        yield from _blind(scene, instrument.settle)
    else:
        yield from _cross_liquidation(scene, instrument, position, distances)


def _prices_at(liquidation: Decimal, distances: Iterable[Decimal]) -> Iterator[Decimal]:
    """On either side of it."""
    yield liquidation
    for distance in distances:
        yield liquidation / (1 + distance)
        if distance < 1:
            yield liquidation / (1 - distance)


def _beyond(position: Position, liquidation: Decimal, mark: Decimal) -> bool:
    """Under its maintenance margin already."""
    return (liquidation - mark) * position.side.sign >= 0


def _targets(scene: Scene, limits: AlertPreferences) -> Iterator[Trigger]:
    if AlertKind.TARGET in limits.disabled:
        return
    for position in scene.view.positions:
        alone = scene.view.position(position.symbol, position.side.opposite) is None
        if alone and position.entry_price > 0:
            instrument, mark = scene.instruments[position.symbol], scene.mark_price(position.symbol)
            target = limits.of_hedge(_number(scene, position.symbol)).profit_target
            shares = rising_limits((target,))
            prices = (_price_of_profit(instrument, position, share) for share in shares)
            yield from _around(position.symbol, mark, (price for price in prices if price is not None))


def _price_of_profit(instrument: Instrument, position: Position, share: Decimal) -> Decimal | None:
    """``share`` of the notional at entry; ``None``: no price brings so much."""
    gain = share * position.side.sign
    if instrument.kind is ContractKind.LINEAR:
        return position.entry_price * (1 + gain)
    return position.entry_price / (1 - gain) if gain < 1 else None


def _prices(scene: Scene, limits: AlertPreferences) -> Iterator[Trigger]:
    """Those that were not reached yet; one that was is told and done."""
    if AlertKind.PRICE in limits.disabled:
        return
    for mark in limits.prices:
        symbol = Symbol(mark.symbol)
        market = scene.view.markets.get(symbol)
        if mark.account == scene.account_id and market is not None and not mark.reached_at(market.mark_price):
            yield Trigger(symbol, Way.UP if mark.rising else Way.DOWN, mark.price)


# --- a cross account, all its prices ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pull:
    """How fast room can go at most as ``x`` of a market grows, and as it falls; never negative."""

    legs: CrossLegs
    growing: Decimal
    falling: Decimal

    @property
    def weight(self) -> Decimal:
        return max(self.growing, self.falling) * self.legs.x

    def triggers(self, share: Decimal) -> Iterator[Trigger]:
        symbol, at = self.legs.instrument.symbol, self.legs.x_of
        linear = self.legs.instrument.kind is ContractKind.LINEAR
        up, down = (Way.UP, Way.DOWN) if linear else (Way.DOWN, Way.UP)
        if self.growing > 0:
            yield Trigger(symbol, up, at(self.legs.x * (1 + share)))
        if self.falling > 0:
            yield Trigger(symbol, down, at(self.legs.x * (1 - share)))


def _until(room: Decimal, pulls: Sequence[_Pull]) -> Iterator[Trigger]:
    weight = sum((pull.weight for pull in pulls), ZERO)
    if weight <= 0:
        return
    share = min(room / weight * _SAFE, FARTHEST)
    for pull in pulls:
        yield from pull.triggers(max(share, ZERO))


def _pull(legs: CrossLegs, *, equity: Decimal, scale: Decimal = Decimal(1), left: bool) -> _Pull:
    """Room is ``equity x E - M``, or less than nothing of it (``left``: until it is there again).

    ``scale``: the price stands for one that many times as large.
    """
    steepest = legs.maintenance_rate(scale * (1 + FARTHEST)) * legs.gross
    most = scale * equity * legs.net
    least = most - scale * steepest
    if left:
        most, least = -least, -most
    return _Pull(legs, growing=max(ZERO, -least), falling=max(ZERO, most))


def _margins(scene: Scene, limits: AlertPreferences) -> Iterator[Trigger]:
    ratios = rising_limits(limits.margin_ratios)
    if AlertKind.MARGIN in limits.disabled or not ratios:
        return
    for balance in (scene.view.balance, *scene.view.other_balances):
        legs = _legs_in(scene, balance.currency)
        ratio = account_margin_ratio(scene.view, balance.currency)
        if not legs or ratio is None:
            continue
        equity = cross_equity(scene.view, balance)
        if balance.margin_ratio is not None or _jumps(legs):
            yield from _blind(scene, balance.currency)
            continue
        if equity <= 0:
            yield from _every_tick(legs)
            continue
        for limit in ratios:
            room, left = limit * equity - balance.maintenance_margin, ratio >= limit
            pulls = [_pull(each, equity=limit, left=left) for each in legs]
            yield from _until(abs(room), pulls)


def _cross_liquidation(
    scene: Scene, instrument: Instrument, position: Position, distances: set[Decimal]
) -> Iterator[Trigger]:
    """Room: what equity would have over maintenance if the price were so far away already."""
    legs = _legs_in(scene, instrument.settle)
    own = next(each for each in legs if each.instrument is instrument)
    if _jumps(legs):
        yield from _blind(scene, instrument.settle)
        return
    if own.room(scene.view, Decimal(1)) <= 0:
        yield from _every_tick(legs)
        return
    for distance in (ZERO, *distances):
        if distance * position.side.sign >= 1:
            continue
        scale = own.x_of(1 - distance * position.side.sign)
        room = own.room(scene.view, scale)
        pulls = [
            _pull(each, equity=Decimal(1), scale=scale if each is own else Decimal(1), left=room <= 0)
            for each in legs
        ]
        yield from _until(abs(room), pulls)


def _legs_in(scene: Scene, currency: str) -> list[CrossLegs]:
    symbols = {p.symbol: None for p in scene.view.positions if p.margin_mode is MarginMode.CROSS}
    instruments = [scene.instruments[symbol] for symbol in symbols]
    return [cross_legs(each, scene.view) for each in instruments if each.settle == currency]


def _jumps(legs: Iterable[CrossLegs]) -> bool:
    """Maintenance margin is more by a step on entering a tier, not only by a steeper line."""
    return any(each.instrument.maintenance_jumps for each in legs)


def _every_tick(legs: Iterable[CrossLegs]) -> Iterator[Trigger]:
    """Under its maintenance margin: its liquidation is due."""
    for each in legs:
        yield from _around(each.instrument.symbol, each.mark_price, [each.mark_price])


def _blind(scene: Scene, currency: str) -> Iterator[Trigger]:
    for legs in _legs_in(scene, currency):
        yield from _blind_on(scene, legs.instrument.symbol)


def _blind_on(scene: Scene, symbol: Symbol) -> Iterator[Trigger]:
    mark = scene.mark_price(symbol)
    distance = pair_liquidation(scene.instruments[symbol], scene.view).distance
    share = MOST if distance is None else min(MOST, max(LEAST, distance * BLIND_SHARE))
    yield Trigger(symbol, Way.UP, mark * (1 + share))
    yield Trigger(symbol, Way.DOWN, mark * (1 - share))
