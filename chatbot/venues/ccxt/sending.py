"""Orders of one account on their way: all that can go together in one request, each sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from chatbot.domain.instrument import Instrument, MarginMode, PositionSide, Symbol
from chatbot.domain.order import OrderRequest, OrderType, Outcome, Rejected, Unknown
from chatbot.errors import VenueError, VenueUnavailable
from chatbot.venues.ccxt import parse_account, placing
from chatbot.venues.ccxt.access import STUMBLES, TooLate
from chatbot.venues.ccxt.dialects.common import Dialect
from chatbot.venues.ccxt.limiter import Urgency
from chatbot.venues.ccxt.loading import errors as ccxt_errors
from chatbot.venues.ccxt.marketplace import Marketplace
from chatbot.venues.ccxt.outcomes import NOT_SENT, body_of, order_outcome
from chatbot.venues.ccxt.quirks import Call, Fields
from chatbot.venues.ccxt.reading import Answer, Garbled

Instruments = Mapping[Symbol, Instrument]
Answers = dict[str, Outcome | placing.Taken]


class Sender:
    def __init__(self, dialect: Dialect, shared: Marketplace, known: Instruments) -> None:
        self._dialect = dialect
        self._shared = shared
        self._known = known
        self._quirks = dialect.quirks
        self._memory = dialect.memory

    async def send(self, orders: Sequence[OrderRequest]) -> list[Outcome | placing.Taken]:
        """In the order given; what the venue took is not looked up yet."""
        ready = await asyncio.gather(*(self._prepared(order) for order in orders))
        sendable = [order for order in ready if isinstance(order, placing.Prepared)]
        sent = await asyncio.gather(*(self._sent(group) for group in self._groups(sendable)))
        answers = {name: answer for group in sent for name, answer in group.items()}
        return [
            answers[order.request.client_order_id] if isinstance(order, placing.Prepared) else order
            for order in ready
        ]

    async def _prepared(self, request: OrderRequest) -> placing.Prepared | Rejected | Unknown:
        objection = self._objection(request)
        if objection is not None:
            return objection
        try:
            window = self._dialect.access.window_ms(request.valid_until)
            kind, margin_mode = await self._kind(request), await self._margin_mode(request)
        except TooLate:
            return placing.TOO_LATE
        except VenueError as error:
            return Rejected(error.message, error.code, NOT_SENT)
        if not self._memory.sends(request.client_order_id):
            return Unknown("An order with this id was sent before.")
        return placing.prepared(
            request,
            self._known[request.symbol],
            self._quirks,
            kind=kind,
            margin_mode=margin_mode,
            leverage=self._memory.leverage.get((request.symbol, request.position_side)),
            window_ms=window,
            one_way=request.symbol in self._memory.one_way,
        )

    def _objection(self, request: OrderRequest) -> Rejected | None:
        if request.symbol not in self._known:
            reason = f"{self._quirks.title} does not trade {request.symbol}."
            return Rejected(reason, "", "InstrumentUnavailable")
        return placing.objection(request, self._known[request.symbol])

    async def _kind(self, request: OrderRequest) -> OrderType:
        if request.type is not OrderType.TRIGGER:
            return request.type
        market = await self._shared.market(self._dialect, self._known[request.symbol])
        return placing.stop_kind(request, market.mark_price)

    async def _margin_mode(self, request: OrderRequest) -> MarginMode | None:
        """Where it travels with the order, that of the position; asked for when nobody looked yet."""
        if not self._quirks.mode_param:
            return None
        if self._memory.held is None:
            self._memory.held = margin_modes(self._dialect, await self._dialect.positions())
        key = (request.symbol, request.position_side)
        return self._memory.margin_mode(key) or MarginMode.CROSS

    def _groups(self, ready: Sequence[placing.Prepared]) -> Iterable[Sequence[placing.Prepared]]:
        """Plain orders together as far as the venue takes them, conditional ones one by one."""
        plain = [order for order in ready if not order.request.type.conditional]
        for start in range(0, len(plain), self._quirks.batch):
            yield plain[start : start + self._quirks.batch]
        yield from ([order] for order in ready if order.request.type.conditional)

    async def _sent(self, group: Sequence[placing.Prepared]) -> Answers:
        """Once, whatever comes back."""
        requests = [order.request for order in group]
        access = self._dialect.access
        try:
            rows = [
                self._dialect.body(Answer.of(self._quirks.id, "order", row))
                for row in await self._send(group)
            ]
        except TooLate:
            return {r.client_order_id: placing.TOO_LATE for r in requests}
        except (*STUMBLES, Garbled) as error:
            return {
                r.client_order_id: Unknown(f"{self._quirks.title}: {type(error).__name__}") for r in requests
            }
        except VenueUnavailable as error:
            return {r.client_order_id: Rejected(error.message, "", NOT_SENT) for r in requests}
        except ccxt_errors().BaseError as error:
            access.pause_if_asked(error)
            return self._refused(requests, error)
        return placing.answered(requests, rows, self._quirks, self._fields)

    async def _send(self, group: Sequence[placing.Prepared]) -> Sequence[object]:
        deadline = min(order.request.valid_until for order in group)
        if len(group) == 1:
            arguments = group[0].as_arguments()
            return [
                await self._dialect.access.send(
                    Call.PLACE, "create_order", *arguments, urgency=Urgency.ORDER, valid_until=deadline
                )
            ]
        rows = await self._dialect.access.send(
            Call.PLACE,
            "create_orders",
            [order.as_dict() for order in group],
            urgency=Urgency.ORDER,
            valid_until=deadline,
        )
        if not isinstance(rows, list):
            raise TypeError
        return rows

    def _refused(self, requests: Sequence[OrderRequest], error: BaseException) -> Answers:
        """A refusal of them all may carry one for each."""
        body = body_of(error)
        rows = body.get("data") if isinstance(body, Mapping) else None
        if (
            len(requests) > 1
            and isinstance(rows, list)
            and all(isinstance(row, Mapping) for row in rows)
            and rows
        ):
            answers = [Answer(self._quirks.id, "order", row) for row in rows]
            return placing.answered(requests, answers, self._quirks, self._fields)
        outcome = order_outcome(error, self._quirks, self._dialect.access.credentials)
        if isinstance(outcome, Rejected) and outcome.kind == "WrongPositionMode":
            self._memory.mode = None
        return {request.client_order_id: outcome for request in requests}

    def _fields(self, request: OrderRequest) -> Fields:
        return self._quirks.stops if request.type.conditional else self._quirks.orders


def margin_modes(
    dialect: Dialect, rows: Iterable[tuple[Symbol, Answer]]
) -> dict[tuple[Symbol, PositionSide], MarginMode]:
    """Of the positions, where the venue tells it with them."""
    fields = dialect.quirks.positions
    if not fields.mode:
        return {}
    found = {}
    for symbol, row in rows:
        amount = row.decimal(fields.quantity)
        if amount:
            found[symbol, parse_account.side_of(row, fields, amount)] = row.one_of(fields.modes, fields.mode)
    return found
