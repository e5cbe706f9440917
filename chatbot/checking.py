"""What ``hedgerow check`` says of exchanges: reachable, clock, markets; of accounts their mode and rights."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

from chatbot.app import Bot
from chatbot.domain.instrument import PositionMode
from chatbot.errors import HedgerowError
from chatbot.ports import Account, KeyReport
from chatbot.routing import PAPER
from chatbot.services.waiting import since_the_copy

if TYPE_CHECKING:
    from chatbot.venues.ccxt.exchanges import CcxtExchanges

TOLERABLE = timedelta(seconds=1)  # requests bear the venue's time, so more is a hint and no failure


async def check_venues(bot: Bot, exchanges: CcxtExchanges, out: TextIO) -> list[bool]:
    """Those that are set or have an account; one after the other, and what each says."""
    accounts = [account for account in await bot.store.accounts() if account.venue != PAPER]
    named = {*bot.settings.venues, *(account.venue for account in accounts)}
    found = [await _check_venue(venue, exchanges, out) for venue in sorted(named)]
    return found + [await _check_account(bot, account, exchanges, out) for account in accounts]


async def tell_copy(bot: Bot, out: TextIO) -> None:
    """Of a restored database: what it comes from, and which accounts wait."""
    copied_at = await bot.beginning.copied_at()
    if copied_at is not None:
        print(f"restored   {since_the_copy(copied_at)}: the next start is in reconcile-only", file=out)
    for account in await bot.store.accounts():
        if account.restored_from is not None:
            where = f"{account.label} of {account.user_id}"
            print(
                f"restored   {where} is in reconcile-only: {since_the_copy(account.restored_from)}", file=out
            )


async def _check_venue(venue: str, exchanges: CcxtExchanges, out: TextIO) -> bool:
    refusal = exchanges.refusal(venue)
    if refusal is not None:
        print(f"{venue:<11}{refusal}", file=out)
        return False
    health = await exchanges.health(venue)
    if not health.reachable:
        print(f"{venue:<11}cannot be reached: {health.trouble}", file=out)
        return False
    print(f"{venue:<11}fine: {health.markets} markets{_clock(health.offset)}", file=out)
    return True


def _clock(offset: timedelta | None) -> str:
    if offset is None or abs(offset) < timedelta(milliseconds=1):
        return ", clock as ours"
    way = "ahead of" if offset > timedelta(0) else "behind"
    far = " (set this machine's clock)" if abs(offset) > TOLERABLE else ""
    return f", clock {abs(offset) / timedelta(milliseconds=1):.0f} ms {way} ours{far}"


async def _check_account(bot: Bot, account: Account, exchanges: CcxtExchanges, out: TextIO) -> bool:
    try:
        report = await exchanges.examine(account.venue, await bot.keys.vault.open(account))
    except HedgerowError as error:
        print(f"  {account.label} of {account.user_id}: {error.message}", file=out)
        return False
    print(f"  {account.label} of {account.user_id}: {'; '.join(_words(report))}", file=out)
    return report.can_read and report.can_trade is not False and not report.can_move_funds


def _words(report: KeyReport) -> list[str]:
    modes = {PositionMode.HEDGE: "hedge mode", PositionMode.ONE_WAY: "one-way mode"}
    mode = "mode not told" if report.position_mode is None else modes[report.position_mode]
    return [
        mode,
        _right(report.can_trade, "may trade", "may not trade"),
        _right(report.can_move_funds, "may move money", "cannot move money"),
        _right(report.ip_restricted, "bound to addresses", "not bound to addresses"),
    ]


def _right(told: bool | None, yes: str, no: str) -> str:
    return f"not told whether it {yes}" if told is None else yes if told else no
