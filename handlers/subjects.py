"""What a command is about: ``#3``, a symbol, or nothing named."""

from __future__ import annotations

from dataclasses import dataclass

from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import Symbol
from chatbot.errors import BadArgument, LimitExceeded, NotFound
from chatbot.services.reporting import StatusReport
from handlers.arguments import Arguments
from handlers.context import Call
from handlers.text import listing


@dataclass(frozen=True, slots=True)
class Subject:
    symbol: Symbol
    number: int | None = None


async def arguments_of(call: Call) -> Arguments:
    return Arguments(call.words, await call.services.hedging.instruments(call.user))


async def subject_of(call: Call, arguments: Arguments) -> Subject | None:
    """The live hedge or the market that the words name; ``None`` when they name neither.

    To be called after everything else has been taken from the words.
    """
    number = arguments.hedge_number()
    symbol = arguments.symbol()
    if number is None:
        return None if symbol is None else Subject(symbol)
    hedge = await live_hedge(call, number)
    return Subject(hedge.symbol, number)


def live_subjects(report: StatusReport) -> list[Subject]:
    hedges = [Subject(hedge.symbol, hedge.number) for hedge in report.hedges]
    return hedges + [Subject(position.symbol, position.number) for position in report.positions]


async def named_subject(call: Call) -> Subject:
    """The only thing that is open, where the words named none."""
    live = live_subjects(await call.services.reporting.status(call.user))
    if len(live) == 1:
        return live[0]
    if not live:
        raise NotFound("Nothing is open. `/open BTC long 0.05 10x` opens a position.")
    names = [f"#{s.number}" if s.number is not None else str(s.symbol) for s in live]
    raise BadArgument(f"Which one? You have {listing(names, last='and')}.")


async def live_hedge(call: Call, number: int) -> Hedge:
    """:raises NotFound: the same words whether nobody or somebody else has that number"""
    hedge = await call.services.store.hedge_by_number(call.user.id, number)
    if hedge is None:
        raise NotFound(f"You have no hedge #{number}. /status lists what you have.")
    if not hedge.live:
        raise NotFound(f"#{number} is closed already. /status lists what is open.")
    return hedge


def refuse_while_paused(call: Call) -> None:
    if call.user.preferences.paused:
        raise LimitExceeded(
            "New openings are paused by /panic. `/panic off` resumes; /close works as always."
        )
