"""Paper exchanges that move from process to process, with what their accounts hold."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chatbot.clock import VirtualClock
from chatbot.domain.hedge import AccountId
from chatbot.domain.instrument import PositionSide
from chatbot.domain.shards import SHARDS, shard_of_account
from chatbot.errors import LeaseLost, VenueUnavailable
from chatbot.ports import Lease
from chatbot.pushing.leasing import name_of
from chatbot.venues.feeds import BTC, ScriptedFeed
from chatbot.venues.paper.shards import PaperShards
from tests.pushing.test_letting_go import NOON, Ours

ANN, BOB = AccountId("paper:telegram:1"), AccountId("paper:telegram:2")


class Process(Ours):
    """``epoch``: of all its leases."""

    epoch = 1

    def of_shard(self, shard: int) -> Lease:
        super().of_shard(shard)
        return Lease(name_of(shard), "me", self.epoch)


def floor(folder: Path, leases: Process) -> PaperShards:
    feed = ScriptedFeed({BTC: Decimal(100_000)})
    clock = VirtualClock(NOON)
    return PaperShards(folder, leases, clock, Decimal(1), feed=feed, feed_of_one=lambda: feed)


async def buys(paper: PaperShards, account: AccountId, reference: str) -> None:
    await paper.trade_elsewhere(
        account, BTC, PositionSide.LONG, Decimal("0.1"), opens=True, reference=reference
    )


async def held(paper: PaperShards, account: AccountId) -> Decimal:
    view = await paper.venue(account).view({BTC})
    return sum((position.quantity for position in view.positions), Decimal(0))


async def test_what_an_account_holds_moves_with_its_shard(tmp_path: Path) -> None:
    assert shard_of_account(ANN) != shard_of_account(BOB)
    first, second = floor(tmp_path, Process()), floor(tmp_path, Process())
    await buys(first, ANN, "1")
    first.let_go([shard_of_account(ANN)])
    assert await held(second, ANN) == Decimal("0.1")
    assert await held(first, BOB) == 0, "and the others stay"


async def test_a_door_that_was_opened_before_leads_to_what_is_there_now(tmp_path: Path) -> None:
    paper = floor(tmp_path, Process())
    door = paper.venue(ANN)
    await door.view({BTC})
    paper.let_go(range(SHARDS))
    assert (await door.view({BTC})).positions == ()


async def test_without_the_lease_the_door_is_shut(tmp_path: Path) -> None:
    leases = Process()
    paper = floor(tmp_path, leases)
    door = paper.venue(ANN)
    leases.shards = frozenset()
    with pytest.raises(VenueUnavailable):
        await door.view({BTC})
    with pytest.raises(LeaseLost):
        await buys(paper, ANN, "1")


async def test_who_was_paused_with_the_file_open_trades_nothing_any_more(tmp_path: Path) -> None:
    """It still believes in its lease; the file knows better, and nobody had to wait for it."""
    paused, successor = Process(), Process()
    successor.epoch = 2
    before, after = floor(tmp_path, paused), floor(tmp_path, successor)
    await buys(before, ANN, "1")
    await buys(after, ANN, "2")
    with pytest.raises(LeaseLost):
        await buys(before, ANN, "3")
    assert await held(after, ANN) == Decimal("0.2")


async def test_an_old_lease_opens_nothing(tmp_path: Path) -> None:
    successor = Process()
    successor.epoch = 2
    after = floor(tmp_path, successor)
    await buys(after, ANN, "1")
    with pytest.raises(LeaseLost):
        await buys(floor(tmp_path, Process()), ANN, "2")
