"""Operations as supervised tasks: started by a confirmation, resumed at start, none holding up others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

from chatbot.domain.hedge import AccountId
from chatbot.domain.intent import OperationId
from chatbot.domain.operation import Operation
from chatbot.domain.shards import shard_of
from chatbot.errors import HedgerowError, InvariantBroken, LeaseLost, VenueError
from chatbot.log import about
from chatbot.ports import Clock, Store

log = logging.getLogger(__name__)

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 60.0
STUMBLES = 5  # over the same: another try will not mend it


T = TypeVar("T")


async def attempt(doing: Awaitable[T]) -> T | Exception:
    """What goes wrong with one hedge or account holds up no other: whoever asks decides what comes of it."""
    try:
        return await doing
    except Exception as error:  # noqa: BLE001 (logged by whoever asked)
        return error


class Drives(Protocol):
    async def drive(self, operation_id: OperationId) -> None: ...

    async def halt(self, operation_id: OperationId, reason: str) -> None: ...


class Supervisor:
    """``ended``: an operation on that account has, so that there may be more or less to watch."""

    def __init__(
        self,
        store: Store,
        driver: Drives,
        clock: Clock,
        *,
        ended: Callable[[AccountId], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._driver = driver
        self._clock = clock
        self._ended = ended
        self._tasks: dict[OperationId, asyncio.Task[None]] = {}
        self._shards: dict[OperationId, int] = {}

    def start(self, operation: Operation) -> None:
        if operation.id in self._tasks:
            return
        with about(hedge=operation.hedge_id, operation=operation.id):  # the task inherits it
            task = asyncio.create_task(self._supervise(operation.id), name=f"operation {operation.id}")
        self._tasks[operation.id] = task
        self._shards[operation.id] = shard_of(operation.user_id)
        task.add_done_callback(lambda _: self._forget(operation.id))

    def _forget(self, operation_id: OperationId) -> None:
        self._tasks.pop(operation_id, None)
        self._shards.pop(operation_id, None)

    async def resume_all(self) -> int:
        """Whatever the journal holds as unfinished, and nobody drives, goes on. Returns how many."""
        found = await self._store.unfinished_operations()
        idle = [operation for operation in found if operation.id not in self._tasks]
        for operation in idle:
            extra = {"hedge": operation.hedge_id, "operation": operation.id}
            log.warning("resuming operation %s of hedge %s", operation.id, operation.hedge_id, extra=extra)
            self.start(operation)
        return len(idle)

    @property
    def running(self) -> int:
        return len(self._tasks)

    async def idle(self) -> None:
        while self._tasks:
            await asyncio.wait(tuple(self._tasks.values()))

    async def stop(self) -> None:
        """Leaves what is in flight to the journal: the next start settles it."""
        await _cancel(tuple(self._tasks.values()))

    async def let_go(self, shards: Collection[int], *, seconds: float) -> None:
        """Another process goes on with them; what does not end in time is left to the journal."""
        tasks = [self._tasks[each] for each, shard in self._shards.items() if shard in shards]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            await _cancel(late)

    async def _supervise(self, operation_id: OperationId) -> None:
        pause, stumbled = FIRST_PAUSE, Counter[str]()
        while True:
            try:
                await self._drive_or_halt(operation_id, stumbled)
                operation = await self._store.operation(operation_id)
                if operation is not None:
                    self._ended(operation.account_id)
                return
            except LeaseLost:
                log.info("operation %s is left to another process", operation_id)
                return
            except Exception as error:
                log.exception("operation %s stumbled; it is tried again in %.0f s", operation_id, pause)
                if not isinstance(error, VenueError):  # an exchange comes back, however late
                    stumbled[repr(error)] += 1
            await self._clock.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _drive_or_halt(self, operation_id: OperationId, stumbled: Counter[str]) -> None:
        try:
            await self._driver.drive(operation_id)
        except LeaseLost:
            raise
        except Exception as error:
            broken = isinstance(error, InvariantBroken)
            if not broken and stumbled[repr(error)] < STUMBLES:
                raise
            reason = error.message if isinstance(error, HedgerowError) else "something went wrong on my side"
            log.error("operation %s is halted: %s", operation_id, reason)
            await self._driver.halt(operation_id, reason)


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
