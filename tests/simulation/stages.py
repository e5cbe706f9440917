"""Where a run begins: people, what they hold, and the buttons they are about to tap. Each is made once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from chatbot.chat import ChatRef, Platform, UserRef
from chatbot.domain.hedge import AccountId, LegRole, UserId
from chatbot.domain.instrument import MarginMode, PositionSide, Symbol
from chatbot.domain.quote import (
    AdjustRequest,
    CloseRequest,
    HedgeRequest,
    MarginRequest,
    OpenRequest,
    Quote,
    Size,
    SizeUnit,
    StopsRequest,
)
from chatbot.ports import Account, User
from chatbot.services.planning import Plan, plans_of
from chatbot.venues.feeds import BTC, ETH
from chatbot.venues.paper.catalog import CATALOG
from tests.simulation.exchange import ModelExchange
from tests.simulation.journal import Disk

if TYPE_CHECKING:
    from tests.simulation.world import World

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
PRICES = {ETH: Decimal(2_000), BTC: Decimal(100_000)}
ALPHA, BETA = "alpha", "beta"
D = Decimal

Request = OpenRequest | HedgeRequest | CloseRequest | AdjustRequest | StopsRequest | MarginRequest


@dataclass(frozen=True)
class Person:
    user: User
    chat: ChatRef
    accounts: tuple[Account, ...]


@dataclass(frozen=True)
class Wish:
    """A button of an offer that is tapped ``after`` some seconds. ``id`` is that of the tap."""

    id: str
    person: int
    quote: Quote
    choice: str
    after: float = 0.0
    foreign: bool = False  # tapped by somebody whose offer it is not

    @property
    def plans(self) -> tuple[Plan, ...]:
        return plans_of(self.quote, self.choice)


@dataclass
class Stage:
    """``pairs``: accounts and markets that hold equal legs and are to go on doing so.

    ``steps``: of a run in which nothing goes wrong, by their labels.
    """

    name: str
    disk: Disk
    exchanges: dict[str, ModelExchange]
    people: list[Person]
    now: float = 0.0
    wishes: list[Wish] = field(default_factory=list)
    pairs: set[tuple[AccountId, Symbol]] = field(default_factory=set)
    events: tuple[Callable[[World], None], ...] = ()
    steps: tuple[str, ...] = ()


class Hands(Protocol):
    """Does what a person does, in fair weather, to make a stage."""

    stage: Stage

    async def do(self, request: Request, choice: str = "confirm", *, who: int = 0, on: int = 0) -> None: ...

    async def want(
        self, request: Request, choice: str = "confirm", *, who: int = 0, on: int = 0, after: float = 0.0
    ) -> None: ...

    def price(self, symbol: Symbol, price: Decimal) -> None: ...

    def liquidate(self, side: PositionSide) -> None: ...

    async def look(self) -> None: ...


Prepare = Callable[[Any], Awaitable[None]]


def an_open(
    symbol: Symbol = ETH,
    side: PositionSide = LONG,
    size: str = "1",
    *,
    mode: MarginMode = MarginMode.CROSS,
    stop_loss: int | None = None,
    take_profit: int | None = None,
) -> OpenRequest:
    return OpenRequest(
        symbol,
        side,
        Size(SizeUnit.BASE, D(size)),
        D(5),
        mode,
        None if stop_loss is None else D(stop_loss),
        None if take_profit is None else D(take_profit),
    )


def a_share(share: str, *, grow: bool, legs: Sequence[Any] = ()) -> AdjustRequest:
    return AdjustRequest(ETH, tuple(legs), Size(SizeUnit.SHARE, D(share)), grow)


async def _pair(hands: Hands, *, who: int = 0, on: int = 0, mode: MarginMode = MarginMode.CROSS) -> None:
    await hands.do(an_open(size="1.234", mode=mode), who=who, on=on)
    await hands.do(HedgeRequest(ETH), who=who, on=on)
    person = hands.stage.people[who]
    hands.stage.pairs.add((person.accounts[on].id, ETH))


# --- scenarios ----------------------------------------------------------------------------------


async def open_a_leg(hands: Hands) -> None:
    await hands.want(an_open())


async def open_with_stops(hands: Hands) -> None:
    await hands.want(an_open(mode=MarginMode.ISOLATED, stop_loss=1_900, take_profit=2_200))


async def hedge(hands: Hands) -> None:
    await hands.do(an_open(size="1.234"))
    await hands.want(HedgeRequest(ETH))


async def hedge_in_part(hands: Hands) -> None:
    await hands.do(an_open(BTC, SHORT, "0.025"))
    await hands.want(HedgeRequest(BTC, ratio=D("0.5"), stop_loss=D(95_000)))


async def close_a_leg(hands: Hands) -> None:
    await hands.do(an_open(stop_loss=1_900))
    await hands.want(CloseRequest(ETH), "single")


async def close_offset_first(hands: Hands) -> None:
    await _pair(hands)
    await hands.want(CloseRequest(ETH), "offset_first")


async def close_at_once(hands: Hands) -> None:
    await _pair(hands)
    await hands.want(CloseRequest(ETH), "at_once")


async def close_a_part(hands: Hands) -> None:
    await _pair(hands)
    await hands.want(CloseRequest(ETH, D("0.5")), "offset_first")


async def close_at_price(hands: Hands) -> None:
    await _pair(hands)
    await hands.want(CloseRequest(ETH, trigger_price=D(2_020)), "at_price")


async def price_is_reached(hands: Hands) -> None:
    await _pair(hands)
    await hands.do(CloseRequest(ETH, trigger_price=D(2_020)), "at_price")
    hands.stage.events = (lambda world: world.set_price(ETH, D(2_021)),)


async def half_a_price_is_reached(hands: Hands) -> None:
    """One of the two orders is gone when the price comes."""
    await _pair(hands)
    await hands.do(CloseRequest(ETH, trigger_price=D(2_020)), "at_price")
    hands.stage.events = (lambda world: world.half_a_price(ETH, D(2_021)),)


async def grow_both(hands: Hands) -> None:
    await _pair(hands)
    await hands.want(a_share("0.5", grow=True), "scale")


async def shrink_both(hands: Hands) -> None:
    await _pair(hands)
    await hands.want(a_share("0.25", grow=False), "scale")


async def shrink_one(hands: Hands) -> None:
    await _pair(hands)
    hands.stage.pairs.clear()
    await hands.want(a_share("0.25", grow=False, legs=(LegRole.OFFSET,)), "scale")


async def make_equal(hands: Hands) -> None:
    await _pair(hands)
    await hands.do(a_share("0.25", grow=False, legs=(LegRole.OFFSET,)), "scale")
    hands.stage.pairs.clear()
    await hands.want(AdjustRequest(ETH), "trim")


async def restore_a_leg(hands: Hands) -> None:
    """The offset was liquidated and is opened again."""
    await _pair(hands)
    hands.liquidate(SHORT)
    await hands.look()
    hands.stage.pairs.clear()
    await hands.want(HedgeRequest(ETH))


async def set_stops(hands: Hands) -> None:
    await hands.do(an_open(size="1.234", stop_loss=1_900))
    await hands.do(HedgeRequest(ETH))
    hands.stage.pairs.add((hands.stage.people[0].accounts[0].id, ETH))
    await hands.want(StopsRequest(ETH, LegRole.PRIMARY, stop_loss=D(1_950), take_profit=D(2_300)))


async def a_stop_fires(hands: Hands) -> None:
    await hands.do(an_open(size="1.234", stop_loss=1_950))
    await hands.do(HedgeRequest(ETH))
    hands.stage.pairs.add((hands.stage.people[0].accounts[0].id, ETH))
    hands.stage.events = (lambda world: world.set_price(ETH, D(1_949)),)


async def a_stop_is_canceled(hands: Hands) -> None:
    """By another hand."""
    await hands.do(an_open(size="1.234", stop_loss=1_950))
    await hands.do(HedgeRequest(ETH))
    hands.stage.pairs.add((hands.stage.people[0].accounts[0].id, ETH))
    hands.stage.events = (lambda world: world.lose_a_stop(ETH),)


async def add_margin(hands: Hands) -> None:
    await _pair(hands, mode=MarginMode.ISOLATED)
    await hands.want(MarginRequest(ETH, LegRole.OFFSET, D("123.45")))


async def a_leg_is_liquidated(hands: Hands) -> None:
    await _pair(hands, mode=MarginMode.ISOLATED)
    hands.stage.events = (lambda world: world.liquidate(ETH, SHORT),)


async def two_people(hands: Hands) -> None:
    """At the same moment, on the same market; the third does nothing."""
    await _pair(hands)
    await _pair(hands, who=1)
    await _pair(hands, who=2)
    await hands.want(CloseRequest(ETH), "at_once")
    await hands.want(CloseRequest(ETH, D("0.5")), "offset_first", who=1)


async def two_exchanges(hands: Hands) -> None:
    """One person, an account on each, both used at the same moment."""
    await _pair(hands)
    await hands.do(an_open(size="0.7"), on=1)
    await hands.want(CloseRequest(ETH), "offset_first")
    await hands.want(HedgeRequest(ETH), on=1)


SCENARIOS: dict[str, Prepare] = {
    "open": open_a_leg,
    "open with stops": open_with_stops,
    "hedge": hedge,
    "hedge in part": hedge_in_part,
    "close a leg": close_a_leg,
    "close offset first": close_offset_first,
    "close both at once": close_at_once,
    "close a part": close_a_part,
    "close at price": close_at_price,
    "the price is reached": price_is_reached,
    "half a price is reached": half_a_price_is_reached,
    "grow both": grow_both,
    "shrink both": shrink_both,
    "shrink one": shrink_one,
    "make equal": make_equal,
    "restore a leg": restore_a_leg,
    "stops": set_stops,
    "a stop fires": a_stop_fires,
    "a stop is canceled": a_stop_is_canceled,
    "margin": add_margin,
    "a leg is liquidated": a_leg_is_liquidated,
    "two people": two_people,
    "two exchanges": two_exchanges,
}

NAMES = ("ann", "ben", "cas")


def a_person(name: str, number: int, venues: Sequence[str], now: Any) -> Person:
    ref = UserRef(Platform.TELEGRAM, str(100 + number))
    chat = ChatRef(Platform.TELEGRAM, str(100 + number))
    user = User(UserId(str(ref)), ref, chat, name, now)
    accounts = tuple(Account(AccountId(f"{v}:{name}"), user.id, v, v, now) for v in venues)
    return Person(user, chat, accounts)


def exchanges(venues: Sequence[str]) -> dict[str, ModelExchange]:
    return {name: ModelExchange(name, {s: CATALOG[s] for s in PRICES}, PRICES) for name in venues}
