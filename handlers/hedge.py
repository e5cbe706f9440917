"""``/hedge``: the offset leg against a position that the bot opened or found on the exchange."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chatbot.chat import Reply
from chatbot.domain.quote import HedgeRequest
from chatbot.errors import VenueError
from handlers.context import Call
from handlers.quote_cards import quote_card
from handlers.status_cards import unhedged_card, unread_card
from handlers.subjects import arguments_of, everywhere, placed, refuse_while_paused, subject_of


async def hedge(call: Call) -> Reply | Sequence[Reply]:
    if not call.words:
        return await _unhedged(call)
    call = await placed(call)
    arguments = await arguments_of(call)
    stop_loss, take_profit = arguments.stop_loss(), arguments.take_profit()
    ratio = arguments.percent("the share to hedge")
    arguments.no_amount("how much to hedge is a share, like `50%`.")
    side = arguments.side()
    subject = await subject_of(call, arguments)
    arguments.done()
    refuse_while_paused(call)
    if subject is None:
        return unhedged_card(call.look, await call.services.reporting.status(call.user))
    request = HedgeRequest(subject.symbol, side, ratio or Decimal(1), stop_loss, take_profit)
    quote = await call.services.hedging.offer_hedge(call.user, call.request.chat, request)
    instruments = await call.services.hedging.instruments(call.user)
    return quote_card(call.look, quote, instruments)


async def _unhedged(call: Call) -> Sequence[Reply]:
    """Of every account; one that has nothing to hedge is silent beside one that has."""
    refuse_while_paused(call)
    cards: list[Reply] = []
    silent: list[Reply] = []
    for each in await everywhere(call):
        try:
            report = await call.services.reporting.status(each.user)
        except VenueError as error:
            cards.append(unread_card(each.look, error))
            continue
        (cards if report.positions else silent).append(unhedged_card(each.look, report))
    return cards or silent[:1]
