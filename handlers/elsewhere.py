"""A market that is not open where orders go: the other accounts are looked at before anything is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from chatbot.chat import Reply, Text
from chatbot.domain.instrument import Symbol
from chatbot.errors import NothingOpen, VenueError
from chatbot.services.reporting import StatusReport
from handlers.arguments import UnknownMarket, hedge_number_of, matching_symbols
from handlers.buttons import fits
from handlers.context import Call, Command
from handlers.subjects import everywhere, live_subjects, names_account

# What is asked of something that is open. An opening names its account, or goes where orders go.
SEEKERS = frozenset({"/hedge", "/status", "/close", "/adjust", "/margin", "/adopt"})
NOT_HERE = NothingOpen | UnknownMarket


async def accounts_with(call: Call) -> tuple[str, ...]:
    """The names of the other accounts on which a market that the words name is open.

    None where the words name the account, or a hedge by its number.
    """
    if names_account(call) or any(hedge_number_of(word) is not None for word in call.words):
        return ()
    return tuple([each.account for each in (await everywhere(call))[1:] if await _has(each)])


async def _has(call: Call) -> bool:
    """An exchange that does not answer has nothing to say."""
    with contextlib.suppress(VenueError):
        report = await call.services.reporting.status(call.user)
        instruments = await call.services.hedging.instruments(call.user)
        here = {subject.symbol: instruments[subject.symbol] for subject in live_subjects(call, report)}
        return any(matching_symbols(word, here) for word in call.words if len(word) <= 40)
    return False


async def status_of(call: Call, symbol: Symbol) -> StatusReport:
    """:raises NothingOpen: it is open on another account only"""
    report = await call.services.reporting.status(call.user, symbol=symbol)
    if not (report.hedges or report.positions) and await accounts_with(call):
        raise NothingOpen
    return report


def on_account(call: Call, name: str) -> Call:
    return replace(call, words=(*call.words, "on", name))


def which_account(call: Call, command: Command, names: Sequence[str]) -> Reply:
    lines = [(name, " ".join((command.name, *on_account(call, name).words))) for name in names]
    buttons = tuple((call.button(f"On {name}", line, replaces=True),) for name, line in lines if fits(line))
    return Reply(
        blocks=(Text("**Which account?** That is open on more than one, and not where orders go."),),
        buttons=buttons,
    )
