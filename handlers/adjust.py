"""``/adjust``: grow or shrink legs, make them equal, set and move stops; ``/margin``: add margin to a leg."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from chatbot.chat import Reply
from chatbot.domain.hedge import LegRole
from chatbot.domain.instrument import PositionSide
from chatbot.domain.intent import Purpose
from chatbot.domain.quote import AdjustRequest, LegName, MarginRequest, Quote, StopsRequest
from chatbot.errors import BadArgument, NotFound
from handlers.adjust_cards import adjust_menu, margin_menu
from handlers.arguments import STOP_LOSS, TAKE_PROFIT, Arguments
from handlers.choices import about, which_one
from handlers.context import Call
from handlers.elsewhere import status_of
from handlers.quote_cards import quote_card
from handlers.subjects import Subject, all_live_subjects, arguments_of, placed, subject_of

_LEGS: dict[str, LegName] = {
    "primary": LegRole.PRIMARY,
    "offset": LegRole.OFFSET,
    "long": PositionSide.LONG,
    "short": PositionSide.SHORT,
}
EQUAL = ("rebalance", "equal", "balance")
STOPS_FORM, STOPS_EXAMPLE = "/adjust #ID [long|short] sl|tp PRICE|off", "/adjust #3 sl 60000"


@dataclass(frozen=True, slots=True)
class _Stops:
    stop_loss: Decimal | None
    take_profit: Decimal | None
    remove: tuple[Purpose, ...]

    def __bool__(self) -> bool:
        return bool(self.remove) or (self.stop_loss, self.take_profit) != (None, None)


async def adjust(call: Call) -> Reply:
    call = await placed(call)
    arguments = await arguments_of(call)
    with _about_stops():
        stops = _stops(arguments)
    equal = arguments.flag(*EQUAL)
    scale = arguments.signed_size()
    legs, both = _legs(arguments), arguments.flag("both", "pair")
    subject = await subject_of(call, arguments)
    arguments.done()
    _require_one_wish(equal, scale is not None, bool(stops))
    if subject is None:
        return await _of_what_is_open(call, adjust, "/adjust", "Adjust")
    if stops:
        with _about_stops():
            quote = await _offer_stops(call, subject, stops, legs, both=both)
    elif equal:
        _require_no_leg(legs)
        quote = await _offer(call, AdjustRequest(subject.symbol))
    elif scale is not None:
        grow, size = scale
        _require_leg(legs, both=both)
        quote = await _offer(call, AdjustRequest(subject.symbol, legs, size, grow))
    elif legs or both:
        raise BadArgument("I need to know by how much: `+0.01` grows, `-10%` shrinks.")
    else:
        return adjust_menu(call.look, await status_of(call, subject.symbol))
    return quote_card(call.look, quote, await call.services.hedging.instruments(call.user))


@contextlib.contextmanager
def _about_stops() -> Iterator[None]:
    """A complaint about a stop shows how a stop is written, not how a leg is grown."""
    try:
        yield
    except BadArgument as error:
        raise error.with_form(form=STOPS_FORM, example=STOPS_EXAMPLE) from error


def _stops(arguments: Arguments) -> _Stops:
    stop_loss = arguments.price_or_off(STOP_LOSS, "the stop-loss")
    take_profit = arguments.price_or_off(TAKE_PROFIT, "the take-profit")
    wishes = {Purpose.STOP_LOSS: stop_loss, Purpose.TAKE_PROFIT: take_profit}
    return _Stops(
        None if isinstance(stop_loss, str) else stop_loss,
        None if isinstance(take_profit, str) else take_profit,
        tuple(purpose for purpose, wish in wishes.items() if isinstance(wish, str)),
    )


def _legs(arguments: Arguments) -> tuple[LegName, ...]:
    return tuple(leg for word, leg in _LEGS.items() if arguments.flag(word))


def _require_one_wish(*wishes: bool) -> None:
    if sum(wishes) > 1:
        raise BadArgument("One change at a time, please: a size, `rebalance`, or a stop.")


def _require_leg(legs: tuple[LegName, ...], *, both: bool) -> None:
    if both and legs:
        raise BadArgument("You named a leg and `both`; I need one of them.")
    if not both and len(legs) != 1:
        raise BadArgument("I need the leg: `primary`, `offset` or `both`.")


def _require_no_leg(legs: tuple[LegName, ...]) -> None:
    if legs:
        raise BadArgument("`rebalance` takes no leg: it offers both ways to make the legs equal.")


async def _offer(call: Call, request: AdjustRequest) -> Quote:
    return await call.services.hedging.offer_adjust(call.user, call.request.chat, request)


async def _offer_stops(
    call: Call, subject: Subject, stops: _Stops, legs: tuple[LegName, ...], *, both: bool
) -> Quote:
    if len(legs) > 1 or both:
        raise BadArgument("The stops of one leg at a time, please: `long` or `short`.")
    request = StopsRequest(
        subject.symbol,
        legs[0] if legs else None,
        stops.stop_loss,
        stops.take_profit,
        stops.remove,
    )
    return await call.services.hedging.offer_stops(call.user, call.request.chat, request)


async def _of_what_is_open(
    call: Call, handler: Callable[[Call], Awaitable[Reply]], command: str, label: str
) -> Reply:
    """The words named nothing: the only thing that is open, or a choice."""
    live = await all_live_subjects(call)
    if not live:
        raise NotFound("Nothing is open. `/open BTC long 0.05 10x` opens a position.")
    if len(live) > 1:
        return which_one(call, live, command=command, label=label, then="Each shows its offer first.")
    return await handler(about(call, live[0]))


async def margin(call: Call) -> Reply:
    call = await placed(call)
    arguments = await arguments_of(call)
    legs, amount = _legs(arguments), arguments.money()
    arguments.no_share("margin is an amount of money, like `60` or `60usdt`.")
    subject = await subject_of(call, arguments)
    arguments.done()
    if len(legs) > 1:
        raise BadArgument("One leg at a time, please.")
    if subject is None:
        return await _of_what_is_open(call, margin, "/margin", "Margin of")
    if amount is None:
        return margin_menu(call.look, await status_of(call, subject.symbol))
    if not legs:
        raise BadArgument("I need the leg: `long` or `short`, `primary` or `offset`.")
    instruments = await call.services.hedging.instruments(call.user)
    wanted = amount.in_currency(instruments[subject.symbol].settle)
    request = MarginRequest(subject.symbol, legs[0], wanted)
    quote = await call.services.hedging.offer_margin(call.user, call.request.chat, request)
    return quote_card(call.look, quote, instruments)
