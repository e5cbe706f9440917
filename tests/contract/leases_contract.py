"""What every ``LeaseTable`` must do. A subclass gives the fixture ``office``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from chatbot.errors import LeaseLost
from chatbot.ports import LeaseTable

TERM = timedelta(seconds=0.5)
NAMES = ("shard:01", "shard:02", "shard:03")


@dataclass
class Office:
    """``table`` makes one more process, on the host of that name; ``wait`` lets time pass."""

    table: Callable[[str], LeaseTable]
    wait: Callable[[float], Awaitable[None]]

    async def hire(self, host: str = "here") -> LeaseTable:
        table = self.table(host)
        await table.join(TERM)
        return table


class LeasesContract:
    async def test_what_is_free_is_taken_as_much_as_is_wanted(self, office: Office) -> None:
        one = await office.hire()
        taken = await one.take(NAMES, 2)
        assert len(taken) == 2
        assert set(taken.values()) == {1}
        assert (await one.beat(TERM)).held == taken

    async def test_what_one_holds_another_does_not_get(self, office: Office) -> None:
        one, other = await office.hire(), await office.hire()
        mine = await one.take(NAMES, 2)
        rest = await other.take(NAMES, 3)
        assert sorted([*mine, *rest]) == list(NAMES)
        assert await other.take(NAMES, 3) == {}

    async def test_what_is_given_up_is_free_with_the_next_epoch(self, office: Office) -> None:
        one, other = await office.hire(), await office.hire()
        await one.take(NAMES, 3)
        await one.give_up(NAMES[:1])
        assert await other.take(NAMES, 3) == {NAMES[0]: 2}

    async def test_nobody_gives_up_what_is_anothers(self, office: Office) -> None:
        one, other = await office.hire(), await office.hire()
        await one.take(NAMES, 3)
        await other.give_up(NAMES)
        assert len((await one.beat(TERM)).held) == 3

    async def test_without_a_sign_of_life_all_is_free_after_the_term(self, office: Office) -> None:
        one, other = await office.hire(), await office.hire()
        await one.take(NAMES, 3)
        for _ in range(4):
            await office.wait(0.2)
            await other.beat(TERM)
        assert dict(await other.take(NAMES, 3)) == dict.fromkeys(NAMES, 2)

    async def test_a_sign_of_life_that_comes_too_late_is_none(self, office: Office) -> None:
        one = await office.hire()
        await office.wait(0.8)
        with pytest.raises(LeaseLost):
            await one.beat(TERM)

    async def test_signs_of_life_keep_what_is_held(self, office: Office) -> None:
        one, other = await office.hire(), await office.hire()
        await one.take(NAMES, 3)
        for _ in range(4):
            await office.wait(0.2)
            await one.beat(TERM)
        assert len((await one.beat(TERM)).held) == 3
        await other.join(TERM)
        assert await other.take(NAMES, 3) == {}

    async def test_who_leaves_is_not_counted_and_holds_nothing(self, office: Office) -> None:
        one, other = await office.hire("here"), await office.hire("there")
        await one.take(NAMES, 3)
        muster = await other.beat(TERM)
        assert (muster.processes, muster.here) == (2, 1)
        await one.leave()
        assert (await other.beat(TERM)).processes == 1
        assert len(await other.take(NAMES, 3)) == 3

    async def test_who_joins_again_is_somebody_else(self, office: Office) -> None:
        one = await office.hire()
        await one.take(NAMES, 3)
        await one.join(TERM)
        assert (await one.beat(TERM)).held == {}

    async def test_what_is_told_is_heard_by_all(self, office: Office) -> None:
        heard: list[str] = []
        one, other = office.table("here"), office.table("there")
        for table in (one, other):
            table.listen(heard.append)
            await table.join(TERM)
        await one.tell("look 3")
        await office.wait(0.2)
        assert heard == ["look 3", "look 3"]
