"""A document on its way through one batch: the results of its stages and of its members.

What belongs here: the state of one document during an ingestion. What does not: the stages
themselves (`ingestion.parse_stage`, `ingestion.embed_stage`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from tvdb_assets import error_codes as codes
from tvdb_assets.core.member_paths import SEPARATOR
from tvdb_assets.document_limits import LIMIT_CODES
from tvdb_assets.errors import Disposition, TvdbError
from tvdb_assets.models import Member, ParsedDocument, SourceFile, Stage
from tvdb_assets.redaction import display_path, is_private
from tvdb_assets.repositories.rows import DocumentRow, StoredChunkSet

_SHOWN = 10
"""Members that a container's failure names; `tvdb status` names them all."""
_SUMMED = frozenset({"chunks", "tokens", "cost_usd", "paid_requests", "paid_tokens", "paid_pages"})

Value: TypeAlias = int | float | str | bool
Metadata = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class StageResult:
    """How one stage of one document ended."""

    partition_key: str
    path: str
    stage: Stage
    error: TvdbError | None = None
    is_unchanged: bool = False
    """What was stored already is still right; nothing was made."""
    metadata: Metadata = field(default_factory=dict)
    """Counts, seconds and names; never document text."""
    is_member: bool = False
    """Inside of another document, whose own result says how the partition ended."""


