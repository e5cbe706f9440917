"""Each alert rule on one account: what is found, how grave, and with which figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from chatbot.domain.account import AccountView, Position
from chatbot.domain.changes import change_alert
from chatbot.domain.dangers import find, venue_finding
from chatbot.domain.hedge import AccountId, Hedge, HedgeStatus, LegRole
from chatbot.domain.preferences import AlertPreferences
from chatbot.domain.quote import LiquidationSource
from chatbot.domain.risk import (
    ALWAYS_ON,
    AlertKind,
    Finding,
    FundingSoon,
    Gravity,
    HedgeFrozen,
    LegCause,
    LegChanged,
    LegNaked,
    LiquidationNear,
    LockEaten,
    MarginHigh,
    NakedLeg,
    OrderUnknown,
    TargetReached,
    Unequal,
    gravity_of,
)
from chatbot.domain.scene import Exposure, LegEvidence, Scene, Watched
from tests.builders import (
    BTC_COIN,
    ETH_USDT,
    INSTRUMENTS,
    ISOLATED,
    LONG,
    NOW,
    SHORT,
    a_hedge,
    a_leg,
    a_market,
    a_pair,
    a_position,
    a_view,
)

D = Decimal
LIMITS = AlertPreferences()


def scene(view: AccountView, *watched: Watched | Hedge) -> Scene:
    wrapped = tuple(w if isinstance(w, Watched) else Watched(w) for w in watched)
    return Scene(AccountId("account"), "paper", view, INSTRUMENTS, wrapped)


def found(kind: AlertKind, looked: Scene, limits: AlertPreferences = LIMITS) -> list[Finding]:
    return [finding for finding in find(looked, limits) if finding.kind is kind]


def only(kind: AlertKind, looked: Scene, limits: AlertPreferences = LIMITS) -> Finding:
    (finding,) = found(kind, looked, limits)
    return finding


def isolated_pair(*, offset: str = "1", short_liquidation: str | None = None) -> tuple[Position, Position]:
    return (
        a_position(LONG, 1, 2_000, mode=ISOLATED),
        a_position(SHORT, offset, 2_300, mode=ISOLATED, liquidation_price=short_liquidation),
    )


# --- liquidation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "level"), [(2_000, -1), (2_096, -1), (2_097, 0), (2_287, 0), (2_288, 1), (2_397, 2), (2_500, 2)]
)
def test_the_distance_to_the_liquidation_of_a_leg_has_three_levels(mark: int, level: int) -> None:
    view = a_view(*isolated_pair(short_liquidation="2516.4"), mark=mark)

    by_key = {f.key: f for f in found(AlertKind.LIQUIDATION, scene(view, a_pair()))}

    assert by_key["#3:liquidation:short"].level == level


def test_the_gravest_level_is_critical_and_those_before_are_warnings() -> None:
    gravities = [gravity_of(AlertKind.LIQUIDATION, level, 3) for level in range(3)]

    assert gravities == [Gravity.WARNING, Gravity.WARNING, Gravity.CRITICAL]


def test_an_alert_of_a_leg_tells_what_would_be_left_and_its_next_liquidation() -> None:
    view = a_view(*isolated_pair(short_liquidation="2516.4"), mark="2398.6")

    (finding,) = [f for f in found(AlertKind.LIQUIDATION, scene(view, a_pair())) if f.level >= 0]

    figures = finding.figures
    assert isinstance(figures, LiquidationNear)
    assert figures.side is SHORT
    assert figures.liquidation.source is LiquidationSource.VENUE
    assert figures.left is not None
    assert (figures.left.side, figures.left.quantity) == (LONG, D(1))
    assert figures.left.liquidation is not None
    assert figures.left.liquidation.price is not None
    assert round(figures.left.liquidation.price, 2) == D("1809.05")


def test_a_full_cross_hedge_is_one_danger_and_it_lies_above() -> None:
    legs = a_position(LONG, 10, 2_000), a_position(SHORT, 10, 2_000)
    view = a_view(*legs, wallet=1_000, mark=2_000)

    finding = only(AlertKind.LIQUIDATION, scene(view, a_pair(quantity=10, offset_entry=2_000)))

    figures = finding.figures
    assert isinstance(figures, LiquidationNear)
    assert finding.key == "#3:liquidation:pair"
    assert figures.joint
    assert figures.side is SHORT
    assert figures.liquidation.price is not None
    assert figures.liquidation.price > 2_000


def test_a_position_that_no_hedge_knows_is_watched_too() -> None:
    view = a_view(a_position(LONG, 1, 2_000, mode=ISOLATED), mark=1_850)

    finding = only(AlertKind.LIQUIDATION, scene(view))

    assert finding.key == "ETH:liquidation:long@account"
    assert finding.level == 2
    assert finding.hedge_id is None
    assert finding.subject == "ETH"


def test_a_position_without_a_liquidation_price_is_well() -> None:
    view = a_view(a_position(LONG, "0.1", 2_000), wallet=10_000, mark=2_000)

    finding = only(AlertKind.LIQUIDATION, scene(view))

    assert (finding.level, finding.holding) == (-1, -1)


# --- margin -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "level"), [("0.49", -1), ("0.5", 0), ("0.71", 1), ("0.85", 2), ("1.2", 2)])
def test_the_margin_ratio_has_three_levels(ratio: str, level: int) -> None:
    view = a_view()
    high = replace(view, balance=replace(view.balance, margin_ratio=D(ratio)))

    assert only(AlertKind.MARGIN, scene(high)).level == level


def test_the_margin_ratio_is_computed_where_the_venue_reports_none() -> None:
    view = a_view()
    poor = replace(
        view, balance=replace(view.balance, margin_ratio=None, equity=D(100), maintenance_margin=D(60))
    )

    figures = only(AlertKind.MARGIN, scene(poor)).figures

    assert isinstance(figures, MarginHigh)
    assert figures.ratio == D("0.6")


def test_each_settlement_currency_has_a_margin_of_its_own() -> None:
    view = a_view(markets={BTC_COIN.symbol: a_market(BTC_COIN, 60_000)}, coin_wallet=1)

    keys = [f.key for f in found(AlertKind.MARGIN, scene(view))]

    assert keys == ["margin:usdt@account", "margin:btc@account"]


# --- a leg that is gone -------------------------------------------------------------------------


def widow(cause: LegCause = LegCause.LIQUIDATED) -> Watched:
    hedge = a_pair()
    gone = hedge.with_leg(replace(hedge.leg(LegRole.OFFSET), quantity=D(0)))
    evidence = LegEvidence(
        LegRole.OFFSET, cause, before=D(1), at=NOW, price=D("2516.4"), realized=D("-216.6")
    )
    return Watched(gone, lost=(evidence,))


def test_a_lost_leg_is_critical_and_tells_the_naked_exposure() -> None:
    view = a_view(a_position(LONG, 1, 2_000, mode=ISOLATED), mark=2_517)

    finding = only(AlertKind.LOST, scene(view, widow()))

    figures = finding.figures
    assert isinstance(figures, LegChanged)
    assert finding.gravity is Gravity.CRITICAL
    assert (figures.side, figures.cause, figures.realized) == (SHORT, LegCause.LIQUIDATED, D("-216.6"))
    assert isinstance(figures.naked, NakedLeg)
    assert (figures.naked.side, figures.naked.quantity) == (LONG, D(1))


def test_a_stop_that_fired_is_not_told_as_a_loss() -> None:
    looked = scene(a_view(a_position(LONG, 1, 2_000, mode=ISOLATED)), widow(LegCause.STOPPED))

    assert found(AlertKind.LOST, looked) == []
    assert only(AlertKind.STOPPED, looked).level == 0


def test_a_loss_that_what_flies_may_explain_neither_begins_nor_ends_what_is_told() -> None:
    lost = widow(LegCause.UNEXPLAINED)
    looked = scene(
        a_view(a_position(LONG, 1, 2_000, mode=ISOLATED)), replace(lost, lost=(), doubtful=lost.lost)
    )

    finding = only(AlertKind.LOST, looked)

    assert (finding.level, finding.holding) == (-1, 0)


def test_a_lost_leg_is_not_told_a_second_time_as_a_naked_one() -> None:
    lost = replace(widow(), exposure=Exposure(LONG, D(1), timedelta(minutes=1)))
    looked = scene(a_view(a_position(LONG, 1, 2_000, mode=ISOLATED)), lost)

    assert only(AlertKind.NAKED, looked).level == -1


# --- naked by an operation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "attempts", "level"), [(4, 0, -1), (5, 0, 0), (60, 4, 0), (60, 5, 1), (3, 9, -1)]
)
def test_an_exposure_left_by_an_operation_is_told_after_five_seconds(
    seconds: int, attempts: int, level: int
) -> None:
    exposure = Exposure(LONG, D("0.4"), timedelta(seconds=seconds), attempts)
    watched = Watched(a_pair(), busy=True, exposure=exposure)

    finding = only(AlertKind.NAKED, scene(a_view(*isolated_pair(offset="0.6")), watched))

    assert finding.level == level
    assert isinstance(finding.figures, LegNaked)
    assert (finding.figures.naked is not None) is (level >= 0)


# --- frozen, unknown, venue ---------------------------------------------------------------------


def test_a_frozen_hedge_is_critical_and_tells_what_the_venue_leaves_naked() -> None:
    hedge = replace(a_pair(), status=HedgeStatus.FROZEN, reason="the exchange holds short 0")
    view = a_view(a_position(LONG, 1, 2_000, mode=ISOLATED))

    finding = only(AlertKind.FROZEN, scene(view, hedge))

    assert isinstance(finding.figures, HedgeFrozen)
    assert finding.gravity is Gravity.CRITICAL
    assert finding.figures.naked is not None
    assert finding.figures.naked.quantity == 1


def test_a_hedge_that_agrees_with_the_venue_is_not_frozen() -> None:
    assert only(AlertKind.FROZEN, scene(a_view(*isolated_pair()), a_pair())).level == -1


@pytest.mark.parametrize(("seconds", "level"), [(29, -1), (30, 0), (299, 0), (300, 1)])
def test_an_unknown_outcome_is_a_warning_after_30_s_and_critical_after_5_min(
    seconds: int, level: int
) -> None:
    watched = Watched(a_pair(), busy=True, unknown_orders=1, unknown_for=timedelta(seconds=seconds))

    finding = only(AlertKind.UNKNOWN, scene(a_view(*isolated_pair()), watched))

    assert finding.level == level
    assert isinstance(finding.figures, OrderUnknown)


@pytest.mark.parametrize(
    ("minutes", "level", "gravity"),
    [(0, -1, None), (1, 0, Gravity.WARNING), (4, 0, Gravity.WARNING), (5, 1, Gravity.CRITICAL)],
)
def test_a_venue_out_of_reach_is_a_warning_then_critical(
    minutes: int, level: int, gravity: Gravity | None
) -> None:
    finding = venue_finding(AccountId("account"), "paper", timedelta(minutes=minutes), "it does not answer")

    assert finding.level == level
    assert gravity is None or finding.gravity is gravity


# --- imbalance ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "level"), [("1", -1), ("0.99", -1), ("0.989", 0), ("0.5", 0)])
def test_legs_that_differ_by_more_than_the_limit_are_unequal(offset: str, level: int) -> None:
    hedge = a_pair(offset_quantity=offset)

    finding = only(AlertKind.IMBALANCE, scene(a_view(*isolated_pair(offset=offset)), hedge))

    assert finding.level == level
    assert isinstance(finding.figures, Unequal)
    assert finding.figures.ratio == 1 - D(offset)


def test_an_imbalance_that_was_asked_for_is_not_told() -> None:
    asked = Watched(a_pair(offset_quantity="0.5"), deliberate=True)

    assert found(AlertKind.IMBALANCE, scene(a_view(*isolated_pair(offset="0.5")), asked)) == []


def test_legs_may_differ_while_an_operation_is_in_flight() -> None:
    busy = Watched(a_pair(offset_quantity="0.5"), busy=True)

    assert found(AlertKind.IMBALANCE, scene(a_view(*isolated_pair(offset="0.5")), busy)) == []


# --- funding ------------------------------------------------------------------------------------


def funding_scene(*positions: Position, minutes: int = 10, rate: str = "0.0001") -> Scene:
    market = a_market(ETH_USDT, 2_300, rate=rate, next_funding_in=timedelta(minutes=minutes))
    return scene(a_view(*positions, markets={ETH_USDT.symbol: market}))


def test_a_costly_settlement_is_told_ahead_with_what_each_side_pays_and_gets() -> None:
    looked = funding_scene(a_position(LONG, 1, 2_000), a_position(SHORT, "0.92", 2_300))

    finding = only(AlertKind.FUNDING, looked)

    figures = finding.figures
    assert isinstance(figures, FundingSoon)
    assert finding.level == 0
    assert figures.outlook.long_receives == D("-0.23")
    assert figures.outlook.short_receives == D("0.2116")
    assert figures.outlook.net_per_settlement == D("-0.0184")
    assert figures.settles_in == timedelta(minutes=10)


def test_an_equal_pair_pays_nothing_and_hears_nothing() -> None:
    looked = funding_scene(a_position(LONG, 1, 2_000), a_position(SHORT, 1, 2_300))

    assert only(AlertKind.FUNDING, looked).level == -1


def test_a_settlement_that_pays_the_user_is_not_told() -> None:
    assert only(AlertKind.FUNDING, funding_scene(a_position(SHORT, 1, 2_300))).level == -1


def test_a_settlement_far_off_is_not_told() -> None:
    assert found(AlertKind.FUNDING, funding_scene(a_position(LONG, 1, 2_000), minutes=16)) == []


def test_every_settlement_is_an_alert_of_its_own() -> None:
    now, next_ = (only(AlertKind.FUNDING, funding_scene(a_position(), minutes=m)).key for m in (10, 11))

    assert now != next_


def test_a_told_settlement_holds_whatever_the_rate_does_until_then() -> None:
    harmless = only(AlertKind.FUNDING, funding_scene(a_position(), rate="-0.0001"))

    assert (harmless.level, harmless.holding) == (-1, 0)


@pytest.mark.parametrize(("paid", "level"), [("29.99", -1), ("30", 0), ("75", 1), ("150", 2)])
def test_funding_that_eats_the_lock_has_three_levels(paid: str, level: int) -> None:
    pair = a_pair()
    hedge = pair.with_leg(replace(pair.primary, funding=-D(paid)))

    finding = only(AlertKind.EATEN, scene(a_view(*isolated_pair()), hedge))

    assert finding.level == level
    assert isinstance(finding.figures, LockEaten)
    assert finding.figures.locked == 300


def test_the_day_the_lock_is_eaten_is_told_where_funding_costs() -> None:
    pair = a_pair(offset_quantity="0.9")
    hedge = pair.with_leg(replace(pair.primary, funding=D(-50)))
    view = a_view(*isolated_pair(offset="0.9"), rate="0.001")

    figures = only(AlertKind.EATEN, scene(view, hedge)).figures

    assert isinstance(figures, LockEaten)
    assert figures.per_day < 0
    assert figures.eaten_at is not None
    assert figures.eaten_at > view.at


def test_a_hedge_that_locks_a_loss_has_no_lock_to_eat() -> None:
    looked = scene(a_view(*isolated_pair()), a_pair(offset_entry=1_900))

    assert found(AlertKind.EATEN, looked) == []


# --- profit target ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "level", "holding"), [(2_099, -1, 0), (2_100, 0, 0), (2_091, -1, 0), (2_089, -1, -1)]
)
def test_the_profit_target_is_five_percent_of_the_entry_notional(mark: int, level: int, holding: int) -> None:
    finding = only(AlertKind.TARGET, scene(a_view(a_position(LONG, 1, 2_000), mark=mark)))

    assert (finding.level, finding.holding) == (level, holding)


def test_a_short_reaches_its_target_downwards() -> None:
    figures = only(AlertKind.TARGET, scene(a_view(a_position(SHORT, 2, 2_000), mark=1_900))).figures

    assert isinstance(figures, TargetReached)
    assert (figures.profit, figures.share) == (D(200), D("0.05"))


def test_a_hedged_position_has_no_target() -> None:
    assert found(AlertKind.TARGET, scene(a_view(*isolated_pair(), mark=3_000), a_pair())) == []


def test_a_leg_that_has_just_lost_the_other_has_no_target() -> None:
    looked = scene(a_view(a_position(LONG, 1, 2_000, mode=ISOLATED), mark=2_517), widow())

    assert found(AlertKind.TARGET, looked) == []


# --- what happened once -------------------------------------------------------------------------


def test_a_leg_that_shrank_is_told_with_what_is_naked_now() -> None:
    hedge = a_pair(offset_quantity="0.6")
    evidence = LegEvidence(
        LegRole.OFFSET,
        LegCause.AUTO_DELEVERAGED,
        after=D("0.6"),
        before=D(1),
        at=NOW,
        price=D(2_400),
        realized=D(-40),
    )

    alert = change_alert(scene(a_view(*isolated_pair(offset="0.6")), hedge), hedge, evidence)

    assert alert is not None
    assert (alert.kind, alert.gravity, alert.number) == (AlertKind.SHRUNK, Gravity.CRITICAL, 3)
    assert isinstance(alert.figures, LegChanged)
    assert alert.figures.naked is not None
    assert alert.figures.naked.quantity == D("0.4")


def test_a_leg_grown_by_hand_is_a_warning() -> None:
    hedge = a_pair(offset_quantity="1.5")
    evidence = LegEvidence(LegRole.OFFSET, LegCause.BY_HAND, after=D("1.5"), before=D(1), at=NOW)

    alert = change_alert(scene(a_view(*isolated_pair(offset="1.5")), hedge), hedge, evidence)

    assert alert is not None
    assert (alert.kind, alert.gravity) == (AlertKind.GROWN, Gravity.WARNING)


@pytest.mark.parametrize(
    ("cause", "kind", "gravity"),
    [
        (LegCause.LIQUIDATED, AlertKind.LOST, Gravity.CRITICAL),
        (LegCause.STOPPED, AlertKind.STOPPED, Gravity.WARNING),
    ],
)
def test_the_end_of_a_whole_hedge_is_told_once(cause: LegCause, kind: AlertKind, gravity: Gravity) -> None:
    hedge = replace(a_hedge(a_leg(quantity=0)), status=HedgeStatus.CLOSED)
    evidence = LegEvidence(LegRole.PRIMARY, cause, before=D(1), at=NOW, price=D(1_809))

    alert = change_alert(scene(a_view()), hedge, evidence)

    assert alert is not None
    assert (alert.kind, alert.gravity, alert.since) == (kind, gravity, NOW)


def test_what_is_a_state_is_not_told_as_an_event() -> None:
    looked = scene(a_view(a_position(LONG, 1, 2_000)), widow())
    lost = LegEvidence(LegRole.OFFSET, LegCause.LIQUIDATED, before=D(1), at=NOW)
    unexplained = LegEvidence(LegRole.OFFSET, LegCause.UNEXPLAINED, after=D("0.5"), before=D(1), at=NOW)

    assert change_alert(looked, widow().hedge, lost) is None
    assert change_alert(looked, widow().hedge, unexplained) is None


# --- switched off -------------------------------------------------------------------------------


def test_a_kind_that_is_switched_off_is_not_found() -> None:
    looked = scene(a_view(a_position(LONG, 1, 2_000, mode=ISOLATED), mark=1_850))

    assert found(AlertKind.LIQUIDATION, looked, replace(LIMITS, disabled=frozenset({"liquidation"}))) == []


def test_what_has_happened_to_the_money_cannot_be_switched_off() -> None:
    off = replace(LIMITS, disabled=frozenset(kind.value for kind in AlertKind))
    looked = scene(a_view(a_position(LONG, 1, 2_000, mode=ISOLATED)), widow())

    kinds = {finding.kind for finding in find(looked, off)}

    assert AlertKind.LOST in kinds
    assert kinds <= ALWAYS_ON
