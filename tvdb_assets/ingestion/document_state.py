"""The state of a document in a batch: the results of its stages and of its members.

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

_NAMED = 10
"""Maximum number of failed members in the error of a container; `tvdb status` lists all."""
_SUMMED = frozenset({"chunks", "tokens", "cost_usd", "paid_requests", "paid_tokens", "paid_pages"})

Value: TypeAlias = int | float | str | bool
Metadata = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class StageResult:
    """The result of one stage for one document."""

    partition_key: str
    path: str
    stage: Stage
    error: TvdbError | None = None
    is_unchanged: bool = False
    """Whether the earlier result is still valid, so that nothing was stored."""
    metadata: Metadata = field(default_factory=dict)
    """Counts, seconds and names; never document text."""
    is_member: bool = False
    """Whether it is a member of a container; the container has the result of the partition."""


@dataclass(slots=True)
class DocumentState:
    """The state of a document while a batch goes through the stages."""

    row: DocumentRow
    member: Member | None = None
    """The entry from its container's listing, if it is a listed member."""
    source: SourceFile | None = None
    """The file at the time when its bytes were requested."""
    content_sha256: bytes | None = None
    fingerprint: str = ""
    data: bytes | None = None
    future: Future[Any] | None = None
    """A `PreparedDocument` or `ContainerFile`, or a `PaidParseCandidate` for a paid service."""
    container_media_type: str | None = None
    """Media type of a container whose members must be listed and processed."""
    is_listed: bool = False
    """Whether its members are taken from the database, so that its bytes are not read."""
    members: MemberSummary | None = None
    """Results of its members, if it is a container."""
    shared_text: ParsedDocument | None = None
    """The text of another document with the same bytes."""
    parsed_id: int | None = None
    is_parse_new: bool = False
    is_parse_degraded: bool = False
    chunk_set: StoredChunkSet | None = None
    is_chunk_set_new: bool = False
    is_degraded: bool = False
    """Whether the version to publish was created by a fallback."""
    is_current_index_stale: bool = False
    """Whether its error affects only the index that search reads, and not the index of the run."""
    error: TvdbError | None = None
    failed_at: Stage | None = None
    metadata: dict[Stage, dict[str, Value]] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether it has chunks and has not failed."""
        return self.error is None and self.chunk_set is not None

    @property
    def suffix(self) -> str:
        """The media type from its container, or else its file suffix, for ambiguous content."""
        return self.media_type or suffix_of(self.row.path)

    @property
    def media_type(self) -> str | None:
        """The media type that its container states; None if it is not a member."""
        return self.member.media_type if self.member is not None else None

    @property
    def is_limited(self) -> bool:
        """Whether it or one of its members failed because of a limit."""
        return (self.error is not None and self.error.code in LIMIT_CODES) or (
            self.members is not None and self.members.is_limited
        )

    def fail(self, stage: Stage, error: TvdbError) -> None:
        """End its processing with an error, which names this document."""
        self.error, self.failed_at = error.about(self.row.path), stage

    def note(self, stage: Stage, /, **values: Value) -> None:
        """Add to the metadata of a stage."""
        self.metadata.setdefault(stage, {}).update(values)

    def results(self, stages: frozenset[Stage]) -> Iterator[StageResult]:
        """Yield one result for each stage; stages after a failed one have the same error."""
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
                metadata = self.members.metadata(stage, metadata)
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
    """The results of the direct members of a container."""

    total: int = 0
    failed: list[tuple[str, TvdbError, Stage]] = field(default_factory=list)
    """Path, error and stage of each failed member."""
    deferred: list[tuple[str, TvdbError, Stage]] = field(default_factory=list)
    is_degraded: bool = False
    is_current_index_stale: bool = False
    is_limited: bool = False
    kept: list[int] = field(default_factory=list)
    """Document ids of the current members; all others are deleted."""
    changed: set[Stage] = field(default_factory=set)
    """Stages that stored something of a member."""
    sums: dict[Stage, dict[str, int | float]] = field(default_factory=dict)

    def add(self, member: DocumentState, stages: frozenset[Stage]) -> None:
        """Add the results of a processed member."""
        self.total += 1
        self.is_degraded = self.is_degraded or member.is_degraded
        self.is_current_index_stale = self.is_current_index_stale or member.is_current_index_stale
        self.is_limited = self.is_limited or member.is_limited
        if member.error is not None and member.failed_at is not None:
            self.note(member.row.path, member.error, member.failed_at)
        for result in member.results(stages):
            if not result.is_unchanged:
                self.changed.add(result.stage)
            _add(self.sums.setdefault(result.stage, {}), result.metadata)

    def note(self, path: str, error: TvdbError, stage: Stage) -> None:
        """Add a failed or deferred member."""
        (self.deferred if error.is_deferred else self.failed).append((path, error, stage))

    def metadata(self, stage: Stage, own: Metadata) -> dict[str, Value]:
        """The metadata of a container: its own, with the sums over its members."""
        sums = dict(self.sums.get(stage, {}))
        _add(sums, own)
        failed = sum(at is stage for _, _, at in self.failed)
        return {**own, **sums, "members": self.total, "members_failed": failed}

    def verdict(self, container: str) -> tuple[TvdbError, Stage] | None:
        """The error and stage of the container: failed if a member failed, else deferred if one is.

        Returns:
            None if no member failed or is deferred.
        """
        if self.failed:
            is_terminal = all(e.disposition is Disposition.TERMINAL for _, e, _ in self.failed)
            names = ", ".join(
                f"{_name(container, path)} ({error.code})"
                for path, error, _ in self.failed[:_NAMED]
            )
            more = len(self.failed) - _NAMED
            error: TvdbError = codes.MEMBERS_FAILED.error(
                failed=len(self.failed),
                total=self.total,
                names=names + (f" and {more:,} more" if more > 0 else ""),
                disposition=Disposition.TERMINAL if is_terminal else Disposition.TRANSIENT,
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


def _add(sums: dict[str, int | float], metadata: Metadata) -> None:
    for name in _SUMMED & metadata.keys():
        value = metadata[name]
        if isinstance(value, int | float):
            sums[name] = sums.get(name, 0) + value
