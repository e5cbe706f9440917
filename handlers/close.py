"""``/close``: every way out with its expected result, by quote and confirmation."""

from __future__ import annotations

from decimal import Decimal

from chatbot.chat import Reply, Text
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import CloseRequest, StopsRequest
from chatbot.services.reporting import StatusReport
from handlers.context import Call
from handlers.figures import subject_name
from handlers.quote_cards import quote_card
from handlers.subjects import arguments_of, live_subjects, subject_of


async def close(call: Call) -> Reply:
    arguments = await arguments_of(call)
    at = arguments.price_or_off(("at",), "the closing price")
    fraction = arguments.percent("the share to close")
    subject = await subject_of(call, arguments)
    arguments.done()
    if subject is None:
        report = await call.services.reporting.status(call.user)
        live = live_subjects(report)
        if len(live) != 1:
            return _choice(call, report)
        subject = live[0]
    hedging, chat = call.services.hedging, call.request.chat
    if at == "off":
        taken_back = StopsRequest(subject.symbol, remove=(Purpose.CLOSE_AT_PRICE,))
        quote = await hedging.offer_stops(call.user, chat, taken_back)
    else:
        request = CloseRequest(subject.symbol, fraction or Decimal(1), at)
        quote = await hedging.offer_close(call.user, chat, request)
    instruments = await call.services.hedging.instruments(call.user)
    return quote_card(call.look, quote, instruments)


def _choice(call: Call, report: StatusReport) -> Reply:
    live = live_subjects(report)
    if not live:
        return Reply(
            blocks=(Text("**There is nothing to close.** `/open BTC long 0.05 10x` opens a position."),)
        )
    rest = " ".join(word for word in call.words)
    buttons = []
    for subject in live:
        named = f"#{subject.number}" if subject.number is not None else str(subject.symbol)
        command = f"/close {named} {rest}".rstrip()
        buttons.append(
            (call.button(f"Close {subject_name(subject.number, subject.symbol)}", command, replaces=True),)
        )
    return Reply(
        blocks=(Text("**Which one?** Each shows its expected result first."),), buttons=tuple(buttons)
    )
