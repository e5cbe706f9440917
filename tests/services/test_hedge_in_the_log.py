"""Whoever greps the log for a hedge's id finds everything that was done for it, and nothing of another."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.instrument import PositionSide
from chatbot.domain.quote import CloseWay, OpenRequest, Size, SizeUnit
from chatbot.log import JsonFormatter, RedactionFilter, TextFormatter, about
from chatbot.venues.paper.faults import LostReply, LostRequest, Partial, Unavailable
from tests.services.world import BEGIN, BTC, CHAT, ETH, World, a_world, prices

DRIVE = ("chatbot.services.driving", "chatbot.services.recovery", "chatbot.services.reading")


class Journal:
    """Both formats at once, as the program writes them."""

    def __init__(self) -> None:
        self._streams = (io.StringIO(), io.StringIO())
        self.handlers = []
        for stream, formatter in zip(self._streams, (JsonFormatter(), TextFormatter()), strict=True):
            handler = logging.StreamHandler(stream)
            handler.setFormatter(formatter)
            handler.addFilter(RedactionFilter())
            self.handlers.append(handler)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._streams[0].getvalue().splitlines()]

    @property
    def text(self) -> list[str]:
        return self._streams[1].getvalue().splitlines()

    def of_drives(self) -> list[dict[str, object]]:
        return [line for line in self.lines if line["logger"] in DRIVE]


@pytest.fixture
def journal() -> Iterator[Journal]:
    """On our own loggers, so that what pytest keeps of the root stays its own."""
    made, ours = Journal(), logging.getLogger("chatbot")
    level = ours.level
    ours.setLevel(logging.DEBUG)
    for handler in made.handlers:
        ours.addHandler(handler)
    yield made
    for handler in made.handlers:
        ours.removeHandler(handler)
    ours.setLevel(level)


async def hedge_and_close(world: World) -> None:
    """With all that makes a drive talk: an exchange that is away, answers that are lost, half an order."""
    await world.open()
    world.faults.on_orders(LostReply())
    await world.hedge()
    world.faults.on_orders(LostRequest(), None)
    world.faults.on_reads(*[None] * 3, *[Unavailable()] * 4)
    await world.close(CloseWay.OFFSET_FIRST)


async def test_every_line_of_a_whole_hedge_and_close_bears_the_hedge(journal: Journal) -> None:
    async with a_world() as world:
        await hedge_and_close(world)
        hedge = await world.hedge_number(1)

    lines = journal.of_drives()
    assert hedge.closed_at is not None
    assert len(lines) >= 12
    assert {line.get("hedge") for line in lines} == {hedge.id}
    assert all(line.get("operation") for line in lines)
    assert len({line["operation"] for line in lines}) == 3
    assert {"operation ended", "order answered", "order looked up"} <= {line["message"] for line in lines}


async def test_the_text_format_says_the_same(journal: Journal) -> None:
    async with a_world() as world:
        await hedge_and_close(world)
        hedge = await world.hedge_number(1)

    drives = [line for line in journal.text if any(name in line for name in DRIVE)]
    assert len(drives) == len(journal.of_drives())
    assert all(f" hedge={hedge.id} operation=" in line for line in drives)


async def test_two_hedges_at_once_keep_their_lines_apart(journal: Journal) -> None:
    async with a_world(prices()) as world:
        world.faults.on_orders(Partial(Decimal("0.5")), None)
        await world.open(ETH)
        await world.open(BTC, quantity="0.01")
        eth, btc = await world.live(ETH), await world.live(BTC)

    by_order = {str(line["order"]): line["hedge"] for line in journal.of_drives() if "order" in line}
    assert set(by_order.values()) == {eth.id, btc.id}
    assert all(str(hedge) in order for order, hedge in by_order.items())


async def test_a_line_of_a_request_bears_the_request_and_so_do_the_orders_it_led_to(journal: Journal) -> None:
    async with a_world() as world:
        with about(request="telegram:5"):
            await world.open()

    assert {line.get("request") for line in journal.of_drives()} == {"telegram:5"}


async def test_what_goes_on_after_a_restart_bears_its_hedge_too(journal: Journal, tmp_path: Path) -> None:
    clock = VirtualClock(BEGIN)
    async with a_world(clock=clock, database=tmp_path) as world:
        world.faults.hide_orders_for, world.faults.hide_fills = 3600, True
        world.faults.on_orders(LostReply())
        size = Size(SizeUnit.BASE, Decimal(1))
        request = OpenRequest(ETH, PositionSide.LONG, size, Decimal(10))
        await world.tap(await world.bot.hedging.offer_open(world.user, CHAT, request))
        await clock.advance(0)
    async with a_world(clock=clock, database=tmp_path, ids=8) as again:
        await again.settle()
        hedge = await again.hedge_number(1)

    (resumed,) = [line for line in journal.lines if str(line["message"]).startswith("resuming")]
    assert resumed["hedge"] == hedge.id
    assert {line.get("hedge") for line in journal.of_drives()} == {hedge.id}
