"""What Prometheus scrapes: one registry of our own, and everything in it by its name.

No label says who: venues, platforms, jobs and classes of errors are few and the same for everybody.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from datetime import timedelta

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from chatbot.domain.order import Accepted, Outcome, Rejected
from chatbot.errors import ChatUnreachable, Conflict, DeliverLater
from chatbot.observing.events import (
    Asked,
    Committed,
    Delivered,
    Event,
    Examined,
    Lagged,
    Mailed,
    Placed,
    Ran,
)
from chatbot.observing.gaps import LegGaps
from chatbot.observing.health import Health, is_refusal
from chatbot.observing.reading import Ledger, Reading, age
from chatbot.ports import Changes, Pace

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Seconds. Between what a local disk takes and what nobody should wait for.
COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
VENUE_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
GAP_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Instruments:
    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._gaps = LegGaps()
        self._paces: dict[str, Pace] = {}
        self._count()
        self._measure()
        self._gauge()
        build = self._a_gauge("build_info", "Always 1; the labels say what runs", "version", "python")
        build.labels(version, platform.python_version()).set(1)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    # --- what there is --------------------------------------------------------------------------

    def _a_gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"hedgerow_{name}", says, labels, registry=self._registry)

    def _a_counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"hedgerow_{name}", says, labels, registry=self._registry)

    def _seconds(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"hedgerow_{name}", says, labels, buckets=buckets, registry=self._registry)

    def _count(self) -> None:
        self._commit_errors = self._a_counter("commit_errors_total", "Commits refused, by class", "kind")
        self._venue_errors = self._a_counter(
            "venue_errors_total", "Calls that ended in an error, by class", "venue", "kind"
        )
        self._orders = self._a_counter("orders_total", "Orders sent, by outcome", "venue", "outcome")
        self._waits = self._a_counter(
            "rate_limit_waits_total", "Requests that waited for their turn", "venue"
        )
        self._waited = self._a_counter("rate_limit_waited_seconds_total", "For how long in sum", "venue")
        self._received = self._a_counter("updates_received_total", "Updates that came in")
        self._handled = self._a_counter("updates_handled_total", "Updates that were handled")
        self._deliveries = self._a_counter(
            "deliveries_total", "Messages handed to a platform", "platform", "outcome"
        )
        self._refusals = self._a_counter("key_refusals_total", "Keys that an exchange refused", "venue")
        self._jobs_failed = self._a_counter("jobs_failed_total", "Runs of jobs that failed", "job")

    def _measure(self) -> None:
        self._commit = self._seconds("commit_seconds", "From asked to on the disk", COMMIT_BUCKETS)
        self._call = self._seconds(
            "venue_call_seconds", "A call, its wait for its turn included", VENUE_BUCKETS, "venue", "call"
        )
        self._gap = self._seconds(
            "leg_gap_seconds", "Between the last fills of both legs of an operation", GAP_BUCKETS
        )
        self._lag = self._seconds("event_loop_lag_seconds", "How late a sleep ended", LAG_BUCKETS)
        self._delivery = self._seconds(
            "delivery_seconds", "Handing one message to a platform", VENUE_BUCKETS, "platform"
        )

    def _gauge(self) -> None:
        gauge = self._a_gauge
        self._database_up = gauge("database_up", "1 while the database can be read and written")
        self._reading_seconds = gauge("reading_seconds", "What the last reading of the database took")
        self._naked = gauge("naked_legs", "Operations that have done one leg and not yet the other")
        self._naked_age = gauge("naked_leg_oldest_seconds", "Since the oldest of them began")
        self._unknown = gauge("orders_unknown", "Orders in flight without an answer")
        self._unknown_age = gauge("order_unknown_oldest_seconds", "Since the oldest of them was sent")
        self._frozen = gauge("hedges_frozen", "Hedges that differ from their exchange and are frozen")
        self._unexplained = gauge("hedges_unexplained", "Hedges that differ just now, frozen or not yet")
        self._frozen_accounts = gauge("accounts_frozen", "Accounts that take no new orders")
        self._live = gauge("hedges_live", "Hedges that are not closed")
        self._running = gauge("operations_running", "Operations in flight")
        self._accounts = gauge("accounts", "Connected accounts", "venue")
        self._alerts = gauge("alerts_active", "Conditions that hold now", "kind")
        self._owed = gauge("messages_owed", "Messages not delivered yet")
        self._owed_age = gauge("message_owed_oldest_seconds", "The age of the oldest of them")
        self._alerts_owed = gauge("alerts_owed", "Alerts not delivered yet")
        self._alert_owed_age = gauge("alert_owed_oldest_seconds", "The age of the oldest of them")
        self._looks = gauge("look_oldest_seconds", "Since the account that waits longest was seen", "venue")
        self._streams = gauge("streams", "Streams of exchanges, by whether they live", "venue", "state")
        self._away = gauge("venue_away_seconds", "For how long an exchange has not answered", "venue")
        self._pause = gauge("rate_limit_pause_seconds", "For how long reads rest", "venue")
        self._failing = gauge("job_failures_in_a_row", "Of jobs whose last run failed", "job")

    # --- what happens ---------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        match event:
            case Committed(seconds, error, changes):
                self._committed(seconds, error, changes)
            case Mailed(seconds, error, received):
                self._mailed(seconds, error, received)
            case Asked(venue, _, call, seconds, error):
                self._asked(venue, call, seconds, error)
            case Placed(venue, outcomes):
                for outcome in outcomes:
                    self._orders.labels(venue, _outcome(outcome)).inc()
            case Examined(venue, error):
                self._refused(venue, error)
            case Delivered(where, seconds, error):
                self._delivery.labels(where).observe(seconds)
                self._deliveries.labels(where, _delivery(error)).inc()
            case Ran(job, error):
                self._jobs_failed.labels(job).inc(0 if error is None else 1)
            case Lagged(seconds):
                self._lag.observe(seconds)

    def _committed(self, seconds: float, error: BaseException | None, changes: Changes) -> None:
        self._wrote(seconds, error)
        if error is None:
            self._handled.inc(len(changes.handled))
            for gap in self._gaps.follow(changes):
                self._gap.observe(gap)

    def _mailed(self, seconds: float, error: BaseException | None, received: int) -> None:
        self._wrote(seconds, error)
        if error is None:
            self._received.inc(received)

    def _wrote(self, seconds: float, error: BaseException | None) -> None:
        if error is None:
            self._commit.observe(seconds)
        else:
            self._commit_errors.labels("conflict" if isinstance(error, Conflict) else "failure").inc()

    def _asked(self, venue: str, call: str, seconds: float, error: BaseException | None) -> None:
        self._call.labels(venue, call).observe(seconds)
        if error is not None:
            self._venue_errors.labels(venue, type(error).__name__).inc()

    def _refused(self, venue: str, error: BaseException | None) -> None:
        if error is not None:
            self._venue_errors.labels(venue, type(error).__name__).inc()
        if is_refusal(error):
            self._refusals.labels(venue).inc()

    # --- how things stand -----------------------------------------------------------------------

    def show(self, reading: Reading, health: Health) -> None:
        self._database_up.set(reading.ledger is not None and health.broken_since is None)
        self._reading_seconds.set(reading.seconds)
        self._unexplained.set(reading.unexplained)
        if reading.ledger is None:
            self._show_nothing()
        else:
            self._show_ledger(reading.ledger, reading)
        _set_spans(self._looks, reading.looks)
        _set_spans(self._away, health.away())
        self._streams.clear()
        for (venue, alive), count in reading.streams.items():
            self._streams.labels(venue, "alive" if alive else "lost").set(count)
        self._failing.clear()
        for job, times in health.failing_jobs():
            self._failing.labels(job).set(times)
        for venue, pace in reading.paces.items():
            self._show_pace(venue, pace)

    def _show_nothing(self) -> None:
        """Figures of the past would pass for those of now."""
        for gauge in (
            self._naked, self._naked_age, self._unknown, self._unknown_age, self._frozen, self._live,
            self._frozen_accounts, self._running, self._owed, self._owed_age, self._alerts_owed,
            self._alert_owed_age,
        ):  # fmt: skip
            gauge.set(math.nan)
        self._accounts.clear()
        self._alerts.clear()

    def _show_ledger(self, ledger: Ledger, reading: Reading) -> None:
        standing = ledger.standing
        self._naked.set(ledger.naked.count)
        self._naked_age.set(age(ledger.naked, reading.at).total_seconds())
        self._unknown.set(standing.unknown.count)
        self._unknown_age.set(age(standing.unknown, reading.at).total_seconds())
        self._frozen.set(standing.frozen.count)
        self._frozen_accounts.set(standing.frozen_accounts)
        self._live.set(standing.live_hedges)
        self._running.set(ledger.running)
        self._owed.set(standing.owed.count)
        self._owed_age.set(ledger.owed_for.total_seconds())
        self._alerts_owed.set(standing.owed_alerts.count)
        self._alert_owed_age.set(ledger.alert_owed_for.total_seconds())
        _set_counts(self._accounts, standing.accounts)
        _set_counts(self._alerts, standing.alerts)

    def _show_pace(self, venue: str, pace: Pace) -> None:
        before = self._paces.get(venue, Pace(0, 0.0, 0.0))
        self._waits.labels(venue).inc(pace.waits - before.waits)
        self._waited.labels(venue).inc(pace.waited - before.waited)
        self._pause.labels(venue).set(pace.pause_left)
        self._paces[venue] = pace


def _set_counts(gauge: Gauge, counts: Mapping[str, int]) -> None:
    gauge.clear()
    for name, count in counts.items():
        gauge.labels(name).set(count)


def _set_spans(gauge: Gauge, spans: Mapping[str, timedelta]) -> None:
    gauge.clear()
    for name, span in spans.items():
        gauge.labels(name).set(span.total_seconds())


def _outcome(outcome: Outcome) -> str:
    if isinstance(outcome, Accepted):
        return "accepted"
    return "rejected" if isinstance(outcome, Rejected) else "unknown"


def _delivery(error: BaseException | None) -> str:
    if error is None:
        return "delivered"
    if isinstance(error, DeliverLater):
        return "later"
    return "unreachable" if isinstance(error, ChatUnreachable) else "failed"
