"""The states of a document, and the columns of its row that describe its lifecycle.

What belongs here: values. What does not: transitions between states (`events`), or when a document
needs work (`due`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tvdb_assets.errors import Disposition
from tvdb_assets.models import Stage


class DocumentStatus(StrEnum):
    """The result of the last processing of a document; the values of ``tvdb.documents.status``.

    A file that is gone from its source keeps a status, which is never PUBLISHED: see
    `DocumentLife.is_gone`.
    """

    REGISTERED = "registered"
    """Its newest version is not published yet, and nothing is known to prevent that."""
    PUBLISHED = "published"
    """Its newest version is published."""
    FAILED = "failed"
    """The last attempt failed. A version that was published before stays published."""
    DEFERRED = "deferred"
    """It has no error itself, and waits for a budget, a rate limit or a service."""


class Quarantine(StrEnum):
    """Why a failed document is not retried; the values of ``tvdb.documents.quarantine``.

    A change of the file, a request by a person, or another pipeline fingerprint ends it.
    """

    TERMINAL = "terminal"
    """The same bytes fail again until the document or a setting changes."""
    ATTEMPTS = "attempts"
    """It failed too many times with a transient error."""
    POISON = "poison"
    """Its parser's process was lost too many times."""
    CONTAINER = "container"
    """Its container failed; the document itself has no known error. It is processed together with
    its container."""


class Outcome(StrEnum):
    """How a run ended for a document; the values of ``tvdb.document_events.outcome``."""

    ADVANCED = "advanced"
    """A stage before the last one succeeded."""
    PUBLISHED = "published"
    DEGRADED = "degraded"
    """Published, but created by a fallback."""
    FAILED = "failed"
    DEFERRED = "deferred"


def outcome_of(disposition: Disposition) -> Outcome:
    """The outcome of a run for a document that ended with an error: DEFERRED or FAILED."""
    return Outcome.DEFERRED if disposition is Disposition.DEFERRED else Outcome.FAILED


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version of a file."""

    size: int
    """Bytes."""
    etag: str
    """Entity tag from the source; empty if the next scan must find a difference."""
    sha256: bytes | None = None
    """SHA-256 of the bytes; None if they were never read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The stored reason why a document failed or waits."""

    stage: Stage
    code: str
    message: str
    remedy: str
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class DocumentLife:
    """The stored lifecycle state of one document.

    All times are by the database's clock.
    """

    version: FileVersion
    """The version of the file that was read last, or that was listed first."""
    status: DocumentStatus = DocumentStatus.REGISTERED
    is_degraded: bool = False
    """Whether its published version was created by a fallback."""
    is_changed: bool = False
    """Whether its bytes in the source differ from those that were read last."""
    failure: Failure | None = None
    """The error of the last processing, if it failed or was deferred."""
    attempts: int = 0
    """Failures since it last succeeded, was changed, or was requested by a person."""
    quarantine: Quarantine | None = None
    next_attempt_at: datetime | None = None
    """When the next attempt after a transient error is due."""
    deferred_at: datetime | None = None
    """When the processing that was deferred began."""
    manually_requested_at: datetime | None = None
    """When a person requested it; None after a later run has processed it."""
    run_requested_at: datetime | None = None
    """When a run was requested that has not processed it yet."""
    gone_at: datetime | None = None
    """When a scan first found that the source no longer has it."""
    pipeline_fingerprint: str = ""
    """Fingerprint of the pipeline that processed it last: parser, chunker, vector space, and the
    limits if it failed because of one. Empty if it must be processed again."""
    run_id: str = ""
    """The run that processed it last; empty before the first one."""

    @property
    def is_gone(self) -> bool:
        """Whether the source no longer has it: search excludes it, and it is deleted soon."""
        return self.gone_at is not None
