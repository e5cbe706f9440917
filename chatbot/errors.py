"""Errors, grouped by what the caller must do.

::

    HedgerowError                     message defaults to the docstring
    ├─ UserError                      say it; nothing is wrong with us
    │   ├─ BadArgument  NotConnected  NotFound  QuoteExpired  Busy  KeyRefused
    │   ├─ LimitExceeded
    │   │   └─ OneWayMode             carries what stands in the way of hedge mode
    ├─ SettingsError                  stop the start, say which setting
    ├─ VenueError                     carries the venue
    │   ├─ VenueRejected              proven: nothing happened
    │   │   ├─ BadCredentials  MissingPermission  InsufficientMargin
    │   │   ├─ InvalidOrder  WrongPositionMode  InstrumentUnavailable
    │   ├─ VenueUnavailable           a read failed, or a write that surely was not sent
    │   │   └─ RateLimited            carries retry_after
    │   └─ OutcomeUnknown             a write may have happened: never re-sent, goes to recovery
    ├─ StorageError                   the database cannot be used as it is
    │   ├─ InUse                      another process owns it
    │   ├─ LeaseLost                  another process does this work now: leave it to that one
    │   └─ Conflict                   a row changed under us, or a token was used already
    ├─ DeliveryError                  a message did not get to its chat
    │   ├─ ChatUnreachable            blocked, deleted, kicked: stop sending there
    │   └─ DeliverLater               carries retry_after; holds one chat
    │       └─ PlatformAway           holds all chats of the platform
    └─ InvariantBroken                a bug or corrupt state: halt that hedge, alert, never continue
"""

from __future__ import annotations

import inspect


class HedgerowError(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)) or "")

    @property
    def message(self) -> str:
        return str(self.args[0])


class SettingsError(HedgerowError):
    """A setting is wrong."""


class UserError(HedgerowError):
    """That cannot be done."""


class BadArgument(UserError):
    """I did not understand that.

    ``form`` is the expected shape and ``example`` one line that works; both are shown to the user.
    """

    def __init__(self, message: str | None = None, *, form: str = "", example: str = "") -> None:
        super().__init__(message)
        self.form = form
        self.example = example

    def with_form(self, *, form: str, example: str) -> BadArgument:
        """The same complaint, completed by the command that knows its own shape."""
        return BadArgument(self.message, form=self.form or form, example=self.example or example)


class NotConnected(UserError):
    """No exchange account is connected."""


class NotFound(UserError):
    """There is no such thing among yours."""


class NothingOpen(NotFound):
    """No position is open on that market of the account; another account may have one."""


class QuoteExpired(UserError):
    """This offer has expired; nothing was sent."""


class Busy(UserError):
    """Something is still in flight on this account; nothing was sent."""


class KeyRefused(UserError):
    """This key cannot be connected; nothing was stored."""


class LimitExceeded(UserError):
    """That would exceed a limit you set."""


class OneWayMode(LimitExceeded):
    """The account is in one-way mode, where a second leg would close the first.

    ``obstacle`` is what has to be closed before the mode can change; empty: nothing.
    """

    def __init__(self, message: str | None = None, *, obstacle: str = "") -> None:
        super().__init__(message)
        self.obstacle = obstacle


class VenueError(HedgerowError):
    """The exchange answered with an error."""

    def __init__(self, message: str | None = None, *, venue: str = "", code: str = "") -> None:
        super().__init__(message)
        self.venue = venue
        self.code = code


class VenueRejected(VenueError):
    """The exchange refused; nothing happened."""


class BadCredentials(VenueRejected):
    """The exchange does not accept the key."""


class MissingPermission(VenueRejected):
    """The key is not allowed to do this."""


class InsufficientMargin(VenueRejected):
    """Not enough free margin."""


class InvalidOrder(VenueRejected):
    """The exchange does not accept an order like this."""


class WrongPositionMode(VenueRejected):
    """The account is not in the position mode that this needs."""


class InstrumentUnavailable(VenueRejected):
    """The exchange does not trade this symbol."""


class VenueUnavailable(VenueError):
    """The exchange cannot be reached just now; nothing was sent."""


class RateLimited(VenueUnavailable):
    """The exchange asks us to slow down."""

    def __init__(
        self, message: str | None = None, *, venue: str = "", code: str = "", retry_after: float = 1.0
    ) -> None:
        super().__init__(message, venue=venue, code=code)
        self.retry_after = retry_after


class OutcomeUnknown(VenueError):
    """The order may or may not have arrived; it is being looked up."""


class StorageError(HedgerowError):
    """The database cannot be used."""


class InUse(StorageError):
    """Another process owns the database."""


class LeaseLost(StorageError):
    """Another process does this work now; nothing was written."""


class Conflict(StorageError):
    """The row was changed by somebody else, or the token was used already."""


def database_is_away(error: object) -> bool:
    """Whoever is told of it may try again later; what the database is there to refuse is something else."""
    return isinstance(error, StorageError) and not isinstance(error, Conflict | LeaseLost)


class DeliveryError(HedgerowError):
    """The message could not be delivered."""


class ChatUnreachable(DeliveryError):
    """The chat does not take messages from us any more."""


class DeliverLater(DeliveryError):
    """Not now: try again after a while."""

    def __init__(self, message: str | None = None, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PlatformAway(DeliverLater):
    """The platform cannot be reached: nothing can be delivered there now, to nobody."""


class InvariantBroken(HedgerowError):
    """The ledger contradicts itself; the hedge is halted."""
