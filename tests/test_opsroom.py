"""What the operator asks the running bot by real HTTP, and what the bot tells the operator's chat."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chatbot.chat import ChatRef, OutboxMessage, Platform, Priority, Reply, Text
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.quote import CloseRequest, CloseWay
from chatbot.errors import BadCredentials, DeliverLater, SettingsError
from chatbot.observing.events import Examined
from chatbot.ports import Changes
from chatbot.services.hedging import Started
from chatbot.settings import OpsSettings, Settings, TelegramSettings
from chatbot.storage.store import SqlStore
from chatbot.venues.paper.faults import LostReply, LostRequest, Unavailable
from chatbot.venues.paper.venue import PaperVenue
from tests.services.world import BEGIN, CHAT, ETH, OWNER, World, a_world

OPERATOR = ChatRef(Platform.TELEGRAM, "4242")
TOKEN = "123456789:AAHnotarealtokenbutofitsshape_0123456"
WATCHED = Settings(
    telegram=TelegramSettings(token=TOKEN),  # type: ignore[arg-type]
    ops=OpsSettings(port=0),
    operator_chat=OPERATOR,
)


class Pager:
    """What the operator reads. ``broken``: Telegram does not answer."""

    platform = Platform.TELEGRAM

    def __init__(self) -> None:
        self.read: list[str] = []
        self.broken = False

    async def deliver(self, chat: ChatRef, reply: Reply, *, edits: str | None) -> str | None:
        if self.broken:
            raise DeliverLater("no answer", retry_after=1.0)
        assert chat == OPERATOR
        self.read += [block.text for block in reply.blocks if isinstance(block, Text)]
        return str(len(self.read))

    async def acknowledge(self, request: object, toast: str | None) -> None:
        raise AssertionError("an operator taps nothing")


@dataclass
class Watch:
    world: World
    pager: Pager
    http: aiohttp.ClientSession

    async def probe(self, path: str) -> tuple[int, Mapping[str, object]]:
        async with self.http.get(path) as answer:
            return answer.status, await answer.json()

    async def scrape(self) -> dict[str, float]:
        """By name and labels, as Prometheus' own parser reads it."""
        async with self.http.get("/metrics") as answer:
            assert answer.status == 200
            families = text_string_to_metric_families(await answer.text())
            return {_name(s.name, s.labels): s.value for family in families for s in family.samples}

    async def pass_time(self, seconds: float) -> None:
        """The bot runs and nobody trades; what is owed is delivered."""
        for _ in range(int(seconds)):
            await self.world.clock.advance(1)
            await self.world.bot.scheduler.run_due()
            await self.world.clock.advance(0)


def _name(name: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{inner}}}" if inner else name


@asynccontextmanager
async def watched(settings: Settings = WATCHED, database: Path | None = None) -> AsyncIterator[Watch]:
    async with a_world(settings=settings, database=database) as world:
        pager = Pager()
        world.bot.speak_through(pager)
        world.bot.ops.attach(Platform.TELEGRAM, lambda: not pager.broken)
        pulse = asyncio.create_task(world.bot.ops.run())
        async with world.bot.ops.serving():
            where = f"http://127.0.0.1:{world.bot.ops.port}"
            async with aiohttp.ClientSession(where) as http:
                await world.clock.advance(0)
                yield Watch(world, pager, http)
        await world.bot.ops.stop()
        await pulse


# --- probes -------------------------------------------------------------------------------------


async def test_a_bot_that_runs_is_alive_and_ready() -> None:
    async with watched() as watch:
        await watch.pass_time(3)

        alive, life = await watch.probe("/livez")
        ready, parts = await watch.probe("/readyz")

    assert (alive, life["ok"], life["stage"]) == (200, True, "running")
    assert (ready, parts["ok"]) == (200, True)
    assert parts["database"] == {"ok": True, "trouble": None}
    assert parts["recovery"] == {"ok": True, "in_flight": 0}
    assert parts["platform"] == {"ok": True, "name": "telegram"}
    assert parts["exchanges"] == {"ok": True, "away_seconds": {"paper": 0.0}}


async def test_a_bot_that_still_recovers_is_alive_and_not_ready() -> None:
    async with (
        a_world(settings=WATCHED) as world,
        world.bot.ops.serving(),
        aiohttp.ClientSession(f"http://127.0.0.1:{world.bot.ops.port}") as http,
    ):
        alive, ready = await http.get("/livez"), await http.get("/readyz")
        parts = await ready.json()

    assert (alive.status, ready.status) == (200, 503)
    assert not parts["recovery"]["ok"]
    assert parts["database"]["ok"]


