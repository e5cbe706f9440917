"""Words for what waits after a restore. Pure."""

from __future__ import annotations

from datetime import datetime

from chatbot.ports import Account

FROM_A_COPY = "the ledger comes from a copy of "  # how the reason begins why a restored hedge is frozen


def since_the_copy(copied_at: datetime) -> str:
    return f"{FROM_A_COPY}{copied_at:%Y-%m-%d %H:%M:%S} UTC"


def why_waiting(account: Account) -> str:
    """Why a restored account takes no new orders; empty: it is none. What agrees may always be closed."""
    if account.restored_from is None:
        return ""
    return (
        f"The account {account.label} is in reconcile-only: {since_the_copy(account.restored_from)} and is "
        "not known to equal the exchange. `/status` shows it, `/adopt all` takes over what the exchange "
        "says. Closing works as always."
    )
