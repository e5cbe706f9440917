"""Delivers what is owed: most urgent first, in order within a chat, no faster than the platform allows.

At least once. A row is marked after the platform confirmed; a process that dies in between, or a confirmation
that is lost on its way, has the message sent again (Telegram knows no idempotency key). An edit sent again
changes nothing.

Each message is chosen when it can leave, not before: what is more urgent and comes later goes first, of
several states of a card or a topic only the newest goes, and what has no meaning any more goes nowhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot.chat import Platform, Priority, Reply
from chatbot.domain.shards import shard_of
from chatbot.errors import ChatUnreachable, DeliverLater, PlatformAway, StorageError
from chatbot.ports import Alone, Clock, Delivered, Leases, Mailbox, Messenger, Owed
from chatbot.pushing.bundling import MOST, bundled
from chatbot.pushing.limits import TELEGRAM_LIMITS, Limits, Pacer
from chatbot.pushing.waking import Waker

DEFAULT_LIMITS: Mapping[Platform, Limits] = {Platform.TELEGRAM: TELEGRAM_LIMITS}
PAGE = 64
MAX_TRIES = 10
LONGEST_PAUSE = 15.0  # seconds; a warning must not wait much longer than the network was away
LOOK_AGAIN = timedelta(seconds=1)
LETTING_GO_STEP = 0.02  # seconds
LOOK_FOR_OTHERS = timedelta(milliseconds=250)  # where other processes may owe what is delivered here

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What became of a row: its message id (``None`` if the platform gave none), or the error."""

    owed: Owed
    message_id: str | None = None
    error: Exception | None = None


def _as_it_is(reply: Reply, _: datetime) -> Reply:
    return reply