async def test_a_scheduler_that_stands_still_is_not_alive() -> None:
    async with watched() as watch:
        await watch.pass_time(2)
        await watch.world.clock.advance(61)  # and no job runs

        alive, life = await watch.probe("/livez")

    assert (alive, life["ok"], life["last_job_seconds"]) == (503, False, 61.0)


async def test_a_platform_that_is_away_is_not_ready() -> None:
    async with watched() as watch:
        watch.pager.broken = True

        ready, parts = await watch.probe("/readyz")

    assert ready == 503
    assert parts["platform"] == {"ok": False, "name": "telegram"}


async def test_an_exchange_that_is_away_for_a_minute_is_not_ready_until_it_answers() -> None:
    async with watched() as watch:
        await watch.world.open()
        watch.world.faults.on_reads(*[Unavailable()] * 40)
        await watch.pass_time(30)
        soon, _ = await watch.probe("/readyz")
        await watch.pass_time(40)
        late, parts = await watch.probe("/readyz")
        await watch.pass_time(20)
        again, _ = await watch.probe("/readyz")

    assert (soon, late, again) == (200, 503, 200)
    exchanges = parts["exchanges"]
    assert isinstance(exchanges, dict)
    assert exchanges["away_seconds"]["paper"] >= 60


async def test_a_database_that_cannot_be_written_is_not_ready_and_the_operator_hears_it_directly(
    tmp_path: Path,
) -> None:
    async with watched(database=tmp_path) as watch:
        await watch.world.bot.ops.judge()
        blocker = sqlite3.connect(tmp_path / "bot.db", isolation_level=None)
        blocker.execute("PRAGMA query_only = OFF")
        blocker.execute("ALTER TABLE cursors RENAME TO elsewhere")
        await watch.world.clock.advance(11)

        ready, parts = await watch.probe("/readyz")
        await watch.world.clock.advance(11)
        figures = await watch.scrape()
        await watch.world.bot.ops.judge()
        told = list(watch.pager.read)
        blocker.execute("ALTER TABLE elsewhere RENAME TO cursors")
        blocker.close()
        await watch.world.clock.advance(2)
        back, _ = await watch.probe("/readyz")

    assert (ready, back) == (503, 200)
    assert parts["database"] == {"ok": False, "trouble": "StorageError"}
    assert figures["hedgerow_database_up"] == 0
    assert len(told) == 1
    assert "database" in told[0]


async def test_the_port_is_off_unless_it_is_set_and_then_on_this_machine_only() -> None:
    assert Settings().ops == OpsSettings(host="127.0.0.1", port=None)
    async with a_world() as world, world.bot.ops.serving():
        assert world.bot.ops.port is None


async def test_a_bot_that_nobody_watches_pays_for_no_watching() -> None:
    async with a_world() as world:
        assert type(world.bot.store) is SqlStore
        assert type(world.bot.venues.of(world.account)) is PaperVenue


def test_the_metrics_library_is_loaded_only_where_it_is_scraped() -> None:
    loads = "import sys, chatbot.running; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_a_port_that_is_taken_names_its_setting() -> None:
    async with watched() as watch:
        taken = WATCHED.model_copy(update={"ops": OpsSettings(port=watch.world.bot.ops.port)})
        async with a_world(settings=taken) as second:
            with pytest.raises(SettingsError, match=r"^HEDGEROW_OPS__PORT: cannot listen on 127\.0\.0\.1"):
                async with second.bot.ops.serving():
                    raise AssertionError("it should not have come to this")


async def test_only_the_three_pages_are_there_and_only_to_be_read() -> None:
    async with watched() as watch:
        nowhere = await watch.http.get("/")
        key_page = await watch.http.get("/connect/" + "a" * 43)
        posted = await watch.http.post("/metrics", data="x")

    assert (nowhere.status, key_page.status, posted.status) == (404, 404, 405)


# --- metrics ------------------------------------------------------------------------------------


async def test_a_calm_bot_shows_what_it_is_and_no_trouble() -> None:
    async with watched() as watch:
        await watch.world.open()
        await watch.world.hedge()
        await watch.pass_time(3)
        figures = await watch.scrape()

    assert figures['hedgerow_accounts{venue="paper"}'] == 1
    assert figures["hedgerow_hedges_live"] == 1
    assert figures['hedgerow_orders_total{outcome="accepted",venue="paper"}'] == 2
    assert figures["hedgerow_database_up"] == 1
    assert figures['hedgerow_look_oldest_seconds{venue="paper"}'] <= 2
    assert figures["hedgerow_commit_seconds_count"] > 4
    assert figures["hedgerow_event_loop_lag_seconds_count"] >= 3
    assert figures['hedgerow_deliveries_total{outcome="delivered",platform="console"}'] >= 1
    assert figures["process_resident_memory_bytes"] > 10_000_000
    assert any(name.startswith("hedgerow_build_info{") for name in figures)
    for trouble in ("naked_legs", "orders_unknown", "hedges_frozen", "messages_owed", "alerts_owed"):
        assert figures[f"hedgerow_{trouble}"] == 0, trouble