@dataclass(slots=True)
class DocumentState:
    """A document on its way through the stages of one batch."""

    row: DocumentRow
    member: Member | None = None
    """Where it is a member that its container has just listed."""
    source: SourceFile | None = None
    """As it was when its bytes were asked for."""
    content_sha256: bytes | None = None
    fingerprint: str = ""
    data: bytes | None = None
    future: Future[Any] | None = None
    """Of `PreparedDocument` or `ContainerFile`, or of `PaidParseCandidate` where a paid service
    is to parse it."""
    holds: str | None = None
    """The media type of a container, whose members are to be listed and walked."""
    is_listed: bool = False
    """Its members are those that are registered: its bytes were not asked for."""
    members: MemberSummary | None = None
    """How its members ended, if it has any."""
    shared_text: ParsedDocument | None = None
    """The text of another document with the same bytes."""
    parsed_id: int | None = None
    is_parse_new: bool = False
    is_parse_degraded: bool = False
    chunk_set: StoredChunkSet | None = None
    is_chunk_set_new: bool = False
    is_degraded: bool = False
    """What is published of it now was made by a stand-in."""
    is_current_index_stale: bool = False
    """Its error is of the index that search reads; in the run's own it is published."""
    error: TvdbError | None = None
    failed_at: Stage | None = None
    metadata: dict[Stage, dict[str, Value]] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Neither failed nor stopped before it had chunks."""
        return self.error is None and self.chunk_set is not None

    @property
    def suffix(self) -> str:
        """Of its name, or what its container says, which settle what content leaves open."""
        return self.media_type or suffix_of(self.row.path)

    @property
    def media_type(self) -> str | None:
        """As its container says it."""
        return self.member.media_type if self.member is not None else None

    @property
    def is_limited(self) -> bool:
        """A limit is why it failed, or something inside of it."""
        return (self.error is not None and self.error.code in LIMIT_CODES) or (
            self.members is not None and self.members.is_limited
        )

    def fail(self, stage: Stage, error: TvdbError) -> None:
        """It goes no further; the error is told of this document alone."""
        self.error, self.failed_at = error.about(self.row.path), stage

    def note(self, stage: Stage, **values: Value) -> None:
        """Add to what is told of a stage."""
        self.metadata.setdefault(stage, {}).update(values)

    def results(self, stages: frozenset[Stage]) -> Iterator[StageResult]:
        """One result a stage: a failed stage fails those after it, for the same reason."""
        is_member = self.row.container_id is not None
        is_failed = False
        for stage in Stage:
            is_failed = is_failed or stage is self.failed_at
            if stage not in stages:
                continue
            metadata = dict(self.metadata.get(stage, {}))
            if stage is Stage.CHUNKS and self.chunk_set is not None:
                metadata.update(
                    chunks=self.chunk_set.chunk_count, tokens=self.chunk_set.token_count
                )
            is_unchanged = {
                Stage.PARSED_DOCUMENTS: not self.is_parse_new,
                Stage.CHUNKS: not self.is_chunk_set_new,
                Stage.EMBEDDINGS: bool(metadata.pop("unchanged", self.members is not None)),
            }
            if self.members is not None:
                is_unchanged[stage] = is_unchanged[stage] and stage not in self.members.changed
                metadata = self.members.told(stage, metadata)
            yield StageResult(
                self.row.partition_key,
                self.row.path,
                stage,
                error=self.error if is_failed else None,
                is_unchanged=is_unchanged[stage],
                metadata=metadata,
                is_member=is_member,
            )


@dataclass(slots=True)
class MemberSummary:
    """How the members of a container ended, not counting theirs."""

    total: int = 0
    failed: list[tuple[str, TvdbError, Stage]] = field(default_factory=list)
    """Path, why, and where."""
    deferred: list[tuple[str, TvdbError, Stage]] = field(default_factory=list)
    is_degraded: bool = False
    is_current_index_stale: bool = False
    is_limited: bool = False
    kept: list[int] = field(default_factory=list)
    """Document ids; other members of the container are gone."""
    changed: set[Stage] = field(default_factory=set)
    """Stages that made something of a member."""
    sums: dict[Stage, dict[str, int | float]] = field(default_factory=dict)

    def add(self, t: DocumentState, stages: frozenset[Stage]) -> None:
        """Count a member that is done."""
        self.total += 1
        self.is_degraded = self.is_degraded or t.is_degraded
        self.is_current_index_stale = self.is_current_index_stale or t.is_current_index_stale
        self.is_limited = self.is_limited or t.is_limited
        if t.error is not None and t.failed_at is not None:
            self.note(t.row.path, t.error, t.failed_at)
        for result in t.results(stages):
            if not result.is_unchanged:
                self.changed.add(result.stage)
            _add(self.sums.setdefault(result.stage, {}), result.metadata)

    def note(self, path: str, error: TvdbError, stage: Stage) -> None:
        """Count a failure or a wait."""
        (self.deferred if error.is_deferred else self.failed).append((path, error, stage))

    def told(self, stage: Stage, own: Metadata) -> dict[str, Value]:
        """The metadata of a container: its own with the sums over its members."""
        sums = dict(self.sums.get(stage, {}))
        _add(sums, own)
        failed = sum(at is stage for _, _, at in self.failed)
        return {**own, **sums, "members": self.total, "members_failed": failed}

    def verdict(self, container: str) -> tuple[TvdbError, Stage] | None:
        """What its members mean for the container: failed if one did, else waiting if one does."""
        if self.failed:
            is_hopeless = all(e.disposition is Disposition.TERMINAL for _, e, _ in self.failed)
            names = ", ".join(
                f"{_name(container, path)} ({error.code})"
                for path, error, _ in self.failed[:_SHOWN]
            )
            more = len(self.failed) - _SHOWN
            error: TvdbError = codes.MEMBERS_FAILED.error(
                failed=len(self.failed),
                total=self.total,
                names=names + (f" and {more:,} more" if more > 0 else ""),
                disposition=Disposition.TERMINAL if is_hopeless else Disposition.TRANSIENT,
            )
            return error, min((s for _, _, s in self.failed), key=list(Stage).index)
        if self.deferred:
            _, first, _ = self.deferred[0]
            error = type(first).restored(
                first.code,
                f"{len(self.deferred):,} of {self.total:,} documents inside it wait: "
                + first.message,
                remedy=first.remedy,
                disposition=first.disposition,
            )
            return error, min((s for _, _, s in self.deferred), key=list(Stage).index)
        return None


def suffix_of(path: str) -> str:
    """The suffix of a document's name: ``.pdf``."""
    return PurePosixPath(path).suffix.lower()


def _name(container: str, path: str) -> str:
    return display_path(path) if is_private(path) else path.removeprefix(container + SEPARATOR)


def _add(sums: dict[str, int | float], told: Metadata) -> None:
    for name in _SUMMED & told.keys():
        value = told[name]
        if isinstance(value, int | float):
            sums[name] = sums.get(name, 0) + value
