"""What is told: findings against the episodes told before give alerts, on rise, on worsening and on clearing.

Held back, and told afterwards if still true: what is not critical, while snoozed or in quiet hours; a rise
within five minutes of the clearing of the same level. A critical alert ignores quiet hours and the snoozes of
everything and of a kind. An explicit snooze of its hedge or of that very alert holds it, for at most an hour,
and only at a level that the user has been told already: a worsening always gets through. What says that a leg
is naked or gone is never held.

A level that is left downwards is silent, and returning to it is not told again, except a critical one after
an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from chatbot.domain.hedge import HedgeId
from chatbot.domain.preferences import AlertPreferences, Preferences
from chatbot.domain.risk import Alert, AlertKind, AlertPhase, Finding, Gravity

COOLDOWN = timedelta(minutes=5)
REPEAT_CRITICAL_AFTER = timedelta(hours=1)
CRITICAL_SNOOZE_LIMIT = timedelta(hours=1)
# How long a cleared episode still matters to what is told.
MEMORY = max(COOLDOWN, CRITICAL_SNOOZE_LIMIT)

EVERYTHING = "*"
# Before a snooze's key: it holds critical alerts too.
EVEN_CRITICAL = "!"

NEVER_HELD = frozenset(
    {AlertKind.NAKED, AlertKind.LOST, AlertKind.STOPPED, AlertKind.SHRUNK, AlertKind.UNPROTECTED}
)
# Their end is no news: the user made it, or it is the end of what was announced.
CLEARED_SILENTLY = frozenset({AlertKind.LOST, AlertKind.STOPPED, AlertKind.FUNDING, AlertKind.PRICE})


@dataclass(frozen=True, slots=True)
class Episode:
    """A condition that holds, from its rise to its clearing. ``told_level`` -1: nothing told yet."""

    key: str
    kind: str
    level: int
    since: datetime
    told_level: int = -1
    told_at: datetime | None = None
    hedge_id: HedgeId | None = None
    cleared_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What was told before and still holds, as it would be told now."""

    alert: Alert
    episode: Episode

    @property
    def as_told_now(self) -> Episode:
        """Where this takes the place of what was told: a level that was left is news when it comes back."""
        return replace(self.episode, told_level=self.alert.level)


@dataclass(frozen=True, slots=True)
class Step:
    """``alerts`` to tell, gravest first; ``episodes`` that changed.

    Of what was told before and may not have arrived yet: ``standing`` holds, ``over`` does not, by key.
    """

    alerts: tuple[Alert, ...] = ()
    episodes: tuple[Episode, ...] = ()
    standing: tuple[Standing, ...] = ()
    over: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Context:
    preferences: Preferences
    now: datetime
    told_otherwise: Collection[str]
    recent: dict[str, Episode] = field(default_factory=dict)


def step(
    findings: Iterable[Finding],
    episodes: Iterable[Episode],
    preferences: Preferences,
    now: datetime,
    *,
    recent: Iterable[Episode] = (),
    told_otherwise: Collection[str] = (),
) -> Step:
    """``episodes`` are the active ones; ``recent`` those that were told and cleared within ``MEMORY``.

    An episode without a finding is about something that is there no more: it is cleared silently.
    ``told_otherwise`` are keys whose news stand in another message already.
    """
    context = _Context(preferences, now, told_otherwise, {e.key: e for e in recent})
    active = {episode.key: episode for episode in episodes}
    looked_at = [(finding, active.pop(finding.key, None)) for finding in findings]
    judged = [(finding, before, *_judge(finding, before, context)) for finding, before in looked_at]
    gone = [replace(episode, cleared_at=now) for episode in active.values()]
    silent = [(finding, after or before) for finding, before, after, alert in judged if alert is None]
    told = [(finding, episode) for finding, episode in silent if episode is not None and _was_told(episode)]
    return Step(
        tuple(sorted((alert for *_, alert in judged if alert is not None), key=urgency)),
        (*(after for _, _, after, _ in judged if after is not None), *gone),
        tuple(_standing(finding, episode) for finding, episode in told if _holds(finding, episode)),
        frozenset(episode.key for finding, episode in told if not _holds(finding, episode))
        | {episode.key for episode in gone if _was_told(episode)},
    )


def _was_told(episode: Episode) -> bool:
    return episode.told_level >= 0


def _holds(finding: Finding, episode: Episode) -> bool:
    """An episode whose end may not be told yet is over all the same."""
    return episode.cleared_at is None and max(finding.level, min(episode.level, finding.holding)) >= 0


def _standing(finding: Finding, episode: Episode) -> Standing:
    level = min(episode.level, episode.told_level)
    return Standing(_alert(finding, AlertPhase.WORSE, episode, level), episode)


def urgency(alert: Alert) -> tuple[int, bool, int, int, str]:
    """Gravest first; of one gravity what is bad before what is over."""
    over = alert.phase is AlertPhase.CLEAR
    return alert.gravity.rank, over, list(AlertKind).index(alert.kind), -alert.level, alert.key


_Judgement = tuple[Episode | None, Alert | None]


def _judge(finding: Finding, before: Episode | None, context: _Context) -> _Judgement:
    level = finding.level if before is None else max(finding.level, min(before.level, finding.holding))
    if level < 0:
        return _calm(finding, before, context)
    if before is None:
        fresh = Episode(finding.key, finding.kind, level, context.now, hedge_id=finding.hedge_id)
        return _tell_or_hold(finding, fresh, context)
    if _returns(finding, before, level, context.now):
        # A sub-episode of its own: it is told again.
        return _tell_again(finding, before, level, context)
    return _changed(before, _tell_or_hold(finding, replace(before, level=level), context))


