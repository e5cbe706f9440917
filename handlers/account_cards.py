"""The wording of accounts and keys: connected, doubtful, refused by time, listed, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from chatbot.chat import Button, Erasure, Platform, Reply, Severity, Text
from chatbot.domain.instrument import PositionMode
from chatbot.ports import Account
from chatbot.services.connecting import Connected, Doubtful, Holdings, Line
from chatbot.services.entering import Part, Wanted
from chatbot.services.key_rules import KeyDoubt, KeyWarning
from chatbot.services.linking import Links
from chatbot.services.people import PAPER
from handlers.buttons import fits
from handlers.look import Look
from handlers.modes import NAMES
from handlers.text import day, duration, listing, short_name

KEY_ADVICE = (
    "Make a key there that may read and trade futures, and nothing else: no withdrawals, no transfers. "
    "Restrict it to the address of the machine that this bot runs on."
)
_PARTS = {Part.KEY: "API key", Part.SECRET: "secret", Part.PASSPHRASE: "passphrase of the key"}
_DOUBTS = {
    KeyDoubt.FUNDS: "the key cannot withdraw or transfer money",
    KeyDoubt.TRADING: "it may trade futures",
    KeyDoubt.ADDRESS: "it is restricted to this bot's address",
}
CLOCKS_MAY_DIFFER = timedelta(seconds=5)
NOT_DELETED = "⚠️ I could not delete your message: **please delete it yourself.**"


# --- handing in a key -----------------------------------------------------------------------------


def link_card(venue: str, links: Links, *, look: Look) -> Reply:
    text = (
        f"**Connect {venue}**\n{KEY_ADVICE}\n"
        "Then enter it on my own page, not in this chat. The link is yours, works once, and for 5 minutes."
    )
    buttons = (
        (Button("Open the page here", "", ticket=links.app, in_app=True),),
        (Button("Open it in the browser", "", ticket=links.browser),),
        (look.button("Type it here instead", f"/connect {venue} here", replaces=True),),
    )
    return Reply(blocks=(Text(text),), buttons=buttons)


def first_part_card(wanted: Wanted, platform: Platform) -> Reply:
    how = (
        "What you type is not shown."
        if platform is Platform.CONSOLE
        else "I delete each message as soon as I have read it; the messenger has still seen it."
    )
    text = (
        f"**Connect {wanted.venue}**\n{KEY_ADVICE}\n"
        f"Now send the **{_PARTS[wanted.part]}**. {how} /cancel ends this; so do 5 minutes without an answer."
    )
    return Reply(blocks=(Text(text),))


def next_part_card(wanted: Wanted, erasure: Erasure) -> Reply:
    return Reply(blocks=_after(erasure, f"Taken. Now the **{_PARTS[wanted.part]}**. /cancel ends this."))


def unasked_card(look: Look, erasure: Erasure) -> Reply:
    done = "I deleted it, but" if erasure is Erasure.ERASED else "Nothing was stored, but"
    text = (
        f"**That looked like a key or a secret.** {done} whoever has seen it can use it: revoke it at the "
        "exchange now and make a new one. `/connect` takes a key in safely."
    )
    return Reply(
        blocks=_after(erasure, text),
        buttons=((look.button("Connect an exchange", "/connect"),),),
        severity=Severity.WARNING,
    )


def with_erasure(reply: Reply, erasure: Erasure) -> Reply:
    """The card of a result, and what is left to do about the message."""
    if erasure is not Erasure.LEFT:
        return reply
    return Reply((*reply.blocks, Text(NOT_DELETED)), reply.buttons, Severity.WARNING)


def _after(erasure: Erasure, text: str) -> tuple[Text, ...]:
    return (Text(text), Text(NOT_DELETED)) if erasure is Erasure.LEFT else (Text(text),)


# --- what became of it ----------------------------------------------------------------------------


def result_card(look: Look, result: Connected | Doubtful) -> Reply:
    return connected_card(look, result) if isinstance(result, Connected) else doubtful_card(look, result)


def connected_card(look: Look, result: Connected) -> Reply:
    label = result.account.label
    done = "has a new key" if result.renewed else "is connected"
    lines = [f"✅ **{label} {done}** · key …{result.hint}", *_warnings(look, result)]
    lines.append(
        "Orders go there."
        if result.is_default
        else "Orders still go to another account; the button changes that."
    )
    lines += _history_words(result)
    use = () if result.is_default else (look.button(f"Use {label}", f"/settings account {label}"),)
    accounts = look.button("Accounts", "/accounts")
    rows = (*_adoptions(look, result), (*use, accounts))
    return Reply(blocks=(Text("\n".join(lines)),), buttons=rows, severity=Severity.SUCCESS)


def _history_words(result: Connected) -> list[str]:
    lines = []
    if result.resumed:
        names = _numbered(result.resumed)
        lines.append(f"It holds exactly what {names} held, so it is that account again, history and all.")
    for left in result.stranded:
        names, label = _numbered(left.numbers), left.account.label
        wait = "waits" if len(left.numbers) == 1 else "wait"
        lines.append(
            f"⚠️ {names} on {label} {wait} without a key. {result.account.venue} does not tell whose a key "
            f"is, and this one does not hold what {names} held, so it is a new account here. "
            + (f"If it is the same one: `/adopt SYMBOL on {result.account.label}`." if left.held else "")
        )
    return [line.rstrip() for line in lines]


def _numbered(numbers: Sequence[int]) -> str:
    return listing([f"#{number}" for number in numbers], last="and")


def _adoptions(look: Look, result: Connected) -> tuple[tuple[Button, ...], ...]:
    symbols = dict.fromkeys(symbol for left in result.stranded for symbol in left.held)
    commands = {symbol: f"/adopt {symbol} on {result.account.label}" for symbol in symbols}
    made = (look.button(f"Adopt {short_name(s)}", text) for s, text in commands.items() if fits(text))
    return tuple((button,) for button in made)


def _warnings(look: Look, result: Connected) -> list[str]:
    return [f"⚠️ {warning_words(look, each, result)}" for each in result.warnings]


def warning_words(look: Look, warning: KeyWarning, line: Connected | Line) -> str:
    match warning:
        case KeyWarning.ANY_ADDRESS:
            return "The key works from any address: restrict it to this machine's at the exchange."
        case KeyWarning.ADDRESS_UNKNOWN:
            return "The exchange does not tell whether the key is restricted to an address."
        case KeyWarning.EXPIRES_SOON:
            return f"The key expires on {_expiry(look, line)}: make a new one before that."
        case KeyWarning.ONE_WAY:
            command = f"/settings mode hedge on {line.account.label}"
            return f"The account is in one-way mode; hedges need hedge mode: `{command}`."


def _expiry(look: Look, line: Connected | Line) -> str:
    if isinstance(line, Connected):
        at = line.expires_at
    else:
        at = line.facts.report.expires_at if line.facts and line.facts.report else None
    return day(at, look.zone) if at else "an unknown day"


def doubtful_card(look: Look, result: Doubtful) -> Reply:
    points = listing([_DOUBTS[doubt] for doubt in result.doubts], last="and")
    text = (
        f"**One question about the {result.venue} key …{result.hint}**\n"
        f"{result.venue} has no way to tell me. Have you checked there that {points}? "
        "Nothing is stored yet; I hold the key for 5 minutes."
    )
    buttons = (
        look.button("Yes, I checked", "/connect yes", replaces=True),
        look.button("No, drop it", "/connect no", replaces=True),
    )
    return Reply(blocks=(Text(text),), buttons=(buttons,), severity=Severity.WARNING)


# --- what is connected ----------------------------------------------------------------------------


def accounts_card(look: Look, lines: Sequence[Line], *, can_connect: bool) -> Reply:
    blocks = tuple(Text("\n".join(_account_lines(look, line))) for line in lines)
    rows = [row for line in lines if (row := _account_buttons(look, line))]
    if can_connect:
        rows.append((look.button("Connect an exchange", "/connect"),))
    return Reply(blocks=(Text(f"**Accounts: {len(lines)}**"), *blocks), buttons=tuple(rows))


def _account_lines(look: Look, line: Line) -> list[str]:
    account = line.account
    mark = " · **orders go here**" if line.is_default else ""
    lines = [f"**{account.label}** · {_kind(line)}{mark}"]
    if account.frozen:
        lines.append(f"🛑 Takes no new orders: {account.frozen}.")
    return [
        *lines,
        *(f"⚠️ {warning_words(look, each, line)}" for each in line.warnings),
        *_clock_words(line),
    ]


def _clock_words(line: Line) -> tuple[str, ...]:
    ahead = line.seen.clock_ahead
    if ahead is None or abs(ahead) <= CLOCKS_MAY_DIFFER:
        return ()
    way = "ahead of" if ahead > timedelta(0) else "behind"
    return (
        f"⚠️ The clock of {line.account.venue} is {duration(abs(ahead))} {way} this bot's: live streams "
        "may be refused, and then I ask every few seconds instead. Whoever runs the bot can set it right.",
    )


def _kind(line: Line) -> str:
    if line.account.venue == PAPER:
        return "simulated"
    key = f"key …{line.facts.hint}" if line.facts else "no key"
    return f"{line.account.venue} · {key} · {_mode(line)}"


def _mode(line: Line) -> str:
    report = line.facts.report if line.facts else None
    mode: PositionMode | None = report.position_mode if report else None
    return f"{NAMES[mode]} mode" if mode else "mode not known"


def _account_buttons(look: Look, line: Line) -> tuple[Button, ...]:
    label = line.account.label
    default = () if line.is_default else (look.button(f"Make {label} default", f"/settings account {label}"),)
    if line.account.venue == PAPER:
        return default
    return (*default, look.button(f"Disconnect {label}", f"/disconnect {label}"))


# --- going ----------------------------------------------------------------------------------------


def disconnect_question(look: Look, held: Holdings) -> Reply:
    label = held.account.label
    text = f"**Disconnect {label}?** Its key is deleted here. {_left_alone(held)}"
    buttons = (
        look.button("Yes, disconnect", f"/disconnect {label} yes", replaces=True),
        look.button("No", "/accounts", replaces=True),
    )
    return Reply(blocks=(Text(text),), buttons=(buttons,), severity=Severity.WARNING)


def _left_alone(held: Holdings) -> str:
    if held.hedges:
        names = _numbered([hedge.number for hedge in held.hedges])
        are, stay, them = ("is", "stays", "it") if len(held.hedges) == 1 else ("are", "stay", "them")
        return (
            f"⚠️ **{names} {are} open there** and {stay} open, unguarded: no alert will come, and I cannot "
            f"close {them} for you. /close first, if that is not what you want."
        )
    if held.positions is None:
        return "⚠️ The exchange does not answer just now: what is open there stays open, unguarded."
    if held.positions:
        return f"⚠️ **{_count(held.positions)} open there** and stays open, unguarded."
    return "Nothing is open there."


def _count(positions: int) -> str:
    return "A position is" if positions == 1 else f"{positions} positions: something is"


def disconnected_card(look: Look, account: Account) -> Reply:
    text = f"✅ **{account.label} is disconnected.** Its key is deleted here; revoke it at the exchange, too."
    return Reply(
        blocks=(Text(text),),
        buttons=((look.button("Accounts", "/accounts"),),),
        severity=Severity.SUCCESS,
    )


# --- what a daily check found ---------------------------------------------------------------------


def frozen_card(look: Look, account: Account) -> Reply:
    text = (
        f"**🛑 {account.label} takes no new orders: {account.frozen}**\n"
        "What is open can still be closed as far as the key allows. Make a new key that may read and trade "
        "futures, and nothing else; connect it and revoke this one."
    )
    buttons = (
        look.button("Connect a new key", f"/connect {account.venue}"),
        look.button("Disconnect", f"/disconnect {account.label}"),
    )
    return Reply(blocks=(Text(text),), buttons=(buttons,), severity=Severity.CRITICAL)


def thawed_card(look: Look, account: Account) -> Reply:
    text = f"✅ **{account.label} takes orders again**: its key is in order."
    return Reply(
        blocks=(Text(text),),
        buttons=((look.button("Accounts", "/accounts"),),),
        severity=Severity.SUCCESS,
    )
