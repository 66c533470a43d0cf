# SPDX-License-Identifier: Apache-2.0
"""What is counted, for Prometheus: docs/operations.md lists the figures and what to be woken by.

Every process counts for itself. With several of them each writes into files of its own in one folder, and the process
that started them adds these up and serves the sum; so a count goes on when the process that made it is killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from api.settings import SettingsError, software_version
from api.webhooks.delivery import backlog

if TYPE_CHECKING:
    from api.world import World

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own name; read when it is imported
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

disable_created_metrics()  # a second series for each counter, of use to nobody here
REGISTRY = CollectorRegistry()


class Metrics:
    """The figures of one process. Where a label is bounded by our own code (operations, codes, jobs) it stands."""

    def __init__(self) -> None:
        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"jifen_{name}", said, labels, registry=REGISTRY)

        def gauge(name: str, said: str, *labels: str, mode: Any = "mostrecent") -> Gauge:
            return Gauge(f"jifen_{name}", said, labels, registry=REGISTRY, multiprocess_mode=mode)

        def histogram(name: str, said: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"jifen_{name}", said, labels, registry=REGISTRY, buckets=buckets)

        self._requests = counter("requests", "Answers by operation and status", "operation", "status")
        self._request_seconds = histogram("request_seconds", "Time to an answer", _SECONDS, "operation")
        self._refusals = counter("refusals", "Refusals by code", "code")
        self._commit_seconds = histogram("commit_seconds", "From begin to COMMIT", _SECONDS)
        self._commit_commands = histogram("commit_commands", "Commands in one commit", _SIZES)
        self._commit_failures = counter("commit_failures", "Batches that the database refused", "kind")
        self._queue = gauge("queue_weight", "Entries that wait for a commit", mode="livesum")
        self._jobs = counter("jobs", "Runs of jobs by outcome", "job", "outcome")
        self._job_done = gauge("job_done_timestamp_seconds", "When a job last came to its end", "job", mode="max")
        self._deliveries = counter("webhook_deliveries", "Tries to deliver an event", "outcome")
        self._head = gauge("head_seq", "The last entry of a journal", "journal")
        self._unpublished = gauge("unpublished_entries", "Entries that no checkpoint covers yet")
        self._publish_lag = gauge("publish_lag_seconds", "Age of the oldest entry that no checkpoint covers")
        self._holds = gauge("holds_open", "Holds that are neither captured nor released")
        self._hold_age = gauge("hold_age_seconds", "Age of the hold that ends first")
        self._hold_late = gauge("hold_overdue_seconds", "How long that hold should have been over")
        self._outbox = gauge("outbox_events", "Events that webhooks have yet to deliver")
        self._outbox_age = gauge("outbox_age_seconds", "Age of the oldest of them")
        self._read_only = gauge("read_only", "1 while nothing is taken", mode="livemax")
        gauge("info", "What runs here", "version", mode="livemax").labels(software_version()).set(1)
        self._answers: dict[tuple[str, int], tuple[Any, Any]] = {}  # looking a label up costs more than counting

    # what happens --------------------------------------------------------------------------------------------------

    def answered(self, operation: str, status: int, code: str, seconds: float) -> None:
        """A request was answered, refused with `code` where that is not empty."""
        known = self._answers.get((operation, status))
        if known is None:
            known = self._requests.labels(operation, str(status)), self._request_seconds.labels(operation)
            self._answers[operation, status] = known
        known[0].inc()
        known[1].observe(seconds)
        if code:
            self._refusals.labels(code).inc()

    def queued(self) -> None:
        """Of a command: nothing to remember."""

    def committed(self, callers: Sequence[object], started_ns: int, failure: str) -> None:
        """See `ledger.sequencer.Watch`, which this is."""
        self._commit_seconds.observe((time.time_ns() - started_ns) / 1e9)
        self._commit_commands.observe(len(callers))
        if failure:
            self._commit_failures.labels(failure).inc()

    def job(self, name: str, outcome: str) -> None:
        """A job came to its end: `done`, `waiting` (the database is away, the clock unsafe), `failed`."""
        self._jobs.labels(name, outcome).inc()
        if outcome == "done":
            self._job_done.labels(name).set_to_current_time()

    def delivered(self, outcome: str) -> None:
        """A webhook was tried: `delivered`, `failed`, `disabled`."""
        self._deliveries.labels(outcome).inc()

    # how things stand ----------------------------------------------------------------------------------------------

    async def look(self, world: World) -> int:
        """Ask the database how things stand; a few rows by their keys."""
        ledger = world.ledger
        now = ledger.clock()
        self._queue.set(ledger.sequencer.queued)
        self._read_only.set(ledger.frozen is not None)
        missing, oldest = 0, now
        for journal, size, published in await ledger.fetch(
            "SELECT h.journal, h.size, (SELECT MAX(c.size) FROM checkpoint c WHERE c.journal = h.journal) FROM head h"
        ):
            self._head.labels(journal).set(size - 1)
            if size > (published or 0):
                missing += size - (published or 0)
                rows = await ledger.fetch(
                    "SELECT recorded_at FROM entry WHERE journal = ? AND seq = ?", journal, published or 0
                )
                oldest = min(oldest, rows[0][0]) if rows else oldest
        self._unpublished.set(missing)
        self._publish_lag.set((now - oldest) / 1e6)
        ((open_holds,),) = await ledger.fetch("SELECT COUNT(*) FROM hold WHERE state = 'held'")
        first = await ledger.fetch(
            "SELECT h.expires_at, e.recorded_at FROM hold h JOIN entry e ON e.journal = h.journal AND e.seq = h.seq "
            "WHERE h.state = 'held' ORDER BY h.expires_at LIMIT 1"
        )
        self._holds.set(open_holds)
        self._hold_age.set((now - first[0][1]) / 1e6 if first else 0)
        self._hold_late.set(max(0, now - first[0][0]) / 1e6 if first else 0)
        waiting, age = await backlog(ledger)
        self._outbox.set(waiting)
        self._outbox_age.set(age / 1e6)
        return 0


@cache
def metrics() -> Metrics:
    """This process's own."""
    return Metrics()


@contextmanager
def served(at: tuple[str, int], workers: int) -> Iterator[None]:
    """`/metrics` on an address of its own, from a thread of this process, for it or for the processes that it starts.
    Raises `SettingsError` where it cannot listen."""
    with TemporaryDirectory(prefix="jifen-metrics-") as folder:
        registry = REGISTRY
        if workers > 1:
            os.environ[FOLDER] = folder
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        try:
            server, thread = start_http_server(at[1], at[0], registry)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"JIFEN_METRICS: cannot listen on {at[0]}:{at[1]}: {error}") from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def gone(pid: int) -> None:
    """A process of ours is no more: what it said of its present is not added up any longer."""
    if FOLDER in os.environ:
        mark_process_dead(pid)
