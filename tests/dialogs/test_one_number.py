"""One number for one thing: offered, done and shown afterwards it is the same while nothing moves."""

from __future__ import annotations

import re

import pytest

from tests.dialogs.harness import BTC, COIN, ETH, Dialog, a_dialog


def lock_in(text: str) -> str:
    match = re.search(r"(?:Lock|is hedged:|locked) ~([+-][\d,.]+)", text)
    assert match is not None, text
    return match[1]


def expected_in(text: str) -> str:
    match = re.search(r"expected ~([+-][\d,.]+)", text)
    assert match is not None, text
    return match[1]


async def locked(dialog: Dialog, name: str) -> list[str]:
    """The offer's, the result's, the status' and the way out's."""
    (card,) = await dialog.says(f"/hedge {name}")
    offered = lock_in(card.text)
    await dialog.taps(card, "Confirm")
    await dialog.passes(60)  # the book fills up again where the order has eaten into it
    status, close = await dialog.reads(f"/status {name}"), await dialog.reads(f"/close {name}")
    return [offered, lock_in(card.text), lock_in(status), expected_in(close)]


@pytest.mark.parametrize("size", ["0.05", "0.3", "0.417"])
async def test_the_lock_is_one_number_from_the_offer_to_the_way_out(size: str) -> None:
    async with a_dialog() as dialog:
        await dialog.does(f"/open BTC long {size} 10x")
        await dialog.price(BTC, "103456.7")

        assert len(set(await locked(dialog, "BTC"))) == 1


async def test_the_lock_of_a_short_is_one_number_too() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open ETH short 7 10x")
        await dialog.price(ETH, 1_811)

        assert len(set(await locked(dialog, "ETH"))) == 1


async def test_a_lock_in_coin_is_one_number_to_its_last_digit() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC/USD:BTC long 5000usd 5x")
        await dialog.price(COIN, 110_000)

        assert len(set(await locked(dialog, "BTC/USD:BTC"))) == 1


async def test_the_lines_of_the_result_add_up_to_its_head() -> None:
    async with a_dialog() as dialog:
        await dialog.does("/open BTC long 0.4 10x")
        await dialog.price(BTC, 104_000)
        card = await dialog.does("/hedge BTC")

        rows = dict(re.findall(r"^  ([a-z ]+?)(?: ~)? +~?([+-][\d,.]+)$", card.text, re.MULTILINE))
        cents = {label: int(amount.replace(",", "").replace(".", "")) for label, amount in rows.items()}
        net = cents.pop("net lock")
        assert sum(cents.values()) == net
        assert "spread to close" in cents
        assert f"{rows['net lock']} USDT locked" in card.text
