"""What /status knows: the venue's word for what is held, the ledger's for what it cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from chatbot.domain.instrument import PositionSide
from chatbot.errors import NotFound
from chatbot.services.reporting import StatusReport
from tests.dialogs.harness import ANN, BOB, BTC, ETH, SOL, Dialog, a_dialog

D = Decimal


async def status_of(dialog: Dialog, **narrowed: object) -> StatusReport:
    user = await dialog.bot.store.user_by_ref(ANN)
    assert user is not None
    return await dialog.bot.reporting.status(user, **narrowed)  # type: ignore[arg-type]


async def a_pair(dialog: Dialog) -> None:
    await dialog.does("/open ETH long 1 10x")
    await dialog.price(ETH, 2300)
    await dialog.does("/hedge ETH")


async def test_nothing_live_is_an_empty_report_with_the_balance() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/start")

        report = await status_of(dialog)

        assert (report.hedges, report.positions) == ((), ())
        assert report.balance.equity == 10_000


async def test_one_report_reads_the_venue_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/open BTC long 0.05")
        (account,) = await dialog.bot.store.accounts()
        venue = dialog.bot.venues.of(account)
        reads: list[object] = []
        real: Callable[..., Awaitable[object]] = venue.view

        async def counted(*args: object, **kwargs: object) -> object:
            reads.append(args)
            return await real(*args, **kwargs)

        monkeypatch.setattr(venue, "view", counted)
        await status_of(dialog)

        assert len(reads) == 1


async def test_an_equal_pair_has_no_exposure_and_no_funding() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)

        (hedge,) = (await status_of(dialog)).hedges

        assert hedge.net_exposure == 0
        assert hedge.imbalance == 0
        assert hedge.funding.net_per_day == 0
        assert hedge.eaten_at is None
        assert {leg.side for leg in hedge.legs} == set(PositionSide)


async def test_the_lock_is_the_same_at_every_price() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        (before,) = (await status_of(dialog)).hedges
        await dialog.price(ETH, 2600)
        (after,) = (await status_of(dialog)).hedges

        assert after.lock.gross == before.lock.gross
        assert sum(leg.pnl for leg in after.legs) == after.lock.gross


async def test_funding_to_date_is_what_the_exchange_has_paid() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        await dialog.passes(9 * 3600)

        (position,) = (await status_of(dialog)).positions

        assert position.funding_to_date < 0
        (account,) = await dialog.bot.store.accounts()
        opened = (await dialog.bot.store.live_hedges())[0].opened_at
        paid = await dialog.bot.venues.of(account).funding_payments(ETH, opened)
        assert position.funding_to_date == sum(payment.amount for payment in paid)


async def test_an_unequal_pair_costs_funding_and_has_a_day_on_which_the_lock_is_eaten() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 2 10x")
        await dialog.price(ETH, 2300)
        await dialog.does("/hedge ETH 50%")

        (hedge,) = (await status_of(dialog)).hedges

        assert hedge.net_exposure == 1
        assert hedge.imbalance == D("0.5")
        assert hedge.funding.net_per_day < 0
        assert hedge.eaten_at is not None


async def test_a_position_that_the_ledger_does_not_know_is_reported_without_a_number() -> None:
    async with a_dialog() as dialog:
        await dialog.says("/paper elsewhere SOL short 5")

        (position,) = (await status_of(dialog)).positions

        assert (position.symbol, position.leg.side, position.number) == (SOL, PositionSide.SHORT, None)
        assert position.pnl_share == position.leg.pnl / (position.leg.entry_price * 5)


async def test_a_leg_that_is_gone_leaves_a_position_of_the_same_hedge() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.says("/paper elsewhere ETH short 1 close")

        report = await status_of(dialog)

        assert report.hedges == ()
        (position,) = report.positions
        assert (position.number, position.leg.side, position.widowed) == (1, PositionSide.LONG, True)


async def test_stops_come_from_the_orders_that_rest_on_the_exchange() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1 sl 1900 tp 2500")

        (position,) = (await status_of(dialog)).positions

        assert {(stop.kind, stop.price) for stop in position.stops} == {
            ("stop-loss", D(1900)),
            ("take-profit", D(2500)),
        }


async def test_a_report_can_be_narrowed_to_a_symbol_or_a_number() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.does("/open BTC long 0.05")

        by_symbol = await status_of(dialog, symbol=BTC)
        by_number = await status_of(dialog, number=1)

        assert ([h.number for h in by_symbol.hedges], [p.number for p in by_symbol.positions]) == ([], [2])
        assert ([h.number for h in by_number.hedges], [p.number for p in by_number.positions]) == ([1], [])
        with pytest.raises(NotFound, match="#9"):
            await status_of(dialog, number=9)


async def test_a_report_is_of_one_user_alone() -> None:
    async with a_dialog() as dialog:
        await a_pair(dialog)
        await dialog.says("/start", by=BOB)
        bob = await dialog.bot.store.user_by_ref(BOB)
        assert bob is not None

        report = await dialog.bot.reporting.status(bob)

        assert (report.hedges, report.positions) == ((), ())


async def test_active_alerts_are_part_of_the_report() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH long 1")
        await dialog.price(ETH, 2300)

        (position,) = (await status_of(dialog)).positions

        assert "target" in {kind for kind, _ in position.alerts}
