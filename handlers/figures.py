"""Figures that several cards share."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chatbot.chat import Table, Text
from chatbot.domain.instrument import Instrument, PositionSide, Symbol
from chatbot.domain.quote import FundingOutlook, LegLiquidation, LiquidationSource
from handlers.look import Look
from handlers.tables import WIDTH, line
from handlers.text import (
    clock_time,
    duration,
    fitted_money,
    fitted_price,
    funding_rate,
    interval,
    percent,
    plain,
    short_name,
)

Block = Text | Table
NEAR = Decimal("0.10")  # closer than this, a liquidation distance gets its mark


def leverage(value: Decimal) -> str:
    return f"{plain(value)}x"


def liquidation(value: LegLiquidation, instrument: Instrument, width: int) -> str:
    """``none`` where there is none; ``~`` where it is computed and not told by the exchange."""
    if value.price is None:
        return "none"
    mark = "~" if value.source is LiquidationSource.COMPUTED else ""
    return mark + fitted_price(value.price, instrument, width - len(mark))


def distance(value: LegLiquidation) -> str:
    if value.distance is None:
        return "-"
    return percent(value.distance) + ("!" if value.distance < NEAR else "")


def funding_lines(
    look: Look, funding: FundingOutlook, currency: str, sides: Sequence[PositionSide]
) -> list[str]:
    """Rate and next settlement, then what each side and the pair get of it: positive is received."""
    received = {PositionSide.LONG: funding.long_receives, PositionSide.SHORT: funding.short_receives}
    amounts = [(str(side), received[side]) for side in sides]
    if len(sides) > 1:
        amounts.append(("net", funding.net_per_settlement))
    shown = [(label, fitted_money(amount, currency, 16)) for label, amount in amounts]
    return [
        *_rate_lines(look, funding),
        *_side_by_side(shown),
        line("net per day", f"~{fitted_money(funding.net_per_day, currency, 16)}"),
    ]


def _rate_lines(look: Look, funding: FundingOutlook) -> list[str]:
    rate = f"funding {funding_rate(funding.rate)}/{interval(funding.interval_hours)}"
    settles = next_settlement(look, funding)
    together = len(rate) + len(settles) < WIDTH
    return [line(rate, settles)] if together else [rate, line("  next", settles)]


def _side_by_side(amounts: Sequence[tuple[str, str]]) -> list[str]:
    row = "  ".join(f"{label} {amount}" for label, amount in amounts)
    tight = row.replace("  ", " ")
    if len(amounts) > 1 and len(tight) <= WIDTH:
        return [row if len(row) <= WIDTH else tight]
    return [line(f"  {label}", amount) for label, amount in amounts]


def next_settlement(look: Look, funding: FundingOutlook) -> str:
    """Counted on the venue's clock where that is known: a replayed market has its own."""
    if funding.at is None:
        return clock_time(funding.settles_at, look.zone)
    return f"in {duration(funding.settles_at - funding.at)}"


def margin_lines(look: Look, needed: Decimal, free: Decimal, currency: str) -> list[str]:
    lines = [line("margin needed", f"~{fitted_money(needed, currency, 18, sign=False)}")]
    return (
        [*lines, line("margin free", fitted_money(free, currency, 18, sign=False))]
        if look.balances
        else lines
    )


def coin_blocks(*, inverse: bool) -> list[Block]:
    return [Text("This lock is in coin; what it is worth in dollars still moves.")] if inverse else []


def warning_blocks(warnings: Sequence[str]) -> list[Block]:
    return [Text("\n".join(f"⚠️ {warning}" for warning in warnings))] if warnings else []


def subject_name(number: int | None, symbol: Symbol, instrument: Instrument | None = None) -> str:
    """``#3 ETH``, or ``ETH`` for what no hedge knows yet."""
    name = short_name(symbol, instrument)
    return name if number is None else f"#{number} {name}"
