"""``/adopt``: a frozen hedge takes over what the exchange says; what was found there becomes a hedge."""

from __future__ import annotations

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.ending import lacking
from chatbot.domain.hedge import Hedge
from chatbot.errors import BadArgument
from handlers.context import Call
from handlers.figures import subject_name
from handlers.subjects import arguments_of, live_hedge, placed
from handlers.text import amount_of


async def adopt(call: Call) -> Reply:
    call = await placed(call)
    arguments = await arguments_of(call)
    number, symbol = arguments.hedge_number(), arguments.symbol()
    arguments.done()
    if number is not None:
        await live_hedge(call, number)
        hedge = await call.services.hedging.adopt(call.user, number)
        return await _card(call, hedge, "is now what the exchange says")
    if symbol is None:
        raise BadArgument("I need the number of a frozen hedge, like `#3`, or the market of what I found.")
    hedge = await call.services.hedging.adopt_found(call.user, symbol)
    return await _card(call, hedge, "is a hedge of mine from now on; what it cost before is not known")


async def _card(call: Call, hedge: Hedge, what: str) -> Reply:
    instrument = (await call.services.hedging.instruments(call.user))[hedge.symbol]
    legs = [f"{leg.side} {amount_of(leg.quantity, instrument)}" for leg in hedge.legs if leg.quantity]
    name = subject_name(hedge.number, hedge.symbol, instrument)
    now = " and ".join(legs) or "nothing: it is closed"
    missing = lacking(hedge, instrument)
    asking = f"\n⚠️ {missing} I go on asking for a day." if missing and hedge.unpriced else ""
    return Reply(
        blocks=(Text(f"✅ **{name}** {what}: {now}.{asking}"),),
        buttons=((call.button("Status", f"/status #{hedge.number}" if hedge.live else "/status"),),),
        severity=Severity.SUCCESS,
    )
