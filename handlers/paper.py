"""``/paper``: the simulated account: its money, a fresh start, and trades behind the bot's back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.account import Balance
from chatbot.domain.hedge import HedgeStatus
from chatbot.domain.quote import SizeUnit
from chatbot.errors import BadArgument, Busy, NotConnected
from chatbot.ports import Account, Changes
from handlers.arguments import Arguments, positive_of
from handlers.context import Call
from handlers.text import amount_of, echo, short_name, sum_of_money

MAX_DEPOSIT = Decimal(1_000_000)
NEEDED = "deposit, reset, elsewhere"


async def paper(call: Call) -> Reply:
    account = await call.services.hedging.account(call.user)
    if account.venue != "paper":
        raise NotConnected("Your account is a real one; /paper is for the simulated one.")
    word, rest = (call.words[0].lower() if call.words else "balance"), call.words[1:]
    match word:
        case "balance":
            report = await call.services.reporting.status(call.user)
            return _balance_card(call, report.balance, "Paper account")
        case "deposit":
            return await _deposit(call, account, rest)
        case "reset":
            return await _reset(call, account, rest)
        case "elsewhere":
            return await _elsewhere(call, account, rest)
    raise BadArgument(f"`{echo(word)}` is nothing I can do with the paper account: {NEEDED}.")


async def _deposit(call: Call, account: Account, words: tuple[str, ...]) -> Reply:
    if len(words) != 1:
        raise BadArgument("I need an amount, like `/paper deposit 500`.")
    amount = positive_of(words[0].lower().removesuffix("usdt").lstrip("$") or words[0], "The deposit")
    if amount > MAX_DEPOSIT:
        raise BadArgument(f"At most {MAX_DEPOSIT:,} at once, even on paper.")
    balance = await call.services.paper.deposit(account.id, amount, reference=call.request.id)
    return _balance_card(call, balance, f"✅ Deposited {sum_of_money(amount, balance.currency, sign=False)}")


async def _reset(call: Call, account: Account, words: tuple[str, ...]) -> Reply:
    # The word alone is not enough: the signed button that was shown has to be tapped.
    if not (call.clicked and words == ("yes",)):
        return _ask_before_reset(call)
    if await call.services.store.unfinished_operations(account.id):
        raise Busy("An order is still being settled; nothing was reset. Try again in a moment.")
    balance = await call.services.paper.reset(account.id, reference=call.request.id)
    await _close_the_books(call, account)
    return _balance_card(call, balance, "✅ Fresh start")


async def _close_the_books(call: Call, account: Account) -> None:
    """Positions went with the old account: nothing explains it to the ledger but the user, who chose it."""
    for hedge in await call.services.store.live_hedges(account_id=account.id):
        gone = replace(hedge, status=HedgeStatus.FROZEN, reason="the paper account was started over")
        await call.services.store.commit(Changes(hedges=(gone,)))
        await call.services.hedging.adopt(call.user, hedge.number)


def _ask_before_reset(call: Call) -> Reply:
    buttons = (
        call.button("Yes, start over", "/paper reset yes", replaces=True),
        call.button("No", "/paper", replaces=True),
    )
    text = "**Start the paper account over?** All positions and orders go; you have 10,000 USDT again."
    return Reply(blocks=(Text(text),), buttons=(buttons,), severity=Severity.WARNING)


async def _elsewhere(call: Call, account: Account, words: tuple[str, ...]) -> Reply:
    """``elsewhere BTC long 0.05 [close]``: as if typed into the exchange's own app."""
    instruments = await call.services.hedging.instruments(call.user)
    arguments = Arguments(words, instruments)
    closes = arguments.flag("close")
    side = arguments.side()
    size = arguments.size()
    symbol = arguments.symbol()
    arguments.done()
    if symbol is None or side is None or size is None or size.unit is not SizeUnit.BASE:
        raise BadArgument(
            "I need a market, a side and a quantity in coins.", example="/paper elsewhere BTC long 0.05"
        )
    await call.services.paper.trade_elsewhere(
        account.id, symbol, side, size.value, opens=not closes, reference=call.request.id
    )
    done = f"{'Closed' if closes else 'Opened'} {side} {amount_of(size.value, instruments[symbol])}"
    return Reply(
        blocks=(Text(f"✅ {done} on {short_name(symbol)} behind the bot's back. /status finds it."),),
        buttons=((call.button("Status", "/status"),),),
        severity=Severity.SUCCESS,
    )


def _balance_card(call: Call, balance: Balance, head: str) -> Reply:
    equity, wallet, free = (
        sum_of_money(amount, balance.currency, sign=False)
        for amount in (balance.equity, balance.wallet, balance.free)
    )
    text = f"**{head}: equity {equity}**\nWallet {wallet}, free margin {free}."
    buttons = (
        call.button("Deposit 1,000", "/paper deposit 1000"),
        call.button("Start over…", "/paper reset"),
    )
    return Reply(blocks=(Text(text),), buttons=(buttons,))
