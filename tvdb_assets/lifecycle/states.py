"""The states of a document, and the part of its row that describes its life.

What belongs here: values. What does not: what moves a document from one state to another
(`events`), or when it needs work (`due`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tvdb_assets.errors import Disposition
from tvdb_assets.models import Stage


class DocumentStatus(StrEnum):
    """How the last work on a document ended; the values of ``tvdb.documents.status``.

    A file that is gone from its source keeps a status, which is never PUBLISHED: see
    `DocumentLife.is_gone`.
    """

    REGISTERED = "registered"
    """Its newest version is not published yet, and nothing is known to prevent that."""
    PUBLISHED = "published"
    """Its newest version is published."""
    FAILED = "failed"
    """The last attempt failed. What was published of it before stays published."""
    DEFERRED = "deferred"
    """Nothing is wrong with it; it waits for a budget, a rate or a service."""


class Quarantine(StrEnum):
    """Why a failed document has no next attempt; the values of ``tvdb.documents.quarantine``.

    A change of the file, a request by a person, or another pipeline fingerprint ends it.
    """

    TERMINAL = "terminal"
    """The same bytes fail again until the document or a setting changes."""
    ATTEMPTS = "attempts"
    """It failed for a reason that may pass, too many times."""
    POISON = "poison"
    """Its parser's process was lost too many times."""
    CONTAINER = "container"
    """Its container failed, which says nothing about the document itself. It is processed with its
    container."""


class Outcome(StrEnum):
    """How a run ended for a document; the values of ``tvdb.document_events.outcome``."""

    ADVANCED = "advanced"
    """A stage before the last one succeeded."""
    PUBLISHED = "published"
    DEGRADED = "degraded"
    """Published, but made by a fallback."""
    FAILED = "failed"
    DEFERRED = "deferred"


def outcome_of(disposition: Disposition) -> Outcome:
    """How an error ends a run for a document: it waits, or it has failed."""
    return Outcome.DEFERRED if disposition is Disposition.DEFERRED else Outcome.FAILED


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version of a file."""

    size: int
    """Bytes."""
    etag: str
    """As the source gives it; empty where the next scan must find a difference."""
    sha256: bytes | None = None
    """None where the bytes were never read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a document failed or waits, as its row keeps it."""

    stage: Stage
    code: str
    message: str
    remedy: str
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class DocumentLife:
    """The stored life of one document.

    All times are those of the database's clock.
    """

    version: FileVersion
    """Of the file as it was read last, or as it was listed first."""
    status: DocumentStatus = DocumentStatus.REGISTERED
    is_degraded: bool = False
    """A fallback made what is published of it."""
    is_changed: bool = False
    """The source has other bytes than were read last."""
    failure: Failure | None = None
    """Of the last work, where that failed or was deferred."""
    attempts: int = 0
    """Failures since it last succeeded, was changed, or was requested by a person."""
    quarantine: Quarantine | None = None
    next_attempt_at: datetime | None = None
    """When a failure that may pass is tried again."""
    deferred_at: datetime | None = None
    """When the work began that was deferred."""
    manually_requested_at: datetime | None = None
    """When a person asked for it, where no work that began later has ended."""
    run_requested_at: datetime | None = None
    """When a run was asked for that may still be on its way."""
    gone_at: datetime | None = None
    """When the source was first found without it."""
    pipeline_fingerprint: str = ""
    """Of the pipeline that left it so: parser, chunker, vector space, and the limits where one
    of them is why it failed. Empty where it must be processed again."""
    run_id: str = ""
    """The run that left it so; empty before the first one."""

    @property
    def is_gone(self) -> bool:
        """Whether the source no longer has it: it is out of search, and is deleted soon."""
        return self.gone_at is not None
