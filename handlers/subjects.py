"""What a command is about: ``#3``, a symbol, or nothing named."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from chatbot.domain.hedge import Hedge
from chatbot.domain.instrument import Symbol
from chatbot.errors import BadArgument, LimitExceeded, NotFound, VenueError
from chatbot.ports import Account
from chatbot.services.offering import PAUSED
from chatbot.services.reporting import StatusReport
from handlers.arguments import Arguments, hedge_number_of
from handlers.context import Call
from handlers.text import short_name


@dataclass(frozen=True, slots=True)
class Subject:
    symbol: Symbol
    number: int | None = None

    there: str = ""  # " on binance"

    @property
    def named(self) -> str:
        """As commands take it."""
        return f"#{self.number}" if self.number is not None else f"{self.symbol}{self.there}"


def live_subjects(call: Call, report: StatusReport) -> list[Subject]:
    """Everything that is open on the account."""
    there = call.look.there
    hedges = [Subject(hedge.symbol, hedge.number, there) for hedge in report.hedges]
    return hedges + [Subject(p.symbol, p.number, there) for p in report.positions]


async def all_live_subjects(call: Call) -> list[Subject]:
    """On every account that answers."""
    found: list[Subject] = []
    for each in await everywhere(call):
        with contextlib.suppress(VenueError):
            found += live_subjects(each, await call.services.reporting.status(each.user))
    return found


async def placed(call: Call) -> Call:
    """The call on the account that it names: ``on binance``, that of ``#3``, else where orders go.

    :raises NotFound: no such account or hedge, or a hedge whose account has no key any more
    """
    named, words = _named_account(call.words)
    accounts = await call.services.store.accounts(call.user.id)
    if named is not None:
        account = await call.services.people.account_named(call.user, named)
    else:
        account = await _account_of_hedge(call, accounts) or await call.services.hedging.account(call.user)
    return replace(call.on(account, named=len(accounts) > 1), words=words)


async def everywhere(call: Call) -> list[Call]:
    """The call on each account, the one that orders go to first."""
    accounts = await call.services.store.accounts(call.user.id)
    here = await call.services.hedging.account(call.user)
    ordered = [here, *(account for account in accounts if account.id != here.id)]
    return [call.on(account, named=len(accounts) > 1) for account in ordered]


def names_account(call: Call) -> bool:
    return _named_account(call.words)[0] is not None


def _named_account(words: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    for index, word in enumerate(words):
        if word.lower() == "on" and index + 1 < len(words):
            return words[index + 1], words[:index] + words[index + 2 :]
    return None, words


async def _account_of_hedge(call: Call, accounts: tuple[Account, ...]) -> Account | None:
    numbers = [number for word in call.words if (number := hedge_number_of(word)) is not None]
    hedge = await call.services.store.hedge_by_number(call.user.id, numbers[0]) if numbers else None
    if hedge is None or not hedge.live:
        return None
    account = next((account for account in accounts if account.id == hedge.account_id), None)
    if account is None:
        gone = await call.services.store.account(hedge.account_id)
        label, venue = ("an account", "VENUE") if gone is None else (gone.label, gone.venue)
        raise NotFound(f"#{hedge.number} is on {label}, which has no key any more: `/connect {venue}`.")
    return account


async def arguments_of(call: Call) -> Arguments:
    return Arguments(call.words, await call.services.hedging.instruments(call.user))


async def subject_of(call: Call, arguments: Arguments) -> Subject | None:
    """The live hedge or the market that the words name; ``None`` when they name neither.

    To be called after everything else has been taken from the words.
    """
    number = arguments.hedge_number()
    symbol = arguments.symbol(needed=number is None)
    if number is None:
        return None if symbol is None else Subject(symbol)
    hedge = await live_hedge(call, number)
    if symbol is not None and symbol.partition("/")[0] != hedge.symbol.partition("/")[0]:
        raise BadArgument(f"#{number} is on {short_name(hedge.symbol)}, not on {short_name(symbol)}.")
    return Subject(hedge.symbol, number)


async def live_hedge(call: Call, number: int) -> Hedge:
    """:raises NotFound: the same words whether nobody or somebody else has that number"""
    hedge = await call.services.store.hedge_by_number(call.user.id, number)
    if hedge is None:
        raise NotFound(f"You have no hedge #{number}. /status lists what you have.")
    if not hedge.live:
        raise NotFound(f"#{number} is closed already. /status lists what is open.")
    if hedge.account_id != (await call.services.hedging.account(call.user)).id:
        # The same symbol on another account is another position.
        raise BadArgument(f"#{number} is on another account than you named.")
    return hedge


def refuse_while_paused(call: Call) -> None:
    if call.user.preferences.paused:
        raise LimitExceeded(PAUSED)
