"""The benchmarks run and say what they found; how fast this machine is, no test can know."""

from __future__ import annotations

import asyncio
import itertools
import math
from decimal import Decimal

import aiohttp
import pytest

from bench import accounts, legs, orders, startup, storage, triggers, updates, watching
from bench.__main__ import PARTS, main
from bench.crowd import QUESTION, Answer, Crowd
from bench.figures import figure, median, quantile, times
from bench.tables import Aim, Table
from tests.wire.bot_api import LoopbackBotApi


@pytest.mark.slow
async def test_an_update_goes_through_the_whole_bot_and_through_a_peer() -> None:
    contenders = (updates.HEDGEROW, updates.ECHO)
    tiny = updates.Plan(repeats=1, chats=3, seconds=0.2, warm_up=0.1, contenders=contenders)
    table = await updates.measure(tiny)
    *measured, ratios = table.rows
    assert [row[0] for row in measured] == [contender.name for contender in contenders]
    assert all(positive(cell) for row in measured for cell in (*row[1:6], row[7]))
    assert ratios[0] == "Hedgerow to PTB echo"
    assert len(table.aims) == 2


async def test_orders_are_counted_in_round_trips_on_a_venue_that_is_far_away() -> None:
    table = await orders.measure(orders.Plan(repeats=1, delay=0.02))
    calls = {row[0]: int(row[1]) for row in table.rows}
    assert calls == {
        orders.OPEN: 1,
        orders.HEDGE: 1,
        orders.OFFSET_FIRST: 1,
        orders.AT_ONCE: 1,
        orders.OPEN_ANEW: 2,
    }
    gaps = {row[0]: row[-1] for row in table.rows}
    assert gaps[orders.OPEN] == ""
    # The primary leaves when the offset is filled; at once they leave together.
    assert float(gaps[orders.OFFSET_FIRST]) >= 20 > float(gaps[orders.AT_ONCE])


@pytest.mark.slow
async def test_both_legs_of_a_close_at_once_reach_each_exchange_in_one_request() -> None:
    table = await legs.measure(legs.Plan(repeats=1))
    requests = {row[0]: int(row[1]) for row in table.rows}
    at_once = {name: count for name, count in requests.items() if name.endswith("at once")}
    assert at_once == {"binance: at once": 1, "bybit: at once": 1, "okx: at once": 1}
    assert {count for name, count in requests.items() if name not in at_once} == {2}
    assert all(aim.met for aim in table.aims)


async def test_every_way_to_find_what_a_tick_crosses_names_the_same_positions() -> None:
    tiny = triggers.Plan(positions=2_000, markets=5, calm=2_000, crash=500, slow=500, changes=100)
    table = await triggers.measure(tiny)
    assert [row[0] for row in table.rows] == list(triggers.CONTENDERS)
    assert all(positive(cell) for row in table.rows for cell in row[1:6])
    assert len(table.aims) == 5


async def test_the_endangered_are_seen_sooner_than_in_turn_at_the_same_cost() -> None:
    """On a virtual clock: the same on every machine."""
    table = await watching.measure(watching.Plan(accounts=400, markets=5, before=10))
    ours, theirs = ([float(cell.strip("%").replace(",", "")) for cell in row[1:]] for row in table.rows)
    assert ours[0] == theirs[0] > 0
    assert ours[1] * watching.SOONER <= theirs[1]
    assert ours[-2] < theirs[-2]  # fewer looks


@pytest.mark.slow
async def test_an_account_costs_kilobytes_and_signs_for_itself() -> None:
    table = await accounts.measure(accounts.Plan(clones=200, instances=2, signed=40, symbols=20))
    small, large, _ = table.rows
    assert all(positive(cell) for row in (small, large) for cell in row[1:])
    assert float(small[1]) * 10 < float(large[1].replace(",", ""))
    assert all(aim.met for aim in table.aims)


