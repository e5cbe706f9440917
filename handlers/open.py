"""``/open``: the initial directional leg, by quote and confirmation."""

from __future__ import annotations

from chatbot.chat import Reply
from chatbot.domain.quote import OpenRequest
from chatbot.errors import BadArgument
from handlers.arguments import Arguments
from handlers.context import Call
from handlers.quote_cards import quote_card
from handlers.subjects import arguments_of, placed, refuse_while_paused


async def open_position(call: Call) -> Reply:
    call = await placed(call)
    request = open_request(await arguments_of(call))
    refuse_while_paused(call)
    quote = await call.services.hedging.offer_open(call.user, call.request.chat, request)
    instruments = await call.services.hedging.instruments(call.user)
    return quote_card(call.look, quote, instruments)


def open_request(arguments: Arguments) -> OpenRequest:
    """:raises BadArgument: with the first thing that is missing or not understood"""
    side = arguments.side()
    margin_mode = arguments.margin_mode()
    leverage = arguments.leverage()
    stop_loss, take_profit = arguments.stop_loss(), arguments.take_profit()
    size = arguments.size()
    symbol = arguments.symbol()
    if symbol is None:
        raise BadArgument("I need a market, like `BTC`.")
    if side is None:
        raise BadArgument("I need a side: **long** or **short**.")
    if size is None:
        raise BadArgument("I need a size: `0.05` (coins), `1000usdt` or `25%` (of your free margin).")
    arguments.done()
    return OpenRequest(symbol, side, size, leverage, margin_mode, stop_loss, take_profit)
