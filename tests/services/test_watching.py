"""Watching on the paper exchange: what is told, once, and what a crash cannot swallow or repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.chat import ChatRef, OutboxMessage, Platform, Priority, Reply, Table, Text, UserRef
from chatbot.clock import VirtualClock
from chatbot.domain.account import AccountView, LegSetting
from chatbot.domain.hedge import AccountId, HedgeStatus, LegRole
from chatbot.domain.instrument import MarginMode, PositionSide
from chatbot.domain.intent import IntentStatus
from chatbot.domain.operation import OperationStatus
from chatbot.domain.order import OrderRequest, OrderType
from chatbot.domain.pnl import totals
from chatbot.domain.quote import CloseRequest, CloseWay
from chatbot.domain.risk import Alert, AlertKind, AlertPhase, Gravity, LegCause, LegChanged
from chatbot.errors import Busy, Conflict, InvariantBroken, LimitExceeded, VenueUnavailable
from chatbot.ports import Account, Changes, Venue
from chatbot.services.bookkeeping import Bookkeeper, Books
from chatbot.services.locks import AccountLocks
from chatbot.services.watching import WatchService
from chatbot.venues.paper.faults import Late, LostReply, Refuse, Unavailable
from handlers.buttons import Buttons
from handlers.presenter import CardPresenter
from tests.services.world import BEGIN, BTC, CHAT, ETH, World, a_world, prices

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
ISOLATED = MarginMode.ISOLATED


async def a_pair(world: World, *, at: str = "2100", leverage: str = "10") -> None:
    """Long from 2,000, short from ``at``, isolated."""
    await world.open(margin_mode=ISOLATED, leverage=leverage)
    world.price(ETH, at)
    await world.hedge()
    await looks(world)


def text_of(reply: Reply) -> str:
    return "\n".join(block.text for block in reply.blocks if isinstance(block, Text))


async def looks(world: World) -> list[str]:
    """One look: what it told, shortly."""
    alerts = await world.bot.watching.look_at(world.account)
    return [f"{alert.kind} {alert.phase} {alert.level}" for alert in alerts]


async def heads(world: World) -> list[str]:
    """First lines of what was pushed to the phone besides the cards of operations."""
    await world.bot.outbox.idle()
    return [head for reply in world.phone.seen if reply.slot is None for head in _heads(reply)]


def _head(reply: Reply) -> str:
    return _heads(reply)[0]


def _heads(reply: Reply) -> list[str]:
    """Several when alerts were told together: an empty block stands between them."""
    parts = "\n".join(block.text for block in reply.blocks if isinstance(block, Text)).split("\n\n")
    return [part.partition("\n")[0] for part in parts]


async def owed(world: World) -> list[OutboxMessage]:
    rows = await world.bot.mailbox.due(world.clock.now(), limit=50)
    return [row.message for row in rows]


# --- through the whole bot ----------------------------------------------------------------------


async def test_a_leg_near_its_liquidation_is_told_on_the_phone_and_when_it_is_safe_again() -> None:
    async with a_world() as world:
        await a_pair(world, leverage="5")
        for price in ("2400", "2401", "2000"):
            world.price(ETH, price)
            await world.pass_time(4)

        pushed = await heads(world)

        assert [head for head in pushed if "short leg" in head] == [
            "⚠️ **#1 ETH: short leg 19.4 % from liquidation**",
            "🛑 **#1 ETH: short leg 4.5 % from liquidation**",
            "✅ **#1 ETH: short leg safe again, 25.4 % from liquidation**",
        ]


async def test_nothing_is_told_twice_however_often_is_looked() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.price(ETH, "2240")

        told = [await looks(world) for _ in range(5)]

        assert told[0] == ["liquidation worse 2"]
        assert told[1:] == [[], [], [], []]


async def test_what_was_told_is_not_told_again_after_a_restart(tmp_path: Path) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await a_pair(world)
        world.price(ETH, "2240")
        assert await looks(world) == ["liquidation worse 2"]

    async with a_world(prices("2240"), clock=clock, database=tmp_path, ids=8) as again:
        assert await looks(again) == []


# --- a leg that is gone -------------------------------------------------------------------------


async def liquidate_the_short(world: World) -> None:
    await a_pair(world)
    world.price(ETH, "2400")


async def test_a_stop_of_ours_that_fired_is_found_by_its_id_when_the_history_has_not_got_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED, stop_loss="1950")
        world.price(ETH, "2100")
        await world.hedge()
        await looks(world)

        async def nothing(*_: object) -> tuple[()]:
            return ()

        monkeypatch.setattr(type(world.bot.venues.of(world.account)), "fills", nothing)
        world.price(ETH, "1940")

        assert "stopped rise 0" in await looks(world)
        long = (await world.live()).leg_on(LONG)
        assert long.quantity == 0
        assert long.realized_pnl < -50
        await world.require_ledger_equals_venue()


async def test_fills_of_a_hedge_that_ended_as_the_next_one_began_are_not_taken_for_its_own() -> None:
    async with a_world() as world:  # nothing here takes any time
        await a_pair(world)
        await world.elsewhere(LONG, "1", opens=False)
        await world.elsewhere(SHORT, "1", opens=False)
        await looks(world)
        await a_pair(world)
        world.price(ETH, "2400")

        assert "lost rise 0" in await looks(world)

        live = await world.live()
        assert live.number == 2
        assert live.leg_on(LONG).quantity == 1
        assert live.leg_on(SHORT).quantity == 0
        await world.require_ledger_equals_venue()


async def test_an_order_left_over_from_an_ended_hedge_that_fires_is_booked_to_the_next() -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        (intent,) = await world.bot.store.intents(hedge_id=(await world.live()).id)
        await world.elsewhere(LONG, "1", opens=False)
        await looks(world)
        left = replace(
            intent, client_order_id="left-over", filled_quantity=Decimal(0), status=IntentStatus.OPEN
        )
        await world.bot.store.commit(Changes(intents=(left,)))
        await a_pair(world)

        fires = OrderRequest(
            "left-over",
            ETH,
            LONG.closing,
            LONG,
            OrderType.MARKET,
            Decimal(1),
            reduce_only=True,
            valid_until=left.valid_until,
        )
        await world.bot.venues.of(world.account).place([fires])
        await looks(world)

        assert (await world.live()).leg_on(LONG).quantity == 0
        await world.require_ledger_equals_venue()


async def test_a_liquidated_leg_is_told_at_once_with_the_way_back_and_the_way_out() -> None:
    async with a_world() as world:
        await liquidate_the_short(world)

        (alert,) = [
            a for a in await world.bot.watching.look_at(world.account) if a.gravity is Gravity.CRITICAL
        ]

        assert (alert.kind, alert.phase, alert.number) == (AlertKind.LOST, AlertPhase.RISE, 1)
        figures = alert.figures
        assert isinstance(figures, LegChanged)
        assert (figures.side, figures.cause) == (SHORT, LegCause.LIQUIDATED)
        assert figures.naked is not None
        assert (figures.naked.side, figures.naked.quantity) == (LONG, Decimal(1))
        await world.bot.outbox.idle()
        card = next(reply for reply in world.phone.seen if "is gone" in _head(reply))
        labels = [button.label for row in card.buttons for button in row]
        assert labels == ["Restore the hedge", "Close the rest", "Settings"]


async def test_a_liquidated_leg_is_told_once() -> None:
    async with a_world() as world:
        await liquidate_the_short(world)

        told = [line for _ in range(4) for line in await looks(world)]

        assert told.count("lost rise 0") == 1


async def test_a_lost_leg_is_told_although_the_process_died_after_booking_it(tmp_path: Path) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await liquidate_the_short(world)
        books = await world.bot.bookkeeper.bring_up_to_date(world.account)
        assert [change.cause for change in books.changes] == ["liquidated"]

    async with a_world(prices("2400"), clock=clock, database=tmp_path, ids=8) as again:
        assert "lost rise 0" in await looks(again)
        assert "lost rise 0" not in await looks(again)


async def test_a_leg_closed_in_the_exchanges_own_app_is_lost_by_hand() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "1", opens=False)

        (alert,) = [a for a in await world.bot.watching.look_at(world.account) if a.kind is AlertKind.LOST]

        assert isinstance(alert.figures, LegChanged)
        assert alert.figures.cause is LegCause.BY_HAND


async def test_a_stop_that_fired_is_told_as_a_stop() -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED, stop_loss="1950")
        world.price(ETH, "2100")
        await world.hedge()
        await looks(world)
        world.price(ETH, "1940")

        told = await looks(world)

        assert "stopped rise 0" in told
        assert not any(line.startswith("lost") for line in told)


async def test_a_hedge_that_was_lifted_on_purpose_is_not_told_as_lost() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.OFFSET_ONLY)

        told = [line.split()[0] for _ in range(3) for line in await looks(world)]

        assert not {"lost", "stopped", "naked", "imbalance"} & set(told)


async def test_a_hedge_that_was_closed_on_purpose_says_nothing_more() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.price(ETH, "2240")
        await looks(world)
        await world.close()

        assert await looks(world) == []
        assert [e for e in await world.bot.store.active_episodes(world.user.id) if e.hedge_id] == []


async def test_a_pair_closed_at_a_price_is_not_called_naked_while_the_other_leg_follows() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.AT_PRICE, at="2150")
        world.price(ETH, "2151")

        told = [line for _ in range(4) for line in await looks(world)]

        assert [line for line in told if line.startswith(("lost", "naked", "stopped"))] == ["stopped rise 0"]
        net = totals(await world.hedge_number(1)).net
        assert f"✅ **#1 ETH was closed at your price: {net:+,.2f} USDT**" in await heads(world)
        (card,) = [reply for reply in world.phone.seen if "closed at your price" in text_of(reply)]
        (rows,) = [block.lines for block in card.blocks if isinstance(block, Table)]
        assert [row.rsplit(maxsplit=1)[0] for row in rows] == [
            "gross lock",
            "slippage of close",
            "fees",
            "funding",
            "net result",
        ]
        assert rows[0].endswith("+99.88")


async def test_a_part_of_a_pair_that_closed_at_a_price_is_told_as_what_was_asked_for() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.AT_PRICE, at="2150", fraction="0.5")
        world.price(ETH, "2151")
        for _ in range(3):
            await looks(world)

        told = [head for head in await heads(world) if "closing order" in head]

        assert sorted(told) == [
            "✅ **#1 ETH: the long leg was cut to 0.5 by your closing order at 2,150.94**",
            "✅ **#1 ETH: the short leg was cut to 0.5 by your closing order at 2,151.06**",
        ]


async def test_what_happened_to_a_closed_hedge_tells_nothing_of_the_next_one_on_its_market() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        # Found by an offer, which books it: the next look is to tell it.
        await world.close(CloseWay.OFFSET_FIRST)
        await world.open(quantity="3")
        await world.hedge(ratio="0.5")

        await looks(world)
        await world.bot.outbox.idle()

        (card,) = [reply for reply in world.phone.seen if "shrank" in text_of(reply)]
        text = text_of(card)
        assert text.startswith("🛑 **#1 ETH: the short leg shrank from 1 to 0.6 (outside the bot at")
        assert "unhedged" not in text
        assert "Nothing else of it is open. The hedge made " in text
        assert [button.label for row in card.buttons for button in row] == ["Status", "Settings"]


async def test_a_pair_of_which_only_one_leg_closed_at_the_price_is_told_after_five_seconds() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.close(CloseWay.AT_PRICE, at="2150")
        view = await world.view()
        follows = next(order for order in view.open_orders if order.position_side is LONG)
        await world.bot.venues.of(world.account).cancel(ETH, follows.client_order_id)
        world.price(ETH, "2151")
        assert "stopped rise 0" not in await looks(world)
        await world.clock.advance(5)

        assert "stopped rise 0" in await looks(world)


async def test_a_single_position_that_is_liquidated_is_told_once(tmp_path: Path) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await world.open(margin_mode=ISOLATED)
        await looks(world)
        world.price(ETH, "1700")
        assert "lost rise 0" in await looks(world)
        assert await looks(world) == []
        await world.bot.outbox.idle()

    async with a_world(prices("1700"), clock=clock, database=tmp_path, ids=8) as again:
        await again.bot.watching.look_at(again.account)
        assert not [message for message in await owed(again) if "lost" in message.dedupe_key]
        assert not [head for head in await heads(again) if "is gone" in head]


async def test_the_end_of_a_position_is_told_although_the_process_died_after_booking_it(
    tmp_path: Path,
) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await world.open(margin_mode=ISOLATED)
        await looks(world)
        world.price(ETH, "1700")
        await world.bot.bookkeeper.bring_up_to_date(world.account)

    async with a_world(prices("1700"), clock=clock, database=tmp_path, ids=8) as again:
        assert "lost rise 0" in await looks(again)


async def test_the_end_of_a_position_is_told_although_somebody_else_booked_it() -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        await looks(world)
        world.price(ETH, "1700")
        await world.bot.bookkeeper.bring_up_to_date(world.account)

        assert "lost rise 0" in await looks(world)


@pytest.mark.parametrize("paired", [True, False])
async def test_what_could_not_be_written_is_told_by_the_next_look(
    paired: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        world.price(ETH, "2100")
        if paired:
            await world.hedge()
        await looks(world)
        world.price(ETH, "1700")
        store, commit = world.bot.store, world.bot.store.commit

        async def fails_to_tell(changes: Changes) -> None:
            if changes.outbox:
                raise Conflict
            await commit(changes)

        with monkeypatch.context() as patch:
            patch.setattr(store, "commit", fails_to_tell)
            await world.bot.watching.look_at_all()
        assert not [head for head in await heads(world) if "is gone" in head]

        assert "lost rise 0" in await looks(world)
        assert await looks(world) == []


# --- shrunk, grown, unequal ---------------------------------------------------------------------


async def test_a_leg_that_shrank_by_hand_is_told_once_and_not_as_an_imbalance_too() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.4", opens=False)

        told = [line for _ in range(3) for line in await looks(world)]

        assert [line for line in told if line.startswith(("shrunk", "imbalance"))] == ["shrunk rise 0"]


async def test_a_leg_that_shrank_unseen_shows_as_an_imbalance() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        await world.bot.bookkeeper.bring_up_to_date(world.account)

        assert "imbalance rise 0" in await looks(world)


async def test_legs_that_an_operation_left_unequal_are_told_only_if_it_was_halted() -> None:
    """Half a hedge is what was asked for; a hedge that was halted half-way is not."""
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        operation = await world.hedge(ratio="0.5")
        assert not [line for line in await looks(world) if "imbalance" in line]

        halted = replace(operation, status=OperationStatus.FROZEN)
        await world.bot.store.commit(Changes(operations=(halted,)))

        assert "imbalance rise 0" in await looks(world)


async def test_an_imbalance_made_good_is_told_as_over() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        await looks(world)
        await world.elsewhere(SHORT, "0.4", opens=True)

        assert "imbalance clear 0" in await looks(world)


async def test_a_leg_grown_by_hand_is_a_warning() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.elsewhere(SHORT, "0.5", opens=True)

        assert "grown rise 0" in await looks(world)


async def test_half_a_hedge_that_was_asked_for_is_no_imbalance() -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        await world.hedge(ratio="0.5")

        told = [line for _ in range(3) for line in await looks(world)]

        assert not [line for line in told if line.startswith("imbalance")]


# --- operations in trouble ----------------------------------------------------------------------


async def begin_a_close_that_sticks(world: World) -> None:
    """The offset goes, the primary is refused again and again."""
    world.faults.on_orders(None, *[Refuse("try later", code="-1001")] * 12)
    request = CloseRequest(ETH)
    quote = await world.bot.hedging.offer_close(world.user, world.user.home, request)
    await world.tap(quote, CloseWay.OFFSET_FIRST)


async def test_a_leg_naked_by_an_order_without_an_answer_is_told_too() -> None:
    """The offset is closed at the venue, and nobody told us: the primary is naked all the same."""
    async with a_world(prices("2000")) as world:
        await a_pair(world)
        world.faults.hide_orders_for = 9
        world.faults.on_orders(LostReply())
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        await world.tap(quote, CloseWay.OFFSET_FIRST)
        told: list[str] = []
        for _ in range(8):
            await world.clock.advance(1)
            told += [line for line in await looks(world) if line.startswith("naked")]
        assert told == ["naked rise 0"]
        await world.settle()


async def test_a_naked_leg_is_told_once_within_seconds_and_before_anything_else() -> None:
    async with a_world() as world:
        await a_pair(world)
        await begin_a_close_that_sticks(world)
        told: list[tuple[float, str]] = []
        for tick in range(20):
            await world.clock.advance(0.5)
            told += [(tick / 2 + 0.5, line) for line in await looks(world) if line.startswith("naked")]

        assert told
        assert told[0][1] == "naked rise 0"
        assert 5 <= told[0][0] <= 6
        assert [line for _, line in told].count("naked rise 0") == 1


async def test_an_order_without_an_answer_is_told_after_half_a_minute_and_then_as_critical() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.faults.on_orders(LostReply())
        world.faults.hide_orders_for = 3_600
        quote = await world.bot.hedging.offer_close(world.user, world.user.home, CloseRequest(ETH))
        await world.tap(quote, CloseWay.OFFSET_FIRST)
        await world.clock.advance(0.01)
        await world.bot.supervisor.stop()
        told = []
        for _ in range(32):
            await world.clock.advance(10)
            told += [line for line in await looks(world) if line.startswith("unknown")]

        assert told == ["unknown rise 0", "unknown worse 1"]


# --- venues and users in trouble ----------------------------------------------------------------


class Silent:
    """A venue that does not answer while ``away``."""

    def __init__(self, world: World) -> None:
        self._venues = world.bot.venues
        self.away = False

    def of(self, account: Account) -> Venue:
        if self.away:
            raise VenueUnavailable("connection reset by peer: secret detail", venue="paper")
        return self._venues.of(account)


def watcher(
    world: World,
    venues: Silent,
    *,
    unstreamed: Callable[[Account], timedelta] = lambda _: timedelta(0),
) -> WatchService:
    store, clock = world.bot.store, world.clock
    bookkeeper = Bookkeeper(store, venues, clock, AccountLocks())
    cards = CardPresenter(Buttons(bytes(32)))
    return WatchService(store, venues, bookkeeper, cards, clock, unstreamed=unstreamed)


async def test_a_venue_out_of_reach_is_told_after_a_minute_gets_critical_and_comes_back() -> None:
    async with a_world() as world:
        await a_pair(world)
        venues = Silent(world)
        service = watcher(world, venues)
        told: list[str] = []
        for minute in range(8):
            venues.away = minute < 7
            alerts = await service.look_at(world.account)
            told += [f"{minute}: {a.phase} {a.gravity}" for a in alerts if a.kind is AlertKind.VENUE]
            await world.clock.advance(60)

        assert told == ["1: rise warning", "5: worse critical", "7: clear critical"]
        assert not [head for head in await heads(world) if "secret" in head]


async def test_while_the_venue_is_away_nothing_else_is_declared_over() -> None:
    async with a_world() as world:
        await a_pair(world)
        world.price(ETH, "2240")
        venues = Silent(world)
        service = watcher(world, venues)
        await service.look_at(world.account)
        before = await world.bot.store.active_episodes(world.user.id)
        venues.away = True

        assert await service.look_at(world.account) == ()
        assert await world.bot.store.active_episodes(world.user.id) == before


async def test_an_account_without_hedges_hears_nothing_of_a_venue_out_of_reach() -> None:
    async with a_world() as world:
        venues = Silent(world)
        venues.away = True
        service = watcher(world, venues)
        await service.look_at(world.account)
        await world.clock.advance(3_600)

        assert await service.look_at(world.account) == ()


async def test_a_venue_that_came_back_in_between_starts_from_nothing() -> None:
    async with a_world() as world:
        await a_pair(world)
        venues = Silent(world)
        service = watcher(world, venues)
        told = []
        for venues.away in (True, False, True, False, True):
            told += [a for a in await service.look_at(world.account) if a.kind is AlertKind.VENUE]
            await world.clock.advance(40)

        assert told == []


async def test_what_is_known_of_one_account_is_not_ended_by_a_look_at_another() -> None:
    async with a_world() as world:
        second = replace(world.account, id=AccountId("paper:second"), label="second")
        await world.bot.store.commit(Changes(accounts=(second,)))
        await a_pair(world)
        world.price(ETH, "2240")
        await looks(world)
        before = await world.bot.store.active_episodes(world.user.id)

        await world.bot.watching.look_at(second)

        assert before
        assert await world.bot.store.active_episodes(world.user.id) == before


async def test_one_account_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        other = await world.bot.people.meet(
            UserRef(Platform.CONSOLE, "bob"), ChatRef(Platform.CONSOLE, "bob"), "bob"
        )
        await a_pair(world)
        world.price(ETH, "2240")
        venues = world.bot.venues
        broken = await world.bot.people.trading_account(other)
        of = venues.of

        def fails(account: Account) -> Venue:
            if account.id == broken.id:
                raise KeyError("a bug in one venue")
            return of(account)

        monkeypatch.setattr(venues, "of", fails)
        await world.bot.watching.look_at_all()

        assert any("from liquidation" in head for head in await heads(world))


async def test_nobody_is_told_whose_chat_takes_no_messages() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.bot.store.commit(Changes(users=(replace(world.user, reachable=False),)))
        world.price(ETH, "2240")

        assert await looks(world) == []


# --- the outbox ---------------------------------------------------------------------------------


async def test_a_critical_alert_overtakes_what_was_owed_before() -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.bot.outbox.stop()
        note = OutboxMessage(
            "note", world.user.home, Reply(blocks=(Text("a note"),)), Priority.INFO, world.clock.now()
        )
        await world.bot.store.commit(Changes(outbox=(note,)))
        world.price(ETH, "2400")
        await looks(world)

        messages = await owed(world)

        assert messages[0].priority is Priority.CRITICAL
        assert messages[0].dedupe_key.startswith(f"alert:{world.user.id}:#1:lost:short:")
        priorities = [message.priority for message in messages]
        assert priorities == sorted(priorities)
        assert all(message.reply.slot is None for message in messages)


async def test_funding_is_told_ahead_once_per_settlement() -> None:
    async with a_world() as world:
        await world.open()
        view = await world.view()
        market = view.markets[ETH]
        await world.clock.advance((market.next_funding_at - view.at - timedelta(minutes=14)).total_seconds())

        told = [line for _ in range(3) for line in await looks(world)]

        assert told.count("funding rise 0") == 1
        await world.clock.advance(timedelta(minutes=20).total_seconds())
        assert not [line for line in await looks(world) if line.startswith("funding")]


async def test_a_target_that_is_reached_offers_the_hedge() -> None:
    async with a_world() as world:
        await world.open()
        world.price(ETH, "2110")
        await looks(world)

        pushed = await heads(world)

        assert "📈 **#1 ETH long +5.5 %: lock it?**" in pushed
        card = next(reply for reply in world.phone.seen if "lock it?" in _head(reply))
        assert card.buttons[0][0].label == "Hedge now"
        assert card.buttons[0][0].data.endswith(":/hedge #1")


async def test_no_leg_of_a_pair_that_is_closed_during_the_look_is_told_to_be_at_its_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await a_pair(world)
        world.price(ETH, "2110")
        world.faults.on_orders(None, Late(2.0))
        request = CloseRequest(ETH, Decimal(1), None)
        await world.tap(await world.bot.hedging.offer_close(world.user, CHAT, request), CloseWay.OFFSET_FIRST)
        await world.clock.advance(0.5)
        brought = world.bot.bookkeeper.bring_up_to_date

        async def ends_in_between(account: Account) -> Books:
            books = await brought(account)
            assert [position.side for position in books.view.positions] == [LONG]
            await world.settle()
            return books

        monkeypatch.setattr(world.bot.bookkeeper, "bring_up_to_date", ends_in_between)

        assert await looks(world) == []


async def test_the_live_leg_of_a_restored_hedge_is_told_no_more_as_naked() -> None:
    async with a_world() as world:
        await liquidate_the_short(world)
        assert "lost rise 0" in await looks(world)
        await world.hedge()

        assert not [line for line in await looks(world) if line.startswith("lost")]
        live = await world.live()
        assert live.leg(LegRole.OFFSET).quantity == 1
        kinds = {episode.kind for episode in await world.bot.store.active_episodes(world.user.id)}
        assert "lost" not in kinds


async def test_faults_of_reading_are_told_in_our_own_words() -> None:
    async with a_world() as world:
        await a_pair(world)
        for _ in range(3):
            world.faults.on_reads(Unavailable("raw words of the venue"))
            await looks(world)
            await world.clock.advance(45)

        assert any("paper out of reach" in head for head in await heads(world))
        texts = [
            block.text for reply in world.phone.seen for block in reply.blocks if isinstance(block, Text)
        ]
        assert not [text for text in texts if "raw words" in text]


async def choose_off(world: World, *kinds: AlertKind) -> None:
    alerts = replace(world.user.preferences.alerts, disabled=frozenset(kinds))
    await world.bot.people.choose(world.user, replace(world.user.preferences, alerts=alerts))


async def test_a_venue_out_of_reach_is_not_told_to_whoever_switched_it_off() -> None:
    async with a_world() as world:
        await a_pair(world)
        await choose_off(world, AlertKind.VENUE)
        venues = Silent(world)
        venues.away = True
        service = watcher(world, venues)
        told: list[Alert] = []
        for _ in range(8):
            told += await service.look_at(world.account)
            await world.clock.advance(60)

        assert told == []


async def test_a_missing_stream_is_told_once_and_so_is_that_it_is_back() -> None:
    async with a_world() as world:
        await a_pair(world)
        missing = {"for": timedelta(0)}
        service = watcher(world, Silent(world), unstreamed=lambda _: missing["for"])
        told: list[str] = []
        for minutes in (0, 4, 5, 6, 20, 0, 0):
            missing["for"] = timedelta(minutes=minutes)
            alerts = await service.look_at(world.account)
            told += [f"{minutes}: {a.phase} {a.gravity}" for a in alerts if a.kind is AlertKind.STREAM]
            await world.clock.advance(60)

        assert told == ["5: rise info", "0: clear info"]


async def test_a_missing_stream_is_not_told_to_whoever_switched_it_off() -> None:
    async with a_world() as world:
        await a_pair(world)
        await choose_off(world, AlertKind.STREAM)
        service = watcher(world, Silent(world), unstreamed=lambda _: timedelta(hours=1))

        assert AlertKind.STREAM not in {alert.kind for alert in await service.look_at(world.account)}


async def test_what_a_look_saw_says_how_soon_the_next_is() -> None:
    async with a_world() as world:
        service = watcher(world, Silent(world))
        assert service.sight(world.account.id) is None
        await service.look_at(world.account)
        empty = service.sight(world.account.id)
        await a_pair(world)
        await service.look_at(world.account)
        holding = service.sight(world.account.id)

        assert empty is not None
        assert holding is not None
        assert (empty.holds, holding.holds) == (False, True)
        assert {trigger.symbol for trigger in holding.triggers} == {ETH}


# --- an account that cannot be booked -----------------------------------------------------------


async def two_pairs(world: World) -> None:
    """#1 on ETH, #2 on BTC."""
    await a_pair(world)
    await world.open(BTC, quantity="0.05", margin_mode=ISOLATED)
    await world.hedge(BTC)
    await looks(world)