class Outbox:
    """``limits`` per platform; a platform without an entry is not paced.

    ``aged``: a card as it is to be sent at an instant, which may be long after it was written. Of several
    processes each delivers what is owed to its own shards.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        messengers: Sequence[Messenger],
        clock: Clock,
        limits: Mapping[Platform, Limits] = DEFAULT_LIMITS,
        *,
        concurrency: int = 128,
        aged: Callable[[Reply, datetime], Reply] = _as_it_is,
        leases: Leases | None = None,
    ) -> None:
        self._aged = aged
        self._leases = leases or Alone()
        self._mailbox = mailbox
        self._messengers = {messenger.platform: messenger for messenger in messengers}
        self._clock = clock
        self._pacers = {platform: Pacer(limits.get(platform)) for platform in Platform}
        self._concurrency = concurrency
        self._waker = Waker(clock)
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._attempts: list[_Attempt] = []
        self._voiceless: set[str] = set()  # chats of platforms that do not run
        self._idle = asyncio.Event()
        self._stopping = False
        self._finished = asyncio.Event()
        self._finished.set()
        self._drain_seconds = 10.0

    def add(self, messenger: Messenger) -> None:
        """A platform joins: what its chats are owed is delivered from now on."""
        self._messengers[messenger.platform] = messenger
        self._voiceless.clear()
        self.notify()

    def notify(self) -> None:
        """Something new is owed."""
        self._idle.clear()
        self._waker.wake()

    def shared_by(self, processes: int) -> None:
        """So many processes send to the platforms: each keeps to its part of what they take in all."""
        for pacer in self._pacers.values():
            pacer.shared_by(processes)

    async def let_go(self, shards: Collection[int], *, seconds: float) -> None:
        """Another process delivers there: what is on its way may end in time, and is marked."""
        until = self._clock.now() + timedelta(seconds=seconds)
        while (mine := self._sending(shards)) and self._clock.now() < until:
            await self._clock.sleep(LETTING_GO_STEP)
        for chat in mine:
            self._in_flight.pop(chat).cancel()

    def _sending(self, shards: Collection[int]) -> list[str]:
        return [chat for chat in self._in_flight if shard_of(chat) in shards]

    async def idle(self) -> None:
        """Until nothing is due and nothing in flight. What is postponed is not waited for, nor what is owed
        on a platform that does not run.
        """
        self.notify()
        await self._idle.wait()

    async def run(self) -> None:
        self._finished.clear()
        try:
            await self._remember()
            while not self._stopping:
                self._waker.clear()
                await self._round()
                await self._waker.wait()
        finally:
            self._waker.set_alarm(None)
            try:
                await self._drain()
            finally:
                self._finished.set()

    async def stop(self, *, drain_seconds: float = 10.0) -> None:
        """Starts nothing more; what is in flight may end within the deadline, and is marked."""
        self._drain_seconds = drain_seconds
        self._stopping = True
        self._waker.wake()
        await self._finished.wait()

    async def _remember(self) -> None:
        """The platform still counts what an earlier run has sent."""
        now = self._clock.now()
        memory = max(pacer.memory for pacer in self._pacers.values())
        if not memory:
            return
        try:
            for chat, at in await self._mailbox.sent_since(now - memory):
                self._pacers[chat.platform].sent(chat, min(at, now))
        except StorageError:
            log.exception("what was sent last cannot be read")

    async def _round(self) -> None:
        try:
            await self._book()
            await self._start_what_may_go()
            self._waker.set_alarm(self._at_latest(await self._next_wake()))
        except StorageError:
            log.exception("the outbox cannot be read or marked; trying again")
            self._waker.set_alarm(self._clock.now() + LOOK_AGAIN)

    def _at_latest(self, at: datetime | None) -> datetime | None:
        if self._leases.shards is None:
            return at
        soon = self._clock.now() + LOOK_FOR_OTHERS
        return soon if at is None else min(at, soon)

    async def _drain(self) -> None:
        if self._in_flight:
            tasks = list(self._in_flight.values())
            _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._book()

    # --- choosing ---------------------------------------------------------------------------------

    async def _start_what_may_go(self) -> None:
        now = self._clock.now()
        passed_over = self._closed_chats(now) | self._voiceless | self._in_flight.keys()
        more = True
        while more and (most := self._room(now)):
            page = await self._mailbox.due(now, limit=most, skip_chats=passed_over)
            still = await self._drop_meaningless(page, now)
            more = self._start_page(still, passed_over, now) and len(page) == most

    def _room(self, now: datetime) -> int:
        """What cannot leave now need not be read now."""
        rooms = [self._pacers[platform].room(now) for platform in self._messengers]
        paced = sum(room for room in rooms if room is not None)
        return min(PAGE, self._concurrency - len(self._in_flight), PAGE if None in rooms else paced)

    async def _drop_meaningless(self, page: Sequence[Owed], now: datetime) -> Sequence[Owed]:
        """The others are left."""
        if not page:
            return page
        for reason, found in (
            ("too late", [owed for owed in page if owed.too_late(now)]),
            ("over before it was told", [owed for owed in page if owed.moot]),
        ):
            if found:
                await self._mailbox.abandon([owed.row_id for owed in found], reason=reason)
        return [owed for owed in page if not (owed.moot or owed.too_late(now))]

    def _closed_chats(self, now: datetime) -> set[str]:
        return set[str]().union(*(pacer.closed(now) for pacer in self._pacers.values()))

    def _start_page(self, page: Sequence[Owed], passed_over: set[str], now: datetime) -> bool:
        """Starts the first row of each chat; ``False``: the next page has nothing that may go."""
        for owed in page:
            chat, priority = owed.message.chat, owed.message.priority
            if str(chat) in passed_over or not self._leases.holds(shard_of(str(chat))):
                continue
            if chat.platform not in self._messengers:
                passed_over.add(str(chat))
                self._voiceless.add(str(chat))
                continue
            pacer = self._pacers[chat.platform]
            if not self._may_leave(pacer, priority, now):
                return False
            passed_over.add(str(chat))
            if pacer.chat_free_at(chat, priority, now) <= now:
                self._start(owed, now)
        return True

    def _may_leave(self, pacer: Pacer, priority: Priority, now: datetime) -> bool:
        room = pacer.overall_free_at(priority, now) <= now and pacer.room(now) != 0
        return room and len(self._in_flight) < self._concurrency

    def _start(self, owed: Owed, now: datetime) -> None:
        chat = owed.message.chat
        self._pacers[chat.platform].sent(chat, now)
        self._in_flight[str(chat)] = asyncio.create_task(self._attempt(owed))

    async def _next_wake(self) -> datetime | None:
        now = self._clock.now()
        if self._in_flight:
            return self._opening(now)
        due_at = await self._mailbox.next_due_at()
        if due_at is not None and due_at <= now:
            if not self._voiceless or await self._mailbox.due(now, limit=1, skip_chats=self._voiceless):
                return self._opening(now)
            due_at = self._opening(now)
        self._rest()
        return due_at

    def _rest(self) -> None:
        if not self._waker.woken:
            self._idle.set()

    def _opening(self, now: datetime) -> datetime:
        """When to look again: what is due but may not go hides from us what comes due next."""
        openings = [pacer.next_opening(now) for pacer in self._pacers.values()]
        return min([now + LOOK_AGAIN, *(at for at in openings if at is not None)])

    # --- sending ----------------------------------------------------------------------------------

    async def _attempt(self, owed: Owed) -> None:
        together = [owed]
        try:
            together += await self._beside(owed)
            message_id = await self._send(together)
            self._attempts += [_Attempt(each, message_id) for each in together]
        except Exception as error:  # noqa: BLE001 (one bad message must not stop the others; it is logged when booked)
            self._attempts += [_Attempt(each, error=error) for each in together]
        finally:
            self._waker.wake()

    async def _beside(self, owed: Owed) -> Sequence[Owed]:
        """Alerts of the same chat that can be told with it; after a failure each goes by itself."""
        if not owed.message.alerts or owed.tries:
            return ()
        now = self._clock.now()
        beside = await self._mailbox.due_beside(owed, now, limit=MOST - 1)
        return [each for each in beside if not (each.moot or each.tries or each.too_late(now))]

    async def _send(self, together: Sequence[Owed]) -> str | None:
        message, now = together[0].message, self._clock.now()
        reply = bundled([self._aged(owed.message.reply, now) for owed in together])
        messenger = self._messengers[message.chat.platform]
        return await messenger.deliver(message.chat, reply, edits=together[0].edits)

    # --- booking ----------------------------------------------------------------------------------

    async def _book(self) -> None:
        """Marks all attempts that ended. A chat stays in flight until its mark is written."""
        attempts = list(self._attempts)
        now = self._clock.now()
        delivered = [Delivered(done.owed.row_id, done.message_id) for done in attempts if done.error is None]
        if delivered:
            await self._mailbox.delivered(delivered, now)
        for attempt in attempts:
            self._listen(attempt, now)
        failed = [(attempt.owed, attempt.error) for attempt in attempts if attempt.error is not None]
        await _all_of([self._book_failure(owed, error, now) for owed, error in failed])
        del self._attempts[: len(attempts)]
        for attempt in attempts:
            self._in_flight.pop(str(attempt.owed.message.chat), None)

    def _listen(self, attempt: _Attempt, now: datetime) -> None:
        """Whatever else went wrong, it was there to answer."""
        pacer, error = self._pacers[attempt.owed.message.chat.platform], attempt.error
        if isinstance(error, PlatformAway):
            pacer.away(now, lambda failures: max(error.retry_after, pause_after(failures)))
        else:
            pacer.reached()

    async def _book_failure(self, owed: Owed, error: Exception, now: datetime) -> None:
        chat = owed.message.chat
        if isinstance(error, ChatUnreachable):
            log.info("chat unreachable: what it is owed is dropped", extra={"chat": str(chat)})
            await self._mailbox.chat_unreachable(chat)
        elif isinstance(error, DeliverLater):
            await self._hold(owed, error, now)
        else:
            await self._try_again_or_give_up(owed, error, now)

    async def _hold(self, owed: Owed, error: DeliverLater, now: datetime) -> None:
        """The whole chat waits, so that its messages keep their order."""
        chat = owed.message.chat
        until = now + timedelta(seconds=max(error.retry_after, pause_after(owed.tries)))
        extra = {"chat": str(chat), "tries": owed.tries + 1, "reason": error.message}
        log.info("delivery postponed", extra=extra)
        self._pacers[chat.platform].hold(chat, until)
        await self._mailbox.postpone(owed.row_id, until, reason=error.message)

    async def _try_again_or_give_up(self, owed: Owed, error: Exception, now: datetime) -> None:
        """A message that the platform or our own code chokes on; the chat's others do not wait for it."""
        extra = {"chat": str(owed.message.chat), "row": owed.row_id, "tries": owed.tries + 1}
        log.error("delivery failed", exc_info=error, extra=extra)
        reason = type(error).__name__
        if owed.tries + 1 >= MAX_TRIES:
            await self._mailbox.abandon([owed.row_id], reason=reason)
            return
        until = now + timedelta(seconds=pause_after(owed.tries))
        await self._mailbox.postpone(owed.row_id, until, reason=reason)


async def _all_of(work: Sequence[Awaitable[None]]) -> None:
    """Together, so that they share the way to the disk; raises the first failure when all have ended."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


def pause_after(tries: int) -> float:
    """Seconds: 1, 2, 4, 8, then 15."""
    return min(2.0 ** min(tries, 10), LONGEST_PAUSE)
