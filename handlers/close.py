"""``/close``: every way out with its expected result, by quote and confirmation."""

from __future__ import annotations

from decimal import Decimal

from chatbot.chat import Reply, Text
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import CloseRequest, StopsRequest
from handlers.choices import about, which_one
from handlers.context import Call
from handlers.quote_cards import quote_card
from handlers.subjects import all_live_subjects, arguments_of, placed, subject_of


async def close(call: Call) -> Reply:
    call = await placed(call)
    arguments = await arguments_of(call)
    at = arguments.price_or_off(("at",), "the closing price")
    fraction = arguments.percent("the share to close")
    arguments.no_amount("how much to close is a share (`50%`), a price stands behind `at` (`at 70000`).")
    subject = await subject_of(call, arguments)
    arguments.done()
    if subject is None:
        live = await all_live_subjects(call)
        if not live:
            return _nothing()
        if len(live) > 1:
            then = "Each shows its expected result first."
            return which_one(call, live, command="/close", label="Close", then=then)
        return await close(about(call, live[0]))
    hedging, chat = call.services.hedging, call.request.chat
    if at == "off":
        taken_back = StopsRequest(subject.symbol, remove=(Purpose.CLOSE_AT_PRICE,))
        quote = await hedging.offer_stops(call.user, chat, taken_back)
    else:
        request = CloseRequest(subject.symbol, fraction or Decimal(1), at)
        quote = await hedging.offer_close(call.user, chat, request)
    instruments = await call.services.hedging.instruments(call.user)
    return quote_card(call.look, quote, instruments)


def _nothing() -> Reply:
    return Reply(blocks=(Text("**There is nothing to close.** `/open BTC long 0.05 10x` opens a position."),))
