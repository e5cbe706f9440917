"""The card after a restore: what one account's ledger has become, and what its owner has to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from chatbot.chat import Button, Reply, Severity, Text
from chatbot.domain.hedge import Hedge
from chatbot.services.restoring import Reconciliation
from handlers.look import Look
from handlers.text import instant, plain, sentence, short_name

MOST_BUTTONS = 6
NOT_IN_IT = (
    "What you changed after that copy is not in it: settings, `/panic`, alerts, keys that you connected or "
    "disconnected. Buttons and offers of before do nothing any more."
)


def restored_card(look: Look, found: Reconciliation, copied_at: datetime) -> Reply:
    head = f"I was restored from a copy of {instant(copied_at, look.zone)}"
    lines = "\n".join(_lines(found))
    return Reply(
        blocks=(
            Text(f"**{'✅' if found.released else '🛑'} {head}**\n{_state(found)}"),
            *((Text(lines),) if lines else ()),
            Text(NOT_IN_IT),
        ),
        buttons=_buttons(look, found),
        severity=Severity.SUCCESS if found.released else Severity.CRITICAL,
    )


def _state(found: Reconciliation) -> str:
    label = found.account.label
    if found.released:
        return f"The ledger of {label} agrees with the exchange; orders are taken again. I sent none."
    return (
        f"{label} is in **reconcile-only**: nothing new is opened there before you choose. I sent no order. "
        "Adopt takes over what the exchange says; what agrees can be closed as always."
    )


def _lines(found: Reconciliation) -> Iterator[str]:
    for hedge in found.same:
        yield f"{_name(hedge)}: as it was, {_held(hedge)}."
    for before, after in found.moved:
        yield f"{_name(after)}: was {_held(before)}, is {_held(after)}, booked from the exchange's history."
    for hedge in found.differing:
        yield f"🛑 {_name(hedge)}: {sentence(hedge.reason)}"
    way_out = " Hedging or closing it takes it over." if found.released else ""
    for symbol in found.unknown:
        yield f"⚠️ {short_name(symbol)}: open at the exchange, in no hedge that I know.{way_out}"


def _name(hedge: Hedge) -> str:
    return f"#{hedge.number} {short_name(hedge.symbol)}"


def _held(hedge: Hedge) -> str:
    legs = [f"{leg.side} {plain(leg.quantity)}" for leg in hedge.legs if leg.quantity]
    return " and ".join(legs) or "closed"


def _buttons(look: Look, found: Reconciliation) -> tuple[tuple[Button, ...], ...]:
    status = (look.button("Status", "/status"),)
    if found.released:
        return (status,)
    single = [look.button(f"Adopt #{h.number}", f"/adopt #{h.number}") for h in found.differing]
    rows = [tuple(single[i : i + 2]) for i in range(0, min(len(single), MOST_BUTTONS), 2)]
    everything = look.button("Adopt all", f"/adopt all on {found.account.label}")
    return (*rows, (everything, *status))
