"""The restore drill: a copy is made, life goes on, the database is lost, the copy comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.chat import MessageRef, Request, RequestKind
from chatbot.domain.hedge import Hedge, HedgeStatus
from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.domain.intent import IntentStatus
from chatbot.domain.operation import Operation, OperationStatus
from chatbot.domain.order import Fill
from chatbot.ports import Account
from chatbot.services.restoring import QUIET, SECOND
from chatbot.storage.backup import back_up, restore
from chatbot.venues.paper.faults import FaultPlan, LostReply, LostRequest, Unavailable
from chatbot.venues.paper.venue import PaperVenue
from tests.dialogs.harness import ANN, BOB, BTC, ETH, Card, Dialog, Life, a_dialog, home_of

RESTORED = "I was restored from a copy of"


@dataclass
class Drill:
    """A machine with a database, an exchange that forgets nothing, and a copy.

    ``empty``: the address of a database that nobody has used yet.
    """

    folder: Path
    empty: Callable[[], str]
    life: Life = field(default_factory=Life)
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.empty()

    @property
    def copy(self) -> Path:
        return self.folder / "hedgerow.backup"

    async def back_up(self) -> None:
        await back_up(self.url, self.copy, self.life.clock.now())

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[Dialog]:
        async with a_dialog(
            life=self.life,
            database_url=self.url,
            master_key_file=self.folder / "hedgerow.key",
            paper={"state_file": self.folder / "exchange.db"},
            quote={"lifetime_seconds": 3600},
        ) as dialog:
            yield dialog

    @asynccontextmanager
    async def restored_bot(self) -> AsyncIterator[Dialog]:
        """The database is lost; another bot starts on the copy, after what was on its way has arrived."""
        self.url = self.empty()
        await restore(self.url, self.copy)
        self.life.pause = (QUIET + 2 * SECOND).total_seconds()
        async with self.bot() as dialog:
            yield dialog


@pytest.fixture
def drill(tmp_path: Path, new_url: Callable[[], str]) -> Drill:
    return Drill(tmp_path, new_url)


async def account_of(dialog: Dialog) -> Account:
    user = await dialog.bot.store.user_by_ref(ANN)
    assert user is not None
    return await dialog.bot.people.trading_account(user)


async def hedge(dialog: Dialog, number: int) -> Hedge:
    found = await dialog.bot.store.hedge_by_number((await account_of(dialog)).user_id, number)
    assert found is not None
    return found


async def fills(dialog: Dialog, *symbols: Symbol) -> list[Fill]:
    venue = dialog.bot.venues.of(await account_of(dialog))
    since = dialog.clock.now() - timedelta(days=1)
    return [fill for symbol in symbols for fill in await venue.fills(symbol, since)]


async def held(dialog: Dialog) -> dict[tuple[Symbol, PositionSide], Decimal]:
    view = await dialog.bot.venues.of(await account_of(dialog)).view()
    return {(p.symbol, p.side): p.quantity for p in view.positions if p.quantity}


async def ledger(dialog: Dialog) -> dict[tuple[Symbol, PositionSide], Decimal]:
    live = await dialog.bot.store.live_hedges(account_id=(await account_of(dialog)).id)
    return {(h.symbol, leg.side): leg.quantity for h in live for leg in h.legs if leg.quantity}


def told(dialog: Dialog) -> list[Card]:
    return [card for card in dialog.screen.cards if RESTORED in card.text]


# --- the ledger follows ---------------------------------------------------------------------------


async def test_what_happened_since_the_copy_is_booked_and_told_and_nothing_is_sent(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
        await dialog.does("/hedge ETH")
        sent = await fills(dialog, ETH)
    async with drill.restored_bot() as dialog:
        assert (await hedge(dialog, 1)).status is HedgeStatus.FROZEN
        await dialog.passes(2)
        assert await fills(dialog, ETH) == sent
        assert (
            await ledger(dialog)
            == await held(dialog)
            == {
                (ETH, PositionSide.LONG): Decimal(1),
                (ETH, PositionSide.SHORT): Decimal(1),
            }
        )
        (card,) = told(dialog)
        assert "a copy of 2 Mar 12:00 UTC" in card.text
        assert "#1 ETH: was long 1, is long 1 and short 1, booked from the exchange's history." in card.text
        assert "orders are taken again" in card.text
        await dialog.passes(60)
        assert len(told(dialog)) == 1
        assert (await account_of(dialog)).restored_from is None


async def test_looking_at_the_status_first_takes_nothing_from_what_is_told(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
        await dialog.does("/hedge ETH")
    async with drill.restored_bot() as dialog:
        assert "reconcile-only" in await dialog.reads("/status")
        assert (await hedge(dialog, 1)).status is HedgeStatus.FROZEN
        await dialog.passes(2)
        assert "#1 ETH: was long 1, is long 1 and short 1" in told(dialog)[0].text


async def test_a_leg_that_we_closed_since_was_not_closed_by_somebody_else(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/hedge ETH")
        await drill.back_up()
        await dialog.does("/close #1", button="Only the offset")
    async with drill.restored_bot() as dialog:
        await dialog.passes(60)
        warnings = [card.text for card in dialog.screen.cards if "the short leg is gone" in card.text]
        (warning,) = warnings
        assert "by an order of mine from after the copy that was restored" in warning


async def test_a_hedge_that_was_closed_since_is_closed(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/hedge ETH")
        await drill.back_up()
        await dialog.does("/close ETH", button="Offset first")
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        assert (await hedge(dialog, 1)).status is HedgeStatus.CLOSED
        assert await held(dialog) == await ledger(dialog) == {}
        assert "was long 1 and short 1, is closed" in told(dialog)[0].text


async def test_no_client_order_id_is_used_twice_however_often_one_copy_is_restored(drill: Drill) -> None:
    """The journal of a copy has forgotten orders; counted on, the next ones would bear their ids."""
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/hedge ETH")
        await drill.back_up()
        await dialog.does("/adjust #1 both +10%")
    for _ in range(2):
        async with drill.restored_bot() as dialog:
            await dialog.passes(2)
            before = await fills(dialog, ETH)
            await dialog.does("/adjust #1 both +10%")
            assert len(await fills(dialog, ETH)) == len(before) + 2
            assert await ledger(dialog) == await held(dialog)
    async with drill.bot() as dialog:
        ids = Counter(fill.client_order_id for fill in await fills(dialog, ETH))
        assert set(ids.values()) == {1}
        assert all(len(name or "") <= 28 for name in ids)


async def test_an_order_in_flight_when_the_copy_was_made_is_looked_up_and_not_sent_again(
    drill: Drill,
) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        faults = faults_of(dialog, await account_of(dialog))
        faults.on_orders(LostReply())
        faults.hide_orders_for = 5.0
        (offer,) = await dialog.says("/hedge ETH")
        await dialog.bot.inbox.receive([a_tap(dialog, offer, "Confirm")])
        await eventually(dialog, IntentStatus.UNKNOWN)
        await drill.back_up()
        await dialog.clock.advance(30)
        await dialog.settle()
        sent = await fills(dialog, ETH)
        assert len(sent) == 2
    async with drill.restored_bot() as dialog:
        (operation,) = await operations(dialog, OperationStatus.FROZEN)
        assert "comes from a copy" in operation.reason
        await dialog.passes(2)
        await dialog.passes(60)
        assert await fills(dialog, ETH) == sent
        assert await ledger(dialog) == await held(dialog)
        last = (await dialog.bot.store.intents(hedge_id=(await hedge(dialog, 1)).id))[-1]
        assert (last.status, last.filled_quantity) == (IntentStatus.FILLED, Decimal(1))


async def test_an_order_in_flight_that_never_arrived_did_nothing(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        faults_of(dialog, await account_of(dialog)).on_orders(LostRequest())
        (offer,) = await dialog.says("/hedge ETH")
        await dialog.bot.inbox.receive([a_tap(dialog, offer, "Confirm")])
        await eventually(dialog, IntentStatus.UNKNOWN)
        await drill.back_up()
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        assert await held(dialog) == await ledger(dialog) == {(ETH, PositionSide.LONG): Decimal(1)}
        last = (await dialog.bot.store.intents(hedge_id=(await hedge(dialog, 1)).id))[-1]
        assert last.status is IntentStatus.ABSENT
        assert "#1 ETH: as it was, long 1." in told(dialog)[0].text
        await dialog.does("/hedge ETH")
        assert len(await ledger(dialog)) == 2


# --- what differs, and what is not known ----------------------------------------------------------


async def test_a_ledger_that_differs_waits_for_its_owner(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/open BTC long 0.05 10x")
        await drill.back_up()
        await dialog.does("/close BTC", button="Close")
        await dialog.does("/close ETH", button="Close")
        await dialog.does("/open ETH long 3 10x")
    async with drill.restored_bot() as dialog:
        await forget_history(dialog, ETH, BTC)
        await dialog.passes(2)
        (card,) = told(dialog)
        assert "reconcile-only" in card.text
        assert "🛑 #1 ETH: the exchange holds long 3.000 instead of 1." in card.text
        assert card.labels == ["Adopt #1", "Adopt #2", "Adopt all", "Status"]
        for command in ("/open SOL long 1", "/hedge ETH", "/adjust ETH both +10%"):
            words = await dialog.reads(command)
            assert "reconcile-only" in words or "frozen" in words, command
        assert "reconcile-only" in await dialog.reads("/status")
        assert "reconcile-only" in await dialog.reads("/accounts")
        await dialog.taps(card, "Adopt #1")
        assert "reconcile-only" in await dialog.reads("/open SOL long 1")
        await dialog.taps(card, "Adopt #2")
        await dialog.passes(2)
        assert "orders are taken again" in told(dialog)[-1].text
        assert await ledger(dialog) == await held(dialog) == {(ETH, PositionSide.LONG): Decimal(3)}
        await dialog.does("/hedge ETH")
        assert len(await held(dialog)) == 2


async def test_a_hedge_that_was_opened_since_is_found_and_adopted_with_all_else(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
        await dialog.does("/open BTC long 0.05 10x")
        await dialog.does("/hedge BTC")
        await dialog.does("/open SOL long 10 10x")
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        (card,) = told(dialog)
        assert "BTC: open at the exchange, in no hedge that I know" in card.text
        assert "reconcile-only" in await dialog.reads("/hedge SOL")
        await dialog.passes(60)
        assert "reconcile-only" in await dialog.reads("/hedge SOL")
        await dialog.taps(card, "Adopt all")
        assert (await hedge(dialog, 2)).symbol == BTC
        assert (await hedge(dialog, 2)).paired
        await dialog.does("/hedge SOL")
        assert await ledger(dialog) == await held(dialog)


async def test_an_adoption_that_comes_in_between_is_not_lost_without_a_word(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
        await dialog.does("/open BTC long 0.05 10x")
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        async with dialog.bot.bookkeeper._locks.of((await account_of(dialog)).id):
            assert "try again in a moment" in await dialog.reads("/adopt all")
        assert (await account_of(dialog)).restored_from is not None
        assert "counts now" in await dialog.reads("/adopt all")
        assert (await account_of(dialog)).restored_from is None


async def test_the_exit_is_never_closed(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
        await dialog.does("/open BTC long 0.05 10x")
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        await dialog.does("/close ETH", button="Close")
        await dialog.does("/close BTC", button="Close")
        assert await held(dialog) == {}
        await dialog.passes(2)
        assert (await account_of(dialog)).restored_from is None


async def test_adopting_where_nothing_differs_says_so(drill: Drill) -> None:
    async with drill.bot() as dialog:
        assert "nothing to adopt" in await dialog.reads("/adopt all")


# --- stops ----------------------------------------------------------------------------------------


async def test_a_stop_that_was_set_since_is_in_the_journal_and_goes_with_its_leg(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x sl 1900")
        await drill.back_up()
        await dialog.does("/adjust ETH sl 1950")
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        view = await dialog.bot.venues.of(await account_of(dialog)).view()
        (resting,) = view.open_orders
        stops = [
            i
            for i in await dialog.bot.store.intents(hedge_id=(await hedge(dialog, 1)).id)
            if i.purpose.protective
        ]
        assert [(i.trigger_price, i.status) for i in stops] == [
            (Decimal(1900), IntentStatus.CANCELED),
            (Decimal(1950), IntentStatus.OPEN),
        ]
        assert stops[-1].client_order_id == resting.client_order_id
        await dialog.does("/close ETH", button="Close")
        view = await dialog.bot.venues.of(await account_of(dialog)).view()
        assert view.open_orders == ()


async def test_a_stop_that_fired_since_is_booked(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x sl 1900")
        await drill.back_up()
        await dialog.price(ETH, 1890)
        assert await held(dialog) == {}
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        assert (await hedge(dialog, 1)).status is HedgeStatus.CLOSED
        assert await ledger(dialog) == {}


async def test_a_stop_whose_leg_is_gone_is_canceled(drill: Drill) -> None:
    """The old bot ended between the end of a leg and the cancellation of its stop."""
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
        await dialog.does("/adjust ETH sl 1950")
        account = (await account_of(dialog)).id
        await dialog.paper.trade_elsewhere(
            account, ETH, PositionSide.LONG, Decimal(1), opens=False, reference="hand"
        )
    async with drill.restored_bot() as dialog:
        venue = dialog.bot.venues.of(await account_of(dialog))
        assert len((await venue.view()).open_orders) == 1
        await dialog.passes(2)
        assert (await venue.view()).open_orders == ()
        assert (await hedge(dialog, 1)).status is HedgeStatus.CLOSED


async def test_half_a_pair_that_fired_since_is_not_followed_before_the_account_is_released(
    drill: Drill,
) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await dialog.does("/hedge ETH")
        await dialog.does("/close ETH at 2100", button="At 2,100.00")
        await drill.back_up()
        venue = dialog.bot.venues.of(await account_of(dialog))
        (short,) = [o for o in (await venue.view()).open_orders if o.position_side is PositionSide.SHORT]
        await venue.cancel(ETH, short.client_order_id)
        dialog.feed.set(ETH, Decimal(2110))
        dialog.bot.exchange.advance()
        await dialog.does("/open BTC long 0.05 10x")
    async with drill.restored_bot() as dialog:
        for _ in range(5):
            await dialog.passes(2)
            await dialog.bot.pairs.finish_fired_pairs()
        assert (ETH, PositionSide.SHORT) in await held(dialog)
        await dialog.says("/adopt all")
        await dialog.bot.pairs.finish_fired_pairs()
        await dialog.settle()
        assert set(await held(dialog)) == {(BTC, PositionSide.LONG)}


# --- what was on its way to and from the chat -----------------------------------------------------


async def test_a_confirmation_that_was_received_and_not_handled_is_not_carried_out(drill: Drill) -> None:
    """The offer is good for an hour: it is not its age that saves us."""
    async with drill.bot() as dialog:
        (offer,) = await dialog.says("/open ETH long 1 10x")
        await dialog.bot.mailbox.receive([a_tap(dialog, offer, "Confirm")])
        await drill.back_up()
    async with drill.restored_bot() as dialog:
        await dialog.settle()
        await dialog.passes(2)
        assert await held(dialog) == {}
        assert "Nothing was sent" in await dialog.taps(offer, "Confirm")
        assert await held(dialog) == {}


async def test_a_button_of_before_does_nothing(drill: Drill) -> None:
    """What it names, #2 for instance, may be something else by now."""
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        card = dialog.latest
        await drill.back_up()
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        assert "not valid" in await dialog.taps(card, "Status")


