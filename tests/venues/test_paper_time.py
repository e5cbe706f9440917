from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.order import FillCause, OrderType
from chatbot.errors import SettingsError, StorageError
from chatbot.venues.feeds import BTC, ETH, ReplayFeed, ScriptedFeed, SimulatedFeed
from tests.venues.paper_trader import EVER, ISOLATED, LONG, SHORT, START, Trader, scripted

REPLAY = Path(__file__).parents[2].parent / "shared" / "data" / "replay-btcusdt-1m-2025-10-08-to-12.csv"
DAY = 86_400


def simulated(clock: VirtualClock, state: Path | None = None, speed: int = 60) -> Trader:
    return Trader(
        feed=SimulatedFeed(7, step=timedelta(seconds=10)), clock=clock, state=state, speed=Decimal(speed)
    )


async def test_market_time_runs_at_its_speed() -> None:
    trader = Trader(speed=Decimal("2.5"))
    await trader.clock.advance(100)
    assert trader.exchange.market_now() - START == timedelta(seconds=250)
    view = await trader.venue.view()
    assert view.at - START == timedelta(seconds=250)
    assert view.read_at == trader.clock.now()
    trader.exchange.close()


async def test_market_time_stands_still_while_the_process_is_down(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    first = Trader(clock=clock, state=tmp_path / "paper.db")
    await clock.advance(100)
    first.exchange.close()
    await clock.advance(DAY)

    again = Trader(clock=clock, state=tmp_path / "paper.db")

    assert again.exchange.market_now() - START == timedelta(seconds=100)
    again.exchange.close()


async def test_a_restart_sees_the_same_prices_as_an_uninterrupted_run(tmp_path: Path) -> None:
    steady_clock, broken_clock = VirtualClock(START), VirtualClock(START)
    steady = simulated(steady_clock)
    broken = simulated(broken_clock, tmp_path / "paper.db")
    for trader in (steady, broken):
        await trader.open(LONG, "1")
        await trader.open(SHORT, "0.2", symbol=BTC)
        stop = trader.request(LONG, "1", opens=False, type=OrderType.STOP_LOSS, trigger="1900")
        await trader.done(stop)
    for hours in range(6):
        await steady_clock.advance(240)
        await broken_clock.advance(240)
        broken.exchange.close()
        await broken_clock.advance(1000 + hours)
        broken = simulated(broken_clock, tmp_path / "paper.db")
        one, other = await steady.venue.view([ETH, BTC]), await broken.venue.view([ETH, BTC])
        assert one.markets == other.markets
        assert one.books == other.books
        assert one.positions == other.positions
        assert one.balance == other.balance
        assert one.open_orders == other.open_orders
    for symbol in (ETH, BTC):
        assert await steady.venue.funding_payments(symbol, EVER) == await broken.venue.funding_payments(
            symbol, EVER
        )
    assert len(await steady.venue.funding_payments(ETH, EVER)) == 3 * 1
    steady.exchange.close()
    broken.exchange.close()


async def test_ticks_in_between_are_not_skipped_by_a_long_pause() -> None:
    clock = VirtualClock(START)
    patient, busy = simulated(clock), simulated(clock)
    for trader in (patient, busy):
        await trader.use(LONG, mode=ISOLATED, leverage=100)
        await trader.open(LONG, "1")
    for _ in range(60):
        await clock.advance(2)
        await busy.venue.view()
    assert await patient.fills() == await busy.fills()
    assert (await patient.fills())[-1].cause in set(FillCause)
    patient.exchange.close()
    busy.exchange.close()


async def test_a_state_of_another_market_is_not_mixed_in(tmp_path: Path) -> None:
    Trader(state=tmp_path / "paper.db").exchange.close()
    with pytest.raises(SettingsError, match="HEDGEROW_PAPER__STATE_FILE"):
        Trader(feed=SimulatedFeed(8), state=tmp_path / "paper.db")
    Trader(state=tmp_path / "paper.db").exchange.close()


async def test_two_exchanges_cannot_share_a_state_file(tmp_path: Path) -> None:
    first = Trader(state=tmp_path / "paper.db")
    with pytest.raises(StorageError, match="in use"):
        Trader(state=tmp_path / "paper.db")
    first.exchange.close()
    Trader(state=tmp_path / "paper.db").exchange.close()


async def test_a_file_of_something_else_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all, " * 100)
    with pytest.raises(StorageError, match=r"notes\.txt"):
        Trader(state=path)
    assert path.read_text().startswith("not a database")


async def test_settings_and_modes_survive_a_restart(tmp_path: Path) -> None:
    trader = Trader(state=tmp_path / "paper.db")
    await trader.use(LONG, mode=ISOLATED, leverage=25)
    await trader.open(LONG, "1")
    await trader.done(trader.request(LONG, "1", opens=False, type=OrderType.TRIGGER, trigger="2100"))
    await trader.exchange.deposit(trader.account, Decimal(5), reference="d")
    before = await trader.venue.view([ETH])
    trader.exchange.close()

    again = Trader(state=tmp_path / "paper.db")
    after = await again.venue.view([ETH])

    for name in ("at", "balance", "position_mode", "positions", "leg_settings", "open_orders"):
        assert getattr(after, name) == getattr(before, name)
    assert (
        await again.exchange.deposit(again.account, Decimal(5), reference="d")
    ).wallet == after.balance.wallet
    assert (await again.price("2150")).positions == ()
    again.exchange.close()


# --- replay -------------------------------------------------------------------------------------


def small_replay(tmp_path: Path, *rates: str) -> ReplayFeed:
    start = datetime(2025, 10, 8, 7, 58, tzinfo=UTC)
    rows = ["ts,mark,mid,index,funding_rate"]
    for minute, rate in enumerate(rates or ("", "", "0.0002", "", "")):
        at = int((start + timedelta(minutes=minute)).timestamp() * 1000)
        rows.append(f"{at},{50_000 + minute},{50_000 + minute},{50_000 + minute},{rate}")
    path = tmp_path / "small.csv"
    path.write_text("\n".join(rows))
    return ReplayFeed.read(path)


async def test_a_replay_settles_funding_on_its_own_rows(tmp_path: Path) -> None:
    trader = Trader(feed=small_replay(tmp_path))
    await trader.open(LONG, "1", symbol=BTC)
    market = (await trader.venue.view()).markets[BTC]
    assert market.funding_rate == Decimal("0.0002")
    assert market.next_funding_at == datetime(2025, 10, 8, 8, tzinfo=UTC)

    await trader.clock.advance(150)

    (payment,) = await trader.venue.funding_payments(BTC, EVER)
    assert payment.amount == -50_002 * Decimal("0.0002")
    trader.exchange.close()


async def test_a_replay_settles_as_often_as_its_file(tmp_path: Path) -> None:
    trader = Trader(feed=small_replay(tmp_path, "0.0001", "", "0.0002", "", "0.0005"))
    await trader.open(LONG, "1", symbol=BTC)
    market = (await trader.venue.view()).markets[BTC]
    assert market.funding_interval == timedelta(minutes=2)
    await trader.clock.advance(DAY)
    payments = await trader.venue.funding_payments(BTC, EVER)
    assert [payment.rate for payment in payments] == [Decimal("0.0002"), Decimal("0.0005")]
    trader.exchange.close()


async def test_at_the_end_of_a_replay_the_market_stands_still(tmp_path: Path) -> None:
    trader = Trader(feed=small_replay(tmp_path))
    await trader.open(LONG, "1", symbol=BTC)
    await trader.clock.advance(DAY)

    view = await trader.venue.view()

    assert view.at == datetime(2025, 10, 8, 8, 2, tzinfo=UTC)
    assert view.markets[BTC].mark_price == 50_004
    assert len(await trader.venue.funding_payments(BTC, EVER)) == 1
    assert (await trader.close(LONG, "1", symbol=BTC)).filled_quantity == 1
    trader.exchange.close()


async def test_a_replay_lists_only_what_the_file_has(tmp_path: Path) -> None:
    trader = Trader(feed=small_replay(tmp_path))
    assert set(await trader.venue.instruments()) == {BTC}
    trader.exchange.close()


@pytest.mark.skipif(not REPLAY.exists(), reason="the recorded market is not here")
async def test_five_recorded_days_are_replayed_within_seconds_and_the_crash_is_felt() -> None:
    trader = Trader(feed=ReplayFeed.read(REPLAY))
    await trader.use(LONG, mode=ISOLATED, leverage=10, symbol=BTC)
    await trader.open(LONG, "0.1", symbol=BTC)
    await trader.open(SHORT, "0.1", symbol=BTC)
    began = time.process_time()

    await trader.clock.advance(5 * DAY)
    view = await trader.venue.view()

    assert time.process_time() - began < 1.5
    assert [position.side for position in view.positions] == [SHORT]
    liquidation = (await trader.fills(symbol=BTC))[-1]
    assert liquidation.cause is FillCause.LIQUIDATION
    assert liquidation.at.date() == datetime(2025, 10, 10, tzinfo=UTC).date()
    assert len(await trader.venue.funding_payments(BTC, EVER)) == 14 + 8
    assert view.balance.wallet == await trader.explained_wallet()
    trader.exchange.close()


async def test_a_scripted_price_can_be_set_without_time_passing() -> None:
    feed = scripted()
    assert isinstance(feed, ScriptedFeed)
    trader = Trader(feed=feed)
    feed.set(ETH, Decimal(2500), funding_rate=Decimal("-0.0003"))
    market = (await trader.venue.view([ETH])).markets[ETH]
    assert (market.mark_price, market.funding_rate, market.at) == (
        Decimal(2500),
        Decimal("-0.0003"),
        START,
    )
    trader.exchange.close()
