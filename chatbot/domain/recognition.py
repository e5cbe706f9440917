"""An order of ours that the venue lists and the journal does not have, told by its id."""

from __future__ import annotations

from chatbot.domain.hedge import Hedge
from chatbot.domain.intent import IntentStatus, OperationId, OrderIntent, purpose_of
from chatbot.domain.order import OrderReport


def recognized(order: OrderReport, hedge: Hedge, operation_id: OperationId) -> OrderIntent | None:
    """As the journal would have it; ``None``: it is none of ours."""
    purpose = purpose_of(order.client_order_id)
    if purpose is None:
        return None
    return OrderIntent(
        client_order_id=order.client_order_id,
        operation_id=operation_id,
        hedge_id=hedge.id,
        account_id=hedge.account_id,
        symbol=order.symbol,
        leg=hedge.leg_on(order.position_side).role,
        purpose=purpose,
        side=order.side,
        position_side=order.position_side,
        type=order.type,
        quantity=order.quantity,
        reduce_only=order.reduce_only,
        created_at=order.updated_at,
        valid_until=order.updated_at,
        limit_price=order.limit_price,
        trigger_price=order.trigger_price,
        status=IntentStatus.OPEN,
        venue_order_id=order.venue_order_id,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        fee=order.fee,
    )
