"""``live:binance``: the real ccxt against a loopback Binance, and the paper exchange on top of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.order import OrderStatus, OrderType
from chatbot.errors import SettingsError, VenueUnavailable
from chatbot.venues.feeds import BTC, ETH, SOL
from chatbot.venues.live_prices import LivePrices, interval, parse, redirected
from tests.venues.paper_trader import EVER, LONG, START, Trader
from tests.wire.binance_public import BinancePublic


@pytest.fixture
async def server() -> AsyncIterator[BinancePublic]:
    async with BinancePublic() as server:
        yield server


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
async def feed(server: BinancePublic, clock: VirtualClock) -> AsyncIterator[LivePrices]:
    feed = LivePrices("binance", clock, api_url=server.url)
    yield feed
    await feed.close()


@pytest.fixture
async def trader(feed: LivePrices, clock: VirtualClock) -> AsyncIterator[Trader]:
    trader = Trader(feed=feed, clock=clock)
    yield trader
    trader.exchange.close()


async def test_public_prices_come_through_ccxt(feed: LivePrices, trader: Trader) -> None:
    await feed.poll()

    market = (await trader.venue.view([BTC])).markets[BTC]

    assert market.mark_price == Decimal("64000.5")
    assert market.index_price == Decimal("64000.5")
    assert market.funding_rate == Decimal("0.00012")
    assert market.next_funding_at == datetime(2026, 11, 22, 16, tzinfo=UTC)
    assert market.funding_interval == timedelta(hours=8)
    assert market.at == START


async def test_only_public_addresses_are_asked(feed: LivePrices, server: BinancePublic) -> None:
    await feed.poll()
    assert {path.rpartition("/")[2] for path in server.asked} == {
        "exchangeInfo",
        "fundingInfo",
        "premiumIndex",
        "depth",
    }


async def test_the_paper_book_stands_around_the_middle_of_the_real_one(
    feed: LivePrices, trader: Trader
) -> None:
    await feed.poll()
    book = (await trader.venue.view([BTC])).books[BTC]
    assert abs(book.mid - Decimal("64000.75")) <= Decimal("0.1")


async def test_fills_are_simulated_at_real_prices(feed: LivePrices, trader: Trader) -> None:
    await feed.poll()
    report = await trader.open(LONG, "0.1", symbol=BTC)
    assert report.status is OrderStatus.FILLED
    assert report.average_price is not None
    assert abs(report.average_price - 64_000) < 10


async def test_the_venues_own_interval_is_used(feed: LivePrices, trader: Trader) -> None:
    await feed.poll()
    assert (await trader.venue.view([SOL])).markets[SOL].funding_interval == timedelta(hours=4)


async def test_funding_is_settled_when_the_venues_instant_passes(
    feed: LivePrices, trader: Trader, server: BinancePublic
) -> None:
    await feed.poll()
    await trader.open(LONG, "1")
    await trader.clock.advance(4 * 3600 + 1)
    server.next_funding += 8 * 3600 * 1000
    await feed.poll()

    (payment,) = await trader.venue.funding_payments(ETH, EVER)

    assert payment.at == datetime(2026, 11, 22, 16, tzinfo=UTC)
    assert payment.amount == -Decimal("2000.25") * Decimal("0.00012")
    market = (await trader.venue.view([ETH])).markets[ETH]
    assert market.next_funding_at == datetime(2026, 11, 23, 0, tzinfo=UTC)


async def test_before_the_first_price_nothing_can_be_traded_or_shown(trader: Trader) -> None:
    with pytest.raises(VenueUnavailable):
        await trader.venue.view([BTC])
    rejected = await trader.refused(trader.request(LONG, "0.1", symbol=BTC))
    assert rejected.kind == "InstrumentUnavailable"
    assert (await trader.venue.view()).balance.wallet == 10_000


async def test_stale_prices_are_shown_with_their_age_but_not_traded_on(
    feed: LivePrices, trader: Trader, server: BinancePublic
) -> None:
    await feed.poll()
    server.down = True
    await trader.clock.advance(31)
    with pytest.raises(VenueUnavailable):
        await feed.poll()

    market = (await trader.venue.view([BTC])).markets[BTC]
    rejected = await trader.refused(trader.request(LONG, "0.1", symbol=BTC))

    assert trader.clock.now() - market.at == timedelta(seconds=31)
    assert "no fresh price" in rejected.reason


async def test_one_unusable_symbol_does_not_hold_up_the_others(
    feed: LivePrices, trader: Trader, server: BinancePublic
) -> None:
    server.garbled.add("ETHUSDT")
    await feed.poll()
    await trader.open(LONG, "0.1", symbol=BTC)
    assert (await trader.refused(trader.request(LONG, "1"))).kind == "InstrumentUnavailable"


async def test_a_garbled_answer_is_an_outage_not_a_crash(
    feed: LivePrices, trader: Trader, server: BinancePublic
) -> None:
    server.garbled.add("exchangeInfo")
    with pytest.raises(VenueUnavailable):
        await feed.poll()
    server.garbled.clear()
    await feed.poll()
    assert (await trader.venue.view([BTC])).markets[BTC].mark_price == Decimal("64000.5")


async def test_the_poller_goes_on_after_an_outage(
    feed: LivePrices, trader: Trader, server: BinancePublic
) -> None:
    polled = asyncio.Event()
    read = feed.poll

    async def noted() -> None:
        try:
            await read()
        finally:
            polled.set()

    feed.poll = noted  # type: ignore[method-assign]
    server.down = True
    running = asyncio.create_task(feed.run())
    await polled.wait()
    polled.clear()
    server.down = False
    while not polled.is_set():
        await trader.clock.advance(1)
        await asyncio.sleep(0.001)
    running.cancel()
    assert (await trader.venue.view([BTC])).markets[BTC].mark_price == Decimal("64000.5")


async def test_a_stop_fires_on_the_real_mark(feed: LivePrices, trader: Trader, server: BinancePublic) -> None:
    await feed.poll()
    await trader.open(LONG, "1")
    await trader.done(trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="1900"))
    server.mark(ETH, "1800")
    await trader.clock.advance(2)
    await feed.poll()

    assert (await trader.venue.view()).positions == ()


async def test_an_unknown_venue_is_a_wrong_setting(clock: VirtualClock) -> None:
    with pytest.raises(SettingsError, match="live:binance"):
        Trader(feed=LivePrices("atlantis", clock), clock=clock)


async def test_a_live_market_survives_a_restart(
    server: BinancePublic, clock: VirtualClock, tmp_path: Path
) -> None:
    for expected in (1, 2):
        feed = LivePrices("binance", clock, api_url=server.url)
        trader = Trader(feed=feed, clock=clock, state=tmp_path / "paper.db")
        trader.exchange.advance()  # no price yet, though a leg may be open
        await feed.poll()
        await trader.done(trader.request(LONG, "1", client_order_id=f"n{expected}"))
        position = await trader.position(LONG)
        assert position is not None
        assert position.quantity == expected
        trader.exchange.close()
        await feed.close()
        await clock.advance(60)


# --- pure parts ---------------------------------------------------------------------------------


def test_redirecting_keeps_the_paths() -> None:
    urls = {"public": "https://fapi.binance.com/fapi/v1", "deep": {"v2": "https://{hostname}/fapi/v2"}}
    assert redirected(urls, "http://127.0.0.1:8080") == {
        "public": "http://127.0.0.1:8080/fapi/v1",
        "deep": {"v2": "http://127.0.0.1:8080/fapi/v2"},
    }


BOOK = {"bids": [["99", "1"]], "asks": [["101", "1"]]}


def test_a_missing_mark_is_replaced_by_the_middle_of_the_book() -> None:
    prices = parse({"fundingRate": "0.0001"}, BOOK, timedelta(hours=8))
    assert prices.mark == prices.index == prices.mid == 100


@pytest.mark.parametrize(
    ("rate", "book"),
    [
        ({"fundingRate": None}, BOOK),
        ({"fundingRate": "NaN"}, BOOK),
        ({}, BOOK),
        ({"fundingRate": "0"}, {"bids": [], "asks": [["1", "1"]]}),
        ({"fundingRate": "0"}, {"bids": [["0", "1"]], "asks": [["1", "1"]]}),
        ({"fundingRate": "0", "markPrice": "-1"}, BOOK),
    ],
)
def test_unusable_answers_are_no_prices(rate: dict[str, object], book: dict[str, object]) -> None:
    with pytest.raises((ArithmeticError, LookupError, TypeError, ValueError)):
        parse(rate, book, timedelta(hours=8))


@pytest.mark.parametrize(("text", "hours"), [("8h", 8), ("1h", 1), (None, 0), ("0h", 0), ("soon", 0)])
def test_intervals_are_read_as_hours(text: str | None, hours: int) -> None:
    assert interval(text) == (timedelta(hours=hours) if hours else None)


async def test_the_history_holds_what_was_polled_and_no_price_that_had_grown_old(
    feed: LivePrices, trader: Trader, clock: VirtualClock
) -> None:
    for step in range(18):
        await clock.advance(30)
        if not 6 <= step < 12:
            await feed.poll()
        trader.exchange.advance()

    points = await trader.venue.price_history(BTC, EVER)

    assert {point.price for point in points} == {Decimal("64000.5")}
    gaps = [(after.at - before.at) // timedelta(minutes=1) for before, after in pairwise(points)]
    assert gaps == [1, 1, 4, 1, 1], "three minutes had no price"


async def test_there_is_no_history_before_the_first_poll(trader: Trader) -> None:
    with pytest.raises(VenueUnavailable, match="no price"):
        await trader.venue.price_history(BTC, EVER)
