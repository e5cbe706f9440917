"""What the simulation found and was mended, each told by itself: the number of a run means another later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from random import Random

import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.venues.feeds import ETH
from tests.properties.mortal import Stumbles
from tests.simulation.fate import Fate
from tests.simulation.loop import new_loop, running
from tests.simulation.staging import make_stage
from tests.simulation.weather import CALM, ONE_HOUR, STALEST_POSITION, Climate, Kind, Weather
from tests.simulation.world import World

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT

Event = Callable[[World], object]


@dataclass
class _Told(Weather):
    """Weather by the book: what befalls orders one after the other, and how old each reading is."""

    script: list[Kind | None] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None  # as the first order leaves

    def of_order(self) -> Kind | None:
        self.meanwhile()
        self.meanwhile = lambda: None
        return self.script.pop(0) if self.script else None

    def position_lag(self) -> float:
        return self.lags.pop(0) if len(self.lags) > 1 else (self.lags or [0.0])[0]

    def rests(self) -> bool:
        return True


def play(
    name: str,
    climate: Climate = CALM,
    *,
    script: tuple[Kind | None, ...] = (),
    lags: tuple[float, ...] = (),
    events: tuple[tuple[int, Event], ...] = (),
    meanwhile: Event = lambda world: None,
) -> World:
    """Raises ``AssertionError`` when something that must hold does not."""
    loop = new_loop()
    stage = make_stage(loop, name)
    weather = _Told(climate, Random(1), script=list(script), lags=list(lags))
    world = World(loop, stage, weather, weather.rng, Fate(), seed=1, stumbles=Stumbles())
    weather.meanwhile = lambda: meanwhile(world)
    world.fate.ordain([(step, partial(event, world)) for step, event in events])
    with running(loop):
        world.play()
        loop.drop_all()
    return world


def adds(world: World) -> None:
    """Another hand makes the offset half as large again."""
    exchange = world.exchanges["alpha"]
    holder = exchange.holder(world.stage.people[0].accounts[0].id)
    exchange.by_hand(holder, ETH, SHORT, holder.quantity(ETH, SHORT) / 2, opens=True)


def halves(world: World) -> None:
    """Another hand closes half of the primary."""
    exchange = world.exchanges["alpha"]
    holder = exchange.holder(world.stage.people[0].accounts[0].id)
    exchange.by_hand(holder, ETH, LONG, holder.quantity(ETH, LONG) / 2, opens=False)


def states(world: World, table: str) -> list[str]:
    return [status for (status,) in world.disk.rows(f"SELECT status FROM {table} ORDER BY 1")]  # noqa: S608


def test_an_order_that_came_as_late_as_it_can_is_seen_by_the_stalest_reading() -> None:
    """Our clock is five seconds ahead: the exchange still takes what we think has expired."""
    climate = Climate(
        order_lag=ONE_HOUR, position_lag=STALEST_POSITION, hides_history=True, clock_off=5.0, late=(9.9,)
    )
    world = play("hedge", climate, script=(Kind.LATE,), lags=(0.0, 0.0, STALEST_POSITION))

    assert states(world, "operations")[-1] == "done"
    assert "told by the position" in {r for (r,) in world.disk.rows("SELECT reason FROM intents")}


def test_an_old_difference_does_not_freeze_because_of_a_new_one() -> None:
    """A stale reading before the order; later one leg has moved, and its own order is not settled yet."""
    climate = Climate(order_lag=ONE_HOUR, hides_history=True, position_lag=STALEST_POSITION)
    world = play(
        "grow both", climate, script=(Kind.REQUEST_LOST, Kind.REPLY_LOST), lags=(STALEST_POSITION, 0.0)
    )

    assert states(world, "hedges") == ["open"]
    assert "frozen" not in states(world, "operations")


def test_the_history_of_an_order_that_still_works_is_not_its_end() -> None:
    """One leg is refused, so the account is read; the other has filled in part and cannot be looked up."""
    climate = Climate(order_lag=ONE_HOUR)
    world = play("close both at once", climate, script=(Kind.PARTIAL, Kind.REJECTED), meanwhile=adds)

    held = world.exchanges["alpha"].holder(world.stage.people[0].accounts[0].id).positions
    assert {side: position.quantity for (_, side), position in held.items()} == {SHORT: Decimal("0.617")}


def test_what_another_hand_adds_while_an_order_flies_is_told() -> None:
    world = play("close offset first", meanwhile=adds)

    told = [
        key for (key,) in world.disk.rows("SELECT dedupe_key FROM outbox WHERE dedupe_key LIKE 'alert:%'")
    ]
    assert any("grown" in key for key in told)


def test_a_leg_that_another_hand_shrank_and_an_operation_closed_to_nothing_is_told() -> None:
    """Half of both was to be closed: of the primary that is all there is; half of the offset stands alone."""
    world = play("close a part", meanwhile=halves)

    holder = world.exchanges["alpha"].holder(world.stage.people[0].accounts[0].id)
    assert not holder.quantity(ETH, LONG)
    assert holder.quantity(ETH, SHORT)
    told = "\n".join(key for (key,) in world.disk.rows("SELECT dedupe_key FROM outbox"))
    assert f"lost:{LONG}" in told


def test_margin_that_the_disk_has_held_up_is_not_sent() -> None:
    """It would be looked up before it can be seen, and said not to have come."""
    world = play("margin", Climate(slow_disk=(6.0,)))

    assert not world.exchanges["alpha"].holder(world.stage.people[0].accounts[0].id).margins
    assert "failed" in states(world, "operations")


@pytest.mark.parametrize("first", [LONG, SHORT])
def test_of_two_legs_lost_in_one_instant_both_are_told(first: PositionSide) -> None:
    def goes(side: PositionSide) -> Event:
        return lambda world: world.liquidate(ETH, side)

    world = play("a leg is liquidated", events=((5, goes(first)), (45, goes(first.opposite))))

    told = "\n".join(key for (key,) in world.disk.rows("SELECT dedupe_key FROM outbox"))
    assert f"lost:{LONG}" in told
    assert f"lost:{SHORT}" in told
