"""Every card fits a phone, whatever the figures, and its columns add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.chat import ChatRef, Platform, Reply, Table, Text, UserRef
from chatbot.domain.account import Balance
from chatbot.domain.hedge import AccountId, HedgeId, HedgeStatus, LegRole, UserId
from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.pnl import Lock
from chatbot.domain.preferences import Preferences
from chatbot.domain.quote import (
    AnyQuote,
    CloseAllQuote,
    CloseQuote,
    CloseWay,
    CloseWayQuote,
    FundingOutlook,
    HedgeQuote,
    LegAction,
    LegLiquidation,
    LegPlan,
    OpenQuote,
    Quote,
    QuoteId,
    QuoteKind,
)
from chatbot.platforms.console import render
from chatbot.ports import Account, User
from chatbot.services.reporting import HedgeReport, LegReport, PositionReport, StatusReport, StopReport
from handlers.buttons import Buttons
from handlers.look import Look
from handlers.quote_cards import expired_card, quote_card
from handlers.status_cards import status_cards, unhedged_card
from handlers.tables import WIDTH, line, note, pair
from tests.builders import BTC_COIN, BTC_USDT, ETH_USDT, INSTRUMENTS, NOW

D = Decimal
ANN = User(
    UserId("ann"), UserRef(Platform.TELEGRAM, "1"), ChatRef(Platform.TELEGRAM, "1"), "Ann", NOW, Preferences()
)
LOOK = Look(ANN, "telegram:1", Buttons(b"s" * 32))

# Prices and sizes from the smallest coin to the largest account.
# Few examples: each draws dozens of figures.
few = settings(max_examples=25)
sizes = st.decimals(D("1e-8"), D("1e12"), places=8, allow_nan=False).filter(lambda d: d > 0)
sums = st.decimals(D("-1e12"), D("1e12"), places=8, allow_nan=False)
shares = st.one_of(st.none(), st.decimals(D("1e-8"), D("1e6"), places=8).filter(lambda d: d > 0))
instruments = st.sampled_from([BTC_USDT, ETH_USDT, BTC_COIN])
sides = st.sampled_from(list(PositionSide))


@st.composite
def liquidations(draw: st.DrawFn) -> LegLiquidation:
    distance = draw(shares)
    return LegLiquidation(None if distance is None else draw(sizes), distance)


@st.composite
def outlooks(draw: st.DrawFn) -> FundingOutlook:
    at = draw(st.one_of(st.none(), st.just(NOW)))
    return FundingOutlook(
        rate=draw(st.decimals(D("-0.05"), D("0.05"), places=8)),
        interval_hours=draw(st.sampled_from([D(1), D(4), D(8)])),
        settles_at=NOW + timedelta(minutes=draw(st.integers(0, 480))),
        long_receives=draw(sums),
        short_receives=draw(sums),
        net_per_settlement=draw(sums),
        net_per_day=draw(sums),
        at=at,
    )


@st.composite
def plans(draw: st.DrawFn, action: LegAction = LegAction.OPEN) -> LegPlan:
    stop = draw(st.one_of(st.none(), sizes))
    return LegPlan(
        role=draw(st.sampled_from(list(LegRole))),
        side=draw(sides),
        action=action,
        quantity=draw(sizes),
        expected_price=draw(sizes),
        fee=draw(sums),
        slippage_bps=draw(sums),
        leverage=draw(st.integers(1, 1000).map(D)),
        margin_mode=draw(st.sampled_from(list(MarginMode))),
        stop_loss=stop,
        take_profit=stop,
        trigger_price=draw(st.one_of(st.none(), sizes)),
    )


@st.composite
def open_quotes(draw: st.DrawFn) -> OpenQuote:
    return OpenQuote(
        symbol=draw(instruments).symbol,
        plan=draw(plans()),
        mark_price=draw(sizes),
        notional=draw(sizes),
        margin_needed=draw(sizes),
        margin_free=draw(sizes),
        liquidation=draw(liquidations()),
        liquidation_before=draw(st.one_of(st.none(), liquidations())),
        funding=draw(outlooks()),
        loss_at_stop=draw(sums),
        gain_at_target=draw(sums),
        warnings=("thin",),
    )


@st.composite
def hedge_quotes(draw: st.DrawFn) -> HedgeQuote:
    instrument = draw(instruments)
    gross, *costs = draw(st.lists(sums, min_size=7, max_size=7))
    paid, opening, closing, spread, funding, realized = costs
    net = gross + sum(costs, D(0))
    return HedgeQuote(
        symbol=instrument.symbol,
        primary_side=draw(sides),
        primary_quantity=draw(sizes),
        primary_entry=draw(sizes),
        primary_leverage=D(10),
        primary_margin_mode=MarginMode.ISOLATED,
        plan=draw(plans()),
        mark_price=draw(sizes),
        gross_lock=gross,
        fees_paid=paid,
        fees_paid_partial=draw(st.booleans()),
        fee_to_open=opening,
        fees_to_close=closing,
        spread_cost=spread,
        funding_so_far=funding,
        net_lock=net,
        close_now_net=draw(sums),
        margin_needed=draw(sizes),
        margin_free=draw(sizes),
        rounding_rest=draw(sizes),
        rounding_rest_notional=draw(sizes),
        net_exposure_after=draw(sums),
        liquidation_before=draw(liquidations()),
        primary_after=draw(liquidations()),
        offset_after=draw(liquidations()),
        pair_after=draw(liquidations()),
        funding=draw(outlooks()),
        lock_currency=instrument.settle,
        inverse=instrument is BTC_COIN,
        realized_so_far=realized,
    )


@st.composite
def close_quotes(draw: st.DrawFn) -> CloseQuote:
    instrument = draw(instruments)
    ways = tuple(
        CloseWayQuote(
            way=way,
            plans=(draw(plans(LegAction.CLOSE)), draw(plans(LegAction.CLOSE))),
            realized=draw(sums),
            total=draw(sums),
            slippage_cost=draw(sums),
            exposure_between=draw(sums),
            exposure_after=draw(sums),
            liquidation_after=draw(st.one_of(st.none(), liquidations())),
        )
        for way in CloseWay
    )
    number = draw(st.one_of(st.none(), st.integers(1, 99_999)))
    return CloseQuote(
        instrument.symbol,
        HedgeId("h000000001"),
        number,
        draw(sizes),
        D("0.5"),
        ways,
        instrument.settle,
        ("x",),
    )


def quoted(offer: AnyQuote, kind: QuoteKind = QuoteKind.OPEN) -> Quote:
    return Quote(
        id=QuoteId("q" * 22),
        kind=kind,
        user_id=ANN.id,
        account_id=AccountId("a"),
        chat="telegram:1",
        request=None,
        offer=offer,
        positions=(),
        reference_prices=((ETH_USDT.symbol, D(2300)),),
        band=D("0.003"),
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=60),
    )


def widest(reply: Reply) -> int:
    tables = [block for block in reply.blocks if isinstance(block, Table)]
    return max((len(row) for table in tables for row in table.lines), default=0)


def shown_amount(reply: Reply, label: str) -> Decimal:
    rows = [row for block in reply.blocks if isinstance(block, Table) for row in block.lines]
    (row,) = [row for row in rows if row.startswith(label)]
    return D(row.removeprefix(label).replace("~", "").replace(",", "").strip())


# --- width --------------------------------------------------------------------------------------


@few
@given(
    st.one_of(open_quotes(), hedge_quotes(), close_quotes(), st.lists(close_quotes(), min_size=1, max_size=3))
)
def test_offers_fit_a_phone_whatever_the_figures(offer: AnyQuote | list[CloseQuote]) -> None:
    quote = quoted(CloseAllQuote(tuple(offer)) if isinstance(offer, list) else offer)

    for card in (quote_card(LOOK, quote, INSTRUMENTS, why="moved"), expired_card(LOOK, quote, INSTRUMENTS)):
        assert widest(card) <= WIDTH
        assert len(render(card)) < 4096


@few
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_rows_are_never_wider_than_a_phone(label: str, left: str, right: str) -> None:
    assert len(pair(label, left, right)) <= WIDTH
    assert len(line(label, left)) <= WIDTH
    assert all(len(row) <= WIDTH for row in note(f"{label} {left} {right}"))


@st.composite
def leg_reports(draw: st.DrawFn, side: PositionSide) -> LegReport:
    return LegReport(
        role=LegRole.PRIMARY if side is PositionSide.LONG else LegRole.OFFSET,
        side=side,
        quantity=draw(st.one_of(st.just(D(0)), sizes)),
        entry_price=draw(sizes),
        mark_price=draw(sizes),
        pnl=draw(sums),
        liquidation=draw(liquidations()),
        leverage=D(125),
        margin_mode=MarginMode.ISOLATED,
    )


@st.composite
def hedge_reports(draw: st.DrawFn) -> HedgeReport:
    instrument = draw(instruments)
    return HedgeReport(
        number=draw(st.integers(1, 99_999)),
        symbol=instrument.symbol,
        instrument=instrument,
        status=draw(st.sampled_from([HedgeStatus.OPEN, HedgeStatus.FROZEN])),
        frozen=draw(st.sampled_from(["", "the short leg is larger than I know of"])),
        legs=tuple(draw(leg_reports(side)) for side in PositionSide),
        age=timedelta(hours=draw(st.integers(0, 100_000))),
        net_exposure=draw(sums),
        imbalance=draw(sizes),
        lock=Lock(*(draw(sums) for _ in range(8))),
        funding=draw(outlooks()),
        eaten_at=draw(st.one_of(st.none(), st.just(NOW))),
        pair_liquidation=draw(liquidations()),
        margin_ratio=draw(shares),
        stops=(StopReport("stop-loss", PositionSide.LONG, draw(sizes), draw(sizes)),),
        alerts=(("liquidation", NOW),),
        currency=instrument.settle,
        protected=draw(st.sampled_from(PositionSide)),
    )


@st.composite
def position_reports(draw: st.DrawFn) -> PositionReport:
    instrument = draw(instruments)
    return PositionReport(
        number=draw(st.one_of(st.none(), st.integers(1, 999))),
        symbol=instrument.symbol,
        instrument=instrument,
        leg=draw(leg_reports(PositionSide.LONG)),
        pnl_share=draw(sums),
        funding=draw(outlooks()),
        funding_to_date=draw(sums),
        fees_to_date=draw(sums),
        realized_to_date=draw(sums),
        widowed=draw(st.booleans()),
        both_sides_open=draw(st.booleans()),
        margin_ratio=draw(shares),
        stops=(),
        alerts=(),
    )


def report(*hedges: HedgeReport, positions: tuple[PositionReport, ...] = (), age: float = 0) -> StatusReport:
    account = Account(AccountId("a"), ANN.id, "paper", "paper", NOW)
    balance = Balance("USDT", D(9_000), D(9_100), D(8_000), D(10), D("0.41"))
    now = NOW + timedelta(seconds=age)
    return StatusReport(account, NOW, NOW, now, balance, hedges, positions)


@few
@given(hedge_reports(), position_reports())
def test_status_fits_a_phone_whatever_the_figures(hedge: HedgeReport, position: PositionReport) -> None:
    live = report(hedge, positions=(position,))

    for card in (*status_cards(LOOK, live), unhedged_card(LOOK, live)):
        assert widest(card) <= WIDTH
        assert len(render(card)) < 4096


# --- columns ------------------------------------------------------------------------------------

cents = st.decimals(D("-1e6"), D("1e6"), places=8, allow_nan=False)


@few
@given(hedge_quotes(), st.lists(cents, min_size=6, max_size=6))
def test_the_costs_of_a_lock_add_up_to_the_cent(offer: HedgeQuote, parts: list[Decimal]) -> None:
    gross, paid, opening, closing, spread, funding = parts
    exact = replace(
        offer,
        symbol=ETH_USDT.symbol,
        lock_currency="USDT",
        gross_lock=gross,
        fees_paid=paid,
        fees_paid_partial=False,
        fee_to_open=opening,
        fees_to_close=closing,
        spread_cost=spread,
        funding_so_far=funding,
        realized_so_far=D(0),
        net_lock=sum(parts, D(0)),
    )

    card = quote_card(LOOK, quoted(exact), INSTRUMENTS)

    labels = ("gross lock", "fees paid", "fee to open", "fees to close", "spread to close", "funding so far")
    assert sum(shown_amount(card, label) for label in labels) == shown_amount(card, "net lock")
    assert shown_amount(card, "gross lock") == round(gross, 2)


# --- what a card says ---------------------------------------------------------------------------


def text_of(reply: Reply) -> str:
    return "\n".join(block.text for block in reply.blocks if isinstance(block, Text))


@few
@given(hedge_reports())
def test_old_figures_say_their_age_and_fresh_ones_do_not(hedge: HedgeReport) -> None:
    (stale,) = status_cards(LOOK, report(hedge, age=11))
    (fresh,) = status_cards(LOOK, report(hedge, age=10))

    assert "These figures are 11 s old." in text_of(stale)
    assert "old." not in text_of(fresh)


@few
@given(open_quotes())
def test_free_margin_is_hidden_where_balances_are(offer: OpenQuote) -> None:
    public = replace(LOOK, balances=False)

    assert "margin free" in render(quote_card(LOOK, quoted(offer), INSTRUMENTS))
    assert "margin free" not in render(quote_card(public, quoted(offer), INSTRUMENTS))


@few
@given(hedge_reports())
def test_the_margin_ratio_is_hidden_where_balances_are(hedge: HedgeReport) -> None:
    (private,) = status_cards(LOOK, report(hedge))
    (public,) = status_cards(replace(LOOK, balances=False), report(hedge))

    assert "margin ratio" in render(private)
    assert "margin ratio" not in render(public)


@pytest.mark.parametrize(("balances", "says"), [(True, True), (False, False)])
def test_an_empty_account_says_what_to_do_and_its_money_only_in_private(balances: bool, says: bool) -> None:
    (card,) = status_cards(replace(LOOK, balances=balances), report())

    assert "/open BTC long 0.05 10x" in text_of(card)
    assert ("8,000.00 USDT" in text_of(card)) is says


@few
@given(hedge_reports())
def test_a_frozen_hedge_offers_to_adopt_and_nothing_else_that_trades(hedge: HedgeReport) -> None:
    frozen = replace(hedge, status=HedgeStatus.FROZEN, frozen="legs differ")

    (card,) = status_cards(LOOK, report(frozen))

    labels = [button.label for row in card.buttons for button in row]
    assert labels == ["Refresh", "Chart", "Adopt what the exchange says"]
