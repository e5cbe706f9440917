"""Funding rates that turn or are high, and prices that were asked for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from chatbot.domain.account import Position
from chatbot.domain.dangers import find
from chatbot.domain.hedge import AccountId
from chatbot.domain.preferences import AlertPreferences, OwnLevels, PriceMark
from chatbot.domain.risk import AlertKind, Finding, Gravity, PriceReached
from chatbot.domain.scene import Scene, Watched
from chatbot.domain.triggers import Trigger, Way
from chatbot.domain.watchpoints import watchpoints
from tests.builders import ETH_USDT, INSTRUMENTS, ISOLATED, LONG, SHORT, a_hedge, a_position, a_view

D = Decimal
ETH = ETH_USDT.symbol
ACCOUNT = AccountId("account")
LIMITS = AlertPreferences()


def scene(*positions: Position, rate: str = "0.0001", mark: str = "2300") -> Scene:
    return Scene(ACCOUNT, "binance", a_view(*positions, rate=rate, mark=D(mark)), INSTRUMENTS)


def of(kind: AlertKind, looked: Scene, limits: AlertPreferences = LIMITS) -> list[Finding]:
    return [finding for finding in find(looked, limits) if finding.kind is kind]


def level(kind: AlertKind, looked: Scene, limits: AlertPreferences = LIMITS) -> tuple[int, int]:
    (finding,) = of(kind, looked, limits)
    assert finding.gravity_at(0) is Gravity.INFO
    return finding.level, finding.holding


@pytest.mark.parametrize(
    ("rate", "found"),
    [
        ("0.0001", (-1, -1)),
        ("0.000009", (-1, 0)),  # next to nothing: turned or not, it stays what it was
        ("-0.000009", (-1, 0)),
        ("-0.00001", (0, 0)),
        ("-0.001", (0, 0)),
    ],
)
def test_funding_that_turns_is_told_in_both_directions(rate: str, found: tuple[int, int]) -> None:
    assert level(AlertKind.FLIP, scene(a_position(LONG), rate=rate)) == found


@pytest.mark.parametrize(
    ("rate", "found"),
    [("0.0004", (-1, -1)), ("0.00045", (-1, 0)), ("0.0005", (0, 0)), ("-0.0006", (0, 0))],
)
def test_a_rate_is_high_from_the_users_limit_on(rate: str, found: tuple[int, int]) -> None:
    assert level(AlertKind.RATE, scene(a_position(SHORT), rate=rate)) == found
    assert (
        level(AlertKind.RATE, scene(a_position(SHORT), rate=rate), replace(LIMITS, funding_rate=D(1)))[0]
        == -1
    )


def test_what_a_full_hedge_pays_it_receives() -> None:
    pair = scene(a_position(LONG), a_position(SHORT), rate="-0.01")
    assert level(AlertKind.FLIP, pair) == level(AlertKind.RATE, pair) == (-1, -1)


def marked(price: str, *, rising: bool = True, account: str = ACCOUNT) -> AlertPreferences:
    return replace(LIMITS, prices=(PriceMark(account, ETH, D(price), rising),))


@pytest.mark.parametrize(
    ("price", "rising", "reached"),
    [("2300", True, 0), ("2300.01", True, -1), ("2300", False, 0), ("2299.99", False, -1)],
)
def test_a_price_is_reached_from_its_side(price: str, rising: bool, reached: int) -> None:
    assert level(AlertKind.PRICE, scene(a_position(LONG)), marked(price, rising=rising)) == (reached, 0)


def test_a_wick_between_two_looks_is_told_too() -> None:
    looked = replace(scene(a_position(LONG)), passed={ETH: (D(2_410),)})
    (finding,) = of(AlertKind.PRICE, looked, marked("2400"))
    assert finding.level == 0
    assert isinstance(finding.figures, PriceReached)
    assert finding.figures.mark_price == 2_300


def test_each_price_is_an_alert_of_its_own_and_of_its_account() -> None:
    two = replace(LIMITS, prices=(*marked("2400").prices, *marked("2500").prices))
    assert len({finding.key for finding in of(AlertKind.PRICE, scene(a_position(LONG)), two)}) == 2
    assert of(AlertKind.PRICE, scene(a_position(LONG)), marked("2400", account="another")) == []


def test_a_price_that_was_asked_for_leads_to_a_look_and_one_that_was_reached_does_not() -> None:
    far = scene(a_position(LONG, mode=ISOLATED, liquidation_price=200))
    assert Trigger(ETH, Way.UP, D(2_301)) in watchpoints(far, marked("2301"))
    assert all(trigger.price != 2_299 for trigger in watchpoints(far, marked("2299")))


def test_a_hedge_has_its_own_levels_and_all_others_those_of_the_user() -> None:
    hedge = a_hedge(number=3)
    legs = a_position(LONG, mode=ISOLATED, liquidation_price=2_070), a_position(SHORT, mode=ISOLATED)
    looked = replace(scene(*legs), watched=(Watched(hedge),))  # the long is 10 % away
    own = LIMITS.with_own(3, OwnLevels(liquidation_distances=(D("0.05"),)))
    other = LIMITS.with_own(4, OwnLevels(liquidation_distances=(D("0.05"),)))

    def longs(limits: AlertPreferences) -> int:
        return next(f.level for f in of(AlertKind.LIQUIDATION, looked, limits) if f.key.endswith("long"))

    assert [longs(limits) for limits in (LIMITS, own, other, own.with_own(3, OwnLevels()))] == [1, -1, 1, 1]