async def test_what_was_owed_is_not_sent_and_what_is_still_true_is_told_anew(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x isolated")
        dialog.feed.set(ETH, Decimal(1850))
        dialog.bot.exchange.advance()
        await dialog.bot.watching.look_at_all()  # tells, and nothing is delivered yet
        await drill.back_up()
    known = len(drill.life.screen.cards)
    async with drill.restored_bot() as dialog:
        await dialog.settle()
        assert len(dialog.screen.cards) == known
        await dialog.passes(2)
        assert [card for card in dialog.screen.cards[known:] if "from liquidation" in card.text]


async def test_who_has_nothing_open_is_not_bothered_and_may_trade_at_once(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.says("/start", by=BOB)
        await drill.back_up()
    known = len(drill.life.screen.cards)
    async with drill.restored_bot() as dialog:
        await dialog.passes(2)
        assert len(dialog.screen.cards) == known
        await dialog.does("/open ETH long 1 10x", by=BOB)
        assert "#1 ETH is open" in dialog.latest.text


async def test_an_exchange_that_does_not_answer_keeps_the_account_waiting(drill: Drill) -> None:
    async with drill.bot() as dialog:
        await dialog.does("/open ETH long 1 10x")
        await drill.back_up()
    async with drill.restored_bot() as dialog:
        faults_of(dialog, await account_of(dialog)).on_reads(*[Unavailable()] * 3)
        await dialog.passes(2)
        assert (await account_of(dialog)).restored_from is not None
        for _ in range(3):
            await dialog.passes(2)
        assert (await account_of(dialog)).restored_from is None


# --- helpers --------------------------------------------------------------------------------------


def a_tap(dialog: Dialog, card: Card, label: str) -> Request:
    return Request(
        "t:tap",
        RequestKind.CLICK,
        ANN,
        home_of(ANN),
        card.button(label).data,
        dialog.clock.now(),
        MessageRef(card.chat, card.id),
    )


async def eventually(dialog: Dialog, status: IntentStatus) -> None:
    """The database answers from a thread of its own; the clock stands still."""
    async with asyncio.timeout(10):
        while True:
            found = await dialog.bot.store.intents(hedge_id=(await hedge(dialog, 1)).id)
            if any(intent.status is status for intent in found):
                return
            await asyncio.sleep(0.002)


async def operations(dialog: Dialog, status: OperationStatus) -> list[Operation]:
    intents = await dialog.bot.store.intents(hedge_id=(await hedge(dialog, 1)).id)
    found = [await dialog.bot.store.operation(i.operation_id) for i in intents]
    return [operation for operation in found if operation is not None and operation.status is status]


async def forget_history(dialog: Dialog, *symbols: Symbol) -> None:
    """As an exchange that keeps it for some days only."""
    faults = faults_of(dialog, await account_of(dialog))
    faults.hide_orders_for, faults.hide_fills = 86_400.0, True
    for fill in await fills(dialog, *symbols):
        faults.accepted(fill.client_order_id or "", dialog.clock.now())
    faults.hide_orders_for = 0.0


def faults_of(dialog: Dialog, account: Account) -> FaultPlan:
    venue = dialog.bot.venues.of(account)
    assert isinstance(venue, PaperVenue)
    return venue.faults
