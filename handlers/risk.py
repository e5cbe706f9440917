"""``/risk``: caps on what may be opened, and what they are used to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from chatbot.chat import Reply, Severity, Text
from chatbot.domain.instrument import ZERO, ContractKind, Instrument
from chatbot.domain.preferences import RiskCaps
from chatbot.errors import BadArgument
from chatbot.services.reporting import LegReport, StatusReport
from handlers.arguments import percent_of, positive_of
from handlers.context import Call
from handlers.tables import line, table
from handlers.text import echo, fitted_money, listing, percent, plain, share

MAX_LEVERAGE = Decimal(1_000)
OFF = "off"
HINT = "A cap refuses new openings, it closes nothing. Change one: `/risk leverage 10`, `/risk notional off`."


@dataclass(frozen=True, slots=True)
class _Cap:
    change: Callable[[RiskCaps, str], RiskCaps]
    form: str
    example: str


async def risk(call: Call) -> Reply:
    if not call.words:
        return await _overview(call, call.user.preferences.caps)
    name, rest = call.words[0].lower(), call.words[1:]
    cap = _CAPS.get(name)
    if cap is None:
        raise BadArgument(f"`{echo(name)}` is no cap: {listing(list(_CAPS))}.")
    try:
        caps = cap.change(call.user.preferences.caps, _one(rest))
    except BadArgument as error:
        raise error.with_form(form=cap.form, example=cap.example) from error
    await call.services.people.choose(call.user, replace(call.user.preferences, caps=caps))
    return replace(await _overview(call, caps, "✅ **Saved.** "), severity=Severity.SUCCESS)


def _one(words: Sequence[str]) -> str:
    if len(words) != 1:
        raise BadArgument("I need one value, or `off`.")
    return words[0].lower()


def _leverage(caps: RiskCaps, word: str) -> RiskCaps:
    if word == OFF:
        return replace(caps, leverage=None)
    leverage = positive_of(word.strip("x") or word, "The leverage")
    if not 1 <= leverage <= MAX_LEVERAGE:
        raise BadArgument(f"The leverage must be from 1x to {MAX_LEVERAGE}x, not `{echo(word)}`.")
    return replace(caps, leverage=leverage)


def _share(caps: RiskCaps, word: str) -> RiskCaps:
    if word == OFF:
        return replace(caps, hedge_share=None)
    fraction = percent_of(word)
    if not 0 < fraction <= 1:
        raise BadArgument(f"The share must be over 0 % and at most 100 %, not `{echo(word)}`.")
    return replace(caps, hedge_share=fraction)


def _notional(caps: RiskCaps, word: str) -> RiskCaps:
    if word == OFF:
        return replace(caps, notional=None)
    amount = positive_of(word.removesuffix("usdt").lstrip("$") or word, "The notional")
    return replace(caps, notional=amount)


def _reserve(caps: RiskCaps, word: str) -> RiskCaps:
    fraction = ZERO if word == OFF else percent_of(word)
    if not 0 <= fraction < 1:
        raise BadArgument(f"The reserve must be from 0 % to under 100 %, not `{echo(word)}`.")
    return replace(caps, reserve=fraction)


_CAPS: dict[str, _Cap] = {
    "leverage": _Cap(_leverage, "/risk leverage NUMBER|off", "/risk leverage 10"),
    "share": _Cap(_share, "/risk share PERCENT|off", "/risk share 80%"),
    "notional": _Cap(_notional, "/risk notional AMOUNT|off", "/risk notional 5000"),
    "reserve": _Cap(_reserve, "/risk reserve PERCENT|off", "/risk reserve 2%"),
}


# --- the card -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Used:
    """``margin`` that legs of hedges take up, their highest leverage and the largest leg's notional."""

    margin: Decimal = ZERO
    leverage: Decimal = ZERO
    notional: Decimal = ZERO


async def _overview(call: Call, caps: RiskCaps, first: str = "") -> Reply:
    report = await call.services.reporting.status(call.user)
    balance, used = report.balance, _used(_legs(report))
    share_used = used.margin / balance.equity if balance.equity > 0 else ZERO
    currency = balance.currency
    rows = table(
        line("cap", "used   of"),
        _row("equity in hedges", percent(share_used), _or_none(caps.hedge_share, share)),
        _row("leverage", f"{plain(used.leverage)}x", _or_none(caps.leverage, lambda cap: f"{plain(cap)}x")),
        _row(
            "notional",
            _short(used.notional, currency),
            _or_none(caps.notional, lambda cap: _short(cap, currency)),
        ),
        line("kept in reserve", share(caps.reserve)),
        line("free margin", fitted_money(balance.free, currency, 16, sign=False)),
    )
    head = f"{first}**{percent(share_used)} of your equity is in hedges**"
    buttons = ((call.button("Refresh", "/risk", replaces=True), call.button("Status", "/status")),)
    return Reply(blocks=(Text(head), rows, Text(HINT)), buttons=buttons)


def _row(label: str, used: str, cap: str) -> str:
    return line(label, f"{used} / {cap}")


def _or_none(cap: Decimal | None, words: Callable[[Decimal], str]) -> str:
    return "no cap" if cap is None else words(cap)


def _short(amount: Decimal, currency: str) -> str:
    return fitted_money(amount, currency, 10, sign=False)


def _legs(report: StatusReport) -> list[tuple[Instrument, LegReport]]:
    """Of the hedges and of the positions that the bot knows as a hedge to be."""
    paired = [(hedge.instrument, leg) for hedge in report.hedges for leg in hedge.legs if leg.quantity]
    alone = [(p.instrument, p.leg) for p in report.positions if p.number is not None]
    return [*paired, *alone]


def _used(legs: Iterable[tuple[Instrument, LegReport]]) -> _Used:
    used = _Used()
    for instrument, leg in legs:
        notional = _in_quote(instrument, leg)
        used = _Used(
            margin=used.margin + notional / leg.leverage,
            leverage=max(used.leverage, leg.leverage),
            notional=max(used.notional, notional),
        )
    return used


def _in_quote(instrument: Instrument, leg: LegReport) -> Decimal:
    """By the entry, as openings count it; an inverse quantity is in quote units already."""
    if instrument.kind is ContractKind.INVERSE:
        return leg.quantity
    return instrument.notional(leg.quantity, leg.entry_price)
