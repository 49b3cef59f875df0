"""The values that pass between an ingestion run and the repositories.

What belongs here: rows as they are read, and values to be written. What does not: the statements
(`document_store`, `member_store`, `index_store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tvdb_assets.errors import TvdbError
from tvdb_assets.lifecycle.states import DocumentStatus, Failure, FileVersion, Quarantine
from tvdb_assets.models import Chunk, ParsedDocument, SourceFile, Stage


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A registered document, as an ingestion run needs it."""

    document_id: int
    partition_key: str
    source: str
    path: str
    size: int
    etag: str
    sha256: bytes | None
    status: DocumentStatus
    pipeline_fingerprint: str = ""
    quarantine: Quarantine | None = None
    """Why it has no next attempt, if it failed."""
    failed_stage: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_remedy: str | None = None
    is_manually_requested: bool = False
    """A person asked for it."""
    container_id: int | None = None
    member: str | None = None
    """Its name within its container."""


ROW = (
    "document_id, partition_key, source, path, size, etag, sha256, status,"
    " pipeline_fingerprint, quarantine, failed_stage, error_code, error_message, error_remedy,"
    " manually_requested_at IS NOT NULL AS is_manually_requested, container_id, member"
)
"""The columns of a `DocumentRow`."""


def document_row(status: str, quarantine: str | None, **columns: Any) -> DocumentRow:
    """A row of the columns in `ROW`."""
    return DocumentRow(
        status=DocumentStatus(status),
        quarantine=Quarantine(quarantine) if quarantine is not None else None,
        **columns,
    )


@dataclass(frozen=True, slots=True)
class StoredParse:
    """A parsed text that is stored already."""

    parsed_id: int
    document_id: int
    content_sha256: bytes
    fingerprint: str
    is_degraded: bool
    media_type: str
    attachments: int
    """Documents that are attached to it."""


@dataclass(frozen=True, slots=True)
class StoredChunkSet:
    """A chunk set that is stored already."""

    chunk_set_id: int
    parsed_id: int
    document_id: int
    chunk_count: int
    token_count: int


@dataclass(frozen=True, slots=True)
class NewParse:
    """A parsed text to store."""

    document_id: int
    content_sha256: bytes
    fingerprint: str
    suffix: str
    parsed: ParsedDocument


@dataclass(frozen=True, slots=True)
class NewChunkSet:
    """A chunk set to store."""

    parsed_id: int
    document_id: int
    fingerprint: str
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """What a run has read of its documents: its end does not settle what came later."""

    began_at: datetime
    """By the budget's clock, when work on them began."""
    read: Mapping[int, tuple[SourceFile, bytes | None]]
    """By document id, of those whose bytes were asked for: as the source had it, and the sha256;
    None where they could not be read."""

    def version(self, document_id: int) -> FileVersion | None:
        """Of a document, the version that was read; None if its bytes were not asked for."""
        if (read := self.read.get(document_id)) is None:
            return None
        file, sha256 = read
        return FileVersion(file.size, file.etag, sha256)


@dataclass(frozen=True, slots=True)
class DocumentFailure:
    """A document that failed or was deferred: at which stage, and why."""

    document_id: int
    stage: Stage
    error: TvdbError
    is_current_index_stale: bool = False
    """It is published in another index than the one that search reads, and is tried again until
    search shows it."""
    limits: str = ""
    """Fingerprint of the limits, where one of them is why; else empty."""

    @property
    def as_stored(self) -> Failure:
        """As the document's row keeps it."""
        error = self.error
        return Failure(self.stage, error.code, error.message, error.remedy, error.disposition)

    def fingerprint_of(self, pipeline_fingerprint: str) -> str:
        """Of the pipeline that left the document so; a change of a limit may end the failure."""
        return "" if self.is_current_index_stale else self.limits + pipeline_fingerprint