async def half_closed(watch: Watch) -> None:
    """The offset is closed, the primary waits for an exchange that takes no more orders."""
    world = watch.world
    await world.open()
    await world.hedge()
    quote = await world.bot.hedging.offer_close(world.user, CHAT, CloseRequest(ETH))
    world.faults.on_orders(None, *[LostRequest()] * 50)
    assert isinstance(await world.tap(quote, CloseWay.OFFSET_FIRST), Started)


async def test_a_leg_that_stays_behind_is_counted_from_the_beginning_of_its_operation() -> None:
    async with watched() as watch:
        await half_closed(watch)
        await watch.pass_time(20)
        figures = await watch.scrape()

    assert figures["hedgerow_naked_legs"] == 1
    assert figures["hedgerow_naked_leg_oldest_seconds"] == 20
    assert figures["hedgerow_operations_running"] == 1


async def test_an_order_without_an_answer_is_counted_until_its_fate_is_known() -> None:
    async with watched() as watch:
        world = watch.world
        world.faults.hide_orders_for, world.faults.hide_fills = 15.0, True
        world.faults.on_orders(LostReply())
        opening = asyncio.create_task(world.open())
        for _ in range(5):
            await world.clock.advance(1)
        while_unknown = await watch.scrape()
        world.faults.hide_fills = False
        await opening
        await world.clock.advance(2)
        afterwards = await watch.scrape()

    assert while_unknown["hedgerow_orders_unknown"] == 1
    assert while_unknown["hedgerow_order_unknown_oldest_seconds"] >= 4
    assert while_unknown['hedgerow_orders_total{outcome="unknown",venue="paper"}'] == 1
    assert afterwards["hedgerow_orders_unknown"] == 0
    assert afterwards["hedgerow_order_unknown_oldest_seconds"] == 0


async def in_time(watch: Watch, doing: Coroutine[Any, Any, object]) -> None:
    """Time passes until it is done."""
    task = asyncio.ensure_future(doing)
    while not task.done():
        await watch.world.clock.advance(0.25)
    task.result()


async def test_the_gap_between_legs_is_the_exchanges_own() -> None:
    async with watched() as watch:
        world = watch.world
        await world.open()
        await world.hedge()
        await world.close(CloseWay.AT_ONCE)
        await world.open()
        await world.hedge()
        world.faults.delay = 1.0
        await in_time(watch, world.close(CloseWay.OFFSET_FIRST))
        figures = await watch.scrape()

    assert figures["hedgerow_leg_gap_seconds_count"] == 2
    assert figures['hedgerow_leg_gap_seconds_bucket{le="0.001"}'] == 1
    assert 0.5 <= figures["hedgerow_leg_gap_seconds_sum"] <= 5


async def test_a_frozen_hedge_is_counted_and_the_operator_told_its_id_and_of_no_user() -> None:
    async with watched() as watch:
        world = watch.world
        await world.open()
        hedge = await world.live()
        wrong = hedge.with_leg(replace(hedge.primary, quantity=Decimal("0.9")))
        await world.bot.store.commit(Changes(hedges=(wrong,)))
        await watch.pass_time(30)
        assert (await world.live()).status is HedgeStatus.FROZEN
        figures = await watch.scrape()

    assert figures["hedgerow_hedges_frozen"] == 1
    assert figures["hedgerow_hedges_unexplained"] == 1
    assert figures['hedgerow_alerts_active{kind="frozen"}'] == 1
    (told,) = [text for text in watch.pager.read if "frozen" in text]
    assert hedge.id in told
    assert OWNER.id not in told
    assert world.account.id not in told


async def test_a_message_that_nobody_takes_grows_old_though_it_is_postponed_again_and_again() -> None:
    """Each postponement makes it due anew; its age is what counts."""
    async with watched() as watch:
        await watch.world.bot.ops.judge()
        watch.pager.broken = True
        await owe(watch, "an alert", Priority.CRITICAL)
        await watch.pass_time(100)
        figures = await watch.scrape()

    assert figures["hedgerow_alerts_owed"] == 2, "the alert, and that it is stuck"
    assert 95 <= figures["hedgerow_alert_owed_oldest_seconds"] <= 100
    assert figures['hedgerow_deliveries_total{outcome="later",platform="telegram"}'] > 5


