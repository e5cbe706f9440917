"""Taps on the buttons of an offer: confirm one of its ways, or cancel it."""

from __future__ import annotations

from collections.abc import Sequence

from chatbot.chat import Reply, Text
from chatbot.errors import OneWayMode, QuoteExpired
from chatbot.services.hedging import Requoted, Started
from chatbot.services.offering import PAUSED
from handlers.buttons import CANCEL, Decision
from handlers.context import Call
from handlers.modes import one_way_card
from handlers.quote_cards import expired_card, quote_card


async def decide(call: Call, decision: Decision) -> Sequence[Reply]:
    if decision.choice == CANCEL:
        return await _cancel(call, decision)
    try:
        return await _confirm(call, decision)
    except QuoteExpired as error:
        return await _expired(call, decision, error)


async def _confirm(call: Call, decision: Decision) -> Sequence[Reply]:
    call = await of_quote(call, decision)
    try:
        return await _answer(call, decision)
    except OneWayMode as error:
        return (one_way_card(call.look, error),)


async def of_quote(call: Call, decision: Decision) -> Call:
    """The call on the account that the offer is for."""
    quote = await call.services.store.quote(decision.quote_id)
    accounts = await call.services.store.accounts(call.user.id)
    known = [account for account in accounts if quote is not None and account.id == quote.account_id]
    return call.on(known[0], named=len(accounts) > 1) if known else call


async def _answer(call: Call, decision: Decision) -> Sequence[Reply]:
    request = call.request
    outcome = await call.services.hedging.confirm(
        call.user,
        request.chat,
        decision.quote_id,
        decision.choice,
        request_id=request.id,
        card=None if request.message is None else request.message.id,
    )
    match outcome:
        case Started():
            # The card itself is on its way already, in the transaction that journaled the orders.
            return (Reply(toast="Confirmed."),)
        case Requoted(quote, why):
            instruments = await call.services.hedging.instruments(call.user, quote.account_id)
            card = quote_card(call.look, quote, instruments, why=why)
            return (_in_place(card, "Nothing was sent: see the new offer."),)


async def _cancel(call: Call, decision: Decision) -> Sequence[Reply]:
    request = call.request
    await call.services.hedging.cancel(call.user, request.chat, decision.quote_id, request_id=request.id)
    return (_in_place(_canceled(call), "Canceled."),)


def _canceled(call: Call) -> Reply:
    """Whoever cancels the way out of /panic is told that the pause stands."""
    if not call.user.preferences.paused:
        return Reply(blocks=(Text("Canceled. Nothing was sent."),))
    resume = call.button("Resume", "/panic off", replaces=True)
    text = f"Canceled. Nothing was sent. {PAUSED}"
    return Reply(blocks=(Text(text),), buttons=((resume,),))


async def _expired(call: Call, decision: Decision, error: QuoteExpired) -> Sequence[Reply]:
    """An offer that ran out loses its buttons; one that was used keeps its card, which tells how it went."""
    quote = await call.services.store.quote(decision.quote_id)
    if quote is None or quote.used_at is not None:
        raise error
    instruments = await call.services.hedging.instruments(call.user, quote.account_id)
    card = expired_card((await of_quote(call, decision)).look, quote, instruments)
    return (_in_place(card, error.message),)


def _in_place(reply: Reply, toast: str) -> Reply:
    return Reply(reply.blocks, reply.buttons, reply.severity, edit=True, toast=toast)
