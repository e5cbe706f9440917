"""``/connect``, ``/accounts``, ``/disconnect``, ``/cancel``, and secrets that were typed into a chat."""

from __future__ import annotations

from chatbot.chat import Erasure, Platform, Reply, Text
from chatbot.errors import BadArgument, HedgerowError
from chatbot.services.connecting import Connected, Doubtful
from chatbot.services.entering import Unasked, Wanted
from handlers.account_cards import (
    accounts_card,
    connected_card,
    disconnect_question,
    disconnected_card,
    first_part_card,
    link_card,
    next_part_card,
    result_card,
    unasked_card,
    with_erasure,
)
from handlers.context import Call

IN_A_ROW = 3


async def connect(call: Call) -> Reply:
    words = tuple(word.lower() for word in call.words)
    if call.clicked and words in {("yes",), ("no",)}:
        return await _answer_doubts(call, yes=words == ("yes",))
    if not words:
        return _which_exchange(call)
    here = words[1:] == ("here",)
    if len(words) > 1 and not here:
        raise BadArgument("The name of one exchange, please; the key comes afterwards, not in the command.")
    return await _connect(call, call.services.connecting.venue_named(words[0]), here=here)


async def _connect(call: Call, venue: str, *, here: bool) -> Reply:
    links, chat = call.services.links, call.request.chat
    if links is not None and chat.platform is not Platform.CONSOLE and not here:
        await call.services.entry.cancel(call.user, chat)
        return link_card(venue, await links.issue(call.user, chat, venue), look=call.look)
    wanted = await call.services.entry.begin(call.user, chat, venue)
    return first_part_card(wanted, chat.platform)


def _which_exchange(call: Call) -> Reply:
    names = call.services.connecting.supported()
    if not names:
        return Reply(blocks=(Text("No exchange can be connected here: this bot trades on paper."),))
    buttons = [call.button(name, f"/connect {name}") for name in names]
    rows = tuple(tuple(buttons[start : start + IN_A_ROW]) for start in range(0, len(buttons), IN_A_ROW))
    return Reply(blocks=(Text("**Which exchange?**"),), buttons=rows)


async def _answer_doubts(call: Call, *, yes: bool) -> Reply:
    if yes:
        return connected_card(call.look, await call.services.connecting.confirm_doubts(call.user))
    call.services.connecting.drop_doubts(call.user)
    return Reply(blocks=(Text("Dropped. Nothing was stored."),))


async def accounts(call: Call) -> Reply:
    if call.words:
        raise BadArgument("Nothing is to be said behind that.")
    lines = await call.services.connecting.lines(call.user)
    return accounts_card(call.look, lines, can_connect=bool(call.services.connecting.supported()))


async def disconnect(call: Call) -> Reply:
    if not call.words:
        raise BadArgument("Which account? /accounts lists yours.")
    name, rest = call.words[0], call.words[1:]
    # The word alone is not enough: the signed button that was shown has to be tapped.
    if call.clicked and rest == ("yes",):
        gone = await call.services.connecting.disconnect(call.user, name)
        return disconnected_card(call.look, gone)
    if rest:
        raise BadArgument("One account, please.")
    return disconnect_question(call.look, await call.services.connecting.holdings(call.user, name))


async def cancel(call: Call) -> Reply:
    ended = await call.services.entry.cancel(call.user, call.request.chat)
    dropped = call.services.connecting.drop_doubts(call.user)
    done = "Canceled. Nothing was stored." if ended or dropped else "There is nothing to cancel."
    return Reply(blocks=(Text(done),))


async def secret(call: Call) -> Reply:
    """A message that was taken out of the record: a part of a key, or something that looked like one."""
    erasure = Erasure(call.request.text)
    try:
        outcome = await call.services.entry.take(call.user, call.request)
    except HedgerowError as error:
        if erasure is Erasure.LEFT:
            error.args = (f"{error.message} I could not delete your message: please delete it yourself.",)
        raise
    match outcome:
        case Wanted():
            return next_part_card(outcome, erasure)
        case Unasked():
            return unasked_card(call.look, erasure)
        case Connected() | Doubtful():
            return with_erasure(result_card(call.look, outcome), erasure)
