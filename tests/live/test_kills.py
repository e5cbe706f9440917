"""kill -9 between an exchange's deed and its answer: the next process finds out, and doubles nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from chatbot.venues.feeds import ETH
from tests.e2e.nursery import Nursery
from tests.live.floor import KEYS, LONG, SHORT
from tests.live.processes import Killable, killable
from tests.live.transcript import tell
from tests.wire.bot_api import ChatMessage
from tests.wire.ccxt_rig import MAJORS
from tests.wire.venues.faults import Endpoint

SECONDS = 10.0  # between two looks at an account, and the way to the phone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("venue_id", MAJORS),
]


async def a_pair(stand: Killable) -> None:
    await stand.does("/open ETH long 1 10x isolated", "#1 ETH is open")
    await stand.does("/hedge ETH", "#1 ETH is hedged")


async def offered(stand: Killable, command: str, button: str) -> ChatMessage:
    stand.phone.says(command)
    return await stand.phone.finds(lambda message: button in message.labels, button)


async def test_killed_in_the_middle_of_a_hedge(nursery: Nursery, tmp_path: Path, venue_id: str) -> None:
    async with killable(venue_id, nursery, tmp_path) as stand:
        child = await stand.start()
        await stand.goes_live()
        await stand.does("/open ETH long 1", "#1 ETH is open")
        card = await offered(stand, "/hedge ETH", "Confirm")
        await stand.dies_before_the_answer(child, card, "Confirm")

        child = await stand.start()

        await stand.phone.reads("#1 ETH is hedged")
        await stand.at_rest()
        assert await stand.held() == stand.ledger() == {LONG: 1, SHORT: 1}
        await child.kill()
        assert stand.complaints() == []
        assert_no_secret(stand)


@pytest.mark.parametrize("button", ["Offset first", "Both at once"])
async def test_killed_in_the_middle_of_a_close(
    nursery: Nursery, tmp_path: Path, venue_id: str, button: str
) -> None:
    async with killable(venue_id, nursery, tmp_path) as stand:
        child = await stand.start()
        await stand.goes_live()
        await a_pair(stand)
        card = await offered(stand, "/close", button)
        await stand.dies_before_the_answer(child, card, button)

        child = await stand.start()

        await stand.phone.reads("#1 ETH closed")
        await stand.at_rest()
        assert await stand.held() == stand.ledger() == {}
        await child.kill()
        assert stand.complaints() == []


async def test_killed_again_while_finding_out(nursery: Nursery, tmp_path: Path, venue_id: str) -> None:
    async with killable(venue_id, nursery, tmp_path) as stand:
        child = await stand.start()
        await stand.goes_live()
        await a_pair(stand)
        card = await offered(stand, "/close", "Offset first")
        await stand.dies_before_the_answer(child, card, "Offset first")
        child = await stand.start()
        await stand.dies_before_the_answer(child, card, "", at=Endpoint.LOOKUP)

        child = await stand.start()

        await stand.phone.reads("#1 ETH closed")
        await stand.at_rest()
        assert await stand.held() == stand.ledger() == {}
        await child.kill()
        assert stand.complaints() == []


async def test_a_liquidation_is_told_within_seconds(nursery: Nursery, tmp_path: Path, venue_id: str) -> None:
    async with killable(venue_id, nursery, tmp_path) as stand:
        child = await stand.start()
        await stand.goes_live()
        await a_pair(stand)
        stand.phone.glances()
        happened = stand.server.market.now()

        await stand.server.market.price(ETH, "2300")

        await stand.phone.reads("the short leg is gone (liquidated at")
        assert (stand.server.market.now() - happened).total_seconds() < SECONDS
        await child.kill()
        assert stand.complaints() == []


def assert_no_secret(stand: Killable) -> None:
    """Neither in what is on disk, the log at DEBUG included, nor in what the chat still shows."""
    on_disk = b"".join(path.read_bytes() for path in stand.folder.iterdir() if path.is_file())
    shown = "\n".join(message.text for message in stand.api.chat_log(stand.phone.chat))
    said = "\n".join(str(call.parameters) for call in stand.api.calls if call.method != "getUpdates")
    assert b"DEBUG" in on_disk
    for part in filter(None, KEYS[stand.venue_id]):
        assert part.encode() not in on_disk
        assert part not in shown
        assert part not in said


async def test_the_transcript_is_of_a_bot_that_died_between_an_order_and_its_answer(
    nursery: Nursery, tmp_path: Path, venue_id: str
) -> None:
    out = io.StringIO()
    await tell(out, nursery, tmp_path, venue_id)
    text = out.getvalue()
    cut = text.index("kill -9")
    assert text.index("you | [Offset first]") < cut < text.index("#1 ETH closed")
    assert "the exchange holds long 1; the ledger long 1 and short 1" in text
    assert "(the API key)" in text
    assert not [part for part in KEYS[venue_id] if part and part in text]
    assert text.rstrip().endswith("no key in the chat or the database")
