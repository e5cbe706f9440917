"""Conditional closes of a pair fire together: where only one leg's did, the other leg is closed."""

from __future__ import annotations

import logging
from datetime import timedelta

from chatbot.domain.hedge import Hedge, HedgeId, HedgeStatus
from chatbot.domain.intent import IntentEvent, IntentStatus, OrderIntent
from chatbot.domain.operation import Operation, OperationStatus
from chatbot.domain.quote import CloseWay
from chatbot.errors import VenueError
from chatbot.ports import Changes, Clock, IdSource, IntentNote, Store, Venues
from chatbot.services.locks import AccountLocks
from chatbot.services.planning import fired_pair, rest_of_pair
from chatbot.services.recovery import Supervisor, attempt

log = logging.getLogger(__name__)

PAIR_PAUSE = timedelta(seconds=5)


class PairWatch:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        clock: Clock,
        ids: IdSource,
        supervisor: Supervisor,
        locks: AccountLocks,
    ) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._ids = ids
        self._supervisor = supervisor
        self._locks = locks

    async def finish_fired_pairs(self) -> None:
        """The user confirmed both legs at that price: the same confirmation is still being carried out."""
        for hedge in await self._store.fired_hedges():
            if not await self._may_have_fired(hedge):
                continue  # without the lock: who finds it taken only looks
            async with self._locks.of(hedge.account_id):
                failure = await attempt(self._finish_fired_pair(hedge.id))
                if isinstance(failure, VenueError):
                    extra = {"reason": failure.message}
                    log.warning("a pair is looked at again later", extra=extra)
                elif failure is not None:
                    log.error("a pair could not be finished", exc_info=failure)

    async def _may_have_fired(self, hedge: Hedge) -> bool:
        if hedge.offset is None or self._locks.busy(hedge.account_id):
            return False
        return fired_pair(hedge, await self._store.intents(hedge_id=hedge.id)) is not None

    async def _finish_fired_pair(self, hedge_id: HedgeId) -> None:
        hedge = await self._store.hedge(hedge_id)
        if hedge is None or hedge.status is not HedgeStatus.OPEN:
            return
        account = await self._store.account(hedge.account_id)
        if account is None or account.restored_from is not None:
            return
        if await self._store.unfinished_operations(account.id):
            return
        left = fired_pair(hedge, await self._store.intents(hedge_id=hedge.id))
        origin = None if left is None else await self._store.operation(left.operation_id)
        if left is None or origin is None or not await self._may_follow(origin):
            return
        canceled = await self._take_back(hedge, left)
        if canceled is None:
            return  # it fired just now: the next look books it
        operation = rest_of_pair(
            origin, hedge, left, operation_id=self._ids.operation_id(), now=self._clock.now()
        )
        note = IntentNote(canceled.client_order_id, self._clock.now(), canceled.status, canceled.reason)
        await self._store.commit(Changes(operations=(operation,), intents=(canceled,), notes=(note,)))
        self._supervisor.start(operation)

    async def _may_follow(self, origin: Operation) -> bool:
        """Once it was done never again; where it failed, not at every look."""
        same = await self._store.operation_of_quote(origin.quote_id)
        later = [o for o in same if o.way is CloseWay.SINGLE and o.hedge_id == origin.hedge_id]
        ends = [o.finished_at or o.started_at for o in later]
        done = any(o.status is OperationStatus.DONE for o in later)
        return not done and self._clock.now() >= max(ends, default=origin.started_at) + PAIR_PAUSE

    async def _take_back(self, hedge: Hedge, left: OrderIntent) -> OrderIntent | None:
        """The half that did not fire; ``None``: it did after all."""
        if left.status is not IntentStatus.OPEN:
            return left
        account = await self._store.account(hedge.account_id)
        if account is None:
            return None
        report = await self._venues.of(account).cancel(left.symbol, left.client_order_id)
        if report is not None and report.filled_quantity != left.filled_quantity:
            return None
        return left.after(IntentEvent.CANCELED, reason="its pair fired without it")
