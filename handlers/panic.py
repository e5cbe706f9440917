"""``/panic``: no new openings from now on, and a way out of everything, confirmed once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.errors import BadArgument, NotFound, UserError, VenueError
from chatbot.ports import Account
from handlers.context import Call
from handlers.quote_cards import quote_card
from handlers.text import echo

PAUSED = (
    "🛑 **New openings are paused.** /open, /hedge and growing by /adjust refuse until `/panic off`; "
    "/close works as always."
)


async def panic(call: Call) -> Reply | Sequence[Reply]:
    words = [word.lower() for word in call.words]
    if words in (["off"], ["resume"]):
        return await _resume(call)
    if words:
        raise BadArgument(f"I do not know what `{echo(call.words[0])}` means here.")
    await _set_paused(call, paused=True)
    return (await _way_out(call), *[card async for card in _ways_out_elsewhere(call)])


async def _resume(call: Call) -> Reply:
    await _set_paused(call, paused=False)
    return Reply(
        blocks=(Text("✅ **Resumed.** /open, /hedge and /adjust work again."),), severity=Severity.SUCCESS
    )


async def _set_paused(call: Call, *, paused: bool) -> None:
    if call.user.preferences.paused is not paused:
        await call.services.people.choose(call.user, replace(call.user.preferences, paused=paused))


async def _way_out(call: Call) -> Reply:
    """The pause stands whatever comes of the offer."""
    resume = (call.button("Resume", "/panic off", replaces=True),)
    try:
        quote = await call.services.hedging.offer_close_all(call.user, call.request.chat)
        instruments = await call.services.hedging.instruments(call.user)
    except NotFound:
        return _paused("Nothing is open, so there is nothing to close.", resume)
    except (UserError, VenueError) as error:
        again = call.button("Close everything…", "/panic", replaces=True)
        return _paused(f"An offer to close everything could not be made: {error.message}", (again, *resume))
    card = quote_card(call.look, quote, instruments)
    return replace(
        card,
        blocks=(Text(PAUSED), *card.blocks),
        buttons=(*card.buttons, resume),
        severity=Severity.CRITICAL,
    )


async def _ways_out_elsewhere(call: Call) -> AsyncIterator[Reply]:
    """Everything is on all accounts: an offer of its own for each that has something open."""
    here = await call.services.hedging.account(call.user)
    for account in await call.services.store.accounts(call.user.id):
        if account.id == here.id:
            continue
        try:
            yield await _way_out_of(call, account)
        except NotFound:
            continue  # nothing is open there
        except (UserError, VenueError) as error:
            words = f"**On {account.label}** no offer to close could be made: {error.message}"
            yield Reply(blocks=(Text(words),), severity=Severity.CRITICAL)


async def _way_out_of(call: Call, account: Account) -> Reply:
    there = call.on(account, named=True)
    quote = await call.services.hedging.offer_close_all(there.user, call.request.chat)
    instruments = await call.services.hedging.instruments(there.user)
    return replace(quote_card(there.look, quote, instruments), severity=Severity.CRITICAL)


def _paused(text: str, buttons: tuple[Button, ...]) -> Reply:
    return Reply(blocks=(Text(f"{PAUSED}\n{text}"),), buttons=(buttons,), severity=Severity.CRITICAL)
