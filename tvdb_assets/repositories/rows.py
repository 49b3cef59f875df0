"""The values that pass between an ingestion run and the repositories.

What belongs here: rows that are read, and values to be written, with their ids. What does not: the
statements that read and write them (`document_store`, `parsed_texts`, `member_store`,
`index_store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from tvdb_assets.errors import TvdbError
from tvdb_assets.lifecycle.states import DocumentStatus, Failure, FileVersion, Quarantine
from tvdb_assets.models import Chunk, ParsedDocument, Provenance, SourceFile, Stage


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """The columns of a registered document that an ingestion run needs."""

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
    """The reason why it is not retried, if it failed."""
    failed_stage: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_remedy: str | None = None
    is_manually_requested: bool = False
    """Whether a person requested it."""
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
    """Create a `DocumentRow` from the columns in `ROW`."""
    return DocumentRow(
        status=DocumentStatus(status),
        quarantine=Quarantine(quarantine) if quarantine is not None else None,
        **columns,
    )


@dataclass(frozen=True, slots=True)
class StoredParse:
    """A stored parsed text."""

    parsed_id: int
    document_id: int
    content_sha256: bytes
    fingerprint: str
    is_degraded: bool
    media_type: str
    attachments: int
    """Number of attached documents."""


@dataclass(frozen=True, slots=True)
class StoredChunkSet:
    """A stored chunk set."""

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
    title: str | None = None
    """Title of the document, which is searched with each chunk."""


@dataclass(frozen=True, slots=True)
class ReadSnapshot:
    """The versions of documents that a run has read; it does not cover later changes."""

    began_at: datetime
    """When processing them began, by the clock of the budget."""
    read: Mapping[int, tuple[SourceFile, bytes | None]]
    """File and sha256 by document id, for documents whose bytes were requested; the sha256 is None
    if they could not be read."""

    def version(self, document_id: int) -> FileVersion | None:
        """The version of a document that was read; None if its bytes were not requested."""
        if (read := self.read.get(document_id)) is None:
            return None
        file, sha256 = read
        return FileVersion(file.size, file.etag, sha256)


@dataclass(frozen=True, slots=True)
class DocumentFailure:
    """A document that failed or was deferred, with the stage and the error."""

    document_id: int
    stage: Stage
    error: TvdbError
    is_current_index_stale: bool = False
    """Whether search still reads an older version: the document is published in another index only,
    and is retried until the current index has it too."""
    limits: str = ""
    """Fingerprint of the limits if one of them is the reason; otherwise empty."""

    @property
    def as_stored(self) -> Failure:
        """The failure in the form that the document's row stores."""
        error = self.error
        return Failure(self.stage, error.code, error.message, error.remedy, error.disposition)

    def fingerprint_of(self, pipeline_fingerprint: str) -> str:
        """The fingerprint to store; it includes the limits if a change of them may help.

        Args:
            pipeline_fingerprint: fingerprint of the pipeline of the run.
        """
        return "" if self.is_current_index_stale else self.limits + pipeline_fingerprint


def provenance_row(produced_by: Provenance) -> tuple[str, str, str, str, bool]:
    """The columns of what made a row."""
    return (
        produced_by.service,
        produced_by.mode,
        produced_by.model,
        produced_by.version,
        produced_by.is_degraded,
    )


def reserve_ids(tx: psycopg.Connection[Any], table: str, column: str, count: int) -> list[int]:
    """Take ids from the sequence of a column."""
    rows = tx.execute(
        "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
        (table, column, count),
    ).fetchall()
    return [row[0] for row in rows]


def type_names(names: str) -> list[str]:
    """The types of the columns of a COPY, which are separated by spaces."""
    return names.split()