async def owe(watch: Watch, key: str, priority: Priority) -> None:
    now = watch.world.clock.now()
    message = OutboxMessage(key, OPERATOR, Reply((Text(key),)), priority, now)
    await watch.world.bot.store.commit(Changes(outbox=(message,)))
    watch.world.bot.outbox.notify()


async def test_errors_of_an_exchange_are_counted_by_their_class() -> None:
    async with watched() as watch:
        watch.world.faults.on_reads(Unavailable(), Unavailable())
        await watch.pass_time(6)
        figures = await watch.scrape()

    assert figures['hedgerow_venue_errors_total{kind="VenueUnavailable",venue="paper"}'] == 2
    assert figures['hedgerow_venue_call_seconds_count{call="view",venue="paper"}'] > 2


async def test_metrics_name_no_user_account_chat_or_market() -> None:
    async with watched() as watch:
        await watch.world.open()
        await watch.world.hedge()
        await watch.pass_time(10)
        async with watch.http.get("/metrics") as answer:
            text = await answer.text()

    world = watch.world
    for private in (world.account.id, world.user.id, str(OWNER), str(CHAT), OPERATOR.id, "ETH", "owner"):
        assert private not in text, private
    labels = set(re.findall(r'(\w+)="', text))
    assert labels <= {
        "venue", "call", "kind", "outcome", "platform", "job", "state", "le", "version", "python"
    }  # fmt: skip


async def test_a_scrape_asks_the_database_once_a_second_however_often_it_is_wanted() -> None:
    async with watched() as watch:
        await watch.scrape()
        asked = Counted(watch)
        await asyncio.gather(*(watch.scrape() for _ in range(5)))
        within_a_second = asked.times
        await watch.world.clock.advance(1)
        await watch.scrape()

    assert (within_a_second, asked.times) == (0, 1)


class Counted:
    """How often the census is taken."""

    def __init__(self, watch: Watch) -> None:
        self.times = 0
        sources = watch.world.bot.ops._reader._sources
        inner = sources.census.standing

        async def standing() -> object:
            self.times += 1
            return await inner()

        sources.census.standing = standing  # type: ignore[method-assign,assignment]


# --- the operator's chat ------------------------------------------------------------------------


async def test_a_leg_that_is_naked_for_a_minute_is_told_once_and_when_it_is_over() -> None:
    async with watched() as watch:
        await half_closed(watch)
        await watch.pass_time(55)
        early = list(watch.pager.read)
        await watch.pass_time(120)
        naked = [text for text in watch.pager.read if "Hedgerow: naked" in text]
        watch.world.faults._orders.clear()
        await watch.world.settle()
        await watch.pass_time(70)

    assert early == []
    assert len(naked) == 1
    assert "1 operation (hedge " in naked[0]
    assert any("naked is over" in text for text in watch.pager.read)


async def test_alerts_that_are_stuck_are_told_past_the_outbox() -> None:
    async with watched() as watch:
        await watch.world.bot.ops.judge()
        elsewhere = ChatRef(Platform.DISCORD, "9")  # a platform that does not run
        message = OutboxMessage("stuck", elsewhere, Reply((Text("x"),)), Priority.WARNING, BEGIN)
        await watch.world.bot.store.commit(Changes(outbox=(message,)))
        await watch.pass_time(70)

    (told,) = watch.pager.read
    assert "1 alert among them" in told


async def test_a_job_that_fails_three_times_in_a_row_is_told() -> None:
    async with watched() as watch:

        async def fail() -> None:
            raise ZeroDivisionError

        watch.world.bot.scheduler.every("market maker", 5, fail)
        await watch.pass_time(20)
        figures = await watch.scrape()

    (told,) = watch.pager.read
    assert re.search(r"The job 'market maker' has failed [345] times in a row", told)
    assert figures['hedgerow_job_failures_in_a_row{job="market maker"}'] >= 3


async def test_many_keys_refused_by_one_exchange_are_told_with_where_to_read_on() -> None:
    async with watched() as watch:
        for _ in range(5):
            watch.world.bot.ops.ears.hear(Examined("okx", BadCredentials()))
        await watch.pass_time(10)

    (told,) = watch.pager.read
    assert "okx has refused 5 different keys" in told
    assert "Runbook: `keys`" in told
