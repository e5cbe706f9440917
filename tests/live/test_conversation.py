"""The whole main job on each exchange, as a chat: real ccxt behind it, a real Telegram client before it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.domain.instrument import PositionMode
from tests.live.floor import KEYS, LONG, SHORT, Floor, a_floor, sealed_in
from tests.wire.bot_api import ChatMessage
from tests.wire.ccxt_rig import MAJORS

pytestmark = pytest.mark.slow


@pytest.fixture(params=MAJORS)
async def floor(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    async with a_floor(request.param) as floor:
        await floor.goes_live()
        yield floor


async def test_a_profit_is_locked_watched_and_closed_from_the_first_key_to_the_last(
    floor: Floor,
) -> None:
    phone = floor.phone
    await phone.asks("/accounts", f"{floor.venue_id} · key …")

    opened = await floor.does("/open ETH long 1 10x isolated sl 1900", "#1 ETH is open: long 1 ETH")
    assert "On the exchange: stop-loss at 1,900.00." in opened.text
    await floor.price("2300")
    await phone.reads("lock it?", ever=True)
    hedged = await floor.does("/hedge ETH", "#1 ETH is hedged: ~+295")
    assert figure(hedged.text, "net lock ~") == Decimal("295.31")

    await floor.does("/adjust #1 sl 1950", "the stops of the long are changed")
    status = await phone.asks("/status", f"· {floor.venue_id}")
    assert "stops: long stop-loss 1,950.00 (1)" in status.text
    assert figure(status.text, "net lock now") == Decimal("295.31")
    assert await floor.complaints() == []

    await floor.passes(11 * 60)
    (hedge,) = await floor.hedges()
    paid = {row.payment.side: row.payment.amount for row in await floor.bot.store.booked_funding(hedge.id)}
    assert sorted(paid.values()) == [Decimal("-0.23"), Decimal("0.23")]

    await floor.price("2480")
    await phone.reads("short leg 1.5 % from liquidation", ever=True)
    await floor.price("2600")
    gone = await phone.reads("the short leg is gone (liquidated at", ever=True)
    assert "You are long 1 ETH unhedged" in gone.text
    assert await floor.held() == await floor.ledger() == {LONG: 1}

    await floor.does("/close #1", "#1 ETH closed", button="Close")
    assert await floor.held() == {}
    assert [order.open for order in floor.holder.orders] == [False] * len(floor.holder.orders)
    assert await floor.complaints() == []


@pytest.mark.parametrize(
    ("button", "order"), [("Offset first", "one after the other"), ("Both at once", "in one request")]
)
async def test_a_pair_is_closed_in_either_way(floor: Floor, button: str, order: str) -> None:
    await a_pair(floor)
    before = len(floor.placed())

    closed = await floor.does("/close", "#1 ETH closed: +295.31 USDT", button=button)

    assert len(floor.placed()) - before == (2 if order == "one after the other" else 1)
    sides = [leg.wish.position_side for leg in floor.holder.orders[-2:]]
    assert sides == [SHORT, LONG], "the offset goes first"
    wallet = (await floor.holder.view()).balance.equity
    assert figure(closed.text, "net result") == round(wallet - 10_000, 2)
    assert await floor.held() == await floor.ledger() == {}
    assert await floor.complaints() == []


async def test_a_closing_price_is_set_moved_shown_and_taken_back(floor: Floor) -> None:
    await a_pair(floor)
    await floor.does("/close #1 at 2400", "closes by itself at a price", button="At 2,400.00")
    await floor.does("/close #1 at 2450", "closes by itself at a price", button="At 2,450.00")

    status = await floor.phone.asks("/status", "#1 ETH")
    assert {"short closes at 2,450.00", "long closes at 2,450.00"} <= stops_of(status)
    resting = [o for o in floor.holder.orders if o.open]
    assert [o.wish.trigger_price for o in resting] == [Decimal(2450)] * 2

    await floor.does("/close #1 at off", "no longer closes by itself at a price")
    assert not any(o.open for o in floor.holder.orders)
    assert await floor.complaints() == []


async def test_at_its_closing_price_a_pair_is_gone_and_its_owner_told(floor: Floor) -> None:
    await a_pair(floor)
    await floor.does("/close #1 at 2400", "closes by itself at a price", button="At 2,400.00")

    await floor.price("2401")

    told = await floor.phone.reads("#1 ETH was closed at your price", ever=True)
    assert told.text.startswith("✅ #1 ETH was closed at your price: +295.19 USDT")
    assert await floor.held() == await floor.ledger() == {}
    assert await floor.complaints() == []


async def test_margin_is_added_to_the_leg_that_is_in_danger(floor: Floor) -> None:
    await a_pair(floor, "10x isolated")
    before = leg_of(await floor.phone.asks("/status", "#1 ETH"), "liq")[1]

    done = await floor.does("/margin #1 short 20", "20.00 USDT added to the short")

    after = leg_of(await floor.phone.asks("/status", "#1 ETH"), "liq")[1]
    assert after > before
    assert f"Its liquidation is at {after:,} now (exchange)." in done.text


async def test_the_chart_of_a_pair_is_drawn_from_the_exchanges_own_past(floor: Floor) -> None:
    await a_pair(floor)
    await floor.passes(300)
    floor.phone.says("/chart #1")
    card = await floor.phone.finds(lambda message: bool(message.photo), "a picture")
    assert card.photo.startswith(b"\x89PNG")
    assert "long from 2,000.06 and short from 2,299.94" in card.text


@pytest.mark.parametrize("venue_id", MAJORS)
async def test_one_way_mode_is_explained_and_left_by_a_button_once_nothing_is_open(venue_id: str) -> None:
    async with a_floor(venue_id) as floor:
        await floor.holder.set_position_mode(PositionMode.ONE_WAY)
        await floor.trades_one_way("1")
        await floor.goes_live()
        await floor.phone.reads("The account is in one-way mode; hedges need hedge mode", ever=True)

        floor.phone.says("/hedge ETH")
        refused = await floor.phone.finds(
            lambda m: "Switch to hedge mode" in m.labels and "one-way mode" in m.text, "why not"
        )
        floor.phone.taps(refused, "Switch to hedge mode")
        await floor.settled()
        assert (await floor.holder.view()).position_mode is PositionMode.ONE_WAY

        await floor.trades_one_way("1", closes=True)
        await floor.phone.chooses(refused, "Switch to hedge mode", f"{floor.venue_id} is in hedge mode")

        await floor.does("/open ETH long 1", "#1 ETH is open")
        assert await floor.complaints() == []


@pytest.mark.parametrize("venue_id", MAJORS)
@pytest.mark.parametrize("command", ["/hedge ETH", "/open BTC long 0.1"])
async def test_a_mode_that_was_changed_elsewhere_is_seen_by_the_next_offer(
    venue_id: str, command: str
) -> None:
    async with a_floor(venue_id) as floor:
        await floor.goes_live()
        await floor.passes(5)
        await floor.holder.set_position_mode(PositionMode.ONE_WAY)
        await floor.trades_one_way("1")
        await floor.passes(5)

        refused = await floor.phone.asks(command, "one-way mode")

        assert f"Close ETH first: /close ETH on {venue_id} works in this mode, too." in refused.text
        assert refused.labels == ["Close…", "Switch to hedge mode"]
        listed = await floor.phone.asks("/accounts", "Accounts: 2")
        assert f"{venue_id} · key …{KEYS[venue_id][0][-4:]} · one-way mode" in listed.text
        assert f"hedges need hedge mode: /settings mode hedge on {venue_id}." in listed.text


@pytest.mark.parametrize("venue_id", MAJORS)
async def test_a_mode_that_was_changed_with_nothing_open_is_seen_at_once(venue_id: str) -> None:
    async with a_floor(venue_id) as floor:
        await floor.goes_live()
        await floor.phone.asks("/status", "Nothing")
        await floor.holder.set_position_mode(PositionMode.ONE_WAY)

        refused = await floor.phone.asks("/open ETH long 1", "one-way mode")

        await floor.phone.chooses(refused, "Switch to hedge mode", f"{venue_id} is in hedge mode")
        await floor.does("/open ETH long 1", "#1 ETH is open")


@pytest.mark.parametrize("venue_id", MAJORS)
@pytest.mark.parametrize("late", [False, True])
async def test_a_one_way_position_is_protected_and_closed_here(venue_id: str, late: bool) -> None:
    async with a_floor(venue_id) as floor:
        if late:
            await floor.goes_live()
        await floor.holder.set_position_mode(PositionMode.ONE_WAY)
        await floor.trades_one_way("1")
        if not late:
            await floor.goes_live()

        await floor.does("/close ETH 40%", "#1 ETH: realized -0.45", button="Close")
        assert await floor.held() == await floor.ledger() == {LONG: Decimal("0.6")}
        await floor.does("/adjust #1 sl 1900", "the stops of the long are changed")
        await floor.does("/close #1", "#1 ETH closed", button="Close")

        await floor.looks()
        assert await floor.held() == await floor.ledger() == {}
        assert await floor.complaints() == []
        await floor.phone.asks("/settings mode hedge", f"{venue_id} is in hedge mode")


async def test_a_position_from_elsewhere_is_found_and_hedged(floor: Floor) -> None:
    await floor.trades_elsewhere(LONG, "1")
    await floor.price("2200")

    found = await floor.phone.asks("/status", "ETH")
    assert "long 1" in found.text
    await floor.does("/hedge ETH", "#1 ETH is hedged")

    assert await floor.held() == await floor.ledger() == {LONG: 1, SHORT: 1}
    assert await floor.complaints() == []


async def test_two_legs_from_elsewhere_are_adopted_together_and_the_gap_is_filled(floor: Floor) -> None:
    await floor.trades_elsewhere(LONG, "1")
    await floor.trades_elsewhere(SHORT, "0.4")

    await floor.does("/hedge ETH long", "#1 ETH is hedged")

    assert await floor.held() == await floor.ledger() == {LONG: 1, SHORT: 1}
    assert await floor.complaints() == []


async def test_an_equal_pair_from_elsewhere_is_closed_here(floor: Floor) -> None:
    await floor.trades_elsewhere(LONG, "1")
    await floor.trades_elsewhere(SHORT, "1")

    await floor.does("/close ETH", "#1 ETH closed", button="Both at once")

    assert await floor.held() == await floor.ledger() == {}
    assert await floor.complaints() == []


async def test_what_the_exchange_does_not_trade_is_refused(floor: Floor) -> None:
    sent = len(floor.placed())
    for symbol in ("NOPE", "BTC/USD:BTC", "DOGEUSD"):
        floor.phone.says(f"/open {symbol} long 1")
        answer = await floor.phone.finds(lambda message: True, "an answer")
        assert "Traceback" not in answer.text
        assert "Confirm" not in answer.labels
    assert len(floor.placed()) == sent


async def test_a_leg_that_another_hand_closed_is_told(floor: Floor) -> None:
    await a_pair(floor)
    await floor.trades_elsewhere(SHORT, "1", opens=False)

    await floor.looks()

    told = await floor.phone.reads("short leg is gone", ever=True)
    assert "unhedged" in told.text
    assert await floor.held() == await floor.ledger() == {LONG: 1}


# --- the key ------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue_id", MAJORS)
async def test_of_a_key_nothing_is_left_in_the_chat_or_the_database(tmp_path: Path, venue_id: str) -> None:
    async with a_floor(venue_id, database_url=f"sqlite+aiosqlite:///{tmp_path}/t.db") as floor:
        await floor.goes_live()
        parts = [part for part in KEYS[venue_id] if part]
        shown = [message.text for message in floor.api.chat_log(floor.phone.chat)]
        assert not set(parts) & set(shown)
        sealed = sealed_in(tmp_path / "t.db")
        assert sealed

        floor.phone.says(f"/disconnect {venue_id}")
        sure = await floor.phone.finds(lambda m: "Yes, disconnect" in m.labels, "the question")
        await floor.phone.chooses(sure, "Yes, disconnect", f"{venue_id} is disconnected")
        await floor.settled()

        on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".key")
        for secret in (*(part.encode() for part in parts), *sealed):
            assert secret not in on_disk
        asked = len(floor.server.log)
        await floor.bot.watching.look_at_all(venue_id)
        assert len(floor.server.log) == asked, "nobody asks there any more"


# --- small change -------------------------------------------------------------------------------


async def a_pair(floor: Floor, words: str = "10x") -> None:
    """Long 1 from 2,000.06, short 1 from 2,299.94."""
    await floor.does(f"/open ETH long 1 {words}", "#1 ETH is open")
    await floor.price("2300")
    await floor.does("/hedge ETH", "#1 ETH is hedged")


def figure(text: str, label: str) -> Decimal:
    (row,) = [row.strip() for row in text.splitlines() if row.strip().startswith(label)]
    return Decimal(row.removeprefix(label).replace("~", "").replace(",", "").strip())


def stops_of(card: ChatMessage) -> set[str]:
    return set(re.findall(r"(?:long|short) [a-z -]+ [\d,.]+", card.text.rpartition("stops:")[2]))


def leg_of(card: ChatMessage, label: str) -> tuple[Decimal, Decimal]:
    """The figures of the long and the short."""
    (row,) = [row for row in card.text.splitlines() if row.startswith(f"{label} ")]
    long, short = re.findall(r"[\d,.]+", row)
    return Decimal(long.replace(",", "")), Decimal(short.replace(",", ""))
