"""What is made of an exchange's word on a key: refused, doubtful, or accepted with a warning. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from chatbot.domain.instrument import PositionMode
from chatbot.ports import Account, KeyReport

SOON = timedelta(days=14)
BY_KEY = "the key "  # how a reason to freeze an account begins when it is its key's


class KeyDoubt(StrEnum):
    """What the exchange has no way to tell; the user has to know."""

    FUNDS = "funds"
    TRADING = "trading"
    ADDRESS = "address"


class KeyWarning(StrEnum):
    ANY_ADDRESS = "any_address"
    ADDRESS_UNKNOWN = "address_unknown"
    EXPIRES_SOON = "expires_soon"
    ONE_WAY = "one_way"


def refusal(report: KeyReport, now: datetime) -> str:
    """Why such a key is not used, as what the key may or may not; empty: it is."""
    if report.can_move_funds:
        return "the key may withdraw or transfer money"
    if report.expires_at is not None and report.expires_at <= now:
        return "the key has expired"
    if not report.can_read:
        return "the key may not read positions"
    if report.can_trade is False:
        return "the key may not trade futures"
    return ""


def remedy(report: KeyReport) -> str:
    """What its owner has to do about a refusal."""
    if report.can_move_funds:
        return "Make one that can only read and trade futures, without withdrawals and transfers."
    return "Make one that can read and trade futures, and nothing else."


def doubts(report: KeyReport) -> tuple[KeyDoubt, ...]:
    found = (
        (KeyDoubt.FUNDS, report.can_move_funds),
        (KeyDoubt.TRADING, report.can_trade),
        (KeyDoubt.ADDRESS, report.ip_restricted),
    )
    return tuple(doubt for doubt, told in found if told is None)


def warnings(report: KeyReport, now: datetime) -> tuple[KeyWarning, ...]:
    found = (
        (KeyWarning.ANY_ADDRESS, report.ip_restricted is False),
        (KeyWarning.ADDRESS_UNKNOWN, report.ip_restricted is None),
        (KeyWarning.EXPIRES_SOON, report.expires_at is not None and report.expires_at - now < SOON),
        (KeyWarning.ONE_WAY, report.position_mode is PositionMode.ONE_WAY),
    )
    return tuple(warning for warning, holds in found if holds)


def other_reason(account: Account) -> str:
    """Why the account is frozen, as far as that is not its key's fault."""
    return "" if account.frozen.startswith(BY_KEY) else account.frozen


def why_closed(account: Account) -> str:
    """Why nothing may be opened on the account; empty: it may. What is open may always be closed."""
    if not account.frozen:
        return ""
    return (
        f"The account {account.label} takes no new orders: {account.frozen}. "
        f"Closing works as always. `/connect {account.venue}` takes a new key."
    )
