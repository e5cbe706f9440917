"""A key's parts are nowhere but sealed in the vault, whatever an exchange says and whatever fails."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatbot.errors import VenueError
from chatbot.log import LogFormat, LogLevel, configure_logging
from chatbot.venues.feeds import ETH
from tests.live.floor import KEYS, Floor, a_floor
from tests.wire.ccxt_rig import MAJORS
from tests.wire.venues.faults import (
    CutBody,
    Down,
    Endpoint,
    Garbage,
    LostReply,
    Refuse,
    RequestFault,
)

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("venue_id", MAJORS)]


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    root, log = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    configure_logging(LogFormat.JSON, LogLevel.DEBUG, stream=log)
    try:
        yield log
    finally:
        logging.basicConfig(level=level, handlers=handlers, force=True)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with everything_logged() as log:
        yield log


@pytest.fixture
async def floor(venue_id: str, log: io.StringIO, tmp_path: Path) -> AsyncIterator[Floor]:
    async with a_floor(venue_id, database_url=f"sqlite+aiosqlite:///{tmp_path}/t.db") as floor:
        yield floor


def parts_of(floor: Floor) -> list[str]:
    return [part for part in KEYS[floor.venue_id] if part]


def telling_faults(floor: Floor) -> list[RequestFault]:
    """Answers that carry what was sent, as careless gateways do."""
    told = " ".join(parts_of(floor))
    page = f"<html>{told}</html>"
    return [
        Refuse("-9999" if floor.venue_id == "binance" else "99999", f"unknown key {told}"),
        Down(502, body=page),
        Down(503, acted=True, body=page),
        Garbage(page),
        Garbage(json.dumps({"code": 1, "msg": told, "retCode": 1, "retMsg": told})),
        CutBody(),
        LostReply(),
    ]


async def test_no_part_of_a_key_is_found_anywhere_after_a_day_of_trouble(
    floor: Floor, log: io.StringIO, tmp_path: Path
) -> None:
    floor.server.faults.on(Endpoint.PERMISSIONS, *telling_faults(floor)[1:2] * 2)
    await floor.phone.asks("/start", "Hedgerow")
    await floor.connects(expecting="nothing was stored")
    await floor.clock.advance(60)
    floor.server.faults.forget()
    card = await floor.connects()
    await floor.phone.chooses(card, f"Use {floor.venue_id}", "Orders go to")
    await floor.does("/open ETH long 1", "#1 ETH is open")
    for fault in telling_faults(floor):
        await a_command_of_each_kind(floor, fault)
    await floor.does("/close #1", "#1 ETH closed", button="Close")
    assert await floor.complaints() == []
    floor.phone.says(f"/disconnect {floor.venue_id}")
    sure = await floor.phone.finds(lambda m: "Yes, disconnect" in m.labels, "the question")
    await floor.phone.chooses(sure, "Yes, disconnect", "is disconnected")
    await floor.settled()

    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    calls = [dict(call.parameters) for call in floor.api.calls if call.method != "getUpdates"]
    said = json.dumps(calls, default=str)
    shown = "\n".join(message.text for message in floor.api.chat_log(floor.phone.chat))
    assert '"level": "DEBUG"' in log.getvalue()
    for part in parts_of(floor):
        assert part.encode() not in on_disk
        assert part not in log.getvalue()
        assert part not in said
        assert part not in shown


async def a_command_of_each_kind(floor: Floor, fault: RequestFault) -> None:
    """A read, a write and an order meet the fault; what the chat says to it is all looked at later."""
    for endpoint in (Endpoint.POSITIONS, Endpoint.BALANCE, Endpoint.PLACE):
        floor.server.faults.on(endpoint, fault)
    for command in ("/status", "/adjust #1 sl 1500", "/adjust #1 primary +0.1", "/accounts"):
        floor.phone.says(command)
        answer = await floor.phone.finds(lambda message: True, "an answer")
        if "Confirm" in answer.labels:
            floor.phone.taps(answer, "Confirm")
        await floor.settled()
    floor.server.faults.forget()
    await floor.clock.advance(60)


async def test_no_error_of_the_adapter_carries_a_part_of_a_key(floor: Floor) -> None:
    await floor.goes_live()
    venue = floor.bot.venues.of(await floor.account())
    raised = 0
    for fault in telling_faults(floor):
        floor.server.faults.on(Endpoint.POSITIONS, *[fault] * 8)
        try:
            await venue.view({ETH})
        except VenueError as error:
            raised += 1
            text = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)
            assert not [part for part in parts_of(floor) if part in text]
        floor.server.faults.forget()
        await floor.clock.advance(60)
    assert raised == len(telling_faults(floor))
