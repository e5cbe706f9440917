"""Orders on their way: checked here, sent once, and each answer given to the order that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from chatbot.domain.instrument import Instrument, MarginMode
from chatbot.domain.order import OrderRequest, OrderType, Outcome, Rejected, Unknown
from chatbot.venues.ccxt.outcomes import Complaint, complaints, judged
from chatbot.venues.ccxt.quirks import Expiry, Fields, Params, Quirks
from chatbot.venues.ccxt.reading import Answer

# Before a name stands for what the venue took: its own id of the order.
Taken = tuple[OrderRequest, str]
TOO_LATE = Rejected(
    "The order's time was over before it could be sent; nothing was sent.", "", "VenueRejected"
)
DIRECTIONS = {("sell", OrderType.STOP_LOSS), ("buy", OrderType.TAKE_PROFIT)}  # these wait for a fall


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order in the terms of ccxt: ``amount`` in contracts."""

    request: OrderRequest
    type: str
    amount: str | int
    price: str | None
    params: Mapping[str, object]

    def as_arguments(self) -> tuple[object, ...]:
        request = self.request
        return request.symbol, self.type, request.side.value, self.amount, self.price, dict(self.params)

    def as_dict(self) -> dict[str, object]:
        names = ("symbol", "type", "side", "amount", "price", "params")
        return dict(zip(names, self.as_arguments(), strict=True))


def objection(request: OrderRequest, instrument: Instrument) -> Rejected | None:
    """What every venue would refuse, or ccxt would round without a word."""
    quantity = request.quantity
    if not quantity.is_finite() or quantity <= 0 or quantity % instrument.lot_size:
        return _invalid(f"The quantity has to be a multiple of {instrument.lot_size:f}.")
    if not instrument.min_quantity <= quantity <= instrument.max_quantity:
        return _invalid(
            f"The quantity has to be from {instrument.min_quantity:f} to {instrument.max_quantity:f}."
        )
    for name, price in (("price", request.limit_price), ("trigger price", request.trigger_price)):
        if price is not None and (not price.is_finite() or price <= 0 or price % instrument.tick_size):
            return _invalid(f"The {name} has to be a multiple of {instrument.tick_size:f}.")
    if request.type.conditional and request.trigger_price is None:
        return _invalid("A conditional order needs a trigger price.")
    if request.type is OrderType.LIMIT and request.limit_price is None:
        return _invalid("A limit order needs a price.")
    return None


def _invalid(reason: str) -> Rejected:
    return Rejected(reason, "", "InvalidOrder")


def prepared(
    request: OrderRequest,
    instrument: Instrument,
    quirks: Quirks,
    *,
    kind: OrderType,
    margin_mode: MarginMode | None,
    leverage: Decimal | None,
    window_ms: int,
    one_way: bool = False,
) -> Prepared:
    """``kind``: what a conditional order is for the venue, stop-loss or take-profit."""
    params: dict[str, object] = dict(_leg(request, quirks, one_way=one_way))
    if kind.conditional:
        params |= _conditional(request, quirks, kind)
    else:
        params["clientOrderId"] = quirks.id_prefix + request.client_order_id
    if request.post_only:
        params["postOnly"] = True
    if quirks.mode_param and margin_mode is not None:
        params[quirks.mode_param] = margin_mode.value
    if quirks.leverage_param and leverage is not None:
        params[quirks.leverage_param] = int(leverage)
    if quirks.validity.kind is Expiry.PARAM:
        params[quirks.validity.name] = window_ms
    contracts = request.quantity / instrument.contract_size
    limit = request.limit_price if request.type is OrderType.LIMIT else None
    return Prepared(
        request=request,
        type="limit" if request.type is OrderType.LIMIT else "market",
        amount=int(contracts) if quirks.whole_amounts else f"{contracts:f}",
        price=None if limit is None else f"{limit:f}",
        params=params,
    )


def closes(request: OrderRequest) -> bool:
    return request.side is request.position_side.closing


