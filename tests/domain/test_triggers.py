from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chatbot.domain import triggers
from chatbot.domain.instrument import Symbol
from chatbot.domain.triggers import Trigger, TriggerIndex, Way

BTC, ETH = Symbol("BTC/USDT:USDT"), Symbol("ETH/USDT:USDT")
UP, DOWN = Way.UP, Way.DOWN


def trigger(price: str, way: Way = UP, symbol: Symbol = BTC) -> Trigger:
    return Trigger(symbol, way, Decimal(price))


def index(*armed: tuple[Trigger, int]) -> TriggerIndex:
    made = TriggerIndex()
    for each, owner in armed:
        made.arm(each, owner)
    return made


def test_a_tick_that_crosses_nothing_fires_nothing() -> None:
    watch = index((trigger("101"), 1), (trigger("99", DOWN), 2))
    assert watch.crossed(BTC, Decimal("100")) == []
    assert watch.crossed(ETH, Decimal("100")) == []
    assert len(watch) == 2


def test_the_price_itself_fires_upwards_and_downwards() -> None:
    watch = index((trigger("101"), 1), (trigger("99", DOWN), 2))
    assert watch.crossed(BTC, Decimal("101")) == [1]
    assert watch.crossed(BTC, Decimal("99")) == [2]


def test_what_fired_is_gone() -> None:
    watch = index((trigger("101"), 1))
    assert watch.crossed(BTC, Decimal("105")) == [1]
    assert watch.crossed(BTC, Decimal("106")) == []
    assert len(watch) == 0
    assert not watch.disarm(trigger("101"), 1)


def test_a_gap_over_several_levels_fires_all_of_them() -> None:
    watch = index(*((trigger(str(100 - n), DOWN), n) for n in range(1, 6)))
    assert sorted(watch.crossed(BTC, Decimal("96.5"))) == [1, 2, 3]
    assert sorted(watch.crossed(BTC, Decimal("1"))) == [4, 5]


def test_a_trigger_that_the_price_is_beyond_already_fires_at_the_next_tick() -> None:
    watch = index((trigger("99"), 7))
    assert watch.crossed(BTC, Decimal("100")) == [7]


def test_a_market_is_untouched_by_the_ticks_of_another() -> None:
    watch = index((trigger("50", DOWN), 1), (trigger("50", DOWN, ETH), 2))
    assert watch.crossed(ETH, Decimal("40")) == [2]
    assert watch.symbols() == {BTC}


def test_many_at_one_price_are_taken_away_one_by_one() -> None:
    """A round price that thousands have set, over many blocks."""
    many = 5 * triggers.BLOCK
    watch = index(*((trigger("120000"), owner) for owner in range(many)))
    for owner in range(0, many, 7):
        assert watch.disarm(trigger("120000"), owner)
        assert not watch.disarm(trigger("120000"), owner)
    left = [owner for owner in range(many) if owner % 7]
    assert sorted(watch.crossed(BTC, Decimal("120000"))) == left


def test_changing_a_trigger_for_ever_leaves_no_dead_ones() -> None:
    watch = index((trigger("500"), 0))
    for n in range(10_000):
        assert watch.disarm(trigger(str(500 + n)), 0)
        watch.arm(trigger(str(501 + n)), 0)
    assert len(watch) == 1


@pytest.mark.parametrize("way", Way)
@given(price=st.decimals(min_value="1e-12", max_value="1e12", allow_nan=False, allow_infinity=False))
def test_a_price_equal_to_the_trigger_fires_it_however_many_digits_it_has(way: Way, price: Decimal) -> None:
    assert index((Trigger(BTC, way, price), 1)).crossed(BTC, price) == [1]


class Watching(RuleBasedStateMachine):
    """Beside a plain list: the same fires at each tick, after whatever was armed and disarmed."""

    PRICES = st.integers(1, 60).map(lambda n: Decimal(n) / 10)

    def __init__(self) -> None:
        super().__init__()
        self.index = TriggerIndex()
        self.model: list[tuple[Trigger, int]] = []
        self.number = 0

    @rule(price=PRICES, way=st.sampled_from(Way), symbol=st.sampled_from([BTC, ETH]), many=st.integers(1, 40))
    def arm(self, price: Decimal, way: Way, symbol: Symbol, many: int) -> None:
        for _ in range(many):
            self.number += 1
            armed = Trigger(symbol, way, price)
            self.index.arm(armed, self.number)
            self.model.append((armed, self.number))

    @rule(pick=st.integers(0, 10_000))
    def disarm(self, pick: int) -> None:
        if self.model:
            armed, owner = self.model.pop(pick % len(self.model))
            assert self.index.disarm(armed, owner)
            assert not self.index.disarm(armed, owner)

    @rule(price=PRICES, symbol=st.sampled_from([BTC, ETH]))
    def tick(self, price: Decimal, symbol: Symbol) -> None:
        fires = [(armed, owner) for armed, owner in self.model if _fires(armed, symbol, price)]
        assert Counter(self.index.crossed(symbol, price)) == Counter(owner for _, owner in fires)
        self.model = [entry for entry in self.model if entry not in fires]

    @invariant()
    def counts(self) -> None:
        assert len(self.index) == len(self.model)


def _fires(armed: Trigger, symbol: Symbol, price: Decimal) -> bool:
    beyond = price >= armed.price if armed.way is UP else price <= armed.price
    return armed.symbol == symbol and beyond


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few entries already go over several."""
    monkeypatch.setattr(triggers, "BLOCK", 4)


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
