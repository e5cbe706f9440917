"""Keys that should not be taken, and exchanges that fail while one is tried: a clear word, nothing stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.phone import Phone
from tests.live.floor import BEFORE_FUNDING, BOB, KEYS, Floor, a_floor
from tests.wire.ccxt_rig import MAJORS
from tests.wire.venues.faults import (
    CutBody,
    Down,
    Endpoint,
    Garbage,
    LostReply,
    RequestFault,
    TooMany,
)

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("venue_id", MAJORS)]

MOVES: Mapping[str, Mapping[str, Any]] = {
    "binance": {"withdraw": True},
    "bybit": {"transfer": True},
    "okx": {"withdraw": True},
}


@pytest.fixture
async def floor(venue_id: str) -> AsyncIterator[Floor]:
    async with a_floor(venue_id) as floor:
        await floor.phone.asks("/start", "Hedgerow")
        yield floor


async def nothing_is_stored(floor: Floor) -> None:
    assert [account.venue for account in await floor.bot.store.accounts()] == ["paper"]
    assert await floor.bot.keys.vault.all_facts() == ()
    parts = {part for part in KEYS[floor.venue_id] if part}
    assert not parts & {message.text for message in floor.api.chat_log(floor.phone.chat)}
    assert not any(part in message.text for message in floor.phone.messages for part in parts)


RIGHTS: Sequence[tuple[Mapping[str, Any], str]] = [
    ({"trade": False}, "trade futures"),
    ({"expires_at": BEFORE_FUNDING - timedelta(days=1)}, "does not accept this key"),
    ({"ips": ("10.1.2.3",)}, "this machine's address"),
]


@pytest.mark.parametrize(("rights", "said"), RIGHTS, ids=["spot only", "expired", "another address"])
async def test_a_key_that_cannot_do_the_work_is_refused(
    venue_id: str, rights: Mapping[str, Any], said: str
) -> None:
    async with a_floor(venue_id, **rights) as floor:
        await floor.phone.asks("/start", "Hedgerow")
        answer = await floor.connects(expecting=said)
        assert "Nothing was stored." in answer.text
        await nothing_is_stored(floor)


async def test_a_key_that_can_move_money_is_refused(venue_id: str) -> None:
    async with a_floor(venue_id, **MOVES[venue_id]) as floor:
        await floor.phone.asks("/start", "Hedgerow")
        answer = await floor.connects(expecting="the key may withdraw or transfer money")
        assert "without withdrawals and transfers" in answer.text
        await nothing_is_stored(floor)


async def test_a_key_without_an_address_is_taken_with_a_warning(venue_id: str) -> None:
    async with a_floor(venue_id, ips=()) as floor:
        await floor.phone.asks("/start", "Hedgerow")
        answer = await floor.connects()
        assert "The key works from any address" in answer.text


async def test_swapped_parts_are_sent_nowhere(floor: Floor) -> None:
    key, secret, passphrase = KEYS[floor.venue_id]
    # Binance gives both in one shape: only it can tell.
    same_shape = floor.venue_id == "binance"
    said = "whether key and secret are swapped" if same_shape else "Key and secret are swapped"
    await floor.connects((secret, key, passphrase), said)
    assert same_shape or floor.server.log == []
    await nothing_is_stored(floor)


async def test_a_secret_that_was_cut_off_is_named(floor: Floor) -> None:
    key, secret, passphrase = KEYS[floor.venue_id]
    answer = await floor.connects((key, secret[:-3], passphrase), "may have been cut off")
    assert "The secret" in answer.text
    assert secret[:-3] not in answer.text
    await nothing_is_stored(floor)


async def test_a_wrong_passphrase_is_a_refusal(floor: Floor) -> None:
    key, secret, passphrase = KEYS[floor.venue_id]
    if passphrase:
        await floor.connects((key, secret, "something else"), "does not accept this key")
        await nothing_is_stored(floor)
    await floor.connects()


@pytest.mark.parametrize(
    "fault",
    [Down(503), Garbage(), Garbage(""), CutBody(), LostReply(), TooMany()],
    ids=lambda f: type(f).__name__,
)
async def test_an_exchange_that_fails_while_a_key_is_tried_is_told_and_the_key_may_come_again(
    floor: Floor, fault: RequestFault
) -> None:
    floor.server.faults.on(Endpoint.PERMISSIONS, fault, fault)

    answer = await floor.connects(expecting="cannot be reached just now; nothing was stored")
    assert "Traceback" not in answer.text
    await nothing_is_stored(floor)

    floor.server.faults.forget()
    await floor.clock.advance(60)
    await floor.connects()


async def test_an_exchange_that_is_gone_is_told(floor: Floor) -> None:
    floor.server.faults.on(Endpoint.MARKETS, *[Down(502)] * 12)
    await floor.connects(expecting="cannot be reached just now; nothing was stored")
    await nothing_is_stored(floor)


async def test_one_key_is_one_account(floor: Floor) -> None:
    await floor.connects()
    await floor.connects(expecting="This key is connected already, as")

    others = replace(floor, phone=Phone(floor.api, BOB))
    await others.phone.asks("/start", "Hedgerow")
    answer = await others.connects(expecting="is connected here already; nothing was stored")

    assert "7" not in answer.text, "whose it is is nobody else's business"
    assert len([a for a in await floor.bot.store.accounts() if a.venue == floor.venue_id]) == 1


@pytest.mark.parametrize("same", [True, False])
async def test_after_a_disconnection_an_open_hedge_goes_on_with_the_next_key(
    floor: Floor, same: bool
) -> None:
    """Binance does not tell whose a key is: there, what it holds says it."""
    await floor.phone.chooses(await floor.connects(), f"Use {floor.venue_id}", "Orders go to")
    await floor.does("/open ETH long 1", "#1 ETH is open")
    await floor.price("2300")
    await floor.does("/hedge ETH", "#1 ETH is hedged")
    asked = await floor.phone.asks(f"/disconnect {floor.venue_id}", "#1 is open there")
    await floor.phone.chooses(asked, "Yes, disconnect", "is disconnected")

    await floor.connects(None if same else floor.renewed_key(), f"{floor.venue_id} has a new key")

    await floor.does("/close #1", "#1 ETH closed", button="Both at once")
    await floor.looks()
    assert await floor.held() == await floor.ledger() == {}
    assert await floor.complaints() == []


async def test_another_key_of_the_same_exchange_account_takes_the_place_of_the_first(floor: Floor) -> None:
    """Binance does not tell whose a key is."""
    await floor.connects()
    spare = floor.another_key()
    if floor.venue_id == "binance":
        await floor.connects(spare, "binance-2 is connected")
        return
    await floor.connects(spare, f"{floor.venue_id} has a new key")
    asked = len(floor.server.log)
    await floor.phone.asks(f"/status on {floor.venue_id}", "Nothing is open")
    assert {request.api_key for request in floor.server.log[asked:]} <= {spare[0], ""}
