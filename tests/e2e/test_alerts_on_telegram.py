"""Every alert on a phone: the real bot and client, a scripted market, time that jumps.

Each is seen rising, worsening and clearing, at the look after it became true and once a step; and every
button under it leads to what it says. ``test_crash_day.py`` has recorded prices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.instrument import PositionSide
from chatbot.domain.order import OrderReport
from chatbot.domain.risk import AlertKind
from chatbot.domain.sight import HOLDING_STREAMED
from chatbot.errors import VenueUnavailable
from chatbot.ports import Clock
from chatbot.services.keepers import CHECK_SECONDS, SILENT_AFTER
from chatbot.venues.ccxt.exchanges import CcxtExchanges
from chatbot.venues.paper.faults import LostReply, Refuse
from tests import jumping
from tests.e2e.lock_screen import AFTER_LUNCH, BTC, ETH, LOOK, LockScreen, a_lock_screen, heads
from tests.wire.bot_api import ChatMessage
from tests.wire.venues.bybit import BybitServer

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
Story = Callable[[LockScreen], Coroutine[Any, Any, None]]
ExchangeStory = Callable[[LockScreen, BybitServer], Coroutine[Any, Any, None]]
A_LOOK = timedelta(seconds=LOOK)
SEEN: set[AlertKind] = set()


def story(*kinds: AlertKind, **stage: Any) -> Callable[[Story], Callable[[], None]]:
    """A test that sees alerts of these kinds. ``stage``: as ``a_lock_screen`` takes it."""
    SEEN.update(kinds)

    def staged(tell: Story) -> Callable[[], None]:
        async def play() -> None:
            async with a_lock_screen(**stage) as screen:
                await tell(screen)
                await quietens(screen)

        return _test_of(tell, play)

    return staged


def _test_of(tell: Callable[..., Any], play: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        jumping.run(play())

    test.__name__, test.__doc__ = tell.__name__, tell.__doc__
    return test


async def quietens(screen: LockScreen) -> None:
    """Under every alert of a story: settings and, where it may be held back, a snooze."""
    live = {hedge.number for hedge in await screen.bot.store.live_hedges()}
    for alert in [message for message in screen.phone.messages if "Settings" in message.labels]:
        assert alert.labels[-1] == "Settings"
        await screen.leads(alert, "Settings", "\nSettings\n")
        if "Snooze 1 h" in alert.labels:
            over = "#1 " in alert.text and 1 not in live
            await screen.leads(alert, "Snooze 1 h", "is closed" if over else "snoozed: ")


def only(messages: Sequence[ChatMessage]) -> ChatMessage:
    (message,) = messages
    return message


# --- liquidation, margin ----------------------------------------------------------------------------


@story(AlertKind.LIQUIDATION)
async def test_a_leg_nears_its_liquidation_level_by_level_and_is_safe_again(screen: LockScreen) -> None:
    await screen.lock(leverage="4")

    assert await screen.when("2176") == []
    first = only(await screen.when("2180"))
    assert await screen.when("2230") == []
    second = only(await screen.when("2380"))
    third = only(await screen.when("2490"))
    assert await screen.when("2400") == []
    assert await screen.when("2491") == []
    safe = only(await screen.when("2100"))

    assert heads([first, second, third, safe]) == [
        "⚠️ #1 ETH: short leg 19.8 % from liquidation",
        "⚠️ #1 ETH: short leg 9.7 % from liquidation",
        "🛑 #1 ETH: short leg 4.9 % from liquidation",
        "✅ #1 ETH: short leg safe again, 24.4 % from liquidation",
    ]
    assert "If it goes, you are long 1 ETH unhedged" in first.text
    assert "liquidation 2,611.87 (exchange)" in first.text
    assert safe.labels == []


@story(AlertKind.LIQUIDATION)
async def test_margin_is_added_from_the_lock_screen(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    warning = only(await screen.when("2180"))
    assert warning.labels == ["Add 220 USDT to short", "Close…", "Snooze 1 h", "Settings"]

    quote = await screen.leads(warning, "Add 220 USDT to short", "liq then                 ~2,830.77")
    await screen.confirms(quote, "✅", button="Confirm")

    short = (await screen.view()).position(ETH, SHORT)
    assert short is not None
    assert round(short.liquidation_price or 0) == 2831
    assert heads(await screen.at_once()) == ["✅ #1 ETH: short leg safe again, 29.9 % from liquidation"]


@story(AlertKind.LIQUIDATION)
async def test_a_pair_is_closed_from_the_lock_screen(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    warning = only(await screen.when("2180"))

    quote = await screen.leads(warning, "Close…", "Close #1 ETH, expected")
    await screen.confirms(quote, "#1 ETH closed", button="Offset first")

    assert await screen.holds() == {}
    assert await screen.at_once() == []


@story(AlertKind.LIQUIDATION)
async def test_a_position_alone_is_hedged_from_the_lock_screen(screen: LockScreen) -> None:
    await screen.does("/open ETH long 1 5x isolated", "#1 ETH")
    warning = only(await screen.when("1990"))
    assert warning.labels[1:3] == ["Hedge now", "Close…"]

    quote = await screen.leads(warning, "Hedge now", "Lock")
    await screen.confirms(quote, "hedged")

    assert await screen.holds() == {"ETH long": "1", "ETH short": "1"}


@story(AlertKind.LIQUIDATION)
async def test_a_snoozed_warning_comes_after_the_hour_and_a_critical_one_at_once(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    warning = only(await screen.when("2180"))
    snoozed_at = screen.clock.now()
    saved = await screen.leads(warning, "Snooze 1 h", "✅ Saved.")
    assert "snoozed: #1 liquidation until 14:00 UTC" in " ".join(saved.text.split())

    assert await screen.when("2380") == []
    assert heads(await screen.when("2490")) == ["🛑 #1 ETH: short leg 4.9 % from liquidation"]
    assert await screen.when("2100") == []
    late = only(await screen.passes(3600))
    assert late.text.startswith("✅ #1 ETH: short leg safe again")
    assert timedelta(0) <= screen.at(late) - snoozed_at - timedelta(hours=1) <= A_LOOK


@story(AlertKind.LIQUIDATION, AlertKind.TARGET, begin=datetime(2026, 3, 2, 14, 55, tzinfo=UTC))
async def test_in_quiet_hours_only_what_is_critical_is_told_and_the_rest_when_they_end(
    screen: LockScreen,
) -> None:
    await screen.does("/open BTC long 0.01 2x isolated", "#1 BTC")
    await screen.does("/open ETH short 1 4x isolated", "#2 ETH")
    await screen.phone.asks("/alerts quiet 13:00-15:00", "✅ Saved.")
    screen.sets(BTC, "106000")

    assert await screen.when("2080") == []
    assert heads(await screen.when("2390")) == ["🛑 #2 ETH: short 4.1 % from liquidation"]
    morning = await screen.passes(300)
    assert heads(morning) == ["📈 #1 BTC long +6.0 %: lock it?"]
    assert [f"{screen.at(message):%H:%M}" for message in morning] == ["15:00"]


@story(AlertKind.MARGIN, AlertKind.LIQUIDATION)
async def test_the_margin_ratio_climbs_and_of_several_the_gravest_comes_first(screen: LockScreen) -> None:
    await screen.does("/open ETH long 39 10x cross", "#1 ETH")
    told = [await screen.when(price) for price in ("1760.5", "1758", "1757", "1755.7", "2000")]

    assert [heads(messages) for messages in told[:4]] == [
        ["🛑 #1 ETH: long 0.3 % from liquidation", "⚠️ Margin ratio 65.3 % on paper"],
        ["⚠️ Margin ratio 77.8 % on paper"],
        [],
        ["🛑 Margin ratio 94.7 % on paper"],
    ]
    assert heads(told[4]) == ["✅ Margin on paper is fine again: 4.6 %"]  # 12 % from liquidation
    warning = told[1][0]
    assert warning.labels == ["Status", "Snooze 1 h", "Settings"]
    await screen.leads(warning, "Status", "#1 ETH")
    await screen.leads(warning, "Snooze 1 h", "snoozed: margin")
    await screen.leads(warning, "Settings", "1 alert active")


@story(AlertKind.LIQUIDATION, AlertKind.PRICE)
async def test_several_at_once_are_one_message_the_gravest_first(screen: LockScreen) -> None:
    await screen.does("/open BTC long 0.2 10x cross", "#1 BTC")
    await screen.does("/open ETH long 25 10x cross", "#2 ETH")
    await screen.phone.asks("/alerts ETH 1900", "✅ Saved.")
    screen.sets(BTC, "91000")

    told = only(await screen.when("1700"))

    assert heads([told]) == [
        "🛑 #1 BTC: long 2.0 % from liquidation",
        "🛑 #2 ETH: long 0.9 % from liquidation",
        "🔔 ETH fell to 1,900.00",
    ]
    assert [[label for label, _ in row] for row in told.buttons[::2]] == [
        ["#1 Hedge now", "#1 Close…"],
        ["#2 Hedge now", "#2 Close…"],
        ["ETH Chart", "ETH Status"],
        ["Settings"],
    ]
    await screen.leads(told, "#1 Hedge now", "close something or add money")
    quote = await screen.leads(told, "#2 Close…", "Close #2 ETH")
    await screen.confirms(quote, "#2 ETH closed", button="Close")
    assert await screen.holds() == {"BTC long": "0.2"}


# --- a leg that changed outside the bot ---------------------------------------------------------------


@story(AlertKind.LOST)
async def test_a_liquidated_leg_is_told_at_once_and_the_hedge_restored(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    gone = only(await screen.when("2700"))
    assert gone.text.startswith("🛑 #1 ETH: the short leg is gone (liquidated at 2,611.86)\n")
    assert (
        "You are long 1 ETH unhedged at 2,700.00, next liquidation 1,507.58 (exchange), 44.2 %" in gone.text
    )
    assert gone.labels == ["Restore the hedge", "Close the rest", "Settings"]

    quote = await screen.leads(gone, "Restore the hedge", "Lock")
    await screen.confirms(quote, "hedged")

    assert await screen.holds() == {"ETH long": "1", "ETH short": "1"}
    assert heads(await screen.at_once()) == []


@story(AlertKind.LOST)
async def test_the_rest_of_a_hedge_that_lost_a_leg_is_closed(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    gone = only(await screen.when("2700"))
    await screen.leads(gone, "Settings", "1 alert active")

    quote = await screen.leads(gone, "Close the rest", "Only the long is left")
    await screen.confirms(quote, "#1 ETH closed", button="Close")

    assert await screen.holds() == {}
    assert await screen.at_once() == []


@story(AlertKind.STOPPED)
async def test_a_leg_that_its_stop_closed_is_told_and_the_hedge_restored(screen: LockScreen) -> None:
    await screen.does("/open ETH long 1 4x isolated sl 1950", "#1 ETH")
    await screen.when("2040")
    await screen.does("/hedge #1", "hedged")

    stopped = only(await screen.when("1940"))

    assert stopped.text.startswith("🛑 #1 ETH: the long leg was closed by your stop at 1,939.95\n")
    assert "You are short 1 ETH unhedged" in stopped.text
    assert stopped.labels == ["Restore the hedge", "Close the rest", "Settings"]
    quote = await screen.leads(stopped, "Restore the hedge", "Lock")
    await screen.confirms(quote, "hedged")
    assert await screen.holds() == {"ETH long": "1", "ETH short": "1"}


@story(AlertKind.SHRUNK, AlertKind.GROWN)
async def test_a_leg_that_shrank_by_hand_and_was_made_good_by_hand(screen: LockScreen) -> None:
    await screen.lock(leverage="4")

    shrank = only(await screen.elsewhere(SHORT, "0.4", opens=False))
    assert heads([shrank]) == ["🛑 #1 ETH: the short leg shrank from 1 to 0.6 (outside the bot at 2,100.06)"]
    assert "You are long 0.4 ETH unhedged at 2,100.00" in shrank.text
    assert shrank.labels == ["Restore the hedge", "Close…", "Settings"]
    assert heads(await screen.elsewhere(SHORT, "0.4", opens=True)) == [
        "⚠️ #1 ETH: the short leg grew from 0.6 to 1 (outside the bot at 2,099.94)",
        "✅ #1 ETH: the legs are equal again (0.0 % apart)",
    ]


@story(AlertKind.SHRUNK)
async def test_what_shrank_is_restored_or_closed_from_the_lock_screen(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    shrank = only(await screen.elsewhere(SHORT, "0.4", opens=False))

    await screen.leads(shrank, "Close…", "Close #1 ETH, expected")
    quote = await screen.leads(shrank, "Restore the hedge", "Lock")
    await screen.confirms(quote, "hedged")

    assert await screen.holds() == {"ETH long": "1", "ETH short": "1"}
    assert heads(await screen.at_once()) == ["✅ #1 ETH: the legs are equal again (0.0 % apart)"]


@story(AlertKind.GROWN)
async def test_what_grew_is_told_and_hedged_from_the_lock_screen(screen: LockScreen) -> None:
    await screen.lock(leverage="4")

    grown = only(await screen.elsewhere(LONG, "0.4", opens=True))

    assert heads([grown]) == ["⚠️ #1 ETH: the long leg grew from 1 to 1.4 (outside the bot at 2,100.06)"]
    assert grown.labels == ["Restore the hedge", "Close…", "Snooze 1 h", "Settings"]
    await screen.leads(grown, "Close…", "Close #1 ETH, expected")
    await screen.leads(grown, "Snooze 1 h", "snoozed: #1 grown")
    quote = await screen.leads(grown, "Restore the hedge", "Lock")
    await screen.confirms(quote, "hedged")
    assert await screen.holds() == {"ETH long": "1.4", "ETH short": "1.4"}


@story(AlertKind.UNPROTECTED)
async def test_a_stop_that_is_canceled_on_the_exchange_is_told_and_set_again(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    await screen.does("/adjust #1 sl 1950", "the stops of the long are changed")
    began = screen.now
    await screen.canceled_elsewhere()

    gone = only(await screen.passes(60))

    assert gone.text == (
        "⚠️ #1 ETH: the stop-loss of the long leg at 1,950.00 is gone\n"
        "It was canceled on the exchange, not by me. The long leg has no stop-loss any more."
    )
    assert gone.at - began <= 10 + LOOK  # a reading may be as old as that
    assert gone.labels == ["Long stop 1,950.00 again", "Status", "Settings"]
    await screen.leads(gone, "Status", "stops: none")
    quote = await screen.leads(gone, "Long stop 1,950.00 again", "stop-loss")
    assert (await screen.view()).open_orders == ()
    await screen.confirms(quote, "On the exchange: stop-loss at 1,950.00.")
    assert await screen.passes(60) == []


@story(AlertKind.UNPROTECTED)
async def test_of_two_closing_orders_one_is_canceled_and_both_are_set_again(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    await screen.does("/close #1 at 2200", "2,200.00", button="At 2,200.00")
    await screen.canceled_elsewhere(side=SHORT)

    gone = only(await screen.passes(60))

    assert heads([gone]) == ["🛑 #1 ETH: the closing order of the short leg at 2,200.00 is gone"]
    assert "That of the long leg still stands" in gone.text
    quote = await screen.leads(gone, "Close at 2,200.00 again", "It replaces the closing order at 2,200.00.")
    await screen.confirms(quote, "2,200.00", button="At 2,200.00")
    resting = (await screen.view()).open_orders
    assert sorted(order.position_side for order in resting) == [LONG, SHORT]
    assert await screen.passes(60) == []


@story(AlertKind.IMBALANCE)
async def test_legs_that_differ_are_told_and_made_equal_from_the_lock_screen(screen: LockScreen) -> None:
    """What was booked by a command is no news of a leg, and still an imbalance."""
    await screen.lock(leverage="4")
    await screen.trades_elsewhere(SHORT, "0.4", opens=False)
    await screen.bot.bookkeeper.bring_up_to_date(screen.account)

    differ = only(await screen.at_once())
    assert heads([differ]) == ["⚠️ #1 ETH: the legs differ by 40.0 %"]
    assert "Net long 0.4 ETH (~840.00 USDT) is not hedged" in differ.text
    assert differ.labels == ["Rebalance", "Close…", "Snooze 1 h", "Settings"]
    await screen.leads(differ, "Close…", "Close #1 ETH, expected")
    quote = await screen.leads(differ, "Rebalance", "the legs differ by 0.4 ETH")
    await screen.confirms(quote, "✅", button="Trim the long")

    assert await screen.holds() == {"ETH long": "0.6", "ETH short": "0.6"}
    assert heads(await screen.at_once()) == ["✅ #1 ETH: the legs are equal again (0.0 % apart)"]


@story(AlertKind.FROZEN, AlertKind.LOST)
async def test_what_the_history_does_not_explain_freezes_the_hedge_until_it_is_adopted(
    screen: LockScreen,
) -> None:
    await screen.lock(leverage="4")
    screen.faults.hide_history = True
    began = screen.now
    await screen.trades_elsewhere(SHORT, "1", opens=False)

    gone, frozen = await screen.passes(30)
    assert heads([gone, frozen]) == [
        "🛑 #1 ETH: the short leg is gone (the exchange has not told why yet)",
        "🛑 #1 ETH is frozen",
    ]
    assert gone.at - began <= 10 + LOOK  # after an order of ours a leg may just not be shown yet
    assert "the exchange holds short 0 instead of 1" in frozen.text
    assert frozen.labels == ["Adopt", "Status", "Snooze 1 h", "Settings"]
    await screen.leads(frozen, "Status", "#1 ETH")
    await screen.leads(frozen, "Adopt", "#1 ETH is now what the exchange says: long 1 ETH.")
    assert heads(await screen.at_once()) == ["✅ #1 ETH: no longer frozen, ledger and exchange agree"]

    screen.faults.hide_history = False
    late = await screen.passes(120)
    assert heads(late) == ["🛑 #1 ETH: the short leg is gone (outside the bot at 2,100.06)"]
    assert await screen.holds() == {"ETH long": "1"}


# --- orders in trouble --------------------------------------------------------------------------------


@story(AlertKind.NAKED)
async def test_exposure_that_an_order_leaves_is_told_after_five_seconds_and_five_tries(
    screen: LockScreen,
) -> None:
    await screen.lock(leverage="4")
    screen.faults.on_orders(None, *[Refuse("try later", code="-1001")] * 12)
    ways = await screen.phone.asks("/close #1 50%", "Close 50 % of #1 ETH")
    screen.phone.taps(ways, "Offset first")
    began = screen.now

    told = await screen.passes(240)

    alerts = [message for message in told if message.id != ways.id and "bringing" not in message.text]
    naked, worse, _ = alerts
    assert heads(alerts) == [
        "🛑 #1 ETH: long 0.5 ETH unhedged",
        "🛑 #1 ETH: long 0.5 ETH unhedged",
        "✅ #1 ETH: nothing is left unhedged by an order any more",
    ]
    assert 5 <= naked.at - began <= 5 + LOOK
    assert "after 5 tries" in worse.text
    assert naked.labels == ["Status", "Settings"]
    await screen.leads(naked, "Status", "#1 ETH")
    await screen.leads(naked, "Settings", "No alert is active")
    assert await screen.holds() == {"ETH long": "0.5", "ETH short": "0.5"}


@story(AlertKind.UNKNOWN, AlertKind.NAKED)
async def test_an_order_without_an_answer_is_told_after_half_a_minute_and_after_five(
    screen: LockScreen,
) -> None:
    """Its lookup fails as well; the order was carried out, and is not sent again."""

    async def unavailable(*_: object) -> OrderReport | None:
        raise VenueUnavailable("no lookup now", venue="paper")

    await screen.lock(leverage="4")
    screen.faults.on_orders(LostReply())
    screen.faults.hide_orders_for, screen.faults.hide_fills = 340, True
    ways = await screen.phone.asks("/close #1 50%", "Close 50 % of #1 ETH")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen.door, "order", unavailable)
        screen.phone.taps(ways, "Offset first")
        began = screen.now
        naked, warning, grave = await screen.passes(345)
    over = await screen.passes(60)

    assert heads([naked, warning, grave]) == [
        "🛑 #1 ETH: long 0.5 ETH unhedged",
        "⚠️ #1 ETH: an order has had no answer for 31 s",
        "🛑 #1 ETH: an order has had no answer for 5 min",
    ]
    assert 30 <= warning.at - began <= 30 + LOOK
    assert 300 <= grave.at - began <= 300 + LOOK
    assert heads(over) == [
        "✅ #1 ETH: nothing is left unhedged by an order any more",
        "✅ #1 ETH: every order has its answer",
    ]
    assert warning.labels == ["Status", "Snooze 1 h", "Settings"]
    await screen.leads(warning, "Status", "#1 ETH")
    assert await screen.holds() == {"ETH long": "0.5", "ETH short": "0.5"}


@story(AlertKind.VENUE)
async def test_an_exchange_out_of_reach_is_told_after_a_minute_and_after_five(screen: LockScreen) -> None:
    await screen.lock(leverage="4")
    with screen.out_of_reach():
        began = screen.now
        warning, grave = await screen.passes(400)
    back = await screen.at_once()

    assert heads([warning, grave, *back]) == [
        "⚠️ paper out of reach for 1 min",
        "🛑 paper out of reach for 5 min",
        "✅ paper answers again",
    ]
    assert 60 <= warning.at - began <= 60 + LOOK
    assert 300 <= grave.at - began <= 300 + LOOK
    assert warning.labels == ["Snooze 1 h", "Settings"]
    await screen.leads(warning, "Snooze 1 h", "snoozed: venue")


# --- funding --------------------------------------------------------------------------------------------


@story(AlertKind.FUNDING, begin=datetime(2026, 3, 2, 15, 40, tzinfo=UTC))
async def test_a_quarter_of_an_hour_before_a_settlement_its_cost_is_told_once(screen: LockScreen) -> None:
    await screen.does("/open ETH long 1 4x isolated", "#1 ETH")

    told = only(await screen.passes(25 * 60))

    assert heads([told]) == ["💸 #1 ETH: funding in 15 min, net ~-0.20 USDT"]
    assert "Long pays ~0.20. Rate +0.0100 % per 8 h." in told.text
    assert timedelta(0) <= screen.at(told) - datetime(2026, 3, 2, 15, 45, tzinfo=UTC) <= A_LOOK
    assert told.labels == ["Hedge now", "Snooze 1 h", "Settings"]
    quote = await screen.leads(told, "Hedge now", "Lock")
    await screen.confirms(quote, "hedged")
    assert await screen.holds() == {"ETH long": "1", "ETH short": "1"}


@story(AlertKind.EATEN, AlertKind.FUNDING, AlertKind.RATE, AlertKind.FLIP, paper={"speed": 60})
async def test_funding_eats_the_lock_level_by_level_with_the_day_it_is_gone(screen: LockScreen) -> None:
    """A minute of the market in a second; settlements are 480 s of ours apart, the first is after 180 s."""
    await screen.does("/open ETH long 1 4x isolated", "#1 ETH")
    await screen.when("2100")
    half = await screen.phone.asks("/hedge #1 50%", "Lock")
    await screen.confirms(half, "hedged")
    screen.sets(ETH, rate="0.006")

    told = await screen.passes(1700)
    eaten = [message for message in told if "of the lock" in message.text]

    assert heads(eaten) == [
        "💸 #1 ETH: funding has eaten 12.6 % of the lock",
        "💸 #1 ETH: funding has eaten 25.2 % of the lock",
        "💸 #1 ETH: funding has eaten 50.5 % of the lock",
    ]
    assert [message.at - settled <= LOOK for message, settled in zip(eaten, (180, 660, 1620), strict=True)]
    assert "Paid 6.30 of 49.94 USDT. At ~-18.90 a day the rest is gone on 4 Mar 2026." in eaten[0].text
    assert heads(told).count("💸 #1 ETH: funding in 14 min, net ~-6.30 USDT") == 4
    await _acts_on_funding(screen, told, eaten[0])


async def _acts_on_funding(screen: LockScreen, told: list[ChatMessage], eaten: ChatMessage) -> None:
    soon = next(message for message in told if "funding in" in message.text)
    rate = next(message for message in told if "funding rate" in message.text)
    assert soon.labels == ["Rebalance", "Snooze 1 h", "Settings"]
    assert rate.labels == ["Rebalance", "Status", "Snooze 1 h", "Settings"]
    assert eaten.labels == ["Close…", "Status", "Snooze 1 h", "Settings"]
    await screen.leads(eaten, "Close…", "Close #1 ETH, expected")
    await screen.leads(eaten, "Status", "#1 ETH")
    quote = await screen.leads(soon, "Rebalance", "the legs differ by 0.5 ETH")
    await screen.confirms(quote, "✅", button="Trim the long")
    assert await screen.holds() == {"ETH long": "0.5", "ETH short": "0.5"}


@story(AlertKind.EATEN, paper={"speed": 60})
async def test_funding_that_is_paid_back_gives_the_lock_back(screen: LockScreen) -> None:
    for kind in ("funding", "rate", "flip"):
        await screen.phone.asks(f"/alerts off {kind}", "✅ Saved.")
    await screen.does("/open ETH long 1 4x isolated", "#1 ETH")
    await screen.when("2100")
    await screen.confirms(await screen.phone.asks("/hedge #1 50%", "Lock"), "hedged")

    screen.sets(ETH, rate="0.006")
    assert heads(await screen.passes(200)) == ["💸 #1 ETH: funding has eaten 12.6 % of the lock"]
    screen.sets(ETH, rate="-0.03")
    assert heads(await screen.passes(500)) == ["✅ #1 ETH: funding has paid back all it took"]


@story(AlertKind.RATE, AlertKind.FLIP)
async def test_a_rate_that_jumps_and_one_that_turns_are_told_and_that_they_are_calm_again(
    screen: LockScreen,
) -> None:
    await screen.does("/open ETH long 1 4x isolated", "#1 ETH")
    told = []
    for rate in ("0.0006", "0.0001", "-0.0001", "-0.0002", "0.0001"):
        screen.sets(ETH, rate=rate)
        told.append(await screen.at_once())

    assert [heads(messages) for messages in told] == [
        ["💸 #1 ETH: funding rate +0.0600 % per 8 h"],
        ["✅ #1 ETH: funding rate calm again (+0.0100 % per 8 h)"],
        ["💸 #1 ETH: funding has turned, shorts pay longs"],
        [],
        ["✅ #1 ETH: funding has turned back, longs pay shorts (+0.0100 % per 8 h)"],
    ]
    spike, turned = told[0][0], told[2][0]
    assert "You pay ~1.20 USDT a settlement, ~3.60 a day, at +0.0600 % per 8 h." in spike.text
    assert "You get ~0.20 USDT a settlement" in turned.text
    for card in (spike, turned):
        assert card.labels == ["Hedge now", "Status", "Snooze 1 h", "Settings"]
        await screen.leads(card, "Hedge now", "Lock")
        await screen.leads(card, "Status", "#1 ETH")
    await screen.leads(spike, "Snooze 1 h", "snoozed: #1 rate")


# --- profit, price --------------------------------------------------------------------------------------


@story(AlertKind.TARGET)
async def test_a_profit_to_lock_is_told_once_and_locked_from_the_lock_screen(screen: LockScreen) -> None:
    await screen.does("/open ETH long 1 4x isolated", "#1 ETH")

    told = [await screen.when(price) for price in ("2099", "2101", "2120", "2095", "2080", "2140")]

    assert [heads(messages) for messages in told] == [
        [],
        ["📈 #1 ETH long +5.0 %: lock it?"],
        [],
        [],
        ["✅ #1 ETH: long back under the target (+4.0 %)"],
        [],  # within five minutes it trembles
    ]
    reached = told[1][0]
    assert "+100.94 USDT on 1 ETH from 2,000.06, mark 2,101.00" in reached.text
    assert reached.labels == ["Hedge now", "Close…", "Snooze 1 h", "Settings"]
    await screen.leads(reached, "Close…", "Close #1 ETH, expected")
    quote = await screen.leads(reached, "Hedge now", "Lock")
    await screen.confirms(quote, "hedged")
    assert await screen.holds() == {"ETH long": "1", "ETH short": "1"}


@story(AlertKind.PRICE)
async def test_a_price_that_was_asked_for_is_told_once(screen: LockScreen) -> None:
    await screen.does("/open ETH long 1 4x isolated", "#1 ETH")
    await screen.phone.asks("/alerts ETH 2050", "✅ Saved.")
    await screen.passes(900)  # a chart takes some history

    told = [await screen.when(price) for price in ("2049", "2051", "2040", "2052")]

    assert [heads(messages) for messages in told] == [[], ["🔔 ETH rose to 2,050.00"], [], []]
    reached = told[1][0]
    assert reached.labels == ["Chart", "Status", "Snooze 1 h", "Settings"]
    chart = await screen.leads(reached, "Chart", "ETH")
    assert chart.photo
    await screen.leads(reached, "Status", "ETH")


# --- the digest -----------------------------------------------------------------------------------------


@story(begin=datetime(2026, 3, 2, 8, 30, tzinfo=UTC))
async def test_the_digest_comes_at_nine_with_a_chart_and_its_buttons_set_its_rhythm(
    screen: LockScreen,
) -> None:
    await screen.lock(leverage="4")

    digest = only(await screen.passes(1860))

    assert digest.text.startswith("📰 1 hedge locked ~+95.61 USDT · 2 Mar 09:00 UTC\n#1 ETH · locked ~+95.61")
    assert "Worth keeping: funding costs nothing." in digest.text
    assert digest.photo
    assert timedelta(0) <= screen.at(digest) - datetime(2026, 3, 2, 9, tzinfo=UTC) <= timedelta(seconds=31)
    assert digest.labels == ["Status", "Alerts", "After each settlement", "No digest"]
    await screen.leads(digest, "Status", "#1 ETH")
    await screen.leads(digest, "Alerts", "No alert is active")
    chosen = await screen.leads(digest, "After each settlement", "✅ Saved.")
    assert "digest each settlement" in " ".join(chosen.text.split())
    assert await screen.passes(120) == []  # what was due at the settlement of 8:00 is in the digest of 9:00
    chosen = await screen.leads(digest, "No digest", "✅ Saved.")
    assert "digest off" in " ".join(chosen.text.split())


# --- on an exchange -------------------------------------------------------------------------------------


KEY = "kAB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzA1bC2dE3fG4hJ5kL6mN7pQ8rS9kkkk"


@asynccontextmanager
async def on_bybit() -> AsyncIterator[tuple[LockScreen, BybitServer]]:
    """The adapter for real exchanges on a loopback one; its key is typed into the chat. #1: long ETH."""
    wire_clock = jumping.LoopClock(AFTER_LUNCH).now
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            BybitServer(VirtualClock(AFTER_LUNCH), wire_clock=wire_clock)
        )

        def exchanges(clock: Clock) -> CcxtExchanges:
            made = CcxtExchanges(clock, api_urls={"bybit": server.url})
            stack.push_async_callback(made.close)
            return made

        holder = server.create_account(KEY, ips=("127.0.0.1",), expires_at=AFTER_LUNCH + timedelta(days=365))
        async with a_lock_screen(exchanges=exchanges) as screen:
            await screen.does("/open ETH long 1 4x isolated", "#1 ETH")  # on paper, which has no stream
            await screen.phone.asks("/connect bybit", "Now send the API key")
            await screen.phone.asks(KEY, "Now the secret")
            connected = await screen.phone.asks(holder.key.secret, "bybit is connected")
            await screen.leads(connected, "Use bybit", "Orders go to: bybit")
            await screen.does("/open ETH long 1 4x isolated", "#2 ETH")
            await screen.passes(10)
            yield screen, server


