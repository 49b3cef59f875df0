"""The events in the lifecycle of a document, and the state after each of them.

What belongs here: the events and their rules, one class each. What does not: reading and storing
states (`repositories.document_lifecycle`), or deciding which event has happened (`ingestion`, the
intake).

Events are facts, so every event is possible in every state: a run may end after its file was
deleted, and a person may request a document that is published. The status after each event:

=====================  ==============================================================
event                  status afterwards
=====================  ==============================================================
`StageAdvanced`        PUBLISHED if the newest text is published, else REGISTERED
`Published`            PUBLISHED; REGISTERED if the file is gone
`Failed`               FAILED
`Deferred`             DEFERRED
`ContainerStopped`     FAILED or DEFERRED like the container; a PUBLISHED member stays so
`MembersEnded`         unchanged
`ContainerEnded`       PUBLISHED if all members are and the file exists, else REGISTERED
`FileTouched`          unchanged
`FileChanged`          unchanged
`SourceGone`           REGISTERED if it was PUBLISHED, else unchanged
`SourceReturned`       unchanged
`RunRequested`         unchanged
`RequestReleased`      unchanged
`Requested`            unchanged
`MemberForgotten`      REGISTERED (the event of a container)
`FingerprintDropped`   unchanged
`BatchEnded`           unchanged
=====================  ==============================================================

A new document is REGISTERED. Its row is removed when the document is deleted. Events that do not
change the status may still decide whether the document is due.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import datetime

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle.retry import quarantine_after, retry_delay
from tvdb_assets.lifecycle.states import (
    DocumentLife,
    DocumentStatus,
    Failure,
    FileVersion,
    Outcome,
    Quarantine,
    outcome_of,
)
from tvdb_assets.models import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(ABC):
    """Something that happened to one document."""

    @abstractmethod
    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        """Return the state of a document after this event, which happens at ``now``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEnded(Event, ABC):
    """A run finished processing a document, with or without success."""

    run_id: str
    stage: Stage
    """The last stage that succeeded, or the stage that failed."""
    began_at: datetime
    """When the processing began. Later changes and requests are not covered by it."""
    read: FileVersion | None = None
    """The version of the file that was read; None if its bytes were not read."""

    @property
    @abstractmethod
    def outcome(self) -> Outcome | None:
        """The outcome for the document's history; None if only its container records one."""

    def _after_work(self, life: DocumentLife) -> DocumentLife:
        """The state after processing: only later changes and requests make the document due."""
        version = life.version
        if self.read is not None:
            sha256 = self.read.sha256 or version.sha256
            version = FileVersion(self.read.size, self.read.etag, sha256)
        manually_requested_at = life.manually_requested_at
        if manually_requested_at is not None and manually_requested_at <= self.began_at:
            manually_requested_at = None
        return replace(
            life,
            version=version,
            # A change during the run has another etag, by which the next scan finds it.
            is_changed=life.is_changed and self.read is None,
            failure=None,
            quarantine=None,
            next_attempt_at=None,
            deferred_at=None,
            manually_requested_at=manually_requested_at,
            run_requested_at=None,
            run_id=self.run_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAdvanced(WorkEnded):
    """A stage before the last one succeeded; the published version stays published."""

    is_published: bool
    """Whether the published version was created from the newest stored text."""

    @property
    def outcome(self) -> Outcome:
        return Outcome.ADVANCED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        # An early stage does not know which pipeline created the published version.
        is_published = self.is_published and not life.is_gone
        return replace(self._after_work(life), status=_published_if(is_published), attempts=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(WorkEnded):
    """Its newest version was published."""

    pipeline_fingerprint: str
    is_degraded: bool = False

    @property
    def outcome(self) -> Outcome:
        return Outcome.DEGRADED if self.is_degraded else Outcome.PUBLISHED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        # A file that is gone is not published, although its run succeeded.
        return replace(
            self._after_work(life),
            status=_published_if(not life.is_gone),
            is_degraded=self.is_degraded and not life.is_gone,
            attempts=0,
            pipeline_fingerprint=self.pipeline_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(WorkEnded):
    """The processing failed; the published version stays published."""

    failure: Failure
    pipeline_fingerprint: str

    def __post_init__(self) -> None:
        if self.failure.disposition is Disposition.DEFERRED:
            raise ValueError("a document whose work is deferred has not failed")

    @property
    def outcome(self) -> Outcome:
        return Outcome.FAILED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        ended = self._after_work(life)
        attempts = 1 if _has_other_bytes(life.version, ended.version) else life.attempts + 1
        quarantine = quarantine_after(self.failure.code, self.failure.disposition, attempts)
        if ended.is_changed or ended.manually_requested_at is not None:
            # It is due anyway, and the next attempt decides.
            quarantine = None
        return replace(
            ended,
            status=DocumentStatus.FAILED,
            failure=self.failure,
            attempts=attempts,
            quarantine=quarantine,
            next_attempt_at=None if quarantine is not None else now + retry_delay(attempts),
            pipeline_fingerprint=self.pipeline_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred(WorkEnded):
    """The document waits for a budget, a rate limit or a service; its published version stays."""

    failure: Failure
    pipeline_fingerprint: str

    def __post_init__(self) -> None:
        if self.failure.disposition is not Disposition.DEFERRED:
            raise ValueError("a document whose work has failed does not wait")

    @property
    def outcome(self) -> Outcome:
        return Outcome.DEFERRED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(
            self._after_work(life),
            status=DocumentStatus.DEFERRED,
            failure=self.failure,
            # The limit that it waits for may have been renewed since the processing began.
            deferred_at=self.began_at,
            pipeline_fingerprint=self.pipeline_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStopped(WorkEnded):
    """The container of a member could not be opened, because it failed or is deferred.

    The member is processed together with its container.
    """

    failure: Failure
    pipeline_fingerprint: str

    @property
    def outcome(self) -> None:
        return None

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        ended = self._after_work(life)
        if life.status is DocumentStatus.PUBLISHED and not life.is_degraded:
            return replace(
                ended, pipeline_fingerprint=self.pipeline_fingerprint, run_id=life.run_id
            )
        ended = replace(ended, failure=self.failure, pipeline_fingerprint=self.pipeline_fingerprint)
        if outcome_of(self.failure.disposition) is Outcome.DEFERRED:
            return replace(ended, status=DocumentStatus.DEFERRED, deferred_at=self.began_at)
        has_attempt = ended.is_changed or ended.manually_requested_at is not None
        return replace(
            ended,
            status=DocumentStatus.FAILED,
            quarantine=None if has_attempt else Quarantine.CONTAINER,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersEnded(Event):
    """All members of a container with text, such as an email, were processed successfully."""

    is_degraded: bool
    """Whether the published version of a member was created by a fallback."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(
            life, is_degraded=life.is_degraded or (self.is_degraded and not life.is_gone)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnded(WorkEnded):
    """All members of a container without text, such as an archive, were processed successfully."""

    is_published: bool
    """Whether all members are published."""
    is_degraded: bool
    """Whether the published version of a member was created by a fallback."""
    pipeline_fingerprint: str | None
    """None if the run ended before the last stage."""

    @property
    def outcome(self) -> Outcome:
        return Outcome.PUBLISHED if self.stage is Stage.EMBEDDINGS else Outcome.ADVANCED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        pipeline_fingerprint = self.pipeline_fingerprint
        if pipeline_fingerprint is None:
            pipeline_fingerprint = life.pipeline_fingerprint
        return replace(
            self._after_work(life),
            status=_published_if(self.is_published and not life.is_gone),
            is_degraded=self.is_degraded and not life.is_gone,
            attempts=0,
            pipeline_fingerprint=pipeline_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTouched(Event):
    """The source lists the same bytes under another etag."""

    version: FileVersion

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, version=_keeping_sha256(life, self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanged(Event):
    """The source lists a version that may have other bytes, or lists a deleted file again."""

    version: FileVersion

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(
            life,
            version=_keeping_sha256(life, self.version),
            is_changed=True,
            quarantine=None,
            gone_at=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGone(Event):
    """The source no longer has the file, so it is no longer published."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        if life.is_gone:
            return life
        is_published = life.status is DocumentStatus.PUBLISHED
        return replace(
            life,
            status=DocumentStatus.REGISTERED if is_published else life.status,
            is_degraded=False,
            gone_at=now,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReturned(Event):
    """The file that contains this document is in the source again."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, gone_at=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequested(Event):
    """A planner requested a run of the document."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, run_requested_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReleased(Event):
    """The run that a planner requested exists now, or was lost before it was created."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, run_requested_at=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested(Event):
    """A person requested the document; has no effect on a file that is gone."""

    resets_attempts: bool
    """Whether its attempts are counted from zero again."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        if life.is_gone:
            return life
        return replace(
            life,
            manually_requested_at=now,
            run_requested_at=None,
            quarantine=None,
            attempts=0 if self.resets_attempts else life.attempts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberForgotten(Event):
    """A member of the container was deleted, so the next scan ingests the container again."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(
            life,
            version=replace(life.version, etag=""),
            status=DocumentStatus.REGISTERED,
            failure=None,
            quarantine=None,
            next_attempt_at=None,
            deferred_at=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FingerprintDropped(Event):
    """The document must be processed again: its index was dropped or its partition key changed."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, pipeline_fingerprint="")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEnded(Event):
    """The batch jobs that the document waits for have ended, so that it can be processed."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        failure = life.failure
        if failure is None or failure.code != codes.BATCH_PENDING.code:
            return life
        ended = codes.BATCH_ENDED.error()
        return replace(
            life,
            failure=Failure(
                failure.stage, ended.code, ended.message, ended.remedy, ended.disposition
            ),
        )


def failed_or_deferred(
    *,
    run_id: str,
    began_at: datetime,
    read: FileVersion | None,
    failure: Failure,
    pipeline_fingerprint: str,
) -> Failed | Deferred:
    """The event of unsuccessful processing, chosen by the disposition of the error.

    Args:
        run_id: the run that processed the document.
        began_at: when the processing began.
        read: the version of the file that was read; None if its bytes were not read.
        failure: the error and the stage at which it occurred.
        pipeline_fingerprint: fingerprint of the pipeline of the run.
    """
    outcome = outcome_of(failure.disposition)
    kind = Deferred if outcome is Outcome.DEFERRED else Failed
    return kind(
        run_id=run_id,
        stage=failure.stage,
        began_at=began_at,
        read=read,
        failure=failure,
        pipeline_fingerprint=pipeline_fingerprint,
    )


def _published_if(is_published: bool) -> DocumentStatus:
    return DocumentStatus.PUBLISHED if is_published else DocumentStatus.REGISTERED


def _has_other_bytes(before: FileVersion, after: FileVersion) -> bool:
    return before.sha256 is not None and before.sha256 != after.sha256


def _keeping_sha256(life: DocumentLife, version: FileVersion) -> FileVersion:
    """A version as the source lists it, with the known sha256 of the bytes that were read last."""
    return replace(version, sha256=life.version.sha256)
