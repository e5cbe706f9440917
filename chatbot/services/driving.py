"""Drives one operation through the venue: journal, send, journal the outcome, until the saga is done."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from chatbot.chat import OutboxMessage, Priority
from chatbot.domain import protection, saga
from chatbot.domain.hedge import HedgeStatus, LegRole
from chatbot.domain.intent import (
    IntentEvent,
    IntentStatus,
    OperationId,
    OrderIntent,
    Purpose,
)
from chatbot.domain.ledger import closed_if_flat
from chatbot.domain.operation import OperationStatus
from chatbot.domain.order import Accepted, OrderReport, Outcome, Rejected
from chatbot.domain.quote import CloseWay
from chatbot.domain.saga import Step
from chatbot.errors import InvariantBroken
from chatbot.ports import (
    BookedFill,
    Changes,
    Clock,
    IntentNote,
    Presenter,
    Store,
    Venues,
)
from chatbot.services import topping_up
from chatbot.services.bookkeeping import Bookkeeper
from chatbot.services.evidence import GRACE, LOOK_AGAIN, Contradiction, Evidence, Found, settled_ids
from chatbot.services.locks import AccountLocks
from chatbot.services.reading import read_until_answered
from chatbot.services.run import (
    Order,
    Run,
    absorb,
    as_stored,
    order_of,
    progress_card,
    with_intents,
    with_lost_stops,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL = 0.25
WORTH_NOTING = timedelta(seconds=1)  # a shorter wait is not worth a write before the first order


class Driver:
    def __init__(
        self,
        *,
        store: Store,
        venues: Venues,
        clock: Clock,
        presenter: Presenter,
        bookkeeper: Bookkeeper,
        locks: AccountLocks,
        notify: Callable[[], None],
    ) -> None:
        self._store = store
        self._venues = venues
        self._clock = clock
        self._presenter = presenter
        self._bookkeeper = bookkeeper
        self._locks = locks
        self._evidence = Evidence(clock)
        self._notify = notify
        self._steps: dict[Step, Callable[[Run], Awaitable[Run]]] = {
            Step.SETTLE: self._settle,
            Step.PLACE: self._place,
            Step.TRIM: self._trim,
            Step.ENTER_NEXT_STAGE: self._enter_next_stage,
            Step.FALL_BACK: self._fall_back,
            Step.PROTECT: self._protect,
            Step.TIDY: self._tidy,
            Step.ADD_MARGIN: self._add_margin,
            Step.FIND_MARGIN: self._find_margin,
            Step.FINISH: self._finish,
        }

    async def drive(self, operation_id: OperationId) -> None:
        """To the end; may take as long as the venue is away."""
        first = await self._store.operation(operation_id)
        if first is None:
            raise InvariantBroken(f"operation {operation_id} is not in the journal")
        asked_at = self._clock.now()
        async with self._locks.of(first.account_id):
            run = await self._load(operation_id)
            run = await self._after_queueing(run, self._clock.now() - asked_at)
            log.info("operation begins or goes on", extra={"kind": first.kind, "venue": run.account.venue})
            while (step := self._next(run)) is not Step.REST:
                run = await self._steps[step](run)
            log.info("operation ended", extra={"kind": first.kind, "status": run.operation.status})

    async def _after_queueing(self, run: Run, time: timedelta) -> Run:
        operation = saga.waited(run.operation, time)
        if time < WORTH_NOTING or operation == run.operation:
            return run
        return await self._save(replace(run, operation=operation))

    async def halt(self, operation_id: OperationId, reason: str) -> None:
        """The ledger contradicts itself: nothing more is sent for this hedge until its owner chose."""
        async with self._locks.of((await self._load(operation_id)).account.id):
            run = await self._load(operation_id)
            if not run.operation.status.final:
                await self._freeze(run, reason)

    def _next(self, run: Run) -> Step:
        return saga.next_step(run.operation, run.hedge, run.intents, self._clock.now())

    async def _load(self, operation_id: OperationId) -> Run:
        operation = _found(await self._store.operation(operation_id))
        hedge = _found(await self._store.hedge(operation.hedge_id))
        account = _found(await self._store.account(operation.account_id))
        venue = self._venues.of(account)
        instruments = await read_until_answered(self._clock, venue.instruments)
        intents = await self._store.intents(hedge_id=hedge.id)
        return Run(
            operation=saga.recounted(operation, intents),
            hedge=hedge,
            intents=intents,
            fills=await self._store.booked_fills(hedge.id),
            user=_found(await self._store.user(operation.user_id)),
            account=account,
            venue=venue,
            instrument=instruments[hedge.symbol],
        )

    # --- sending ----------------------------------------------------------------------------

    async def _place(self, run: Run) -> Run:
        targets = saga.to_place(run.operation, self._clock.now())
        await self._clock.sleep(saga.back_off(max(target.attempts for target in targets)))
        return await self._send(run, [order_of(target) for target in targets])

    async def _trim(self, run: Run) -> Run:
        operation = run.operation
        await self._clock.sleep(saga.back_off(operation.trim_attempts))
        if operation.trim_attempts == saga.ALARM_AFTER_TRIMS:
            await self._show(run, priority=Priority.CRITICAL, anew=True)
        left = operation.trim_quantity - operation.trim_filled
        role = operation.trim_role or LegRole.PRIMARY
        return await self._send(run, [Order(role, Purpose.TRIM, left)])

    async def _protect(self, run: Run) -> Run:
        stops = protection.stops_missing(run.operation, run.intents)
        await self._clock.sleep(saga.back_off(protection.tries_in_vain(run.operation, run.intents)))
        return await self._send(run, [Order(s.role, s.purpose, s.quantity, s.trigger_price) for s in stops])

    async def _send(self, run: Run, orders: Sequence[Order]) -> Run:
        """Both legs are journaled before the first request leaves."""
        run, intents = with_intents(run, orders, self._clock.now())
        run = await self._save(run, intents, event="journaled")
        outcomes = await self._place_in_time(run, intents)
        run, touched = await self._fold(run, intents, outcomes)
        await self._show(run)
        return await self._after_refusals(run, touched)

    async def _place_in_time(self, run: Run, intents: Sequence[OrderIntent]) -> Sequence[Outcome]:
        """A journal that took too long to write must not send what nobody expects any more."""
        if self._clock.now() >= min(intent.valid_until for intent in intents):
            return [Rejected("not sent: it had become too old") for _ in intents]
        return await run.venue.place([intent.request() for intent in intents])

    async def _fold(
        self, run: Run, intents: Sequence[OrderIntent], outcomes: Sequence[Outcome]
    ) -> tuple[Run, list[OrderIntent]]:
        fills: list[BookedFill] = []
        touched: list[OrderIntent] = []
        for intent, outcome in zip(intents, outcomes, strict=True):
            run, after, fill = absorb(run, intent, outcome)
            log.info("order answered", extra={"order": after.client_order_id, "status": after.status})
            touched.append(after)
            fills.extend(fill)
        run = await self._save(run, touched, fills=fills)
        return run, touched

    async def _after_refusals(self, run: Run, intents: Sequence[OrderIntent]) -> Run:
        """A refused close may mean that the leg is not what we think: look before trying again."""
        closing = [i for i in intents if i.reduce_only and not i.purpose.protective]
        for intent in [i for i in closing if i.status is IntentStatus.REJECTED]:
            if not run.operation.status.final:
                run = await self._leg_as_it_is(run, intent)
        return run

    async def _leg_as_it_is(self, run: Run, intent: OrderIntent) -> Run:
        run = await self._catch_up(run)
        if run.hedge.status is HedgeStatus.FROZEN:
            return await self._freeze(run, run.hedge.reason)
        if intent.purpose.protective:
            return run
        if intent.reduce_only:
            operation = saga.leg_holds(run.operation, intent.leg, run.hedge.leg(intent.leg).quantity)
        else:
            operation = saga.hedge_fits(run.operation, run.hedge)
        return await self._save(replace(run, operation=operation))

    async def _catch_up(self, run: Run) -> Run:
        view = await read_until_answered(self._clock, lambda: run.venue.view({run.hedge.symbol}))
        hedge, changes = await read_until_answered(
            self._clock, lambda: self._bookkeeper.book(run.account, run.hedge, view)
        )
        # A leg that is gone is a state, which every look sees; that it shrank or grew is told here or never.
        self._bookkeeper.tell_later(run.account, [change for change in changes if change.after])
        intents = await self._store.intents(hedge_id=hedge.id)
        return replace(
            run,
            operation=saga.recounted(run.operation, intents),
            hedge=hedge,
            intents=intents,
            fills=await self._store.booked_fills(hedge.id),
        )

    # --- settling ---------------------------------------------------------------------------

    async def _settle(self, run: Run) -> Run:
        for seen in saga.in_flight(run.operation, run.intents):
            # Settling one order may have settled the next: what is known now counts.
            intent = next(i for i in run.intents if i.client_order_id == seen.client_order_id)
            if run.operation.status.final or intent not in saga.in_flight(run.operation, run.intents):
                continue
            if intent.status is IntentStatus.OPEN and self._clock.now() < intent.valid_until + GRACE:
                run = await self._await_fill(run, intent)
            else:
                run = await self._find_out(run, intent)
        await self._show(run)
        return run

    async def _await_fill(self, run: Run, intent: OrderIntent) -> Run:
        """The venue has it and works on it; after the deadline what is left is canceled."""
        await self._clock.sleep(POLL)
        if self._clock.now() < intent.valid_until:
            report = await self._ask(run, lambda: run.venue.order(intent.symbol, intent.client_order_id))
        else:
            report = await self._ask(run, lambda: run.venue.cancel(intent.symbol, intent.client_order_id))
        return run if report is None else await self._book(run, intent, report)

    async def _ask(self, run: Run, ask: Callable[[], Awaitable[OrderReport | None]]) -> OrderReport | None:
        return await read_until_answered(self._clock, ask)

    async def _find_out(self, run: Run, intent: OrderIntent) -> Run:
        booked = settled_ids(run.intents) | {row.key for row in run.fills}
        verdict = await self._evidence.settle(run.venue, run.hedge, intent, run.instrument, booked=booked)
        if isinstance(verdict, Found):
            after = await self._book(run, intent, verdict.report)
            if after.intents == run.intents:  # nothing new: it is still working
                await self._clock.sleep(LOOK_AGAIN)
            return after
        if isinstance(verdict, Contradiction):
            return await self._freeze(run, verdict.reason)
        # One that is known to have arrived did nothing more.
        arrived = intent.status is IntentStatus.OPEN
        ended = intent.after(IntentEvent.CANCELED if arrived else IntentEvent.PROVEN_ABSENT)
        run = await self._save(run.replacing(ended), [ended])
        # Time has passed: what another hand or the venue did to the leg meanwhile comes first.
        return await self._leg_as_it_is(run, intent)

    async def _book(self, run: Run, intent: OrderIntent, report: OrderReport) -> Run:
        run, after, fill = absorb(run, intent, Accepted(report))
        if after == intent:
            return run
        log.info("order looked up", extra={"order": after.client_order_id, "status": after.status})
        return await self._save(run, [after], fills=fill)

    async def _freeze(self, run: Run, reason: str) -> Run:
        log.error("operation %s is frozen: %s", run.operation.id, reason)
        operation = saga.freeze(run.operation, reason, self._clock.now())
        hedge = replace(run.hedge, status=HedgeStatus.FROZEN, reason=reason)
        return await self._save(replace(run, operation=operation, hedge=hedge), card=True)

    # --- margin -----------------------------------------------------------------------------

    async def _add_margin(self, run: Run) -> Run:
        """Journaled before it is sent, like an order."""
        await self._clock.sleep(saga.back_off(run.operation.targets[0].attempts))
        run = await self._save(replace(run, operation=await topping_up.prepare(run, self._clock)))
        if self._next(run) is not Step.FIND_MARGIN:
            return run
        return await self._save(replace(run, operation=await topping_up.send(run, self._clock)))

    async def _find_margin(self, run: Run) -> Run:
        return await self._save(replace(run, operation=await topping_up.look_up(run, self._clock)))

    # --- moving on --------------------------------------------------------------------------

    async def _enter_next_stage(self, run: Run) -> Run:
        return await self._save(replace(run, operation=saga.enter_next_stage(run.operation)))

    async def _fall_back(self, run: Run) -> Run:
        operation = saga.fall_back(run.operation, self._clock.now())
        if operation.status is OperationStatus.TRIMMING or not operation.status.final:
            return await self._save(replace(run, operation=operation))
        return await self._finish(replace(run, operation=operation))

    async def _tidy(self, run: Run) -> Run:
        """Replaced stops go; larger ones than their leg too, after one of its size has been set instead."""
        for stop in protection.stops_replaced(run.operation, run.intents):
            run = await self._cancel_stop(run, stop)
        for stop in protection.stops_left_over(run.hedge, run.intents):
            left = run.hedge.leg(stop.leg).quantity
            if protection.needs_replacement(run.operation, stop, left, run.intents):
                return await self._send(run, [Order(stop.leg, stop.purpose, left, stop.trigger_price)])
            run = await self._cancel_stop(run, stop)
        return run

    async def _cancel_stop(self, run: Run, stop: OrderIntent) -> Run:
        report = await self._ask(run, lambda: run.venue.cancel(stop.symbol, stop.client_order_id))
        if report is not None and report.status.final:
            return await self._book(run, stop, report)
        # Not known, or canceled before and read too early to show it.
        gone = stop.after(IntentEvent.CANCELED, reason="the exchange does not know it")
        return await self._save(run.replacing(gone), [gone])

    async def _finish(self, run: Run) -> Run:
        if run.operation.way is CloseWay.AT_PRICE:
            run = await self._undo_half_a_pair(run)
        if not any(leg.quantity for leg in run.hedge.legs):
            # Nobody looks at a closed hedge again: funding settled a moment ago is booked now.
            run = await self._catch_up(run)
        operation = run.operation
        now = self._clock.now()
        if not operation.status.final and protection.stops_refused(operation, run.intents):
            operation = saga.fail(operation, operation.reason or protection.STOP_NOT_SET, now)
        if not operation.status.final:
            operation = saga.finish(with_lost_stops(operation, run.intents), now)
        return await self._conclude(replace(run, operation=operation))

    async def _undo_half_a_pair(self, run: Run) -> Run:
        """Conditional closes rest on both legs or on none."""
        placed = [i for i in run.intents if i.operation_id == run.operation.id]
        working = [i for i in placed if i.status in (IntentStatus.OPEN, IntentStatus.FILLED)]
        wanted = {t.role for t in run.operation.targets if run.hedge.leg(t.role).quantity}
        if wanted <= {i.leg for i in working}:
            return run
        for intent in working:
            if intent.status is IntentStatus.OPEN:
                run = await self._cancel_stop(run, intent)
        refused = (i.reason for i in placed if i.status is IntentStatus.REJECTED)
        reason = next(refused, "") or "the exchange did not take the order"
        failed = replace(
            run.operation, status=OperationStatus.FAILED, reason=reason, finished_at=self._clock.now()
        )
        return replace(run, operation=failed)

    async def _conclude(self, run: Run) -> Run:
        """The last word of an operation and the card that says it are written together."""
        at = run.fills[-1].fill.at if run.fills else run.hedge.opened_at
        if not protection.stops_left_over(
            run.hedge, run.intents
        ):  # else the watch cancels them, then closes it
            run = replace(run, hedge=closed_if_flat(run.hedge, at))
        return await self._save(run, card=True)

    # --- writing ----------------------------------------------------------------------------

    async def _save(
        self,
        run: Run,
        intents: Sequence[OrderIntent] = (),
        *,
        fills: Sequence[BookedFill] = (),
        event: str = "",
        card: bool = False,
    ) -> Run:
        now = self._clock.now()
        if fills:
            run = replace(run, fills=(*run.fills, *fills))
        await self._store.commit(
            Changes(
                hedges=(run.hedge,),
                operations=(run.operation,),
                intents=tuple(intents),
                notes=tuple(IntentNote(i.client_order_id, now, event or i.status, i.reason) for i in intents),
                fills=tuple(fills),
                outbox=(self._card(as_stored(run)),) if card else (),
            )
        )
        if card:
            self._notify()
        return as_stored(run)

    async def _show(self, run: Run, *, priority: Priority = Priority.PROGRESS, anew: bool = False) -> None:
        if run.operation.status.final:
            return
        card = self._card(run, priority=priority, anew=anew)
        await self._store.commit(Changes(outbox=(card,), behalf=run.user.id))
        self._notify()

    def _card(self, run: Run, *, priority: Priority = Priority.PROGRESS, anew: bool = False) -> OutboxMessage:
        return progress_card(
            self._presenter,
            run.progress(self._clock.now()),
            priority=priority,
            anew=anew,
        )


def _found(row: T | None) -> T:
    if row is None:
        raise InvariantBroken("the journal refers to a row that is not there")
    return row
