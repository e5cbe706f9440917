"""``/start`` and ``/help``: what this is, what is connected, what can be said."""

from __future__ import annotations

from chatbot.chat import Reply, Text
from chatbot.ports import Account
from chatbot.services.offering import PAUSED
from chatbot.services.people import PAPER
from handlers.context import Call, Command
from handlers.text import echo, sum_of_money

WHAT_IT_IS = (
    "I lock the profit of a perpetual position with an equal opposite leg, tell you what the lock costs, "
    "warn you before a leg is liquidated, and close both in the right order."
)


async def start(call: Call) -> Reply:
    account = await call.services.hedging.account(call.user)
    greeting = f"**Hedgerow**\n{WHAT_IT_IS}"
    connected = f"{_connected_words(call, account)}{await _money(call)}"
    blocks = [Text(greeting), Text(connected)]
    if call.user.preferences.paused:
        blocks.append(Text(PAUSED))
    connect = ((call.button("Connect an exchange", "/connect"),),) if _can_connect(call) else ()
    resume = ((call.button("Resume", "/panic off", replaces=True),),) if call.user.preferences.paused else ()
    first = (call.button("Try on paper", "/help try"), call.button("Help", "/help"))
    return Reply(blocks=tuple(blocks), buttons=(first, *connect, *resume))


def _can_connect(call: Call) -> bool:
    return call.request.chat.private and bool(call.services.connecting.supported())


def _connected_words(call: Call, account: Account) -> str:
    if account.venue == PAPER:
        return f"Connected: **{account.label} account** on {market_words(call.services.market)}."
    return f"Connected: **{account.label}** on {account.venue}."


def market_words(name: str) -> str:
    """``simulated:7`` and ``live:binance`` are how feeds name themselves."""
    kind, _, detail = name.partition(":")
    words = {
        "simulated": "a simulated market",
        "replay": "a replayed market",
        "live": f"live prices of {detail}",
    }
    return words.get(kind, f"the {name} market")


async def _money(call: Call) -> str:
    if not call.look.balances:
        return ""
    balance = (await call.services.reporting.status(call.user)).balance
    return f" Equity {sum_of_money(balance.equity, balance.currency, sign=False)}."


async def help_(call: Call) -> Reply:
    if not call.words:
        return _overview(call)
    name = "/" + call.words[0].lower().lstrip("/")
    if name == "/try":
        return _tour(call)
    command = next((known for known in call.commands if known.name == name), None)
    return _overview(call, unknown=call.words[0]) if command is None else _about(command)


def _overview(call: Call, unknown: str = "") -> Reply:
    lines = "\n".join(f"{command.name} {command.summary}" for command in call.commands)
    first = f"I do not know `{echo(unknown)}`.\n" if unknown else ""
    return Reply(
        blocks=(Text(f"{first}**What I can do**\n{lines}"), Text("More on one of them: `/help hedge`.")),
        buttons=((call.button("Try on paper", "/help try"), call.button("Status", "/status")),),
    )


def _about(command: Command) -> Reply:
    more = f"\n{command.more}" if command.more else ""
    words = (
        f"**{command.name}** {command.summary}{more}\nForm: `{command.form}`\nExample: `{command.example}`"
    )
    return Reply(blocks=(Text(words),))


def _tour(call: Call) -> Reply:
    steps = (
        "**Four steps, no real money**",
        "1. `/open BTC long 0.05 10x` shows what it costs; *Confirm* sends it.",
        "2. `/status` shows how it stands.",
        "3. `/hedge BTC` locks the profit with an equal short, and says what that costs.",
        "4. `/close` shows each way out; the offset leg goes first.",
    )
    text = "\n".join(steps).replace("*Confirm*", "**Confirm**")
    buttons = (
        (call.button("Open BTC long 0.05", "/open BTC long 0.05 10x"),),
        (call.button("Status", "/status"), call.button("Hedge", "/hedge"), call.button("Close", "/close")),
    )
    return Reply(blocks=(Text(text),), buttons=buttons)