def _leg(request: OrderRequest, quirks: Quirks, *, one_way: bool) -> Params:
    if not closes(request):
        return quirks.legs.opening[request.position_side]
    return quirks.legs.one_way if one_way else quirks.legs.closing[request.position_side]


def _conditional(request: OrderRequest, quirks: Quirks, kind: OrderType) -> dict[str, object]:
    price = f"{request.trigger_price:f}"
    ids = dict.fromkeys(quirks.stop_client_id, quirks.id_prefix + request.client_order_id)
    params: dict[str, object] = {**quirks.stop_params, **ids}
    if quirks.directed_stops:
        falling = (request.side.value, kind) in DIRECTIONS
        return params | {
            "triggerPrice": price,
            "triggerDirection": "descending" if falling else "ascending",
        }
    return params | {"stopLossPrice" if kind is OrderType.STOP_LOSS else "takeProfitPrice": price}


def stop_kind(request: OrderRequest, mark: Decimal) -> OrderType:
    """A trigger waits where it is put: above the price a sale takes profit, below it stops the loss."""
    if request.type is not OrderType.TRIGGER or request.trigger_price is None:
        return request.type
    sells, above = request.side.value == "sell", request.trigger_price > mark
    return OrderType.TAKE_PROFIT if sells == above else OrderType.STOP_LOSS


def answered(
    requests: Sequence[OrderRequest],
    rows: Sequence[Answer],
    quirks: Quirks,
    fields: Callable[[OrderRequest], Fields],
) -> dict[str, Outcome | Taken]:
    """Each answer by the client id that it carries, never by its place: refused ones are moved around.

    Answers without an id are complaints. When they are as many as the orders without an answer, they are
    theirs; otherwise nobody knows.
    """
    wanted = {request.client_order_id: request for request in requests}
    found: dict[str, Outcome | Taken] = {}
    strays: list[Complaint | None] = []
    for row in rows:
        request = next((r for r in requests if _names(row, r, quirks, fields(r))), None)
        if request is None and len(requests) == len(rows) == 1 and not _any_name(row, fields(requests[0])):
            request = requests[0]
        if request is None or request.client_order_id in found:
            strays.append(next(complaints(row.data), None))
            continue
        found[request.client_order_id] = _outcome(row, request, quirks, fields(request))
    missing = [name for name in wanted if name not in found]
    return found | dict.fromkeys(missing, _of_strays(strays, missing, quirks))


def _names(row: Answer, request: OrderRequest, quirks: Quirks, fields: Fields) -> bool:
    return row.optional_text(*fields.client_id).removeprefix(quirks.id_prefix) == request.client_order_id


def _any_name(row: Answer, fields: Fields) -> bool:
    return bool(row.optional_text(*fields.client_id))


def _outcome(row: Answer, request: OrderRequest, quirks: Quirks, fields: Fields) -> Outcome | Taken:
    complaint = next(complaints(row.data), None)
    if complaint is not None:
        return judged(complaint, quirks)
    order_id = row.optional_text(*fields.id)
    if not order_id or order_id == "0":
        return Unknown(f"{quirks.title} answered without an order id")
    return request, order_id


def _of_strays(
    strays: Sequence[Complaint | None], missing: Sequence[str], quirks: Quirks
) -> Rejected | Unknown:
    nobody_knows = Unknown(f"{quirks.title} did not answer for this order")
    if not strays or len(strays) != len(missing):
        return nobody_knows
    verdicts = [nobody_knows if stray is None else judged(stray, quirks) for stray in strays]
    refused = [verdict for verdict in verdicts if isinstance(verdict, Rejected)]
    if len(refused) != len(verdicts):
        return next(verdict for verdict in verdicts if isinstance(verdict, Unknown))
    kinds = {verdict.kind for verdict in refused}
    reasons = " ".join(dict.fromkeys(verdict.reason for verdict in refused))
    return Rejected(reasons, refused[0].code, kinds.pop() if len(kinds) == 1 else "VenueRejected")
