"""The events in the life of a document, and the life after each of them.

What belongs here: the events and their rules, one class each. What does not: reading and storing
lives (`repositories.document_lifecycle`), or deciding which event has happened (`ingestion`, the
intake).

Events are facts, so every event is possible in every state: a run may end for a file that is gone
meanwhile, and a person may ask for a document that is published. This is where each one leads:

=====================  ==============================================================
event                  status afterwards
=====================  ==============================================================
`StageAdvanced`        PUBLISHED if the newest text is published, else REGISTERED
`Published`            PUBLISHED; REGISTERED if the file is gone
`Failed`               FAILED
`Deferred`             DEFERRED
`ContainerStopped`     of a member: FAILED or DEFERRED as its container, or PUBLISHED as before
`MembersEnded`         unchanged
`ContainerEnded`       PUBLISHED if all its members are and the file is there, else REGISTERED
`FileTouched`          unchanged
`FileChanged`          unchanged
`SourceGone`           REGISTERED if it was PUBLISHED, else unchanged
`SourceReturned`       unchanged
`RunRequested`         unchanged
`Requested`            unchanged
`MemberForgotten`      of a container: REGISTERED
`FingerprintDropped`   unchanged
=====================  ==============================================================

A document begins as REGISTERED, and its row ends with its deletion. A status that stays the same
does not mean that nothing happens: most of these events decide whether the document is due.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import datetime

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
        """The life of a document after the event, which happens at ``now``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkEnded(Event, ABC):
    """A run has ended its work on a document, well or not."""

    run_id: str
    stage: Stage
    """The last one that succeeded, or the one that did not."""
    began_at: datetime
    """When the work began: its end does not settle what came later."""
    read: FileVersion | None = None
    """The file as it was read; None where its bytes were not asked for."""

    @property
    @abstractmethod
    def outcome(self) -> Outcome | None:
        """For the history of the document; None if only that of its container records it."""

    def _ended(self, life: DocumentLife) -> DocumentLife:
        """A document of which nothing is due but what was changed or requested meanwhile."""
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
            # A change that was noted meanwhile has another etag: the next scan finds it by that.
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
    """A stage before the last one succeeded; what is published stays published."""

    is_published: bool
    """Whether what is published was made of the text that is stored last."""

    @property
    def outcome(self) -> Outcome:
        return Outcome.ADVANCED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        # Who made what is published, and by which pipeline, is not known from an early stage.
        is_published = self.is_published and not life.is_gone
        return replace(self._ended(life), status=_published_if(is_published), attempts=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(WorkEnded):
    """Its newest version was published."""

    pipeline_fingerprint: str
    is_degraded: bool = False

    @property
    def outcome(self) -> Outcome:
        return Outcome.DEGRADED if self.is_degraded else Outcome.PUBLISHED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        # Of a file that is gone nothing is published, though its run has ended well.
        return replace(
            self._ended(life),
            status=_published_if(not life.is_gone),
            is_degraded=self.is_degraded and not life.is_gone,
            attempts=0,
            pipeline_fingerprint=self.pipeline_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(WorkEnded):
    """It failed; what is published of it stays published."""

    failure: Failure
    pipeline_fingerprint: str

    def __post_init__(self) -> None:
        if self.failure.disposition is Disposition.DEFERRED:
            raise ValueError("a document whose work is deferred has not failed")

    @property
    def outcome(self) -> Outcome:
        return Outcome.FAILED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        ended = self._ended(life)
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
    """It waits for a budget, a rate or a service; what is published of it stays published."""

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
            self._ended(life),
            status=DocumentStatus.DEFERRED,
            failure=self.failure,
            # What it waits for may have come since its work began.
            deferred_at=self.began_at,
            pipeline_fingerprint=self.pipeline_fingerprint,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStopped(WorkEnded):
    """The container of a member could not be opened: it failed, or it waits.

    The member is processed when its container is.
    """

    failure: Failure
    pipeline_fingerprint: str

    @property
    def outcome(self) -> None:
        return None

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        ended = self._ended(life)
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
    """All members of a container with text, such as a mail, ended well."""

    is_degraded: bool
    """What is published of one of them was made by a fallback."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(
            life, is_degraded=life.is_degraded or (self.is_degraded and not life.is_gone)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnded(WorkEnded):
    """All members of a container without text, such as an archive, ended well."""

    is_published: bool
    """Whether all of them are published."""
    is_degraded: bool
    """What is published of one of them was made by a fallback."""
    pipeline_fingerprint: str | None
    """None where a stage before the last one ended."""

    @property
    def outcome(self) -> Outcome:
        return Outcome.PUBLISHED if self.stage is Stage.EMBEDDINGS else Outcome.ADVANCED

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        pipeline_fingerprint = self.pipeline_fingerprint
        if pipeline_fingerprint is None:
            pipeline_fingerprint = life.pipeline_fingerprint
        return replace(
            self._ended(life),
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
        return replace(life, version=_listed(life, self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChanged(Event):
    """The source lists a version of the file that may have other bytes, or has it again."""

    version: FileVersion

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(
            life,
            version=_listed(life, self.version),
            is_changed=True,
            quarantine=None,
            gone_at=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGone(Event):
    """The source no longer has the file: nothing of it is published any more."""

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
    """A planner asked for a run of the document."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, run_requested_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested(Event):
    """A person asked for the document; of a file that is gone there is nothing to process."""

    resets_attempts: bool
    """Its attempts count from the start."""

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
    """A member of the container was deleted: the next scan takes the container in again."""

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
    """It must be processed again, because its index was dropped or its partition key changed."""

    def apply(self, life: DocumentLife, now: datetime) -> DocumentLife:
        return replace(life, pipeline_fingerprint="")


def stopped(
    *,
    run_id: str,
    began_at: datetime,
    read: FileVersion | None,
    failure: Failure,
    pipeline_fingerprint: str,
) -> Failed | Deferred:
    """The end of work that did not succeed: the error's disposition says which."""
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


def _listed(life: DocumentLife, version: FileVersion) -> FileVersion:
    """A version as the source lists it; which bytes were read last is still known."""
    return replace(version, sha256=life.version.sha256)
