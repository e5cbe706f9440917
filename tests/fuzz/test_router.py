"""Whatever is typed and tapped, by whomever: never a traceback, never an order without a confirmation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialogs.harness import a_dialog
from tests.fuzz.arena import an_arena, no_error_is_logged
from tests.fuzz.inputs import Action, actions, texts
from tests.fuzz.scale import Count, examples

IN_A_BATCH = 40  # inputs that one bot gets


async def play(script: Sequence[Action]) -> None:
    async with an_arena() as arena:
        for action in script:
            await arena.act(action)
        await arena.is_well()


@pytest.mark.slow
def test_nothing_that_is_typed_or_tapped_breaks_the_bot_or_trades_unasked() -> None:
    count = Count()

    @examples(300)
    @given(st.lists(actions, min_size=IN_A_BATCH, max_size=IN_A_BATCH))
    def batch(script: list[Action]) -> None:
        count.inputs += len(script)
        asyncio.run(play(script))

    batch()
    count.at_least(12_000, print)


@pytest.mark.slow
def test_words_alone_never_move_money() -> None:
    count = Count()

    async def talk(lines: Sequence[str]) -> None:
        async with a_dialog() as dialog:
            with no_error_is_logged():
                for line in lines:
                    await dialog.says(line.replace("elsewhere", "somewhere"))
            for account in await dialog.bot.store.accounts():
                assert (await dialog.bot.venues.of(account).view()).positions == ()

    @examples(136)
    @given(st.lists(texts, min_size=60, max_size=60))
    def batch(lines: list[str]) -> None:
        count.inputs += len(lines)
        asyncio.run(talk(lines))

    batch()
    count.at_least(8_000, print)
