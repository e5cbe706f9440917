"""Nothing that is told changes between two watchpoints: beside a look after every tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

import pytest

from chatbot.domain.account import AccountView, Balance, Position
from chatbot.domain.dangers import find
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import Instrument, PositionSide, Symbol
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.risk import AlertKind
from chatbot.domain.scene import Scene
from chatbot.domain.triggers import Trigger, TriggerIndex, Way
from chatbot.domain.watchpoints import watchpoints
from tests.builders import (
    BTC_COIN,
    BTC_USDT,
    CROSS,
    ETH_USDT,
    INSTRUMENTS,
    ISOLATED,
    LONG,
    SHORT,
    SOL_USDT,
    a_market,
    a_position,
    a_view,
    an_instrument,
)

D = Decimal
LIMITS = AlertPreferences()
BY_PRICE = frozenset({AlertKind.LIQUIDATION, AlertKind.MARGIN, AlertKind.TARGET})
TEN_THOUSAND, ONE = D(10_000), D(1)
BEGIN = {
    BTC_USDT.symbol: D(60_000),
    ETH_USDT.symbol: D(2_300),
    SOL_USDT.symbol: D(150),
    BTC_COIN.symbol: D(60_000),
}
JUMPING = an_instrument(
    "ETH",
    margin_tiers=tuple(replace(tier, maintenance_amount=D(0)) for tier in ETH_USDT.tiers),
)  # as exchanges have it that apply one rate to the whole position

Levels = Mapping[str, tuple[int, int]]


@dataclass
class Account:
    """Positions that do not change, at prices that do."""

    positions: tuple[Position, ...]
    wallet: D = TEN_THOUSAND
    coin_wallet: D = ONE
    instruments: Mapping[Symbol, Instrument] = field(default_factory=lambda: INSTRUMENTS)

    def scene(self, marks: Mapping[Symbol, D]) -> Scene:
        held = {p.symbol: marks[p.symbol] for p in self.positions}
        view: AccountView = a_view(
            *self.positions,
            wallet=self.wallet,
            coin_wallet=self.coin_wallet,
            markets={s: a_market(self.instruments[s], mark) for s, mark in held.items()},
            books={},
            instruments=self.instruments,
        )
        return Scene(AccountId("account"), "binance", view, self.instruments)

    def levels(self, marks: Mapping[Symbol, D]) -> Levels:
        findings = find(self.scene(marks), LIMITS)
        return {f.key: (f.level, f.holding) for f in findings if f.kind in BY_PRICE}


class Watch:
    """Looks only where a trigger fires."""

    def __init__(self, account: Account, marks: Mapping[Symbol, D]) -> None:
        self._account = account
        self._index = TriggerIndex()
        self._armed: tuple[Trigger, ...] = ()
        self.looks = 0
        self.look(marks)

    def look(self, marks: Mapping[Symbol, D]) -> None:
        self.looks += 1
        self.levels = self._account.levels(marks)
        for trigger in self._armed:
            self._index.disarm(trigger, 0)
        self._armed = watchpoints(self._account.scene(marks), LIMITS)
        for trigger in self._armed:
            self._index.arm(trigger, 0)

    def tick(self, symbol: Symbol, marks: Mapping[Symbol, D]) -> None:
        if self._index.crossed(symbol, marks[symbol]):
            self.look(marks)


def walk(account: Account, moves: list[tuple[Symbol, D]], marks: Mapping[Symbol, D] = BEGIN) -> Watch:
    marks, watch = dict(marks), Watch(account, marks)
    for symbol, share in moves:
        tick = account.instruments[symbol].tick_size if symbol in account.instruments else D("0.01")
        marks[symbol] = max(tick, (marks[symbol] * (1 + share)).quantize(D("0.0001")))
        watch.tick(symbol, marks)
        assert watch.levels == account.levels(marks), f"after {symbol} at {marks[symbol]}"
    return watch


# --- accounts near their limits, and prices that wander ------------------------------------------


def an_account(rng: Random) -> Account:
    """Up to five legs; what is behind them lies between plenty and hardly anything."""
    instruments = rng.sample([BTC_USDT, ETH_USDT, SOL_USDT, BTC_COIN], rng.randint(1, 3))
    sides = {each.symbol: rng.sample([LONG, SHORT], rng.randint(1, 2)) for each in instruments}
    legs = [a_leg_on(rng, each, side) for each in instruments for side in sides[each.symbol]]
    calm = Account(tuple(legs)).scene(BEGIN).view
    return Account(
        tuple(legs),
        wallet=_enough(rng, calm.balance),
        coin_wallet=_enough(rng, calm.other_balances[0]) if calm.other_balances else D(1),
    )


def a_leg_on(rng: Random, instrument: Instrument, side: PositionSide) -> Position:
    mark = BEGIN[instrument.symbol]
    worth = D(rng.choice([2_000, 20_000, 60_000, 700_000]))
    quantity = worth if instrument is BTC_COIN else (worth / mark).quantize(D("0.0001"))
    entry = (mark * D(rng.randint(900, 1_100)) / 1_000).quantize(D("0.01"))
    mode = rng.choice([CROSS, CROSS, ISOLATED])
    return a_position(
        side, quantity, entry, instrument=instrument, leverage=rng.choice([2, 5, 10]), mode=mode
    )


def _enough(rng: Random, balance: Balance) -> D:
    """So that the margin ratio begins somewhere between 5 % and 95 %."""
    needed = balance.maintenance_margin / D(rng.randint(5, 95)) * 100
    return max(D("0.0001"), balance.wallet - balance.equity + needed)


def a_walk(rng: Random, account: Account, *, ticks: int = 80) -> list[tuple[Symbol, D]]:
    """Mostly a little at a time; at times a gap over several levels, and a market at rest."""
    size = rng.choice([0.0005, 0.003, 0.01])
    held = sorted({p.symbol for p in account.positions})
    return [
        (rng.choice(held), D(str(round(rng.gauss(0, size) * rng.choice([1, 1, 1, 1, 1, 1, 1, 12]), 6))))
        for _ in range(ticks)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 100, 25))
def test_no_crossing_is_missed_whatever_the_prices_do_together(first: int) -> None:
    for seed in range(first, first + 25):
        rng = Random(seed)
        account = an_account(rng)
        walk(account, a_walk(rng, account))


# --- in closed form -----------------------------------------------------------------------------


def armed(*positions: Position, wallet: D = TEN_THOUSAND, **instruments: Instrument) -> set[tuple[Way, str]]:
    account = Account(positions, wallet, instruments={**INSTRUMENTS, **_by_symbol(instruments)})
    return {(t.way, f"{float(t.price):.6g}") for t in watchpoints(account.scene(BEGIN), LIMITS)}


def _by_symbol(instruments: Mapping[str, Instrument]) -> dict[Symbol, Instrument]:
    return {each.symbol: each for each in instruments.values()}


def test_an_isolated_leg_is_looked_at_where_its_distance_reaches_the_next_level() -> None:
    far = a_position(LONG, 1, 2_300, mode=ISOLATED, liquidation_price=1_500)
    # 1,500 / (1 - 22 %): there the 20 % level would be left again; above, nine tenths of 5 % of profit.
    assert armed(far) == {(Way.DOWN, "1923.08"), (Way.UP, "2403.5")}


def test_and_where_a_level_is_left_again() -> None:
    near = a_position(LONG, 1, 2_300, mode=ISOLATED, liquidation_price=1_900)
    # 17.4 % away: 1,900 / (1 - 11 %) is where 10 % would be left; 1,900 / (1 - 20 %) where 20 % is.
    assert armed(near) == {(Way.DOWN, "2134.83"), (Way.UP, "2375")}


def test_a_short_is_looked_at_on_the_way_up() -> None:
    far = a_position(SHORT, 1, 2_300, mode=ISOLATED, liquidation_price=3_000)
    assert armed(far) == {(Way.UP, "2459.02"), (Way.DOWN, "2196.5")}


def test_a_full_hedge_with_plenty_behind_it_is_left_alone_for_a_quarter_of_the_price() -> None:
    """Only upwards, where its maintenance margin grows."""
    pair = (a_position(LONG, 1, 2_000), a_position(SHORT, 1, 2_400))
    assert armed(*pair) == {(Way.UP, "2875")}


def test_a_leg_under_its_maintenance_margin_is_looked_at_at_every_tick() -> None:
    dead = a_position(LONG, 1, 2_300, mode=ISOLATED, liquidation_price=2_400)
    assert {(Way.UP, "2300"), (Way.DOWN, "2300")} == armed(dead)


def test_where_maintenance_jumps_or_the_exchange_says_the_price_a_band_is_all_there_is() -> None:
    jumping = a_position(LONG, 1, 2_300, instrument=JUMPING)
    told = a_position(LONG, 1, 2_300, liquidation_price=2_208)
    assert armed(jumping, eth=JUMPING) == {(Way.UP, "2323"), (Way.DOWN, "2277")}
    # A tenth of the 4 % that are left.
    assert {(Way.UP, "2309.2"), (Way.DOWN, "2290.8")} == armed(told)


def test_a_calm_account_is_hardly_ever_looked_at() -> None:
    rng = Random(3)
    pair = Account(
        (
            a_position(LONG, 1, 2_000),
            a_position(SHORT, 1, 2_250),
            a_position(LONG, 10, 149, instrument=SOL_USDT),
        )
    )
    watch = walk(pair, a_walk(rng, pair, ticks=400))
    assert watch.looks <= 40


def test_what_is_switched_off_calls_for_no_look() -> None:
    account = Account((a_position(LONG, 1, 2_300, mode=ISOLATED, liquidation_price=1_500),))
    off = replace(LIMITS, disabled=frozenset({AlertKind.LIQUIDATION, AlertKind.MARGIN, AlertKind.TARGET}))
    assert watchpoints(account.scene(BEGIN), off) == ()
