"""When a document needs work, and why: the rules of the work queue.

What belongs here: the reasons, in order of precedence, and how long a deferred document waits.
What does not: the statement that finds due documents among a million rows, which is generated
from these rules (`repositories.due_documents`), or requesting runs (`dagster`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from tvdb_assets import error_codes as codes
from tvdb_assets.lifecycle.states import DocumentLife, DocumentStatus, Quarantine

RUN_REQUEST_TIMEOUT = timedelta(minutes=10)
"""How long a requested run may take to appear in Dagster. It takes seconds, unless the process
that requested it dies."""


class Reason(StrEnum):
    """Why a document is due: the first reason that applies."""

    REQUESTED = "wanted"
    """A person requested it."""
    DEFERRED = "deferred"
    """It waits for a budget, a rate limit or a service, which may be available again."""
    CHANGED = "changed"
    """Its bytes in the source differ from those that were read last."""
    MISSING = "missing"
    """Its newest version is not published yet."""
    FAILED = "failed"
    """It failed with a transient error, and its next attempt is due."""
    DEGRADED = "degraded"
    """Its published version was created by a fallback."""
    STALE = "stale"
    """It was last processed with another parser, chunker, model or setting."""
    NOT_IN_DAGSTER = "unseen"
    """It is published, but Dagster shows its partition as missing."""


INTAKE_REASONS = frozenset(
    {Reason.REQUESTED, Reason.CHANGED, Reason.MISSING, Reason.FAILED, Reason.DEGRADED}
)
"""Reasons for which a scan requests runs at once. The others may apply to many documents, which
wait for the nightly catch-up."""


@dataclass(frozen=True, slots=True)
class BudgetWindows:
    """When the limits that deferred documents wait for were last renewed."""

    day: datetime
    """Start of the current budget window."""
    hour: datetime
    """When enough requests of the sliding hour were free again."""
    changed: datetime
    """Last change of limits or pauses."""
    now: datetime | None = None
    """The current time by the same clock; None means the clock of the database."""


class Renewal(StrEnum):
    """An event that ends the wait of a deferred document; a field of `BudgetWindows`."""

    DAY = "day"
    HOUR = "hour"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a deferred document waits, until the earliest of these events."""

    renewals: tuple[Renewal, ...] = ()
    delay: timedelta | None = None
    """Time until the next attempt, because no event reports that the service is back."""


WAITS: Mapping[str, Wait] = {
    codes.BUDGET_EXHAUSTED.code: Wait((Renewal.DAY, Renewal.CHANGED)),
    codes.HOURLY_REQUESTS_EXHAUSTED.code: Wait((Renewal.HOUR, Renewal.CHANGED)),
    codes.PAUSED.code: Wait((Renewal.CHANGED,)),
    codes.BREAKER_OPEN.code: Wait(delay=timedelta(minutes=1)),
    codes.RATE_LIMITED.code: Wait(delay=timedelta(minutes=1)),
    # The end of the job is an event of the document, see `BatchEnded`. This is for one that was
    # never recorded.
    codes.BATCH_PENDING.code: Wait(delay=timedelta(hours=49)),
    codes.BATCH_ENDED.code: Wait(delay=timedelta(0)),
}
"""The wait for each error code."""
DEFAULT_WAIT = Wait((Renewal.CHANGED,), delay=timedelta(minutes=15))
"""The wait for all other codes. The service refused the key or the quota, so a person must act, and
frequent attempts would not help."""

DOCUMENT_QUARANTINES = frozenset({Quarantine.TERMINAL, Quarantine.ATTEMPTS, Quarantine.POISON})
"""Quarantines whose cause is the document itself, and not its container."""


class Settled(Protocol):
    """The columns of a document's row that show whether its processing is complete."""

    @property
    def status(self) -> DocumentStatus:
        """The result of the last processing."""

    @property
    def quarantine(self) -> Quarantine | None:
        """The reason why it is not retried, or None."""

    @property
    def is_degraded(self) -> bool:
        """Whether its published version was created by a fallback."""

    @property
    def is_changed(self) -> bool:
        """Whether its bytes in the source differ from those that were read last."""

    @property
    def is_gone(self) -> bool:
        """Whether the source no longer has it."""

    @property
    def pipeline_fingerprint(self) -> str:
        """Fingerprint of the pipeline that processed it last."""