def refuses_to_book(world: World, error: Exception, patch: pytest.MonkeyPatch) -> None:
    """What is filled on ETH cannot be written."""
    store, commit = world.bot.store, world.bot.store.commit

    async def fails(changes: Changes) -> None:
        if any(row.fill.symbol == ETH for row in changes.fills):
            raise error
        await commit(changes)

    patch.setattr(store, "commit", fails)


async def looks_for(world: World, seconds: int) -> list[str]:
    """What is told over several looks, by subject."""
    told = []
    for _ in range(seconds // 2):
        alerts = await world.bot.watching.look_at(world.account)
        told += [f"#{a.number} {a.kind} {a.phase}" for a in alerts]
        await world.clock.advance(2)
    return told


async def test_a_hedge_that_cannot_be_booked_for_ten_seconds_is_frozen_and_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await two_pairs(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        refuses_to_book(world, Conflict("fill 17 is booked already"), monkeypatch)

        told = await looks_for(world, 30)

        assert told.count("#1 frozen rise") == 1
        hedge = await world.hedge_number(1)
        assert hedge.status is HedgeStatus.FROZEN
        assert hedge.reason == "what the exchange tells of it cannot be booked: fill 17 is booked already"
        await world.bot.outbox.idle()
        (card,) = [reply for reply in world.phone.seen if "is frozen" in text_of(reply)]
        assert hedge.reason in text_of(card)
        assert "Adopt" in [button.label for row in card.buttons for button in row]


async def test_a_conflict_with_whoever_was_quicker_is_tried_again_by_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await two_pairs(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        with monkeypatch.context() as patch:
            refuses_to_book(world, Conflict("hedge #1 was changed meanwhile"), patch)
            assert await looks(world) == []

        assert "shrunk rise 0" in await looks(world)
        assert (await world.hedge_number(1)).status is HedgeStatus.OPEN


async def test_a_contradiction_freezes_at_the_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await two_pairs(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        refuses_to_book(world, InvariantBroken("order HR1 has become less filled"), monkeypatch)

        assert "frozen rise 0" in await looks(world)


async def test_what_cannot_be_booked_of_one_hedge_silences_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await two_pairs(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        refuses_to_book(world, KeyError("a bug"), monkeypatch)
        world.price(BTC, "109000")

        told = await looks_for(world, 30)

        assert "#2 liquidation worse" in told
        assert told.count("#1 frozen rise") == 1
        assert "something went wrong on my side" in (await world.hedge_number(1)).reason
        assert "KeyError" not in "\n".join(text_of(reply) for reply in world.phone.seen)


async def test_commands_on_what_cannot_be_booked_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await two_pairs(world)
        quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
        await world.elsewhere(SHORT, "0.4", opens=False)
        refuses_to_book(world, Conflict("fill 17 is booked already"), monkeypatch)
        with pytest.raises(Busy, match=r"#1 cannot be traded just now: .* cannot be booked"):
            await world.tap(quote, CloseWay.OFFSET_FIRST)
        await looks_for(world, 30)

        with pytest.raises(LimitExceeded, match=r"#1 is frozen: .*fill 17 is booked already.*/adopt #1"):
            await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))


async def test_what_cannot_be_booked_is_adopted_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await two_pairs(world)
        await world.elsewhere(SHORT, "0.4", opens=False)
        refuses_to_book(world, Conflict("fill 17 is booked already"), monkeypatch)
        await looks_for(world, 30)
        await world.bot.hedging.adopt(world.user, 1)

        told = await looks_for(world, 30)

        assert "#1 frozen rise" not in told
        assert (await world.hedge_number(1)).status is HedgeStatus.OPEN
        await world.require_ledger_equals_venue()


async def test_a_history_that_cannot_be_read_is_told_while_the_rest_is_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await two_pairs(world)

        async def garbled(*_: object) -> tuple[()]:
            raise VenueUnavailable("paper: the fills have an odd field")

        monkeypatch.setattr(type(world.bot.venues.of(world.account)), "funding_payments", garbled)
        view = await world.view()
        await world.clock.advance((view.markets[ETH].next_funding_at - view.at).total_seconds() + 1)
        world.price(BTC, "109000")

        told = await looks_for(world, 90)

        assert "#2 liquidation worse" in told
        assert told.count("#None venue rise") == 1
        heads_told = await heads(world)
        assert "⚠️ **paper has not told its history for 1 min**" in heads_told
        assert (await world.hedge_number(1)).status is HedgeStatus.OPEN

        monkeypatch.undo()
        assert "venue clear 0" in await looks(world)


async def test_a_leg_that_moved_while_its_history_cannot_be_read_is_frozen_after_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await two_pairs(world)
        await world.elsewhere(SHORT, "0.4", opens=False)

        async def garbled(*_: object) -> tuple[()]:
            raise VenueUnavailable("paper: the fills have an odd field")

        monkeypatch.setattr(type(world.bot.venues.of(world.account)), "fills", garbled)

        assert "#1 frozen rise" not in await looks_for(world, 50)
        assert "#1 frozen rise" in await looks_for(world, 20)


async def test_an_account_that_cannot_be_looked_at_for_a_reason_of_ours_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await two_pairs(world)

        async def fails(account: Account) -> Books:
            raise KeyError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(world.bot.bookkeeper, "bring_up_to_date", fails)
            assert (await looks_for(world, 80)).count("#None venue rise") == 1

        assert "⚠️ **I cannot look at your account on paper for 1 min**" in await heads(world)
        assert "venue clear 0" in await looks(world)


# --- a history that comes late ------------------------------------------------------------------


def hides_its_history(world: World, patch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> tuple[()]:
        return ()

    patch.setattr(type(world.bot.venues.of(world.account)), "fills", nothing)


async def vanishes(world: World, patch: pytest.MonkeyPatch) -> None:
    """The short is liquidated, and no fill tells of it."""
    await a_pair(world)
    await world.clock.advance(30)
    hides_its_history(world, patch)
    world.price(ETH, "2400")


async def test_a_leg_that_vanished_is_told_at_once_and_its_cause_when_the_fills_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        with monkeypatch.context() as patch:
            await vanishes(world, patch)
            assert "lost rise 0" in await looks(world)
            assert await looks(world) == []

        assert "lost rise 0" in await looks(world)

        gone = [head for head in await heads(world) if "is gone" in head]
        assert gone == [
            "🛑 **#1 ETH: the short leg is gone (the exchange has not told why yet)**",
            "🛑 **#1 ETH: the short leg is gone (liquidated at 2,298.44)**",
        ]
        await world.require_ledger_equals_venue()


async def test_the_rest_of_a_vanished_pair_is_not_offered_to_be_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await vanishes(world, monkeypatch)

        told = await looks_for(world, 30)

        assert told.count("#1 lost rise") == 1
        assert told.count("#1 frozen rise") == 1
        assert "#1 target rise" not in told


async def test_a_leg_that_was_traded_a_moment_ago_may_only_be_missing_in_the_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        world.price(ETH, "2100")
        before = await world.view()
        await world.hedge()
        venue = type(world.bot.venues.of(world.account))

        async def stale(*_: object, **__: object) -> AccountView:
            return before

        with monkeypatch.context() as patch:
            patch.setattr(venue, "view", stale)
            assert not [line for line in await looks_for(world, 8) if "lost" in line]

        assert not [line for line in await looks_for(world, 8) if "lost" in line]


async def test_a_position_that_vanished_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED)
        await world.clock.advance(30)
        await looks(world)
        with monkeypatch.context() as patch:
            hides_its_history(world, patch)
            world.price(ETH, "1700")
            assert "lost rise 0" in await looks(world)

        assert "lost rise 0" in await looks(world)
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED


async def test_a_result_without_the_fills_of_a_leg_says_so_until_they_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        with monkeypatch.context() as patch:
            await vanishes(world, patch)
            await looks_for(world, 30)
            await world.bot.hedging.adopt(world.user, 1)
            await looks_for(world, 30)
            await world.close(CloseWay.SINGLE)
        await world.bot.outbox.idle()
        card = text_of(world.phone.seen[-1])
        assert "#1 ETH closed, its result is not known in full" in card
        assert "not told at what price 1 ETH of the short closed: that gain or loss is not in here" in card

        await world.clock.advance(12)
        assert "lost rise 0" in await looks(world)

        closed = await world.hedge_number(1)
        assert not closed.unpriced
        assert closed.leg_on(SHORT).realized_pnl == Decimal("-198.50")
        assert "The hedge made +191.22 USDT in all" in text_of((await told_cards(world))[-1])


async def told_cards(world: World) -> list[Reply]:
    await world.bot.outbox.idle()
    return [reply for reply in world.phone.seen if reply.slot is None]


async def test_late_fills_are_asked_for_again_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        with monkeypatch.context() as patch:
            await vanishes(world, patch)
            await looks_for(world, 30)
            await world.bot.hedging.adopt(world.user, 1)
            await world.close(CloseWay.SINGLE)

    async with a_world(prices("2400"), clock=clock, database=tmp_path, ids=8) as again:
        await looks(again)
        assert not (await again.hedge_number(1)).unpriced


@pytest.mark.parametrize("restores", [True, False])
async def test_whoever_acts_on_what_is_left_of_a_vanished_pair_is_not_held_up(
    restores: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world() as world:
        with monkeypatch.context() as patch:
            await vanishes(world, patch)
            await looks(world)
            await (world.hedge() if restores else world.close(CloseWay.SINGLE))
            await world.require_ledger_equals_venue()
            assert not [line for line in await looks_for(world, 30) if "frozen" in line]

        await world.clock.advance(12)
        await looks(world)

        hedge = await world.hedge_number(1)
        assert not hedge.unpriced
        assert hedge.leg_on(SHORT).realized_pnl == Decimal("-198.50")
        await world.require_ledger_equals_venue()


async def test_a_fill_with_an_older_stamp_than_the_last_order_still_explains_its_leg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await a_pair(world)
        await world.clock.advance(30)
        hedge = await world.live()
        ahead = world.clock.now() + timedelta(minutes=5)
        await world.bot.store.commit(Changes(hedges=(replace(hedge, fills_seen_at=ahead),)))
        world.price(ETH, "2400")

        assert "lost rise 0" in await looks(world)

        assert (await world.live()).leg_on(SHORT).realized_pnl == Decimal("-198.50")


async def test_a_day_later_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await vanishes(world, monkeypatch)
        await looks_for(world, 30)
        await world.bot.hedging.adopt(world.user, 1)
        await world.clock.advance(timedelta(days=1, minutes=1).total_seconds())
        monkeypatch.undo()
        await looks_for(world, 30)

        assert (await world.hedge_number(1)).unpriced


# --- what the bot did not open ------------------------------------------------------------------


async def opened_elsewhere(world: World, side: PositionSide) -> None:
    """One ETH, isolated at tenfold leverage."""
    await world.bot.venues.of(world.account).set_leg(ETH, side, LegSetting(Decimal(10), ISOLATED))
    await world.elsewhere(side, "1", opens=True)


async def test_the_liquidation_of_a_position_that_the_bot_did_not_open_is_told() -> None:
    async with a_world() as world:
        await opened_elsewhere(world, SHORT)
        await looks(world)
        world.price(ETH, "2300")

        told = [line for _ in range(3) for line in await looks(world)]

        assert told.count("lost rise 0") == 1
        (card,) = [card for card in await told_cards(world) if "is gone" in _head(card)]
        assert (
            _head(card)
            == "🛑 **ETH on paper: the short that I did not open is gone (liquidated at 2,188.98)**"
        )
        assert [button.label for row in card.buttons for button in row] == ["Status", "Settings"]


async def test_the_liquidation_of_a_strange_leg_tells_what_stands_alone_now() -> None:
    async with a_world() as world:
        await opened_elsewhere(world, LONG)
        await opened_elsewhere(world, SHORT)
        await looks(world)
        world.price(ETH, "2300")

        assert "lost rise 0" in await looks(world)

        card = next(card for card in await told_cards(world) if "did not open" in _head(card))
        assert "You are long 1 ETH unhedged at 2,300.00" in text_of(card)
        assert [button.label for row in card.buttons for button in row][:2] == ["Hedge now", "Close…"]


async def test_a_position_that_its_owner_closed_elsewhere_is_no_news() -> None:
    async with a_world() as world:
        await opened_elsewhere(world, SHORT)
        await looks(world)
        await world.elsewhere(SHORT, "1", opens=False)

        assert await looks_for(world, 80) == []


async def test_the_liquidation_of_a_strange_position_is_told_when_its_fill_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await opened_elsewhere(world, SHORT)
        await looks(world)
        with monkeypatch.context() as patch:
            hides_its_history(world, patch)
            world.price(ETH, "2300")
            assert await looks_for(world, 20) == []

        assert "lost rise 0" in await looks(world)


# --- while the bot was down ---------------------------------------------------------------------


async def test_two_legs_closed_by_hand_while_the_bot_was_down_are_both_told(tmp_path: Path) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        await two_pairs(world)
        for symbol, quantity in ((ETH, "1"), (BTC, "0.05")):
            for side in (LONG, SHORT):
                await clock.advance(60)
                await world.elsewhere(side, quantity, opens=False, symbol=symbol)

    async with a_world(prices("2100"), clock=clock, database=tmp_path, ids=8) as again:
        await looks(again)

        assert [head for head in await heads(again) if "gone" in head] == [
            "🛑 **#1 ETH: both legs are gone "
            "(short outside the bot at 2,100.06, long outside the bot at 2,099.94)**",
            "🛑 **#2 BTC: both legs are gone "
            "(short outside the bot at 100,002.0, long outside the bot at 99,998.0)**",
        ]


async def test_the_end_of_a_hedge_names_the_leg_that_went_before() -> None:
    async with a_world() as world:
        await liquidate_the_short(world)
        await looks(world)
        await world.clock.advance(30)
        await world.elsewhere(LONG, "1", opens=False)

        await looks(world)

        card = text_of((await told_cards(world))[-1])
        assert "#1 ETH: the long leg is gone (outside the bot at 2,399.93)" in card
        assert "The short leg was gone before (liquidated at 2,298.44)." in card


async def test_funding_that_cannot_be_booked_does_not_freeze_again_what_was_adopted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await two_pairs(world)
        store, commit = world.bot.store, world.bot.store.commit

        async def fails(changes: Changes) -> None:
            if any(row.payment.symbol == ETH for row in changes.funding):
                raise Conflict("funding payment 9 is booked already")
            await commit(changes)

        monkeypatch.setattr(store, "commit", fails)
        view = await world.view()
        await world.clock.advance((view.markets[ETH].next_funding_at - view.at).total_seconds() + 1)
        assert (await looks_for(world, 30)).count("#1 frozen rise") == 1
        await world.bot.hedging.adopt(world.user, 1)

        assert "#1 frozen rise" not in await looks_for(world, 30)
        await world.close()
        await world.bot.outbox.idle()
        card = text_of(world.phone.seen[-1])
        assert "What was filled and paid while it could not be booked may be missing here." in card


async def test_whoever_trades_elsewhere_does_not_accept_the_loss_of_a_leg(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await vanishes(world, monkeypatch)
        await looks(world)
        await world.open(BTC, quantity="0.01")

        assert (await world.hedge_number(1)).leg_on(SHORT).quantity == 1


async def test_stops_of_what_was_taken_over_as_gone_are_canceled(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_world() as world:
        await world.open(margin_mode=ISOLATED, stop_loss="1950")
        await world.clock.advance(30)
        await world.elsewhere(LONG, "1", opens=False)
        hides_its_history(world, monkeypatch)
        await looks_for(world, 30)
        await world.bot.hedging.adopt(world.user, 1)

        assert (await world.view()).open_orders == ()
        assert (await world.hedge_number(1)).status is HedgeStatus.CLOSED
