"""The twelve ways in which an exchange and the way to it go wrong: drawn from a seed, counted as they hit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from random import Random

from chatbot.domain.order import Rejected


class Kind(StrEnum):
    REQUEST_LOST = "request lost"
    REPLY_LOST = "reply lost"
    LATE = "arrives late"
    DUPLICATE = "duplicate accepted"
    REJECTED = "rejected"
    PARTIAL = "partial fill"
    SERVER_ERROR = "5xx"
    TOO_MANY = "429"
    STALE_ORDER = "stale order read"
    STALE_POSITION = "stale position read"
    CLOCK_OFF = "clock off"
    OTHER_HAND = "changed by another hand"


class Extra(StrEnum):
    """Beside the twelve."""

    LIQUIDATION = "leg liquidated"
    PRICE = "price jumps"
    SLOW_DISK = "slow disk"
    CRASH = "crash"
    CHAT_AWAY = "chat away"


ORDER_FAULTS = (
    Kind.REQUEST_LOST,
    Kind.REPLY_LOST,
    Kind.LATE,
    Kind.DUPLICATE,
    Kind.REJECTED,
    Kind.PARTIAL,
    Kind.PARTIAL,
    Kind.SERVER_ERROR,
    Kind.TOO_MANY,
)
# What leaves one leg behind, and what makes an order come twice.
TELLING = ((Kind.PARTIAL, Kind.REJECTED), (Kind.REPLY_LOST, Kind.LATE))
WRITE_FAULTS = (
    Kind.REQUEST_LOST,
    Kind.REPLY_LOST,
    Kind.REJECTED,
    Kind.SERVER_ERROR,
    Kind.TOO_MANY,
)
READ_FAULTS = (Kind.SERVER_ERROR, Kind.TOO_MANY)

REFUSALS = (
    Rejected("Server busy.", "-1008", "VenueRejected"),
    Rejected("Margin is insufficient.", "-2019", "InsufficientMargin"),
    Rejected("ReduceOnly Order is rejected.", "-2022", "InvalidOrder"),
    Rejected("This market is closed.", "-4108", "InstrumentUnavailable"),
)
ONE_HOUR = 3_600.0
STALEST_POSITION = 10.0


@dataclass(frozen=True)
class Climate:
    """How bad it is. Shares of calls that go wrong, until ``most`` have; the lags in seconds.

    ``clock_off``: seconds that our clock is ahead of the exchange's. ``hides_history``: what the look-up of
    an order does not show yet is missing from the fills too.
    """

    orders: float = 0.0
    writes: float = 0.0
    reads: float = 0.0
    most: int = 0
    order_lag: float = 0.0
    position_lag: float = 0.0
    hides_history: bool = False
    clock_off: float = 0.0
    latency: tuple[float, ...] = (0.0,)
    late: tuple[float, ...] = (0.5, 2.0, 4.0, 4.9, 5.5, 9.0, 60.0)
    turns: int = 0
    slow_disk: tuple[float, ...] = ()
    chat: float = 0.0  # share of messages that the chat does not take at first
    only: tuple[Kind, ...] = ()  # of what goes wrong with orders and writes; empty: anything

    @property
    def gentle(self) -> bool:
        """Nothing goes wrong on the way to the exchange and back."""
        return not (self.most or self.clock_off or self.order_lag or self.position_lag or self.slow_disk)


CALM = Climate()


def a_climate(rng: Random) -> Climate:
    """Fair, foul, or all that is worst at once."""
    mood = rng.random()
    if mood < 0.08:
        return Climate(latency=rng.choice(((0.0,), (0.1,))), turns=rng.choice((0, 1)))
    if mood < 0.14:
        return _worst(rng)
    if mood < 0.34:
        return _monotonous(rng)
    return Climate(
        orders=rng.choice((0.25, 0.5, 0.8)),
        writes=rng.choice((0.0, 0.3, 0.6)),
        reads=rng.choice((0.0, 0.0, 0.1, 0.3)),
        most=rng.randint(1, 5),
        order_lag=rng.choice((0.0, 0.0, 3.0, 30.0, ONE_HOUR)),
        position_lag=rng.choice((0.0, 0.0, 4.0, STALEST_POSITION)),
        hides_history=rng.random() < 0.3,
        clock_off=rng.choice((0.0, 0.0, 0.0, 1.0, -1.0, 5.0, -5.0)),
        latency=rng.choice(((0.0,), (0.0,), (0.1,), (0.05, 0.4, 2.0))),
        turns=rng.choice((0, 0, 1, 2)),
        slow_disk=rng.choice(((), (), (), (0.0, 0.0, 6.0))),
        chat=rng.choice((0.0, 0.0, 0.3)),
    )


def _monotonous(rng: Random) -> Climate:
    """The same two things go wrong, again and again."""
    return Climate(
        orders=rng.choice((0.7, 1.0)),
        writes=0.7,
        most=rng.randint(2, 8),
        only=rng.choice(TELLING) if rng.random() < 0.5 else tuple(rng.sample(sorted(set(ORDER_FAULTS)), 2)),
        latency=rng.choice(((0.0,), (0.0,), (0.1,))),
        turns=rng.choice((0, 0, 1)),
    )


def _worst(rng: Random) -> Climate:
    """An order that arrives as late as it can, seen as late as it can be, by a clock that is as wrong."""
    return Climate(
        orders=1.0,
        most=rng.randint(1, 2),
        order_lag=ONE_HOUR,
        position_lag=STALEST_POSITION,
        hides_history=True,
        clock_off=rng.choice((5.0, 5.0, 0.0, -5.0)),
        late=(4.5, 4.9, 9.5, 9.9),
    )


@dataclass
class Weather:
    climate: Climate
    rng: Random
    hits: Counter[str] = field(default_factory=Counter)
    drawn: int = 0
    reads_failed_at: float | None = None

    def clears(self) -> None:
        """Nothing new goes wrong; what was hidden stays so."""
        self.drawn = self.climate.most

    def hit(self, kind: Kind | Extra) -> None:
        self.hits[kind] += 1

    def of_order(self) -> Kind | None:
        return self._draw(self.climate.orders, ORDER_FAULTS)

    def of_write(self) -> Kind | None:
        return self._draw(self.climate.writes, WRITE_FAULTS)

    def of_read(self) -> Kind | None:
        return self._draw(self.climate.reads, READ_FAULTS)

    def _draw(self, share: float, kinds: tuple[Kind, ...]) -> Kind | None:
        if self.drawn >= self.climate.most or self.rng.random() >= share:
            return None
        self.drawn += 1
        if self.climate.only:
            kinds = tuple(kind for kind in kinds if kind in self.climate.only) or kinds
        return self.rng.choice(kinds)

    def latency(self) -> float:
        choices = self.climate.latency
        return choices[0] if len(choices) == 1 else self.rng.choice(choices)

    def share(self) -> Decimal:
        return Decimal(self.rng.randint(1, 9)) / 10

    def rests(self) -> bool:
        """What of an order did not fill at once works on; else it is canceled."""
        return self.rng.random() < 0.4

    def refusal(self) -> Rejected:
        return self.rng.choice(REFUSALS)

    def position_lag(self) -> float:
        """How old what is read may be, now."""
        most = self.climate.position_lag
        return self.rng.choice((0.0, most)) if most and self.rng.random() < 0.8 else 0.0