@pytest.mark.slow
async def test_the_databases_are_measured_beside_each_other() -> None:
    table = await storage.measure(storage.Plan(repeats=1, seconds=0.05, reads=20))
    measured = [row for row in table.rows if row[0] in (storage.SQLITE, storage.POSTGRESQL)]
    assert all(positive(cell) for row in measured for cell in row[1:])
    assert len(table.rows) == (1 if table.notes else 3)


@pytest.mark.slow
async def test_a_start_is_measured_to_the_first_poll_and_holds_no_exchange_library() -> None:
    table = await startup.measure(startup.Plan(repeats=1), [startup.RESTART])
    ((name, *figures, ccxt),) = table.rows
    assert name == "hedgerow run"
    assert all(map(positive, figures))
    assert ccxt == "no"
    assert table.aims[-1] == Aim("ccxt is not loaded", met=True)


async def test_a_crowd_asks_again_when_all_the_messages_of_an_answer_are_there() -> None:
    """A push of the bot's own, which bears no mark, does not count."""
    seen: list[tuple[int, int]] = []

    async def nothing() -> None:
        return None

    async def answer_everything(api: LoopbackBotApi, session: aiohttp.ClientSession) -> None:
        for number in itertools.count(1):
            await api.wait_for(lambda api: questions(api) > len(seen), timeout=10)
            for text in ("card 1", "a push"):
                await say(api, session, text)
            await asyncio.sleep(0)
            seen.append((number, questions(api)))
            await say(api, session, "card 2")

    async with LoopbackBotApi() as api, aiohttp.ClientSession() as session:
        answering = asyncio.create_task(answer_everything(api, session))
        crowd = Crowd(api, [7], Answer("card", messages=2))
        load, _, _ = await crowd.ask(0.2, warm_up=0.01, read=nothing)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
    assert len(load.latencies) > 1
    assert all(number == asked for number, asked in seen)
    assert questions(api) == len(seen)  # in the end nobody waits any more


def questions(api: LoopbackBotApi) -> int:
    return sum(message.text == QUESTION for message in api.chat_log(7))


async def say(api: LoopbackBotApi, session: aiohttp.ClientSession, text: str) -> None:
    body = {"chat_id": 7, "text": text}
    async with session.post(f"{api.url}/bot{api.token}/sendMessage", json=body) as answer:
        assert answer.status == 200


def positive(cell: str) -> bool:
    return Decimal(cell.replace(",", "")) > 0


# --- figures and tables -------------------------------------------------------------------------


def test_a_median_of_nothing_is_not_a_number() -> None:
    assert median([3, 1, 2]) == 2
    assert math.isnan(median([]))


def test_a_quantile_is_a_measured_value() -> None:
    assert quantile([5.0, 1.0, 3.0], 0.5) == 3.0
    assert quantile([5.0, 1.0, 3.0], 1.0) == 5.0
    assert math.isnan(quantile([], 0.5))


@pytest.mark.parametrize(
    ("value", "text"), [(1234.5, "1,234"), (45.67, "45.7"), (1.234, "1.23"), (0.004, "0.00")]
)
def test_a_figure_has_the_digits_that_mean_something(value: float, text: str) -> None:
    assert figure(value) == text


def test_ratios_are_told_as_times() -> None:
    assert (times(1.234), times(14.76)) == ("1.23x", "14.8x")


def test_a_table_lines_up_and_says_which_aims_were_missed() -> None:
    table = Table(
        "Title",
        ("bot", "ms"),
        (("a", "1.5"), ("longer", "10")),
        (Aim("fast", met=True), Aim("small", met=False)),
        ("a note",),
    )
    assert str(table).splitlines() == [
        "Title",
        "bot      ms",
        "------  ---",
        "a       1.5",
        "longer   10",
        "  [met] fast",
        "  [MISSED] small",
        "  a note",
    ]


def test_only_known_parts_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "weather"])
    complaint = capsys.readouterr().err
    assert all(part in complaint for part in PARTS)
