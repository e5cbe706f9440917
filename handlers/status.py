"""``/status``: what is open, what it is worth and what threatens it."""

from __future__ import annotations

from collections.abc import Sequence

from chatbot.chat import Reply
from chatbot.domain.instrument import Symbol
from handlers.context import Call
from handlers.status_cards import status_cards
from handlers.subjects import arguments_of, subject_of


async def status(call: Call) -> Sequence[Reply]:
    symbol = await _symbol(call) if call.words else None
    report = await call.services.reporting.status(call.user, symbol=symbol)
    return status_cards(call.look, report)


async def _symbol(call: Call) -> Symbol | None:
    arguments = await arguments_of(call)
    subject = await subject_of(call, arguments)
    arguments.done()
    return None if subject is None else subject.symbol
