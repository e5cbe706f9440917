"""The card of an order on its way, and what it says in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.chat import ChatRef, Platform, Reply, Severity, Table, UserRef
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, HedgeStatus, LegRole, UserId
from chatbot.domain.instrument import ContractKind, Instrument, PositionSide
from chatbot.domain.intent import OperationId
from chatbot.domain.ledger import book_fill
from chatbot.domain.operation import Operation, OperationKind, OperationStatus, Target
from chatbot.domain.order import Fill
from chatbot.domain.pnl import gross_lock, totals
from chatbot.domain.preferences import Preferences
from chatbot.domain.quote import CloseWay, LegAction, QuoteId
from chatbot.platforms.console import render
from chatbot.ports import BookedFill, Progress, User
from handlers.buttons import Buttons
from handlers.presenter import CardPresenter
from handlers.tables import WIDTH
from tests.builders import BTC_COIN, ETH_USDT, NOW, a_hedge, a_leg

D = Decimal
P, X = LegRole.PRIMARY, LegRole.OFFSET
ANN = User(
    UserId("ann"), UserRef(Platform.TELEGRAM, "1"), ChatRef(Platform.TELEGRAM, "1"), "Ann", NOW, Preferences()
)
PRESENTER = CardPresenter(Buttons(b"s" * 32))


def target(role: LegRole, quantity: str, **changes: object) -> Target:
    made = Target(role, LegAction.CLOSE, D(quantity), expected_price=D(2300), stage=0)
    return replace(made, **changes)  # type: ignore[arg-type]


def operation(kind: OperationKind, *targets: Target, **changes: object) -> Operation:
    made = Operation(
        id=OperationId("op1"),
        kind=kind,
        user_id=ANN.id,
        account_id=AccountId("a"),
        hedge_id=HedgeId("h000000003"),
        symbol=ETH_USDT.symbol,
        quote_id=QuoteId("q" * 22),
        chat="telegram:1",
        targets=targets,
        started_at=NOW,
        deadline_at=NOW + timedelta(seconds=30),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def shown(
    done: Operation, hedge: Hedge, fills: Sequence[BookedFill] = (), instrument: Instrument = ETH_USDT
) -> Reply:
    return PRESENTER.progress(Progress(ANN, done, hedge, instrument, tuple(fills), NOW))


def text_of(reply: Reply) -> str:
    return render(reply)


def labels(reply: Reply) -> list[str]:
    return [button.label for row in reply.buttons for button in row]


def amount(reply: Reply, label: str) -> Decimal:
    rows = [row for block in reply.blocks if isinstance(block, Table) for row in block.lines]
    (row,) = [row for row in rows if row.startswith(label)]
    return D(row.removeprefix(label).replace(",", "").strip())


class Life:
    """A hedge with its fills, booked as the ledger books them."""

    def __init__(self, instrument: Instrument, side: PositionSide = PositionSide.LONG) -> None:
        self.instrument = instrument
        leg = replace(a_leg(P, side, 0, 0), leverage=D(10))
        self.hedge = a_hedge(leg, a_leg(X, side.opposite, 0, 0), instrument=instrument)
        self.fills: list[BookedFill] = []

    def fill(self, role: LegRole, *, opens: bool, quantity: Decimal, price: Decimal) -> None:
        leg = self.hedge.leg(role)
        side = leg.side.opening if opens else leg.side.closing
        fee = self.instrument.notional(quantity, price) * D("0.0005")
        fill = Fill(f"f{len(self.fills)}", self.hedge.symbol, side, leg.side, quantity, price, fee, D(0), NOW)
        before = leg.realized_pnl
        self.hedge = book_fill(self.hedge, role, fill, self.instrument)
        booked = replace(fill, realized_pnl=self.hedge.leg(role).realized_pnl - before)
        key = booked.venue_fill_id
        self.fills.append(BookedFill(key, self.hedge.account_id, self.hedge.id, role, booked))

    def closed(self, *targets: Target, way: CloseWay = CloseWay.OFFSET_FIRST) -> Reply:
        hedge = replace(self.hedge, status=HedgeStatus.CLOSED)
        done = operation(OperationKind.CLOSE, *targets, way=way, status=OperationStatus.DONE, finished_at=NOW)
        return shown(done, hedge, self.fills, self.instrument)


# --- on its way ---------------------------------------------------------------------------------


def test_a_card_of_an_operation_always_has_its_slot_so_that_it_is_edited() -> None:
    for status in OperationStatus:
        done = operation(OperationKind.OPEN, target(P, "1"), status=status)
        assert shown(done, a_hedge()).slot == "op:op1"


def test_sending_says_what() -> None:
    card = text_of(shown(operation(OperationKind.HEDGE, target(X, "0.5")), a_hedge()))

    assert card == "📈 Hedging #3 ETH…\nshort leg: sending 0.5 ETH"


def test_part_of_a_fill_says_how_much_of_how_much_at_what_price() -> None:
    partly = target(X, "0.5", filled=D("0.3"), cost=D("690"))

    assert "short leg: filled 0.3 of 0.5 ETH at 2,300.00" in text_of(
        shown(operation(OperationKind.HEDGE, partly), a_hedge())
    )


def test_a_fill_outside_the_band_of_the_offer_says_how_far_it_is_from_the_quote() -> None:
    hedge = a_hedge(a_leg(P))
    for average, said in (("2311.5", True), ("2288.5", True), ("2306.9", False), ("2293.1", False)):
        filled = target(P, "1", action=LegAction.OPEN, filled=D(1), cost=D(average))
        card = text_of(shown(operation(OperationKind.OPEN, filled, status=OperationStatus.DONE), hedge))
        assert ("⚠️ The long leg filled 0.5 % from the quote." in card) is said, average
        assert ("from the quote" in card) is said, average


def test_the_leg_of_a_later_stage_waits() -> None:
    second = target(P, "1", stage=1)

    card = text_of(shown(operation(OperationKind.CLOSE, target(X, "1"), second), a_hedge()))

    assert "long leg: waits for the other leg" in card


def test_a_second_attempt_is_told() -> None:
    again = target(X, "1", attempts=2)

    assert "sending 1 ETH, attempt 2" in text_of(shown(operation(OperationKind.HEDGE, again), a_hedge()))


# --- what went wrong ----------------------------------------------------------------------------


def test_a_failure_says_why_and_that_nothing_was_filled() -> None:
    failed = operation(
        OperationKind.OPEN, target(P, "1"), status=OperationStatus.FAILED, reason="Margin is insufficient."
    )

    card = shown(failed, a_hedge())

    assert text_of(card).startswith("⚠️ #3 ETH not opened: Margin is insufficient.\nNothing was filled.")
    assert card.severity is Severity.WARNING


def test_a_failure_after_a_part_was_filled_says_which() -> None:
    failed = operation(
        OperationKind.CLOSE,
        target(X, "1", filled=D("0.4"), cost=D(920)),
        target(P, "1"),
        status=OperationStatus.FAILED,
    )

    card = text_of(shown(failed, a_hedge()))

    assert "the order was not filled in time" in card
    assert "short leg: filled 0.4 of 1 ETH at 2,300.00" in card


def test_trimming_says_which_leg_by_how_much() -> None:
    trimming = operation(
        OperationKind.HEDGE,
        target(X, "1", filled=D("0.7"), cost=D(1610)),
        status=OperationStatus.TRIMMING,
        trim_role=P,
        trim_quantity=D("0.3"),
        trim_filled=D("0.1"),
        trim_attempts=5,
    )

    card = shown(trimming, a_hedge())

    assert "The long leg is trimmed by the gap: 0.1 of 0.3 ETH, attempt 5." in text_of(card)
    assert card.severity is Severity.WARNING


def test_a_frozen_hedge_leaves_the_choice_to_its_owner() -> None:
    frozen = operation(
        OperationKind.CLOSE, target(P, "1"), status=OperationStatus.FROZEN, reason="legs differ"
    )

    card = shown(frozen, a_hedge())

    assert text_of(card).startswith("🛑 #3 ETH is frozen: legs differ.")
    assert labels(card)[0] == "Adopt what the exchange says"
    assert card.severity is Severity.CRITICAL


def test_a_leg_that_was_gone_already_is_no_error() -> None:
    life = Life(ETH_USDT)
    life.fill(P, opens=True, quantity=D(1), price=D(2000))
    life.fill(P, opens=False, quantity=D(1), price=D(2300))

    card = life.closed(
        target(X, "0", given_up="the leg is gone"), target(P, "1", filled=D(1), cost=D(2300), stage=1)
    )

    assert "The short leg was gone already." in text_of(card)
    assert card.severity is Severity.SUCCESS


# --- the result ---------------------------------------------------------------------------------


@pytest.mark.parametrize("instrument", [ETH_USDT, BTC_COIN], ids=str)
@settings(max_examples=60)
@given(data=st.data())
def test_the_closing_card_adds_up_and_its_lock_is_the_formulas(
    instrument: Instrument, data: st.DataObject
) -> None:
    prices = st.decimals(D("1000"), D("4000"), places=2)
    quantity = data.draw(st.decimals(D("0.1"), D("500"), places=1))
    side = data.draw(st.sampled_from(list(PositionSide)))
    entry, locked_at, bought, sold = (data.draw(prices) for _ in range(4))
    life = Life(instrument, side)
    life.fill(P, opens=True, quantity=quantity, price=entry)
    life.fill(X, opens=True, quantity=quantity, price=locked_at)
    life.fill(X, opens=False, quantity=quantity, price=bought)
    life.fill(P, opens=False, quantity=quantity, price=sold)

    card = life.closed(
        target(X, str(quantity), filled=quantity, cost=quantity * bought),
        target(P, str(quantity), filled=quantity, cost=quantity * sold, stage=1),
    )

    places = 2 if instrument.kind is ContractKind.LINEAR else 8
    formula = gross_lock(instrument, side, quantity=quantity, primary_entry=entry, offset_entry=locked_at)
    parts = ("gross lock", "slippage of close", "fees", "funding")
    assert abs(amount(card, "gross lock") - formula) <= D("0.5000001").scaleb(-places)
    assert sum(amount(card, part) for part in parts) == amount(card, "net result")
    assert amount(card, "net result") == round(totals(life.hedge).net, places)


def test_legs_that_were_not_closed_together_are_told_apart() -> None:
    life = Life(ETH_USDT)
    life.fill(P, opens=True, quantity=D(1), price=D(2000))
    life.fill(X, opens=True, quantity=D(1), price=D(2300))
    life.fill(X, opens=False, quantity=D(1), price=D(2500))
    life.fill(P, opens=False, quantity=D(1), price=D(2700))

    card = life.closed(target(P, "1", filled=D(1), cost=D(2700)), way=CloseWay.SINGLE)

    assert amount(card, "long leg") == 700
    assert amount(card, "short leg") == -200
    assert amount(card, "long leg") + amount(card, "short leg") + amount(card, "fees") == amount(
        card, "net result"
    )


def test_what_an_adopted_leg_cost_before_is_said_to_be_unknown() -> None:
    life = Life(ETH_USDT)
    life.hedge = life.hedge.with_leg(a_leg(P, PositionSide.LONG, 1, 2000, adopted=True))
    life.fill(P, opens=False, quantity=D(1), price=D(2300))

    card = life.closed(target(P, "1", filled=D(1), cost=D(2300)), way=CloseWay.SINGLE)

    assert "What the long leg cost before I knew of it is not in here." in text_of(card)


@settings(max_examples=40)
@given(st.sampled_from(list(OperationStatus)), st.sampled_from(list(OperationKind)), st.data())
def test_cards_fit_a_phone_whatever_the_figures(
    status: OperationStatus, kind: OperationKind, data: st.DataObject
) -> None:
    figures = st.decimals(D("1e-8"), D("1e12"), places=8)
    legs = {role: a_leg(role, side, *(data.draw(figures) for _ in range(2)), fees_paid=data.draw(figures))
            for role, side in ((P, PositionSide.LONG), (X, PositionSide.SHORT))}  # fmt: skip
    targets = [
        replace(target(role, "1"), filled=data.draw(figures), cost=data.draw(figures)) for role in legs
    ]
    done = operation(kind, *targets, status=status, finished_at=NOW)

    for hedge_status in HedgeStatus:
        card = shown(done, replace(a_hedge(legs[P], legs[X]), status=hedge_status))
        rows = [row for block in card.blocks if isinstance(block, Table) for row in block.lines]
        assert max((len(row) for row in rows), default=0) <= WIDTH
