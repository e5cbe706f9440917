"""``/status``: what is open, what it is worth and what threatens it."""

from __future__ import annotations

from collections.abc import Sequence

from chatbot.chat import Reply
from chatbot.errors import VenueError
from handlers.context import Call
from handlers.elsewhere import status_of
from handlers.status_cards import nothing_card, open_cards, status_cards, unread_card
from handlers.subjects import arguments_of, everywhere, placed, subject_of


async def status(call: Call) -> Sequence[Reply]:
    if not call.words:
        return await _all_accounts(call)
    call = await placed(call)
    arguments = await arguments_of(call)
    subject = await subject_of(call, arguments)
    arguments.done()
    if subject is None:
        return status_cards(call.look, await call.services.reporting.status(call.user))
    return status_cards(call.look, await status_of(call, subject.symbol))


async def _all_accounts(call: Call) -> Sequence[Reply]:
    """What is open on each of them; an exchange that cannot be read holds up no other."""
    cards: list[Reply] = []
    nothing: list[Reply] = []
    for each in await everywhere(call):
        try:
            report = await call.services.reporting.status(each.user)
        except VenueError as error:
            cards.append(unread_card(each.look, error))
            continue
        cards += open_cards(each.look, report)
        nothing.append(nothing_card(each.look, report))
    return cards or nothing[:1]