def on_an_exchange(*kinds: AlertKind) -> Callable[[ExchangeStory], Callable[[], None]]:
    SEEN.update(kinds)

    def staged(tell: ExchangeStory) -> Callable[[], None]:
        async def play() -> None:
            async with on_bybit() as (screen, server):
                await tell(screen, server)
                await quietens(screen)

        return _test_of(tell, play)

    return staged


@on_an_exchange(AlertKind.STREAM)
async def test_an_exchange_that_falls_silent_is_told_after_five_minutes_and_paper_never(
    screen: LockScreen, server: BybitServer
) -> None:
    began = screen.now
    server.silence()
    lost = only(await screen.passes(400))
    server.speak()
    back = await screen.passes(90)

    assert heads([lost, *back]) == [
        "📡 bybit: no live stream for 5 min",
        "✅ bybit: the live stream is back",
    ]
    noticed = SILENT_AFTER.total_seconds() + CHECK_SECONDS
    assert 300 + noticed - LOOK <= lost.at - began <= 300 + noticed + LOOK
    assert lost.labels == ["Snooze 1 h", "Settings"]
    await screen.leads(lost, "Settings", "No alert is active")
    await screen.leads(lost, "Snooze 1 h", "snoozed: stream")


@on_an_exchange(AlertKind.VENUE)
async def test_a_key_that_is_refused_is_told_as_such_and_that_it_is_taken_again(
    screen: LockScreen, server: BybitServer
) -> None:
    account = server.market.accounts.pop(KEY)
    began = screen.now
    refused, warning, grave = await screen.passes(400)
    server.market.accounts[KEY] = account
    back = await screen.passes(10)

    assert heads([refused, warning, grave, *back]) == [
        "🛑 bybit takes no new orders: the key is not accepted by bybit any more",
        "⚠️ bybit out of reach for 1 min",
        "🛑 bybit out of reach for 5 min",
        "✅ bybit answers again",
        "📡 bybit: no live stream for 6 min",  # a key that was refused is not tried there for ten
    ]
    assert "Why: it does not accept the key." in warning.text
    first = warning.at - began - 60
    assert 0 <= first <= HOLDING_STREAMED.total_seconds() + LOOK  # until the next look
    assert 0 <= grave.at - warning.at - 240 <= LOOK


def test_no_kind_of_alert_is_without_a_story() -> None:
    assert set(AlertKind) == SEEN