def fails_again(
    quarantine: Quarantine | None, pipeline_fingerprint: str, fingerprints: Collection[str]
) -> bool:
    """Whether a failed document would fail again with the same bytes.

    Args:
        quarantine: the reason why the document is not retried, or None.
        pipeline_fingerprint: fingerprint of the pipeline that it failed with.
        fingerprints: fingerprints of the current pipeline, with its limits and without.
    """
    return quarantine in DOCUMENT_QUARANTINES and pipeline_fingerprint in fingerprints


def is_settled(document: Settled, fingerprints: Collection[str]) -> bool:
    """Whether processing the same bytes again would give the same result.

    Args:
        document: the row of the document.
        fingerprints: fingerprints of the current pipeline, with its limits and without.
    """
    if document.is_changed or document.is_gone:
        return False
    if document.status is DocumentStatus.PUBLISHED:
        # A degraded document is processed again, by the paid service if it is available.
        return not document.is_degraded and document.pipeline_fingerprint in fingerprints
    return fails_again(document.quarantine, document.pipeline_fingerprint, fingerprints)


def wait_is_over(code: str, deferred_at: datetime, windows: BudgetWindows, now: datetime) -> bool:
    """Whether a deferred document may be processed again.

    Args:
        code: code of the error that deferred it.
        deferred_at: start of the processing that ended with the error.
        windows: when the limits were last renewed.
        now: the current time by the same clock.
    """
    wait = WAITS.get(code, DEFAULT_WAIT)
    ends: list[datetime] = [getattr(windows, renewal.value) for renewal in wait.renewals]
    if wait.delay is not None:
        ends.append((windows.now or now) - wait.delay)
    return deferred_at < max(ends)


def due_reason(
    life: DocumentLife,
    windows: BudgetWindows,
    now: datetime,
    *,
    fingerprints: Collection[str],
    can_retry_degraded: bool = True,
    is_in_dagster: bool = True,
) -> Reason | None:
    """Why a document needs work; None if it does not.

    Args:
        life: the lifecycle state of the document.
        windows: when the limits that deferred documents wait for were last renewed.
        now: the current time by the database's clock.
        fingerprints: fingerprints of the current pipeline, with its limits and without.
        can_retry_degraded: whether the paid services are available again.
        is_in_dagster: whether Dagster shows its partition as materialized.
    """
    if life.is_gone:
        return None
    if life.manually_requested_at is not None:
        return Reason.REQUESTED
    status = life.status
    if (
        status is DocumentStatus.DEFERRED
        and life.failure is not None
        and life.deferred_at is not None
        and wait_is_over(life.failure.code, life.deferred_at, windows, now)
    ):
        return Reason.DEFERRED
    if life.is_changed:
        return Reason.CHANGED
    if status is DocumentStatus.REGISTERED:
        return Reason.MISSING
    is_published = status is DocumentStatus.PUBLISHED
    if status is DocumentStatus.FAILED and life.quarantine is None:
        is_due = life.next_attempt_at is None or life.next_attempt_at <= now
        return Reason.FAILED if is_due else None
    if is_published and life.is_degraded:
        return Reason.DEGRADED if can_retry_degraded else _reason_if_missing(is_in_dagster)
    if (
        is_published or life.quarantine is not None
    ) and life.pipeline_fingerprint not in fingerprints:
        return Reason.STALE
    return _reason_if_missing(is_in_dagster) if is_published else None


def run_is_expected(run_requested_at: datetime | None, now: datetime, *, is_planned: bool) -> bool:
    """Whether a requested run may still start, so that it is not requested again.

    Args:
        run_requested_at: when it was requested, or None.
        now: the current time by the same clock.
        is_planned: whether a process has planned runs that it will start, maybe hours later.
    """
    if run_requested_at is None:
        return False
    return is_planned or run_requested_at >= now - RUN_REQUEST_TIMEOUT


def first_reason(reasons: Iterable[Reason | None]) -> Reason | None:
    """The reason with the highest precedence, for a file and its members; None if none is due.

    A file is processed together with all of its members.
    """
    order = list(Reason)
    found = [reason for reason in reasons if reason is not None]
    return min(found, key=order.index) if found else None


def _reason_if_missing(is_in_dagster: bool) -> Reason | None:
    return None if is_in_dagster else Reason.NOT_IN_DAGSTER