def _changed(before: Episode, judgement: _Judgement) -> _Judgement:
    episode, alert = judgement
    return (None if episode == before else episode), alert


def _calm(finding: Finding, before: Episode | None, context: _Context) -> _Judgement:
    if before is None:
        return None, None
    cleared = replace(before, cleared_at=context.now)
    if before.told_level < 0 or finding.kind in CLEARED_SILENTLY:
        return cleared, None
    if _held(finding, before.told_level, before, context):
        return None, None  # the episode stays until its end may be told
    return cleared, _alert(finding, AlertPhase.CLEAR, cleared, before.told_level)


def _returns(finding: Finding, before: Episode, level: int, now: datetime) -> bool:
    """Back at a critical level that was told long ago and left in between."""
    critical = finding.gravity_at(level) is Gravity.CRITICAL
    long_ago = before.told_at is not None and now - before.told_at >= REPEAT_CRITICAL_AFTER
    return before.level < level <= before.told_level and critical and long_ago


def _tell_again(finding: Finding, before: Episode, level: int, context: _Context) -> _Judgement:
    if _held(finding, level, before, context):
        return None, None
    again = replace(before, level=level, since=context.now, told_at=context.now)
    return again, _alert(finding, AlertPhase.WORSE, again, level)


def _tell_or_hold(finding: Finding, episode: Episode, context: _Context) -> _Judgement:
    if episode.level <= episode.told_level:
        return episode, None
    told = replace(episode, told_level=episode.level, told_at=context.now)
    if finding.key in context.told_otherwise:
        return told, None
    if _held(finding, episode.level, episode, context):
        return episode, None
    phase = AlertPhase.RISE if episode.told_level < 0 else AlertPhase.WORSE
    return told, _alert(finding, phase, told, episode.level)


def _alert(finding: Finding, phase: AlertPhase, episode: Episode, level: int) -> Alert:
    return Alert(
        key=finding.key,
        kind=finding.kind,
        phase=phase,
        level=level,
        gravity=finding.gravity_at(level),
        since=episode.since,
        figures=finding.figures,
    )


# --- holding back -------------------------------------------------------------------------------


def _held(finding: Finding, level: int, episode: Episode, context: _Context) -> bool:
    alerts, now = context.preferences.alerts, context.now
    if finding.gravity_at(level) is Gravity.CRITICAL:
        return _critical_held(finding, level, episode, context)
    return (
        is_quiet(alerts, context.preferences.time_zone, now)
        or _snoozed(alerts, (EVERYTHING, finding.kind.value, *explicit_keys(finding)), now)
        or _cooling(level, episode, context)
    )


def _critical_held(finding: Finding, level: int, episode: Episode, context: _Context) -> bool:
    if finding.kind in NEVER_HELD or level > _known_level(episode, context):
        return False
    keys = [EVEN_CRITICAL + key for key in explicit_keys(finding)]
    return _snoozed(context.preferences.alerts, keys, context.now)


def _known_level(episode: Episode, context: _Context) -> int:
    """The gravest level that the user has been told lately."""
    earlier = context.recent.get(episode.key)
    return episode.told_level if earlier is None else max(episode.told_level, earlier.told_level)


def _cooling(level: int, episode: Episode, context: _Context) -> bool:
    """Told, cleared and risen again within minutes: the figure trembles around a level."""
    earlier = context.recent.get(episode.key)
    if earlier is None or earlier.cleared_at is None or episode.told_level >= 0:
        return False
    return level <= earlier.told_level and context.now - earlier.cleared_at < COOLDOWN


def explicit_keys(finding: Finding) -> tuple[str, ...]:
    return (finding.subject, f"{finding.subject}:{finding.kind}", finding.key) if finding.subject else ()


def _snoozed(alerts: AlertPreferences, keys: Iterable[str], now: datetime) -> bool:
    return any((until := alerts.snoozed.get(key)) is not None and now < until for key in keys)


def is_quiet(alerts: AlertPreferences, time_zone: str, now: datetime) -> bool:
    """By the wall clock of the user's zone, so that a change to summer time moves it along."""
    start, end = alerts.quiet_from, alerts.quiet_until
    if start is None or end is None:
        return False
    wall = now.astimezone(ZoneInfo(time_zone)).time()
    return start <= wall < end if start <= end else wall >= start or wall < end


# --- snoozing -----------------------------------------------------------------------------------


def snooze(alerts: AlertPreferences, key: str, until: datetime, now: datetime) -> AlertPreferences:
    """``key``: ``*``, a hedge (``#3``), a kind, or both (``#3:liquidation``). Past snoozes are forgotten."""
    kept = {k: at for k, at in alerts.snoozed.items() if at > now}
    explicit = key != EVERYTHING and key not in set(AlertKind)
    critical = {EVEN_CRITICAL + key: min(until, now + CRITICAL_SNOOZE_LIMIT)} if explicit else {}
    return replace(alerts, snoozed=kept | {key: until} | critical)


def snoozes(alerts: AlertPreferences, now: datetime) -> Sequence[tuple[str, datetime]]:
    """Those that hold, as the user set them."""
    return sorted((k, at) for k, at in alerts.snoozed.items() if at > now and not k.startswith(EVEN_CRITICAL))
