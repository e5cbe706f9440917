"""Every button on every card leads somewhere sensible."""

from __future__ import annotations

from collections import deque

from tests.dialogs.harness import BTC, ETH, SOL, Card, Dialog, a_dialog

DEAD = ("I do not know", "Form: ", "went wrong", "not valid", "You have no", "is closed already")
# What money hangs on is tapped by other tests; what starts over or pauses would end this one.
LEFT_OUT = ("q:",)
ENDS_IT = ("/paper reset yes", "/panic", "/settings mode")


async def a_full_desk(dialog: Dialog) -> None:
    """A pair near its liquidation, a pair that lost a leg, a position in profit, one opened elsewhere."""
    await dialog.does("/open BTC long 0.1 20x isolated")
    await dialog.does("/open ETH long 1 10x sl 1500")
    await dialog.does("/hedge BTC")
    await dialog.does("/hedge ETH")
    await dialog.says("/paper elsewhere ETH short 1 close")
    await dialog.says("/paper elsewhere SOL long 5")
    await dialog.price(SOL, 240)
    await dialog.price(ETH, 2_100)
    await dialog.price(BTC, 103_900)


async def cards_to_begin_with(dialog: Dialog) -> list[Card]:
    for command in ("/start", "/help", "/status", "/hedge", "/close", "/alerts", "/risk", "/settings"):
        await dialog.says(command)
    for command in ("/paper", "/open BTC short 1", "/hedge BTC", "/close BTC", "/close ETH", "/hedge ETH"):
        await dialog.says(command)
    return list(dialog.screen.cards)


def commands_on(card: Card) -> list[tuple[str, str]]:
    data = [button.data for row in card.reply.buttons for button in row]
    return [(d.split(":", 2)[2], d) for d in data if not d.startswith(LEFT_OUT)]


async def test_every_button_leads_somewhere() -> None:
    async with a_dialog() as dialog:
        await a_full_desk(dialog)
        waiting = deque(await cards_to_begin_with(dialog))
        tapped: set[str] = set()
        while waiting:
            card = waiting.popleft()
            for command, data in commands_on(card):
                if command in tapped or command.startswith(ENDS_IT):
                    continue
                tapped.add(command)
                known = len(dialog.screen.cards)
                before = card.reply
                await dialog.clicks(card, data)
                shown = dialog.screen.cards[known:] or [card]
                assert shown != [card] or card.reply is not before, command
                for answer in shown:
                    assert not [word for word in DEAD if word in answer.text], (command, answer.text)
                waiting.extend(shown)

        assert len(tapped) > 25
        assert {"/status", "/hedge #2", "/close #1", "/alerts", "/help try", "/hedge SOL"} <= tapped
