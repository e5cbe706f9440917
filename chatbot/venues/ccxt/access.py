"""One credential's way to one venue: paced, signed by a clone of its own, errors in our words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import localcontext
from typing import Any, TypeVar

from chatbot.domain.instrument import Symbol
from chatbot.errors import VenueError
from chatbot.ports import Clock, Credentials
from chatbot.venues.ccxt import parse
from chatbot.venues.ccxt.clones import Client, clone
from chatbot.venues.ccxt.limiter import Limiter, Urgency
from chatbot.venues.ccxt.loading import errors as ccxt_errors
from chatbot.venues.ccxt.outcomes import complaint_of, is_pause, pause_seconds, read_error, write_error
from chatbot.venues.ccxt.quirks import Call, Expiry, Quirks
from chatbot.venues.ccxt.reading import Garbled

Answered = TypeVar("Answered")

# What ccxt's own parsers stumble over when an answer has not the expected shape.
STUMBLES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Access:
    """``template`` is the venue's keyless client with its markets; ``credentials`` live as long as this."""

    quirks: Quirks
    template: Client
    limiter: Limiter
    clock: Clock
    names: Mapping[str, Symbol]  # by the venue's own name
    credentials: Credentials | None = None

    @property
    def markets(self) -> Mapping[str, Mapping[str, object]]:
        found: Mapping[str, Mapping[str, object]] = self.template.markets
        return found

    def tradable(self, symbol: str) -> bool:
        return parse.tradable(self.markets[symbol], inverse=self.quirks.inverse)

    def venue_now(self) -> datetime:
        """The venue's clock, as far as the difference was measured."""
        return datetime.fromtimestamp(self._nonce_ms() / 1000, UTC)

    async def read(
        self,
        call: Call,
        method: str,
        *args: object,
        urgency: Urgency = Urgency.READ,
        weight: float | None = None,
        **params: Any,
    ) -> Any:
        """Asks. Raises VenueUnavailable, RateLimited, BadCredentials, MissingPermission."""
        try:
            return await self.send(call, method, *args, urgency=urgency, weight=weight, **params)
        except ccxt_errors().BaseError as error:
            pause = self.pause_if_asked(error)
            raise read_error(error, self.quirks, self.credentials, pause=pause) from None
        except STUMBLES as error:
            raise self.stumbled(method, error) from None

    async def write(self, call: Call, method: str, *args: object, **params: Any) -> Any:
        """Changes something. Raises VenueRejected, VenueUnavailable (not sent), OutcomeUnknown."""
        try:
            return await self.send(call, method, *args, urgency=Urgency.ORDER, **params)
        except ccxt_errors().BaseError as error:
            self.pause_if_asked(error)
            if _unchanged(error, self.quirks):
                return None
            raise write_error(error, self.quirks, self.credentials) from None
        except STUMBLES as error:
            raise write_error(error, self.quirks, self.credentials) from None

    async def send(
        self,
        call: Call,
        method: str,
        *args: object,
        urgency: Urgency,
        weight: float | None = None,
        valid_until: datetime | None = None,
        **params: Any,
    ) -> Any:
        """As ccxt answers and raises. ``params`` are the parameters of an implicit method.

        Raises ``TooLate`` when the request's time was over before its turn came.
        """
        await self.limiter.admit(self.quirks.weight(call) if weight is None else weight, urgency)
        client = clone(self.template, self.credentials, **self._validity(valid_until))
        with localcontext():  # ccxt leaves roundings and traps behind
            return await getattr(client, method)(*args, *([params] if params else []))

    def pause_if_asked(self, error: BaseException) -> float:
        """For how many seconds reads rest; 0: the venue did not ask for it."""
        if not is_pause(error, self.quirks):
            return 0.0
        seconds = pause_seconds(error, self._nonce_ms())
        self.limiter.pause(seconds)
        return seconds

    def stumbled(self, what: str, error: BaseException) -> Garbled:
        return Garbled(
            f"{self.quirks.title}: the answer to {what} cannot be read ({type(error).__name__}).",
            venue=self.quirks.id,
        )

    def window_ms(self, valid_until: datetime) -> int:
        """Raises ``TooLate``."""
        left = int((valid_until - self.clock.now()).total_seconds() * 1000)
        if left <= 0:
            raise TooLate
        return min(left, self.quirks.validity.longest_ms)

    def _validity(self, valid_until: datetime | None) -> Mapping[str, Any]:
        if valid_until is None:
            return {}
        left, validity = self.window_ms(valid_until), self.quirks.validity
        match validity.kind:
            case Expiry.WINDOW:
                return {"options": {validity.name: left}}
            case Expiry.INSTANT:
                return {"headers": {validity.name: str(int(self._nonce_ms()) + left)}}
            case Expiry.SECONDS:
                return {"options": {validity.name: max(1, left // 1000)}}
        return {}

    def _nonce_ms(self) -> float:
        difference = self.template.options.get("timeDifference") or 0
        return float(self.template.milliseconds()) - float(difference)


def _unchanged(error: BaseException, quirks: Quirks) -> bool:
    """It was so before."""
    complaint = complaint_of(error)
    return complaint is not None and complaint.code in quirks.unchanged


class TooLate(Exception):
    """The request waited for its turn until it was not wanted any more; nothing was sent."""


async def together(*questions: Awaitable[Any]) -> list[Any]:
    """All at once; the first error is raised when all have ended, so that none is left running."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return list(answers)


async def attempted(question: Callable[[], Awaitable[Answered]]) -> Answered | VenueError:
    try:
        return await question()
    except VenueError as error:
        return error
