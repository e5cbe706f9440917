"""``/adopt``: a frozen hedge takes over what the exchange says; what was found there becomes a hedge."""

from __future__ import annotations

from collections.abc import Mapping

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.ending import lacking
from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import Instrument, Symbol
from chatbot.errors import BadArgument
from handlers.context import Call
from handlers.figures import subject_name
from handlers.subjects import arguments_of, live_hedge, placed
from handlers.text import amount_of


async def adopt(call: Call) -> Reply:
    call = await placed(call)
    if [word.lower() for word in call.words] == ["all"]:
        return await _adopt_all(call)
    arguments = await arguments_of(call)
    number, symbol = arguments.hedge_number(), arguments.symbol()
    arguments.done()
    if number is not None:
        await live_hedge(call, number)
        hedge = await call.services.hedging.adopt(call.user, number)
        return await _card(call, hedge, "is now what the exchange says")
    if symbol is None:
        raise BadArgument(
            "I need the number of a frozen hedge, like `#3`, or the market of what I found, or `all`."
        )
    hedge = await call.services.hedging.adopt_found(call.user, symbol)
    return await _card(call, hedge, "is a hedge of mine from now on; what it cost before is not known")


async def _adopt_all(call: Call) -> Reply:
    hedges = await call.services.reconciler.adopt_all(call.user)
    instruments = await call.services.hedging.instruments(call.user)
    lines = [_taken_over(hedge, instruments) for hedge in hedges]
    head = f"✅ **The exchange's word counts now{call.look.there}.**"
    return Reply(
        blocks=(Text("\n".join([head, *lines])),),
        buttons=((call.button("Status", "/status"),),),
        severity=Severity.SUCCESS,
    )


def _taken_over(hedge: Hedge, instruments: Mapping[Symbol, Instrument]) -> str:
    return f"{_name(hedge, instruments)}: {_legs(hedge, instruments)}.{_asking(hedge, instruments)}"


async def _card(call: Call, hedge: Hedge, what: str) -> Reply:
    instruments = await call.services.hedging.instruments(call.user)
    name, legs = _name(hedge, instruments), _legs(hedge, instruments)
    return Reply(
        blocks=(Text(f"✅ **{name}** {what}: {legs}.{_asking(hedge, instruments)}"),),
        buttons=((call.button("Status", f"/status #{hedge.number}" if hedge.live else "/status"),),),
        severity=Severity.SUCCESS,
    )


def _name(hedge: Hedge, instruments: Mapping[Symbol, Instrument]) -> str:
    return subject_name(hedge.number, hedge.symbol, instruments[hedge.symbol])


def _legs(hedge: Hedge, instruments: Mapping[Symbol, Instrument]) -> str:
    instrument = instruments[hedge.symbol]
    legs = [f"{leg.side} {amount_of(leg.quantity, instrument)}" for leg in hedge.legs if leg.quantity]
    return " and ".join(legs) or "nothing: it is closed"


def _asking(hedge: Hedge, instruments: Mapping[Symbol, Instrument]) -> str:
    missing = lacking(hedge, instruments[hedge.symbol])
    return f"\n⚠️ {missing} I go on asking for a day." if missing and hedge.unpriced else ""
