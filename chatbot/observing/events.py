"""What happened at the edges of the bot, as those hear it who count or judge it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from chatbot.chat import Platform
from chatbot.domain.hedge import AccountId
from chatbot.domain.order import Outcome
from chatbot.ports import Changes

# Tuples, because frozen dataclasses take three times as long to make, and some are made for every order.
# ``error`` is what the call raised; ``seconds`` how long it took.


class Committed(NamedTuple):
    seconds: float
    error: BaseException | None
    changes: Changes


class Mailed(NamedTuple):
    """A write to the mailbox; ``received``: updates that came in with it."""

    seconds: float
    error: BaseException | None
    received: int


class Asked(NamedTuple):
    venue: str
    account: AccountId
    call: str
    seconds: float
    error: BaseException | None


class Placed(NamedTuple):
    venue: str
    outcomes: Sequence[Outcome]


class Examined(NamedTuple):
    """A key was tried."""

    venue: str
    error: BaseException | None


class Delivered(NamedTuple):
    platform: Platform
    seconds: float
    error: BaseException | None


class Ran(NamedTuple):
    job: str
    error: BaseException | None


class Lagged(NamedTuple):
    """A sleep ended so much later than asked."""

    seconds: float


Event = Committed | Mailed | Asked | Placed | Examined | Delivered | Ran | Lagged
Tell = Callable[[Event], None]
