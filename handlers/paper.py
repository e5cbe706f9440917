"""``/paper``: the simulated account: its money, a fresh start, and trades behind the bot's back."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.account import Balance
from chatbot.domain.instrument import ContractKind, Instrument, PositionMode
from chatbot.domain.quote import Size, SizeUnit
from chatbot.errors import BadArgument, NotConnected, NotFound
from chatbot.ports import Account
from chatbot.services.people import PAPER
from handlers.arguments import Arguments, positive_of
from handlers.context import Call
from handlers.modes import MEANINGS, NAMES, SWITCH, mode_of
from handlers.text import amount_on, echo, short_name, sum_of_money

MAX_DEPOSIT = Decimal(1_000_000)
NEEDED = "deposit, reset, mode, elsewhere, cancel"


async def paper(call: Call) -> Reply:
    """Always the simulated account, wherever orders go."""
    accounts = await call.services.store.accounts(call.user.id)
    account = next((each for each in accounts if each.venue == PAPER), None)
    if account is None:
        raise NotConnected("You have no simulated account.")
    call = call.on(account, named=len(accounts) > 1)
    word, rest = (call.words[0].lower() if call.words else "balance"), call.words[1:]
    match word:
        case "balance":
            report = await call.services.reporting.status(call.user)
            return _balance_card(call, report.balance, "Paper account", report.other_balances)
        case "deposit":
            return await _deposit(call, account, rest)
        case "reset":
            return await _reset(call, rest)
        case "mode":
            return await _mode(call, rest)
        case "elsewhere":
            return await _elsewhere(call, account, rest)
        case "cancel":
            return await _cancel(call, account, rest)
    raise BadArgument(f"`{echo(word)}` is nothing I can do with the paper account: {NEEDED}.")


async def _deposit(call: Call, account: Account, words: tuple[str, ...]) -> Reply:
    if len(words) != 1:
        raise BadArgument("I need an amount, like `/paper deposit 500`.")
    amount = positive_of(words[0].lower().removesuffix("usdt").lstrip("$") or words[0], "The deposit")
    if amount > MAX_DEPOSIT:
        raise BadArgument(f"At most {MAX_DEPOSIT:,} at once, even on paper.")
    balance = await call.services.paper.deposit(account.id, amount, reference=call.request.id)
    return _balance_card(call, balance, f"✅ Deposited {sum_of_money(amount, balance.currency, sign=False)}")


async def _reset(call: Call, words: tuple[str, ...]) -> Reply:
    # The word alone is not enough: the signed button that was shown has to be tapped.
    if not (call.clicked and words == ("yes",)):
        return _ask_before_reset(call)
    balance = await call.services.accounts.start_over(call.user, request_id=call.request.id)
    return _balance_card(call, balance, "✅ Fresh start")


async def _mode(call: Call, words: tuple[str, ...]) -> Reply:
    """One-way mode is there to be tried: it refuses what a hedge needs, as a real account would."""
    mode = mode_of(words)
    await call.services.accounts.switch_position_mode(call.user, mode)
    label, command = SWITCH
    return Reply(
        blocks=(Text(f"✅ **The paper account is in {NAMES[mode]} mode**: {MEANINGS[mode]}."),),
        buttons=((call.button(label, command + call.look.there),),) if mode is PositionMode.ONE_WAY else (),
        severity=Severity.SUCCESS,
    )


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
    if symbol is None or side is None or size is None or not _is_quantity(size, instruments[symbol]):
        raise BadArgument(
            "I need a market, a side and a quantity in coins (inverse: in dollars).",
            example="/paper elsewhere BTC long 0.05",
        )
    await call.services.paper.trade_elsewhere(
        account.id, symbol, side, size.value, opens=not closes, reference=call.request.id
    )
    done = f"{'Closed' if closes else 'Opened'} {side} {amount_on(size.value, instruments[symbol])}"
    return Reply(
        blocks=(Text(f"✅ {done} behind the bot's back. /status finds it."),),
        buttons=((call.button("Status", "/status"),),),
        severity=Severity.SUCCESS,
    )


async def _cancel(call: Call, account: Account, words: tuple[str, ...]) -> Reply:
    """``cancel BTC [long|short]``: as if what rests there were canceled in the exchange's own app."""
    arguments = Arguments(words, await call.services.hedging.instruments(call.user))
    side, symbol = arguments.side(), arguments.symbol()
    arguments.done()
    if symbol is None:
        raise BadArgument("I need the market whose orders go.", example="/paper cancel BTC")
    canceled = await call.services.paper.cancel_elsewhere(account.id, symbol, side, reference=call.request.id)
    if not canceled:
        raise NotFound(f"Nothing rests on {short_name(symbol)}{'' if side is None else f' {side}'}.")
    count = f"{len(canceled)} order{'s' if len(canceled) > 1 else ''}"
    return Reply(
        blocks=(Text(f"✅ Canceled {count} behind the bot's back. It notices within seconds."),),
        buttons=((call.button("Status", "/status"),),),
        severity=Severity.SUCCESS,
    )


def _is_quantity(size: Size, instrument: Instrument) -> bool:
    """What the exchange counts in: ``0.05``, or ``1000usd`` of an inverse contract."""
    inverse = instrument.kind is ContractKind.INVERSE
    return size.unit is SizeUnit.BASE or (inverse and size.unit is SizeUnit.NOTIONAL)


def _balance_card(call: Call, balance: Balance, head: str, others: Sequence[Balance] = ()) -> Reply:
    equity = sum_of_money(balance.equity, balance.currency, sign=False)
    lines = [f"**{head}: equity {equity}**", _wallet_words(balance), *map(_wallet_words, others)]
    buttons = (
        call.button("Deposit 1,000", "/paper deposit 1000"),
        call.button("Start over…", "/paper reset"),
    )
    return Reply(blocks=(Text("\n".join(lines)),), buttons=(buttons,))


def _wallet_words(balance: Balance) -> str:
    wallet, free = (
        sum_of_money(amount, balance.currency, sign=False) for amount in (balance.wallet, balance.free)
    )
    return f"Wallet {wallet}, free margin {free}."
