"""What a chart is drawn from: how far back, what was held when, what it was worth."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from chatbot.domain.instrument import PositionSide, Symbol
from chatbot.services.charting import ChartReport
from tests.dialogs.harness import ANN, BTC, ETH, SOL, Dialog, a_dialog

D = Decimal
DAY = timedelta(days=1)


async def chart_of(dialog: Dialog, symbol: Symbol = ETH) -> ChartReport:
    user = await dialog.bot.store.user_by_ref(ANN)
    assert user is not None
    return await dialog.bot.router.services.charting.chart(user, symbol)


async def hours(dialog: Dialog, count: int, *, price: int, symbol: Symbol = ETH) -> None:
    dialog.feed.set(symbol, D(price))
    for _ in range(count * 12):
        await dialog.clock.advance(300)
        dialog.bot.exchange.advance()
    await dialog.settle()


async def a_pair(dialog: Dialog) -> None:
    """Eight hours of nothing, eight of a long from 2,000, eight of the lock at 2,300."""
    await hours(dialog, 8, price=2_000)
    await dialog.does("/open ETH long 1 10x")
    await hours(dialog, 8, price=2_300)
    await dialog.does("/hedge ETH")
    await hours(dialog, 8, price=2_500)


async def test_the_chart_of_a_pair_begins_shortly_before_the_pair() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        report = await chart_of(dialog)

        opened_at = report.entries[0].at
        assert timedelta(hours=3) < opened_at - report.points[0].at < timedelta(hours=5)
        assert report.points[-1].at == report.status.at
        assert not report.cut_short
        assert report.enough


async def test_the_chart_of_an_open_position_shows_the_last_day() -> None:
    async with a_dialog() as dialog:
        await hours(dialog, 20, price=2_000)
        await dialog.does("/open ETH long 1 10x")
        await hours(dialog, 20, price=2_100)

        report = await chart_of(dialog)

        assert report.points[-1].at - report.points[0].at <= DAY
        assert report.asked_since == report.status.at - DAY


async def test_the_lock_makes_the_result_flat() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        report = await chart_of(dialog)

        (span,) = report.locked
        before = {point.amount for point in report.result if point.at < span.since}
        after = {point.amount for point in report.result if point.at > span.since}
        assert max(before) - min(before) > 250
        assert len(after) == 1
        assert after.pop() == report.status.hedges[0].lock.gross


async def test_the_last_result_is_what_the_legs_show_now() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1 50%", button="Offset first")
        await hours(dialog, 1, price=2_400)

        report = await chart_of(dialog)

        (hedge,) = report.status.hedges
        shown = sum(leg.pnl for leg in hedge.legs) + hedge.lock.realized
        assert abs(report.result[-1].amount - shown) < D("1e-9")


async def test_a_leg_that_was_lifted_ends_the_lock_and_stays_in_the_result() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/close #1", button="Only the offset")
        await hours(dialog, 1, price=2_600)

        report = await chart_of(dialog)

        (span,) = report.locked
        assert span.until is not None
        assert [leg.side for leg in report.legs] == [PositionSide.LONG]
        lifted_at = 2_500 - 2_300
        assert abs(report.result[-1].amount - (600 - lifted_at)) < 3


async def test_a_position_from_elsewhere_counts_since_the_exchange_says_it_was_opened() -> None:
    async with a_dialog() as dialog:
        await hours(dialog, 2, price=150, symbol=SOL)
        await dialog.says("/paper elsewhere SOL long 10")
        opened_at = dialog.bot.exchange.market_now()
        await hours(dialog, 2, price=160, symbol=SOL)

        report = await chart_of(dialog, SOL)

        assert report.result[0].at == opened_at
        assert abs(report.result[-1].amount - 100) < 1
        assert report.entries == ()


async def test_a_hedge_of_a_position_from_elsewhere_shows_at_least_a_day() -> None:
    async with a_dialog() as dialog:
        await hours(dialog, 30, price=150, symbol=SOL)
        await dialog.says("/paper elsewhere SOL long 10")
        await hours(dialog, 1, price=160, symbol=SOL)
        await dialog.does("/hedge SOL")
        await hours(dialog, 1, price=170, symbol=SOL)

        report = await chart_of(dialog, SOL)

        assert report.asked_since == report.status.at - DAY
        (span,) = report.locked
        assert report.status.at - span.since == timedelta(hours=1)


async def test_an_exchange_that_remembers_less_than_was_asked_for_is_noticed() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/start")
        await hours(dialog, 2, price=100_000, symbol=BTC)

        report = await chart_of(dialog, BTC)

        assert report.cut_short
        assert report.known <= timedelta(hours=2)


async def test_a_minute_of_history_is_not_enough() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/start")
        await dialog.passes(60)

        assert not (await chart_of(dialog, BTC)).enough
