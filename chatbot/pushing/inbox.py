"""Handles what came in: each update once, in order within a chat, no chat waiting for another.

``finish`` writes the replies and the handled mark in one transaction. A process that dies before it handles
the update again at the next start, so what ``handle`` does must be safe to do again for the same request id.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from chatbot.chat import ChatRef, OutboxMessage, Priority, Reply, Request, RequestKind, Text
from chatbot.domain.shards import shard_of
from chatbot.errors import LeaseLost, StorageError, database_is_away
from chatbot.log import about
from chatbot.ports import Alone, Clock, Leases, Mailbox
from chatbot.pushing.outbox import pause_after

T = TypeVar("T")
Handle = Callable[[Request], Awaitable[Sequence[Reply]]]
Finish = Callable[[Request, Sequence[Reply]], Awaitable[None]]
Acknowledge = Callable[[Request, str | None], Awaitable[None]]
Screen = Callable[[Sequence[Request]], Awaitable[Sequence[Request]]]

BLANK_ACKNOWLEDGEMENT_AFTER = 2.0  # seconds: long before a tap expires, long enough for most toasts
LANE_LIMIT = 100
READ_AGAIN_AFTER = 1.0  # seconds
FINISH_TRIES = 3  # where it is not the database that is away
OUTAGE_TRIES = 8  # a minute and a quarter
LOOK_GAP = 0.02  # seconds between two looks for what other processes received
APOLOGY = Reply((Text("Something went wrong on my side. It is logged; /status shows where things stand."),))

log = logging.getLogger(__name__)


def replies_to_outbox(request: Request, replies: Sequence[Reply], now: datetime) -> tuple[OutboxMessage, ...]:
    """What is owed for a request; a reply with nothing to show is only a toast."""
    clicked = request.message.id if request.message else None
    return tuple(
        OutboxMessage(
            dedupe_key=f"reply:{request.id}:{number}",
            chat=request.chat,
            reply=reply,
            priority=Priority.REPLY,
            not_before=now,
            replaces=clicked if reply.edit else None,
        )
        for number, reply in enumerate(replies)
        if reply.blocks or reply.picture
    )


LaneKey = tuple[ChatRef, int | None]


@dataclass(slots=True)
class _Lane:
    """The requests of one chat. ``behind``: more wait in the mailbox; ``missed``: and even more by now."""

    waiting: deque[Request] = field(default_factory=deque)
    behind: bool = False
    missed: bool = False
    worker: asyncio.Task[None] | None = None


async def _as_they_are(requests: Sequence[Request]) -> Sequence[Request]:
    return requests


class InboxProcessor:
    """Memory is bounded: a flooding chat has at most ``LANE_LIMIT`` requests here, others in the mailbox.

    ``screen`` sees requests before they are written down, and takes out what must not be. Of what several
    processes receive each handles what is of its own shards: in a group, order holds for each person.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        handle: Handle,
        finish: Finish,
        acknowledge: Acknowledge,
        *,
        clock: Clock,
        screen: Screen = _as_they_are,
        leases: Leases | None = None,
    ) -> None:
        self._screen = screen
        self._leases = leases or Alone()
        self._mailbox = mailbox
        self._handle = handle
        self._finish = finish
        self._acknowledge = acknowledge
        self._clock = clock
        self._lanes: dict[LaneKey, _Lane] = {}
        self._taken: set[str] = set()  # ids in a lane or at work
        self._done: set[str] = set()  # of those, the ones done since the mailbox is being read
        self._readers = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._acknowledging: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False

    async def start(self) -> None:
        """Takes up what an earlier run left."""
        await self.refresh()

    async def receive(
        self, requests: Sequence[Request], *, cursor: tuple[str, int] | None = None, repeated: bool = False
    ) -> None:
        """Durable when it returns. ``repeated``: some of them may have been handled already."""
        requests = await self._screen(requests)
        await self._mailbox.receive(requests, cursor=cursor)
        if self._leases.shards is not None:
            # Another process may have received, even handled, some of them before: the mailbox knows.
            self._leases.wake({_shard(request) for request in requests})
        elif repeated:
            await self.refresh()
        else:
            self._submit(requests)

    async def refresh(self) -> None:
        async with self._unhandled() as left:
            self._submit(left)

    def look(self) -> None:
        """Something may have been received elsewhere that is to be handled here."""
        self._look_again = True
        if self._looking is None and not self._stopping:
            self._looking = asyncio.create_task(self._look_while_told(), name="inbox")

    async def _look_while_told(self) -> None:
        try:
            while self._look_again and not self._stopping:
                self._look_again = False
                await self.refresh()
                await self._clock.sleep(LOOK_GAP)
        except StorageError as error:  # told again a moment later
            log.warning("the inbox cannot be read", extra={"reason": error.message})
        finally:
            self._looking = None

    async def let_go(self, shards: Collection[int], *, seconds: float) -> None:
        """Another process goes on with them: what waits is left to it, what is begun may end in time."""
        lanes = [lane for (_, shard), lane in self._lanes.items() if shard in shards]
        for lane in lanes:
            self._taken.difference_update(request.id for request in lane.waiting)
            lane.waiting.clear()
            lane.behind = lane.missed = False
        await _ended([lane.worker for lane in lanes if lane.worker is not None], seconds)

    async def idle(self) -> None:
        """Until everything received is handled."""
        while running := self._workers | self._acknowledging:
            await asyncio.wait(running)

    async def stop(self, *, drain_seconds: float = 10.0) -> None:
        """What is not done by the deadline stays in the mailbox for the next start."""
        self._stopping = True
        await _ended(self._workers | self._acknowledging, drain_seconds)

    def _submit(self, requests: Sequence[Request]) -> None:
        if self._stopping:
            return
        for request in requests:
            if request.id not in self._taken and self._leases.holds(_shard(request)):
                self._put(request)

    def _put(self, request: Request) -> None:
        key = self._lane_of(request)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            lane.worker = asyncio.create_task(self._work(key, lane))
            _keep(lane.worker, self._workers)
        if lane.behind or len(lane.waiting) >= LANE_LIMIT:
            lane.behind = lane.missed = True
            return
        self._taken.add(request.id)
        lane.waiting.append(request)

    def _lane_of(self, request: Request) -> LaneKey:
        """A chat is one lane, unless its people are of different processes."""
        return request.chat, None if self._leases.shards is None else _shard(request)

    async def _work(self, key: LaneKey, lane: _Lane) -> None:
        """Goes through the lane and ends with it."""
        try:
            while lane.waiting or lane.behind:
                if lane.waiting:
                    request = lane.waiting.popleft()
                    with about(request=request.id):
                        await self._serve(request)
                else:
                    await self._catch_up(key, lane)
        finally:
            del self._lanes[key]

    async def _catch_up(self, key: LaneKey, lane: _Lane) -> None:
        lane.missed = False
        try:
            async with self._unhandled() as left:
                lane.behind = False
                self._submit([request for request in left if self._lane_of(request) == key])
                lane.behind |= lane.missed
        except StorageError:
            log.exception("the inbox cannot be read; trying again", extra={"chat": str(key[0])})
            await self._clock.sleep(READ_AGAIN_AFTER)

    @asynccontextmanager
    async def _unhandled(self) -> AsyncIterator[Sequence[Request]]:
        """What was unhandled when read; until the caller is through, ids stay taken though they are done."""
        self._readers += 1
        try:
            yield await self._mailbox.unhandled()
        finally:
            self._readers -= 1
            if not self._readers:
                self._taken -= self._done
                self._done.clear()

    def _release(self, request_id: str) -> None:
        if self._readers:
            self._done.add(request_id)
        else:
            self._taken.discard(request_id)

    async def _serve(self, request: Request) -> None:
        try:
            await self._serve_to_its_end(request)
        except asyncio.CancelledError:
            self._release(request.id)  # it may come back to this process
            raise

    async def _serve_to_its_end(self, request: Request) -> None:
        answered = self._expect_answer(request)
        replies = await self._replies(request)
        if not answered.done():
            answered.set_result(next((reply.toast for reply in replies if reply.toast), None))
        if await self._finish_somehow(request, replies):
            self._release(request.id)

    async def _replies(self, request: Request) -> Sequence[Reply]:
        """The router turns every error into a reply; what escapes it must not be tried for ever."""
        outcome = await self._handled(request)
        if not isinstance(outcome, BaseException):
            return outcome
        log.error("a request could not be handled", exc_info=outcome, extra={"request": request.id})
        return (APOLOGY,)

    async def _handled(self, request: Request) -> Sequence[Reply] | BaseException:
        """Where the database is away, again when it may be back, as after a death."""
        for tried in range(OUTAGE_TRIES):
            outcome = await _outcome(self._handle(request))
            if not database_is_away(outcome):
                return outcome
            log.warning("a request waits for the database", extra={"request": request.id})
            await self._clock.sleep(pause_after(tried))
        return await _outcome(self._handle(request))

    async def _finish_somehow(self, request: Request, replies: Sequence[Reply]) -> bool:
        """Again until the database is back; after some tries with an apology: the replies may be at fault."""
        for tried in itertools.count(1):
            failure = await _outcome(self._finish(request, replies))
            if failure is None:
                return True
            if isinstance(failure, LeaseLost):
                log.info("a request is left to another process", extra={"request": request.id})
                return True
            extra = {"request": request.id, "try": tried}
            log.error("a request could not be finished", exc_info=failure, extra=extra)
            away = database_is_away(failure)
            if tried >= FINISH_TRIES and not away:
                break
            if tried + 1 >= (OUTAGE_TRIES if away else FINISH_TRIES):
                replies = (APOLOGY,)
            await self._clock.sleep(pause_after(tried - 1))
        log.error("a request stays in the inbox until the next start", extra={"request": request.id})
        return False

    def _expect_answer(self, request: Request) -> asyncio.Future[str | None]:
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if request.kind is RequestKind.CLICK:
            _keep(asyncio.create_task(self._acknowledge_in_time(request, answered)), self._acknowledging)
        return answered

    async def _acknowledge_in_time(self, request: Request, answered: asyncio.Future[str | None]) -> None:
        patience = asyncio.ensure_future(self._clock.sleep(BLANK_ACKNOWLEDGEMENT_AFTER))
        waited: set[asyncio.Future[Any]] = {answered, patience}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            await self._acknowledge(request, answered.result() if answered.done() else None)
        finally:
            patience.cancel()


def _shard(request: Request) -> int:
    return shard_of(str(request.user))


async def _ended(tasks: Collection[asyncio.Task[None]], seconds: float) -> None:
    """What is not at its end by then is canceled."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


async def _outcome(work: Awaitable[T]) -> T | BaseException:
    """The result or the failure; a cancellation of ours goes on."""
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return outcome


def _keep(task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)
