"""Looks at accounts and tells what is wrong: books, finds, compares with what was told, writes what to say.

What is said stands in the outbox in the same transaction as the episodes that remember it was said. A look
that dies before that commit is simply made again: findings come from state (the venue, the ledger, the
journal), never from having been there when it happened. The exceptions are a leg that shrank or grew, which
the imbalance of the pair would show too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from chatbot.chat import ALERT, AsOf, OutboxMessage, Part, Priority, Reply
from chatbot.domain.account import AccountView
from chatbot.domain.causes import (
    VENUE_CAUSES,
    Intents,
    average_price,
    deliberate,
    end_of_hedge,
    exposure_of,
    gone_roles,
    lost_leg,
    without_answer,
)
from chatbot.domain.changes import change_alert, forced_alert
from chatbot.domain.dangers import NAKED_AFTER, find, venue_finding
from chatbot.domain.episodes import MEMORY, Episode, Standing, Step, step
from chatbot.domain.hedge import AccountId, Hedge, HedgeId, HedgeStatus, LegRole, UserId
from chatbot.domain.instrument import ZERO, Symbol
from chatbot.domain.operation import Operation, OperationStatus
from chatbot.domain.order import Fill
from chatbot.domain.risk import (
    ALWAYS_ON,
    Alert,
    AlertKind,
    AlertPhase,
    Finding,
    Gravity,
    LegCause,
    LegChanged,
    Silence,
)
from chatbot.domain.scene import LegEvidence, Scene, Watched, account_suffix
from chatbot.domain.shards import shard_of, shard_of_account
from chatbot.domain.sight import Sight, sight_of, stream_finding
from chatbot.domain.unprotected import unprotected_alert
from chatbot.errors import BadCredentials, LeaseLost, MissingPermission, RateLimited, VenueError
from chatbot.log import about
from chatbot.ports import Account, AlertEpisode, Changes, Clock, Presenter, Store, User, Venues
from chatbot.services.bookkeeping import Bookkeeper, Books, traded_lately
from chatbot.services.leg_changes import ChangeCause, LegChange
from chatbot.services.recovery import attempt
from chatbot.services.strangers import ForcedClose, Strangers

log = logging.getLogger(__name__)

# After a start: how far back, in venue time, and over how many hedges an untold end is looked for.
CLOSED_WITHIN = timedelta(days=1)
CLOSED_HEDGES = 10
PARALLEL = 8  # accounts of one venue looked at in one go
RESTATE_AFTER = timedelta(seconds=15)  # what waits to be delivered is put in the words of now

_PRIORITIES = {
    Gravity.CRITICAL: Priority.CRITICAL,
    Gravity.WARNING: Priority.WARNING,
    Gravity.INFO: Priority.INFO,
}
_PARTS = {AlertPhase.RISE: Part.BEGINS, AlertPhase.WORSE: Part.GOES_ON, AlertPhase.CLEAR: Part.ENDS}
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (RateLimited, "it asks us to slow down"),
    (BadCredentials, "it does not accept the key"),
    (MissingPermission, "the key may not read the account"),
    (VenueError, "it does not answer"),
)


def _nobody() -> None:
    """Nobody waits for messages."""


def _nowhere(_: Account, __: Sight) -> None:
    """Nobody wants to know when to look again."""


async def _nothing(_: Account) -> None:
    """Nothing comes first."""


@dataclass(frozen=True, slots=True)
class _Telling:
    """What one look leads to."""

    alerts: tuple[Alert, ...] = ()
    episodes: tuple[Episode, ...] = ()
    standing: tuple[Standing, ...] = ()
    over: frozenset[str] = frozenset()


def _telling(step: Step, happened: Sequence[Alert] = ()) -> _Telling:
    return _Telling((*happened, *step.alerts), step.episodes, step.standing, step.over)


class WatchService:
    """``notify`` is called after messages were written.

    ``unstreamed``: how long the stream of an account has been missing. ``seen`` gets what each look saw.
    ``passed``: prices that concerned an account since it was asked for last; ``None``: nobody tells any.
    ``first`` comes before each look.
    """

    def __init__(
        self,
        store: Store,
        venues: Venues,
        bookkeeper: Bookkeeper,
        presenter: Presenter,
        clock: Clock,
        notify: Callable[[], None] = _nobody,
        *,
        unstreamed: Callable[[Account], timedelta] = lambda _: timedelta(0),
        seen: Callable[[Account, Sight], None] = _nowhere,
        passed: Callable[[Account], Mapping[Symbol, Sequence[Decimal]] | None] = lambda _: {},
        first: Callable[[Account], Awaitable[object]] = _nothing,
    ) -> None:
        self._store = store
        self._bookkeeper = bookkeeper
        self._venues = venues
        self._presenter = presenter
        self._clock = clock
        self._notify = notify
        self._unstreamed = unstreamed
        self._seen = seen
        self._passed = passed
        self._first = first
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(PARALLEL))
        self._locks: dict[AccountId, asyncio.Lock] = {}
        self._strangers = Strangers(store, venues, clock)
        # Cleared lately. Lost with the process: then a figure that trembles is told once more.
        self._recent: dict[UserId, dict[str, Episode]] = {}
        self._down_since: dict[AccountId, datetime] = {}
        self._half_closed: dict[HedgeId, datetime] = {}
        # What was live at the last look that came to its end: a hedge that is not any more has ended.
        self._live: dict[AccountId, frozenset[HedgeId]] = {}
        self._sights: dict[AccountId, Sight] = {}

    async def look_at_all(self, venue: str | None = None) -> None:
        """The scheduler's job. What fails for one account is logged and stops no other.

        ``venue``: only what is there, so that a slow exchange holds up nobody elsewhere.
        """
        await self.look_at_each(
            [each for each in await self._store.accounts() if venue in (None, each.venue)]
        )

    async def look_at_each(self, accounts: Sequence[Account]) -> None:
        if len(accounts) == 1:  # as most often: without a task of its own
            outcomes: Sequence[object] = [await attempt(self._look_gated(accounts[0]))]
        else:
            outcomes = await asyncio.gather(*map(self._look_gated, accounts), return_exceptions=True)
        for account, outcome in zip(accounts, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, LeaseLost):
                log.error("a look failed", exc_info=outcome, extra={"account": account.id})

    def forget(self, shards: Collection[int]) -> None:
        """Another process looks there now: what was seen here is not the last word any more."""
        for seen in (self._live, self._down_since, self._sights):
            for account_id in [each for each in seen if shard_of_account(each) in shards]:
                del seen[account_id]
        for user_id in [each for each in self._recent if shard_of(each) in shards]:
            del self._recent[user_id]
        self._half_closed.clear()  # what is not there any more is only waited for a little longer

    def sight(self, account_id: AccountId) -> Sight | None:
        """``None``: nothing was seen of it yet."""
        return self._sights.get(account_id)

    async def _look_gated(self, account: Account) -> tuple[Alert, ...]:
        async with self._gates[account.venue]:
            return await self.look_at(account)

    async def look_at(self, account: Account) -> tuple[Alert, ...]:
        """What was told. Nobody is told anything whose chat takes no messages.

        Whatever goes wrong is of this account alone, and told where it lasts.
        """
        user = await self._store.user(account.user_id)
        if user is None or not user.reachable:
            self._sights.pop(account.id, None)  # nobody is told, so nothing grows old
            return ()
        with about(account=account.id):
            async with self._locks.setdefault(account.id, asyncio.Lock()):
                told = await attempt(self._look_and_tell(user, account))
                if isinstance(told, Exception):
                    return await self._tell(user, await self._judge_silence(user, account, told))
                return told

    async def _look_and_tell(self, user: User, account: Account) -> tuple[Alert, ...]:
        await self._first(account)
        before = self._live.get(account.id)
        marked = {Symbol(m.symbol) for m in user.preferences.alerts.prices if m.account == account.id}
        books = await self._bookkeeper.bring_up_to_date(account, marked)
        # Read after the books, too: what ends in between must not look stuck, and its hedge not calm.
        running = await self._store.unfinished_operations(account.id)
        traded = {operation.hedge_id for operation in (*books.begun, *running)}
        told = await self._tell(user, await self._judge(user, books, running, traded, before))
        self._strangers.done(account.id)
        self._bookkeeper.resting.told(account.id, books.gone)
        self._live[account.id] = frozenset(hedge.id for hedge in books.hedges)
        if books.unread is None:
            self._down_since.pop(account.id, None)
        return told

    # --- judging --------------------------------------------------------------------------------

    async def _judge(
        self,
        user: User,
        books: Books,
        running: Sequence[Operation],
        traded: Collection[HedgeId],
        before: frozenset[HedgeId] | None,
    ) -> _Telling:
        scene = await self._scene(books, running, traded)
        limits = user.preferences.alerts
        sight = self._sights[books.account.id] = sight_of(scene, limits, self._clock.now())
        self._seen(books.account, sight)
        ended = await self._ended(user, books, before)
        happened = await self._happened(user, scene, books, ended)
        heard = self._heard(books)
        streaming = stream_finding(books.account.id, books.account.venue, self._unstreamed(books.account))
        findings = (*find(scene, limits), heard, streaming)
        moved = (alert for alert in happened if isinstance(alert.figures, LegChanged))
        told_otherwise = {f"#{alert.number}:{AlertKind.IMBALANCE}" for alert in moved}
        episodes = await self._episodes(user, books)
        told = self._step(user, findings, episodes, told_otherwise=told_otherwise)
        return _telling(told, happened)

    def _heard(self, books: Books) -> Finding:
        """The venue answers, but perhaps not to everything that was asked."""
        account, error = books.account, books.unread
        if error is None:
            return venue_finding(account.id, account.venue, timedelta(0), "")
        return venue_finding(
            account.id, account.venue, self._down_for(account), _reason(error), Silence.HISTORY
        )

    def _down_for(self, account: Account) -> timedelta:
        return self._clock.now() - self._down_since.setdefault(account.id, self._clock.now())

    async def _judge_silence(self, user: User, account: Account, error: Exception) -> _Telling:
        """The account cannot be looked at: a concern for those who have something there."""
        _log_failure(account, error)
        lasting = self._down_for(account)
        if not await self._store.live_hedges(account_id=account.id):
            return _Telling()
        whose = Silence.VENUE if isinstance(error, VenueError) else Silence.OURS
        finding = venue_finding(account.id, account.venue, lasting, _reason(error), whose)
        known = await self._store.active_episodes(user.id)
        told = self._step(user, (finding,), [_episode(e) for e in known if e.key == finding.key])
        return _telling(told)

    def _step(
        self,
        user: User,
        findings: Iterable[Finding],
        episodes: Iterable[Episode],
        *,
        told_otherwise: Iterable[str] = (),
    ) -> Step:
        now, off = self._clock.now(), user.preferences.alerts.disabled - ALWAYS_ON
        return step(
            (finding for finding in findings if finding.kind not in off),
            episodes,
            user.preferences,
            now,
            recent=self._recent_of(user.id, now).values(),
            told_otherwise=frozenset(told_otherwise),
        )

    async def _episodes(self, user: User, books: Books) -> list[Episode]:
        """The active ones of this account."""
        live = {hedge.id for hedge in books.hedges}
        suffix = account_suffix(books.account.id)
        return [
            _episode(row)
            for row in await self._store.active_episodes(user.id)
            if row.key.endswith(suffix) or row.hedge_id in live or await self._was_ours(row, books.account)
        ]

    async def _was_ours(self, row: AlertEpisode, account: Account) -> bool:
        if row.hedge_id is None:
            return False
        hedge = await self._store.hedge(row.hedge_id)
        return hedge is None or hedge.account_id == account.id

    # --- looking --------------------------------------------------------------------------------

    async def _scene(self, books: Books, running: Sequence[Operation], traded: Collection[HedgeId]) -> Scene:
        account = books.account
        instruments = await self._venues.of(account).instruments()
        hedges = [hedge for hedge in books.hedges if hedge.symbol in books.view.markets]
        watched = [await self._watched(hedge, books, running, traded=hedge.id in traded) for hedge in hedges]
        passed = self._passed(account)
        return Scene(account.id, account.label, books.view, instruments, tuple(watched), passed)

    async def _watched(
        self, hedge: Hedge, books: Books, running: Sequence[Operation], *, traded: bool
    ) -> Watched:
        operation = next((o for o in running if o.hedge_id == hedge.id), None)
        watched = Watched(hedge, busy=traded)
        if operation is not None:
            watched = await self._in_operation(hedge, operation, books.view)
        gone = gone_roles(hedge, books.view)
        if not gone and not (hedge.paired and hedge.net_exposure):
            return watched
        fills, intents = await self._history(hedge)
        ends = [lost_leg(hedge, role, fills, intents, busy=watched.busy) for role in gone]
        lost = [end for end in ends if end is not None]
        stale = traded_lately(intents.values(), self._clock.now())
        open_ended = watched.busy or (stale and hedge.status is HedgeStatus.OPEN)
        doubtful = [each for each in lost if open_ended and each.cause is LegCause.UNEXPLAINED]
        return replace(
            watched,
            deliberate=deliberate(hedge, fills, intents) and await self._is_finished(intents),
            lost=self._those_that_last(hedge, [each for each in lost if each not in doubtful]),
            doubtful=tuple(doubtful),
        )

    def _those_that_last(self, hedge: Hedge, lost: Sequence[LegEvidence]) -> tuple[LegEvidence, ...]:
        """Where the other leg is to be closed at the same price, it gets the time to be."""
        if not any(each.one_of_two for each in lost):
            self._half_closed.pop(hedge.id, None)
            return tuple(lost)
        now = self._clock.now()
        waited = now - self._half_closed.setdefault(hedge.id, now)
        return tuple(lost) if waited >= NAKED_AFTER else ()

    async def _is_finished(self, intents: Intents) -> bool:
        """What was halted in the middle has left what nobody asked for."""
        last = max(intents.values(), key=lambda intent: intent.created_at, default=None)
        operation = None if last is None else await self._store.operation(last.operation_id)
        return operation is None or operation.status is not OperationStatus.FROZEN

    async def _in_operation(self, hedge: Hedge, operation: Operation, view: AccountView) -> Watched:
        now = self._clock.now()
        orders, lasting = without_answer(await self._store.intents(operation_id=operation.id), now)
        return Watched(
            hedge,
            busy=True,
            exposure=exposure_of(operation, hedge, view, now),
            unknown_orders=orders,
            unknown_for=lasting,
        )

    async def _history(self, hedge: Hedge) -> tuple[list[Fill], Intents]:
        """Fills in their order; those of one instant as they were booked."""
        fills = [booked.fill for booked in await self._store.booked_fills(hedge.id)]
        intents = await self._store.intents(hedge_id=hedge.id)
        return fills, {i.client_order_id: i for i in intents}

    # --- what happened once ---------------------------------------------------------------------

    async def _happened(self, user: User, scene: Scene, books: Books, ended: Sequence[Hedge]) -> list[Alert]:
        ends = [await self._end(scene, hedge, books) for hedge in ended]
        told = {alert.number for alert in ends if alert is not None}
        moved = [change for change in books.changes if change.hedge.live or change.late]
        moves = [await self._move(scene, change, books) for change in moved]
        moves = [alert for alert in moves if alert is not None and alert.number not in told]
        forced = [_forced(scene, each) for each in await self._strangers.forced(books)]
        gone = _unprotected(scene, books)
        off = user.preferences.alerts.disabled
        return [
            alert
            for alert in (*ends, *moves, *forced, *gone)
            if alert is not None and not _switched_off(alert, off)
        ]

    async def _move(self, scene: Scene, change: LegChange, books: Books) -> Alert | None:
        """The hedge may have been closed since, and another be live on its market."""
        now = next((hedge for hedge in books.hedges if hedge.id == change.hedge.id), None)
        now = now or await self._store.hedge(change.hedge.id) or change.hedge
        return change_alert(scene, now, _evidence(change))

    async def _end(self, scene: Scene, hedge: Hedge, books: Books) -> Alert | None:
        fills, intents = await self._history(hedge)
        evidence = end_of_hedge(hedge, scene.instruments[hedge.symbol], fills, intents)
        if evidence is None:
            return None
        now = {change.role for change in books.changes if change.hedge.id == hedge.id}
        return change_alert(scene, hedge, replace(evidence, together=now == set(LegRole)))

    async def _ended(self, user: User, books: Books, before: frozenset[HedgeId] | None) -> Sequence[Hedge]:
        """Hedges that were closed since the last look, by whomever."""
        if before is None:
            return await self._lately_closed(user, books)
        closed = {change.hedge.id: change.hedge for change in books.changes if not change.hedge.live}
        for hedge_id in before - {hedge.id for hedge in books.hedges}:
            hedge = await self._store.hedge(hedge_id)
            if hedge is not None:
                closed.setdefault(hedge_id, hedge)
        return tuple(closed.values())

    async def _lately_closed(self, user: User, books: Books) -> Sequence[Hedge]:
        """A process may have died between booking the end of a hedge and telling it.

        One that was told already has a message in the outbox with the same key, which is not written twice.
        """
        newest = await self._store.newest_hedges(user.id, CLOSED_HEDGES)
        return [hedge for hedge in newest if _ended_lately(hedge, books)]

    # --- telling --------------------------------------------------------------------------------

    async def _tell(self, user: User, telling: _Telling) -> tuple[Alert, ...]:
        now = self._clock.now()
        changed = {episode.key: episode for episode in telling.episodes}
        restated, withdrawn = await self._overtaken(user, telling, now)
        changed |= {each.episode.key: each.as_told_now for each in restated}
        if changed or telling.alerts or restated or withdrawn:
            await self._store.commit(
                Changes(
                    episodes=tuple(_row(user.id, episode) for episode in changed.values()),
                    outbox=tuple(self._message(user, alert, now) for alert in telling.alerts),
                    restated=tuple(self._message(user, each.alert, now) for each in restated),
                    withdrawn=tuple((user.home, topic) for topic in withdrawn),
                    behalf=user.id,
                )
            )
        self._remember(user.id, telling.episodes, now)
        if telling.alerts:
            self._notify()
        return telling.alerts

    async def _overtaken(
        self, user: User, telling: _Telling, now: datetime
    ) -> tuple[list[Standing], list[str]]:
        """Of what was told and waits to be delivered: what is to be said anew, and which topics are over."""
        if not (telling.standing or telling.over):
            return [], []
        waiting = await self._store.waiting(user.home)
        restated = [
            each
            for each in telling.standing
            if (card := waiting.get(_topic(user, each.alert.key))) is not None and _is_old(card, now)
        ]
        return restated, [topic for key in telling.over if (topic := _topic(user, key)) in waiting]

    def _message(self, user: User, alert: Alert, now: datetime) -> OutboxMessage:
        since = alert.since.isoformat()
        card = self._presenter.alert(user, alert)
        return OutboxMessage(
            dedupe_key=f"{ALERT}{user.id}:{alert.key}:{since}:{alert.phase}:{alert.level}",
            chat=user.home,
            reply=replace(card, as_of=AsOf(now, user.preferences.time_zone)),
            priority=_priority(alert),
            not_before=now,
            topic=_topic(user, alert.key) if alert.lasts else None,
            part=_PARTS[alert.phase],
            expires_at=None if alert.matters_for is None else now + alert.matters_for,
        )

    def _remember(self, user_id: UserId, episodes: Iterable[Episode], now: datetime) -> None:
        recent = self._recent_of(user_id, now)
        recent |= {e.key: e for e in episodes if e.cleared_at is not None and e.told_level >= 0}
        self._recent[user_id] = recent

    def _recent_of(self, user_id: UserId, now: datetime) -> dict[str, Episode]:
        known = self._recent.get(user_id, {})
        return {k: e for k, e in known.items() if e.cleared_at is not None and now - e.cleared_at < MEMORY}


def _log_failure(account: Account, error: Exception) -> None:
    if isinstance(error, VenueError):
        log.warning("venue unreachable", extra={"account": account.id, "error": type(error).__name__})
    else:
        log.error("a look failed", exc_info=error, extra={"account": account.id})


def _reason(error: Exception) -> str:
    mine = "something goes wrong on my side"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), mine)


def _topic(user: User, key: str) -> str:
    return f"{ALERT}{user.id}:{key}"


def _is_old(card: Reply, now: datetime) -> bool:
    return card.as_of is None or now - card.as_of.at >= RESTATE_AFTER


def _priority(alert: Alert) -> Priority:
    if alert.phase is AlertPhase.CLEAR and alert.gravity is Gravity.CRITICAL:
        return Priority.WARNING
    return _PRIORITIES[alert.gravity]


def _switched_off(alert: Alert, disabled: frozenset[str]) -> bool:
    return alert.kind is AlertKind.GROWN and alert.kind in disabled


def _ended_lately(hedge: Hedge, books: Books) -> bool:
    closed = hedge.status is HedgeStatus.CLOSED and hedge.closed_at is not None
    if not closed or hedge.account_id != books.account.id:
        return False
    return hedge.closed_at is not None and books.view.at - hedge.closed_at < CLOSED_WITHIN


def _evidence(change: LegChange) -> LegEvidence:
    at_price = change.cause is ChangeCause.AT_PRICE
    return LegEvidence(
        change.role,
        LegCause.STOPPED if at_price else LegCause(change.cause.value),
        after=change.after,
        before=change.before,
        at=change.at,
        price=change.price,
        realized=change.realized,
        one_of_two=at_price,
        made_good=change.made_good,
    )


def _unprotected(scene: Scene, books: Books) -> list[Alert | None]:
    live = {hedge.id: hedge for hedge in books.hedges}
    known = [(live.get(each.intent.hedge_id), each) for each in books.gone]
    return [unprotected_alert(scene, hedge, each) for hedge, each in known if hedge is not None]


def _forced(scene: Scene, close: ForcedClose) -> Alert:
    evidence = LegEvidence(
        LegRole.PRIMARY,
        VENUE_CAUSES[close.fills[-1].cause],
        after=close.after,
        before=close.before,
        at=close.fills[-1].at,
        price=average_price(close.fills),
        realized=sum((fill.realized_pnl for fill in close.fills), ZERO),
    )
    return forced_alert(scene, evidence, close.symbol, close.side)


def _episode(row: AlertEpisode) -> Episode:
    return Episode(
        key=row.key,
        kind=row.kind,
        level=row.level,
        since=row.since,
        told_level=row.told_level,
        told_at=row.told_at,
        hedge_id=row.hedge_id,
        cleared_at=row.cleared_at,
    )


def _row(user_id: UserId, episode: Episode) -> AlertEpisode:
    return AlertEpisode(
        user_id=user_id,
        key=episode.key,
        kind=episode.kind,
        level=episode.level,
        since=episode.since,
        told_level=episode.told_level,
        told_at=episode.told_at,
        hedge_id=episode.hedge_id,
        cleared_at=episode.cleared_at,
    )
