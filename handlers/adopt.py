"""``/adopt``: a frozen hedge takes over what the exchange says."""

from __future__ import annotations

from chatbot.chat import Reply, Severity, Text
from chatbot.errors import BadArgument
from handlers.arguments import hedge_number_of
from handlers.context import Call
from handlers.figures import subject_name
from handlers.subjects import live_hedge, placed
from handlers.text import amount_of


async def adopt(call: Call) -> Reply:
    number = hedge_number_of(call.words[0]) if len(call.words) == 1 else None
    if number is None:
        raise BadArgument("I need the number of one hedge, like `#3`.")
    call = await placed(call)
    await live_hedge(call, number)
    hedge = await call.services.hedging.adopt(call.user, number)
    instrument = (await call.services.hedging.instruments(call.user))[hedge.symbol]
    legs = [f"{leg.side} {amount_of(leg.quantity, instrument)}" for leg in hedge.legs if leg.quantity]
    name = subject_name(number, hedge.symbol, instrument)
    now = " and ".join(legs) or "nothing: it is closed"
    return Reply(
        blocks=(Text(f"✅ **{name}** is now what the exchange says: {now}."),),
        buttons=((call.button("Status", "/status"),),),
        severity=Severity.SUCCESS,
    )
