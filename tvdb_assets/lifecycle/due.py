"""When a document needs work, and why: the rules of the work queue.

What belongs here: the reasons, in their order, and how long a deferred document waits for what.
What does not: the statement that finds due documents among a million rows, which is made from
these rules (`repositories.due_documents`), or who asks for runs (`dagster`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from tvdb_assets import error_codes as codes
from tvdb_assets.lifecycle.states import DocumentLife, DocumentStatus, Quarantine

REQUEST_LASTS = timedelta(minutes=10)
"""From asking for a run to its record in Dagster: seconds, unless the asking process dies."""


class Reason(StrEnum):
    """Why a document is due: the first reason that applies."""

    REQUESTED = "wanted"
    """A person asked for it."""
    DEFERRED = "deferred"
    """It waited for a budget, a rate or a service, and that may have come."""
    CHANGED = "changed"
    """The source has other bytes than were read last."""
    MISSING = "missing"
    """Nothing of its newest version is published yet."""
    FAILED = "failed"
    """It failed for a reason that may pass, and its next attempt is due."""
    DEGRADED = "degraded"
    """What is published was made by a fallback."""
    STALE = "stale"
    """Another parser, chunker, model or setting left it so."""
    NOT_IN_DAGSTER = "unseen"
    """It is published, and Dagster shows its partition as missing."""


INTAKE = frozenset(
    {Reason.REQUESTED, Reason.CHANGED, Reason.MISSING, Reason.FAILED, Reason.DEGRADED}
)
"""Processed when they are found. The other reasons may apply to many, and wait for the night."""


@dataclass(frozen=True, slots=True)
class BudgetWindows:
    """When the limits that documents wait for were last renewed."""

    day: datetime
    """The budget's window began."""
    hour: datetime
    """The window of requests began."""
    changed: datetime
    """Limits or pauses were last changed."""
    now: datetime | None = None
    """By the same clock; None is the database's."""


class Renewal(StrEnum):
    """What ends the wait of a deferred document: a field of `BudgetWindows`."""

    DAY = "day"
    HOUR = "hour"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a deferred document waits; the first of these ends it."""

    renewals: tuple[Renewal, ...] = ()
    delay: timedelta | None = None
    """Asked again after that time, because no event says when the service is back."""


WAITS: Mapping[str, Wait] = {
    codes.BUDGET_EXHAUSTED.code: Wait((Renewal.DAY, Renewal.CHANGED)),
    codes.HOURLY_REQUESTS_EXHAUSTED.code: Wait((Renewal.HOUR, Renewal.CHANGED)),
    codes.PAUSED.code: Wait((Renewal.CHANGED,)),
    codes.BREAKER_OPEN.code: Wait(delay=timedelta(minutes=1)),
    codes.RATE_LIMITED.code: Wait(delay=timedelta(minutes=1)),
}
"""By error code."""
OTHER_WAIT = Wait((Renewal.CHANGED,), delay=timedelta(minutes=15))
"""Of all other codes: key or quota were refused, so somebody must act, and is not asked often."""

FAILS_AGAIN = frozenset({Quarantine.TERMINAL, Quarantine.ATTEMPTS, Quarantine.POISON})
"""Quarantines that say something about the document itself."""


class Settled(Protocol):
    """The part of a document's row that says whether it was processed to an end."""

    @property
    def status(self) -> DocumentStatus:
        """How the last work ended."""

    @property
    def quarantine(self) -> Quarantine | None:
        """Why it is not tried again."""

    @property
    def is_degraded(self) -> bool:
        """A fallback made what is published."""

    @property
    def is_changed(self) -> bool:
        """The source has other bytes."""

    @property
    def is_gone(self) -> bool:
        """The source no longer has it."""

    @property
    def pipeline_fingerprint(self) -> str:
        """Of the pipeline that left it so."""


def fails_again(
    quarantine: Quarantine | None, pipeline_fingerprint: str, fingerprints: Collection[str]
) -> bool:
    """Whether the same bytes, which failed with one fingerprint, fail with another one."""
    return quarantine in FAILS_AGAIN and pipeline_fingerprint in fingerprints


def is_settled(document: Settled, fingerprints: Collection[str]) -> bool:
    """Whether work on the same bytes would end as the last work did.

    Args:
        document: its row.
        fingerprints: of the pipeline as it is now, with its limits and without.
    """
    if document.is_changed or document.is_gone:
        return False
    if document.status is DocumentStatus.PUBLISHED:
        # What a fallback made is made again, by the real service if it is back.
        return not document.is_degraded and document.pipeline_fingerprint in fingerprints
    return fails_again(document.quarantine, document.pipeline_fingerprint, fingerprints)


def wait_is_over(code: str, deferred_at: datetime, windows: BudgetWindows, now: datetime) -> bool:
    """Whether the wait of a deferred document may be over.

    Args:
        code: of the error that deferred it.
        deferred_at: when the work began that met the error.
        windows: when what it may wait for was last renewed.
        now: by the same clock.
    """
    wait = WAITS.get(code, OTHER_WAIT)
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
    is_healing: bool = True,
    is_in_dagster: bool = True,
) -> Reason | None:
    """Why a document needs work; None if it does not.

    Args:
        life: of the document.
        windows: when what a deferred document may wait for was last renewed.
        now: by the database's clock.
        fingerprints: of the pipeline as it is now, with its limits and without.
        is_healing: whether the services are well that a fallback stood in for.
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
        return Reason.DEGRADED if is_healing else _seen(is_in_dagster)
    if (
        is_published or life.quarantine is not None
    ) and life.pipeline_fingerprint not in fingerprints:
        return Reason.STALE
    return _seen(is_in_dagster) if is_published else None


def run_is_expected(run_requested_at: datetime | None, now: datetime, *, is_planned: bool) -> bool:
    """Whether a run that was asked for may still come, so that none is asked for again.

    Args:
        run_requested_at: when it was asked for.
        now: by the same clock.
        is_planned: whether a process has runs left to start, which may take hours.
    """
    if run_requested_at is None:
        return False
    return is_planned or run_requested_at >= now - REQUEST_LASTS


def first_reason(reasons: Iterable[Reason | None]) -> Reason | None:
    """Why a file is due, of which some members are: it is processed with all of them."""
    order = list(Reason)
    found = [reason for reason in reasons if reason is not None]
    return min(found, key=order.index) if found else None


def _seen(is_in_dagster: bool) -> Reason | None:
    return None if is_in_dagster else Reason.NOT_IN_DAGSTER
