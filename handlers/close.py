"""``/close``: every way out with its expected result, by quote and confirmation."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from chatbot.chat import Reply, Text
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import CloseRequest, StopsRequest
from handlers.context import Call
from handlers.figures import subject_name
from handlers.quote_cards import quote_card
from handlers.subjects import Subject, all_live_subjects, arguments_of, placed, subject_of


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
        if len(live) != 1:
            return _choice(call, live)
        return await close(replace(call, words=(live[0].named, *call.words)))
    hedging, chat = call.services.hedging, call.request.chat
    if at == "off":
        taken_back = StopsRequest(subject.symbol, remove=(Purpose.CLOSE_AT_PRICE,))
        quote = await hedging.offer_stops(call.user, chat, taken_back)
    else:
        request = CloseRequest(subject.symbol, fraction or Decimal(1), at)
        quote = await hedging.offer_close(call.user, chat, request)
    instruments = await call.services.hedging.instruments(call.user)
    return quote_card(call.look, quote, instruments)


def _choice(call: Call, live: list[Subject]) -> Reply:
    if not live:
        return Reply(
            blocks=(Text("**There is nothing to close.** `/open BTC long 0.05 10x` opens a position."),)
        )
    rest = " ".join(word for word in call.words)
    buttons = []
    for subject in live:
        command = f"/close {subject.named} {rest}".rstrip()
        buttons.append(
            (call.button(f"Close {subject_name(subject.number, subject.symbol)}", command, replaces=True),)
        )
    return Reply(
        blocks=(Text("**Which one?** Each shows its expected result first."),), buttons=tuple(buttons)
    )
