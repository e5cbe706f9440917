"""How long an operation left its legs unequal, by the exchange's own clock."""

from __future__ import annotations

from datetime import datetime

from chatbot.domain.hedge import LegRole
from chatbot.domain.intent import OperationId
from chatbot.domain.operation import OperationStatus
from chatbot.ports import Changes


class LegGaps:
    """Follows what is written; a process that dies in between loses the gap of that operation."""

    def __init__(self) -> None:
        self._last: dict[OperationId, dict[LegRole, datetime]] = {}

    def follow(self, changes: Changes) -> list[float]:
        """Seconds between the last fills of both legs, of the operations that are done with these changes."""
        operation_of = {intent.client_order_id: intent.operation_id for intent in changes.intents}
        for booked in changes.fills:
            operation_id = operation_of.get(booked.fill.client_order_id or "")
            if operation_id is not None:
                self._last.setdefault(operation_id, {})[booked.leg] = booked.fill.at
        ended = [operation for operation in changes.operations if operation.status.final]
        fills = {operation.id: self._last.pop(operation.id, {}) for operation in ended}
        done = [fills[each.id] for each in ended if each.status is OperationStatus.DONE]
        return [
            abs((legs[LegRole.PRIMARY] - legs[LegRole.OFFSET]).total_seconds())
            for legs in done
            if len(legs) == 2
        ]
